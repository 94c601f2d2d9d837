//! Leaders that move on purpose: those of a node that is about to stop, those that
//! a node leads in the place of the first of the replicas, and those that the
//! replicated state calls off, for somebody has asked for the preferred leader or
//! has the partition moved to others. Nothing more is
//! taken for the partition, and once everything in it is acknowledged, the
//! replicated state is asked to have the next one lead. So what was written and
//! not waited for (acks=1) is not lost by a move.

use super::holding::{Hands, Holding};
use super::{Event, House};
use crate::ids::NodeId;
use crate::limits::PARTITIONS_NAMED_MAX;
use crate::log::Device;
use crate::planted;
use crate::state::topics::{StreamsCommand, StreamsOutcome, StreamsRefused};
use crate::streams::Key;
use crate::streams::desk::Answer;
use crate::streams::partition::Standing;
use std::time::Duration;

/// How long a partition takes nothing while its followers catch up. They are in
/// sync, so this is far more than they need.
const HANDING_MAX: Duration = Duration::from_secs(5);

/// Somebody waits until what this node leads is led by others.
pub(super) struct Parting {
    pub until: Duration,
    pub answer: Answer<usize>,
}

/// How a partition stands with being handed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Handing {
    #[default]
    No,
    /// The first of the replicas could lead, and did not when it was looked.
    Seen,
    /// Nothing is taken any more.
    Draining { until: Duration },
    /// Everything is everywhere. The replicated state is asked, and whoever asks
    /// it says what came of it.
    Asked,
    /// Nobody could say, and another may lead already: nothing is taken until that
    /// is known, and it is asked again.
    Unanswered,
}

/// Whether somebody else is in sync and up.
fn has_heir(standing: &Standing, own: NodeId) -> bool {
    let mut in_sync = standing.in_sync.iter();
    in_sync.any(|node| *node != own && standing.lives.contains_key(node))
}

impl Holding {
    fn is_off_balance(&self) -> bool {
        let standing = self.standing.as_ref().filter(|_| self.leads());
        let Some((standing, first)) = standing.and_then(|one| Some((one, *one.replicas.first()?)))
        else {
            return false;
        };
        first != self.own
            && standing.in_sync.contains(&first)
            && standing.lives.contains_key(&first)
    }

    /// Hands on what the replicated state calls this node off from.
    pub fn heed_call(&mut self, hands: &mut Hands) {
        let is_called = self.standing.as_ref().is_some_and(|one| one.hands_on);
        if is_called && self.leads() {
            self.hand_on(hands);
        }
    }

    /// Whether the leadership is being handed on.
    pub fn is_handed_on(&self) -> bool {
        self.leads() && !matches!(self.handing, Handing::No | Handing::Seen)
    }

    /// False where nobody could take it.
    pub fn hand_on(&mut self, hands: &mut Hands) -> bool {
        if self.is_handed_on() {
            return true;
        }
        let heir = self.standing.as_ref().filter(|_| self.leads());
        if !self.is_open() || !heir.is_some_and(|standing| has_heir(standing, self.own)) {
            return false;
        }
        let until = hands.since + HANDING_MAX;
        self.handing = Handing::Draining { until };
        if let Some(partition) = &mut self.partition {
            partition.hand_on();
        }
        self.go_on(hands);
        true
    }

    pub fn drained(&mut self, hands: &mut Hands) {
        if let Handing::Draining { .. } = self.handing {
            self.handing = Handing::Asked;
            hands.drained.push(self.key);
        }
    }

    pub fn handing_unanswered(&mut self) {
        if planted!(HandingGivenUp) {
            return self.keep_leading();
        }
        if self.handing == Handing::Asked {
            self.handing = Handing::Unanswered;
        }
    }

    pub fn ask_again_for_heirs(&mut self, hands: &mut Hands) {
        if self.handing == Handing::Unanswered {
            self.handing = Handing::Asked;
            hands.drained.push(self.key);
        }
    }

    pub fn keep_leading(&mut self) {
        self.handing = Handing::No;
        if let Some(partition) = &mut self.partition {
            partition.keep_leading();
        }
    }

