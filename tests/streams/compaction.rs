//! A compacted partition on a real disk: what is left, also while it is written to,
//! and after a start.

use super::kit::{Batch, Node, PATIENCE, SESSION, batch, key, now, told};
use super::replicas::authority::Authority;
use super::site::Site;
use crate::folder::Folder;
use dolmen::clock::{Clock, MachineClock};
use dolmen::ids::{NodeId, Offset, ProducerId, Uid};
use dolmen::limits::BATCH_PLAIN_BYTES_MAX;
use dolmen::log::Way;
use dolmen::streams::View;
use dolmen::streams::batch::build::{Builder, gap};
use dolmen::streams::batch::codec::{Codec, Unpacker};
use dolmen::streams::batch::control::{Ending, Marker};
use dolmen::streams::batch::header::{Attributes, Claim, HEADER_BYTES, Header};
use dolmen::streams::batch::records::{Headers, Record, Records};
use dolmen::streams::desk::{Mark, Word};
use dolmen::streams::follow::Asked;
use dolmen::streams::house::Settings;
use dolmen::streams::partition::Answer;
use dolmen::streams::producers::Closing;
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const COMPACTED: &[(&str, &str)] = &[
    ("cleanup.policy", "compact"),
    ("min.cleanable.dirty.ratio", "0.01"),
    ("delete.retention.ms", "0"),
];

fn settings() -> Settings {
    Settings {
        compaction_every: Duration::ZERO,
        ..Settings::default()
    }
}

/// Records of a view by offset: key and value. Markers apart.
fn records(view: &View) -> BTreeMap<u64, (String, String)> {
    let marks = view.marks();
    let (mut at, mut found) = (marks.first, BTreeMap::new());
    while at < marks.watermark {
        let read = view.read(at, marks.watermark, 1 << 20, Way::Plain);
        let read = read.unwrap().expect("it is below the watermark");
        let mut rest = &read.bytes[..];
        while let Some(header) = Header::of(rest) {
            let (whole, behind) = rest.split_at(header.total_bytes().unwrap());
            let records = Records::of(whole, 1 << 20, &mut Unpacker::default()).unwrap();
            for record in records.iter().map(Result::unwrap) {
                let text = |bytes: Option<&[u8]>| {
                    String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
                };
                if !header.attributes().has(Attributes::CONTROL) {
                    let both = (text(record.key), text(record.value));
                    found.insert(record.offset.0, both);
                }
            }
            rest = behind;
        }
        assert!(read.next > at, "it reads on");
        at = read.next;
    }
    found
}

/// Records of 30 keys, each with a number of its own.
fn keyed(from: u64, count: u64) -> Batch {
    let numbers = from..from + count;
    Batch {
        keys: numbers.clone().map(|n| format!("key {}", n % 30)).collect(),
        values: numbers.map(|n| format!("{n:0>200}")).collect(),
        timestamp: now().0 as i64,
        ..Batch::default()
    }
}

/// Waits until compaction has brought it about.
fn wait_until(node: &Node, is_so: impl Fn() -> bool) {
    let clock = MachineClock::new();
    while !is_so() {
        let counts = node.streams.compaction();
        let (passes, failures) = (counts.passes.get(), counts.failures.get());
        assert_eq!(failures, 0);
        assert!(clock.monotonic() < PATIENCE, "not after {passes} passes");
        let key = key(1, 0);
        let _ = node.ask(|answer| Word::LatestTime { key, answer });
        std::thread::yield_now();
    }
}

/// What must be there of `count` records: the newest of each key at least, and no
/// two of one in what was compacted.
fn check(found: &BTreeMap<u64, (String, String)>, count: u64) {
    for (offset, (key, value)) in found {
        assert_eq!(
            (key, value),
            (&format!("key {}", offset % 30), &format!("{offset:0>200}"))
        );
    }
    assert!((count - 30..count).all(|offset| found.contains_key(&offset)));
}

/// A segment has 1200 records or so, and the last is not compacted.
fn is_compacted(found: &BTreeMap<u64, (String, String)>) -> bool {
    found.len() < 1400
}

#[test]
fn the_newest_of_each_key_is_left_and_stays_after_a_start() {
    let folder = Folder::new("compaction");
    let mut site = Site::new();
    site.create(1, 1, COMPACTED);
    let node = Node::start_with(&folder, &site.topics(), settings());
    let view = node.view(key(1, 0));
    let mut next = 0;
    while next < 6000 {
        assert_eq!(node.append(key(1, 0), keyed(next, 60)), Ok(next));
        next += 60;
    }
    wait_until(&node, || is_compacted(&records(&view)));
    check(&records(&view), next);
    assert_eq!(node.append(key(1, 0), keyed(next, 60)), Ok(next));
    next += 60;
    node.close();
    let node = Node::start_with(&folder, &site.topics(), settings());
    let view = node.view(key(1, 0));
    check(&records(&view), next);
    while next < 9000 {
        assert_eq!(node.append(key(1, 0), keyed(next, 60)), Ok(next));
        next += 60;
    }
    wait_until(&node, || is_compacted(&records(&view)));
    check(&records(&view), next);
    node.close();
}

