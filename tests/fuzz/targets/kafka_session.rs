//! A connection of the Kafka door, fed in pieces, whose requests take their time:
//! answers leave in the order in which the requests began, and all memory is
//! given back.
#![no_main]

use bytes::Bytes;
use dolmen::ports::kafka::access::Principal;
use dolmen::ports::kafka::budget::{Budget, Share};
use dolmen::ports::kafka::handlers::{Answering, Call, Handler};
use dolmen::ports::kafka::messages::api_versions::ApiVersions;
use dolmen::ports::kafka::messages::fetch::Fetch;
use dolmen::ports::kafka::messages::metadata::Metadata;
use dolmen::ports::kafka::messages::produce::Produce;
use dolmen::ports::kafka::messages::sasl_authenticate::SaslAuthenticate;
use dolmen::ports::kafka::messages::sasl_handshake::SaslHandshake;
use dolmen::ports::kafka::messages::{Api, Peek, write_bare};
use dolmen::ports::kafka::session::{Answers, Session, Terms};
use dolmen::ports::kafka::{ConnectionState, Counts};
use dolmen_fuzz::judge;
use libfuzzer_sys::fuzz_target;
use std::future::poll_fn;
use std::io::IoSlice;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

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

/// The numbers of the requests that have begun, in their order.
#[derive(Default)]
struct Desk(Mutex<Vec<i32>>);

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
        let peek = Peek::of(&frame).expect("the session has looked");
        let id = peek.correlation_id;
        let (desk, connection) = (self.0.clone(), connection.clone());
        let mut looks = None;
        Box::pin(poll_fn(move |_| {
            let looks = looks.get_or_insert_with(|| {
                desk.0.lock().unwrap().push(id);
                id & 3
            });
            if *looks > 0 {
                *looks -= 1;
                return Poll::Pending;
            }
            match peek.key {
                SaslHandshake::KEY => connection.standing().sends_bare_tokens = id & 4 > 0,
                SaslAuthenticate::KEY if id & 4 > 0 => connection.admit(Principal::Anonymous),
                _ => {}
            }
            let answer = write_bare(&Bytes::copy_from_slice(&id.to_be_bytes()));
            Poll::Ready(Ok(answer.ok()))
        }))
    }
}

fuzz_target!(|input: &[u8]| judge(input, run));

fn run(input: &[u8]) {
    let Some((&first, bytes)) = input.split_first() else {
        return;
    };
    let counts = Arc::new(Counts::of(TABLE));
    let budget = Arc::new(Budget::new(64 << 10, counts.clone()));
    let desk = Arc::new(Desk::default());
    let from = IpAddr::from([127, 0, 0, 1]);
    let needs_sasl = first & 1 > 0;
    let state = ConnectionState::new(from, "FUZZ".into(), false, needs_sasl, Principal::Anonymous);
    let terms = Terms {
        request_bytes_max: 1 << 20,
        frame_time_max: Duration::from_secs(30),
    };
    let mut session = Session::new(
        Arc::new(state),
        Arc::new(Seen(desk.clone())),
        Share::of(&budget),
        counts.clone(),
        terms,
    );
    let mut wake = Context::from_waker(Waker::noop());
    let (mut now, mut sent) = (Duration::ZERO, Vec::new());
    let mut rest = bytes;
    // A turn reads a piece, and each looks once at what has begun. The longest
    // takes three looks.
    let step = usize::from(first >> 1) + 1;
    let mut turns = bytes.len() / step + 8 * bytes.len() + 8;
    while !session.is_over() && turns > 0 {
        turns -= 1;
        now += Duration::from_millis(1);
        session.poll_begun(&mut wake, now);
        let mut piece = &rest[..rest.len().min(step)];
        let before = piece.len();
        session.arrive(&mut piece, &mut wake, now);
        rest = &rest[before - piece.len()..];
        if rest.is_empty() {
            session.end_of_input();
        }
        session.begin(&mut wake, now);
        take(&mut session, &mut sent);
    }
    assert!(session.is_over(), "it comes to an end");
    in_order(&sent, &desk.0.lock().unwrap());
    drop(session);
    assert_eq!(counts.held_bytes.get(), 0);
}

fn take(session: &mut Session, sent: &mut Vec<u8>) {
    let mut slices = [IoSlice::new(&[]); 2];
    let filled = session.next_to_send(&mut slices);
    let all: Vec<u8> = slices[..filled]
        .iter()
        .flat_map(|slice| slice.iter().copied())
        .collect();
    sent.extend_from_slice(&all);
    session.sent(all.len());
}

/// Each answer of the desk's belongs to the next request that has begun. Others
/// are the session's own, and longer: offers of versions and tokens.
fn in_order(mut sent: &[u8], begun: &[i32]) {
    let mut begun = begun.iter();
    while let Some((head, rest)) = sent.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*head) as usize;
        let (body, behind) = rest.split_at(length);
        sent = behind;
        if let Ok(id) = <[u8; 4]>::try_from(body) {
            let id = i32::from_be_bytes(id);
            assert!(begun.any(|next| *next == id), "{id} out of turn");
        }
    }
}
