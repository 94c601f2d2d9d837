//! Rounds, and medians over rounds.

use super::median::median;
use serde::Serialize;

/// What one cell measured in one round.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Round {
    pub per_second: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    pub max_us: f64,
    /// Processor time of the load generator, and of all servers, for one
    /// operation.
    pub client_us: f64,
    pub server_us: f64,
    pub count: u64,
}

/// The median of each figure over the rounds, and the worst of all maxima.
pub fn over(rounds: &[Round]) -> Round {
    let of = |figure: fn(&Round) -> f64| median(rounds.iter().map(figure).collect());
    Round {
        per_second: of(|round| round.per_second),
        p50_us: of(|round| round.p50_us),
        p99_us: of(|round| round.p99_us),
        max_us: rounds.iter().map(|round| round.max_us).fold(0.0, f64::max),
        client_us: of(|round| round.client_us),
        server_us: of(|round| round.server_us),
        count: rounds.iter().map(|round| round.count).sum(),
    }
}

/// The median of the ratios of rounds that were neighbours in time: what
/// disturbed one has mostly disturbed the other too.
pub fn ratio(ours: &[Round], theirs: &[Round]) -> f64 {
    let pairs = ours.iter().zip(theirs);
    median(pairs.map(|(a, b)| a.per_second / b.per_second).collect())
}
