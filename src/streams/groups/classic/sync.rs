//! SyncGroup, Heartbeat, and whether a member may commit.

use super::{Classic, Phase};
use crate::limits::{GROUP_BYTES_MAX, GROUP_MEMBER_BYTES_MAX};
use crate::planted;
use crate::streams::groups::request::{Caller, Reply, Sync, Synced, Token};
use crate::streams::groups::turn::Turn;
use crate::streams::groups::{Blob, Error, Name};
use std::collections::BTreeMap;

impl Classic {
    pub(in crate::streams::groups) fn sync(&mut self, turn: &mut Turn, token: Token, sync: Sync) {
        if let Err(error) = self.try_sync(turn, token, sync) {
            turn.answer(token, Err(error));
        }
    }

    fn try_sync(&mut self, turn: &mut Turn, token: Token, sync: Sync) -> Result<(), Error> {
        let Caller {
            group,
            member: id,
            instance,
            generation,
        } = &sync.caller;
        self.check(id, instance.as_ref())?;
        self.check_generation(*generation)?;
        let is_other = |said: &Option<Name>, ours: &Option<Name>| said.is_some() && said != ours;
        if is_other(&sync.protocol_type, &self.protocol_type)
            || is_other(&sync.protocol, &self.protocol)
        {
            return Err(Error::InconsistentProtocol);
        }
        match self.phase {
            Phase::Empty => Err(Error::UnknownMember),
            Phase::Joining { .. } => Err(Error::RebalanceInProgress),
            Phase::Stable { .. } => {
                let member = self.members.get_mut(id).ok_or(Error::UnknownMember)?;
                member.has_synced = true;
                member.renew(turn);
                turn.answer(token, Ok(Reply::Synced(self.synced(id))));
                Ok(())
            }
            Phase::Syncing { until } => {
                let is_leader = self.leader.as_ref() == Some(id);
                if is_leader {
                    self.check_assignments(&sync.assignments)?;
                }
                let member = self.members.get_mut(id).ok_or(Error::UnknownMember)?;
                member.has_synced = true;
                turn.refuse(member.syncing.replace(token), Error::RebalanceInProgress);
                if is_leader {
                    self.phase = Phase::Stable { until: Some(until) };
                    self.assign(turn, group, sync.assignments);
                }
                Ok(())
            }
        }
    }

    fn check_assignments(&self, assignments: &[(Name, Blob)]) -> Result<(), Error> {
        let sizes = || assignments.iter().map(|(_, assignment)| assignment.len());
        let largest = (sizes().max().unwrap_or(0), GROUP_MEMBER_BYTES_MAX);
        let together = (self.bytes() + sizes().sum::<usize>(), GROUP_BYTES_MAX);
        match [largest, together]
            .into_iter()
            .find(|(bytes, most)| bytes > most)
        {
            Some((bytes, bytes_max)) => Err(Error::TooLarge { bytes, bytes_max }),
            None => Ok(()),
        }
    }

    /// Hands out what the leader says. Who is not in it has nothing to read.
    fn assign(&mut self, turn: &mut Turn, group: &Name, assignments: Vec<(Name, Blob)>) {
        let mut assignments: BTreeMap<Name, Blob> = assignments.into_iter().collect();
        let mut waiting = Vec::new();
        for (id, member) in &mut self.members {
            member.assignment = assignments.remove(id).unwrap_or_else(|| Blob::from([]));
            if let Some(token) = member.syncing.take() {
                member.renew(turn);
                waiting.push((token, id.clone()));
            }
        }
        self.write(turn, group);
        for (token, id) in waiting {
            turn.answer(token, Ok(Reply::Synced(self.synced(&id))));
        }
    }

    fn synced(&self, id: &Name) -> Synced {
        let member = self.members.get(id);
        Synced {
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            assignment: member.map_or_else(|| Blob::from([]), |it| it.assignment.clone()),
        }
    }

    pub(in crate::streams::groups) fn heartbeat(
        &mut self,
        turn: &Turn,
        caller: &Caller,
    ) -> Result<Reply, Error> {
        self.check(&caller.member, caller.instance.as_ref())?;
        self.check_generation(caller.generation)?;
        self.renew(turn, &caller.member);
        match self.phase {
            Phase::Joining { .. } => Err(Error::RebalanceInProgress),
            _ => Ok(Reply::Alive),
        }
    }

    fn renew(&mut self, turn: &Turn, id: &Name) {
        // A new member that waits for its first generation has its own time.
        if let Some(member) = self.members.get_mut(id)
            && !member.is_new
        {
            member.renew(turn);
        }
    }

    /// Whether the caller may commit offsets now; a commit is a sign of life.
    pub(in crate::streams::groups) fn check_commit(
        &mut self,
        turn: &Turn,
        caller: &Caller,
        is_transactional: bool,
    ) -> Result<(), Error> {
        let says_who = !caller.member.is_empty() || caller.instance.is_some();
        if !says_who && caller.generation < 0 {
            // A simple consumer or an operator: not while members read. A
            // producer of old cannot say for whom it commits.
            return match self.has_no_members() || is_transactional {
                true => Ok(()),
                false => Err(Error::UnknownMember),
            };
        }
        if self.has_no_members() && caller.generation < 0 {
            return Ok(());
        }
        self.check(&caller.member, caller.instance.as_ref())?;
        if !planted!(StaleCommitTaken) {
            self.check_generation(caller.generation)?;
        }
        if matches!(self.phase, Phase::Syncing { .. }) && !is_transactional {
            return Err(Error::RebalanceInProgress);
        }
        self.renew(turn, &caller.member);
        Ok(())
    }
}
