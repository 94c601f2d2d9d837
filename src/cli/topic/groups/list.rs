//! `dolmen topic groups list`: the groups of all coordinators.

use crate::cli::kafka::{At, Cluster, Trouble};
use crate::cli::table::Table;
use crate::cli::{Failure, print, print_json};
use crate::ports::kafka::messages::list_groups::{ListGroups, ListGroupsRequest};
use serde_json::{Value, json};

pub fn run(cluster: &mut Cluster, is_json: bool) -> Result<(), Failure> {
    let groups = all(cluster)?;
    match is_json {
        true => print_json(&groups.iter().map(Listed::json).collect()),
        false => print(&for_people(&groups)),
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    pub group: String,
    pub kind: String,
    pub state: String,
}

impl Listed {
    fn json(&self) -> Value {
        json!({ "group": self.group, "type": self.kind, "state": self.state })
    }
}

/// By their names. A coordinator that does not answer would hide groups, so
/// then there is no list.
pub fn all(cluster: &mut Cluster) -> Result<Vec<Listed>, Failure> {
    let brokers = cluster.insist(|cluster| {
        cluster.topics(Some(&[]))?;
        Ok(cluster.brokers().collect::<Vec<_>>())
    });
    let mut groups = Vec::new();
    for broker in brokers.map_err(Failure::failed)? {
        let listed = cluster.insist(|cluster| of_broker(cluster, broker));
        let listed = listed.map_err(|trouble| {
            Failure::failed(format!("the groups of node {broker}: {trouble}"))
        })?;
        groups.extend(listed);
    }
    groups.sort();
    groups.dedup();
    Ok(groups)
}

fn of_broker(cluster: &mut Cluster, broker: i32) -> Result<Vec<Listed>, Trouble> {
    let request = ListGroupsRequest::default();
    let answer = cluster.ask::<ListGroups>(At::Broker(broker), &request)?;
    if !answer.error_code.is_none() {
        return Err(Trouble::refused(answer.error_code, None));
    }
    let listed = answer.groups.into_iter().map(|group| Listed {
        group: group.group_id.into(),
        kind: group.group_type.to_lowercase(),
        state: words(&group.group_state),
    });
    Ok(listed.collect())
}

/// `PreparingRebalance` becomes "preparing rebalance".
pub fn words(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}

fn for_people(groups: &[Listed]) -> String {
    if groups.is_empty() {
        return "no groups\n".into();
    }
    let mut table = Table::with_columns(["group", "type", "state"]);
    for group in groups {
        table.row([&group.group, &group.kind, &group.state]);
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_words() {
        for (name, says) in [
            ("Stable", "stable"),
            ("PreparingRebalance", "preparing rebalance"),
            ("", ""),
        ] {
            assert_eq!(words(name), says);
        }
    }

    #[test]
    fn each_group_has_a_line() {
        let group = Listed {
            group: "mill".into(),
            kind: "classic".into(),
            state: "stable".into(),
        };
        let shown = "group  type     state\nmill   classic  stable\n";
        assert_eq!(for_people(&[group]), shown);
        assert_eq!(for_people(&[]), "no groups\n");
    }
}
