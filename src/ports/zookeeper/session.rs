//! One connection's protocol: bytes in, asks and bytes out; replies in, bytes
//! out. Knows no socket; the server reads and writes, and tells the time.
//!
//! Every request has its place in a queue of what is owed. What the connection
//! answers itself takes a place too, with a request to the replica that asks
//! for nothing, so that answers leave in the order of the requests.

use super::auth;
use super::codec::{
    self, AuthPacket, ConnectRequest, ConnectResponse, Cut, FRAME_HEAD_BYTES, Jute,
    NOTIFICATION_XID, PASSWORD_BYTES, PING_XID, ReplyHeader, RequestHeader, SaslToken,
    WatcherEvent, code,
};
use super::counts::Counts;
use super::errors::{
    AUTH_FAILED, Heard, MARSHALLING_ERROR, NOT_READ_ONLY, OK, UNIMPLEMENTED, heard,
};
use super::handlers::{self, Asked, Kept, TABLE};
use super::sasl::{Conversation, Step};
use super::terms::Terms;
use super::words::{Latency, Word};
use crate::clock::Millis;
use crate::ids::{SessionId, Zxid};
use crate::limits::{
    ZOOKEEPER_IDENTITIES_MAX, ZOOKEEPER_OUTSTANDING_PER_CONNECTION, ZOOKEEPER_OWED_BYTES_MAX,
    ZOOKEEPER_UNOPENED_BYTES_MAX,
};
use crate::replica::desk::{Answer, Ask, ConnectionId, Hello, NotOpened, Reply, Request};
use crate::state::{ChangeKind, Error, Identity};
use crate::wire::Cursor;
use std::collections::VecDeque;

/// The client's session is connected: the one state that a server tells.
const CONNECTED: i32 = 3;

/// What a session has at hand while it works: the door's terms and figures,
/// the time, and the list of what is said to the replica.
pub struct AtHand<'a> {
    pub terms: &'a Terms,
    pub counts: &'a Counts,
    pub latency: &'a mut Latency,
    pub asks: &'a mut Vec<Ask>,
    /// How many more requests the door takes, all connections together.
    pub room: &'a mut usize,
    /// Of the door's life.
    pub now_us: u64,
    pub now: Millis,
    /// Makes each conversation's nonce, which nobody can foretell.
    pub nonce_seed: &'a [u8; 32],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing whole has arrived.
    Greeting,
    /// A word was said in place of a greeting; its answer is awaited.
    Asking(Word),
    /// The replica has been asked for a session.
    Knocking,
    Open,
    /// Nothing more is heard of the client; what it is owed is awaited.
    Ending,
    /// What is to be sent is all there; then the connection is closed.
    Leaving,
}

/// A request that is not answered yet.
struct Owed {
    xid: i32,
    /// Its place in the table; None for an operation that is not spoken.
    handler: Option<usize>,
    began_us: u64,
    due: Due,
}

enum Due {
    /// The replica's answer, in the form of the operation.
    Replica(Kept),
    /// Known already.
    Here(Here),
}

#[derive(Default)]
struct Here {
    form: Form,
    error: i32,
    body: Vec<u8>,
    /// The transaction that is named where it is not the last one applied.
    zxid: Option<Zxid>,
    /// The connection is closed behind it.
    is_last: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Form {
    #[default]
    Answer,
    /// As the first answer on a connection, without a header.
    Greeting,
    /// Not a word.
    Silence,
}

/// Auth and sasl are answered outside of history.
const TIMELESS: Zxid = Zxid(0);
/// -1 on the wire: what is not spoken has no place in history.
const NOWHERE: Zxid = Zxid(u64::MAX);

impl Here {
    fn error(error: i32) -> Self {
        Self {
            error,
            ..Self::default()
        }
    }

    fn timeless(body: Vec<u8>) -> Self {
        Self {
            body,
            zxid: Some(TIMELESS),
            ..Self::default()
        }
    }

    /// The session lives on: the client comes back to it on a new connection.
    fn not_spoken() -> Self {
        Self {
            error: UNIMPLEMENTED,
            zxid: Some(NOWHERE),
            is_last: true,
            ..Self::default()
        }
    }

