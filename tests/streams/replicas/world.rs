//! Three machines, the links between them, and producers. A seed decides what
//! happens next. What must hold is looked at again and again.

use super::authority::{Authority, Proposals};
use super::machine::{Machine, Time};
use crate::streams::kit::{Batch, append, batch, key};
use dolmen::clock::Clock;
use dolmen::entropy::Seeded;
use dolmen::ids::{NodeId, Offset, PartitionId, ProducerId, SessionId};
use dolmen::log::Way;
use dolmen::state::topics::{Election, Partition, Reassignment, StreamsCommand, StreamsOutcome};
use dolmen::streams::batch::codec::Unpacker;
use dolmen::streams::batch::header::{Claim, Header};
use dolmen::streams::batch::records::Records;
use dolmen::streams::desk::{Append, Appended, NotAppended, Word};
use dolmen::streams::follow::codec;
use dolmen::streams::partition::{self, Acks};
use dolmen::streams::{Key, View};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(super) const NODES: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];
pub(super) const PARTITIONS: u32 = 2;
const STEP: Duration = Duration::from_millis(5);
/// What a producer waits for its acknowledgement.
const PATIENCE: Duration = Duration::from_secs(4);
/// Batches that may still be sent again, of all producers.
const NUMBERED_MAX: usize = 12;

/// A message on one link, which is one follower's to one leader.
#[derive(Clone)]
struct Letter {
    follower: NodeId,
    leader: NodeId,
    link: u64,
    is_ask: bool,
    bytes: Vec<u8>,
}

/// What becomes of records with time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Plain,
    Compacted,
    /// Compacted, and dropped where they are old.
    Deleted,
}

impl Kind {
    fn settings(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Plain => &[],
            Self::Compacted => &[
                ("cleanup.policy", "compact"),
                ("min.cleanable.dirty.ratio", "0.01"),
                ("delete.retention.ms", "0"),
            ],
            Self::Deleted => &[
                ("cleanup.policy", "compact,delete"),
                ("min.cleanable.dirty.ratio", "0.01"),
                ("delete.retention.ms", "0"),
                ("retention.ms", "6000"),
            ],
        }
    }
}

/// How others come to lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// The first of the replicas is asked for.
    Preferred,
    /// The leader shall not hold it any more.
    Reassigned,
}

/// What came of appends, by their number: of each sending.
type Outcomes = Arc<Mutex<Vec<(u64, Sending, Result<Offset, NotAppended>)>>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sending {
    First,
    /// It may be in the log already, or have been lost.
    Again,
}

pub struct World {
    kind: Kind,
    /// Of what was offered to a compacted topic, by number: keys and values.
    pub(super) keyed: BTreeMap<u64, Vec<(String, String)>>,
    /// Of each batch that was offered, how many records it has.
    counts: BTreeMap<u64, u64>,
    /// Who is reached by nobody.
    pub(super) cut_off: Option<NodeId>,
    /// Nobody has records dropped.
    pub(super) keeps_all: bool,
    /// What is to be written next, where that is not by chance.
    pub(super) next_keyed: Option<Vec<(String, String)>>,
    pub(super) seed: u64,
    pub(super) chance: Seeded,
    time: Time,
    pub(super) machines: Vec<Machine>,
    authority: Authority,
    proposals: Proposals,
    /// The number of the link of each pair, where it is up.
    links: BTreeMap<(NodeId, NodeId), u64>,
    next_link: u64,
    letters: Vec<Letter>,
    next_value: u64,
    outcomes: Outcomes,
    /// What clients were told that is gone: all below.
    pub dropped: Arc<Mutex<BTreeMap<Key, Offset>>>,
    /// By number, to which partition of which node it went.
    pub(super) offered: BTreeMap<u64, (Key, NodeId)>,
    /// What its producer has numbered and may send again, as bytes.
    numbered: BTreeMap<u64, (Key, Vec<u8>)>,
    pub acknowledged: BTreeMap<(Key, u64), u64>,
    refused: Vec<NotAppended>,
    in_calm: usize,
    is_calm: bool,
    pub crashes: usize,
    pub moves: usize,
}

impl World {
    pub fn new(seed: u64) -> Self {
        Self::of(seed, Kind::Plain)
    }

