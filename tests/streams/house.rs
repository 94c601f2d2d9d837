//! What is appended is there: at once, after a stop, after a kill, and once.

use super::kit::{Batch, Node, PATIENCE, SESSION, batch, key, now};
use super::replicas::authority::Authority;
use super::site::Site;
use crate::folder::Folder;
use dolmen::clock::{Clock, MachineClock};
use dolmen::ids::{NodeId, Offset, ProducerId, Uid};
use dolmen::log::Way;
use dolmen::streams::View;
use dolmen::streams::batch::codec::Unpacker;
use dolmen::streams::batch::control::{Ending, Marker};
use dolmen::streams::batch::header::{Claim, Header};
use dolmen::streams::batch::records::Records;
use dolmen::streams::desk::{Mark, NotAppended, NotDropped, NotHere, Watch, Word};
use dolmen::streams::producers::{self, Closing};
use std::sync::mpsc::channel;
use std::time::Duration;

/// Every value below the watermark, with its offset.
fn values(view: &View) -> Vec<(u64, String)> {
    let marks = view.marks();
    let (mut at, mut found) = (marks.first, Vec::new());
    while at < marks.watermark {
        let read = view.read(at, marks.watermark, 4096, Way::Plain);
        let read = read.unwrap().expect("it is below the watermark");
        let mut rest = &read.bytes[..];
        while let Some(header) = Header::of(rest) {
            let (whole, behind) = rest.split_at(header.total_bytes().unwrap());
            let records = Records::of(whole, 1 << 20, &mut Unpacker::default()).unwrap();
            for record in records.iter() {
                let record = record.unwrap();
                let value = String::from_utf8_lossy(record.value.unwrap()).into_owned();
                found.push((record.offset.0, value));
            }
            rest = behind;
        }
        at = read.next;
    }
    found
}

fn texts(found: &[(u64, String)]) -> Vec<&str> {
    found.iter().map(|(_, text)| &**text).collect()
}

fn numbered(values: &[&str], sequence: i32) -> Batch {
    Batch {
        claim: Some(Claim {
            id: ProducerId(9),
            epoch: 0,
            sequence,
        }),
        ..batch(values)
    }
}

#[test]
fn what_is_acknowledged_is_read_back_after_a_stop() {
    let folder = Folder::new("house-stop");
    let mut site = Site::new();
    site.create(1, 3, &[]);
    let node = Node::start(&folder, &site.topics());
    let view = node.view(key(1, 2));
    assert!(view.leads());
    assert_eq!(node.append(key(1, 2), batch(&["a", "b"])), Ok(0));
    assert_eq!(node.append(key(1, 2), batch(&["c"])), Ok(2));
    assert_eq!(node.append(key(1, 0), batch(&["x"])), Ok(0));
    assert_eq!(texts(&values(&view)), ["a", "b", "c"]);
    assert_eq!(values(&node.view(key(1, 1))), []);
    node.close();
    let node = Node::start(&folder, &site.topics());
    let view = node.view(key(1, 2));
    assert_eq!(view.marks().watermark, Offset(3));
    assert_eq!(node.append(key(1, 2), batch(&["d"])), Ok(3));
    assert_eq!(texts(&values(&view)), ["a", "b", "c", "d"]);
    node.close();
}

#[test]
fn many_appends_at_once_keep_their_order() {
    let folder = Folder::new("house-order");
    let mut site = Site::new();
    site.create(1, 1, &[]);
    let node = Node::start(&folder, &site.topics());
    let view = node.view(key(1, 0));
    let texts_sent: Vec<String> = (0..300).map(|n| format!("{n}")).collect();
    let given: Vec<_> = texts_sent
        .iter()
        .map(|text| node.begin_append(key(1, 0), batch(&[text])))
        .collect();
    for (n, given) in given.into_iter().enumerate() {
        let appended = given.recv_timeout(PATIENCE).unwrap().unwrap();
        assert_eq!(appended.base, Offset(n as u64));
    }
    assert_eq!(texts(&values(&view)), texts_sent);
    node.close();
}

