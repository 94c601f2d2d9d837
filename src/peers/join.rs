//! How a box without a certificate becomes a member. It calls the member that
//! its token names, trusts it only for the authority whose hash the token
//! holds, and only then shows the secret, its new public key, and a signature
//! that proves that it has the key. What becomes of the request is decided
//! above; the answer brings a certificate or a sentence.
//!
//! At the member's side such a connection has one stream, one bounded request
//! and a bounded time, and touches nothing but `FromPeers::Join`.

use super::address::PeerAddress;
use super::authority::{Authority, AuthorityError, NodeKey, is_signed};
use super::certificate::{Shown, public_key_hash, sha256};
use super::codec::{Admission, JoinReply, JoinWords, Malformed};
use super::dial::look_up;
use super::endpoint::{joiner_transport, reset_config};
use super::gate::Place;
use super::identity::{Identity, Unusable};
use super::plane::Shell;
use super::refusal::Refusal;
use super::token::Token;
use super::{FromPeers, tls};
use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::limits::JOIN_BYTES_MAX;
use quinn::{ClientConfig, Connection, Endpoint, RecvStream, SendStream, VarInt};
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// What a joiner's key signs: a value that both ends of this connection and
/// nobody else can compute, so that a signature is of no use elsewhere.
const POSSESSION_LABEL: &[u8] = b"EXPORTER-dolmen-join-1";
/// Members that send a joiner on to another one.
const HOPS_MAX: usize = 3;
/// A server name is asked for by the protocol and not looked at: what a joiner
/// trusts is the authority.
const ANY_NAME: &str = "join.dolmen.internal";

/// What a box asks for. Its key is proven, its secret is not looked at here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinRequest {
    pub token: [u8; 8],
    pub secret_hash: [u8; 32],
    /// For `Authority::issue`.
    pub public_key: Vec<u8>,
    pub control: String,
    pub bulk: String,
    /// The feature level up to which its build writes and reads.
    pub features: u32,
    pub from: SocketAddr,
}

/// To be used once; dropped, it tells the joiner to try again.
pub struct JoinAnswer(oneshot::Sender<JoinReply>);

impl JoinAnswer {
    pub fn admit(self, admission: Admission) {
        self.reply(JoinReply::Admitted(admission));
    }

    /// The sentence reaches the person who typed `join`.
    pub fn refuse(self, why: &str) {
        self.reply(JoinReply::Refused(why.into()));
    }

    /// Another member can answer: its control `host:port`.
    pub fn elsewhere(self, place: &str) {
        self.reply(JoinReply::Elsewhere(place.into()));
    }

    fn reply(self, reply: JoinReply) {
        // A joiner that has left in the meantime is told nothing; typed again,
        // its request is answered again.
        let _ = self.0.send(reply);
    }
}

/// At a member, for a connection that speaks the join protocol.
pub(super) async fn serve(shell: &Shell, connection: &Connection, _place: Place) {
    let from = connection.remote_address();
    let within = shell.settings.join_within;
    let why = match timeout(within, hear_request(connection)).await {
        Err(_) => Refusal::Silent(within),
        Ok(Err(why)) => why,
        Ok(Ok((send, heard))) => {
            let reply = match heard {
                Ok(request) => decide(shell, request, within).await,
                Err(why) => {
                    shell.complain(from, &why);
                    JoinReply::Refused(why.to_string())
                }
            };
            let _ = timeout(within, answer(send, reply)).await;
            Refusal::Leaving
        }
    };
    if why != Refusal::Leaving {
        shell.complain(from, &why);
    }
    super::link::close(connection, &why);
}

type Heard = Result<JoinRequest, Refusal>;

/// The outer refusal is without a stream to answer on.
async fn hear_request(connection: &Connection) -> Result<(SendStream, Heard), Refusal> {
    let lost = |error: quinn::ConnectionError| Refusal::Lost(error.to_string());
    let (send, receive) = connection.accept_bi().await.map_err(lost)?;
    let heard = read_request(connection, receive).await;
    Ok((send, heard))
}

async fn read_request(connection: &Connection, mut receive: RecvStream) -> Heard {
    let bytes = match receive.read_to_end(JOIN_BYTES_MAX).await {
        Ok(bytes) => bytes,
        Err(quinn::ReadToEndError::TooLong) => return Err(Refusal::RequestTooLong),
        Err(error) => return Err(Refusal::Lost(error.to_string())),
    };
    let words = JoinWords::decode(&bytes).map_err(Refusal::Request)?;
    let proven = possession(connection, &words.token)
        .is_some_and(|value| is_signed(&words.public_key, &value, &words.possession));
    if !proven {
        return Err(Refusal::KeyNotProven);
    }
    Ok(JoinRequest {
        token: words.token,
        secret_hash: sha256(&words.secret),
        public_key: words.public_key,
        control: words.control,
        bulk: words.bulk,
        features: words.features,
        from: connection.remote_address(),
    })
}

