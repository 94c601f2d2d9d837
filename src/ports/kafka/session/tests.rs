//! A session without a socket: words say what the client and the partitions do,
//! and what follows is said in words.

use super::*;
use crate::limits::{
    KAFKA_FETCH_ANSWER_BYTES_MAX, KAFKA_MEMORY_BYTES_MAX, KAFKA_OWN_BYTES,
    KAFKA_SASL_TOKEN_BYTES_MAX, KAFKA_SHORT_ANSWER_BYTES_MAX, KAFKA_SMALL_MEMORY_BYTES,
};
use crate::ports::kafka::access::Principal;
use crate::ports::kafka::budget::Budget;
use crate::ports::kafka::handlers::Call;
use crate::ports::kafka::messages::api_versions::ApiVersions;
use crate::ports::kafka::messages::metadata::Metadata;
use crate::ports::kafka::messages::sasl_authenticate::SaslAuthenticateResponse;
use crate::ports::kafka::messages::shape::{Field, Kind};
use crate::ports::kafka::messages::{
    ErrorCode, Unread, Why, read_response, write_bare, write_response,
};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::net::IpAddr;
use std::sync::Mutex;
use std::task::Waker;

const fn nobody(_: Call, _: Bytes) -> Answering {
    panic!("the desk answers")
}

const TABLE: &[Handler] = &[
    Handler::elsewhere::<Produce>(nobody),
    Handler::elsewhere::<Fetch>(nobody),
    Handler::elsewhere::<Metadata>(nobody),
    Handler::elsewhere::<SaslHandshake>(nobody),
    Handler::elsewhere::<ApiVersions>(nobody),
    Handler::elsewhere::<SaslAuthenticate>(nobody),
];

/// Answers when it is told to, and notes what happens in which order.
#[derive(Default)]
struct Desk {
    trace: Mutex<Vec<String>>,
    answers: Mutex<BTreeMap<i32, Given>>,
}

#[derive(Clone)]
enum Given {
    Bytes(usize),
    Nothing,
    Unread,
    Token(ErrorCode),
}

impl Desk {
    fn note(&self, what: String) {
        self.trace.lock().unwrap().push(what);
    }

    fn give(&self, id: i32, given: Given) {
        self.answers.lock().unwrap().insert(id, given);
    }
}

const FIELD: &Field = &Field::new("Produce", "acks", Kind::I16);

impl Given {
    fn say(self, id: i32) -> Result<Option<Parts>, Fault> {
        match self {
            Self::Bytes(length) => {
                let mut body = id.to_be_bytes().to_vec();
                body.resize(length.max(4), 0);
                Ok(Some(write_bare(&body.into()).unwrap()))
            }
            Self::Nothing => Ok(None),
            Self::Unread => Err(Fault::Unread(Unread {
                field: FIELD,
                why: Why::Null,
            })),
            Self::Token(error_code) => {
                let response = SaslAuthenticateResponse {
                    error_code,
                    auth_bytes: Bytes::from_static(b"\0\0\0\x63"),
                    ..Default::default()
                };
                let parts = write_response::<SaslAuthenticate>(0, id, &response);
                Ok(Some(parts.unwrap()))
            }
        }
    }
}

/// The desk as the session has it.
struct Seen(Arc<Desk>);

impl Answers for Seen {
    fn table(&self) -> &'static [Handler] {
        TABLE
    }

    fn begin(
        &self,
        _: &'static Handler,
        connection: &Arc<ConnectionState>,
        frame: Bytes,
    ) -> Answering {
        let peek = Peek::of(&frame).unwrap();
        let (desk, id) = (self.0.clone(), peek.correlation_id);
        let connection = connection.clone();
        let mut is_new = true;
        Box::pin(poll_fn(move |_| {
            if std::mem::take(&mut is_new) {
                desk.note(format!("+{id}"));
            }
            let given = desk.answers.lock().unwrap().remove(&id);
            let Some(given) = given else {
                return Poll::Pending;
            };
            if peek.key == SaslHandshake::KEY {
                connection.standing().sends_bare_tokens = true;
            }
            if let Given::Token(ErrorCode::None) = given {
                connection.admit(Principal::User("mill".into()));
            }
            Poll::Ready(given.say(id))
        }))
    }
}

