//! As much of HTTP/2 (RFC 9113) and of its header compression (RFC 7541) as a
//! gRPC client needs that says itself what its peer may send: no dynamic table
//! towards us, no push, header blocks in one frame.

use crate::failure::Failure;

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub const FRAME_HEADER_BYTES: usize = 9;
/// What a peer may send before it has been allowed more, and we to it.
pub const WINDOW_BYTES: i64 = 65_535;
/// Nobody has been allowed larger ones.
const FRAME_BYTES_MAX: usize = 16_384;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;

pub const ACK: u8 = 1;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const PADDED: u8 = 8;
pub const PRIORITY: u8 = 0x20;

pub const SETTING_HEADER_TABLE_SIZE: u16 = 1;
pub const SETTING_ENABLE_PUSH: u16 = 2;
pub const SETTING_INITIAL_WINDOW_SIZE: u16 = 4;

pub struct Frame<'a> {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub body: &'a [u8],
}

/// The frame that the bytes begin with, if all of it is there.
pub fn frame(bytes: &[u8]) -> Result<Option<Frame<'_>>, Failure> {
    let Some((head, rest)) = bytes.split_at_checked(FRAME_HEADER_BYTES) else {
        return Ok(None);
    };
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    if length > FRAME_BYTES_MAX {
        return Err(Failure::Answered(format!("a frame of {length} bytes")));
    }
    let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & 0x7fff_ffff;
    let (kind, flags) = (head[3], head[4]);
    Ok(rest.get(..length).map(|body| Frame {
        kind,
        flags,
        stream,
        body,
    }))
}

pub fn write_frame(kind: u8, flags: u8, stream: u32, body: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(body.len() as u32).to_be_bytes()[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(body);
}

pub fn write_settings(settings: &[(u16, u32)], out: &mut Vec<u8>) {
    let mut body = Vec::new();
    for (name, value) in settings {
        body.extend(name.to_be_bytes());
        body.extend(value.to_be_bytes());
    }
    write_frame(SETTINGS, 0, 0, &body, out);
}

/// Header fields, written without Huffman's code.
pub enum Field<'a> {
    /// A whole field of either table.
    Indexed(u8),
    /// The name of a field of the static table, and a value that is kept in
    /// the dynamic one.
    Kept(u8, &'a str),
    KeptNew(&'a str, &'a str),
    /// As `Kept`, and not kept.
    Plain(u8, &'a str),
}

pub fn header_block(fields: &[Field]) -> Vec<u8> {
    let mut block = Vec::new();
    // Shorter than 127 bytes, so that one byte holds the length.
    let text = |text: &str, block: &mut Vec<u8>| {
        assert!(text.len() < 127, "a short text");
        block.push(text.len() as u8);
        block.extend(text.as_bytes());
    };
    for field in fields {
        match field {
            Field::Indexed(index) => block.push(0x80 | index),
            Field::Kept(name, value) => {
                block.push(0x40 | name);
                text(value, &mut block);
            }
            Field::KeptNew(name, value) => {
                block.push(0x40);
                text(name, &mut block);
                text(value, &mut block);
            }
            Field::Plain(name, value) => {
                assert!(*name < 15, "one byte holds the index");
                block.push(*name);
                text(value, &mut block);
            }
        }
    }
    block
}

/// `grpc-status` as Huffman's code has it: the one name that matters here, so
/// that the code's table is not needed.
const GRPC_STATUS_CODED: &[u8] = &[0x9a, 0xca, 0xc8, 0xb2, 0x12, 0x34, 0xda, 0x8f];

/// The value of `grpc-status` in a header block, as it was written: a number
/// of one or two digits is not longer plain than coded.
pub fn grpc_status(block: &[u8]) -> Result<Option<&[u8]>, Failure> {
    let mut left = block;
    let mut status = None;
    while let Some(&first) = left.first() {
        let prefix_bits = match first {
            _ if first & 0x80 != 0 => 7,
            _ if first & 0x40 != 0 => 6,
            _ if first & 0x20 != 0 => 5,
            _ => 4,
        };
        let index = integer(&mut left, prefix_bits)?;
        match prefix_bits {
            // A whole field of the static table, none of which is ours; or a
            // new size of the dynamic one.
            7 if index <= 61 => continue,
            7 => return Err(malformed("a field of the table that we have refused")),
            5 => continue,
            _ => {}
        }
        let is_status = match index {
            0 => matches!(
                string(&mut left)?,
                (true, GRPC_STATUS_CODED) | (false, b"grpc-status")
            ),
            _ => false,
        };
        let (_, value) = string(&mut left)?;
        if is_status {
            status = Some(value);
        }
    }
    Ok(status)
}

/// RFC 7541, 5.1. Nothing here needs more than three bytes.
fn integer(left: &mut &[u8], prefix_bits: u32) -> Result<usize, Failure> {
    let full = (1 << prefix_bits) - 1;
    let mut value = usize::from(take(left)?) & full;
    if value < full {
        return Ok(value);
    }
    for shift in [0, 7] {
        let byte = usize::from(take(left)?);
        value += (byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(malformed("a number of more than 14 bits"))
}

/// Whether it is in Huffman's code, and its bytes.
fn string<'a>(left: &mut &'a [u8]) -> Result<(bool, &'a [u8]), Failure> {
    let is_coded = left.first().is_some_and(|first| first & 0x80 != 0);
    let length = integer(left, 7)?;
    let (text, rest) = left
        .split_at_checked(length)
        .ok_or_else(|| malformed("a text beyond the end"))?;
    *left = rest;
    Ok((is_coded, text))
}

fn take(left: &mut &[u8]) -> Result<u8, Failure> {
    let (first, rest) = left
        .split_first()
        .ok_or_else(|| malformed("an end within a field"))?;
    *left = rest;
    Ok(*first)
}

fn malformed(what: &str) -> Failure {
    Failure::Answered(format!("a header block with {what}"))
}
