//! From what is on the disk to a replica that takes part: the newest snapshot
//! that reads well, the entries behind it, term and vote.

use super::keep::{Keeping, Kept};
use super::leases::Leases;
use super::pace::Pace;
use super::snapshots::{self, Loaded, Place};
use super::storage::{FIRST_ENTRY, Remembered, Storage};
use super::syncs::Syncs;
use super::{Now, Replica, Settings};
use crate::consensus::{self, Consensus, Entry, Hard, Members, Snapshot};
use crate::entropy::Entropy;
use crate::ids::{Index, NodeId, Term};
use crate::limits::{
    CONSENSUS_INFLIGHT_MAX, CONSENSUS_MESSAGE_BYTES, CONSENSUS_UNCOMMITTED_BYTES,
    CONSENSUS_WINDOW_BYTES,
};
use crate::log::{OpenError, Opening, Report};
use crate::state::{State, Watches};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// The first node of every cluster. Its number is given once, so all nodes
/// agree on who the members were before the first entry.
pub const FOUNDER: NodeId = NodeId(1);

/// What a replica is started with.
pub struct Start<'a> {
    pub settings: Settings,
    /// The node founds its cluster; another one is brought up by its leader.
    pub is_founder: bool,
    pub opening: Opening<'a>,
    pub entropy: Arc<dyn Entropy>,
    pub now: Now,
}

/// What the start found.
#[derive(Clone, Debug, Default)]
pub struct Opened {
    pub report: Report,
    pub snapshot: Kept,
    /// Entries behind the snapshot, to be applied once they are known to be
    /// committed.
    pub entries: u64,
}

impl Replica {
    pub fn open(start: Start<'_>) -> Result<(Self, Opened), OpenError> {
        let Start {
            settings,
            is_founder,
            opening,
            entropy,
            now,
        } = start;
        let (mut storage, remembered) = Storage::open(opening)?;
        let Remembered { hard, report } = remembered;
        let (places, loaded) = newest_snapshot(&storage)?;
        let snapshot = match &loaded {
            Some(loaded) => Some(loaded.as_snapshot()),
            None => is_founder.then(founding),
        };
        let tail = match &snapshot {
            Some(snapshot) => entries_behind(&mut storage, snapshot)?,
            None => Vec::new(),
        };
        let (applied, applied_term) = match &snapshot {
            Some(snapshot) => (snapshot.index, snapshot.term),
            None => (Index(0), Term(0)),
        };
        let opened = Opened {
            report,
            snapshot: loaded.as_ref().map_or_else(Kept::default, |loaded| Kept {
                index: loaded.head.place.index,
                bytes: loaded.bytes,
            }),
            entries: tail.len() as u64,
        };
        let (mut boot, mut numbers) = ([0; 8], [0; 8]);
        entropy
            .fill(&mut boot)
            .and_then(|()| entropy.fill(&mut numbers))
            .map_err(OpenError::io("draw a number"))?;
        let boot = u64::from_le_bytes(boot);
        let agreed = Agreed {
            hard: sound_hard(hard, applied, applied_term, &tail),
            snapshot,
            tail,
        };
        let mut consensus = agreed.begin(&settings)?;
        // The next entry carries the commit mark, or `turn` sends it.
        consensus.hold_commit(true);
        let pace = Pace::new(settings.tick * settings.election_ticks as u32);
        let state = match loaded {
            Some(loaded) => loaded.state,
            None => State::new(settings.cluster),
        };
        let replica = Self {
            lead: consensus.standing(),
            keeping: Keeping::new(places, opened.snapshot.clone()),
            settings,
            entropy,
            boot,
            consensus,
            storage,
            state,
            now,
            applied,
            applied_term,
            led_at: now.monotonic,
            lines: BTreeMap::new(),
            attached: BTreeMap::new(),
            watches: Watches::new(),
            late_watches: Vec::new(),
            syncs: Syncs::default(),
            pending: BTreeMap::new(),
            // Room above for all that this life will count.
            last_number: u64::from_le_bytes(numbers) >> 1,
            gathered: VecDeque::new(),
            gathered_bytes: 0,
            to_forward: Vec::new(),
            resent_at: now.monotonic,
            unpersisted: VecDeque::new(),
            proposed: Index(0),
            spread: Index(0),
            forwarded: None,
            wants_snapshot: false,
            leases: Leases::default(),
            touched: BTreeSet::new(),
            ticks: 0,
            ticked_at: now.monotonic,
            pace,
            digests: VecDeque::new(),
            differs: None,
            room_told_at: 0,
            changes: Vec::new(),
            replies: Vec::new(),
            sends: Vec::new(),
            members_changed: true,
            started: now.wall,
        };
        Ok((replica, opened))
    }

