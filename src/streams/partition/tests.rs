//! Three replicas, a naive authority in the place of the replicated state, a
//! net that loses and delays, disks that take their time, and nodes that lose
//! what was not durable. A seed is one history.

use super::*;
use crate::entropy::Seeded;
use crate::planted::{Fault, hunt};
use std::collections::BTreeSet;

const NODES: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];
const FLOOR: usize = 2;
const LAG_MAX: Duration = Duration::from_secs(1);
const STEP: Duration = Duration::from_millis(20);
/// A history each; what fails says which.
const SEEDS: u64 = 100;
/// What a producer waits for its acknowledgement.
const PATIENCE: Duration = Duration::from_secs(4);
/// How long one is out of touch with the state.
const DEAF: Duration = Duration::from_secs(2);

/// One record: what it says, and whose it is.
type Record = (u64, LeaderEpoch);

/// What the log was asked for and has not done yet, in order.
#[derive(Clone, Debug)]
enum Write {
    Append {
        run: u64,
        attempt: u64,
        at: u64,
        records: Vec<Record>,
    },
    Truncate {
        run: u64,
        from: u64,
    },
    Restart {
        run: u64,
        at: u64,
    },
}

struct Node {
    own: NodeId,
    life: Zxid,
    /// On the disk: the first offset, and the records from there on.
    first: u64,
    disk: Vec<Record>,
    writes: Vec<Write>,
    /// None while the node is down.
    machine: Option<Partition<u64>>,
    watermark_seen: Offset,
}

impl Node {
    fn end(&self) -> u64 {
        self.first + self.disk.len() as u64
    }

    fn start(&mut self, life: Zxid) {
        let mut epochs = Epochs::default();
        for (place, (_, epoch)) in self.disk.iter().enumerate() {
            epochs.note(*epoch, Offset(self.first + place as u64));
        }
        let found = Found {
            first: Offset(self.first),
            next: Offset(self.end()),
            epochs,
        };
        let settings = Settings { lag_max: LAG_MAX };
        self.life = life;
        self.machine = Some(Partition::new(self.own, settings, found));
    }

    /// The power goes: of what was on its way some is there.
    fn crash(&mut self, chance: &mut Seeded) {
        if self.machine.is_none() {
            return;
        }
        for _ in 0..chance.below(self.writes.len() as u64 + 1) {
            self.write_one();
        }
        (self.machine, self.watermark_seen) = (None, Offset(0));
        self.writes.clear();
    }

    fn write_one(&mut self) {
        if self.writes.is_empty() {
            return;
        }
        let machine = self.machine.as_mut().unwrap();
        match self.writes.remove(0) {
            Write::Append {
                run,
                attempt,
                at,
                records,
            } => {
                if self.first + self.disk.len() as u64 != at {
                    // As the log does with what does not follow.
                    return machine.failed(attempt, Offset(at));
                }
                self.disk.extend(records);
                machine.landed(run, Offset(self.first + self.disk.len() as u64));
            }
            Write::Truncate { run, from } => {
                self.disk.truncate((from - self.first) as usize);
                machine.landed(run, Offset(from));
            }
            Write::Restart { run, at } => {
                (self.first, self.disk) = (at, Vec::new());
                machine.landed(run, Offset(at));
            }
        }
    }
}

#[derive(Clone, Debug)]
struct Proposal {
    from: NodeId,
    leader_epoch: LeaderEpoch,
    partition_epoch: i32,
    set: Vec<(NodeId, Zxid)>,
    /// Who made it waits for what comes of it.
    is_waited_for: bool,
}

/// A message between two nodes.
#[derive(Clone, Debug)]
enum Letter {
    Ask(u64, Ask),
    Answer(u64, Ask, Answer, Vec<Record>),
}

