//! Brokers that join and leave a site, and how little moves for them.

use dolmen::clock::Millis;
use dolmen::ids::{NodeId, PartitionId, SessionId, TopicId, Uid};
use dolmen::limits::INTERNAL_WIDENED_MAX;
use dolmen::state::placement::{self, Proposal};
use dolmen::state::topics::{
    AlterSettings, Announce, CreateTopic, Election, InSyncChange, Kept, Layout, Listener,
    Reassignment, Security, SettingsChange, TopicKey, Topics,
};
use dolmen::state::{
    Command, Member, MemberCommand, MemberOutcome, OpenSession, Outcome, Role, State,
    StreamsCommand, StreamsOutcome, StreamsRefused, Submission,
};
use std::collections::BTreeMap;

/// A state with brokers, without a history of failures.
pub struct Site {
    pub state: State,
    tags: u64,
    sessions: BTreeMap<u64, SessionId>,
}

type Replicas = BTreeMap<(String, u32), Vec<NodeId>>;

impl Site {
    /// Brokers 1 to n, all up.
    pub fn of(brokers: u64) -> Self {
        let mut site = Self {
            state: State::new(Uid([1; 16])),
            tags: 0,
            sessions: BTreeMap::new(),
        };
        site.members(MemberCommand::Found(Member {
            node: NodeId(1),
            role: Role::Voter,
            control: "a:1".into(),
            bulk: "a:2".into(),
            doors: Vec::new(),
            certificate: 1,
        }));
        for _ in 1..brokers {
            site.join();
        }
        for node in 1..=brokers {
            site.start(node);
        }
        site
    }

    fn submit(&mut self, session: SessionId, command: Command) -> Outcome {
        self.tags += 1;
        let sequence = self
            .state
            .session(session)
            .map_or(0, |one| one.sequence + 1);
        let submission = Submission {
            origin: NodeId(1),
            tag: self.tags,
            session,
            connection: u32::from(session.0 > 0),
            sequence,
            who: Vec::new(),
            command,
        };
        let applied = self.state.apply(Millis(1), &submission, &mut Vec::new());
        applied.outcome.unwrap()
    }

    fn members(&mut self, command: MemberCommand) -> MemberOutcome {
        match self.submit(SessionId(0), Command::Members(command)) {
            Outcome::Members(outcome) => outcome,
            other => panic!("{other:?}"),
        }
    }

    fn command(&mut self, command: StreamsCommand) -> StreamsOutcome {
        match self.submit(SessionId(0), Command::Streams(command)) {
            Outcome::Streams(outcome) => outcome,
            other => panic!("{other:?}"),
        }
    }

    /// A new member; gives its number.
    pub fn join(&mut self) -> u64 {
        self.tags += 1;
        let id = self.tags.to_le_bytes();
        self.members(MemberCommand::CreateToken {
            id,
            secret_hash: [1; 32],
            role: Role::Learner,
            until: Millis(u64::MAX),
        });
        let admitted = self.members(MemberCommand::Admit {
            token: id,
            secret_hash: [1; 32],
            public_key: id.into(),
            control: "a:1".into(),
            bulk: "a:2".into(),
            in_place_of: None,
            features: 9,
        });
        match admitted {
            MemberOutcome::Admitted { node, .. } => node.0,
            other => panic!("{other:?}"),
        }
    }

    pub fn start(&mut self, node: u64) {
        self.tags += 1;
        let session = SessionId(self.tags);
        self.submit(
            SessionId(0),
            Command::OpenSession(OpenSession {
                session,
                password: [0; 16],
                timeout_ms: 10_000,
            }),
        );
        self.sessions.insert(node, session);
        let announce = Announce {
            node: NodeId(node),
            disk: Uid([node as u8; 16]),
            kept: Kept::All,
            listeners: vec![Listener {
                name: "PLAINTEXT".into(),
                security: Security::Plaintext,
                host: format!("10.0.0.{node}").into(),
                port: 9092,
            }],
            rack: None,
        };
        let announce = Command::Streams(StreamsCommand::Announce(announce));
        let announced = self.submit(session, announce);
        let is_up = matches!(announced, Outcome::Streams(StreamsOutcome::Announced(_)));
        assert!(is_up, "{announced:?}");
    }

