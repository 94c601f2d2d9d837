//! Random histories of brokers and topics, with the rules that hold after every
//! step. `DOLMEN_SEED=N` plays one alone.

use crate::full;
use dolmen::clock::Millis;
use dolmen::entropy::Seeded;
use dolmen::ids::{LogId, NodeId, PartitionId, SessionId, Term, TopicId, Uid, Zxid};
#[cfg(debug_assertions)]
use dolmen::planted::{Fault, hunt};
use dolmen::state::topics::{
    AddPartitions, AlterSettings, Alteration, Announce, BrokerLife, CreateTopic, Election,
    InSyncChange, Kept, Layout, Listener, Lost, Partition, Reassignment, Security, SettingsChange,
    StreamsNode, Topic, TopicKey, Topics,
};
use dolmen::state::{
    AttachSession, Command, Identity, Loader, Member, MemberCommand, OpenSession, Outcome, Role,
    State, StreamsCommand, StreamsOutcome, StreamsRefused, Submission, Write,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const NAMES: [&str; 4] = ["orders", "a.b", "a_b", "__consumer_offsets"];

/// A cluster as its nodes see it: who runs, in which session, on which disk.
pub struct History {
    pub seeded: Seeded,
    pub state: State,
    now: u64,
    tags: u64,
    runs: BTreeMap<NodeId, Run>,
    disks: BTreeMap<NodeId, Uid>,
    /// Leaders by topic, partition and epoch.
    leaders: BTreeMap<(TopicId, PartitionId, i32), NodeId>,
    /// Disks on which all that is acknowledged of a partition surely is, as a
    /// leader that was right would know: what a clean election may choose from.
    whole: BTreeMap<(TopicId, PartitionId), BTreeSet<(NodeId, Uid)>>,
    pub seen: Seen,
}

#[derive(Clone, Copy)]
struct Run {
    session: SessionId,
    sequence: u64,
    life: Option<BrokerLife>,
}

/// What a history came by, so that one in which nothing happened is noticed.
#[derive(Default, Debug)]
pub struct Seen {
    pub moved: u64,
    pub shrunk: u64,
    pub grown: u64,
    pub leaderless: u64,
    pub lost: u64,
    pub unclean: u64,
    pub reassigned: u64,
    pub refused: BTreeSet<String>,
}

impl History {
    pub fn new(seed: u64) -> Self {
        let mut history = Self {
            seeded: Seeded::new(seed),
            state: State::new(Uid([1; 16])),
            now: 1000,
            tags: 0,
            runs: BTreeMap::new(),
            disks: BTreeMap::new(),
            leaders: BTreeMap::new(),
            whole: BTreeMap::new(),
            seen: Seen::default(),
        };
        let nodes = 1 + history.seeded.below(5);
        history.found(nodes);
        for node in 1..=nodes {
            history.start(NodeId(node));
        }
        history
    }

    /// Members 1 to n, each of whom is founder or has shown a token.
    fn found(&mut self, nodes: u64) {
        self.send(Command::Members(MemberCommand::Found(member(1))));
        for _ in 1..nodes {
            self.admit(None);
        }
    }

    fn admit(&mut self, in_place_of: Option<NodeId>) {
        let id: [u8; 8] = self.seeded.next_u64().to_le_bytes();
        self.send(Command::Members(MemberCommand::CreateToken {
            id,
            secret_hash: [1; 32],
            role: Role::Voter,
            until: Millis(u64::MAX),
        }));
        let admitted = self.send(Command::Members(MemberCommand::Admit {
            token: id,
            secret_hash: [1; 32],
            public_key: id.into(),
            control: "a:1".into(),
            bulk: "a:2".into(),
            in_place_of,
            features: 9,
        }));
        let newest = self.state.members().iter().map(|member| member.node).max();
        if let (Some(_), Some(node)) = (admitted, newest) {
            self.send(Command::Members(MemberCommand::SetRole {
                node,
                role: Role::Voter,
            }));
        }
        self.send(Command::Members(MemberCommand::RevokeToken { id }));
    }

    fn send(&mut self, command: Command) -> Option<Outcome> {
        self.submit(SessionId(0), 0, command)
    }

    fn submit(&mut self, session: SessionId, sequence: u64, command: Command) -> Option<Outcome> {
        self.tags += 1;
        self.now += self.seeded.below(5);
        let submission = Submission {
            origin: NodeId(1),
            tag: self.tags,
            session,
            connection: u32::from(session.0 != 0),
            sequence,
            who: vec![Identity::new("super", "")],
            command,
        };
        let shown = self.state.shared_topics().clone();
        let before = Topics::clone(&shown);
        let zxid = self.state.zxid();
        let mut changes = Vec::new();
        let applied = self
            .state
            .apply(Millis(self.now), &submission, &mut changes);
        assert!(applied.zxid >= zxid);
        if let Ok(Outcome::Streams(outcome)) = &applied.outcome {
            self.note_refusals(outcome);
        }
        self.check(&before, &submission.command);
        assert_eq!(*shown, before, "what was shown stays as it was");
        let is_new = !Arc::ptr_eq(&shown, self.state.shared_topics());
        assert!(is_new || before == *self.state.topics(), "a change shows");
        let is_refused = matches!(
            applied.outcome,
            Ok(Outcome::Streams(StreamsOutcome::Refused(_)))
        );
        assert!(!is_new || !is_refused, "what is refused is not shown");
        let told: BTreeSet<_> = changes.iter().map(|change| &*change.path).collect();
        check_told(&before, self.state.topics(), &told);
        applied.outcome.ok()
    }

    fn note_refusals(&mut self, outcome: &StreamsOutcome) {
        let mut note = |refused: &StreamsRefused| {
            let text = format!("{refused:?}");
            let word = text.split([' ', '(', '{']).next().unwrap_or_default();
            self.seen.refused.insert(word.into());
        };
        match outcome {
            StreamsOutcome::Refused(refused) => note(refused),
            StreamsOutcome::Each(each) => each
                .iter()
                .filter_map(|one| one.as_ref().err())
                .for_each(note),
            _ => {}
        }
    }

    /// The rules, one by one, of what was and what is.
    fn check(&mut self, before: &Topics, command: &Command) {
        let now = self.state.topics();
        assert_eq!(self.state.topics_anew().as_ref(), Ok(now), "index and tree");
        let mut leaders = std::mem::take(&mut self.leaders);
        let mut whole = std::mem::take(&mut self.whole);
        for (name, topic) in now.iter() {
            for (n, partition) in (0..).zip(&topic.partitions) {
                let at = (topic.id, PartitionId(n));
                check_standing(name, partition, now);
                let old = before.by_id(topic.id);
                let old = old.and_then(|(_, old)| old.partition(PartitionId(n)));
                if let Some(leader) = partition.leader {
                    let first = leaders.entry((at.0, at.1, partition.leader_epoch));
                    assert_eq!(*first.or_insert(leader), leader, "two leaders of an epoch");
                }
                let disks = whole.entry(at).or_default();
                let Some(old) = old else {
                    let in_sync = partition.in_sync.iter();
                    disks.extend(in_sync.map(|&node| (node, disk_of(now, node))));
                    continue;
                };
                check_step(name, old, partition, before, command);
                self.seen.note(old, partition);
                follow(old, partition, topic, now, disks, command);
            }
        }
        (self.leaders, self.whole) = (leaders, whole);
    }

    pub fn step(&mut self) {
        let node = self.some_node();
        match self.seeded.below(100) {
            0..6 => self.create(),
            6 => self.delete(),
            7 => self.add_partitions(),
            8..14 => self.alter(),
            14..22 => self.stop(node),
            22..34 => self.start(node),
            34..66 => self.change_in_sync(),
            66..72 => self.elect(),
            72..78 => self.hand_on(node),
            78..88 => self.reassign(),
            88..90 => self.draw(node),
            90 => self.write_settings(),
            91..93 => self.replace_disk(node),
            93 => self.change_members(node),
            94 => self.again(),
            95 => {
                let term = Term(self.state.term().0 + self.seeded.below(2));
                self.state.begin_term(term);
            }
            96 => self.attach(node),
            _ => self.announce(node),
        }
    }

    fn some_node(&mut self) -> NodeId {
        let nodes: Vec<_> = self.state.members().iter().map(|one| one.node).collect();
        // Now and then one that is none.
        let some = self.seeded.below(nodes.len() as u64 * 20 + 1) as usize;
        nodes
            .get(some % (nodes.len() + 1))
            .copied()
            .unwrap_or(NodeId(99))
    }

    fn start(&mut self, node: NodeId) {
        if self.runs.contains_key(&node) && !self.seeded.one_in(4) {
            return;
        }
        // One that is up already has crashed, and its session lives on.
        let session = SessionId(self.tags + 1);
        self.send(Command::OpenSession(OpenSession {
            session,
            password: [0; 16],
            timeout_ms: 10_000,
        }));
        let run = Run {
            session,
            sequence: 0,
            life: None,
        };
        self.runs.insert(node, run);
        self.announce(node);
    }

    fn some_logs(&mut self, node: NodeId) -> Vec<LogId> {
        let topics = self.state.topics().iter();
        let logs = topics.flat_map(|(_, topic)| {
            let partitions = (0..).zip(&topic.partitions);
            let of = |(n, one): (u32, &Partition)| {
                LogId::of_partition(topic.id, PartitionId(n), one.since(node))
            };
            partitions.map(of)
        });
        let mut some: Vec<_> = logs.collect();
        some.retain(|_| self.seeded.one_in(2));
        some
    }

    fn announce(&mut self, node: NodeId) {
        let disk = *self.disks.entry(node).or_insert(Uid([node.0 as u8; 16]));
        let kept = match self.seeded.below(5) {
            0 | 1 => Kept::All,
            2 => Kept::Synced,
            3 => Kept::Less(Lost::Anywhere),
            _ => Kept::Less(Lost::In(self.some_logs(node))),
        };
        let port = 9092 + self.seeded.below(2) as u16;
        let announce = Announce {
            node,
            disk,
            kept,
            listeners: vec![Listener {
                name: "PLAINTEXT".into(),
                security: Security::Plaintext,
                host: format!("10.0.0.{node}").into(),
                port,
            }],
            rack: (!node.0.is_multiple_of(3)).then(|| format!("rack-{}", node.0 % 3).into()),
        };
        let outcome = self.say(node, StreamsCommand::Announce(announce));
        if let Some(StreamsOutcome::Announced(life)) = outcome
            && let Some(run) = self.runs.get_mut(&node)
        {
            run.life = Some(life);
        }
    }

    /// In the node's session.
    fn say(&mut self, node: NodeId, command: StreamsCommand) -> Option<StreamsOutcome> {
        let run = self.runs.get_mut(&node)?;
        run.sequence += 1;
        let (session, sequence) = (run.session, run.sequence);
        match self.submit(session, sequence, Command::Streams(command)) {
            Some(Outcome::Streams(outcome)) => Some(outcome),
            _ => None,
        }
    }

    fn attach(&mut self, node: NodeId) {
        let Some(&Run { session, .. }) = self.runs.get(&node) else {
            return;
        };
        let attach = AttachSession {
            session,
            password: [9; 16],
            timeout_ms: 1,
        };
        self.send(Command::AttachSession(attach));
    }

    fn stop(&mut self, node: NodeId) {
        let Some(run) = self.runs.remove(&node) else {
            return;
        };
        match self.seeded.one_in(2) {
            true => _ = self.submit(run.session, run.sequence + 1, Command::CloseSession),
            false => {
                _ = self.send(Command::ExpireSession {
                    session: run.session,
                    connection: 1,
                })
            }
        }
        // A session that a crash left behind ends some time, too.
        if self.seeded.one_in(3) {
            self.end_orphans();
        }
    }

    fn end_orphans(&mut self) {
        let sessions: Vec<_> = self.state.sessions().map(|(id, _)| id).collect();
        for session in sessions {
            if !self.runs.values().any(|run| run.session == session) {
                let connection = 1;
                self.send(Command::ExpireSession {
                    session,
                    connection,
                });
            }
        }
    }

    fn replace_disk(&mut self, node: NodeId) {
        let drawn = self.seeded.next_u64();
        self.disks.insert(node, Uid([drawn as u8; 16]));
        if self.seeded.one_in(2) {
            self.stop(node);
            self.start(node);
        }
    }

    fn create(&mut self) {
        let name = NAMES[self.seeded.below(NAMES.len() as u64) as usize];
        let some = |seeded: &mut Seeded, most| (!seeded.one_in(3)).then(|| seeded.below(most));
        let layout = match self.seeded.below(4) {
            0 => {
                let count = 1 + self.seeded.below(3);
                Layout::Assigned((0..count).map(|_| self.nodes()).collect())
            }
            _ => Layout::Spread {
                partitions: some(&mut self.seeded, 6).map(|count| count as u32),
                factor: some(&mut self.seeded, 6).map(|factor| factor as u16),
            },
        };
        let id = self.seeded.next_u64();
        let settings = match self.seeded.below(4) {
            0 => vec![("durability".into(), "replicated".into())],
            1 => vec![("min.insync.replicas".into(), "2".into())],
            _ => Vec::new(),
        };
        let create = CreateTopic {
            name: name.into(),
            id: TopicId((u128::from(id) << 32).to_be_bytes()),
            layout,
            settings,
            validates_only: self.seeded.one_in(6),
        };
        let validates_only = create.validates_only;
        let before = self.state.topics().clone();
        let outcome = self.command(StreamsCommand::CreateTopic(create));
        if validates_only {
            assert_eq!(&before, self.state.topics(), "only validated");
        } else if let Some(StreamsOutcome::Created { id, replicas }) = outcome {
            let (_, topic) = self.state.topics().by_id(id).expect("it was made");
            let held = topic.partitions.iter().map(|one| &one.replicas);
            assert!(held.eq(&replicas));
        }
    }

    fn command(&mut self, command: StreamsCommand) -> Option<StreamsOutcome> {
        match self.send(Command::Streams(command)) {
            Some(Outcome::Streams(outcome)) => Some(outcome),
            _ => None,
        }
    }

    fn nodes(&mut self) -> Vec<NodeId> {
        let mut nodes: Vec<_> = self
            .state
            .topics()
            .brokers()
            .iter()
            .map(|one| one.0)
            .collect();
        for n in 0..nodes.len() {
            let other = self.seeded.below(nodes.len() as u64) as usize;
            nodes.swap(n, other);
        }
        nodes.truncate(1 + self.seeded.below(3) as usize);
        if self.seeded.one_in(20) {
            nodes.push(self.some_node());
        }
        nodes
    }

    fn some_partition(&mut self) -> Option<(Box<str>, PartitionId)> {
        let topics = self.state.topics();
        let count = topics.partitions() as u64;
        let some = self.seeded.below(count);
        let all = topics.iter().flat_map(|(name, topic)| {
            (0..topic.partitions.len() as u32).map(move |n| (Box::from(&**name), PartitionId(n)))
        });
        let mut all = all.collect::<Vec<_>>();
        (count > 0).then(|| all.swap_remove(some as usize))
    }

    fn key(&mut self, name: &str) -> TopicKey {
        let topic = self.state.topics().get(name);
        match topic.filter(|_| self.seeded.one_in(2)) {
            Some(topic) => TopicKey::Id(topic.id),
            None => TopicKey::Name(name.into()),
        }
    }

    fn delete(&mut self) {
        if let Some((name, _)) = self.some_partition() {
            let topic = self.key(&name);
            self.command(StreamsCommand::DeleteTopic { topic });
            assert!(self.state.topics().get(&name).is_none());
        }
    }

    fn add_partitions(&mut self) {
        let Some((name, _)) = self.some_partition() else {
            return;
        };
        let topic = self.key(&name);
        let count = self.seeded.below(9) as u32;
        let assigned = self.seeded.one_in(3).then(|| vec![self.nodes()]);
        let validates_only = self.seeded.one_in(6);
        self.command(StreamsCommand::AddPartitions(AddPartitions {
            topic,
            count,
            assigned,
            validates_only,
        }));
    }

    fn alter(&mut self) {
        let Some((name, _)) = self.some_partition() else {
            return;
        };
        let topic = self.key(&name);
        let (name, value) = [
            ("durability", "replicated"),
            ("durability", "synced"),
            ("unclean.leader.election.enable", "true"),
            ("unclean.leader.election.enable", "false"),
            ("min.insync.replicas", "2"),
            ("min.insync.replicas", "0"),
        ][self.seeded.below(6) as usize];
        let change = match self.seeded.below(3) {
            0 => SettingsChange::Replace(vec![(name.into(), value.into())]),
            1 => SettingsChange::Alter(vec![(name.into(), Alteration::Delete)]),
            _ => SettingsChange::Alter(vec![(name.into(), Alteration::Set(value.into()))]),
        };
        let validates_only = self.seeded.one_in(6);
        self.command(StreamsCommand::AlterSettings(AlterSettings {
            topic,
            change,
            validates_only,
        }));
    }

    /// By a client that writes to the node.
    fn write_settings(&mut self) {
        let Some((name, _)) = self.some_partition() else {
            return;
        };
        let data: &[u8] = match self.seeded.below(3) {
            0 => br#"{"version":1,"config":{"unclean.leader.election.enable":"true"}}"#,
            1 => br#"{"version":1,"config":{}}"#,
            _ => br#"{"version":1,"config":{"retention.ms":"soon"}}"#,
        };
        self.send(Command::Write(Write::SetData {
            path: StreamsNode::Settings(&name).path().into(),
            data: data.into(),
            version: -1,
        }));
    }

    fn change_in_sync(&mut self) {
        let Some((name, n)) = self.some_partition() else {
            return;
        };
        let topic = self.state.topics().get(&name).expect("it was found");
        let (id, partition) = (topic.id, topic.partitions[n.0 as usize].clone());
        let brokers = self.state.topics().brokers();
        // Now and then by somebody who is wrong about something.
        let speaker = match self.seeded.one_in(10) {
            true => partition.replicas[0],
            false => partition.leader.unwrap_or(partition.replicas[0]),
        };
        let life = |node| {
            let life = brokers.life(node);
            life.unwrap_or(BrokerLife {
                node,
                epoch: Zxid(1),
            })
        };
        let leader = life(speaker);
        let mut in_sync: Vec<_> = partition.in_sync.iter().map(|&node| life(node)).collect();
        match self.seeded.below(3) {
            0 => _ = in_sync.pop(),
            1 => in_sync = partition.replicas.iter().map(|&node| life(node)).collect(),
            _ => {
                let lives: Vec<_> = partition.replicas.iter().map(|&node| life(node)).collect();
                in_sync.push(lives[self.seeded.below(lives.len() as u64) as usize]);
                in_sync.sort_unstable();
                in_sync.dedup();
            }
        }
        let slip =
            |seeded: &mut Seeded| i32::from(seeded.one_in(12)) - i32::from(seeded.one_in(24));
        let stale = self.seeded.one_in(8);
        if stale && let Some(last) = in_sync.last_mut() {
            last.epoch = Zxid(last.epoch.0 - 1);
        }
        let change = InSyncChange {
            topic: id,
            partition: n,
            leader_epoch: partition.leader_epoch - slip(&mut self.seeded),
            partition_epoch: partition.epoch - slip(&mut self.seeded),
            in_sync,
        };
        let changes = vec![change];
        self.command(StreamsCommand::ChangeInSync { leader, changes });
    }

    fn elect(&mut self) {
        let election = match self.seeded.one_in(3) {
            true => Election::Unclean,
            false => Election::Preferred,
        };
        let partitions = match self.seeded.one_in(3) {
            true => None,
            false => self.some_partition().map(|one| vec![one]),
        };
        self.command(StreamsCommand::Elect {
            election,
            partitions,
        });
    }

    fn hand_on(&mut self, node: NodeId) {
        let Some(leader) = self.runs.get(&node).and_then(|run| run.life) else {
            return;
        };
        let some = self.some_partition();
        let topics = self.state.topics();
        let named = some.and_then(|(name, n)| Some(vec![(topics.get(&name)?.id, n)]));
        let partitions = named.filter(|_| self.seeded.one_in(2));
        self.command(StreamsCommand::HandOn { leader, partitions });
    }

    fn reassign(&mut self) {
        let Some((topic, partition)) = self.some_partition() else {
            return;
        };
        let target = (!self.seeded.one_in(4)).then(|| self.nodes());
        let moves = vec![Reassignment {
            topic,
            partition,
            target,
        }];
        self.command(StreamsCommand::Reassign { moves });
    }

    fn draw(&mut self, node: NodeId) {
        let Some(broker) = self.runs.get(&node).and_then(|run| run.life) else {
            return;
        };
        self.command(StreamsCommand::DrawProducerIds { broker });
    }

    fn change_members(&mut self, node: NodeId) {
        let is_member = self.state.members().get(node).is_some();
        let count = self.state.members().iter().count();
        match self.seeded.below(3) {
            0 if count > 1 => {
                self.send(Command::Members(MemberCommand::Remove { node }));
            }
            1 if count > 1 && is_member && !self.runs.contains_key(&node) => {
                self.admit(Some(node));
            }
            _ if count < 6 => self.admit(None),
            _ => {}
        }
        let members = self.state.members();
        self.runs.retain(|node, _| members.get(*node).is_some());
    }

    /// Goes on from a snapshot.
    fn again(&mut self) {
        let digest = self.state.digest();
        let mut loader = Loader::knowing(9);
        self.state.begin_walk();
        while let Some(frame) = self.state.walk_slice(7) {
            loader.frame(&frame).expect("our own frames");
        }
        let state = loader.finish().expect("our own snapshot");
        assert_eq!(state.digest(), digest);
        assert_eq!(state.topics(), self.state.topics());
        self.state = state;
    }
}

impl Seen {
    fn note(&mut self, old: &Partition, new: &Partition) {
        let (before, after) = (old.in_sync.len(), new.in_sync.len());
        self.moved += u64::from(old.leader != new.leader && new.leader.is_some());
        self.shrunk += u64::from(after < before);
        self.grown += u64::from(after > before);
        self.leaderless += u64::from(old.leader.is_some() && new.leader.is_none());
        self.lost += u64::from(!old.is_lost && new.is_lost);
        self.unclean += u64::from(old.is_lost && !new.is_lost);
        self.reassigned += u64::from(old.is_reassigned() && !new.is_reassigned());
    }
}

fn disk_of(topics: &Topics, node: NodeId) -> Uid {
    topics
        .brokers()
        .get(node)
        .map(|one| one.disk)
        .unwrap_or_default()
}

fn member(node: u64) -> Member {
    Member {
        node: NodeId(node),
        role: Role::Voter,
        control: "10.0.0.1:7300".into(),
        bulk: "10.0.0.1:7301".into(),
        doors: Vec::new(),
        certificate: node,
    }
}

/// What holds of a partition at any time.
fn check_standing(name: &str, partition: &Partition, topics: &Topics) {
    let Partition {
        leader,
        replicas,
        in_sync,
        adding,
        removing,
        is_lost,
        ..
    } = partition;
    let holds = |nodes: &[NodeId]| nodes.iter().all(|node| replicas.contains(node));
    assert!(!in_sync.is_empty(), "{name}: nobody is in sync");
    assert!(holds(in_sync), "{name}: who is in sync is a replica");
    assert!(in_sync.is_sorted_by(|a, b| a < b), "{name}: {in_sync:?}");
    assert!(holds(adding) && holds(removing), "{name}: {partition:?}");
    assert!(!adding.iter().any(|node| removing.contains(node)));
    let distinct: BTreeSet<_> = replicas.iter().collect();
    assert_eq!(distinct.len(), replicas.len(), "{name}: {replicas:?}");
    assert!(partition.target().count() > 0);
    if let Some(leader) = leader {
        assert!(in_sync.contains(leader), "{name}: the leader is in sync");
        assert!(topics.brokers().is_up(*leader), "{name}: the leader is up");
        assert!(!is_lost, "{name}: a lost partition has no leader");
    } else if !is_lost {
        let mut up = in_sync.iter().filter(|node| topics.brokers().is_up(**node));
        assert_eq!(
            up.next(),
            None,
            "{name}: one who may lead is up and does not"
        );
    }
    assert!(!is_lost || in_sync.len() == 1);
}

/// What holds from one step to the next.
fn check_step(name: &str, old: &Partition, new: &Partition, before: &Topics, command: &Command) {
    if old == new {
        return;
    }
    assert!(
        new.epoch > old.epoch,
        "{name}: a change without a new epoch"
    );
    assert!(new.leader_epoch >= old.leader_epoch);
    if new.leader != old.leader {
        assert!(
            new.leader_epoch > old.leader_epoch,
            "{name}: {old:?} {new:?}"
        );
    }
    for &node in &new.replicas {
        let held = old.replicas.contains(&node);
        let is_as_before = held && new.since(node) == old.since(node);
        // It may go and come in one command, which are two changes.
        let may_be_new = !held || new.epoch > old.epoch + 1;
        let is_new = may_be_new && (old.epoch + 1..=new.epoch).contains(&new.since(node));
        assert!(is_as_before || is_new, "{name}: {old:?} {new:?}");
    }
    let mut left = old
        .in_sync
        .iter()
        .filter(|node| !new.in_sync.contains(node));
    let Some(left_first) = left.next() else {
        return;
    };
    // By its leader's word, by the loss of a member, by who asks for it, or
    // because a reassignment or an unclean election has come to its end.
    let is_by_word = match command {
        Command::Streams(StreamsCommand::ChangeInSync { leader, .. }) => {
            old.leader == Some(leader.node)
        }
        Command::Streams(StreamsCommand::HandOn { leader, .. }) => {
            old.leader == Some(leader.node) && old.removing.contains(&leader.node)
        }
        Command::Streams(StreamsCommand::Announce(_)) => true,
        Command::Streams(StreamsCommand::Reassign { .. }) => true,
        Command::Streams(
            StreamsCommand::Elect {
                election: Election::Unclean,
                ..
            }
            | StreamsCommand::AlterSettings(_),
        ) => old.leader.is_none(),
        Command::Write(_) => old.leader.is_none(),
        Command::CloseSession | Command::ExpireSession { .. } | Command::Members(_) => true,
        _ => false,
    };
    assert!(is_by_word, "{name}: {left_first} left by {command:?}");
    let is_of_loss = matches!(
        command,
        Command::CloseSession | Command::ExpireSession { .. }
    );
    let was_allowed = |topic: &Topic| topic.settings.may_elect_uncleanly();
    let may = before.get(name).is_some_and(was_allowed);
    // A move that waited for its leader may come to its end with it.
    let is_move_over = !old.removing.is_empty() && new.removing.is_empty();
    if is_of_loss && !may && !is_move_over {
        assert!(
            left.next().is_none(),
            "{name}: one is lost and two have left"
        );
    }
}

/// Follows who surely has all that is acknowledged, by disks: joins by their
/// leader's word, leaves with the set, is never elected but from among these,
/// unless somebody asked for it.
fn follow(
    old: &Partition,
    new: &Partition,
    topic: &Topic,
    topics: &Topics,
    whole: &mut BTreeSet<(NodeId, Uid)>,
    command: &Command,
) {
    if let Command::Streams(StreamsCommand::ChangeInSync { changes, .. }) = command
        && changes[0].topic == topic.id
        && topic.partition(changes[0].partition) == Some(new)
        && old != new
    {
        let epochs = (changes[0].leader_epoch, changes[0].partition_epoch);
        assert_eq!(
            epochs,
            (old.leader_epoch, old.epoch),
            "a fenced leader was heard"
        );
        for life in &changes[0].in_sync {
            let joins = !old.in_sync.contains(&life.node);
            let is_up = topics.brokers().life(life.node) == Some(*life);
            assert!(!joins || is_up, "{life:?} has joined");
            whole.insert((life.node, disk_of(topics, life.node)));
        }
    }
    let asked = matches!(
        command,
        Command::Streams(StreamsCommand::Elect {
            election: Election::Unclean,
            ..
        })
    );
    let is_unclean = (asked || topic.settings.may_elect_uncleanly())
        && new.in_sync.len() == 1
        && new.leader.is_some()
        && new.leader_epoch != old.leader_epoch;
    if let Some(leader) = new.leader
        && new.leader_epoch != old.leader_epoch
        && !is_unclean
    {
        let disk = disk_of(topics, leader);
        assert!(
            whole.contains(&(leader, disk)),
            "{leader} was elected on {disk} by {command:?}: {old:?}, {new:?}, {whole:?}"
        );
    }
    if is_unclean {
        whole.clear();
        let in_sync = new.in_sync.iter();
        whole.extend(in_sync.map(|&node| (node, disk_of(topics, node))));
    }
    whole.retain(|(node, _)| new.in_sync.contains(node));
}

/// Whoever watches the node of a partition hears of every change.
fn check_told(before: &Topics, now: &Topics, told: &BTreeSet<&str>) {
    for (name, topic) in now.iter() {
        let old = before.by_id(topic.id).map(|(_, old)| old);
        for (n, partition) in (0..).zip(&topic.partitions) {
            let old = old.and_then(|old| old.partition(PartitionId(n)));
            let path = StreamsNode::Partition(name, PartitionId(n)).path();
            let has_changed = old != Some(partition);
            assert_eq!(told.contains(&*path), has_changed, "{path}");
        }
    }
}

fn seeds() -> std::ops::RangeInclusive<u64> {
    let one = std::env::var("DOLMEN_SEED").ok();
    match one.and_then(|seed| seed.parse().ok()) {
        Some(seed) => seed..=seed,
        None if full() => 1..=2000,
        None => 1..=60,
    }
}

fn play(seed: u64) -> Seen {
    let mut history = History::new(seed);
    for _ in 0..400 {
        history.step();
    }
    history.seen
}

#[test]
fn the_rules_hold_in_random_histories() {
    let mut all = Seen::default();
    for seed in seeds() {
        let played = std::panic::catch_unwind(|| play(seed));
        let seen = played.unwrap_or_else(|_| {
            panic!("DOLMEN_SEED={seed} cargo test state::histories");
        });
        all.moved += seen.moved;
        all.shrunk += seen.shrunk;
        all.grown += seen.grown;
        all.leaderless += seen.leaderless;
        all.lost += seen.lost;
        all.unclean += seen.unclean;
        all.reassigned += seen.reassigned;
        all.refused.extend(seen.refused);
    }
    println!("{all:?}");
    if std::env::var_os("DOLMEN_SEED").is_none() {
        let least = [
            all.moved,
            all.shrunk,
            all.grown,
            all.leaderless,
            all.lost,
            all.unclean,
            all.reassigned,
        ];
        assert!(least.iter().all(|&count| count > 20), "{all:?}");
        assert!(all.refused.len() > 15, "{all:?}");
    }
}

/// A seed for each planted fault.
#[cfg(debug_assertions)]
const KNOWN: &[(Fault, u64)] = &[
    (Fault::InSyncEmptied, 0),
    (Fault::LaggardElected, 0),
    (Fault::LeaderEpochKept, 0),
    (Fault::PartitionEpochKept, 0),
    (Fault::StaleDiskTrusted, 0),
    (Fault::StaleLifeTrusted, 1),
    (Fault::FencedLeaderHeard, 2),
    (Fault::LostLeaderKept, 0),
    (Fault::SettingsNotHeeded, 0),
];

#[cfg(debug_assertions)]
#[test]
fn every_planted_fault_of_streams_is_caught() {
    hunt(Fault::STREAMS, KNOWN, |seed| {
        play(seed);
        Ok(())
    });
}
