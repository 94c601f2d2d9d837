//! Snapshots on disk: taken, kept, handed to a peer, fetched from one.
//!
//! A snapshot's file is a head, the frames of `state`, and an end that counts
//! them. It is written under another name, synced, and named last, so that a
//! named file is whole. The last two are kept, and of this node's own all
//! entries behind the older one: should the newest not read well, the one
//! before still leads to the same state. Behind one that came from a leader
//! the log begins anew, and nothing older leads there: then another node's has
//! to (`lacking`).

use super::codec::Frame;
use super::level_file::LevelFile;
use crate::consensus::{Members, Snapshot};
use crate::disk::{Disk, File, How};
use crate::ids::{Index, NodeId, Term, Uid};
use crate::limits::{SNAPSHOT_FRAME_BYTES_MAX, SNAPSHOT_HEAD_BYTES_MAX, SNAPSHOT_PIECE_BYTES};
use crate::planted;
use crate::state::{LoadError, Loader, State};
use crate::wire::{Cursor, crc32c};
use std::io;
use std::sync::Arc;

const FOLDER: &str = "snapshots";
const TAKING: &str = "snapshots/taking";
const FETCHING: &str = "snapshots/fetching";
const MAGIC: &[u8; 8] = b"dlmnsnap";
const VERSION: u32 = 1;
/// How many are kept.
const KEPT: usize = 2;

/// A snapshot's place in history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub index: Index,
    pub term: Term,
}

impl Place {
    fn file_name(self) -> String {
        format!("{FOLDER}/{:016x}-{:016x}", self.index.0, self.term.0)
    }

    fn parse(name: &str) -> Option<Self> {
        let (index, term) = name.split_once('-')?;
        let number = |text: &str| match text.len() {
            16 => u64::from_str_radix(text, 16).ok(),
            _ => None,
        };
        Some(Self {
            index: Index(number(index)?),
            term: Term(number(term)?),
        })
    }
}

/// What a file begins with.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    pub cluster: Uid,
    pub place: Place,
    pub members: Members,
}

impl Head {
    fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        body.extend_from_slice(&self.cluster.0);
        body.extend_from_slice(&self.place.index.0.to_le_bytes());
        body.extend_from_slice(&self.place.term.0.to_le_bytes());
        body.extend_from_slice(&self.members.encode());
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&(body.len() as u32).to_le_bytes());
        out.extend_from_slice(&crc32c(&body).to_le_bytes());
        out.extend_from_slice(&body);
        out
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let short = |short: crate::wire::Short| short.to_string();
        let mut cursor = Cursor::new(bytes);
        let cluster = Uid(cursor.bytes16().map_err(short)?);
        let index = Index(cursor.u64().map_err(short)?);
        let term = Term(cursor.u64().map_err(short)?);
        let rest = cursor.take(cursor.left()).map_err(short)?;
        let members = Members::parse(rest).map_err(|bad| bad.to_string())?;
        Ok(Self {
            cluster,
            place: Place { index, term },
            members,
        })
    }
}

/// What the leader tells a follower of a snapshot it should fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manifest {
    pub bytes: u64,
}

impl Manifest {
    pub fn encode(self) -> Vec<u8> {
        self.bytes.to_le_bytes().to_vec()
    }

    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.try_into().ok()?;
        Some(Self {
            bytes: u64::from_le_bytes(bytes),
        })
    }
}

/// A snapshot read back.
pub struct Loaded {
    pub head: Head,
    pub bytes: u64,
    pub state: State,
}

impl Loaded {
    pub fn as_snapshot(&self) -> Snapshot {
        Snapshot {
            index: self.head.place.index,
            term: self.head.place.term,
            members: self.head.members.clone(),
            manifest: Manifest { bytes: self.bytes }.encode(),
        }
    }
}

