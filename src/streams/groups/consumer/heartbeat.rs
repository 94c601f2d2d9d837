//! ConsumerGroupHeartbeat: who says it, what it wants, where it stands.

use super::{AWAY, Consumer, LEAVING, Member, bytes_of, erase_member, reconcile};
use crate::limits::{GROUP_BYTES_MAX, GROUP_MEMBER_BYTES_MAX, GROUP_MEMBERS_MAX, GROUP_TOPICS_MAX};
use crate::streams::groups::assign::Assignor;
use crate::streams::groups::partitions::Partitions;
use crate::streams::groups::record::{About, Of, Standing, Value};
use crate::streams::groups::request::{Beat, ConsumerAlive};
use crate::streams::groups::turn::{Turn, member_id};
use crate::streams::groups::{Error, Name, is_named};

/// As whom the heartbeat counts.
enum Came {
    /// Not of the group until now.
    New,
    /// In the place of a member whose instance it is.
    InPlaceOf(Name),
    /// Of the group, and begins again with nothing.
    Anew,
    /// Of the group, and goes on.
    On,
}

impl Consumer {
    pub(in crate::streams::groups) fn heartbeat(
        &mut self,
        turn: &mut Turn,
        mut beat: Beat,
    ) -> Result<ConsumerAlive, Error> {
        check_beat(&beat)?;
        if beat.epoch < 0 {
            return self.leave(turn, &beat);
        }
        if beat.member.is_empty() {
            beat.member = member_id(&beat.client_id, beat.chance);
        }
        let came = self.recognize(&beat)?;
        let about = self.about(&came, &beat);
        self.check_room(turn, &came, &beat.member, &about)?;
        let is_other = self.take_in(turn, &came, &beat, about);
        if is_other {
            self.share_out_anew(turn, &beat.group);
        }
        Ok(self.advance(turn, &beat))
    }

    fn recognize(&self, beat: &Beat) -> Result<Came, Error> {
        let is_joining = beat.epoch == 0;
        let holder = beat.instance.as_ref().map(|of| self.instances.get(of));
        match holder {
            Some(Some(holder)) if *holder != beat.member => {
                let is_away =
                    (self.members.get(holder)).is_some_and(|member| member.standing.epoch == AWAY);
                return match (is_joining, is_away) {
                    (true, true) => Ok(Came::InPlaceOf(holder.clone())),
                    (true, false) => Err(Error::UnreleasedInstance),
                    (false, _) => Err(Error::FencedInstance),
                };
            }
            // The member is known without the instance that it now names.
            Some(None) if self.members.contains_key(&beat.member) => {
                return Err(Error::FencedInstance);
            }
            _ => {}
        }
        match self.members.get(&beat.member) {
            None if is_joining => Ok(Came::New),
            None => Err(Error::UnknownMember),
            Some(_) if is_joining => Ok(Came::Anew),
            Some(member) => {
                check_epoch(&member.standing, beat.epoch, beat.held.as_ref())?;
                Ok(Came::On)
            }
        }
    }

    /// What the member has said about itself, with what it says now.
    fn about(&self, came: &Came, beat: &Beat) -> About {
        let before = match came {
            Came::New | Came::InPlaceOf(_) => None,
            Came::Anew | Came::On => self.members.get(&beat.member),
        };
        let mut about = before.map_or_else(|| nothing_said(beat), |member| member.about.clone());
        if let Some(rack) = &beat.rack {
            about.rack = Some(rack.clone());
        }
        if let Some(ms) = beat.rebalance_ms {
            about.rebalance_ms = ms.max(0) as u32;
        }
        if let Some(topics) = &beat.topics {
            about.topics = topics.clone();
        }
        if let Some(pattern) = &beat.pattern {
            about.pattern = Some(pattern.clone()).filter(|pattern| !pattern.is_empty());
        }
        if let Some(assignor) = &beat.assignor {
            about.assignor = Some(assignor.clone());
        }
        about.client_id = beat.client_id.clone();
        about.client_host = beat.client_host.clone();
        about
    }

    fn check_room(&self, turn: &Turn, came: &Came, id: &Name, about: &About) -> Result<(), Error> {
        let members_max = turn.settings.members_max.min(GROUP_MEMBERS_MAX);
        if matches!(came, Came::New) && self.members.len() >= members_max {
            return Err(Error::GroupFull { members_max });
        }
        let before = self
            .members
            .get(id)
            .map_or(0, |member| bytes_of(&member.about));
        let own = (bytes_of(about), GROUP_MEMBER_BYTES_MAX);
        if turn.is_full && own.0 > before {
            return Err(Error::Full);
        }
        let together = (self.bytes() - before + own.0, GROUP_BYTES_MAX);
        match [own, together]
            .into_iter()
            .find(|(bytes, most)| bytes > most)
        {
            Some((bytes, bytes_max)) => Err(Error::TooLarge { bytes, bytes_max }),
            None => Ok(()),
        }
    }

