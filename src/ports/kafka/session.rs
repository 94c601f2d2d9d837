//! One connection: which of its requests may begin, and what is owed to its
//! client. Knows no socket and no time but what it is told.
//!
//! Requests are answered in the order in which they came, and one is worked on
//! at a time, as by Kafka: each sees what those before it did. Produce alone
//! goes on beside another Produce, so that a producer that sends ahead does not
//! wait for one sync after another. They begin in order, and a Produce says what
//! is to be appended when it is first polled (`Handle`), so their batches reach
//! the partitions in order too. Nothing else would gain by it: an answer may not
//! overtake another.
//!
//! A client that is over its quota is muted: until its time nothing of it is read
//! or begun, and nothing is held for it but what had arrived. One that says no more
//! is not muted, for what it has sent is to be carried out before it is forgotten.
//!
//! Who has not shown yet who it is has one request at a time, and has to take its
//! answer before the next is read. It holds little, so it is given nothing of what
//! the others share, and they wait for nothing that it has.
//!
//! A request that has begun is carried through, whether its client is there to
//! hear of it or not; only a Fetch, which changes nothing, is given up.

use super::arriving::{Arriving, BadLength};
use super::bare_token;
use super::budget::{AnswerKind, Owed, Share};
use super::connection_state::ConnectionState;
use super::counts::Counts;
use super::handlers::{Answering, Fault, Handler, api_versions};
use super::messages::fetch::Fetch;
use super::messages::produce::Produce;
use super::messages::sasl_authenticate::SaslAuthenticate;
use super::messages::sasl_handshake::SaslHandshake;
use super::messages::{self, Api, Parts, Peek};
use crate::limits::{
    KAFKA_REQUEST_BYTES_PER_CONNECTION, KAFKA_REQUESTS_PER_CONNECTION, KAFKA_SMALL_REQUEST_BYTES,
    KAFKA_UNADMITTED_BYTES_MAX, KAFKA_UNSENT_BYTES_MAX,
};
use bytes::buf::Limit;
use bytes::{Buf, Bytes};
use std::collections::VecDeque;
use std::fmt;
use std::io::IoSlice;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// Who gives the requests their meaning: the door, or a test.
pub trait Answers: Send + Sync {
    /// By their keys.
    fn table(&self) -> &'static [Handler];
    fn begin(
        &self,
        handler: &'static Handler,
        connection: &Arc<ConnectionState>,
        frame: Bytes,
    ) -> Answering;

    /// What records that leave with answers may hold is used up.
    fn is_pressed(&self) -> bool {
        false
    }
}

/// Why a connection is closed for what came by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cut {
    /// No length of a frame, or a longer one than this connection may send.
    Length {
        declared: i32,
        bytes_max: usize,
    },
    /// No header of a request.
    Header {
        bytes: usize,
    },
    Api(i16),
    Version {
        api: &'static str,
        version: i16,
    },
    /// Who the client is has to be shown first.
    NotAdmitted {
        api: &'static str,
    },
    Unread {
        api: &'static str,
        why: messages::Unread,
    },
    Unwritten {
        api: &'static str,
        why: messages::Unwritten,
    },
    /// Its client listens for no answer, and is to learn that it failed.
    Unheard {
        api: &'static str,
    },
    /// A SASL token that SaslAuthenticate refuses, where no error can be said.
    Token,
    /// The first request is not here in time.
    Silent,
    SlowFrame {
        bytes: usize,
        declared: usize,
    },
    /// There was no memory for its frame.
    NoMemory {
        declared: usize,
    },
    /// The client takes nothing of its answers.
    SlowReader {
        unsent: usize,
    },
    /// What TLS says of the client's bytes.
    Tls(String),
    /// Another protocol than TLS, where nothing else is taken.
    NotTls,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length {
                declared,
                bytes_max,
            } => write!(
                f,
                "a frame of {declared} bytes where {bytes_max} are the most"
            ),
            Self::Header { bytes } => write!(f, "a frame of {bytes} bytes that is no request"),
            Self::Api(key) => write!(f, "the API {key}, which is not spoken here"),
            Self::Version { api, version } => {
                write!(f, "{api} at version {version}, which is not spoken here")
            }
            Self::NotAdmitted { api } => {
                write!(
                    f,
                    "{api} before it has shown who it is: set up SASL in the client"
                )
            }
            Self::Unread { api, why } => write!(f, "{api} that cannot be read: {why}"),
            Self::Unwritten { api, why } => {
                write!(f, "{api}, whose answer cannot be written: {why}")
            }
            Self::Unheard { api } => write!(
                f,
                "{api} that fails, and wants no answer: this is the only one there is"
            ),
            Self::Token => f.write_str("a SASL token that proves nothing"),
            Self::Silent => f.write_str("no request in time"),
            Self::SlowFrame { bytes, declared } => {
                write!(
                    f,
                    "{bytes} bytes of a frame of {declared} and no more in time"
                )
            }
            Self::NoMemory { declared } => write!(
                f,
                "a frame of {declared} bytes, for which there was no memory in time"
            ),
            Self::SlowReader { unsent } => {
                write!(f, "answers of {unsent} bytes that it does not take")
            }
            Self::Tls(why) => write!(f, "a TLS handshake that fails: {why}"),
            Self::NotTls => f.write_str("something else than TLS, which is asked for here"),
        }
    }
}

