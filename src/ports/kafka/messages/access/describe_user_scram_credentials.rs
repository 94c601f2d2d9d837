//! `DescribeUserScramCredentials`, key 50.

use crate::ports::kafka::messages::declare::api;
use crate::ports::kafka::messages::{ErrorCode, Text};

api! {
    /// Which users can log in by SCRAM, and how.
    DescribeUserScramCredentials = 50: DescribeUserScramCredentialsRequest -> DescribeUserScramCredentialsResponse,
        versions 0..=0, flexible from 0;

    DescribeUserScramCredentialsRequest {
        /// None, or an empty list, for all.
        users: Option<Vec<UserName>> = Some(Vec::new()),
    }

    UserName {
        name: Text,
    }

    DescribeUserScramCredentialsResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<Text>,
        results: Vec<DescribeUserScramCredentialsResult>,
    }

    DescribeUserScramCredentialsResult {
        user: Text,
        error_code: ErrorCode,
        error_message: Option<Text>,
        credential_infos: Vec<CredentialInfo>,
    }

    CredentialInfo {
        /// 1: SCRAM-SHA-256; 2: SCRAM-SHA-512.
        mechanism: i8,
        iterations: i32,
    }
}