    /// Makes the member what it says it is. True where that changes what the
    /// group shares out.
    fn take_in(&mut self, turn: &mut Turn, came: &Came, beat: &Beat, about: About) -> bool {
        let (group, id) = (&beat.group, &beat.member);
        let before = match came {
            Came::New => None,
            Came::InPlaceOf(holder) => self.succeed(turn, group, holder, id),
            Came::Anew | Came::On => self.members.remove(id),
        };
        let is_known = before.is_some();
        let mut member = before.unwrap_or_else(|| Member::new(about.clone()));
        let is_other = !is_known || wants_other(&member.about, &about);
        if !is_known || member.about != about || matches!(came, Came::InPlaceOf(_)) {
            turn.write(group, Of::Member(id.clone()), Value::Member(about.clone()));
        }
        if let Some(instance) = &about.instance {
            self.instances.insert(instance.clone(), id.clone());
        }
        member.about = about;
        if !matches!(came, Came::On) {
            self.begin_with_nothing(id, &mut member);
        }
        self.members.insert(id.clone(), member);
        is_other
    }

    /// The new member has what the old one was assigned, under its own id.
    fn succeed(
        &mut self,
        turn: &mut Turn,
        group: &Name,
        holder: &Name,
        id: &Name,
    ) -> Option<Member> {
        let member = self.members.remove(holder)?;
        self.move_owner(holder, &member.standing, &Standing::default());
        self.move_owner(id, &Standing::default(), &member.standing);
        erase_member(turn, group, holder);
        turn.write(
            group,
            Of::Target(id.clone()),
            Value::Target(member.target.clone()),
        );
        Some(member)
    }

    /// A member with epoch 0 reads nothing: so says the protocol. What it is
    /// not to have any more is free at once, what it is to have stays its own.
    fn begin_with_nothing(&mut self, id: &Name, member: &mut Member) {
        let standing = Standing {
            assigned: member.standing.assigned.and(&member.target),
            ..Standing::default()
        };
        self.move_owner(id, &member.standing, &standing);
        member.standing = standing;
        member.revoked_until = None;
    }

    fn advance(&mut self, turn: &mut Turn, beat: &Beat) -> ConsumerAlive {
        let (group, id) = (&beat.group, &beat.member);
        let mut member = self.members.remove(id).expect("a member that was taken in");
        let before = member.standing.clone();
        let owners = &self.owners;
        let is_free = |partition: &_| owners.get(partition).is_none_or(|owner| owner == id);
        let held = beat.held.as_ref();
        let next = reconcile::step(&before, &member.target, self.epoch, held, is_free);
        member.lives_until = turn.after_ms(turn.settings.session_ms_of(group));
        member.revoked_until = match next.revoking.is_empty() {
            true => None,
            false => Some(
                (member.revoked_until).unwrap_or_else(|| turn.after_ms(member.about.rebalance_ms)),
            ),
        };
        // Written in any case where the member begins: its record is then of
        // another member, of another time, or not there.
        if next != before || beat.epoch == 0 {
            self.move_owner(id, &before, &next);
            turn.write(group, Of::Current(id.clone()), Value::Current(next.clone()));
        }
        let is_news = beat.epoch != next.epoch
            || before.assigned != next.assigned
            || is_in_full(beat)
            || held.is_some_and(|held| *held != next.assigned);
        let alive = ConsumerAlive {
            member: id.clone(),
            epoch: next.epoch,
            heartbeat_ms: turn.settings.heartbeat_ms_of(group),
            assigned: is_news.then(|| next.assigned.clone()),
        };
        member.standing = next;
        self.members.insert(id.clone(), member);
        alive
    }

    fn leave(&mut self, turn: &mut Turn, beat: &Beat) -> Result<ConsumerAlive, Error> {
        let id = match &beat.instance {
            Some(instance) => match self.instances.get(instance) {
                None => return Err(Error::UnknownMember),
                Some(holder) if *holder != beat.member => return Err(Error::FencedInstance),
                Some(holder) => holder.clone(),
            },
            None => beat.member.clone(),
        };
        if !self.members.contains_key(&id) {
            return Err(Error::UnknownMember);
        }
        if beat.epoch == LEAVING {
            self.remove(turn, &beat.group, std::slice::from_ref(&id));
        } else {
            self.go_away(turn, &beat.group, &id);
        }
        Ok(ConsumerAlive {
            member: id,
            epoch: beat.epoch,
            heartbeat_ms: turn.settings.heartbeat_ms_of(&beat.group),
            assigned: None,
        })
    }

