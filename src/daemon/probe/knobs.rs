//! From figures to knobs. Each comes with its reason, or stays as it was with
//! the reason for that. Nothing here touches the machine.

use super::{Bypass, Flush, Group, Measured};
use crate::disk::Engine;
use crate::disk::choose::{Chosen, Figures, decide, is_as_good};
use crate::disk::class::Granted;
use std::time::Duration;

/// A knob as it would stand in a file; None where the figures do not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Derived {
    pub key: &'static str,
    pub value: Option<String>,
    pub reason: String,
}

/// A device that takes less for a flush has not gone to its medium: 20 us is
/// the way there and back of the fastest bus alone.
const FLUSH_LEAST: Duration = Duration::from_micros(20);
/// What the knobs take: `log.ring_entries` and `log.journal_bypass_kib`.
const ENTRIES_MIN: usize = 8;
const BYPASS_KIB_MAX: usize = 1024;

pub fn derive(measured: &Measured) -> Vec<Derived> {
    vec![
        log_engine(measured),
        ring_entries(&measured.depths),
        journal_direct_io(measured),
        journal_bypass_kib(&measured.bypass),
    ]
}

/// What is wrong with the device or the measurement.
pub fn warnings(measured: &Measured) -> Vec<String> {
    let mut warnings = Vec::new();
    let quiet = |flush: &Flush| (!flush.is_direct).then_some(flush.quiet.p50);
    let flush = measured.flush.iter().filter_map(quiet).min();
    if let Some(flush) = flush
        && let Some(why) = lies(flush, measured.machine.disk.write_cache)
    {
        warnings.push(why);
    }
    if let Some(why) = not_of_class(&measured.class) {
        warnings.push(why);
    }
    warnings
}

/// Why a flush so fast is not to be believed.
pub fn lies(flush: Duration, write_cache: Option<&str>) -> Option<String> {
    (flush < FLUSH_LEAST && write_cache == Some("write back")).then(|| {
        format!(
            "fdatasync takes {} us on a device with a write-back cache: it probably does not \
             flush, and what was acknowledged is lost with the power",
            micros(flush)
        )
    })
}

fn not_of_class(class: &Granted) -> Option<String> {
    match class {
        Granted::Full => None,
        Granted::Nice(nice) => Some(format!(
            "measured at nice {nice} instead of a real-time priority: figures under load are \
             the scheduler's; run the probe as root"
        )),
        Granted::Ordinary { .. } => Some(
            "measured on an ordinary thread: the scheduler is what was measured; run the probe \
             as root"
                .into(),
        ),
    }
}

fn as_it_was(key: &'static str, reason: impl Into<String>) -> Derived {
    Derived {
        key,
        value: None,
        reason: reason.into(),
    }
}

/// By the rule that `auto` follows, on the way that the journal would take.
pub(super) fn engine(flush: &[Flush]) -> Option<Chosen> {
    let is_direct = flush.iter().any(|flush| flush.is_direct);
    let figures = |engine| {
        let of_engine = |flush: &&Flush| flush.engine == engine && flush.is_direct == is_direct;
        flush.iter().find(of_engine).map(|flush| Figures {
            engine,
            quiet_p50: flush.quiet.p50,
            loaded_p99: flush.loaded.p99,
            loaded_samples: flush.loaded.samples,
        })
    };
    Some(decide(figures(Engine::Threads)?, figures(Engine::Uring)?))
}

fn log_engine(measured: &Measured) -> Derived {
    const KEY: &str = "log.engine";
    if let Err(refused) = &measured.ring {
        return Derived {
            key: KEY,
            value: Some("\"threads\"".into()),
            reason: refused.clone(),
        };
    }
    match (engine(&measured.flush), not_of_class(&measured.class)) {
        (_, Some(why)) => as_it_was(KEY, why),
        (None, _) => as_it_was(KEY, "one of the engines was not measured"),
        (Some(chosen), None) => Derived {
            key: KEY,
            value: Some(format!("\"{}\"", chosen.engine.name())),
            reason: chosen.reason,
        },
    }
}

/// Two entries for each write in flight and one for the bell, as a power of
/// two, at the least depth that gives nearly all there is to have.
fn ring_entries(depths: &[Group]) -> Derived {
    const KEY: &str = "log.ring_entries";
    let peak = depths.iter().map(|group| group.records_per_s).max();
    let enough = |group: &&Group| group.records_per_s * 100 >= peak.unwrap_or(0) * 95;
    match depths.iter().find(enough) {
        None => as_it_was(KEY, "there is no ring to measure"),
        Some(group) => {
            let entries = (2 * group.depth + 1).next_power_of_two().max(ENTRIES_MIN);
            Derived {
                key: KEY,
                value: Some(entries.to_string()),
                reason: format!(
                    "{} in flight make {} records/s durable, 95 % of the peak of {} or more; 2 \
                     entries each and 1 for the bell, as a power of two and {ENTRIES_MIN} at least",
                    group.depth,
                    group.records_per_s,
                    peak.unwrap_or(0),
                ),
            }
        }
    }
}

