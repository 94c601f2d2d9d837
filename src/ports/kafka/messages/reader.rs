//! Reads a message from a frame that a stranger sent. Nothing is copied: texts
//! and bytes are slices of the frame. What the lists of a message may take in
//! memory is bounded by the frame's length, whatever they declare.

use super::Version;
use super::shape::{Field, Kind};
use super::value::{Nullable, Value};
use crate::limits::{
    KAFKA_DECODED_BYTES_BESIDES, KAFKA_DECODED_BYTES_MAX, KAFKA_DECODED_BYTES_PER_BYTE,
};
use bytes::Bytes;
use std::fmt;

/// Why bytes are not the message they should be, and at which field it showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unread {
    /// The field that was being read; the last one where what is wrong stands
    /// behind it.
    pub field: &'static Field,
    pub why: Why,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    Short {
        wanted: usize,
        left: usize,
    },
    /// Neither a length nor the -1 that stands for null.
    Length(i32),
    /// A length or a count of more than 32 bits.
    Number,
    /// More items than the bytes that are left could hold.
    Count {
        declared: usize,
        left: usize,
    },
    /// More memory than so short a frame pays for.
    Memory {
        wanted: usize,
        left: usize,
    },
    /// Null where this version has none.
    Null,
    /// Not UTF-8 from this byte on.
    NotText {
        from: usize,
    },
    /// Longer than a text may be.
    LongText(usize),
    /// Neither the 1 before a record nor the -1 that stands for null.
    Marker(i8),
    /// A tagged field is shorter than was said.
    Overhang(usize),
    /// Bytes behind the message.
    Trailing(usize),
    /// A version that the message does not have.
    Version(i16),
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.field)?;
        match self.why {
            Why::Short { wanted, left } => write!(f, "{wanted} bytes wanted, {left} left"),
            Why::Length(length) => write!(f, "{length} is no length"),
            Why::Number => f.write_str("a number of more than 32 bits"),
            Why::Count { declared, left } => {
                write!(f, "{declared} items do not fit in {left} bytes")
            }
            Why::Memory { wanted, left } => write!(
                f,
                "{wanted} bytes of memory wanted where the frame pays for {left} more"
            ),
            Why::Null => f.write_str("null in a version that has none"),
            Why::NotText { from } => write!(f, "no UTF-8 from byte {from} on"),
            Why::LongText(bytes) => write!(f, "a text of {bytes} bytes"),
            Why::Marker(byte) => write!(f, "{byte} is neither a record nor null"),
            Why::Overhang(left) => write!(f, "{left} bytes more than the tagged field has"),
            Why::Trailing(left) => write!(f, "{left} bytes behind the message"),
            Why::Version(version) => write!(f, "there is no version {version}"),
        }
    }
}

impl std::error::Error for Unread {}

const BEGIN: &Field = &Field::new("frame", "begin", Kind::Bytes);

/// A place in a frame, and what the message may still take in memory.
pub struct Reader {
    frame: Bytes,
    place: usize,
    /// Where it must end what it reads: the frame's end, or that of a tagged
    /// field. Invariant: place <= end <= frame.len().
    end: usize,
    memory_left: usize,
    /// The field that is being read, for an error to name.
    field: &'static Field,
}

impl Reader {
    /// A frame without the length before it.
    pub fn new(frame: Bytes) -> Self {
        let per_byte = frame.len().saturating_mul(KAFKA_DECODED_BYTES_PER_BYTE);
        Self {
            place: 0,
            end: frame.len(),
            memory_left: per_byte
                .saturating_add(KAFKA_DECODED_BYTES_BESIDES)
                .min(KAFKA_DECODED_BYTES_MAX),
            frame,
            field: BEGIN,
        }
    }

    pub fn left(&self) -> usize {
        self.end - self.place
    }

    /// Nothing may stand behind a message.
    pub fn finish(&self) -> Result<(), Unread> {
        match self.left() {
            0 => Ok(()),
            left => Err(self.unread(Why::Trailing(left))),
        }
    }

    pub(super) fn unread(&self, why: Why) -> Unread {
        Unread {
            field: self.field,
            why,
        }
    }

    fn short(&self, wanted: usize) -> Unread {
        let left = self.left();
        self.unread(Why::Short { wanted, left })
    }

    /// A field, with the null that this version may not have refused.
    pub(super) fn field<T: Value>(
        &mut self,
        field: &'static Field,
        at: Version,
    ) -> Result<T, Unread> {
        self.field = field;
        let value = T::read(self, at)?;
        if value.is_null() && !field.may_be_null_in(at.number) {
            self.field = field;
            return Err(self.unread(Why::Null));
        }
        Ok(value)
    }

    /// The same in place: where a record is read, what it has of itself is dropped
    /// in one way, whichever field fails.
    #[inline(never)]
    pub(super) fn fill<T: Value>(
        &mut self,
        field: &'static Field,
        value: &mut T,
        at: Version,
    ) -> Result<(), Unread> {
        *value = self.field(field, at)?;
        Ok(())
    }

