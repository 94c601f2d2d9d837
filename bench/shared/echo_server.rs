//! A bare epoll server that answers so many bytes with so many, as a child
//! process of the bench.

use super::failure::Failure;
use super::process::{Process, eventually};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

const START_WITHIN: Duration = Duration::from_secs(10);

pub struct EchoServer {
    process: Process,
    pub address: SocketAddr,
}

impl EchoServer {
    pub fn start(folder: &Path) -> Result<Self, Failure> {
        let program = std::env::current_exe()?.display().to_string();
        let log = folder.join("echo.log");
        let mut process = Process::start(&[program, "--echo".to_owned()], folder, &log)?;
        let address = eventually(START_WITHIN, || {
            process.check()?;
            let text = fs::read_to_string(&log)?;
            let line = text.strip_suffix('\n').unwrap_or_default();
            line.parse()
                .map_err(|_| Failure::Lost(format!("no address of the echo: {text:?}")))
        })?;
        Ok(Self { process, address })
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }
}

const HELLO_BYTES: usize = 8;

/// The first words of a client: the bytes of a request, and of its answer.
pub fn hello(asked: usize, answered: usize) -> [u8; HELLO_BYTES] {
    let mut hello = [0; HELLO_BYTES];
    hello[..4].copy_from_slice(&(asked as u32).to_be_bytes());
    hello[4..].copy_from_slice(&(answered as u32).to_be_bytes());
    hello
}

/// One connection of the server.
struct Guest {
    stream: TcpStream,
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
    fn new(stream: TcpStream) -> Self {
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