/// What a session is told once.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Of a client that is admitted.
    pub request_bytes_max: usize,
    /// From a frame's first byte to its last, and a second more for every
    /// `FRAME_BYTES_PER_SECOND` that have arrived.
    pub frame_time_max: Duration,
}

/// A client that is slower than 256 kbit/s gives up itself.
const FRAME_BYTES_PER_SECOND: u64 = 32 << 10;

pub struct Session {
    state: Arc<ConnectionState>,
    answers: Arc<dyn Answers>,
    counts: Arc<Counts>,
    terms: Terms,
    share: Share,
    /// The client has shown who it is, where it must.
    is_admitted: bool,
    arriving: Arriving,
    /// When its first byte came; later where memory was waited for.
    arriving_since: Duration,
    /// Memory is being waited for since then.
    waits_since: Option<Duration>,
    muted_since: Option<Duration>,
    /// Its client closes, behind what is not read yet.
    is_closing: bool,
    /// Arrived and not begun.
    waiting: VecDeque<Arrived>,
    /// Begun, in order, and not answered.
    begun: VecDeque<Begun>,
    /// The bytes of both.
    request_bytes: usize,
    /// What the client has not taken, the next first.
    out: VecDeque<Out>,
    unsent: usize,
    /// The memory of it, as it is noted.
    owed: Owed,
    has_spoken: bool,
    has_input_ended: bool,
    /// Nothing more begins, and the connection is closed once all is answered.
    is_leaving: bool,
    cut: Option<Cut>,
}

struct Arrived {
    frame: Bytes,
    at: Duration,
}

struct Begun {
    answer: Answer,
    handler: &'static Handler,
    /// Its place in the table.
    line: usize,
    frame_bytes: usize,
    at: Duration,
    is_bare_token: bool,
    /// One before it will have no answer, so neither has this.
    is_mute: bool,
}

enum Answer {
    Coming(Answering),
    Here(Option<Parts>),
}

struct Out {
    parts: Parts,
    kind: AnswerKind,
    /// What it takes of the memory for its kind, until it is taken whole.
    held_bytes: usize,
}

impl Session {
    pub fn new(
        state: Arc<ConnectionState>,
        answers: Arc<dyn Answers>,
        share: Share,
        counts: Arc<Counts>,
        terms: Terms,
    ) -> Self {
        Self {
            is_admitted: state.is_admitted(),
            state,
            answers,
            counts,
            terms,
            share,
            arriving: Arriving::default(),
            arriving_since: Duration::ZERO,
            waits_since: None,
            muted_since: None,
            is_closing: false,
            waiting: VecDeque::new(),
            begun: VecDeque::new(),
            request_bytes: 0,
            out: VecDeque::new(),
            unsent: 0,
            owed: Owed::default(),
            has_spoken: false,
            has_input_ended: false,
            is_leaving: false,
            cut: None,
        }
    }

