//! Partitions on a simulated disk, driven step by step: answers before the sync,
//! segments that end early, logs that nobody has any more, a full disk; and a
//! power cut at any moment of all that.

use super::kit::{Batch, alone, append, batch, key};
use super::site::Site;
use dolmen::clock::{Clock, Millis};
use dolmen::disk::Disk;
use dolmen::disk::sim::{SimDisk, Sweep, When};
use dolmen::entropy::{Entropy, Seeded};
use dolmen::ids::{Index, Offset, ProducerId};
use dolmen::log::{Device, FRAMES, Opening, Request, Settings, Tenant, Way, open};
use dolmen::state::topics::Topics;
use dolmen::streams::batch::codec::Unpacker;
use dolmen::streams::batch::format::BATCHES;
use dolmen::streams::batch::header::{Claim, Header};
use dolmen::streams::batch::records::Records;
use dolmen::streams::desk::{Appended, NotAppended, NotDropped, Word};
use dolmen::streams::house::{self, House, log_of};
use dolmen::streams::partition::Acks;
use dolmen::streams::{Key, Streams, View};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

struct Hands(AtomicU64);

impl Clock for Hands {
    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }

    fn now(&self) -> Millis {
        Millis(1_000_000 + self.0.load(Ordering::Relaxed))
    }
}

struct Dice(Mutex<Seeded>);

impl Entropy for Dice {
    fn fill(&self, into: &mut [u8]) -> io::Result<()> {
        let mut seeded = self.0.lock().unwrap();
        into.iter_mut()
            .for_each(|byte| *byte = seeded.next_u64() as u8);
        Ok(())
    }
}

type Outcome = Result<u64, NotAppended>;

/// The log of a node, without anybody who works on it.
fn device(disk: &SimDisk) -> Result<Device, String> {
    let settings = Settings {
        journal_file_bytes: 64 << 10,
        journal_files_max: 3,
        bypass_bytes: 6000,
        segment_bytes: 24 << 10,
        segment_first_bytes: 8 << 10,
        show_bytes: 4 << 10,
        reserve_bytes: 0,
        ..Settings::default()
    };
    let dice = Dice(Mutex::new(Seeded::new(1)));
    let (device, _) = open(Opening {
        disk: Arc::new(disk.clone()),
        lane: disk.lane().unwrap(),
        entropy: &dice,
        settings,
        formats: &[&FRAMES, &BATCHES],
    })
    .map_err(|error| error.to_string())?;
    Ok(device)
}

/// One node on this thread.
struct Node {
    device: Device,
    house: House,
    streams: Streams,
    clock: Arc<Hands>,
}

impl Node {
    fn start(disk: &SimDisk, topics: &Arc<Topics>, bytes_max: Option<u64>) -> Result<Self, String> {
        let mut device = device(disk)?;
        let clock = Arc::new(Hands(AtomicU64::new(1)));
        let settings = house::Settings {
            bytes_max,
            // It has a thread, and what it leaves is another test's.
            compaction_every: Duration::MAX,
            ..house::Settings::default()
        };
        let (mut house, streams) = House::new(settings, clock.clone());
        house.move_in(&mut device);
        let propose: dolmen::streams::site::Propose =
            Box::new(|_, answer| answer(Err("nobody proposes here".into())));
        streams.say(Word::Begin(Arc::new(alone(propose))));
        streams.say(Word::Topics(topics.clone()));
        Ok(Self {
            device,
            house,
            streams,
            clock,
        })
    }

    /// As a node is stopped that is well.
    fn stop(mut self) {
        while !self.house.is_idle() || self.device.is_busy() {
            self.turn();
        }
        self.house.move_out(&mut self.device);
        self.device.close().unwrap();
    }

    fn turn(&mut self) {
        self.house.turn(&mut self.device);
        self.device.turn().unwrap();
        if self.device.is_waiting() && self.house.is_idle() {
            self.device.wait(None, &mut || true);
        }
    }

    fn turns(&mut self, count: usize) {
        (0..count).for_each(|_| self.turn());
    }

