//! A backup on its way back into the state: begun, maybe emptied first, filled
//! in batches, and ended, which is when it counts.
//!
//! How far it has come stands in a node, /dolmen/restore, and so on every
//! replica and in every snapshot. From `Begin` to the end the state is nobody's
//! to see: clients' sessions have ended, none is opened, and nothing but the
//! restore writes. Whoever dies in between leaves that word, and whoever types
//! the restore again goes on from it.

use super::access;
use super::acl::Permissions;
use super::command::{Change, Command, ImportedNode, Outcome, Write};
use super::error::Error;
use super::import::{Source, ZXID_END};
use super::node::{Owner, Slot, next_version};
use super::paths;
use super::quota;
use super::topics;
use super::tree::Tree;
use super::{Create, State};
use crate::clock::Millis;
use crate::ids::{SessionId, Uid, Zxid};
use crate::limits::{RESTORE_EMPTIED_AT_ONCE, RESTORE_TERMS_AHEAD};
use std::fmt;

/// What goes on from a backup has as far to go again.
pub const RESTORED_ZXID_END: Zxid = Zxid(ZXID_END.0 / 2);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restore {
    /// Which backup, by the number that it was given when it was made.
    pub backup: Uid,
    pub step: RestoreStep,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestoreStep {
    /// Shuts clients out. Refused where there are nodes of theirs, unless those
    /// may be discarded.
    Begin { discards: bool },
    /// Removes some of what is there, and more each time it is said.
    Empty,
    /// Parents come before children. What is there and the same is passed over.
    Fill(Vec<ImportedNode>),
    /// All of it must be there, and sum to what it summed to. Lets clients in.
    End {
        nodes: u64,
        digest: u64,
        /// Of the state that the backup was made of.
        zxid: Zxid,
    },
    /// Lets clients in again, where nothing has been removed yet; where all has
    /// been, only if they may find nothing.
    GiveUp { discards: bool },
}

/// How far a backup has come, and which.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Restoration {
    #[default]
    None,
    /// What is there may be discarded, and all of it is there still.
    Held(Uid),
    Emptying(Uid),
    Filling(Uid),
    /// All of it is there, or was, before clients went on from it.
    Done(Uid),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestoreOutcome {
    /// How it stands with the step.
    Stands(Restoration),
    /// This very backup was restored before, and nothing was done.
    Already,
    GivenUp,
    Refused(RestoreRefused),
}

/// Why a step is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestoreRefused {
    HoldsNodes,
    /// Held for one that is to discard.
    Held,
    /// Another backup is half restored.
    Another(Uid),
    /// The steps come in another order, or somebody else restores as well.
    OutOfTurn(Restoration),
    NothingToGiveUp,
    /// What was there is gone in part.
    CannotGiveUp,
    NotWhole {
        found: u64,
        nodes: u64,
    },
    OtherDigest,
}

impl fmt::Display for RestoreRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HoldsNodes => f.write_str(
                "there are znodes here that a restore would replace: type it again with \
                 --discard, which first writes a backup of them",
            ),
            Self::Held => f.write_str(
                "a restore with --discard has begun and removed nothing yet; clients wait: type \
                 it again with --discard, or dolmen backup restore --give-up",
            ),
            Self::Another(other) => write!(
                f,
                "another backup (id {other}) is half restored: type its restore again to its end, \
                 or this one with --discard"
            ),
            Self::OutOfTurn(stands) => write!(
                f,
                "somebody else restores as well ({stands}): wait for them, or type it again"
            ),
            Self::NothingToGiveUp => f.write_str("no restore is under way: nothing was changed"),
            Self::CannotGiveUp => f.write_str(
                "what was here may be gone: type the restore again to its end, or restore the \
                 backup that --discard has written; for an empty cluster, --give-up --discard",
            ),
            Self::NotWhole { found, nodes } => write!(
                f,
                "{found} znodes are restored where the backup has {nodes}: type the restore again"
            ),
            Self::OtherDigest => f.write_str(
                "what is restored is not what the backup was made of, and clients are kept out: \
                 restore another backup with --discard",
            ),
        }
    }
}

/// A word and the backup's number, as the node holds it.
impl fmt::Display for Restoration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())?;
        self.backup()
            .map_or(Ok(()), |backup| write!(f, " {backup}"))
    }
}

