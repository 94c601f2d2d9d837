//! `DescribeAcls`, key 29.

use crate::ports::kafka::messages::declare::api;
use crate::ports::kafka::messages::{ErrorCode, Text};

api! {
    /// The access rules that match a filter.
    DescribeAcls = 29: DescribeAclsRequest -> DescribeAclsResponse, versions 1..=3, flexible from 2;

    DescribeAclsRequest {
        /// 1: any; 2: topics; 3: groups; 4: the cluster; 5: transactional ids; 6:
        /// delegation tokens; 7: users.
        resource_type_filter: i8,
        resource_name_filter: Option<Text>,
        /// 1: any; 2: any that covers the name; 3: the literal name; 4: a prefix.
        pattern_type_filter: i8 = 3,
        /// As `User:name`; None for any, here and in the other filters.
        principal_filter: Option<Text>,
        host_filter: Option<Text>,
        /// 1: any; 2: all; 3: read; 4: write; 5: create; 6: delete; 7: alter; 8:
        /// describe; 9: cluster action; 10: describe configs; 11: alter configs; 12:
        /// idempotent write; 13: create tokens; 14: describe tokens; 15: two-phase
        /// commit.
        operation: i8,
        /// 1: any; 2: deny; 3: allow.
        permission_type: i8,
    }

    DescribeAclsResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<Text>,
        resources: Vec<DescribeAclsResource>,
    }

    DescribeAclsResource {
        resource_type: i8,
        resource_name: Text,
        pattern_type: i8 = 3,
        acls: Vec<AclDescription>,
    }

    AclDescription {
        principal: Text,
        host: Text,
        operation: i8,
        permission_type: i8,
    }
}