async fn decide(shell: &Shell, request: JoinRequest, within: Duration) -> JoinReply {
    let from = request.from;
    let (answer, answered) = oneshot::channel();
    let answer = JoinAnswer(answer);
    (shell.hear)(FromPeers::Join { request, answer });
    let refused = |why: &str| JoinReply::Refused(why.into());
    match timeout(within, answered).await {
        Ok(Ok(reply)) => {
            if let JoinReply::Refused(why) = &reply {
                tracing::warn!("the box at {from} does not join: {why}");
            }
            reply
        }
        Ok(Err(_)) => refused("this member cannot answer now; try again"),
        Err(_) => refused(
            "the cluster did not decide in time: a majority of its voters must be up; try again",
        ),
    }
}

async fn answer(mut send: SendStream, reply: JoinReply) {
    if send.write_all(&reply.encode()).await.is_ok() && send.finish().is_ok() {
        // Until the joiner has it all, or is gone.
        let _ = send.stopped().await;
    }
}

fn possession(connection: &Connection, token: &[u8; 8]) -> Option<[u8; 32]> {
    let mut value = [0; 32];
    connection
        .export_keying_material(&mut value, POSSESSION_LABEL, token)
        .ok()
        .map(|()| value)
}

/// The box that joins.
#[derive(Clone)]
pub struct Applicant {
    /// Where it will be reached, `host:port`.
    pub control: String,
    pub bulk: String,
    /// The feature level up to which its build writes and reads.
    pub features: u32,
    /// For each step: the handshake, and then the answer.
    pub within: Duration,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
}

/// A member.
#[derive(Debug)]
pub struct Joined {
    pub identity: Identity,
    pub members: Vec<PeerAddress>,
    /// For one that votes.
    pub authority: Option<Authority>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JoinError {
    Place {
        place: String,
        why: String,
    },
    Handshake {
        place: String,
        why: String,
    },
    /// The cluster's own sentence.
    Refused(String),
    Lost {
        place: String,
        why: String,
    },
    Silent {
        place: String,
        within: Duration,
    },
    Answer(Malformed),
    TooManyHops(String),
    /// It admits somebody else, or in somebody else's name.
    NotForUs(&'static str),
    Key(AuthorityError),
    Identity(Unusable),
    Machine(String),
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Place { place, why } => write!(f, "the member at {place} cannot be found: {why}"),
            Self::Handshake { place, why } => write!(
                f,
                "whoever answers at {place} is not the cluster that the token names, or nobody \
                 does: {why}"
            ),
            Self::Refused(why) => write!(f, "the cluster refuses: {why}"),
            Self::Lost { place, why } => write!(f, "the member at {place} broke off: {why}"),
            Self::Silent { place, within } => {
                write!(f, "the member at {place} did not answer within {within:?}")
            }
            Self::Answer(why) => write!(f, "the answer cannot be understood: {why}"),
            Self::TooManyHops(place) => write!(
                f,
                "the members send each other's joiners around, at last to {place}; try again when \
                 the cluster has a leader"
            ),
            Self::NotForUs(what) => write!(f, "the answer is not for this node: {what}"),
            Self::Key(why) => why.fmt(f),
            Self::Identity(why) => why.fmt(f),
            Self::Machine(why) => write!(f, "this machine cannot call out: {why}"),
        }
    }
}

impl std::error::Error for JoinError {}

/// Asks to be a member, from the first packet to the certificate. Within a
/// tokio runtime. Asks nothing twice: typed again, it draws another key.
pub async fn join(token: &Token, applicant: &Applicant) -> Result<Joined, JoinError> {
    let key = NodeKey::draw().map_err(JoinError::Key)?;
    let mut place = token.address();
    for _ in 0..=HOPS_MAX {
        match ask(token, &place, &key, applicant).await? {
            JoinReply::Admitted(admission) => return take(admission, token, &key, applicant),
            JoinReply::Refused(why) => return Err(JoinError::Refused(why)),
            JoinReply::Elsewhere(other) => place = other,
        }
    }
    Err(JoinError::TooManyHops(place))
}

async fn ask(
    token: &Token,
    place: &str,
    key: &NodeKey,
    applicant: &Applicant,
) -> Result<JoinReply, JoinError> {
    let (endpoint, connection) = call(token, place, applicant).await?;
    let silent = |_| JoinError::Silent {
        place: place.into(),
        within: applicant.within,
    };
    let speaking = speak(token, key, applicant, &connection);
    let spoken = timeout(applicant.within, speaking).await.map_err(silent)?;
    connection.close(VarInt::from_u32(0), b"thank you");
    let _ = timeout(applicant.within, endpoint.wait_idle()).await;
    let bytes = spoken.map_err(|why| JoinError::Lost {
        place: place.into(),
        why,
    })?;
    JoinReply::decode(&bytes).map_err(JoinError::Answer)
}

