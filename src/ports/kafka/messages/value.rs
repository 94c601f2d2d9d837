//! What can stand in a field, and the bytes of each kind. Numbers are most
//! significant byte first. Lengths have an old form and a compact one: which of
//! them is written goes by the version of the message.

use super::reader::{Reader, Unread, Why};
use super::records::Records;
use super::shape::Kind;
use super::text::Text;
use super::uuid::Uuid;
use super::writer::{TEXT_BYTES_MAX, Unwritten, Writer};
use super::{ErrorCode, Version};
use bytes::Bytes;

pub trait Value: Sized + PartialEq {
    const KIND: Kind;

    /// The fewest bytes that one takes in this version: what bounds a declared
    /// count by the bytes that are left.
    fn bytes_min(at: Version) -> usize;

    fn read(from: &mut Reader, at: Version) -> Result<Self, Unread>;
    fn write(&self, into: &mut Writer, at: Version) -> Result<(), Unwritten>;

    fn is_null(&self) -> bool {
        false
    }
}

/// A kind that has a form for null.
pub trait Nullable: Value {
    fn null_bytes_min(at: Version) -> usize {
        Self::bytes_min(at)
    }

    fn read_nullable(from: &mut Reader, at: Version) -> Result<Option<Self>, Unread>;
    fn write_nullable(
        value: Option<&Self>,
        into: &mut Writer,
        at: Version,
    ) -> Result<(), Unwritten>;
}

impl<T: Nullable> Value for Option<T> {
    const KIND: Kind = Kind::Optional(&T::KIND);

    fn bytes_min(at: Version) -> usize {
        T::null_bytes_min(at)
    }

    fn read(from: &mut Reader, at: Version) -> Result<Self, Unread> {
        T::read_nullable(from, at)
    }

    fn write(&self, into: &mut Writer, at: Version) -> Result<(), Unwritten> {
        T::write_nullable(self.as_ref(), into, at)
    }

    #[inline(always)]
    fn is_null(&self) -> bool {
        self.is_none()
    }
}

macro_rules! numbers {
    ($($type:ident $kind:ident),+) => {$(
        impl Value for $type {
            const KIND: Kind = Kind::$kind;

            #[inline(always)]
            fn bytes_min(_: Version) -> usize {
                size_of::<$type>()
            }

            #[inline]
            fn read(from: &mut Reader, _: Version) -> Result<Self, Unread> {
                from.array().map($type::from_be_bytes)
            }

            #[inline]
            fn write(&self, into: &mut Writer, _: Version) -> Result<(), Unwritten> {
                into.put(&self.to_be_bytes());
                Ok(())
            }
        }
    )+};
}
numbers!(i8 I8, i16 I16, i32 I32, i64 I64, f64 F64);

/// Every byte but 0 is a yes, as for the original.
impl Value for bool {
    const KIND: Kind = Kind::Bool;

    #[inline(always)]
    fn bytes_min(_: Version) -> usize {
        1
    }

    fn read(from: &mut Reader, _: Version) -> Result<Self, Unread> {
        from.array().map(|[byte]| byte != 0)
    }

    fn write(&self, into: &mut Writer, _: Version) -> Result<(), Unwritten> {
        into.put(&[u8::from(*self)]);
        Ok(())
    }
}

impl Value for ErrorCode {
    const KIND: Kind = Kind::ErrorCode;

    #[inline(always)]
    fn bytes_min(_: Version) -> usize {
        size_of::<i16>()
    }

    fn read(from: &mut Reader, _: Version) -> Result<Self, Unread> {
        from.array().map(i16::from_be_bytes).map(Self::from)
    }

    fn write(&self, into: &mut Writer, at: Version) -> Result<(), Unwritten> {
        self.number().write(into, at)
    }
}

impl Value for Uuid {
    const KIND: Kind = Kind::Uuid;

    #[inline(always)]
    fn bytes_min(_: Version) -> usize {
        size_of::<Self>()
    }

    fn read(from: &mut Reader, _: Version) -> Result<Self, Unread> {
        from.array().map(Self)
    }

