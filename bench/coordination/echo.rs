//! The ceiling: the bare echo, asked by the same load generator. Nothing that
//! does more can be faster.

use super::echo_server::hello;
use super::failure::Failure;
use super::talk::{Ask, Heard, Talk, Verb};
use super::zookeeper::message_bytes;
use std::collections::VecDeque;
use std::io::Write;
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
        stream.write_all(&hello(asked, answered))?;
        Ok(Self {
            request: vec![7; asked],
            answer_bytes: answered,
            outstanding: VecDeque::new(),
        })
    }
}

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