async fn call(
    token: &Token,
    place: &str,
    applicant: &Applicant,
) -> Result<(Endpoint, Connection), JoinError> {
    let not_found = |why: String| JoinError::Place {
        place: place.into(),
        why,
    };
    let found = look_up(place)
        .await
        .map_err(|why| not_found(why.to_string()))?;
    let mut last = not_found("it has no address".into());
    for address in found {
        let endpoint = calling_endpoint(token, address, applicant)?;
        let failed = |why: String| JoinError::Handshake {
            place: place.into(),
            why,
        };
        let connecting = match endpoint.connect(address, ANY_NAME) {
            Ok(connecting) => connecting,
            Err(error) => {
                last = failed(error.to_string());
                continue;
            }
        };
        match timeout(applicant.within, connecting).await {
            Ok(Ok(connection)) => return Ok((endpoint, connection)),
            Ok(Err(error)) => last = failed(error.to_string()),
            Err(_) => {
                last = JoinError::Silent {
                    place: place.into(),
                    within: applicant.within,
                }
            }
        }
    }
    Err(last)
}

fn calling_endpoint(
    token: &Token,
    to: SocketAddr,
    applicant: &Applicant,
) -> Result<Endpoint, JoinError> {
    let machine = |error: std::io::Error| JoinError::Machine(error.to_string());
    let from: SocketAddr = match to {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    #[allow(clippy::disallowed_methods)] // the home of the nodes' sockets
    let socket = std::net::UdpSocket::bind(from).map_err(machine)?;
    let mut reset_key = [0; 32];
    applicant.entropy.fill(&mut reset_key).map_err(machine)?;
    let config = reset_config(&reset_key, applicant.entropy.clone());
    let runtime = Arc::new(quinn::TokioRuntime);
    let mut endpoint = Endpoint::new(config, None, socket, runtime).map_err(machine)?;
    let tls = tls::joiner(token.authority, &applicant.clock)
        .map_err(|error| JoinError::Machine(error.to_string()))?;
    let mut client = ClientConfig::new(tls);
    client.transport_config(joiner_transport(applicant.within));
    endpoint.set_default_client_config(client);
    Ok(endpoint)
}

/// The answer's bytes, or what broke off. A close carries the member's
/// sentence, so that a refusal without an answer is one too.
async fn speak(
    token: &Token,
    key: &NodeKey,
    applicant: &Applicant,
    connection: &Connection,
) -> Result<Vec<u8>, String> {
    let said = |error: &dyn fmt::Display| match connection.close_reason() {
        Some(reason) => reason.to_string(),
        None => error.to_string(),
    };
    let value = possession(connection, &token.id).ok_or("it exports no value to sign")?;
    let words = JoinWords {
        token: token.id,
        secret: token.secret,
        public_key: key.public_key(),
        possession: key.sign(&value).map_err(|error| error.to_string())?,
        control: applicant.control.clone(),
        bulk: applicant.bulk.clone(),
        features: applicant.features,
    };
    let (mut send, mut receive) = connection.open_bi().await.map_err(|error| said(&error))?;
    send.write_all(&words.encode())
        .await
        .map_err(|error| said(&error))?;
    // Fails where the member has refused already; the answer says why.
    let _ = send.finish();
    receive
        .read_to_end(JOIN_BYTES_MAX)
        .await
        .map_err(|error| said(&error))
}

/// Whoever holds the authority is trusted, and makes mistakes all the same.
fn take(
    admission: Admission,
    token: &Token,
    key: &NodeKey,
    applicant: &Applicant,
) -> Result<Joined, JoinError> {
    let not_for_us = |what| Err(JoinError::NotForUs(what));
    if public_key_hash(&admission.authority) != Some(token.authority) {
        return not_for_us("its authority is not the one that the token names");
    }
    let now = applicant.clock.now();
    if tls::check_issued(&admission.certificate, &admission.authority, now).is_err() {
        return not_for_us("its certificate is not the authority's");
    }
    if !is_made_out_to(&admission.certificate, key) {
        return not_for_us("its certificate is for another key");
    }
    let authority = admission
        .authority_key
        .map(|bytes| Authority::import(&bytes))
        .transpose()
        .map_err(JoinError::Key)?;
    let entropy = &*applicant.entropy;
    let identity = Identity::new(admission.certificate, key, admission.authority, entropy)
        .map_err(JoinError::Identity)?;
    if authority
        .as_ref()
        .is_some_and(|held| held.pin() != token.authority)
    {
        return not_for_us("the authority's key is another authority's");
    }
    Ok(Joined {
        identity,
        members: admission.members,
        authority,
    })
}

fn is_made_out_to(certificate: &[u8], key: &NodeKey) -> bool {
    Shown::read(certificate).is_ok() && public_key_hash(certificate) == Some(key.hash())
}
