//! One connection that waits for its answers: for preparing, for asking
//! whether a server is there, and for what happens once.

use super::failure::{Failure, go_on};
use super::talk::{Ask, Heard, Talk, Verb, Way};
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

pub struct Line {
    stream: TcpStream,
    talk: Box<dyn Talk>,
    inbox: Vec<u8>,
    heard: VecDeque<Heard>,
}

impl Line {
    pub fn open(way: &Way, within: Duration) -> Result<Self, Failure> {
        let lost = |error: std::io::Error| Failure::Lost(format!("{}: {error}", way.address));
        let mut stream = TcpStream::connect_timeout(&way.address, within).map_err(lost)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(within))?;
        stream.set_write_timeout(Some(within))?;
        let talk = way.greet(&mut stream)?;
        Ok(Self {
            stream,
            talk,
            inbox: Vec::new(),
            heard: VecDeque::new(),
        })
    }

    /// For a crowd, which does not wait.
    pub fn into_parts(self) -> (TcpStream, Box<dyn Talk>) {
        assert!(self.inbox.is_empty() && self.heard.is_empty(), "unused");
        (self.stream, self.talk)
    }

    pub fn ask(&mut self, verb: Verb, key: u64) -> Result<(), Failure> {
        let mut out = Vec::new();
        self.talk.ask(Ask { verb, key }, Instant::now(), &mut out);
        Ok(self.stream.write_all(&out)?)
    }

    /// What comes next, or None when nothing came in time.
    pub fn hear(&mut self, within: Duration) -> Result<Option<Heard>, Failure> {
        let until = Instant::now() + within;
        let mut buffer = [0; 4096];
        while self.heard.is_empty() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.stream.set_read_timeout(Some(left))?;
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(Failure::Lost("the server closed the connection".into())),
                Ok(count) => self.take(&buffer[..count])?,
                Err(error) if is_silence(error.kind()) => go_on()?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(self.heard.pop_front())
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.inbox.extend_from_slice(bytes);
        let (mut out, mut heard) = (Vec::new(), Vec::new());
        let taken = self.talk.hear(&self.inbox, &mut out, &mut heard)?;
        self.inbox.drain(..taken);
        self.heard.extend(heard);
        Ok(self.stream.write_all(&out)?)
    }

    pub fn call(&mut self, verb: Verb, key: u64, within: Duration) -> Result<(), Failure> {
        self.ask(verb, key)?;
        match self.hear(within)? {
            Some(_) => Ok(()),
            None => Err(Failure::Lost(format!("no answer within {within:?}"))),
        }
    }

    /// Leaves, so that the server need not find out.
    pub fn part(mut self) {
        let mut out = Vec::new();
        self.talk.part(&mut out);
        // One that is not there any more has been left already.
        let _ = self.stream.write_all(&out);
    }
}

fn is_silence(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}
