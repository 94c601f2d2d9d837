//! A backup's file as bytes:
//!
//! ```text
//! "dlmnback"  version 4  length 4  CRC-32C 4  the head: JSON
//! frames of a snapshot, each with its own head and CRC-32C
//! "dend"      version 4  length 4  CRC-32C 4  sums, and a CRC-32C of all before
//! ```
//!
//! Numbers have their least significant byte first; a CRC is over what stands
//! before it in its part, and the body. Read as what a stranger wrote, in
//! pieces as they come: what is held is at most one frame and one piece.

use crate::clock::Millis;
use crate::ids::{Index, NodeId, Uid, Zxid};
use crate::limits::BACKUP_HEAD_BYTES_MAX;
use crate::state::snapshot::backup::{self, FRAME_HEAD_BYTES, LoadError, Sums};
use crate::wire::{Cursor, crc32c, crc32c_append};
use serde_json::{Value, json};
use std::fmt;

pub const MAGIC: &[u8; 8] = b"dlmnback";
pub const VERSION: u32 = 1;
const END: &[u8; 4] = b"dend";
const HEAD_BYTES: usize = MAGIC.len() + 12;
const END_HEAD_BYTES: usize = END.len() + 12;
/// Five sums and a checksum.
const END_BODY_BYTES: usize = 5 * 8 + 4;

/// What the file begins with: which backup it is, and of what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Drawn when it was made; a copy of the file has the same.
    pub id: Uid,
    pub cluster: Uid,
    pub node: NodeId,
    pub zxid: Zxid,
    pub log_index: Index,
    pub at: Millis,
    /// The build that wrote it.
    pub version: String,
    /// What it takes to understand the state in it.
    pub features: u32,
    /// No majority confirmed it: other nodes may have known more.
    pub is_stale: bool,
    pub nodes: u64,
    /// Left out, as whoever held them is gone when it is restored.
    pub ephemerals: u64,
    pub sessions: u64,
}

/// What is wrong with a file, and at which byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    pub at: u64,
    pub why: Wrong,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    NoBackup,
    Version { found: u32 },
    TooLong { bytes: usize, bytes_max: usize },
    Checksum { declared: u32, found: u32 },
    Head(String),
    Frame(LoadError),
    CutShort,
    Sums,
    Whole { declared: u32, found: u32 },
    Trailing,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}: {}", self.at, self.why)
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoBackup => f.write_str("this is no backup"),
            Self::Version { found } => {
                write!(f, "format version {found}; this build reads {VERSION}")
            }
            Self::TooLong { bytes, bytes_max } => {
                write!(f, "{bytes} bytes declared where {bytes_max} is the most")
            }
            Self::Checksum { declared, found } => {
                write!(f, "the checksum is {found:08x}, not {declared:08x}")
            }
            Self::Head(why) => write!(f, "the head means nothing: {why}"),
            Self::Frame(why) => why.fmt(f),
            Self::CutShort => f.write_str("the file ends here, before its end mark"),
            Self::Sums => f.write_str("the end mark counts what is not there"),
            Self::Whole { declared, found } => write!(
                f,
                "the checksum of the whole file is {found:08x}, not {declared:08x}"
            ),
            Self::Trailing => f.write_str("bytes follow the end mark"),
        }
    }
}

