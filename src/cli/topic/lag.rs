//! `dolmen topic lag`: how far groups are behind, a line a partition.

use super::groups::describe::known;
use super::groups::list;
use super::groups::standing::{self, Standing};
use crate::cli::kafka::Cluster;
use crate::cli::table::Table;
use crate::cli::{Failure, print, print_json};
use serde_json::Value;

#[derive(clap::Args)]
pub struct Args {
    /// Of these groups [default: of all]
    groups: Vec<String>,
    /// In this topic alone; may be repeated
    #[arg(long, value_name = "TOPIC")]
    topic: Vec<String>,
    /// Leave out the partitions that are read to their end
    #[arg(long)]
    behind: bool,
}

pub fn run(args: &Args, cluster: &mut Cluster, is_json: bool) -> Result<(), Failure> {
    let groups = match args.groups.is_empty() {
        true => list::all(cluster)?
            .into_iter()
            .map(|one| one.group)
            .collect(),
        false => {
            for group in &args.groups {
                known(cluster, group)?;
            }
            args.groups.clone()
        }
    };
    for topic in &args.topic {
        super::shape::topic(cluster, topic)?;
    }
    let mut lags = Vec::new();
    for group in groups {
        let standings = standing::of_group(cluster, &group)?.into_iter();
        let wanted = standings.filter(|standing| is_wanted(args, standing));
        lags.extend(wanted.map(|standing| (group.clone(), standing)));
    }
    match is_json {
        true => print_json(&lags.iter().map(for_programs).collect()),
        false => print(&for_people(&lags)),
    }
}

/// What is not known may well be behind.
fn is_wanted(args: &Args, standing: &Standing) -> bool {
    let is_named = args.topic.is_empty() || args.topic.contains(&standing.topic);
    is_named && (!args.behind || standing.lag() != Some(0))
}

fn for_programs((group, standing): &(String, Standing)) -> Value {
    let mut told = standing.json();
    told["group"] = group.clone().into();
    told
}

fn for_people(lags: &[(String, Standing)]) -> String {
    if lags.is_empty() {
        return "nothing to show: no group has committed an offset there, or is behind\n".into();
    }
    let columns = ["group", "topic", "partition", "committed", "end", "lag"];
    let mut table = Table::with_columns(columns);
    for (group, standing) in lags {
        let [topic, partition, committed, end, lag] = standing.cells();
        table.row([group, &topic, &partition, &committed, &end, &lag]);
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_group_has_a_line_for_each_partition_that_is_wanted() {
        let standing = |topic: &str, committed, end| Standing {
            topic: topic.into(),
            partition: 0,
            committed,
            end,
        };
        let lag = ("mills".to_owned(), standing("orders", 7, Some(10)));
        let shown = "group  topic   partition  committed  end  lag\n\
                     mills  orders  0          7          10   3\n";
        assert_eq!(for_people(std::slice::from_ref(&lag)), shown);
        assert_eq!(for_programs(&lag)["group"], "mills");
        let args = Args {
            groups: Vec::new(),
            topic: vec!["orders".into()],
            behind: true,
        };
        assert!(is_wanted(&args, &lag.1));
        assert!(!is_wanted(&args, &standing("orders", 10, Some(10))));
        assert!(is_wanted(&args, &standing("orders", 10, None)));
        assert!(!is_wanted(&args, &standing("alarms", 7, Some(10))));
    }
}
