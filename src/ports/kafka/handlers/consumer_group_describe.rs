//! Groups of KIP-848 and their members, for a person.

use super::groups::{CONFUSED, name, named, optional_text};
use super::named::each_once;
use super::{Call, Handle};
use crate::ports::kafka::access::{Operation, Resource};
use crate::ports::kafka::errors::groups::code;
use crate::ports::kafka::messages::consumer_group_describe::*;
use crate::ports::kafka::messages::{ErrorCode, Text};
use crate::state::topics::Topics;
use crate::streams::groups::request::{ConsumerDescribed, DescribedConsumer, Reply, Request};
use crate::streams::groups::{Error, Partitions};

/// `member_type` of a member of KIP-848.
const CONSUMER: i8 = 1;

impl Handle for ConsumerGroupDescribe {
    const MAY_BE_LARGE: bool = true;

    async fn run(
        call: Call,
        request: ConsumerGroupDescribeRequest,
    ) -> Option<ConsumerGroupDescribeResponse> {
        // A group that is named a thousand times is described once.
        let named = each_once(request.group_ids, Text::clone);
        let mut groups = Vec::with_capacity(named.len());
        for (group, _) in named {
            let is_asked = request.include_authorized_operations;
            groups.push(describe(&call, group, is_asked).await);
        }
        Some(ConsumerGroupDescribeResponse {
            groups,
            ..ConsumerGroupDescribeResponse::default()
        })
    }
}

async fn describe(call: &Call, group: Text, is_asked: bool) -> DescribedGroup {
    if let Err(code) = call.may_on_group(Operation::Describe, &group) {
        return refused(group, code, None);
    }
    let request = Request::DescribeConsumer {
        group: name(&group),
    };
    let answer = call.door.groups.ask(&group, request).await;
    let sees = |topic: &str| call.may(Operation::Describe, Resource::Topic(topic));
    let topics = call.door.site.topics();
    let mut described = described(group, answer, &topics, &sees);
    if described.error_code == ErrorCode::None {
        let group = &described.group_id;
        described.authorized_operations = call.operations_on_group(is_asked, group);
    }
    described
}

fn described(
    group: Text,
    answer: Result<Reply, Error>,
    topics: &Topics,
    sees: &dyn Fn(&str) -> bool,
) -> DescribedGroup {
    match answer {
        Ok(Reply::ConsumerDescribed(found)) => shown(group, found, topics, sees),
        Ok(_) => refused(group, CONFUSED, None),
        Err(error) => refused(group, code(&error), Some(error.to_string())),
    }
}

/// A group that has to do with a topic that may not be seen is not shown.
fn shown(
    group_id: Text,
    found: ConsumerDescribed,
    topics: &Topics,
    sees: &dyn Fn(&str) -> bool,
) -> DescribedGroup {
    let members: Vec<Member> = (found.members.into_iter())
        .map(|it| member(it, topics))
        .collect();
    if !members.iter().all(|member| is_seen(member, sees)) {
        let why = "the group has members that read a topic that you may not describe";
        let code = ErrorCode::TopicAuthorizationFailed;
        return refused(group_id, code, Some(why.into()));
    }
    DescribedGroup {
        group_id,
        group_state: Text::from_static(found.state.name()),
        group_epoch: found.epoch,
        // It is shared out anew with each epoch.
        assignment_epoch: found.epoch,
        assignor_name: Text::from_static(found.assignor),
        members,
        ..DescribedGroup::default()
    }
}

fn is_seen(member: &Member, sees: &dyn Fn(&str) -> bool) -> bool {
    let assigned = [&member.assignment, &member.target_assignment];
    let assigned = assigned.into_iter().flat_map(|it| &it.topic_partitions);
    let mut names = member
        .subscribed_topic_names
        .iter()
        .chain(assigned.map(|it| &it.topic_name));
    names.all(|name| name.is_empty() || sees(name))
}

fn member(member: DescribedConsumer, topics: &Topics) -> Member {
    let about = member.about;
    let subscribed = about.topics.iter().map(|it| Text::from(&**it));
    Member {
        member_id: Text::from(&*member.id),
        instance_id: optional_text(&about.instance),
        rack_id: optional_text(&about.rack),
        member_epoch: member.epoch,
        client_id: Text::from(&*about.client_id),
        client_host: Text::from(&*about.client_host),
        subscribed_topic_names: subscribed.collect(),
        subscribed_topic_regex: optional_text(&about.pattern),
        assignment: assignment(&member.assigned, topics),
        target_assignment: assignment(&member.target, topics),
        member_type: CONSUMER,
    }
}

fn assignment(partitions: &Partitions, topics: &Topics) -> Assignment {
    let topic = |(topic_id, name, partitions): (_, &str, _)| TopicPartitions {
        topic_id,
        topic_name: Text::from(name),
        partitions,
    };
    Assignment {
        topic_partitions: named(topics, partitions).into_iter().map(topic).collect(),
    }
}

fn refused(group_id: Text, error_code: ErrorCode, why: Option<String>) -> DescribedGroup {
    DescribedGroup {
        error_code,
        error_message: why.map(Text::from),
        group_id,
        ..DescribedGroup::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Uid;
    use crate::ports::kafka::handlers::shapes::says;
    use crate::streams::coordinators::groups::village::Village;
    use crate::streams::groups::record::About;
    use crate::streams::groups::request::GroupState;

    #[test]
    fn a_group_is_shown_to_who_may_see_its_topics() {
        let village = Village::of(1);
        let id = Uid(village.topic("t", 2).0);
        let topics = village.site.topics();
        let found = ConsumerDescribed {
            state: GroupState::Reconciling,
            epoch: 4,
            assignor: "uniform",
            members: vec![DescribedConsumer {
                id: "m".into(),
                epoch: 3,
                about: About {
                    instance: None,
                    rack: Some("r".into()),
                    client_id: "c".into(),
                    client_host: "/10.0.0.9".into(),
                    rebalance_ms: 1000,
                    topics: ["gone".into()].into(),
                    pattern: Some("t.*".into()),
                    assignor: None,
                },
                assigned: [(id, 1)].into_iter().collect(),
                target: [(id, 0), (Uid([9; 16]), 0)].into_iter().collect(),
            }],
        };
        let say = |sees: &dyn Fn(&str) -> bool| {
            let answer = Ok(Reply::ConsumerDescribed(found.clone()));
            described("g".into(), answer, &topics, sees)
        };
        let group = say(&|_| true);
        assert_eq!((&*group.group_state, group.group_epoch), ("Reconciling", 4));
        let member = &group.members[0];
        assert_eq!(&*member.assignment.topic_partitions[0].topic_name, "t");
        assert_eq!(member.target_assignment.topic_partitions.len(), 2);
        for hidden in ["t", "gone"] {
            let group = say(&|topic| topic != hidden);
            assert_eq!(group.error_code, ErrorCode::TopicAuthorizationFailed);
            assert!(group.members.is_empty());
        }
        let missing = described("g".into(), Err(Error::GroupNotFound), &topics, &|_| true);
        assert_eq!(missing.error_code, ErrorCode::GroupIdNotFound);
        says::<ConsumerGroupDescribe>(|_| ConsumerGroupDescribeResponse {
            groups: vec![group.clone(), missing.clone()],
            ..ConsumerGroupDescribeResponse::default()
        });
    }
}
