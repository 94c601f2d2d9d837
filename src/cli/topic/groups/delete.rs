//! `dolmen topic groups delete`: groups that nobody needs any more.

use super::describe::known;
use super::standing;
use crate::cli::kafka::{Cluster, Trouble};
use crate::cli::topic::shape::about;
use crate::cli::topic::sizes;
use crate::cli::{Failure, print, print_json};
use crate::ports::kafka::messages::Text;
use crate::ports::kafka::messages::delete_groups::{DeleteGroups, DeleteGroupsRequest};
use serde_json::json;

#[derive(clap::Args)]
pub struct Args {
    /// Their names
    #[arg(required = true)]
    groups: Vec<String>,
    /// Delete them; without it nothing is deleted
    #[arg(long)]
    yes: bool,
}

pub fn run(args: &Args, cluster: &mut Cluster, is_json: bool) -> Result<(), Failure> {
    let mut says = Vec::new();
    // One that is mistyped or has members spares the others.
    for group in &args.groups {
        known(cluster, group)?.must_be_empty()?;
        let committed = standing::committed(cluster, group);
        let committed = committed.map_err(|why| about(&format!("group {group}"), why))?;
        let places = sizes::count(committed.len() as u64, "committed offset");
        says.push(format!("{group} with {places}"));
    }
    if !args.yes {
        return Err(Failure::wrong_usage(format!(
            "nothing is deleted; --yes deletes {}",
            says.join(", ")
        )));
    }
    for group in &args.groups {
        delete(cluster, group).map_err(|why| about(&format!("group {group}"), why))?;
        if !is_json {
            print(&format!("group {group} is deleted\n"))?;
        }
    }
    match is_json {
        true => print_json(&json!({ "deleted": args.groups })),
        false => Ok(()),
    }
}

fn delete(cluster: &mut Cluster, group: &str) -> Result<(), Trouble> {
    let request = DeleteGroupsRequest {
        groups_names: vec![Text::from(group)],
    };
    cluster.insist(|cluster| {
        let answer = cluster.ask_coordinator::<DeleteGroups>(group, &request)?;
        let code = answer.results.into_iter().next().unwrap_or_default();
        match code.error_code.is_none() {
            true => Ok(()),
            false => Err(Trouble::refused(code.error_code, None)),
        }
    })
}
