//! The words of our own that nodes say to each other: the greeting on each
//! connection, and the conversation by which a box joins. Bytes to meaning and
//! back; little endian.

use super::address::PeerAddress;
use crate::ids::{NodeId, Uid};
use crate::limits::{
    CERTIFICATE_BYTES_MAX, JOIN_BYTES_MAX, PEER_ADDRESS_BYTES_MAX, PEERS_MAX, REFUSAL_BYTES_MAX,
    RELEASE_BYTES_MAX,
};
use crate::wire::{Cursor, Short};
use std::fmt;

/// Raised when the words below change their form. Who hears another version
/// refuses with both numbers.
const VERSION: u16 = 1;

/// What a node runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Release {
    /// The feature level up to which it writes and reads.
    pub features: u32,
    /// For people.
    pub version: String,
}

/// The first frame of each direction. A later release may say more behind it,
/// which is passed over: members of two releases have to understand each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    pub node: NodeId,
    pub cluster: Uid,
    pub incarnation: u64,
    pub release: Release,
}

/// All that a joiner says. The secret goes only to who has shown the
/// authority that the token names.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinWords {
    pub token: [u8; 8],
    pub secret: [u8; 16],
    /// A point on P-256; its key never leaves the joiner.
    pub public_key: Vec<u8>,
    /// The key's signature over a value that only this connection has.
    pub possession: Vec<u8>,
    pub control: String,
    pub bulk: String,
    /// The feature level up to which its build writes and reads.
    pub features: u32,
}

/// What a joiner hears.
#[derive(Clone, PartialEq, Eq)]
pub enum JoinReply {
    Admitted(Admission),
    Refused(String),
    /// This member cannot answer; ask the one at this `host:port`.
    Elsewhere(String),
}

/// What makes a joiner a member.
#[derive(Clone, PartialEq, Eq)]
pub struct Admission {
    /// The joiner's certificate, made out to its new id.
    pub certificate: Vec<u8>,
    /// The authority's own certificate.
    pub authority: Vec<u8>,
    pub members: Vec<PeerAddress>,
    /// `Authority::export`, for one that is to vote.
    pub authority_key: Option<Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Malformed {
    Short(Short),
    Version(u16),
    TooLong {
        what: &'static str,
        length: usize,
        most: usize,
    },
    NotText(&'static str),
    Kind(u8),
    Left(usize),
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short(short) => short.fmt(f),
            Self::Version(found) => write!(
                f,
                "it speaks version {found} of the words between nodes, and this build {VERSION}"
            ),
            Self::TooLong { what, length, most } => {
                write!(f, "its {what} has {length} where {most} is the most")
            }
            Self::NotText(what) => write!(f, "its {what} is not UTF-8"),
            Self::Kind(found) => write!(f, "there is no answer of kind {found}"),
            Self::Left(count) => write!(f, "{count} bytes follow its end"),
        }
    }
}

impl std::error::Error for Malformed {}

impl From<Short> for Malformed {
    fn from(short: Short) -> Self {
        Self::Short(short)
    }
}

impl Hello {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = VERSION.to_le_bytes().to_vec();
        out.extend_from_slice(&self.node.0.to_le_bytes());
        out.extend_from_slice(&self.cluster.0);
        out.extend_from_slice(&self.incarnation.to_le_bytes());
        out.extend_from_slice(&self.release.features.to_le_bytes());
        let version = cut_to(&self.release.version, RELEASE_BYTES_MAX);
        put(&mut out, version.as_bytes());
        out
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut from = opened(bytes)?;
        Ok(Self {
            node: NodeId(from.u64()?),
            cluster: Uid(from.bytes16()?),
            incarnation: from.u64()?,
            release: Release {
                features: from.u32()?,
                version: text(&mut from, "version", RELEASE_BYTES_MAX)?,
            },
        })
    }
}

impl JoinWords {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = VERSION.to_le_bytes().to_vec();
        out.extend_from_slice(&self.token);
        out.extend_from_slice(&self.secret);
        put(&mut out, &self.public_key);
        put(&mut out, &self.possession);
        put(&mut out, self.control.as_bytes());
        put(&mut out, self.bulk.as_bytes());
        out.extend_from_slice(&self.features.to_le_bytes());
        out
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut from = opened(bytes)?;
        let words = Self {
            token: from.u64()?.to_le_bytes(),
            secret: from.bytes16()?,
            public_key: taken(&mut from, "public key", CERTIFICATE_BYTES_MAX)?,
            possession: taken(&mut from, "signature", CERTIFICATE_BYTES_MAX)?,
            control: text(&mut from, "control address", PEER_ADDRESS_BYTES_MAX)?,
            bulk: text(&mut from, "bulk address", PEER_ADDRESS_BYTES_MAX)?,
            features: from.u32()?,
        };
        ended(from).map(|()| words)
    }
}

