//! What the door counts of itself, read by whoever reports. Names are those
//! of `mntr` where it has one.

use super::handlers::TABLE;
use crate::metrics::{Counter, Gauge, Micros, Page};

pub struct Counts {
    pub connections: Gauge,
    pub outstanding: Gauge,
    /// Requests by their place in the table of operations.
    pub operations: [Counter; TABLE.len()],
    /// Requests whose operation is not in the table.
    pub unknown_operations: Counter,
    /// Requests that are not the record they should be.
    pub unread: Counter,
    pub received: Counter,
    pub sent: Counter,
    pub received_bytes: Counter,
    pub sent_bytes: Counter,
    /// Connections closed at once: too many in all, or from one address.
    pub turned_away: Counter,
    /// Connections closed for what they sent, or for how slow they were.
    pub cut_off: Counter,
    pub auth_failures: Counter,
    /// From the read of a request to its answer.
    pub latency: Micros,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            connections: Gauge::new(),
            outstanding: Gauge::new(),
            operations: [const { Counter::new() }; TABLE.len()],
            unknown_operations: Counter::new(),
            unread: Counter::new(),
            received: Counter::new(),
            sent: Counter::new(),
            received_bytes: Counter::new(),
            sent_bytes: Counter::new(),
            turned_away: Counter::new(),
            cut_off: Counter::new(),
            auth_failures: Counter::new(),
            latency: Micros::new(),
        }
    }
}

impl Counts {
    pub fn write(&self, page: &mut Page) {
        let mut gauge = |name, help, gauge: &Gauge| page.gauge(name, help, gauge.get());
        gauge(
            "zk_num_alive_connections",
            "Connections on the ZooKeeper door.",
            &self.connections,
        );
        gauge(
            "zk_outstanding_requests",
            "Requests that are not answered yet.",
            &self.outstanding,
        );
        let by_name = TABLE.iter().zip(&self.operations);
        page.counters(
            "zk_requests",
            "Requests by operation.",
            "operation",
            by_name.map(|(handler, counter)| (handler.name, counter.get())),
        );
        let mut counter = |name, help, counter: &Counter| page.counter(name, help, counter.get());
        counter(
            "zk_packets_received",
            "Frames received, each one request.",
            &self.received,
        );
        counter(
            "zk_packets_sent",
            "Frames sent: answers and events.",
            &self.sent,
        );
        counter(
            "zk_bytes_received",
            "Bytes received.",
            &self.received_bytes,
        );
        counter("zk_bytes_sent", "Bytes sent.", &self.sent_bytes);
        counter(
            "zk_unknown_operations",
            "Requests for operations that are not spoken.",
            &self.unknown_operations,
        );
        counter(
            "zk_unread_requests",
            "Requests whose bytes are not the record they should be.",
            &self.unread,
        );
        counter(
            "zk_connections_turned_away",
            "Connections closed because there were too many.",
            &self.turned_away,
        );
        counter(
            "zk_connections_cut_off",
            "Connections closed for what they sent or for how slow they were.",
            &self.cut_off,
        );
        counter(
            "zk_auth_failures",
            "Proofs of identity that did not hold.",
            &self.auth_failures,
        );
        page.micros(
            "zk_request_latency_seconds",
            "From the read of a request to its answer.",
            &self.latency,
        );
    }
}
