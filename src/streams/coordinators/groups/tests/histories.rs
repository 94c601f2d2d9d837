//! Two nodes take turns in leading one partition, with batches that are slow,
//! fail though they are in the log, are refused, or find their way in late.
//! What a client was told is committed is what it finds, whoever answers, and
//! everybody who asks is answered once.

use crate::clock::Millis;
use crate::entropy::Seeded;
use crate::ids::PartitionId;
use crate::streams::coordinators::groups::memory::Log;
use crate::streams::coordinators::groups::seat::{Ground, Reading, Said, Seat};
use crate::streams::coordinators::pages::{Page, Pairs};
use crate::streams::groups::request::*;
use crate::streams::groups::{Error, Now, Settings};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

const STEPS: usize = 400;
const SEEDS: u64 = 300;

/// One of the two nodes.
struct Node {
    seat: Seat,
    ground: Yard,
}

/// Where its seat stands.
#[derive(Default)]
struct Yard {
    /// Said and not yet looked at by the log's thread.
    inbox: VecDeque<(u64, i32, Page)>,
    /// In the log and to be answered.
    landed: VecDeque<(u64, Result<(), String>)>,
    reading: Option<Reading>,
    answers: Vec<(Token, Result<Reply, Error>)>,
    is_busy: bool,
}

impl Ground for Yard {
    fn append(&mut self, ticket: u64, epoch: i32, pairs: &Pairs) -> Said {
        if self.is_busy {
            return Said::Busy;
        }
        let page = Page::of(pairs, Millis(1)).unwrap();
        self.inbox.push_back((ticket, epoch, page));
        Said::Gone
    }

    fn read(&mut self, reading: Reading) {
        self.reading = Some(reading);
    }

    fn answer(&mut self, token: Token, answer: Result<Reply, Error>) {
        self.answers.push((token, answer));
    }
}

enum Hope {
    Commit(i64),
    /// With the greatest offset that was committed when it was asked.
    Fetch(i64),
    /// Whether a transaction's end is heard, which none refuses for a while.
    End,
}

struct World {
    chance: Seeded,
    nodes: [Node; 2],
    log: Log,
    leader: Option<usize>,
    epoch: i32,
    since: Duration,
    hopes: BTreeMap<Token, Hope>,
    tokens: u64,
    /// The last offset that was asked to be committed, and the greatest that
    /// was told to be.
    offered: i64,
    committed: i64,
    commits: usize,
    fetches: usize,
    ends: usize,
    lost: usize,
}

impl World {
    fn new(seed: u64) -> Self {
        let node = || Node {
            seat: Seat::new(PartitionId(0), Settings::default(), Arc::default()),
            ground: Yard::default(),
        };
        Self {
            chance: Seeded::new(seed),
            nodes: [node(), node()],
            log: Log::default(),
            leader: None,
            epoch: 0,
            since: Duration::from_secs(1),
            hopes: BTreeMap::new(),
            tokens: 0,
            offered: 0,
            committed: -1,
            commits: 0,
            fetches: 0,
            ends: 0,
            lost: 0,
        }
    }

    fn now(&self) -> Now {
        Now {
            since: self.since,
            wall: Millis(1_767_225_600_000),
        }
    }

    fn step(&mut self) {
        let now = self.now();
        let at = self.chance.below(2) as usize;
        match self.chance.below(20) {
            // Seldom enough for a leader to read its partition and serve.
            0 if self.chance.one_in(6) => self.elect(),
            1..=6 => self.ask(at),
            7..=12 => self.land(at),
            13..=16 => self.answer_batch(at),
            17 => {
                let node = &mut self.nodes[at];
                if let Some(reading) = node.ground.reading.take() {
                    // As the partition is when it is read, at whatever time.
                    let read = match self.chance.one_in(5) {
                        true => Err("the disk is slow".into()),
                        false => self.log.read(reading.machine),
                    };
                    let (life, ground) = (reading.life, &mut node.ground);
                    node.seat.read(now, life, read, ground);
                }
            }
            18 => self.nodes[at].ground.is_busy = self.chance.one_in(3),
            _ => {
                self.since += Duration::from_millis(self.chance.below(3000));
                let now = self.now();
                for node in &mut self.nodes {
                    node.seat.tick(now, &mut node.ground);
                }
            }
        }
        self.hear();
    }

    /// The leader changes, to nobody now and then; the nodes hear of it.
    fn elect(&mut self) {
        let now = self.now();
        self.epoch += 1;
        self.leader = [None, Some(0), Some(1)][self.chance.below(3) as usize];
        for (at, node) in self.nodes.iter_mut().enumerate() {
            let reign = (self.leader == Some(at)).then_some(self.epoch);
            node.seat.stand(now, reign, &mut node.ground);
        }
    }

