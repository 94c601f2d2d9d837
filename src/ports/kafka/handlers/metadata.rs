//! Which brokers and topics there are, and who leads which partition. Clients ask
//! for it before all else, and again whenever something is not where it was.

use super::authorized::NOT_ASKED;
use super::proposing::{Deadline, propose_each};
use super::reached::text;
use super::shown::Shown;
use super::{Call, Handle};
use crate::ports::kafka::access::{Operation, Resource};
use crate::ports::kafka::messages::metadata::{
    Metadata, MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseBroker,
    MetadataResponsePartition, MetadataResponseTopic,
};
use crate::ports::kafka::messages::{ErrorCode, Text, Uuid};
use crate::ports::kafka::topics::{Internal, draw_id, ensure_internal};
use crate::state::topics::{
    CreateTopic, Layout, StreamsCommand, StreamsOutcome, StreamsRefused, Topic, Topics, names,
};
use std::collections::{BTreeMap, BTreeSet};

/// From here on topics are asked for by their ids too.
const BY_ID_SINCE: i16 = 12;

impl Handle for Metadata {
    const MAY_BE_LARGE: bool = true;

    async fn run(call: Call, request: MetadataRequest) -> Option<MetadataResponse> {
        let wanted = wanted(call.version, request.topics);
        let makes = call.door.site.topics().makes_what_is_asked_for();
        let deadline = Deadline::of_a_look();
        let refused = match request.allow_auto_topic_creation && makes {
            true => make_missing(&call, &wanted, deadline).await,
            false => BTreeMap::new(),
        };
        let asked = wanted.iter().flatten();
        let named = asked.clone().filter_map(Wanted::name);
        let named = named.filter(|name| !refused.contains_key(*name));
        let named = named.map(|name| &**name);
        let topics = call
            .topics_with_ids(named, asked.filter_map(Wanted::id), deadline)
            .await;
        let asks = request.include_topic_authorized_operations;
        let answers = Answers {
            call: &call,
            topics: &topics,
            refused,
            asks,
        };
        let on_cluster = request.include_cluster_authorized_operations;
        Some(MetadataResponse {
            brokers: brokers(&call, &topics),
            cluster_id: Some(call.door.site.cluster.to_string().into()),
            controller_id: call.controller(topics.brokers()),
            topics: match &wanted {
                None => answers.all(),
                Some(wanted) => wanted.iter().map(|one| answers.one(one)).collect(),
            },
            cluster_authorized_operations: call.authorized_on_cluster_if(on_cluster),
            ..MetadataResponse::default()
        })
    }
}

/// One topic as it was asked for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Wanted {
    Name(Text),
    Id(Uuid),
    /// Both, none, or what the version has no word for.
    Neither(Text),
}

impl Wanted {
    fn name(&self) -> Option<&Text> {
        match self {
            Self::Name(name) => Some(name),
            Self::Id(_) | Self::Neither(_) => None,
        }
    }

    fn id(&self) -> Option<Uuid> {
        match self {
            Self::Id(id) => Some(*id),
            Self::Name(_) | Self::Neither(_) => None,
        }
    }
}

/// Each once, in the order in which they come; None for all that there are.
fn wanted(version: i16, topics: Option<Vec<MetadataRequestTopic>>) -> Option<Vec<Wanted>> {
    let topics = topics.filter(|topics| version > 0 || !topics.is_empty())?;
    let mut seen = BTreeSet::new();
    let wanted = topics.into_iter().map(|topic| match topic.name {
        Some(name) if topic.topic_id.is_none() => Wanted::Name(name),
        None if !topic.topic_id.is_none() && version >= BY_ID_SINCE => Wanted::Id(topic.topic_id),
        name => Wanted::Neither(name.unwrap_or_default()),
    });
    Some(wanted.filter(|one| seen.insert(one.clone())).collect())
}