    pub fn of(seed: u64, kind: Kind) -> Self {
        let mut world = Self {
            kind,
            keyed: BTreeMap::new(),
            counts: BTreeMap::new(),
            cut_off: None,
            keeps_all: false,
            next_keyed: None,
            seed,
            chance: Seeded::new(seed),
            time: Time::default(),
            machines: NODES.map(|id| Machine::new(id, seed)).into(),
            authority: Authority::new(),
            proposals: Proposals::default(),
            links: BTreeMap::new(),
            next_link: 1,
            letters: Vec::new(),
            next_value: 0,
            outcomes: Outcomes::default(),
            dropped: Arc::default(),
            offered: BTreeMap::new(),
            numbered: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            refused: Vec::new(),
            in_calm: 0,
            is_calm: false,
            crashes: 0,
            moves: 0,
        };
        world.time.go_on(Duration::from_secs(1));
        (0..NODES.len()).for_each(|at| world.start(at));
        (0..NODES.len()).for_each(|at| world.announce(at));
        let now = world.time.now();
        world.authority.create(now, 1, PARTITIONS, kind.settings());
        world.spread_topics();
        world
    }

    fn start(&mut self, at: usize) {
        let topics = self.authority.topics();
        let tidies = self.kind != Kind::Plain;
        self.machines[at].start(self.seed, &self.time, &self.proposals, topics, tidies);
    }

    /// In a new session; the old one may still be there, and ends with it.
    fn announce(&mut self, at: usize) {
        let machine = &mut self.machines[at];
        let Some(dwelling) = &machine.dwelling else {
            return;
        };
        let (now, disk, was_clean) = (self.time.now(), machine.disk_id, machine.was_clean);
        let session = self.authority.announce(now, machine.id, disk, was_clean);
        machine.session = Some(session);
        machine.was_clean = true;
        dwelling.site.live_in(session);
        self.spread_topics();
    }

    fn spread_topics(&mut self) {
        let topics = self.authority.topics();
        for machine in &mut self.machines {
            if machine.dwelling.is_some() {
                machine.unheard.push_back(topics.clone());
            }
        }
    }

    pub fn step(&mut self) {
        self.time.go_on(STEP);
        match self.chance.below(100) {
            0..12 => self.produce(),
            12..40 => self.work(),
            40..56 => self.say_asks(),
            56..74 => self.deliver(),
            74..84 => self.answer(),
            84..89 => self.hear_topics(),
            89..92 => self.decide(),
            92..94 => self.connect(),
            94 => self.pass_time(),
            95 if self.chance.one_in(4) => self.hand_on(),
            95 if !self.is_calm && self.chance.one_in(4) => self.call_off(),
            96 if self.chance.one_in(4) => self.drop_prefix(),
            96 if !self.is_calm && self.chance.one_in(4) => self.move_replicas(),
            _ if self.is_calm => self.mend(),
            97 => self.hurt(),
            98 => self.mend(),
            _ => self.work(),
        }
        self.take_outcomes();
        self.look_at_watermarks();
        self.look_at_dropped();
    }

    fn any(&mut self) -> usize {
        self.chance.below(NODES.len() as u64) as usize
    }

    fn any_key(&mut self) -> Key {
        key(1, self.chance.below(PARTITIONS.into()) as u32)
    }

    fn produce(&mut self) {
        let is_over = self.is_calm && self.in_calm >= 10;
        if is_over || self.offered.len() > 30 {
            return;
        }
        if self.kind == Kind::Plain && self.chance.one_in(4) {
            return self.send_again();
        }
        let (at, key) = (self.any(), self.any_key());
        self.offer(at, key, Acks::All);
    }

    /// A producer sends what it has numbered once more, answered or not, to whoever
    /// leads by now.
    fn send_again(&mut self) {
        let at = self.any();
        let which = self.chance.below(self.numbered.len().max(1) as u64);
        if let Some((&number, (key, bytes))) = self.numbered.iter().nth(which as usize) {
            let (key, bytes) = (*key, bytes.clone());
            self.send(at, key, number, Sending::Again, bytes, Acks::All);
        }
    }

