//! When a segment ends that is not full: it has lasted as long as its topic says,
//! counted as Kafka does, from its first record's time to that of the record that
//! would come next. Pure.

use crate::ids::{LogId, Offset};
use crate::state::topics::{TopicSetting, TopicSettings};

/// A segment, and what is known of its age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rolling {
    /// Its first record, and that one's time.
    first: Offset,
    since_ms: i64,
    /// The last that was appended.
    last: Offset,
    last_ms: i64,
}

impl Rolling {
    pub fn begun(first: Offset, since_ms: i64) -> Self {
        Self {
            first,
            since_ms,
            last: first,
            last_ms: since_ms,
        }
    }

    /// A record is to be appended, and the active segment begins at `active`:
    /// another than before where the one before was full.
    pub fn seen(before: Option<Self>, active: Offset, next: Offset, next_ms: i64) -> Self {
        let seen = match before {
            // One that was asked for may not have begun yet.
            Some(one) if one.first >= active => one,
            Some(one) if one.last == active => Self::begun(active, one.last_ms),
            _ => Self::begun(active, next_ms),
        };
        Self {
            last: next,
            last_ms: next_ms,
            ..seen
        }
    }
}

/// How long segments of a log last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    most_ms: i64,
    jitter_ms: i64,
    log: LogId,
}

pub fn due(log: LogId, settings: &TopicSettings) -> Due {
    let most_ms = match settings.is_compacted() {
        true => settings.segment_ms().min(settings.max_compaction_lag_ms()),
        false => settings.segment_ms(),
    };
    Due {
        most_ms,
        jitter_ms: settings.segment_jitter_ms().min(most_ms),
        log,
    }
}

impl Due {
    /// Whether the record that would go to `next` belongs to another segment.
    pub fn is_due(&self, rolling: &Rolling, next: Offset, next_ms: i64) -> bool {
        let age = next_ms.saturating_sub(rolling.since_ms);
        rolling.first < next && age > self.most_ms - self.jitter(rolling.first)
    }

    /// Other for each segment, and the same whenever it is asked for.
    fn jitter(&self, first: Offset) -> i64 {
        /// Odd, so that all of its bits count.
        const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;
        let mixed = (self.log.0 ^ first.0.wrapping_mul(SPREAD)).wrapping_mul(SPREAD) >> 1;
        match self.jitter_ms {
            0 => 0,
            most => (mixed as i64) % most,
        }
    }
}

/// What a segment of the topic grows to; None for what the node's profile says,
/// which is less than where Kafka's default would be.
pub fn segment_bytes(settings: &TopicSettings) -> Option<u64> {
    let is_own = settings.is_set(TopicSetting::SegmentBytes);
    is_own.then(|| settings.segment_bytes() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(given: &[(&str, &str)]) -> TopicSettings {
        let given: Vec<_> = given.iter().map(|&(a, b)| (a.into(), b.into())).collect();
        TopicSettings::of(&given).unwrap()
    }

    #[test]
    fn a_segment_ends_before_the_record_that_is_too_late_for_it() {
        let due = due(LogId(7), &settings(&[("segment.ms", "100")]));
        let one = Rolling::seen(None, Offset(5), Offset(5), 1000);
        assert!(!due.is_due(&one, Offset(5), 9000), "it has no record yet");
        let one = Rolling::seen(Some(one), Offset(5), Offset(6), 1100);
        assert!(!due.is_due(&one, Offset(6), 1100));
        assert!(due.is_due(&one, Offset(6), 1101));
        // Asked for and not begun yet: the one before still looks active.
        let next = Rolling::begun(Offset(6), 1101);
        let seen = Rolling::seen(Some(next), Offset(5), Offset(7), 1150);
        assert!(!due.is_due(&seen, Offset(7), 1201));
        assert!(due.is_due(&seen, Offset(7), 1202));
    }

    #[test]
    fn one_that_was_full_is_followed_by_one_as_old_as_its_first_record() {
        let due = due(LogId(7), &settings(&[("segment.ms", "100")]));
        let old = Rolling::seen(Some(Rolling::begun(Offset(0), 0)), Offset(0), Offset(4), 50);
        // The record at 4 has begun another.
        let one = Rolling::seen(Some(old), Offset(4), Offset(5), 149);
        assert!(!due.is_due(&one, Offset(5), 150));
        assert!(due.is_due(&one, Offset(5), 151));
    }

    #[test]
    fn jitter_shortens_and_differs() {
        let given = [("segment.ms", "1000"), ("segment.jitter.ms", "500")];
        let due = due(LogId(7), &settings(&given));
        let last = |first: u64| {
            let one = Rolling::begun(Offset(first), 0);
            (0..)
                .find(|&ms| due.is_due(&one, Offset(first + 1), ms))
                .unwrap()
        };
        let all: std::collections::BTreeSet<i64> = (0..20).map(last).collect();
        assert!(
            all.len() > 10 && all.iter().all(|ms| (501..=1001).contains(ms)),
            "{all:?}"
        );
        let compacted = [
            ("cleanup.policy", "compact"),
            ("max.compaction.lag.ms", "30"),
        ];
        let due = super::due(LogId(7), &settings(&compacted));
        assert!(due.is_due(&Rolling::begun(Offset(0), 0), Offset(1), 31));
    }
}