    /// Whether what comes by the connection is to be read.
    pub fn wants_bytes(&self, now: Duration) -> bool {
        let waits = self.arriving.is_new() && self.is_full() || self.is_muted(now);
        !(self.has_input_ended || self.is_leaving || waits)
    }

    /// As much has arrived as may wait for its answer.
    fn is_full(&self) -> bool {
        let requests_max = match self.is_admitted {
            true => KAFKA_REQUESTS_PER_CONNECTION,
            false => 1,
        };
        self.waiting.len() + self.begun.len() >= requests_max
            || self.request_bytes >= KAFKA_REQUEST_BYTES_PER_CONNECTION
            || self.is_behind()
    }

    /// The client has so much to take that nothing of it begins.
    fn is_behind(&self) -> bool {
        // Mostly it has taken all, and nobody asks what the others owe.
        let is_spared = || self.is_admitted && !self.is_tight();
        self.unsent > 0 && (self.unsent > KAFKA_UNSENT_BYTES_MAX || !is_spared())
    }

    fn is_tight(&self) -> bool {
        self.share.budget().is_tight() || self.answers.is_pressed()
    }

    /// Takes what has arrived, as far as there is memory for it. Where it leaves
    /// something, it takes that later: `wake` is called when there may be more.
    pub fn arrive(&mut self, arrived: &mut &[u8], wake: &mut Context<'_>, now: Duration) {
        while self.wants_bytes(now) {
            if self.arriving.is_new() {
                if arrived.is_empty() {
                    break;
                }
                self.arriving_since = now;
            }
            let bytes_max = self.bytes_max();
            if let Err(BadLength(declared)) = self.arriving.take_head(arrived, bytes_max) {
                return self.cut_off(Cut::Length {
                    declared,
                    bytes_max,
                });
            }
            if !self.arriving.has_head() || self.poll_room(wake, now).is_pending() {
                break;
            }
            self.arriving.take_body(arrived);
            if let Some(frame) = self.arriving.whole() {
                self.request_bytes += frame.len();
                self.share.end_frame();
                self.waiting.push_back(Arrived { frame, at: now });
            } else if arrived.is_empty() {
                break;
            }
        }
    }

    fn bytes_max(&self) -> usize {
        match self.is_admitted {
            true => self.terms.request_bytes_max,
            false => KAFKA_UNADMITTED_BYTES_MAX.min(self.terms.request_bytes_max),
        }
    }

    /// Memory for the frame that arrives. The time that it waits is not the
    /// client's. Who is not admitted has nothing that is counted.
    fn poll_room(&mut self, wake: &mut Context<'_>, now: Duration) -> Poll<()> {
        let wanted = self.arriving.room_wanted();
        if self.is_admitted && wanted > self.arriving.room() {
            let is_small = self.arriving.declared() <= KAFKA_SMALL_REQUEST_BYTES;
            let bytes = self.request_bytes + wanted;
            if self.share.poll_hold(wake, bytes, is_small).is_pending() {
                self.waits_since.get_or_insert(now);
                return Poll::Pending;
            }
        }
        if let Some(since) = self.waits_since.take() {
            self.arriving_since += now - since;
        }
        self.arriving.make_room();
        Poll::Ready(())
    }

    /// Where much of a frame is still to come, the place for it; `arrive` is
    /// called after each read into it.
    pub fn place(&mut self) -> Option<Limit<&mut Vec<u8>>> {
        self.arriving.place()
    }

    /// It waits for memory, so that reading makes no sense.
    pub fn is_held_up(&self) -> bool {
        self.waits_since.is_some()
    }

    /// And nothing of it may begin before it has it.
    pub fn is_only_held_up(&self) -> bool {
        self.is_held_up() && self.waiting.is_empty()
    }

    /// Asks again for that memory.
    pub fn poll_held_up(&mut self, wake: &mut Context<'_>, now: Duration) -> Poll<()> {
        self.arrive(&mut &[][..], wake, now);
        match self.is_held_up() {
            true => Poll::Pending,
            false => Poll::Ready(()),
        }
    }

    /// Since when it is held up.
    pub fn waits_since(&self) -> Option<Duration> {
        self.waits_since
    }

    /// There is no memory for the frame that is under way.
    pub fn no_memory(&self) -> Cut {
        Cut::NoMemory {
            declared: self.arriving.declared(),
        }
    }

