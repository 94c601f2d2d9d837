//! One session with a server, blocking, one question at a time. Every wait has
//! a bound; a wait for events is kept alive by pings.

use crate::ids::{SessionId, Zxid};
use crate::limits::RECORD_BYTES_MAX;
use crate::ports::zookeeper::codec::{
    self, AUTH_XID, AuthPacket, ConnectRequest, ConnectResponse, Cut, FRAME_HEAD_BYTES, Jute,
    NOTIFICATION_XID, PASSWORD_BYTES, PING_XID, ReplyHeader, WatcherEvent, code, cut,
};
use crate::ports::zookeeper::errors;
use crate::wire::Cursor;
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// A server answers within a few syncs; longer means that it has no majority,
/// or is none of these servers.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// What is asked for; the server may give another. A third of it passes
/// between pings, so that two may be lost.
const TIMEOUT_MS: i32 = 15_000;
const PINGS_PER_TIMEOUT: u32 = 3;

/// `digest:user:password`, as it goes to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    scheme: Box<str>,
    data: Box<str>,
}

impl Credential {
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some((scheme, data)) if !scheme.is_empty() && !data.is_empty() => Ok(Self {
                scheme: scheme.into(),
                data: data.into(),
            }),
            _ => Err("write it as SCHEME:DATA, for instance digest:user:password".into()),
        }
    }
}

/// Why a question was not answered as hoped.
#[derive(Debug)]
pub enum Trouble {
    NobodyThere {
        server: String,
        error: io::Error,
    },
    NotServing(String),
    Silent(String),
    Lost {
        server: String,
        error: io::Error,
    },
    Unread(String),
    NotWhoItSays,
    /// The server's own code.
    Refused(i32),
}

impl Trouble {
    pub fn is(&self, code: i32) -> bool {
        matches!(self, Self::Refused(refused) if *refused == code)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NobodyThere { server, error } => write!(
                f,
                "no server answers on {server} ({error}): start one (systemctl start dolmen, or \
                 dolmen dev), or name another with --server"
            ),
            Self::NotServing(server) => write!(
                f,
                "{server} hung up before a session was open: it has no majority, is full, or asks \
                 for TLS; try another with --server, or look at dolmen status there"
            ),
            Self::Silent(server) => write!(
                f,
                "{server} took the question and did not answer in {} s: it may have no majority",
                SILENCE_MAX.as_secs()
            ),
            Self::Lost { server, error } => write!(
                f,
                "the connection to {server} was lost ({error}): whether the last change was made \
                 is not known; look before typing it again"
            ),
            Self::Unread(server) => write!(
                f,
                "{server} answers in a form that is not ZooKeeper's: is the port right?"
            ),
            Self::NotWhoItSays => {
                f.write_str("the server does not take these credentials: check --auth")
            }
            Self::Refused(code) => f.write_str(&said(*code)),
        }
    }
}

/// A code in words, with what to do next where there is something.
fn said(code: i32) -> String {
    let says = match code {
        errors::NO_NODE => "there is no such znode; dolmen zk ls shows which there are",
        errors::NODE_EXISTS => "the znode is there already; dolmen zk set changes it",
        errors::NOT_EMPTY => "the znode has children; rm -R removes them too",
        errors::BAD_VERSION => "the znode has another version; dolmen zk stat shows it",
        errors::NO_AUTH => "the znode's access list does not allow it; --auth says who you are",
        errors::NO_CHILDREN_FOR_EPHEMERALS => "an ephemeral znode has no children",
        errors::INVALID_ACL => "the access list is not valid; write scheme:id:cdrwa",
        errors::QUOTA_EXCEEDED => "a quota is exceeded; dolmen zk quota shows it",
        errors::BAD_ARGUMENTS => "the server does not take that path or value",
        errors::UNIMPLEMENTED => "the server does not know this operation",
        errors::SESSION_EXPIRED => "the session is expired; type it again",
        errors::NOT_READ_ONLY => "the server has no majority and serves reads only",
        errors::OPERATION_TIMEOUT => "the server cannot take writes now; try again",
        other => return format!("the server refused it with code {other}"),
    };
    says.into()
}

