//! Jute, ZooKeeper's way of writing records: numbers most significant byte
//! first, texts and buffers after their length, vectors after their count.

use crate::ids::{SessionId, Zxid};
use crate::state::{AclEntry, Data, Identity, Permissions, Stat};
use crate::wire::{Cursor, Short};
use std::fmt;

/// Why bytes are not the record they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    Short(Short),
    /// Neither a length nor the -1 that stands for nothing.
    Length(i32),
    /// More items than the bytes that are left could hold.
    Count {
        declared: i32,
        left: usize,
    },
    /// Nothing where a text must stand.
    NoText,
    /// An operation that has no place where it stands.
    Operation(i32),
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unread::Short(short) => short.fmt(f),
            Unread::Length(length) => write!(f, "{length} is no length"),
            Unread::Count { declared, left } => {
                write!(f, "{declared} items do not fit in {left} bytes")
            }
            Unread::NoText => f.write_str("a text is missing"),
            Unread::Operation(code) => write!(f, "operation {code} may not stand here"),
        }
    }
}

impl std::error::Error for Unread {}

impl From<Short> for Unread {
    fn from(short: Short) -> Self {
        Unread::Short(short)
    }
}

/// What can be written as bytes and read back.
pub trait Jute: Sized {
    /// The fewest bytes that one takes. Never 0, so that a declared count is
    /// bounded by the bytes that are left.
    const BYTES_MIN: usize;
    /// Whether a vector of them may be missing, and reads as an empty one then.
    const LIST_MAY_BE_MISSING: bool = false;

    fn read(from: &mut Cursor<'_>) -> Result<Self, Unread>;
    fn write(&self, into: &mut Vec<u8>);
}

/// A record is its fields, one after the other.
macro_rules! record {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            $(pub $field: $type),+
        }

        impl $crate::ports::zookeeper::codec::Jute for $name {
            const BYTES_MIN: usize =
                0 $(+ <$type as $crate::ports::zookeeper::codec::Jute>::BYTES_MIN)+;

            fn read(
                from: &mut $crate::wire::Cursor<'_>,
            ) -> Result<Self, $crate::ports::zookeeper::codec::Unread> {
                Ok(Self {
                    $($field: $crate::ports::zookeeper::codec::Jute::read(from)?),+
                })
            }

            fn write(&self, into: &mut Vec<u8>) {
                $($crate::ports::zookeeper::codec::Jute::write(&self.$field, into);)+
            }
        }
    )+};
}
pub(in crate::ports::zookeeper) use record;

fn array<const N: usize>(from: &mut Cursor<'_>) -> Result<[u8; N], Unread> {
    let bytes = from.take(N)?;
    Ok(bytes.try_into().expect("as many bytes as were taken"))
}

macro_rules! number {
    ($($type:ty),+) => {$(
        impl Jute for $type {
            const BYTES_MIN: usize = size_of::<$type>();

            fn read(from: &mut Cursor<'_>) -> Result<Self, Unread> {
                array(from).map(Self::from_be_bytes)
            }

            fn write(&self, into: &mut Vec<u8>) {
                into.extend_from_slice(&self.to_be_bytes());
            }
        }
    )+};
}
number!(i32, u32, i64, u64);

macro_rules! numbered {
    ($($type:ident),+) => {$(
        impl Jute for $type {
            const BYTES_MIN: usize = 8;

            fn read(from: &mut Cursor<'_>) -> Result<Self, Unread> {
                Jute::read(from).map($type)
            }

            fn write(&self, into: &mut Vec<u8>) {
                self.0.write(into);
            }
        }
    )+};
}
numbered!(Zxid, SessionId);

/// Every byte but 0 is a yes, as for the original.
impl Jute for bool {
    const BYTES_MIN: usize = 1;

    fn read(from: &mut Cursor<'_>) -> Result<Self, Unread> {
        Ok(from.u8()? != 0)
    }

    fn write(&self, into: &mut Vec<u8>) {
        into.push(u8::from(*self));
    }
}

/// The bytes after a length; None for -1.
fn counted<'a>(from: &mut Cursor<'a>) -> Result<Option<&'a [u8]>, Unread> {
    let length = i32::read(from)?;
    if length == -1 {
        return Ok(None);
    }
    let length = usize::try_from(length).map_err(|_| Unread::Length(length))?;
    Ok(Some(from.take(length)?))
}

fn write_counted(bytes: &[u8], into: &mut Vec<u8>) {
    write_count(bytes.len(), into);
    into.extend_from_slice(bytes);
}

/// What we write is bounded by frames that we have read and by the bounds of
/// the state, far below the 2 GiB that a length can say.
fn write_count(count: usize, into: &mut Vec<u8>) {
    i32::try_from(count)
        .expect("an answer is smaller than 2 GiB")
        .write(into);
}

/// What is no UTF-8 is read with U+FFFD in its place, as by the original: no
/// node's path has that, and no client is told more than that there is none.
fn text(bytes: &[u8]) -> Box<str> {
    String::from_utf8_lossy(bytes).into()
}