/// Makes those topics that are not there and may be made, and says why others
/// cannot be. They are there at once for this node, and so for this answer.
async fn make_missing(
    call: &Call,
    wanted: &Option<Vec<Wanted>>,
    deadline: Deadline,
) -> BTreeMap<Text, ErrorCode> {
    let topics = call.door.site.topics();
    let named = wanted.iter().flatten().filter_map(Wanted::name);
    let missing = named.filter(|name| {
        let may_see = call.may(Operation::Describe, Resource::Topic(name));
        may_see && topics.get(name).is_none() && names::check(name).is_ok()
    });
    let mut refused = BTreeMap::new();
    let (mut made, mut commands) = (Vec::new(), Vec::new());
    for name in missing {
        let may_make = call.may(Operation::Create, Resource::Cluster)
            || call.may(Operation::Create, Resource::Topic(name));
        if !may_make {
            refused.insert(name.clone(), ErrorCode::TopicAuthorizationFailed);
        } else if let Some(which) = Internal::named(name) {
            let (site, entropy) = (&call.door.site, &*call.door.entropy);
            let made = deadline.wait(ensure_internal(site, entropy, which)).await;
            if !matches!(made, Ok(Ok(()))) {
                refused.insert(name.clone(), ErrorCode::LeaderNotAvailable);
            }
        } else if let Some(command) = creation(call, name) {
            made.push(name.clone());
            commands.push(command);
        } else {
            refused.insert(name.clone(), ErrorCode::UnknownServerError);
        }
    }
    let outcomes = propose_each(&call.door.site, commands, deadline).await;
    for (name, outcome) in made.into_iter().zip(outcomes) {
        match outcome.map_err(|refusal| refusal.code) {
            Ok(StreamsOutcome::Created { .. }) | Err(ErrorCode::TopicAlreadyExists) => {}
            // It may yet come: clients ask again.
            Ok(_) | Err(ErrorCode::NotController | ErrorCode::RequestTimedOut) => {
                refused.insert(name, ErrorCode::LeaderNotAvailable);
            }
            Err(code) => {
                refused.insert(name, code);
            }
        }
    }
    refused
}

fn creation(call: &Call, name: &Text) -> Option<StreamsCommand> {
    let id = draw_id(&*call.door.entropy);
    let id = id.inspect_err(|why| tracing::error!("cannot make the topic {name}: {why}"));
    Some(StreamsCommand::CreateTopic(CreateTopic {
        name: (**name).into(),
        id: id.ok()?,
        layout: Layout::Spread {
            partitions: None,
            factor: None,
        },
        settings: Vec::new(),
        validates_only: false,
    }))
}

fn brokers(call: &Call, topics: &Topics) -> Vec<MetadataResponseBroker> {
    let reached = call.reached(topics.brokers()).into_iter();
    let brokers = reached.map(|broker| MetadataResponseBroker {
        node_id: broker.number,
        host: broker.host,
        port: broker.port,
        rack: broker.rack,
    });
    brokers.collect()
}

struct Answers<'a> {
    call: &'a Call,
    topics: &'a Topics,
    /// Topics that could not be made, and why.
    refused: BTreeMap<Text, ErrorCode>,
    /// Whether the client asks what it may do with each.
    asks: bool,
}

impl Answers<'_> {
    /// Of those that the client may see.
    fn all(&self) -> Vec<MetadataResponseTopic> {
        let seen = self.topics.iter().filter(|(name, _)| self.may_see(name));
        seen.map(|(name, topic)| self.found(text(name), topic))
            .collect()
    }

    fn one(&self, wanted: &Wanted) -> MetadataResponseTopic {
        match wanted {
            Wanted::Name(name) => self.named(name),
            Wanted::Id(id) => self.identified(*id),
            Wanted::Neither(name) => MetadataResponseTopic {
                error_code: ErrorCode::InvalidRequest,
                name: Some(name.clone()),
                ..MetadataResponseTopic::default()
            },
        }
    }

    fn named(&self, name: &Text) -> MetadataResponseTopic {
        let error_code = match self.topics.get(name) {
            _ if !self.may_see(name) => ErrorCode::TopicAuthorizationFailed,
            Some(topic) => return self.found(name.clone(), topic),
            None => match names::check(name) {
                Err(fault) => (&StreamsRefused::Name(fault)).into(),
                Ok(()) => {
                    let refused = self.refused.get(name).copied();
                    refused.unwrap_or(ErrorCode::UnknownTopicOrPartition)
                }
            },
        };
        MetadataResponseTopic {
            error_code,
            name: Some(name.clone()),
            is_internal: names::is_internal(name),
            ..MetadataResponseTopic::default()
        }
    }

    /// A name that the client may not know is not told to it.
    fn identified(&self, id: Uuid) -> MetadataResponseTopic {
        let error_code = match self.topics.by_id(crate::ids::TopicId(id.0)) {
            None => ErrorCode::UnknownTopicId,
            Some((name, _)) if !self.may_see(name) => ErrorCode::TopicAuthorizationFailed,
            Some((name, topic)) => return self.found(text(name), topic),
        };
        MetadataResponseTopic {
            error_code,
            topic_id: id,
            ..MetadataResponseTopic::default()
        }
    }

    fn found(&self, name: Text, topic: &Topic) -> MetadataResponseTopic {
        let brokers = self.topics.brokers();
        let numbered = (0..).zip(&topic.partitions);
        let partitions = numbered.map(|(partition_index, partition)| {
            let shown = Shown::of(partition, brokers);
            MetadataResponsePartition {
                error_code: shown.code,
                partition_index,
                leader_id: shown.leader,
                leader_epoch: shown.leader_epoch,
                replica_nodes: shown.replicas,
                isr_nodes: shown.in_sync,
                offline_replicas: shown.offline,
            }
        });
        MetadataResponseTopic {
            error_code: ErrorCode::None,
            topic_id: Uuid(topic.id.0),
            is_internal: names::is_internal(&name),
            partitions: partitions.collect(),
            topic_authorized_operations: match self.asks {
                true => self.call.authorized(Resource::Topic(&name)),
                false => NOT_ASKED,
            },
            name: Some(name),
        }
    }

    fn may_see(&self, name: &str) -> bool {
        self.call.may(Operation::Describe, Resource::Topic(name))
    }
}

