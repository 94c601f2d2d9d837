//! The world of one seed: nodes, net, clients and faults in simulated time, on
//! one thread. What happens next is the earliest thing on the agenda; ties go
//! by the order in which they were planned. So a seed is one history.

use super::checks::Checks;
use super::clients::{Clients, Word};
use super::faults::{End, Faults};
use super::node::{Input, Node, Output, Shape};
use super::releases::Releases;

use dolmen::entropy::Seeded;
use dolmen::ids::NodeId;

use dolmen::peers::sim::{Delivery, SimNet};
use dolmen::replica::Replica;
use dolmen::replica::desk::{Ask, ConnectionId, Reply};
use dolmen::state::{Command, Error, Member, MemberCommand, MemberOutcome, Outcome, Role};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long the faults last.
pub const TROUBLE: Duration = Duration::from_secs(50);
/// By when all must be well again.
pub const HEALING: Duration = Duration::from_secs(30);

/// What is planned.
pub enum Due {
    Tick(NodeId, u64),
    Disk(NodeId, u64),
    /// A node has held something for long enough.
    Held(NodeId, u64),
    /// A client's word arrives.
    Say(Word),
    /// A node's word arrives.
    Hear(Reply),
    /// The client learns that its node is gone.
    Broken(ConnectionId),
    Act(usize),
    Fault,
    Resume(NodeId, u64),
    Restart(NodeId),
    /// Trouble of a disk or a clock is over.
    Relief(NodeId),
    /// A removed node has been told so, or never hears it.
    Retire(NodeId),
    /// The newest release, where the one that runs is too old.
    Install(NodeId),
}

/// The two ways between a client and its node: each keeps its order.
#[derive(Default)]
struct Way {
    to_node: Duration,
    to_client: Duration,
}

pub struct World {
    pub now: Duration,
    pub shape: Shape,
    pub chance: Seeded,
    pub nodes: BTreeMap<NodeId, Node>,
    pub net: SimNet,
    pub clients: Clients,
    pub checks: Checks,
    pub faults: Faults,
    /// Removed from the list: to be stopped.
    pub retired: BTreeSet<NodeId>,
    agenda: BTreeMap<(Duration, u64), Due>,
    next_number: u64,
    ways: BTreeMap<ConnectionId, Way>,
    /// Its power goes at a step of its next turn.
    pub doomed: Option<NodeId>,
    pub hash: u64,
    pub events: u64,
    /// Starts without a state.
    pub lacked: u64,
    pub tokens: u8,
    /// Where nodes run different ones.
    pub releases: Option<Releases>,
}

/// What came of one command.
pub type Back = Arc<Mutex<Option<Result<Outcome, Error>>>>;

impl World {
    /// A cluster of so many voters, with its clients, before the first fault.
    pub fn new(seed: u64) -> Self {
        Self::begin(seed, None)
    }

    pub fn begin(seed: u64, releases: Option<Releases>) -> Self {
        let mut chance = Seeded::new(seed ^ 0x5eed);
        let count = if chance.one_in(3) { 5 } else { 3 };
        let shape = draw_shape(seed, &mut chance);
        let faults = Faults::draw(&mut chance);
        let net = SimNet::new(chance.next_u64(), 0, faults.net.clone());
        let mut world = Self {
            now: Duration::from_millis(1),
            shape,
            chance,
            nodes: BTreeMap::new(),
            net,
            clients: Clients::new(),
            checks: Checks::default(),
            faults,
            retired: BTreeSet::new(),
            agenda: BTreeMap::new(),
            next_number: 0,
            ways: BTreeMap::new(),
            doomed: None,
            hash: seed,
            events: 0,
            lacked: 0,
            tokens: 0,
            releases,
        };
        world.found(count);
        world
    }

    fn found(&mut self, count: u64) {
        self.add_node(NodeId(1));
        let found = MemberCommand::Found(member(1));
        self.command(Command::Members(found));
        for _ in 1..count {
            let admitted = self.admit();
            self.add_node(admitted);
        }
        self.lay_out();
        self.until("all vote", Duration::from_secs(60), |world| {
            let leader = world.leader();
            leader.is_some_and(|leader| leader.members().voters.len() as u64 == count)
        });
    }

