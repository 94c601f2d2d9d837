//! `dolmen topic delete`: topics go, and what is in them.

use super::shape::{self, about};
use super::sizes;
use crate::cli::kafka::{At, Cluster, Trouble};
use crate::cli::{Failure, print, print_json};
use crate::ports::kafka::messages::Text;
use crate::ports::kafka::messages::delete_topics::{
    DeleteTopicState, DeleteTopics, DeleteTopicsRequest,
};
use serde_json::json;

#[derive(clap::Args)]
pub struct Args {
    /// Their names
    #[arg(required = true)]
    topics: Vec<String>,
    /// Delete them for good; without it nothing is deleted
    #[arg(long)]
    yes: bool,
}

pub fn run(args: &Args, cluster: &mut Cluster, is_json: bool) -> Result<(), Failure> {
    // One that is mistyped spares the others.
    let shapes = args.topics.iter().map(|name| shape::topic(cluster, name));
    let shapes = shapes.collect::<Result<Vec<_>, _>>()?;
    if !args.yes {
        let says = shapes.iter().map(|shape| {
            let partitions = sizes::count(shape.partitions.len() as u64, "partition");
            format!("{} with {partitions}", shape.name)
        });
        let says: Vec<_> = says.collect();
        return Err(Failure::wrong_usage(format!(
            "nothing is deleted; --yes deletes {} for good",
            says.join(", ")
        )));
    }
    let state = |name: &String| DeleteTopicState {
        name: Some(Text::from(&**name)),
        ..DeleteTopicState::default()
    };
    let request = DeleteTopicsRequest {
        topics: args.topics.iter().map(state).collect(),
        timeout_ms: cluster.patience_ms(),
        ..DeleteTopicsRequest::default()
    };
    let answer = cluster.ask::<DeleteTopics>(At::Controller, &request);
    let answer = answer.map_err(Failure::failed)?;
    let mut refused = Ok(());
    let mut deleted = Vec::new();
    for result in answer.responses {
        let name = result.name.map_or_else(String::new, String::from);
        match result.error_code.is_none() {
            true => deleted.push(name),
            false => {
                let trouble = Trouble::refused(result.error_code, result.error_message.as_ref());
                refused = Err(about(&name, trouble));
            }
        }
    }
    match is_json {
        true => print_json(&json!({ "deleted": deleted }))?,
        false => deleted
            .iter()
            .try_for_each(|name| print(&format!("{name} is deleted\n")))?,
    }
    refused
}
