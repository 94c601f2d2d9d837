//! The leader of a group hands in who reads what, and each member gets its part.

use super::groups::{CONFUSED, name, optional_name, optional_text};
use super::{Call, Handle};
use crate::ports::kafka::access::Operation;
use crate::ports::kafka::errors::groups::sync_code;
use crate::ports::kafka::messages::ErrorCode;
use crate::ports::kafka::messages::sync_group::*;
use crate::streams::groups::Error;
use crate::streams::groups::request::{Caller, Reply, Request, Sync};
use bytes::Bytes;

impl Handle for SyncGroup {
    async fn run(call: Call, request: SyncGroupRequest) -> Option<SyncGroupResponse> {
        if let Err(code) = call.may_on_group(Operation::Read, &request.group_id) {
            return Some(refusal(code));
        }
        let is_told = request.protocol_type.is_some() && request.protocol_name.is_some();
        if call.version >= 5 && !is_told {
            return Some(refusal(ErrorCode::InconsistentGroupProtocol));
        }
        let sync = sync(&request);
        let group = sync.caller.group.clone();
        drop(request);
        let answer = call.door.groups.ask(&group, Request::Sync(sync)).await;
        Some(response(answer))
    }
}

fn sync(request: &SyncGroupRequest) -> Sync {
    let part = |it: &SyncGroupRequestAssignment| (name(&it.member_id), it.assignment[..].into());
    Sync {
        caller: Caller {
            group: name(&request.group_id),
            member: name(&request.member_id),
            instance: optional_name(&request.group_instance_id),
            generation: request.generation_id,
        },
        protocol_type: optional_name(&request.protocol_type),
        protocol: optional_name(&request.protocol_name),
        assignments: request.assignments.iter().map(part).collect(),
    }
}

fn response(answer: Result<Reply, Error>) -> SyncGroupResponse {
    match answer {
        Ok(Reply::Synced(synced)) => SyncGroupResponse {
            protocol_type: optional_text(&synced.protocol_type),
            protocol_name: optional_text(&synced.protocol),
            assignment: Bytes::from_owner(synced.assignment),
            ..SyncGroupResponse::default()
        },
        Ok(_) => refusal(CONFUSED),
        Err(error) => refusal(sync_code(&error)),
    }
}

fn refusal(error_code: ErrorCode) -> SyncGroupResponse {
    SyncGroupResponse {
        error_code,
        ..SyncGroupResponse::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::kafka::handlers::shapes::says;
    use crate::streams::groups::request::Synced;

    #[test]
    fn every_version_says_each_answer() {
        let synced = Synced {
            protocol_type: Some("consumer".into()),
            protocol: Some("range".into()),
            assignment: b"partitions".as_slice().into(),
        };
        says::<SyncGroup>(|_| {
            let said = response(Ok(Reply::Synced(synced.clone())));
            assert_eq!(&said.assignment[..], b"partitions");
            said
        });
        says::<SyncGroup>(|_| {
            let said = response(Err(Error::RebalanceInProgress));
            assert_eq!(said.error_code, ErrorCode::RebalanceInProgress);
            said
        });
    }
}
