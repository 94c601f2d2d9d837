//! The loop: events in, decisions, effects out. One thread owns the consensus
//! and the state, so there is nothing to lock and one thing happens at a time.
//!
//! `Replica` waits for nothing: what doors ask, peers say and the clock tells
//! goes in by `ask`, `heard` and `tick`; `turn` carries it as far as it will
//! go; replies and frames come out by `take_replies` and `take_sends`, what is
//! shown of the state before the replies that may speak of it. The simulation drives it as it is; `thread` gives it a thread and its seams.
//!
//! ```text
//! asks.rs     what doors ask, in the order of each connection
//! agree.rs    submissions to the leader, entries to the log, messages to peers
//! apply.rs    committed entries into the state, and what follows from each
//! lacking.rs  a node whose state is to come from another before it takes part
//! backups.rs  the state as a backup, handed out piece by piece
//! keep.rs     snapshots: taken, handed on, installed; the log behind them trimmed
//! lead.rs     what only a leader does: leases, reaping, members
//! levels.rs   feature levels: who knows which, and a node that is too old
//! ```

mod agree;
mod apply;
mod asks;
mod backups;
pub mod codec;
pub mod desk;
mod gather;
mod keep;
mod lacking;
mod lead;
mod leases;
pub mod level_file;
mod levels;
mod pace;
mod recover;
mod session;
pub mod snapshots;
mod start;
mod storage;
mod syncs;
mod thread;

pub use backups::{Backup, NoBackup};
pub use codec::Aside;
pub use keep::Kept;
pub use levels::{MemberRelease, Upgrade};
pub use recover::{Recovered, recover};
pub use start::{FOUNDER, Opened, Start};
pub use thread::{Doorway, Hooks, ReplicaHandle, Running, ShowTopics, start};

use crate::clock::Millis;
use crate::consensus::{Consensus, Standing as Lead};
use crate::entropy::Entropy;
use crate::ids::{Index, NodeId, SessionId, Term, Uid};
use crate::peers::{Plane, Release};
use crate::state::{Change, Command, Error, Outcome, State, Topics, Watches};
use desk::{ConnectionId, Reply, Standing};
use gather::Gather;
use keep::Keeping;
use lacking::Lacking;
use leases::Leases;
use levels::Levels;
use pace::Pace;
use session::Line;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use storage::Storage;
use syncs::{Syncs, Waiter};

/// What the replica is told to be; `daemon/compose.rs` fills it.
#[derive(Clone, Debug)]
pub struct Settings {
    pub node: NodeId,
    pub cluster: Uid,
    /// What this node runs.
    pub release: Release,
    /// How often `tick` is called.
    pub tick: Duration,
    /// A follower that hears nothing for this many ticks asks for votes.
    pub election_ticks: usize,
    /// Decides when this node asks for votes.
    pub seed: u64,
    pub heartbeat_ticks: usize,
    /// Whether clients that ask for it are served without a majority.
    pub serves_read_only: bool,
    /// With less than this left on the disk nothing is added to the state.
    pub room_low_bytes: u64,
}

/// A frame on its way to another node.
pub type Outgoing = (NodeId, Plane, Vec<u8>);
/// A message of consensus, for whom.
type ToPeer = (NodeId, Vec<u8>);

/// The moment at which something is done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Now {
    pub wall: Millis,
    pub monotonic: Duration,
}

/// Hears what came of a command that no client sent.
pub type Done = Box<dyn FnOnce(Result<Outcome, Error>) + Send>;

pub struct Replica {
    settings: Settings,
    entropy: Arc<dyn Entropy>,
    /// Drawn at each start: tells this life's numbers from an earlier one's.
    boot: u64,
    consensus: Consensus,
    /// The state could not be read back: consensus and state are empty until
    /// another node has handed one on.
    lacking: Option<Lacking>,
    levels: Levels,
    storage: Storage,
    state: State,
    keeping: Keeping,
    now: Now,
    /// The last entry that is in the state.
    applied: Index,
    applied_term: Term,
    lead: Lead,
    /// When a leader was last known; connections outlive an election, not a
    /// lost majority.
    led_at: Duration,

    lines: BTreeMap<ConnectionId, Line>,
    /// Which of them speaks for a session.
    attached: BTreeMap<SessionId, ConnectionId>,
    watches: Watches<ConnectionId>,
    /// Set only when the next entry is applied: a planted fault.
    late_watches: Vec<(ConnectionId, Box<str>, crate::state::WatchKind)>,
    syncs: Syncs<Waiter>,
    /// Numbers the backups.
    backups: u64,

