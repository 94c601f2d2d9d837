//! Writes messages. Numbers and short bytes are gathered in one buffer; long
//! bytes are spliced in where they belong, so that what a Fetch answers goes
//! from the memory map to the socket.

use super::Version;
use super::shape::{Field, Kind};
use super::value::Value;
use crate::limits::KAFKA_SPLICED_BYTES_MIN;
use bytes::{Buf, Bytes};
use std::collections::VecDeque;
use std::fmt;
use std::io::IoSlice;

/// Why a message cannot be said, and which field of it. It is a fault of
/// whoever made the message, never of the one who reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unwritten {
    pub field: &'static Field,
    pub why: Unsaid,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsaid {
    /// The field is not in this version, and dropping what it says would change
    /// the message.
    NotIn(i16),
    /// Null, which this version does not have.
    Null(i16),
    /// More than a length can say.
    TooLong(usize),
    /// A version that the message does not have.
    Version(i16),
}

impl fmt::Display for Unwritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.field)?;
        match self.why {
            Unsaid::NotIn(version) => write!(f, "version {version} cannot say it"),
            Unsaid::Null(version) => write!(f, "version {version} has no null there"),
            Unsaid::TooLong(length) => write!(f, "{length} is more than a length can say"),
            Unsaid::Version(version) => write!(f, "there is no version {version}"),
        }
    }
}

impl std::error::Error for Unwritten {}

const BEGIN: &Field = &Field::new("frame", "begin", Kind::Bytes);
const FRAME_HEAD_BYTES: usize = 4;

/// A text is as long as the oldest form of its length can say. Clients refuse a
/// longer one in the newer forms too.
pub(super) const TEXT_BYTES_MAX: usize = i16::MAX as usize;

/// What has been written of a message.
pub struct Writer {
    own: Vec<u8>,
    /// In the order of their places.
    spliced: Vec<Spliced>,
    spliced_bytes: usize,
    /// The field that is being written, for an error to name.
    field: &'static Field,
}

struct Spliced {
    /// How much of `own` stands before it.
    own_before: usize,
    bytes: Bytes,
}

impl Default for Writer {
    fn default() -> Self {
        Self {
            own: Vec::new(),
            spliced: Vec::new(),
            spliced_bytes: 0,
            field: BEGIN,
        }
    }
}

impl Writer {
    /// With room for the length before a frame, which `into_frame` sets.
    pub(super) fn frame() -> Self {
        let mut writer = Self::default();
        // Most answers are shorter.
        writer.own.reserve(512);
        writer.own.extend_from_slice(&[0; FRAME_HEAD_BYTES]);
        writer
    }

    pub(super) fn into_frame(mut self) -> Result<Parts, Unwritten> {
        let length = self.len() - FRAME_HEAD_BYTES;
        let told = i32::try_from(length).map_err(|_| self.unsaid(Unsaid::TooLong(length)))?;
        self.own[..FRAME_HEAD_BYTES].copy_from_slice(&told.to_be_bytes());
        Ok(self.into_parts())
    }

    pub fn len(&self) -> usize {
        self.own.len() + self.spliced_bytes
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn into_parts(self) -> Parts {
        let left = self.len();
        let own_bytes = self.own.len();
        let own = Bytes::from(self.own);
        let mut parts = VecDeque::with_capacity(2 * self.spliced.len() + 1);
        let mut taken = 0;
        for spliced in self.spliced {
            if spliced.own_before > taken {
                parts.push_back(own.slice(taken..spliced.own_before));
            }
            taken = spliced.own_before;
            parts.push_back(spliced.bytes);
        }
        if own.len() > taken {
            parts.push_back(own.slice(taken..));
        }
        Parts {
            parts,
            left,
            own_bytes,
        }
    }

    pub(super) fn unsaid(&self, why: Unsaid) -> Unwritten {
        Unwritten {
            field: self.field,
            why,
        }
    }

    /// A field, with the null that this version may not have refused.
    #[inline(never)]
    pub(super) fn field<T: Value>(
        &mut self,
        field: &'static Field,
        value: &T,
        at: Version,
    ) -> Result<(), Unwritten> {
        self.field = field;
        if value.is_null() && !field.may_be_null_in(at.number) {
            return Err(self.unsaid(Unsaid::Null(at.number)));
        }
        value.write(self, at)
    }

    /// A value that this version has no field for.
    pub(super) fn not_in(&mut self, field: &'static Field, at: Version) -> Unwritten {
        self.field = field;
        self.unsaid(Unsaid::NotIn(at.number))
    }

    #[inline]
    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.own.extend_from_slice(bytes);
    }

