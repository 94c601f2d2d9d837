//! The ceiling: a bare epoll server that answers so many bytes with so many,
//! asked by the same load generator. Nothing that does more can be faster.

use super::failure::Failure;
use super::talk::{Ask, Heard, Talk, Verb};
use super::zookeeper::message_bytes;
use mio::net::{TcpListener, TcpStream as Socket};
use mio::{Events, Interest, Poll, Token};
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

/// As long as those that the table's cells use.
const FOLDER: &str = "/bench-keys";

/// One connection of the client.
pub struct Echo {
    request: Vec<u8>,
    answer_bytes: usize,
    outstanding: VecDeque<Instant>,
}

impl Echo {
    /// The first words are the two sizes.
    pub fn open(stream: &mut TcpStream, verb: Verb) -> Result<Self, Failure> {
        let (asked, answered) = message_bytes(verb, FOLDER);
        let mut hello = [0; HELLO_BYTES];
        hello[..4].copy_from_slice(&(asked as u32).to_be_bytes());
        hello[4..].copy_from_slice(&(answered as u32).to_be_bytes());
        stream.write_all(&hello)?;
        Ok(Self {
            request: vec![7; asked],
            answer_bytes: answered,
            outstanding: VecDeque::new(),
        })
    }
}

const HELLO_BYTES: usize = 8;

impl Talk for Echo {
    fn ask(&mut self, _: Ask, now: Instant, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.request);
        self.outstanding.push_back(now);
    }

    fn hear(
        &mut self,
        bytes: &[u8],
        _: &mut Vec<u8>,
        heard: &mut Vec<Heard>,
    ) -> Result<usize, Failure> {
        let whole = bytes.len() / self.answer_bytes;
        for _ in 0..whole {
            let first = self.outstanding.pop_front();
            let asked_at =
                first.ok_or_else(|| Failure::Answered("more than was asked for".into()))?;
            heard.push(Heard::Answer { asked_at });
        }
        Ok(whole * self.answer_bytes)
    }

    fn ping(&mut self, _: &mut Vec<u8>) {}

    fn part(&mut self, _: &mut Vec<u8>) {}
}

/// One connection of the server.
struct Guest {
    stream: Socket,
    /// Of a request, and of its answer; None before the first words.
    sizes: Option<(usize, usize)>,
    hello: Vec<u8>,
    /// Bytes of a request that is not whole.
    part: usize,
    /// Bytes that are owed.
    owed: usize,
}

const DOOR: Token = Token(usize::MAX);

/// What the child process does until it is killed. Prints its address first.
pub fn serve() -> io::Result<()> {
    let mut door = TcpListener::bind("127.0.0.1:0".parse().expect("an address"))?;
    println!("{}", door.local_addr()?);
    let mut poll = Poll::new()?;
    poll.registry()
        .register(&mut door, DOOR, Interest::READABLE)?;
    let mut events = Events::with_capacity(256);
    let mut guests = BTreeMap::new();
    let mut next = 0;
    let mut buffer = vec![0; 64 << 10];
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            polled => polled?,
        }
        for event in &events {
            if event.token() == DOOR {
                while let Ok((mut stream, _)) = door.accept() {
                    stream.set_nodelay(true)?;
                    let both = Interest::READABLE | Interest::WRITABLE;
                    poll.registry().register(&mut stream, Token(next), both)?;
                    guests.insert(next, Guest::new(stream));
                    next += 1;
                }
                continue;
            }
            let Token(number) = event.token();
            if let Some(guest) = guests.get_mut(&number)
                && !guest.turn(&mut buffer)
            {
                guests.remove(&number);
            }
        }
    }
}

impl Guest {
    fn new(stream: Socket) -> Self {
        Self {
            stream,
            sizes: None,
            hello: Vec::new(),
            part: 0,
            owed: 0,
        }
    }

    /// Reads and answers; false when the guest has left.
    fn turn(&mut self, buffer: &mut [u8]) -> bool {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => return false,
                Ok(count) => {
                    self.take(&buffer[..count]);
                    // Less than asked for: there is nothing more.
                    if count < buffer.len() {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => return false,
            }
        }
        while self.owed > 0 {
            let bytes = self.owed.min(buffer.len());
            match self.stream.write(&buffer[..bytes]) {
                Ok(count) => self.owed -= count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => return false,
            }
        }
        true
    }

    fn take(&mut self, bytes: &[u8]) {
        let mut bytes = bytes;
        if self.sizes.is_none() {
            let wanted = (HELLO_BYTES - self.hello.len()).min(bytes.len());
            self.hello.extend_from_slice(&bytes[..wanted]);
            bytes = &bytes[wanted..];
            if let Ok(hello) = <[u8; HELLO_BYTES]>::try_from(self.hello.as_slice()) {
                let size = |at: usize| {
                    let size = hello[at..at + 4].try_into().expect("four bytes");
                    (u32::from_be_bytes(size) as usize).max(1)
                };
                self.sizes = Some((size(0), size(4)));
            }
        }
        if let Some((asked, answered)) = self.sizes {
            self.part += bytes.len();
            self.owed += self.part / asked * answered;
            self.part %= asked;
        }
    }
}