#[test]
fn a_batch_that_comes_again_is_there_once_also_after_a_start() {
    let folder = Folder::new("house-again");
    let mut site = Site::new();
    site.create(1, 1, &[]);
    let node = Node::start(&folder, &site.topics());
    node.view(key(1, 0));
    let first = node.begin_append(key(1, 0), numbered(&["a"], 0));
    let again = node.begin_append(key(1, 0), numbered(&["a"], 0));
    for given in [first, again] {
        let appended = given.recv_timeout(PATIENCE).unwrap().unwrap();
        assert_eq!(appended.base, Offset(0));
    }
    assert_eq!(node.append(key(1, 0), numbered(&["b", "c"], 1)), Ok(1));
    let ahead = node.append(key(1, 0), numbered(&["e"], 4));
    let why = producers::Refused::OutOfOrder {
        id: ProducerId(9),
        expected: 3,
        found: 4,
    };
    assert_eq!(ahead, Err(NotAppended::Producer(why)));
    node.close();
    let node = Node::start(&folder, &site.topics());
    let view = node.view(key(1, 0));
    assert_eq!(node.append(key(1, 0), numbered(&["b", "c"], 1)), Ok(1));
    assert_eq!(node.append(key(1, 0), numbered(&["d"], 3)), Ok(3));
    assert_eq!(texts(&values(&view)), ["a", "b", "c", "d"]);
    node.close();
}

/// A client that was told of the partition sooner than this node sends its first
/// batch too early, and has the second on its way.
#[test]
fn what_follows_a_batch_that_was_turned_away_is_not_a_producers_first() {
    let folder = Folder::new("house-turned-away");
    let mut site = Site::new();
    let node = Node::start(&folder, &site.topics());
    let early = node.append(key(1, 0), numbered(&["a", "b"], 0));
    assert_eq!(early, Err(NotAppended::NotHere(NotHere::Unknown)));
    site.create(1, 1, &[]);
    node.streams.say(Word::Topics(site.topics()));
    let view = node.view(key(1, 0));
    let why = producers::Refused::Awaited {
        id: ProducerId(9),
        awaited: 0,
        found: 2,
    };
    let ahead = node.append(key(1, 0), numbered(&["c"], 2));
    assert_eq!(ahead, Err(NotAppended::Producer(why)));
    assert_eq!(node.append(key(1, 0), numbered(&["a", "b"], 0)), Ok(0));
    assert_eq!(node.append(key(1, 0), numbered(&["c"], 2)), Ok(2));
    assert_eq!(texts(&values(&view)), ["a", "b", "c"]);
    node.close();
}

#[test]
fn without_its_checkpoint_a_partition_knows_the_same() {
    let folder = Folder::new("house-checkpoint");
    let mut site = Site::new();
    site.create(1, 1, &[]);
    let node = Node::start(&folder, &site.topics());
    node.view(key(1, 0));
    assert_eq!(node.append(key(1, 0), numbered(&["a", "b"], 0)), Ok(0));
    node.close();
    let checkpoints = folder.0.join("streams");
    let written: Vec<_> = std::fs::read_dir(&checkpoints).unwrap().collect();
    assert_eq!(written.len(), 1, "{written:?}");
    for (n, damage) in [None, Some(7), Some(40)].into_iter().enumerate() {
        for file in std::fs::read_dir(&checkpoints).unwrap() {
            let path = file.unwrap().path();
            match damage {
                None => std::fs::remove_file(path).unwrap(),
                Some(at) => {
                    let mut bytes = std::fs::read(&path).unwrap();
                    bytes[at] ^= 1;
                    std::fs::write(path, bytes).unwrap();
                }
            }
        }
        let node = Node::start(&folder, &site.topics());
        node.view(key(1, 0));
        assert_eq!(node.append(key(1, 0), numbered(&["a", "b"], 0)), Ok(0));
        let next = numbered(&["more"], 2 + n as i32);
        assert_eq!(node.append(key(1, 0), next), Ok(2 + n as u64));
        node.close();
    }
}