    /// Adds one to the list of members, and says who it is.
    fn admit(&mut self) -> NodeId {
        let (create, admit) = self.admission();
        self.command(Command::Members(create));
        match self.command(Command::Members(admit)) {
            Outcome::Members(MemberOutcome::Admitted { node, .. }) => {
                self.faults.spent.push(self.tokens);
                node
            }
            other => panic!("not admitted: {other:?}"),
        }
    }

    pub fn admission(&mut self) -> (MemberCommand, MemberCommand) {
        self.tokens += 1;
        let token = self.tokens;
        let create = MemberCommand::CreateToken {
            id: [token; 8],
            secret_hash: [token; 32],
            role: Role::Voter,
            until: dolmen::clock::Millis(u64::MAX),
        };
        let mut admit = admission_by(token, token);
        if let MemberCommand::Admit { features, .. } = &mut admit {
            *features = self.knows_by_token(token);
        }
        (create, admit)
    }

    /// One who may write settings does, and leaves.
    fn lay_out(&mut self) {
        let layout = super::checks::layout(self.faults.snapshot_entries);
        let number = self.clients.add_operator(&mut self.chance, layout);
        self.plan(Duration::ZERO, Due::Act(number));
        self.until("the layout is there", Duration::from_secs(20), |world| {
            world.clients.all[number].is_dead
        });
    }

    pub fn leader(&self) -> Option<&Replica> {
        let running = self.nodes.values().filter_map(|node| node.replica.as_ref());
        let leaders = running.filter(|replica| replica.is_leader());
        leaders.max_by_key(|replica| replica.term())
    }

    /// A command that must go well, before the faults.
    fn command(&mut self, command: Command) -> Outcome {
        self.until("one leads", Duration::from_secs(20), |world| {
            world.leader().is_some()
        });
        let leader = self.leader().expect("waited for").node();
        let back = self.submit(leader, command).expect("it runs");
        self.until("a command is done", Duration::from_secs(20), |_| {
            back.lock().expect("one thread").is_some()
        });
        let outcome = back.lock().expect("one thread").take();
        outcome.expect("waited for").expect("nothing is wrong yet")
    }

    /// Has a node submit a command of nobody's.
    pub fn submit(&mut self, to: NodeId, command: Command) -> Option<Back> {
        let node = self.nodes.get_mut(&to)?;
        let moment = node.moment(self.now);
        let replica = node.replica.as_mut()?;
        let back = Back::default();
        let put = back.clone();
        let done = Box::new(move |outcome| *put.lock().expect("one thread") = Some(outcome));
        replica.command(moment, command, Some(done));
        self.turn(to, None);
        Some(back)
    }

    /// The whole of a seed: trouble, then healing, then what can be said only
    /// when all is known.
    pub fn live(&mut self) {
        let clients = 3 + self.chance.below(5);
        for _ in 0..clients {
            let home = NodeId(1 + self.chance.below(self.nodes.len() as u64));
            let number = self.clients.add(&mut self.chance, home);
            self.plan(Duration::ZERO, Due::Act(number));
        }
        self.plan(Duration::ZERO, Due::Fault);
        let end = self.now + TROUBLE;
        while self.now < end {
            self.step();
        }
        self.heal();
        self.until("all is well", HEALING, |world| world.is_well());
        self.finalize_at_last();
        self.until("all is well", HEALING, |world| world.is_well());
        self.check_end();
    }

    pub fn until(
        &mut self,
        what: &str,
        within: Duration,
        mut is_so: impl FnMut(&mut Self) -> bool,
    ) {
        let end = self.now + within;
        let mut looked = Duration::ZERO;
        loop {
            // Often enough, and never twice at one moment.
            if self.now >= looked {
                if is_so(self) {
                    return;
                }
                looked = self.now + Duration::from_millis(20);
            }
            assert!(self.now < end, "never: {what}; {}", self.told());
            self.step();
        }
    }

    pub fn plan(&mut self, after: Duration, due: Due) {
        self.next_number += 1;
        self.agenda
            .insert((self.now + after, self.next_number), due);
    }

