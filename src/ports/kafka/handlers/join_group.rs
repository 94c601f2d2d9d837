//! A member joins its group, and is answered when the group's next generation
//! begins.

use super::groups::{CONFUSED, name, optional_name, optional_text};
use super::{Call, Handle};
use crate::ports::kafka::access::Operation;
use crate::ports::kafka::errors;
use crate::ports::kafka::messages::join_group::*;
use crate::ports::kafka::messages::{ErrorCode, Text};
use crate::streams::groups::Error;
use crate::streams::groups::request::{Join, Joined, JoinedMember, Protocol, Reply, Request};
use bytes::Bytes;

impl Handle for JoinGroup {
    async fn run(call: Call, request: JoinGroupRequest) -> Option<JoinGroupResponse> {
        let (version, member) = (call.version, request.member_id.clone());
        let refused = |code| refusal(version, code, member.clone());
        if let Err(code) = call.may_on_group(Operation::Read, &request.group_id) {
            return Some(refused(code));
        }
        if let Some(reason) = &request.reason {
            tracing::debug!(group = %request.group_id, %member, "a member joins: {reason}");
        }
        let join = match join(&call, &request) {
            Ok(join) => join,
            Err(code) => return Some(refused(code)),
        };
        let group = join.group.clone();
        // What waits for the others must not hold the frame.
        drop(request);
        let answer = call.door.groups.ask(&group, Request::Join(join)).await;
        Some(response(version, answer, member))
    }
}

fn join(call: &Call, request: &JoinGroupRequest) -> Result<Join, ErrorCode> {
    let protocol = |it: &JoinGroupRequestProtocol| Protocol {
        name: name(&it.name),
        metadata: it.metadata[..].into(),
    };
    // Version 0 says one time for both.
    let rebalance_ms = match request.rebalance_timeout_ms {
        -1 => request.session_timeout_ms,
        other => other,
    };
    Ok(Join {
        group: name(&request.group_id),
        member: name(&request.member_id),
        instance: optional_name(&request.group_instance_id),
        client_id: call.client_name(),
        client_host: call.client_host(),
        session_ms: request.session_timeout_ms,
        rebalance_ms,
        protocol_type: name(&request.protocol_type),
        protocols: request.protocols.iter().map(protocol).collect(),
        is_known_id_required: call.version >= 4,
        can_skip_assignment: call.version >= 9,
        chance: call.chance()?,
    })
}

fn response(version: i16, answer: Result<Reply, Error>, asked: Text) -> JoinGroupResponse {
    match answer {
        Ok(Reply::Joined(joined)) => welcome(version, joined),
        Ok(_) => refusal(version, CONFUSED, asked),
        Err(error) => {
            let member = match &error {
                Error::MemberIdRequired(member) => Text::from(&**member),
                _ => asked,
            };
            refusal(version, errors::groups::code(&error), member)
        }
    }
}

fn welcome(version: i16, joined: Joined) -> JoinGroupResponse {
    let member = |it: JoinedMember| JoinGroupResponseMember {
        member_id: Text::from(&*it.id),
        group_instance_id: optional_text(&it.instance),
        metadata: Bytes::from_owner(it.metadata),
    };
    JoinGroupResponse {
        generation_id: joined.generation,
        protocol_type: optional_text(&joined.protocol_type),
        protocol_name: protocol_name(version, optional_text(&joined.protocol)),
        leader: Text::from(&*joined.leader),
        skip_assignment: joined.is_assignment_skipped,
        member_id: Text::from(&*joined.member),
        members: joined.members.into_iter().map(member).collect(),
        ..JoinGroupResponse::default()
    }
}

fn refusal(version: i16, error_code: ErrorCode, member_id: Text) -> JoinGroupResponse {
    JoinGroupResponse {
        error_code,
        protocol_name: protocol_name(version, None),
        member_id,
        ..JoinGroupResponse::default()
    }
}

/// Older versions have no null there.
fn protocol_name(version: i16, name: Option<Text>) -> Option<Text> {
    match version {
        ..7 => Some(name.unwrap_or_default()),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::kafka::handlers::shapes::says;

    #[test]
    fn every_version_says_each_answer() {
        let joined = Joined {
            generation: 3,
            protocol_type: Some("consumer".into()),
            protocol: Some("range".into()),
            leader: "m-1".into(),
            member: "m-2".into(),
            is_assignment_skipped: false,
            members: vec![JoinedMember {
                id: "m-1".into(),
                instance: Some("i".into()),
                metadata: b"topics".as_slice().into(),
            }],
        };
        says::<JoinGroup>(|version| {
            let answer = Ok(Reply::Joined(joined.clone()));
            let said = response(version, answer, "m-2".into());
            assert_eq!(said.generation_id, 3);
            assert_eq!(&said.members[0].metadata[..], b"topics");
            said
        });
        says::<JoinGroup>(|version| {
            let answer = Err(Error::MemberIdRequired("m-9".into()));
            let said = response(version, answer, Text::default());
            assert_eq!(said.error_code, ErrorCode::MemberIdRequired);
            assert_eq!((&*said.member_id, said.generation_id), ("m-9", -1));
            said
        });
        says::<JoinGroup>(|version| response(version, Err(Error::Loading), "m".into()));
        says::<JoinGroup>(|version| response(version, Ok(Reply::Alive), "m".into()));
        // Who leads a static group again is told that there is nothing to do.
        let skipped = Joined {
            is_assignment_skipped: true,
            ..joined
        };
        let said = response(9, Ok(Reply::Joined(skipped)), "m-2".into());
        assert!(said.skip_assignment);
    }
}