pub struct Client {
    server: String,
    stream: TcpStream,
    arrived: Vec<u8>,
    events: VecDeque<WatcherEvent>,
    xid: i32,
    timeout: Duration,
}

impl Client {
    pub fn connect(server: &str, credentials: &[Credential]) -> Result<Self, Trouble> {
        let stream = connect(server).map_err(|error| Trouble::NobodyThere {
            server: server.into(),
            error,
        })?;
        let mut client = Self {
            server: server.into(),
            stream,
            arrived: Vec::new(),
            events: VecDeque::new(),
            xid: 0,
            timeout: SILENCE_MAX,
        };
        client.open()?;
        for credential in credentials {
            client.identify(credential)?;
        }
        Ok(client)
    }

    fn open(&mut self) -> Result<(), Trouble> {
        let mut hello = Vec::new();
        ConnectRequest {
            protocol: 0,
            last_zxid_seen: Zxid(0),
            timeout_ms: TIMEOUT_MS,
            session: SessionId(0),
            password: vec![0; PASSWORD_BYTES],
            takes_read_only: Some(false),
        }
        .write(&mut hello);
        let server = self.server.clone();
        let not_serving = |trouble| match trouble {
            Trouble::Lost { .. } => Trouble::NotServing(server.clone()),
            other => other,
        };
        self.say(&hello).map_err(&not_serving)?;
        let payload = self.frame().map_err(&not_serving)?;
        let welcome = ConnectResponse::read(&payload).map_err(|_| self.unread())?;
        let timeout_ms = u64::try_from(welcome.timeout_ms).unwrap_or(0);
        if timeout_ms == 0 {
            return Err(not_serving(Trouble::Refused(errors::SESSION_EXPIRED)));
        }
        self.timeout = Duration::from_millis(timeout_ms);
        Ok(())
    }

    fn identify(&mut self, credential: &Credential) -> Result<(), Trouble> {
        let packet = AuthPacket {
            kind: 0,
            scheme: credential.scheme.clone(),
            auth: credential.data.as_bytes().into(),
        };
        match self.exchange(AUTH_XID, code::AUTH, &packet) {
            Ok(_) => Ok(()),
            Err(Trouble::Refused(_) | Trouble::Lost { .. }) => Err(Trouble::NotWhoItSays),
            Err(other) => Err(other),
        }
    }

    /// Asks and waits for the answer; events that come first are kept.
    pub fn ask<A: Jute>(&mut self, operation: i32, body: &impl Jute) -> Result<A, Trouble> {
        self.xid += 1;
        let answer = self.exchange(self.xid, operation, body)?;
        A::read(&mut Cursor::new(&answer)).map_err(|_| self.unread())
    }

    /// The body of the answer to one question.
    fn exchange(&mut self, xid: i32, operation: i32, body: &impl Jute) -> Result<Vec<u8>, Trouble> {
        let mut question = Vec::new();
        codec::write_request(xid, operation, body, &mut question);
        self.say(&question)?;
        loop {
            let (header, body) = self.reply()?;
            match header.xid {
                NOTIFICATION_XID => self.keep_event(&body)?,
                PING_XID => {}
                answered if answered != xid => return Err(self.unread()),
                _ if header.error != errors::OK => return Err(Trouble::Refused(header.error)),
                _ => return Ok(body),
            }
        }
    }

