//! A client's bytes through a session of the ZooKeeper door, with a replica
//! that answers whatever is asked. The first byte says into which pieces the
//! network cuts the rest.
#![no_main]

use dolmen::clock::Millis;
use dolmen::ids::{SessionId, Zxid};
use dolmen::ports::zookeeper::codec::{self, Cut, FRAME_HEAD_BYTES};
use dolmen::ports::zookeeper::session::{AtHand, Session};
use dolmen::ports::zookeeper::words::Latency;
use dolmen::ports::zookeeper::{Counts, SaslUser, Terms};
use dolmen::replica::desk::{Answer, Answered, Ask, ConnectionId, Read, Reply, Request};
use dolmen::state::{Command, Error, Outcome, Stat, Write};
use dolmen_fuzz::judge;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| judge(input, run));

const CONNECTION: ConnectionId = ConnectionId(1);

fn run(input: &[u8]) {
    let Some((&first, bytes)) = input.split_first() else {
        return;
    };
    let terms = Terms {
        sasl_users: vec![SaslUser {
            name: "u".into(),
            password: "p".into(),
        }],
        ..Terms::default()
    };
    let counts = Counts::default();
    let mut session = Session::new(CONNECTION, Vec::new());
    let (mut latency, mut asks, mut room) = (Latency::default(), Vec::new(), 10_000);
    let mut out = Vec::new();
    let piece = usize::from(first) + 1;
    for arrived in bytes.chunks(piece) {
        let mut step = |work: &mut dyn FnMut(&mut Session, &mut Vec<u8>, &mut AtHand<'_>)| {
            let mut hand = AtHand {
                terms: &terms,
                counts: &counts,
                latency: &mut latency,
                asks: &mut asks,
                room: &mut room,
                now_us: 0,
                now: Millis(0),
                nonce_seed: &[7; 32],
            };
            work(&mut session, &mut out, &mut hand);
            std::mem::take(&mut asks)
        };
        let mut asked = step(&mut |session, out, hand| session.arrive(arrived, out, hand));
        // Requests that waited for room go on when it is there.
        while !asked.is_empty() {
            let replies: Vec<Reply> = asked.drain(..).filter_map(reply).collect();
            for reply in replies {
                let mut reply = Some(reply);
                asked.extend(step(&mut |session, out, hand| {
                    if let Some(reply) = reply.take() {
                        session.hear(reply, out, hand);
                    }
                }));
            }
            asked.extend(step(&mut |session, out, hand| session.proceed(out, hand)));
        }
    }
    assert!(session.owed() == 0 || session.is_leaving());
    let mut rest = &out[..];
    while !rest.is_empty() {
        let Cut::Whole(length) = codec::cut(rest, usize::MAX) else {
            panic!("a frame that was put out is not whole");
        };
        rest = &rest[FRAME_HEAD_BYTES + length..];
    }
}

fn reply(ask: Ask) -> Option<Reply> {
    match ask {
        Ask::Open { hello, .. } => Some(Reply::Opened {
            connection: CONNECTION,
            session: SessionId(hello.session.0 | 1),
            password: hello.password,
            timeout_ms: hello.timeout_ms,
            is_read_only: hello.takes_read_only,
        }),
        Ask::Request { tag, request, .. } => Some(Reply::Answer {
            connection: CONNECTION,
            tag,
            zxid: Zxid(tag),
            answer: answer(request, tag),
        }),
        Ask::Identify { .. } | Ask::Question { .. } | Ask::Gone { .. } => None,
    }
}

fn answer(request: Request, tag: u64) -> Result<Answer, Error> {
    if tag % 7 == 0 && !matches!(request, Request::Pass) {
        return Err(Error::NoNode);
    }
    Ok(match request {
        Request::Submit(Command::Write(write)) => Answer::Outcome(outcome(write)),
        Request::Submit(Command::Multi(writes)) => {
            let outcomes = writes.into_iter().map(|write| Ok(outcome(write)));
            Answer::Outcome(Outcome::Multi(outcomes.collect()))
        }
        Request::Submit(Command::CloseSession) => Answer::Outcome(Outcome::Closed),
        Request::Submit(Command::Reconfigure(_)) => Answer::Outcome(Outcome::Reconfigured {
            config: Vec::new().into(),
            stat: Stat::default(),
        }),
        Request::Submit(other) => panic!("no client may ask for {other:?}"),
        Request::Read(read) => Answer::Read(answered(read)),
        Request::MultiRead(reads) => {
            Answer::MultiRead(reads.into_iter().map(|read| Ok(answered(read))).collect())
        }
        Request::Sync => Answer::Synced,
        Request::Ping => Answer::Pong,
        Request::AddWatch { .. } | Request::SetWatches(_) => Answer::Watching,
        Request::RemoveWatches { .. } => Answer::Unwatched,
        Request::Pass => Answer::Pass,
    })
}

fn outcome(write: Write) -> Outcome {
    let stat = Stat::default();
    match write {
        Write::Create(create) => Outcome::Created {
            path: create.path,
            stat,
        },
        Write::Delete { .. } => Outcome::Deleted,
        Write::SetData { .. } | Write::SetAcl { .. } => Outcome::Set(stat),
        Write::Check { .. } => Outcome::Checked,
    }
}

fn answered(read: Read) -> Answered {
    let stat = Stat::default();
    match read {
        Read::Exists { .. } => Answered::Exists(stat),
        Read::Data { path, .. } => Answered::Data {
            data: path.as_bytes().into(),
            stat,
        },
        Read::Children { path, .. } => Answered::Children {
            names: vec![path],
            stat,
        },
        Read::ChildrenCount { .. } => Answered::ChildrenCount(1),
        Read::Acl { .. } => Answered::Acl {
            acl: Vec::new(),
            stat,
        },
        Read::Ephemerals { prefix } => Answered::Ephemerals(vec![prefix]),
    }
}
