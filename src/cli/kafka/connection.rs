//! One connection to a broker: requests out, answers in their order.

use super::Trouble;
use super::login::Login;
use crate::limits::KAFKA_ANSWER_BYTES_MAX;
use crate::peers::tls::{CallerTls, TlsStream};
use crate::ports::kafka::messages::api_versions::{ApiVersions, ApiVersionsRequest};
use crate::ports::kafka::messages::{Api, ErrorCode, Text, read_response, write_request};
use bytes::{Buf, Bytes, BytesMut};
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::ops::RangeInclusive;
use std::time::Duration;

/// A door is on the same site.
const DIAL_MAX: Duration = Duration::from_secs(10);
/// What a client of Kafka begins with: old brokers answer to nothing newer.
const API_VERSIONS: i16 = 3;

/// What every connection is opened with.
pub struct Means {
    pub tls: Option<CallerTls>,
    pub login: Option<Login>,
    /// How long an answer may take.
    pub patience: Duration,
}

pub struct Connection {
    address: String,
    stream: Stream,
    arrived: BytesMut,
    versions: BTreeMap<i16, RangeInclusive<i16>>,
    sent: i32,
    /// Asked and not answered.
    waiting: VecDeque<Asked>,
    patience: Duration,
    has_answered: bool,
    is_known: bool,
    is_tls: bool,
}

struct Asked {
    id: i32,
    version: i16,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream>),
}

impl Stream {
    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => stream.socket(),
        }
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(into),
            Self::Tls(stream) => stream.read(into),
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.write_all(bytes),
            Self::Tls(stream) => {
                stream.write_all(bytes)?;
                stream.flush()
            }
        }
    }
}

impl Connection {
    /// `name` is what its certificate must say, where TLS is spoken.
    pub fn open(address: &str, name: &str, means: &Means) -> Result<Self, Trouble> {
        let socket = dial(address, means.patience).map_err(|error| Trouble::NobodyThere {
            address: address.into(),
            error,
            was_there: false,
        })?;
        let stream = match &means.tls {
            None => Stream::Plain(socket),
            Some(tls) => match tls.call(name, socket) {
                Ok(stream) => Stream::Tls(Box::new(stream)),
                Err(error) => {
                    let address = address.into();
                    return Err(Trouble::Tls { address, error });
                }
            },
        };
        let mut connection = Self {
            address: address.into(),
            stream,
            arrived: BytesMut::new(),
            versions: BTreeMap::from([(ApiVersions::KEY, 0..=API_VERSIONS)]),
            sent: 0,
            waiting: VecDeque::new(),
            patience: means.patience,
            has_answered: false,
            is_known: means.login.is_some(),
            is_tls: means.tls.is_some(),
        };
        connection.learn_versions()?;
        if let Some(login) = &means.login {
            login.run(&mut connection)?;
        }
        Ok(connection)
    }

