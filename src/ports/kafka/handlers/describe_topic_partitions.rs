//! Topics with their partitions, page by page.

use super::proposing::Deadline;
use super::shown::Shown;
use super::{Call, Handle};
use crate::limits::KAFKA_PARTITIONS_PER_PAGE_MAX;
use crate::ports::kafka::access::{Operation, Resource};
use crate::ports::kafka::messages::describe_topic_partitions::{
    Cursor, DescribeTopicPartitions, DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponse, DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic,
};
use crate::ports::kafka::messages::{ErrorCode, Text, Uuid};
use crate::state::topics::{StreamsRefused, Topic, Topics, names};
use std::collections::BTreeSet;

type Request = DescribeTopicPartitionsRequest;
type Response = DescribeTopicPartitionsResponse;

impl Handle for DescribeTopicPartitions {
    const MAY_BE_LARGE: bool = true;

    async fn run(call: Call, request: Request) -> Option<Response> {
        let asks_for_all = request.topics.is_empty();
        let named = request.topics.into_iter().map(|topic| topic.name);
        let named: BTreeSet<_> = named.collect();
        let cursor = request.cursor;
        if !cursor.as_ref().is_none_or(|cursor| fits(cursor, &named)) {
            return Some(invalid(named));
        }
        let asked = usize::try_from(request.response_partition_limit);
        let room = asked.unwrap_or(0).clamp(1, KAFKA_PARTITIONS_PER_PAGE_MAX);
        let topics = call
            .topics_with(named.iter().map(|name| &**name), Deadline::of_a_look())
            .await;
        let mut page = Page::new(&call, &topics, cursor, room);
        match asks_for_all {
            true => page.fill(topics.iter().map(|(name, _)| Text::from(&**name)), false),
            false => page.fill(named.into_iter(), true),
        }
        Some(page.response)
    }
}

/// A cursor is in one of the topics that are asked for.
fn fits(cursor: &Cursor, named: &BTreeSet<Text>) -> bool {
    let is_named = named.is_empty() || named.contains(&cursor.topic_name);
    is_named && cursor.partition_index >= 0
}

fn invalid(named: BTreeSet<Text>) -> Response {
    let topics = named.into_iter();
    let topics = topics.map(|name| failed(name, ErrorCode::InvalidRequest));
    Response {
        topics: topics.collect(),
        ..Response::default()
    }
}

fn failed(name: Text, error_code: ErrorCode) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic {
        error_code,
        is_internal: names::is_internal(&name),
        name: Some(name),
        ..DescribeTopicPartitionsResponseTopic::default()
    }
}

struct Page<'a> {
    call: &'a Call,
    topics: &'a Topics,
    begin: Cursor,
    /// For partitions.
    room: usize,
    response: Response,
}

impl<'a> Page<'a> {
    fn new(call: &'a Call, topics: &'a Topics, cursor: Option<Cursor>, room: usize) -> Self {
        Self {
            call,
            topics,
            begin: cursor.unwrap_or_default(),
            room,
            response: Response::default(),
        }
    }

    /// Topics by name, from where the last page ended. Those that were not named
    /// are shown if the client may see them.
    fn fill(&mut self, names: impl Iterator<Item = Text>, are_named: bool) {
        for name in names {
            if name < self.begin.topic_name {
                continue;
            }
            let may_see = self.call.may(Operation::Describe, Resource::Topic(&name));
            let found = self.topics.get(&name);
            match found {
                Some(topic) if may_see => {
                    if !self.add(name, topic) {
                        return;
                    }
                }
                _ if !are_named => {}
                _ if !may_see => self.fail(name, ErrorCode::TopicAuthorizationFailed),
                _ => match names::check(&name) {
                    Ok(()) => self.fail(name, ErrorCode::UnknownTopicOrPartition),
                    Err(fault) => self.fail(name, (&StreamsRefused::Name(fault)).into()),
                },
            }
        }
    }

    fn fail(&mut self, name: Text, code: ErrorCode) {
        self.response.topics.push(failed(name, code));
    }

    /// As much of a topic as there is room for; says whether that was all of it.
    fn add(&mut self, name: Text, topic: &Topic) -> bool {
        let is_first = name == self.begin.topic_name;
        let begin = if is_first {
            self.begin.partition_index as usize
        } else {
            0
        };
        let count = topic.partitions.len();
        let begin = begin.min(count);
        let end = count.min(begin + self.room);
        if end > begin || self.room > 0 {
            let shown = self.shown(name.clone(), topic, begin, end);
            self.response.topics.push(shown);
        }
        self.room -= end - begin;
        if end < count {
            self.response.next_cursor = Some(Cursor {
                topic_name: name,
                partition_index: end as i32,
            });
        }
        end == count
    }

