//! From what is on the disk to a replica that takes part: the newest snapshot
//! that reads well, the entries behind it, term and vote. Where they do not
//! lead to each other, `lacking` has others help.

use super::gather::Gather;
use super::keep::{Keeping, Kept};
use super::lacking::Lacking;
use super::leases::Leases;
use super::level_file::LevelFile;
use super::levels::{self, Levels};
use super::pace::Pace;
use super::snapshots::{self, Loaded, NotLoaded, Place};
use super::storage::{FIRST_ENTRY, Remembered, Storage};
use super::syncs::Syncs;
use super::{Now, Replica, Settings};
use crate::consensus::{self, Consensus, Entry, Hard, Members, Snapshot};
use crate::disk::Disk;
use crate::entropy::Entropy;
use crate::ids::{Index, NodeId, Term, Uid};
use crate::limits::{
    CONSENSUS_INFLIGHT_MAX, CONSENSUS_MESSAGE_BYTES, CONSENSUS_UNCOMMITTED_BYTES,
    CONSENSUS_WINDOW_BYTES,
};
use crate::log::{OpenError, Opening, Report};
use crate::state::{FIRST_FEATURES, Raised, State, Watches};
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
    /// There are others, who hold the state as well.
    pub has_others: bool,
    pub opening: Opening<'a>,
    /// Where the file `features` lies.
    pub data: Arc<dyn Disk>,
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
    /// The level at which it is written, and what the file said before.
    pub level: u32,
    pub kept_level: u32,
}