    fn write(&self, into: &mut Writer, _: Version) -> Result<(), Unwritten> {
        into.put(&self.0);
        Ok(())
    }
}

/// The kinds that have a null are read and written by way of it.
macro_rules! by_nullable {
    () => {
        fn read(from: &mut Reader, at: Version) -> Result<Self, Unread> {
            from.not_null(at)
        }

        fn write(&self, into: &mut Writer, at: Version) -> Result<(), Unwritten> {
            Self::write_nullable(Some(self), into, at)
        }
    };
}

impl Value for Text {
    const KIND: Kind = Kind::Text;

    #[inline(always)]
    fn bytes_min(at: Version) -> usize {
        if at.is_flexible { 1 } else { 2 }
    }

    by_nullable!();
}

impl Nullable for Text {
    fn read_nullable(from: &mut Reader, at: Version) -> Result<Option<Self>, Unread> {
        let Some(length) = from.text_length(at)? else {
            return Ok(None);
        };
        if length > TEXT_BYTES_MAX {
            return Err(from.unread(Why::LongText(length)));
        }
        let bytes = from.slice(length)?;
        Self::from_utf8(bytes).map(Some).map_err(|error| {
            from.unread(Why::NotText {
                from: error.valid_up_to(),
            })
        })
    }

    fn write_nullable(
        text: Option<&Self>,
        into: &mut Writer,
        at: Version,
    ) -> Result<(), Unwritten> {
        let bytes = text.map(Text::as_ref);
        into.text_length(bytes.map(<[u8]>::len), at)?;
        into.put(bytes.unwrap_or_default());
        Ok(())
    }
}

impl Value for Bytes {
    const KIND: Kind = Kind::Bytes;

    #[inline(always)]
    fn bytes_min(at: Version) -> usize {
        count_bytes_min(at)
    }

    by_nullable!();
}

impl Nullable for Bytes {
    fn read_nullable(from: &mut Reader, at: Version) -> Result<Option<Self>, Unread> {
        match from.count(at)? {
            Some(length) => from.slice(length).map(Some),
            None => Ok(None),
        }
    }

    fn write_nullable(
        bytes: Option<&Self>,
        into: &mut Writer,
        at: Version,
    ) -> Result<(), Unwritten> {
        into.count(bytes.map(Bytes::len), at)?;
        if let Some(bytes) = bytes {
            into.splice(bytes);
        }
        Ok(())
    }
}

impl Value for Records {
    const KIND: Kind = Kind::Records;

    #[inline(always)]
    fn bytes_min(at: Version) -> usize {
        count_bytes_min(at)
    }

    fn read(from: &mut Reader, at: Version) -> Result<Self, Unread> {
        Ok(Bytes::read_nullable(from, at)?.unwrap_or_default().into())
    }

    fn write(&self, into: &mut Writer, at: Version) -> Result<(), Unwritten> {
        into.count(Some(self.len()), at)?;
        self.pieces().for_each(|piece| into.splice(piece));
        Ok(())
    }
}

impl<T: Value> Value for Vec<T> {
    const KIND: Kind = Kind::List(&T::KIND);

    #[inline(always)]
    fn bytes_min(at: Version) -> usize {
        count_bytes_min(at)
    }

    by_nullable!();
}

impl<T: Value> Nullable for Vec<T> {
    fn read_nullable(from: &mut Reader, at: Version) -> Result<Option<Self>, Unread> {
        match from.count(at)? {
            Some(count) => from.list(count, at).map(Some),
            None => Ok(None),
        }
    }

    fn write_nullable(
        list: Option<&Self>,
        into: &mut Writer,
        at: Version,
    ) -> Result<(), Unwritten> {
        into.count(list.map(Vec::len), at)?;
        list.into_iter()
            .flatten()
            .try_for_each(|item| item.write(into, at))
    }
}

#[inline(always)]
fn count_bytes_min(at: Version) -> usize {
    if at.is_flexible { 1 } else { 4 }
}