    fn shown(
        &self,
        name: Text,
        topic: &Topic,
        begin: usize,
        end: usize,
    ) -> DescribeTopicPartitionsResponseTopic {
        let numbered = (begin as i32..).zip(&topic.partitions[begin..end]);
        let partitions = numbered.map(|(partition_index, partition)| {
            let shown = Shown::of(partition, self.topics.brokers());
            DescribeTopicPartitionsResponsePartition {
                error_code: shown.code,
                partition_index,
                leader_id: shown.leader,
                leader_epoch: shown.leader_epoch,
                replica_nodes: shown.replicas,
                isr_nodes: shown.in_sync,
                eligible_leader_replicas: Some(shown.eligible),
                last_known_elr: Some(shown.last_known),
                offline_replicas: shown.offline,
            }
        });
        DescribeTopicPartitionsResponseTopic {
            error_code: ErrorCode::None,
            topic_id: Uuid(topic.id.0),
            is_internal: names::is_internal(&name),
            partitions: partitions.collect(),
            topic_authorized_operations: self.call.authorized(Resource::Topic(&name)),
            name: Some(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::stage::{Stage, uuid_of};
    use super::*;
    use crate::ports::kafka::messages::describe_topic_partitions::TopicRequest;

    fn stage() -> Stage {
        let stage = Stage::new(1);
        for (name, partitions) in [("a", 2), ("b", 3), ("c", 1)] {
            stage.create(name, partitions, 1);
        }
        stage
    }

    /// What is on a page: topics with their partitions or their code, then where
    /// the next begins.
    fn page(stage: &Stage, topics: &str, limit: i32, cursor: &str) -> String {
        let name = |name: &str| TopicRequest { name: name.into() };
        let cursor = cursor.split_once('/').map(|(name, index)| Cursor {
            topic_name: name.into(),
            partition_index: index.parse().unwrap(),
        });
        let request = Request {
            topics: topics.split_whitespace().map(name).collect(),
            response_partition_limit: limit,
            cursor,
        };
        let response = stage.ask::<DescribeTopicPartitions>(0, request);
        let topics = response.topics.iter().map(|topic| {
            let name = topic.name.as_ref().unwrap();
            if !topic.error_code.is_none() {
                return format!("{name}!{} ", topic.error_code.number());
            }
            assert_eq!(topic.topic_id, uuid_of(name));
            assert_eq!(topic.topic_authorized_operations, 3576);
            let partitions = topic.partitions.iter();
            let list: Vec<_> = partitions
                .map(|partition| partition.partition_index.to_string())
                .collect();
            format!("{name}:{} ", list.join(","))
        });
        let next = response.next_cursor.as_ref();
        let next = next.map(|next| format!("> {}/{}", next.topic_name, next.partition_index));
        let page: String = topics.chain(next).collect();
        page.trim_end().into()
    }

    #[test]
    fn pages_follow_each_other() {
        let stage = stage();
        for (topics, limit, cursor, shown) in [
            ("", 2000, "", "a:0,1 b:0,1,2 c:0"),
            ("", 4, "", "a:0,1 b:0,1 > b/2"),
            ("", 4, "b/2", "b:2 c:0"),
            ("", 2, "", "a:0,1 > b/0"),
            ("", 3, "b/0", "b:0,1,2 > c/0"),
            ("", 0, "", "a:0 > a/1"),
            ("", -5, "a/1", "a:1 > b/0"),
            // Behind its last partition, as when the topic was made anew.
            ("", 9, "b/7", "b: c:0"),
            // Deleted since the last page.
            ("", 9, "ab/1", "b:0,1,2 c:0"),
            ("c a c", 9, "", "a:0,1 c:0"),
            ("c a", 9, "a/1", "a:1 c:0"),
            ("a x .. c", 9, "", "..!17 a:0,1 c:0 x!3"),
            // A cursor in none of them, or before all partitions.
            ("a c", 9, "b/0", "a!42 c!42"),
            ("a c", 9, "a/-1", "a!42 c!42"),
        ] {
            assert_eq!(
                page(&stage, topics, limit, cursor),
                shown,
                "{topics} {limit} {cursor}"
            );
        }
    }

    #[test]
    fn no_page_is_longer_than_kafkas() {
        let stage = Stage::new(1);
        for name in ["a", "b", "c"] {
            stage.create(name, 900, 1);
        }
        let shown = page(&stage, "", i32::MAX, "");
        assert!(shown.ends_with("199 > c/200"), "{shown}");
    }

    #[test]
    fn in_sync_members_that_are_down_may_still_lead() {
        let stage = Stage::new(3);
        stage.create_on("a", &[&[1, 2, 3]]);
        let shown = |stage: &Stage| {
            let request = Request::default();
            let mut response = stage.ask::<DescribeTopicPartitions>(0, request);
            response.topics.remove(0).partitions.remove(0)
        };
        stage.take_down(1);
        stage.take_down(2);
        let partition = shown(&stage);
        assert_eq!(partition.leader_id, 3);
        assert_eq!(partition.leader_epoch, 2);
        assert_eq!(partition.isr_nodes, [3]);
        assert_eq!(partition.offline_replicas, [1, 2]);
        assert_eq!(partition.eligible_leader_replicas, Some(vec![2]));
        stage.take_down(3);
        let partition = shown(&stage);
        assert_eq!(partition.error_code, ErrorCode::LeaderNotAvailable);
        assert_eq!(partition.leader_id, -1);
        assert_eq!(partition.eligible_leader_replicas, Some(vec![2, 3]));
    }
}
