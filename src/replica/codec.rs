//! What replicas say to each other beside consensus, as bytes. One lead byte
//! says which; numbers are little endian.

use crate::ids::{Index, SessionId, Term};
use crate::limits::{FORWARDED_PER_FRAME_MAX, TOUCHED_PER_FRAME_MAX};
use crate::wire::{Cursor, Short};

/// One frame between two replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A message of `consensus`, in its own codec.
    Consensus(&'a [u8]),
    /// Submissions for the leader, each in the codec of `state`, in the order
    /// in which they are to be applied.
    Forward(Vec<&'a [u8]>),
    /// Sessions that a follower has heard from.
    Touch(Vec<SessionId>),
    /// What a replica's state summed to when it had applied `index`.
    Digest { index: Index, digest: u64 },
    /// Asks for a piece of the snapshot at `index`.
    AskPiece { index: Index, term: Term, at: u64 },
    Piece {
        index: Index,
        term: Term,
        at: u64,
        bytes: &'a [u8],
    },
    /// The snapshot that was asked for is no longer kept.
    NoPiece { index: Index, term: Term },
    /// Asks for word of a snapshot of at least this index.
    AskSnapshot { least: Index },
    /// The answer: one that is kept, and its length.
    HaveSnapshot {
        index: Index,
        term: Term,
        bytes: u64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    Short(Short),
    Unknown(u8),
    TooMany(usize),
    Trailing(usize),
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Short(short) => short.fmt(f),
            Self::Unknown(kind) => write!(f, "a frame of the unknown kind {kind}"),
            Self::TooMany(count) => write!(f, "{count} parts in one frame"),
            Self::Trailing(count) => write!(f, "{count} bytes behind the frame's end"),
        }
    }
}

impl From<Short> for Unreadable {
    fn from(short: Short) -> Self {
        Self::Short(short)
    }
}

const CONSENSUS: u8 = 1;
const FORWARD: u8 = 2;
const TOUCH: u8 = 3;
const DIGEST: u8 = 4;
const ASK_PIECE: u8 = 5;
const PIECE: u8 = 6;
const NO_PIECE: u8 = 7;
const ASK_CERTIFICATE: u8 = 8;
const CERTIFICATE: u8 = 9;
const ASK_SNAPSHOT: u8 = 10;
const HAVE_SNAPSHOT: u8 = 11;

/// What travels among the replica's frames and is not the replica's: who hears
/// them for it takes these out first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Aside {
    /// A member wants a new certificate for this public key.
    AskCertificate(Vec<u8>),
    /// The answer.
    Certificate(Vec<u8>),
}

impl Aside {
    pub fn encode(&self) -> Vec<u8> {
        let (kind, bytes) = match self {
            Self::AskCertificate(key) => (ASK_CERTIFICATE, key),
            Self::Certificate(certificate) => (CERTIFICATE, certificate),
        };
        [&[kind], &bytes[..]].concat()
    }

    /// None for a frame of the replica's.
    pub fn of(frame: &[u8]) -> Option<Self> {
        let (kind, bytes) = frame.split_first()?;
        match *kind {
            ASK_CERTIFICATE => Some(Self::AskCertificate(bytes.to_vec())),
            CERTIFICATE => Some(Self::Certificate(bytes.to_vec())),
            _ => None,
        }
    }
}

impl Frame<'_> {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.encoded_bytes());
        match self {
            Self::Consensus(message) => {
                out.push(CONSENSUS);
                out.extend_from_slice(message);
            }
            Self::Forward(submissions) => {
                out.push(FORWARD);
                put_u32(&mut out, submissions.len());
                for submission in submissions {
                    put_u32(&mut out, submission.len());
                    out.extend_from_slice(submission);
                }
            }
            Self::Touch(sessions) => {
                out.push(TOUCH);
                put_u32(&mut out, sessions.len());
                for session in sessions {
                    out.extend_from_slice(&session.0.to_le_bytes());
                }
            }
            Self::Digest { index, digest } => {
                out.push(DIGEST);
                put_numbers(&mut out, &[index.0, *digest]);
            }
            Self::AskPiece { index, term, at } => {
                out.push(ASK_PIECE);
                put_numbers(&mut out, &[index.0, term.0, *at]);
            }
            Self::Piece {
                index,
                term,
                at,
                bytes,
            } => {
                out.push(PIECE);
                put_numbers(&mut out, &[index.0, term.0, *at]);
                out.extend_from_slice(bytes);
            }
            Self::NoPiece { index, term } => {
                out.push(NO_PIECE);
                put_numbers(&mut out, &[index.0, term.0]);
            }
            Self::AskSnapshot { least } => {
                out.push(ASK_SNAPSHOT);
                put_numbers(&mut out, &[least.0]);
            }
            Self::HaveSnapshot { index, term, bytes } => {
                out.push(HAVE_SNAPSHOT);
                put_numbers(&mut out, &[index.0, term.0, *bytes]);
            }
        }
        out
    }

    fn encoded_bytes(&self) -> usize {
        match self {
            Self::Consensus(message) => 1 + message.len(),
            Self::Forward(submissions) => {
                5 + submissions.iter().map(|one| 4 + one.len()).sum::<usize>()
            }
            Self::Touch(sessions) => 5 + 8 * sessions.len(),
            Self::Piece { bytes, .. } => 25 + bytes.len(),
            Self::Digest { .. }
            | Self::AskPiece { .. }
            | Self::NoPiece { .. }
            | Self::AskSnapshot { .. }
            | Self::HaveSnapshot { .. } => 25,
        }
    }
}

