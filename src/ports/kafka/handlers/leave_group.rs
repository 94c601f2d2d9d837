//! Members leave their group: one that says so itself, or several that somebody
//! takes out.

use super::groups::{CONFUSED, name, optional_name};
use super::{Call, Handle};
use crate::ports::kafka::access::Operation;
use crate::ports::kafka::errors::groups::code;
use crate::ports::kafka::messages::ErrorCode;
use crate::ports::kafka::messages::leave_group::*;
use crate::streams::groups::Error;
use crate::streams::groups::request::{Leave, Reply, Request};

impl Handle for LeaveGroup {
    async fn run(call: Call, mut request: LeaveGroupRequest) -> Option<LeaveGroupResponse> {
        if let Err(code) = call.may_on_group(Operation::Read, &request.group_id) {
            return Some(refusal(code));
        }
        // Older versions are of one member, which has no list.
        if call.version < 3 {
            request.members = vec![MemberIdentity {
                member_id: std::mem::take(&mut request.member_id),
                ..MemberIdentity::default()
            }];
        }
        for member in &request.members {
            if let Some(reason) = &member.reason {
                let (group, member) = (&request.group_id, &member.member_id);
                tracing::debug!(%group, %member, "a member leaves: {reason}");
            }
        }
        let leaving = |it: &MemberIdentity| {
            let instance = optional_name(&it.group_instance_id);
            (name(&it.member_id), instance)
        };
        let leave = Leave {
            group: name(&request.group_id),
            members: request.members.iter().map(leaving).collect(),
        };
        let groups = &call.door.groups;
        let answer = groups.ask(&request.group_id, Request::Leave(leave)).await;
        Some(response(call.version, answer, request.members))
    }
}

fn response(
    version: i16,
    answer: Result<Reply, Error>,
    members: Vec<MemberIdentity>,
) -> LeaveGroupResponse {
    let left = match answer {
        Ok(Reply::Left(left)) => left,
        Ok(_) => return refusal(CONFUSED),
        Err(error) => return refusal(code(&error)),
    };
    let codes = left.iter().map(|one| match one {
        Ok(()) => ErrorCode::None,
        Err(error) => code(error),
    });
    if version < 3 {
        return refusal(codes.into_iter().next().unwrap_or_default());
    }
    let member = |(it, error_code): (MemberIdentity, ErrorCode)| MemberResponse {
        member_id: it.member_id,
        group_instance_id: it.group_instance_id,
        error_code,
    };
    LeaveGroupResponse {
        members: members.into_iter().zip(codes).map(member).collect(),
        ..LeaveGroupResponse::default()
    }
}

fn refusal(error_code: ErrorCode) -> LeaveGroupResponse {
    LeaveGroupResponse {
        error_code,
        ..LeaveGroupResponse::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::kafka::handlers::shapes::says;

    #[test]
    fn every_version_says_each_answer() {
        let member = MemberIdentity {
            member_id: "m".into(),
            ..MemberIdentity::default()
        };
        says::<LeaveGroup>(|version| {
            let left = Ok(Reply::Left(vec![Err(Error::UnknownMember)]));
            let said = response(version, left, vec![member.clone()]);
            let (alone, listed) = (said.error_code, said.members.first());
            let unknown = ErrorCode::UnknownMemberId;
            match version {
                ..3 => assert_eq!((alone, listed), (unknown, None)),
                _ => assert_eq!(listed.map(|it| it.error_code), Some(unknown)),
            }
            said
        });
        says::<LeaveGroup>(|version| response(version, Err(Error::Loading), vec![member.clone()]));
    }
}