/// The places of the named files, the newest first. Clears away what was being
/// written when the process ended.
pub fn list(disk: &dyn Disk) -> io::Result<Vec<Place>> {
    let names = disk.list(FOLDER)?;
    if !names.is_empty() {
        // A process that was killed behind the renaming has not synced the
        // name, and entries are forgotten because the snapshot is there.
        disk.sync_folder(FOLDER)?;
    }
    for (name, path) in [("taking", TAKING), ("fetching", FETCHING)] {
        if names.iter().any(|found| found == name) {
            disk.remove(path)?;
        }
    }
    let mut places: Vec<Place> = names.iter().filter_map(|name| Place::parse(name)).collect();
    places.sort_unstable_by(|a, b| b.cmp(a));
    Ok(places)
}

/// The head of a snapshot's file, from its first bytes, for who looks at it
/// from outside.
pub fn head(bytes: &[u8]) -> Result<Head, String> {
    let short = |short: crate::wire::Short| short.to_string();
    let mut cursor = Cursor::new(bytes);
    if cursor.take(8).map_err(short)? != MAGIC {
        return Err("this is no snapshot".into());
    }
    let mut number = || cursor.u32().map_err(short);
    let (version, length, crc) = (number()?, number()?, number()?);
    if version != VERSION {
        return Err(format!(
            "format version {version}; this build reads {VERSION}"
        ));
    }
    let body = cursor.take(length as usize).map_err(short)?;
    match crc32c(body) == crc {
        true => Head::parse(body),
        false => Err("a head whose checksum does not match".into()),
    }
}

/// Why a snapshot is not taken up, a sentence each.
pub enum NotLoaded {
    /// What is wrong with the file.
    Damaged(String),
    /// The file is sound, and a newer release wrote it.
    Newer(String),
}

impl From<String> for NotLoaded {
    fn from(wrong: String) -> Self {
        Self::Damaged(wrong)
    }
}

impl From<LoadError> for NotLoaded {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Raised(_) => Self::Newer(error.to_string()),
            // Behind a checksum of the whole frame.
            LoadError::Schema { found, known } if found > known => Self::Newer(format!(
                "written in schema {found}, and this release reads schema {known}: install the \
                 newer release again"
            )),
            _ => Self::Damaged(error.to_string()),
        }
    }
}

/// Reads a snapshot of a level that is known.
pub fn load(disk: &dyn Disk, place: Place, known: u32) -> Result<Loaded, NotLoaded> {
    load_file(disk, &place.file_name(), known)
}

fn load_file(disk: &dyn Disk, name: &str, known: u32) -> Result<Loaded, NotLoaded> {
    let io = |error: io::Error| format!("{name}: {error}");
    let file = disk.open(name, How::Read).map_err(io)?;
    let mut reader = Reader {
        length: file.len().map_err(io)?,
        file,
        at: 0,
    };
    let loaded = reader.load(known);
    loaded.map_err(|error| match error {
        NotLoaded::Damaged(wrong) => {
            NotLoaded::Damaged(format!("{name}, byte {}: {wrong}", reader.at))
        }
        newer => newer,
    })
}

struct Reader {
    file: Arc<dyn File>,
    length: u64,
    at: u64,
}

impl Reader {
    fn load(&mut self, known: u32) -> Result<Loaded, NotLoaded> {
        if self.take(8, 8)? != MAGIC {
            return Err(String::from("this is no snapshot").into());
        }
        let version = self.number()?;
        if version != VERSION {
            return Err(format!("format version {version}; this build reads {VERSION}").into());
        }
        let head = Head::parse(&self.frame(SNAPSHOT_HEAD_BYTES_MAX)?)?;
        let mut loader = Loader::knowing(known);
        let mut count = 0u32;
        loop {
            let length = self.number()?;
            if length == 0 {
                break;
            }
            let bytes = self.sized(length, SNAPSHOT_FRAME_BYTES_MAX)?;
            loader.frame(&bytes)?;
            count += 1;
        }
        let told = self.number()?;
        if told != count {
            return Err(format!("{count} frames where the end counts {told}").into());
        }
        let state = loader.finish()?;
        Ok(Loaded {
            head,
            bytes: self.length,
            state,
        })
    }

