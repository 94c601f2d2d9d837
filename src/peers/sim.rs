//! The simulated network: what `Peers` does between nodes, in simulated time
//! and from one seed.
//!
//! It keeps what a real connection keeps. Frames of one connection arrive in
//! the order sent, once, or not at all: some are dropped by a full queue, and
//! when the connection breaks all that is under way is lost, and each side
//! hears `Down` at its own time. Different connections, planes and directions
//! overtake each other freely. A direction that is blocked holds its frames
//! back, as retransmission does, until it heals or the connection is given up.
//!
//! The driver calls `send`, asks `next_due`, moves its clock there and calls
//! `deliver`. Nothing else moves time.

use super::address::Plane;
use crate::entropy::Seeded;
use crate::ids::NodeId;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// How bad the network is. One in 0 is never.
#[derive(Clone, Debug)]
pub struct Faults {
    /// A frame takes from `delay_min` to `delay_max`.
    pub delay_min: Duration,
    pub delay_max: Duration,
    /// And now and then ten times as long, which holds up those behind it.
    pub slow_one_in: u64,
    /// A frame finds its queue full.
    pub drop_one_in: u64,
    /// A connection breaks as a frame is sent.
    pub break_one_in: u64,
    /// A frame overtakes, or comes twice. No QUIC stream does that; it shows
    /// what consensus bears.
    pub reorder_one_in: u64,
    pub duplicate_one_in: u64,
    /// Silence after which a side gives a connection up.
    pub idle: Duration,
    /// The longest until a lost connection is dialed anew.
    pub redial_max: Duration,
}

impl Faults {
    /// A quiet LAN.
    pub fn none() -> Self {
        Self {
            delay_min: Duration::from_micros(50),
            delay_max: Duration::from_micros(200),
            slow_one_in: 0,
            drop_one_in: 0,
            break_one_in: 0,
            reorder_one_in: 0,
            duplicate_one_in: 0,
            idle: Duration::from_secs(4),
            redial_max: Duration::from_millis(200),
        }
    }

    /// A bad one, as far as streams allow.
    pub fn harsh() -> Self {
        Self {
            delay_max: Duration::from_millis(20),
            slow_one_in: 50,
            drop_one_in: 100,
            break_one_in: 500,
            ..Self::none()
        }
    }
}

/// What the node `at` hears, or who receives a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    Frame {
        from: NodeId,
        to: NodeId,
        plane: Plane,
        bytes: Vec<u8>,
    },
    Up {
        at: NodeId,
        node: NodeId,
        incarnation: u64,
    },
    Down {
        at: NodeId,
        node: NodeId,
    },
}

/// What became of the frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub delivered: u64,
    /// Not taken: the sender had no connection, or its queue was full.
    pub dropped: u64,
    /// Taken, and cut off with the connection.
    pub lost: u64,
}

pub struct SimNet {
    chance: Seeded,
    faults: Faults,
    processes: BTreeMap<NodeId, Process>,
    connections: BTreeMap<Pair, Connection>,
    /// Directions that nothing passes, each with the number of its blocking.
    blocked: BTreeMap<Way, u64>,
    /// Directions whose frames wait until then.
    clogged: BTreeMap<Way, Duration>,
    agenda: BTreeMap<(Duration, u64), Due>,
    /// Numbers what is put on the agenda, and blockings.
    next_number: u64,
    counts: Counts,
}

type Way = (NodeId, NodeId);

struct Process {
    incarnation: u64,
    is_running: bool,
}

/// Lower id first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Pair {
    nodes: [NodeId; 2],
    plane: Plane,
}

#[derive(Default)]
struct Connection {
    /// Raised when it is made and when it breaks; what is under way carries it.
    epoch: u64,
    is_whole: bool,
    /// Whether the lower and the higher node believe in it.
    is_believed: [bool; 2],
    /// Towards the higher and towards the lower: nothing arrives before.
    last_due: [Duration; 2],
    held: [VecDeque<Vec<u8>>; 2],
}

enum Due {
    Arrive {
        pair: Pair,
        sender: usize,
        epoch: u64,
        bytes: Vec<u8>,
    },
    /// A side notices that a connection is gone.
    Notice {
        pair: Pair,
        side: usize,
        epoch: u64,
    },
    Connect {
        pair: Pair,
        epoch: u64,
    },
    /// The blocking of a direction has lasted for the idle time.
    GiveUp {
        pair: Pair,
        epoch: u64,
        way: Way,
        blocking: u64,
    },
    Unclog {
        way: Way,
    },
}