    fn leads(&self, at: usize, key: Key) -> bool {
        let dwelling = self.machines[at].dwelling.as_ref();
        let view = dwelling.and_then(|dwelling| dwelling.streams.view(key));
        view.is_some_and(|view| view.leads())
    }

    /// A batch for a machine, if it leads the partition.
    pub(super) fn offer(&mut self, at: usize, key: Key, acks: Acks) {
        let mut count = 1 + self.chance.below(4);
        let (number, until) = (self.next_value, self.next_value + count);
        // A producer of one batch: what replicas know of producers must be the
        // same on all of them.
        let claim = self.chance.one_in(2).then_some(Claim {
            id: ProducerId(number),
            epoch: 0,
            sequence: 0,
        });
        if !self.leads(at, key) {
            return;
        }
        self.next_value = until;
        let texts: Vec<String> = (number..until).map(|value| value.to_string()).collect();
        let bytes = match self.kind {
            Kind::Plain => {
                let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
                Batch {
                    claim,
                    ..batch(&texts)
                }
            }
            Kind::Compacted | Kind::Deleted => {
                let keyed = self.next_keyed.clone();
                let keyed = keyed.unwrap_or_else(|| self.keyed(number));
                let (keys, values): (Vec<_>, Vec<_>) = keyed.iter().cloned().unzip();
                count = values.len() as u64;
                self.keyed.insert(number, keyed);
                Batch {
                    keys,
                    values,
                    claim: claim.filter(|_| number % 4 == 0),
                    timestamp: self.time.now().0 as i64,
                    ..Batch::default()
                }
            }
        }
        .bytes();
        if claim.is_some() && acks == Acks::All {
            self.numbered.insert(number, (key, bytes.clone()));
            while self.numbered.len() > NUMBERED_MAX {
                self.numbered.pop_first();
            }
        }
        self.send(at, key, number, Sending::First, bytes, acks);
        self.offered.insert(number, (key, NODES[at]));
        self.counts.insert(number, count);
    }

    /// To a machine, if it leads the partition.
    fn send(
        &mut self,
        at: usize,
        key: Key,
        number: u64,
        sending: Sending,
        bytes: Vec<u8>,
        acks: Acks,
    ) {
        let outcomes = self.outcomes.clone();
        let leads = self.leads(at, key);
        let Some(dwelling) = self.machines[at].dwelling.as_mut().filter(|_| leads) else {
            return;
        };
        let answer = move |outcome: Result<Appended, NotAppended>| {
            let outcome = outcome.map(|appended| appended.base);
            outcomes.lock().unwrap().push((number, sending, outcome));
        };
        dwelling.streams.append(Append {
            timeout: PATIENCE,
            ..append(key, bytes, acks, answer)
        });
        dwelling.turn();
    }

    pub(super) fn take_outcomes(&mut self) {
        for (number, sending, outcome) in std::mem::take(&mut *self.outcomes.lock().unwrap()) {
            let key = match sending {
                Sending::First => self.offered.remove(&number).map(|(key, _)| key),
                Sending::Again => self.numbered.get(&number).map(|(key, _)| *key),
            };
            let Some(key) = key else {
                continue;
            };
            match outcome {
                Err(why) if sending == Sending::First => self.refused.push(why),
                Err(_) => {}
                Ok(base) => {
                    let before = self.acknowledged.insert((key, base.0), number);
                    assert!(
                        before.is_none_or(|other| other == number),
                        "seed {}: {key} at {base} is acknowledged as {number} and as {before:?}",
                        self.seed
                    );
                    let counts = self.is_calm && sending == Sending::First;
                    self.in_calm += usize::from(counts);
                }
            }
        }
    }

    fn work(&mut self) {
        let at = self.any();
        if let Some(dwelling) = &mut self.machines[at].dwelling {
            dwelling.work();
        }
    }

    fn say_asks(&mut self) {
        let at = self.any();
        let machine = &self.machines[at];
        let Some(dwelling) = &machine.dwelling else {
            return;
        };
        let asked = std::mem::take(&mut *dwelling.asked.lock().unwrap());
        for (leader, one) in asked {
            // What is said where there is no link is lost.
            if let Some(&link) = self.links.get(&(machine.id, leader)) {
                self.letters.push(Letter {
                    follower: machine.id,
                    leader,
                    link,
                    is_ask: true,
                    bytes: codec::asks(&[one]),
                });
            }
        }
    }