    fn number(&mut self) -> Result<u32, String> {
        let bytes = self.take(4, 4)?;
        Ok(u32::from_le_bytes(bytes.try_into().expect("four bytes")))
    }

    fn frame(&mut self, bytes_max: usize) -> Result<Vec<u8>, String> {
        let length = self.number()?;
        self.sized(length, bytes_max)
    }

    fn sized(&mut self, length: u32, bytes_max: usize) -> Result<Vec<u8>, String> {
        let crc = self.number()?;
        let bytes = self.take(length as usize, bytes_max)?;
        match crc32c(&bytes) == crc || planted!(ChecksumNotChecked) {
            true => Ok(bytes),
            false => Err("a frame whose checksum does not match".into()),
        }
    }

    fn take(&mut self, length: usize, bytes_max: usize) -> Result<Vec<u8>, String> {
        if length > bytes_max || length as u64 > self.length - self.at {
            return Err(format!(
                "{length} bytes wanted, {} left",
                self.length - self.at
            ));
        }
        let mut bytes = vec![0; length];
        let read = self.file.read_exact_at(self.at, &mut bytes);
        read.map_err(|error| error.to_string())?;
        self.at += length as u64;
        Ok(bytes)
    }
}

/// A frame as it stands in the file.
fn framed(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(8 + bytes.len());
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(&crc32c(bytes).to_le_bytes());
    out.extend_from_slice(bytes);
    out
}

/// A snapshot that is being written, a piece at a time. The pieces are written
/// by the device's worker; one is under way at a time.
pub struct Taking {
    pub head: Head,
    file: Arc<dyn File>,
    at: u64,
    frames: u32,
}

/// What the worker is to do next for a snapshot.
pub type Task = crate::disk::Task;

impl Taking {
    pub fn begin(disk: &dyn Disk, head: Head) -> io::Result<(Self, Task)> {
        disk.make_folder(FOLDER)?;
        let mut taking = Self {
            file: disk.open(TAKING, How::Create)?,
            at: 0,
            frames: 0,
            head,
        };
        let head = taking.head.encode();
        let task = taking.write(head);
        Ok((taking, task))
    }

    fn write(&mut self, bytes: Vec<u8>) -> Task {
        let (file, at) = (self.file.clone(), self.at);
        self.at += bytes.len() as u64;
        Box::new(move || {
            file.write_all_at(at, &bytes)?;
            file.start_writing_out(at, bytes.len() as u64);
            Ok(())
        })
    }

    pub fn frame(&mut self, frame: &[u8]) -> Task {
        self.frames += 1;
        self.write(framed(frame))
    }

    /// The end, the sync and the name.
    pub fn finish(mut self, disk: &Arc<dyn Disk>) -> (Task, Snapshot) {
        let end = [0, self.frames].map(u32::to_le_bytes).concat();
        let write = self.write(end);
        let snapshot = Snapshot {
            index: self.head.place.index,
            term: self.head.place.term,
            members: self.head.members.clone(),
            manifest: Manifest { bytes: self.at }.encode(),
        };
        let (file, disk) = (self.file, disk.clone());
        let name = self.head.place.file_name();
        let task = Box::new(move || {
            write()?;
            file.sync()?;
            disk.rename(TAKING, &name)?;
            disk.sync_folder(FOLDER)
        });
        (task, snapshot)
    }
}

/// Removes the file that an abandoned taking left.
pub fn abandon(disk: &Arc<dyn Disk>) -> Task {
    let disk = disk.clone();
    Box::new(move || {
        let names = disk.list(FOLDER)?;
        match names.iter().any(|name| name == "taking") {
            true => disk.remove(TAKING),
            false => Ok(()),
        }
    })
}

/// Removes all but the newest ones; the oldest that stays is what the entries
/// must reach back to.
pub fn prune(disk: &Arc<dyn Disk>, places: &mut Vec<Place>) -> Option<Task> {
    places.sort_unstable_by(|a, b| b.cmp(a));
    if places.len() <= KEPT {
        return None;
    }
    let (old, disk) = (places.split_off(KEPT), disk.clone());
    Some(Box::new(move || {
        old.iter()
            .try_for_each(|place| disk.remove(&place.file_name()))
    }))
}

