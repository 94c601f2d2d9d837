//! A member of a classic group says that it is alive.

use super::groups::{name, optional_name};
use super::{Call, Handle};
use crate::ports::kafka::access::Operation;
use crate::ports::kafka::errors::groups::heartbeat_code;
use crate::ports::kafka::messages::ErrorCode;
use crate::ports::kafka::messages::heartbeat::*;
use crate::streams::groups::request::{Caller, Request};

impl Handle for Heartbeat {
    async fn run(call: Call, request: HeartbeatRequest) -> Option<HeartbeatResponse> {
        let error_code = match call.may_on_group(Operation::Read, &request.group_id) {
            Err(code) => code,
            Ok(()) => {
                let caller = Caller {
                    group: name(&request.group_id),
                    member: name(&request.member_id),
                    instance: optional_name(&request.group_instance_id),
                    generation: request.generation_id,
                };
                let groups = &call.door.groups;
                let asked = groups.ask(&request.group_id, Request::Heartbeat(caller));
                let answer = asked.await;
                answer.map_or_else(|why| heartbeat_code(&why), |_| ErrorCode::None)
            }
        };
        Some(HeartbeatResponse {
            error_code,
            ..HeartbeatResponse::default()
        })
    }
}