impl Restoration {
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Held(_) => "held",
            Self::Emptying(_) => "emptying",
            Self::Filling(_) => "filling",
            Self::Done(_) => "restored",
        }
    }

    /// Which backup it is about.
    pub fn backup(self) -> Option<Uid> {
        match self {
            Self::None => None,
            Self::Held(backup)
            | Self::Emptying(backup)
            | Self::Filling(backup)
            | Self::Done(backup) => Some(backup),
        }
    }

    fn parse(data: &[u8]) -> Option<Self> {
        let (word, backup) = std::str::from_utf8(data).ok()?.split_once(' ')?;
        let backup = Uid::parse(backup)?;
        match word {
            "held" => Some(Self::Held(backup)),
            "emptying" => Some(Self::Emptying(backup)),
            "filling" => Some(Self::Filling(backup)),
            "restored" => Some(Self::Done(backup)),
            _ => None,
        }
    }

    pub(super) fn read(tree: &Tree) -> Self {
        let slot = tree.find(paths::DOLMEN_RESTORE);
        let read = slot.and_then(|slot| Self::parse(&tree.node(slot).data));
        read.unwrap_or_default()
    }

    /// Whether clients are kept out.
    pub fn is_under_way(self) -> bool {
        !matches!(self, Self::None | Self::Done(_))
    }

    /// What a beginning leads to, where there are nodes of users' or not.
    fn begin(self, backup: Uid, holds: bool, discards: bool) -> Result<Self, RestoreRefused> {
        use Restoration::{Done, Emptying, Filling, Held, None};
        match self {
            Emptying(own) | Filling(own) if own == backup => Ok(self),
            Emptying(_) | Filling(_) if discards => Ok(Emptying(backup)),
            Emptying(other) | Filling(other) => Err(RestoreRefused::Another(other)),
            None | Done(_) | Held(_) if !holds => Ok(Filling(backup)),
            None | Done(_) | Held(_) if discards => Ok(Held(backup)),
            Held(_) => Err(RestoreRefused::Held),
            None | Done(_) => Err(RestoreRefused::HoldsNodes),
        }
    }
}

/// The system's nodes that users may set something on.
const SHARED: [&str; 3] = [paths::ROOT, paths::ZOOKEEPER, paths::ZOOKEEPER_QUOTA];

/// What goes on while a restore is under way: ends of sessions, the members and
/// the lines that they keep of themselves.
pub(super) fn passes(command: &Command) -> bool {
    match command {
        Command::CloseSession
        | Command::ExpireSession { .. }
        | Command::Members(_)
        | Command::Restore(_) => true,
        Command::Streams(command) => command.is_of_brokers(),
        Command::Write(write) => is_of_members(write),
        Command::Multi(writes) => writes.iter().all(is_of_members),
        Command::OpenSession(_)
        | Command::AttachSession(_)
        | Command::Reap { .. }
        | Command::Reconfigure(_)
        | Command::Import(_) => false,
    }
}

fn is_of_members(write: &Write) -> bool {
    let (Write::Create(Create { path, .. })
    | Write::Delete { path, .. }
    | Write::SetData { path, .. }
    | Write::SetAcl { path, .. }
    | Write::Check { path, .. }) = write;
    paths::is_within(path, paths::DOLMEN_NODES)
}

impl State {
    pub(super) fn restore(
        &mut self,
        now: Millis,
        restore: &Restore,
        changes: &mut Vec<Change>,
    ) -> Result<Outcome, Error> {
        let backup = restore.backup;
        let outcome = match &restore.step {
            RestoreStep::Begin { discards } => self.begin_restore(now, backup, *discards, changes),
            RestoreStep::Empty => self.empty(now, backup, changes),
            RestoreStep::Fill(nodes) => match self.restoration {
                Restoration::Filling(own) if own == backup => self.fill(now, nodes, changes)?,
                other => Err(RestoreRefused::OutOfTurn(other)),
            },
            RestoreStep::End {
                nodes,
                digest,
                zxid,
            } => match self.restoration {
                Restoration::Filling(own) if own == backup => {
                    self.end_restore(now, (*nodes, *digest, *zxid), changes)?
                }
                other => Err(RestoreRefused::OutOfTurn(other)),
            },
            RestoreStep::GiveUp { discards } => self.give_restore_up(now, *discards, changes),
        };
        let outcome = outcome.unwrap_or_else(RestoreOutcome::Refused);
        Ok(Outcome::Restore(outcome))
    }

