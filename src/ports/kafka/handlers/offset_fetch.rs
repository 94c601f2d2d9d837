//! How far groups have read.

use super::groups::{CONFUSED, name};
use super::named::{Named, each_once, is_new};
use super::{Call, Handle};
use crate::ids::Uid;
use crate::ports::kafka::access::{Operation, Resource};
use crate::ports::kafka::errors::groups::code;
use crate::ports::kafka::messages::offset_fetch::*;
use crate::ports::kafka::messages::{ErrorCode, Text};
use crate::state::topics::Topics;
use crate::streams::groups::Name;
use crate::streams::groups::request::{Caller, Fetch, Fetched, FetchedOffset, Reply, Request};

/// One group of a request, and its answer, as versions from 8 on say them.
type Asked = OffsetFetchRequestGroup;
type Answered = OffsetFetchResponseGroup;

const NO_OFFSET: i64 = -1;
/// The first version with a code for all of a group.
const CODE_FROM: i16 = 2;

impl Handle for OffsetFetch {
    const MAY_BE_LARGE: bool = true;

    async fn run(call: Call, mut request: OffsetFetchRequest) -> Option<OffsetFetchResponse> {
        let is_single = call.version < 8;
        if is_single {
            request.groups = vec![alone(&mut request)];
        }
        let asked_of = (call.version < CODE_FROM)
            .then(|| request.groups[0].topics.clone())
            .flatten();
        let named = each_once(request.groups, |group| group.group_id.clone());
        let mut groups = Vec::with_capacity(named.len());
        for (group, is_once) in named {
            groups.push(match is_once {
                true => answer(&call, group, request.require_stable).await,
                // With other topics or another member, perhaps.
                false => refused(group.group_id, ErrorCode::InvalidRequest),
            });
        }
        Some(match is_single {
            true => single(call.version, groups.remove(0), asked_of),
            false => OffsetFetchResponse {
                groups,
                ..OffsetFetchResponse::default()
            },
        })
    }
}

/// The one group of an older version.
fn alone(request: &mut OffsetFetchRequest) -> Asked {
    let topics = std::mem::take(&mut request.topics);
    let topic = |it: OffsetFetchRequestTopic| OffsetFetchRequestTopics {
        name: it.name,
        partition_indexes: it.partition_indexes,
    };
    Asked {
        group_id: std::mem::take(&mut request.group_id),
        topics: topics.map(|topics| topics.into_iter().map(topic).collect()),
        ..Asked::default()
    }
}

async fn answer(call: &Call, mut asked: Asked, is_stable_required: bool) -> Answered {
    if let Err(code) = call.may_on_group(Operation::Describe, &asked.group_id) {
        return refused(asked.group_id, code);
    }
    if let Some(topics) = &mut asked.topics {
        name_once(topics);
    }
    let sees = |topic: &str| call.may(Operation::Describe, Resource::Topic(topic));
    let fetch = fetch(&asked, is_stable_required, &sees);
    let groups = &call.door.groups;
    match groups.ask(&asked.group_id, Request::Fetch(fetch)).await {
        Ok(Reply::Fetched(found)) => {
            let topics = call.door.site.topics();
            shown(asked, found, &topics, &sees)
        }
        Ok(_) => refused(asked.group_id, CONFUSED),
        Err(error) => refused(asked.group_id, code(&error)),
    }
}

/// What is committed of a partition, words of 4 KiB perhaps, is told once though
/// the partition is named a thousand times.
fn name_once(topics: &mut [OffsetFetchRequestTopics]) {
    let mut named = Named::default();
    for topic in topics {
        let named = named.of(&topic.name);
        topic
            .partition_indexes
            .retain(|&index| is_new(named, index));
    }
}

fn fetch(asked: &Asked, is_stable_required: bool, sees: &dyn Fn(&str) -> bool) -> Fetch {
    let spots_of = |topic: &OffsetFetchRequestTopics| {
        let named = name(&topic.name);
        let spot = |&partition: &i32| (named.clone(), partition);
        topic.partition_indexes.iter().map(spot).collect::<Vec<_>>()
    };
    let spots = asked.topics.as_ref().map(|topics| {
        let seen = topics.iter().filter(|topic| sees(&topic.name));
        seen.flat_map(spots_of).collect()
    });
    Fetch {
        caller: Caller {
            group: name(&asked.group_id),
            member: asked.member_id.as_ref().map_or_else(|| "".into(), name),
            instance: None,
            generation: asked.member_epoch,
        },
        spots,
        is_stable_required,
    }
}