    fn learn_versions(&mut self) -> Result<(), Trouble> {
        let hello = ApiVersionsRequest {
            client_software_name: Text::from_static("dolmen"),
            client_software_version: Text::from_static(env!("CARGO_PKG_VERSION")),
        };
        let spoken = self.ask::<ApiVersions>(&hello)?;
        self.has_answered = true;
        if !spoken.error_code.is_none() {
            return Err(Trouble::refused(spoken.error_code, None));
        }
        let keys = spoken.api_keys.iter();
        self.versions = keys
            .map(|api| (api.api_key, api.min_version..=api.max_version))
            .collect();
        Ok(())
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// Another hold on the socket, to shut it from elsewhere.
    pub fn handle(&self) -> io::Result<TcpStream> {
        self.stream.socket().try_clone()
    }

    pub fn ask<A: Api>(&mut self, request: &A::Request) -> Result<A::Response, Trouble> {
        self.send_at_most::<A>(request, *A::VERSIONS.end())?;
        self.hear::<A>()
    }

    /// Sends what is answered later, in a version that is not above `last`.
    pub fn send_at_most<A: Api>(&mut self, request: &A::Request, last: i16) -> Result<(), Trouble> {
        let version = self.version::<A>(last)?;
        let id = self.next_id();
        self.write::<A>(version, id, request)?;
        self.waiting.push_back(Asked { id, version });
        Ok(())
    }

    /// Sends what is not answered.
    pub fn tell_at_most<A: Api>(&mut self, request: &A::Request, last: i16) -> Result<(), Trouble> {
        let version = self.version::<A>(last)?;
        let id = self.next_id();
        self.write::<A>(version, id, request)
    }

    /// The answer to what was sent first of all that is not answered.
    pub fn hear<A: Api>(&mut self) -> Result<A::Response, Trouble> {
        let asked = self.waiting.pop_front();
        let asked = asked.ok_or_else(|| self.lost(io::Error::other("nothing was asked")))?;
        let frame = self.frame()?;
        let read = read_response::<A>(asked.version, frame);
        let (id, response) = read.map_err(|why| Trouble::unread(&self.address, why))?;
        // Whoever hears an answer behind the first is let in.
        self.is_known |= self.has_answered;
        match id == asked.id {
            true => Ok(response),
            false => Err(Trouble::Unread {
                address: self.address.clone(),
                why: format!("it answers question {id} where {} was asked", asked.id),
            }),
        }
    }

    fn version<A: Api>(&self, last: i16) -> Result<i16, Trouble> {
        let too_old = || Trouble::TooOld {
            address: self.address.clone(),
            api: A::NAME,
        };
        let theirs = self.versions.get(&A::KEY).ok_or_else(too_old)?;
        let version = last.min(*A::VERSIONS.end()).min(*theirs.end());
        let least = *A::VERSIONS.start().max(theirs.start());
        (version >= least).then_some(version).ok_or_else(too_old)
    }

    fn next_id(&mut self) -> i32 {
        self.sent = self.sent.wrapping_add(1);
        self.sent
    }

    fn write<A: Api>(&mut self, version: i16, id: i32, said: &A::Request) -> Result<(), Trouble> {
        let client = Some(Text::from_static("dolmen"));
        let parts = write_request::<A>(version, id, client, said).map_err(Trouble::Unsaid)?;
        for part in parts.iter() {
            let written = self.stream.write_all(part);
            written.map_err(|error| self.ended(error))?;
        }
        Ok(())
    }

    /// The next whole frame. Holds what has arrived, and no more.
    fn frame(&mut self) -> Result<Bytes, Trouble> {
        let mut piece = [0; 64 << 10];
        loop {
            if let Some(frame) = self.cut()? {
                return Ok(frame);
            }
            match self.stream.read(&mut piece) {
                Ok(0) => return Err(self.ended(ErrorKind::UnexpectedEof.into())),
                Ok(length) => self.arrived.extend_from_slice(&piece[..length]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.ended(error)),
            }
        }
    }

    fn cut(&mut self) -> Result<Option<Bytes>, Trouble> {
        let Some(head) = self.arrived.first_chunk() else {
            return Ok(None);
        };
        let declared = i32::from_be_bytes(*head);
        let length = usize::try_from(declared).ok();
        let length = length.filter(|&length| length <= KAFKA_ANSWER_BYTES_MAX);
        let length = length.ok_or_else(|| Trouble::Unread {
            address: self.address.clone(),
            why: format!("a frame of {declared} bytes"),
        })?;
        let whole = size_of::<i32>() + length;
        if self.arrived.len() < whole {
            return Ok(None);
        }
        let mut frame = self.arrived.split_to(whole).freeze();
        frame.advance(size_of::<i32>());
        Ok(Some(frame))
    }

    /// Why there is no more of it. What a door does not like it hangs up on, and
    /// when tells why.
    fn ended(&self, error: io::Error) -> Trouble {
        let address = self.address.clone();
        let is_end = matches!(
            error.kind(),
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
        );
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Trouble::Silent {
                address,
                waited: self.patience,
            },
            _ if is_end && !self.has_answered => Trouble::HungUp {
                address,
                is_tls: self.is_tls,
            },
            _ if is_end && !self.is_known => Trouble::WantsLogin { address },
            _ => self.lost(error),
        }
    }

