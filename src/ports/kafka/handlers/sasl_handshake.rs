//! `SaslHandshake`: a client says by which mechanism it will show who it is.

use super::{Call, Handle};
use crate::ports::kafka::ConnectionState;
use crate::ports::kafka::messages::ErrorCode;
use crate::ports::kafka::messages::sasl_handshake::{
    SaslHandshake, SaslHandshakeRequest, SaslHandshakeResponse,
};
use crate::ports::kafka::sasl::{Exchange, Way};

impl Handle for SaslHandshake {
    /// Said by who is in already, it begins a conversation anew (KIP-368), while
    /// the connection goes on as it is.
    async fn run(call: Call, request: SaslHandshakeRequest) -> Option<SaslHandshakeResponse> {
        Some(answer(&call.connection, call.version, &request.mechanism))
    }
}

fn answer(connection: &ConnectionState, version: i16, mechanism: &str) -> SaslHandshakeResponse {
    let began = begin(connection, version, mechanism);
    // A listener that asks for nothing goes on without.
    if began.is_err() && connection.needs_sasl {
        connection.dismiss();
    }
    SaslHandshakeResponse {
        error_code: began.err().unwrap_or(ErrorCode::None),
        mechanisms: Way::ALL.iter().map(|way| way.name().into()).collect(),
    }
}

fn begin(connection: &ConnectionState, version: i16, mechanism: &str) -> Result<(), ErrorCode> {
    if !connection.needs_sasl {
        return Err(ErrorCode::IllegalSaslState);
    }
    let way = Way::named(mechanism).ok_or(ErrorCode::UnsupportedSaslMechanism)?;
    let mut standing = connection.standing();
    if standing.conversation.is_some() {
        return Err(ErrorCode::IllegalSaslState);
    }
    // The first version knows no SaslAuthenticate. Who is in speaks in requests,
    // among which a bare token could not be told.
    if version == 0 {
        if standing.is_admitted {
            return Err(ErrorCode::IllegalSaslState);
        }
        standing.sends_bare_tokens = true;
    }
    standing.conversation = Some(Box::new(Exchange::new(way)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::kafka::access::Principal;
    use std::net::IpAddr;

    fn connection(needs_sasl: bool) -> ConnectionState {
        let from = IpAddr::from([192, 0, 2, 1]);
        let who = Principal::Anonymous;
        ConnectionState::new(from, "SASL_PLAINTEXT".into(), false, needs_sasl, who)
    }

    #[test]
    fn a_conversation_begins_once_and_in_a_known_way() {
        let scram = "SCRAM-SHA-256";
        for (needs_sasl, is_in, version, mechanism, code) in [
            (true, false, 1, scram, ErrorCode::None),
            (true, false, 0, "PLAIN", ErrorCode::None),
            (true, true, 1, scram, ErrorCode::None),
            (true, true, 0, scram, ErrorCode::IllegalSaslState),
            (
                true,
                false,
                1,
                "GSSAPI",
                ErrorCode::UnsupportedSaslMechanism,
            ),
            (
                true,
                false,
                1,
                "scram-sha-256",
                ErrorCode::UnsupportedSaslMechanism,
            ),
            (false, false, 1, scram, ErrorCode::IllegalSaslState),
        ] {
            let connection = connection(needs_sasl);
            if is_in {
                connection.admit(Principal::User("ann".into()));
            }
            let response = answer(&connection, version, mechanism);
            assert_eq!(response.error_code, code, "{mechanism} {version}");
            let named = ["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"];
            assert!(response.mechanisms.iter().map(|one| &**one).eq(named));
            let began = code == ErrorCode::None;
            assert_eq!(connection.is_dismissed(), needs_sasl && !began);
            let standing = connection.standing();
            assert_eq!(standing.conversation.is_some(), began);
            assert_eq!(standing.sends_bare_tokens, began && version == 0);
        }
        let connection = connection(true);
        answer(&connection, 1, scram);
        let again = answer(&connection, 1, scram);
        assert_eq!(again.error_code, ErrorCode::IllegalSaslState);
        assert!(connection.is_dismissed());
    }
}