/// A record without a time is as old as what the log knows of it.
#[test]
fn what_has_no_time_is_not_too_old_once_it_is_compacted() {
    let folder = Folder::new("compaction-timeless");
    let mut site = Site::new();
    let kept = [
        ("cleanup.policy", "compact,delete"),
        ("min.cleanable.dirty.ratio", "0.01"),
        ("retention.ms", "3600000"),
    ];
    site.create(1, 1, &kept);
    let settings = Settings {
        retention_every: Duration::ZERO,
        ..settings()
    };
    let node = Node::start_with(&folder, &site.topics(), settings);
    let view = node.view(key(1, 0));
    let mut next = 0;
    let mut write = |count| {
        for _ in 0..count {
            let timeless = Batch {
                timestamp: -1,
                ..keyed(next, 60)
            };
            assert_eq!(node.append(key(1, 0), timeless), Ok(next));
            next += 60;
        }
    };
    write(100);
    wait_until(&node, || is_compacted(&records(&view)));
    // It is looked what may be dropped before another pass begins.
    let passes = || node.streams.compaction().passes.get();
    let (before, clock) = (passes(), MachineClock::new());
    while passes() < before + 2 && clock.monotonic() < PATIENCE {
        write(5);
    }
    assert!(passes() >= before + 2);
    assert_eq!(view.marks().first, Offset(0));
    check(&records(&view), next);
    node.close();
}

#[test]
fn what_was_aborted_goes_and_its_producer_goes_on() {
    let folder = Folder::new("compaction-aborted");
    let mut site = Site::new();
    site.create(1, 1, COMPACTED);
    let node = Node::start_with(&folder, &site.topics(), settings());
    let view = node.view(key(1, 0));
    let claim = |epoch, sequence| Claim {
        id: ProducerId(5),
        epoch,
        sequence,
    };
    let begun = |claim, text: &str| Batch {
        keys: vec!["mine".into()],
        values: vec![text.into()],
        claim: Some(claim),
        is_transactional: true,
        is_verified: true,
        timestamp: now().0 as i64,
        packed: None,
    };
    let end = |node: &Node, ending, epoch| {
        let answered = node.ask(|answer| {
            Word::Mark(Mark {
                key: key(1, 0),
                closing: Closing {
                    id: ProducerId(5),
                    epoch,
                    marker: Marker {
                        ending,
                        coordinator_epoch: 1,
                    },
                    raises_epoch: true,
                },
                answer,
            })
        });
        answered.unwrap()
    };
    node.append(key(1, 0), begun(claim(0, 0), "committed"))
        .unwrap();
    end(&node, Ending::Commit, 1);
    node.append(key(1, 0), begun(claim(1, 0), "aborted"))
        .unwrap();
    end(&node, Ending::Abort, 2);
    for n in 0..50 {
        node.append(key(1, 0), keyed(n * 60, 60)).unwrap();
    }
    let mine = |view: &View| -> Vec<String> {
        let all = records(view).into_values();
        all.filter(|(key, _)| key == "mine")
            .map(|(_, value)| value)
            .collect()
    };
    wait_until(&node, || mine(&view) == ["committed"]);
    for n in 50..100 {
        node.append(key(1, 0), keyed(n * 60, 60)).unwrap();
    }
    let aborted = |node: &Node| {
        let (from, until, key) = (Offset(0), Offset(1 << 40), key(1, 0));
        let answer = node.ask(|answer| Word::Aborted {
            key,
            from,
            until,
            answer,
        });
        answer.unwrap()
    };
    // Forgotten before its marker may go.
    wait_until(&node, || aborted(&node).is_empty());
    node.close();
    let node = Node::start_with(&folder, &site.topics(), settings());
    let view = node.view(key(1, 0));
    assert_eq!(mine(&view), ["committed"]);
    assert_eq!(view.marks().last_stable, view.marks().watermark);
    let fenced = node.append(key(1, 0), begun(claim(1, 1), "too late"));
    assert!(fenced.is_err(), "{fenced:?}");
    node.append(key(1, 0), begun(claim(2, 0), "goes on"))
        .unwrap();
    node.close();
}

/// The asks of a follower, as the leader hears them.
fn next_ask(asked: &Receiver<Asked>, is_it: impl Fn(&Asked) -> bool) -> Asked {
    loop {
        let one = asked.recv_timeout(PATIENCE).expect("it asks");
        if one.waits && is_it(&one) {
            return one;
        }
    }
}

