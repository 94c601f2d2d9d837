//! Reads ZooKeeper's records from bytes that a stranger wrote: numbers with
//! the most significant byte first, buffers and texts behind their length.
//! Keeps count of the place and the running Adler-32. Takes from memory only
//! as bytes arrive, whatever length was declared.

use super::adler::Adler32;
use crate::limits::IMPORTED_BYTES_MAX;
use crate::state::{Acl, AclEntry, Data, Identity, Permissions};
use std::fmt;
use std::io::{BufRead, ErrorKind, Read};

/// Why bytes are not what they should be.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    /// The bytes end inside a record.
    Ended,
    /// The file cannot be read or uncompressed; the machine's words.
    Unreadable(String),
    Magic {
        found: [u8; 4],
        wanted: &'static str,
    },
    Version(i32),
    Length(i32),
    TooLong(usize),
    NotText,
    NotABoolean(u8),
    Checksum {
        written: u64,
        counted: u32,
    },
    /// A seal has a word of its own behind the checksum, and this is not it.
    Seal,
    Path(Box<str>),
    NoParent(Box<str>),
    UnknownKind(i32),
    Rest(usize),
    /// The place holds no whole transaction, and whole ones follow.
    Hole,
    Backwards {
        before: u64,
        found: u64,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended => f.write_str("the file ends inside a record"),
            Self::Unreadable(says) => write!(f, "it cannot be read: {says}"),
            Self::Magic { found, wanted } => write!(
                f,
                "it begins with {:?} and not with {wanted:?}: it is no such file of ZooKeeper",
                found.escape_ascii().to_string()
            ),
            Self::Version(version) => write!(f, "its format is {version}; this reads format 2"),
            Self::Length(length) => write!(f, "a length of {length}"),
            Self::TooLong(length) => write!(
                f,
                "a value of {length} bytes, where {IMPORTED_BYTES_MAX} is the most that can be \
                 moved in"
            ),
            Self::NotText => f.write_str("a text that is not UTF-8"),
            Self::NotABoolean(byte) => write!(f, "{byte} where yes or no should be"),
            Self::Checksum { written, counted } => write!(
                f,
                "the checksum says {written:#x}, the bytes come to {counted:#x}"
            ),
            Self::Seal => f.write_str("the checksum is not followed by its seal"),
            Self::Path(path) => write!(f, "{path:?} is no path of a node"),
            Self::NoParent(path) => write!(f, "{path:?} stands before its parent"),
            Self::UnknownKind(kind) => write!(f, "a transaction of the unknown kind {kind}"),
            Self::Rest(bytes) => write!(f, "{bytes} bytes follow the end of a transaction"),
            Self::Hole => {
                f.write_str("no whole transaction stands here, and whole ones follow behind")
            }
            Self::Backwards { before, found } => {
                write!(f, "transaction {found:#x} follows {before:#x}")
            }
        }
    }
}

/// A fault and its place: bytes from the beginning, uncompressed.
#[derive(Debug, PartialEq, Eq)]
pub struct Damage {
    pub at: u64,
    pub fault: Fault,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}: {}", self.at, self.fault)
    }
}

pub struct Reader<R> {
    source: R,
    at: u64,
    sum: Adler32,
}

impl<R: BufRead> Reader<R> {
    pub fn new(source: R) -> Self {
        Self {
            source,
            at: 0,
            sum: Adler32::default(),
        }
    }

    /// How many bytes were read.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// The Adler-32 of all that was read.
    pub fn sum(&self) -> u32 {
        self.sum.value()
    }

    pub fn damage(&self, fault: Fault) -> Damage {
        Damage { at: self.at, fault }
    }

    pub fn is_at_end(&mut self) -> Result<bool, Fault> {
        match self.source.fill_buf() {
            Ok(rest) => Ok(rest.is_empty()),
            Err(error) => Err(unreadable(&error)),
        }
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let mut bytes = [0; N];
        let read = self.source.read_exact(&mut bytes);
        read.map_err(|error| unreadable(&error))?;
        self.took(&bytes);
        Ok(bytes)
    }

    pub fn i32(&mut self) -> Result<i32, Fault> {
        self.array().map(i32::from_be_bytes)
    }

    pub fn i64(&mut self) -> Result<i64, Fault> {
        self.array().map(i64::from_be_bytes)
    }