    /// A lone voter need not wait for a leader's silence.
    pub fn lead_at_once_if_alone(&mut self, now: Now) {
        self.now = now;
        let members = self.consensus.members();
        if members.voters == [self.settings.node] && !members.is_joint() {
            self.consensus.campaign();
        }
    }
}

/// What a cluster begins with: the founder is its one voter. Its state is the
/// empty one, so that nothing need be fetched with it.
pub(super) fn founding() -> Snapshot {
    Snapshot {
        index: Index(FIRST_ENTRY.0 - 1),
        term: Term(1),
        members: Members::of_voters([FOUNDER]),
        manifest: Vec::new(),
    }
}

/// The newest snapshot that reads well. One that does not is left where it is,
/// for a person to look at.
pub(super) fn newest_snapshot(
    storage: &Storage,
) -> Result<(Vec<Place>, Option<Loaded>), OpenError> {
    let disk = storage.disk();
    let places = snapshots::list(&**disk).map_err(OpenError::io("list the snapshots"))?;
    let mut wrongs = Vec::new();
    for (at, place) in places.iter().enumerate() {
        match snapshots::load(&**disk, *place) {
            Ok(loaded) => {
                for wrong in &wrongs {
                    tracing::error!(wrong, "a snapshot is damaged; an older one takes its place");
                }
                return Ok((places[at..].to_vec(), Some(loaded)));
            }
            Err(wrong) => wrongs.push(wrong),
        }
    }
    match wrongs.is_empty() {
        true => Ok((places, None)),
        false => Err(OpenError::Identity(format!(
            "no snapshot of the replicated state reads well ({}); on a cluster, move the replica's \
             folder aside and start again: the node fetches its state from the others",
            wrongs.join("; ")
        ))),
    }
}

/// The entries behind a snapshot. What does not join it is not history.
pub(super) fn entries_behind(
    storage: &mut Storage,
    snapshot: &Snapshot,
) -> Result<Vec<Entry>, OpenError> {
    let (first, next) = storage.entries();
    let after = Index(snapshot.index.0 + 1);
    if first > after {
        return Err(OpenError::Identity(format!(
            "entries {} to {} of the replicated state are missing: the snapshot ends before them \
             and the log begins behind",
            after,
            first.0 - 1
        )));
    }
    let mut tail = storage.read_all(first.max(snapshot.index))?;
    let is_joined = match tail.first() {
        Some(entry) if entry.index == snapshot.index => {
            let is_same = entry.term == snapshot.term;
            tail.remove(0);
            is_same
        }
        Some(_) => true,
        None => next >= after,
    };
    if !is_joined {
        storage.restart(after)?;
        return Ok(Vec::new());
    }
    Ok(tail)
}

/// The term is at least that of the last entry: entries and votes are durable
/// together, and a crash may keep only the entries of the last batch.
fn sound_hard(hard: Hard, applied: Index, applied_term: Term, tail: &[Entry]) -> Hard {
    let last = tail.last().map_or(applied_term, |entry| entry.term);
    let end = tail.last().map_or(applied, |entry| entry.index);
    let (term, vote) = match last > hard.term {
        true => (last, None),
        false => (hard.term, hard.vote),
    };
    Hard {
        term,
        vote,
        commit: hard.commit.clamp(applied, end),
    }
}

struct Agreed {
    hard: Hard,
    snapshot: Option<Snapshot>,
    tail: Vec<Entry>,
}

impl Agreed {
    fn begin(self, settings: &Settings) -> Result<Consensus, OpenError> {
        let applied = self
            .snapshot
            .as_ref()
            .map_or(Index(0), |snapshot| snapshot.index);
        let consensus = Consensus::new(
            consensus::Settings {
                node: settings.node,
                seed: settings.seed,
                election_ticks: settings.election_ticks,
                heartbeat_ticks: settings.heartbeat_ticks,
                inflight_max: CONSENSUS_INFLIGHT_MAX,
                message_bytes_max: CONSENSUS_MESSAGE_BYTES,
                uncommitted_bytes_max: CONSENSUS_UNCOMMITTED_BYTES,
                window_bytes: CONSENSUS_WINDOW_BYTES,
            },
            self.hard,
            self.snapshot,
            self.tail,
            applied,
        );
        consensus.map_err(|unsound| {
            OpenError::Identity(format!(
                "what consensus remembers does not fit together: {unsound}"
            ))
        })
    }
}
