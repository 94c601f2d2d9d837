//! The stage of the scripts: one coordinator, its log, and actors, who remember
//! their ids and generations as clients do. Member ids are shown as the number
//! of the request that made them.

use dolmen::clock::Millis;
use dolmen::ids::Uid;
use dolmen::streams::groups::record::Protocol;
use dolmen::streams::groups::request::*;
use dolmen::streams::groups::{
    Blob, Catalog, Coordinator, Effect, Error, Name, Now, Partitions, Settings, Topic,
};
use dolmen::streams::producers::Moment;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const GROUP: &str = "g";
/// 2026, so that the wall clock counts as set.
const WALL: u64 = 1_767_225_600_000;

#[derive(Default)]
struct Actor {
    member: Name,
    instance: Option<Name>,
    generation: i32,
    protocol: Option<Name>,
}

pub(super) struct Stage {
    machine: Coordinator,
    settings: Settings,
    catalog: Arc<Catalog>,
    now: Duration,
    wall: u64,
    log: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// False while the disk is slow.
    is_durable: bool,
    upto: u64,
    actors: BTreeMap<String, Actor>,
    asked: BTreeMap<Token, String>,
    /// What is to be offered again once its coordinator has been asked.
    unverified: BTreeMap<Token, CommitInTransaction>,
    /// When the coordinator was last asked by itself.
    verified: Option<Moment>,
    joins: u128,
    tokens: u64,
}

impl Stage {
    pub(super) fn new() -> Self {
        let settings = Settings::default();
        let mut machine = Coordinator::new(settings.clone());
        machine.gain(Arc::default());
        let mut stage = Self {
            machine,
            settings,
            catalog: Arc::default(),
            now: Duration::ZERO,
            wall: WALL,
            log: Vec::new(),
            is_durable: true,
            upto: 0,
            actors: BTreeMap::new(),
            asked: BTreeMap::new(),
            unverified: BTreeMap::new(),
            verified: None,
            joins: 0,
            tokens: 0,
        };
        stage.machine.serve(stage.at());
        stage
    }

    fn at(&self) -> Now {
        Now {
            since: self.now,
            wall: Millis(self.wall + self.now.as_millis() as u64),
        }
    }

