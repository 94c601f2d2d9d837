//! A ZooKeeper client: requests encoded once and filled in, answers checked.

mod forms;

use super::failure::Failure;
use super::talk::{Ask, DIGITS, Heard, Talk, VALUE_BYTES, Verb, is_value_of};
use forms::{CLOSE, Form, Forms, PING};
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

/// Asked of every server, granted by all: 20 ticks of 500 ms are the least
/// upper bound among the settings that are measured.
const SESSION_TIMEOUT_MS: i32 = 10_000;

const XID_EVENT: i32 = -1;
const XID_PING: i32 = -2;

/// Length, xid, zxid, error.
const REPLY_HEADER_BYTES: usize = 4 + 16;
const STAT_BYTES: usize = 68;
/// No answer that the bench asks for comes near; what claims more is not an
/// answer.
const FRAME_BYTES_MAX: usize = 1 << 20;

/// What the two messages of a verb take on the wire, for the echo's ceiling.
pub fn message_bytes(verb: Verb, folder: &str) -> (usize, usize) {
    let asked = Forms::of(folder).of_verb(verb).bytes.len();
    let answered = match verb {
        Verb::Set => STAT_BYTES,
        Verb::Get | Verb::SyncGet | Verb::WatchOnce => 4 + VALUE_BYTES + STAT_BYTES,
        Verb::Create => 4 + folder.len() + 1 + DIGITS,
        Verb::Look | Verb::Folder | Verb::Delete | Verb::WatchOn => 0,
    };
    (asked, REPLY_HEADER_BYTES + answered)
}

struct Outstanding {
    xid: i32,
    /// None for the sync before a get: only the get's answer ends it.
    ask: Option<Ask>,
    asked_at: Instant,
}

pub struct ZooKeeper {
    forms: Forms,
    /// Answers come in the order of the requests.
    outstanding: VecDeque<Outstanding>,
    next_xid: i32,
    next_stamp: u64,
}

impl ZooKeeper {
    pub fn open(stream: &mut TcpStream, folder: &str) -> Result<Self, Failure> {
        let mut hello = Vec::new();
        hello.extend(44_i32.to_be_bytes());
        hello.extend([0; 4 + 8]); // protocol version, last zxid seen
        hello.extend(SESSION_TIMEOUT_MS.to_be_bytes());
        hello.extend([0; 8]); // a new session
        hello.extend(16_i32.to_be_bytes());
        hello.extend([0; 16]);
        stream.write_all(&hello)?;
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        if !(36..=37).contains(&length) {
            let why = format!("a connect response of {length} bytes");
            return Err(Failure::Answered(why));
        }
        let mut answer = vec![0; length];
        stream.read_exact(&mut answer)?;
        if int(&answer, 4) <= 0 {
            return Err(Failure::Answered("the session was refused".into()));
        }
        Ok(Self {
            forms: Forms::of(folder),
            outstanding: VecDeque::new(),
            next_xid: 1,
            next_stamp: 1,
        })
    }

    fn write(&mut self, verb: Verb, ask: Ask, now: Instant, out: &mut Vec<u8>) {
        let xid = self.take_xid();
        let form = self.forms.of_verb(verb);
        form.write(xid, ask.key, self.next_stamp, out);
        self.next_stamp += 1;
        self.outstanding.push_back(Outstanding {
            xid,
            ask: Some(ask),
            asked_at: now,
        });
    }

    /// 2^31 requests of one connection are hours at full speed.
    fn take_xid(&mut self) -> i32 {
        self.next_xid += 1;
        self.next_xid - 1
    }

    fn answer(&mut self, frame: &[u8]) -> Result<Option<Heard>, Failure> {
        let refuse = |why: String| Err(Failure::Answered(why));
        if frame.len() < REPLY_HEADER_BYTES - 4 {
            return refuse(format!("a reply of {} bytes", frame.len()));
        }
        let (xid, error) = (int(frame, 0), int(frame, 12));
        if xid == XID_PING {
            return Ok(None);
        }
        if xid == XID_EVENT {
            return Ok(Some(Heard::Event));
        }
        let Some(first) = self.outstanding.pop_front() else {
            return refuse(format!("an answer to {xid}, and nothing was asked"));
        };
        if first.xid != xid {
            return refuse(format!("an answer to {xid} in place of {}", first.xid));
        }
        if error != 0 {
            return refuse(format!("code {error} to {:?}", first.ask));
        }
        let Some(ask) = first.ask else {
            return Ok(None);
        };
        if matches!(ask.verb, Verb::Get | Verb::SyncGet | Verb::WatchOnce) {
            let body = &frame[REPLY_HEADER_BYTES - 4..];
            let is_right = body.len() == 4 + VALUE_BYTES + STAT_BYTES
                && int(body, 0) == VALUE_BYTES as i32
                && is_value_of(ask.key, &body[4..4 + VALUE_BYTES]);
            if !is_right {
                return refuse(format!("another value than {ask:?} should find"));
            }
        }
        let asked_at = first.asked_at;
        Ok(Some(Heard::Answer { asked_at }))
    }
}

fn int(bytes: &[u8], at: usize) -> i32 {
    i32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

impl Talk for ZooKeeper {
    fn ask(&mut self, ask: Ask, now: Instant, out: &mut Vec<u8>) {
        if ask.verb == Verb::SyncGet {
            let xid = self.take_xid();
            self.forms.sync.write(xid, ask.key, 0, out);
            self.outstanding.push_back(Outstanding {
                xid,
                ask: None,
                asked_at: now,
            });
        }
        self.write(ask.verb, ask, now, out);
    }

    fn hear(
        &mut self,
        bytes: &[u8],
        _: &mut Vec<u8>,
        heard: &mut Vec<Heard>,
    ) -> Result<usize, Failure> {
        let mut taken = 0;
        while let Some(length) = bytes.get(taken..taken + 4) {
            let length = u32::from_be_bytes(length.try_into().expect("four bytes")) as usize;
            if length > FRAME_BYTES_MAX {
                return Err(Failure::Answered(format!("a frame of {length} bytes")));
            }
            let Some(frame) = bytes.get(taken + 4..taken + 4 + length) else {
                break;
            };
            heard.extend(self.answer(frame)?);
            taken += 4 + length;
        }
        Ok(taken)
    }

    fn ping(&mut self, out: &mut Vec<u8>) {
        Form::new(PING).done().write(XID_PING, 0, 0, out);
    }

    fn part(&mut self, out: &mut Vec<u8>) {
        let xid = self.take_xid();
        Form::new(CLOSE).done().write(xid, 0, 0, out);
    }
}