impl Head {
    pub fn json(&self) -> Value {
        json!({
            "id": self.id.to_string(),
            "cluster": self.cluster.to_string(),
            "node": self.node.0,
            "zxid": format!("{:#x}", self.zxid.0),
            "log_index": self.log_index.0,
            "at": self.at.to_string(),
            "at_ms": self.at.0,
            "version": self.version,
            "features": self.features,
            "stale": self.is_stale,
            "nodes": self.nodes,
            "left_out": { "ephemerals": self.ephemerals, "sessions": self.sessions },
        })
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let value: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let missing = |what: &str| format!("{what} is missing");
        let text = |key: &str| value[key].as_str().ok_or_else(|| missing(key));
        let number = |key: &str| value[key].as_u64().ok_or_else(|| missing(key));
        let uid = |key: &str| Uid::parse(text(key)?).ok_or(format!("{key} is not 32 digits"));
        let left_out = |key: &str| {
            let found = value["left_out"][key].as_u64();
            found.ok_or_else(|| missing(key))
        };
        Ok(Self {
            id: uid("id")?,
            cluster: uid("cluster")?,
            node: NodeId(number("node")?),
            zxid: parse_zxid(text("zxid")?).ok_or("zxid is no number")?,
            log_index: Index(number("log_index")?),
            at: Millis(number("at_ms")?),
            version: text("version")?.into(),
            features: u32::try_from(number("features")?).map_err(|error| error.to_string())?,
            is_stale: value["stale"].as_bool().ok_or_else(|| missing("stale"))?,
            nodes: number("nodes")?,
            ephemerals: left_out("ephemerals")?,
            sessions: left_out("sessions")?,
        })
    }
}

/// As we write them: `0x1a`.
pub fn parse_zxid(text: &str) -> Option<Zxid> {
    let digits = text.strip_prefix("0x")?;
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u64::from_str_radix(digits, 16).ok().filter(|_| is_hex)?;
    Some(Zxid(number))
}

/// Writes a file's bytes in their order, and sums them up.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: u64,
    crc: u32,
}

impl Writer {
    pub fn head(&mut self, head: &Head) -> Vec<u8> {
        let body = head.json().to_string().into_bytes();
        self.note(part(MAGIC, &body))
    }

    /// Takes a frame as it is.
    pub fn frame(&mut self, frame: Vec<u8>) -> Vec<u8> {
        self.note(frame)
    }

    pub fn end(&mut self, sums: &Sums) -> Vec<u8> {
        let mut body = Vec::with_capacity(END_BODY_BYTES);
        for number in numbers(sums) {
            body.extend_from_slice(&number.to_le_bytes());
        }
        body.extend_from_slice(&self.crc.to_le_bytes());
        self.note(part(END, &body))
    }

    /// So long is the file by now.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    fn note(&mut self, bytes: Vec<u8>) -> Vec<u8> {
        self.bytes += bytes.len() as u64;
        self.crc = crc32c_append(self.crc, &bytes);
        bytes
    }
}

fn numbers(sums: &Sums) -> [u64; 5] {
    let Sums {
        frames,
        nodes,
        settings,
        data_bytes,
        digest,
    } = *sums;
    [frames, nodes, settings, data_bytes, digest]
}

fn part(magic: &[u8], body: &[u8]) -> Vec<u8> {
    let mut out = magic.to_vec();
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&(body.len() as u32).to_le_bytes());
    let crc = crc32c_append(crc32c(&out), body);
    out.extend_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(body);
    out
}

/// What comes out of a file, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Head(Head),
    /// A frame that is what it was, and where it stands.
    Frame {
        at: u64,
        bytes: Vec<u8>,
    },
    End(Sums),
}

/// Reads a file in pieces as they come.
#[derive(Debug, Default)]
pub struct Reading {
    held: Vec<u8>,
    /// How much of `held` was taken.
    taken: usize,
    /// Where in the file the part begins that comes next.
    at: u64,
    /// Of all before it.
    crc: u32,
    frames: u64,
    step: Step,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Step {
    #[default]
    Head,
    Frames,
    Over,
}

impl Reading {
    pub fn add(&mut self, piece: &[u8]) {
        self.held.drain(..self.taken);
        self.taken = 0;
        self.held.extend_from_slice(piece);
    }

    /// The next part; None until more has come.
    pub fn next_part(&mut self) -> Result<Option<Part>, Damage> {
        let at = self.at;
        let next = match self.step {
            Step::Head => self.head(),
            Step::Frames => self.frame_or_end(),
            Step::Over if self.left().is_empty() => Ok(None),
            Step::Over => Err(Wrong::Trailing),
        };
        next.map_err(|why| Damage { at, why })
    }