    fn begin_restore(
        &mut self,
        now: Millis,
        backup: Uid,
        discards: bool,
        changes: &mut Vec<Change>,
    ) -> Result<RestoreOutcome, RestoreRefused> {
        let holds = self.holds_users_nodes();
        if self.restoration == Restoration::Done(backup) && holds && !discards {
            return Ok(RestoreOutcome::Already);
        }
        let next = self.restoration.begin(backup, holds, discards)?;
        if !self.restoration.is_under_way() {
            self.end_clients_sessions(now, changes);
        }
        Ok(self.stand(now, next, changes))
    }

    fn empty(
        &mut self,
        now: Millis,
        backup: Uid,
        changes: &mut Vec<Change>,
    ) -> Result<RestoreOutcome, RestoreRefused> {
        match self.restoration {
            Restoration::Held(own) | Restoration::Emptying(own) if own == backup => {}
            other => return Err(RestoreRefused::OutOfTurn(other)),
        }
        let next = match self.remove_some(now, changes) {
            true => Restoration::Emptying(backup),
            false => {
                self.reset_systems_nodes();
                Restoration::Filling(backup)
            }
        };
        Ok(self.stand(now, next, changes))
    }

    fn fill(
        &mut self,
        now: Millis,
        nodes: &[ImportedNode],
        changes: &mut Vec<Change>,
    ) -> Result<Result<RestoreOutcome, RestoreRefused>, Error> {
        let (topics, others): (Vec<_>, Vec<_>) = nodes
            .iter()
            .cloned()
            .partition(|node| topics::is_kept(&node.path));
        self.as_system(now, changes)
            .import(&others, Source::Backup)?;
        let mut streams = self.streams(now, changes);
        topics.iter().for_each(|node| streams.restore(node));
        self.read_settings();
        Ok(Ok(RestoreOutcome::Stands(self.restoration)))
    }

    fn end_restore(
        &mut self,
        now: Millis,
        (nodes, digest, zxid): (u64, u64, Zxid),
        changes: &mut Vec<Change>,
    ) -> Result<Result<RestoreOutcome, RestoreRefused>, Error> {
        if zxid >= RESTORED_ZXID_END {
            return Err(Error::BadArguments);
        }
        let (found, sum) = self.users_part();
        if found != nodes {
            return Ok(Err(RestoreRefused::NotWhole { found, nodes }));
        }
        if sum != digest {
            return Ok(Err(RestoreRefused::OtherDigest));
        }
        let Restoration::Filling(backup) = self.restoration else {
            return Ok(Err(RestoreRefused::OutOfTurn(self.restoration)));
        };
        // Ephemeral nodes are counted in the figures that came, and are gone.
        quota::count_all_anew(&mut self.tree, &self.quotas);
        let term = (self.zxid.max(zxid).0 >> 32) + RESTORE_TERMS_AHEAD;
        self.zxid = Zxid(term << 32);
        Ok(Ok(self.stand(now, Restoration::Done(backup), changes)))
    }

    fn give_restore_up(
        &mut self,
        now: Millis,
        discards: bool,
        changes: &mut Vec<Change>,
    ) -> Result<RestoreOutcome, RestoreRefused> {
        let is_empty = !self.holds_users_nodes();
        match self.restoration {
            Restoration::None | Restoration::Done(_) => Err(RestoreRefused::NothingToGiveUp),
            Restoration::Held(_) => Ok(self.forget_restore(now, changes)),
            Restoration::Filling(_) if is_empty && discards => {
                Ok(self.forget_restore(now, changes))
            }
            Restoration::Emptying(_) | Restoration::Filling(_) => Err(RestoreRefused::CannotGiveUp),
        }
    }

    fn forget_restore(&mut self, now: Millis, changes: &mut Vec<Change>) -> RestoreOutcome {
        if let Some(slot) = self.tree.find(paths::DOLMEN_RESTORE) {
            let mut writes = self.as_system(now, changes);
            writes.remove(slot, paths::DOLMEN_RESTORE);
        }
        self.restoration = Restoration::None;
        RestoreOutcome::GivenUp
    }

