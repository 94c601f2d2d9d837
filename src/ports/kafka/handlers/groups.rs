//! What the handlers of groups have in common: a client's words as the
//! coordinator takes them, and who may see what.

use super::Call;
use crate::ids::{TopicId, Uid};
use crate::ports::kafka::access::{Operation, Resource};
use crate::ports::kafka::errors;
use crate::ports::kafka::messages::{ErrorCode, Text, Uuid};
use crate::state::topics::Topics;
use crate::streams::groups::request::Reply;
use crate::streams::groups::{Error, Name, Partitions};

/// A copy: the frame goes, the name stays.
pub(super) fn name(text: &Text) -> Name {
    Name::from(&**text)
}

pub(super) fn optional_name(text: &Option<Text>) -> Option<Name> {
    text.as_ref().map(name)
}

pub(super) fn optional_text(name: &Option<Name>) -> Option<Text> {
    name.as_deref().map(Text::from)
}

impl Call {
    /// What the client calls itself.
    pub(super) fn client_name(&self) -> Name {
        self.client_id.as_ref().map_or_else(|| "".into(), name)
    }

    /// As Kafka's tools show where a member is.
    pub(super) fn client_host(&self) -> Name {
        format!("/{}", self.from.to_canonical()).into()
    }

    /// For a name that the coordinator may have to make up.
    pub(super) fn chance(&self) -> Result<Uid, ErrorCode> {
        let mut bytes = [0; 16];
        let filled = self.door.entropy.fill(&mut bytes);
        filled.map_err(|_| ErrorCode::UnknownServerError)?;
        Ok(Uid(bytes))
    }

    pub(super) fn may_on_group(&self, operation: Operation, group: &str) -> Result<(), ErrorCode> {
        match self.may(operation, Resource::Group(group)) {
            true => Ok(()),
            false => Err(ErrorCode::GroupAuthorizationFailed),
        }
    }

    /// The id of a topic that is there and that the client may do this to.
    pub(super) fn topic(
        &self,
        topics: &Topics,
        operation: Operation,
        name: &str,
    ) -> Result<TopicId, ErrorCode> {
        if !self.may(operation, Resource::Topic(name)) {
            return Err(ErrorCode::TopicAuthorizationFailed);
        }
        let topic = topics.get(name).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        Ok(topic.id)
    }

    /// Bits of what the client may do to a group, by the numbers of Kafka's
    /// operations; the least number where it did not ask.
    pub(super) fn operations_on_group(&self, is_asked: bool, group: &str) -> i32 {
        if !is_asked {
            return i32::MIN;
        }
        const OPERATIONS: [(Operation, u32); 5] = [
            (Operation::Read, 3),
            (Operation::Delete, 6),
            (Operation::Describe, 8),
            (Operation::DescribeConfigs, 10),
            (Operation::AlterConfigs, 11),
        ];
        let allowed =
            |(operation, _): &&(Operation, u32)| self.may(*operation, Resource::Group(group));
        let bits = OPERATIONS.iter().filter(allowed);
        bits.fold(0, |bits, (_, number)| bits | 1 << number)
    }
}

/// What came of each of so many offsets.
pub(super) fn codes_of_each(
    answer: Result<Reply, Error>,
    count: usize,
    code: impl Fn(&Error) -> ErrorCode,
) -> Vec<ErrorCode> {
    match answer {
        Ok(Reply::Committed(each) | Reply::OffsetsDeleted(each)) => each
            .iter()
            .map(|one| one.as_ref().map_or_else(&code, |()| ErrorCode::None))
            .collect(),
        Ok(_) => vec![ErrorCode::UnknownServerError; count],
        Err(error) => vec![code(&error); count],
    }
}

/// What is answered where a coordinator says nothing but that it is done.
pub(super) fn code_of(answer: &Result<Reply, Error>) -> ErrorCode {
    match answer {
        Ok(_) => ErrorCode::None,
        Err(error) => errors::groups::code(error),
    }
}

pub(super) fn uuid(id: Uid) -> Uuid {
    Uuid(id.0)
}

/// By topic, each with its name, which is empty where the topic is gone.
pub(super) fn named<'a>(
    topics: &'a Topics,
    partitions: &Partitions,
) -> Vec<(Uuid, &'a str, Vec<i32>)> {
    let by_topic = partitions.by_topic().into_iter();
    let name_of = |id: Uid| topics.by_id(TopicId(id.0)).map_or("", |(name, _)| name);
    by_topic
        .map(|(id, numbers)| (uuid(id), name_of(id), numbers))
        .collect()
}

/// A coordinator answered something else than was asked: a fault of ours.
pub(super) const CONFUSED: ErrorCode = ErrorCode::UnknownServerError;