    /// Closes the connection without a word.
    fn hang_up() -> Self {
        Self {
            form: Form::Silence,
            is_last: true,
            ..Self::default()
        }
    }
}

pub struct Session {
    connection: ConnectionId,
    stage: Stage,
    /// The replica has been told of the connection, and has not ended it.
    is_known: bool,
    who: Vec<Identity>,
    /// The client's greeting had a place for read-only, so the answer has.
    tells_read_only: bool,
    is_read_only: bool,
    session: SessionId,
    password: [u8; PASSWORD_BYTES],
    timeout_ms: u32,
    /// What has arrived and is not handled yet.
    held: Vec<u8>,
    /// What is held begins a frame and does not end it.
    is_in_frame: bool,
    input_has_ended: bool,
    owed: VecDeque<Owed>,
    /// Requests said to the replica, and answered by it.
    asked: u64,
    answered: u64,
    sasl: Conversation,
    /// The size of its answers: rises at once, falls slowly. At first it is
    /// taken to be a large one.
    answer_bytes: usize,
    figures: Figures,
}

/// What a connection counts of itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    pub received: u64,
    pub sent: u64,
    pub last_operation: &'static str,
    pub last_xid: Option<i32>,
    pub last_zxid: Zxid,
    pub last_response: Millis,
    pub last_latency_us: u64,
    pub latency: Latency,
}

impl Session {
    /// `who` is what the connection itself tells: its address.
    pub fn new(connection: ConnectionId, who: Vec<Identity>) -> Self {
        Self {
            connection,
            stage: Stage::Greeting,
            is_known: false,
            who,
            tells_read_only: false,
            is_read_only: false,
            session: SessionId(0),
            password: [0; PASSWORD_BYTES],
            timeout_ms: 0,
            held: Vec::new(),
            is_in_frame: false,
            input_has_ended: false,
            owed: VecDeque::new(),
            asked: 0,
            answered: 0,
            sasl: Conversation::default(),
            answer_bytes: 1 << 20,
            figures: Figures {
                last_operation: "NA",
                ..Figures::default()
            },
        }
    }

    /// The certificate of the connection's TLS was checked. Before the
    /// client's first words are read.
    pub fn certified(&mut self, identity: Identity) {
        self.who.push(identity);
    }

    pub fn connection(&self) -> ConnectionId {
        self.connection
    }

    /// The word whose answer is awaited.
    pub fn word(&self) -> Option<Word> {
        match self.stage {
            Stage::Asking(word) => Some(word),
            _ => None,
        }
    }