    fn ask(&mut self, at: usize) {
        let now = self.now();
        self.tokens += 1;
        let token = Token(self.tokens);
        let caller = Caller {
            group: "g".into(),
            member: "".into(),
            instance: None,
            generation: -1,
        };
        let (request, hope) = match self.chance.below(9) {
            0 => {
                let end = EndTransaction {
                    producer: 5,
                    producer_epoch: 0,
                    is_committed: true,
                };
                (Request::EndTransaction(end), Hope::End)
            }
            1..4 => {
                let fetch = Fetch {
                    caller,
                    spots: Some(vec![("t".into(), 0)]),
                    is_stable_required: false,
                };
                (Request::Fetch(fetch), Hope::Fetch(self.committed))
            }
            _ => {
                self.offered += 1;
                let offset = NewOffset {
                    topic: "t".into(),
                    topic_id: Default::default(),
                    partition: 0,
                    offset: self.offered,
                    leader_epoch: -1,
                    metadata: "".into(),
                };
                let commit = Commit {
                    caller,
                    retention_ms: None,
                    offsets: vec![offset],
                };
                (Request::Commit(commit), Hope::Commit(self.offered))
            }
        };
        self.hopes.insert(token, hope);
        let node = &mut self.nodes[at];
        let ground = &mut node.ground;
        node.seat.request(now, token, request, None, ground);
    }

    /// The log's thread of a node takes the next batch.
    fn land(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        let Some((ticket, epoch, page)) = node.ground.inbox.pop_front() else {
            return;
        };
        let leads = self.leader == Some(at) && epoch == self.epoch;
        let outcome = match (leads, self.chance.below(30)) {
            (false, _) => Err("another leads".into()),
            (true, 0) => Err("the log did not take it".into()),
            (true, 1) => {
                self.log.append(page.bytes);
                Err("too few have it".into())
            }
            (true, _) => {
                self.log.append(page.bytes);
                Ok(())
            }
        };
        node.ground.landed.push_back((ticket, outcome));
    }

    fn answer_batch(&mut self, at: usize) {
        let now = self.now();
        let node = &mut self.nodes[at];
        // Not always in their order.
        let place = self.chance.below(2).min(node.ground.landed.len() as u64);
        if let Some((ticket, outcome)) = node.ground.landed.remove(place as usize) {
            node.seat.appended(now, ticket, outcome, &mut node.ground);
        }
    }

    fn hear(&mut self) {
        for node in &mut self.nodes {
            for (token, answer) in std::mem::take(&mut node.ground.answers) {
                let hope = self.hopes.remove(&token);
                match (hope.expect("it is answered once"), answer) {
                    (Hope::Commit(offset), Ok(Reply::Committed(done))) => {
                        assert_eq!(done, [Ok(())]);
                        self.committed = self.committed.max(offset);
                        self.commits += 1;
                    }
                    (Hope::Fetch(committed), Ok(Reply::Fetched(found))) => {
                        let at = found[0].offset.clone().unwrap();
                        let at = at.map_or(-1, |at| at.offset);
                        assert!(at >= committed, "{at} is told where {committed} was");
                        assert!(at <= self.offered);
                        self.fetches += 1;
                    }
                    (Hope::End, Ok(Reply::TransactionEnded)) => self.ends += 1,
                    (_, Err(Error::NotCoordinator)) => self.lost += 1,
                    (Hope::Commit(_) | Hope::Fetch(_), Err(Error::Loading | Error::Busy)) => {}
                    (_, other) => panic!("{other:?}"),
                }
            }
        }
    }

    /// Everything that is under way comes to its end. Who waits for a partition to
    /// be read waits for its pauses too, where it fails again and again.
    fn drain(&mut self) {
        for at in [0, 1] {
            self.nodes[at].ground.is_busy = false;
        }
        for _ in 0..100 * STEPS {
            if self.hopes.is_empty() {
                return;
            }
            let at = self.chance.below(2) as usize;
            self.land(at);
            self.answer_batch(at);
            self.since += Duration::from_millis(10);
            let now = self.now();
            for node in &mut self.nodes {
                node.seat.tick(now, &mut node.ground);
                if let Some(reading) = node.ground.reading.take() {
                    let (life, ground) = (reading.life, &mut node.ground);
                    let read = self.log.read(reading.machine);
                    node.seat.read(now, life, read, ground);
                }
            }
            self.hear();
        }
    }
}

#[test]
fn what_was_told_is_found() {
    let (mut commits, mut fetches, mut ends, mut lost) = (0, 0, 0, 0);
    let only = std::env::var("DOLMEN_SEED").ok();
    let only = only.and_then(|seed| seed.parse::<u64>().ok());
    for seed in only.map_or(0..SEEDS, |seed| seed..seed + 1) {
        let played = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            for _ in 0..STEPS {
                world.step();
            }
            world.drain();
            assert!(world.hopes.is_empty(), "somebody waits for ever");
            (world.commits, world.fetches, world.ends, world.lost)
        });
        let Ok(played) = played else {
            panic!("DOLMEN_SEED={seed} cargo test what_was_told_is_found");
        };
        commits += played.0;
        fetches += played.1;
        ends += played.2;
        lost += played.3;
    }
    // The histories have something of everything.
    if only.is_none() {
        println!("{commits} commits, {fetches} fetches, {ends} ends, {lost} sent away");
        assert!(commits > 500 && fetches > 500 && ends > 500 && lost > 1000);
    }
}
