//! `dolmen topic groups describe`: who is in a group, and how far it is.

use super::describing::{self, Described};
use super::list;
use super::standing::{self, Standing};
use crate::cli::kafka::Cluster;
use crate::cli::table::Table;
use crate::cli::topic::alike::alike;
use crate::cli::topic::shape::about;
use crate::cli::topic::sizes;
use crate::cli::{Failure, print, print_json};
use serde_json::json;

#[derive(clap::Args)]
pub struct Args {
    /// Its name
    group: String,
}

pub fn run(args: &Args, cluster: &mut Cluster, is_json: bool) -> Result<(), Failure> {
    let group = &args.group;
    let described = known(cluster, group)?;
    let standings = standing::of_group(cluster, group)?;
    match is_json {
        true => {
            let Described {
                kind,
                state,
                assignor,
                members,
                ..
            } = &described;
            let members: Vec<_> = members.iter().map(|one| one.json()).collect();
            let places: Vec<_> = standings.iter().map(Standing::json).collect();
            print_json(&json!({
                "group": group, "type": kind, "state": state, "assignor": assignor,
                "members": members, "partitions": places,
            }))
        }
        false => print(&for_people(&described, &standings)),
    }
}

/// A group that is there; where it is not, those that are much like it.
pub fn known(cluster: &mut Cluster, group: &str) -> Result<Described, Failure> {
    let found = describing::find(cluster, group);
    let found = found.map_err(|trouble| about(&format!("group {group}"), trouble))?;
    match found {
        Some(described) => Ok(described),
        None => {
            let listed = list::all(cluster).unwrap_or_default();
            let near = alike(group, listed.iter().map(|one| &*one.group));
            let meant = match near.is_empty() {
                true => String::new(),
                false => format!(", but {}", near.join(", ")),
            };
            Err(Failure::failed(format!(
                "there is no group {group}{meant}: dolmen topic groups shows all"
            )))
        }
    }
}

fn for_people(described: &Described, standings: &[Standing]) -> String {
    let Described {
        group,
        kind,
        state,
        assignor,
        members,
    } = described;
    let count = sizes::count(members.len() as u64, "member");
    let shared = match assignor.is_empty() {
        true => String::new(),
        false => format!(", assigned by {assignor}"),
    };
    let mut text = format!("{group}  {kind} group, {state}, {count}{shared}\n");
    if !members.is_empty() {
        let mut table = Table::with_columns(["member", "client", "host", "reads"]);
        for member in members {
            let id = match &member.instance {
                Some(instance) => format!("{} ({instance})", member.id),
                None => member.id.clone(),
            };
            table.row([&id, &member.client, &member.host, &member.reads()]);
        }
        text += &format!("\n{table}");
    }
    if !standings.is_empty() {
        let columns = ["topic", "partition", "committed", "end", "lag"];
        let mut table = Table::with_columns(columns);
        for standing in standings {
            let cells = standing.cells();
            table.row(cells.each_ref().map(String::as_str));
        }
        text += &format!("\n{table}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::describing::Member;
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_group_is_its_members_and_where_it_stands() {
        let member = Member {
            id: "m-1".into(),
            instance: Some("line-4".into()),
            client: "mill".into(),
            host: "10.0.0.7".into(),
            reads: BTreeMap::from([("alarms".into(), vec![]), ("orders".into(), vec![0, 2])]),
        };
        let described = Described {
            group: "mills".into(),
            kind: "classic",
            state: "stable".into(),
            assignor: "range".into(),
            members: vec![member],
        };
        let standing = Standing {
            topic: "orders".into(),
            partition: 2,
            committed: 7,
            end: Some(10),
        };
        let shown = "mills  classic group, stable, 1 member, assigned by range\n\n\
                     member        client  host      reads\n\
                     m-1 (line-4)  mill    10.0.0.7  alarms: ; orders: 0,2\n\n\
                     topic   partition  committed  end  lag\n\
                     orders  2          7          10   3\n";
        assert_eq!(for_people(&described, &[standing]), shown);
        assert!(
            described
                .must_be_empty()
                .unwrap_err()
                .message
                .contains("mill on 10.0.0.7")
        );
        let empty = Described {
            state: "empty".into(),
            assignor: String::new(),
            members: Vec::new(),
            ..described
        };
        assert_eq!(
            for_people(&empty, &[]),
            "mills  classic group, empty, 0 members\n"
        );
        assert!(empty.must_be_empty().is_ok());
    }
}