    fn answer(&mut self) {
        let at = self.any();
        let bytes_max = 1 + self.chance.below(2000) as usize;
        let leader = self.machines[at].id;
        let Some(dwelling) = &mut self.machines[at].dwelling else {
            return;
        };
        if let Some((follower, link, bytes)) = dwelling.answer(bytes_max) {
            self.letters.push(Letter {
                follower,
                leader,
                link,
                is_ask: false,
                bytes,
            });
        }
    }

    fn deliver(&mut self) {
        let links = &self.links;
        let is_up = |one: &Letter| links.get(&(one.follower, one.leader)) == Some(&one.link);
        self.letters.retain(is_up);
        if self.letters.is_empty() {
            return;
        }
        // Those of one way keep their order; now and then one does not, or comes
        // twice, which no stream does: that is borne as well.
        let mut at = self.chance.below(self.letters.len() as u64) as usize;
        if !self.chance.one_in(30) {
            let chosen = self.letters[at].clone();
            let is_same = |one: &Letter| {
                (one.follower, one.leader, one.is_ask)
                    == (chosen.follower, chosen.leader, chosen.is_ask)
            };
            at = self.letters.iter().position(is_same).expect("it is there");
        }
        let letter = match self.chance.one_in(30) {
            true => self.letters[at].clone(),
            false => self.letters.remove(at),
        };
        let to = if letter.is_ask {
            letter.leader
        } else {
            letter.follower
        };
        if let Some(dwelling) = &mut self.machines[place(to)].dwelling {
            match letter.is_ask {
                true => dwelling.hear_asks(letter.follower, letter.link, &letter.bytes),
                false => dwelling.hear_answers(&letter.bytes),
            }
        }
    }

    fn hear_topics(&mut self) {
        let at = self.any();
        self.machines[at].hear_topics();
    }

    /// What was proposed is applied, or was lost on the way, or nobody knows.
    fn decide(&mut self) {
        let mut proposals = self.proposals.lock().unwrap();
        if proposals.is_empty() {
            return;
        }
        let at = self.chance.below(proposals.len() as u64) as usize;
        let (from, command, answer) = proposals.remove(at);
        drop(proposals);
        let fate = if self.is_calm {
            0
        } else {
            self.chance.below(8)
        };
        let machine = &self.machines[place(from)];
        let session = machine.session.filter(|_| machine.dwelling.is_some());
        let outcome = match session {
            Some(session) if fate != 7 => {
                let is_move = matches!(command, StreamsCommand::HandOn { .. });
                let outcome = self.authority.streams(self.time.now(), session, command);
                let was_done = |outcome: &StreamsOutcome| match outcome {
                    StreamsOutcome::Each(each) => each.iter().any(Result::is_ok),
                    _ => false,
                };
                self.moves += usize::from(is_move && outcome.as_ref().is_ok_and(was_done));
                self.spread_topics();
                outcome
            }
            _ => Err("it was lost".into()),
        };
        // The answer to what was done may be lost as well.
        answer(match fate {
            6 => Err("nobody knows".into()),
            _ => outcome,
        });
        if let Some(dwelling) = &mut self.machines[place(from)].dwelling {
            dwelling.turn();
        }
    }

    fn connect(&mut self) {
        let (a, b) = (self.any(), self.any());
        let (follower, leader) = (NODES[a], NODES[b]);
        let are_up = [a, b]
            .iter()
            .all(|&at| self.machines[at].dwelling.is_some());
        let is_cut_off = [follower, leader]
            .iter()
            .any(|&node| self.cut_off == Some(node));
        if a == b || !are_up || is_cut_off || self.links.contains_key(&(follower, leader)) {
            return;
        }
        self.links.insert((follower, leader), self.next_link);
        self.next_link += 1;
        if let Some(dwelling) = &mut self.machines[a].dwelling {
            dwelling.asked.lock().unwrap().clear();
            dwelling.streams.say(Word::Reached(leader));
            dwelling.turn();
        }
    }

