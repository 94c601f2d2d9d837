//! What the replica is to do next, and how a node stands.

use super::codec::READ_ID_BYTES;
use super::entry::{Entry, Hard, Snapshot};
use crate::ids::{Index, NodeId, Term};

/// One turn of work. Turns are numbered from 1 without a gap, and several may
/// be in flight: each is written behind the one before, and `persisted` is
/// told in their order.
#[derive(Debug, Default)]
pub struct Ready {
    pub number: u64,
    /// May leave at once, before anything of this turn is written.
    pub send_now: Vec<(NodeId, Vec<u8>)>,
    /// Promises that rest on this turn and those before: they may leave only
    /// after `persisted(number)` was called.
    pub send_when_persisted: Vec<(NodeId, Vec<u8>)>,
    /// Written before the entries: it stands for all entries up to its index,
    /// and what the log held before is gone.
    pub snapshot: Option<Snapshot>,
    /// The first takes the place of what the log holds from its index on.
    pub entries: Vec<Entry>,
    /// Becomes durable together with `entries`, all or nothing: a node that
    /// kept a change of members and forgot that the one before is committed
    /// could be elected by the members of two changes ago.
    pub hard: Option<Hard>,
    /// There is something that must be synced. Otherwise `hard`, if given,
    /// differs in its commit only, and the turn counts as persisted as soon as
    /// the ones before it do.
    pub must_sync: bool,
    /// To be applied in this order; they are durable here and on a majority.
    pub committed: Vec<Entry>,
    /// A read may be answered once this index is applied.
    pub reads: Vec<(ReadId, Index)>,
    /// The node's standing where it has changed.
    pub standing: Option<Standing>,
    /// Each is answered with `entries_for`, at worst with nothing.
    pub fetches: Vec<Fetch>,
    /// Snapshot messages among those to send: their chunks go over bulk, and
    /// `report_snapshot` says how it went, always.
    pub snapshots_sent: Vec<(NodeId, Index)>,
    /// A follower needs a snapshot, and there is none that is young enough:
    /// one should be taken now and handed to `compact`.
    pub wants_snapshot: bool,
}

/// One read, of one life of one node: an answer to an earlier life's read must
/// not be taken for an answer to this one's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReadId {
    pub node: NodeId,
    pub boot: u64,
    pub counter: u64,
}

impl ReadId {
    pub(super) fn encode(self) -> Vec<u8> {
        [self.node.0, self.boot, self.counter]
            .map(u64::to_le_bytes)
            .concat()
    }

    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; READ_ID_BYTES] = bytes.try_into().ok()?;
        let number = |at: usize| {
            let eight = bytes[at..at + 8].try_into().expect("8 of 24 bytes");
            u64::from_le_bytes(eight)
        };
        Some(Self {
            node: NodeId(number(0)),
            boot: number(8),
            counter: number(16),
        })
    }
}

/// Entries that a follower needs and only the disk has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetch {
    pub peer: NodeId,
    pub from: Index,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    pub role: Role,
    pub leader: Option<NodeId>,
    pub term: Term,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Has no vote: on its way to one, removed, or not yet a member.
    #[default]
    Learner,
    Follower,
    /// Asks for votes, or whether it would get them.
    Candidate,
    Leader,
}

#[derive(Clone, Debug, Default)]
pub struct Status {
    pub standing: Standing,
    /// The first and the last entry of the log; none if first is after last.
    pub first: Index,
    pub last: Index,
    pub commit: Index,
    /// The last entry that is durable here.
    pub persisted: Index,
    pub applied: Index,
    /// The index of the snapshot at hand.
    pub snapshot: Option<Index>,
    /// As the leader sees them; empty elsewhere.
    pub peers: Vec<PeerStatus>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerStatus {
    pub node: NodeId,
    /// Durable there up to here.
    pub matched: Index,
    /// Known there to be committed, as of its last answer.
    pub committed: Index,
    /// Sent next.
    pub next: Index,
    /// Was heard within the last election timeout.
    pub is_active: bool,
    /// A snapshot is on its way to it.
    pub takes_snapshot: bool,
}
