//! `SaslHandshake`, key 17.

use crate::ports::kafka::messages::declare::api;
use crate::ports::kafka::messages::{ErrorCode, Text};

api! {
    /// The client names the SASL mechanism that it wants to use.
    SaslHandshake = 17: SaslHandshakeRequest -> SaslHandshakeResponse, versions 0..=1;

    SaslHandshakeRequest {
        mechanism: Text,
    }

    SaslHandshakeResponse {
        error_code: ErrorCode,
        mechanisms: Vec<Text>,
    }
}
