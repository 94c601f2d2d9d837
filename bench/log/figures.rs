//! What a row measured: per round its percentiles and its rate, and over the
//! rounds the median of each, so that one disturbed round changes nothing.

use super::median::median;
use serde::Serialize;
use std::time::Duration;

/// The operations of one round.
#[derive(Default)]
pub struct Samples {
    pub times: Vec<Duration>,
    pub spent: Duration,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub struct Round {
    pub p50_us: f64,
    pub p99_us: f64,
    pub per_second: f64,
    pub count: usize,
}

impl Samples {
    pub fn round(mut self) -> Round {
        assert!(!self.times.is_empty(), "a round measures something");
        self.times.sort_unstable();
        let at = |percent: usize| {
            let place = (self.times.len() * percent).div_ceil(100);
            self.times[place.saturating_sub(1)].as_secs_f64() * 1e6
        };
        Round {
            p50_us: at(50),
            p99_us: at(99),
            per_second: self.times.len() as f64 / self.spent.as_secs_f64(),
            count: self.times.len(),
        }
    }
}

/// The median over the rounds of one figure.
pub fn over(rounds: &[Round], figure: fn(&Round) -> f64) -> f64 {
    median(rounds.iter().map(figure).collect())
}

/// The median of the ratios of rounds that were neighbours in time: what
/// disturbed one has mostly disturbed the other too.
pub fn ratio(ours: &[Round], theirs: &[Round], figure: fn(&Round) -> f64) -> f64 {
    let pairs = ours.iter().zip(theirs);
    median(pairs.map(|(a, b)| figure(a) / figure(b)).collect())
}
