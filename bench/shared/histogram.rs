//! Latencies, each counted where it lies: small whatever their number.

use std::time::Duration;

/// Steps to each doubling: a figure is at most 1/64 too high.
const STEPS: u32 = 64;
/// From 64 ns, below which each nanosecond has its own place, to 2^40 ns, some
/// 18 minutes.
const DOUBLINGS: u32 = 34;

pub struct Histogram {
    counts: Vec<u64>,
    count: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: vec![0; (STEPS * (DOUBLINGS + 1)) as usize],
            count: 0,
            max: 0,
        }
    }
}

impl Histogram {
    pub fn add(&mut self, time: Duration) {
        let ns = time.as_nanos() as u64;
        let place = place(ns).min(self.counts.len() - 1);
        self.counts[place] += 1;
        self.count += 1;
        self.max = self.max.max(ns);
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    pub fn max_us(&self) -> f64 {
        self.max as f64 / 1e3
    }

    /// The upper end of the step in which this share of all lies.
    pub fn us_at(&self, per_mille: u64) -> f64 {
        let wanted = (self.count * per_mille).div_ceil(1000).max(1);
        let mut seen = 0;
        for (place, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return upper_end(place).min(self.max) as f64 / 1e3;
            }
        }
        self.max_us()
    }
}

fn place(ns: u64) -> usize {
    let steps = u64::from(STEPS);
    if ns < steps {
        return ns as usize;
    }
    let doubling = ns.ilog2() - STEPS.ilog2();
    let within = (ns >> doubling) - steps;
    (steps * u64::from(doubling + 1) + within) as usize
}

fn upper_end(place: usize) -> u64 {
    let (place, steps) = (place as u64, u64::from(STEPS));
    if place < steps {
        return place;
    }
    let (doubling, within) = (place / steps - 1, place % steps);
    ((steps + within + 1) << doubling) - 1
}
