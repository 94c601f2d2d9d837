//! Feature levels: which level each member's release knows, who keeps the
//! cluster from the next one, and what becomes of a node whose cluster is
//! raised above its own.
//!
//! Such a node stops at the very transaction that raised it. It applies, keeps
//! and says nothing more: what follows would mean nothing to it, and half of a
//! meaning is worse.

use super::Replica;
use super::desk::CloseReason;
use super::level_file::LevelFile;
use crate::consensus::{Body, Entry, Role as Part, Standing as Lead};
use crate::ids::NodeId;
use crate::log::{Fatal, OpenError};
use crate::peers::Release;
use crate::planted;
use crate::state::{Command, FIRST_FEATURES, Member, MemberCommand, Members, Raised, Role, codec};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) struct Levels {
    /// What the other nodes run, as they said when they were last heard.
    heard: BTreeMap<NodeId, Heard>,
    pub(super) file: Arc<LevelFile>,
    /// Why this node stands still.
    outgrown: Option<Box<str>>,
}

struct Heard {
    release: Release,
    is_up: bool,
}

/// A member, and what it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberRelease {
    pub node: NodeId,
    pub is_voter: bool,
    /// None where it was not heard since this node began.
    pub release: Option<Release>,
    pub is_heard: bool,
}

/// How the cluster stands between two levels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgrade {
    /// What is written now.
    pub level: u32,
    /// The highest level that any member is known to know.
    pub to: u32,
    pub members: Vec<MemberRelease>,
    /// Why it cannot be raised yet, a sentence each.
    pub in_the_way: Vec<String>,
}

impl Upgrade {
    pub fn is_due(&self) -> bool {
        self.to > self.level
    }
}

impl Levels {
    pub fn new(file: Arc<LevelFile>) -> Self {
        Self {
            heard: BTreeMap::new(),
            file,
            outgrown: None,
        }
    }

    pub fn up(&mut self, node: NodeId, release: Release) {
        let is_up = true;
        self.heard.insert(node, Heard { release, is_up });
    }

    pub fn down(&mut self, node: NodeId) {
        if let Some(heard) = self.heard.get_mut(&node) {
            heard.is_up = false;
        }
    }

    pub fn is_up(&self, node: NodeId) -> bool {
        self.heard.get(&node).is_some_and(|heard| heard.is_up)
    }

    /// What is down and no member any more is forgotten.
    pub fn forget_strangers(&mut self, members: &Members) {
        self.heard
            .retain(|node, heard| heard.is_up || members.get(*node).is_some());
    }
}

/// For an opening: what was written by a newer release is left as it is.
pub(super) fn refused(raised: Raised) -> OpenError {
    OpenError::Identity(format!("the replicated state was {raised}"))
}

/// The highest level at which one of the entries was written.
pub(super) fn level_of(entries: &[Entry]) -> u32 {
    let levels = entries.iter().map(|entry| match &entry.body {
        Body::Data(bytes) => codec::level_of(bytes),
        _ => 0,
    });
    levels.max().unwrap_or(0)
}

/// The file says at least what lies in the folder, and no more in an empty one.
pub(super) fn settle(file: &LevelFile, level: u32, is_empty: bool) -> Result<(), OpenError> {
    let kept = match is_empty {
        true => file.begin_at(FIRST_FEATURES),
        false => file.raise_to(level),
    };
    kept.map_err(OpenError::io("keep the feature level"))
}

impl Replica {
    /// Why this node stands still: its cluster was raised above its release.
    pub fn outgrown(&self) -> Option<&str> {
        self.levels.outgrown.as_deref()
    }

    /// Whether this node has a state, and understands what is agreed on.
    pub(super) fn takes_part(&self) -> bool {
        !self.lacks_state() && self.levels.outgrown.is_none()
    }

    /// What is above the level that this build knows.
    pub(super) fn raised(&self, level: u32) -> Option<Raised> {
        Raised::above(self.settings.release.features, level).filter(|_| !planted!(LevelNotMinded))
    }

    /// The level at which this node writes.
    pub(super) fn level(&self) -> u32 {
        self.state.members().features()
    }

    /// Before anything of that level is kept. False where this build does not
    /// know it.
    pub(super) fn may_keep(&mut self, level: u32) -> Result<bool, Fatal> {
        if let Some(raised) = self.raised(level) {
            self.outgrow(&raised);
            return Ok(false);
        }
        let kept = self.levels.file.raise_to(level);
        kept.map(|()| true).map_err(|error| Fatal {
            reason: format!("keep feature level {level}: {error}"),
        })
    }