/// A client, its session and the time between them.
struct Bench {
    session: Session,
    state: Arc<ConnectionState>,
    desk: Arc<Desk>,
    budget: Arc<Budget>,
    counts: Arc<Counts>,
    now: Duration,
    received: Vec<u8>,
    /// Nobody reads what is sent.
    is_gone: bool,
}

impl Bench {
    fn new(needs_sasl: bool, memory_bytes_max: usize) -> Self {
        let counts = Arc::new(Counts::of(TABLE));
        let budget = Arc::new(Budget::new(memory_bytes_max, counts.clone()));
        Self::of(&budget, &counts, needs_sasl)
    }

    /// Another client of the same door.
    fn beside(&self) -> Self {
        Self::of(&self.budget, &self.counts, false)
    }

    fn of(budget: &Arc<Budget>, counts: &Arc<Counts>, needs_sasl: bool) -> Self {
        let desk = Arc::new(Desk::default());
        let from = IpAddr::from([192, 0, 2, 1]);
        let listener = "PLAINTEXT".into();
        let state = ConnectionState::new(from, listener, false, needs_sasl, Principal::Anonymous);
        let terms = Terms {
            request_bytes_max: 20 << 20,
            frame_time_max: Duration::from_secs(30),
        };
        let state = Arc::new(state);
        let session = Session::new(
            state.clone(),
            Arc::new(Seen(desk.clone())),
            Share::of(budget),
            counts.clone(),
            terms,
        );
        Self {
            session,
            state,
            desk,
            budget: budget.clone(),
            counts: counts.clone(),
            now: Duration::from_secs(100),
            received: Vec::new(),
            is_gone: false,
        }
    }

    /// What the session takes of it.
    fn send(&mut self, bytes: &[u8]) -> usize {
        let mut wake = Context::from_waker(Waker::noop());
        let mut rest = bytes;
        self.session.arrive(&mut rest, &mut wake, self.now);
        bytes.len() - rest.len()
    }

    fn turn(&mut self) {
        self.look();
        let mut wake = Context::from_waker(Waker::noop());
        self.session.begin(&mut wake, self.now);
    }

    fn look(&mut self) {
        let mut wake = Context::from_waker(Waker::noop());
        self.session.poll_begun(&mut wake, self.now);
    }

    /// The client takes so much of what it is sent.
    fn take(&mut self, mut most: usize) {
        while most > 0 && self.session.unsent() > 0 {
            let mut slices = [IoSlice::new(&[]); 4];
            let filled = self.session.next_to_send(&mut slices);
            let slices = slices[..filled].iter().flat_map(|slice| slice.iter());
            let taken: Vec<u8> = slices.copied().take(most).collect();
            most -= taken.len();
            self.session.sent(taken.len());
            if !self.is_gone {
                self.received.extend(taken);
            }
        }
        while let Some((head, rest)) = self.received.split_first_chunk::<4>() {
            let length = u32::from_be_bytes(*head) as usize;
            if rest.len() < length {
                break;
            }
            let id = i32::from_be_bytes(rest[..4].try_into().unwrap());
            self.desk.note(format!(">{id}"));
            self.received.drain(..4 + length);
        }
    }

    fn trace(&self) -> String {
        std::mem::take(&mut *self.desk.trace.lock().unwrap()).join(" ")
    }
}

fn request(key: i16, version: i16, id: i32, length: usize) -> Vec<u8> {
    let length = length.max(10);
    let mut frame = (length as u32).to_be_bytes().to_vec();
    frame.extend(key.to_be_bytes());
    frame.extend(version.to_be_bytes());
    frame.extend(id.to_be_bytes());
    frame.extend((-1i16).to_be_bytes());
    frame.resize(4 + length, 0);
    frame
}

/// The frame that a word stands for: what it is, and its number.
fn frame(word: &str) -> Option<Vec<u8>> {
    let (kind, id) = word.split_at(1);
    let id = id.parse().ok()?;
    Some(match kind {
        "p" => request(Produce::KEY, 9, id, 0),
        "f" => request(Fetch::KEY, 12, id, 0),
        "m" => request(Metadata::KEY, 9, id, 0),
        "v" => request(ApiVersions::KEY, 3, id, 0),
        "V" => request(ApiVersions::KEY, 99, id, 0),
        "h" => request(SaslHandshake::KEY, 0, id, 0),
        "a" => request(SaslAuthenticate::KEY, 1, id, 0),
        // A token and nothing else.
        "t" => [4u32.to_be_bytes(), [0; 4]].concat(),
        // An API that nobody knows, and a version.
        "x" => request(999, 0, id, 0),
        "o" => request(Metadata::KEY, 99, id, 0),
        _ => return None,
    })
}

