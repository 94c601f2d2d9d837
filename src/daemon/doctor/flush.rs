//! Whether fdatasync takes as long as this kind of device must need.

use super::{Finding, Site};
use crate::clock::MachineClock;
use crate::daemon::probe::{Spread, lies, quick_flush};
use std::time::Duration;

/// Some hundred flushes of a good disk, a few of an SD card.
const TIME: Duration = Duration::from_millis(250);
/// An append then takes as long as an election's whole margin.
const SLOW: Duration = Duration::from_millis(10);

pub(super) fn check(site: &Site) -> Vec<Finding> {
    let measured = site.while_held(|| quick_flush(site.data(), TIME, &MachineClock::new()));
    vec![match measured {
        Ok(Ok(flush)) => judge(&flush, site.machine.disk.write_cache),
        Ok(Err(error)) => Finding::note(format!("not measured: {error}")),
        Err(why) => Finding::note(format!("not measured: {why}")),
    }]
}

fn judge(flush: &Spread, write_cache: Option<&str>) -> Finding {
    let millis = |time: Duration| format!("{:.2}", time.as_secs_f64() * 1e3);
    let message = format!(
        "p50 {} ms, p99 {} ms of {}",
        millis(flush.p50),
        millis(flush.p99),
        flush.samples
    );
    if let Some(why) = lies(flush.p50, write_cache) {
        let to_do = "put the data on a device that flushes; in a guest, have the host cache the \
                     disk as none or writeback, never as unsafe";
        return Finding::warning(format!("{message}: {why}"), to_do);
    }
    match flush.p99 > SLOW {
        true => Finding::warning(
            format!("{message}: every append waits for it"),
            "look for other writers on the device (iostat -x 1); an SD card or a USB stick is \
             as slow as this by nature",
        ),
        false => Finding::ok(message),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Severity;
    use super::*;

    #[test]
    fn too_fast_is_as_suspicious_as_too_slow() {
        let judged = |p50_us, p99_us, cache| {
            let flush = Spread {
                p50: Duration::from_micros(p50_us),
                p99: Duration::from_micros(p99_us),
                max: Duration::from_micros(p99_us),
                samples: 100,
            };
            judge(&flush, cache).severity
        };
        assert_eq!(judged(90, 300, Some("write back")), Severity::Ok);
        assert_eq!(judged(15, 300, Some("write back")), Severity::Warning);
        assert_eq!(judged(15, 300, Some("write through")), Severity::Ok);
        assert_eq!(
            judged(3000, 10_001, Some("write through")),
            Severity::Warning
        );
    }
}
