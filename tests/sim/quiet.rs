//! Nodes, the net between them, and simulated time.

use super::node::release;

use dolmen::clock::Millis;
use dolmen::disk::Disk;
use dolmen::disk::sim::SimDisk;
use dolmen::entropy::{Entropy, Seeded};
use dolmen::ids::{NodeId, SessionId, Uid, Zxid};
use dolmen::log::{FRAMES, OpenError, Opening};
use dolmen::replica::desk::{Answer, Ask, ConnectionId, Hello, Reply, Request};
use dolmen::replica::{FOUNDER, Now, Replica, Settings, Start};
use dolmen::state::{Command, Error, Member, MemberCommand, Role, Topics};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub const TICK: Duration = Duration::from_millis(50);

struct Dice(Mutex<Seeded>);

impl Entropy for Dice {
    fn fill(&self, into: &mut [u8]) -> io::Result<()> {
        let mut seeded = self.0.lock().unwrap();
        into.iter_mut()
            .for_each(|byte| *byte = seeded.next_u64() as u8);
        Ok(())
    }
}

pub struct Node {
    pub id: NodeId,
    /// The feature level up to which its release writes and reads.
    pub knows: u32,
    pub disk: SimDisk,
    pub replica: Option<Replica>,
    pub replies: VecDeque<Reply>,
    /// What was shown before the replies were taken.
    pub shown: Arc<Mutex<Arc<Topics>>>,
}

pub struct Cluster {
    pub now: Duration,
    pub nodes: BTreeMap<NodeId, Node>,
    net: VecDeque<(NodeId, NodeId, Vec<u8>)>,
    /// What goes to them gets lost.
    pub deaf: BTreeSet<NodeId>,
    seed: u64,
    starts: u64,
    next_connection: u64,
}

pub const CLUSTER: Uid = Uid([1; 16]);

impl Cluster {
    pub fn new(seed: u64) -> Self {
        Self {
            now: Duration::from_secs(1),
            nodes: BTreeMap::new(),
            net: VecDeque::new(),
            deaf: BTreeSet::new(),
            seed,
            starts: 0,
            next_connection: 0,
        }
    }

    pub fn moment(&self) -> Now {
        Now {
            wall: Millis(1_700_000_000_000 + self.now.as_millis() as u64),
            monotonic: self.now,
        }
    }

    pub fn add(&mut self, id: u64) {
        self.add_knowing(id, 1);
    }

    pub fn add_knowing(&mut self, id: u64, knows: u32) {
        let id = NodeId(id);
        let disk = SimDisk::new(self.seed + id.0);
        let node = Node {
            id,
            knows,
            disk,
            replica: None,
            replies: VecDeque::new(),
            shown: Arc::default(),
        };
        self.nodes.insert(id, node);
        self.start(id);
    }

    pub fn start(&mut self, id: NodeId) {
        if let Err(error) = self.try_start(id) {
            panic!("node {id} does not start: {error}");
        }
    }

    /// The process ends, and another release is started in its place.
    pub fn install(&mut self, id: u64, knows: u32) -> Result<(), OpenError> {
        let node = self.nodes.get_mut(&NodeId(id)).unwrap();
        (node.replica, node.knows) = (None, knows);
        self.try_start(NodeId(id))
    }

    /// Two nodes are connected, and each hears what the other runs.
    pub fn meet(&mut self, one: u64, other: u64) {
        let moment = self.moment();
        for (at, node) in [(one, other), (other, one)] {
            let knows = self.nodes[&NodeId(node)].knows;
            let replica = self.replica(at);
            replica.peer_up(moment, NodeId(node), release(knows));
        }
    }

    pub fn meet_all(&mut self) {
        let all: Vec<u64> = self.nodes.keys().map(|id| id.0).collect();
        for one in &all {
            let others = all.iter().filter(|other| *other > one);
            others.for_each(|other| self.meet(*one, *other));
        }
    }

    fn try_start(&mut self, id: NodeId) -> Result<(), OpenError> {
        self.starts += 1;
        let moment = self.moment();
        let dice = Arc::new(Dice(Mutex::new(Seeded::new(
            self.seed * 1000 + self.starts,
        ))));
        let node = self.nodes.get_mut(&id).unwrap();
        let settings = Settings {
            node: id,
            cluster: CLUSTER,
            release: release(node.knows),
            tick: TICK,
            election_ticks: 10,
            seed: self.seed,
            heartbeat_ticks: 2,
            serves_read_only: true,
            room_low_bytes: 0,
        };
        let opening = Opening {
            disk: Arc::new(node.disk.clone()),
            lane: node.disk.lane().unwrap(),
            entropy: &*dice,
            settings: dolmen::log::Settings {
                journal_file_bytes: 1 << 20,
                reserve_bytes: 0,
                ..dolmen::log::Settings::default()
            },
            formats: &[&FRAMES],
        };
        let start = Start {
            settings,
            is_founder: id == FOUNDER,
            has_others: true,
            opening,
            data: Arc::new(node.disk.clone()),
            entropy: dice.clone(),
            now: moment,
        };
        let (mut replica, _) = Replica::open(start)?;
        replica.lead_at_once_if_alone(moment);
        node.replica = Some(replica);
        Ok(())
    }

    pub fn replica(&mut self, id: u64) -> &mut Replica {
        let node = self.nodes.get_mut(&NodeId(id)).unwrap();
        node.replica.as_mut().unwrap()
    }