    /// What this node has sent to be committed, by number, the oldest first.
    pending: BTreeMap<u64, Pending>,
    last_number: u64,
    /// On the leader: encoded submissions for the next entry.
    gathered: VecDeque<Arc<[u8]>>,
    gathered_bytes: usize,
    /// On a follower: numbers to be forwarded.
    to_forward: Vec<u64>,
    /// When what came together goes on.
    batch: Gather,
    /// Until when it is held.
    held_until: Option<Duration>,
    resent_at: Duration,
    /// Ready numbers and what may be sent once each is durable.
    unpersisted: VecDeque<(u64, Vec<ToPeer>)>,
    /// What the last turn has made durable: a disk may take its time within a
    /// turn, and the next one knows what it took.
    persisted: Option<u64>,
    /// The last entry that this node proposed as the leader: what is gathered
    /// until it is applied is the next one.
    proposed: Index,
    /// What the followers were last told of: the commit mark goes with an entry
    /// where one follows, else by itself.
    spread: Index,
    /// On a follower: the last number of the batch that is on its way. What
    /// comes until it is applied is the next batch.
    forwarded: Option<u64>,

    /// A follower needs a snapshot that is not here yet.
    wants_snapshot: bool,
    leases: Leases,
    touched: BTreeSet<SessionId>,
    ticks: u64,
    ticked_at: Duration,
    /// How long an election may take here.
    pace: Pace,
    /// Sums of the state at some indices, to compare with the followers'.
    digests: VecDeque<(Index, u64)>,
    /// The first that told of another sum than this node's at the same entry.
    differs: Option<NodeId>,
    /// What this node says by itself and is on its way, with its number.
    said: BTreeMap<lead::Word, u64>,
    /// On a leader: who is about to be counted no more.
    farewell: Option<lead::Farewell>,

    changes: Vec<Change>,
    replies: Vec<Reply>,
    /// What came of commands that no client sent. It is told when the replies
    /// are taken, which is after what they changed is shown.
    outcomes: Vec<(Done, Result<Outcome, Error>)>,
    sends: Vec<Outgoing>,
    /// The members' list has changed since it was last looked at.
    members_changed: bool,
    started: Millis,
}

/// A submission of this node's that is not applied yet.
struct Pending {
    encoded: Arc<[u8]>,
    sender: Sender,
}

enum Sender {
    Line(ConnectionId),
    Opening(Opening),
    Inside(Option<Done>),
}

/// A client whose session is being opened or attached.
struct Opening {
    connection: ConnectionId,
    who: Vec<crate::state::Identity>,
}

impl Replica {
    /// Carries everything as far as it will go without waiting.
    ///
    /// A node that catches up has much to apply: it comes back after some of
    /// it, so that what has arrived meanwhile is heard, and is called again
    /// because it is not `is_waiting`. The caller takes what is ready to leave
    /// after each turn.
    pub fn turn(&mut self, now: Now) -> Result<(), crate::log::Fatal> {
        const ROUNDS_MAX: usize = 8;
        self.now = now;
        if let Some(number) = self.persisted.take() {
            self.pace.flushed(number, now.monotonic);
        }
        if !self.takes_part() {
            return self.lacking_turn();
        }
        for _ in 0..ROUNDS_MAX {
            self.begin_syncs();
            self.send_on();
            // The disk may take its time within the turn: what is ready leaves
            // first, and the followers' disks work beside this one.
            let has_ready = !self.sends.is_empty() || self.has_answers();
            if has_ready && self.storage.has_new() {
                return Ok(());
            }
            let has_persisted = self.persist()?;
            let has_agreed = self.agree()?;
            if !self.takes_part() {
                return Ok(());
            }
            self.answer_syncs();
            self.go_on_keeping()?;
            if has_persisted {
                return Ok(());
            }
            if !has_agreed {
                if self.spread < self.applied && self.is_leader() {
                    self.spread_commit();
                    continue;
                }
                return Ok(());
            }
        }
        Ok(())
    }

    /// Whether a turn would find nothing to do until something comes in.
    pub fn is_waiting(&self) -> bool {
        let owes_word = self.is_leader() && self.spread < self.applied;
        if !self.takes_part() {
            return self.storage.is_waiting();
        }
        let is_idle = self.storage.is_waiting() && !self.consensus.has_ready();
        is_idle && !owes_word && self.persisted.is_none()
    }

    /// The wait ends with `at_most`, or when the disk or the waker ends it.
    pub fn wait(&mut self, at_most: Option<Duration>, still_idle: &mut dyn FnMut() -> bool) {
        self.storage.wait(at_most, still_idle);
    }

