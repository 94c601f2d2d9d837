//! The world around a coordinator: a log with a disk that takes its time,
//! clients, a clock, and a node that may be lost at any moment.

use super::classic::ClassicClient;
use super::consumer::ConsumerClient;
use super::promises::Promises;
use super::transactions::Producer;
use dolmen::clock::Millis;
use dolmen::entropy::Seeded;
use dolmen::ids::Uid;
use dolmen::streams::groups::request::*;
use dolmen::streams::groups::{Catalog, Coordinator, Effect, Error, Name, Now, Settings, Topic};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

pub(super) const GROUPS: [&str; 3] = ["classic", "consumer", "either"];
const CLIENTS_MAX: usize = 9;
const WALL: u64 = 1_767_225_600_000;

pub(super) type Record = (Vec<u8>, Option<Vec<u8>>);
pub(super) type Answer = Result<Reply, Error>;

pub(super) enum Client {
    Classic(ClassicClient),
    Consumer(ConsumerClient),
}

/// What a client has asked and not heard of.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub token: Token,
    pub at: Duration,
}

pub(super) struct World {
    pub chance: Seeded,
    pub now: Duration,
    pub catalog: Arc<Catalog>,
    pub promises: Promises,
    machine: Coordinator,
    log: Vec<Record>,
    /// Batches that are not durable yet.
    unsynced: VecDeque<(Vec<Record>, u64)>,
    clients: BTreeMap<u64, Client>,
    producers: Vec<Producer>,
    /// Every request that has no answer yet.
    unanswered: BTreeSet<Token>,
    /// Doors whose commit the transaction's coordinator has let in, and the
    /// requests that they were heard as before: they offer it again.
    doors: Vec<(Token, CommitInTransaction)>,
    /// Answers on their way.
    mail: VecDeque<(Token, Answer)>,
    /// Patterns that nobody has resolved yet.
    unresolved: VecDeque<(Name, Name)>,
    tokens: u64,
    names: u64,
    violation: Option<String>,
    /// Nothing new befalls anybody.
    is_calm: bool,
}

