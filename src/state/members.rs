//! The members of the cluster, the tokens by which others join, and the
//! feature level that all of them write.

use super::config_node::Announced;
use super::digest::{Hash, Part};
use super::tokens::{Shown, Tokens};
use crate::clock::Millis;
use crate::ids::{NodeId, Zxid};
use crate::limits::{FEATURES_MAX, MEMBER_NUMBER_MAX, MEMBERS_MAX};
use crate::planted;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The feature level up to which this build writes and reads. A replica whose
/// state was raised above it stops: what follows would mean nothing to it.
pub const FEATURES: u32 = if cfg!(feature = "next-features") {
    2
} else {
    1
};

/// The level of a cluster to which nothing has happened. The same for every
/// build, because each replays the first entries of an older one's log; a
/// newly founded cluster is raised by its founder's first word.
pub const FIRST_FEATURES: u32 = 1;

/// What was raised above the level that a build knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raised {
    pub found: u32,
    pub known: u32,
}

impl Raised {
    /// None where the build knows the level.
    pub fn above(known: u32, found: u32) -> Option<Self> {
        (found > known).then_some(Self { found, known })
    }
}

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { found, known } = self;
        write!(
            f,
            "raised to feature level {found}, and this release knows levels up to {known}: \
             install the newer release again"
        )
    }
}