/// `!` answers a request, `0!` with nothing, `?` finds it unread, `ok` and `no`
/// answer a token, which has the number 0.
fn run(bench: &mut Bench, script: &str) -> String {
    for word in script.split_whitespace() {
        let id = |mark: &str| word.strip_prefix(mark).and_then(|id| id.parse().ok());
        if let Some(id) = id("!") {
            bench.desk.give(id, Given::Bytes(10));
        } else if let Some(id) = id("0!") {
            bench.desk.give(id, Given::Nothing);
        } else if let Some(id) = id("?") {
            bench.desk.give(id, Given::Unread);
        } else if let Some(frame) = frame(word) {
            bench.send(&frame);
        } else {
            match word {
                "ok" => bench.desk.give(0, Given::Token(ErrorCode::None)),
                "no" => {
                    let error = ErrorCode::SaslAuthenticationFailed;
                    bench.desk.give(0, Given::Token(error));
                }
                "eof" => bench.session.end_of_input(),
                "gone" => {
                    bench.is_gone = true;
                    bench.session.client_left();
                }
                "leave" => bench.session.leave(),
                "stop" => bench.session.give_up_fetch(),
                _ => panic!("{word}?"),
            }
        }
        // What is answered is on its way before the next begins.
        bench.look();
        bench.take(usize::MAX);
        bench.turn();
        bench.take(usize::MAX);
        bench.turn();
    }
    let mut trace = bench.trace();
    if bench.session.is_over() {
        trace += " over";
    }
    if let Some(cut) = bench.session.take_cut() {
        trace += &format!(": {cut}");
    }
    trace.trim_start().to_owned()
}

fn check(script: &str, follows: &str) {
    let mut bench = Bench::new(false, KAFKA_MEMORY_BYTES_MAX);
    assert_eq!(run(&mut bench, script), follows, "{script}");
}

#[test]
fn requests_are_answered_in_order_and_only_produces_overlap() {
    for (script, follows) in [
        ("m1 !1 m2 !2", "+1 >1 +2 >2"),
        ("m1 m2 !1 !2", "+1 >1 +2 >2"),
        // They begin at once and are answered in order.
        ("p1 p2 p3 !3 !2 !1", "+1 +2 +3 >1 >2 >3"),
        ("p1 p2 !1 p3 !3 !2", "+1 +2 >1 +3 >2 >3"),
        // What follows must see what they did, and goes before the next.
        ("p1 p2 m3 p4 !2 !1 !3 !4", "+1 +2 >1 >2 +3 >3 +4 >4"),
        ("f1 p2 !1 !2", "+1 >1 +2 >2"),
        ("p1 f2 p3 !1 !2 !3", "+1 >1 +2 >2 +3 >3"),
        // One that wants no answer.
        ("p1 p2 0!2 m3 !1 !3", "+1 +2 >1 +3 >3"),
        ("p1 0!1 p2 0!2 eof", "+1 +2 over"),
    ] {
        check(script, follows);
    }
}

#[test]
fn what_is_not_spoken_ends_the_connection_behind_what_is() {
    for (script, follows) in [
        ("x1", "over: the API 999, which is not spoken here"),
        (
            "p1 x2 m3 !1",
            "+1 >1 over: the API 999, which is not spoken here",
        ),
        (
            "o1",
            "over: Metadata at version 99, which is not spoken here",
        ),
        // Told in words that every client reads, and asked again.
        ("V1 v2 !2", ">1 +2 >2"),
        ("p1 V2 !1", "+1 >1 >2"),
        (
            "p1 p2 p3 ?2 !3 !1",
            "+1 +2 +3 >1 over: Produce that cannot be read: Produce.acks: null in a version that has none",
        ),
        (
            "m1 m2 ?1",
            "+1 over: Metadata that cannot be read: Produce.acks: null in a version that has none",
        ),
    ] {
        check(script, follows);
    }
}