struct World {
    now: Duration,
    chance: Seeded,
    seed: u64,
    nodes: Vec<Node>,
    net: Vec<(NodeId, NodeId, Letter)>,
    /// What the replicated state holds; a node may know an older one.
    truth: Standing,
    next_life: u64,
    /// Proposals that are on their way to the state.
    proposals: Vec<Proposal>,
    /// Who hears nothing of the state, and until when.
    deaf: Option<(NodeId, Duration)>,
    next_value: u64,
    /// What was acknowledged, and at which offset.
    acknowledged: BTreeMap<u64, u64>,
    /// What was offered and is not answered, by its value: where, and its offset.
    offered: BTreeMap<u64, (NodeId, u64)>,
    acknowledged_before: usize,
    is_calm: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let node = |own| Node {
            own,
            life: Zxid(0),
            first: 0,
            disk: Vec::new(),
            writes: Vec::new(),
            machine: None,
            watermark_seen: Offset(0),
        };
        let mut world = Self {
            now: Duration::from_secs(1),
            chance: Seeded::new(seed),
            seed,
            nodes: NODES.map(node).into(),
            net: Vec::new(),
            truth: Standing {
                leader: Some(NODES[0]),
                leader_epoch: 0,
                partition_epoch: 0,
                replicas: NODES.into(),
                counted: NODES.into(),
                in_sync: NODES.into(),
                lives: BTreeMap::new(),
                floor: FLOOR,
                needs_majority: true,
                hands_on: false,
            },
            next_life: 0,
            proposals: Vec::new(),
            deaf: None,
            next_value: 0,
            acknowledged: BTreeMap::new(),
            offered: BTreeMap::new(),
            acknowledged_before: 0,
            is_calm: false,
        };
        for place in 0..NODES.len() {
            world.start(place);
        }
        world
    }

    fn start(&mut self, place: usize) {
        self.next_life += 1;
        let life = Zxid(self.next_life);
        self.nodes[place].start(life);
        let node = self.nodes[place].own;
        // A new life is a loss of the old one, if that was not seen yet.
        self.lose(node);
        self.truth.lives.insert(node, life);
        self.elect();
    }

    /// As `state/topics` has it: who is lost leaves the set unless it would be
    /// below the floor, and another member leads.
    fn lose(&mut self, node: NodeId) {
        if self.truth.lives.remove(&node).is_none() {
            return;
        }
        let (in_sync, leader) = (self.truth.in_sync.clone(), self.truth.leader);
        if in_sync.len() > FLOOR {
            self.truth.in_sync.retain(|&member| member != node);
        }
        if leader == Some(node) {
            self.truth.leader = None;
            self.truth.leader_epoch += 1;
        }
        if (&in_sync, leader) != (&self.truth.in_sync, self.truth.leader) {
            self.truth.partition_epoch += 1;
        }
        self.elect();
    }

    fn elect(&mut self) {
        if self.truth.leader.is_some() {
            return;
        }
        let lives = &self.truth.lives;
        let up: Vec<NodeId> = self
            .truth
            .in_sync
            .iter()
            .copied()
            .filter(|n| lives.contains_key(n))
            .collect();
        if !up.is_empty() {
            let heir = up[self.chance.below(up.len() as u64) as usize];
            self.truth.leader = Some(heir);
            self.truth.leader_epoch += 1;
            self.truth.partition_epoch += 1;
        }
    }

    fn decide(&mut self, proposal: &Proposal) {
        let truth = &mut self.truth;
        let (leader_epoch, partition_epoch) = (proposal.leader_epoch, proposal.partition_epoch);
        let is_current = truth.leader == Some(proposal.from)
            && (truth.leader_epoch, truth.partition_epoch) == (leader_epoch, partition_epoch);
        let mut set = proposal.set.iter();
        let are_alive = set.all(|(node, life)| truth.lives.get(node) == Some(life));
        let mut set = proposal.set.iter();
        let has_leader = set.any(|(node, _)| *node == proposal.from);
        if is_current && are_alive && has_leader {
            let set = proposal.set.iter();
            truth.in_sync = set.map(|(node, _)| *node).collect();
            truth.partition_epoch += 1;
        } else if let Some(machine) = &mut self.nodes[place(proposal.from)].machine
            && proposal.is_waited_for
        {
            match is_current {
                true => machine.not_taken(leader_epoch, partition_epoch),
                // It may have been taken when it was said before.
                false => machine.not_answered(leader_epoch, partition_epoch),
            }
        }
    }

    fn step(&mut self) {
        self.now += STEP / 4;
        match self.chance.below(100) {
            0..25 => self.produce(),
            25..50 => self.deliver(),
            50..65 => self.ask(),
            65..85 => self.write(),
            85..90 => self.tell(),
            90..94 => self.tick(),
            94..97 => self.answer_a_proposal(),
            _ if self.is_calm => self.write(),
            97 => self.hurt(),
            98 => self.mend(),
            _ => self.retain(),
        }
        self.carry_out();
        self.check();
    }

    fn any(&mut self) -> usize {
        self.chance.below(NODES.len() as u64) as usize
    }

    fn produce(&mut self) {
        let is_over = self.is_calm && self.acknowledged_in_calm() >= 5;
        if is_over || self.offered.len() > 20 {
            return;
        }
        let at = self.any();
        let count = 1 + self.chance.below(3);
        let (value, until) = (self.next_value, self.now + PATIENCE);
        let node = &mut self.nodes[at];
        let Some(machine) = &mut node.machine else {
            return;
        };
        // Who does not lead takes nothing.
        let Ok(place) = machine.offer(Acks::All, value, count, until) else {
            return;
        };
        self.next_value += count;
        let records = (value..value + count).map(|value| (value, place.epoch));
        node.writes.push(Write::Append {
            run: machine.run(),
            attempt: place.attempt,
            at: place.base.0,
            records: records.collect(),
        });
        self.offered.insert(value, (node.own, place.base.0));
    }

    fn ask(&mut self) {
        let at = self.any();
        let node = &self.nodes[at];
        let Some(machine) = &node.machine else {
            return;
        };
        if let Some((leader, ask)) = machine.ask() {
            let letter = Letter::Ask(machine.run(), ask);
            self.net.push((node.own, leader, letter));
        }
    }

    fn deliver(&mut self) {
        if self.net.is_empty() {
            return;
        }
        let at = self.chance.below(self.net.len() as u64) as usize;
        let (from, to, letter) = self.net.remove(at);
        if !self.is_calm && self.chance.one_in(8) {
            return;
        }
        let now = self.now;
        let node = &mut self.nodes[place(to)];
        let Some(machine) = &mut node.machine else {
            return;
        };
        match letter {
            Letter::Ask(run, ask) => {
                let mut answer = machine.asked(now, from, ask);
                let first = Offset(node.first);
                if matches!(answer, Answer::Alike { .. }) && ask.next < first {
                    // Each record is a batch of its own, so none holds both.
                    answer = Answer::Gone { first };
                }
                let mut records = Vec::new();
                if let Answer::Alike { .. } = answer {
                    let from = ask.next.0.max(node.first);
                    let durable = machine.durable().0.min(node.end());
                    let range = from.saturating_sub(node.first)..durable.saturating_sub(node.first);
                    records.extend_from_slice(
                        node.disk
                            .get(range.start as usize..range.end as usize)
                            .unwrap_or_default(),
                    );
                    records.truncate(1 + self.chance.below(16) as usize);
                }
                self.net
                    .push((to, from, Letter::Answer(run, ask, answer, records)));
            }
            Letter::Answer(run, ask, answer, records) => {
                let is_current = machine.is_current(run, &ask);
                machine.answered(run, &ask, answer);
                self.carry_out_of(place(to));
                let node = &mut self.nodes[place(to)];
                let machine = node.machine.as_mut().unwrap();
                if !is_current || !matches!(answer, Answer::Alike { .. }) || records.is_empty() {
                    return;
                }
                let at = machine.next();
                let spans: Vec<Span> = (at.0..)
                    .zip(&records)
                    .map(|(at, (_, epoch))| Span {
                        first: Offset(at),
                        next: Offset(at + 1),
                        epoch: *epoch,
                    })
                    .collect();
                if machine.follow(&spans) {
                    let (run, attempt) = (machine.run(), machine.attempt());
                    node.writes.push(Write::Append {
                        run,
                        attempt,
                        at: at.0,
                        records,
                    });
                }
            }
        }
    }

    fn write(&mut self) {
        let at = self.any();
        if self.nodes[at].machine.is_none() {
            return;
        }
        // A full disk, now and then: it and all behind it are not taken.
        if !self.is_calm
            && self.chance.one_in(40)
            && let Some(Write::Append {
                attempt, at: from, ..
            }) = self.nodes[at].writes.first().cloned()
        {
            self.nodes[at].writes.remove(0);
            self.nodes[at]
                .machine
                .as_mut()
                .unwrap()
                .failed(attempt, Offset(from));
            return;
        }
        self.nodes[at].write_one();
    }

    /// A node hears how it stands, unless it is cut off from the others.
    fn tell(&mut self) {
        let at = self.any();
        let (now, truth) = (self.now, self.truth.clone());
        let deaf = self.deaf.filter(|(_, until)| *until > now);
        let is_deaf = deaf.is_some_and(|(node, _)| node == NODES[at]);
        let machine = self.nodes[at].machine.as_mut();
        if let Some(machine) = machine.filter(|_| !is_deaf || self.is_calm) {
            machine.stand(now, truth);
        }
    }

    fn tick(&mut self) {
        let (at, now) = (self.any(), self.now);
        if let Some(machine) = &mut self.nodes[at].machine {
            machine.tick(now);
        }
    }

    /// It is decided on; or whoever made it is out of touch, and it is lost, or
    /// done, or comes later, what is said again perhaps before it.
    fn answer_a_proposal(&mut self) {
        if self.proposals.is_empty() {
            return;
        }
        let at = self.chance.below(self.proposals.len() as u64) as usize;
        let mut proposal = self.proposals.remove(at);
        if self.is_calm || self.chance.one_in(2) {
            return self.decide(&proposal);
        }
        self.deaf = Some((proposal.from, self.now + DEAF));
        if let Some(machine) = &mut self.nodes[place(proposal.from)].machine
            && proposal.is_waited_for
        {
            machine.not_answered(proposal.leader_epoch, proposal.partition_epoch);
        }
        proposal.is_waited_for = false;
        match self.chance.below(3) {
            0 => {}
            1 => self.decide(&proposal),
            _ => self.proposals.push(proposal),
        }
    }

    fn hurt(&mut self) {
        let at = self.any();
        match self.chance.below(12) {
            // Its session ends, and it does not know.
            0..4 => self.lose(NODES[at]),
            4 => self.replace_disk(at),
            _ if self.nodes[at].machine.is_some() => {
                self.nodes[at].crash(&mut self.chance);
                self.offered.retain(|_, (node, _)| *node != NODES[at]);
                if self.chance.one_in(2) {
                    self.lose(NODES[at]);
                }
            }
            _ => {}
        }
    }

    /// As the state has it when a broker announces another disk: it leaves the
    /// set, unless nobody else has what was in it.
    fn replace_disk(&mut self, at: usize) {
        let node = NODES[at];
        if self.truth.in_sync == [node] {
            return;
        }
        self.nodes[at].crash(&mut self.chance);
        self.offered.retain(|_, (at, _)| *at != node);
        (self.nodes[at].first, self.nodes[at].disk) = (0, Vec::new());
        self.lose(node);
        self.truth.in_sync.retain(|&member| member != node);
        self.truth.partition_epoch += 1;
        self.elect();
        self.start(at);
    }

    fn mend(&mut self) {
        let at = self.any();
        let is_cut_off = !self.truth.lives.contains_key(&NODES[at]);
        if self.nodes[at].machine.is_none() {
            self.start(at);
        } else if is_cut_off {
            self.announce_anew(NODES[at]);
        }
    }

    /// The same process, in a new session.
    fn announce_anew(&mut self, node: NodeId) {
        self.next_life += 1;
        self.truth.lives.insert(node, Zxid(self.next_life));
        self.elect();
    }

    fn retain(&mut self) {
        let at = self.any();
        if let Some(machine) = &mut self.nodes[at].machine
            && machine.leads()
        {
            let first = machine.first().0;
            let span = machine.watermark().0.saturating_sub(first);
            let until = Offset(first + self.chance.below(span / 4 + 1));
            machine.drop_prefix(until);
        }
    }

    fn carry_out(&mut self) {
        (0..NODES.len()).for_each(|place| self.carry_out_of(place));
    }

    fn carry_out_of(&mut self, place: usize) {
        let node = &mut self.nodes[place];
        let end = node.end();
        let Some(machine) = &mut node.machine else {
            return;
        };
        for effect in machine.take_effects() {
            let run = machine.run();
            match effect {
                Effect::Truncate { from } => {
                    node.writes.push(Write::Truncate { run, from: from.0 })
                }
                Effect::Restart { at } => node.writes.push(Write::Restart { run, at: at.0 }),
                Effect::DropPrefix { until } => {
                    // What is on its way to the disk lies behind it.
                    let gone = until.0.min(end).saturating_sub(node.first);
                    node.disk.drain(..gone as usize);
                    node.first += gone;
                }
                Effect::Propose {
                    leader_epoch,
                    partition_epoch,
                    in_sync,
                } => {
                    let from = node.own;
                    assert!(in_sync.len() >= FLOOR, "seed {}: {in_sync:?}", self.seed);
                    self.proposals.push(Proposal {
                        from,
                        leader_epoch,
                        partition_epoch,
                        set: in_sync,
                        is_waited_for: true,
                    });
                }
                Effect::Acknowledge(value, Ok(())) => {
                    let (_, at) = self.offered.remove(&value).expect("offered once");
                    self.acknowledged.insert(value, at);
                }
                Effect::Acknowledge(value, Err(_)) => {
                    self.offered.remove(&value).expect("offered once");
                }
                Effect::Wake | Effect::Drained => {}
                Effect::Lost { from, until } => {
                    panic!(
                        "seed {}: node {} cut {from} to {until} below its watermark",
                        self.seed, node.own
                    )
                }
            }
        }
    }

    fn check(&mut self) {
        for node in &mut self.nodes {
            let Some(machine) = &node.machine else {
                continue;
            };
            assert!(machine.durable() <= machine.next(), "seed {}", self.seed);
            assert!(
                machine.watermark() <= machine.durable(),
                "seed {}: durable",
                self.seed
            );
            assert!(
                machine.watermark() >= node.watermark_seen,
                "seed {}: the watermark fell",
                self.seed
            );
            node.watermark_seen = machine.watermark();
        }
        // Below their watermarks all logs say the same.
        for a in &self.nodes {
            for b in &self.nodes {
                let (Some(one), Some(other)) = (&a.machine, &b.machine) else {
                    continue;
                };
                let until = one.watermark().min(other.watermark()).0;
                for offset in one.first().max(other.first()).0..until {
                    let at = |node: &Node| node.disk.get((offset - node.first) as usize).copied();
                    assert_eq!(
                        at(a),
                        at(b),
                        "seed {}: nodes {} and {} differ at {offset}",
                        self.seed,
                        a.own,
                        b.own
                    );
                }
            }
        }
    }

    /// Everybody is up, and nothing goes wrong any more.
    fn heal(&mut self) {
        (self.is_calm, self.acknowledged_before) = (true, self.acknowledged.len());
        for (place, node) in NODES.iter().enumerate() {
            if self.nodes[place].machine.is_none() {
                self.start(place);
            } else if !self.truth.lives.contains_key(node) {
                self.announce_anew(*node);
            }
        }
    }

    fn acknowledged_in_calm(&self) -> usize {
        self.acknowledged.len() - self.acknowledged_before
    }

    /// How everybody stands, for a message.
    fn told(&self) -> String {
        let nodes = self.nodes.iter().map(|node| {
            let machine = node.machine.as_ref();
            let told = machine.map(|one| {
                format!(
                    "leads {} epoch {}/{} watermark {} durable {} next {} run {}",
                    one.leads(),
                    one.standing().leader_epoch,
                    one.standing().partition_epoch,
                    one.watermark(),
                    one.durable(),
                    one.next(),
                    one.run()
                )
            });
            format!(
                "{}: {}..{} {} writes, {told:?}",
                node.own,
                node.first,
                node.end(),
                node.writes.len()
            )
        });
        let nodes: Vec<String> = nodes.collect();
        format!(
            "{:?}, {} offered, {} acknowledged since, {} letters; {}",
            self.truth,
            self.offered.len(),
            self.acknowledged_in_calm(),
            self.net.len(),
            nodes.join("; ")
        )
    }

    fn is_well(&self) -> bool {
        let ends: BTreeSet<(u64, Offset)> = self
            .nodes
            .iter()
            .map(|node| {
                let machine = node.machine.as_ref().unwrap();
                (node.end(), machine.watermark())
            })
            .collect();
        let goes_on = self.acknowledged_in_calm() >= 5;
        goes_on
            && ends.len() == 1
            && self.truth.in_sync.len() == NODES.len()
            && self.offered.is_empty()
    }
}