    /// The file is over: all that was to come has come.
    pub fn end(&self) -> Result<(), Damage> {
        let at = self.at + self.left().len() as u64;
        let why = match self.step {
            Step::Over => return Ok(()),
            // Less than a name: it may be anything.
            Step::Head if self.left().len() < MAGIC.len() => Wrong::NoBackup,
            Step::Head | Step::Frames => Wrong::CutShort,
        };
        Err(Damage { at, why })
    }

    fn left(&self) -> &[u8] {
        &self.held[self.taken..]
    }

    fn head(&mut self) -> Result<Option<Part>, Wrong> {
        let seen = self.left().len().min(MAGIC.len());
        if self.left()[..seen] != MAGIC[..seen] {
            return Err(Wrong::NoBackup);
        }
        let Some(body) = self.part(MAGIC.len(), BACKUP_HEAD_BYTES_MAX)? else {
            return Ok(None);
        };
        let head = Head::parse(&body[HEAD_BYTES..]).map_err(Wrong::Head)?;
        self.step = Step::Frames;
        Ok(Some(Part::Head(head)))
    }

    fn frame_or_end(&mut self) -> Result<Option<Part>, Wrong> {
        match self.left().first_chunk::<4>() {
            None => Ok(None),
            Some(END) => self.end_mark(),
            Some(_) => self.frame(),
        }
    }

    fn frame(&mut self) -> Result<Option<Part>, Wrong> {
        let Some(head) = self.left().first_chunk::<FRAME_HEAD_BYTES>() else {
            return Ok(None);
        };
        let bytes = FRAME_HEAD_BYTES + backup::body_bytes(head).map_err(Wrong::Frame)?;
        let Some(frame) = self.left().get(..bytes) else {
            return Ok(None);
        };
        backup::check_frame(frame).map_err(Wrong::Frame)?;
        let (at, bytes) = (self.at, frame.to_vec());
        self.take(bytes.len());
        self.frames += 1;
        Ok(Some(Part::Frame { at, bytes }))
    }

    fn end_mark(&mut self) -> Result<Option<Part>, Wrong> {
        let crc = self.crc;
        let Some(end) = self.part(END.len(), END_BODY_BYTES)? else {
            return Ok(None);
        };
        let mut body = Cursor::new(&end[END_HEAD_BYTES..]);
        let mut number = || body.u64().map_err(|_| Wrong::Sums);
        let sums = Sums {
            frames: number()?,
            nodes: number()?,
            settings: number()?,
            data_bytes: number()?,
            digest: number()?,
        };
        let declared = body.u32().map_err(|_| Wrong::Sums)?;
        if declared != crc {
            return Err(Wrong::Whole {
                declared,
                found: crc,
            });
        }
        if sums.frames != self.frames {
            return Err(Wrong::Sums);
        }
        self.step = Step::Over;
        Ok(Some(Part::End(sums)))
    }

    /// A part of ours, whole and as it was written.
    fn part(
        &mut self,
        magic_bytes: usize,
        body_bytes_max: usize,
    ) -> Result<Option<Vec<u8>>, Wrong> {
        let mut cursor = Cursor::new(self.left());
        let mut head = || {
            cursor.take(magic_bytes)?;
            Ok::<_, crate::wire::Short>((cursor.u32()?, cursor.u32()? as usize, cursor.u32()?))
        };
        let Ok((version, bytes, declared)) = head() else {
            return Ok(None);
        };
        if version != VERSION {
            return Err(Wrong::Version { found: version });
        }
        if bytes > body_bytes_max {
            return Err(Wrong::TooLong {
                bytes,
                bytes_max: body_bytes_max,
            });
        }
        let Ok(body) = cursor.take(bytes) else {
            return Ok(None);
        };
        let covered = &self.left()[..magic_bytes + 8];
        let found = crc32c_append(crc32c(covered), body);
        if found != declared {
            return Err(Wrong::Checksum { declared, found });
        }
        let whole = self.left()[..magic_bytes + 12 + bytes].to_vec();
        self.take(whole.len());
        Ok(Some(whole))
    }

    fn take(&mut self, bytes: usize) {
        let taken = &self.held[self.taken..self.taken + bytes];
        self.crc = crc32c_append(self.crc, taken);
        self.taken += bytes;
        self.at += bytes as u64;
    }
}
