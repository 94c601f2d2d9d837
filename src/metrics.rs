//! Counters, gauges and histograms, and their text form. Names nobody: who
//! measures holds a handle, who reports asks for the text.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counts up.
#[derive(Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Goes up and down.
#[derive(Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }
    pub fn set(&self, n: u64) {
        self.0.store(n, Relaxed);
    }
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Counts microseconds in powers of two, from 1 us to over 8 s: 24 buckets.
pub struct Micros {
    buckets: [AtomicU64; 24],
    sum: AtomicU64,
}

impl Default for Micros {
    fn default() -> Self {
        Self::new()
    }
}

impl Micros {
    pub const fn new() -> Self {
        Self {
            buckets: [const { AtomicU64::new(0) }; 24],
            sum: AtomicU64::new(0),
        }
    }

    pub fn record(&self, micros: u64) {
        let bucket = (64 - micros.leading_zeros() as usize).min(self.buckets.len() - 1);
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.sum.fetch_add(micros, Relaxed);
    }

    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.load(Relaxed)).sum()
    }
}

/// Text in the form that Prometheus scrapes.
#[derive(Default)]
pub struct Page {
    text: String,
}

impl Page {
    pub fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.one(name, help, "counter", value);
    }

    pub fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.one(name, help, "gauge", value);
    }

    /// One counter for each value of a label. Values are names of ours, which
    /// need no escaping.
    pub fn counters<'a>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl Iterator<Item = (&'a str, u64)>,
    ) {
        self.head(name, help, "counter");
        for (of, value) in values {
            let _ = writeln!(self.text, "{name}{{{label}=\"{of}\"}} {value}");
        }
    }

    fn one(&mut self, name: &str, help: &str, kind: &str, value: u64) {
        self.head(name, help, kind);
        let _ = writeln!(self.text, "{name} {value}");
    }

    fn head(&mut self, name: &str, help: &str, kind: &str) {
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// A histogram in seconds, as Prometheus' conventions ask.
    pub fn micros(&mut self, name: &str, help: &str, micros: &Micros) {
        self.head(name, help, "histogram");
        self.buckets(name, "", micros);
    }

    /// One histogram for each value of a label, names of ours as in `counters`.
    pub fn micros_by<'a>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl Iterator<Item = (&'a str, &'a Micros)>,
    ) {
        self.head(name, help, "histogram");
        for (of, micros) in values {
            self.buckets(name, &format!("{label}=\"{of}\""), micros);
        }
    }

    fn buckets(&mut self, name: &str, label: &str, micros: &Micros) {
        let (comma, whole) = match label {
            "" => ("", String::new()),
            _ => (",", format!("{{{label}}}")),
        };
        let mut total = 0;
        for (power, bucket) in micros.buckets.iter().enumerate() {
            total += bucket.load(Relaxed);
            let bound = (1u64 << power) as f64 / 1e6;
            if power + 1 < micros.buckets.len() {
                let _ = writeln!(
                    self.text,
                    "{name}_bucket{{{label}{comma}le=\"{bound}\"}} {total}"
                );
            }
        }
        let sum = micros.sum.load(Relaxed) as f64 / 1e6;
        let _ = writeln!(
            self.text,
            "{name}_bucket{{{label}{comma}le=\"+Inf\"}} {total}\n\
             {name}_sum{whole} {sum}\n{name}_count{whole} {total}"
        );
    }

    pub fn into_text(self) -> String {
        self.text
    }
}