#[cfg(test)]
mod tests {
    use super::super::stage::{Stage, uuid_of};
    use super::*;

    fn by_name(name: &str) -> MetadataRequestTopic {
        MetadataRequestTopic {
            name: Some(name.into()),
            ..MetadataRequestTopic::default()
        }
    }

    fn by_id(name: &str) -> MetadataRequestTopic {
        MetadataRequestTopic {
            topic_id: uuid_of(name),
            name: None,
        }
    }

    fn named(names: &str) -> MetadataRequest {
        let names = names.split_whitespace();
        MetadataRequest {
            topics: Some(names.map(by_name).collect()),
            ..MetadataRequest::default()
        }
    }

    fn no_creation(request: MetadataRequest) -> MetadataRequest {
        MetadataRequest {
            allow_auto_topic_creation: false,
            ..request
        }
    }

    /// Topics, each with its code or the leaders of its partitions.
    fn told(response: &MetadataResponse) -> String {
        let topics = response.topics.iter().map(|topic| {
            let name = topic.name.as_deref().unwrap_or("?");
            let partitions = topic.partitions.iter();
            let leaders: Vec<_> = partitions
                .map(|partition| partition.leader_id.to_string())
                .collect();
            match topic.error_code {
                ErrorCode::None => format!("{name}:{}", leaders.join(",")),
                code => format!("{name}!{}", code.number()),
            }
        });
        topics.collect::<Vec<_>>().join(" ")
    }

    fn stage() -> Stage {
        let stage = Stage::new(3);
        stage.create_on("a", &[&[1, 2], &[2, 3]]);
        stage.create_on("b", &[&[3]]);
        stage
    }

    #[test]
    fn every_version_tells_where_topics_are() {
        let stage = stage();
        for version in 0..=13 {
            let mut request = named("b a x b .. a");
            request.allow_auto_topic_creation = version < 4;
            if version < 4 {
                request = named("b a b .. a");
            }
            let response = stage.ask::<Metadata>(version, request);
            let missing = if version < 4 { "" } else { " x!3" };
            assert_eq!(
                told(&response),
                format!("b:3 a:1,2{missing} ..!17"),
                "{version}"
            );
            let hosts = response.brokers.iter().map(|broker| {
                let MetadataResponseBroker {
                    node_id,
                    host,
                    port,
                    rack,
                } = broker;
                let rack = rack.as_deref().unwrap_or("-");
                format!("{node_id} {host}:{port} {rack}")
            });
            let attic = if version == 0 { "-" } else { "attic" };
            let attic = format!("2 node-2:9092 {attic}");
            let hosts: Vec<_> = hosts.collect();
            assert_eq!(hosts, ["1 node-1:9091 -", &*attic, "3 node-3:9093 -"]);
            assert_eq!(response.controller_id, if version == 0 { -1 } else { 1 });
            let cluster = response.cluster_id.as_deref().map(str::len);
            assert_eq!(cluster, (version >= 2).then_some(32));
            let id = if version < 10 {
                Uuid::NONE
            } else {
                uuid_of("a")
            };
            assert_eq!(response.topics[1].topic_id, id);
            assert_eq!(response.topics[1].topic_authorized_operations, NOT_ASKED);
        }
        assert_eq!(stage.proposed(), 0, "nothing is made that is there");
    }

    #[test]
    fn all_are_asked_for_as_the_version_has_it() {
        let stage = stage();
        let none = || no_creation(named(""));
        let all = || MetadataRequest {
            topics: None,
            ..MetadataRequest::default()
        };
        assert_eq!(told(&stage.ask::<Metadata>(0, named(""))), "a:1,2 b:3");
        assert_eq!(told(&stage.ask::<Metadata>(4, none())), "");
        assert_eq!(told(&stage.ask::<Metadata>(1, all())), "a:1,2 b:3");
        assert_eq!(told(&stage.ask::<Metadata>(13, all())), "a:1,2 b:3");
    }

