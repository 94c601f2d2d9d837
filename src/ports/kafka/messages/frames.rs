//! What stands around a message: its header, and the length before the frame.

use super::reader::{Reader, Unread, Why};
use super::shape::{Field, Kind};
use super::text::Text;
use super::value::Value;
use super::writer::{Parts, Unwritten, Writer};
use super::{Api, Message, Version};
use bytes::Bytes;

/// What every request begins with, whatever its API and version: enough to
/// answer one that is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peek {
    pub key: i16,
    pub version: i16,
    pub correlation_id: i32,
}

impl Peek {
    /// None where a frame is too short to be a request.
    pub fn of(frame: &[u8]) -> Option<Self> {
        let (key, rest) = frame.split_first_chunk()?;
        let (version, rest) = rest.split_first_chunk()?;
        let (correlation_id, _) = rest.split_first_chunk()?;
        Some(Self {
            key: i16::from_be_bytes(*key),
            version: i16::from_be_bytes(*version),
            correlation_id: i32::from_be_bytes(*correlation_id),
        })
    }
}

/// The header of a request, in its versions 1 and 2; nobody sends 0 any more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestHeader {
    pub key: i16,
    pub version: i16,
    pub correlation_id: i32,
    /// What the client calls itself.
    pub client_id: Option<Text>,
}

const KEY: &Field = &Field::new("RequestHeader", "request_api_key", Kind::I16);
const VERSION: &Field = &Field::new("RequestHeader", "request_api_version", Kind::I16);
const CORRELATION: &Field = &Field::new("RequestHeader", "correlation_id", Kind::I32);
const CLIENT: &Field = &Field::new("RequestHeader", "client_id", Kind::Optional(&Kind::Text));
const ANSWERED: &Field = &Field::new("ResponseHeader", "correlation_id", Kind::I32);

/// The fields of a header keep their old forms in every version: of the new one
/// it has the tagged section alone.
const OLD_FORMS: Version = Version {
    number: 0,
    is_flexible: false,
};

impl RequestHeader {
    fn read(from: &mut Reader, is_flexible: bool) -> Result<Self, Unread> {
        let header = Self {
            key: from.field(KEY, OLD_FORMS)?,
            version: from.field(VERSION, OLD_FORMS)?,
            correlation_id: from.field(CORRELATION, OLD_FORMS)?,
            client_id: from.field(CLIENT, OLD_FORMS)?,
        };
        if is_flexible {
            from.skip_tags()?;
        }
        Ok(header)
    }

    fn write(&self, into: &mut Writer, is_flexible: bool) -> Result<(), Unwritten> {
        into.field(KEY, &self.key, OLD_FORMS)?;
        into.field(VERSION, &self.version, OLD_FORMS)?;
        into.field(CORRELATION, &self.correlation_id, OLD_FORMS)?;
        into.field(CLIENT, &self.client_id, OLD_FORMS)?;
        if is_flexible {
            into.unsigned(0);
        }
        Ok(())
    }
}

/// Which header stands before a request of this version.
pub fn request_header_version<A: Api>(version: i16) -> i16 {
    if version >= A::FLEXIBLE_FROM { 2 } else { 1 }
}

/// Which header stands before a response of this version.
pub fn response_header_version<A: Api>(version: i16) -> i16 {
    A::RESPONSE_HEADER.unwrap_or(i16::from(version >= A::FLEXIBLE_FROM))
}

/// Reads a whole frame as a request; `Peek` told its API and version.
pub fn read_request<A: Api>(frame: Bytes) -> Result<(RequestHeader, A::Request), Unread> {
    let version = Peek::of(&frame).map_or(0, |peek| peek.version);
    let mut from = Reader::new(frame);
    let header = RequestHeader::read(&mut from, request_header_version::<A>(version) > 1)?;
    // Kafka does not look at what stands behind a request, and librdkafka leaves
    // some of its buffer there: three bytes behind a Metadata for all topics.
    let request = A::Request::decode_first(header.version, &mut from)?;
    Ok((header, request))
}

/// A request as a whole frame, with the length before it.
pub fn write_request<A: Api>(
    version: i16,
    correlation_id: i32,
    client_id: Option<Text>,
    request: &A::Request,
) -> Result<Parts, Unwritten> {
    let header = RequestHeader {
        key: A::KEY,
        version,
        correlation_id,
        client_id,
    };
    let mut into = Writer::frame();
    header.write(&mut into, request_header_version::<A>(version) > 1)?;
    request.encode(version, &mut into)?;
    into.into_frame()
}

/// Reads a whole frame as a response, and which request it answers.
pub fn read_response<A: Api>(version: i16, frame: Bytes) -> Result<(i32, A::Response), Unread> {
    let mut from = Reader::new(frame);
    let correlation_id = from.field(ANSWERED, OLD_FORMS)?;
    if response_header_version::<A>(version) > 0 {
        from.skip_tags()?;
    }
    let response = A::Response::decode(version, &mut from)?;
    Ok((correlation_id, response))
}

/// A response as a whole frame, with the length before it.
pub fn write_response<A: Api>(
    version: i16,
    correlation_id: i32,
    response: &A::Response,
) -> Result<Parts, Unwritten> {
    let mut into = Writer::frame();
    into.field(ANSWERED, &correlation_id, OLD_FORMS)?;
    if response_header_version::<A>(version) > 0 {
        into.unsigned(0);
    }
    response.encode(version, &mut into)?;
    into.into_frame()
}

/// Bytes that stand in a frame without any header: a SASL token of old clients.
pub fn write_bare(bytes: &Bytes) -> Result<Parts, Unwritten> {
    let mut into = Writer::frame();
    into.splice(bytes);
    into.into_frame()
}

/// The blobs of the classic consumer carry their version before them. One from
/// a newer client is read as the newest version that is known here, and what
/// it has besides stands behind.
pub fn read_blob<M: Message>(blob: Bytes) -> Result<(i16, M), Unread> {
    let mut from = Reader::new(blob);
    let version = i16::read(&mut from, OLD_FORMS)?;
    let known = version.min(*M::VERSIONS.end());
    let Some(at) = Version::of::<M>(known) else {
        return Err(from.unread(Why::Version(version)));
    };
    let message = M::read(&mut from, at)?;
    if known == version {
        from.finish()?;
    }
    Ok((version, message))
}

pub fn write_blob<M: Message>(version: i16, message: &M) -> Result<Bytes, Unwritten> {
    let mut into = Writer::default();
    version.write(&mut into, OLD_FORMS)?;
    message.encode(version, &mut into)?;
    Ok(into.into_parts().to_vec().into())
}