    /// When the frame that is under way must be here.
    pub fn frame_due(&self) -> Option<Duration> {
        let is_stopped = self.waits_since.is_some() || self.muted_since.is_some();
        let is_under_way = !self.arriving.is_new() && !is_stopped;
        let more = self.arriving.arrived_bytes() as u64 / FRAME_BYTES_PER_SECOND;
        let due = self.arriving_since + self.terms.frame_time_max + Duration::from_secs(more);
        (is_under_way && !self.is_leaving && !self.has_input_ended).then_some(due)
    }

    /// The frame that is under way takes too long.
    pub fn slow_frame(&self) -> Cut {
        Cut::SlowFrame {
            bytes: self.arriving.arrived_bytes(),
            declared: self.arriving.declared(),
        }
    }

    /// Until when it is muted, where it is.
    pub fn muted_until(&self, now: Duration) -> Option<Duration> {
        let is_ending = self.is_closing || self.has_input_ended || self.is_leaving;
        let until = self.state.muted_until();
        (until > now && !is_ending).then_some(until)
    }

    fn is_muted(&self, now: Duration) -> bool {
        self.muted_until(now).is_some()
    }

    /// To be called when it may have become muted, or heard again. The time is
    /// not the client's in which a frame that is under way is not read, and nobody
    /// waits for memory behind who is muted, nor for the place beyond that it has.
    pub fn heed_mute(&mut self, now: Duration) {
        if self.is_muted(now) {
            self.muted_since.get_or_insert(now);
            self.waits_since = None;
            self.share.stop_waiting();
            self.share.leave_beyond();
        } else if let Some(since) = self.muted_since.take() {
            self.arriving_since += now - since;
        }
    }

    /// The client has closed its side, though not all that it sent is read.
    pub fn client_closes(&mut self) {
        self.is_closing = true;
    }

    pub fn is_closing(&self) -> bool {
        self.is_closing
    }

    /// Looks at what has begun.
    pub fn poll_begun(&mut self, wake: &mut Context<'_>, now: Duration) {
        for place in 0..self.begun.len() {
            self.poll_one(place, wake, now);
        }
        self.settle();
    }

    /// Begins what may begin.
    pub fn begin(&mut self, wake: &mut Context<'_>, now: Duration) {
        let may_begin = |own: &Self| !own.is_leaving && !own.is_muted(now);
        while may_begin(self) && !self.is_behind() {
            let Some(Arrived { frame, .. }) = self.waiting.front() else {
                break;
            };
            let key = Peek::of(frame).map(|peek| peek.key);
            let is_beside = !self.begun.is_empty();
            if is_beside && !(key == Some(Produce::KEY) && self.only_produces()) {
                break;
            }
            if self.poll_answer(key, wake).is_pending() {
                break;
            }
            if let Some(arrived) = self.waiting.pop_front() {
                self.begin_one(arrived);
                if let Some(last) = self.begun.len().checked_sub(1) {
                    self.poll_one(last, wake, now);
                }
                self.settle();
            }
        }
    }

    /// Room for an answer that may be long, where this may be one.
    fn poll_answer(&mut self, key: Option<i16>, wake: &mut Context<'_>) -> Poll<()> {
        let table = self.answers.table();
        let line = key.and_then(|key| table.binary_search_by_key(&key, |handler| handler.key).ok());
        match line.map(|line| kind_of(&table[line])) {
            None | Some(AnswerKind::Short) => Poll::Ready(()),
            Some(kind) => self.share.poll_answer(wake, kind),
        }
    }

    fn only_produces(&self) -> bool {
        let first = self.begun.front();
        first.is_none_or(|begun| begun.handler.key == Produce::KEY)
    }