    fn pass(&mut self, ms: u64) {
        self.clock.0.fetch_add(ms, Ordering::Relaxed);
        self.turns(40);
    }

    fn view(&mut self, key: Key) -> Arc<View> {
        for _ in 0..2000 {
            self.turn();
            if let Some(view) = self.streams.view(key)
                && view.leads()
            {
                return view;
            }
        }
        panic!("{key} is not opened");
    }

    fn begin(&mut self, key: Key, batch: &Batch, acks: Acks) -> Receiver<Outcome> {
        let (put, given) = channel();
        let answer = move |outcome: Result<Appended, NotAppended>| {
            drop(put.send(outcome.map(|appended| appended.base.0)));
        };
        let offered = append(key, batch.bytes(), acks, answer);
        self.streams.append(offered);
        given
    }

    fn begin_drop(&mut self, key: Key, until: u64) -> Receiver<Result<Offset, NotDropped>> {
        let (put, given) = channel();
        self.streams.say(Word::DropPrefix {
            key,
            until: Some(Offset(until)),
            timeout: Duration::ZERO,
            answer: Box::new(move |outcome| drop(put.send(outcome))),
        });
        given
    }

    fn append(&mut self, key: Key, batch: &Batch, acks: Acks) -> Outcome {
        let given = self.begin(key, batch, acks);
        for _ in 0..5000 {
            self.turn();
            if let Ok(outcome) = given.try_recv() {
                return outcome;
            }
        }
        panic!("not answered");
    }
}

fn numbered(value: &str, sequence: i32) -> Batch {
    Batch {
        claim: Some(Claim {
            id: ProducerId(9),
            epoch: 0,
            sequence,
        }),
        ..batch(&[value])
    }
}

/// Every value below an offset.
fn values(view: &View, until: Offset) -> Vec<String> {
    let (mut at, mut found) = (view.marks().first, Vec::new());
    while at < until {
        let read = view.read(at, until, 4096, Way::Plain).unwrap();
        let read = read.expect("it is below the end");
        let mut rest = &read.bytes[..];
        while let Some(header) = Header::of(rest) {
            let (whole, behind) = rest.split_at(header.total_bytes().unwrap());
            let records = Records::of(whole, 1 << 20, &mut Unpacker::default()).unwrap();
            let texts = records
                .iter()
                .map(|record| record.unwrap().value.unwrap().to_vec());
            found.extend(texts.map(|text| String::from_utf8(text).unwrap()));
            rest = behind;
        }
        at = read.next;
    }
    found
}

fn site(settings: &[(&str, &str)]) -> Site {
    let mut site = Site::new();
    site.create(1, 1, &[]);
    site.create(2, 1, settings);
    site
}

#[test]
fn who_asks_for_less_than_the_disk_is_answered_before_it() {
    let site = site(&[("durability", "replicated")]);
    for (topic, acks, hastes) in [
        (1, Acks::All, false),
        (1, Acks::Leader, true),
        (2, Acks::All, true),
        (2, Acks::Leader, true),
    ] {
        let disk = SimDisk::new(3);
        let mut node = Node::start(&disk, &site.topics(), None).unwrap();
        let view = node.view(key(topic, 0));
        // The disk takes its time from here on.
        disk.faults(|faults| (faults.slow, faults.slow_waits) = (When::OneIn(1), 30));
        let given = node.begin(key(topic, 0), &batch(&["a"]), acks);
        // The word is heard, the device takes it in, and that is heard.
        node.house.turn(&mut node.device);
        node.device.turn().unwrap();
        assert_eq!(node.house.is_idle(), !hastes);
        node.house.turn(&mut node.device);
        let shelf = node.device.shelf(log_of(key(topic, 0), 0)).unwrap();
        assert_eq!(
            shelf.durable_until().0,
            0,
            "the disk was quicker than the test"
        );
        assert_eq!(given.try_recv().is_ok(), hastes, "topic {topic}, {acks:?}");
        // What is seen goes by what an acknowledgement means to the topic.
        let seen = view.marks().watermark == Offset(1);
        assert_eq!(seen, topic == 2, "topic {topic}, {acks:?}");
        if seen {
            assert_eq!(values(&view, Offset(1)), ["a"]);
        }
        for _ in 0..500 {
            node.turn();
        }
        assert_eq!(view.marks().watermark, Offset(1));
    }
}

