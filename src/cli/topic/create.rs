//! `dolmen topic create`: a new topic.

use super::setting::Given;
use super::shape::about;
use super::sizes;
use crate::cli::kafka::{At, Cluster, Trouble};
use crate::cli::{Failure, print, print_json};
use crate::ports::kafka::messages::create_topics::{
    CreatableTopic, CreatableTopicConfig, CreatableTopicResult, CreateTopics, CreateTopicsRequest,
};
use crate::ports::kafka::messages::{ErrorCode, Text};
use serde_json::{Value, json};

#[derive(clap::Args)]
pub struct Args {
    /// What it is to be called
    topic: String,
    /// Into how many partitions it is cut; more can be added later, and none taken away [default: what the cluster does by itself]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// On how many nodes each partition is kept [default: what the cluster does by itself]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i16).range(1..))]
    replicas: Option<i16>,
    /// One of its settings, such as retention.ms=86400000; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = Given::parse)]
    set: Vec<Given>,
    /// Be content where it is there already, whatever its partitions and settings
    #[arg(long)]
    if_absent: bool,
    /// Say what would come of it, and make nothing
    #[arg(long)]
    dry_run: bool,
}

/// Left to the cluster.
const UNSAID: i16 = -1;

pub fn run(args: &Args, cluster: &mut Cluster, is_json: bool) -> Result<(), Failure> {
    let request = CreateTopicsRequest {
        topics: vec![wanted(args)],
        timeout_ms: cluster.patience_ms(),
        validate_only: args.dry_run,
    };
    // Asked once: a second time it might be there by the first.
    let answer = cluster.ask::<CreateTopics>(At::Controller, &request);
    let answer = answer.map_err(|trouble| about(&args.topic, trouble))?;
    let made = answer.topics.into_iter().next().unwrap_or_default();
    let is_there = args.if_absent && made.error_code == ErrorCode::TopicAlreadyExists;
    if !made.error_code.is_none() && !is_there {
        let trouble = Trouble::refused(made.error_code, made.error_message.as_ref());
        return Err(about(&args.topic, trouble));
    }
    match is_json {
        true => print_json(&for_programs(args, &made, is_there)),
        false => print(&for_people(args, &made, is_there)),
    }
}

fn wanted(args: &Args) -> CreatableTopic {
    let config = |given: &Given| CreatableTopicConfig {
        name: Text::from(&*given.name),
        value: Some(Text::from(&*given.value)),
    };
    CreatableTopic {
        name: Text::from(&*args.topic),
        num_partitions: args.partitions.unwrap_or(UNSAID.into()),
        replication_factor: args.replicas.unwrap_or(UNSAID),
        configs: args.set.iter().map(config).collect(),
        ..CreatableTopic::default()
    }
}

fn for_people(args: &Args, made: &CreatableTopicResult, is_there: bool) -> String {
    let topic = &args.topic;
    if is_there {
        return format!("{topic} is there already\n");
    }
    let is = match args.dry_run {
        true => "would have",
        false => "is made, with",
    };
    let whole = |number: i32| u64::try_from(number).unwrap_or(0);
    // An old door does not tell.
    if made.num_partitions < 0 {
        return match args.dry_run {
            true => format!("{topic} can be made\n"),
            false => format!("{topic} is made\n"),
        };
    }
    let partitions = sizes::count(whole(made.num_partitions), "partition");
    let nodes = sizes::count(whole(made.replication_factor.into()), "node");
    format!("{topic} {is} {partitions} on {nodes} each\n")
}

fn for_programs(args: &Args, made: &CreatableTopicResult, is_there: bool) -> Value {
    let told = |number: i32| (number >= 0).then_some(number);
    let id = (!made.topic_id.is_none()).then(|| made.topic_id.to_string());
    json!({
        "topic": args.topic, "id": id,
        "made": !is_there && !args.dry_run,
        "partitions": told(made.num_partitions),
        "replicas": told(made.replication_factor.into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn typed(line: &str) -> Args {
        Line::parse_from(line.split(' ')).args
    }

    #[test]
    fn what_is_not_said_is_left_to_the_cluster() {
        let plain = wanted(&typed("create orders"));
        assert_eq!((plain.num_partitions, plain.replication_factor), (-1, -1));
        let args = typed("create orders --partitions 6 --replicas 3 --set a=b --set c=");
        let full = wanted(&args);
        assert_eq!((full.num_partitions, full.replication_factor), (6, 3));
        let value = full.configs[1].value.as_deref();
        assert_eq!((full.configs.len(), value), (2, Some("")));
    }

    #[test]
    fn it_says_what_was_made() {
        let made = CreatableTopicResult {
            num_partitions: 6,
            replication_factor: 1,
            ..CreatableTopicResult::default()
        };
        let args = typed("create orders");
        let says = for_people(&args, &made, false);
        assert_eq!(says, "orders is made, with 6 partitions on 1 node each\n");
        assert_eq!(for_people(&args, &made, true), "orders is there already\n");
        let dry = typed("create orders --dry-run");
        let says = for_people(&dry, &made, false);
        assert_eq!(says, "orders would have 6 partitions on 1 node each\n");
        assert_eq!(for_programs(&dry, &made, false)["made"], false);
    }
}