impl SimNet {
    /// Nodes 1 to `nodes`, all running, connected a moment after time zero.
    pub fn new(seed: u64, nodes: u64, faults: Faults) -> Self {
        let mut net = Self {
            chance: Seeded::new(seed),
            faults,
            processes: BTreeMap::new(),
            connections: BTreeMap::new(),
            blocked: BTreeMap::new(),
            clogged: BTreeMap::new(),
            agenda: BTreeMap::new(),
            next_number: 0,
            counts: Counts::default(),
        };
        for node in 1..=nodes {
            net.add(Duration::ZERO, NodeId(node));
        }
        net
    }

    /// From now on it is as bad as this.
    pub fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
    }

    /// A node that joins later.
    pub fn add(&mut self, now: Duration, node: NodeId) {
        let others: Vec<NodeId> = self.processes.keys().copied().collect();
        let process = Process {
            incarnation: 1,
            is_running: true,
        };
        let before = self.processes.insert(node, process);
        assert!(before.is_none(), "node {node} is there already");
        for other in others {
            for plane in [Plane::Control, Plane::Bulk] {
                let pair = Pair::of(node, other, plane);
                self.connections.insert(pair, Connection::default());
                self.connect_soon(now, pair);
            }
        }
    }

    /// As `Peers::send`.
    pub fn send(&mut self, now: Duration, from: NodeId, to: NodeId, plane: Plane, bytes: Vec<u8>) {
        let pair = Pair::of(from, to, plane);
        let sender = pair.side(from);
        let Some(connection) = self.connections.get(&pair) else {
            self.counts.dropped += 1;
            return;
        };
        if !connection.is_believed[sender] || self.happens(self.faults.drop_one_in) {
            self.counts.dropped += 1;
            return;
        }
        if self.happens(self.faults.break_one_in) {
            self.break_up(now, pair);
        }
        let copies = 1 + usize::from(self.happens(self.faults.duplicate_one_in));
        for _ in 0..copies {
            self.put_on_its_way(now, pair, sender, bytes.clone());
        }
    }

    fn put_on_its_way(&mut self, now: Duration, pair: Pair, sender: usize, bytes: Vec<u8>) {
        let mut due = now + self.delay();
        let overtakes = self.happens(self.faults.reorder_one_in);
        let connection = self.connection(pair);
        if !connection.is_whole {
            self.counts.lost += 1;
            return;
        }
        if !overtakes {
            due = due.max(connection.last_due[sender]);
            connection.last_due[sender] = due;
        }
        let epoch = connection.epoch;
        let arrive = Due::Arrive {
            pair,
            sender,
            epoch,
            bytes,
        };
        self.put(due, arrive);
    }

    /// When something happens next.
    pub fn next_due(&self) -> Option<Duration> {
        self.agenda.keys().next().map(|(due, _)| *due)
    }

    /// All that has happened by now, in order.
    pub fn deliver(&mut self, now: Duration) -> Vec<Delivery> {
        let mut out = Vec::new();
        while let Some(entry) = self.agenda.first_entry()
            && entry.key().0 <= now
        {
            let ((at, _), due) = entry.remove_entry();
            self.happen(at, due, &mut out);
        }
        out
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    fn happen(&mut self, at: Duration, due: Due, out: &mut Vec<Delivery>) {
        match due {
            Due::Arrive {
                pair,
                sender,
                epoch,
                bytes,
            } => self.arrive(pair, sender, epoch, bytes, out),
            Due::Notice { pair, side, epoch } => {
                // A new connection has said it for the old one already.
                if self.connection(pair).epoch == epoch {
                    self.notice(pair, side, out);
                }
            }
            Due::Connect { pair, epoch } => self.connect(at, pair, epoch, out),
            Due::GiveUp {
                pair,
                epoch,
                way,
                blocking,
            } => {
                let is_the_same = self.connection(pair).epoch == epoch;
                if is_the_same && self.blocked.get(&way) == Some(&blocking) {
                    self.break_up(at, pair);
                }
            }
            Due::Unclog { way } => {
                // Clogged again in the meantime: that one's end counts.
                if self.clogged.get(&way).is_some_and(|until| *until <= at) {
                    self.clogged.remove(&way);
                    self.release(way, out);
                }
            }
        }
    }

    fn arrive(
        &mut self,
        pair: Pair,
        sender: usize,
        epoch: u64,
        bytes: Vec<u8>,
        out: &mut Vec<Delivery>,
    ) {
        let way = pair.way(sender);
        let is_open = self.is_open(way);
        let connection = self.connection(pair);
        if connection.epoch != epoch {
            self.counts.lost += 1;
            return;
        }
        connection.held[sender].push_back(bytes);
        if is_open {
            self.release_one(pair, sender, out);
        }
    }

    /// What was held back in a direction, on both planes, in order.
    fn release(&mut self, way: Way, out: &mut Vec<Delivery>) {
        if !self.is_open(way) {
            return;
        }
        for plane in [Plane::Control, Plane::Bulk] {
            let pair = Pair::of(way.0, way.1, plane);
            self.release_one(pair, pair.side(way.0), out);
        }
    }

    fn release_one(&mut self, pair: Pair, sender: usize, out: &mut Vec<Delivery>) {
        let (from, to) = pair.way(sender);
        let held = std::mem::take(&mut self.connection(pair).held[sender]);
        self.counts.delivered += held.len() as u64;
        let plane = pair.plane;
        out.extend(held.into_iter().map(|bytes| Delivery::Frame {
            from,
            to,
            plane,
            bytes,
        }));
    }

    fn notice(&mut self, pair: Pair, side: usize, out: &mut Vec<Delivery>) {
        let believed = &mut self.connection(pair).is_believed[side];
        if std::mem::take(believed) && pair.plane == Plane::Control {
            let (at, node) = pair.way(side);
            out.push(Delivery::Down { at, node });
        }
    }

    fn connect(&mut self, at: Duration, pair: Pair, epoch: u64, out: &mut Vec<Delivery>) {
        let [low, high] = pair.nodes;
        let is_reachable = [(low, high), (high, low)]
            .iter()
            .all(|way| !self.blocked.contains_key(way));
        let is_running = pair
            .nodes
            .iter()
            .all(|node| self.processes[node].is_running);
        let connection = self.connection(pair);
        if connection.is_whole || connection.epoch != epoch || !is_reachable || !is_running {
            // Healing and restarting dial again.
            return;
        }
        // A later start takes the place of a connection that a side still
        // believes in; otherwise that side has not noticed yet, and would
        // turn a new one away.
        for side in 0..2 {
            self.notice(pair, side, out);
        }
        let connection = self.connection(pair);
        connection.epoch += 1;
        connection.is_whole = true;
        connection.is_believed = [true, true];
        connection.last_due = [at, at];
        if pair.plane == Plane::Control {
            for side in 0..2 {
                let (at, node) = pair.way(side);
                let incarnation = self.processes[&node].incarnation;
                out.push(Delivery::Up {
                    at,
                    node,
                    incarnation,
                });
            }
        }
    }

    /// All under way is lost. Each running side notices within the idle time,
    /// and then one of them dials.
    fn break_up(&mut self, now: Duration, pair: Pair) {
        let connection = self.connection(pair);
        if !connection.is_whole {
            return;
        }
        connection.is_whole = false;
        connection.epoch += 1;
        let epoch = connection.epoch;
        let held = connection.held.iter_mut();
        let held: u64 = held.map(|held| held.drain(..).count() as u64).sum();
        self.counts.lost += held;
        let mut noticed = now;
        for side in 0..2 {
            let at = now + self.up_to(self.faults.idle);
            noticed = noticed.max(at);
            self.put(at, Due::Notice { pair, side, epoch });
        }
        let at = noticed + self.up_to(self.faults.redial_max);
        self.put(at, Due::Connect { pair, epoch });
    }

    fn connect_soon(&mut self, now: Duration, pair: Pair) {
        let at = now + self.up_to(self.faults.redial_max);
        let epoch = self.connection(pair).epoch;
        self.put(at, Due::Connect { pair, epoch });
    }

    fn connect_all_soon(&mut self, now: Duration) {
        let broken = self.connections.iter().filter(|(_, c)| !c.is_whole);
        let broken: Vec<Pair> = broken.map(|(pair, _)| *pair).collect();
        for pair in broken {
            self.connect_soon(now + self.faults.idle, pair);
        }
    }

    fn is_open(&self, way: Way) -> bool {
        !self.blocked.contains_key(&way) && !self.clogged.contains_key(&way)
    }

    fn connection(&mut self, pair: Pair) -> &mut Connection {
        self.connections
            .get_mut(&pair)
            .expect("every pair of nodes has one")
    }

    fn put(&mut self, at: Duration, due: Due) {
        self.next_number += 1;
        self.agenda.insert((at, self.next_number), due);
    }

    fn happens(&mut self, one_in: u64) -> bool {
        one_in != 0 && self.chance.one_in(one_in)
    }

    fn up_to(&mut self, most: Duration) -> Duration {
        Duration::from_nanos(self.chance.below(most.as_nanos() as u64 + 1))
    }

    fn delay(&mut self) -> Duration {
        let spread = self.faults.delay_max.saturating_sub(self.faults.delay_min);
        let delay = self.faults.delay_min + self.up_to(spread);
        if self.happens(self.faults.slow_one_in) {
            delay * 10
        } else {
            delay
        }
    }
}