#[test]
fn what_has_begun_is_carried_through() {
    for (script, follows) in [
        // The client says no more: what it said is answered.
        ("m1 p2 eof !1 !2", "+1 >1 +2 >2 over"),
        ("eof", "over"),
        // It is gone: nothing begins, what has begun ends, and says nothing.
        ("p1 p2 gone !1", "+1 +2"),
        ("p1 p2 m3 gone !1 !2 !3", "+1 +2 over"),
        ("f1 p2 gone", "+1 over"),
        // The door closes.
        ("p1 m2 leave !1", "+1 >1 over"),
        ("f1 p2 stop", "+1 over"),
        ("p1 stop !1", "+1 >1"),
    ] {
        check(script, follows);
    }
}

#[test]
fn nothing_is_done_for_a_stranger() {
    for (script, follows) in [
        (
            "m1",
            "over: Metadata before it has shown who it is: set up SASL in the client",
        ),
        (
            "v1 !1 p2",
            "+1 >1 over: Produce before it has shown who it is: set up SASL in the client",
        ),
        ("V1 v2 !2 a3 !3", ">1 +2 >2 +3 >3"),
        // Old clients send tokens alone; the answer to one begins with 99.
        ("h1 !1 t0 ok p2 !2", "+1 >1 +0 >99 +2 >2"),
        (
            "h1 !1 t0 no",
            "+1 >1 +0 over: a SASL token that proves nothing",
        ),
    ] {
        let mut bench = Bench::new(true, KAFKA_MEMORY_BYTES_MAX);
        assert_eq!(run(&mut bench, script), follows, "{script}");
    }
}

#[test]
fn a_stranger_is_heard_again_once_it_has_taken_its_answer() {
    let mut bench = Bench::new(true, KAFKA_MEMORY_BYTES_MAX);
    let ahead: Vec<u8> = (1..=3)
        .flat_map(|id| request(ApiVersions::KEY, 3, id, 0))
        .collect();
    assert_eq!(bench.send(&ahead), 14, "one, and nothing of the next");
    bench.turn();
    assert_eq!(bench.send(&ahead[14..]), 0);
    bench.desk.give(1, Given::Bytes(500));
    bench.turn();
    bench.take(100);
    assert_eq!(bench.send(&ahead[14..]), 0, "it has not taken all");
    bench.take(usize::MAX);
    assert_eq!(bench.send(&ahead[14..]), 14);
    bench.turn();
    assert_eq!(bench.trace(), "+1 >1 +2");
    assert_eq!(bench.counts.held_bytes.get(), 0, "nothing is counted");
}

#[test]
fn a_stranger_waits_for_nothing_that_others_have() {
    let mut bench = Bench::new(true, 0);
    // All that there is for small frames and their answers is taken.
    let mut wake = Context::from_waker(Waker::noop());
    let [mut most, mut beyond] = [(); 2].map(|()| Share::of(&bench.budget));
    let held = KAFKA_OWN_BYTES + KAFKA_SMALL_MEMORY_BYTES;
    assert!(most.poll_hold(&mut wake, held, true).is_ready());
    assert!(beyond.poll_hold(&mut wake, 2 * held, true).is_ready());
    let mut owed = Owed::default();
    owed.add(AnswerKind::Short, KAFKA_SHORT_ANSWER_BYTES_MAX);
    most.owe(owed);
    let held_bytes = bench.counts.held_bytes.get();

    let long = request(
        SaslAuthenticate::KEY,
        1,
        1,
        KAFKA_SASL_TOKEN_BYTES_MAX + 500,
    );
    assert_eq!(bench.send(&long), long.len());
    assert!(!bench.session.is_held_up());
    bench.turn();
    bench.desk.give(1, Given::Token(ErrorCode::None));
    assert_eq!(bench.counts.held_bytes.get(), held_bytes);
    bench.turn();
    bench.take(usize::MAX);
    // Now it is one of them.
    let long = request(Metadata::KEY, 9, 2, KAFKA_SASL_TOKEN_BYTES_MAX + 500);
    assert!(bench.send(&long) < long.len());
    assert!(bench.session.is_held_up());
}

