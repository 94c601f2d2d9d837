//! `DescribeAcls`: the rules that a filter matches.

use super::{Call, Handle};
use crate::ports::kafka::access::{Operation, Resource};
use crate::ports::kafka::acl_words::{FilterWords, Meaningless, Words};
use crate::ports::kafka::errors::in_words;
use crate::ports::kafka::messages::describe_acls::{
    AclDescription, DescribeAcls, DescribeAclsRequest, DescribeAclsResource, DescribeAclsResponse,
};
use crate::ports::kafka::refused_access::{Said, denied};
use crate::state::topics::access::Binding;

impl Handle for DescribeAcls {
    const MAY_BE_LARGE: bool = true;

    async fn run(call: Call, request: DescribeAclsRequest) -> Option<DescribeAclsResponse> {
        Some(match matching(&call, request) {
            Ok(bindings) => DescribeAclsResponse {
                resources: resources(&bindings),
                ..Default::default()
            },
            Err((error_code, error_message)) => DescribeAclsResponse {
                error_code,
                error_message,
                ..Default::default()
            },
        })
    }
}

fn matching(call: &Call, request: DescribeAclsRequest) -> Result<Vec<Binding>, Said> {
    if !call.may(Operation::Describe, Resource::Cluster) {
        return Err(denied());
    }
    let words = FilterWords {
        resource_type: request.resource_type_filter,
        resource_name: request.resource_name_filter,
        pattern_type: request.pattern_type_filter,
        principal: request.principal_filter,
        host: request.host_filter,
        operation: request.operation,
        permission_type: request.permission_type,
    };
    let filter = words.read();
    let filter = filter.map_err(|why| (Meaningless::CODE, Some(in_words(why))))?;
    let topics = call.door.site.topics();
    let acls = &topics.access().acls;
    Ok(filter.map_or(Vec::new(), |filter| acls.matching(&filter)))
}

/// Those of one resource stand beside each other already.
fn resources(bindings: &[Binding]) -> Vec<DescribeAclsResource> {
    let is_same =
        |a: &Binding, b: &Binding| (a.kind, a.pattern, &a.name) == (b.kind, b.pattern, &b.name);
    let of_one = bindings.chunk_by(is_same).filter_map(|of_one| {
        let first = Words::of(of_one.first()?);
        Some(DescribeAclsResource {
            resource_type: first.resource_type,
            resource_name: first.resource_name,
            pattern_type: first.pattern_type,
            acls: of_one.iter().map(Words::of).map(described).collect(),
        })
    });
    of_one.collect()
}

fn described(words: Words) -> AclDescription {
    AclDescription {
        principal: words.principal,
        host: words.host,
        operation: words.operation,
        permission_type: words.permission_type,
    }
}
