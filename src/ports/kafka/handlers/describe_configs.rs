//! The settings of topics, brokers and groups, and where their values come from.

use super::configs::{
    Entry, Owner, broker_entries, broker_named, group_entries, set_entries, topic_entries,
};
use super::named::each_once;
use super::proposing::Deadline;
use super::{Call, Handle};
use crate::limits::CONFIGS_TOLD_MAX;
use crate::ports::kafka::access::Operation;
use crate::ports::kafka::errors::Refusal;
use crate::ports::kafka::messages::describe_configs::{
    DescribeConfigs, DescribeConfigsRequest, DescribeConfigsResource,
    DescribeConfigsResourceResult, DescribeConfigsResponse, DescribeConfigsResult,
    DescribeConfigsSynonym,
};
use crate::ports::kafka::messages::{ErrorCode, Text};
use crate::state::topics::{StreamsRefused, Topics, names};
use std::collections::BTreeSet;

impl Handle for DescribeConfigs {
    const MAY_BE_LARGE: bool = true;

    async fn run(call: Call, request: DescribeConfigsRequest) -> Option<DescribeConfigsResponse> {
        let is_topic = |owner| matches!(Owner::of(owner), Ok(Owner::Topic));
        let resources = request.resources.iter();
        let named = resources.filter(|one| is_topic(one.resource_type));
        let named = named.map(|one| &*one.resource_name);
        let topics = call.topics_with(named, Deadline::of_a_look()).await;
        let asks = Asks {
            synonyms: request.include_synonyms,
            documentation: request.include_documentation,
        };
        // A resource that is named a thousand times is shown once.
        let key = |one: &DescribeConfigsResource| (one.resource_type, one.resource_name.clone());
        let each = each_once(request.resources, key).into_iter().enumerate();
        let refuse = |why| Err(Refusal::new(ErrorCode::InvalidRequest, why));
        let results = each.map(|(n, (resource, is_once))| {
            let entries = match is_once {
                _ if n >= CONFIGS_TOLD_MAX => refuse("more is named than one request is told of"),
                true => entries(&call, &topics, &resource),
                false => refuse("it is named twice"),
            };
            result(resource, entries, asks)
        });
        Some(DescribeConfigsResponse {
            results: results.collect(),
            ..DescribeConfigsResponse::default()
        })
    }
}

/// What is told beside each value.
#[derive(Clone, Copy)]
struct Asks {
    synonyms: bool,
    documentation: bool,
}

fn entries(
    call: &Call,
    topics: &Topics,
    resource: &DescribeConfigsResource,
) -> Result<Vec<Entry>, Refusal> {
    let name = &*resource.resource_name;
    let owner = Owner::of(resource.resource_type)?;
    owner.check_may(call, Operation::DescribeConfigs, name)?;
    let refuse = |why: &str| Err(Refusal::new(ErrorCode::InvalidRequest, why));
    match owner {
        Owner::Topic => {
            names::check(name).map_err(StreamsRefused::from)?;
            let topic = topics.get(name).ok_or(StreamsRefused::UnknownTopic)?;
            Ok(topic_entries(&topic.settings))
        }
        Owner::Broker if name.is_empty() => Ok(set_entries(topics)),
        Owner::Broker => {
            let (node, broker) = broker_named(topics, name)?;
            // What another's file says, that one knows.
            let is_own = node == call.door.site.node;
            let bytes_max = call.door.streams.bytes_max().filter(|_| is_own);
            Ok(broker_entries(node, broker, topics, bytes_max))
        }
        Owner::BrokerLogger => {
            refuse("what a broker logs is set in its /etc/dolmen/dolmen.toml, and not shown here")
        }
        Owner::ClientMetrics => refuse("clients' metrics are not gathered"),
        Owner::Group if name.is_empty() => refuse("a group has a name"),
        Owner::Group => Ok(group_entries(topics, name)),
    }
}

fn result(
    resource: DescribeConfigsResource,
    entries: Result<Vec<Entry>, Refusal>,
    asks: Asks,
) -> DescribeConfigsResult {
    let (entries, refusal) = match entries {
        Ok(entries) => (entries, None),
        Err(refusal) => (Vec::new(), Some(refusal)),
    };
    let keys = resource.configuration_keys.unwrap_or_default();
    let keys: BTreeSet<_> = keys.into_iter().collect();
    // None are named where all are meant.
    let is_wanted = |entry: &Entry| keys.is_empty() || keys.contains(&entry.name);
    let wanted = entries.into_iter().filter(is_wanted);
    let (error_code, error_message) = Refusal::said(refusal);
    DescribeConfigsResult {
        error_code,
        error_message,
        resource_type: resource.resource_type,
        resource_name: resource.resource_name,
        configs: wanted.map(|entry| shown(entry, asks)).collect(),
    }
}

fn shown(entry: Entry, asks: Asks) -> DescribeConfigsResourceResult {
    let synonyms = entry.synonyms.into_iter().filter(|_| asks.synonyms);
    let synonyms = synonyms.map(|synonym| DescribeConfigsSynonym {
        name: synonym.name,
        value: synonym.value,
        source: synonym.source.number(),
    });
    DescribeConfigsResourceResult {
        name: entry.name,
        value: entry.value,
        read_only: entry.is_read_only,
        config_source: entry.source.number(),
        is_sensitive: false,
        synonyms: synonyms.collect(),
        config_type: entry.kind.number(),
        documentation: Some(entry.doc).filter(|_: &Text| asks.documentation),
    }
}

#[cfg(test)]
mod tests;