    /// Time for ticks and deadlines.
    fn pass_time(&mut self) {
        self.time.go_on(Duration::from_millis(200));
        for machine in &mut self.machines {
            if let Some(dwelling) = &mut machine.dwelling {
                dwelling.turn();
            }
        }
    }

    fn hand_on(&mut self) {
        let at = self.any();
        let until = self.time.monotonic() + Duration::from_secs(1);
        if let Some(dwelling) = &mut self.machines[at].dwelling {
            dwelling.streams.say(Word::HandOn {
                until,
                answer: Box::new(|_| ()),
            });
            dwelling.turn();
        }
    }

    fn command(&mut self, command: StreamsCommand) -> StreamsOutcome {
        let outcome = self
            .authority
            .streams(self.time.now(), SessionId(0), command);
        self.spread_topics();
        outcome.expect("it is agreed on")
    }

    /// Somebody asks for the preferred leaders.
    fn call_off(&mut self) {
        let election = Election::Preferred;
        self.command(StreamsCommand::Elect {
            election,
            partitions: None,
        });
    }

    /// Others shall hold a partition, or the same in another order.
    fn move_replicas(&mut self) {
        let number = self.chance.below(PARTITIONS.into()) as u32;
        let mut target = NODES.to_vec();
        for place in 0..target.len() {
            let other = self.any();
            target.swap(place, other);
        }
        if self.chance.one_in(2) {
            target.pop();
        }
        self.reassign(number, target);
    }

    fn reassign(&mut self, number: u32, target: Vec<NodeId>) {
        let move_of_it = Reassignment {
            topic: "topic-1".into(),
            partition: PartitionId(number),
            target: Some(target),
        };
        let moves = vec![move_of_it];
        self.command(StreamsCommand::Reassign { moves });
    }

    pub(super) fn partition(&self, number: u32) -> Partition {
        let topics = self.authority.topics();
        let topic = topics.get("topic-1").expect("it was made");
        topic.partitions[number as usize].clone()
    }

    fn drop_prefix(&mut self) {
        let (at, key) = (self.any(), self.any_key());
        let share = self.chance.below(3);
        if self.keeps_all {
            return;
        }
        let Some(dwelling) = &mut self.machines[at].dwelling else {
            return;
        };
        if let Some(view) = dwelling.streams.view(key).filter(|view| view.leads()) {
            let marks = view.marks();
            let span = marks.watermark.0.saturating_sub(marks.first.0);
            // Now and then in the middle of a batch.
            let until = Some(Offset(marks.first.0 + span * share / 8));
            let dropped = self.dropped.clone();
            dwelling.streams.say(Word::DropPrefix {
                key,
                until,
                timeout: PATIENCE,
                answer: Box::new(move |outcome| {
                    if let Ok(first) = outcome {
                        let mut dropped = dropped.lock().unwrap();
                        let so_far = dropped.entry(key).or_default();
                        *so_far = first.max(*so_far);
                    }
                }),
            });
            dwelling.turn();
        }
    }

    /// Whoever offered something there hears nothing more of it.
    fn forget_offered(&mut self, node: NodeId) {
        self.take_outcomes();
        self.offered.retain(|_, (_, at)| *at != node);
    }

    pub(super) fn break_links(&mut self, node: NodeId) {
        self.links.retain(|&(a, b), _| a != node && b != node);
    }

    fn hurt(&mut self) {
        let at = self.any();
        let node = NODES[at];
        match self.chance.below(10) {
            0..3 => {
                let pairs: Vec<_> = self.links.keys().copied().collect();
                if !pairs.is_empty() {
                    let one = self.chance.below(pairs.len() as u64) as usize;
                    self.links.remove(&pairs[one]);
                }
            }
            3..5 => self.break_links(node),
            // Its session ends, and it goes on.
            5 => {
                if let Some(session) = self.machines[at].session.take() {
                    self.authority.expire(self.time.now(), session);
                    self.spread_topics();
                }
            }
            6 => self.replace_disk(at),
            7 if self.machines[at].dwelling.is_some() => {
                self.machines[at].stop();
                self.forget_offered(node);
                self.leave(at);
            }
            _ if self.machines[at].dwelling.is_some() => {
                self.crashes += 1;
                let session = self.machines[at].session;
                self.machines[at].crash(&mut self.chance);
                self.forget_offered(node);
                // The session of the dead may be over before it is back, or not.
                self.machines[at].session = session;
                match self.chance.one_in(2) {
                    true => self.leave(at),
                    false => self.break_links(node),
                }
            }
            _ => {}
        }
    }