/// What was found, in the order of what was asked. Of all topics only those are
/// shown that may be seen and have an offset.
fn shown(
    asked: Asked,
    found: Vec<Fetched>,
    topics: &Topics,
    sees: &dyn Fn(&str) -> bool,
) -> Answered {
    let mut found = found.into_iter();
    let shown = match asked.topics {
        Some(named) => named
            .into_iter()
            .map(|topic| match sees(&topic.name) {
                true => {
                    let found = found.by_ref().take(topic.partition_indexes.len());
                    let partitions = found.map(|it| partition(it, topics)).collect();
                    topic_of(topic.name, partitions)
                }
                false => {
                    let code = ErrorCode::TopicAuthorizationFailed;
                    let indexes = topic.partition_indexes.into_iter();
                    topic_of(topic.name, indexes.map(|it| without(it, code)).collect())
                }
            })
            .collect(),
        None => all(found.filter(|it| sees(&it.topic)), topics),
    };
    Answered {
        group_id: asked.group_id,
        topics: shown,
        error_code: ErrorCode::None,
    }
}

fn all(found: impl Iterator<Item = Fetched>, topics: &Topics) -> Vec<OffsetFetchResponseTopics> {
    let mut shown: Vec<(Name, Vec<OffsetFetchResponsePartitions>)> = Vec::new();
    for one in found {
        let topic = one.topic.clone();
        let partition = partition(one, topics);
        let is_nothing = partition.committed_offset == NO_OFFSET;
        if is_nothing && partition.error_code == ErrorCode::None {
            continue;
        }
        match shown.last_mut() {
            Some((last, partitions)) if *last == topic => partitions.push(partition),
            _ => shown.push((topic, vec![partition])),
        }
    }
    let named = shown.into_iter();
    named
        .map(|(name, partitions)| topic_of(Text::from(&*name), partitions))
        .collect()
}

fn topic_of(
    name: Text,
    partitions: Vec<OffsetFetchResponsePartitions>,
) -> OffsetFetchResponseTopics {
    OffsetFetchResponseTopics { name, partitions }
}

fn partition(found: Fetched, topics: &Topics) -> OffsetFetchResponsePartitions {
    match found.offset {
        Ok(Some(offset)) if is_current(&found.topic, &offset, topics) => {
            OffsetFetchResponsePartitions {
                partition_index: found.partition,
                committed_offset: offset.offset,
                committed_leader_epoch: offset.leader_epoch,
                metadata: Some(Text::from(&*offset.metadata)),
                error_code: ErrorCode::None,
            }
        }
        Ok(_) => without(found.partition, ErrorCode::None),
        Err(error) => without(found.partition, code(&error)),
    }
}

/// Not of a topic of the name that is no more.
fn is_current(topic: &str, offset: &FetchedOffset, topics: &Topics) -> bool {
    let now = topics.get(topic).map(|topic| Uid(topic.id.0));
    offset.topic_id == Uid::default() || now == Some(offset.topic_id)
}

fn without(partition_index: i32, error_code: ErrorCode) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index,
        committed_offset: NO_OFFSET,
        metadata: Some(Text::default()),
        error_code,
        ..OffsetFetchResponsePartitions::default()
    }
}

fn refused(group_id: Text, error_code: ErrorCode) -> Answered {
    Answered {
        group_id,
        topics: Vec::new(),
        error_code,
    }
}

/// The answer of one group in the words of an older version. The first of them
/// has no word for what befell all, and says it of each partition.
fn single(
    version: i16,
    group: Answered,
    asked: Option<Vec<OffsetFetchRequestTopics>>,
) -> OffsetFetchResponse {
    let everywhere = |topic: OffsetFetchRequestTopics| {
        let indexes = topic.partition_indexes.into_iter();
        let partitions = indexes.map(|it| without(it, group.error_code)).collect();
        topic_of(topic.name, partitions)
    };
    let topics = match version < CODE_FROM && group.error_code != ErrorCode::None {
        true => asked.into_iter().flatten().map(everywhere).collect(),
        false => group.topics,
    };
    OffsetFetchResponse {
        topics: topics.into_iter().map(older).collect(),
        error_code: group.error_code,
        ..OffsetFetchResponse::default()
    }
}

