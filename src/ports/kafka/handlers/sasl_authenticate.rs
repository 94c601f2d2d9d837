//! `SaslAuthenticate`: a step of the conversation that a handshake has begun.

use super::{Call, Handle};
use crate::ports::kafka::ConnectionState;
use crate::ports::kafka::access::Principal;
use crate::ports::kafka::messages::ErrorCode;
use crate::ports::kafka::messages::sasl_authenticate::{
    SaslAuthenticate, SaslAuthenticateRequest, SaslAuthenticateResponse,
};
use crate::ports::kafka::sasl::{Exchange, Proven, Step, Trial};
use std::time::Duration;
use tokio::task::spawn_blocking;

/// Before a client hears that it is wrong: as by Kafka, so that nobody tries ten
/// passwords a second on a connection.
const FAILURE_DELAY: Duration = Duration::from_millis(100);
const NONCE_BYTES: usize = 18;

impl Handle for SaslAuthenticate {
    async fn run(call: Call, request: SaslAuthenticateRequest) -> Option<SaslAuthenticateResponse> {
        let conversation = call.connection.standing().conversation.take();
        let exchange = conversation.and_then(|held| held.downcast::<Exchange>().ok());
        let Some(exchange) = exchange else {
            call.connection.dismiss();
            return Some(failed(
                ErrorCode::IllegalSaslState,
                "SaslHandshake comes first",
            ));
        };
        let token = match hear(&call, *exchange, &request.auth_bytes.0).await {
            Ok(Heard::Challenge(token, exchange)) => {
                call.connection.standing().conversation = Some(Box::new(exchange));
                token
            }
            Ok(Heard::Proven(proven)) => match admit(&call.connection, proven) {
                Some(token) => token,
                None => return Some(refuse(&call).await),
            },
            Err(Failed::Wrong) => return Some(refuse(&call).await),
            Err(Failed::NoChance) => {
                call.connection.dismiss();
                let why = "the machine has no random numbers";
                return Some(failed(ErrorCode::UnknownServerError, why));
            }
        };
        Some(SaslAuthenticateResponse {
            auth_bytes: token.into(),
            // It lives as long as the connection.
            session_lifetime_ms: 0,
            ..Default::default()
        })
    }
}

enum Heard {
    Challenge(Vec<u8>, Exchange),
    Proven(Proven),
}

enum Failed {
    Wrong,
    NoChance,
}

async fn hear(call: &Call, exchange: Exchange, token: &[u8]) -> Result<Heard, Failed> {
    let mut nonce = [0; NONCE_BYTES];
    let drawn = call.door.entropy.fill(&mut nonce);
    drawn.map_err(|_| Failed::NoChance)?;
    let topics = call.door.site.topics();
    let users = &topics.access().users;
    let secret = call.door.sasl.secret(users);
    match exchange.step(token, users, &secret, &nonce) {
        Step::Challenge(said, exchange) => Ok(Heard::Challenge(said, exchange)),
        Step::Proven(proven) => Ok(Heard::Proven(proven)),
        Step::Try(trial) => {
            let proven = tried(call, trial).await;
            proven.map(Heard::Proven).ok_or(Failed::Wrong)
        }
        Step::Refused => Err(Failed::Wrong),
    }
}

/// Few at a time: a stranger can ask for it as often as it likes.
async fn tried(call: &Call, trial: Trial) -> Option<Proven> {
    let _turn = call.door.sasl.trials.acquire().await.ok()?;
    spawn_blocking(|| trial.run()).await.ok().flatten()
}

/// The last words to the client. None where it says to be another than before
/// (KIP-368).
fn admit(connection: &ConnectionState, proven: Proven) -> Option<Vec<u8>> {
    let principal = Principal::User((&*proven.user).into());
    if connection.is_admitted() && connection.principal() != principal {
        return None;
    }
    connection.admit(principal);
    Some(proven.token)
}

/// Whatever is wrong, it is the same that is said.
async fn refuse(call: &Call) -> SaslAuthenticateResponse {
    tracing::debug!(from = %call.from, "a client does not log in: a wrong name or password");
    tokio::time::sleep(FAILURE_DELAY).await;
    call.connection.dismiss();
    let why = "the user is unknown, or the password is wrong";
    failed(ErrorCode::SaslAuthenticationFailed, why)
}

fn failed(error_code: ErrorCode, why: &str) -> SaslAuthenticateResponse {
    SaslAuthenticateResponse {
        error_code,
        error_message: Some(why.into()),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    #[test]
    fn who_is_in_stays_who_it_is() {
        let from = IpAddr::from([192, 0, 2, 1]);
        let nobody = Principal::Anonymous;
        let connection = ConnectionState::new(from, "SASL_SSL".into(), true, true, nobody);
        let proven = |user: &str| Proven {
            user: user.into(),
            token: b"v=x".to_vec(),
        };
        let ann = Principal::User("ann".into());
        for (user, is_taken) in [("ann", true), ("ann", true), ("bob", false)] {
            let token = admit(&connection, proven(user));
            assert_eq!(token.is_some(), is_taken, "{user}");
            assert_eq!(connection.principal(), ann);
        }
    }
}