#[test]
fn a_large_batch_waits_for_its_own_sync_and_not_for_that_of_its_mark() {
    let disk = SimDisk::new(3);
    let mut node = Node::start(&disk, &site(&[]).topics(), None).unwrap();
    node.view(key(1, 0));
    disk.faults(|faults| (faults.slow, faults.slow_waits) = (When::OneIn(1), 30));
    let given = node.begin(key(1, 0), &batch(&[&"x".repeat(7000)]), Acks::Leader);
    let shelf = node.device.shelf(log_of(key(1, 0), 0)).unwrap();
    let mut turns = 0;
    while given.try_recv().is_err() {
        node.turn();
        turns += 1;
        assert!(turns < 1000);
    }
    assert!(turns > 10, "its own bytes are synced");
    assert_eq!(shelf.durable_until().0, 0, "and its mark is not yet");
}

/// Appends of every kind to two topics, with a power cut at any moment.
fn history(seed: u64) -> usize {
    let mut dice = Seeded::new(seed);
    let disk = SimDisk::new(seed);
    disk.set_depth(1 + (seed % 2) as usize);
    let settings = [("durability", "replicated"), ("segment.ms", "40")];
    let site = site(&settings);
    let mut node = Node::start(&disk, &site.topics(), None).unwrap();
    let keys = [key(1, 0), key(2, 0)];
    keys.iter().for_each(|&key| drop(node.view(key)));
    let mut sent: [Vec<String>; 2] = Default::default();
    for step in 0..70 {
        let topic = dice.below(2) as usize;
        let length = match dice.below(12) {
            0 => 6500 + dice.below(4000),
            1 => dice.below(3000),
            _ => dice.below(200),
        } as usize;
        let number = sent[topic].len();
        let value = format!("{number}-{}", "x".repeat(length));
        let batch = Batch {
            timestamp: 1000 + 7 * i64::from(step),
            ..numbered(&value, number as i32)
        };
        sent[topic].push(value);
        let acks = [Acks::All, Acks::Leader][dice.below(2) as usize];
        let is_promised = topic == 0 && acks == Acks::All;
        let given = node.begin(keys[topic], &batch, acks);
        node.turns(dice.below(6) as usize);
        let disk = disk.clone();
        // It may be answered much later: then nothing is promised.
        if given.try_recv().is_ok_and(|outcome| outcome.is_ok()) && is_promised {
            disk.note(number as u64);
        }
    }
    let trace = disk.trace();
    let mut count = 0;
    for image in trace.images(Sweep::about(40, seed)) {
        let named = format!("seed {seed}, {image}");
        let promised = image
            .notes()
            .iter()
            .max()
            .map_or(0, |&last| last as usize + 1);
        let disk = image.into_disk();
        let mut node = match Node::start(&disk, &site.topics(), None) {
            Ok(node) => node,
            Err(error) => panic!("{named}: {error}"),
        };
        for topic in 0..2 {
            let view = node.view(keys[topic]);
            let next = view.marks().next;
            let found = values(&view, next);
            assert_eq!(
                found[..],
                sent[topic][..found.len()],
                "{named}: topic {topic}"
            );
            let least = if topic == 0 { promised } else { 0 };
            assert!(
                found.len() >= least,
                "{named}: {} of {promised}",
                found.len()
            );
            // Producer and epochs are as the log is: what was lost may be sent
            // again, and nothing else.
            let gap = numbered("gap", found.len() as i32 + 1);
            let refused = node.append(keys[topic], &gap, Acks::All);
            let is_refused = matches!(refused, Err(NotAppended::Producer(_)));
            assert!(is_refused || found.is_empty(), "{named}: {refused:?}");
            if !found.is_empty() {
                let again = numbered("again", found.len() as i32);
                assert_eq!(
                    node.append(keys[topic], &again, Acks::All),
                    Ok(next.0),
                    "{named}"
                );
            }
        }
        count += 1;
    }
    count
}

