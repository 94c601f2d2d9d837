//! What goes wrong, by the seed. Each seed has its own few kinds of trouble,
//! its own pace, and its own net: all at once would hide one behind another.

use super::world::{Back, Due, World, admission_by};
use dolmen::disk::sim::When;
use dolmen::entropy::Seeded;
use dolmen::ids::{Index, NodeId};
use dolmen::state::{Command, MemberCommand, MemberOutcome, Outcome};
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    Net,
    Crash,
    /// The process ends and the power stays on.
    Kill,
    /// Between two steps of a node's own code.
    CrashWithin,
    CrashAll,
    Pause,
    WallJump,
    SlowDisk,
    FullDisk,
    FailedSync,
    Transfer,
    AddNode,
    RemoveNode,
    /// A bit of a snapshot turns while its node is down.
    Rot,
    Joiner,
}

const ALL: [Trouble; 15] = [
    Trouble::Net,
    Trouble::Crash,
    Trouble::Kill,
    Trouble::CrashWithin,
    Trouble::CrashAll,
    Trouble::Pause,
    Trouble::WallJump,
    Trouble::SlowDisk,
    Trouble::FullDisk,
    Trouble::FailedSync,
    Trouble::Transfer,
    Trouble::AddNode,
    Trouble::RemoveNode,
    Trouble::Rot,
    Trouble::Joiner,
];

/// How a node's life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Power,
    /// Between two steps of the turn that it was doing.
    PowerWithin,
    /// The process alone: the page cache stays.
    Process,
}

pub struct Faults {
    pub net: dolmen::peers::sim::Faults,
    pub drifts: bool,
    pub snapshot_entries: u64,
    kinds: Vec<Trouble>,
    pace: Duration,
    is_over: bool,
    /// Newcomers whose number is not known yet, and what they showed.
    admitted: Vec<(u8, Back)>,
    /// Tokens that have let one in.
    pub spent: Vec<u8>,
    /// Tokens that a second one shows: refused, or not yet answered.
    refused: Vec<Back>,
    leaving: Vec<(NodeId, Back)>,
    /// How far a state was that last had a node in its list: a leader that
    /// knows less does not know of it yet.
    listed: BTreeMap<NodeId, Index>,
}

impl Faults {
    pub fn draw(chance: &mut Seeded) -> Self {
        let mut kinds: Vec<Trouble> = ALL.into_iter().filter(|_| chance.one_in(2)).collect();
        if kinds.is_empty() {
            kinds.push(Trouble::Crash);
        }
        Self {
            net: draw_net(chance),
            drifts: chance.one_in(2),
            snapshot_entries: match chance.below(3) {
                0 => 100_000,
                1 => 400,
                _ => 100,
            },
            kinds,
            pace: Duration::from_millis(300 + chance.below(3000)),
            is_over: false,
            admitted: Vec::new(),
            spent: Vec::new(),
            refused: Vec::new(),
            leaving: Vec::new(),
            listed: BTreeMap::new(),
        }
    }
}

fn draw_net(chance: &mut Seeded) -> dolmen::peers::sim::Faults {
    use dolmen::peers::sim::Faults;
    let one_in = |chance: &mut Seeded, least: u64| match chance.one_in(2) {
        true => 0,
        false => least + chance.below(10 * least),
    };
    Faults {
        delay_max: Duration::from_micros(200 << chance.below(8)),
        slow_one_in: one_in(chance, 20),
        drop_one_in: one_in(chance, 20),
        break_one_in: one_in(chance, 200),
        reorder_one_in: one_in(chance, 20),
        duplicate_one_in: one_in(chance, 20),
        idle: Duration::from_millis(1000 + chance.below(3000)),
        ..Faults::none()
    }
}

impl World {
    /// One trouble, and the next is planned.
    pub fn strike(&mut self) {
        if self.faults.is_over {
            return;
        }
        let kind = self.faults.kinds[self.chance.below(self.faults.kinds.len() as u64) as usize];
        let after = self.up_to(self.faults.pace * 2);
        self.plan(after, Due::Fault);
        let Some(id) = self.any_node() else {
            return;
        };
        match self.releases.is_some() && !self.chance.one_in(5) {
            true => self.change_release(id),
            false => self.bring(kind, id),
        }
        self.settle_members();
    }