/// As an unclean election may ask for: what compaction made one of, a leader that
/// has less of it parts in the midst of.
#[test]
fn a_log_that_parts_within_an_empty_batch_is_cut_before_it_and_goes_on() {
    let folder = Folder::new("compaction-cut");
    let mut authority = Authority::new();
    let announce = |authority: &mut Authority, node: u64| {
        authority.announce(now(), NodeId(node), Uid([node as u8; 16]), true)
    };
    let [own, two, three] = [1, 2, 3].map(|node| announce(&mut authority, node));
    assert_eq!(own, SESSION);
    let unclean = [
        ("durability", "replicated"),
        ("unclean.leader.election.enable", "true"),
    ];
    authority.create(now(), 1, 1, &[COMPACTED, &unclean].concat());
    for session in [two, three] {
        authority.expire(now(), session);
    }
    let node = Node::start_with(&folder, &authority.topics(), settings());
    let view = node.view(key(1, 0));
    let first = Batch {
        keys: vec!["mine".into()],
        ..batch(&["kept"])
    };
    assert_eq!(node.append(key(1, 0), first), Ok(0));
    for n in 0..100 {
        assert_eq!(node.append(key(1, 0), keyed(n * 60, 60)), Ok(1 + n * 60));
    }
    wait_until(&node, || is_compacted(&records(&view)));
    let there = view.read(Offset(1), Offset(6001), 1, Way::Plain).unwrap();
    let gap_next = there.expect("it is below the watermark").next;
    assert!(
        gap_next > Offset(200),
        "one batch stands for many: {gap_next}"
    );

    // Another leads without what this one has.
    authority.expire(now(), own);
    announce(&mut authority, 2);
    node.site.live_in(announce(&mut authority, 1));
    let (put, asked) = channel();
    let put = Mutex::new(put);
    node.streams.say(Word::Follow(Arc::new(move |leader, one| {
        assert_eq!(leader, NodeId(2));
        let _ = put.lock().unwrap().send(one);
    })));
    node.streams.say(Word::Topics(authority.topics()));
    let whole = next_ask(&asked, |one| one.ask.next == Offset(6001));
    let epoch = whole.ask.last_epoch.unwrap();
    let end = Offset(61);
    let parted = Answer::Parted { epoch, end };
    node.streams.say(told(&whole, parted, Vec::new()));
    let cut = next_ask(&asked, |one| one.ask.next != Offset(6001));
    assert_eq!(cut.ask.next, Offset(1), "where the empty batch began");
    assert_eq!(cut.ask.last_epoch, Some(epoch));
    // The leader has the same for as long as it has anything.
    let alike = Answer::Alike {
        watermark: Offset(61),
        first: Offset(0),
        everywhere: Offset(0),
    };
    let rest = gap(Offset(1), end, epoch);
    node.streams.say(told(&cut, alike, rest));
    let on = next_ask(&asked, |one| one.ask.next != Offset(1));
    assert_eq!((on.ask.next, on.ask.last_epoch), (end, Some(epoch)));
    assert_eq!(records(&view).into_keys().collect::<Vec<_>>(), [0]);
    node.close();
}

/// A record of the key "a", and one that fills the batch to the brim; and with a
/// tombstone before them, to which compaction gives a horizon, no room for both.
fn brimful() -> Vec<u8> {
    let mut builder = Builder::new(Offset(0), Codec::Zstd);
    let zeros = vec![0; BATCH_PLAIN_BYTES_MAX];
    let mut add = |offset: u64, key: &str, value: Option<&[u8]>| {
        builder.add(&Record {
            offset: Offset(offset),
            timestamp: 1000,
            key: Some(key.as_bytes()),
            value,
            headers: Headers::NONE,
        })
    };
    add(0, "gone", None).unwrap();
    add(1, "a", Some(b"")).unwrap();
    let most = BATCH_PLAIN_BYTES_MAX - HEADER_BYTES;
    let mut lengths = (0..most).rev();
    assert!(lengths.any(|length| add(2, "z", Some(&zeros[..length])).is_ok()));
    builder.finish().unwrap()
}

#[test]
fn what_cannot_be_compacted_is_not_tried_over_and_over() {
    let folder = Folder::new("compaction-stuck");
    let mut site = Site::new();
    site.create(1, 2, COMPACTED);
    let node = Node::start_with(&folder, &site.topics(), settings());
    let (stuck, other) = (key(1, 0), key(1, 1));
    node.view(stuck);
    let view = node.view(other);
    let brimful = Batch {
        packed: Some(brimful()),
        ..Batch::default()
    };
    assert_eq!(node.append(stuck, brimful), Ok(0));
    let again = Batch {
        keys: vec!["a".into()],
        ..batch(&["newer"])
    };
    assert_eq!(node.append(stuck, again), Ok(3));
    let (mut ends, counts) = ([4, 0], node.streams.compaction());
    let mut fill = |at: usize, key| {
        for _ in 0..40 {
            assert_eq!(node.append(key, keyed(ends[at], 60)), Ok(ends[at]));
            ends[at] += 60;
        }
    };
    fill(0, stuck);
    let wait = |is_so: &dyn Fn() -> bool| {
        let clock = MachineClock::new();
        while !is_so() {
            assert!(clock.monotonic() < PATIENCE);
            let _ = node.ask(|answer| Word::LatestTime { key: other, answer });
            std::thread::yield_now();
        }
    };
    wait(&|| counts.failures.get() > 0);
    // Others go on; between two of their passes it would have its turn.
    for _ in 0..2 {
        let before = counts.passes.get();
        fill(1, other);
        wait(&|| counts.passes.get() > before);
    }
    assert_eq!(counts.failures.get(), 1);
    assert!(records(&view).len() < ends[1] as usize);
    node.close();
}