    /// The next event, however long it takes. A server that does not answer
    /// pings is lost.
    pub fn next_event(&mut self) -> Result<WatcherEvent, Trouble> {
        let mut silent_for = 0;
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            self.wait(self.timeout / PINGS_PER_TIMEOUT)?;
            match self.reply() {
                Ok((header, body)) => {
                    silent_for = 0;
                    if header.xid == NOTIFICATION_XID {
                        self.keep_event(&body)?;
                    }
                }
                Err(Trouble::Silent(_)) if silent_for < PINGS_PER_TIMEOUT => {
                    silent_for += 1;
                    let mut ping = Vec::new();
                    codec::write_request(PING_XID, code::PING, &(), &mut ping);
                    self.say(&ping)?;
                }
                Err(trouble) => return Err(trouble),
            }
        }
    }

    fn keep_event(&mut self, body: &[u8]) -> Result<(), Trouble> {
        let event = WatcherEvent::read(&mut Cursor::new(body)).map_err(|_| self.unread())?;
        self.events.push_back(event);
        Ok(())
    }

    /// Ends the session, so that the server need not wait for its timeout.
    pub fn close(mut self) -> Result<(), Trouble> {
        let waited = self.wait(SILENCE_MAX);
        waited.and_then(|()| self.ask::<()>(code::CLOSE_SESSION, &()))
    }

    /// Another hold on the connection, to shut it from elsewhere.
    pub fn handle(&self) -> Result<TcpStream, Trouble> {
        self.stream.try_clone().map_err(|error| self.lost(error))
    }

    fn wait(&mut self, at_most: Duration) -> Result<(), Trouble> {
        let set = self.stream.set_read_timeout(Some(at_most));
        set.map_err(|error| self.lost(error))
    }

    fn say(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        let said = self.stream.write_all(bytes);
        said.map_err(|error| self.lost(error))
    }

    fn reply(&mut self) -> Result<(ReplyHeader, Vec<u8>), Trouble> {
        let payload = self.frame()?;
        let mut cursor = Cursor::new(&payload);
        let header = ReplyHeader::read(&mut cursor).map_err(|_| self.unread())?;
        let body = payload[payload.len() - cursor.left()..].to_vec();
        Ok((header, body))
    }

    /// The next whole frame. Holds what has arrived, and no more.
    fn frame(&mut self) -> Result<Vec<u8>, Trouble> {
        let mut piece = [0; 16 << 10];
        loop {
            match cut(&self.arrived, RECORD_BYTES_MAX) {
                Cut::Whole(length) => {
                    let end = FRAME_HEAD_BYTES + length;
                    let payload = self.arrived[FRAME_HEAD_BYTES..end].to_vec();
                    self.arrived.drain(..end);
                    return Ok(payload);
                }
                Cut::TooLong(_) => return Err(self.unread()),
                Cut::Part => {}
            }
            match self.stream.read(&mut piece) {
                Ok(0) => return Err(self.lost(ErrorKind::UnexpectedEof.into())),
                Ok(length) => self.arrived.extend_from_slice(&piece[..length]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    return Err(Trouble::Silent(self.server.clone()));
                }
                Err(error) => return Err(self.lost(error)),
            }
        }
    }

    fn lost(&self, error: io::Error) -> Trouble {
        Trouble::Lost {
            server: self.server.clone(),
            error,
        }
    }

    fn unread(&self) -> Trouble {
        Trouble::Unread(self.server.clone())
    }
}

/// The first of the name's addresses that answers.
fn connect(server: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::other("the name has no address");
    for address in server.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, SILENCE_MAX) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(SILENCE_MAX))?;
                stream.set_write_timeout(Some(SILENCE_MAX))?;
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

    #[test]
    fn credentials_are_a_scheme_and_the_rest() {
        let credential = Credential::parse("digest:ann:se:cret").unwrap();
        assert_eq!(&*credential.scheme, "digest");
        assert_eq!(&*credential.data, "ann:se:cret");
        for bad in ["digest", ":x", "digest:", ""] {
            assert!(Credential::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_refusal_says_what_to_do_next_or_its_code() {
        let not_empty = Trouble::Refused(errors::NOT_EMPTY).to_string();
        assert_eq!(not_empty, "the znode has children; rm -R removes them too");
        let unknown = Trouble::Refused(-77).to_string();
        assert_eq!(unknown, "the server refused it with code -77");
    }
}
