//! One record: how its bytes are laid out, read from a slice or from a stream
//! that is unpacked as it is read, and written. Pure.
//!
//! | what | as |
//! |---|---|
//! | length of the rest | varint |
//! | attributes, none of which means anything | 1 byte |
//! | timestamp, from the batch's | varint of 64 bits |
//! | offset, from the batch's | varint |
//! | key, value | length, -1 for none; bytes |
//! | count of headers | varint |
//! | each: key, value | length, -1 for no value; bytes |
//!
//! Varints are zigzag: the lowest bit is the sign, seven bits a byte, least
//! significant first.

use super::codec::{Broken, Unpacking};
use std::fmt;

/// Why bytes are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    Cut { field: &'static str },
    Varint { field: &'static str },
    Length { field: &'static str, declared: i32 },
    Left { count: usize },
    Unpacking(Broken),
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut { field } => write!(f, "it ends within its {field}"),
            Self::Varint { field } => write!(f, "its {field} is no varint of its size"),
            Self::Length { field, declared } => write!(f, "its {field} is {declared}"),
            Self::Left { count } => write!(f, "{count} bytes are left of its length"),
            Self::Unpacking(broken) => broken.fmt(f),
        }
    }
}

impl std::error::Error for Malformed {}

impl From<Broken> for Malformed {
    fn from(broken: Broken) -> Self {
        Self::Unpacking(broken)
    }
}

/// Where the bytes of records come from.
pub(super) trait Source {
    /// What a field's bytes become: themselves, or nothing where they are not
    /// kept.
    type Bytes;

    /// What stands next: `wanted` bytes if there are as many.
    fn ready(&mut self, wanted: usize) -> Result<&[u8], Broken>;
    /// Goes over bytes that `ready` has shown.
    fn pass(&mut self, count: usize);
    /// None where fewer are left.
    fn take(&mut self, count: usize) -> Result<Option<Self::Bytes>, Broken>;
}

impl<'a> Source for &'a [u8] {
    type Bytes = &'a [u8];

    #[inline]
    fn ready(&mut self, _: usize) -> Result<&[u8], Broken> {
        Ok(self)
    }

    #[inline]
    fn pass(&mut self, count: usize) {
        *self = &self[count..];
    }

    #[inline]
    fn take(&mut self, count: usize) -> Result<Option<&'a [u8]>, Broken> {
        Ok(self.split_off(..count))
    }
}

/// Packed records, of which no more is held than was unpacked at once.
pub(super) struct Stream<'a> {
    unpacking: Unpacking<'a>,
    window: Vec<u8>,
    at: usize,
}

impl<'a> Stream<'a> {
    pub(super) fn new(unpacking: Unpacking<'a>) -> Self {
        Self {
            unpacking,
            window: Vec::new(),
            at: 0,
        }
    }

    /// False at the end.
    fn refill(&mut self) -> Result<bool, Broken> {
        self.window.drain(..self.at);
        self.at = 0;
        self.unpacking.more(&mut self.window)
    }
}

impl Source for Stream<'_> {
    type Bytes = ();

    #[inline]
    fn ready(&mut self, wanted: usize) -> Result<&[u8], Broken> {
        while self.window.len() - self.at < wanted && self.refill()? {}
        Ok(&self.window[self.at..])
    }

    #[inline]
    fn pass(&mut self, count: usize) {
        self.at += count;
    }

    #[inline]
    fn take(&mut self, count: usize) -> Result<Option<()>, Broken> {
        let mut left = count;
        loop {
            let here = left.min(self.window.len() - self.at);
            self.at += here;
            left -= here;
            if left == 0 {
                return Ok(Some(()));
            }
            if !self.refill()? {
                return Ok(None);
            }
        }
    }
}

/// One record as its bytes say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parts<B> {
    pub timestamp_delta: i64,
    pub offset_delta: i32,
    pub key: Option<B>,
    pub value: Option<B>,
    pub headers: u32,
    /// What the headers take, behind their count.
    pub headers_bytes: usize,
}

