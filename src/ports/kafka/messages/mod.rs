//! The requests and responses of Kafka's protocol as plain structs, from bytes
//! and to bytes at every version, from one declaration each. Pure: nothing here
//! knows what a message is for.
//!
//! A handler names the API that it answers (`metadata::Metadata`) and sees its
//! `Request` and `Response`; `frames` puts the headers around them. What was
//! read are slices of the frame, and what is written may be made of pieces that
//! lie elsewhere, so that records pass through without a copy. A message that
//! parses is trusted as its type: its strings are UTF-8, its nulls are where the
//! version allows one, and it takes no more memory than its frame pays for.

mod access;
mod apis;
mod cluster;
mod connection;
mod data;
mod declare;
mod error_code;
mod frames;
mod groups;
mod hidden;
mod reader;
mod records;
pub mod shape;
mod text;
mod topics;
mod transactions;
mod uuid;
mod value;
mod writer;

pub use access::*;
pub use apis::{APIS, ApiShape};
pub use cluster::*;
pub use connection::*;
pub use data::*;
pub use error_code::ErrorCode;
pub use frames::{
    Peek, RequestHeader, read_blob, read_request, read_response, request_header_version,
    response_header_version, write_bare, write_blob, write_request, write_response,
};
pub use groups::*;
pub use hidden::Hidden;
pub use reader::{Reader, Unread, Why};
pub use records::Records;
pub use text::Text;
pub use topics::*;
pub use transactions::*;
pub use uuid::Uuid;
pub use value::{Nullable, Value};
pub use writer::{Parts, Unsaid, Unwritten, Writer};

use std::ops::RangeInclusive;

/// A version that no message reaches.
pub const NEVER: i16 = i16::MAX;

/// One API of the protocol.
pub trait Api {
    const KEY: i16;
    const NAME: &'static str;
    const VERSIONS: RangeInclusive<i16>;
    /// The first version with compact lengths and tagged fields.
    const FLEXIBLE_FROM: i16;
    /// The header of its responses where it does not follow from the version.
    const RESPONSE_HEADER: Option<i16> = None;
    type Request: Message;
    type Response: Message;
}

/// A version of a message, and whether lengths are compact and records have a
/// tagged section in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    pub number: i16,
    pub is_flexible: bool,
}

impl Version {
    fn of<M: Message>(number: i16) -> Option<Self> {
        M::VERSIONS.contains(&number).then_some(Self {
            number,
            is_flexible: number >= M::FLEXIBLE_FROM,
        })
    }
}

/// What stands alone in a frame.
pub trait Message: Value + Default {
    const VERSIONS: RangeInclusive<i16>;
    const FLEXIBLE_FROM: i16;
    /// What it looks like, for tests and documentation.
    const RECORD: &'static shape::Record;

    /// Reads to the end of the frame.
    fn decode(version: i16, from: &mut Reader) -> Result<Self, Unread> {
        let message = Self::decode_first(version, from)?;
        from.finish()?;
        Ok(message)
    }

    /// Reads what a frame begins with.
    fn decode_first(version: i16, from: &mut Reader) -> Result<Self, Unread> {
        match Version::of::<Self>(version) {
            Some(at) => Self::read(from, at),
            None => Err(from.unread(Why::Version(version))),
        }
    }

    /// Requests and responses are held to the same rule: what a version cannot
    /// say and its schema does not call ignorable is an error and not left out.
    /// An empty answer to a client of an old version would be a wrong one.
    fn encode(&self, version: i16, into: &mut Writer) -> Result<(), Unwritten> {
        match Version::of::<Self>(version) {
            Some(at) => self.write(into, at),
            None => Err(into.unsaid(Unsaid::Version(version))),
        }
    }
}

#[cfg(test)]
mod tests;