    fn lost(&self, error: io::Error) -> Trouble {
        Trouble::Lost {
            address: self.address.clone(),
            error,
        }
    }

    /// It has been answered as somebody: an end from here on is a loss.
    pub(super) fn is_admitted(&mut self) {
        self.is_known = true;
    }
}

/// A code that says that all is well, or the trouble that it is.
pub fn well(code: ErrorCode) -> Result<(), Trouble> {
    match code.is_none() {
        true => Ok(()),
        false => Err(Trouble::refused(code, None)),
    }
}

/// The first of the name's addresses that answers.
fn dial(address: &str, patience: Duration) -> io::Result<TcpStream> {
    let mut last = io::Error::other("the name has no address");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, DIAL_MAX.min(patience)) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(patience))?;
                stream.set_write_timeout(Some(patience))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::kafka::messages::api_versions::{ApiVersion, ApiVersionsResponse};
    use crate::ports::kafka::messages::list_groups::{ListGroups, ListGroupsRequest};
    use crate::ports::kafka::messages::{Peek, write_bare};
    use std::net::TcpListener;
    use std::thread::spawn;

    fn means() -> Means {
        Means {
            tls: None,
            login: None,
            patience: Duration::from_secs(5),
        }
    }

    /// A broker that answers each frame with what it is given for it, and then
    /// hangs up.
    fn broker(answers: Vec<Box<dyn FnOnce(Peek) -> Bytes + Send>>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            for answer in answers {
                let mut head = [0; 4];
                socket.read_exact(&mut head).unwrap();
                let mut frame = vec![0; u32::from_be_bytes(head) as usize];
                socket.read_exact(&mut frame).unwrap();
                socket
                    .write_all(&answer(Peek::of(&frame).unwrap()))
                    .unwrap();
            }
        });
        address
    }

    fn versions(last: i16) -> Box<dyn FnOnce(Peek) -> Bytes + Send> {
        Box::new(move |peek| {
            let api = ApiVersion {
                api_key: ListGroups::KEY,
                max_version: last,
                ..ApiVersion::default()
            };
            let response = ApiVersionsResponse {
                api_keys: vec![api],
                ..ApiVersionsResponse::default()
            };
            let id = peek.correlation_id;
            let written = crate::ports::kafka::messages::write_response::<ApiVersions>(
                peek.version,
                id,
                &response,
            );
            written.unwrap().to_vec().into()
        })
    }

    fn bare(id: i32) -> Bytes {
        let bytes = Bytes::copy_from_slice(&id.to_be_bytes());
        write_bare(&bytes).unwrap().to_vec().into()
    }

    fn says(answers: Vec<Box<dyn FnOnce(Peek) -> Bytes + Send>>) -> String {
        let address = broker(answers);
        let asked = Connection::open(&address, "", &means()).and_then(|mut connection| {
            let request = ListGroupsRequest::default();
            connection.ask::<ListGroups>(&request).map(|_| ())
        });
        asked.unwrap_err().to_string().replace(&address, "ADDRESS")
    }

    #[test]
    fn what_a_door_does_not_like_is_told_by_when_it_hangs_up() {
        assert!(says(vec![]).contains("hung up before its first answer: it may take TLS only"));
        assert!(says(vec![versions(3)]).contains("log in with --user"));
    }

    #[test]
    fn an_answer_is_held_to_its_question_and_to_its_length() {
        let other: Box<dyn FnOnce(Peek) -> Bytes + Send> =
            Box::new(|peek| bare(peek.correlation_id + 1));
        assert!(says(vec![other]).contains("not Kafka's"));
        let endless: Box<dyn FnOnce(Peek) -> Bytes + Send> =
            Box::new(|_| Bytes::from_static(b"HTTP/1.1 400 Bad Request"));
        assert!(says(vec![endless]).contains("a frame of 1213486160 bytes"));
        let none = says(vec![versions(-1)]);
        assert!(none.contains("speaks no version of ListGroups"), "{none}");
    }
}
