//! An etcd client: gRPC over HTTP/2, one stream a request, requests encoded
//! once and filled in, status and values checked.

mod forms;
mod http2;
mod leader;
mod protobuf;

pub use leader::leads;

use super::failure::Failure;
use super::talk::{Ask, Heard, Talk, Verb, is_value_of};
use forms::{AUTHORITY, CONTENT_TYPE, Form, Forms, METHOD_POST, PATH, SCHEME_HTTP, block};
use http2::{Field, Frame};
use protobuf::{Fields, Value, write_bytes};
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

/// We take in whatever comes: the window is opened wide, and again when half
/// of it is used.
const RECEIVE_WINDOW_BYTES: u32 = 1 << 30;
const STREAM_WINDOW_BYTES: u32 = 1 << 24;

/// Flag and length before each message.
const MESSAGE_HEADER_BYTES: usize = 5;
const MESSAGE_BYTES_MAX: usize = 1 << 20;

struct Stream {
    ask: Ask,
    asked_at: Instant,
    /// DATA that has arrived and is not a whole message yet, or not all of an
    /// answer.
    body: Vec<u8>,
    is_answered: bool,
}

pub struct Etcd {
    forms: Forms,
    /// Streams from `oldest` on, each id 2 above the one before.
    streams: VecDeque<Stream>,
    oldest: u32,
    spare_bodies: Vec<Vec<u8>>,
    next_stamp: u64,
    send_window: i64,
    /// Asked while the window was too small.
    held: VecDeque<(u32, Ask)>,
    received_bytes: u32,
    /// What the server wants to be told, without hurry: goes with the next
    /// request, since a write of its own would cost as much as that.
    owed: Vec<u8>,
}

impl Etcd {
    /// Opens with a read and a write, which fill the table of header fields.
    pub fn open(stream: &mut TcpStream, folder: &str) -> Result<Self, Failure> {
        let address = stream.peer_addr()?.to_string();
        let read = http2::header_block(&[
            Field::Indexed(METHOD_POST),
            Field::Indexed(SCHEME_HTTP),
            Field::Kept(PATH, "/etcdserverpb.KV/Range"),
            Field::Kept(AUTHORITY, &address),
            Field::Kept(CONTENT_TYPE, "application/grpc"),
            Field::KeptNew("te", "trailers"),
        ]);
        // Kept before the others are named, it has already pushed them to
        // where they stay.
        let write = block(Field::Kept(PATH, "/etcdserverpb.KV/Put"));
        let mut key = Vec::new();
        write_bytes(1, b"greeting", &mut key);
        let mut talk = Self {
            forms: Forms::of(folder),
            streams: VecDeque::new(),
            oldest: 1,
            spare_bodies: Vec::new(),
            next_stamp: 1,
            send_window: http2::WINDOW_BYTES,
            held: VecDeque::new(),
            received_bytes: 0,
            owed: Vec::new(),
        };
        let mut hello = http2::PREFACE.to_vec();
        let settings = [
            (http2::SETTING_HEADER_TABLE_SIZE, 0),
            (http2::SETTING_ENABLE_PUSH, 0),
            (http2::SETTING_INITIAL_WINDOW_SIZE, STREAM_WINDOW_BYTES),
        ];
        http2::write_settings(&settings, &mut hello);
        widen(RECEIVE_WINDOW_BYTES, &mut hello);
        for block in [read, write] {
            let form = Form::new(&block, &key, false);
            let look = Ask {
                verb: Verb::Look,
                key: 0,
            };
            let id = talk.begin(look, Instant::now());
            talk.send_window -= form.window_bytes();
            form.write(id, 0, 0, &mut hello);
        }
        stream.write_all(&hello)?;
        talk.hear_greetings(stream)?;
        Ok(talk)
    }

    fn hear_greetings(&mut self, stream: &mut TcpStream) -> Result<(), Failure> {
        let (mut bytes, mut heard, mut out) = (Vec::new(), Vec::new(), Vec::new());
        while heard.len() < 2 || !bytes.is_empty() {
            let mut part = [0; 4096];
            let count = stream.read(&mut part)?;
            if count == 0 {
                return Err(Failure::Lost("closed at the greeting".into()));
            }
            bytes.extend_from_slice(&part[..count]);
            let taken = self.hear(&bytes, &mut out, &mut heard)?;
            bytes.drain(..taken);
        }
        stream.write_all(&out)?;
        Ok(())
    }

