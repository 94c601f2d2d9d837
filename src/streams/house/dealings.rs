//! What clients do with a partition that this node leads: they append, and end
//! transactions.

use super::holding::{Hands, Holding, Repeat, Waiting};
use super::reading::latest;
use crate::ids::Offset;
use crate::limits::STREAMS_REPEATS_MAX;
use crate::streams::batch::control;
use crate::streams::batch::header::BatchMut;
use crate::streams::batch::stored::Stored;
use crate::streams::desk::{Append, Appended, Mark, NotAppended, NotHere};
use crate::streams::partition::{Acks, Refused};
use crate::streams::producers::{Admitted, Offer};
use std::time::Duration;

/// A marker is asked for again by the transaction's coordinator, for as long as
/// it takes.
const MARKER_TIMEOUT: Duration = Duration::from_secs(30);
/// A batch of a marker has 78 bytes.
const MARKER_ROOM: usize = 128;

impl Holding {
    pub fn append(&mut self, hands: &mut Hands, append: Append) {
        let admitted = match self.admit(hands, &append) {
            Ok(admitted) => admitted,
            Err(why) => return (append.answer)(Err(why)),
        };
        if let Admitted::Known { first, last } = admitted {
            return self.wait_for_known(hands, append, first, last);
        }
        if let Err(why) = self.reserve(hands, append.bytes.len()) {
            return (append.answer)(Err(why));
        }
        let count = append.offered.iter().map(|one| u64::from(one.count)).sum();
        let token = self.take_token();
        let until = hands.since + append.timeout;
        let Some(partition) = &mut self.partition else {
            return (append.answer)(Err(NotAppended::NotHere(NotHere::Opening)));
        };
        let first = partition.first();
        let place = match partition.offer(append.acks, token, count, until) {
            Ok(place) => place,
            Err((_, why)) => {
                hands.device.keep_promise(self.log(), append.bytes.len());
                return (append.answer)(Err(NotAppended::Partition(why)));
            }
        };
        let Append {
            mut bytes,
            offered,
            append_time_ms,
            answer,
            ..
        } = append;
        let appended = Appended {
            base: place.base,
            first,
            append_time_ms,
        };
        self.waiting
            .insert(token, Waiting::Append { appended, answer });
        let mut base = place.base;
        for one in &offered {
            let batch = &mut bytes[one.bytes.clone()];
            if let Some(mut batch) = BatchMut::of(batch) {
                batch.set_base_offset(base);
                batch.set_leader_epoch(place.epoch);
            }
            self.note(hands, batch);
            base = Offset(base.0 + u64::from(one.count));
        }
        self.submit_append(hands, place.attempt, place.base, bytes);
        self.go_on(hands);
    }

    fn admit(&self, hands: &Hands, append: &Append) -> Result<Admitted, NotAppended> {
        let is_same_reign = append
            .led_since
            .is_none_or(|epoch| epoch == self.view().leader_epoch());
        if !self.leads() || !is_same_reign {
            return Err(NotAppended::Partition(Refused::NotLeader));
        }
        let claims = append
            .offered
            .iter()
            .filter_map(|one| Some((one, one.claim?)));
        let mut admitted = Admitted::New { begins: false };
        for (one, claim) in claims {
            if append.offered.len() > 1 {
                return Err(NotAppended::ManyBatches);
            }
            let offer = Offer {
                claim,
                count: one.count,
                is_transactional: one.is_transactional,
                raises_epoch: append.raises_epoch,
            };
            admitted = self
                .producers
                .admit(&offer)
                .map_err(NotAppended::Producer)?;
            if !self.producers.knows(claim.id) {
                let checked = hands.streams.check_first(append.key, &claim);
                checked.map_err(NotAppended::Producer)?;
            }
            if admitted == (Admitted::New { begins: true }) {
                let checked = self.ends.check(append.verified, claim.id);
                checked.map_err(NotAppended::BeginsTransaction)?;
            }
        }
        Ok(admitted)
    }

    /// The first try may still be on its way to the disk: the answer waits until
    /// it is acknowledged.
    fn wait_for_known(&mut self, hands: &mut Hands, append: Append, first: Offset, last: Offset) {
        if self.repeats.len() >= STREAMS_REPEATS_MAX {
            return (append.answer)(Err(NotAppended::Busy));
        }
        self.repeats.push(Repeat {
            first,
            last,
            acks: append.acks,
            until: hands.since + append.timeout,
            answer: append.answer,
        });
        self.go_on(hands);
    }

    /// Notes a batch that has its place.
    fn note(&mut self, hands: &mut Hands, batch: &[u8]) {
        let stored = Stored::read(batch).expect("it was checked, or made here");
        self.producers.take(&stored, hands.wall);
        if let Some(latest) = latest(&stored, hands.wall) {
            self.times.note(stored.first, latest, batch.len());
        }
    }

    fn take_token(&mut self) -> u64 {
        self.next_token += 1;
        self.next_token
    }

    pub fn mark(&mut self, hands: &mut Hands, mark: Mark) {
        if !self.leads() {
            let why = NotAppended::Partition(Refused::NotLeader);
            return (mark.answer)(Err(why));
        }
        if let Err(why) = self.producers.admit_marker(&mark.closing) {
            return (mark.answer)(Err(NotAppended::Producer(why)));
        }
        if let Err(why) = self.reserve(hands, MARKER_ROOM) {
            return (mark.answer)(Err(why));
        }
        let token = self.take_token();
        let until = hands.since + MARKER_TIMEOUT;
        let Some(partition) = &mut self.partition else {
            return (mark.answer)(Err(NotAppended::NotHere(NotHere::Opening)));
        };
        let place = match partition.offer(Acks::All, token, 1, until) {
            Ok(place) => place,
            Err((_, why)) => {
                hands.device.keep_promise(self.log(), MARKER_ROOM);
                return (mark.answer)(Err(NotAppended::Partition(why)));
            }
        };
        let (at, answer) = (place.base, mark.answer);
        self.waiting.insert(token, Waiting::Marker { at, answer });
        let into = control::Place {
            offset: place.base,
            leader_epoch: place.epoch,
            id: mark.closing.id,
            epoch: mark.closing.epoch,
        };
        let batch = mark.closing.marker.batch(into, hands.wall);
        self.ends.note(mark.closing.id);
        let spared = MARKER_ROOM.saturating_sub(batch.len());
        hands.device.keep_promise(self.log(), spared);
        self.note(hands, &batch);
        self.submit_append(hands, place.attempt, place.base, batch);
        self.go_on(hands);
    }
}
