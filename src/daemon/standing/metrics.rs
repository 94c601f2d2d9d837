//! How the node stands, as figures to be scraped.

use super::Standing;
use crate::disk::class::Granted;
use crate::metrics::Page;
use crate::ports::operator::Report;
use std::sync::atomic::Ordering::Relaxed;

impl Standing {
    pub(super) fn metrics(&self) -> Page {
        let mut page = Page::default();
        let serves = u64::from(self.out_of_service().is_none());
        page.gauge("dolmen_serving", "1 where the node serves", serves);
        let uptime = self.clock.monotonic().as_secs();
        page.gauge("dolmen_uptime_seconds", "Since the process began", uptime);
        let beats = self.beats.get();
        page.counter(
            "dolmen_log_beats_total",
            "Signs of life of the log's thread",
            beats,
        );
        self.log_metrics(&mut page);
        self.zookeeper.write(&mut page);
        self.kafka.write(&mut page);
        if let Some(streams) = self.streams.get() {
            streams.compaction().write(&mut page);
        }
        let counts = &self.operator;
        page.gauge(
            "dolmen_operator_connections",
            "Open connections of the operator door",
            counts.connections.get(),
        );
        page.counter(
            "dolmen_operator_requests_total",
            "Requests that the operator door has read",
            counts.requests.get(),
        );
        page.counter(
            "dolmen_operator_turned_away_total",
            "Connections turned away because the operator door was full",
            counts.turned_away.get(),
        );
        page.counter(
            "dolmen_operator_timed_out_total",
            "Exchanges cut off because the client took too long",
            counts.timed_out.get(),
        );
        page
    }

    fn log_metrics(&self, page: &mut Page) {
        let Some(log) = self.log.get() else { return };
        let is = |fact: bool| u64::from(fact);
        let held = is(self.is_reserve_held.load(Relaxed));
        let figures = self.figures.lock().expect("figures are set whole");
        let report = &log.report;
        for (name, help, value) in [
            (
                "dolmen_log_engine_uring",
                "1 where the log's engine is uring, 0 where it is threads",
                is(log.engine == "uring"),
            ),
            (
                "dolmen_log_direct",
                "1 where the journal goes past the page cache",
                is(log.is_direct),
            ),
            (
                "dolmen_log_real_time",
                "1 where the log's thread has its real-time priority",
                is(log.class == Some(Granted::Full)),
            ),
            (
                "dolmen_log_opened_clean",
                "1 where the stop before this start was clean",
                is(report.was_clean),
            ),
            (
                "dolmen_log_opening_replayed_bytes",
                "Bytes replayed from the journal at this start",
                report.replayed_bytes,
            ),
            (
                "dolmen_log_opening_scanned_bytes",
                "Bytes of segments checked at this start",
                report.scanned_bytes,
            ),
            (
                "dolmen_log_reserve_held",
                "1 where room is held for a full disk",
                held,
            ),
            ("dolmen_logs", "Logs on the device", figures.logs),
            (
                "dolmen_log_journal_files",
                "Journal files that recovery would read",
                figures.journal_files,
            ),
        ] {
            page.gauge(name, help, value);
        }
        for (name, help, value) in [
            (
                "dolmen_log_appends_total",
                "Appends answered as durable",
                figures.appends,
            ),
            (
                "dolmen_log_batches_total",
                "Batches written to the journal",
                figures.batches,
            ),
            (
                "dolmen_log_straight_batches_total",
                "Batches that went straight to their segment",
                figures.straight_batches,
            ),
            (
                "dolmen_log_journal_bytes_total",
                "Bytes written to the journal",
                figures.journal_bytes,
            ),
            (
                "dolmen_log_sweeps_total",
                "Times that segments were synced to free a journal file",
                figures.sweeps,
            ),
            (
                "dolmen_log_stalls_total",
                "Times that appends waited for a journal file",
                figures.stalls,
            ),
            (
                "dolmen_log_refused_full_total",
                "Appends refused because the disk was full",
                figures.refused_full,
            ),
            (
                "dolmen_log_tidy_failures_total",
                "Files that could not be put away; the next start does it",
                figures.tidy_failures,
            ),
        ] {
            page.counter(name, help, value);
        }
    }
}