/// Reads the next record up to its headers, and gives those to `header`.
#[inline]
pub(super) fn read<S: Source>(
    source: &mut S,
    mut header: impl FnMut(S::Bytes, Option<S::Bytes>),
) -> Result<Parts<S::Bytes>, Malformed> {
    let mut head = Fields {
        source,
        left: usize::MAX,
    };
    let declared = head.varint("length")?;
    let left = length("length", declared)?;
    let mut fields = Fields { source, left };
    fields.take("attributes", 1)?;
    let parts = Parts {
        timestamp_delta: fields.varlong("timestamp")?,
        offset_delta: fields.varint("offset")?,
        key: fields.nullable("key's length")?,
        value: fields.nullable("value's length")?,
        headers: length("count of headers", fields.varint("count of headers")?)? as u32,
        headers_bytes: fields.left,
    };
    for _ in 0..parts.headers {
        let bytes = length("header key's length", fields.varint("header key's length")?)?;
        let key = fields.take("header key", bytes)?;
        header(key, fields.nullable("header value's length")?);
    }
    match fields.left {
        0 => Ok(parts),
        count => Err(Malformed::Left { count }),
    }
}

fn length(field: &'static str, declared: i32) -> Result<usize, Malformed> {
    usize::try_from(declared).map_err(|_| Malformed::Length { field, declared })
}

/// The fields of one record, which may not reach behind its end.
struct Fields<'s, S> {
    source: &'s mut S,
    left: usize,
}

/// A varint of 64 bits takes at most so many.
const VARLONG_BYTES_MAX: usize = 10;
const VARINT_BYTES_MAX: usize = 5;

impl<S: Source> Fields<'_, S> {
    #[inline]
    fn take(&mut self, field: &'static str, count: usize) -> Result<S::Bytes, Malformed> {
        let cut = Malformed::Cut { field };
        let Some(left) = self.left.checked_sub(count) else {
            return Err(cut);
        };
        self.left = left;
        self.source.take(count)?.ok_or(cut)
    }

    #[inline]
    fn nullable(&mut self, field: &'static str) -> Result<Option<S::Bytes>, Malformed> {
        match self.varint(field)? {
            -1 => Ok(None),
            declared => {
                let count = length(field, declared)?;
                self.take(field, count).map(Some)
            }
        }
    }

    #[inline]
    fn varint(&mut self, field: &'static str) -> Result<i32, Malformed> {
        let raw = self.raw(field, VARINT_BYTES_MAX)?;
        let raw = u32::try_from(raw).map_err(|_| Malformed::Varint { field })?;
        Ok((raw >> 1) as i32 ^ -((raw & 1) as i32))
    }

    #[inline]
    fn varlong(&mut self, field: &'static str) -> Result<i64, Malformed> {
        let raw = self.raw(field, VARLONG_BYTES_MAX)?;
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    #[inline]
    fn raw(&mut self, field: &'static str, bytes_max: usize) -> Result<u64, Malformed> {
        let wanted = bytes_max.min(self.left);
        let ready = self.source.ready(wanted)?;
        // Nearly all of them are short, and each record has six.
        let (raw, bytes) = match ready[..ready.len().min(wanted)] {
            [one @ 0..0x80, ..] => (one.into(), 1),
            [one, two @ 0..0x80, ..] => (u64::from(one & 0x7f) | u64::from(two) << 7, 2),
            _ => long(field, &ready[..ready.len().min(wanted)], bytes_max)?,
        };
        self.source.pass(bytes);
        self.left -= bytes;
        Ok(raw)
    }
}

