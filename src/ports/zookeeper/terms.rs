//! What the door and a client may expect of each other. Pure values.

use super::words::Word;
use crate::limits::ZOOKEEPER_FRAME_BYTES_MAX;

#[derive(Clone, Debug)]
pub struct Terms {
    /// What a session's timeout is brought into: 2 to 20 ticks of 2 s.
    pub timeout_ms_min: u32,
    pub timeout_ms_max: u32,
    /// jute.maxbuffer.
    pub frame_bytes_max: usize,
    /// The four-letter words that are answered.
    pub words: Vec<Word>,
    /// `user:hash` as the digest scheme writes it; who shows the password
    /// may do everything.
    pub superuser_digest: Option<Secret>,
    /// Users of DIGEST-MD5. Without any, the scheme is refused.
    pub sasl_users: Vec<SaslUser>,
    /// The one of them who may do everything.
    pub sasl_superuser: Option<Box<str>>,
}

/// A text that stays out of logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub Box<str>);

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(set)")
    }
}

#[derive(Clone)]
pub struct SaslUser {
    pub name: Box<str>,
    pub password: Box<str>,
}

/// Secrets stay out of logs.
impl std::fmt::Debug for SaslUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SaslUser({})", self.name)
    }
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            timeout_ms_min: 4_000,
            timeout_ms_max: 40_000,
            frame_bytes_max: ZOOKEEPER_FRAME_BYTES_MAX,
            words: vec![
                Word::Srvr,
                Word::Ruok,
                Word::Mntr,
                Word::Stat,
                Word::Isro,
                Word::Conf,
                Word::Envi,
            ],
            superuser_digest: None,
            sasl_users: Vec::new(),
            sasl_superuser: None,
        }
    }
}

impl Terms {
    /// What a session gets of the timeout that its client asked for.
    pub fn timeout_ms(&self, asked: i32) -> u32 {
        u32::try_from(asked)
            .unwrap_or(0)
            .clamp(self.timeout_ms_min, self.timeout_ms_max)
    }
}