    pub fn u64(&mut self) -> Result<u64, Fault> {
        self.array().map(u64::from_be_bytes)
    }

    pub fn boolean(&mut self) -> Result<bool, Fault> {
        match self.array()? {
            [0] => Ok(false),
            [1] => Ok(true),
            [byte] => Err(Fault::NotABoolean(byte)),
        }
    }

    /// The items of a vector; a vector that is null has none. Nothing may be
    /// reserved for them: each is pushed once it was read.
    pub fn count(&mut self) -> Result<u32, Fault> {
        match self.i32()? {
            -1 => Ok(0),
            count => u32::try_from(count).map_err(|_| Fault::Length(count)),
        }
    }

    /// What a node holds: a buffer that is null is nothing.
    pub fn data(&mut self) -> Result<Data, Fault> {
        match self.i32()? {
            -1 => Ok(Data::NOTHING),
            length => Ok(self.bytes(length)?.into()),
        }
    }

    /// A buffer that is null is an empty one.
    pub fn buffer(&mut self) -> Result<Vec<u8>, Fault> {
        match self.i32()? {
            -1 => Ok(Vec::new()),
            length => self.bytes(length),
        }
    }

    fn bytes(&mut self, length: i32) -> Result<Vec<u8>, Fault> {
        let length = usize::try_from(length).map_err(|_| Fault::Length(length))?;
        if length > IMPORTED_BYTES_MAX {
            return Err(Fault::TooLong(length));
        }
        let mut bytes = Vec::new();
        let mut source = (&mut self.source).take(length as u64);
        let read = source.read_to_end(&mut bytes);
        let read = read.map_err(|error| unreadable(&error))?;
        self.took(&bytes);
        match read == length {
            true => Ok(bytes),
            false => Err(Fault::Ended),
        }
    }

    pub fn text(&mut self) -> Result<Box<str>, Fault> {
        let text = String::from_utf8(self.buffer()?).map_err(|_| Fault::NotText)?;
        Ok(text.into())
    }

    pub fn acl(&mut self) -> Result<Acl, Fault> {
        let mut acl = Acl::new();
        for _ in 0..self.count()? {
            acl.push(AclEntry {
                permissions: Permissions(self.i32()? as u32),
                who: Identity {
                    scheme: self.text()?,
                    id: self.text()?,
                },
            });
        }
        Ok(acl)
    }

    fn took(&mut self, bytes: &[u8]) {
        self.at += bytes.len() as u64;
        self.sum.add(bytes);
    }
}

fn unreadable(error: &std::io::Error) -> Fault {
    match error.kind() {
        ErrorKind::UnexpectedEof => Fault::Ended,
        _ => Fault::Unreadable(error.to_string()),
    }
}

/// The opening of every file of ZooKeeper: a word, a format, the number of a
/// database, which nothing reads.
pub fn opening<R: BufRead>(reader: &mut Reader<R>, wanted: &'static str) -> Result<(), Fault> {
    let found = reader.array()?;
    if found != wanted.as_bytes() {
        return Err(Fault::Magic { found, wanted });
    }
    match reader.i32()? {
        2 => reader.i64().map(drop),
        version => Err(Fault::Version(version)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declared_length_takes_nothing() {
        let declared = [&100_000_000i32.to_be_bytes()[..], b"abc"].concat();
        assert!(matches!(
            Reader::new(&declared[..]).buffer(),
            Err(Fault::TooLong(100_000_000))
        ));
        let declared = [&1000i32.to_be_bytes()[..], b"abc"].concat();
        assert_eq!(Reader::new(&declared[..]).buffer(), Err(Fault::Ended));
        let declared = i32::MAX.to_be_bytes();
        assert_eq!(Reader::new(&declared[..]).acl(), Err(Fault::Ended));
        assert_eq!(
            Reader::new(&(-2i32).to_be_bytes()[..]).acl(),
            Err(Fault::Length(-2))
        );
    }

    #[test]
    fn null_is_empty() {
        let null = (-1i32).to_be_bytes();
        assert_eq!(Reader::new(&null[..]).buffer(), Ok(Vec::new()));
        assert_eq!(Reader::new(&null[..]).data(), Ok(Data::NOTHING));
        assert_eq!(Reader::new(&[0; 4][..]).data(), Ok(Data::from([])));
        assert_eq!(Reader::new(&null[..]).acl(), Ok(Acl::new()));
    }
}