#[cold]
fn long(field: &'static str, ready: &[u8], bytes_max: usize) -> Result<(u64, usize), Malformed> {
    let Some(last) = ready.iter().position(|&byte| byte & 0x80 == 0) else {
        return Err(match ready.len() == bytes_max {
            true => Malformed::Varint { field },
            false => Malformed::Cut { field },
        });
    };
    // The tenth byte has room for one bit.
    if last == VARLONG_BYTES_MAX - 1 && ready[last] > 1 {
        return Err(Malformed::Varint { field });
    }
    let bytes = ready[..=last].iter().rev();
    let raw = bytes.fold(0, |raw, &byte| raw << 7 | u64::from(byte & 0x7f));
    Ok((raw, last + 1))
}

/// The next header of those that `read` went over.
pub(super) fn next_header<'a>(bytes: &mut &'a [u8]) -> Option<(&'a [u8], Option<&'a [u8]>)> {
    let mut fields = Fields {
        left: bytes.len(),
        source: bytes,
    };
    let length = usize::try_from(fields.varint("header key's length").ok()?).ok()?;
    let key = fields.take("header key", length).ok()?;
    Some((key, fields.nullable("header value's length").ok()?))
}

/// A length before its bytes, or -1.
pub(super) fn put_nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => {
            put_varlong(out, bytes.len() as i64);
            out.extend_from_slice(bytes);
        }
        None => put_varint(out, -1),
    }
}

pub(super) fn put_varint(out: &mut Vec<u8>, number: i32) {
    put_varlong(out, number.into());
}

pub(super) fn put_varlong(out: &mut Vec<u8>, number: i64) {
    let mut raw = (number << 1 ^ number >> 63) as u64;
    while raw >= 0x80 {
        out.push(raw as u8 | 0x80);
        raw >>= 7;
    }
    out.push(raw as u8);
}

#[cfg(test)]
mod tests {
    use super::super::codec::{Codec, Unpacker, pack};
    use super::*;

    fn varlong(bytes: &[u8]) -> Result<(i64, usize), Malformed> {
        let mut source = bytes;
        let mut fields = Fields {
            source: &mut source,
            left: usize::MAX,
        };
        let number = fields.varlong("number")?;
        Ok((number, source.len()))
    }

    fn varint(bytes: &[u8]) -> Result<i32, Malformed> {
        let mut source = bytes;
        let mut fields = Fields {
            source: &mut source,
            left: usize::MAX,
        };
        fields.varint("number")
    }

    #[test]
    fn varints_are_zigzag() {
        for (number, bytes) in [
            (0, &[0][..]),
            (-1, &[1]),
            (1, &[2]),
            (63, &[0x7e]),
            (-64, &[0x7f]),
            (64, &[0x80, 1]),
            (i32::MAX.into(), &[0xfe, 0xff, 0xff, 0xff, 0x0f]),
            (i32::MIN.into(), &[0xff, 0xff, 0xff, 0xff, 0x0f]),
            (
                i64::MAX,
                &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
            ),
            (
                i64::MIN,
                &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
            ),
        ] {
            let mut out = Vec::new();
            put_varlong(&mut out, number);
            assert_eq!(out, bytes, "{number}");
            let longer = [bytes, &[7]].concat();
            assert_eq!(varlong(&longer), Ok((number, 1)));
            let short = i32::try_from(number).map_err(|_| Malformed::Varint { field: "number" });
            assert_eq!(varint(&longer), short);
            let cut = varlong(&bytes[..bytes.len() - 1]);
            assert_eq!(cut, Err(Malformed::Cut { field: "number" }));
        }
    }

    #[test]
    fn a_varint_that_is_too_long_is_none() {
        let field = "number";
        assert_eq!(varlong(&[0xff; 11]), Err(Malformed::Varint { field }));
        let mut eleven_bits = [0x80; 10];
        eleven_bits[9] = 2;
        assert_eq!(varlong(&eleven_bits), Err(Malformed::Varint { field }));
        // 33 bits, and six bytes for a number that one could hold.
        assert_eq!(
            varint(&[0xff, 0xff, 0xff, 0xff, 0x1f]),
            Err(Malformed::Varint { field })
        );
        assert_eq!(
            varint(&[0x80, 0x80, 0x80, 0x80, 0x80, 0]),
            Err(Malformed::Varint { field })
        );
        assert_eq!(varint(&[0x82, 0x80, 0x80, 0x80, 0]), Ok(1));
    }