#[test]
fn short_answers_that_nobody_takes_hold_up_no_other() {
    const ANSWER: usize = 100 << 10;
    let one = Bench::new(false, KAFKA_MEMORY_BYTES_MAX);
    let mut all: Vec<_> = (0..200).map(|_| one.beside()).collect();
    for bench in &mut all {
        for id in 0..20 {
            bench.desk.give(id, Given::Bytes(ANSWER));
            bench.send(&request(ApiVersions::KEY, 3, id, 60 << 10));
            bench.turn();
        }
    }
    // The first have what one may have, and once that is half of what there is for
    // them the others have an answer each, and nothing more of them is read.
    let held = one.counts.held_bytes.get() as usize;
    let half = KAFKA_SHORT_ANSWER_BYTES_MAX / 2;
    let each = ANSWER + (64 << 10);
    assert!(held <= half + (1 << 20) + all.len() * each, "{held}");
    let last = all.last().unwrap();
    assert_eq!(last.session.unsent(), ANSWER + 4);
    assert!(last.session.is_pressed());

    let mut other = one.beside();
    assert_eq!(run(&mut other, "f1 !1 m2 !2"), "+1 >1 +2 >2");
}

#[test]
fn slow_readers_of_many_records_hold_up_nobody() {
    let one = Bench::new(false, KAFKA_MEMORY_BYTES_MAX);
    let mut all: Vec<_> = (0..4).map(|_| one.beside()).collect();
    for bench in &mut all {
        bench.desk.give(1, Given::Bytes(50 << 20));
        bench.send(&request(Fetch::KEY, 12, 1, 0));
        bench.turn();
        bench.take(1 << 20);
        assert!(!bench.session.is_pressed());
    }
    assert!(one.counts.held_bytes.get() < 100);
    let mut other = one.beside();
    assert_eq!(run(&mut other, "f1 !1 m2 !2"), "+1 >1 +2 >2");
}

#[test]
fn a_producer_that_sends_ahead_gives_others_their_turn_for_memory() {
    let mut one = Bench::new(false, 1 << 20);
    let whole = |id| request(Produce::KEY, 9, id, 2 << 20);
    let mut half = Share::of(&one.budget);
    let mut wake = Context::from_waker(Waker::noop());
    let all_of = KAFKA_OWN_BYTES + (1 << 20);
    assert!(half.poll_hold(&mut wake, all_of, false).is_ready());
    // Its first frame goes beyond, and the next waits for it behind another.
    assert_eq!(one.send(&whole(1)), whole(1).len());
    one.turn();
    let mut other = one.beside();
    let taken = other.send(&whole(3));
    assert!(other.session.is_held_up());
    let mut ahead = one.send(&whole(2));
    assert!(one.session.is_held_up());
    one.desk.give(1, Given::Bytes(4));
    one.turn();
    assert_eq!(other.send(&whole(3)[taken..]), whole(3).len() - taken);
    ahead += one.send(&whole(2)[ahead..]);
    assert!(one.session.is_held_up());
    other.turn();
    other.desk.give(3, Given::Bytes(4));
    other.turn();
    assert_eq!(one.send(&whole(2)[ahead..]), whole(2).len() - ahead);
}

#[test]
fn a_muted_producer_leaves_its_place_beyond_to_another() {
    let mut one = Bench::new(false, 1 << 20);
    let whole = request(Produce::KEY, 9, 1, 2 << 20);
    let mut half = Share::of(&one.budget);
    let mut wake = Context::from_waker(Waker::noop());
    let all_of = KAFKA_OWN_BYTES + (1 << 20);
    assert!(half.poll_hold(&mut wake, all_of, false).is_ready());
    let taken = one.send(&whole[..1 << 20]);
    let mut other = one.beside();
    let of_other = other.send(&whole);
    assert!(other.session.is_held_up());

    one.state.mute_until(one.now + Duration::from_secs(60));
    one.session.heed_mute(one.now);
    assert_eq!(other.send(&whole[of_other..]), whole.len() - of_other);
    other.turn();
    assert_eq!(other.trace(), "+1");
    // Heard again it waits in turn, and comes to its end.
    one.now += Duration::from_secs(60);
    one.session.heed_mute(one.now);
    let more = one.send(&whole[taken..]);
    assert!(one.session.is_held_up());
    other.desk.give(1, Given::Nothing);
    other.turn();
    let rest = &whole[taken + more..];
    assert_eq!(one.send(rest), rest.len());
}