    /// Writes down how far it has come.
    fn stand(
        &mut self,
        now: Millis,
        next: Restoration,
        changes: &mut Vec<Change>,
    ) -> RestoreOutcome {
        if next != self.restoration {
            let text = next.to_string().into_bytes();
            let slot = self.tree.find(paths::DOLMEN_RESTORE);
            let mut writes = self.as_system(now, changes);
            match slot {
                Some(slot) => {
                    let version = next_version(writes.tree.node(slot).version);
                    writes.replace(slot, paths::DOLMEN_RESTORE, text.into(), version);
                }
                None => {
                    let parent = writes.tree.find(paths::DOLMEN);
                    let parent = parent.expect("nobody can remove /dolmen");
                    let acl = access::anyone(Permissions::READ);
                    let path = paths::DOLMEN_RESTORE;
                    writes.add(parent, path, text.into(), &acl, Owner::NOBODY);
                }
            }
            self.restoration = next;
        }
        RestoreOutcome::Stands(next)
    }

    /// All sessions but the nodes' own, which keep their lines among the
    /// members and the brokers.
    pub(super) fn clients_sessions(&self) -> impl Iterator<Item = SessionId> {
        let nodes = self.tree.find(paths::DOLMEN_NODES);
        let is_nodes_own = move |id: &SessionId| {
            let mut ephemerals = self.tree.ephemerals(*id);
            ephemerals.any(|slot| Some(self.tree.node(slot).parent) == nodes)
                || self.topics.brokers().of_session(*id).is_some()
        };
        let ids = self.sessions.iter().map(|(id, _)| id);
        ids.filter(move |id| !is_nodes_own(id))
    }

    fn end_clients_sessions(&mut self, now: Millis, changes: &mut Vec<Change>) {
        let gone: Vec<SessionId> = self.clients_sessions().collect();
        for id in gone {
            self.sessions.remove(id);
            self.leave_behind(now, id, changes);
        }
    }

    /// Whether there is anything that a restore would replace: nodes that are
    /// not the system's, or something set on those that are.
    pub fn holds_users_nodes(&self) -> bool {
        let is_set = |path: &str| {
            let slot = self.tree.find(path);
            slot.is_some_and(|slot| {
                let node = self.tree.node(slot);
                node.version != 0 || node.acl_version != 0
            })
        };
        self.users_top().is_some() || SHARED.into_iter().any(is_set)
    }

    /// Nothing is set on those that users may set something on.
    fn reset_systems_nodes(&mut self) {
        let acl = self.tree.acls.intern(&access::anyone(Permissions::ALL));
        for slot in SHARED
            .map(|path| self.tree.find(path))
            .into_iter()
            .flatten()
        {
            self.tree.change(slot, |node| {
                node.set_data(b""[..].into());
                node.acl = acl;
                (node.version, node.acl_version, node.children_created) = (0, 0, 0);
            });
        }
    }

    /// A node directly under one of the system's that is not the system's.
    fn users_top(&self) -> Option<Slot> {
        let under = |path, own: &'static [&str]| {
            let children = self.tree.find(path).map(|slot| self.tree.children(slot));
            let mut children = children.into_iter().flatten();
            children.find_map(|(name, &slot)| (!own.contains(&&**name)).then_some(slot))
        };
        under(paths::ROOT, &["zookeeper", "dolmen"])
            .or_else(|| under(paths::ZOOKEEPER, &["config", "quota"]))
            .or_else(|| under(paths::ZOOKEEPER_QUOTA, &[]))
    }

    /// Removes users' nodes, the deepest first; whether some are left.
    fn remove_some(&mut self, now: Millis, changes: &mut Vec<Change>) -> bool {
        let mut left = RESTORE_EMPTIED_AT_ONCE;
        while let Some(top) = self.users_top() {
            let mut slot = top;
            loop {
                if let Some(&child) = self.tree.children(slot).values().next() {
                    slot = child;
                    continue;
                }
                if left == 0 {
                    return true;
                }
                left -= 1;
                let (path, parent) = (self.tree.path(slot), self.tree.node(slot).parent);
                self.as_system(now, changes).remove(slot, &path);
                if slot == top {
                    break;
                }
                slot = parent;
            }
        }
        false
    }
}