#[test]
fn a_power_cut_leaves_a_beginning_and_producers_that_fit_it() {
    let mut count = 0;
    for seed in 1..=if crate::full() { 60 } else { 8 } {
        println!("seed {seed}");
        count += history(seed);
    }
    println!("{count} images");
}

fn segments(disk: &SimDisk, key: Key, suffix: &str) -> usize {
    let log = format!("logs/{:x}-", log_of(key, 0).0);
    let names = disk.names();
    let its = names
        .iter()
        .filter(|name| name.starts_with(&log) && name.ends_with(suffix));
    its.count()
}

#[test]
fn segments_end_by_size_and_age_as_the_topic_says() {
    let mut site = Site::new();
    site.create(1, 1, &[("segment.ms", "100"), ("retention.ms", "-1")]);
    site.create(
        2,
        1,
        &[("segment.bytes", "1048576"), ("retention.ms", "-1")],
    );
    site.create(3, 1, &[("retention.ms", "-1")]);
    let disk = SimDisk::new(1);
    disk.stop_recording();
    let mut node = Node::start(&disk, &site.topics(), None).unwrap();
    let at = |timestamp| Batch {
        timestamp,
        ..batch(&["a"])
    };
    for topic in 1..=3 {
        node.view(key(topic, 0));
    }
    for (timestamp, count) in [(1000, 1), (1100, 1), (1101, 2), (1150, 2), (1202, 3)] {
        node.append(key(1, 0), &at(timestamp), Acks::All).unwrap();
        node.turns(20);
        assert_eq!(segments(&disk, key(1, 0), ".seg"), count, "{timestamp}");
    }
    let large = batch(&[&"x".repeat(5000)]);
    for _ in 0..12 {
        node.append(key(2, 0), &large, Acks::All).unwrap();
        node.append(key(3, 0), &large, Acks::All).unwrap();
    }
    assert_eq!(
        segments(&disk, key(2, 0), ".seg"),
        1,
        "it has a MiB for itself"
    );
    assert_eq!(
        segments(&disk, key(3, 0), ".seg"),
        3,
        "24 KiB each, as the device says"
    );
    // Sealed segments have a footer once the journal behind them is swept.
    for _ in 0..60 {
        node.append(key(3, 0), &large, Acks::All).unwrap();
    }
    node.turns(200);
    assert!(segments(&disk, key(1, 0), ".foot") >= 2);
    // It goes on with the age of what it finds.
    let mut node = Node::start(&disk, &site.topics(), None).unwrap();
    let view = node.view(key(1, 0));
    assert_eq!(values(&view, Offset(5)).len(), 5);
    node.append(key(1, 0), &at(1303), Acks::All).unwrap();
    node.turns(20);
    assert_eq!(segments(&disk, key(1, 0), ".seg"), 4);
}

#[test]
fn what_is_too_old_leaves_no_room_taken() {
    let mut site = Site::new();
    site.create(1, 1, &[("retention.ms", "5000")]);
    let disk = SimDisk::new(1);
    disk.stop_recording();
    let mut node = Node::start(&disk, &site.topics(), None).unwrap();
    let view = node.view(key(1, 0));
    let one = Batch {
        timestamp: 1_000_000,
        ..batch(&[&"x".repeat(3000)])
    };
    for _ in 0..10 {
        node.append(key(1, 0), &one, Acks::All).unwrap();
    }
    assert_eq!(segments(&disk, key(1, 0), ".seg"), 2);
    node.pass(31_000);
    node.turns(200);
    assert_eq!(view.marks().first, Offset(10));
    assert_eq!(segments(&disk, key(1, 0), ".seg"), 1);
    let log = format!("logs/{:x}-10-", log_of(key(1, 0), 0).0);
    assert!(
        disk.names().iter().any(|name| name.starts_with(&log)),
        "an empty one"
    );
    assert_eq!(node.append(key(1, 0), &one, Acks::All), Ok(10));
}