    fn bring(&mut self, kind: Trouble, id: NodeId) {
        match kind {
            Trouble::Net => self.net.stir(self.now),
            Trouble::Crash => self.end(id, End::Power),
            Trouble::Kill => self.end(id, End::Process),
            Trouble::CrashWithin => self.doomed = Some(id),
            Trouble::CrashAll => {
                let all: Vec<NodeId> = self.nodes.keys().copied().collect();
                all.into_iter().for_each(|id| self.end(id, End::Power));
            }
            Trouble::Pause => self.pause(id),
            Trouble::WallJump => {
                let hour = 3_600_000;
                let jump = self.chance.below(2 * hour as u64 + 1) as i64 - hour;
                self.node(id).wall_offset_ms = jump;
            }
            Trouble::SlowDisk => {
                let waits = 10 + self.chance.below(300) as u32;
                self.node(id).disk.faults(|faults| {
                    faults.slow = When::OneIn(2);
                    faults.slow_waits = waits;
                });
                self.relieve_later(id);
            }
            Trouble::FullDisk => {
                let more = self.chance.below(100_000);
                let disk = &self.node(id).disk;
                let room = Some(disk.used_bytes() + more);
                disk.faults(|faults| faults.room = room);
                self.checks.is_short_of_room.insert(id);
                self.relieve_later(id);
            }
            Trouble::FailedSync => {
                let nth = 1 + self.chance.below(20);
                let disk = &self.node(id).disk;
                disk.faults(|faults| faults.fail_sync = When::Nth(nth));
                self.checks.may_die.insert(id);
                self.relieve_later(id);
            }
            Trouble::Transfer => self.transfer(id),
            Trouble::AddNode => self.invite(),
            Trouble::RemoveNode => self.dismiss(id),
            Trouble::Rot => self.rot(id),
            Trouble::Joiner => self.try_token_again(id),
        }
    }

    fn any_node(&mut self) -> Option<NodeId> {
        let nodes: Vec<NodeId> = self
            .nodes
            .keys()
            .copied()
            .filter(|id| !self.retired.contains(id))
            .collect();
        // The leader is where it hurts.
        let leader = self.leader().map(|leader| leader.node());
        if let Some(leader) = leader
            && self.chance.one_in(3)
        {
            return Some(leader);
        }
        let count = nodes.len() as u64;
        nodes.get(self.chance.below(count) as usize).copied()
    }

    fn node(&mut self, id: NodeId) -> &mut super::node::Node {
        self.nodes.get_mut(&id).expect("nodes stay known")
    }

    fn relieve_later(&mut self, id: NodeId) {
        let after = Duration::from_millis(200 + self.chance.below(8000));
        self.plan(after, Due::Relief(id));
    }

    /// The disk is as good as new.
    pub fn relieve(&mut self, id: NodeId) {
        let node = self.node(id);
        node.disk.faults(|faults| *faults = Default::default());
        self.checks.is_short_of_room.remove(&id);
        self.checks.may_die.remove(&id);
    }

    /// Of a process that ends by itself: with the power, or without.
    pub fn any_end(&mut self) -> End {
        match self.chance.one_in(2) {
            true => End::Power,
            false => End::Process,
        }
    }

    /// The process is gone, and the power perhaps; it comes back after a while.
    pub fn end(&mut self, id: NodeId, end: End) {
        if self.nodes[&id].replica.is_none() {
            return;
        }
        let life = self.nodes[&id].life;
        let mut chance = Seeded::new(self.chance.next_u64());
        match end {
            End::Process => self.node(id).kill(),
            End::Power | End::PowerWithin => {
                self.node(id).crash(&mut chance, end == End::PowerWithin);
                self.checks.may_die.remove(&id);
                self.checks.is_short_of_room.remove(&id);
            }
        }
        self.checks.forget(id);
        self.net.crash(self.now, id);
        self.disconnect(id, life);
        // At once, so that it votes again in the same election; or later.
        let most = match self.chance.one_in(3) {
            true => Duration::from_millis(20),
            false => Duration::from_secs(4),
        };
        let after = Duration::from_millis(1) + self.up_to(most);
        self.plan(after, Due::Restart(id));
    }

    pub fn start(&mut self, id: NodeId) {
        if self.nodes[&id].replica.is_some() || self.retired.contains(&id) {
            return;
        }
        self.net.restart(self.now, id);
        self.start_replica(id);
        // The power goes again while it recovers.
        if !self.faults.is_over && self.chance.one_in(8) {
            self.doomed = Some(id);
        }
    }

    fn pause(&mut self, id: NodeId) {
        let node = self.node(id);
        if node.replica.is_none() || node.is_paused {
            return;
        }
        node.is_paused = true;
        let life = node.life;
        let most = match self.chance.below(6) {
            0 => 30_000,
            1 | 2 => 8000,
            _ => 2000,
        };
        let after = Duration::from_millis(self.chance.below(most));
        self.plan(after, Due::Resume(id, life));
    }

    fn transfer(&mut self, to: NodeId) {
        let Some(leader) = self.leader().map(|leader| leader.node()) else {
            return;
        };
        let node = self.node(leader);
        if let Some(replica) = node.replica.as_mut().filter(|_| !node.is_paused) {
            replica.transfer(to);
            self.turn(leader, None);
        }
    }

    fn leader_runs(&self) -> Option<NodeId> {
        let leader = self.leader()?.node();
        (!self.nodes[&leader].is_paused).then_some(leader)
    }

    pub fn invite(&mut self) {
        let Some(leader) = self.leader_runs() else {
            return;
        };
        if self.nodes.len() - self.retired.len() >= 6 || !self.faults.admitted.is_empty() {
            return;
        }
        let (create, admit) = self.admission();
        self.submit(leader, Command::Members(create));
        let back = self.submit(leader, Command::Members(admit));
        let token = self.tokens;
        self.faults.admitted.extend(back.map(|back| (token, back)));
    }