    /// A record with key, value and three headers, two of one name.
    fn record() -> Vec<u8> {
        let body = b"\0\x28\x06\x06key\x0avalue\x06\x02h\x021\x02h\x022\x04no\x01";
        let mut bytes = Vec::new();
        put_varint(&mut bytes, body.len() as i32);
        bytes.extend_from_slice(body);
        bytes
    }

    fn read_slice(bytes: &[u8]) -> Result<(Parts<&[u8]>, usize), Malformed> {
        let mut source = bytes;
        let parts = read(&mut source, |_, _| ())?;
        Ok((parts, source.len()))
    }

    #[test]
    fn a_record_comes_apart() {
        let bytes = record();
        let mut headers = Vec::new();
        let parts = read(&mut &bytes[..], |key, value| headers.push((key, value))).unwrap();
        let expected = Parts {
            timestamp_delta: 20,
            offset_delta: 3,
            key: Some(&b"key"[..]),
            value: Some(&b"value"[..]),
            headers: 3,
            headers_bytes: 12,
        };
        assert_eq!(parts, expected);
        let (one, two): (&[u8], &[u8]) = (b"1", b"2");
        assert_eq!(
            headers,
            [(&b"h"[..], Some(one)), (b"h", Some(two)), (b"no", None)]
        );
    }

    #[test]
    fn no_field_reaches_behind_its_record() {
        let bytes = record();
        for length in 0..bytes.len() {
            let cut = read_slice(&bytes[..length]);
            assert!(matches!(cut, Err(Malformed::Cut { .. })), "{length}");
        }
        // The same with the record's length cut and the bytes all there.
        let (mut shorter, mut longer) = (bytes.clone(), bytes.clone());
        shorter[0] -= 2;
        longer[0] += 2;
        longer.push(0);
        assert!(matches!(read_slice(&shorter), Err(Malformed::Cut { .. })));
        assert_eq!(read_slice(&longer), Err(Malformed::Left { count: 1 }));
    }

    #[test]
    fn lengths_that_are_negative_are_refused_where_there_is_no_null() {
        // Length; attributes, timestamp, offset; key; value; headers.
        for (bytes, field) in [
            (&[0x01][..], "length"),
            (&[12, 0, 0, 0, 3, 1, 0], "key's length"),
            (&[12, 0, 0, 0, 1, 3, 0], "value's length"),
            (&[12, 0, 0, 0, 1, 1, 1], "count of headers"),
            (&[14, 0, 0, 0, 1, 1, 2, 1], "header key's length"),
            (&[16, 0, 0, 0, 1, 1, 2, 0, 3], "header value's length"),
        ] {
            match read_slice(bytes) {
                Err(Malformed::Length { field: found, .. }) => assert_eq!(found, field),
                other => panic!("{field}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_stream_is_read_as_a_slice_is() {
        let plain = record().repeat(50_000);
        for codec in Codec::ALL {
            let packed = pack(codec, &plain);
            let mut unpacker = Unpacker::default();
            let unpacking = Unpacking::new(codec, &packed, plain.len(), &mut unpacker).unwrap();
            let mut stream = Stream::new(unpacking);
            for _ in 0..50_000 {
                let mut headers = 0;
                let parts = read(&mut stream, |(), _| headers += 1).unwrap();
                assert_eq!((parts.offset_delta, parts.key, headers), (3, Some(()), 3));
            }
            assert!(stream.ready(1).unwrap().is_empty(), "{codec}");
        }
    }
}