#[test]
fn lengths_are_held_to_what_the_client_may_send() {
    let too_long = |needs_sasl: bool, declared: i32| {
        let mut bench = Bench::new(needs_sasl, KAFKA_MEMORY_BYTES_MAX);
        bench.send(&declared.to_be_bytes());
        bench.session.take_cut()
    };
    let cut = |declared, bytes_max| {
        Some(Cut::Length {
            declared,
            bytes_max,
        })
    };
    assert_eq!(too_long(false, 20 << 20), None);
    assert_eq!(
        too_long(false, (20 << 20) + 1),
        cut((20 << 20) + 1, 20 << 20)
    );
    assert_eq!(too_long(false, -1), cut(-1, 20 << 20));
    // The longest token fits, and what stands before it.
    assert_eq!(too_long(true, 8 << 10), None);
    assert_eq!(too_long(true, (8 << 10) + 1), cut((8 << 10) + 1, 8 << 10));

    let mut bench = Bench::new(false, KAFKA_MEMORY_BYTES_MAX);
    bench.send(&[0, 0, 0, 3, 1, 2, 3]);
    bench.turn();
    assert_eq!(bench.session.take_cut(), Some(Cut::Header { bytes: 3 }));
}

#[test]
fn a_client_that_sends_ahead_is_not_read_beyond_a_bound() {
    let mut bench = Bench::new(false, KAFKA_MEMORY_BYTES_MAX);
    let many: Vec<u8> = (0..100).flat_map(|id| request(0, 9, id, 0)).collect();
    let taken = bench.send(&many);
    assert_eq!(taken, KAFKA_REQUESTS_PER_CONNECTION * 14);
    assert!(!bench.session.wants_bytes(bench.now));
    bench.turn();
    bench.desk.give(0, Given::Bytes(4));
    bench.turn();
    assert!(bench.session.wants_bytes(bench.now));
    assert_eq!(bench.send(&many[taken..]), 14);

    let mut bench = Bench::new(false, KAFKA_MEMORY_BYTES_MAX);
    let large: Vec<u8> = (0..10).flat_map(|id| request(0, 9, id, 3 << 20)).collect();
    let taken = bench.send(&large);
    assert_eq!(taken, 3 * ((3 << 20) + 4), "8 MiB are met by the third");
}

#[test]
fn a_client_that_takes_nothing_is_owed_one_answer_beyond_the_bound() {
    let mut bench = Bench::new(false, KAFKA_MEMORY_BYTES_MAX);
    for id in 0..4 {
        bench.send(&request(Fetch::KEY, 12, id, 0));
        bench.desk.give(id, Given::Bytes(3 << 20));
    }
    bench.turn();
    assert_eq!(bench.trace(), "+0");
    assert_eq!(bench.session.unsent(), (3 << 20) + 4);
    assert_eq!(bench.counts.held_bytes.get(), 4, "records are not its own");
    assert!(!bench.session.wants_bytes(bench.now));
    bench.take((2 << 20) + 4);
    bench.turn();
    assert_eq!(bench.trace(), "+1");
    bench.take(usize::MAX);
    bench.turn();
    assert_eq!(bench.trace(), ">0 >1 +2");
}

#[test]
fn memory_is_held_while_a_request_is_and_no_longer() {
    let mut bench = Bench::new(false, KAFKA_MEMORY_BYTES_MAX);
    // Its length alone is nothing yet.
    let whole = request(Produce::KEY, 9, 1, 10 << 20);
    bench.send(&whole[..4]);
    assert_eq!(bench.counts.held_bytes.get(), 0);
    bench.send(&whole[4..100_000]);
    assert!(bench.counts.held_bytes.get() <= 200_000);
    bench.send(&whole[100_000..]);
    let held = bench.counts.held_bytes.get() as usize;
    assert!((held >> 20) == 9, "all but the connection's own: {held}");
    bench.turn();
    bench.desk.give(1, Given::Nothing);
    bench.turn();
    assert_eq!(bench.counts.held_bytes.get(), 0);

    bench.send(&whole[..500_000]);
    bench.session.client_left();
    assert_eq!(bench.counts.held_bytes.get(), 0);
}