    pub fn stop(&mut self, node: u64) {
        let session = self.sessions.remove(&node).expect("it runs");
        self.submit(session, Command::CloseSession);
    }

    pub fn remove(&mut self, node: u64) {
        let node = NodeId(node);
        let removed = self.members(MemberCommand::Remove { node });
        assert_eq!(removed, MemberOutcome::Done);
    }

    pub fn create(
        &mut self,
        name: &str,
        partitions: u32,
        factor: u16,
    ) -> Result<(), StreamsRefused> {
        self.tags += 1;
        let create = CreateTopic {
            name: name.into(),
            id: TopicId((u128::from(self.tags) << 64).to_be_bytes()),
            layout: Layout::Spread {
                partitions: Some(partitions),
                factor: Some(factor),
            },
            settings: Vec::new(),
            validates_only: false,
        };
        match self.command(StreamsCommand::CreateTopic(create)) {
            StreamsOutcome::Created { .. } => Ok(()),
            StreamsOutcome::Refused(refused) => Err(refused),
            other => panic!("{other:?}"),
        }
    }

    pub fn set(&mut self, name: &str, setting: &str, value: &str) {
        let altered = self.command(StreamsCommand::AlterSettings(AlterSettings {
            topic: TopicKey::Name(name.into()),
            change: SettingsChange::Replace(vec![(setting.into(), value.into())]),
            validates_only: false,
        }));
        assert_eq!(altered, StreamsOutcome::Altered);
    }

    pub fn delete(&mut self, name: &str) {
        let topic = TopicKey::Name(name.into());
        let deleted = self.command(StreamsCommand::DeleteTopic { topic });
        assert!(matches!(deleted, StreamsOutcome::Deleted { .. }));
    }

    pub fn elect_preferred(&mut self) {
        self.command(StreamsCommand::Elect {
            election: Election::Preferred,
            partitions: None,
        });
        self.hand_on();
    }

    /// Every leader that is called off hands on.
    fn hand_on(&mut self) {
        let topics = self.state.topics();
        let is_up = |node| topics.brokers().is_up(node);
        let mut by_leader: BTreeMap<_, Vec<(TopicId, PartitionId)>> = BTreeMap::new();
        for (_, topic) in topics.iter() {
            for (n, partition) in (0..).map(PartitionId).zip(&topic.partitions) {
                let leader = partition
                    .leader
                    .and_then(|node| topics.brokers().life(node));
                if let Some(leader) = leader
                    && partition.is_to_be_handed_on(topic.floor(), &is_up)
                {
                    by_leader.entry(leader).or_default().push((topic.id, n));
                }
            }
        }
        for (leader, all) in by_leader {
            for some in all.chunks(1000) {
                let partitions = Some(some.to_vec());
                self.command(StreamsCommand::HandOn { leader, partitions });
            }
        }
    }

    /// Every leader says that all who are up have caught up.
    pub fn all_in_sync(&mut self) {
        let topics = self.state.topics();
        let brokers = topics.brokers();
        let mut by_leader: BTreeMap<_, Vec<InSyncChange>> = BTreeMap::new();
        for (_, topic) in topics.iter() {
            for (n, partition) in (0..).map(PartitionId).zip(&topic.partitions) {
                let lives = partition.replicas.iter();
                let change = InSyncChange {
                    topic: topic.id,
                    partition: n,
                    leader_epoch: partition.leader_epoch,
                    partition_epoch: partition.epoch,
                    in_sync: lives.filter_map(|&node| brokers.life(node)).collect(),
                };
                let leader = partition.leader.and_then(|node| brokers.life(node));
                by_leader
                    .entry(leader.expect("somebody leads"))
                    .or_default()
                    .push(change);
            }
        }
        for (leader, changes) in by_leader {
            for changes in changes.chunks(1000) {
                let changes = changes.to_vec();
                self.command(StreamsCommand::ChangeInSync { leader, changes });
            }
        }
    }

    pub fn carry_out(&mut self, proposals: Vec<Proposal>) {
        let moves = proposals.into_iter().map(|one| Reassignment {
            topic: one.topic,
            partition: one.partition,
            target: Some(one.target),
        });
        let moves = moves.collect();
        let StreamsOutcome::Each(each) = self.command(StreamsCommand::Reassign { moves }) else {
            panic!("one for each");
        };
        assert!(each.iter().all(Result::is_ok), "{each:?}");
        self.all_in_sync();
        self.hand_on();
    }