#[test]
fn beyond_its_share_the_oldest_goes_first_and_compacted_topics_stay() {
    let mut site = Site::new();
    site.create(1, 1, &[]);
    site.create(2, 1, &[("cleanup.policy", "compact")]);
    site.create(3, 1, &[]);
    let disk = SimDisk::new(1);
    disk.stop_recording();
    let mut node = Node::start(&disk, &site.topics(), Some(180_000)).unwrap();
    let views: Vec<_> = (1..=3).map(|topic| node.view(key(topic, 0))).collect();
    for n in 0..40 {
        for topic in 1..=3 {
            let one = Batch {
                // The compacted one is the oldest, then topic 3.
                timestamp: 990_000 + n + [0, 5000, 0, 2000][topic as usize],
                ..batch(&[&"x".repeat(2000)])
            };
            node.append(key(topic, 0), &one, Acks::All).unwrap();
        }
    }
    node.pass(31_000);
    node.turns(200);
    let first = |n: usize| views[n].marks().first.0;
    assert!(first(2) > 0, "the oldest that may go");
    assert_eq!((first(0), first(1)), (0, 0));
    let have: u64 = {
        node.pass(31_000);
        views.iter().map(|view| view.bytes()).sum()
    };
    assert!(have <= 180_000 && have > 150_000, "{have}");
}

#[test]
fn logs_of_topics_that_are_gone_are_removed_when_that_is_sure() {
    let disk = SimDisk::new(1);
    let mut site = site(&[]);
    let mut node = Node::start(&disk, &site.topics(), None).unwrap();
    for topic in 1..=2 {
        node.view(key(topic, 0));
        node.append(key(topic, 0), &batch(&["a"]), Acks::All)
            .unwrap();
    }
    node.stop();
    let old = site.topics();
    site.delete(1);
    let checkpoints = |disk: &SimDisk| {
        let names = disk.names();
        names
            .iter()
            .filter(|name| name.starts_with("streams/"))
            .count()
    };
    assert_eq!(checkpoints(&disk), 2);
    disk.start_recording();
    // At first the node knows topics that are older than it was: nothing goes.
    let mut node = Node::start(&disk, &Arc::default(), None).unwrap();
    node.turns(200);
    node.streams.say(Word::Topics(old.clone()));
    node.turns(200);
    let (one, two) = (key(1, 0), key(2, 0));
    drop(node);
    assert_eq!(
        (segments(&disk, one, ".seg"), segments(&disk, two, ".seg")),
        (1, 1)
    );
    let mut node = Node::start(&disk, &site.topics(), None).unwrap();
    node.turns(200);
    assert_eq!(segments(&disk, one, ".seg"), 1, "it is not sure yet");
    disk.start_recording();
    node.streams.say(Word::CaughtUp);
    node.turns(400);
    let are_gone = |disk: &SimDisk| {
        let segments = (segments(disk, one, ".seg"), segments(disk, two, ".seg"));
        (segments, checkpoints(disk)) == ((0, 1), 1)
    };
    assert!(are_gone(&disk), "{:?}", disk.names());
    let view = node.view(two);
    assert_eq!(values(&view, Offset(1)), ["a"]);
    // Cut anywhere in that, the next start does the rest.
    for image in disk.trace().images(Sweep::about(60, 1)) {
        let named = image.to_string();
        let disk = image.into_disk();
        let mut node = Node::start(&disk, &site.topics(), None).unwrap();
        node.streams.say(Word::CaughtUp);
        let view = node.view(two);
        node.turns(400);
        assert_eq!(values(&view, Offset(1)), ["a"], "{named}");
        assert!(are_gone(&disk), "{named}: {:?}", disk.names());
    }
}