    /// Its session is over.
    fn leave(&mut self, at: usize) {
        self.break_links(NODES[at]);
        if let Some(session) = self.machines[at].session.take() {
            self.authority.expire(self.time.now(), session);
            self.spread_topics();
        }
    }

    /// It comes up with the new one while the others may still think of it as it
    /// was; one at a time, for two lose what both have.
    fn replace_disk(&mut self, at: usize) {
        let is_whole = self.machines.iter().all(|one| one.session.is_some());
        if !is_whole || self.authority.holds_alone(NODES[at]) {
            return;
        }
        let seed = self.chance.next_u64();
        self.machines[at].replace_disk(seed);
        self.forget_offered(NODES[at]);
        self.break_links(NODES[at]);
        self.start(at);
    }

    fn mend(&mut self) {
        let at = self.any();
        if self.machines[at].dwelling.is_none() {
            // What an earlier process announced itself in is not this one's.
            self.machines[at].session = None;
            self.start(at);
        } else if self.machines[at].session.is_none() {
            self.announce(at);
        }
    }

    fn look_at_watermarks(&mut self) {
        for machine in &mut self.machines {
            let Some(dwelling) = &mut machine.dwelling else {
                continue;
            };
            // What was given up and is held again begins anew.
            let streams = &dwelling.streams;
            dwelling.seen.retain(|&key, _| streams.view(key).is_some());
            for view in dwelling.streams.views() {
                let marks = view.marks();
                let (seen, first) = dwelling.seen.entry(view.key).or_default();
                // A log that begins anew may begin with the batch that holds the
                // first record, and so below it.
                let is_anew = marks.next < *first;
                assert!(
                    marks.watermark >= *seen || is_anew,
                    "seed {}: node {} showed {} up to {seen}, and now {}",
                    self.seed,
                    machine.id,
                    view.key,
                    marks.watermark
                );
                assert!(
                    marks.watermark <= view.durable(),
                    "seed {}: node {} shows what is not durable",
                    self.seed,
                    machine.id
                );
                (*seen, *first) = (marks.watermark, marks.first);
            }
        }
    }

    /// Whoever leads brings nothing back of what clients were told is gone.
    fn look_at_dropped(&self) {
        for (&key, &gone) in self.dropped.lock().unwrap().iter() {
            let stands = self.partition(key.partition.0);
            let leads = |machine: &&Machine| Some(machine.id) == stands.leader;
            let leader = self.machines.iter().find(leads);
            let dwelling = leader.and_then(|machine| machine.dwelling.as_ref());
            let view = dwelling.and_then(|dwelling| dwelling.streams.view(key));
            let is_aware =
                |view: &Arc<View>| view.leads() && view.leader_epoch() == stands.leader_epoch;
            if let Some(view) = view.filter(is_aware) {
                let first = view.marks().first;
                assert!(
                    first >= gone,
                    "seed {}: node {:?} leads {key} from {first}, and all below {gone} was gone",
                    self.seed,
                    stands.leader
                );
            }
        }
    }

    /// Below their watermarks all logs say the same, byte for byte but for the
    /// batches in which they begin.
    pub fn compare(&mut self) {
        if self.kind != Kind::Plain {
            return self.compare_records();
        }
        for partition in 0..PARTITIONS {
            let key = key(1, partition);
            let mut logs = Vec::new();
            for machine in &mut self.machines {
                let Some(dwelling) = &mut machine.dwelling else {
                    continue;
                };
                if let Some(view) = dwelling.streams.view(key) {
                    logs.push((machine.id, batches(&view)));
                }
            }
            for (a, one) in &logs {
                for (b, other) in &logs {
                    for (base, batch) in one {
                        if let Some(twin) = other.get(base) {
                            assert!(
                                batch == twin,
                                "seed {}: nodes {a} and {b} differ in {key} at {base}",
                                self.seed
                            );
                        }
                    }
                }
            }
        }
    }