    /// The next thing that happens.
    fn step(&mut self) {
        let planned = self.agenda.keys().next().map(|(at, _)| *at);
        let arrives = self.net.next_due();
        self.events += 1;
        match (planned, arrives) {
            (Some(planned), Some(arrives)) if arrives <= planned => self.deliver(arrives),
            (None, Some(arrives)) => self.deliver(arrives),
            (Some(_), _) => {
                let ((at, _), due) = self.agenda.pop_first().expect("looked at above");
                self.now = self.now.max(at);
                self.happen(due);
            }
            (None, None) => panic!("nothing happens any more"),
        }
    }

    fn deliver(&mut self, at: Duration) {
        self.now = self.now.max(at);
        for delivery in self.net.deliver(self.now) {
            let (to, input) = match delivery {
                Delivery::Frame {
                    from, to, bytes, ..
                } => {
                    self.mix(from.0 << 32 | to.0, &bytes);
                    (to, Input::Heard(from, bytes))
                }
                Delivery::Up { at, node, .. } => (at, Input::Up(node, self.nodes[&node].knows)),
                Delivery::Down { at, node } => (at, Input::Down(node)),
            };
            self.give(to, input);
        }
    }

    /// What a stopped node is given waits for it.
    fn give(&mut self, to: NodeId, input: Input) {
        let Some(node) = self.nodes.get_mut(&to) else {
            return;
        };
        match node.is_paused {
            true if node.replica.is_some() => node.waits.push_back(input),
            true => {}
            false => self.turn(to, Some(input)),
        }
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Tick(id, life) => self.tick(id, life),
            Due::Disk(id, life) => {
                let node = self.nodes.get_mut(&id).expect("nodes stay known");
                if node.life == life && node.replica.is_some() {
                    node.is_disk_due = false;
                    self.give(id, Input::Disk);
                }
            }
            Due::Held(id, life) => {
                let node = &self.nodes[&id];
                if node.life == life && node.replica.is_some() {
                    self.give(id, Input::Time);
                }
            }
            Due::Say((id, ask)) => self.arrive(id, ask),
            Due::Hear(reply) => {
                self.mix(reply.connection().0, format!("{reply:?}").as_bytes());
                let words = self.clients.hear(self.now, reply);
                self.send_words(words);
            }
            Due::Broken(id) => self.clients.broken(id),
            Due::Act(number) => self.act(number),
            Due::Fault => self.strike(),
            Due::Resume(id, life) => self.resume(id, life),
            Due::Restart(id) => self.start(id),
            Due::Relief(id) => self.relieve(id),
            Due::Retire(id) => self.retire(id),
            Due::Install(id) => self.install_newest(id),
        }
    }

    fn tick(&mut self, id: NodeId, life: u64) {
        let node = self.nodes.get_mut(&id).expect("nodes stay known");
        if node.life != life || node.replica.is_none() {
            return;
        }
        let after = node.tick(&self.shape);
        self.plan(after, Due::Tick(id, life));
        if !self.nodes[&id].is_paused {
            self.turn(id, Some(Input::Tick));
        }
    }

    fn act(&mut self, number: usize) {
        let running: Vec<(NodeId, u64)> = self
            .nodes
            .values()
            .filter(|node| node.replica.is_some())
            .map(|node| (node.id, node.life))
            .collect();
        let words = self
            .clients
            .act(number, self.now, &mut self.chance, &running);
        self.send_words(words);
        let pace = self.clients.all[number].pace;
        if !self.clients.all[number].is_dead {
            let wait = pace / 2 + self.up_to(pace);
            self.plan(wait, Due::Act(number));
        }
    }

    fn send_words(&mut self, words: Vec<Word>) {
        for (id, ask) in words {
            let delay = self.client_delay();
            let way = self.ways.entry(id).or_default();
            way.to_node = way.to_node.max(self.now + delay);
            let after = way.to_node - self.now;
            self.plan(after, Due::Say((id, ask)));
        }
    }

    fn arrive(&mut self, id: ConnectionId, ask: Ask) {
        let link = &self.clients.links[&id];
        let (to, life) = (link.node, link.node_life);
        let node = &self.nodes[&to];
        if node.life == life && node.replica.is_some() {
            return self.give(to, Input::Ask(ask));
        }
        // The machine answers for the process that is gone.
        let delay = self.client_delay();
        self.plan(delay, Due::Broken(id));
    }

    /// One input and what follows from it, on a node that runs.
    pub fn turn(&mut self, id: NodeId, input: Option<Input>) {
        self.turn_on(id, input.into_iter());
    }

    fn turn_on(&mut self, id: NodeId, inputs: impl Iterator<Item = Input>) {
        let node = self.nodes.get_mut(&id).expect("nodes stay known");
        let outcome = node.run(self.now, inputs);
        if self.doomed == Some(id) {
            self.doomed = None;
            return self.end(id, End::PowerWithin);
        }
        match outcome {
            Ok(output) => self.carry(id, output),
            Err(fatal) => {
                let node = &self.nodes[&id];
                let is_full = self.checks.is_short_of_room.contains(&id);
                let is_expected = self.checks.may_die.contains(&id)
                    || (is_full && fatal.reason.starts_with("keep feature level"));
                assert!(is_expected, "node {} stops: {}", node.id, fatal.reason);
                let end = self.any_end();
                self.end(id, end);
            }
        }
    }

    /// What a turn gave goes on its way, and the turn is looked at.
    fn carry(&mut self, id: NodeId, output: Output) {
        for (to, plane, bytes) in output.sends {
            self.net.send(self.now, id, to, plane, bytes);
        }
        let node = self.nodes.get_mut(&id).expect("nodes stay known");
        let Some(replica) = &mut node.replica else {
            return;
        };
        replica.take_members_changed();
        let applied = self.checks.after_turn(replica, &mut self.clients.history);
        let is_disk_busy = node.disk.under_way() > 0 && !node.is_disk_due;
        node.is_disk_due |= is_disk_busy;
        let held = node.held(self.now);
        let life = node.life;
        if let Some(digest) = applied {
            self.mix(id.0, &digest.to_le_bytes());
        }
        self.check_release(id);
        if is_disk_busy {
            let after = self.disk_delay();
            self.plan(after, Due::Disk(id, life));
        }
        if let Some(after) = held {
            self.plan(after, Due::Held(id, life));
        }
        for reply in output.replies {
            self.reply(reply);
        }
    }

    fn reply(&mut self, reply: Reply) {
        let id = reply.connection();
        let closes = matches!(reply, Reply::Close { .. } | Reply::NotOpened { .. });
        let delay = self.client_delay();
        let way = self.ways.entry(id).or_default();
        way.to_client = way.to_client.max(self.now + delay);
        let after = way.to_client - self.now;
        self.plan(after, Due::Hear(reply));
        if closes {
            self.plan(after, Due::Broken(id));
        }
    }

    /// Whoever was connected to a node learns that it is gone, after all that
    /// was on its way from it.
    pub fn disconnect(&mut self, id: NodeId, life: u64) {
        let links = self.clients.links.values();
        let own: Vec<ConnectionId> = links
            .filter(|link| link.node == id && link.node_life == life && !link.is_over)
            .map(|link| link.id)
            .collect();
        for connection in own {
            let delay = self.client_delay();
            let way = self.ways.entry(connection).or_default();
            let after = way.to_client.max(self.now + delay) - self.now;
            self.plan(after, Due::Broken(connection));
        }
    }

    pub fn add_node(&mut self, id: NodeId) {
        let rate = match self.faults.drifts {
            true => 900 + self.chance.below(201) as u32,
            false => 1000,
        };
        let seed = self.chance.next_u64();
        let mut node = Node::new(id, seed, rate);
        node.knows = self.knows_by_address(id);
        node.is_among_releases = self.releases.is_some();
        self.nodes.insert(id, node);
        self.net.add(self.now, id);
        self.start_replica(id);
    }

    /// Starts the process. A bad disk may keep it from that, which it must
    /// say: then a person mends the disk and starts it again.
    pub fn start_replica(&mut self, id: NodeId) {
        let shape = self.shape.clone();
        let node = self.nodes.get_mut(&id).expect("nodes stay known");
        let recorded = node.disk.recorded();
        let started = node.start(self.now, &shape);
        if let Ok(opened) = &started {
            self.check_opened(id, opened);
        }
        if let Err(error) = started {
            if self.is_too_old(id, &error.to_string(), recorded) {
                return;
            }
            let is_bad =
                self.checks.may_die.contains(&id) || self.checks.is_short_of_room.contains(&id);
            assert!(is_bad, "node {id} does not start: {error}");
            self.relieve(id);
            // Mostly the power stays on, and the next start reads from the
            // page cache what the failed one could not sync.
            let is_cut = self.chance.one_in(4);
            let mut chance = Seeded::new(self.chance.next_u64());
            let node = self.nodes.get_mut(&id).expect("nodes stay known");
            if is_cut {
                node.crash(&mut chance, false);
            }
            if let Err(error) = node.start(self.now, &shape) {
                panic!("node {id} does not start on a mended disk: {error}");
            }
        }
        self.checks.rotten.remove(&id);
        let node = &self.nodes[&id];
        let replica = node.replica.as_ref().expect("started above");
        self.lacked += u64::from(replica.lacks_state());
        let (life, after) = (node.life, node.tick(&self.shape));
        self.plan(after, Due::Tick(id, life));
        self.turn(id, None);
    }

    fn resume(&mut self, id: NodeId, life: u64) {
        let node = self.nodes.get_mut(&id).expect("nodes stay known");
        if node.life != life || !node.is_paused {
            return;
        }
        node.is_paused = false;
        let waits = std::mem::take(&mut node.waits);
        // The clock ticks once for all the time that went by, sooner or later.
        let (before, behind) = match self.chance.one_in(2) {
            true => (Some(Input::Tick), None),
            false => (None, Some(Input::Tick)),
        };
        self.turn_on(id, before.into_iter().chain(waits).chain(behind));
    }

    pub fn up_to(&mut self, most: Duration) -> Duration {
        Duration::from_nanos(self.chance.below(most.as_nanos() as u64 + 1))
    }

    fn client_delay(&mut self) -> Duration {
        Duration::from_micros(100 + self.chance.below(3000))
    }

    fn disk_delay(&mut self) -> Duration {
        match self.chance.below(50) {
            0 => Duration::from_micros(1000 + self.chance.below(30_000)),
            _ => Duration::from_micros(300 + self.chance.below(3000)),
        }
    }

    fn mix(&mut self, number: u64, bytes: &[u8]) {
        let mut hash = self.hash ^ number ^ self.now.as_nanos() as u64;
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            hash = (hash ^ u64::from_le_bytes(*word)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            hash ^= hash >> 29;
        }
        for byte in rest {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.hash = hash;
    }

    /// How everybody stands, for a message.
    pub fn told(&self) -> String {
        let node = |node: &Node| match &node.replica {
            None => format!("{}: down", node.id),
            Some(replica) => format!(
                "{}: {:?} of term {} leader {:?} applied {} members {:?}{}",
                node.id,
                replica.standing().role,
                replica.term(),
                replica.leader(),
                replica.applied(),
                replica.members().voters,
                if node.is_paused { ", paused" } else { "" }
            ),
        };
        let nodes: Vec<String> = self.nodes.values().map(node).collect();
        let why = self.why_not_well().unwrap_or_default();
        let finalize = self.leader().map(|leader| leader.finalize());
        format!(
            "{why}; finalize {finalize:?}; at {:?}: {}",
            self.now,
            nodes.join("; ")
        )
    }
}

