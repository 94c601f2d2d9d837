//! Deletes topics, by name or by id.

use super::named::{each_once, own_topic};
use super::proposing::{Deadline, propose_each};
use super::reached::text;
use super::{Call, Handle};
use crate::ids::TopicId;
use crate::ports::kafka::access::{Operation, Resource};
use crate::ports::kafka::errors::Refusal;
use crate::ports::kafka::messages::delete_topics::{
    DeletableTopicResult, DeleteTopicState, DeleteTopics, DeleteTopicsRequest, DeleteTopicsResponse,
};
use crate::ports::kafka::messages::{ErrorCode, Text, Uuid};
use crate::state::topics::{StreamsCommand, StreamsRefused, TopicKey, Topics, names};
use std::collections::BTreeMap;

/// From here on each is named by its name or by its id.
const BY_ID_SINCE: i16 = 6;

impl Handle for DeleteTopics {
    async fn run(call: Call, request: DeleteTopicsRequest) -> Option<DeleteTopicsResponse> {
        let deadline = Deadline::of(request.timeout_ms);
        let asked = asked(call.version, request);
        let named = asked.iter().filter_map(|(one, _)| one.name.as_deref());
        let ids = asked.iter().map(|(one, _)| one.topic_id);
        let topics = call.topics_with_ids(named, ids, deadline).await;
        let mut meant: Vec<_> = asked
            .into_iter()
            .map(|(one, is_once)| Meant::of(&call, &topics, one, is_once))
            .collect();
        refuse_both(&mut meant);
        let wanted = meant.iter().filter_map(|one| one.key.clone());
        let commands = wanted.map(|topic| StreamsCommand::DeleteTopic { topic });
        let commands = commands.collect();
        let outcomes = propose_each(&call.door.site, commands, deadline).await;
        let deleted = meant.iter_mut().filter(|one| one.key.is_some());
        for (one, outcome) in deleted.zip(outcomes) {
            one.refusal = outcome.err();
        }
        Some(DeleteTopicsResponse {
            responses: meant.into_iter().map(Meant::told).collect(),
            ..DeleteTopicsResponse::default()
        })
    }
}

fn asked(version: i16, request: DeleteTopicsRequest) -> Vec<(DeleteTopicState, bool)> {
    let topics = match version {
        BY_ID_SINCE.. => request.topics,
        _ => {
            let named = request
                .topic_names
                .into_iter()
                .map(|name| DeleteTopicState {
                    name: Some(name),
                    topic_id: Uuid::NONE,
                });
            named.collect()
        }
    };
    each_once(topics, |topic| (topic.name.clone(), topic.topic_id))
}

/// One topic as the client means it.
struct Meant {
    name: Option<Text>,
    id: Uuid,
    /// None where it is not to be deleted, with the reason.
    key: Option<TopicKey>,
    refusal: Option<Refusal>,
}

impl Meant {
    fn of(call: &Call, topics: &Topics, asked: DeleteTopicState, is_once: bool) -> Self {
        let mut meant = Self {
            name: asked.name,
            id: asked.topic_id,
            key: None,
            refusal: None,
        };
        match meant.find(call, topics, is_once) {
            Ok(key) => meant.key = Some(key),
            Err(refusal) => meant.refusal = Some(refusal),
        }
        meant
    }

    /// Fills in what the client did not say and may know.
    fn find(&mut self, call: &Call, topics: &Topics, is_once: bool) -> Result<TopicKey, Refusal> {
        if !is_once {
            return Err(invalid("the topic is named twice"));
        }
        let may = |operation, name: &str| {
            call.may(Operation::Delete, Resource::Cluster)
                || call.may(operation, Resource::Topic(name))
        };
        let (name, key) = match (&self.name, self.id.is_none()) {
            (Some(_), false) => return Err(invalid("a name and an id are given: one is enough")),
            (None, true) => return Err(invalid("neither a name nor an id is given")),
            (Some(name), true) => {
                if !may(Operation::Describe, name) {
                    return Err(ErrorCode::TopicAuthorizationFailed.into());
                }
                let Some(topic) = topics.get(name) else {
                    return Err(no_topic(name));
                };
                let key = TopicKey::Name((**name).into());
                self.id = Uuid(topic.id.0);
                (name.clone(), key)
            }
            (None, false) => {
                let id = TopicId(self.id.0);
                let found = topics.by_id(id).ok_or(StreamsRefused::UnknownTopicId)?;
                let name = text(found.0);
                if !may(Operation::Describe, &name) {
                    return Err(ErrorCode::TopicAuthorizationFailed.into());
                }
                self.name = Some(name.clone());
                (name, TopicKey::Id(id))
            }
        };
        if !may(Operation::Delete, &name) {
            return Err(ErrorCode::TopicAuthorizationFailed.into());
        }
        own_topic(&name)?;
        Ok(key)
    }