fn journal_direct_io(measured: &Measured) -> Derived {
    const KEY: &str = "log.journal_direct_io";
    if !measured.is_direct_granted {
        return Derived {
            key: KEY,
            value: Some("false".into()),
            reason: "this file system refuses O_DIRECT".into(),
        };
    }
    if let Some(why) = not_of_class(&measured.class) {
        return as_it_was(KEY, why);
    }
    let engine = engine(&measured.flush).map_or(Engine::Threads, |chosen| chosen.engine);
    let way = |is_direct| {
        let is_it = |flush: &&Flush| flush.engine == engine && flush.is_direct == is_direct;
        measured.flush.iter().find(is_it)
    };
    match (way(true), way(false)) {
        (Some(direct), Some(buffered)) => direct_or_buffered(KEY, direct, buffered),
        _ => as_it_was(KEY, "one of the two ways was not measured"),
    }
}

fn direct_or_buffered(key: &'static str, direct: &Flush, buffered: &Flush) -> Derived {
    let (ours, theirs) = (direct.loaded.p99, buffered.loaded.p99);
    let figures = format!(
        "p99 under load {} us with O_DIRECT and {} us without, by {}",
        micros(ours),
        micros(theirs),
        direct.engine.name()
    );
    let is_direct = is_as_good(ours, theirs);
    let why = match is_direct && is_as_good(theirs, ours) {
        // A page that could not be written is dropped by the cache, and the
        // next sync says nothing of it.
        true => "alike; O_DIRECT, since no failed write hides in the page cache then",
        false => "the better wins",
    };
    Derived {
        key,
        value: Some(is_direct.to_string()),
        reason: format!("{figures}: {why}"),
    }
}

/// The least size from which on going straight costs less at every size.
fn journal_bypass_kib(sizes: &[Bypass]) -> Derived {
    const KEY: &str = "log.journal_bypass_kib";
    let losing = sizes.iter().rposition(|size| size.straight >= size.journal);
    let Some(largest) = sizes.last() else {
        return as_it_was(KEY, "no size was measured");
    };
    let figures = |size: &Bypass| {
        format!(
            "at {} KiB {} us through the journal and {} us straight",
            size.kib,
            micros(size.journal),
            micros(size.straight)
        )
    };
    match losing.map_or(sizes.first(), |losing| sizes.get(losing + 1)) {
        Some(least) => Derived {
            key: KEY,
            value: Some(least.kib.to_string()),
            reason: match losing {
                Some(losing) => format!("{}; {}", figures(least), figures(&sizes[losing])),
                None => format!("{}, the least that was tried", figures(least)),
            },
        },
        None => Derived {
            key: KEY,
            value: Some(BYPASS_KIB_MAX.to_string()),
            reason: format!(
                "{}; straight wins at no size that was tried, so the most that the knob takes",
                figures(largest)
            ),
        },
    }
}

pub(super) fn micros(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::probe::Spread;

    const US: fn(u64) -> Duration = Duration::from_micros;

    fn bypass(times: &[(u64, u64)]) -> String {
        let sizes = [16, 32, 64, 128, 256, 512];
        let size = |(kib, (journal, straight)): (usize, &(u64, u64))| Bypass {
            kib,
            journal: US(*journal),
            straight: US(*straight),
        };
        let sizes: Vec<_> = sizes.into_iter().zip(times).map(size).collect();
        journal_bypass_kib(&sizes).value.unwrap_or_default()
    }

    #[test]
    fn straight_must_win_from_its_size_on() {
        assert_eq!(bypass(&[(5, 9), (6, 9), (9, 8), (12, 9)]), "64");
        assert_eq!(bypass(&[(5, 4), (6, 9), (9, 8), (12, 9)]), "64");
        assert_eq!(bypass(&[(5, 4), (6, 5)]), "16");
        assert_eq!(bypass(&[(5, 6), (6, 6)]), "1024");
        assert_eq!(bypass(&[]), "");
    }

    fn spread(p99: u64) -> Spread {
        Spread {
            p50: US(10),
            p99: US(p99),
            max: US(p99),
            samples: 100,
        }
    }

    #[test]
    fn the_ring_is_as_deep_as_it_pays() {
        let group = |depth, records_per_s| Group {
            engine: Engine::Uring,
            records: 16,
            depth,
            flush: spread(10),
            records_per_s,
        };
        let entries = |depths: &[Group]| ring_entries(depths).value;
        let flat = [group(1, 96), group(2, 100), group(4, 90)];
        assert_eq!(entries(&flat).as_deref(), Some("8"));
        let deep = [group(1, 50), group(2, 80), group(8, 100), group(16, 101)];
        assert_eq!(entries(&deep).as_deref(), Some("32"));
        assert_eq!(entries(&[]), None);
    }

    #[test]
    fn alike_means_past_the_page_cache() {
        let flush = |is_direct, p99| Flush {
            engine: Engine::Uring,
            is_direct,
            quiet: spread(10),
            loaded: spread(p99),
        };
        for (direct, buffered, value) in
            [(100, 300, "true"), (110, 100, "true"), (300, 100, "false")]
        {
            let derived = direct_or_buffered("k", &flush(true, direct), &flush(false, buffered));
            assert_eq!(derived.value.as_deref(), Some(value), "{}", derived.reason);
        }
    }

    #[test]
    fn only_a_device_with_a_cache_can_lie_about_it() {
        assert!(lies(US(19), Some("write back")).is_some());
        assert!(lies(US(20), Some("write back")).is_none());
        assert!(lies(US(5), Some("write through")).is_none());
        assert!(lies(US(5), None).is_none());
    }
}