#[test]
fn a_frame_that_waits_for_memory_is_not_slow() {
    let mut one = Bench::new(false, 1 << 20);
    let whole = request(Produce::KEY, 9, 1, 2 << 20);
    // Others have all there is, and more.
    let mut others = [Share::of(&one.budget), Share::of(&one.budget)];
    let mut wake = Context::from_waker(Waker::noop());
    for other in &mut others {
        assert!(other.poll_hold(&mut wake, 1 << 20, false).is_ready());
    }
    assert!(others[1].poll_hold(&mut wake, 2 << 20, false).is_ready());
    let taken = one.send(&whole);
    assert!(taken < whole.len() && one.session.is_held_up());
    assert_eq!(one.session.frame_due(), None);

    // Small ones of other connections pass meanwhile.
    let mut small = Share::of(&one.budget);
    assert!(small.poll_hold(&mut wake, 60 << 10, true).is_ready());

    one.now += Duration::from_secs(1000);
    drop(others);
    assert_eq!(one.send(&whole[taken..]), whole.len() - taken);
    one.turn();
    assert_eq!(one.trace(), "+1");
    one.desk.give(1, Given::Nothing);
    one.turn();

    one.send(&whole[..10]);
    let begun = one.now;
    assert_eq!(
        one.session.frame_due(),
        Some(begun + Duration::from_secs(30))
    );
    one.now += Duration::from_secs(20);
    one.send(&whole[10..1 << 20]);
    let more = ((1 << 20) - 4) / (32 << 10);
    let due = begun + Duration::from_secs(30 + more);
    assert_eq!(one.session.frame_due(), Some(due));
}

#[test]
fn fetches_wait_where_answers_pile_up() {
    let mut one = Bench::new(false, 1 << 20);
    let mut slow = Share::of(&one.budget);
    let mut owed = Owed::default();
    owed.add(AnswerKind::Fetch, KAFKA_FETCH_ANSWER_BYTES_MAX);
    slow.owe(owed);
    assert_eq!(run(&mut one, "m1 !1 f2 m3"), "+1 >1");
    slow.owe(Owed::default());
    // It begins late, is answered at once, and the next begins behind it.
    assert_eq!(run(&mut one, "!2 !3"), "+2 +3 >2 >3");
}

#[test]
fn an_offer_of_versions_reads_as_the_oldest_answer() {
    let mut bench = Bench::new(false, KAFKA_MEMORY_BYTES_MAX);
    bench.send(&frame("V7").unwrap());
    bench.turn();
    let mut slices = [IoSlice::new(&[]); 1];
    assert_eq!(bench.session.next_to_send(&mut slices), 1);
    let frame = Bytes::copy_from_slice(&slices[0][4..]);
    let (id, response) = read_response::<ApiVersions>(0, frame).unwrap();
    assert_eq!(
        (id, response.error_code),
        (7, ErrorCode::UnsupportedVersion)
    );
    assert_eq!(response.api_keys.len(), 1);
}

/// However the bytes are cut, the same follows.
#[test]
fn frames_may_come_in_any_pieces() {
    let words = ["m1", "p2", "p3", "f4", "V5", "p6"];
    let bytes: Vec<u8> = words.iter().flat_map(|word| frame(word).unwrap()).collect();
    for step in 1..bytes.len() {
        let mut bench = Bench::new(false, KAFKA_MEMORY_BYTES_MAX);
        for id in [1, 2, 3, 4, 6] {
            bench.desk.give(id, Given::Bytes(5));
        }
        for piece in bytes.chunks(step) {
            assert_eq!(bench.send(piece), piece.len());
            bench.turn();
            bench.take(3);
        }
        bench.take(usize::MAX);
        bench.turn();
        bench.take(usize::MAX);
        let sent: Vec<_> = bench.trace().split(' ').map(str::to_owned).collect();
        let sent: Vec<_> = sent.iter().filter(|it| it.starts_with('>')).collect();
        assert_eq!(
            sent,
            [">1", ">2", ">3", ">4", ">5", ">6"],
            "in pieces of {step}"
        );
    }
}