    /// Everything that can happen without time passing.
    pub fn settle(&mut self) {
        for _ in 0..200 {
            let moment = self.moment();
            let mut moved = false;
            for node in self.nodes.values_mut() {
                let Some(replica) = &mut node.replica else {
                    continue;
                };
                replica.turn(moment).unwrap();
                if !replica.is_waiting() {
                    moved = true;
                } else {
                    replica.wait(None, &mut || false);
                    replica.turn(moment).unwrap();
                }
                for (to, _, bytes) in replica.take_sends() {
                    self.net.push_back((node.id, to, bytes));
                }
                if let Some(topics) = replica.topics() {
                    *node.shown.lock().unwrap() = topics.clone();
                }
                let mut replies = Vec::new();
                replica.take_replies(&mut replies);
                node.replies.extend(replies);
            }
            while let Some((from, to, bytes)) = self.net.pop_front() {
                moved = true;
                if self.deaf.contains(&to) {
                    continue;
                }
                if let Some(replica) = self
                    .nodes
                    .get_mut(&to)
                    .and_then(|node| node.replica.as_mut())
                {
                    replica.heard(moment, from, &bytes);
                }
            }
            if !moved {
                return;
            }
        }
    }

    pub fn tick(&mut self) {
        self.now += TICK;
        let moment = self.moment();
        for node in self.nodes.values_mut() {
            if let Some(replica) = &mut node.replica {
                replica.tick(moment).unwrap();
            }
        }
        self.settle();
    }

    pub fn ticks(&mut self, count: usize) {
        (0..count).for_each(|_| self.tick());
    }

    pub fn until(&mut self, what: &str, mut is_so: impl FnMut(&mut Self) -> bool) {
        for _ in 0..400 {
            if is_so(self) {
                return;
            }
            self.tick();
        }
        panic!("never: {what}");
    }

    /// Runs a command of no client on a node.
    pub fn command(&mut self, on: u64, command: Command) -> Result<dolmen::state::Outcome, Error> {
        let back = Arc::new(Mutex::new(None));
        let put = back.clone();
        let moment = self.moment();
        let done = Box::new(move |outcome| *put.lock().unwrap() = Some(outcome));
        self.replica(on).command(moment, command, Some(done));
        self.until("a command is done", |_| back.lock().unwrap().is_some());
        back.lock().unwrap().take().unwrap()
    }

    /// One founder and others that join it.
    pub fn of(seed: u64, count: u64) -> Self {
        let mut cluster = Self::new(seed);
        cluster.add(1);
        cluster.until("the founder leads", |cluster| {
            cluster.replica(1).is_leader()
        });
        let found = MemberCommand::Found(member(1, Role::Voter));
        cluster.command(1, Command::Members(found)).unwrap();
        for id in 2..=count {
            let token = MemberCommand::CreateToken {
                id: [id as u8; 8],
                secret_hash: [id as u8; 32],
                role: Role::Voter,
                until: Millis(u64::MAX),
            };
            cluster.command(1, Command::Members(token)).unwrap();
            let admit = MemberCommand::Admit {
                token: [id as u8; 8],
                secret_hash: [id as u8; 32],
                public_key: vec![id as u8],
                control: format!("n{id}:1").into(),
                bulk: format!("n{id}:2").into(),
                in_place_of: None,
                features: 1,
            };
            cluster.command(1, Command::Members(admit)).unwrap();
            cluster.add(id);
        }
        cluster.until("all are voters", |cluster| {
            let standing = cluster.replica(1).standing();
            standing.voters == count
        });
        cluster
    }

    pub fn connect(&mut self, on: u64) -> (ConnectionId, SessionId) {
        self.until("somebody leads", |cluster| {
            cluster.replica(on).leader().is_some()
        });
        self.next_connection += 1;
        let connection = ConnectionId(self.next_connection);
        let hello = Hello {
            session: SessionId(0),
            password: [0; 16],
            timeout_ms: 10_000,
            last_zxid_seen: Zxid(0),
            takes_read_only: false,
        };
        let open = Ask::Open {
            connection,
            hello,
            who: Vec::new(),
        };
        let moment = self.moment();
        self.replica(on).ask(moment, open);
        let mut session = None;
        self.until("a session is open", |cluster| {
            let node = cluster.nodes.get_mut(&NodeId(on)).unwrap();
            for reply in node.replies.drain(..) {
                if let Reply::Opened { session: given, .. } = reply {
                    session = Some(given);
                }
            }
            session.is_some()
        });
        (connection, session.unwrap())
    }

    pub fn ask(
        &mut self,
        on: u64,
        connection: ConnectionId,
        request: Request,
    ) -> Result<Answer, Error> {
        let moment = self.moment();
        let ask = Ask::Request {
            connection,
            tag: 7,
            request,
        };
        self.replica(on).ask(moment, ask);
        let mut answered = None;
        self.until("a request is answered", |cluster| {
            let node = cluster.nodes.get_mut(&NodeId(on)).unwrap();
            for reply in node.replies.drain(..) {
                if let Reply::Answer { answer, .. } = reply {
                    answered = Some(answer);
                }
            }
            answered.is_some()
        });
        answered.unwrap()
    }
}

fn member(id: u64, role: Role) -> Member {
    Member {
        node: NodeId(id),
        role,
        control: format!("n{id}:1").into(),
        bulk: format!("n{id}:2").into(),
        doors: Vec::new(),
        certificate: 1,
    }
}
