//! Many connections on one epoll thread.

use super::failure::{Failure, go_on};
use super::line::Line;
use super::talk::{Ask, Heard, Talk, Way};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// For a session of ten seconds that is otherwise silent.
const PING_AFTER: Duration = Duration::from_secs(3);
/// How late an interruption is noticed, or a ping sent.
const POLL_AT_MOST: Duration = Duration::from_millis(200);
/// A session is opened by a write, the slowest of the servers' answers.
const OPEN_WITHIN: Duration = Duration::from_secs(10);

struct Client {
    address: SocketAddr,
    stream: TcpStream,
    talk: Box<dyn Talk>,
    /// The beginning of a frame.
    inbox: Vec<u8>,
    outbox: Vec<u8>,
    said_at: Instant,
}

pub struct Crowd {
    poll: Poll,
    events: Events,
    clients: Vec<Client>,
    /// What arrives is read here, whoever it is for.
    buffer: Vec<u8>,
    heard: Vec<Heard>,
}

impl Crowd {
    /// So many clients, spread evenly over the ways.
    pub fn open(ways: &[Way], count: usize) -> Result<Self, Failure> {
        let mut crowd = Self {
            poll: Poll::new()?,
            events: Events::with_capacity(count.max(16)),
            clients: Vec::new(),
            buffer: vec![0; 64 << 10],
            heard: Vec::new(),
        };
        for place in 0..count {
            go_on()?;
            crowd.add(&ways[place % ways.len()])?;
            // The first must not be forgotten before the last is there.
            crowd.keep_alive()?;
        }
        Ok(crowd)
    }

    fn add(&mut self, way: &Way) -> Result<(), Failure> {
        let (stream, talk) = Line::open(way, OPEN_WITHIN)?.into_parts();
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        let (place, both) = (self.clients.len(), Interest::READABLE | Interest::WRITABLE);
        let registry = self.poll.registry();
        registry.register(&mut stream, Token(place), both)?;
        self.clients.push(Client {
            address: way.address,
            stream,
            talk,
            inbox: Vec::new(),
            outbox: Vec::new(),
            said_at: Instant::now(),
        });
        Ok(())
    }

    pub fn len(&self) -> usize {
        self.clients.len()
    }

    /// Takes effect with the next `flush` or `turn` of this client.
    pub fn ask(&mut self, client: usize, ask: Ask, now: Instant) {
        let client = &mut self.clients[client];
        client.talk.ask(ask, now, &mut client.outbox);
    }

    pub fn flush(&mut self, client: usize, now: Instant) -> Result<(), Failure> {
        self.clients[client].flush(now)
    }

    /// Waits for the sockets and hands over what each client has heard, with
    /// the time it arrived; what it is then made to ask goes at once, in one
    /// write.
    pub fn turn(
        &mut self,
        mut heard: impl FnMut(usize, Heard, Instant, &mut dyn FnMut(Ask)),
    ) -> Result<(), Failure> {
        go_on()?;
        match self.poll.poll(&mut self.events, Some(POLL_AT_MOST)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            polled => polled?,
        }
        for event in &self.events {
            let Token(place) = event.token();
            let client = &mut self.clients[place];
            let mut now = None;
            if event.is_readable() {
                let now = *now.insert(Instant::now());
                client.read(&mut self.buffer, &mut self.heard)?;
                for one in self.heard.drain(..) {
                    let mut ask = |ask| client.talk.ask(ask, now, &mut client.outbox);
                    heard(place, one, now, &mut ask);
                }
            }
            if !client.outbox.is_empty() {
                client.flush(now.unwrap_or_else(Instant::now))?;
            }
        }
        Ok(())
    }

    /// Signs of life for those who have been silent. Costs a look at each
    /// client, so not to be called at every turn.
    pub fn keep_alive(&mut self) -> Result<(), Failure> {
        let now = Instant::now();
        for client in &mut self.clients {
            if now - client.said_at > PING_AFTER {
                client.talk.ping(&mut client.outbox);
                client.flush(now)?;
            }
        }
        Ok(())
    }

    pub fn part(self) {
        for mut client in self.clients {
            client.talk.part(&mut client.outbox);
            // Who cannot be told finds out by the closed connection.
            let _ = client.flush(Instant::now());
        }
    }
}

impl Client {
    /// Epoll tells of an edge, so all is read; a read that is not filled has
    /// taken all there was.
    fn read(&mut self, buffer: &mut [u8], heard: &mut Vec<Heard>) -> Result<(), Failure> {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => {
                    let silent = self.said_at.elapsed();
                    let address = self.address;
                    let why =
                        format!("{address} closed a connection, {silent:?} after the last word");
                    return Err(Failure::Lost(why));
                }
                Ok(count) => {
                    self.take(&buffer[..count], heard)?;
                    if count < buffer.len() {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn take(&mut self, bytes: &[u8], heard: &mut Vec<Heard>) -> Result<(), Failure> {
        let (talk, outbox) = (&mut self.talk, &mut self.outbox);
        if self.inbox.is_empty() {
            let taken = talk.hear(bytes, outbox, heard)?;
            self.inbox.extend_from_slice(&bytes[taken..]);
            return Ok(());
        }
        self.inbox.extend_from_slice(bytes);
        let taken = talk.hear(&self.inbox, outbox, heard)?;
        self.inbox.drain(..taken);
        Ok(())
    }

    fn flush(&mut self, now: Instant) -> Result<(), Failure> {
        self.said_at = now;
        let mut sent = 0;
        while sent < self.outbox.len() {
            match self.stream.write(&self.outbox[sent..]) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        self.outbox.drain(..sent);
        Ok(())
    }
}
