//! What the coordinator has told anybody, and what follows from it.

use super::world::Answer;
use dolmen::streams::groups::request::*;
use dolmen::streams::groups::{Blob, Error, Name};
use std::collections::{BTreeMap, BTreeSet};

type Spot = (Name, Name, i32);

enum Taken {
    Group(Name),
    Topic(Name),
    Spot(Spot),
}

impl Taken {
    fn holds(&self, spot: &Spot) -> bool {
        match self {
            Self::Group(group) => *group == spot.0,
            Self::Topic(topic) => *topic == spot.1,
            Self::Spot(its) => its == spot,
        }
    }
}

#[derive(Default)]
pub(super) struct Promises {
    asked: BTreeMap<Token, Request>,
    /// What a fetch that was asked must show at least.
    floors_then: BTreeMap<Token, BTreeMap<Spot, i64>>,
    unstable_then: BTreeMap<Token, BTreeSet<Spot>>,
    /// The highest offset that was answered as committed.
    floors: BTreeMap<Spot, i64>,
    last: BTreeMap<Spot, i64>,
    /// Offsets of transactions that were dropped.
    dropped: BTreeSet<i64>,
    /// Answered as pending, and whose end nobody has asked for.
    pending: BTreeMap<(i64, Spot), i64>,
    /// Asked to be pending, answered or not.
    perhaps_pending: BTreeMap<i64, Vec<i64>>,
    /// By producer, the epoch of the last transaction whose end was answered, and
    /// what was asked to be part of it behind that.
    ended: BTreeMap<i64, i16>,
    late: BTreeSet<Token>,
    /// By producer, when the end was first asked for, and what it commits.
    ending: BTreeMap<i64, (Token, Vec<(Spot, i64)>)>,
    /// The last request, and what was asked to be taken away behind which.
    now: Option<Token>,
    taken: Vec<(Option<Token>, Taken)>,
    /// The highest generation or epoch that was told: of a classic group, of a
    /// member of KIP-848.
    generations: BTreeMap<Name, i32>,
    epochs: BTreeMap<Name, i32>,
    newest_then: BTreeMap<Token, i32>,
    /// Of each generation: its leader's list of members, and who reads what.
    lists: BTreeMap<(Name, i32), BTreeSet<Name>>,
    readers: BTreeMap<(Name, i32), BTreeMap<u8, Name>>,
}

impl Promises {
    pub(super) fn next_offset(&mut self, group: &Name, topic: &Name, partition: i32) -> i64 {
        // One count for all, so that an offset tells which commit it was.
        let next = self.last.values().max().copied().unwrap_or(0) + 1;
        self.last
            .insert((group.clone(), topic.clone(), partition), next);
        next
    }

    pub(super) fn topic_lost(&mut self, topic: &str) {
        self.take_away(Taken::Topic(topic.into()));
    }

    /// What was answered before is no longer promised, and what was asked
    /// before is not promised by its answer.
    fn take_away(&mut self, taken: Taken) {
        self.floors.retain(|spot, _| !taken.holds(spot));
        self.taken.push((self.now, taken));
    }

    fn is_taken(&self, spot: &Spot, since: Token) -> bool {
        let mut later = self.taken.iter().filter(|(at, _)| *at >= Some(since));
        later.any(|(_, taken)| taken.holds(spot))
    }

    pub(super) fn asked(&mut self, token: Token, request: &Request) {
        self.now = Some(token);
        match request {
            Request::Fetch(fetch) => {
                let group = &fetch.caller.group;
                let floors = self.floors.iter().filter(|((its, ..), _)| its == group);
                let floors = floors
                    .map(|(spot, offset)| (spot.clone(), *offset))
                    .collect();
                self.floors_then.insert(token, floors);
                if fetch.is_stable_required {
                    let pending = self.pending.keys().map(|(_, spot)| spot);
                    let pending = pending.filter(|(its, ..)| its == group).cloned().collect();
                    self.unstable_then.insert(token, pending);
                }
            }
            Request::Delete { group } => {
                self.take_away(Taken::Group(group.clone()));
                self.pending.retain(|(_, (its, ..)), _| its != group);
                self.generations.remove(group);
                self.lists.retain(|(its, _), _| its != group);
                self.readers.retain(|(its, _), _| its != group);
            }
            Request::DeleteOffsets { group, spots } => {
                for (topic, partition) in spots {
                    let spot = (group.clone(), topic.clone(), *partition);
                    self.take_away(Taken::Spot(spot));
                }
            }
            Request::CommitInTransaction(commit) => {
                let perhaps = self.perhaps_pending.entry(commit.producer).or_default();
                perhaps.extend(commit.offsets.iter().map(|new| new.offset));
                if self.ended.get(&commit.producer) >= Some(&commit.producer_epoch) {
                    self.late.insert(token);
                }
            }
            Request::EndTransaction(end) => self.asked_to_end(token, end),
            Request::Commit(commit) => {
                let newest = match self.epochs.get(&commit.caller.member) {
                    Some(epoch) => Some(epoch),
                    None => self.generations.get(&commit.caller.group),
                };
                if let Some(newest) = newest {
                    self.newest_then.insert(token, *newest);
                }
            }
            _ => {}
        }
        self.asked.insert(token, request.clone());
    }