    fn replicas(&self) -> Replicas {
        let topics = self.state.topics().iter();
        let all = topics.flat_map(|(name, topic)| {
            let partitions = (0..).zip(&topic.partitions);
            partitions.map(|(n, one)| ((name.to_string(), n), one.replicas.clone()))
        });
        all.collect()
    }

    /// How many replicas the fullest broker has more than the emptiest.
    fn apart(&self) -> usize {
        let topics: &Topics = self.state.topics();
        let mut held: BTreeMap<_, usize> =
            topics.brokers().iter().map(|(node, _)| (node, 0)).collect();
        for node in self.replicas().values().flatten() {
            *held.entry(*node).or_default() += 1;
        }
        held.values().max().unwrap() - held.values().min().unwrap()
    }
}

/// One node is left, and goes on by itself though the sessions of the others,
/// which nobody could end, are still there.
#[test]
fn one_that_is_left_goes_on_without_the_others() {
    let mut site = Site::of(3);
    site.create("a", 3, 3).unwrap();
    site.create("b", 3, 1).unwrap();
    site.remove(2);
    site.remove(3);
    let topics = site.state.topics();
    assert_eq!(topics.brokers().count(), 1);
    let led = |name| {
        let partitions = &topics.get(name).unwrap().partitions;
        partitions
            .iter()
            .filter(|one| one.leader == Some(NodeId(1)))
            .count()
    };
    assert_eq!((led("a"), led("b")), (3, 1));
    let lost = topics.get("b").unwrap().partitions.iter();
    assert_eq!(lost.filter(|one| one.is_lost).count(), 2);
    assert_eq!(site.state.topics_anew().as_ref(), Ok(topics));
}

/// Partitions of which the replicas differ, and how many replicas do.
fn moved(before: &Replicas, after: &Replicas) -> (usize, usize) {
    let (mut partitions, mut replicas) = (0, 0);
    for (at, old) in before {
        let new = after[at].iter().filter(|node| !old.contains(node)).count();
        partitions += usize::from(new > 0);
        replicas += new;
    }
    (partitions, replicas)
}

fn busy(brokers: u64) -> Site {
    let mut site = Site::of(brokers);
    for (name, partitions, factor) in [("a", 12, 3), ("b", 30, 2), ("c", 7, 1), ("d", 1, 3)] {
        site.create(name, partitions, factor).unwrap();
    }
    site
}

#[test]
fn a_broker_that_joins_is_given_its_share_and_nothing_else_moves() {
    let mut site = busy(4);
    let before = site.replicas();
    let joined = site.join();
    site.start(joined);
    assert_eq!(site.replicas(), before, "nothing moves by itself");
    let proposals = placement::balance(site.state.topics());
    site.carry_out(proposals);
    let after = site.replicas();
    let all = before.values().map(Vec::len).sum::<usize>();
    let (_, replicas) = moved(&before, &after);
    assert_eq!(replicas, all / 5, "its share of {all}");
    for (at, new) in &after {
        let mut gained = new.iter().filter(|node| !before[at].contains(node));
        assert!(gained.all(|node| node.0 == joined), "{at:?} {new:?}");
    }
    assert!(site.apart() <= 1);
    assert_eq!(placement::balance(site.state.topics()), []);
}

#[test]
fn what_a_member_held_goes_to_others_evenly_and_nothing_else_moves() {
    let mut site = busy(5);
    // The only copies: without them a node that is up may go.
    site.delete("c");
    let before = site.replicas();
    site.stop(3);
    site.remove(3);
    let after = site.replicas();
    let gone = NodeId(3);
    let held = before
        .values()
        .filter(|nodes| nodes.contains(&gone))
        .count();
    assert_eq!(moved(&before, &after), (held, held));
    assert!(after.values().all(|nodes| !nodes.contains(&gone)));
    assert!(site.apart() <= 2, "{}", site.apart());
    site.all_in_sync();
    let topics = site.state.topics();
    let mut partitions = topics.iter().flat_map(|(_, topic)| &topic.partitions);
    assert!(partitions.all(|one| one.in_sync.len() == one.replicas.len()));
}