/// Faults that a test asks for.
impl SimNet {
    /// Nothing passes from one node to another until it heals. The other way
    /// stays open, until the silence ends the connection.
    pub fn block(&mut self, now: Duration, from: NodeId, to: NodeId) {
        self.next_number += 1;
        let blocking = self.next_number;
        self.blocked.entry((from, to)).or_insert(blocking);
        let blocking = self.blocked[&(from, to)];
        let idle = self.faults.idle;
        for plane in [Plane::Control, Plane::Bulk] {
            let pair = Pair::of(from, to, plane);
            let give_up = Due::GiveUp {
                pair,
                epoch: self.connection(pair).epoch,
                way: (from, to),
                blocking,
            };
            self.put(now + idle, give_up);
        }
    }

    /// Both ways between every node of one side and every one of the other.
    /// Nodes of neither side see both: a partial partition.
    pub fn part(&mut self, now: Duration, one: &[NodeId], other: &[NodeId]) {
        for a in one {
            for b in other {
                self.block(now, *a, *b);
                self.block(now, *b, *a);
            }
        }
    }

    /// Frames of one direction wait until a time; nothing is lost.
    pub fn clog(&mut self, from: NodeId, to: NodeId, until: Duration) {
        let held = self.clogged.entry((from, to)).or_insert(until);
        *held = (*held).max(until);
        let until = *held;
        self.put(until, Due::Unclog { way: (from, to) });
    }