pub(super) fn settings() -> Settings {
    Settings {
        consumer_session_ms: 10_000,
        consumer_heartbeat_ms: 1_000,
        // What is vacant stays: its generations are not to be counted anew.
        sweep_every_ms: 24 * 60 * 60 * 1000,
        ..Settings::default()
    }
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut world = Self {
            chance: Seeded::new(seed),
            now: Duration::from_secs(1),
            catalog: Arc::default(),
            promises: Promises::default(),
            machine: Coordinator::new(settings()),
            log: Vec::new(),
            unsynced: VecDeque::new(),
            clients: BTreeMap::new(),
            producers: (0..2).map(Producer::new).collect(),
            unanswered: BTreeSet::new(),
            doors: Vec::new(),
            mail: VecDeque::new(),
            unresolved: VecDeque::new(),
            tokens: 0,
            names: 0,
            violation: None,
            is_calm: false,
        };
        world.change_topics();
        world.machine.gain(world.catalog.clone());
        world.machine.serve(world.at());
        world
    }

    fn at(&self) -> Now {
        Now {
            since: self.now,
            wall: Millis(WALL + self.now.as_millis() as u64),
        }
    }

    pub(super) fn wrong(&mut self, what: String) {
        self.violation.get_or_insert(what);
    }

    pub(super) fn step(&mut self) {
        match self.chance.below(100) {
            0..=1 => self.crash(),
            2..=4 => self.start_client(),
            5..=6 => self.end_client(),
            7 => self.change_topics_heard(),
            8 => self.operate(),
            10..=11 => self.resolve_all(),
            40..=44 => self.go_through_door(),
            9 => self.ask_all(),
            12..=24 => self.pass_time(),
            25..=39 => self.sync_disk(),
            45..=49 => self.act_producer(),
            50..=69 => self.deliver(),
            _ => self.act_client(),
        }
        self.follow();
    }

    pub(super) fn check(&mut self) -> Result<(), String> {
        if let Some(violation) = self.violation.take() {
            return Err(violation);
        }
        self.check_readers()
    }

    /// No partition has two readers at once, as far as they are still in time
    /// to be members.
    fn check_readers(&self) -> Result<(), String> {
        for group in GROUPS {
            let mut readers = BTreeMap::new();
            for client in self.clients.values() {
                let Client::Consumer(client) = client else {
                    continue;
                };
                if &*client.group != group || !client.is_in_time(self.now) {
                    continue;
                }
                for partition in client.owned.iter() {
                    if let Some(other) = readers.insert(*partition, &client.member) {
                        let me = &client.member;
                        return Err(format!(
                            "a partition has two readers at once: {partition:?} of {group} is read by {other} and {me}"
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    /// Everybody who is alive goes on asking, and nothing else happens.
    pub(super) fn calm_down(&mut self) -> Result<(), String> {
        self.is_calm = true;
        for client in self.clients.values_mut() {
            match client {
                Client::Classic(client) => client.is_paused = false,
                Client::Consumer(client) => client.is_paused = false,
            }
        }
        for _ in 0..500 {
            self.now += Duration::from_millis(200);
            self.machine.tick(self.at());
            self.follow();
            for id in self.clients.keys().copied().collect::<Vec<_>>() {
                self.act(id);
                self.follow();
                self.sync_all();
                self.deliver_all();
                self.resolve_all();
            }
            self.check()?;
        }
        for at in 0..self.producers.len() {
            self.act_producer_at(at, true);
        }
        self.check_settled()
    }

    /// A rebalance ends when all live members go on asking: they are of one
    /// generation, and what is there is read.
    fn check_settled(&self) -> Result<(), String> {
        for group in GROUPS {
            let mut generations = BTreeSet::new();
            let mut classic = BTreeSet::new();
            let mut is_classic = false;
            let mut read = BTreeSet::new();
            let mut wanted = BTreeSet::new();
            for client in self.clients.values() {
                match client {
                    Client::Classic(client) if &*client.group == group => {
                        is_classic = true;
                        generations.insert(client.settled_generation());
                        classic.extend(client.owned.iter().copied());
                    }
                    Client::Consumer(client) if &*client.group == group => {
                        generations.insert(Some(client.epoch).filter(|epoch| *epoch > 0));
                        read.extend(client.owned.iter().copied());
                        for name in &client.topics {
                            if let Some(topic) = self.catalog.topics.get(name) {
                                let count = topic.partitions as i32;
                                wanted.extend((0..count).map(|number| (topic.id, number)));
                            }
                        }
                    }
                    _ => {}
                }
            }
            if generations.len() > 1 || generations.contains(&None) {
                return Err(format!(
                    "a rebalance does not end: {group} in {generations:?}"
                ));
            }
            if read != wanted || is_classic && classic != super::classic::SLOTS.collect() {
                let count = (read.len(), wanted.len(), classic.len());
                return Err(format!("nobody reads what is there: {group} {count:?}"));
            }
        }
        Ok(())
    }

    /// Every request gets exactly one answer: when the coordinator goes, the
    /// last of them at the latest.
    pub(super) fn end(&mut self) -> Result<(), String> {
        self.machine.lose();
        self.follow();
        if let Some(token) = self.unanswered.first() {
            return Err(format!("a request has no answer: {token:?}"));
        }
        self.check()
    }

    pub(super) fn ask(&mut self, request: Request) -> Asked {
        self.tokens += 1;
        let token = Token(self.tokens);
        self.unanswered.insert(token);
        self.promises.asked(token, &request);
        self.machine.request(self.at(), token, request);
        self.follow();
        Asked {
            token,
            at: self.now,
        }
    }

    pub(super) fn uid(&mut self) -> Uid {
        self.names += 1;
        Uid(u128::from(self.names).to_be_bytes())
    }

    /// Carries out what the machine wants, as a shell would.
    fn follow(&mut self) {
        loop {
            let effects = self.machine.take_effects();
            if effects.is_empty() {
                return;
            }
            for effect in effects {
                match effect {
                    Effect::Append { records, upto } => self.unsynced.push_back((records, upto)),
                    Effect::Answer { token, answer } => self.hear(token, answer),
                    Effect::Resolve { group, pattern } => {
                        self.unresolved.push_back((group, pattern));
                    }
                }
            }
        }
    }

    fn resolve_all(&mut self) {
        while let Some((group, pattern)) = self.unresolved.pop_front() {
            let topics = matching(&self.catalog, &pattern);
            self.machine.resolved(self.at(), &group, &pattern, topics);
            self.follow();
        }
    }

    fn hear(&mut self, token: Token, answer: Answer) {
        if !self.unanswered.remove(&token) {
            self.wrong(format!("a request has two answers: {token:?} {answer:?}"));
        }
        let commit = self.promises.commit_asked(token);
        if let Err(violation) = self.promises.answered(token, &answer) {
            self.wrong(violation);
        }
        match (answer, commit) {
            (Err(Error::Unverified(now)), Some(mut commit)) => {
                commit.verified = Some(now);
                self.doors.push((token, commit));
            }
            (answer, _) => self.mail.push_back((token, answer)),
        }
    }

    /// A door that has heard that a transaction is open comes back, soon or late.
    /// If it is to ask again, it may hear otherwise.
    fn go_through_door(&mut self) {
        if self.doors.is_empty() {
            return;
        }
        let at = self.chance.below(self.doors.len() as u64) as usize;
        let (before, mut commit) = self.doors.swap_remove(at);
        for new in &mut commit.offsets {
            // Commits only ever rise, as they come.
            let (group, topic) = (&commit.caller.group, &new.topic);
            new.offset = self.promises.next_offset(group, topic, new.partition);
        }
        let producer = commit.producer as usize;
        let asked = self.ask(Request::CommitInTransaction(commit));
        self.producers[producer].goes_on(before, asked.token);
        let is_open =
            |commit: &CommitInTransaction| self.producers[producer].is_open(commit.producer_epoch);
        self.doors
            .retain(|(token, commit)| *token != asked.token || is_open(commit));
    }

    fn sync_disk(&mut self) {
        let batches = self.chance.below(4);
        for _ in 0..batches {
            self.sync_one();
        }
    }

    fn sync_all(&mut self) {
        while !self.unsynced.is_empty() {
            self.sync_one();
        }
    }

    fn sync_one(&mut self) {
        if let Some((records, upto)) = self.unsynced.pop_front() {
            self.log.extend(records);
            self.machine.durable(upto);
            self.follow();
        }
    }

    /// The node is lost, and with it what was not durable, but perhaps for some
    /// of it that had come to others.
    fn crash(&mut self) {
        let survive = self.chance.below(self.unsynced.len() as u64 + 1) as usize;
        for (records, _) in self.unsynced.drain(..).take(survive).collect::<Vec<_>>() {
            self.log.extend(records);
        }
        self.machine.lose();
        self.follow();
        if self.chance.one_in(2) {
            self.compact();
        }
        self.machine = Coordinator::new(settings()).in_life(self.tokens);
        self.machine.gain(self.catalog.clone());
        for (key, value) in &self.log {
            let read = self.machine.replay(key, value.as_deref());
            read.expect("our own record");
        }
        self.ask(Request::List);
        self.machine.serve(self.at());
        self.follow();
        self.compare_with_twin();
        self.ask_all();
    }

    /// Keeps the newest of each key, in an order of its own, and some of those
    /// that take a key away.
    fn compact(&mut self) {
        let newest: BTreeMap<_, _> = self.log.drain(..).collect();
        let mut kept: Vec<Record> = newest.into_iter().collect();
        kept.retain(|(_, value)| value.is_some() || self.chance.one_in(2));
        for at in (1..kept.len()).rev() {
            kept.swap(at, self.chance.below(at as u64 + 1) as usize);
        }
        self.log = kept;
    }

    /// Whatever compaction has done, what is read back is the same.
    fn compare_with_twin(&mut self) {
        let newest: BTreeMap<_, _> = self.log.iter().cloned().collect();
        let mut twins = [self.log.clone(), newest.into_iter().collect()].map(|records| {
            let mut twin = Coordinator::new(settings());
            twin.gain(self.catalog.clone());
            for (key, value) in &records {
                twin.replay(key, value.as_deref()).expect("our own record");
            }
            twin.serve(self.at());
            twin
        });
        let shown = twins.each_mut().map(|twin| shown(twin, self.at()));
        if shown[0] != shown[1] {
            self.wrong("compaction changes what is read back".to_string());
        }
    }

    fn pass_time(&mut self) {
        let ms = match self.chance.one_in(30) {
            true => 12_000,
            false => self.chance.below(1500),
        };
        self.now += Duration::from_millis(ms);
        self.machine.tick(self.at());
    }

    fn change_topics_heard(&mut self) {
        self.change_topics();
        self.machine.topics(self.at(), self.catalog.clone());
    }

    fn change_topics(&mut self) {
        let mut catalog = Catalog::clone(&self.catalog);
        for name in ["t", "u"] {
            let before = catalog.topics.get(name).copied();
            let partitions = 1 + self.chance.below(5) as u32;
            match (before, self.chance.below(4)) {
                (Some(_), 0) => {
                    catalog.topics.remove(name);
                    self.promises.topic_lost(name);
                }
                (Some(topic), 1) if topic.partitions < partitions => {
                    let topic = Topic {
                        partitions,
                        ..topic
                    };
                    catalog.topics.insert(name.into(), topic);
                }
                (None, _) => {
                    let id = self.uid();
                    catalog.topics.insert(name.into(), Topic { id, partitions });
                }
                _ => {}
            }
        }
        self.catalog = Arc::new(catalog);
    }

    fn start_client(&mut self) {
        if self.clients.len() >= CLIENTS_MAX {
            return;
        }
        let group = GROUPS[self.chance.below(3) as usize];
        let is_classic = group == "classic" || group == "either" && self.chance.one_in(2);
        let instance = match self.chance.one_in(3) {
            true => Some(Name::from(format!("i{}", self.chance.below(2)))),
            false => None,
        };
        let name = self.uid();
        let client = match is_classic {
            true => Client::Classic(ClassicClient::new(group, instance, &mut self.chance)),
            false => Client::Consumer(ConsumerClient::new(group, name, instance, &mut self.chance)),
        };
        // One process an instance: the older is gone before the newer starts.
        if let Some(instance) = instance_of(&client) {
            let same = |other: &Client| {
                instance_of(other).is_some_and(|its| its == instance) && group_of(other) == group
            };
            let olds: Vec<u64> = self.ids_where(same);
            for old in olds {
                self.clients.remove(&old);
            }
        }
        self.clients.insert(self.names, client);
    }

    fn ids_where(&self, is: impl Fn(&Client) -> bool) -> Vec<u64> {
        let found = self.clients.iter().filter(|(_, client)| is(client));
        found.map(|(id, _)| *id).collect()
    }

    fn any_client(&mut self) -> Option<u64> {
        let count = self.clients.len() as u64;
        let at = self.chance.below(count) as usize;
        self.clients.keys().nth(at).copied()
    }

    /// A client goes: without a word, with one, or it stands still for long.
    fn end_client(&mut self) {
        let Some(id) = self.any_client() else { return };
        let Some(mut client) = self.clients.remove(&id) else {
            return;
        };
        match self.chance.below(4) {
            0 => {}
            1 => match &mut client {
                Client::Classic(it) => it.leave(self),
                Client::Consumer(it) => it.leave(self),
            },
            _ => {
                match &mut client {
                    Client::Classic(it) => it.is_paused = !it.is_paused,
                    Client::Consumer(it) => it.is_paused = !it.is_paused,
                }
                self.clients.insert(id, client);
            }
        }
    }

    fn act_client(&mut self) {
        if let Some(id) = self.any_client() {
            self.act(id);
        }
    }

    /// A client is taken out of the world while it acts on it.
    fn act(&mut self, id: u64) {
        let Some(mut client) = self.clients.remove(&id) else {
            return;
        };
        let goes_on = match &mut client {
            Client::Classic(it) => it.act(self),
            Client::Consumer(it) => it.act(self),
        };
        if goes_on {
            self.clients.insert(id, client);
        }
    }

    fn deliver(&mut self) {
        for _ in 0..self.chance.below(4) {
            self.deliver_one();
        }
    }

    fn deliver_all(&mut self) {
        while !self.mail.is_empty() {
            self.deliver_one();
        }
    }

    fn deliver_one(&mut self) {
        let Some((token, answer)) = self.mail.pop_front() else {
            return;
        };
        if !self.is_calm && self.chance.one_in(15) {
            return;
        }
        self.clients.retain(|_, client| match client {
            Client::Classic(it) if it.waits_for(token) => it.hear(&answer),
            Client::Consumer(it) if it.waits_for(token) => it.hear(&answer),
            _ => true,
        });
        for producer in &mut self.producers {
            producer.hear(token, &answer);
        }
    }

    fn act_producer(&mut self) {
        let at = self.chance.below(self.producers.len() as u64) as usize;
        self.act_producer_at(at, false);
    }

    fn act_producer_at(&mut self, at: usize, is_last: bool) {
        let mut producers = std::mem::take(&mut self.producers);
        producers[at].act(self, is_last);
        self.producers = producers;
    }

    /// Somebody looks at all offsets.
    fn ask_all(&mut self) {
        for group in GROUPS {
            let fetch = Fetch {
                caller: nobody(group),
                spots: None,
                is_stable_required: self.chance.one_in(2),
            };
            self.ask(Request::Fetch(fetch));
        }
    }

    /// Somebody commits without being a member, or takes things away.
    fn operate(&mut self) {
        let group = Name::from(GROUPS[self.chance.below(3) as usize]);
        let offset = self.new_offset(&group);
        let request = match self.chance.below(8) {
            0 => Request::Delete { group },
            1 => Request::DeleteOffsets {
                group,
                spots: vec![(offset.topic, offset.partition)],
            },
            _ => Request::Commit(Commit {
                caller: nobody(&group),
                retention_ms: None,
                offsets: vec![offset],
            }),
        };
        self.ask(request);
    }

    /// Commits only ever rise, so that what goes back has not been kept.
    pub(super) fn new_offset(&mut self, group: &Name) -> NewOffset {
        let topic = Name::from(["t", "u"][self.chance.below(2) as usize]);
        let partition = self.chance.below(2) as i32;
        NewOffset {
            topic_id: self
                .catalog
                .topics
                .get(&topic)
                .map_or(Uid::default(), |it| it.id),
            offset: self.promises.next_offset(group, &topic, partition),
            topic,
            partition,
            leader_epoch: -1,
            metadata: Name::default(),
        }
    }
}

pub(super) fn nobody(group: &str) -> Caller {
    Caller {
        group: group.into(),
        member: Name::default(),
        instance: None,
        generation: -1,
    }
}

fn matching(catalog: &Catalog, pattern: &Name) -> BTreeSet<Name> {
    // The patterns of this world are "t.*" and ".*".
    let prefix = pattern.trim_end_matches(".*");
    let names = catalog
        .topics
        .keys()
        .filter(|name| name.starts_with(prefix));
    names.cloned().collect()
}

fn instance_of(client: &Client) -> Option<Name> {
    match client {
        Client::Classic(it) => it.instance.clone(),
        Client::Consumer(it) => it.instance.clone(),
    }
}

fn group_of(client: &Client) -> &str {
    match client {
        Client::Classic(it) => &it.group,
        Client::Consumer(it) => &it.group,
    }
}

/// All that a coordinator tells about its groups.
fn shown(machine: &mut Coordinator, now: Now) -> String {
    let mut requests = vec![Request::List];
    for group in GROUPS {
        requests.push(Request::Describe {
            group: group.into(),
        });
        requests.push(Request::DescribeConsumer {
            group: group.into(),
        });
        requests.push(Request::Fetch(Fetch {
            caller: nobody(group),
            spots: None,
            is_stable_required: true,
        }));
    }
    for (at, request) in requests.into_iter().enumerate() {
        machine.request(now, Token(at as u64), request);
    }
    machine.durable(u64::MAX);
    format!("{:?}", machine.take_effects())
}