    /// A token that was used lets nobody else in.
    fn try_token_again(&mut self, id: NodeId) {
        if self.nodes[&id].is_paused || self.faults.spent.is_empty() {
            return;
        }
        let which = self.chance.below(self.faults.spent.len() as u64);
        let token = self.faults.spent[which as usize];
        let admit = admission_by(token, 200);
        let back = self.submit(id, Command::Members(admit));
        self.faults.refused.extend(back);
    }

    fn dismiss(&mut self, id: NodeId) {
        let staying = self.nodes.len() - self.retired.len() - self.faults.leaving.len();
        if staying <= 3 || self.nodes[&id].is_paused {
            return;
        }
        let Some(leader) = self.leader_runs() else {
            return;
        };
        let remove = Command::Members(MemberCommand::Remove { node: id });
        if let Some(back) = self.submit(leader, remove) {
            self.faults.leaving.push((id, back));
        }
    }

    /// Newcomers are started once their number is known, those who left are
    /// stopped.
    pub fn settle_members(&mut self) {
        let mut newcomers = Vec::new();
        let spent = &mut self.faults.spent;
        self.faults.admitted.retain(|(token, back)| {
            let answer = back.lock().expect("one thread").take();
            if let Some(Ok(Outcome::Members(MemberOutcome::Admitted { node, .. }))) = answer {
                newcomers.push(node);
                spent.push(*token);
            }
            answer.is_none() && std::sync::Arc::strong_count(back) > 1
        });
        newcomers.into_iter().for_each(|id| self.start_newcomer(id));
        self.faults.refused.retain(|back| {
            let answer = back.lock().expect("one thread").take();
            if let Some(Ok(Outcome::Members(outcome))) = &answer {
                let is_refused = matches!(outcome, MemberOutcome::Refused(_));
                assert!(is_refused, "a used token gave {outcome:?}");
            }
            answer.is_none() && std::sync::Arc::strong_count(back) > 1
        });
        self.faults
            .leaving
            .retain(|(_, back)| std::sync::Arc::strong_count(back) > 1);
        // What the list says counts, whoever heard the answer.
        let Some(leader) = self.leader() else {
            return;
        };
        let listed: Vec<NodeId> = leader
            .state()
            .members()
            .iter()
            .map(|one| one.node)
            .collect();
        let missing = listed
            .iter()
            .copied()
            .filter(|id| !self.nodes.contains_key(id));
        let missing: Vec<NodeId> = missing.collect();
        let is_settled = leader.members().voters == listed;
        let applied = leader.applied();
        for id in &listed {
            let at = self.faults.listed.entry(*id).or_insert(applied);
            *at = (*at).max(applied);
        }
        let known: Vec<NodeId> = self.nodes.keys().copied().collect();
        missing.into_iter().for_each(|id| self.start_newcomer(id));
        for id in known {
            let was_listed = self.faults.listed.get(&id);
            let is_removed = was_listed.is_some_and(|at| *at < applied) && !listed.contains(&id);
            if is_settled && is_removed && self.retired.insert(id) {
                let after = self.up_to(Duration::from_secs(5));
                self.plan(after, Due::Retire(id));
            }
        }
    }

    fn start_newcomer(&mut self, id: NodeId) {
        if !self.nodes.contains_key(&id) {
            self.add_node(id);
        }
    }

    pub fn retire(&mut self, id: NodeId) {
        if self.nodes[&id].replica.is_some() {
            self.end(id, End::Power);
        }
    }

    /// A bit of the newest snapshot turns while the power is off. The node
    /// starts from the one before it, where the entries behind that are at
    /// hand; where the newest came from another node it never had them, and
    /// takes no part before another has given it one. One node at a time: what
    /// has rotted everywhere is lost.
    fn rot(&mut self, id: NodeId) {
        let lacks = |node: &super::node::Node| {
            let replica = node.replica.as_ref();
            replica.is_some_and(|replica| replica.lacks_state())
        };
        if !self.checks.rotten.is_empty() || self.nodes.values().any(lacks) {
            return;
        }
        self.end(id, End::Power);
        let snapshots = self.nodes[&id].snapshots();
        let [newest, _, ..] = &snapshots[..] else {
            return;
        };
        let bytes = self.nodes[&id].disk.file_bytes(newest).len() as u64;
        let (byte, bit) = (self.chance.below(bytes), self.chance.below(8) as u8);
        self.node(id).disk.flip(newest, byte, bit);
        self.checks.rotten.insert(id);
    }

    /// The last fault is over: whoever is down comes back, whoever stands
    /// still goes on.
    pub fn heal(&mut self) {
        self.faults.is_over = true;
        self.doomed = None;
        self.clients.is_ending = true;
        self.net.heal(self.now);
        self.upgrade_all();
        let all: Vec<NodeId> = self.nodes.keys().copied().collect();
        for id in all {
            self.relieve(id);
            self.start(id);
            let node = self.node(id);
            if node.is_paused {
                let life = node.life;
                self.plan(Duration::ZERO, Due::Resume(id, life));
            }
        }
        let quiet = dolmen::peers::sim::Faults::none();
        self.net.set_faults(quiet);
    }
}
