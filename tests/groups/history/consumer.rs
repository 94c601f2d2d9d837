//! A client of KIP-848.

use super::world::{Answer, Asked, World, nobody, settings};
use dolmen::entropy::Seeded;
use dolmen::ids::Uid;
use dolmen::streams::groups::request::*;
use dolmen::streams::groups::{Error, Name, Partitions};
use std::collections::BTreeSet;
use std::time::Duration;

const REBALANCE_MS: i32 = 6_000;
const REBALANCE: Duration = Duration::from_millis(REBALANCE_MS as u64);

pub(super) struct ConsumerClient {
    pub group: Name,
    pub instance: Option<Name>,
    pub member: Name,
    pub epoch: i32,
    pub is_paused: bool,
    /// What it reads.
    pub owned: Partitions,
    /// The topics it wants, whether by name or by a pattern.
    pub topics: BTreeSet<Name>,
    pattern: Option<Name>,
    assignor: Option<Name>,
    /// What it was told to read.
    told: Partitions,
    /// What it last said it reads, as far as it knows that it was heard.
    said: Option<Partitions>,
    saying: Option<Partitions>,
    /// It missed an answer: it says everything.
    is_unsure: bool,
    asked: Option<Asked>,
    /// Since the first heartbeat that was not answered.
    unheard_since: Option<Duration>,
    lives_until: Duration,
    revoked_until: Option<Duration>,
}

impl ConsumerClient {
    pub(super) fn new(group: &str, name: Uid, instance: Option<Name>, chance: &mut Seeded) -> Self {
        let (topics, pattern) = match chance.below(4) {
            0 => (vec!["t"], None),
            1 => (vec!["t"], Some("t.*")),
            2 => (vec!["t", "u"], Some(".*")),
            _ => (vec!["t", "u"], None),
        };
        let assignors = [None, Some("range"), Some("uniform")];
        Self {
            group: group.into(),
            instance,
            member: name.to_string().into(),
            epoch: 0,
            is_paused: false,
            owned: Partitions::default(),
            topics: topics.into_iter().map(Name::from).collect(),
            pattern: pattern.map(Name::from),
            assignor: assignors[chance.below(3) as usize].map(Name::from),
            told: Partitions::default(),
            said: None,
            saying: None,
            is_unsure: true,
            asked: None,
            unheard_since: None,
            lives_until: Duration::ZERO,
            revoked_until: None,
        }
    }

    /// The coordinator cannot have dropped it yet.
    pub(super) fn is_in_time(&self, now: Duration) -> bool {
        // An answer that it did not hear may have told it to let go.
        let unheard = self.unheard_since.map(|since| since + REBALANCE);
        let mut ends = self.revoked_until.into_iter().chain(unheard);
        now < self.lives_until && ends.all(|until| now < until)
    }

    pub(super) fn waits_for(&self, token: Token) -> bool {
        self.asked
            .as_ref()
            .is_some_and(|asked| asked.token == token)
    }

    /// False where it is at an end.
    pub(super) fn act(&mut self, world: &mut World) -> bool {
        if self.is_paused {
            return true;
        }
        // Letting go and taking on takes the application its time.
        if world.chance.one_in(4) && self.may_take_on() {
            self.owned = self.told.clone();
        }
        if let Some(asked) = &self.asked {
            if (world.now - asked.at).as_millis() < 2_000 {
                return true;
            }
            self.asked = None;
            self.is_unsure = true;
        }
        let request = match self.epoch > 0 && world.chance.one_in(4) {
            true => {
                let offset = world.new_offset(&self.group);
                Request::Commit(Commit {
                    caller: Caller {
                        member: self.member.clone(),
                        generation: self.epoch,
                        ..nobody(&self.group)
                    },
                    retention_ms: None,
                    offsets: vec![offset],
                })
            }
            false => Request::ConsumerHeartbeat(self.beat(world)),
        };
        let is_beat = matches!(request, Request::ConsumerHeartbeat(_));
        let asked = world.ask(request);
        if is_beat {
            self.unheard_since.get_or_insert(asked.at);
        }
        self.asked = Some(asked);
        true
    }

    /// Who has said what it reads, and has not heard what was made of that, takes
    /// on no more: it was taken at its word, and others may have the rest.
    fn may_take_on(&self) -> bool {
        let said = self.saying.as_ref();
        said.is_none_or(|said| self.told.is_within(said))
    }

    fn beat(&mut self, world: &mut World) -> Beat {
        let is_full = self.epoch == 0 || self.is_unsure || world.chance.one_in(8);
        let is_by_name = self.pattern.is_none();
        let held =
            Some(self.owned.clone()).filter(|held| is_full || self.said.as_ref() != Some(held));
        self.saying = held.clone();
        let topics = || match is_by_name {
            true => self.topics.clone(),
            false => BTreeSet::new(),
        };
        Beat {
            group: self.group.clone(),
            member: self.member.clone(),
            epoch: self.epoch,
            instance: self.instance.clone(),
            rack: None,
            client_id: "consumer".into(),
            client_host: "host".into(),
            rebalance_ms: is_full.then_some(REBALANCE_MS),
            topics: is_full.then(topics),
            pattern: self.pattern.clone().filter(|_| is_full),
            assignor: self.assignor.clone().filter(|_| is_full),
            held,
            chance: world.uid(),
        }
    }

    pub(super) fn leave(&mut self, world: &mut World) {
        let may_return = self.instance.is_some() && world.chance.one_in(2);
        let mut beat = self.beat(world);
        beat.epoch = match may_return {
            true => -2,
            false => -1,
        };
        world.ask(Request::ConsumerHeartbeat(beat));
    }

    /// False where it is at an end.
    pub(super) fn hear(&mut self, answer: &Answer) -> bool {
        let Some(asked) = self.asked.take() else {
            return true;
        };
        match answer {
            Ok(Reply::ConsumerAlive(alive)) => self.go_on(asked.at, alive),
            Err(Error::FencedEpoch { .. } | Error::UnknownMember) => self.begin_anew(),
            Err(Error::NotCoordinator | Error::Loading) => self.is_unsure = true,
            Err(Error::UnreleasedInstance | Error::StaleEpoch { .. }) | Ok(_) => {}
            // Fenced, or not of this kind of group: it gives up.
            Err(_) => return false,
        }
        true
    }

    fn go_on(&mut self, asked_at: Duration, alive: &ConsumerAlive) {
        self.epoch = alive.epoch;
        self.is_unsure = false;
        if let Some(saying) = self.saying.take() {
            self.said = Some(saying);
        }
        let session = Duration::from_millis(settings().consumer_session_ms.into());
        self.lives_until = asked_at + session;
        if let Some(assigned) = &alive.assigned {
            self.told = assigned.clone();
        }
        // What it is to let go of, it must have let go of, and said so, in
        // time: counted from when the coordinator may first have wanted it.
        let is_done = self
            .said
            .as_ref()
            .is_some_and(|said| said.is_within(&self.told))
            && self.owned.is_within(&self.told);
        let since = self.unheard_since.take().unwrap_or(asked_at);
        self.revoked_until = match is_done {
            true => None,
            false => Some(self.revoked_until.unwrap_or(since + REBALANCE)),
        };
    }

    fn begin_anew(&mut self) {
        self.epoch = 0;
        self.owned = Partitions::default();
        self.told = Partitions::default();
        self.said = None;
        self.saying = None;
        self.is_unsure = true;
        self.unheard_since = None;
        self.revoked_until = None;
    }
}