    fn begin_one(&mut self, Arrived { frame, at }: Arrived) {
        let frame_bytes = frame.len();
        let is_bare_token = self.state.expects_bare_token();
        let read = match is_bare_token {
            true => bare_token::request(frame),
            false => Ok(frame),
        };
        let table = self.answers.table();
        let found = read.and_then(|frame| find(table, &self.state, &frame).map(|it| (frame, it)));
        let (answer, line) = match found {
            Ok((frame, Found::Line(line))) => {
                let handler = &table[line];
                let coming = self.answers.begin(handler, &self.state, frame);
                (Answer::Coming(coming), line)
            }
            Ok((_, Found::OfferVersions(line, parts))) => (Answer::Here(Some(parts)), line),
            Err(cut) => {
                self.request_bytes -= frame_bytes;
                self.counts.refused.add(1);
                return self.cut_off(cut);
            }
        };
        self.has_spoken = true;
        self.counts.begun(line);
        self.begun.push_back(Begun {
            answer,
            handler: &table[line],
            line,
            frame_bytes,
            at,
            is_bare_token,
            is_mute: false,
        });
    }

    fn poll_one(&mut self, place: usize, wake: &mut Context<'_>, now: Duration) {
        let Some(begun) = self.begun.get_mut(place) else {
            return;
        };
        let Answer::Coming(coming) = &mut begun.answer else {
            return;
        };
        let Poll::Ready(answered) = coming.as_mut().poll(wake) else {
            return;
        };
        let answered = answered.map_err(|fault| cut_of(fault, begun.handler.name));
        let answered = answered.and_then(|parts| match begun.is_bare_token {
            true => bare_token::answer(parts).map(Some),
            false => Ok(parts),
        });
        self.counts
            .answered(begun.line, now.saturating_sub(begun.at));
        match answered {
            Ok(parts) => begun.answer = Answer::Here(parts),
            Err(cut) => {
                begun.answer = Answer::Here(None);
                let behind = self.begun.iter_mut().skip(place + 1);
                behind.for_each(|begun| begun.is_mute = true);
                if matches!(cut, Cut::Unread { .. }) {
                    self.counts.unread.add(1);
                }
                self.cut_off(cut);
            }
        }
        self.is_admitted = self.is_admitted || self.state.is_admitted();
        if self.state.is_dismissed() {
            self.leave();
        }
    }

    /// Puts out the answers whose turn has come, and gives back what they held.
    fn settle(&mut self) {
        let mut has_changed = false;
        while let Some(Begun {
            answer: Answer::Here(parts),
            handler,
            frame_bytes,
            is_mute,
            ..
        }) = self.begun.front_mut()
        {
            self.request_bytes -= *frame_bytes;
            let kind = kind_of(handler);
            let parts = parts.take().filter(|_| !*is_mute);
            self.begun.pop_front();
            if let Some(parts) = parts {
                self.put_out(parts, kind);
            }
            has_changed = true;
        }
        if has_changed {
            self.give_back();
        }
    }

    fn put_out(&mut self, parts: Parts, kind: AnswerKind) {
        let held_bytes = match kind {
            _ if !self.is_admitted => 0,
            // Its records have their own count.
            AnswerKind::Fetch => parts.own_bytes(),
            AnswerKind::Short | AnswerKind::Long => parts.remaining(),
        };
        self.unsent += parts.remaining();
        self.owed.add(kind, held_bytes);
        self.out.push_back(Out {
            parts,
            kind,
            held_bytes,
        });
    }

    fn give_back(&mut self) {
        self.share
            .hold_only(self.request_bytes + self.arriving.room());
        self.share.owe(self.owed);
    }

    /// Bytes that the client has not taken.
    pub fn unsent(&self) -> usize {
        self.unsent
    }