    /// It reads nothing now. What it is to read is kept for its instance until
    /// its session is over.
    fn go_away(&mut self, turn: &mut Turn, group: &Name, id: &Name) {
        let Some(mut member) = self.members.remove(id) else {
            return;
        };
        let standing = Standing {
            epoch: AWAY,
            previous_epoch: AWAY,
            assigned: member.standing.assigned.and(&member.target),
            revoking: Partitions::default(),
        };
        self.move_owner(id, &member.standing, &standing);
        turn.write(
            group,
            Of::Current(id.clone()),
            Value::Current(standing.clone()),
        );
        member.standing = standing;
        member.revoked_until = None;
        member.lives_until = turn.after_ms(turn.settings.session_ms_of(group));
        self.members.insert(id.clone(), member);
    }
}

impl Member {
    fn new(about: About) -> Self {
        Self {
            about,
            target: Partitions::default(),
            standing: Standing::default(),
            lives_until: Default::default(),
            revoked_until: None,
        }
    }
}

fn nothing_said(beat: &Beat) -> About {
    About {
        instance: beat.instance.clone(),
        rack: None,
        client_id: beat.client_id.clone(),
        client_host: beat.client_host.clone(),
        rebalance_ms: 0,
        topics: Default::default(),
        pattern: None,
        assignor: None,
    }
}

fn wants_other(before: &About, now: &About) -> bool {
    let wants = |about: &About| {
        let About {
            topics,
            pattern,
            assignor,
            ..
        } = about;
        (topics.clone(), pattern.clone(), assignor.clone())
    };
    wants(before) != wants(now)
}

/// A client that is not sure what was heard says everything.
fn is_in_full(beat: &Beat) -> bool {
    let says_topics = beat.topics.is_some() || beat.pattern.is_some();
    says_topics && beat.rebalance_ms.is_some() && beat.held.is_some()
}

/// The epoch before is that of a member which missed our last answer, as long
/// as it does not read what it has no right to.
fn check_epoch(standing: &Standing, given: i32, held: Option<&Partitions>) -> Result<(), Error> {
    let current = standing.epoch;
    let has_missed = given == standing.previous_epoch
        && held.is_some_and(|held| held.is_within(&standing.assigned));
    match given == current || given < current && has_missed {
        true => Ok(()),
        false => Err(Error::FencedEpoch { given, current }),
    }
}

fn check_beat(beat: &Beat) -> Result<(), Error> {
    let invalid = |why| Err(Error::InvalidRequest(why));
    let names = [&beat.member, &beat.client_id, &beat.client_host];
    let others = [&beat.instance, &beat.rack, &beat.pattern, &beat.assignor];
    let names = names.into_iter().chain(others.into_iter().flatten());
    if !names.chain(beat.topics.iter().flatten()).all(is_named) {
        return invalid("a name of the member is too long");
    }
    if beat
        .topics
        .as_ref()
        .is_some_and(|topics| topics.len() > GROUP_TOPICS_MAX)
    {
        return invalid("more topics than a member may name");
    }
    if beat.epoch != 0 && beat.member.is_empty() {
        return invalid("a member that has joined says its id");
    }
    if beat
        .instance
        .as_ref()
        .is_some_and(|instance| instance.is_empty())
    {
        return invalid("an instance has a name");
    }
    match beat.epoch {
        AWAY if beat.instance.is_none() => invalid("only an instance may come back"),
        AWAY | LEAVING => Ok(()),
        ..0 => invalid("no such epoch"),
        0 => check_first(beat),
        _ => check_assignor(beat),
    }
}

fn check_first(beat: &Beat) -> Result<(), Error> {
    let invalid = |why| Err(Error::InvalidRequest(why));
    if beat.rebalance_ms.is_none_or(|ms| ms < 0) {
        return invalid("a member that joins says its rebalance timeout");
    }
    if beat.held.as_ref().is_none_or(|held| !held.is_empty()) {
        return invalid("a member that joins reads nothing and says so");
    }
    if beat.topics.is_none() && beat.pattern.is_none() {
        return invalid("a member that joins says what it wants");
    }
    check_assignor(beat)
}

fn check_assignor(beat: &Beat) -> Result<(), Error> {
    match &beat.assignor {
        Some(name) if Assignor::named(name).is_none() => {
            Err(Error::UnsupportedAssignor(name.clone()))
        }
        _ => Ok(()),
    }
}
