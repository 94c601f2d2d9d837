//! `dolmen topic alter`: other settings, more partitions, and on how many nodes.

use super::replicas::{self, Move, Node};
use super::setting::{Given, OF_TOPIC};
use super::shape::{self, Shape, about};
use super::sizes;
use crate::cli::kafka::{At, Cluster, Trouble};
use crate::cli::{Failure, print, print_json};
use crate::ports::kafka::messages::Text;
use crate::ports::kafka::messages::alter_partition_reassignments::{
    AlterPartitionReassignments, AlterPartitionReassignmentsRequest, ReassignablePartition,
    ReassignableTopic,
};
use crate::ports::kafka::messages::create_partitions::{
    CreatePartitions, CreatePartitionsRequest, CreatePartitionsTopic,
};
use crate::ports::kafka::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigs, IncrementalAlterConfigsRequest,
};
use crate::ports::kafka::messages::metadata::{Metadata, MetadataRequest};
use serde_json::json;

#[derive(clap::Args)]
pub struct Args {
    /// Its name
    topic: String,
    /// Set one of its settings, such as retention.ms=86400000; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = Given::parse)]
    set: Vec<Given>,
    /// Let one of its settings be as by default; may be repeated
    #[arg(long, value_name = "NAME")]
    unset: Vec<String>,
    /// Give it so many partitions in all; keys then go to other partitions than before
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// Keep each partition on so many nodes, as after others have joined; who holds one goes on where it can
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    replicas: Option<u16>,
    /// Say whether it can be done, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// What is to be done with a setting.
const SET: i8 = 0;
const UNSET: i8 = 1;

pub fn run(args: &Args, cluster: &mut Cluster, is_json: bool) -> Result<(), Failure> {
    let changes_settings = !args.set.is_empty() || !args.unset.is_empty();
    if !changes_settings && args.partitions.is_none() && args.replicas.is_none() {
        let says = "nothing to change: give --set, --unset, --partitions or --replicas";
        return Err(Failure::wrong_usage(says));
    }
    let before = shape::topic(cluster, &args.topic)?;
    let mut moved = 0;
    // All is tried before any of it is done, so that no half of it is.
    for is_trial in [true, false] {
        if args.dry_run && !is_trial {
            break;
        }
        if changes_settings {
            alter_settings(args, cluster, is_trial)?;
        }
        if let Some(count) = args.partitions {
            add_partitions(args, count, cluster, is_trial)?;
        }
        if let Some(count) = args.replicas {
            moved = spread(args, usize::from(count), cluster, is_trial)?;
        }
    }
    if is_json {
        let mut told = json!({
            "topic": args.topic, "changed": !args.dry_run,
            "partitions": args.partitions.map_or(before.partitions.len() as i64, i64::from),
        });
        if let Some(count) = args.replicas {
            told["replicas"] = json!(count);
            told["moved"] = json!(moved);
        }
        return print_json(&told);
    }
    print(&for_people(args, &before, moved))
}

fn for_people(args: &Args, before: &Shape, moved: usize) -> String {
    let mut says = match args.dry_run {
        true => format!("{} can be changed so", args.topic),
        false => format!("{} is changed", args.topic),
    };
    if let Some(count) = args.partitions.filter(|_| !args.dry_run) {
        let now = sizes::count(u64::try_from(count).unwrap_or(0), "partition");
        says += &format!(", and has {now} where it had {}", before.partitions.len());
    }
    if let Some(count) = args.replicas {
        let (on, moved) = (
            sizes::count(count.into(), "node"),
            sizes::count(moved as u64, "partition"),
        );
        says += &match args.dry_run {
            true => format!("; {moved} would go to other nodes, to be on {on} each"),
            false => format!(
                "; {moved} of it go to other nodes, to be on {on} each: dolmen topic describe {} \
                 shows how far they are",
                args.topic
            ),
        };
    }
    says + "\n"
}

fn alter_settings(args: &Args, cluster: &mut Cluster, is_trial: bool) -> Result<(), Failure> {
    let request = IncrementalAlterConfigsRequest {
        resources: vec![AlterConfigsResource {
            resource_type: OF_TOPIC,
            resource_name: Text::from(&*args.topic),
            configs: changes(args),
        }],
        validate_only: is_trial,
    };
    let answer = cluster.insist(|cluster| {
        let answer = cluster.ask::<IncrementalAlterConfigs>(At::Controller, &request)?;
        let said = answer.responses.into_iter().next().unwrap_or_default();
        match said.error_code.is_none() {
            true => Ok(()),
            false => Err(Trouble::refused(
                said.error_code,
                said.error_message.as_ref(),
            )),
        }
    });
    answer.map_err(|trouble| about(&args.topic, trouble))
}

fn changes(args: &Args) -> Vec<AlterableConfig> {
    let set = args.set.iter().map(|given| AlterableConfig {
        name: Text::from(&*given.name),
        config_operation: SET,
        value: Some(Text::from(&*given.value)),
    });
    let unset = args.unset.iter().map(|name| AlterableConfig {
        name: Text::from(&**name),
        config_operation: UNSET,
        value: None,
    });
    set.chain(unset).collect()
}

fn add_partitions(
    args: &Args,
    count: i32,
    cluster: &mut Cluster,
    is_trial: bool,
) -> Result<(), Failure> {
    let request = CreatePartitionsRequest {
        topics: vec![CreatePartitionsTopic {
            name: Text::from(&*args.topic),
            count,
            assignments: None,
        }],
        timeout_ms: cluster.patience_ms(),
        validate_only: is_trial,
    };
    let answer = cluster.ask::<CreatePartitions>(At::Controller, &request);
    let answer = answer.map_err(|trouble| about(&args.topic, trouble))?;
    let said = answer.results.into_iter().next().unwrap_or_default();
    match said.error_code.is_none() {
        true => Ok(()),
        false => {
            let trouble = Trouble::refused(said.error_code, said.error_message.as_ref());
            Err(about(&args.topic, trouble))
        }
    }
}

/// Gives how many partitions are to be on other nodes than before.
fn spread(
    args: &Args,
    count: usize,
    cluster: &mut Cluster,
    is_trial: bool,
) -> Result<usize, Failure> {
    let shape = shape::topic(cluster, &args.topic)?;
    let nodes = nodes(cluster).map_err(|trouble| about(&args.topic, trouble))?;
    let moves = replicas::plan(&shape, &nodes, count).map_err(|too_few| {
        let up = sizes::count(too_few.up as u64, "node");
        Failure::failed(format!(
            "{}: no partition can be on {count} nodes where {up} can be reached: see dolmen status \
             for who is down",
            args.topic
        ))
    })?;
    if !is_trial && !moves.is_empty() {
        reassign(args, &moves, cluster)?;
    }
    Ok(moves.len())
}

/// Those that are up.
fn nodes(cluster: &mut Cluster) -> Result<Vec<Node>, Trouble> {
    let request = MetadataRequest {
        topics: Some(Vec::new()),
        allow_auto_topic_creation: false,
        ..MetadataRequest::default()
    };
    let known = cluster.insist(|cluster| cluster.ask::<Metadata>(At::Anyone, &request))?;
    let node = known.brokers.into_iter().map(|broker| Node {
        number: broker.node_id,
        rack: broker.rack.map(String::from),
    });
    let mut nodes: Vec<_> = node.collect();
    nodes.sort_by_key(|node| node.number);
    Ok(nodes)
}

fn reassign(args: &Args, moves: &[Move], cluster: &mut Cluster) -> Result<(), Failure> {
    let partition = |one: &Move| ReassignablePartition {
        partition_index: one.partition,
        replicas: Some(one.replicas.clone()),
    };
    let request = AlterPartitionReassignmentsRequest {
        timeout_ms: cluster.patience_ms(),
        topics: vec![ReassignableTopic {
            name: Text::from(&*args.topic),
            partitions: moves.iter().map(partition).collect(),
        }],
        ..AlterPartitionReassignmentsRequest::default()
    };
    let answer = cluster.ask::<AlterPartitionReassignments>(At::Controller, &request);
    let answer = answer.map_err(|trouble| about(&args.topic, trouble))?;
    let each = answer
        .responses
        .into_iter()
        .flat_map(|topic| topic.partitions);
    let each = each.map(|one| (one.error_code, one.error_message));
    let mut said = std::iter::once((answer.error_code, answer.error_message)).chain(each);
    match said.find(|(code, _)| !code.is_none()) {
        None => Ok(()),
        Some((code, message)) => Err(about(&args.topic, Trouble::refused(code, message.as_ref()))),
    }
}