    fn begin(&mut self, ask: Ask, now: Instant) -> u32 {
        let id = self.oldest + 2 * self.streams.len() as u32;
        self.streams.push_back(Stream {
            ask,
            asked_at: now,
            body: self.spare_bodies.pop().unwrap_or_default(),
            is_answered: false,
        });
        id
    }

    fn send(&mut self, id: u32, ask: Ask, out: &mut Vec<u8>) {
        let form = self.forms.of_verb(ask.verb);
        self.send_window -= form.window_bytes();
        form.write(id, ask.key, self.next_stamp, out);
        self.next_stamp += 1;
    }

    /// What had to wait goes in the order asked, since stream ids may only
    /// grow.
    fn send_held(&mut self, out: &mut Vec<u8>) {
        while let Some(&(id, ask)) = self.held.front() {
            if self.forms.of_verb(ask.verb).window_bytes() > self.send_window {
                return;
            }
            self.held.pop_front();
            self.send(id, ask, out);
        }
    }

    fn take(
        &mut self,
        frame: &Frame,
        out: &mut Vec<u8>,
        heard: &mut Vec<Heard>,
    ) -> Result<(), Failure> {
        let has = |flag| frame.flags & flag != 0;
        match frame.kind {
            http2::DATA if !has(http2::PADDED) => self.take_data(frame, heard)?,
            http2::HEADERS if has(http2::END_HEADERS) && !has(http2::PADDED | http2::PRIORITY) => {
                if let Some(status) = http2::grpc_status(frame.body)?
                    && status != b"0"
                {
                    let ask = self.stream(frame.stream)?.ask;
                    let status = String::from_utf8_lossy(status);
                    return refuse(format!("grpc-status {status} to {ask:?}"));
                }
                if has(http2::END_STREAM) && http2::grpc_status(frame.body)?.is_none() {
                    return refuse("a stream that ends without a status".into());
                }
            }
            http2::SETTINGS if !has(http2::ACK) => {
                http2::write_frame(http2::SETTINGS, http2::ACK, 0, &[], &mut self.owed);
            }
            http2::PING if !has(http2::ACK) => {
                http2::write_frame(http2::PING, http2::ACK, 0, frame.body, &mut self.owed);
            }
            http2::SETTINGS | http2::PING => {}
            http2::WINDOW_UPDATE => {
                let increment = frame.body.try_into().map(u32::from_be_bytes);
                let increment = increment
                    .map_err(|_| Failure::Answered("a WINDOW_UPDATE of another size".into()))?;
                // A stream's own window holds its one request with ease.
                if frame.stream == 0 {
                    self.send_window += i64::from(increment);
                    self.send_held(out);
                }
            }
            http2::RST_STREAM => return refuse("the stream was reset".into()),
            http2::GOAWAY => return Err(Failure::Lost("the server says goodbye".into())),
            kind => return refuse(format!("a frame of kind {kind}, flags {}", frame.flags)),
        }
        if matches!(frame.kind, http2::DATA | http2::HEADERS) && has(http2::END_STREAM) {
            self.end(frame.stream, heard)?;
        }
        Ok(())
    }

    fn take_data(&mut self, frame: &Frame, heard: &mut Vec<Heard>) -> Result<(), Failure> {
        self.received_bytes += frame.body.len() as u32;
        if self.received_bytes > RECEIVE_WINDOW_BYTES / 2 {
            widen(self.received_bytes, &mut self.owed);
            self.received_bytes = 0;
        }
        let stream = self.stream(frame.stream)?;
        stream.body.extend_from_slice(frame.body);
        if !matches!(stream.ask.verb, Verb::WatchOnce | Verb::WatchOn) {
            return Ok(());
        }
        let asked_at = stream.asked_at;
        while let Some((message, rest)) = first_message(&stream.body)? {
            let mut fields = Fields(message);
            while let Some(field) = fields.take()? {
                match field {
                    (3, Value::Number(1)) => heard.push(Heard::Answer { asked_at }),
                    (4, Value::Number(1)) => return refuse("the watch was cancelled".into()),
                    (11, Value::Bytes(_)) => heard.push(Heard::Event),
                    _ => {}
                }
            }
            stream.body = rest.to_vec();
        }
        Ok(())
    }