#[test]
fn a_place_that_nobody_can_take_is_kept_for_who_comes_next() {
    let mut site = Site::of(3);
    site.create("a", 9, 3).unwrap();
    let before = site.replicas();
    site.stop(2);
    site.remove(2);
    assert_eq!(site.replicas(), before, "there is nobody else");
    let joined = site.join();
    site.start(joined);
    for (at, nodes) in site.replicas() {
        let expected = before[&at].iter().map(|&node| match node {
            NodeId(2) => NodeId(joined),
            other => other,
        });
        assert!(nodes.iter().copied().eq(expected), "{at:?} {nodes:?}");
    }
}

/// A machine that is dead may hold the only copy there is.
#[test]
fn a_broker_that_is_down_is_asked_about_too() {
    let mut site = busy(3);
    let only = |site: &Site, node| {
        let only = site.state.topics().only_copies(NodeId(node));
        only.map(|(_, topic)| topic.to_string())
    };
    let holds_alone = (1..=3).find(|&node| only(&site, node).is_some());
    let node = holds_alone.expect("c has one replica of each partition");
    assert_eq!(only(&site, node).as_deref(), Some("c"));
    site.stop(node);
    assert_eq!(only(&site, node).as_deref(), Some("c"));
    // Of what others have as well, nothing.
    let topics = site.state.topics();
    let alone = topics.get("c").unwrap().partitions.iter();
    let alone = alone.filter(|one| one.in_sync == [NodeId(node)]).count();
    assert_eq!(topics.only_copies(NodeId(node)).unwrap().0, alone);
}

#[test]
fn a_drained_broker_holds_nothing_and_may_go_while_it_is_up() {
    let mut site = busy(5);
    let node = NodeId(3);
    let only = site.state.topics().only_copies(node);
    assert!(
        matches!(&only, Some((1..=2, topic)) if &**topic == "c"),
        "{only:?}"
    );
    let before = site.replicas();
    let proposals = placement::drain(site.state.topics(), node);
    site.carry_out(proposals);
    let after = site.replicas();
    let held = before
        .values()
        .filter(|nodes| nodes.contains(&node))
        .count();
    assert_eq!(moved(&before, &after), (held, held));
    assert!(after.values().all(|nodes| !nodes.contains(&node)));
    assert_eq!(site.state.topics().only_copies(node), None);
    site.remove(3);
    assert_eq!(site.replicas(), after);
}

#[test]
fn a_topic_of_one_box_is_widened_when_others_have_joined() {
    let mut site = Site::of(1);
    site.create("a", 9, 1).unwrap();
    for _ in 0..2 {
        let joined = site.join();
        site.start(joined);
    }
    let before = site.replicas();
    let proposals = placement::widen(site.state.topics(), "a", 2);
    site.carry_out(proposals);
    let after = site.replicas();
    assert_eq!(moved(&before, &after), (9, 9));
    assert!(
        after
            .values()
            .all(|nodes| nodes.len() == 2 && nodes[0] == NodeId(1))
    );
    assert_eq!(placement::widen(site.state.topics(), "a", 2), []);
    let proposals = placement::widen(site.state.topics(), "a", 9);
    site.carry_out(proposals);
    assert!(site.replicas().values().all(|nodes| nodes.len() == 3));
    let led = site.state.topics().get("a").unwrap().partitions.iter();
    assert!(
        led.clone()
            .all(|one| one.in_sync.len() == 3 && one.leader.is_some())
    );
}

/// Those of the brokers' own topics to which somebody is being added.
fn under_way(site: &Site) -> usize {
    let topics = site.state.topics().iter();
    let all = topics.flat_map(|(_, topic)| &topic.partitions);
    all.filter(|one| !one.adding.is_empty()).count()
}

/// Lets all catch up until nothing more is begun. Gives the rounds that it took.
fn widen_on(site: &mut Site) -> usize {
    let mut rounds = 0;
    while under_way(site) > 0 {
        assert!(under_way(site) <= INTERNAL_WIDENED_MAX, "a site is flooded");
        site.all_in_sync();
        rounds += 1;
        assert!(rounds < 100, "it never ends");
    }
    rounds
}