    pub(super) fn play(&mut self, line: &str) -> Vec<String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let deed_at = words.iter().position(|word| is_deed(word)).unwrap_or(0);
        let (before, rest) = words.split_at(deed_at);
        let (who, words) = before.split_first().unwrap_or((&"", &[]));
        let (what, rest) = rest.split_first().expect("a line says something");
        let rest = &[words, rest].concat()[..];
        match *what {
            "begin" => {
                *self = Self::new();
            }
            "tick" => {
                self.now += Duration::from_millis(number(rest[0]) as u64);
                self.machine.tick(self.at());
            }
            "wall" => self.wall = number(rest[0]) as u64,
            "slept" => {
                let gap = Duration::from_millis(number(rest[0]) as u64);
                self.now += gap;
                self.machine.slept(gap);
            }
            "slow" => self.is_durable = false,
            "sync-disk" => {
                self.is_durable = true;
                self.machine.durable(self.upto);
            }
            "crash" => return self.crash(),
            "lose" => self.machine.lose(),
            "gain" => self.machine.gain(self.catalog.clone()),
            "topics" => {
                self.catalog = Arc::new(catalog(rest));
                self.machine.topics(self.at(), self.catalog.clone());
            }
            "resolved" => {
                let topics = rest[1..].iter().map(|topic| Name::from(*topic)).collect();
                let pattern = Name::from(rest[0]);
                self.machine
                    .resolved(self.at(), &GROUP.into(), &pattern, topics);
            }
            "verify" => self.verify(),
            deed => {
                let request = self.request(who, deed, rest);
                self.ask(who, request);
            }
        }
        self.follow()
    }

    fn ask(&mut self, who: &str, request: Request) {
        self.tokens += 1;
        let token = Token(self.tokens);
        self.asked.insert(token, who.to_string());
        if let Request::CommitInTransaction(commit) = &request
            && commit.verified.is_none()
        {
            self.unverified.insert(token, commit.clone());
        }
        self.machine.request(self.at(), token, request);
    }

    /// Whether any transaction is open, for who commits as `verified` later.
    fn verify(&mut self) {
        let commit = CommitInTransaction {
            caller: Caller {
                group: GROUP.into(),
                member: Name::default(),
                instance: None,
                generation: -1,
            },
            producer: 0,
            producer_epoch: 0,
            offsets: Vec::new(),
            verified: None,
        };
        let request = Request::CommitInTransaction(commit);
        self.machine.request(self.at(), Token(0), request);
        for effect in self.machine.take_effects() {
            if let Effect::Answer {
                answer: Err(Error::Unverified(now)),
                ..
            } = effect
            {
                self.verified = Some(now);
            }
        }
    }

    /// The node is lost with what is not durable; another reads the log, of
    /// which compaction has kept the newest of each key, in some order.
    fn crash(&mut self) -> Vec<String> {
        self.machine.lose();
        let mut said = self.follow();
        let kept: BTreeMap<_, _> = self.log.drain(..).collect();
        self.log = kept
            .into_iter()
            .rev()
            .filter(|(_, value)| value.is_some())
            .collect();
        self.machine = Coordinator::new(self.settings.clone());
        self.machine.gain(self.catalog.clone());
        for (key, value) in &self.log {
            self.machine.replay(key, value.as_deref()).unwrap();
        }
        self.machine.serve(self.at());
        said.extend(self.follow());
        said
    }

    fn follow(&mut self) -> Vec<String> {
        let mut said = Vec::new();
        loop {
            let effects = self.machine.take_effects();
            if effects.is_empty() {
                return said;
            }
            for effect in effects {
                match effect {
                    Effect::Append { records, upto } => {
                        self.upto = upto;
                        if self.is_durable {
                            self.log.extend(records);
                            self.machine.durable(upto);
                        }
                    }
                    Effect::Answer { token, answer } => said.extend(self.hear(token, answer)),
                    Effect::Resolve { pattern, .. } => said.push(format!("resolve {pattern}")),
                }
            }
        }
    }

    fn request(&mut self, who: &str, deed: &str, words: &[&str]) -> Request {
        let option = |name: &str| {
            let mut values = words.iter().filter_map(|word| word.strip_prefix(name));
            values
                .find_map(|rest| rest.strip_prefix('='))
                .map(Name::from)
        };
        let flag = |name: &str| words.contains(&name);
        let spots = || -> Vec<(Name, i32)> { words.iter().filter_map(|it| spot(it)).collect() };
        let offsets = || words.iter().filter_map(|word| new_offset(word)).collect();
        let actor = self.actors.entry(who.to_string()).or_insert_with(|| Actor {
            generation: -1,
            ..Actor::default()
        });
        if let Some(instance) = option("instance") {
            actor.instance = Some(instance);
        }
        if let Some(generation) = option("generation") {
            actor.generation = number(&generation) as i32;
        }
        if flag("fresh") {
            actor.member = Name::default();
        }
        let caller = Caller {
            group: option("group").unwrap_or_else(|| GROUP.into()),
            member: actor.member.clone(),
            instance: actor.instance.clone(),
            generation: actor.generation,
        };
        let group = caller.group.clone();
        let mut chance = || {
            self.joins += 1;
            Uid(self.joins.to_be_bytes())
        };
        match deed {
            "join" => Request::Join(Join {
                group,
                member: caller.member,
                instance: caller.instance,
                client_id: who.into(),
                client_host: "host".into(),
                session_ms: option("session").map_or(10_000, |ms| number(&ms) as i32),
                rebalance_ms: option("rebalance").map_or(60_000, |ms| number(&ms) as i32),
                protocol_type: option("type").unwrap_or_else(|| "consumer".into()),
                protocols: words.iter().filter_map(|word| protocol(word)).collect(),
                is_known_id_required: flag("known"),
                can_skip_assignment: flag("skip"),
                chance: chance(),
            }),
            "sync" => Request::Sync(Sync {
                caller,
                protocol_type: option("type"),
                protocol: actor.protocol.clone(),
                assignments: {
                    let pairs = words.iter().filter_map(|word| word.split_once(':'));
                    let pairs: Vec<_> = pairs.collect();
                    let id_of = |name: &str| self.actors.get(name).map(|it| it.member.clone());
                    let assigned = pairs.into_iter().filter_map(|(name, what)| {
                        Some((id_of(name)?, Blob::from(what.as_bytes())))
                    });
                    assigned.collect()
                },
            }),
            "beat" => Request::Heartbeat(caller),
            "leave" => Request::Leave(Leave {
                group,
                members: match words {
                    [] => vec![(caller.member, caller.instance)],
                    instances => {
                        let one = |word: &&str| (Name::default(), Some(Name::from(*word)));
                        instances.iter().map(one).collect()
                    }
                },
            }),
            "poll" => Request::ConsumerHeartbeat(Beat {
                group,
                member: caller.member,
                epoch: option("epoch").map_or(actor.generation.max(0), |it| number(&it) as i32),
                instance: caller.instance,
                rack: None,
                client_id: who.into(),
                client_host: "host".into(),
                rebalance_ms: option("rebalance").map(|ms| number(&ms) as i32),
                topics: option("topics").map(|topics| topics.split(',').map(Name::from).collect()),
                pattern: option("pattern"),
                assignor: option("assignor"),
                held: option("held").map(|held| partitions(&held)),
                chance: chance(),
            }),
            "commit" => Request::Commit(Commit {
                caller,
                retention_ms: option("retention").map(|ms| number(&ms) as u64),
                offsets: offsets(),
            }),
            "txn" => Request::CommitInTransaction(CommitInTransaction {
                caller,
                producer: number(words[0]),
                producer_epoch: option("at").map_or(0, |epoch| number(&epoch) as i16),
                offsets: offsets(),
                verified: self.verified.filter(|_| flag("verified")),
            }),
            "end" => Request::EndTransaction(EndTransaction {
                producer: number(words[0]),
                producer_epoch: option("at").map_or(0, |epoch| number(&epoch) as i16),
                is_committed: flag("commit"),
            }),
            "fetch" => Request::Fetch(Fetch {
                caller,
                spots: match flag("all") {
                    true => None,
                    false => Some(spots()),
                },
                is_stable_required: flag("stable"),
            }),
            "forget" => Request::DeleteOffsets {
                group,
                spots: spots(),
            },
            "describe" => Request::Describe { group },
            "describe-consumer" => Request::DescribeConsumer { group },
            "list" => Request::List,
            "delete" => Request::Delete { group },
            other => panic!("no such deed: {other}"),
        }
    }

    /// None where the transaction's coordinator is asked first: it is open.
    fn hear(&mut self, token: Token, answer: Result<Reply, Error>) -> Option<String> {
        let who = self.asked.remove(&token).expect("answered once");
        if let (Err(Error::Unverified(now)), Some(commit)) =
            (&answer, self.unverified.remove(&token))
        {
            let verified = Some(*now);
            let commit = CommitInTransaction { verified, ..commit };
            self.ask(&who, Request::CommitInTransaction(commit));
            return None;
        }
        let actor = self.actors.entry(who.clone()).or_default();
        match &answer {
            Ok(Reply::Joined(joined)) => {
                actor.member = joined.member.clone();
                actor.generation = joined.generation;
                actor.protocol = joined.protocol.clone();
            }
            Ok(Reply::ConsumerAlive(alive)) => {
                actor.member = alive.member.clone();
                actor.generation = alive.epoch;
            }
            Err(Error::MemberIdRequired(id)) => actor.member = id.clone(),
            _ => {}
        }
        let said = match answer {
            Ok(reply) => shown(&reply),
            Err(Error::MemberIdRequired(id)) => format!("join again as {}", short(&id)),
            Err(error) => error.to_string(),
        };
        Some(format!("{who} {said}").trim_start().to_string())
    }
}

