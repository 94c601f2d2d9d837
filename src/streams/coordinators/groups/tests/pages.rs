//! What a coordinator wrote it finds again, and what ended a transaction too.

use crate::clock::Millis;
use crate::ids::{Offset, ProducerId};
use crate::limits::{GROUP_BATCH_BYTES, GROUP_OFFSET_METADATA_BYTES_MAX};
use crate::streams::batch::codec::Unpacker;
use crate::streams::batch::control::{Ending, Marker, Place};
use crate::streams::coordinators::groups::memory::Log;
use crate::streams::coordinators::pages::{Page, Pairs, replay};
use crate::streams::groups::request::*;
use crate::streams::groups::{Coordinator, Effect, Error, Name, Now, Settings};
use std::sync::Arc;
use std::time::Duration;

const NOW: Now = Now {
    since: Duration::from_secs(5),
    wall: Millis(1_767_225_600_000),
};

fn machine() -> Box<Coordinator> {
    let mut machine = Box::new(Coordinator::new(Settings::default()));
    machine.gain(Arc::default());
    machine
}

fn name(text: &str) -> Name {
    text.into()
}

fn caller() -> Caller {
    Caller {
        group: name("g"),
        member: name(""),
        instance: None,
        generation: -1,
    }
}

fn offset(partition: i32, offset: i64) -> NewOffset {
    NewOffset {
        topic: name("t"),
        topic_id: Default::default(),
        partition,
        offset,
        leader_epoch: -1,
        metadata: name(""),
    }
}

fn pending(producer: i64, producer_epoch: i16, offsets: Vec<NewOffset>) -> Request {
    Request::CommitInTransaction(CommitInTransaction {
        caller: caller(),
        producer,
        producer_epoch,
        offsets,
        verified: None,
    })
}

/// What a request writes, all of it durable. Its transaction is open.
fn written(machine: &mut Coordinator, mut request: Request) -> Vec<Pairs> {
    machine.request(NOW, Token(1), request.clone());
    let mut pages = Vec::new();
    for effect in machine.take_effects() {
        match effect {
            Effect::Append { records, upto } => {
                pages.push(records);
                machine.durable(upto);
            }
            Effect::Answer {
                answer: Err(Error::Unverified(now)),
                ..
            } => {
                if let Request::CommitInTransaction(commit) = &mut request {
                    commit.verified = Some(now);
                }
                return written(machine, request);
            }
            _ => {}
        }
    }
    pages
}

fn keep(log: &mut Log, pages: Vec<Pairs>) {
    for page in pages {
        let page = Page::of(&page, NOW.wall).unwrap();
        assert_eq!(page.offered.bytes, 0..page.bytes.len());
        log.append(page.bytes);
    }
}

fn marker(log: &mut Log, id: u64, epoch: i16, ending: Ending) {
    let marker = Marker {
        ending,
        coordinator_epoch: 0,
    };
    let place = Place {
        offset: Offset(0),
        leader_epoch: 0,
        id: ProducerId(id),
        epoch,
    };
    log.append(marker.batch(place, NOW.wall));
}

type Committed = Vec<(i32, Result<i64, Error>)>;

/// What is committed by partition, once the log is read; and what reading it
/// made the machine write.
fn read_back(log: &Log, is_stable_required: bool) -> (Committed, usize) {
    let mut machine = log.read(machine()).unwrap();
    machine.serve(NOW);
    let mut writes = 0;
    for effect in machine.take_effects() {
        if let Effect::Append { records, upto } = effect {
            writes += records.len();
            machine.durable(upto);
        }
    }
    let fetch = Request::Fetch(Fetch {
        caller: caller(),
        spots: None,
        is_stable_required,
    });
    machine.request(NOW, Token(2), fetch);
    let answered = machine.take_effects().into_iter().find_map(|it| match it {
        Effect::Answer { answer, .. } => Some(answer),
        _ => None,
    });
    let Some(Ok(Reply::Fetched(fetched))) = answered else {
        panic!("{answered:?}");
    };
    let shown = |it: Fetched| {
        (
            it.partition,
            it.offset.map(|at| at.map_or(-1, |at| at.offset)),
        )
    };
    (fetched.into_iter().map(shown).collect(), writes)
}