/// Reads one piece for a peer: what to send it.
pub fn piece(disk: &dyn Disk, place: Place, at: u64) -> Vec<u8> {
    let Place { index, term } = place;
    let mut bytes = vec![0; SNAPSHOT_PIECE_BYTES];
    let read = disk.open(&place.file_name(), How::Read).and_then(|file| {
        let left = file.len()?.saturating_sub(at);
        let length = left.min(SNAPSHOT_PIECE_BYTES as u64) as usize;
        file.read_exact_at(at, &mut bytes[..length])
            .map(|()| length)
    });
    match read {
        Ok(length) => Frame::Piece {
            index,
            term,
            at,
            bytes: &bytes[..length],
        }
        .encode(),
        Err(_) => Frame::NoPiece { index, term }.encode(),
    }
}

/// A snapshot on its way here. One piece is asked for at a time: a bulk
/// connection on a local net brings hundreds of them a second.
pub struct Fetching {
    pub number: u64,
    pub from: NodeId,
    pub place: Place,
    manifest: Manifest,
    /// The leader's message, given to consensus when the file is whole.
    pub message: Vec<u8>,
    file: Arc<dyn File>,
    at: u64,
    pub is_writing: bool,
}

impl Fetching {
    pub fn begin(
        disk: &dyn Disk,
        number: u64,
        from: NodeId,
        place: Place,
        manifest: Manifest,
        message: Vec<u8>,
    ) -> io::Result<Self> {
        disk.make_folder(FOLDER)?;
        if disk.list(FOLDER)?.iter().any(|name| name == "fetching") {
            disk.remove(FETCHING)?;
        }
        Ok(Self {
            number,
            from,
            place,
            manifest,
            message,
            file: disk.open(FETCHING, How::Create)?,
            at: 0,
            is_writing: false,
        })
    }

    /// All pieces are here, and the file is being read or named.
    pub fn is_finishing(&self) -> bool {
        self.is_writing && self.at == self.manifest.bytes
    }

    /// Asks for the next piece; None where all are here.
    pub fn ask(&self) -> Option<Vec<u8>> {
        let ask = Frame::AskPiece {
            index: self.place.index,
            term: self.place.term,
            at: self.at,
        };
        (self.at < self.manifest.bytes).then(|| ask.encode())
    }

    /// Takes a piece in, if it is the one that was asked for.
    pub fn take(&mut self, place: Place, at: u64, bytes: &[u8]) -> Option<Task> {
        let left = self.manifest.bytes - self.at;
        let fits = !bytes.is_empty() && bytes.len() as u64 <= left;
        if place != self.place || at != self.at || self.is_writing || !fits {
            return None;
        }
        self.is_writing = true;
        let (file, bytes) = (self.file.clone(), bytes.to_vec());
        self.at += bytes.len() as u64;
        Some(Box::new(move || file.write_all_at(at, &bytes)))
    }

    /// Reads the whole file as a start would, and names it only if it is good,
    /// and behind the word of the level that it takes to read it.
    pub(super) fn finish(
        &self,
        disk: &Arc<dyn Disk>,
        level: &Arc<LevelFile>,
        known: u32,
    ) -> impl FnOnce() -> Result<Loaded, NotLoaded> + Send + use<> {
        let (file, disk, name) = (self.file.clone(), disk.clone(), self.place.file_name());
        let (place, level) = (self.place, level.clone());
        move || {
            let loaded = load_file(&*disk, FETCHING, known)?;
            if loaded.head.place != place {
                return Err(format!("{:?} came for {place:?}", loaded.head.place).into());
            }
            let named = || {
                level.raise_to(loaded.state.members().features())?;
                file.sync()?;
                disk.rename(FETCHING, &name)?;
                disk.sync_folder(FOLDER)
            };
            named().map_err(|error: io::Error| format!("{name}: {error}"))?;
            Ok(loaded)
        }
    }
}
