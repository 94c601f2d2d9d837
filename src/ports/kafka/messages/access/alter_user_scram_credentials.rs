//! `AlterUserScramCredentials`, key 51.

use crate::ports::kafka::messages::declare::api;
use crate::ports::kafka::messages::{ErrorCode, Hidden, Text};
use bytes::Bytes;

api! {
    /// Sets and deletes SCRAM passwords. The broker never sees a password, only what is
    /// made of it.
    AlterUserScramCredentials = 51: AlterUserScramCredentialsRequest -> AlterUserScramCredentialsResponse,
        versions 0..=0, flexible from 0;

    AlterUserScramCredentialsRequest {
        deletions: Vec<ScramCredentialDeletion>,
        upsertions: Vec<ScramCredentialUpsertion>,
    }

    ScramCredentialDeletion {
        name: Text,
        mechanism: i8,
    }

    ScramCredentialUpsertion {
        name: Text,
        mechanism: i8,
        iterations: i32,
        salt: Bytes,
        salted_password: Hidden,
    }

    AlterUserScramCredentialsResponse {
        throttle_time_ms: i32,
        results: Vec<AlterUserScramCredentialsResult>,
    }

    AlterUserScramCredentialsResult {
        user: Text,
        error_code: ErrorCode,
        error_message: Option<Text>,
    }
}