#[test]
fn a_marker_ends_what_its_coordinator_did_not_come_to() {
    for (ending, committed) in [(Ending::Commit, 20), (Ending::Abort, 10)] {
        let mut log = Log::default();
        let mut machine = machine();
        machine.serve(NOW);
        let first = Request::Commit(Commit {
            caller: caller(),
            retention_ms: None,
            offsets: vec![offset(0, 10)],
        });
        keep(&mut log, written(&mut machine, first));
        keep(
            &mut log,
            written(&mut machine, pending(7, 3, vec![offset(0, 20)])),
        );
        let open = vec![(0, Err(Error::UnstableOffset))];
        assert_eq!(read_back(&log, true), (open.clone(), 0));

        // Another's marker, and one of an epoch before, are not for it.
        marker(&mut log, 8, 3, ending);
        marker(&mut log, 7, 2, ending);
        assert_eq!(read_back(&log, true), (open, 0));

        // One of a raised epoch is. What it did is written, whatever becomes of
        // the marker: the offset as it is now, and that nothing is pending.
        marker(&mut log, 7, 4, ending);
        assert_eq!(read_back(&log, true), (vec![(0, Ok(committed))], 2));

        // The coordinator's own words about it count once.
        let end = Request::EndTransaction(EndTransaction {
            producer: 7,
            producer_epoch: 4,
            is_committed: ending == Ending::Commit,
        });
        keep(&mut log, written(&mut machine, end));
        assert_eq!(read_back(&log, true), (vec![(0, Ok(committed))], 0));

        // The next transaction of the producer is open still.
        keep(
            &mut log,
            written(&mut machine, pending(7, 4, vec![offset(0, 30)])),
        );
        let open = vec![(0, Err(Error::UnstableOffset))];
        assert_eq!(read_back(&log, true), (open, 0));
    }
}

#[test]
fn a_marker_goes_over_nothing_newer() {
    let mut log = Log::default();
    let mut machine = machine();
    machine.serve(NOW);
    keep(
        &mut log,
        written(
            &mut machine,
            pending(7, 0, vec![offset(0, 20), offset(1, 5)]),
        ),
    );
    let commit = Request::Commit(Commit {
        caller: caller(),
        retention_ms: None,
        offsets: vec![offset(0, 40)],
    });
    keep(&mut log, written(&mut machine, commit));
    marker(&mut log, 7, 0, Ending::Commit);
    let (committed, _) = read_back(&log, true);
    assert_eq!(committed, [(0, Ok(40)), (1, Ok(5))]);
    // Deleted behind the marker, it stays deleted.
    let end = Request::EndTransaction(EndTransaction {
        producer: 7,
        producer_epoch: 0,
        is_committed: true,
    });
    keep(&mut log, written(&mut machine, end));
    let delete = Request::Delete { group: name("g") };
    keep(&mut log, written(&mut machine, delete));
    assert_eq!(read_back(&log, true), (vec![], 0));
}

/// A batch may be lost and one behind it not: one that says that nothing is pending
/// any more would take the offset with it.
#[test]
fn an_offset_and_that_it_is_not_pending_are_of_one_batch() {
    let mut machine = machine();
    machine.serve(NOW);
    let words = name(&"w".repeat(GROUP_OFFSET_METADATA_BYTES_MAX));
    let count = 3 * GROUP_BATCH_BYTES / words.len();
    let offsets = (0..count as i32).map(|partition| NewOffset {
        metadata: words.clone(),
        ..offset(partition, 20)
    });
    written(&mut machine, pending(7, 0, offsets.collect()));
    let end = Request::EndTransaction(EndTransaction {
        producer: 7,
        producer_epoch: 0,
        is_committed: true,
    });
    let pages = written(&mut machine, end);
    assert!(pages.len() > 1);
    let pairs: usize = pages.iter().map(|page| page.len() / 2).sum();
    assert_eq!(pairs, count);
    for page in pages {
        for pair in page.chunks(2) {
            let has_value: Vec<bool> = pair.iter().map(|(_, value)| value.is_some()).collect();
            assert_eq!(has_value, [true, false]);
        }
    }
}

#[test]
fn what_is_no_page_is_not_served() {
    let mut log = Log::default();
    let mut machine = machine();
    machine.serve(NOW);
    keep(
        &mut log,
        written(&mut machine, pending(7, 0, vec![offset(0, 20)])),
    );
    let fails = |bytes: &[u8], why: &str| {
        let mut machine = self::machine();
        let read = replay(bytes, &mut *machine, &mut Unpacker::default());
        let said = read.expect_err(why).to_string();
        assert!(said.contains(why), "{said}");
    };
    let whole = log.bytes.clone();
    fails(&whole[..whole.len() - 1], "behind the last batch");
    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 1;
    fails(&flipped, "checksum");
    let stranger = vec![(b"a stranger's key".to_vec(), Some(b"value".to_vec()))];
    let page = Page::of(&stranger, NOW.wall).unwrap();
    fails(&page.bytes, "the record at 0");
}