/// A start hears of all topics again since the last snapshot of the replicated
/// state: of those as well in which others held the partition for a while.
#[test]
fn history_that_is_told_again_takes_no_log_that_has_come_back_since() {
    let disk = SimDisk::new(1);
    let mut site = site(&[]);
    let (one, two) = (key(1, 0), key(2, 0));
    let mut history = vec![site.topics()];
    site.delete(1);
    history.push(site.topics());
    site.create(1, 1, &[]);
    history.push(site.topics());
    // Its last word is another's: that goes, when it is known to be the last.
    site.delete(2);
    let mut node = Node::start(&disk, &history[2], None).unwrap();
    for key in [one, two] {
        node.view(key);
        assert_eq!(node.append(key, &numbered("a", 0), Acks::All), Ok(0));
    }
    node.stop();
    disk.start_recording();
    let left = |disk: &SimDisk| [one, two].map(|key| segments(disk, key, ".seg"));
    let mut node = Node::start(&disk, &history[0], None).unwrap();
    for topics in history.iter().chain([&site.topics()]) {
        node.turns(20);
        node.streams.say(Word::Topics(topics.clone()));
    }
    node.turns(200);
    assert_eq!(left(&disk), [1, 1]);
    node.streams.say(Word::CaughtUp);
    node.turns(400);
    assert_eq!(left(&disk), [1, 0]);
    let kept = |node: &mut Node, named: &str| {
        let view = node.view(one);
        assert_eq!(values(&view, Offset(1)), ["a"], "{named}");
        let again = node.append(one, &numbered("a", 0), Acks::All);
        assert_eq!(again, Ok(0), "{named}");
    };
    kept(&mut node, "caught up");
    for image in disk.trace().images(Sweep::about(60, 1)) {
        let named = image.to_string();
        let disk = image.into_disk();
        let mut node = Node::start(&disk, &site.topics(), None).unwrap();
        kept(&mut node, &named);
    }
    // What it hears from then on is news.
    site.delete(1);
    node.streams.say(Word::Topics(site.topics()));
    node.turns(400);
    assert_eq!(left(&disk), [0, 0]);
}

/// How many bytes of the logs were read since that was last counted anew.
fn read_of_logs(disk: &SimDisk) -> u64 {
    let counts = disk.counts();
    let logs = counts.bytes_read.iter();
    let logs = logs.filter(|(name, _)| name.starts_with("logs/"));
    logs.map(|(_, bytes)| bytes).sum()
}

#[test]
fn a_start_reads_one_partition_at_a_time_and_a_change_waits_for_no_more() {
    const PARTITIONS: u32 = 60;
    let mut site = Site::new();
    site.create(1, PARTITIONS, &[]);
    let keys: Vec<Key> = (0..PARTITIONS).map(|number| key(1, number)).collect();
    let disk = SimDisk::new(1);
    disk.stop_recording();
    let mut node = Node::start(&disk, &site.topics(), None).unwrap();
    for &key in &keys {
        node.view(key);
        assert_eq!(node.append(key, &batch(&["a"]), Acks::All), Ok(0));
    }
    // Killed.
    drop(node);
    let mut node = Node::start(&disk, &site.topics(), None).unwrap();
    let open = |node: &Node| {
        let views = keys.iter().filter_map(|&key| node.streams.view(key));
        views.filter(|view| view.leads()).count()
    };
    let mut most = 0;
    let turn = |node: &mut Node, most: &mut usize| {
        node.turn();
        *most = disk.under_way().max(*most);
    };
    while open(&node) == 0 {
        turn(&mut node, &mut most);
    }
    let first = keys
        .iter()
        .copied()
        .find(|&key| node.streams.view(key).is_some_and(|view| view.leads()));
    let first = first.unwrap();
    assert_eq!(node.append(first, &batch(&["b"]), Acks::All), Ok(1));
    let given = node.begin_drop(first, 1);
    let shelf = node.device.shelf(log_of(first, 0)).unwrap();
    while shelf.first() < Index(1) {
        turn(&mut node, &mut most);
    }
    let opened = open(&node);
    assert!(opened < keys.len() / 2, "{opened} were read before that");
    while open(&node) < keys.len() {
        turn(&mut node, &mut most);
    }
    assert!(most < 6, "{most} tasks were under way");
    assert_eq!(given.try_recv(), Ok(Ok(Offset(1))));
}

