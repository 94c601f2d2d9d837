//! JoinGroup: who may come in, as whom, and whether the others must share out
//! anew.

use super::{Classic, Member, Phase, bytes_of};
use crate::limits::{
    GROUP_BYTES_MAX, GROUP_MEMBER_BYTES_MAX, GROUP_MEMBERS_MAX, GROUP_NEW_MEMBER_MS,
    GROUP_PROTOCOLS_MAX,
};
use crate::planted;
use crate::streams::groups::record::Protocol;
use crate::streams::groups::request::{Join, Joined, JoinedMember, Reply, Token};
use crate::streams::groups::turn::{Turn, member_id};
use crate::streams::groups::{Blob, Error, Name, is_named};

impl Classic {
    pub(in crate::streams::groups) fn join(&mut self, turn: &mut Turn, token: Token, join: Join) {
        if let Err(error) = self.try_join(turn, token, join) {
            turn.answer(token, Err(error));
        }
    }

    /// Answers by itself, now or when all have joined, where it says Ok.
    fn try_join(&mut self, turn: &mut Turn, token: Token, join: Join) -> Result<(), Error> {
        self.check_join(turn, &join)?;
        let holder = join.instance.as_ref().and_then(|of| self.instances.get(of));
        if let Some(holder) = holder.cloned()
            && join.member.is_empty()
        {
            self.replace(turn, token, join, &holder);
            return Ok(());
        }
        if join.member.is_empty() {
            return self.welcome(turn, token, join);
        }
        if join.instance.is_none() && self.expected.remove(&join.member).is_some() {
            let id = join.member.clone();
            self.seat(turn, token, join, id);
            return Ok(());
        }
        self.check(&join.member, join.instance.as_ref())?;
        self.rejoin(turn, token, join)
    }

    fn check_join(&self, turn: &Turn, join: &Join) -> Result<(), Error> {
        let (least, most) = (turn.settings.session_ms_min, turn.settings.session_ms_max);
        let given = join.session_ms;
        if !u32::try_from(given).is_ok_and(|ms| (least..=most).contains(&ms)) {
            return Err(Error::InvalidSessionTimeout { given, least, most });
        }
        let names = [&join.member, &join.client_id, &join.client_host];
        let names = names.into_iter().chain(join.instance.as_ref());
        if !names.chain([&join.protocol_type]).all(is_named) {
            return Err(Error::InvalidRequest("a name of the member is too long"));
        }
        if join.protocols.len() > GROUP_PROTOCOLS_MAX {
            return Err(Error::InvalidRequest("more protocols than may be"));
        }
        self.check_bytes(turn, join)?;
        self.check_protocols(join)
    }

    fn check_bytes(&self, turn: &Turn, join: &Join) -> Result<(), Error> {
        let bytes = bytes_of(&join.protocols);
        if bytes > GROUP_MEMBER_BYTES_MAX {
            let bytes_max = GROUP_MEMBER_BYTES_MAX;
            return Err(Error::TooLarge { bytes, bytes_max });
        }
        let before = self.members.get(&join.member).map_or(0, Member::bytes);
        if turn.is_full && bytes > before {
            return Err(Error::Full);
        }
        let bytes = self.bytes() - before + bytes;
        let bytes_max = GROUP_BYTES_MAX;
        match bytes > bytes_max {
            true => Err(Error::TooLarge { bytes, bytes_max }),
            false => Ok(()),
        }
    }

    /// One protocol at least must be known to everybody. What the member itself
    /// offered before does not bind it.
    fn check_protocols(&self, join: &Join) -> Result<(), Error> {
        if join.protocol_type.is_empty() || join.protocols.is_empty() {
            return Err(Error::InconsistentProtocol);
        }
        let is_itself = |id: &Name, member: &Member| {
            *id == join.member || join.instance.is_some() && member.instance == join.instance
        };
        let others = || (self.members.iter()).filter(|(id, member)| !is_itself(id, member));
        let knows = |member: &Member, name: &Name| {
            let mut offered = member.protocols.iter();
            offered.any(|protocol| protocol.name == *name)
        };
        let is_common =
            |protocol: &Protocol| others().all(|(_, member)| knows(member, &protocol.name));
        let is_of_type = self.protocol_type.as_ref() == Some(&join.protocol_type);
        match (self.has_no_members() || is_of_type) && join.protocols.iter().any(is_common) {
            true => Ok(()),
            false => Err(Error::InconsistentProtocol),
        }
    }

    /// Somebody without an id. Where the client can, it comes back with one
    /// before it counts, so that a client which asks again after a lost answer
    /// does not leave a member behind that nobody is.
    fn welcome(&mut self, turn: &mut Turn, token: Token, join: Join) -> Result<(), Error> {
        let members_max = turn.settings.members_max.min(GROUP_MEMBERS_MAX);
        if self.members.len() + self.expected.len() >= members_max {
            return Err(Error::GroupFull { members_max });
        }
        let called = join.instance.as_ref().unwrap_or(&join.client_id);
        let id = member_id(called, join.chance);
        if join.instance.is_none() && join.is_known_id_required {
            let until = turn.after_ms(join.session_ms.unsigned_abs());
            self.expected.insert(id.clone(), until);
            return Err(Error::MemberIdRequired(id));
        }
        self.seat(turn, token, join, id);
        Ok(())
    }

