//! What this node asks of the leader of a partition that it follows, and what it
//! does with the answers. One ask is out at a time; beside it the leader hears
//! how far this node is durable.

use super::holding::{Hands, Holding};
use super::reading::latest;
use crate::ids::{NodeId, Offset};
use crate::limits::FOLLOW_WAIT_MS;
use crate::log::{Appended, Records, Refused, Request};
use crate::streams::batch::stored::Stored;
use crate::streams::follow::{Asked, Told};
use crate::streams::partition::{Answer, Ask, Span};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// Before what could not be answered, or not be taken, is asked for again.
const PAUSE: Duration = Duration::from_millis(400);
/// Where the log took no records, or they were not fit to be taken.
const PAUSE_LONG: Duration = Duration::from_secs(2);

pub(super) struct Asking {
    /// Of the last ask. Never used twice in the life of a process, for it begins
    /// with that of the holding.
    number: u64,
    /// Where the leader begins by its answer to the last ask, which is taken in.
    answered: Option<Offset>,
    out: Option<Out>,
    paused_until: Duration,
}

#[derive(Clone, Copy)]
struct Out {
    leader: NodeId,
    run: u64,
    ask: Ask,
    since: Duration,
}

/// A leader answers sooner, whatever it has to say: what has no answer by then
/// was lost, and is asked for anew.
const ANSWERED_WITHIN: Duration = Duration::from_millis(4 * FOLLOW_WAIT_MS);

impl Asking {
    pub fn new(serial: u64) -> Self {
        Self {
            number: serial << 32,
            answered: None,
            out: None,
            paused_until: Duration::ZERO,
        }
    }

    pub fn rest(&mut self, now: Duration) {
        self.paused_until = now + PAUSE_LONG;
    }
}

impl Holding {
    /// Says what there is to say to the leader.
    pub fn pull(&mut self, hands: &Hands) {
        let Some(tell) = hands.tell else {
            return;
        };
        let open = self.partition.as_ref().filter(|_| self.is_open());
        let Some((leader, ask)) = open.and_then(|partition| partition.ask()) else {
            self.asking.out = None;
            return;
        };
        let run = open.map_or(0, |partition| partition.run());
        // How far it is, and has heard, is said beside an ask that stands.
        let said = |one: Ask| (one.has, one.partition_epoch);
        let same = self.asking.out.filter(|out| {
            let (has, partition_epoch) = said(out.ask);
            let as_out = Ask {
                has,
                partition_epoch,
                ..ask
            };
            let is_waited_for = hands.since.saturating_sub(out.since) < ANSWERED_WITHIN;
            is_waited_for && (out.leader, out.run, out.ask) == (leader, run, as_out)
        });
        let waits = same.is_none();
        match same {
            Some(out) if said(out.ask) == said(ask) => return,
            Some(_) => {}
            None if hands.since < self.asking.paused_until => {
                // An ask that no longer says how it stands is given up.
                self.asking.out = None;
                return;
            }
            None => self.number_next(),
        }
        let since = same.map_or(hands.since, |out| out.since);
        self.asking.out = Some(Out {
            leader,
            run,
            ask,
            since,
        });
        let asked = Asked {
            key: self.key,
            number: self.asking.number,
            waits,
            ask,
        };
        tell(leader, asked);
    }

    /// The number right behind says that the answer before it is taken in, the
    /// first offset in it for good. Whoever gives up an answer leaves one out.
    fn number_next(&mut self) {
        let is_taken_in = self
            .asking
            .answered
            .take()
            .is_some_and(|first| self.is_dropped_for_good(first));
        self.asking.number += if is_taken_in { 1 } else { 2 };
    }

    /// What was out to this leader went with the way to it.
    pub fn ask_anew(&mut self, hands: &Hands, leader: NodeId) {
        let out = self.asking.out;
        if out.is_none_or(|out| out.leader == leader) {
            (self.asking.out, self.asking.paused_until) = (None, Duration::ZERO);
            self.pull(hands);
        }
    }

    /// A leader has answered. Whatever is not the answer to what is out comes
    /// too late to mean anything.
    pub fn told(&mut self, hands: &mut Hands, told: Told) {
        if told.number != self.asking.number || !self.is_open() {
            return;
        }
        let Some(out) = self.asking.out.take() else {
            return;
        };
        let Some(partition) = &mut self.partition else {
            return;
        };
        let is_current = partition.is_current(out.run, &out.ask);
        partition.answered(out.run, &out.ask, told.answer);
        self.asking.answered = match told.answer {
            Answer::Alike { first, .. } if is_current => Some(first),
            _ => None,
        };
        match told.answer {
            Answer::NotNow => self.asking.paused_until = hands.since + PAUSE,
            Answer::Alike { .. } if is_current && !told.stored.is_empty() => {
                self.follow(hands, told.batches, &told.stored, told.room);
            }
            Answer::Alike { .. } | Answer::Parted { .. } | Answer::Gone { .. } => {}
        }
        self.go_on(hands);
    }

    fn follow(
        &mut self,
        hands: &mut Hands,
        batches: Vec<u8>,
        stored: &[Stored],
        room: Option<OwnedSemaphorePermit>,
    ) {
        let kept = batches.len();
        // Spares a full disk the reading back of what it would not take.
        if self.reserve(hands, kept).is_err() {
            self.asking.rest(hands.since);
            return;
        }
        let Some(partition) = &mut self.partition else {
            return;
        };
        let span = |one: &Stored| Span {
            first: one.first,
            next: one.next,
            epoch: one.leader_epoch,
        };
        let (from, attempt) = (partition.next(), partition.attempt());
        let spans: Vec<Span> = stored.iter().map(span).collect();
        if !partition.follow(&spans) {
            tracing::error!(partition = %self.key, at = %from, "the leader's records do not follow");
            self.asking.rest(hands.since);
            hands.device.keep_promise(self.log(), kept);
            return;
        }
        for one in stored {
            self.producers.take(one, hands.wall);
            let bytes = batches.len() / stored.len();
            if let Some(latest) = latest(one, hands.wall) {
                self.times.note(one.first, latest, bytes);
            }
        }
        self.append_followed(hands, attempt, from, batches, room);
    }

    fn append_followed(
        &mut self,
        hands: &mut Hands,
        attempt: u64,
        from: Offset,
        bytes: Vec<u8>,
        room: Option<OwnedSemaphorePermit>,
    ) {
        self.prepare_append(hands, from, &bytes);
        let landing = self.landing(hands, attempt, from);
        self.keeping.note(bytes.len());
        let records = Records::Whole(bytes);
        let log = self.log();
        let answer = move |outcome: Result<Appended, Refused>| {
            drop(room);
            landing(outcome);
        };
        hands
            .device
            .submit(Request::Append { log, records }, Box::new(answer));
    }
}