    #[test]
    fn topics_are_asked_for_by_their_ids() {
        let stage = stage();
        let mut both = by_name("a");
        both.topic_id = uuid_of("b");
        let ask = |version, topics: Vec<MetadataRequestTopic>| {
            let request = MetadataRequest {
                topics: Some(topics),
                ..MetadataRequest::default()
            };
            told(&stage.ask::<Metadata>(version, request))
        };
        let topics = || vec![by_id("b"), by_id("x"), by_id("b"), by_name("a")];
        assert_eq!(ask(12, topics()), "b:3 ?!100 a:1,2");
        assert_eq!(ask(13, vec![both.clone()]), "a!42");
        // The versions that have ids and do not find topics by them.
        assert_eq!(ask(10, topics()), "!42 a:1,2");
        assert_eq!(ask(11, vec![both]), "a!42");
    }

    #[test]
    fn what_is_not_there_is_made_where_it_may_be() {
        let stage = Stage::new(2);
        stage.create("a_b", 1, 1);
        let response = stage.ask::<Metadata>(13, named("new __consumer_offsets a.b ä"));
        let leaders = response.topics[1].partitions.len();
        assert_eq!(leaders, 16);
        assert!(!response.topics[0].is_internal && response.topics[1].is_internal);
        let codes = response
            .topics
            .iter()
            .map(|topic| topic.error_code.number());
        assert_eq!(codes.collect::<Vec<_>>(), [0, 0, 17, 17]);
        let new = &response.topics[0].partitions;
        assert_eq!((new.len(), new[0].replica_nodes.len()), (1, 2));
        let topics = stage.site.topics();
        assert!(
            topics
                .get("__consumer_offsets")
                .unwrap()
                .settings
                .is_compacted()
        );
        let id = topics.get("new").unwrap().id;
        assert_eq!(response.topics[0].topic_id, Uuid(id.0));

        let other = stage.ask::<Metadata>(4, no_creation(named("other __transaction_state")));
        assert_eq!(told(&other), "other!3 __transaction_state!3");
        assert!(stage.site.topics().get("other").is_none());
    }

    #[test]
    fn what_cannot_be_made_now_is_to_be_asked_for_again() {
        let stage = Stage::new(1);
        stage.lose_majority();
        let response = stage.ask::<Metadata>(13, named("new __consumer_offsets"));
        assert_eq!(told(&response), "new!5 __consumer_offsets!5");
        let nobody = Stage::new(0);
        let response = nobody.ask::<Metadata>(13, named("new"));
        assert_eq!(told(&response), "new!38");
        assert_eq!(response.controller_id, -1);
    }

    #[test]
    fn who_is_away_is_told() {
        let stage = Stage::new(3);
        stage.create_on("a", &[&[1, 2, 3]]);
        stage.create_on("b", &[&[3]]);
        stage.take_down(3);
        let response = stage.ask::<Metadata>(13, named("a b"));
        assert_eq!(response.brokers.len(), 2);
        let [first, second] = [0, 1].map(|topic: usize| &response.topics[topic].partitions[0]);
        assert_eq!(first.replica_nodes, [1, 2, 3]);
        assert_eq!(first.isr_nodes, [1, 2]);
        assert_eq!(first.offline_replicas, [3]);
        assert_eq!((first.leader_id, first.leader_epoch), (1, 0));
        assert_eq!(second.error_code, ErrorCode::LeaderNotAvailable);
        assert_eq!((second.leader_id, second.leader_epoch), (-1, 1));
        assert!(second.isr_nodes.is_empty());
    }

    #[test]
    fn what_a_client_may_do_is_told_where_it_asks() {
        let stage = stage();
        for version in 8..=13 {
            let request = MetadataRequest {
                include_cluster_authorized_operations: version <= 10,
                include_topic_authorized_operations: true,
                ..named("a")
            };
            let response = stage.ask::<Metadata>(version, request);
            assert_eq!(response.topics[0].topic_authorized_operations, 3576);
            let on_cluster = if version <= 10 { 8096 } else { NOT_ASKED };
            assert_eq!(response.cluster_authorized_operations, on_cluster);
        }
    }

    #[test]
    fn addresses_are_those_of_the_clients_own_listener() {
        let stage = stage();
        let port = |listener| {
            let response = stage.ask_by::<Metadata>(listener, 13, named("a"));
            response.brokers[2].port
        };
        assert_eq!(
            [port("INTERNAL"), port("EDGE"), port("NEW")],
            [9093, 19_093, 9093]
        );
    }
}