    #[inline]
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Unread> {
        match self.frame[self.place..self.end].first_chunk::<N>() {
            Some(array) => {
                self.place += N;
                Ok(*array)
            }
            None => Err(self.short(N)),
        }
    }

    pub(super) fn slice(&mut self, length: usize) -> Result<Bytes, Unread> {
        if length > self.left() {
            return Err(self.short(length));
        }
        let slice = self.frame.slice(self.place..self.place + length);
        self.place += length;
        Ok(slice)
    }

    /// Seven bits a byte, the lowest first.
    #[inline]
    pub(super) fn unsigned(&mut self) -> Result<u32, Unread> {
        let [first] = self.array()?;
        if first < 0x80 {
            return Ok(u32::from(first));
        }
        self.long_unsigned(first)
    }

    fn long_unsigned(&mut self, first: u8) -> Result<u32, Unread> {
        let mut number = u64::from(first & 0x7f);
        for shift in [7, 14, 21, 28] {
            let [byte] = self.array()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return u32::try_from(number).map_err(|_| self.unread(Why::Number));
            }
        }
        Err(self.unread(Why::Number))
    }

    /// How many items or bytes follow; None for null.
    pub(super) fn count(&mut self, at: Version) -> Result<Option<usize>, Unread> {
        if at.is_flexible {
            // One more than there are, for 0 stands for null.
            return Ok((self.unsigned()? as usize).checked_sub(1));
        }
        let count = self.array().map(i32::from_be_bytes)?;
        self.known_length(count)
    }

    /// How many bytes of text follow; None for null.
    pub(super) fn text_length(&mut self, at: Version) -> Result<Option<usize>, Unread> {
        if at.is_flexible {
            return self.count(at);
        }
        let length = self.array().map(i16::from_be_bytes)?;
        self.known_length(i32::from(length))
    }

    fn known_length(&self, length: i32) -> Result<Option<usize>, Unread> {
        match usize::try_from(length) {
            Ok(length) => Ok(Some(length)),
            Err(_) if length == -1 => Ok(None),
            Err(_) => Err(self.unread(Why::Length(length))),
        }
    }

    /// The memory of a list is paid for before it is taken: at once and not as
    /// it grows, for growing would hold the items twice while they move.
    #[inline(never)]
    pub(super) fn list<T: Value>(&mut self, count: usize, at: Version) -> Result<Vec<T>, Unread> {
        let left = self.left();
        if count > left / T::bytes_min(at).max(1) {
            let declared = count;
            return Err(self.unread(Why::Count { declared, left }));
        }
        let wanted = count.saturating_mul(size_of::<T>());
        let Some(memory_left) = self.memory_left.checked_sub(wanted) else {
            let left = self.memory_left;
            return Err(self.unread(Why::Memory { wanted, left }));
        };
        self.memory_left = memory_left;
        let mut list = Vec::with_capacity(count);
        for _ in 0..count {
            list.push(T::read(self, at)?);
        }
        Ok(list)
    }

    /// The number of a tagged field. What follows is that field and no more.
    pub(super) fn tag(&mut self) -> Result<Tag, Unread> {
        let number = self.unsigned()?;
        let length = self.unsigned()? as usize;
        if length > self.left() {
            return Err(self.short(length));
        }
        let end = self.place + length;
        Ok(Tag { number, end })
    }

    pub(super) fn tagged<T: Value>(
        &mut self,
        tag: &Tag,
        field: &'static Field,
        at: Version,
    ) -> Result<T, Unread> {
        let end = std::mem::replace(&mut self.end, tag.end);
        let value = self.field(field, at)?;
        if self.left() > 0 {
            return Err(self.unread(Why::Overhang(self.left())));
        }
        self.end = end;
        Ok(value)
    }

    pub(super) fn skip(&mut self, tag: &Tag) {
        self.place = tag.end;
    }

    /// Tagged fields of which none is known. Each takes two bytes at least, so
    /// a count needs no bound of its own.
    pub(super) fn skip_tags(&mut self) -> Result<(), Unread> {
        for _ in 0..self.unsigned()? {
            let tag = self.tag()?;
            self.skip(&tag);
        }
        Ok(())
    }

    /// The marker before a record that may be null.
    pub(super) fn is_present(&mut self) -> Result<bool, Unread> {
        match self.array().map(i8::from_be_bytes)? {
            1 => Ok(true),
            -1 => Ok(false),
            other => Err(self.unread(Why::Marker(other))),
        }
    }

    pub(super) fn not_null<T: Nullable>(&mut self, at: Version) -> Result<T, Unread> {
        T::read_nullable(self, at)?.ok_or_else(|| self.unread(Why::Null))
    }
}

pub(super) struct Tag {
    pub(super) number: u32,
    /// Where its value ends.
    end: usize,
}
