//! Topics as they are to be looked up in. A client makes a topic by one broker and
//! asks another for it in the next moment, which must not say that there is none
//! only because it has not heard of it yet.

use super::Call;
use super::proposing::Deadline;
use crate::ids::TopicId;
use crate::ports::kafka::access::{Operation, Resource};
use crate::ports::kafka::messages::Uuid;
use crate::state::topics::{Topics, names};
use std::sync::Arc;

impl Call {
    /// The topics, in which one of these that is missing is missing everywhere, or
    /// no majority is there to say so.
    pub(super) async fn topics_with<'a>(
        &self,
        named: impl Iterator<Item = &'a str>,
        deadline: Deadline,
    ) -> Arc<Topics> {
        let topics = self.door.site.topics();
        let lacks_one = self.lack_one(&topics, named);
        self.newest(topics, lacks_one, deadline).await
    }

    /// The same for topics that are named by their ids as well.
    pub(super) async fn topics_with_ids<'a>(
        &self,
        named: impl Iterator<Item = &'a str>,
        mut ids: impl Iterator<Item = Uuid>,
        deadline: Deadline,
    ) -> Arc<Topics> {
        let topics = self.door.site.topics();
        let lacks_one = self.lack_one(&topics, named)
            || ids.any(|id| !id.is_none() && topics.by_id(TopicId(id.0)).is_none());
        self.newest(topics, lacks_one, deadline).await
    }

    /// What the client may not see, and what can have no topic, is not asked for.
    fn lack_one<'a>(&self, topics: &Topics, mut named: impl Iterator<Item = &'a str>) -> bool {
        named.any(|name| {
            let is_missing = topics.get(name).is_none() && names::check(name).is_ok();
            is_missing && self.may(Operation::Describe, Resource::Topic(name))
        })
    }

    async fn newest(
        &self,
        topics: Arc<Topics>,
        lacks_one: bool,
        deadline: Deadline,
    ) -> Arc<Topics> {
        if !lacks_one {
            return topics;
        }
        // Where the time does not suffice, it is said by what this node knows.
        let _ = deadline.wait(self.door.site.catch_up()).await;
        self.door.site.topics()
    }
}

#[cfg(test)]
mod tests;
