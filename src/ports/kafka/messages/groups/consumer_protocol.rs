//! What the members of a classic group of consumers tell each other. The coordinator
//! passes it on unread; `DescribeGroups` shows it.

use crate::ports::kafka::messages::Text;
use crate::ports::kafka::messages::declare::blob;
use bytes::Bytes;

blob! {
    /// What a member of a classic group of consumers wants to read: the metadata of its
    /// JoinGroup.
    ConsumerProtocolSubscription, versions 0..=3;

    ConsumerProtocolSubscription {
        topics: Vec<Text>,
        user_data: Option<Bytes>,
        /// What it reads already, so that a cooperative assignor leaves it there.
        owned_partitions: Vec<OwnedTopic> [1.., ignorable],
        /// The generation in which it owned them.
        generation_id: i32 [2.., ignorable] = -1,
        rack_id: Option<Text> [3.., ignorable],
    }

    OwnedTopic {
        topic: Text,
        partitions: Vec<i32>,
    }
}

blob! {
    /// What a member of a classic group of consumers is to read: its assignment of
    /// SyncGroup.
    ConsumerProtocolAssignment, versions 0..=3;

    ConsumerProtocolAssignment {
        assigned_partitions: Vec<AssignedTopic>,
        user_data: Option<Bytes>,
    }

    AssignedTopic {
        topic: Text,
        partitions: Vec<i32>,
    }
}
