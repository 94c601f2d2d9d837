//! One connection of the load: bytes out in pieces that nobody copies, whole
//! frames in. It never waits; epoll says when there is something to do.

use super::failure::Failure;
use bytes::{Buf, Bytes, BytesMut};
use mio::net::TcpStream;
use std::collections::VecDeque;
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// What an inbox begins with; it grows to the largest answer.
const INBOX_BYTES: usize = 64 << 10;
/// Longer answers than any that is asked for here.
const FRAME_BYTES_MAX: usize = 256 << 20;
const SLICES: usize = 16;

/// How answers are told apart.
#[derive(Clone, Copy, Debug)]
pub enum Framing {
    /// Behind a length of four bytes.
    Kafka,
    /// All of one length, as the echo's are.
    Fixed(usize),
}

pub struct Pipe {
    address: SocketAddr,
    pub stream: TcpStream,
    framing: Framing,
    outbox: VecDeque<Bytes>,
    inbox: BytesMut,
    filled: usize,
}

impl Pipe {
    /// `hello` is said at once.
    pub fn open(address: SocketAddr, framing: Framing, hello: &[u8]) -> Result<Self, Failure> {
        let lost = |error: std::io::Error| Failure::Lost(format!("{address}: {error}"));
        let stream = std::net::TcpStream::connect_timeout(&address, CONNECT_WITHIN);
        let mut stream = stream.map_err(lost)?;
        stream.set_nodelay(true)?;
        stream.write_all(hello)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            address,
            stream: TcpStream::from_std(stream),
            framing,
            outbox: VecDeque::new(),
            inbox: BytesMut::zeroed(INBOX_BYTES),
            filled: 0,
        })
    }

    /// Goes with the next flush.
    pub fn say(&mut self, piece: Bytes) {
        self.outbox.push_back(piece);
    }

    pub fn flush(&mut self) -> Result<(), Failure> {
        while !self.outbox.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let count = slices.len().min(self.outbox.len());
            for (slice, piece) in slices.iter_mut().zip(&self.outbox) {
                *slice = IoSlice::new(piece);
            }
            match self.stream.write_vectored(&slices[..count]) {
                Ok(sent) => self.sent(sent),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(self.lost(&error.to_string())),
            }
        }
        Ok(())
    }

    fn sent(&mut self, mut sent: usize) {
        while sent > 0 {
            let piece = self.outbox.front_mut().expect("no more than there was");
            let of_it = sent.min(piece.len());
            piece.advance(of_it);
            sent -= of_it;
            if piece.is_empty() {
                self.outbox.pop_front();
            }
        }
    }

    /// Epoll tells of an edge, so all is read; a read that is not filled has
    /// taken all there was.
    pub fn read(
        &mut self,
        mut take: impl FnMut(Bytes) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        loop {
            let room = self.inbox.len() - self.filled;
            match self.stream.read(&mut self.inbox[self.filled..]) {
                Ok(0) => return Err(self.lost("closed by the server")),
                Ok(count) => {
                    self.filled += count;
                    self.frames(&mut take)?;
                    if count < room {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(self.lost(&error.to_string())),
            }
        }
    }

    /// Hands over the frames that are whole, as slices of the inbox, which is
    /// used again once nobody holds them.
    fn frames(
        &mut self,
        take: &mut impl FnMut(Bytes) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let filled = self.filled;
        if self.next_frame(0).is_none_or(|(_, until)| until > filled) {
            return self.make_room();
        }
        let whole = std::mem::take(&mut self.inbox).freeze();
        let mut at = 0;
        while let Some((from, until)) = self.framing.next(&whole[..filled], at)
            && until <= filled
        {
            take(whole.slice(from..until))?;
            at = until;
        }
        self.inbox = whole.try_into_mut().unwrap_or_else(|held| {
            // Somebody keeps a frame: it keeps the whole inbox.
            BytesMut::from(&held[..])
        });
        self.inbox.copy_within(at..filled, 0);
        self.filled = filled - at;
        self.make_room()
    }

    fn next_frame(&self, at: usize) -> Option<(usize, usize)> {
        self.framing.next(&self.inbox[..self.filled], at)
    }

    /// For the frame that has begun.
    fn make_room(&mut self) -> Result<(), Failure> {
        let Some((_, until)) = self.next_frame(0) else {
            return Ok(());
        };
        if until > FRAME_BYTES_MAX {
            return Err(self.lost("an answer without measure"));
        }
        if until > self.inbox.len() {
            self.inbox.resize(until, 0);
        }
        Ok(())
    }

    fn lost(&self, why: &str) -> Failure {
        Failure::Lost(format!("{}: {why}", self.address))
    }
}

impl Framing {
    /// From where until where the frame at `at` lies, once its length is there.
    fn next(self, bytes: &[u8], at: usize) -> Option<(usize, usize)> {
        match self {
            Self::Kafka => {
                let length = bytes.get(at..)?.first_chunk::<4>()?;
                let length = u32::from_be_bytes(*length) as usize;
                Some((at + 4, at + 4 + length))
            }
            Self::Fixed(length) => (at < bytes.len()).then_some((at, at + length)),
        }
    }
}