/// Without the secret.
impl fmt::Debug for JoinWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinWords({:02x?} from {})", self.token, self.control)
    }
}

const ADMITTED: u8 = 0;
const REFUSED: u8 = 1;
const ELSEWHERE: u8 = 2;

impl JoinReply {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = VERSION.to_le_bytes().to_vec();
        match self {
            Self::Admitted(admission) => {
                out.push(ADMITTED);
                admission.encode(&mut out);
            }
            Self::Refused(why) => {
                out.push(REFUSED);
                put(&mut out, cut_to(why, REFUSAL_BYTES_MAX).as_bytes());
            }
            Self::Elsewhere(place) => {
                out.push(ELSEWHERE);
                put(&mut out, place.as_bytes());
            }
        }
        out
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut from = opened(bytes)?;
        let reply = match from.u8()? {
            ADMITTED => Self::Admitted(Admission::decode(&mut from)?),
            REFUSED => Self::Refused(text(&mut from, "reason", REFUSAL_BYTES_MAX)?),
            ELSEWHERE => Self::Elsewhere(text(&mut from, "address", PEER_ADDRESS_BYTES_MAX)?),
            kind => return Err(Malformed::Kind(kind)),
        };
        ended(from).map(|()| reply)
    }
}

impl Admission {
    fn encode(&self, out: &mut Vec<u8>) {
        put(out, &self.certificate);
        put(out, &self.authority);
        out.extend_from_slice(&(self.members.len() as u16).to_le_bytes());
        for member in &self.members {
            out.extend_from_slice(&member.node.0.to_le_bytes());
            out.extend_from_slice(&member.certificate.to_le_bytes());
            put(out, member.control.as_bytes());
            put(out, member.bulk.as_bytes());
        }
        match &self.authority_key {
            Some(key) => {
                out.push(1);
                put(out, key);
            }
            None => out.push(0),
        }
    }

    fn decode(from: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let certificate = taken(from, "certificate", CERTIFICATE_BYTES_MAX)?;
        let authority = taken(from, "authority", CERTIFICATE_BYTES_MAX)?;
        let count = usize::from(from.u16()?);
        if count > PEERS_MAX {
            return Err(too_long("list of members", count, PEERS_MAX));
        }
        let mut members = Vec::new();
        for _ in 0..count {
            members.push(PeerAddress {
                node: NodeId(from.u64()?),
                certificate: from.u64()?,
                control: text(from, "control address", PEER_ADDRESS_BYTES_MAX)?,
                bulk: text(from, "bulk address", PEER_ADDRESS_BYTES_MAX)?,
            });
        }
        let authority_key = match from.u8()? {
            0 => None,
            1 => Some(taken(from, "authority's key", JOIN_BYTES_MAX)?),
            kind => return Err(Malformed::Kind(kind)),
        };
        Ok(Self {
            certificate,
            authority,
            members,
            authority_key,
        })
    }
}

/// Without the authority's key.
impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Admission(among {:?})", self.members)
    }
}

impl fmt::Debug for JoinReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Admitted(admission) => admission.fmt(f),
            Self::Refused(why) => write!(f, "Refused({why})"),
            Self::Elsewhere(place) => write!(f, "Elsewhere({place})"),
        }
    }
}

fn opened(bytes: &[u8]) -> Result<Cursor<'_>, Malformed> {
    let mut from = Cursor::new(bytes);
    match from.u16()? {
        VERSION => Ok(from),
        other => Err(Malformed::Version(other)),
    }
}

fn ended(from: Cursor<'_>) -> Result<(), Malformed> {
    match from.left() {
        0 => Ok(()),
        count => Err(Malformed::Left(count)),
    }
}

/// Two bytes of length, then the bytes.
fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u16::try_from(bytes.len()).expect("what we say ourselves is short");
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(bytes);
}

/// The length is compared with what is left before anything is copied.
fn taken(from: &mut Cursor<'_>, what: &'static str, most: usize) -> Result<Vec<u8>, Malformed> {
    let length = usize::from(from.u16()?);
    if length > most {
        return Err(too_long(what, length, most));
    }
    Ok(from.take(length)?.to_vec())
}

fn text(from: &mut Cursor<'_>, what: &'static str, most: usize) -> Result<String, Malformed> {
    String::from_utf8(taken(from, what, most)?).map_err(|_| Malformed::NotText(what))
}

fn too_long(what: &'static str, length: usize, most: usize) -> Malformed {
    Malformed::TooLong { what, length, most }
}