fn is_deed(word: &str) -> bool {
    let deeds = [
        "join", "sync", "beat", "leave", "poll", "commit", "txn", "fetch",
    ];
    deeds.contains(&word)
}

fn number(word: &str) -> i64 {
    word.parse().unwrap_or_else(|_| panic!("a number: {word}"))
}

/// `name:metadata`
fn protocol(word: &str) -> Option<Protocol> {
    let (name, metadata) = word.split_once(':')?;
    Some(Protocol {
        name: name.into(),
        metadata: match metadata.strip_prefix("reads-") {
            Some(topics) => subscription(topics),
            None => metadata.as_bytes().into(),
        },
    })
}

/// As a consumer says it: version 0, the topics, no user data.
fn subscription(topics: &str) -> Blob {
    let topics: Vec<&str> = topics.split(',').collect();
    let mut bytes = vec![0, 0];
    bytes.extend((topics.len() as u32).to_be_bytes());
    for topic in topics {
        bytes.extend((topic.len() as u16).to_be_bytes());
        bytes.extend(topic.bytes());
    }
    bytes.extend([0xff; 4]);
    bytes.into()
}

/// `topic-3`
fn spot(word: &str) -> Option<(Name, i32)> {
    let (topic, partition) = word.split_once('-')?;
    Some((topic.into(), partition.parse().ok()?))
}

/// `topic-3=offset`, `topic-3=offset/metadata`
fn new_offset(word: &str) -> Option<NewOffset> {
    let (spot_word, offset) = word.split_once('=')?;
    let (topic, partition) = spot(spot_word)?;
    let (offset, metadata) = offset.split_once('/').unwrap_or((offset, ""));
    Some(NewOffset {
        topic_id: topic_id(&topic),
        topic,
        partition,
        offset: number(offset),
        leader_epoch: -1,
        metadata: metadata.into(),
    })
}

/// A topic's id is its name, over and over.
fn topic_id(topic: &str) -> Uid {
    let mut id = [0; 16];
    for (byte, letter) in id.iter_mut().zip(topic.bytes().cycle()) {
        *byte = letter;
    }
    Uid(id)
}

fn catalog(words: &[&str]) -> Catalog {
    let topic = |word: &&str| {
        let (name, count) = word.split_once('=').unwrap();
        let topic = Topic {
            id: topic_id(name),
            partitions: number(count) as u32,
        };
        (Name::from(name), topic)
    };
    Catalog {
        topics: words.iter().map(topic).collect(),
    }
}

