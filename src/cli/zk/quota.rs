//! `dolmen zk quota`: bounds on the znodes and bytes under a znode.
//!
//! A quota is two znodes under `/zookeeper/quota` and the path: the limits,
//! which anybody may write as any other znode, and the usage, which the
//! server counts. A soft limit is told in the server's log when it is passed, a
//! hard one refuses.

use super::super::table::Table;
use super::super::{Failure, print, print_json};
use super::client::{Client, Trouble};
use super::show::open_to_all;
use super::{Server, joined, ls, node_path};
use crate::ports::zookeeper::codec::{
    AtVersion, CreateRequest, Created, DataWithStat, OfStat, SetDataRequest, Watched, code,
};
use crate::ports::zookeeper::errors;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const QUOTAS: &str = "/zookeeper/quota";
const LIMITS: &str = "zookeeper_limits";
const USAGE: &str = "zookeeper_stats";
const NO_USAGE: &str = "count=0,bytes=0";

#[derive(clap::Args)]
pub struct Args {
    /// The znode
    #[arg(value_parser = node_path)]
    path: Box<str>,
    /// Tell when there are more znodes, itself counted
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    count: Option<i64>,
    /// Tell when there are more bytes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    bytes: Option<i64>,
    /// Refuse more znodes, itself counted
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    count_hard: Option<i64>,
    /// Refuse more bytes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    bytes_hard: Option<i64>,
    /// Remove the quota
    #[arg(long, conflicts_with_all = ["count", "bytes", "count_hard", "bytes_hard"])]
    remove: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

/// Numbers by name, as ZooKeeper writes them: `count=5,bytes=-1`, and others
/// behind semicolons. -1 is no limit.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Figures(BTreeMap<String, i64>);

impl Figures {
    fn none() -> Self {
        Self::parse("count=-1,bytes=-1").expect("a written form")
    }

    fn parse(text: &str) -> Option<Self> {
        let mut figures = BTreeMap::new();
        for part in text.split([',', ';']).filter(|part| !part.is_empty()) {
            let (name, number) = part.split_once('=')?;
            figures.insert(name.to_owned(), number.parse().ok()?);
        }
        Some(Self(figures))
    }

    /// None where it is no limit.
    fn get(&self, name: &str) -> Option<i64> {
        self.0.get(name).copied().filter(|number| *number >= 0)
    }

    fn set(&mut self, name: &str, value: Option<i64>) {
        if let Some(value) = value {
            self.0.insert(name.into(), value);
        }
    }

    /// `count` and `bytes` come first, as servers before 3.7 read them.
    fn written(&self) -> String {
        let first = |name| self.0.get(name).copied().unwrap_or(-1);
        let mut text = format!("count={},bytes={}", first("count"), first("bytes"));
        let others = self
            .0
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "count" | "bytes"));
        for (name, number) in others {
            text += &format!(";{name}={number}");
        }
        text
    }
}

pub fn run(args: Args) -> Result<(), Failure> {
    let mut client = args.server.connect()?;
    let about = |trouble: Trouble| Failure::failed(format!("{}: {trouble}", args.path));
    let wanted = [
        ("count", args.count),
        ("bytes", args.bytes),
        ("countHardLimit", args.count_hard),
        ("bytesHardLimit", args.bytes_hard),
    ];
    if args.remove {
        remove(&mut client, &args.path)?;
    } else if wanted.iter().any(|(_, value)| value.is_some()) {
        set(&mut client, &args.path, &wanted)?;
    }
    let limits = figures(&mut client, &args.path, LIMITS).map_err(about)?;
    let usage = figures(&mut client, &args.path, USAGE).map_err(about)?;
    client.close().map_err(Failure::failed)?;
    match args.json {
        true => print_json(&for_programs(&args.path, limits.as_ref(), usage.as_ref())),
        false => print(&for_people(&args.path, limits.as_ref(), usage.as_ref())),
    }
}

fn home(path: &str) -> Box<str> {
    match path {
        "/" => QUOTAS.into(),
        _ => format!("{QUOTAS}{path}").into(),
    }
}

/// The figures of a quota's znode; None where there is no quota.
fn figures(client: &mut Client, path: &str, name: &str) -> Result<Option<Figures>, Trouble> {
    let asked = Watched {
        path: joined(&home(path), name),
        watch: false,
    };
    match client.ask::<DataWithStat>(code::GET_DATA, &asked) {
        Ok(answer) => Ok(Figures::parse(&String::from_utf8_lossy(&answer.data))),
        Err(trouble) if trouble.is(errors::NO_NODE) => Ok(None),
        Err(trouble) => Err(trouble),
    }
}

fn set(client: &mut Client, path: &str, wanted: &[(&str, Option<i64>)]) -> Result<(), Failure> {
    let about = |trouble: Trouble| Failure::failed(format!("{path}: {trouble}"));
    let asked = Watched {
        path: path.into(),
        watch: false,
    };
    client.ask::<OfStat>(code::EXISTS, &asked).map_err(about)?;
    let held = figures(client, path, LIMITS).map_err(about)?;
    if held.is_none() {
        must_be_alone(client, path)?;
    }
    let mut limits = held.unwrap_or_else(Figures::none);
    for (name, value) in wanted {
        limits.set(name, *value);
    }
    let mut place = Box::from(QUOTAS);
    for name in path.split('/').filter(|name| !name.is_empty()) {
        place = joined(&place, name);
        make(client, place.clone(), "").map_err(about)?;
    }
    let written = limits.written();
    make(client, joined(&place, USAGE), NO_USAGE).map_err(about)?;
    if !make(client, joined(&place, LIMITS), &written).map_err(about)? {
        let request = SetDataRequest {
            path: joined(&place, LIMITS),
            data: written.as_bytes().into(),
            version: -1,
        };
        client
            .ask::<OfStat>(code::SET_DATA, &request)
            .map_err(about)?;
    }
    Ok(())
}

