//! Classic groups and their members, for a person.

use super::groups::{CONFUSED, name, optional_text};
use super::named::each_once;
use super::{Call, Handle};
use crate::ports::kafka::access::Operation;
use crate::ports::kafka::errors::groups::code;
use crate::ports::kafka::messages::describe_groups::*;
use crate::ports::kafka::messages::{ErrorCode, Text};
use crate::streams::groups::Error;
use crate::streams::groups::request::{DescribedMember, Reply, Request};
use bytes::Bytes;

/// What tools show of a group that is not there.
const DEAD: &str = "Dead";

impl Handle for DescribeGroups {
    const MAY_BE_LARGE: bool = true;

    async fn run(call: Call, request: DescribeGroupsRequest) -> Option<DescribeGroupsResponse> {
        // A group that is named a thousand times is described once.
        let named = each_once(request.groups, Text::clone);
        let mut groups = Vec::with_capacity(named.len());
        for (group, _) in named {
            let mut described = match call.may_on_group(Operation::Describe, &group) {
                Err(code) => refused(group.clone(), code),
                Ok(()) => {
                    let describe = Request::Describe {
                        group: name(&group),
                    };
                    let answer = call.door.groups.ask(&group, describe).await;
                    described(call.version, group.clone(), answer)
                }
            };
            if described.error_code == ErrorCode::None {
                let is_asked = request.include_authorized_operations;
                described.authorized_operations = call.operations_on_group(is_asked, &group);
            }
            groups.push(described);
        }
        Some(DescribeGroupsResponse {
            groups,
            ..DescribeGroupsResponse::default()
        })
    }
}

fn described(version: i16, group_id: Text, answer: Result<Reply, Error>) -> DescribedGroup {
    match answer {
        Ok(Reply::Described(group)) => DescribedGroup {
            group_id,
            group_state: Text::from_static(group.state.name()),
            protocol_type: Text::from(&*group.protocol_type),
            protocol_data: Text::from(&*group.protocol),
            members: group.members.into_iter().map(member).collect(),
            ..DescribedGroup::default()
        },
        Ok(_) => refused(group_id, CONFUSED),
        Err(Error::GroupNotFound) => dead(version, group_id),
        Err(error) => refused(group_id, code(&error)),
    }
}

/// Older versions have no error for it.
fn dead(version: i16, group_id: Text) -> DescribedGroup {
    let group = DescribedGroup {
        group_id,
        group_state: Text::from_static(DEAD),
        ..DescribedGroup::default()
    };
    match version {
        ..6 => group,
        _ => DescribedGroup {
            error_code: code(&Error::GroupNotFound),
            error_message: Some(Error::GroupNotFound.to_string().into()),
            ..group
        },
    }
}

fn member(member: DescribedMember) -> DescribedGroupMember {
    DescribedGroupMember {
        member_id: Text::from(&*member.id),
        group_instance_id: optional_text(&member.instance),
        client_id: Text::from(&*member.client_id),
        client_host: Text::from(&*member.client_host),
        member_metadata: Bytes::from_owner(member.metadata),
        member_assignment: Bytes::from_owner(member.assignment),
    }
}

fn refused(group_id: Text, error_code: ErrorCode) -> DescribedGroup {
    DescribedGroup {
        error_code,
        group_id,
        ..DescribedGroup::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::kafka::handlers::shapes::says;
    use crate::streams::groups::request::{Described, GroupState};

    fn in_words(group: DescribedGroup) -> DescribeGroupsResponse {
        DescribeGroupsResponse {
            groups: vec![group],
            ..DescribeGroupsResponse::default()
        }
    }

    #[test]
    fn every_version_says_each_answer() {
        let group = Described {
            state: GroupState::Stable,
            protocol_type: "consumer".into(),
            protocol: "range".into(),
            members: vec![DescribedMember {
                id: "m".into(),
                instance: Some("i".into()),
                client_id: "c".into(),
                client_host: "/10.0.0.9".into(),
                metadata: b"a".as_slice().into(),
                assignment: b"b".as_slice().into(),
            }],
        };
        says::<DescribeGroups>(|version| {
            let answer = Ok(Reply::Described(group.clone()));
            let said = described(version, "g".into(), answer);
            assert_eq!((&*said.group_state, said.members.len()), ("Stable", 1));
            in_words(said)
        });
        says::<DescribeGroups>(|version| {
            let said = described(version, "g".into(), Err(Error::GroupNotFound));
            let missing = said.error_code == ErrorCode::GroupIdNotFound;
            assert_eq!((&*said.group_state, missing), ("Dead", version >= 6));
            in_words(said)
        });
        says::<DescribeGroups>(|version| {
            in_words(described(version, "g".into(), Err(Error::NotCoordinator)))
        });
    }
}