/// Reads a frame that a peer sent.
pub fn decode(bytes: &[u8]) -> Result<Frame<'_>, Unreadable> {
    let mut cursor = Cursor::new(bytes);
    let kind = cursor.u8()?;
    let frame = match kind {
        CONSENSUS => Frame::Consensus(cursor.take(cursor.left())?),
        FORWARD => {
            let count = count(&mut cursor, FORWARDED_PER_FRAME_MAX, 4)?;
            let mut submissions = Vec::with_capacity(count);
            for _ in 0..count {
                let length = cursor.u32()? as usize;
                submissions.push(cursor.take(length)?);
            }
            Frame::Forward(submissions)
        }
        TOUCH => {
            let count = count(&mut cursor, TOUCHED_PER_FRAME_MAX, 8)?;
            let sessions = (0..count).map(|_| cursor.u64().map(SessionId));
            Frame::Touch(sessions.collect::<Result<_, _>>()?)
        }
        DIGEST => Frame::Digest {
            index: Index(cursor.u64()?),
            digest: cursor.u64()?,
        },
        ASK_PIECE => Frame::AskPiece {
            index: Index(cursor.u64()?),
            term: Term(cursor.u64()?),
            at: cursor.u64()?,
        },
        PIECE => Frame::Piece {
            index: Index(cursor.u64()?),
            term: Term(cursor.u64()?),
            at: cursor.u64()?,
            bytes: cursor.take(cursor.left())?,
        },
        NO_PIECE => Frame::NoPiece {
            index: Index(cursor.u64()?),
            term: Term(cursor.u64()?),
        },
        ASK_SNAPSHOT => Frame::AskSnapshot {
            least: Index(cursor.u64()?),
        },
        HAVE_SNAPSHOT => Frame::HaveSnapshot {
            index: Index(cursor.u64()?),
            term: Term(cursor.u64()?),
            bytes: cursor.u64()?,
        },
        unknown => return Err(Unreadable::Unknown(unknown)),
    };
    match cursor.left() {
        0 => Ok(frame),
        left => Err(Unreadable::Trailing(left)),
    }
}

/// A declared count, compared with its bound and with the bytes that are left.
fn count(cursor: &mut Cursor<'_>, most: usize, least_bytes: usize) -> Result<usize, Unreadable> {
    let count = cursor.u32()? as usize;
    match count <= most && count <= cursor.left() / least_bytes {
        true => Ok(count),
        false => Err(Unreadable::TooMany(count)),
    }
}

fn put_u32(out: &mut Vec<u8>, number: usize) {
    let number = u32::try_from(number).expect("a frame is far below 4 GiB");
    out.extend_from_slice(&number.to_le_bytes());
}

fn put_numbers(out: &mut Vec<u8>, numbers: &[u64]) {
    numbers
        .iter()
        .for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Frame<'static>> {
        let (index, term) = (Index(7), Term(3));
        vec![
            Frame::Consensus(b"vote"),
            Frame::Forward(vec![b"one", b"", b"three"]),
            Frame::Touch(vec![SessionId(1), SessionId(u64::MAX)]),
            Frame::Digest { index, digest: 9 },
            Frame::AskPiece { index, term, at: 5 },
            Frame::Piece {
                index,
                term,
                at: 5,
                bytes: b"piece",
            },
            Frame::NoPiece { index, term },
            Frame::AskSnapshot { least: index },
            Frame::HaveSnapshot {
                index,
                term,
                bytes: 4096,
            },
        ]
    }

    #[test]
    fn every_frame_comes_back() {
        for frame in all() {
            assert_eq!(decode(&frame.encode()), Ok(frame));
        }
    }

    #[test]
    fn an_aside_is_no_frame_and_no_frame_is_an_aside() {
        for aside in [
            Aside::AskCertificate(vec![4; 65]),
            Aside::Certificate(Vec::new()),
        ] {
            let bytes = aside.encode();
            assert_eq!(decode(&bytes), Err(Unreadable::Unknown(bytes[0])));
            assert_eq!(Aside::of(&bytes), Some(aside));
        }
        for frame in all() {
            assert_eq!(Aside::of(&frame.encode()), None);
        }
    }

    #[test]
    fn a_cut_frame_is_refused_or_another_frame() {
        for frame in all() {
            let bytes = frame.encode();
            for end in 0..bytes.len() {
                assert_ne!(decode(&bytes[..end]).ok(), Some(frame.clone()), "{end}");
            }
        }
    }

    #[test]
    fn a_declared_count_allocates_nothing() {
        for kind in [FORWARD, TOUCH] {
            let mut bytes = vec![kind];
            bytes.extend_from_slice(&u32::MAX.to_le_bytes());
            assert!(matches!(decode(&bytes), Err(Unreadable::TooMany(_))));
        }
        assert_eq!(decode(&[99]), Err(Unreadable::Unknown(99)));
    }
}