    /// Bytes that need not be copied where they are long.
    pub(super) fn splice(&mut self, bytes: &Bytes) {
        if bytes.len() < KAFKA_SPLICED_BYTES_MIN {
            return self.put(bytes);
        }
        self.spliced_bytes += bytes.len();
        self.spliced.push(Spliced {
            own_before: self.own.len(),
            bytes: bytes.clone(),
        });
    }

    /// Seven bits a byte, the lowest first.
    #[inline]
    pub(super) fn unsigned(&mut self, number: u32) {
        let (bytes, length) = unsigned(number);
        self.put(&bytes[..length]);
    }

    /// How many items or bytes follow; None for null.
    pub(super) fn count(&mut self, count: Option<usize>, at: Version) -> Result<(), Unwritten> {
        let told = match count {
            None => -1,
            Some(count) => i32::try_from(count).map_err(|_| self.unsaid(Unsaid::TooLong(count)))?,
        };
        if at.is_flexible {
            // One more than there are, for 0 stands for null.
            self.unsigned(told.wrapping_add(1).cast_unsigned());
        } else {
            self.put(&told.to_be_bytes());
        }
        Ok(())
    }

    /// How many bytes of text follow; None for null.
    pub(super) fn text_length(
        &mut self,
        length: Option<usize>,
        at: Version,
    ) -> Result<(), Unwritten> {
        let told = match length {
            None => -1,
            Some(length) if length > TEXT_BYTES_MAX => {
                return Err(self.unsaid(Unsaid::TooLong(length)));
            }
            Some(length) => length as i16,
        };
        if at.is_flexible {
            self.unsigned((i32::from(told) + 1).cast_unsigned());
        } else {
            self.put(&told.to_be_bytes());
        }
        Ok(())
    }

    pub(super) fn tagged<T: Value>(
        &mut self,
        field: &'static Field,
        value: &T,
        at: Version,
    ) -> Result<(), Unwritten> {
        if let Some(number) = field.tag {
            self.unsigned(number);
        }
        let begin = self.own.len();
        let before = self.len();
        self.field(field, value, at)?;
        let length = self.len() - before;
        self.insert_length(begin, length)
    }

    /// Puts the length of a tagged field before it, once it is known. Such
    /// fields are few and short.
    fn insert_length(&mut self, begin: usize, length: usize) -> Result<(), Unwritten> {
        let told = u32::try_from(length).map_err(|_| self.unsaid(Unsaid::TooLong(length)))?;
        let (bytes, count) = unsigned(told);
        self.own
            .splice(begin..begin, bytes[..count].iter().copied());
        let behind = self.spliced.iter_mut().rev();
        behind
            .take_while(|spliced| spliced.own_before >= begin)
            .for_each(|spliced| spliced.own_before += count);
        Ok(())
    }
}

/// The bytes of a number, and how many they are.
fn unsigned(mut number: u32) -> ([u8; 5], usize) {
    let mut bytes = [0; 5];
    let mut last = 0;
    while number >= 0x80 {
        bytes[last] = (number & 0x7f) as u8 | 0x80;
        number >>= 7;
        last += 1;
    }
    bytes[last] = number as u8;
    (bytes, last + 1)
}

/// A message as it goes to a socket: owned bytes and spliced ones in turn. As a
/// `Buf` it takes a write of any length, and fills the slices of a vectored one.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    /// None is empty.
    parts: VecDeque<Bytes>,
    left: usize,
    own_bytes: usize,
}

impl Parts {
    pub fn iter(&self) -> impl Iterator<Item = &Bytes> {
        self.parts.iter()
    }

    /// The memory of what is not spliced. It is in one piece, so all of it is here
    /// until the last byte has left.
    pub fn own_bytes(&self) -> usize {
        self.own_bytes
    }

    /// Copied into one.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut whole = Vec::with_capacity(self.left);
        self.iter().for_each(|part| whole.extend_from_slice(part));
        whole
    }
}

impl Buf for Parts {
    fn remaining(&self) -> usize {
        self.left
    }

    fn chunk(&self) -> &[u8] {
        self.parts.front().map_or(&[], |part| part)
    }

    fn chunks_vectored<'a>(&'a self, into: &mut [IoSlice<'a>]) -> usize {
        let count = into.len().min(self.parts.len());
        for (slice, part) in into.iter_mut().zip(&self.parts) {
            *slice = IoSlice::new(part);
        }
        count
    }

    fn advance(&mut self, count: usize) {
        assert!(count <= self.left, "more was sent than there is");
        self.left -= count;
        let mut sent = count;
        while let Some(part) = self.parts.front_mut() {
            if sent < part.len() {
                return part.advance(sent);
            }
            sent -= part.len();
            self.parts.pop_front();
        }
    }
}