/// What its coordinator has said of a transaction is late where the marker that
/// ends it is there already.
#[test]
fn a_transaction_that_has_ended_meanwhile_is_not_begun() {
    let folder = Folder::new("house-ended-meanwhile");
    let mut site = Site::new();
    site.create(1, 1, &[]);
    let node = Node::start(&folder, &site.topics());
    let view = node.view(key(1, 0));
    let batch = Batch {
        is_transactional: true,
        ..numbered(&["a"], 0)
    };
    let offer = |verified| {
        let given = node.offer(key(1, 0), &batch, verified);
        let outcome = given.recv_timeout(PATIENCE).expect("answered");
        match outcome {
            Err(NotAppended::BeginsTransaction(now)) => Err(now),
            outcome => Ok(outcome.unwrap().base),
        }
    };
    let abort = |id| {
        let closing = Closing {
            id: ProducerId(id),
            epoch: 0,
            marker: Marker {
                ending: Ending::Abort,
                coordinator_epoch: 1,
            },
            raises_epoch: false,
        };
        let key = key(1, 0);
        node.ask(|answer| {
            Word::Mark(Mark {
                key,
                closing,
                answer,
            })
        })
        .unwrap()
    };
    let asked = offer(None).unwrap_err();
    assert_eq!(abort(9), Offset(0));
    let again = offer(Some(asked)).unwrap_err();
    assert_eq!(view.marks().last_stable, Offset(1));
    // That others end theirs takes nothing from it.
    assert_eq!(abort(10), Offset(1));
    assert_eq!(offer(Some(again)), Ok(Offset(2)));
    assert_eq!(view.marks().last_stable, Offset(2));
    node.close();
}

#[test]
fn a_transaction_is_open_until_its_marker_and_begins_only_with_leave() {
    let folder = Folder::new("house-transaction");
    let mut site = Site::new();
    site.create(1, 1, &[]);
    let node = Node::start(&folder, &site.topics());
    let view = node.view(key(1, 0));
    let first = Batch {
        is_transactional: true,
        ..numbered(&["a"], 0)
    };
    let begins = node.append(key(1, 0), first.clone());
    assert!(matches!(begins, Err(NotAppended::BeginsTransaction(_))));
    let verified = Batch {
        is_verified: true,
        ..first
    };
    assert_eq!(node.append(key(1, 0), verified), Ok(0));
    let marks = view.marks();
    assert_eq!((marks.last_stable, marks.watermark), (Offset(0), Offset(1)));
    let mark = |node: &Node| {
        node.ask(|answer| {
            Word::Mark(Mark {
                key: key(1, 0),
                closing: Closing {
                    id: ProducerId(9),
                    epoch: 0,
                    marker: Marker {
                        ending: Ending::Abort,
                        coordinator_epoch: 1,
                    },
                    raises_epoch: false,
                },
                answer,
            })
        })
    };
    assert_eq!(mark(&node), Ok(Offset(1)));
    assert_eq!(view.marks().last_stable, Offset(2));
    let aborted = |node: &Node| {
        let (key, from, until) = (key(1, 0), Offset(0), Offset(2));
        node.ask(|answer| Word::Aborted {
            key,
            from,
            until,
            answer,
        })
        .unwrap()
    };
    let before = aborted(&node);
    assert_eq!(before.len(), 1);
    node.close();
    let node = Node::start(&folder, &site.topics());
    node.view(key(1, 0));
    assert_eq!(aborted(&node), before);
    node.close();
}

#[test]
fn who_watches_is_told_of_the_first_record() {
    let folder = Folder::new("house-watch");
    let mut site = Site::new();
    site.create(1, 2, &[]);
    let node = Node::start(&folder, &site.topics());
    node.view(key(1, 0));
    node.view(key(1, 1));
    let (put, told) = channel();
    node.streams.say(Word::Watch(Watch {
        wants: vec![(key(1, 0), Offset(0)), (key(1, 1), Offset(0))],
        until: Duration::MAX,
        reads_committed: false,
        answer: Box::new(move |()| put.send(()).unwrap()),
    }));
    // A word behind it: it has been heard by now, and is not answered.
    node.view(key(1, 0));
    assert!(told.try_recv().is_err());
    assert_eq!(node.append(key(1, 1), batch(&["a"])), Ok(0));
    told.recv_timeout(PATIENCE).unwrap();
    node.close();
}

#[test]
fn old_records_are_dropped_and_times_are_found() {
    let folder = Folder::new("house-drop");
    let mut site = Site::new();
    site.create(1, 1, &[]);
    let node = Node::start(&folder, &site.topics());
    let view = node.view(key(1, 0));
    for (n, text) in ["a", "b", "c"].into_iter().enumerate() {
        let one = Batch {
            timestamp: 1000 * (n as i64 + 1),
            ..batch(&[text])
        };
        assert_eq!(node.append(key(1, 0), one), Ok(n as u64));
    }
    let find = |at_ms| {
        let key = key(1, 0);
        node.ask(|answer| Word::FindTime { key, at_ms, answer })
    };
    assert_eq!(find(2000), Ok(Some(Offset(0))));
    assert_eq!(find(3001), Ok(None));
    let drop = |until: Option<u64>| {
        let (key, until) = (key(1, 0), until.map(Offset));
        node.ask(|answer| Word::DropPrefix {
            key,
            until,
            timeout: Duration::ZERO,
            answer,
        })
    };
    assert_eq!(drop(Some(4)), Err(NotDropped::OutOfRange));
    assert_eq!(drop(Some(1)), Ok(Offset(1)));
    assert_eq!(texts(&values(&view)), ["b", "c"]);
    assert_eq!(drop(None), Ok(Offset(3)));
    assert_eq!(values(&view), []);
    node.close();
    let node = Node::start(&folder, &site.topics());
    let view = node.view(key(1, 0));
    assert_eq!(view.marks().first, Offset(3));
    assert_eq!(node.append(key(1, 0), batch(&["d"])), Ok(3));
    node.close();
}