    /// Nothing goes wrong any more.
    pub fn heal(&mut self) {
        self.is_calm = true;
        (0..PARTITIONS).for_each(|number| self.reassign(number, NODES.to_vec()));
    }

    /// While a leader has what it has told clients of and nobody else has, others
    /// are to lead. What was told is there in the end, and who waits for an answer
    /// has one that it can go on from.
    pub fn move_a_leader(&mut self, how: Move) {
        self.heal();
        let key = key(1, 0);
        self.until("all are whole", |world| {
            let one = world.partition(0);
            world.in_calm >= 10 && world.offered.is_empty() && one.in_sync.len() == 3
        });
        // One that is just handing it on takes nothing.
        self.until("a leader takes them", |world| world.tell(key));
        let leader = self.partition(0).leader.expect("it has one");
        let mut target: Vec<_> = NODES.into_iter().filter(|&node| node != leader).collect();
        let next = target[0];
        if how == Move::Preferred {
            target.push(leader);
        }
        self.refused.clear();
        self.reassign(0, target);
        if how == Move::Preferred {
            self.call_off();
        }
        self.until("another leads", |world| {
            let one = world.partition(0);
            let is_moved = one.leader == Some(next) && !one.is_reassigned();
            is_moved && world.offered.is_empty()
        });
        let is_answer = |why: &NotAppended| {
            matches!(why, NotAppended::Partition(partition::Refused::NotLeader))
        };
        assert!(self.refused.iter().all(is_answer), "{:?}", self.refused);
        self.reassign(0, NODES.to_vec());
        self.until("all are well", Self::is_well);
        self.conclude();
    }

    /// Has the leader tell clients of what is in its own log alone.
    fn tell(&mut self, key: Key) -> bool {
        let leader = self.partition(key.partition.0).leader.expect("it has one");
        let machine = &mut self.machines[place(leader)];
        while !machine.unheard.is_empty() {
            machine.hear_topics();
        }
        for acks in [Acks::Leader, Acks::All, Acks::Leader, Acks::All] {
            self.offer(place(leader), key, acks);
        }
        let dwelling = self.machines[place(leader)].dwelling.as_mut();
        dwelling.expect("it runs").settle();
        let before = self.acknowledged.len();
        self.take_outcomes();
        self.acknowledged.len() == before + 2
    }

    pub(super) fn until(&mut self, what: &str, mut is_so: impl FnMut(&mut Self) -> bool) {
        for _ in 0..60_000 {
            if is_so(self) {
                return;
            }
            self.step();
        }
        panic!("seed {}: never {what}: {}", self.seed, self.told());
    }

    /// All have the same, and go on.
    pub fn is_well(&mut self) -> bool {
        let topics = self.authority.topics();
        let mut partitions = topics.iter().flat_map(|(_, topic)| &topic.partitions);
        let is_whole = partitions.all(|one| one.in_sync.len() == 3 && one.leader.is_some());
        if !is_whole || self.in_calm < 10 || !self.offered.is_empty() {
            return false;
        }
        let marks = |machine: &Machine| {
            let dwelling = machine.dwelling.as_ref()?;
            let marks = (0..PARTITIONS).map(|n| {
                let view = dwelling.streams.view(key(1, n))?;
                let marks = view.marks();
                Some((marks.first, marks.watermark, marks.next))
            });
            marks.collect::<Option<Vec<_>>>()
        };
        let first = marks(&self.machines[0]);
        first.is_some() && self.machines.iter().all(|one| marks(one) == first)
    }

