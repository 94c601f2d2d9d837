//! `dolmen import zookeeper`: the znodes of a ZooKeeper, from its files into
//! the node on this host.

use super::super::table::Table;
use super::super::{Failure, dev, print, print_json};
use super::folder::Folder;
use super::moving::{Moving, Survey};
use super::recover::{Account, recover};
use super::txn::is_path;
use crate::daemon::ask::Talk;
use crate::daemon::compose::{self, Sources};
use crate::daemon::import::{Opening, Taken, send};
use serde_json::{Value, json};
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

/// Import the znodes in a ZooKeeper's data folder into the node on this host
///
/// Stop the server first, or copy its files: a server that runs is ahead of
/// them. Ephemeral nodes and sessions stay behind, quotas move.
#[derive(clap::Args)]
pub struct Args {
    /// ZooKeeper's dataDir
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// ZooKeeper's dataLogDir, where it is another
    #[arg(long, value_name = "DIR")]
    log_dir: Option<PathBuf>,
    /// Leave out a node and what is under it; may be repeated
    #[arg(long, value_name = "PATH", value_parser = node_path)]
    skip: Vec<Box<str>>,
    /// Import though transactions are missing between the files
    #[arg(long)]
    accept_gaps: bool,
    /// Read and check everything, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// The daemon's admin socket, where it is not the standard one
    #[arg(long, value_name = "PATH", conflicts_with = "dev")]
    socket: Option<PathBuf>,
    /// The data folder of `dolmen dev`, to import into that
    #[arg(long, value_name = "DIR")]
    dev: Option<PathBuf>,
}

fn node_path(text: &str) -> Result<Box<str>, String> {
    match is_path(text) && text != "/" {
        true => Ok(text.into()),
        false => Err("a node's path begins with / and does not end with it".into()),
    }
}

pub fn run(args: Args) -> Result<(), Failure> {
    let folder = Folder::open(&args.data, args.log_dir.as_deref())?;
    let recovered = recover(&folder, args.accept_gaps).map_err(Failure::failed)?;
    let account = recovered.account;
    let (moving, survey) =
        Moving::new(recovered.tree, args.skip.clone()).map_err(Failure::failed)?;
    let taken = match args.dry_run {
        true => None,
        false => Some(move_in(&args, moving, &survey, &account)?),
    };
    match args.json {
        true => print_json(&for_programs(&account, &survey, taken.as_ref())),
        false => print(&for_people(&account, &survey, taken.as_ref())),
    }
}

fn move_in(
    args: &Args,
    moving: Moving,
    survey: &Survey,
    account: &Account,
) -> Result<Taken, Failure> {
    let socket = match (&args.socket, &args.dev) {
        (Some(socket), _) => socket.clone(),
        (None, Some(data)) => dev::admin_socket(data, 1),
        (None, None) => compose::load(&Sources::default())?.config.admin_socket,
    };
    let mut talk = Talk::open(&socket).map_err(Failure::failed)?;
    let opening = Opening {
        nodes: survey.nodes,
        data_bytes: survey.data_bytes,
        source_zxid: account.zxid,
    };
    let is_shown = io::stderr().is_terminal();
    let told = |sent: u64| {
        if is_shown {
            let percent = sent * 100 / survey.nodes.max(1);
            let _ = write!(io::stderr(), "\r\x1b[K{percent:2} % {sent} znodes");
        }
    };
    let taken = send(&mut talk, opening, moving, told);
    if is_shown {
        let _ = write!(io::stderr(), "\r\x1b[K");
    }
    taken.map_err(Failure::failed)
}

fn for_programs(account: &Account, survey: &Survey, taken: Option<&Taken>) -> Value {
    let unsound = account.unsound.iter();
    let unsound = unsound.map(|(path, says)| json!({ "file": path, "says": says }));
    let torn = account.torn.iter();
    let torn = torn.map(|(path, torn)| json!({ "file": path, "at": torn.at, "bytes": torn.bytes }));
    let gaps = account.gaps.iter();
    let gaps = gaps.map(|(last, found)| json!([hex(last.0), hex(found.0)]));
    json!({
        "source": {
            "snapshot": account.snapshot,
            "unsound_snapshots": unsound.collect::<Value>(),
            "logs": account.logs,
            "transactions": account.transactions,
            "passed_over": account.passed_over,
            "torn": torn.collect::<Value>(),
            "gaps": gaps.collect::<Value>(),
            "zxid": hex(account.zxid.0),
        },
        "moved": {
            "nodes": survey.nodes,
            "data_bytes": survey.data_bytes,
            "containers": survey.containers,
            "ttls": survey.ttls,
            "quotas": survey.quotas,
        },
        "left_out": {
            "sessions": survey.sessions,
            "ephemerals": survey.ephemerals,
            "skipped": survey.skipped,
            "unreachable": survey.unreachable,
        },
        "imported": taken.is_some(),
        "zxid": taken.map(|taken| &taken.zxid),
    })
}

fn hex(zxid: u64) -> String {
    format!("{zxid:#x}")
}

fn for_people(account: &Account, survey: &Survey, taken: Option<&Taken>) -> String {
    let mut table = Table::default();
    table.row(["snapshot", &account.snapshot.display().to_string()]);
    for (path, says) in &account.unsound {
        table.row(["passed over", &format!("{} {says}", path.display())]);
    }
    let replayed = format!(
        "{} transactions of {} logs, to zxid {:#x}; {} parts of them were in the snapshot already",
        account.transactions, account.logs, account.zxid.0, account.passed_over
    );
    table.row(["replayed", &replayed]);
    for (path, torn) in &account.torn {
        let path = path.display();
        let says = format!(
            "{path} at byte {}: {} bytes of a write that was never finished",
            torn.at, torn.bytes
        );
        table.row(["cut", &says]);
    }
    for (last, found) in &account.gaps {
        let says = format!(
            "no file has what came between {:#x} and {:#x}",
            last.0, found.0
        );
        table.row(["gap", &says]);
    }
    let nodes = format!(
        "{} with {} bytes; {} containers, {} with a TTL, {} quotas",
        survey.nodes, survey.data_bytes, survey.containers, survey.ttls, survey.quotas
    );
    table.row(["znodes", &nodes]);
    let left_out = format!(
        "{} ephemeral znodes of {} open sessions, {} by --skip, {} unreachable, /zookeeper/config",
        survey.ephemerals, survey.sessions, survey.skipped, survey.unreachable
    );
    table.row(["left out", &left_out]);
    let outcome = match taken {
        Some(taken) => format!("{} znodes, as of zxid {} here", taken.nodes, taken.zxid),
        None => "nothing: this was a dry run".into(),
    };
    table.row(["imported", &outcome]);
    table.to_string()
}