    /// Stands still. What lies in the folder needs a newer release to go on,
    /// and the file says so.
    pub(super) fn outgrow(&mut self, raised: &Raised) {
        if let Err(error) = self.levels.file.raise_to(raised.found) {
            tracing::warn!(%error, "the feature level is not kept");
        }
        self.stand_still(format!("the cluster was {raised}"));
    }

    pub(super) fn stand_still(&mut self, why: String) {
        tracing::error!(why, "this node serves no more");
        self.levels.outgrown.get_or_insert(why.into());
        self.stop_leading();
        self.lead = Lead {
            role: Part::Learner,
            leader: None,
            term: self.lead.term,
        };
        self.held_until = None;
        self.to_forward.clear();
        self.unpersisted.clear();
        self.stop_keeping();
        self.close_all(CloseReason::NotServing);
        self.give_up_all();
    }

    /// A cluster to which nothing has happened yet is at its founder's level.
    pub(super) fn raise_if_new(&mut self) {
        let level = self.settings.release.features;
        if level > self.level() && self.state.is_untouched() {
            let members_of = self.state.members().changed();
            let raise = MemberCommand::RaiseFeatures { level, members_of };
            self.submit_inside(Command::Members(raise), None);
        }
    }

    pub fn upgrade(&self) -> Upgrade {
        let members: Vec<MemberRelease> = match self.state.members().iter().next() {
            // A node by itself has no list.
            None => vec![self.own_release(true)],
            Some(_) => self
                .state
                .members()
                .iter()
                .map(|one| self.runs(one))
                .collect(),
        };
        let known = members.iter().filter_map(|one| one.release.as_ref());
        let to = known.map(|release| release.features).max();
        let to = to.unwrap_or(0).max(self.level());
        let mut in_the_way = Vec::new();
        if to > self.level() {
            in_the_way.extend(members.iter().filter_map(|one| self.in_the_way(one, to)));
            in_the_way.extend(self.still_counted());
        }
        Upgrade {
            level: self.level(),
            to,
            members,
            in_the_way,
        }
    }

    /// What raises the cluster to the level that all know, if that is higher.
    pub fn finalize(&self) -> Result<Option<MemberCommand>, String> {
        if let Some(why) = self.outgrown() {
            return Err(why.into());
        }
        if self.lead.leader.is_none() {
            return Err("nobody leads now: try again".into());
        }
        let upgrade = self.upgrade();
        if !upgrade.is_due() {
            return Ok(None);
        }
        if !upgrade.in_the_way.is_empty() {
            let (to, why) = (upgrade.to, upgrade.in_the_way.join("; "));
            return Err(format!("feature level {to} has to wait: {why}"));
        }
        Ok(Some(MemberCommand::RaiseFeatures {
            level: upgrade.to,
            members_of: self.state.members().changed(),
        }))
    }

    /// Nobody knows whether who leaves knows the level, and majorities need it.
    fn still_counted(&self) -> Vec<String> {
        let is_alone = self.state.members().iter().next().is_none();
        let leaving = self.leaving().into_iter().filter(|_| !is_alone);
        leaving
            .map(|node| format!("node {node} is on its way out: wait until it has left"))
            .collect()
    }

    fn runs(&self, member: &Member) -> MemberRelease {
        let is_voter = member.role == Role::Voter;
        if member.node == self.settings.node {
            return self.own_release(is_voter);
        }
        let heard = self.levels.heard.get(&member.node);
        MemberRelease {
            node: member.node,
            is_voter,
            release: heard.map(|heard| heard.release.clone()),
            is_heard: heard.is_some_and(|heard| heard.is_up),
        }
    }

    fn own_release(&self, is_voter: bool) -> MemberRelease {
        MemberRelease {
            node: self.settings.node,
            is_voter,
            release: Some(self.settings.release.clone()),
            is_heard: true,
        }
    }

    fn in_the_way(&self, member: &MemberRelease, to: u32) -> Option<String> {
        let node = member.node;
        if planted!(RaisedUnasked) {
            return None;
        }
        let Some(release) = member.release.as_ref().filter(|_| member.is_heard) else {
            return Some(format!(
                "node {node} is not heard of: start it, or take it out (dolmen node remove {node})"
            ));
        };
        if release.features < to {
            let Release { features, version } = release;
            return Some(format!(
                "node {node} runs {version}, which knows levels up to {features}: install the \
                 newer release on it"
            ));
        }
        let is_short = self.state.members().is_short_of_room(node);
        is_short.then(|| format!("the disk of node {node} is nearly full: make room on it"))
    }
}
