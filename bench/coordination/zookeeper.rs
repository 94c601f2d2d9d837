//! A ZooKeeper client: requests encoded once and filled in, answers checked.

use super::failure::Failure;
use super::talk::{Ask, DIGITS, Heard, Talk, VALUE_BYTES, Verb, digits, is_value_of, value};
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

/// Asked of every server, granted by all: 20 ticks of 500 ms are the least
/// upper bound among the settings that are measured.
const SESSION_TIMEOUT_MS: i32 = 10_000;

const CREATE: i32 = 1;
const DELETE: i32 = 2;
const GET_DATA: i32 = 4;
const SET_DATA: i32 = 5;
const SYNC: i32 = 9;
const PING: i32 = 11;
const ADD_WATCH: i32 = 106;
const CLOSE: i32 = -11;

const XID_EVENT: i32 = -1;
const XID_PING: i32 = -2;

/// Length, xid, zxid, error.
const REPLY_HEADER_BYTES: usize = 4 + 16;
const STAT_BYTES: usize = 68;
/// No answer that the bench asks for comes near; what claims more is not an
/// answer.
const FRAME_BYTES_MAX: usize = 1 << 20;

/// A request with holes for xid, key and value.
struct Form {
    bytes: Vec<u8>,
    key_at: Option<usize>,
    value_at: Option<usize>,
}

impl Form {
    fn new(kind: i32) -> Self {
        let mut bytes = vec![0; 8];
        bytes.extend(kind.to_be_bytes());
        Self {
            bytes,
            key_at: None,
            value_at: None,
        }
    }

    fn int(mut self, number: i32) -> Self {
        self.bytes.extend(number.to_be_bytes());
        self
    }

    fn text(self, text: &str) -> Self {
        let mut form = self.int(text.len() as i32);
        form.bytes.extend(text.as_bytes());
        form
    }

    fn path(self, folder: &str) -> Self {
        let mut form = self.text(&format!("{folder}/{:0DIGITS$}", 0));
        form.key_at = Some(form.bytes.len() - DIGITS);
        form
    }

    fn value(self) -> Self {
        let mut form = self.int(VALUE_BYTES as i32);
        form.value_at = Some(form.bytes.len());
        form.bytes.extend([0; VALUE_BYTES]);
        form
    }

    fn flag(mut self, flag: bool) -> Self {
        self.bytes.push(flag.into());
        self
    }

    /// All may do everything.
    fn open_acl(self) -> Self {
        self.int(1).int(31).text("world").text("anyone")
    }

    fn done(mut self) -> Self {
        let length = self.bytes.len() as i32 - 4;
        self.bytes[..4].copy_from_slice(&length.to_be_bytes());
        self
    }

    fn write(&self, xid: i32, key: u64, stamp: u64, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        let request = &mut out[start..];
        request[4..8].copy_from_slice(&xid.to_be_bytes());
        if let Some(at) = self.key_at {
            request[at..at + DIGITS].copy_from_slice(&digits(key));
        }
        if let Some(at) = self.value_at {
            request[at..at + VALUE_BYTES].copy_from_slice(&value(key, stamp));
        }
    }
}

/// The requests of one folder.
struct Forms {
    look: Form,
    folder: Form,
    create: Form,
    delete: Form,
    set: Form,
    get: Form,
    sync: Form,
    watch_once: Form,
    watch_on: Form,
}

impl Forms {
    fn of(folder: &str) -> Self {
        let node = |kind| Form::new(kind).path(folder);
        Self {
            look: Form::new(GET_DATA).text("/").flag(false).done(),
            folder: Form::new(CREATE)
                .text(folder)
                .int(-1)
                .open_acl()
                .int(0)
                .done(),
            create: node(CREATE).value().open_acl().int(0).done(),
            delete: node(DELETE).int(-1).done(),
            set: node(SET_DATA).value().int(-1).done(),
            get: node(GET_DATA).flag(false).done(),
            sync: node(SYNC).done(),
            watch_once: node(GET_DATA).flag(true).done(),
            watch_on: node(ADD_WATCH).int(0).done(),
        }
    }

    fn of_verb(&self, verb: Verb) -> &Form {
        match verb {
            Verb::Look => &self.look,
            Verb::Folder => &self.folder,
            Verb::Create => &self.create,
            Verb::Set => &self.set,
            Verb::Get | Verb::SyncGet => &self.get,
            Verb::Delete => &self.delete,
            Verb::WatchOnce => &self.watch_once,
            Verb::WatchOn => &self.watch_on,
        }
    }
}

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