    /// This node leads no more, or the time is up.
    pub fn mind_handing(&mut self, now: Duration) {
        match self.handing {
            Handing::No | Handing::Seen => {}
            _ if !self.leads() => self.handing = Handing::No,
            Handing::Draining { until } if until <= now => {
                tracing::warn!(partition = %self.key, "the leadership was not handed on in time");
                self.keep_leading();
            }
            _ => {}
        }
    }
}

impl House {
    pub(super) fn begin_parting(&mut self, device: &mut Device, parting: Parting) {
        for key in self.holdings.keys().copied().collect::<Vec<_>>() {
            if let Some((holding, mut hands)) = self.any(device, key) {
                holding.hand_on(&mut hands);
            }
        }
        // A second one takes the place of the first, which is answered as it is.
        if let Some(before) = self.parting.replace(parting) {
            (before.answer)(self.led_with_heirs());
        }
    }

    /// What is led here and could be led by others.
    fn led_with_heirs(&self) -> usize {
        let led = self
            .holdings
            .values()
            .filter(|holding| holding.is_handed_on());
        led.count()
    }

    /// Asks for what is drained, all of it at once; answers who waits.
    pub(super) fn go_on_parting(&mut self) {
        while !self.drained.is_empty() {
            let count = self.drained.len().min(PARTITIONS_NAMED_MAX);
            let keys = self.drained.drain(..count).collect();
            self.propose_heirs(keys);
        }
        let Some(until) = self.parting.as_ref().map(|parting| parting.until) else {
            return;
        };
        let left = self.led_with_heirs();
        if (left == 0 || until <= self.clock.monotonic())
            && let Some(done) = self.parting.take()
        {
            (done.answer)(left);
        }
    }

    fn propose_heirs(&mut self, keys: Vec<Key>) {
        let serial = |key: Key| Some((key, self.holdings.get(&key)?.serial));
        let asked: Vec<(Key, u64)> = keys.into_iter().filter_map(serial).collect();
        let events = self.events.clone();
        let say = move |(key, serial), event| events.put_and_wake(key, serial, event);
        let life = self
            .site
            .as_ref()
            .and_then(|site| site.life_in(&self.topics));
        let (Some(site), Some(leader)) = (&self.site, life) else {
            let unanswered = |one| say(one, Event::HandingUnanswered);
            return asked.into_iter().for_each(unanswered);
        };
        let partitions = asked.iter();
        let partitions = partitions.map(|(key, _)| (key.topic, key.partition));
        let command = StreamsCommand::HandOn {
            leader,
            partitions: Some(partitions.collect()),
        };
        let answer = move |outcome| {
            let each = match outcome {
                Ok(StreamsOutcome::Each(each)) => each,
                _ => Vec::new(),
            };
            for (n, one) in asked.into_iter().enumerate() {
                match each.get(n) {
                    // What the state did shows in the topics that it tells of.
                    Some(Ok(_)) => {}
                    Some(Err(StreamsRefused::NobodyEligible)) => say(one, Event::NotHandedOn),
                    Some(Err(_)) | None => say(one, Event::HandingUnanswered),
                }
            }
        };
        site.tell(command, Box::new(answer));
    }

    /// Hands on what the first of the replicas could have led at the last look
    /// already, so that one that has just come back is not asked to lead at
    /// once.
    pub(super) fn balance(&mut self, device: &mut Device) {
        if self.parting.is_some() {
            return;
        }
        for key in self.holdings.keys().copied().collect::<Vec<_>>() {
            let Some((holding, mut hands)) = self.any(device, key) else {
                continue;
            };
            // What could not be handed on when it was asked for is tried again.
            holding.heed_call(&mut hands);
            match (holding.is_off_balance(), holding.handing) {
                (true, Handing::No) => holding.handing = Handing::Seen,
                (true, Handing::Seen) => drop(holding.hand_on(&mut hands)),
                (false, Handing::Seen) => holding.handing = Handing::No,
                _ => {}
            }
        }
    }
}