    fn stream(&mut self, id: u32) -> Result<&mut Stream, Failure> {
        let place = id.checked_sub(self.oldest).map(|above| above as usize / 2);
        place
            .and_then(|place| self.streams.get_mut(place))
            .filter(|stream| !stream.is_answered && id % 2 == 1)
            .ok_or_else(|| Failure::Answered(format!("something on stream {id}, not asked for")))
    }

    fn end(&mut self, id: u32, heard: &mut Vec<Heard>) -> Result<(), Failure> {
        let stream = self.stream(id)?;
        stream.is_answered = true;
        let (ask, asked_at) = (stream.ask, stream.asked_at);
        check(ask, &stream.body)?;
        heard.push(Heard::Answer { asked_at });
        while self.streams.front().is_some_and(|first| first.is_answered) {
            let mut first = self.streams.pop_front().expect("just seen");
            first.body.clear();
            self.spare_bodies.push(first.body);
            self.oldest += 2;
        }
        Ok(())
    }
}

fn refuse<T>(why: String) -> Result<T, Failure> {
    Err(Failure::Answered(why))
}

fn widen(bytes: u32, out: &mut Vec<u8>) {
    http2::write_frame(http2::WINDOW_UPDATE, 0, 0, &bytes.to_be_bytes(), out);
}

/// A message, and what follows it.
type First<'a> = (&'a [u8], &'a [u8]);

/// The first gRPC message, if all of it is there.
fn first_message(bytes: &[u8]) -> Result<Option<First<'_>>, Failure> {
    let Some((head, rest)) = bytes.split_at_checked(MESSAGE_HEADER_BYTES) else {
        return Ok(None);
    };
    if head[0] != 0 {
        return refuse("a compressed message, which nobody asked for".into());
    }
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
    if length > MESSAGE_BYTES_MAX {
        return refuse(format!("a message of {length} bytes"));
    }
    Ok(rest.split_at_checked(length))
}

/// Whether a whole answer is one to what was asked.
fn check(ask: Ask, body: &[u8]) -> Result<(), Failure> {
    let Some((message, [])) = first_message(body)? else {
        return refuse(format!("no single message in the answer to {ask:?}"));
    };
    let mut fields = Fields(message);
    let (mut header, mut found, mut deleted) = (false, None, 0);
    while let Some(field) = fields.take()? {
        match field {
            (1, Value::Bytes(_)) => header = true,
            (2, Value::Bytes(pair)) => found = Some(pair),
            (2, Value::Number(count)) => deleted = count,
            _ => {}
        }
    }
    let is_right = header
        && match ask.verb {
            Verb::Get | Verb::SyncGet => match found {
                Some(pair) => is_value_of(ask.key, value_in(pair)?),
                None => false,
            },
            Verb::Delete => deleted == 1,
            _ => true,
        };
    match is_right {
        true => Ok(()),
        false => refuse(format!("another answer than {ask:?} should find")),
    }
}

fn value_in(pair: &[u8]) -> Result<&[u8], Failure> {
    let mut fields = Fields(pair);
    let mut value: &[u8] = &[];
    while let Some(field) = fields.take()? {
        if let (5, Value::Bytes(bytes)) = field {
            value = bytes;
        }
    }
    Ok(value)
}

impl Talk for Etcd {
    fn ask(&mut self, ask: Ask, now: Instant, out: &mut Vec<u8>) {
        out.append(&mut self.owed);
        let id = self.begin(ask, now);
        let needed = self.forms.of_verb(ask.verb).window_bytes();
        match self.held.is_empty() && needed <= self.send_window {
            true => self.send(id, ask, out),
            false => self.held.push_back((id, ask)),
        }
    }

    fn hear(
        &mut self,
        bytes: &[u8],
        out: &mut Vec<u8>,
        heard: &mut Vec<Heard>,
    ) -> Result<usize, Failure> {
        let mut taken = 0;
        while let Some(frame) = http2::frame(&bytes[taken..])? {
            self.take(&frame, out, heard)?;
            taken += http2::FRAME_HEADER_BYTES + frame.body.len();
        }
        Ok(taken)
    }

    /// A connection without a lease lives as long as TCP does; what is owed
    /// goes now at the latest.
    fn ping(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.owed);
    }

    fn part(&mut self, out: &mut Vec<u8>) {
        http2::write_frame(http2::GOAWAY, 0, 0, &[0; 8], out);
    }
}