fn place(node: NodeId) -> usize {
    NODES.iter().position(|&own| own == node).unwrap()
}

fn live(seed: u64) -> World {
    let mut world = World::new(seed);
    for _ in 0..3000 {
        world.step();
    }
    world.heal();
    for _ in 0..40_000 {
        if world.is_well() {
            return world;
        }
        world.step();
    }
    panic!("seed {seed}: it does not become well: {}", world.told());
}

/// Lives through a history; what was acknowledged in it is there at its end.
fn play(seed: u64) -> World {
    let world = live(seed);
    let leader = world.truth.leader.expect("somebody is up");
    let node = &world.nodes[place(leader)];
    for (value, at) in world
        .acknowledged
        .iter()
        .filter(|(_, at)| **at >= node.first)
    {
        let there = node.disk.get((at - node.first) as usize);
        assert_eq!(
            there.map(|(value, _)| value),
            Some(value),
            "seed {seed}: the acknowledged record at {at}"
        );
    }
    world
}

#[test]
fn what_is_acknowledged_stays_whoever_leads() {
    let (mut acknowledged, mut epochs) = (0, 0);
    for seed in 0..SEEDS {
        let world = play(seed);
        acknowledged += world.acknowledged.len();
        epochs += world.truth.leader_epoch;
    }
    assert!(
        acknowledged > 1000 && epochs > 100,
        "{acknowledged} in {epochs} epochs"
    );
}

/// A seed for each.
const KNOWN: &[(Fault, u64)] = &[
    (Fault::InSyncNotAwaited, 9),
    (Fault::ProposedNotAwaited, 192),
    (Fault::LeaderSuffices, 0),
    (Fault::EpochsNotCompared, 8),
    (Fault::JoinsBehind, 41),
    (Fault::JoinsTooSoon, 21),
    (Fault::RefusalNotHeard, 0),
    (Fault::SilenceTakenForRefusal, 192),
    (Fault::WaitingNotTold, 10),
    (Fault::OldRunLands, 137),
    (Fault::OldAttemptFails, 5),
    (Fault::FailureNotTold, 5),
    (Fault::EpochsNotCut, 6),
    (Fault::WatermarkAheadOfDisk, 1),
    (Fault::SaidBeforeDurable, 11),
    (Fault::OwnEpochNotMinded, 29),
    (Fault::OldAnswerTaken, 0),
];

#[test]
fn every_planted_mistake_is_found() {
    hunt(Fault::PARTITION, KNOWN, |seed| {
        play(seed);
        Ok(())
    });
}