    /// What was acknowledged is there, and all know the same of producers whose
    /// records are.
    pub fn conclude(&mut self) {
        let dwellings = self.machines.iter_mut();
        let dwellings = dwellings.map(|one| one.dwelling.as_mut().expect("it runs"));
        for dwelling in dwellings {
            dwelling.settle();
            let failures = dwelling.streams.compaction().failures.get();
            assert_eq!(failures, 0, "seed {}: passes of compaction", self.seed);
        }
        self.compare();
        if self.kind != Kind::Plain {
            self.compare_newest();
        }
        let kept = self.kept();
        let mut known = Vec::new();
        for (at, node) in NODES.iter().enumerate() {
            let seed = self.seed;
            let dwelling = self.machines[at].dwelling.as_mut().unwrap();
            for (&(key, base), number) in &self.acknowledged {
                let view = dwelling.streams.view(key).unwrap();
                if base < view.marks().first.0 || self.kind != Kind::Plain {
                    continue;
                }
                let found = value_at(&view, Offset(base));
                assert_eq!(
                    found,
                    Some(number.to_string()),
                    "seed {seed}: node {} at {base} of {key}",
                    node
                );
            }
            let mut producers = Vec::new();
            for partition in 0..PARTITIONS {
                let told = Arc::new(Mutex::new(None));
                let put = told.clone();
                dwelling.streams.say(Word::Producers {
                    key: key(1, partition),
                    answer: Box::new(move |all| *put.lock().unwrap() = Some(all)),
                });
                dwelling.turn();
                let all = told.lock().unwrap().take().expect("answered in the turn");
                let all = all.expect("it is open");
                let all = all.iter();
                let all = all.filter(|one| kept.contains(&(key(1, partition), one.id.0)));
                let ids: Vec<_> = all.map(|one| (one.id, one.last_sequence)).collect();
                producers.push(ids);
            }
            known.push(producers);
        }
        assert!(
            known.iter().all(|one| *one == known[0]),
            "seed {}: {known:?}",
            self.seed
        );
    }

    /// The batches of which every replica has a record, by their numbers. A leader
    /// that has just dropped some has not told of it yet; and who has heard of it
    /// knows a producer on or not, whose last batch is gone: it may have begun anew
    /// behind that. What is left of a producer that compaction has left nothing of
    /// is its last batch: it has one.
    fn kept(&self) -> BTreeSet<(Key, u64)> {
        let firsts = (0..PARTITIONS).map(|n| (key(1, n), self.first(n)));
        let firsts: BTreeMap<Key, u64> = firsts.collect();
        let kept = self.acknowledged.iter();
        let kept = kept.filter(|((key, base), number)| base + self.counts[number] > firsts[key]);
        kept.map(|((key, _), number)| (*key, *number)).collect()
    }

    pub fn told(&self) -> String {
        let topics = self.authority.topics();
        let partitions: Vec<_> = topics
            .iter()
            .flat_map(|(_, topic)| &topic.partitions)
            .collect();
        let machines = self.machines.iter().map(|machine| {
            let views = machine.dwelling.as_ref().map(|one| {
                let views = one.streams.views();
                let shown = views.iter().map(|view| {
                    let (leader, epoch) = (view.leader(), view.leader_epoch());
                    format!(
                        "{:?} durable {} of {leader:?} since {epoch}",
                        view.marks(),
                        view.durable()
                    )
                });
                shown.collect::<Vec<_>>()
            });
            format!("{}: {:?} {views:#?}", machine.id, machine.session)
        });
        let machines: Vec<_> = machines.collect();
        format!(
            "{partitions:#?} {machines:#?} links {:?}, {} letters, {} offered, {} since",
            self.links,
            self.letters.len(),
            self.offered.len(),
            self.in_calm
        )
    }
}

pub(super) fn place(node: NodeId) -> usize {
    NODES.iter().position(|&own| own == node).unwrap()
}

/// Those that readers see, by where they begin.
fn batches(view: &View) -> BTreeMap<i64, Vec<u8>> {
    let marks = view.marks();
    let (mut at, mut found) = (marks.first, BTreeMap::new());
    while at < marks.watermark {
        let read = view.read(at, marks.watermark, 1, Way::Plain).unwrap();
        let Some(read) = read else { break };
        let base = Header::of(&read.bytes).unwrap().base_offset();
        found.insert(base, read.bytes.to_vec());
        at = read.next;
    }
    found
}

fn value_at(view: &View, at: Offset) -> Option<String> {
    let read = view.read(at, view.marks().next, 1, Way::Plain).ok()??;
    let records = Records::of(&read.bytes, 1 << 20, &mut Unpacker::default()).ok()?;
    let mut records = records.iter().filter_map(Result::ok);
    let record = records.find(|record| record.offset == at)?;
    Some(String::from_utf8_lossy(record.value?).into_owned())
}
