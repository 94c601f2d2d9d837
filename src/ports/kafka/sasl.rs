//! How a client shows who it is: a conversation of one token (PLAIN) or two
//! (SCRAM), as a pure machine. Who is not there is answered like who is: a salt
//! is shown, a password is tried, and the answer is the same.

use super::scram::{self, ClientFinal, ClientFirst};
use crate::entropy::Entropy;
use crate::limits::{KAFKA_PASSWORDS_TRIED_AT_ONCE, KAFKA_SASL_TOKEN_BYTES_MAX};
use crate::state::topics::access::{Credential, Mechanism, Secret, Users};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use std::fmt;
use std::io;
use tokio::sync::Semaphore;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Plain,
    Scram(Mechanism),
}

impl Way {
    pub const ALL: [Self; 3] = [
        Self::Scram(Mechanism::Sha512),
        Self::Scram(Mechanism::Sha256),
        Self::Plain,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Scram(mechanism) => mechanism.name(),
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}

/// A conversation under way.
#[derive(Debug)]
pub struct Exchange {
    pub way: Way,
    challenge: Option<Challenge>,
}

/// What was said to a client, and what is expected of it.
#[derive(Debug)]
struct Challenge {
    attempt: Attempt,
    header: String,
    nonce: String,
    /// The client's first words and the server's.
    words: String,
}

/// Whom a client says it is, and what it is tried by.
#[derive(Debug)]
struct Attempt {
    user: Box<str>,
    mechanism: Mechanism,
    credential: Credential,
    is_there: bool,
}

#[derive(Debug)]
pub enum Step {
    /// To be said to the client, which then answers.
    Challenge(Vec<u8>, Exchange),
    /// A password is to be tried, which takes milliseconds: not for an async
    /// worker.
    Try(Trial),
    Proven(Proven),
    Refused,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Proven {
    pub user: Box<str>,
    /// The last words to the client.
    pub token: Vec<u8>,
}

impl Exchange {
    pub fn new(way: Way) -> Self {
        let challenge = None;
        Self { way, challenge }
    }

    /// `nonce` is drawn for this step alone; `secret` is for users who are not
    /// there.
    pub fn step(self, token: &[u8], users: &Users, secret: &Secret, nonce: &[u8]) -> Step {
        if token.len() > KAFKA_SASL_TOKEN_BYTES_MAX {
            return Step::Refused;
        }
        let step = match (self.way, self.challenge) {
            (Way::Plain, _) => plain(token, users, secret),
            (Way::Scram(mechanism), None) => begin(mechanism, token, users, secret, nonce),
            (Way::Scram(_), Some(challenge)) => challenge.end(token),
        };
        step.unwrap_or(Step::Refused)
    }
}

/// RFC 4616: for whom, who, and the password, with zeros between.
fn plain(token: &[u8], users: &Users, secret: &Secret) -> Option<Step> {
    let text = std::str::from_utf8(token).ok()?;
    let mut parts = text.split('\0');
    let (other, user, password) = (parts.next()?, parts.next()?, parts.next()?);
    // Nobody speaks for another.
    let is_own = other.is_empty() || other == user;
    if parts.next().is_some() || user.is_empty() || password.is_empty() || !is_own {
        return None;
    }
    let known = users.of(user).and_then(|of| of.first_key_value());
    let mechanism = known.map_or(Mechanism::Sha256, |(mechanism, _)| *mechanism);
    Some(Step::Try(Trial {
        attempt: Attempt::of(user, mechanism, users, secret),
        password: password.as_bytes().into(),
    }))
}

fn begin(
    mechanism: Mechanism,
    token: &[u8],
    users: &Users,
    secret: &Secret,
    nonce: &[u8],
) -> Option<Step> {
    let first = ClientFirst::parse(token)?;
    let attempt = Attempt::of(&first.user, mechanism, users, secret);
    let nonce = format!("{}{}", first.nonce, STANDARD_NO_PAD.encode(nonce));
    let said = scram::server_first(&nonce, &attempt.credential);
    let challenge = Challenge {
        attempt,
        header: first.header.into(),
        nonce,
        words: format!("{},{said}", first.bare),
    };
    let exchange = Exchange {
        way: Way::Scram(mechanism),
        challenge: Some(challenge),
    };
    Some(Step::Challenge(said.into_bytes(), exchange))
}

impl Challenge {
    fn end(self, token: &[u8]) -> Option<Step> {
        let last = ClientFinal::parse(token)?;
        if last.header != self.header.as_bytes() || last.nonce != self.nonce {
            return None;
        }
        let Attempt {
            user,
            mechanism,
            credential,
            is_there,
        } = self.attempt;
        let words = format!("{},{}", self.words, last.bare);
        let proves = scram::proves(mechanism, &credential, &words, &last.proof);
        (proves && is_there).then(|| {
            let token = scram::server_final(mechanism, &credential, &words);
            let token = token.into_bytes();
            Step::Proven(Proven { user, token })
        })
    }
}

impl Attempt {
    fn of(user: &str, mechanism: Mechanism, users: &Users, secret: &Secret) -> Self {
        let known = users.get(user, mechanism);
        let decoy = || {
            let mut others = users.iter().filter_map(|(_, of)| of.get(&mechanism));
            scram::decoy(mechanism, user, secret, others.next())
        };
        Self {
            user: user.into(),
            mechanism,
            credential: known.cloned().unwrap_or_else(decoy),
            is_there: known.is_some(),
        }
    }
}

/// A password to be tried.
pub struct Trial {
    attempt: Attempt,
    password: Box<[u8]>,
}

impl fmt::Debug for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a password for {:?}", self.attempt.user)
    }
}

impl Trial {
    pub fn run(self) -> Option<Proven> {
        let Attempt {
            user,
            mechanism,
            credential,
            is_there,
        } = self.attempt;
        let fits = scram::is_password(mechanism, &credential, &self.password);
        (fits && is_there).then(|| Proven {
            user,
            token: Vec::new(),
        })
    }
}

/// What the conversations of a node share.
#[derive(Debug)]
pub struct Sasl {
    /// For as long as the cluster has no user, and so none of its own.
    secret: Secret,
    /// Passwords that may be tried at one time.
    pub trials: Semaphore,
}

impl Sasl {
    pub fn new(entropy: &dyn Entropy) -> io::Result<Self> {
        let mut secret = Secret([0; 32]);
        entropy.fill(&mut secret.0)?;
        Ok(Self {
            secret,
            trials: Semaphore::new(KAFKA_PASSWORDS_TRIED_AT_ONCE),
        })
    }

    pub fn secret(&self, users: &Users) -> Secret {
        users.secret().unwrap_or(self.secret)
    }
}

#[cfg(test)]
#[path = "sasl_tests.rs"]
mod tests;
