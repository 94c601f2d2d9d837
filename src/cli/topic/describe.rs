//! `dolmen topic describe`: the partitions of topics, who holds and leads each,
//! and the settings that are not as by default.

use super::offsets::{self, EARLIEST, Found, LATEST};
use super::setting::{self, Setting};
use super::shape::{self, Partition, Shape};
use super::sizes;
use crate::cli::kafka::Cluster;
use crate::cli::table::Table;
use crate::cli::{Failure, print, print_json};
use serde_json::{Map, Value, json};

#[derive(clap::Args)]
pub struct Args {
    /// Their names
    #[arg(required = true)]
    topics: Vec<String>,
    /// Show all settings and what each is for
    #[arg(long)]
    all: bool,
}

pub fn run(args: &Args, cluster: &mut Cluster, is_json: bool) -> Result<(), Failure> {
    let mut told = Vec::new();
    for name in &args.topics {
        told.push(Told::of(cluster, name)?);
    }
    if is_json {
        return print_json(&told.iter().map(|one| one.for_programs(args.all)).collect());
    }
    let texts: Vec<_> = told.iter().map(|one| one.for_people(args.all)).collect();
    print(&texts.join("\n"))
}

struct Told {
    shape: Shape,
    settings: Vec<Setting>,
    first: Found,
    end: Found,
}

impl Told {
    fn of(cluster: &mut Cluster, name: &str) -> Result<Self, Failure> {
        let shape = shape::topic(cluster, name)?;
        let settings = setting::of_topic(cluster, name)?;
        // A partition that cannot answer is shown without.
        let numbers = shape.numbers();
        let mut found = |at| offsets::ask(cluster, &[(&shape, &numbers)], at, false);
        let (first, end) = (found(EARLIEST), found(LATEST));
        Ok(Self {
            shape,
            settings,
            first,
            end,
        })
    }

    fn shown(&self, is_all: bool) -> impl Iterator<Item = &Setting> {
        let settings = self.settings.iter();
        settings.filter(move |setting| is_all || setting.is_own)
    }

    fn offset(&self, of: &Found, partition: &Partition) -> Option<i64> {
        let place = (self.shape.name.clone(), partition.number);
        of.get(&place)?.as_ref().ok().copied()
    }

    fn for_people(&self, is_all: bool) -> String {
        let Shape {
            name,
            id,
            partitions,
            ..
        } = &self.shape;
        let count = sizes::count(partitions.len() as u64, "partition");
        let replicas = sizes::count(self.shape.replicas() as u64, "replica");
        let mut text = format!("{name}  {count}, {replicas} each, id {id}\n");
        let mut settings = Table::default();
        for setting in self.shown(is_all) {
            let says = if is_all { &*setting.says } else { "" };
            settings.row(["", &setting.name, &setting.value, says]);
        }
        text += &settings.to_string();
        let columns = ["partition", "leader", "replicas", "in sync", "first", "end"];
        let mut table = Table::with_columns(columns);
        for partition in partitions {
            let dash = |value: Option<i64>| value.map_or("-".into(), |value| value.to_string());
            table.row([
                &partition.number.to_string(),
                &dash(partition.leader.map(i64::from)),
                &nodes(&partition.replicas),
                &nodes(&partition.in_sync),
                &dash(self.offset(&self.first, partition)),
                &dash(self.offset(&self.end, partition)),
            ]);
        }
        text + &table.to_string()
    }

    fn for_programs(&self, is_all: bool) -> Value {
        let settings: Map<String, Value> = self
            .shown(is_all)
            .map(|setting| (setting.name.clone(), setting.value.clone().into()))
            .collect();
        let partitions = self.shape.partitions.iter().map(|partition| {
            let mut told = partition.json();
            told["first"] = json!(self.offset(&self.first, partition));
            told["end"] = json!(self.offset(&self.end, partition));
            told
        });
        json!({
            "topic": self.shape.name, "id": self.shape.id.to_string(),
            "internal": self.shape.is_internal, "settings": settings,
            "partitions": partitions.collect::<Vec<_>>(),
        })
    }
}

fn nodes(numbers: &[i32]) -> String {
    let numbers: Vec<_> = numbers.iter().map(i32::to_string).collect();
    match numbers.is_empty() {
        true => "-".into(),
        false => numbers.join(","),
    }
}

#[cfg(test)]
mod tests {
    use super::super::shape::tests::{partition, shape};
    use super::*;
    use crate::cli::kafka::Trouble;
    use crate::ports::kafka::messages::{ErrorCode, Uuid};

    #[test]
    fn a_topic_is_its_settings_and_its_partitions() {
        let shape = shape(vec![partition(0, 1, &[1, 2, 3]), partition(1, -1, &[])]);
        let place = |number| ("orders".to_owned(), number);
        let setting = |name: &str, is_own| Setting {
            name: name.into(),
            value: "7".into(),
            is_own,
            says: "What it is for.".into(),
        };
        let lost = || Err(Trouble::refused(ErrorCode::LeaderNotAvailable, None));
        let told = Told {
            shape,
            settings: vec![setting("own", true), setting("usual", false)],
            first: Found::from([(place(0), Ok(0)), (place(1), lost())]),
            end: Found::from([(place(0), Ok(120)), (place(1), lost())]),
        };
        let none = Uuid::NONE;
        let shown = format!(
            "orders  2 partitions, 3 replicas each, id {none}\n\
             \x20 own  7\n\
             partition  leader  replicas  in sync  first  end\n\
             0          1       1,2,3     1,2,3    0      120\n\
             1          -       1,2,3     -        -      -\n"
        );
        assert_eq!(told.for_people(false), shown);
        assert!(
            told.for_people(true)
                .contains("  usual  7  What it is for.\n")
        );
        let json = told.for_programs(false);
        assert_eq!(json["settings"], json!({ "own": "7" }));
        assert_eq!(json["partitions"][0]["end"], 120);
        assert_eq!(json["partitions"][1]["end"], Value::Null);
    }
}
