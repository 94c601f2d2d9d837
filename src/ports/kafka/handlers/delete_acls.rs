//! `DeleteAcls`: all rules that a filter matches go, and are named.

use super::{Call, Handle};
use crate::ports::kafka::access::{Operation, Resource};
use crate::ports::kafka::acl_words::{FilterWords, Meaningless, Words};
use crate::ports::kafka::errors::in_words;
use crate::ports::kafka::messages::ErrorCode;
use crate::ports::kafka::messages::delete_acls::{
    DeleteAcls, DeleteAclsFilter, DeleteAclsFilterResult, DeleteAclsMatchingAcl, DeleteAclsRequest,
    DeleteAclsResponse,
};
use crate::ports::kafka::refused_access::{Said, denied};
use crate::state::topics::access::{AccessCommand, AccessOutcome, AclFilter, Binding};

impl Handle for DeleteAcls {
    async fn run(call: Call, request: DeleteAclsRequest) -> Option<DeleteAclsResponse> {
        let results = deleted(&call, request.filters).await;
        Some(DeleteAclsResponse {
            filter_results: results.into_iter().map(result).collect(),
            ..Default::default()
        })
    }
}

/// What a filter has deleted, or why it did not.
type Deleted = Result<Vec<Binding>, Said>;

async fn deleted(call: &Call, filters: Vec<DeleteAclsFilter>) -> Vec<Deleted> {
    if !call.may(Operation::Alter, Resource::Cluster) {
        return vec![Err(denied()); filters.len()];
    }
    let read: Vec<_> = filters.into_iter().map(filter).collect();
    let good: Vec<AclFilter> = read.iter().flatten().flatten().cloned().collect();
    let mut each = match run(call, good).await {
        Ok(each) => each.into_iter(),
        Err(said) => {
            let whole = |read: Result<_, Said>| Err(read.err().unwrap_or(said.clone()));
            return read.into_iter().map(whole).collect();
        }
    };
    let outcome = |read: Result<Option<AclFilter>, Said>| {
        let matched = read?.and_then(|_| each.next());
        Ok(matched.unwrap_or_default())
    };
    read.into_iter().map(outcome).collect()
}

async fn run(call: &Call, filters: Vec<AclFilter>) -> Result<Vec<Vec<Binding>>, Said> {
    if filters.is_empty() {
        return Ok(Vec::new());
    }
    let count = filters.len();
    let command = AccessCommand::DeleteAcls { filters };
    match call.door.change_access(command).await? {
        AccessOutcome::Deleted(each) if each.len() == count => Ok(each),
        _ => Err((ErrorCode::UnknownServerError, None)),
    }
}

/// None where it can match nothing.
fn filter(filter: DeleteAclsFilter) -> Result<Option<AclFilter>, Said> {
    let words = FilterWords {
        resource_type: filter.resource_type_filter,
        resource_name: filter.resource_name_filter,
        pattern_type: filter.pattern_type_filter,
        principal: filter.principal_filter,
        host: filter.host_filter,
        operation: filter.operation,
        permission_type: filter.permission_type,
    };
    let read = words.read();
    read.map_err(|why| (Meaningless::CODE, Some(in_words(why))))
}

fn result(deleted: Deleted) -> DeleteAclsFilterResult {
    match deleted {
        Ok(bindings) => DeleteAclsFilterResult {
            matching_acls: bindings.iter().map(Words::of).map(matching).collect(),
            ..Default::default()
        },
        Err((error_code, error_message)) => DeleteAclsFilterResult {
            error_code,
            error_message,
            ..Default::default()
        },
    }
}

fn matching(words: Words) -> DeleteAclsMatchingAcl {
    DeleteAclsMatchingAcl {
        resource_type: words.resource_type,
        resource_name: words.resource_name,
        pattern_type: words.pattern_type,
        principal: words.principal,
        host: words.host,
        operation: words.operation,
        permission_type: words.permission_type,
        ..Default::default()
    }
}