impl Jute for Box<str> {
    const BYTES_MIN: usize = 4;

    fn read(from: &mut Cursor<'_>) -> Result<Self, Unread> {
        counted(from)?.map(text).ok_or(Unread::NoText)
    }

    fn write(&self, into: &mut Vec<u8>) {
        write_counted(self.as_bytes(), into);
    }
}

impl Jute for Option<Box<str>> {
    const BYTES_MIN: usize = 4;

    fn read(from: &mut Cursor<'_>) -> Result<Self, Unread> {
        Ok(counted(from)?.map(text))
    }

    fn write(&self, into: &mut Vec<u8>) {
        match self {
            Some(text) => text.write(into),
            None => (-1i32).write(into),
        }
    }
}

impl Jute for Data {
    const BYTES_MIN: usize = 4;

    fn read(from: &mut Cursor<'_>) -> Result<Self, Unread> {
        Ok(counted(from)?.into())
    }

    fn write(&self, into: &mut Vec<u8>) {
        match self.bytes() {
            Some(bytes) => write_counted(bytes, into),
            None => (-1i32).write(into),
        }
    }
}

impl<T: Jute> Jute for Vec<T> {
    const BYTES_MIN: usize = 4;

    fn read(from: &mut Cursor<'_>) -> Result<Self, Unread> {
        let declared = i32::read(from)?;
        if declared == -1 && T::LIST_MAY_BE_MISSING {
            return Ok(Vec::new());
        }
        let count = usize::try_from(declared).map_err(|_| Unread::Length(declared))?;
        let left = from.left();
        if count > left / T::BYTES_MIN {
            return Err(Unread::Count { declared, left });
        }
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(T::read(from)?);
        }
        Ok(items)
    }

    fn write(&self, into: &mut Vec<u8>) {
        write_count(self.len(), into);
        self.iter().for_each(|item| item.write(into));
    }
}

/// Some clients leave out an id that is empty, as that of `auth` is.
impl Jute for Identity {
    const BYTES_MIN: usize = 8;

    fn read(from: &mut Cursor<'_>) -> Result<Self, Unread> {
        Ok(Self {
            scheme: Jute::read(from)?,
            id: Option::read(from)?.unwrap_or_default(),
        })
    }

    fn write(&self, into: &mut Vec<u8>) {
        self.scheme.write(into);
        self.id.write(into);
    }
}

/// An access list that is missing is refused as an empty one is.
impl Jute for AclEntry {
    const BYTES_MIN: usize = 12;
    const LIST_MAY_BE_MISSING: bool = true;

    fn read(from: &mut Cursor<'_>) -> Result<Self, Unread> {
        Ok(Self {
            permissions: Permissions(Jute::read(from)?),
            who: Jute::read(from)?,
        })
    }

    fn write(&self, into: &mut Vec<u8>) {
        self.permissions.0.write(into);
        self.who.write(into);
    }
}

impl Jute for Stat {
    const BYTES_MIN: usize = 68;

    fn read(from: &mut Cursor<'_>) -> Result<Self, Unread> {
        Ok(Self {
            created_zxid: Jute::read(from)?,
            modified_zxid: Jute::read(from)?,
            created: crate::clock::Millis(Jute::read(from)?),
            modified: crate::clock::Millis(Jute::read(from)?),
            version: Jute::read(from)?,
            children_version: Jute::read(from)?,
            acl_version: Jute::read(from)?,
            owner: Jute::read(from)?,
            data_length: Jute::read(from)?,
            children: Jute::read(from)?,
            children_zxid: Jute::read(from)?,
        })
    }

    fn write(&self, into: &mut Vec<u8>) {
        // One copy: a stat goes with nearly every answer.
        let mut bytes = [0; Self::BYTES_MIN];
        bytes[..8].copy_from_slice(&self.created_zxid.0.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.modified_zxid.0.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.created.0.to_be_bytes());
        bytes[24..32].copy_from_slice(&self.modified.0.to_be_bytes());
        bytes[32..36].copy_from_slice(&self.version.to_be_bytes());
        bytes[36..40].copy_from_slice(&self.children_version.to_be_bytes());
        bytes[40..44].copy_from_slice(&self.acl_version.to_be_bytes());
        bytes[44..52].copy_from_slice(&self.owner.to_be_bytes());
        bytes[52..56].copy_from_slice(&self.data_length.to_be_bytes());
        bytes[56..60].copy_from_slice(&self.children.to_be_bytes());
        bytes[60..].copy_from_slice(&self.children_zxid.0.to_be_bytes());
        into.extend_from_slice(&bytes);
    }
}

/// Nothing at all: the body of an answer that says all in its header. Never an
/// item of a vector, so its size bounds nothing.
impl Jute for () {
    const BYTES_MIN: usize = 1;

    fn read(_: &mut Cursor<'_>) -> Result<Self, Unread> {
        Ok(())
    }

    fn write(&self, _: &mut Vec<u8>) {}
}