    /// Clogs all that some nodes say and hear, and lets each go at a time of
    /// its own: what was sent together arrives in every order.
    pub fn swizzle(&mut self, now: Duration, longest: Duration) {
        let nodes: Vec<NodeId> = self.processes.keys().copied().collect();
        for node in &nodes {
            if self.chance.one_in(2) {
                for other in nodes.iter().filter(|other| *other != node) {
                    let until = now + self.up_to(longest);
                    self.clog(*node, *other, until);
                    let until = now + self.up_to(longest);
                    self.clog(*other, *node, until);
                }
            }
        }
    }

    /// One connection ends; the two find each other again by themselves.
    pub fn sever(&mut self, now: Duration, one: NodeId, other: NodeId, plane: Plane) {
        self.break_up(now, Pair::of(one, other, plane));
    }

    /// Every blocked direction opens. What was held back arrives with the next
    /// `deliver`.
    pub fn heal(&mut self, now: Duration) {
        for (way, _) in std::mem::take(&mut self.blocked) {
            self.clog(way.0, way.1, now);
        }
        self.connect_all_soon(now);
    }

    /// The process is gone, and with it all that was under way to and from it.
    pub fn crash(&mut self, now: Duration, node: NodeId) {
        self.process(node).is_running = false;
        for pair in self.pairs_of(node) {
            self.break_up(now, pair);
            // It hears nothing more itself.
            let side = pair.side(node);
            self.connection(pair).is_believed[side] = false;
        }
    }

    pub fn restart(&mut self, now: Duration, node: NodeId) {
        let process = self.process(node);
        assert!(!process.is_running, "node {node} is running");
        process.is_running = true;
        process.incarnation += 1;
        for pair in self.pairs_of(node) {
            self.connect_soon(now, pair);
        }
    }

    /// A fault or its end, drawn. For a driver that stirs now and then.
    pub fn stir(&mut self, now: Duration) {
        let nodes: Vec<NodeId> = self.processes.keys().copied().collect();
        let mut draw = || nodes[self.chance.below(nodes.len() as u64) as usize];
        let (one, other) = (draw(), draw());
        let longest = self.faults.idle * 2;
        match self.chance.below(7) {
            _ if one == other => {}
            0 => self.block(now, one, other),
            1 => self.part(now, &[one], &[other]),
            2 => {
                let others: Vec<NodeId> = nodes.iter().copied().filter(|n| *n != one).collect();
                self.part(now, &[one], &others);
            }
            3 => {
                let until = now + self.up_to(longest);
                self.clog(one, other, until);
            }
            4 => self.swizzle(now, longest),
            5 => self.sever(now, one, other, Plane::Control),
            _ => self.heal(now),
        }
    }

    fn process(&mut self, node: NodeId) -> &mut Process {
        self.processes
            .get_mut(&node)
            .expect("the driver knows its nodes")
    }

    fn pairs_of(&self, node: NodeId) -> Vec<Pair> {
        let has_it = |pair: &&Pair| pair.nodes.contains(&node);
        self.connections.keys().filter(has_it).copied().collect()
    }
}

impl Pair {
    fn of(one: NodeId, other: NodeId, plane: Plane) -> Self {
        Self {
            nodes: [one.min(other), one.max(other)],
            plane,
        }
    }

    fn side(self, node: NodeId) -> usize {
        usize::from(self.nodes[1] == node)
    }

    /// From a side to the other.
    fn way(self, side: usize) -> Way {
        (self.nodes[side], self.nodes[1 - side])
    }
}

#[cfg(test)]
mod tests;