/// A member as all know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub node: NodeId,
    pub role: Role,
    /// `host:port` of its control and bulk endpoints.
    pub control: Box<str>,
    pub bulk: Box<str>,
    /// What it answers clients with: `zookeeper=host:port` and the like.
    pub doors: Vec<(Box<str>, Box<str>)>,
    /// The serial of its certificate; older ones are refused.
    pub certificate: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Takes part in votes.
    Voter,
    /// Follows the log and does not vote: on its way to voter, or a worker.
    Learner,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberCommand {
    /// A node takes its first member's place in its own new cluster.
    Found(Member),
    CreateToken {
        id: [u8; 8],
        secret_hash: [u8; 32],
        role: Role,
        until: Millis,
    },
    RevokeToken {
        id: [u8; 8],
    },
    /// A joiner showed a token's secret: it becomes a learner under the next
    /// free id, and the token is used up.
    Admit {
        token: [u8; 8],
        secret_hash: [u8; 32],
        public_key: Vec<u8>,
        control: Box<str>,
        bulk: Box<str>,
        /// The node id whose place it takes, after `node replace`.
        in_place_of: Option<NodeId>,
        /// The feature level up to which its build writes and reads.
        features: u32,
    },
    /// A member's certificate was renewed, or its addresses changed.
    Announce(Member),
    /// A member wants a new certificate: gives it a serial.
    Renew {
        node: NodeId,
    },
    SetRole {
        node: NodeId,
        role: Role,
    },
    Remove {
        node: NodeId,
    },
    /// Everybody on the list as it was at `members_of`, its last change, knows
    /// this level. Whoever came since was not asked.
    RaiseFeatures {
        level: u32,
        members_of: Zxid,
    },
    /// A node's disk is nearly full, or has room again.
    Room {
        node: NodeId,
        is_short: bool,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberOutcome {
    Done,
    /// The node's id and the serial for its certificate.
    Admitted {
        node: NodeId,
        serial: u64,
    },
    Refused(Box<str>),
}

/// Everyone who belongs to the cluster. What the consensus calls its members
/// is changed by the replica; this is the list that all know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Members {
    pub(super) list: BTreeMap<NodeId, Member>,
    /// Learners that shall become voters once they have caught up.
    pub(super) promised: BTreeSet<NodeId>,
    /// Observers that ZooKeeper's reconfig has listed: they take part in
    /// nothing until they join.
    pub(super) announced: BTreeMap<u64, Announced>,
    pub(super) tokens: Tokens,
    /// Ids and serials are never given twice.
    pub(super) next_node: NodeId,
    pub(super) next_serial: u64,
    pub(super) features: u32,
    /// Nodes whose disk is nearly full.
    pub(super) short_of_room: BTreeSet<NodeId>,
    /// The transaction that last changed the list.
    pub(super) changed: Zxid,
}

impl Default for Members {
    fn default() -> Self {
        Self {
            list: BTreeMap::new(),
            promised: BTreeSet::new(),
            announced: BTreeMap::new(),
            tokens: Tokens::default(),
            next_node: NodeId(1),
            next_serial: 1,
            features: FIRST_FEATURES,
            short_of_room: BTreeSet::new(),
            changed: Zxid(0),
        }
    }
}

/// Why the list stays as it is, for a person.
type Refusal = Box<str>;

/// Who asks anew may be heard: nothing is wrong.
pub const MEMBERS_CHANGED: &str = "the members have changed meanwhile: try again";

impl Members {
    pub fn iter(&self) -> impl Iterator<Item = &Member> {
        self.list.values()
    }

    pub fn get(&self, node: NodeId) -> Option<&Member> {
        self.list.get(&node)
    }

    pub fn voters(&self) -> impl Iterator<Item = &Member> {
        self.iter().filter(|member| member.role == Role::Voter)
    }

    /// Learners whose token promised them a vote.
    pub fn promised(&self) -> impl Iterator<Item = NodeId> {
        self.promised.iter().copied()
    }

    /// Whether the node was a member once and is none any more: ids are never
    /// given twice.
    pub fn has_left(&self, node: NodeId) -> bool {
        node < self.next_node && !self.list.is_empty() && !self.list.contains_key(&node)
    }

    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    pub fn features(&self) -> u32 {
        self.features
    }

    pub fn is_short_of_room(&self, node: NodeId) -> bool {
        self.short_of_room.contains(&node)
    }

    /// Whether so many voters have room that what is added is kept by a
    /// majority. A node by itself has no list and is the only voter.
    pub fn have_room(&self) -> bool {
        if self.short_of_room.is_empty() || self.list.is_empty() {
            return self.short_of_room.is_empty();
        }
        let (voters, short) = self.voters().fold((0, 0), |(voters, short), voter| {
            let is_short = self.is_short_of_room(voter.node);
            (voters + 1, short + usize::from(is_short))
        });
        voters - short > voters / 2
    }

    /// What the next certificate carries.
    pub fn next_serial(&self) -> u64 {
        self.next_serial
    }

    /// The version of /zookeeper/config.
    pub fn changed(&self) -> Zxid {
        self.changed
    }

    pub(super) fn apply(&mut self, now: Millis, command: &MemberCommand) -> MemberOutcome {
        let outcome = match command {
            MemberCommand::Found(member) => self.found(member),
            MemberCommand::CreateToken { .. } => self.tokens.create(now, command),
            MemberCommand::RevokeToken { id } => self.tokens.revoke(*id),
            MemberCommand::Admit {
                token,
                secret_hash,
                public_key,
                ..
            } => {
                let shown = self.tokens.show(now, *token, secret_hash, public_key);
                shown.and_then(|shown| self.admit(shown, command))
            }
            MemberCommand::Announce(member) => self.announce(member),
            MemberCommand::Renew { node } => self.renew(*node),
            MemberCommand::SetRole { node, role } => self.set_role(*node, *role),
            MemberCommand::Remove { node } => self.remove(*node),
            MemberCommand::RaiseFeatures { level, members_of } => self.raise(*level, *members_of),
            MemberCommand::Room { node, is_short } => self.room(*node, *is_short),
        };
        outcome.unwrap_or_else(MemberOutcome::Refused)
    }

    fn found(&mut self, member: &Member) -> Result<MemberOutcome, Refusal> {
        if !self.list.is_empty() {
            return Err("the cluster has members already: join it with a token".into());
        }
        let next_node = NodeId(counted_on(member.node.0)?);
        let next_serial = counted_on(member.certificate)?;
        self.next_node = next_node;
        self.next_serial = self.next_serial.max(next_serial);
        self.list.insert(member.node, member.clone());
        Ok(MemberOutcome::Done)
    }

    fn admit(&mut self, shown: Shown, command: &MemberCommand) -> Result<MemberOutcome, Refusal> {
        let MemberCommand::Admit {
            token,
            public_key,
            control,
            bulk,
            in_place_of,
            features,
            ..
        } = command
        else {
            unreachable!("only Admit admits");
        };
        let role = match shown {
            Shown::Fresh(role) => role,
            // The same joiner asks again: its answer was lost.
            Shown::UsedBySame { node, serial } => {
                return Ok(MemberOutcome::Admitted { node, serial });
            }
        };
        if *features < self.features && !planted!(AdmittedBelowLevel) {
            let ours = self.features;
            return Err(format!(
                "the cluster writes feature level {ours}, and the release on this box knows levels \
                 up to {features}: install a newer one on it"
            )
            .into());
        }
        match in_place_of {
            Some(old) => drop(self.remove(*old)?),
            None if self.list.len() >= MEMBERS_MAX => {
                return Err(format!("{MEMBERS_MAX} members are the most: remove one first").into());
            }
            None => {}
        }
        let (node, serial) = (self.next_node, self.next_serial);
        self.next_node = NodeId(node.0 + 1);
        self.next_serial = serial + 1;
        self.tokens.used(*token, node, serial, public_key);
        self.announced.remove(&node.0);
        if role == Role::Voter {
            self.promised.insert(node);
        }
        let member = Member {
            node,
            role: Role::Learner,
            control: control.clone(),
            bulk: bulk.clone(),
            doors: Vec::new(),
            certificate: serial,
        };
        self.list.insert(node, member);
        Ok(MemberOutcome::Admitted { node, serial })
    }

    fn announce(&mut self, new: &Member) -> Result<MemberOutcome, Refusal> {
        let next_serial = counted_on(new.certificate)?;
        let member = self.listed(new.node)?;
        if new.certificate < member.certificate {
            return Err(format!("node {} has a newer certificate", new.node).into());
        }
        *member = Member {
            role: member.role,
            ..new.clone()
        };
        self.next_serial = self.next_serial.max(next_serial);
        Ok(MemberOutcome::Done)
    }

    fn renew(&mut self, node: NodeId) -> Result<MemberOutcome, Refusal> {
        self.listed(node)?;
        let serial = self.next_serial;
        self.next_serial = serial + 1;
        Ok(MemberOutcome::Admitted { node, serial })
    }

    fn set_role(&mut self, node: NodeId, role: Role) -> Result<MemberOutcome, Refusal> {
        if role == Role::Learner {
            self.keep_a_voter(node)?;
        }
        self.listed(node)?.role = role;
        self.promised.remove(&node);
        Ok(MemberOutcome::Done)
    }

    fn remove(&mut self, node: NodeId) -> Result<MemberOutcome, Refusal> {
        self.listed(node)?;
        self.keep_a_voter(node)?;
        self.leave(node);
        Ok(MemberOutcome::Done)
    }

    pub(super) fn leave(&mut self, node: NodeId) {
        self.list.remove(&node);
        self.promised.remove(&node);
        self.short_of_room.remove(&node);
    }

    fn keep_a_voter(&self, node: NodeId) -> Result<(), Refusal> {
        let mut voters = self.voters().map(|member| member.node);
        if voters.next() == Some(node) && voters.next().is_none() {
            return Err(format!("node {node} is the last voter: add another first").into());
        }
        Ok(())
    }

    fn listed(&mut self, node: NodeId) -> Result<&mut Member, Refusal> {
        let member = self.list.get_mut(&node);
        member.ok_or_else(|| format!("node {node} is no member").into())
    }

    fn room(&mut self, node: NodeId, is_short: bool) -> Result<MemberOutcome, Refusal> {
        if !self.list.is_empty() {
            self.listed(node)?;
        }
        match is_short {
            true => self.short_of_room.insert(node),
            false => self.short_of_room.remove(&node),
        };
        Ok(MemberOutcome::Done)
    }

    fn raise(&mut self, level: u32, members_of: Zxid) -> Result<MemberOutcome, Refusal> {
        if level < self.features {
            let features = self.features;
            return Err(format!("the feature level is {features} and never lowered").into());
        }
        if level > FEATURES_MAX {
            return Err(format!("{level} is beyond all feature levels").into());
        }
        let is_as_asked = members_of == self.changed || planted!(RaisedOverNewcomer);
        if level > self.features && !is_as_asked {
            return Err(MEMBERS_CHANGED.into());
        }
        self.features = level;
        Ok(MemberOutcome::Done)
    }

    pub(super) fn hash(&self) -> u64 {
        let numbers = Hash::of(Part::Members)
            .word(self.next_node.0)
            .word(self.next_serial)
            .word(self.features.into())
            .word(self.changed.0)
            .word(self.list.len() as u64);
        let members = self.list.values().fold(numbers, |hash, member| {
            let doors = member.doors.iter().flat_map(|(name, at)| [name, at]);
            let hash = hash
                .word(member.node.0 << 2)
                .word(u64::from(member.role == Role::Voter))
                .word(u64::from(self.promised.contains(&member.node)))
                .word(member.certificate)
                .bytes(member.control.as_bytes())
                .bytes(member.bulk.as_bytes())
                .word(member.doors.len() as u64);
            doors.fold(hash, |hash, text| hash.bytes(text.as_bytes()))
        });
        let announced = self
            .announced
            .iter()
            .fold(members, |hash, (id, announced)| {
                hash.word(*id).bytes(announced.text().as_bytes())
            });
        let short = self.short_of_room.iter();
        let short = short.fold(announced, |hash, node| hash.word(node.0));
        self.tokens.hash(short).value()
    }
}

/// The next after an id or a serial that somebody says.
fn counted_on(number: u64) -> Result<u64, Refusal> {
    match number > MEMBER_NUMBER_MAX {
        true => Err(format!("{number} is beyond all ids and serials").into()),
        false => Ok(number + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_nobody_can_count_on_from_is_refused() {
        let member = |node, certificate| Member {
            node: NodeId(node),
            role: Role::Voter,
            control: "10.0.0.1:7300".into(),
            bulk: "10.0.0.1:7301".into(),
            doors: Vec::new(),
            certificate,
        };
        let mut members = Members::default();
        for (node, certificate) in [(1, u64::MAX), (u64::MAX, 1)] {
            let found = MemberCommand::Found(member(node, certificate));
            let refused = members.apply(Millis(0), &found);
            assert!(matches!(refused, MemberOutcome::Refused(_)), "{refused:?}");
            assert_eq!(members, Members::default());
        }
        let found = members.apply(Millis(0), &MemberCommand::Found(member(1, 1)));
        assert_eq!(found, MemberOutcome::Done);
        let before = members.clone();
        let announced = MemberCommand::Announce(member(1, u64::MAX));
        let refused = members.apply(Millis(0), &announced);
        assert!(matches!(refused, MemberOutcome::Refused(_)), "{refused:?}");
        assert_eq!(members, before);
        let renewed = members.apply(Millis(0), &MemberCommand::Renew { node: NodeId(1) });
        assert!(matches!(renewed, MemberOutcome::Admitted { serial: 2, .. }));
    }

    #[test]
    fn who_was_a_member_and_is_none_has_left() {
        let mut members = Members::default();
        let has_left = |members: &Members| [1, 2, 3, 4].map(|id| members.has_left(NodeId(id)));
        assert_eq!(
            has_left(&members),
            [false; 4],
            "a node by itself has no list"
        );
        for id in [1, 2, 3] {
            let member = Member {
                node: NodeId(id),
                role: Role::Voter,
                control: "10.0.0.1:7300".into(),
                bulk: "10.0.0.1:7301".into(),
                doors: Vec::new(),
                certificate: id,
            };
            members.list.insert(NodeId(id), member);
        }
        members.next_node = NodeId(4);
        assert_eq!(has_left(&members), [false; 4], "4 has not come yet");
        let node = NodeId(2);
        let removed = members.apply(Millis(0), &MemberCommand::Remove { node });
        assert_eq!(removed, MemberOutcome::Done);
        assert_eq!(has_left(&members), [false, true, false, false]);
    }
}