#[test]
fn a_long_log_is_read_in_steps_and_a_start_that_is_cut_short_was_not_in_vain() {
    const MIB: u64 = 1 << 20;
    let disk = SimDisk::new(1);
    disk.stop_recording();
    let (site, key) = (site(&[]), key(1, 0));
    let mut node = Node::start(&disk, &site.topics(), None).unwrap();
    node.view(key);
    let value = "x".repeat(900_000);
    for sequence in 0..90 {
        let appended = node.append(key, &numbered(&value, sequence), Acks::All);
        assert_eq!(appended, Ok(sequence as u64));
    }
    // Killed, and nothing tells of what it knew.
    drop(node);
    let checkpoints = |disk: &SimDisk| {
        let names = disk.names().into_iter();
        let its = names.filter(|name| name.starts_with("streams/"));
        its.collect::<Vec<_>>()
    };
    for name in checkpoints(&disk) {
        disk.remove(&name).unwrap();
    }
    let start = || {
        let node = Node::start(&disk, &site.topics(), None).unwrap();
        disk.reset_counts();
        node
    };
    let (mut node, mut before, mut most) = (start(), 0, 0);
    while checkpoints(&disk).iter().all(|name| name.ends_with(".new")) {
        node.turn();
        let read = read_of_logs(&disk);
        (most, before) = (most.max(read - before), read);
        let view = node.streams.view(key);
        assert!(view.is_none_or(|view| !view.leads()), "nothing was written");
    }
    println!("{most} bytes at a time, {before} in all");
    assert!(most < 12 * MIB, "{most} bytes were read at a time");
    drop(node);
    let mut node = start();
    node.view(key);
    let read = read_of_logs(&disk);
    assert!(read < 30 * MIB, "{read} bytes were read again");
    // That was much all the same.
    node.turns(40);
    drop(node);
    let mut node = start();
    let view = node.view(key);
    let read = read_of_logs(&disk);
    assert!(read < 4 * MIB, "{read} bytes were read once more");
    assert_eq!(view.marks().next, Offset(90));
    let again = node.append(key, &numbered(&value, 89), Acks::All);
    assert_eq!(again, Ok(89));
}

#[test]
fn what_the_log_could_not_drop_is_dropped_once_there_is_room() {
    let disk = SimDisk::new(1);
    disk.stop_recording();
    let (site, key) = (site(&[]), key(1, 0));
    let mut node = Node::start(&disk, &site.topics(), None).unwrap();
    let view = node.view(key);
    assert_eq!(node.append(key, &batch(&["a"]), Acks::All), Ok(0));
    // The segment has its room, and the journal gets no second file.
    disk.faults(|faults| faults.room = Some(0));
    let why = loop {
        match node.append(key, &batch(&["a"]), Acks::All) {
            Ok(base) => assert!(base < 100, "the journal is endless"),
            Err(NotAppended::Disk(why)) => break why,
            Err(other) => panic!("{other:?}"),
        }
    };
    assert!(why.contains("journal"), "{why}");
    node.turns(200);
    // It lies within the only segment, and gives no room back.
    let shelf = node.device.shelf(log_of(key, 0)).unwrap();
    let given = node.begin_drop(key, 1);
    node.turns(200);
    assert!(matches!(given.try_recv(), Ok(Err(NotDropped::Disk(_)))));
    assert_eq!((view.marks().first, shelf.first()), (Offset(1), Index(0)));
    disk.faults(|faults| faults.room = None);
    node.pass(31_000);
    assert_eq!(shelf.first(), Index(1));
    let mut node = Node::start(&disk, &site.topics(), None).unwrap();
    assert_eq!(node.view(key).marks().first, Offset(1));
}

