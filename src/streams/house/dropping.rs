//! The oldest records go: what the partition has forgotten its log is told to
//! drop, and told again where it had no room to note that. Who has asked for it is
//! answered once it is so for good, here and with all who may lead next.

use super::Event;
use super::holding::{Hands, Holding};
use crate::ids::{Index, NodeId, Offset};
use crate::limits::STREAMS_DROPS_MAX;
use crate::log::{Appended, Refused, Request};
use crate::streams::desk::{Answer, NotDropped, NotHere};
use std::time::Duration;

pub(super) struct Dropping {
    /// Drops that the log has not answered yet.
    out: usize,
    /// The log begins here, also after a power cut.
    durable: Offset,
    waiting: Vec<Waiting>,
}

struct Waiting {
    /// What is below is to go.
    until: Offset,
    /// Nobody waits behind that.
    late_at: Duration,
    answer: Answer<Result<Offset, NotDropped>>,
}

impl Dropping {
    /// Of a log that begins there.
    pub fn new(first: Index) -> Self {
        Self {
            out: 0,
            durable: Offset(first.0),
            waiting: Vec::new(),
        }
    }

    /// The log was cut, or begun anew.
    pub fn begins_at(&mut self, first: Index) {
        self.durable = Offset(first.0);
    }

    /// Nobody is answered otherwise any more.
    pub fn give_up(&mut self, why: NotHere) {
        for one in self.waiting.drain(..) {
            (one.answer)(Err(NotDropped::NotHere(why)));
        }
    }
}

impl Holding {
    /// The time is for other replicas to follow: what this node does by itself is
    /// waited for in any case.
    pub fn drop_prefix(
        &mut self,
        hands: &mut Hands,
        until: Option<Offset>,
        timeout: Duration,
        answer: Answer<Result<Offset, NotDropped>>,
    ) {
        let Some(partition) = self.partition.as_mut().filter(|one| one.leads()) else {
            return answer(Err(NotDropped::NotHere(NotHere::NotLeader)));
        };
        let watermark = partition.watermark();
        let until = until.unwrap_or(watermark);
        if until > watermark {
            return answer(Err(NotDropped::OutOfRange));
        }
        if self.dropping.waiting.len() >= STREAMS_DROPS_MAX {
            return answer(Err(NotDropped::Busy));
        }
        partition.drop_prefix(until);
        self.dropping.waiting.push(Waiting {
            until,
            late_at: hands.since.saturating_add(timeout),
            answer,
        });
        self.go_on(hands);
        self.drop_again(hands);
        self.serve_late(hands.since);
    }

    /// The partition begins here now, and so shall its log.
    pub(super) fn have_dropped(&mut self, hands: &mut Hands, until: Offset) {
        self.dropping.out += 1;
        let (events, key, serial) = (hands.events.clone(), self.key, self.serial);
        let (log, until) = (self.log(), Index(until.0));
        hands.device.submit(
            Request::DropPrefix { log, until },
            Box::new(move |outcome| events.put(key, serial, Event::Dropped { outcome })),
        );
    }

    pub(super) fn dropped(&mut self, outcome: Result<Appended, Refused>) {
        let dropping = &mut self.dropping;
        dropping.out -= 1;
        match outcome {
            Ok(appended) => dropping.durable = dropping.durable.max(Offset(appended.first.0)),
            Err(why) => {
                tracing::error!(partition = %self.key, %why, "the log was not told where it begins");
                let why: Box<str> = why.to_string().into();
                let durable = dropping.durable;
                let refused = dropping.waiting.extract_if(.., |one| one.until > durable);
                refused.for_each(|one| (one.answer)(Err(NotDropped::Disk(why.clone()))));
            }
        }
    }

    /// Nothing else would ask again: the partition itself has forgotten them, and
    /// their room would be taken until more is dropped.
    pub(super) fn drop_again(&mut self, hands: &mut Hands) {
        let Some(partition) = self.partition.as_ref().filter(|_| self.is_open()) else {
            return;
        };
        let first = partition.first();
        if self.dropping.out == 0 && Offset(self.shelf.first().0) < first {
            self.have_dropped(hands, first);
        }
    }

    /// Whether a power cut brings nothing back from below an offset at which a
    /// leader begins: what was not acknowledged here yet is not dropped yet.
    pub(super) fn is_dropped_for_good(&self, first: Offset) -> bool {
        first <= self.dropping.durable
    }

    /// Whether it is to be in sync, and may begin below what clients were told is
    /// gone: those who were in sync were waited for.
    pub(super) fn brings_back(&self, node: NodeId) -> bool {
        let Some(partition) = &self.partition else {
            return false;
        };
        let joins = node != self.own && !partition.standing().in_sync.contains(&node);
        joins && self.serving.begins(partition, node) < self.dropping.durable
    }

    /// Answers those who need not wait any more.
    pub(super) fn answer_dropped(&mut self) {
        if self.dropping.waiting.is_empty() {
            return;
        }
        let Some(partition) = self.partition.as_ref().filter(|one| one.leads()) else {
            return self.dropping.give_up(NotHere::NotLeader);
        };
        let others = self.serving.all_begin_at(partition);
        let gone = self.dropping.durable.min(others);
        let waiting = &mut self.dropping.waiting;
        let done = waiting.extract_if(.., |one| one.until <= gone);
        done.for_each(|one| (one.answer)(Ok(gone)));
    }

    /// Others are not told to begin there in time, or do not say so.
    pub(super) fn drop_late(&mut self, now: Duration) {
        let durable = self.dropping.durable;
        let is_late = |one: &mut Waiting| one.late_at <= now && one.until <= durable;
        let late = self.dropping.waiting.extract_if(.., is_late);
        late.for_each(|one| (one.answer)(Err(NotDropped::TimedOut)));
    }
}