    /// What was asked, where that is to be part of a transaction.
    pub(super) fn commit_asked(&self, token: Token) -> Option<CommitInTransaction> {
        match self.asked.get(&token) {
            Some(Request::CommitInTransaction(commit)) => Some(commit.clone()),
            _ => None,
        }
    }

    fn asked_to_end(&mut self, token: Token, end: &EndTransaction) {
        let is_its = |held: &(i64, Spot)| held.0 == end.producer;
        let ended = self.pending.extract_if(.., |held, _| is_its(held));
        let ended: Vec<_> = ended.map(|((_, spot), offset)| (spot, offset)).collect();
        let perhaps = self.perhaps_pending.remove(&end.producer);
        match end.is_committed {
            true => drop(self.ending.entry(end.producer).or_insert((token, ended))),
            false => self.dropped.extend(perhaps.into_iter().flatten()),
        }
    }

    pub(super) fn answered(&mut self, token: Token, answer: &Answer) -> Result<(), String> {
        let Some(request) = self.asked.remove(&token) else {
            return Err(format!("an answer to nothing: {token:?}"));
        };
        match (request, answer) {
            (Request::Fetch(fetch), Ok(Reply::Fetched(found))) => {
                self.check_fetched(token, &fetch, found)
            }
            (Request::Commit(commit), Ok(Reply::Committed(done))) => {
                self.check_commit(token, &commit, done)
            }
            (Request::CommitInTransaction(commit), Ok(_)) if self.late.contains(&token) => {
                let (producer, epoch) = (commit.producer, commit.producer_epoch);
                Err(format!(
                    "an offset is taken behind its transaction's end: {producer} {epoch}"
                ))
            }
            (Request::CommitInTransaction(commit), Ok(Reply::Committed(done))) => {
                self.note_pending(token, &commit, done);
                Ok(())
            }
            (Request::EndTransaction(end), Ok(Reply::TransactionEnded)) => {
                self.ended.insert(end.producer, end.producer_epoch);
                if let Some((first, ended)) = self.ending.remove(&end.producer) {
                    ended
                        .into_iter()
                        .for_each(|(spot, offset)| self.raise(first, spot, offset));
                }
                Ok(())
            }
            (Request::Join(join), Ok(Reply::Joined(joined))) => {
                match self.is_deleted(&join.group, token) {
                    true => Ok(()),
                    false => self.check_joined(&join, joined),
                }
            }
            (Request::Sync(sync), Ok(Reply::Synced(synced))) => {
                match self.is_deleted(&sync.caller.group, token) {
                    true => Ok(()),
                    false => self.check_synced(&sync.caller, &synced.assignment),
                }
            }
            (Request::ConsumerHeartbeat(_), Ok(Reply::ConsumerAlive(alive))) => {
                if alive.epoch > 0 {
                    self.epochs.insert(alive.member.clone(), alive.epoch);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// What is asked of a group that is deleted meanwhile is of another group
    /// of the name.
    fn is_deleted(&self, group: &Name, since: Token) -> bool {
        let is_its = |taken: &Taken| matches!(taken, Taken::Group(its) if its == group);
        let mut later = self.taken.iter().filter(|(at, _)| *at >= Some(since));
        later.any(|(_, taken)| is_its(taken))
    }

    /// Unless the end was asked for already, or the group is no more.
    fn note_pending(
        &mut self,
        token: Token,
        commit: &CommitInTransaction,
        done: &[Result<(), Error>],
    ) {
        let group = &commit.caller.group;
        let perhaps = self.perhaps_pending.get(&commit.producer);
        for (new, done) in commit.offsets.iter().zip(done) {
            let is_open = perhaps.is_some_and(|perhaps| perhaps.contains(&new.offset));
            if done.is_ok() && is_open && !self.is_deleted(group, token) {
                let key = (commit.producer, spot_of(group, new));
                self.pending.insert(key, new.offset);
            }
        }
    }

    fn raise(&mut self, asked: Token, spot: Spot, offset: i64) {
        if self.is_taken(&spot, asked) {
            return;
        }
        let floor = self.floors.entry(spot).or_insert(offset);
        *floor = offset.max(*floor);
    }

    /// An answered commit is there, whichever coordinator is asked; offsets
    /// never go back; what a transaction dropped is never seen; what it has
    /// pending is not stable.
    fn check_fetched(
        &mut self,
        token: Token,
        fetch: &Fetch,
        found: &[Fetched],
    ) -> Result<(), String> {
        let group = &fetch.caller.group;
        let mut unstable = self.unstable_then.remove(&token).unwrap_or_default();
        let mut floors = self.floors_then.remove(&token).unwrap_or_default();
        for it in found {
            let spot = (group.clone(), it.topic.clone(), it.partition);
            let floor = floors.remove(&spot).unwrap_or(0);
            match &it.offset {
                Err(Error::UnstableOffset) => {
                    unstable.remove(&spot);
                }
                Ok(Some(found)) if found.offset < floor => {
                    let offset = found.offset;
                    return Err(format!(
                        "an offset goes back: {spot:?} from {floor} to {offset}"
                    ));
                }
                Ok(Some(found)) if self.dropped.contains(&found.offset) => {
                    return Err(format!(
                        "a dropped offset is seen: {spot:?} {}",
                        found.offset
                    ));
                }
                _ => {}
            }
        }
        if let Some((spot, floor)) = floors.first_key_value() {
            return Err(format!("an answered commit is lost: {spot:?} {floor}"));
        }
        match unstable.first() {
            Some(spot) => Err(format!("a pending offset is taken for stable: {spot:?}")),
            None => Ok(()),
        }
    }

    /// Who is no longer of the generation, or has an older epoch, commits
    /// nothing.
    fn check_commit(
        &mut self,
        token: Token,
        commit: &Commit,
        done: &[Result<(), Error>],
    ) -> Result<(), String> {
        let newest = self.newest_then.remove(&token);
        let given = commit.caller.generation;
        if given >= 0 && newest.is_some_and(|newest| newest > given) {
            return Err(format!("a stale commit is taken: {given} in {newest:?}"));
        }
        for (new, done) in commit.offsets.iter().zip(done) {
            if done.is_ok() {
                self.raise(token, spot_of(&commit.caller.group, new), new.offset);
            }
        }
        Ok(())
    }

    /// A generation has one membership; its number is not given again.
    fn check_joined(&mut self, join: &Join, joined: &Joined) -> Result<(), String> {
        let newest = self.generations.entry(join.group.clone()).or_default();
        *newest = joined.generation.max(*newest);
        if joined.members.is_empty() {
            return Ok(());
        }
        let place = |member: &JoinedMember| place_of(&member.id, member.instance.as_ref());
        let list: BTreeSet<Name> = joined.members.iter().map(place).collect();
        let key = (join.group.clone(), joined.generation);
        let told = self.lists.entry(key).or_insert_with(|| list.clone());
        match *told == list {
            true => Ok(()),
            false => Err(format!(
                "one generation has two memberships: {} of {}: {told:?} {list:?}",
                joined.generation, join.group
            )),
        }
    }

    /// No partition belongs to two members of one generation.
    fn check_synced(&mut self, caller: &Caller, assignment: &Blob) -> Result<(), String> {
        let key = (caller.group.clone(), caller.generation);
        let place = place_of(&caller.member, caller.instance.as_ref());
        let readers = self.readers.entry(key).or_default();
        for slot in assignment.iter() {
            let reader = readers.entry(*slot).or_insert_with(|| place.clone());
            if *reader != place {
                let generation = caller.generation;
                return Err(format!(
                    "a partition belongs to two members of generation {generation}: {slot} to {reader} and {place}"
                ));
            }
        }
        Ok(())
    }
}

/// An instance keeps its place when its member is replaced.
fn place_of(id: &Name, instance: Option<&Name>) -> Name {
    instance.unwrap_or(id).clone()
}

fn spot_of(group: &Name, new: &NewOffset) -> Spot {
    (group.clone(), new.topic.clone(), new.partition)
}