fn check_factor(site: &Site, name: &str, factor: usize) {
    for partition in &site.state.topics().get(name).unwrap().partitions {
        assert_eq!(partition.replicas.len(), factor, "{name}");
        assert_eq!(partition.in_sync.len(), factor, "{name}");
        assert_eq!(partition.replicas[0], NodeId(1), "who has led goes on");
        let leads = (partition.leader, partition.leader_epoch);
        assert_eq!(leads, (Some(NodeId(1)), 0), "{name}");
    }
}

#[test]
fn what_the_first_node_made_for_all_is_widened_when_others_join() {
    const OWN: [&str; 2] = ["__consumer_offsets", "__transaction_state"];
    let mut site = Site::of(1);
    for name in OWN {
        site.create(name, 16, 1).unwrap();
    }
    site.create("orders", 3, 1).unwrap();
    for factor in [2, 3, 3] {
        let joined = site.join();
        assert_eq!(under_way(&site), 0, "it is a member, and no broker yet");
        site.start(joined);
        let begun = if factor as u64 == joined {
            INTERNAL_WIDENED_MAX
        } else {
            0
        };
        assert_eq!(under_way(&site), begun);
        let rounds = widen_on(&mut site);
        assert_eq!(rounds, 2 * 16 * begun / INTERNAL_WIDENED_MAX.pow(2));
        for name in OWN {
            check_factor(&site, name, factor);
        }
        check_factor(&site, "orders", 1);
    }
    let before = site.replicas();
    // Who comes and goes changes nothing any more.
    for node in [2, 4] {
        site.stop(node);
        site.start(node);
        site.all_in_sync();
    }
    assert_eq!(site.replicas(), before);
    assert_eq!(site.state.topics_anew().as_ref(), Ok(site.state.topics()));
    // Without the first, others keep its groups.
    site.stop(1);
    for name in OWN {
        let mut partitions = site.state.topics().get(name).unwrap().partitions.iter();
        assert!(partitions.all(|one| one.leader.is_some_and(|node| node.0 > 1)));
    }
}

#[test]
fn who_went_away_while_it_was_added_holds_up_no_other_partition() {
    let mut site = Site::of(1);
    site.create("__consumer_offsets", 16, 1).unwrap();
    let (two, three) = (site.join(), site.join());
    site.start(two);
    site.start(three);
    // The first have caught up, and the next are to have three.
    site.all_in_sync();
    site.stop(three);
    widen_up(&mut site);
    assert_eq!(under_way(&site), INTERNAL_WIDENED_MAX, "they wait for it");
    let partitions = &site
        .state
        .topics()
        .get("__consumer_offsets")
        .unwrap()
        .partitions;
    let on_two = partitions
        .iter()
        .filter(|one| one.in_sync.contains(&NodeId(two)));
    assert_eq!(on_two.count(), 16);
    site.start(three);
    widen_on(&mut site);
    check_factor(&site, "__consumer_offsets", 3);
}

/// The same of those who are up: some wait for who is down.
fn widen_up(site: &mut Site) {
    for _ in 0..16 {
        site.all_in_sync();
    }
}

#[test]
fn a_drain_of_whom_nobody_can_replace_proposes_nothing() {
    let mut site = Site::of(3);
    site.create("a", 3, 3).unwrap();
    assert_eq!(placement::drain(site.state.topics(), NodeId(1)), []);
}

#[test]
fn there_are_bounds_on_topics_and_partitions() {
    let mut site = Site::of(1);
    let too_many = site.create("a", 1001, 1);
    assert_eq!(
        too_many,
        Err(StreamsRefused::PartitionsPerTopicMax { asked: 1001 })
    );
    for n in 0..10 {
        site.create(&format!("t{n}"), 1000, 1).unwrap();
    }
    let too_many = site.create("a", 1, 1);
    assert_eq!(
        too_many,
        Err(StreamsRefused::PartitionsMax { asked: 10_001 })
    );
    site.delete("t3");
    site.create("a", 1000, 1).unwrap();
    assert_eq!(site.state.topics().partitions(), 10_000);
    assert_eq!(site.state.topics_anew().as_ref(), Ok(site.state.topics()));
}