    fn told(self) -> DeletableTopicResult {
        let (error_code, error_message) = Refusal::said(self.refusal);
        DeletableTopicResult {
            name: self.name,
            topic_id: self.id,
            error_code,
            error_message,
        }
    }
}

/// A topic that is named and whose id is given as well is named twice.
fn refuse_both(meant: &mut [Meant]) {
    let mut times: BTreeMap<Uuid, usize> = BTreeMap::new();
    let found = meant.iter().filter(|one| one.key.is_some());
    found.for_each(|one| *times.entry(one.id).or_default() += 1);
    for one in meant.iter_mut().filter(|one| one.key.is_some()) {
        if times[&one.id] > 1 {
            one.key = None;
            one.refusal = Some(invalid("the topic is given by its name and by its id"));
        }
    }
}

fn no_topic(name: &str) -> Refusal {
    match names::check(name) {
        Err(fault) => StreamsRefused::from(fault).into(),
        Ok(()) => StreamsRefused::UnknownTopic.into(),
    }
}

fn invalid(why: &str) -> Refusal {
    Refusal::new(ErrorCode::InvalidRequest, why)
}

#[cfg(test)]
mod tests {
    use super::super::stage::{Stage, uuid_of};
    use super::*;

    fn by_name(stage: &Stage, version: i16, names: &str, timeout_ms: i32) -> String {
        let names = names.split(' ');
        let mut request = DeleteTopicsRequest {
            timeout_ms,
            ..DeleteTopicsRequest::default()
        };
        match version {
            BY_ID_SINCE.. => request.topics = names.map(|name| state(Some(name), None)).collect(),
            _ => request.topic_names = names.map(Text::from).collect(),
        }
        told(stage, version, request)
    }

    fn by_state(stage: &Stage, topics: Vec<DeleteTopicState>) -> String {
        let request = DeleteTopicsRequest {
            topics,
            timeout_ms: 1000,
            ..DeleteTopicsRequest::default()
        };
        told(stage, 6, request)
    }

    /// By its name, and by the id of the topic that was so named.
    fn state(name: Option<&str>, id: Option<&str>) -> DeleteTopicState {
        DeleteTopicState {
            name: name.map(Text::from),
            topic_id: id.map_or(Uuid::NONE, uuid_of),
        }
    }

    fn told(stage: &Stage, version: i16, request: DeleteTopicsRequest) -> String {
        let response = stage.ask::<DeleteTopics>(version, request);
        let each = response.responses.into_iter().map(|one| {
            let has_words = one.error_message.is_some();
            assert_eq!(has_words, version >= 5 && !one.error_code.is_none());
            let name = one.name.unwrap_or_else(|| Text::from("?"));
            if one.error_code.is_none() && version >= 6 {
                assert_eq!(one.topic_id, uuid_of(&name));
            }
            format!("{name}:{}", one.error_code.number())
        });
        each.collect::<Vec<_>>().join(" ")
    }

    fn stage() -> Stage {
        let stage = Stage::new(1);
        for name in ["a", "b", "c", "__consumer_offsets"] {
            stage.create(name, 1, 1);
        }
        stage
    }

    #[test]
    fn topics_go_by_their_names() {
        for version in 1..=6 {
            let stage = stage();
            let names = "a x b b . __consumer_offsets";
            let codes = "a:0 x:3 b:42 .:17 __consumer_offsets:44";
            assert_eq!(by_name(&stage, version, names, 1000), codes, "{version}");
            let left = stage.site.topics();
            let left: Vec<_> = left.iter().map(|(name, _)| &**name).collect();
            assert_eq!(left, ["__consumer_offsets", "b", "c"]);
        }
    }

    #[test]
    fn topics_go_by_their_ids() {
        let stage = stage();
        let (a, b) = (Some("a"), Some("b"));
        let own = Some("__consumer_offsets");
        for (topics, codes) in [
            (vec![state(None, a), state(b, None)], "a:0 b:0"),
            (vec![state(None, a)], "?:100"),
            (vec![state(None, None)], "?:42"),
            (vec![state(Some("c"), Some("c"))], "c:42"),
            (
                vec![state(Some("c"), None), state(None, Some("c"))],
                "c:42 c:42",
            ),
            (vec![state(None, Some("c")), state(None, Some("c"))], "?:42"),
            (vec![state(None, own)], "__consumer_offsets:44"),
        ] {
            assert_eq!(by_state(&stage, topics), codes);
        }
        assert!(stage.site.topics().get("c").is_some());
    }

    #[test]
    fn what_is_not_heard_of_in_time_is_said_to_be_late() {
        let stage = stage();
        stage.fall_silent();
        assert_eq!(by_name(&stage, 6, "a x b", 5), "a:7 x:3 b:7");
        let stage = self::stage();
        stage.lose_majority();
        assert_eq!(by_name(&stage, 6, "a", 1000), "a:41");
    }
}
