//! Bytes to what ZooKeeper's clients and servers say, and back. Both
//! directions are here, for our own command line and tests speak as clients.

pub mod code;
mod jute;
mod multi;
mod records;

pub(super) use jute::record;
pub use jute::{Jute, Unread};
pub use multi::{Multi, MultiRead, MultiResults, Part, PartRead, PartResult};
pub use records::*;

use crate::ids::{SessionId, Zxid};
use crate::wire::Cursor;

/// The length before a frame.
pub const FRAME_HEAD_BYTES: usize = 4;

/// An answer to nobody's question: a watch has fired.
pub const NOTIFICATION_XID: i32 = -1;
pub const PING_XID: i32 = -2;
pub const AUTH_XID: i32 = -4;
pub const SET_WATCHES_XID: i32 = -8;

/// The one password length there is.
pub const PASSWORD_BYTES: usize = 16;

record! {
    RequestHeader { xid: i32, operation: i32 }

    ReplyHeader { xid: i32, zxid: Zxid, error: i32 }

    WatcherEvent { kind: i32, state: i32, path: Box<str> }
}

/// What a stream of bytes begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The payload's length; the frame is there as a whole.
    Whole(usize),
    /// More bytes are needed.
    Part,
    /// A frame that is longer than it may be, or of negative length.
    TooLong(i32),
}

/// Looks for a whole frame. Nothing is allocated from the length.
pub fn cut(bytes: &[u8], bytes_max: usize) -> Cut {
    let Some(head) = bytes.first_chunk::<FRAME_HEAD_BYTES>() else {
        return Cut::Part;
    };
    let declared = i32::from_be_bytes(*head);
    match usize::try_from(declared) {
        Ok(length) if length <= bytes_max => {
            if bytes.len() - FRAME_HEAD_BYTES < length {
                Cut::Part
            } else {
                Cut::Whole(length)
            }
        }
        _ => Cut::TooLong(declared),
    }
}

/// Writes a frame whose payload `write` appends.
pub fn frame(into: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let begin = into.len();
    into.extend_from_slice(&[0; FRAME_HEAD_BYTES]);
    write(into);
    close_frame(into, begin);
}

/// Sets the length of the frame that began there, once its payload is whole.
pub fn close_frame(into: &mut [u8], begin: usize) {
    let length = into.len() - begin - FRAME_HEAD_BYTES;
    let length = i32::try_from(length).expect("an answer is smaller than 2 GiB");
    into[begin..begin + FRAME_HEAD_BYTES].copy_from_slice(&length.to_be_bytes());
}

/// A client's first words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectRequest {
    pub protocol: i32,
    pub last_zxid_seen: Zxid,
    pub timeout_ms: i32,
    pub session: SessionId,
    pub password: Vec<u8>,
    /// Old clients do not say, and are not told.
    pub takes_read_only: Option<bool>,
}

/// The server's first words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectResponse {
    pub protocol: i32,
    /// 0: the session is expired.
    pub timeout_ms: i32,
    pub session: SessionId,
    pub password: Vec<u8>,
    pub is_read_only: Option<bool>,
}

impl ConnectRequest {
    pub fn read(payload: &[u8]) -> Result<Self, Unread> {
        let from = &mut Cursor::new(payload);
        Ok(Self {
            protocol: Jute::read(from)?,
            last_zxid_seen: Jute::read(from)?,
            timeout_ms: Jute::read(from)?,
            session: Jute::read(from)?,
            password: read_password(from)?,
            takes_read_only: read_last_flag(from)?,
        })
    }

    /// As a whole frame.
    pub fn write(&self, into: &mut Vec<u8>) {
        frame(into, |into| {
            self.protocol.write(into);
            self.last_zxid_seen.write(into);
            self.timeout_ms.write(into);
            self.session.write(into);
            write_password(&self.password, into);
            self.takes_read_only.iter().for_each(|flag| flag.write(into));
        });
    }
}

impl ConnectResponse {
    pub fn read(payload: &[u8]) -> Result<Self, Unread> {
        let from = &mut Cursor::new(payload);
        Ok(Self {
            protocol: Jute::read(from)?,
            timeout_ms: Jute::read(from)?,
            session: Jute::read(from)?,
            password: read_password(from)?,
            is_read_only: read_last_flag(from)?,
        })
    }

    /// As a whole frame.
    pub fn write(&self, into: &mut Vec<u8>) {
        frame(into, |into| {
            self.protocol.write(into);
            self.timeout_ms.write(into);
            self.session.write(into);
            write_password(&self.password, into);
            self.is_read_only.iter().for_each(|flag| flag.write(into));
        });
    }
}

/// A password of another length is nobody's, and reads as one.
fn read_password(from: &mut Cursor<'_>) -> Result<Vec<u8>, Unread> {
    match i32::read(from)? {
        -1 => Ok(Vec::new()),
        length => {
            let length = usize::try_from(length).map_err(|_| Unread::Length(length))?;
            Ok(from.take(length)?.to_vec())
        }
    }
}

fn write_password(password: &[u8], into: &mut Vec<u8>) {
    let length = i32::try_from(password.len()).expect("a password is short");
    length.write(into);
    into.extend_from_slice(password);
}

fn read_last_flag(from: &mut Cursor<'_>) -> Result<Option<bool>, Unread> {
    (from.left() > 0).then(|| bool::read(from)).transpose()
}

/// One request as a whole frame.
pub fn write_request(xid: i32, operation: i32, body: &impl Jute, into: &mut Vec<u8>) {
    frame(into, |into| {
        RequestHeader { xid, operation }.write(into);
        body.write(into);
    });
}

/// One answer with its body as a whole frame.
pub fn write_reply(header: &ReplyHeader, body: &impl Jute, into: &mut Vec<u8>) {
    frame(into, |into| {
        header.write(into);
        body.write(into);
    });
}