/// A sentence of ours may quote a stranger's words and so grow long.
pub(super) fn cut_to(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::Seeded;

    fn hello() -> Hello {
        Hello {
            node: NodeId(3),
            cluster: Uid([7; 16]),
            incarnation: 1 << 40,
            release: Release {
                features: 2,
                version: "0.2.0".into(),
            },
        }
    }

    fn words() -> JoinWords {
        JoinWords {
            token: *b"8 bytes!",
            secret: *b"sixteen bytes ok",
            public_key: vec![4; 65],
            possession: vec![9; 70],
            control: "box-3:7300".into(),
            bulk: "box-3:7301".into(),
            features: 2,
        }
    }

    fn replies() -> [JoinReply; 4] {
        let member = |node| PeerAddress {
            node: NodeId(node),
            control: format!("box-{node}:7300"),
            bulk: format!("box-{node}:7301"),
            certificate: node + 10,
        };
        let admission = Admission {
            certificate: vec![1; 500],
            authority: vec![2; 400],
            members: (1..=3).map(member).collect(),
            authority_key: Some(vec![3; 900]),
        };
        let without_key = Admission {
            authority_key: None,
            ..admission.clone()
        };
        [
            JoinReply::Admitted(admission),
            JoinReply::Admitted(without_key),
            JoinReply::Refused("the token is used up".into()),
            JoinReply::Elsewhere("box-1:7300".into()),
        ]
    }

    #[test]
    fn what_is_said_is_heard() {
        assert_eq!(Hello::decode(&hello().encode()), Ok(hello()));
        assert_eq!(JoinWords::decode(&words().encode()), Ok(words()));
        for reply in replies() {
            assert_eq!(JoinReply::decode(&reply.encode()), Ok(reply));
        }
    }

    #[test]
    fn the_largest_admission_fits() {
        let member = |node| PeerAddress {
            node: NodeId(node),
            control: "h".repeat(PEER_ADDRESS_BYTES_MAX),
            bulk: "h".repeat(PEER_ADDRESS_BYTES_MAX),
            certificate: u64::MAX,
        };
        let reply = JoinReply::Admitted(Admission {
            certificate: vec![1; CERTIFICATE_BYTES_MAX],
            authority: vec![2; CERTIFICATE_BYTES_MAX],
            members: (0..PEERS_MAX as u64).map(member).collect(),
            authority_key: Some(vec![3; 2 * CERTIFICATE_BYTES_MAX]),
        });
        assert!(reply.encode().len() <= JOIN_BYTES_MAX);
        assert_eq!(JoinReply::decode(&reply.encode()), Ok(reply));
    }

    #[test]
    fn every_cut_and_every_tail_is_refused() {
        fn check<T: fmt::Debug>(bytes: &[u8], decode: impl Fn(&[u8]) -> Result<T, Malformed>) {
            for length in 0..bytes.len() {
                assert!(decode(&bytes[..length]).is_err(), "{length} of {bytes:?}");
            }
            let longer = [bytes, &[0]].concat();
            assert_eq!(decode(&longer).unwrap_err(), Malformed::Left(1));
        }
        check(&words().encode(), JoinWords::decode);
        for reply in replies() {
            check(&reply.encode(), JoinReply::decode);
        }
    }

    #[test]
    fn what_a_later_release_adds_to_a_greeting_is_passed_over() {
        let bytes = hello().encode();
        for length in 0..bytes.len() {
            assert!(Hello::decode(&bytes[..length]).is_err(), "{length}");
        }
        let longer = [&bytes[..], b"and more"].concat();
        assert_eq!(Hello::decode(&longer), Ok(hello()));
    }

    #[test]
    fn the_longest_greeting_fits_its_frame() {
        let mut long = hello();
        long.release.version = "v".repeat(1000);
        let bytes = long.encode();
        assert!(bytes.len() <= super::super::link::HELLO_BYTES_MAX / 2);
        let version = Hello::decode(&bytes).unwrap().release.version;
        assert_eq!(version.len(), RELEASE_BYTES_MAX);
    }

    #[test]
    fn another_version_is_refused_with_both_numbers() {
        let mut bytes = hello().encode();
        bytes[0] = 9;
        let says = Hello::decode(&bytes).unwrap_err().to_string();
        assert!(
            says.contains("version 9") && says.contains("this build 1"),
            "{says}"
        );
    }

    #[test]
    fn noise_never_panics_and_reads_back_as_itself() {
        let mut chance = Seeded::new(1);
        for _ in 0..20_000 {
            let all = replies().map(|reply| reply.encode());
            let mut bytes = all[chance.below(4) as usize].clone();
            for _ in 0..=chance.below(4) {
                let at = chance.below(bytes.len() as u64) as usize;
                bytes[at] = chance.next_u64() as u8;
            }
            if let Ok(reply) = JoinReply::decode(&bytes) {
                assert_eq!(reply.encode(), bytes);
            }
            let _ = JoinWords::decode(&bytes);
            let _ = Hello::decode(&bytes);
        }
    }
}
