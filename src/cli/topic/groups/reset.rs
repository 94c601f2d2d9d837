//! `dolmen topic groups reset`: a group stands elsewhere from now on.

use super::describe::known;
use super::describing;
use super::standing::{self, Offsets};
use crate::cli::kafka::Cluster;
use crate::cli::table::Table;
use crate::cli::topic::point::{Point, check_one_partition};
use crate::cli::topic::shape::{self, about};
use crate::cli::{Failure, print, print_json};
use serde_json::json;
use std::collections::BTreeSet;

/// Have a group read on from elsewhere
///
/// Shows what would change, and changes it with --yes. The group must have no
/// members. One that is not there is made where --topic says what it reads.
#[derive(clap::Args)]
pub struct Args {
    /// Its name
    group: String,
    /// Where to: first, last, last-10 for ten before the last of each partition, an offset, or a time such as 2026-02-03T04:05:06Z or 2h for two hours ago
    #[arg(long, value_name = "WHERE", value_parser = Point::parse)]
    to: Point,
    /// In this topic; may be repeated [default: those in which it has committed something]
    #[arg(long, value_name = "TOPIC")]
    topic: Vec<String>,
    /// In this partition of the topic; may be repeated [default: all of a topic that is named, or those in which it has committed something]
    #[arg(long, value_name = "N")]
    partition: Vec<i32>,
    /// Do it
    #[arg(long)]
    yes: bool,
}

struct Move {
    topic: String,
    partition: i32,
    from: Option<i64>,
    to: i64,
}

pub fn run(args: &Args, cluster: &mut Cluster, is_json: bool) -> Result<(), Failure> {
    let group = &args.group;
    if !args.partition.is_empty() && args.topic.len() != 1 {
        let says = "a partition is one of a topic: say which with one --topic";
        return Err(Failure::wrong_usage(says));
    }
    let named = |trouble| about(&format!("group {group}"), trouble);
    let described = match args.topic.is_empty() {
        true => Some(known(cluster, group)?),
        false => describing::find(cluster, group).map_err(named)?,
    };
    if let Some(described) = described {
        described.must_be_empty()?;
    }
    let committed = standing::committed(cluster, group).map_err(named)?;
    let moves = moves(args, cluster, &committed)?;
    if args.yes && !moves.is_empty() {
        let offsets = moves.iter();
        let offsets = offsets.map(|one| ((one.topic.clone(), one.partition), one.to));
        standing::commit(cluster, group, &offsets.collect()).map_err(named)?;
    }
    match is_json {
        true => {
            let moves = moves.iter().map(|one| {
                json!({
                    "topic": one.topic, "partition": one.partition, "from": one.from,
                    "to": one.to,
                })
            });
            let moves: Vec<_> = moves.collect();
            print_json(&json!({ "group": group, "changed": args.yes, "partitions": moves }))
        }
        false => print(&for_people(group, &moves, args.yes)),
    }
}

fn moves(args: &Args, cluster: &mut Cluster, committed: &Offsets) -> Result<Vec<Move>, Failure> {
    let named: BTreeSet<&str> = match args.topic.is_empty() {
        true => committed.keys().map(|(topic, _)| &**topic).collect(),
        false => args.topic.iter().map(String::as_str).collect(),
    };
    let mut moves = Vec::new();
    for topic in named {
        let shape = shape::topic(cluster, topic)?;
        let numbers = match args.topic.is_empty() {
            true => {
                let own = committed.keys().filter(|(name, _)| name == topic);
                own.map(|(_, number)| *number).collect()
            }
            false => args.partition.clone(),
        };
        let numbers = shape.chosen(&numbers)?;
        check_one_partition(&[Some(args.to)], &numbers)?;
        for (partition, to) in args.to.find(cluster, &shape, &numbers, false)? {
            let from = committed.get(&(topic.to_owned(), partition)).copied();
            moves.push(Move {
                topic: topic.into(),
                partition,
                from,
                to,
            });
        }
    }
    Ok(moves)
}

fn for_people(group: &str, moves: &[Move], is_done: bool) -> String {
    if moves.is_empty() {
        return format!("group {group} has committed nothing: --topic says where it is to stand\n");
    }
    let mut table = Table::with_columns(["topic", "partition", "from", "to"]);
    for one in moves {
        table.row([
            &one.topic,
            &one.partition.to_string(),
            &one.from.map_or("-".into(), |from| from.to_string()),
            &one.to.to_string(),
        ]);
    }
    let says = match is_done {
        true => format!("group {group} reads on from there"),
        false => "nothing is changed yet; --yes does it".into(),
    };
    format!("{table}{says}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_change_is_shown_before_it_does() {
        let moves = [Move {
            topic: "orders".into(),
            partition: 1,
            from: None,
            to: 40,
        }];
        let table = "topic   partition  from  to\norders  1          -     40\n";
        let shown = for_people("mills", &moves, false);
        assert_eq!(
            shown,
            format!("{table}nothing is changed yet; --yes does it\n")
        );
        let shown = for_people("mills", &moves, true);
        assert_eq!(shown, format!("{table}group mills reads on from there\n"));
        assert!(for_people("mills", &[], false).contains("--topic"));
    }
}
