//! What the door counts of itself, read by whoever reports.

use super::handlers::{Handler, TABLE};
use crate::metrics::{Counter, Gauge, Micros, Page};
use std::time::Duration;

pub struct Counts {
    table: &'static [Handler],
    /// Requests, and how long they took, by their place in the table.
    lines: Box<[Line]>,
    pub connections: Gauge,
    /// Connections closed at once: too many in all, or from one address.
    pub turned_away: Counter,
    /// Connections closed for what they sent, or for how slow they were.
    pub cut_off: Counter,
    /// Requests that are answered by closing the connection: of an API or a
    /// version that is not spoken, or from a client that has not shown who it is.
    pub refused: Counter,
    /// Requests that are not the message they should be.
    pub unread: Counter,
    pub received_bytes: Counter,
    pub sent_bytes: Counter,
    /// What requests and answers hold of memory.
    pub held_bytes: Gauge,
    /// Times that a connection had to wait for memory.
    pub waits: Counter,
}

#[derive(Default)]
struct Line {
    begun: Counter,
    /// From the last byte of a request to its answer.
    latency: Micros,
}

impl Default for Counts {
    fn default() -> Self {
        Self::of(TABLE)
    }
}

impl Counts {
    pub fn of(table: &'static [Handler]) -> Self {
        Self {
            table,
            lines: table.iter().map(|_| Line::default()).collect(),
            connections: Gauge::new(),
            turned_away: Counter::new(),
            cut_off: Counter::new(),
            refused: Counter::new(),
            unread: Counter::new(),
            received_bytes: Counter::new(),
            sent_bytes: Counter::new(),
            held_bytes: Gauge::new(),
            waits: Counter::new(),
        }
    }

    pub fn begun(&self, line: usize) {
        self.lines[line].begun.add(1);
    }

    pub fn answered(&self, line: usize, after: Duration) {
        let micros = u64::try_from(after.as_micros()).unwrap_or(u64::MAX);
        self.lines[line].latency.record(micros);
    }

    pub fn write(&self, page: &mut Page) {
        let names = || self.table.iter().map(|handler| handler.name);
        page.counters(
            "dolmen_kafka_requests_total",
            "Requests of the Kafka door by API",
            "api",
            names().zip(self.lines.iter().map(|line| line.begun.get())),
        );
        let timed = names().zip(self.lines.iter().map(|line| &line.latency));
        page.micros_by(
            "dolmen_kafka_request_latency_seconds",
            "From the last byte of a request to its answer",
            "api",
            timed.filter(|(_, latency)| latency.count() > 0),
        );
        for (name, help, gauge) in [
            (
                "dolmen_kafka_connections",
                "Open connections of the Kafka door",
                &self.connections,
            ),
            (
                "dolmen_kafka_held_bytes",
                "Memory that requests and answers under way have",
                &self.held_bytes,
            ),
        ] {
            page.gauge(name, help, gauge.get());
        }
        for (name, help, counter) in [
            (
                "dolmen_kafka_received_bytes_total",
                "Bytes received by the Kafka door",
                &self.received_bytes,
            ),
            (
                "dolmen_kafka_sent_bytes_total",
                "Bytes sent by the Kafka door",
                &self.sent_bytes,
            ),
            (
                "dolmen_kafka_turned_away_total",
                "Connections closed because there were too many",
                &self.turned_away,
            ),
            (
                "dolmen_kafka_cut_off_total",
                "Connections closed for what they sent or for how slow they were",
                &self.cut_off,
            ),
            (
                "dolmen_kafka_refused_requests_total",
                "Requests that are not spoken here, or not before the client has shown who it is",
                &self.refused,
            ),
            (
                "dolmen_kafka_unread_requests_total",
                "Requests whose bytes are not the message they should be",
                &self.unread,
            ),
            (
                "dolmen_kafka_memory_waits_total",
                "Times that a connection waited for memory",
                &self.waits,
            ),
        ] {
            page.counter(name, help, counter.get());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_is_timed_once_it_is_used() {
        let counts = Counts::default();
        let text = |counts: &Counts| {
            let mut page = Page::default();
            counts.write(&mut page);
            page.into_text()
        };
        let line = TABLE
            .iter()
            .position(|handler| handler.name == "ApiVersions");
        let line = line.unwrap();
        assert!(text(&counts).contains("dolmen_kafka_requests_total{api=\"ApiVersions\"} 0\n"));
        assert!(!text(&counts).contains("_seconds_bucket"));
        counts.begun(line);
        counts.answered(line, Duration::from_micros(3));
        let text = text(&counts);
        for told in [
            "dolmen_kafka_requests_total{api=\"ApiVersions\"} 1\n",
            "dolmen_kafka_request_latency_seconds_bucket{api=\"ApiVersions\",le=\"0.000002\"} 0\n",
            "dolmen_kafka_request_latency_seconds_bucket{api=\"ApiVersions\",le=\"0.000004\"} 1\n",
            "dolmen_kafka_request_latency_seconds_sum{api=\"ApiVersions\"} 0.000003\n",
            "dolmen_kafka_request_latency_seconds_count{api=\"ApiVersions\"} 1\n",
        ] {
            assert!(text.contains(told), "{told} in {text}");
        }
    }
}