#[test]
fn a_deleted_topic_is_gone_with_its_files() {
    let folder = Folder::new("house-delete");
    let mut site = Site::new();
    site.create(1, 1, &[]);
    site.create(2, 1, &[]);
    let node = Node::start(&folder, &site.topics());
    node.view(key(1, 0));
    node.view(key(2, 0));
    assert_eq!(node.append(key(1, 0), batch(&["a"])), Ok(0));
    assert_eq!(node.append(key(2, 0), batch(&["b"])), Ok(0));
    site.delete(1);
    node.streams.say(Word::Topics(site.topics()));
    let gone = node.append(key(1, 0), batch(&["c"]));
    assert_eq!(gone, Err(NotAppended::NotHere(NotHere::Unknown)));
    assert!(node.streams.view(key(1, 0)).is_none());
    assert_eq!(node.append(key(2, 0), batch(&["c"])), Ok(1));
    node.close();
    let names = std::fs::read_dir(folder.0.join("logs")).unwrap();
    let names: Vec<_> = names.map(|one| one.unwrap().file_name()).collect();
    let log = format!("{:x}-", dolmen::streams::house::log_of(key(1, 0), 0).0);
    let is_its = |name: &std::ffi::OsString| name.to_string_lossy().starts_with(&log);
    assert!(!names.iter().any(is_its), "{names:?}");
}

#[test]
fn a_partition_that_is_given_up_and_held_again_begins_anew() {
    let folder = Folder::new("house-again-held");
    let mut site = Site::new();
    site.create(1, 1, &[]);
    let node = Node::start(&folder, &site.topics());
    node.view(key(1, 0));
    for round in 0..20 {
        let text = format!("{round}");
        assert_eq!(node.append(key(1, 0), batch(&[&text])), Ok(0));
        site.delete(1);
        let without = site.topics();
        site.create(1, 1, &[]);
        // Both are heard before the log is gone.
        node.streams.say(Word::Topics(without));
        node.streams.say(Word::Topics(site.topics()));
        assert_eq!(values(&node.view(key(1, 0))), [], "round {round}");
    }
    node.close();
}

/// A client compares what it has read with it, and begins anew where it is told of
/// less: behind a restart of all brokers a leader knows late what is acknowledged.
#[test]
fn an_epoch_ends_where_its_records_do_though_nobody_else_is_known_to_have_them() {
    let folder = Folder::new("house-epochs");
    let mut authority = Authority::new();
    for number in 1..=3 {
        let (node, disk) = (NodeId(number), Uid([number as u8; 16]));
        let session = authority.announce(now(), node, disk, true);
        assert!(number > 1 || session == SESSION);
    }
    authority.create(now(), 1, 8, &[]);
    let topics = authority.topics();
    let partitions = &topics.get("topic-1").unwrap().partitions;
    let mut leaders = partitions.iter().map(|one| one.leader);
    let led = leaders.position(|leader| leader == Some(NodeId(1)));
    let key = key(1, led.expect("it leads its share") as u32);
    let node = Node::start(&folder, &topics);
    let view = node.view(key);
    let waits = node.begin_append(key, batch(&["a", "b"]));
    let clock = MachineClock::new();
    while view.marks().next < Offset(2) {
        assert!(clock.monotonic() < PATIENCE);
        std::thread::yield_now();
    }
    assert_eq!(view.marks().watermark, Offset(0), "nobody follows");
    let epoch = view.leader_epoch();
    let end = node.ask(|answer| Word::EndOfEpoch { key, epoch, answer });
    assert_eq!(end, Ok(Some((epoch, Offset(2)))));
    node.close();
    drop(waits);
}