#[test]
fn what_a_client_was_told_is_gone_does_not_come_back_with_a_power_cut() {
    let mut answered = 0;
    for seed in 1..=4 {
        let disk = SimDisk::new(seed);
        let (site, key) = (site(&[]), key(1, 0));
        let mut node = Node::start(&disk, &site.topics(), None).unwrap();
        node.view(key);
        for until in 1..=12 {
            let one = batch(&[&"x".repeat(3000)]);
            node.append(key, &one, Acks::All).unwrap();
            let given = node.begin_drop(key, until);
            // Whoever gave no time waits for this disk all the same.
            let mut turns = 0;
            let outcome = loop {
                if let Ok(outcome) = given.try_recv() {
                    break outcome;
                }
                node.turn();
                turns += 1;
                assert!(turns < 5000, "seed {seed}: not answered");
            };
            assert_eq!(outcome, Ok(Offset(until)), "seed {seed}");
            disk.note(until);
        }
        drop(node);
        for image in disk.trace().images(Sweep::about(60, seed)) {
            let named = format!("seed {seed}, {image}");
            let told = image.notes().iter().max().copied().unwrap_or_default();
            let disk = image.into_disk();
            let mut node = Node::start(&disk, &site.topics(), None).unwrap();
            let first = node.view(key).marks().first;
            assert!(first >= Offset(told), "{named}: from {first}, told {told}");
            answered += usize::from(told > 0);
        }
    }
    assert!(answered > 50, "{answered} images with something told");
}

#[test]
fn a_log_that_was_begun_anew_knows_nothing_of_what_was_below() {
    let site = site(&[]);
    let key = key(1, 0);
    let (log, at) = (log_of(key, 0), Index(3));
    // What retention drops was in this log: its producers are known on. What a
    // follower gives up, to begin where its leader does, was in another.
    for (named, change, second) in [
        ("dropped", Request::DropPrefix { log, until: at }, 2),
        ("begun anew", Request::Restart { log, at }, 3),
    ] {
        let disk = SimDisk::new(1);
        disk.stop_recording();
        let mut node = Node::start(&disk, &site.topics(), None).unwrap();
        node.view(key);
        for sequence in 0..3 {
            let one = numbered("a", sequence);
            assert!(node.append(key, &one, Acks::All).is_ok());
        }
        node.stop();
        let mut device = device(&disk).unwrap();
        device.submit(change, Box::new(|outcome| assert!(outcome.is_ok())));
        while device.is_busy() {
            device.turn().unwrap();
        }
        device.close().unwrap();
        let mut node = Node::start(&disk, &site.topics(), None).unwrap();
        let view = node.view(key);
        assert_eq!(
            (view.marks().first, view.marks().next),
            (Offset(3), Offset(3))
        );
        let again = node.append(key, &numbered("a", 2), Acks::All);
        assert_eq!(again, Ok(second), "{named}");
    }
}

#[test]
fn a_full_disk_refuses_producers_and_nobody_else() {
    let disk = SimDisk::new(1);
    disk.stop_recording();
    let site = site(&[]);
    let mut node = Node::start(&disk, &site.topics(), None).unwrap();
    let view = node.view(key(1, 0));
    let one = |n: usize| numbered(&"x".repeat(1000), n as i32);
    let mut taken = 0;
    while taken < 10 {
        assert_eq!(
            node.append(key(1, 0), &one(taken), Acks::All),
            Ok(taken as u64)
        );
        taken += 1;
    }
    disk.faults(|faults| faults.room = Some(0));
    let mut refused = 0;
    for _ in 0..60 {
        match node.append(key(1, 0), &one(taken), Acks::All) {
            Ok(base) => {
                assert_eq!(base, taken as u64);
                taken += 1;
            }
            Err(NotAppended::Disk(why)) => {
                assert!(why.contains("the disk is full"), "{why}");
                refused += 1;
            }
            Err(other) => panic!("{other:?}"),
        }
        assert!(view.leads(), "reads go on");
        assert_eq!(values(&view, view.marks().watermark).len(), taken);
    }
    assert!(
        refused > 20 && taken < 60,
        "{refused} refused, {taken} taken"
    );
    disk.faults(|faults| faults.room = None);
    node.pass(500);
    for _ in 0..40 {
        assert_eq!(
            node.append(key(1, 0), &one(taken), Acks::All),
            Ok(taken as u64)
        );
        taken += 1;
    }
    assert_eq!(values(&view, Offset(taken as u64)).len(), taken);
}