fn draw_shape(seed: u64, chance: &mut Seeded) -> Shape {
    let election_ticks = 5 + chance.below(8) as usize;
    Shape {
        seed,
        tick: Duration::from_millis(40 + chance.below(100)),
        election_ticks,
        heartbeat_ticks: 1 + chance.below(2) as usize,
        log: dolmen::log::Settings {
            journal_file_bytes: 64 << 10 << chance.below(3),
            journal_files_max: 3,
            journal_direct: chance.one_in(2),
            bypass_bytes: 6000 << chance.below(5),
            segment_bytes: 32 << 10 << chance.below(4),
            segment_first_bytes: 8 << 10,
            show_bytes: 4 << 10 << chance.below(4),
            reserve_bytes: 0,
        },
    }
}

pub fn member(id: u64) -> Member {
    Member {
        node: NodeId(id),
        role: Role::Voter,
        control: format!("n{id}:1").into(),
        bulk: format!("n{id}:2").into(),
        doors: Vec::new(),
        certificate: 1,
    }
}

pub fn admission_by(token: u8, key: u8) -> MemberCommand {
    MemberCommand::Admit {
        token: [token; 8],
        secret_hash: [token; 32],
        public_key: vec![key],
        control: format!("t{key}:1").into(),
        bulk: format!("t{key}:2").into(),
        in_place_of: None,
        features: 1,
    }
}
