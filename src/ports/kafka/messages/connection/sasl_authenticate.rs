//! `SaslAuthenticate`, key 36.

use crate::ports::kafka::messages::declare::api;
use crate::ports::kafka::messages::{ErrorCode, Hidden, Text};
use bytes::Bytes;

api! {
    /// One step of a SASL conversation.
    SaslAuthenticate = 36: SaslAuthenticateRequest -> SaslAuthenticateResponse,
        versions 0..=2, flexible from 2;

    SaslAuthenticateRequest {
        auth_bytes: Hidden,
    }

    SaslAuthenticateResponse {
        error_code: ErrorCode,
        error_message: Option<Text>,
        auth_bytes: Bytes,
        session_lifetime_ms: i64 [1.., ignorable],
    }
}