    /// Fills the slices of a write.
    pub fn next_to_send<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut filled = 0;
        for Out { parts, .. } in &self.out {
            filled += parts.chunks_vectored(&mut slices[filled..]);
        }
        filled
    }

    pub fn sent(&mut self, bytes: usize) {
        let mut left = bytes;
        while let Some(out) = self.out.front_mut().filter(|_| left > 0) {
            let of_it = left.min(out.parts.remaining());
            out.parts.advance(of_it);
            left -= of_it;
            if !out.parts.has_remaining() {
                self.owed.subtract(out.kind, out.held_bytes);
                self.out.pop_front();
            }
        }
        self.unsent -= bytes - left;
        self.share.owe(self.owed);
    }

    /// The client says no more. What has arrived whole is answered.
    pub fn end_of_input(&mut self) {
        self.has_input_ended = true;
        self.arriving = Arriving::default();
        self.waits_since = None;
        self.share.stop_waiting();
        self.give_back();
    }

    /// The client is not there any more.
    pub fn client_left(&mut self) {
        self.has_input_ended = true;
        self.out.clear();
        self.unsent = 0;
        self.owed = Owed::default();
        self.leave();
        self.give_up_fetch();
    }

    /// What is begun is answered, and nothing else.
    pub fn leave(&mut self) {
        self.is_leaving = true;
        self.waiting.clear();
        self.arriving = Arriving::default();
        self.waits_since = None;
        self.share.stop_waiting();
        self.request_bytes = self.begun.iter().map(|begun| begun.frame_bytes).sum();
        self.give_back();
    }

    /// Nobody waits for records here any more.
    pub fn give_up_fetch(&mut self) {
        let first = self.begun.front();
        if first.is_some_and(|begun| begun.handler.key == Fetch::KEY) {
            // It is alone: nothing begins beside it.
            self.begun.clear();
            self.leave();
        }
    }

    /// For what the client sent, or for how slow it is. What has begun before is
    /// answered.
    pub fn cut_off(&mut self, cut: Cut) {
        self.leave();
        self.cut.get_or_insert(cut);
    }

    pub fn take_cut(&mut self) -> Option<Cut> {
        self.cut.take()
    }

    pub fn is_leaving(&self) -> bool {
        self.is_leaving
    }

    /// A request has come that was understood, from a client that is admitted.
    pub fn has_introduced_itself(&self) -> bool {
        self.has_spoken && self.is_admitted
    }

    /// Something is worked on.
    pub fn has_begun(&self) -> bool {
        !self.begun.is_empty()
    }

    /// Others wait, or soon will, for what this client could take or give back.
    pub fn is_pressed(&self) -> bool {
        self.share.budget().is_pressed() || self.answers.is_pressed() || self.share.is_wanted()
    }

    /// Nothing is worked on and nothing is owed.
    pub fn is_idle(&self) -> bool {
        self.begun.is_empty() && self.unsent == 0
    }

    /// All is said by both sides.
    pub fn is_over(&self) -> bool {
        self.is_idle() && (self.is_leaving || (self.has_input_ended && self.waiting.is_empty()))
    }
}

fn kind_of(handler: &Handler) -> AnswerKind {
    match handler.key {
        Fetch::KEY => AnswerKind::Fetch,
        _ if handler.may_be_large => AnswerKind::Long,
        _ => AnswerKind::Short,
    }
}

enum Found {
    /// Its place in the table.
    Line(usize),
    /// ApiVersions at a version from the future: it is told which are spoken
    /// here, in the oldest form (KIP-511).
    OfferVersions(usize, Parts),
}

/// Who answers a frame.
fn find(table: &'static [Handler], state: &ConnectionState, frame: &Bytes) -> Result<Found, Cut> {
    let Some(peek) = Peek::of(frame) else {
        return Err(Cut::Header { bytes: frame.len() });
    };
    let line = table.binary_search_by_key(&peek.key, |handler| handler.key);
    let line = line.map_err(|_| Cut::Api(peek.key))?;
    let (api, version) = (table[line].name, peek.version);
    let is_first_word = matches!(
        peek.key,
        messages::api_versions::ApiVersions::KEY | SaslHandshake::KEY | SaslAuthenticate::KEY
    );
    if !is_first_word && !state.is_admitted() {
        return Err(Cut::NotAdmitted { api });
    }
    if table[line].versions.contains(&version) {
        return Ok(Found::Line(line));
    }
    if peek.key != messages::api_versions::ApiVersions::KEY {
        return Err(Cut::Version { api, version });
    }
    let offer = api_versions::offer_versions(peek.correlation_id);
    let offer = offer.map_err(|why| Cut::Unwritten { api, why })?;
    Ok(Found::OfferVersions(line, offer))
}

fn cut_of(fault: Fault, api: &'static str) -> Cut {
    match fault {
        Fault::Unread(why) => Cut::Unread { api, why },
        Fault::Unwritten(why) => Cut::Unwritten { api, why },
        Fault::Unheard => Cut::Unheard { api },
    }
}

#[cfg(test)]
mod tests;
