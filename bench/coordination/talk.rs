//! What a client can be asked, whatever protocol it speaks.

use super::echo::Echo;
use super::etcd::Etcd;
use super::failure::Failure;
use super::zookeeper::ZooKeeper;
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// A read of something that may be absent: does anybody answer?
    Look,
    /// The parent of what this client creates, where the protocol has parents.
    Folder,
    Create,
    Set,
    /// A read that the node answers from what it has.
    Get,
    /// A read that is at least as new as the moment it was asked.
    SyncGet,
    Delete,
    /// A read that leaves a watch for one change.
    WatchOnce,
    /// A watch that stays.
    WatchOn,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    pub verb: Verb,
    pub key: u64,
}

#[derive(Clone, Copy, Debug)]
pub enum Heard {
    Answer {
        asked_at: Instant,
    },
    /// Something watched has changed.
    Event,
}

/// One connection's side of a protocol: bytes out, bytes in.
pub trait Talk: Send {
    /// Appends the request to what is to be sent.
    fn ask(&mut self, ask: Ask, now: Instant, out: &mut Vec<u8>);

    /// Takes the whole frames among the bytes, and says how many bytes that
    /// were. An answer that is not what was asked for is a failure.
    fn hear(
        &mut self,
        bytes: &[u8],
        out: &mut Vec<u8>,
        heard: &mut Vec<Heard>,
    ) -> Result<usize, Failure>;

    /// A sign of life, where the protocol wants one.
    fn ping(&mut self, out: &mut Vec<u8>);

    /// The last words.
    fn part(&mut self, out: &mut Vec<u8>);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    ZooKeeper,
    Etcd,
    /// Messages of the sizes that ZooKeeper's have for this verb.
    Echo(Verb),
}

/// Where a node is reached, and where in its tree this client works.
#[derive(Clone, Debug)]
pub struct Way {
    pub protocol: Protocol,
    pub address: SocketAddr,
    pub folder: String,
}

impl Way {
    /// Says the first words on a stream that blocks, and hears the answer.
    pub fn greet(&self, stream: &mut TcpStream) -> Result<Box<dyn Talk>, Failure> {
        Ok(match self.protocol {
            Protocol::ZooKeeper => Box::new(ZooKeeper::open(stream, &self.folder)?),
            Protocol::Etcd => Box::new(Etcd::open(stream, &self.folder)?),
            Protocol::Echo(verb) => Box::new(Echo::open(stream, verb)?),
        })
    }
}

pub const VALUE_BYTES: usize = 100;
pub const DIGITS: usize = 10;

/// A key as text, always of one length, so that it can be written over the
/// last one in a request that is already encoded.
pub fn digits(number: u64) -> [u8; DIGITS] {
    let mut text = [b'0'; DIGITS];
    let mut rest = number;
    for digit in text.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    text
}

/// A value tells whose it is and which, so that one in the wrong place is
/// seen when it is read.
pub fn value(key: u64, stamp: u64) -> [u8; VALUE_BYTES] {
    let mut value = [b'.'; VALUE_BYTES];
    value[..DIGITS].copy_from_slice(&digits(key));
    value[DIGITS..2 * DIGITS].copy_from_slice(&digits(stamp));
    value
}

pub fn is_value_of(key: u64, bytes: &[u8]) -> bool {
    bytes.len() == VALUE_BYTES
        && bytes[..DIGITS] == digits(key)
        && bytes[DIGITS..2 * DIGITS].iter().all(u8::is_ascii_digit)
        && bytes[2 * DIGITS..] == [b'.'; VALUE_BYTES - 2 * DIGITS]
}