    fn seat(&mut self, turn: &mut Turn, token: Token, join: Join, id: Name) {
        let group = join.group.clone();
        if self.has_no_members() {
            self.protocol_type = Some(join.protocol_type.clone());
        }
        if let Some(instance) = &join.instance {
            self.instances.insert(instance.clone(), id.clone());
        }
        let mut member = Member {
            instance: join.instance.clone(),
            client_id: join.client_id.clone(),
            client_host: join.client_host.clone(),
            session_ms: 0,
            rebalance_ms: 0,
            protocols: Vec::new(),
            assignment: Blob::from([]),
            lives_until: turn.after_ms(GROUP_NEW_MEMBER_MS),
            joining: Some(token),
            syncing: None,
            has_synced: false,
            is_new: true,
        };
        member.offers(join);
        self.leader.get_or_insert_with(|| id.clone());
        self.members.insert(id, member);
        self.note_growth();
        self.share_out_anew(turn, &group);
    }

    /// A member that is known asks again: for the next generation, or because
    /// it missed the answer for this one.
    fn rejoin(&mut self, turn: &mut Turn, token: Token, join: Join) -> Result<(), Error> {
        let (group, id) = (join.group.clone(), join.member.clone());
        let is_leader = self.leader.as_ref() == Some(&id);
        let member = self.members.get_mut(&id).ok_or(Error::UnknownMember)?;
        let is_same = member.protocols == join.protocols;
        let is_told_again = match self.phase {
            Phase::Empty => return Err(Error::UnknownMember),
            Phase::Joining { .. } => false,
            Phase::Syncing { .. } => is_same,
            // A leader that joins wants to share out anew: it has seen topics
            // change.
            Phase::Stable { .. } => is_same && !is_leader,
        };
        if is_told_again {
            member.renew(turn);
            turn.answer(token, Ok(Reply::Joined(self.joined(&id))));
            return Ok(());
        }
        let waiting = member.joining.replace(token);
        if !planted!(WaiterForgotten) {
            turn.refuse(waiting, Error::RebalanceInProgress);
        }
        member.offers(join);
        self.share_out_anew(turn, &group);
        Ok(())
    }

    /// A static member that comes back has a new id and the old one's place. As
    /// long as it offers what the old one did, nobody else notices.
    fn replace(&mut self, turn: &mut Turn, token: Token, join: Join, holder: &Name) {
        let Some(mut member) = self.members.remove(holder) else {
            return;
        };
        turn.refuse(member.joining.take(), Error::FencedInstance);
        turn.refuse(member.syncing.take(), Error::FencedInstance);
        let (group, can_skip) = (join.group.clone(), join.can_skip_assignment);
        let id = member_id(join.instance.as_deref().unwrap_or_default(), join.chance);
        let is_leader = self.leader.as_ref() == Some(holder);
        if is_leader {
            self.leader = Some(id.clone());
        }
        if let Some(instance) = &join.instance {
            self.instances.insert(instance.clone(), id.clone());
        }
        let is_same = member.protocols == join.protocols;
        member.offers(join);
        member.renew(turn);
        if is_same && matches!(self.phase, Phase::Stable { .. }) {
            self.members.insert(id.clone(), member);
            self.write(turn, &group);
            let joined = self.joined_in_place(&id, holder, is_leader, can_skip);
            turn.answer(token, Ok(Reply::Joined(joined)));
            return;
        }
        // While others share out, the leader may know the old id already.
        member.joining = Some(token);
        self.members.insert(id, member);
        self.share_out_anew(turn, &group);
    }

    /// A leader that took another's place has nothing to assign. A client that
    /// cannot be told so is told that the old one leads.
    fn joined_in_place(&self, id: &Name, holder: &Name, is_leader: bool, can_skip: bool) -> Joined {
        let mut joined = self.joined(id);
        if is_leader && can_skip {
            joined.is_assignment_skipped = true;
        } else if is_leader {
            joined.leader = holder.clone();
            joined.members = Vec::new();
        }
        joined
    }

    /// The generation as a member hears of it: the leader with all members.
    pub(super) fn joined(&self, id: &Name) -> Joined {
        let listed = |(id, member): (&Name, &Member)| JoinedMember {
            id: id.clone(),
            instance: member.instance.clone(),
            metadata: member.metadata(self.protocol.as_ref()),
        };
        let is_leader = self.leader.as_ref() == Some(id);
        Joined {
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            member: id.clone(),
            is_assignment_skipped: false,
            members: match is_leader {
                true => self.members.iter().map(listed).collect(),
                false => Vec::new(),
            },
        }
    }
}

impl Member {
    fn offers(&mut self, join: Join) {
        self.client_id = join.client_id;
        self.client_host = join.client_host;
        self.session_ms = join.session_ms.max(0) as u32;
        self.rebalance_ms = join.rebalance_ms.max(0) as u32;
        self.protocols = join.protocols;
    }
}