    /// Submissions are held for more of their kind: until when, and how many
    /// more make it worth no longer waiting.
    pub fn holds(&self) -> Option<(Duration, usize)> {
        let until = self.held_until?;
        let waiting = self.gathered.len() + self.to_forward.len();
        Some((until, self.batch.lacks(waiting)))
    }

    pub fn waker(&self) -> crate::disk::Waker {
        self.storage.waker()
    }

    /// Leaves a mark that spares the next start the scan.
    pub fn seal(self) -> Result<(), crate::log::Fatal> {
        self.storage.close()
    }

    fn has_answers(&self) -> bool {
        !self.replies.is_empty() || !self.outcomes.is_empty()
    }

    /// The doors' replies; whoever waits for a command of the node's own is told
    /// what came of it.
    pub fn take_replies(&mut self, into: &mut Vec<Reply>) {
        into.append(&mut self.replies);
        for (done, outcome) in self.outcomes.drain(..) {
            done(outcome);
        }
    }

    pub fn take_sends(&mut self) -> Vec<Outgoing> {
        std::mem::take(&mut self.sends)
    }

    /// Whether the members' list has changed since this was last asked.
    pub fn take_members_changed(&mut self) -> bool {
        std::mem::take(&mut self.members_changed)
    }

    /// The topics and brokers as they are to be shown, another `Arc` wherever
    /// they have changed. None while the state is none to go by.
    pub fn topics(&self) -> Option<&Arc<Topics>> {
        self.takes_part().then(|| self.state.shared_topics())
    }

    pub fn state(&self) -> &State {
        &self.state
    }

    pub fn is_leader(&self) -> bool {
        self.lead.role == crate::consensus::Role::Leader
    }

    pub fn leader(&self) -> Option<NodeId> {
        self.lead.leader
    }

    pub fn term(&self) -> crate::ids::Term {
        self.lead.term
    }

    /// Who takes part in votes and who only follows, as consensus has it.
    pub fn members(&self) -> crate::consensus::Members {
        self.consensus.members()
    }

    pub fn applied(&self) -> Index {
        self.applied
    }

    /// Whether clients' requests are taken.
    fn is_serving(&self) -> bool {
        self.lead.leader.is_some() && !self.has_left() && !self.is_restoring()
    }

    /// Whether a backup is half restored: what is here is nobody's to see.
    fn is_restoring(&self) -> bool {
        self.state.restoration().is_under_way()
    }

    /// Whether what this node holds is shown while nobody leads.
    fn serves_read_only(&self) -> bool {
        self.settings.serves_read_only && self.takes_part() && !self.is_restoring()
    }

    /// Whether this node was removed from its cluster. What it holds is of the
    /// past, and nobody tells it of the present.
    pub fn has_left(&self) -> bool {
        self.state.members().has_left(self.settings.node)
    }

    /// Nodes that are in the list no more and count for majorities still.
    pub fn leaving(&self) -> Vec<NodeId> {
        let (have, wanted) = (self.consensus.members(), self.state.members());
        let all = have.voters.into_iter().chain(have.learners);
        all.filter(|node| wanted.get(*node).is_none()).collect()
    }

    /// What a message to the slowest peer and back takes.
    pub fn note_round_trip(&mut self, round_trip: Duration) {
        self.pace.note_round_trip(round_trip);
    }

    pub fn node(&self) -> NodeId {
        self.settings.node
    }

    /// The other members that this node, as the leader, has heard of lately;
    /// on a follower the leader alone.
    pub fn active_peers(&self) -> Vec<NodeId> {
        if !self.is_leader() {
            return self.lead.leader.into_iter().collect();
        }
        let status = self.consensus.status();
        let active = status.peers.iter().filter(|peer| peer.is_active);
        active.map(|peer| peer.node).collect()
    }

    /// Whether anything stands in the tree beside what every tree has.
    pub fn holds_user_data(&self) -> bool {
        self.state.stat_of("/").is_ok_and(|root| root.children > 2)
            || self.state.members().iter().next().is_some()
    }

    /// Hands the leadership to another voter; nothing on a follower.
    pub fn transfer(&mut self, to: NodeId) {
        if self.is_leader() {
            self.consensus.transfer(to);
        }
    }

    /// Submits a command that no client sent.
    pub fn command(&mut self, now: Now, command: Command, done: Option<Done>) {
        self.now = now;
        self.submit_inside(command, done);
        if self.outgrown().is_some() {
            self.give_up_all();
        }
    }

    pub fn standing(&self) -> Standing {
        self.stand()
    }
}
