//! Deletes groups that have no members, with their offsets.

use super::groups::{code_of, name};
use super::named::each_once;
use super::{Call, Handle};
use crate::ports::kafka::access::Operation;
use crate::ports::kafka::messages::Text;
use crate::ports::kafka::messages::delete_groups::*;
use crate::streams::groups::request::Request;

impl Handle for DeleteGroups {
    async fn run(call: Call, request: DeleteGroupsRequest) -> Option<DeleteGroupsResponse> {
        // Named twice it is no group that was not there.
        let named = each_once(request.groups_names, Text::clone);
        let mut results = Vec::with_capacity(named.len());
        for (group_id, _) in named {
            let error_code = match call.may_on_group(Operation::Delete, &group_id) {
                Err(code) => code,
                Ok(()) => {
                    let group = name(&group_id);
                    let delete = Request::Delete { group };
                    code_of(&call.door.groups.ask(&group_id, delete).await)
                }
            };
            results.push(DeletableGroupResult {
                group_id,
                error_code,
            });
        }
        Some(DeleteGroupsResponse {
            results,
            ..DeleteGroupsResponse::default()
        })
    }
}