    pub fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open | Stage::Ending)
    }

    /// All that is to be sent is in the output.
    pub fn is_leaving(&self) -> bool {
        self.stage == Stage::Leaving
    }

    pub fn input_has_ended(&self) -> bool {
        self.input_has_ended
    }

    /// The replica waits to hear when the connection is gone.
    pub fn is_known(&self) -> bool {
        self.is_known
    }

    pub fn is_in_frame(&self) -> bool {
        self.is_in_frame
    }

    pub fn owed(&self) -> usize {
        self.owed.len()
    }

    pub fn session(&self) -> SessionId {
        self.session
    }

    pub fn timeout_ms(&self) -> u32 {
        self.timeout_ms
    }

    pub fn figures(&self) -> &Figures {
        &self.figures
    }

    pub fn reset_figures(&mut self) {
        self.figures.latency = Latency::default();
        (self.figures.received, self.figures.sent) = (0, 0);
    }

    /// Whether more may be read from the client.
    pub fn wants_bytes(&self) -> bool {
        self.bytes_wanted() > 0
    }

    /// How much may be read for it now: before the session is open no more
    /// than it may hold.
    pub fn bytes_wanted(&self) -> usize {
        match self.stage {
            // What follows a greeting waits, within the same bound.
            Stage::Greeting | Stage::Knocking => {
                ZOOKEEPER_UNOPENED_BYTES_MAX.saturating_sub(self.held.len())
            }
            Stage::Open if self.held.is_empty() || self.is_in_frame => usize::MAX,
            Stage::Open | Stage::Asking(_) | Stage::Ending | Stage::Leaving => 0,
        }
    }

    /// Whether held requests wait for a place among the outstanding.
    pub fn is_held_up(&self) -> bool {
        self.stage == Stage::Open && !self.held.is_empty() && !self.is_in_frame
    }

    /// Takes what has arrived. How much is asked depends on what `out` still
    /// holds; nothing is put there before the replica has answered.
    pub fn arrive(&mut self, bytes: &[u8], out: &[u8], hand: &mut AtHand<'_>) {
        if self.held.is_empty() {
            let used = self.consume(bytes, out, hand);
            if !self.is_deaf() {
                self.held.extend_from_slice(&bytes[used..]);
            }
        } else {
            self.held.extend_from_slice(bytes);
            self.proceed(out, hand);
        }
    }

    /// Goes on with what is held.
    pub fn proceed(&mut self, out: &[u8], hand: &mut AtHand<'_>) {
        let mut held = std::mem::take(&mut self.held);
        let used = self.consume(&held, out, hand);
        if self.is_deaf() {
            return;
        }
        held.drain(..used);
        if !held.is_empty() {
            self.held = held;
        }
    }

    /// The client sends nothing more. What it asked is still answered.
    pub fn end_of_input(&mut self) {
        self.input_has_ended = true;
        match self.stage {
            Stage::Asking(_) | Stage::Leaving => {}
            _ if self.owed.is_empty() => self.stage = Stage::Leaving,
            _ if self.is_held_up() => {}
            _ => self.stage = Stage::Ending,
        }
    }

    fn is_deaf(&self) -> bool {
        matches!(
            self.stage,
            Stage::Asking(_) | Stage::Ending | Stage::Leaving
        )
    }

    /// Handles whole frames while it may, and says how many bytes it used.
    fn consume(&mut self, bytes: &[u8], out: &[u8], hand: &mut AtHand<'_>) -> usize {
        let mut used = 0;
        self.is_in_frame = false;
        if self.stage == Stage::Greeting && self.is_word(bytes, hand) {
            return used;
        }
        loop {
            let rest = &bytes[used..];
            let bytes_max = match self.stage {
                Stage::Greeting => {
                    let bytes_max = ZOOKEEPER_UNOPENED_BYTES_MAX - FRAME_HEAD_BYTES;
                    hand.terms.frame_bytes_max.min(bytes_max)
                }
                Stage::Open if rest.is_empty() || !self.may_ask(out, hand) => return used,
                Stage::Open => hand.terms.frame_bytes_max,
                _ => return used,
            };
            match codec::cut(rest, bytes_max) {
                Cut::Whole(length) => {
                    let frame = &rest[FRAME_HEAD_BYTES..FRAME_HEAD_BYTES + length];
                    used += FRAME_HEAD_BYTES + length;
                    self.figures.received += 1;
                    hand.counts.received.add(1);
                    if self.stage == Stage::Open {
                        self.request(frame, hand);
                    } else {
                        self.greet(frame, hand);
                    }
                }
                Cut::Part => {
                    self.is_in_frame = !rest.is_empty();
                    return used;
                }
                Cut::TooLong(_) => {
                    hand.counts.cut_off.add(1);
                    self.stage = Stage::Leaving;
                    return used;
                }
            }
        }
    }

    /// Whether one more request may be asked: by number, and by what the
    /// answers may come to.
    fn may_ask(&self, out: &[u8], hand: &AtHand<'_>) -> bool {
        let owed = self.owed.len();
        *hand.room > 0
            && owed < ZOOKEEPER_OUTSTANDING_PER_CONNECTION
            && out.len() + owed * self.answer_bytes < ZOOKEEPER_OWED_BYTES_MAX
    }

    /// Four letters where a greeting's length would stand. Known words only:
    /// as a length, any of them would be far too long.
    fn is_word(&mut self, bytes: &[u8], hand: &AtHand<'_>) -> bool {
        let word = bytes.first_chunk().and_then(|word| Word::parse(*word));
        if let Some(word) = word {
            self.figures.received += 1;
            hand.counts.received.add(1);
            self.stage = Stage::Asking(word);
        }
        word.is_some()
    }

    fn greet(&mut self, frame: &[u8], hand: &mut AtHand<'_>) {
        let Ok(request) = ConnectRequest::read(frame) else {
            hand.counts.unread.add(1);
            self.stage = Stage::Leaving;
            return;
        };
        self.tells_read_only = request.takes_read_only.is_some();
        // A password of another length is nobody's: no session has this one.
        let password = <[u8; PASSWORD_BYTES]>::try_from(request.password);
        self.stage = Stage::Knocking;
        self.is_known = true;
        hand.asks.push(Ask::Open {
            connection: self.connection,
            hello: Hello {
                session: request.session,
                password: password.unwrap_or_default(),
                timeout_ms: hand.terms.timeout_ms(request.timeout_ms),
                last_zxid_seen: request.last_zxid_seen,
                takes_read_only: request.takes_read_only.unwrap_or(false),
            },
            who: self.who.clone(),
        });
    }

    fn request(&mut self, frame: &[u8], hand: &mut AtHand<'_>) {
        let from = &mut Cursor::new(frame);
        let Ok(header) = RequestHeader::read(from) else {
            // Without an xid there is nothing to answer to.
            hand.counts.unread.add(1);
            self.stage = Stage::Leaving;
            return;
        };
        self.figures.last_xid = Some(header.xid);
        let Some(place) = handlers::find(header.operation) else {
            hand.counts.unknown_operations.add(1);
            return self.owe_here(header.xid, None, Here::not_spoken(), hand);
        };
        let handler = &TABLE[place];
        hand.counts.operations[place].add(1);
        self.figures.last_operation = handler.short;
        if handler.is_write && self.is_read_only {
            return self.owe_here(header.xid, Some(place), Here::error(NOT_READ_ONLY), hand);
        }
        let asked = (handler.read)(from);
        let here = match asked {
            Ok(Asked::Replica(request)) => {
                return self.owe(header.xid, place, request, Kept::Nothing, hand);
            }
            Ok(Asked::Keeping(request, kept)) => {
                return self.owe(header.xid, place, request, kept, hand);
            }
            Ok(Asked::Refused(error)) => Here::error(error),
            Ok(Asked::RefusedWith(error, body)) => Here {
                error,
                body,
                ..Here::default()
            },
            Ok(Asked::Auth(packet)) => self.auth(&packet, hand),
            Ok(Asked::Sasl(token)) => self.sasl(&token, hand),
            Ok(Asked::WhoAmI) => self.who_am_i(),
            Ok(Asked::Greeting) => Here {
                form: Form::Greeting,
                ..Here::default()
            },
            Err(_) => {
                hand.counts.unread.add(1);
                // Who proves nothing that can be read is not argued with.
                match handler.code {
                    code::AUTH | code::SASL => Here::hang_up(),
                    _ => Here::error(MARSHALLING_ERROR),
                }
            }
        };
        self.owe_here(header.xid, Some(place), here, hand);
    }

    fn owe(&mut self, xid: i32, place: usize, request: Request, kept: Kept, hand: &mut AtHand<'_>) {
        // A ping is answered under its own number, whatever it was sent under.
        let xid = match TABLE[place].code {
            code::PING => PING_XID,
            _ => xid,
        };
        if TABLE[place].code == code::CLOSE_SESSION {
            self.stage = Stage::Ending;
        }
        self.push(xid, Some(place), Due::Replica(kept), request, hand);
    }

    fn owe_here(&mut self, xid: i32, place: Option<usize>, here: Here, hand: &mut AtHand<'_>) {
        if here.is_last {
            self.stage = Stage::Ending;
        }
        self.push(xid, place, Due::Here(here), Request::Pass, hand);
    }

    fn push(
        &mut self,
        xid: i32,
        handler: Option<usize>,
        due: Due,
        request: Request,
        hand: &mut AtHand<'_>,
    ) {
        self.asked += 1;
        *hand.room = hand.room.saturating_sub(1);
        hand.asks.push(Ask::Request {
            connection: self.connection,
            tag: self.asked,
            request,
        });
        self.owed.push_back(Owed {
            xid,
            handler,
            began_us: hand.now_us,
            due,
        });
    }

    /// Wrong proof closes the connection, as the protocol has it.
    fn auth(&mut self, packet: &AuthPacket, hand: &mut AtHand<'_>) -> Here {
        let shown = auth::shown(&packet.scheme, &packet.auth, &self.who, hand.terms);
        if !shown.is_some_and(|shown| self.become_also(shown, hand)) {
            return Self::auth_failed(Vec::new(), hand);
        }
        Here::timeless(Vec::new())
    }

    fn sasl(&mut self, token: &SaslToken, hand: &mut AtHand<'_>) -> Here {
        let Some(said) = token.token.bytes() else {
            return Here::hang_up();
        };
        let (secret, connection) = (hand.nonce_seed, self.connection);
        let step = self
            .sasl
            .hear(said, hand.terms, || nonce(secret, connection));
        let token = match step {
            Step::Challenge(challenge) => challenge,
            Step::Proven { user, token } if self.become_sasl_user(&user, hand) => token,
            Step::Proven { .. } | Step::Refused => {
                return Self::auth_failed((-1i32).to_be_bytes().to_vec(), hand);
            }
        };
        let mut body = Vec::with_capacity(4 + token.len());
        SaslToken {
            token: token.into(),
        }
        .write(&mut body);
        Here::timeless(body)
    }

    fn auth_failed(body: Vec<u8>, hand: &AtHand<'_>) -> Here {
        hand.counts.auth_failures.add(1);
        Here {
            error: AUTH_FAILED,
            is_last: true,
            ..Here::timeless(body)
        }
    }

    fn become_sasl_user(&mut self, user: &str, hand: &mut AtHand<'_>) -> bool {
        let mut shown = vec![Identity::new("sasl", user)];
        if hand.terms.sasl_superuser.as_deref() == Some(user) {
            shown.push(auth::superuser());
        }
        self.become_also(shown, hand)
    }

    /// False where the connection is as many as it may be.
    fn become_also(&mut self, shown: Vec<Identity>, hand: &mut AtHand<'_>) -> bool {
        let before = self.who.len();
        for identity in shown {
            if !self.who.contains(&identity) {
                self.who.push(identity);
            }
        }
        if self.who.len() > ZOOKEEPER_IDENTITIES_MAX {
            self.who.truncate(before);
            return false;
        }
        if self.who.len() > before {
            hand.asks.push(Ask::Identify {
                connection: self.connection,
                who: self.who.clone(),
            });
        }
        true
    }

    fn who_am_i(&self) -> Here {
        let who = self.who.iter().map(|identity| codec::ClientInfo {
            scheme: identity.scheme.clone(),
            user: auth::user(identity).into(),
        });
        let mut body = Vec::new();
        codec::WhoAmI { who: who.collect() }.write(&mut body);
        Here {
            body,
            ..Here::default()
        }
    }

    /// Takes what the replica says of the connection.
    pub fn hear(&mut self, reply: Reply, out: &mut Vec<u8>, hand: &mut AtHand<'_>) {
        match reply {
            Reply::Opened {
                session,
                password,
                timeout_ms,
                is_read_only,
                ..
            } => {
                (self.session, self.password) = (session, password);
                self.timeout_ms = timeout_ms;
                self.is_read_only = is_read_only;
                (self.figures.last_operation, self.figures.last_xid) = ("SESS", Some(0));
                if self.stage == Stage::Knocking {
                    self.stage = Stage::Open;
                    self.welcome(out, hand);
                    self.proceed(out, hand);
                }
            }
            Reply::NotOpened { why, .. } => {
                self.is_known = false;
                if why == NotOpened::Expired {
                    (self.session, self.timeout_ms) = (SessionId(0), 0);
                    self.welcome(out, hand);
                }
                self.stage = Stage::Leaving;
            }
            Reply::Answer {
                tag, zxid, answer, ..
            } => self.answer(tag, zxid, answer, out, hand),
            Reply::Event {
                zxid, kind, path, ..
            } => self.event(zxid, kind, path, out, hand),
            // Not the session's: the server makes a text of it.
            Reply::Shown { .. } => {}
            Reply::Close { .. } => {
                self.is_known = false;
                self.stage = Stage::Leaving;
            }
        }
    }

    /// A word's answer is in the output.
    pub fn told(&mut self, hand: &AtHand<'_>) {
        self.sent(hand);
        self.stage = Stage::Leaving;
    }

    fn welcome(&mut self, out: &mut Vec<u8>, hand: &AtHand<'_>) {
        self.greeting(out);
        self.sent(hand);
    }

    fn greeting(&self, out: &mut Vec<u8>) {
        ConnectResponse {
            protocol: 0,
            timeout_ms: i32::try_from(self.timeout_ms).unwrap_or(i32::MAX),
            session: self.session,
            password: self.password.to_vec(),
            is_read_only: self.tells_read_only.then_some(self.is_read_only),
        }
        .write(out);
    }

    fn answer(
        &mut self,
        tag: u64,
        zxid: Zxid,
        answer: Result<Answer, Error>,
        out: &mut Vec<u8>,
        hand: &mut AtHand<'_>,
    ) {
        if self.stage == Stage::Leaving {
            return;
        }
        self.answered += 1;
        assert_eq!(
            tag, self.answered,
            "answers come in the order of the requests"
        );
        let mut owed = self.owed.pop_front().expect("every answer is owed");
        let begin = out.len();
        self.write_answer(&mut owed, zxid, answer, out);
        self.answer_bytes = (out.len() - begin).max(self.answer_bytes - self.answer_bytes / 8);
        self.note(&owed, zxid, hand);
        if self.input_has_ended && self.owed.is_empty() && !self.is_held_up() {
            self.stage = Stage::Leaving;
        }
    }

    fn write_answer(
        &mut self,
        owed: &mut Owed,
        zxid: Zxid,
        answer: Result<Answer, Error>,
        out: &mut Vec<u8>,
    ) {
        let begin = out.len();
        let xid = owed.xid;
        let header = |zxid, error| ReplyHeader { xid, zxid, error };
        let error = match (&mut owed.due, answer) {
            (Due::Here(here), Ok(_)) => {
                match here.form {
                    Form::Answer => codec::frame(out, |out| {
                        header(here.zxid.unwrap_or(zxid), here.error).write(out);
                        out.extend_from_slice(&here.body);
                    }),
                    Form::Greeting => self.greeting(out),
                    Form::Silence => {}
                }
                if here.is_last {
                    self.stage = Stage::Leaving;
                }
                return;
            }
            (Due::Replica(kept), Ok(answer)) => {
                let place = owed
                    .handler
                    .expect("the replica is asked for what is spoken");
                let handler = &TABLE[place];
                out.extend_from_slice(&[0; FRAME_HEAD_BYTES]);
                header(zxid, OK).write(out);
                let written = (handler.answer)(answer, std::mem::take(kept), out);
                match written {
                    Ok(()) => {
                        codec::close_frame(out, begin);
                        if handler.code == code::CLOSE_SESSION {
                            self.stage = Stage::Leaving;
                        }
                        return;
                    }
                    Err(error) => error,
                }
            }
            (_, Err(error)) => error,
        };
        out.truncate(begin);
        match heard(error) {
            Heard::Code(code) => codec::frame(out, |out| header(zxid, code).write(out)),
            Heard::Loss => self.stage = Stage::Leaving,
        }
    }

    fn note(&mut self, owed: &Owed, zxid: Zxid, hand: &mut AtHand<'_>) {
        let us = hand.now_us.saturating_sub(owed.began_us);
        hand.latency.record(us);
        hand.counts.latency.record(us);
        self.figures.latency.record(us);
        self.figures.last_latency_us = us;
        self.figures.last_response = hand.now;
        self.figures.last_zxid = zxid;
        self.sent(hand);
    }

    fn sent(&mut self, hand: &AtHand<'_>) {
        self.figures.sent += 1;
        hand.counts.sent.add(1);
    }

    fn event(
        &mut self,
        zxid: Zxid,
        kind: ChangeKind,
        path: Box<str>,
        out: &mut Vec<u8>,
        hand: &AtHand<'_>,
    ) {
        if !self.is_open() {
            return;
        }
        let header = ReplyHeader {
            xid: NOTIFICATION_XID,
            zxid,
            error: OK,
        };
        let kind = match kind {
            ChangeKind::Created => 1,
            ChangeKind::Deleted => 2,
            ChangeKind::DataChanged => 3,
            ChangeKind::ChildrenChanged => 4,
        };
        let event = WatcherEvent {
            kind,
            state: CONNECTED,
            path,
        };
        codec::write_reply(&header, &event, out);
        self.sent(hand);
    }
}

/// Known to nobody beforehand, and another for each connection.
fn nonce(secret: &[u8; 32], connection: ConnectionId) -> String {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
    let sum = ring::hmac::sign(&key, &connection.0.to_be_bytes());
    sum.as_ref()[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests;