fn older(topic: OffsetFetchResponseTopics) -> OffsetFetchResponseTopic {
    let partition = |it: OffsetFetchResponsePartitions| OffsetFetchResponsePartition {
        partition_index: it.partition_index,
        committed_offset: it.committed_offset,
        committed_leader_epoch: it.committed_leader_epoch,
        metadata: it.metadata,
        error_code: it.error_code,
    };
    OffsetFetchResponseTopic {
        name: topic.name,
        partitions: topic.partitions.into_iter().map(partition).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Millis;
    use crate::ports::kafka::handlers::shapes::says;
    use crate::streams::coordinators::groups::village::Village;
    use crate::streams::groups::Error;

    fn found(topic: &str, partition: i32, offset: i64, topic_id: Uid) -> Fetched {
        let offset = FetchedOffset {
            offset,
            leader_epoch: 2,
            metadata: "words".into(),
            topic_id,
            committed_at: Millis(1),
        };
        Fetched {
            topic: topic.into(),
            partition,
            offset: Ok(Some(offset)),
        }
    }

    fn asked(topics: Option<&[(&str, &[i32])]>) -> Asked {
        let topic = |(name, indexes): &(&str, &[i32])| OffsetFetchRequestTopics {
            name: (*name).into(),
            partition_indexes: indexes.to_vec(),
        };
        Asked {
            group_id: "g".into(),
            topics: topics.map(|topics| topics.iter().map(topic).collect()),
            ..Asked::default()
        }
    }

    fn told(group: &Answered) -> Vec<(&str, i32, i64, ErrorCode)> {
        let of = |topic: &OffsetFetchResponseTopics| {
            let one = |it: &OffsetFetchResponsePartitions| {
                (it.partition_index, it.committed_offset, it.error_code)
            };
            topic.partitions.iter().map(one).collect::<Vec<_>>()
        };
        let topics = group.topics.iter();
        topics
            .flat_map(|topic| {
                let name = &*topic.name;
                of(topic).into_iter().map(move |(a, b, c)| (name, a, b, c))
            })
            .collect()
    }

    #[test]
    fn what_is_not_seen_or_not_current_is_not_shown() {
        let village = Village::of(1);
        let old = Uid(village.topic("t", 2).0);
        village.delete("t");
        let now = Uid(village.topic("t", 2).0);
        assert_ne!(old, now);
        let topics = village.site.topics();
        let sees = |topic: &str| topic != "secret";

        let ask = asked(Some(&[("t", &[0, 1, 2]), ("secret", &[7]), ("u", &[0])]));
        let fetch = fetch(&ask, true, &sees);
        let spots = [("t", 0), ("t", 1), ("t", 2), ("u", 0)];
        let spots: Vec<(Name, i32)> = spots.map(|(name, at)| (name.into(), at)).into();
        assert_eq!(fetch.spots, Some(spots));
        let unstable = Fetched {
            offset: Err(Error::UnstableOffset),
            ..found("t", 2, 0, now)
        };
        let all_found = vec![
            found("t", 0, 10, now),
            found("t", 1, 11, old),
            unstable,
            found("u", 0, 5, Uid::default()),
        ];
        let answered = shown(ask, all_found.clone(), &topics, &sees);
        let nothing = ErrorCode::None;
        assert_eq!(
            told(&answered),
            [
                ("t", 0, 10, nothing),
                ("t", 1, -1, nothing),
                ("t", 2, -1, ErrorCode::UnstableOffsetCommit),
                ("secret", 7, -1, ErrorCode::TopicAuthorizationFailed),
                ("u", 0, 5, nothing),
            ]
        );

        let mut more = all_found;
        more.insert(0, found("secret", 0, 3, now));
        let answered = shown(asked(None), more, &topics, &sees);
        assert_eq!(
            told(&answered),
            [
                ("t", 0, 10, nothing),
                ("t", 2, -1, ErrorCode::UnstableOffsetCommit),
                ("u", 0, 5, nothing),
            ]
        );
    }

    #[test]
    fn every_version_says_each_answer() {
        let topics = Topics::default();
        let fetched = || vec![found("t", 3, 10, Uid::default())];
        let ask = || asked(Some(&[("t", &[3])]));
        let in_words = |version: i16, group: Answered| match version < 8 {
            true => single(version, group, ask().topics),
            false => OffsetFetchResponse {
                groups: vec![group],
                ..OffsetFetchResponse::default()
            },
        };
        says::<OffsetFetch>(|version| {
            in_words(version, shown(ask(), fetched(), &topics, &|_| true))
        });
        says::<OffsetFetch>(|version| {
            let loading = ErrorCode::CoordinatorLoadInProgress;
            let said = in_words(version, refused("g".into(), loading));
            let first = said.topics.first();
            let code = match version {
                1 => first.map(|topic| topic.partitions[0].error_code),
                2..8 => Some(said.error_code),
                _ => Some(said.groups[0].error_code),
            };
            assert_eq!(code, Some(loading));
            said
        });
    }
}