/// `t0,t1,u0`; topics are single letters.
fn partitions(words: &str) -> Partitions {
    let partition = |word: &str| (topic_id(&word[..1]), number(&word[1..]) as i32);
    words
        .split(',')
        .filter(|it| !it.is_empty())
        .map(partition)
        .collect()
}

fn partitions_shown(partitions: &Partitions) -> String {
    let shown = |(topic, number): &(Uid, i32)| format!("{}{number}", topic.0[0] as char);
    partitions.iter().map(shown).collect::<Vec<_>>().join(",")
}

/// `a-00000000-...-000000000007` is #7.
fn short(id: &Name) -> String {
    let digits = id.rsplit('-').next().unwrap_or(id);
    u64::from_str_radix(digits, 16).map_or_else(|_| id.to_string(), |number| format!("#{number}"))
}

fn text(bytes: &Blob) -> String {
    let graphic = bytes.iter().filter(|byte| byte.is_ascii_graphic());
    graphic.map(|byte| char::from(*byte)).collect()
}

fn shown(reply: &Reply) -> String {
    let each = |done: &Vec<Result<(), Error>>| {
        let one = |done: &Result<(), Error>| match done {
            Ok(()) => "ok".to_string(),
            Err(error) => error.to_string(),
        };
        done.iter().map(one).collect::<Vec<_>>().join("; ")
    };
    match reply {
        Reply::Joined(joined) => {
            let member = |it: &JoinedMember| format!("{}:{}", short(&it.id), text(&it.metadata));
            let members: Vec<String> = joined.members.iter().map(member).collect();
            let skipped = match joined.is_assignment_skipped {
                true => " nothing to assign",
                false => "",
            };
            let protocol = joined.protocol.clone().unwrap_or_default();
            let (id, leader) = (short(&joined.member), short(&joined.leader));
            let generation = joined.generation;
            let said = format!(
                "is {id} in {generation} {protocol}, {leader} leads {}",
                members.join(" ")
            );
            format!("{}{skipped}", said.trim_end())
        }
        Reply::Synced(synced) => format!("reads {}", text(&synced.assignment)),
        Reply::Alive => "alive".to_string(),
        Reply::Left(done) => format!("left: {}", each(done)),
        Reply::ConsumerAlive(alive) => {
            let reads = match &alive.assigned {
                Some(assigned) => format!(" reads [{}]", partitions_shown(assigned)),
                None => String::new(),
            };
            format!("is {} in {}{reads}", short(&alive.member), alive.epoch)
        }
        Reply::Committed(done) => format!("committed: {}", each(done)),
        Reply::TransactionEnded => "ended".to_string(),
        Reply::Fetched(found) => {
            let one = |it: &Fetched| {
                let offset = match &it.offset {
                    Ok(None) => "none".to_string(),
                    Ok(Some(found)) if found.metadata.is_empty() => found.offset.to_string(),
                    Ok(Some(found)) => format!("{}/{}", found.offset, found.metadata),
                    Err(error) => error.to_string(),
                };
                format!("{}-{}={offset}", it.topic, it.partition)
            };
            format!(
                "found {}",
                found.iter().map(one).collect::<Vec<_>>().join(" ")
            )
        }
        Reply::OffsetsDeleted(done) => format!("forgotten: {}", each(done)),
        Reply::Described(group) => {
            let member = |it: &DescribedMember| {
                format!(
                    "{}:{}>{}",
                    short(&it.id),
                    text(&it.metadata),
                    text(&it.assignment)
                )
            };
            let members: Vec<String> = group.members.iter().map(member).collect();
            let state = group.state.name();
            format!(
                "{state} {} {} {}",
                group.protocol_type,
                group.protocol,
                members.join(" ")
            )
        }
        Reply::ConsumerDescribed(group) => {
            let member = |it: &DescribedConsumer| {
                let (has, target) = (partitions_shown(&it.assigned), partitions_shown(&it.target));
                format!("{} in {} [{has}] to [{target}]", short(&it.id), it.epoch)
            };
            let members: Vec<String> = group.members.iter().map(member).collect();
            let state = group.state.name();
            format!(
                "{state} {} {}: {}",
                group.epoch,
                group.assignor,
                members.join("; ")
            )
        }
        Reply::Listed(groups) if groups.is_empty() => "no groups".to_string(),
        Reply::Listed(groups) => {
            let one = |it: &Listed| {
                let (kind, state) = (it.kind.name(), it.state.name());
                format!("{} {kind} {} {state}", it.group, it.protocol_type)
            };
            groups.iter().map(one).collect::<Vec<_>>().join("; ")
        }
        Reply::Deleted => "deleted".to_string(),
    }
}
