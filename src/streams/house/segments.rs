//! The segments of one partition: when the one that is written to ends, and what
//! goes of the old ones.

use super::holding::{Hands, Holding};
use super::retention::{self, Kept};
use super::rolling::{self, Rolling};
use super::share::Candidate;
use crate::ids::{Index, Offset};
use crate::log::{Refused, Request, Span};
use crate::state::topics::names::is_internal;
use crate::streams::batch::header::Header;

impl Holding {
    /// Drops what the topic's rules no longer keep; forgets idle producers.
    pub(super) fn sweep(&mut self, hands: &mut Hands) {
        self.producers.expire(hands.wall);
        self.drop_again(hands);
        let spans = self.shelf.spans();
        self.view()
            .set_bytes(spans.iter().map(|span| span.bytes).sum());
        let Some(partition) = self.partition.as_ref().filter(|one| one.leads()) else {
            return;
        };
        let kept = Kept {
            spans: &spans,
            times: &self.times,
            watermark: partition.watermark(),
        };
        if let Some(begins) = retention::begins_at(&kept, &self.settings, hands.wall) {
            self.forget(hands, begins);
        }
    }

    /// The segments that may go before their time: never of a topic of the event
    /// log's own, never of one that is compacted, never what is not acknowledged.
    pub(super) fn candidates(&self) -> Vec<Candidate> {
        let Some(partition) = self.partition.as_ref().filter(|_| self.is_open()) else {
            return Vec::new();
        };
        if is_internal(&self.view().name) || self.settings.is_compacted() {
            return Vec::new();
        }
        let spans = self.ended_spans(partition.next());
        let latest = self.times.latest_below_each(spans.iter().map(|one| one.1));
        let each = spans.into_iter().zip(latest);
        let may_go = each.filter(|((span, until), _)| {
            span.bytes > 0 && *until <= partition.watermark() && *until > partition.first()
        });
        let candidate = |((span, until), latest): ((Span, Offset), Option<i64>)| Candidate {
            key: self.key,
            until,
            bytes: span.bytes,
            latest: latest.unwrap_or_default(),
        };
        may_go.map(candidate).collect()
    }

    /// Without the segments that are to go already: a log that had no room to note
    /// it still has them, and others are not to go in their place.
    pub(super) fn kept_bytes(&self) -> u64 {
        let Some(partition) = &self.partition else {
            return self.view().bytes();
        };
        let first = partition.first();
        let spans = self.ended_spans(partition.next()).into_iter();
        let kept = spans.filter(|(_, until)| *until > first);
        kept.map(|(span, _)| span.bytes).sum()
    }

    /// Each with where the next one begins.
    fn ended_spans(&self, next: Offset) -> Vec<(Span, Offset)> {
        let spans = self.shelf.spans();
        let ends = spans.iter().skip(1).map(|span| Offset(span.first.0));
        let ends: Vec<Offset> = ends.chain([next]).collect();
        spans.into_iter().zip(ends).collect()
    }

    /// Drops what is below an offset, and ends the active segment where nothing
    /// of it is left: only so its room comes free.
    pub(super) fn forget(&mut self, hands: &mut Hands, until: Offset) {
        let Some(partition) = &mut self.partition else {
            return;
        };
        let until = until.min(partition.watermark());
        if until <= partition.first() {
            return;
        }
        let has_records = self.shelf.active_first() < Some(Index(until.0));
        if until == partition.next() && has_records {
            self.roll(hands);
        }
        if let Some(partition) = &mut self.partition {
            partition.drop_prefix(until);
        }
    }

    fn roll(&mut self, hands: &mut Hands) {
        let (log, key) = (self.log(), self.key);
        let answer = move |outcome: Result<_, Refused>| {
            // It is asked for again when the next is due.
            if let Err(why) = outcome {
                tracing::debug!(partition = %key, %why, "the segment goes on");
            }
        };
        hands.device.submit(Request::Roll { log }, Box::new(answer));
    }

    /// Ends the active segment before an append where it is old enough.
    pub(super) fn roll_if_due(&mut self, hands: &mut Hands, from: Offset, bytes: &[u8]) {
        let Some(time) = Header::of(bytes).map(|header| header.max_timestamp()) else {
            return;
        };
        let time = if time < 0 { hands.wall.0 as i64 } else { time };
        let active = self
            .shelf
            .active_first()
            .map_or(from, |first| Offset(first.0));
        let due = rolling::due(self.log(), &self.settings);
        let mut rolling = Rolling::seen(self.rolling, active, from, time);
        if due.is_due(&rolling, from, time) {
            self.roll(hands);
            rolling = Rolling::begun(from, time);
        }
        self.rolling = Some(rolling);
    }
}