impl Replica {
    pub fn open(start: Start<'_>) -> Result<(Self, Opened), OpenError> {
        let Start {
            settings,
            is_founder,
            has_others,
            opening,
            data,
            entropy,
            now,
        } = start;
        let known = settings.release.features;
        let file = LevelFile::open(data).map_err(OpenError::io("read the feature level"))?;
        let kept_level = file.kept();
        if let Some(raised) = Raised::above(known, kept_level) {
            return Err(levels::refused(raised));
        }
        let (mut storage, remembered) = Storage::open(opening)?;
        let Remembered { hard, report } = remembered;
        let (mut found, lacking) = match Found::read(&mut storage, is_founder, known) {
            Ok(found) => (found, None),
            Err(Unread::Lacks(why)) if has_others => {
                tracing::error!(
                    why,
                    "this node takes no part before others give it their state"
                );
                let least = Index(storage.entries().0.0 - 1);
                (Found::default(), Some(Lacking::new(least, hard)))
            }
            Err(unread) => return Err(unread.refused()),
        };
        let is_empty = found.places.is_empty() && storage.entries().1 == FIRST_ENTRY;
        let level = found.level();
        if let Some(raised) = Raised::above(known, level) {
            return Err(levels::refused(raised));
        }
        levels::settle(&file, level, is_empty)?;
        let opened = Opened {
            level,
            kept_level,
            report,
            snapshot: found.kept(),
            entries: found.tail.len() as u64,
        };
        let (mut boot, mut numbers) = ([0; 8], [0; 8]);
        entropy
            .fill(&mut boot)
            .and_then(|()| entropy.fill(&mut numbers))
            .map_err(OpenError::io("draw a number"))?;
        let boot = u64::from_le_bytes(boot);
        let (applied, applied_term) = found.applied();
        let agreed = Agreed::of(hard, &mut found);
        let mut consensus = agreed.begin(&settings)?;
        // The next entry carries the commit mark, or `turn` sends it.
        consensus.hold_commit(true);
        let pace = Pace::new(settings.tick * settings.election_ticks as u32);
        let replica = Self {
            lead: consensus.standing(),
            lacking,
            levels: Levels::new(Arc::new(file)),
            keeping: Keeping::new(found.places.clone(), opened.snapshot.clone()),
            state: found.into_state(settings.cluster),
            settings,
            entropy,
            boot,
            consensus,
            storage,
            now,
            applied,
            applied_term,
            led_at: now.monotonic,
            lines: BTreeMap::new(),
            attached: BTreeMap::new(),
            watches: Watches::new(),
            late_watches: Vec::new(),
            syncs: Syncs::default(),
            backups: 0,
            pending: BTreeMap::new(),
            // Room above for all that this life will count.
            last_number: u64::from_le_bytes(numbers) >> 1,
            gathered: VecDeque::new(),
            gathered_bytes: 0,
            to_forward: Vec::new(),
            batch: Gather::default(),
            held_until: None,
            resent_at: now.monotonic,
            unpersisted: VecDeque::new(),
            persisted: None,
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
            said: BTreeMap::new(),
            farewell: None,
            changes: Vec::new(),
            replies: Vec::new(),
            outcomes: Vec::new(),
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

/// What the disk holds of the past, joined.
#[derive(Default)]
pub(super) struct Found {
    pub(super) places: Vec<Place>,
    loaded: Option<Loaded>,
    snapshot: Option<Snapshot>,
    tail: Vec<Entry>,
}

/// Why the past cannot be read back.
pub(super) enum Unread {
    /// Part of it is on other nodes alone; the log and the votes are sound.
    Lacks(String),
    Other(OpenError),
}

impl From<OpenError> for Unread {
    fn from(error: OpenError) -> Self {
        Self::Other(error)
    }
}

impl Unread {
    /// For who has nobody to ask.
    pub(super) fn refused(self) -> OpenError {
        match self {
            Self::Lacks(why) => OpenError::Identity(format!(
                "{why}; no other node is known that could hand the state on: bring the data \
                 folder back from a backup, or, if there are members elsewhere, take this node out \
                 on one of them (dolmen node replace NODE), move the data folder aside and join \
                 with the token"
            )),
            Self::Other(error) => error,
        }
    }
}

impl Found {
    pub(super) fn read(
        storage: &mut Storage,
        is_founder: bool,
        known: u32,
    ) -> Result<Self, Unread> {
        let (places, loaded) = newest_snapshot(storage, known)?;
        match loaded {
            Some(loaded) => Self::behind(storage, places, loaded),
            None if is_founder => {
                let snapshot = founding();
                Ok(Self {
                    places,
                    tail: entries_behind(storage, &snapshot)?,
                    snapshot: Some(snapshot),
                    loaded: None,
                })
            }
            // A newcomer is given a snapshot before it is given entries.
            None if storage.entries().1 != FIRST_ENTRY => Err(Unread::Lacks(
                "there is no snapshot of the replicated state, and the log begins behind one"
                    .into(),
            )),
            None => Ok(Self::default()),
        }
    }

    /// A snapshot and what the log holds behind it.
    pub(super) fn behind(
        storage: &mut Storage,
        places: Vec<Place>,
        loaded: Loaded,
    ) -> Result<Self, Unread> {
        let snapshot = loaded.as_snapshot();
        Ok(Self {
            places,
            tail: entries_behind(storage, &snapshot)?,
            snapshot: Some(snapshot),
            loaded: Some(loaded),
        })
    }

    pub(super) fn applied(&self) -> (Index, Term) {
        match &self.snapshot {
            Some(snapshot) => (snapshot.index, snapshot.term),
            None => (Index(0), Term(0)),
        }
    }

    /// The highest level of what was found.
    fn level(&self) -> u32 {
        let loaded = self.loaded.as_ref();
        let of_state = loaded.map(|loaded| loaded.state.members().features());
        of_state
            .unwrap_or(FIRST_FEATURES)
            .max(levels::level_of(&self.tail))
    }

    pub(super) fn kept(&self) -> Kept {
        self.loaded
            .as_ref()
            .map_or_else(Kept::default, |loaded| Kept {
                index: loaded.head.place.index,
                bytes: loaded.bytes,
            })
    }

    pub(super) fn into_state(self, cluster: Uid) -> State {
        match self.loaded {
            Some(loaded) => loaded.state,
            None => State::new(cluster),
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
/// for a person to look at; behind one of a newer release none is looked for.
pub(super) fn newest_snapshot(
    storage: &Storage,
    known: u32,
) -> Result<(Vec<Place>, Option<Loaded>), Unread> {
    let disk = storage.disk();
    let places = snapshots::list(&**disk).map_err(OpenError::io("list the snapshots"))?;
    let mut wrongs = Vec::new();
    for (at, place) in places.iter().enumerate() {
        match snapshots::load(&**disk, *place, known) {
            Ok(loaded) => {
                for wrong in &wrongs {
                    tracing::error!(wrong, "a snapshot is damaged; an older one takes its place");
                }
                return Ok((places[at..].to_vec(), Some(loaded)));
            }
            Err(NotLoaded::Damaged(wrong)) => wrongs.push(wrong),
            Err(NotLoaded::Newer(why)) => {
                let why = format!("the replicated state was {why}");
                return Err(Unread::Other(OpenError::Identity(why)));
            }
        }
    }
    match wrongs.is_empty() {
        true => Ok((places, None)),
        false => Err(Unread::Lacks(format!(
            "no snapshot of the replicated state reads well ({})",
            wrongs.join("; ")
        ))),
    }
}

/// The entries behind a snapshot. What does not join it is not history.
pub(super) fn entries_behind(
    storage: &mut Storage,
    snapshot: &Snapshot,
) -> Result<Vec<Entry>, Unread> {
    let (first, next) = storage.entries();
    let after = Index(snapshot.index.0 + 1);
    if first > after {
        return Err(Unread::Lacks(format!(
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

pub(super) struct Agreed {
    hard: Hard,
    snapshot: Option<Snapshot>,
    tail: Vec<Entry>,
}

impl Agreed {
    /// Takes the entries out of what was found.
    pub(super) fn of(hard: Hard, found: &mut Found) -> Self {
        let (applied, applied_term) = found.applied();
        Self {
            hard: sound_hard(hard, applied, applied_term, &found.tail),
            snapshot: found.snapshot.clone(),
            tail: std::mem::take(&mut found.tail),
        }
    }

    pub(super) fn begin(self, settings: &Settings) -> Result<Consensus, OpenError> {
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