/// False where it was there.
fn make(client: &mut Client, path: Box<str>, data: &str) -> Result<bool, Trouble> {
    let create = CreateRequest {
        path,
        data: data.as_bytes().into(),
        acl: open_to_all(),
        flags: 0,
    };
    match client.ask::<Created>(code::CREATE, &create) {
        Ok(_) => Ok(true),
        Err(trouble) if trouble.is(errors::NODE_EXISTS) => Ok(false),
        Err(trouble) => Err(trouble),
    }
}

/// Usage is counted at the nearest quota only: one above or below another
/// would count wrong.
fn must_be_alone(client: &mut Client, path: &str) -> Result<(), Failure> {
    let about = |trouble: Trouble| Failure::failed(format!("{path}: {trouble}"));
    let stands = |at: &str| {
        Failure::failed(format!(
            "{at} has a quota, and quotas do not stand inside each other: dolmen zk quota {at} \
             --remove"
        ))
    };
    let mut above = path;
    while let Some((parent, _)) = above.rsplit_once('/').filter(|_| above != "/") {
        above = if parent.is_empty() { "/" } else { parent };
        if figures(client, above, LIMITS).map_err(about)?.is_some() {
            return Err(stands(above));
        }
    }
    let home = home(path);
    let below = match ls::under(client, &home) {
        Err(trouble) if trouble.is(errors::NO_NODE) => return Ok(()),
        below => below.map_err(about)?,
    };
    let ending = format!("/{LIMITS}");
    let other = below.iter().find_map(|place| place.strip_suffix(&ending));
    other.map_or(Ok(()), |place| Err(stands(&place[QUOTAS.len()..])))
}

/// The znodes of the quota, and those above them that only led to it.
fn remove(client: &mut Client, path: &str) -> Result<(), Failure> {
    let home = home(path);
    let mut had_one = false;
    let mut going = vec![joined(&home, LIMITS), joined(&home, USAGE)];
    let mut place = &*home;
    while place != QUOTAS {
        going.push(place.into());
        place = place
            .rsplit_once('/')
            .expect("it begins with that of quotas")
            .0;
    }
    for (number, path) in going.into_iter().enumerate() {
        match client.ask::<()>(code::DELETE, &AtVersion { path, version: -1 }) {
            Ok(()) => had_one |= number == 0,
            Err(trouble) if trouble.is(errors::NO_NODE) => {}
            // Another quota stands below.
            Err(trouble) if trouble.is(errors::NOT_EMPTY) => break,
            Err(trouble) => {
                return Err(Failure::failed(format!("{path}: {trouble}", path = &home)));
            }
        }
    }
    match had_one {
        true => Ok(()),
        false => Err(Failure::failed(format!("{path} has no quota"))),
    }
}

fn for_programs(path: &str, limits: Option<&Figures>, usage: Option<&Figures>) -> Value {
    let get = |figures: Option<&Figures>, name| figures.and_then(|figures| figures.get(name));
    json!({
        "path": path,
        "count": get(limits, "count"),
        "bytes": get(limits, "bytes"),
        "count_hard": get(limits, "countHardLimit"),
        "bytes_hard": get(limits, "bytesHardLimit"),
        "used_count": get(usage, "count"),
        "used_bytes": get(usage, "bytes"),
    })
}

fn for_people(path: &str, limits: Option<&Figures>, usage: Option<&Figures>) -> String {
    let Some(limits) = limits else {
        return format!("{path} has no quota\n");
    };
    let shown = |number: Option<i64>| number.map_or("-".into(), |number| number.to_string());
    let mut table = Table::with_columns(["", "used", "soft", "hard"]);
    for (name, hard) in [("count", "countHardLimit"), ("bytes", "bytesHardLimit")] {
        let used = shown(usage.and_then(|usage| usage.get(name)));
        table.row([
            name,
            &used,
            &shown(limits.get(name)),
            &shown(limits.get(hard)),
        ]);
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_as_they_are_read() {
        for text in [
            "count=5,bytes=-1",
            "count=-1,bytes=7;bytesHardLimit=9;countHardLimit=-1",
        ] {
            assert_eq!(Figures::parse(text).unwrap().written(), text);
        }
        assert_eq!(Figures::parse("count=x"), None);
        assert_eq!(Figures::parse("").unwrap().written(), "count=-1,bytes=-1");
    }

    #[test]
    fn a_quota_is_a_table_for_people() {
        let limits = Figures::parse("count=5,bytes=-1;countHardLimit=10").unwrap();
        let usage = Figures::parse("count=3,bytes=12").unwrap();
        let shown = "       used  soft  hard\n\
                     count  3     5     10\n\
                     bytes  12    -     -\n";
        assert_eq!(for_people("/a", Some(&limits), Some(&usage)), shown);
        assert_eq!(for_people("/a", None, None), "/a has no quota\n");
        let json = for_programs("/a", Some(&limits), None);
        assert_eq!(json["count_hard"], 10);
        assert_eq!(json["bytes"], Value::Null);
    }
}
