//! One session with a server of ZooKeeper's protocol, blocking, one question at
//! a time. Every wait has a bound; a wait for events is kept alive by pings.

mod server;
mod trouble;

pub use server::Server;
pub use trouble::Trouble;

use crate::clock::{Clock, MachineClock};
use crate::ids::{SessionId, Zxid};
use crate::limits::RECORD_BYTES_MAX;
use crate::ports::zookeeper::codec::{
    self, AUTH_XID, ConnectRequest, ConnectResponse, Cut, FRAME_HEAD_BYTES, Jute, NOTIFICATION_XID,
    PASSWORD_BYTES, PING_XID, ReplyHeader, WatcherEvent, code, cut,
};
use crate::ports::zookeeper::errors;
use crate::wire::Cursor;
use server::Credential;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// A server answers within a few syncs; longer means that it has no majority,
/// or is none of these servers.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// What is asked for where nobody says otherwise; the server may give another.
const TIMEOUT: Duration = Duration::from_secs(15);
/// A third of it passes between pings, so that two may be lost.
const PINGS_PER_TIMEOUT: u32 = 3;

pub struct Client {
    server: String,
    stream: TcpStream,
    arrived: Vec<u8>,
    events: VecDeque<WatcherEvent>,
    xid: i32,
    id: SessionId,
    timeout: Duration,
}

impl Client {
    fn connect(
        server: &str,
        credentials: &[Credential],
        timeout: Duration,
    ) -> Result<Self, Trouble> {
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
            id: SessionId(0),
            timeout,
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
            timeout_ms: i32::try_from(self.timeout.as_millis()).unwrap_or(i32::MAX),
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
        self.id = welcome.session;
        self.timeout = Duration::from_millis(timeout_ms);
        Ok(())
    }

    fn identify(&mut self, credential: &Credential) -> Result<(), Trouble> {
        match self.exchange(AUTH_XID, code::AUTH, &credential.packet()) {
            Ok(_) => Ok(()),
            Err(Trouble::Refused(_) | Trouble::Lost { .. }) => Err(Trouble::NotWhoItSays),
            Err(other) => Err(other),
        }
    }

    /// What the ephemeral nodes of this session have for their owner.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// How long the server lets the session be silent.
    pub fn timeout(&self) -> Duration {
        self.timeout
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

    /// The next event, however long it takes.
    pub fn next_event(&mut self) -> Result<WatcherEvent, Trouble> {
        loop {
            if let Some(event) = self.event_within(Duration::MAX)? {
                return Ok(event);
            }
        }
    }

    /// The next event, None where none has come in time. A server that does not
    /// answer pings is lost.
    pub fn event_within(&mut self, at_most: Duration) -> Result<Option<WatcherEvent>, Trouble> {
        let clock = MachineClock::new();
        let between_pings = self.timeout / PINGS_PER_TIMEOUT;
        let mut silent_for = 0;
        loop {
            let left = at_most.saturating_sub(clock.monotonic());
            if !self.events.is_empty() || left.is_zero() {
                self.wait(SILENCE_MAX)?;
                return Ok(self.events.pop_front());
            }
            self.wait(left.min(between_pings))?;
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

    /// Events that have come before the last answer and were not asked for yet.
    pub fn events_waiting(&self) -> usize {
        self.events.len()
    }

    fn keep_event(&mut self, body: &[u8]) -> Result<(), Trouble> {
        let event = WatcherEvent::read(&mut Cursor::new(body)).map_err(|_| self.unread())?;
        self.events.push_back(event);
        Ok(())
    }

    /// Ends the session, so that the server need not wait for its timeout.
    pub fn close(mut self) -> Result<(), Trouble> {
        self.ask(code::CLOSE_SESSION, &())
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

    pub fn unread(&self) -> Trouble {
        Trouble::Unread(self.server.clone())
    }
}

/// What an event's number says of the znode that its path names.
pub fn word(kind: i32) -> &'static str {
    match kind {
        1 => "created",
        2 => "deleted",
        3 => "changed",
        4 => "children",
        _ => "unknown",
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
    fn events_have_words() {
        assert_eq!(
            [1, 2, 3, 4, 9].map(word),
            ["created", "deleted", "changed", "children", "unknown"]
        );
    }
}
