//! How much of a partition's past is kept. Pure.

use super::times::Times;
use crate::clock::Millis;
use crate::ids::Offset;
use crate::log::Span;
use crate::state::topics::TopicSettings;

/// What a partition has, and how far it may be dropped.
pub struct Kept<'a> {
    /// Its segments, the oldest first; the last is written to.
    pub spans: &'a [Span],
    pub times: &'a Times,
    /// Nothing from here on is dropped.
    pub watermark: Offset,
}

/// Where the partition should begin by the rules of its topic; None where that
/// is no other place than before.
pub fn begins_at(kept: &Kept, settings: &TopicSettings, now: Millis) -> Option<Offset> {
    if !settings.is_deleted_by_age() {
        return None;
    }
    let by_age = settings.retention_ms().and_then(|ms| by_age(kept, ms, now));
    let by_size = settings
        .retention_bytes()
        .and_then(|most| by_size(kept, most));
    by_age.max(by_size)
}

/// Whole segments, the one that is written to included, whose last record is
/// older than that.
fn by_age(kept: &Kept, ms: u64, now: Millis) -> Option<Offset> {
    let oldest = (now.0 as i64).saturating_sub(ms.min(i64::MAX as u64) as i64);
    let mut begins = None;
    for (n, _) in kept.spans.iter().enumerate() {
        let next = kept.spans.get(n + 1);
        let until = next.map_or(kept.watermark, |span| Offset(span.first.0));
        let is_old = kept
            .times
            .latest_below(until)
            .is_none_or(|latest| latest < oldest);
        if !is_old || until > kept.watermark {
            break;
        }
        begins = Some(until);
    }
    begins
}

/// As many of the oldest segments as are too many: what is left has at least
/// that size, as Kafka does it. Never the one that is written to.
fn by_size(kept: &Kept, most: u64) -> Option<Offset> {
    let mut left: u64 = kept.spans.iter().map(|span| span.bytes).sum();
    let mut begins = None;
    for pair in kept.spans.windows(2) {
        let until = Offset(pair[1].first.0);
        if left - pair[0].bytes < most || until > kept.watermark {
            break;
        }
        left -= pair[0].bytes;
        begins = Some(until);
    }
    begins
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Index;

    const DAY: i64 = 86_400_000;

    fn settings(given: &[(&str, &str)]) -> TopicSettings {
        let given: Vec<_> = given.iter().map(|&(a, b)| (a.into(), b.into())).collect();
        TopicSettings::of(&given).unwrap()
    }

    /// Four segments of 100 bytes and 10 records, a day apart.
    fn begins(watermark: u64, given: &[(&str, &str)]) -> Option<u64> {
        let mut times = Times::default();
        let mut spans = Vec::new();
        for n in 0..4 {
            times.note(Offset(n * 10), n as i64 * DAY, 1 << 20);
            spans.push(Span {
                first: Index(n * 10),
                bytes: 100,
                is_rewritten: false,
            });
        }
        let kept = Kept {
            spans: &spans,
            times: &times,
            watermark: Offset(watermark),
        };
        let now = Millis(10 * DAY as u64);
        begins_at(&kept, &settings(given), now).map(|offset| offset.0)
    }

    #[test]
    fn old_segments_go_and_too_many_bytes() {
        let all = 40;
        let days = |days: i64| (days * DAY).to_string();
        let age = |ms: String| begins(all, &[("retention.ms", &ms)]);
        assert_eq!(age("-1".into()), None);
        assert_eq!(age(days(11)), None);
        assert_eq!(age(days(9)), Some(10));
        assert_eq!(age(days(8)), Some(20));
        assert_eq!(age(days(1)), Some(40), "the last one, too");
        assert_eq!(begins(25, &[("retention.ms", "1")]), Some(20));
        let size = |bytes: &str| begins(all, &[("retention.ms", "-1"), ("retention.bytes", bytes)]);
        assert_eq!(size("-1"), None);
        assert_eq!(size("400"), None);
        assert_eq!(size("301"), None, "300 would be left");
        assert_eq!(size("300"), Some(10));
        assert_eq!(size("0"), Some(30), "never the last one");
        let compacted = [("cleanup.policy", "compact"), ("retention.ms", "1")];
        assert_eq!(begins(all, &compacted), None);
    }
}
