//! What one cell measured in one round, and medians over rounds.

use super::histogram::Histogram;
use super::median::median;
use serde::Serialize;

/// How long something took.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Times {
    pub p50_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    pub max_us: f64,
}

impl Times {
    pub fn of(times: &Histogram) -> Option<Self> {
        (times.count() > 0).then(|| Self {
            p50_us: times.us_at(500),
            p99_us: times.us_at(990),
            p999_us: times.us_at(999),
            max_us: times.max_us(),
        })
    }

    /// Medians, and the worst of all maxima.
    fn over(all: &[Self]) -> Option<Self> {
        let of = |figure: fn(&Self) -> f64| median(all.iter().map(figure).collect());
        (!all.is_empty()).then(|| Self {
            p50_us: of(|one| one.p50_us),
            p99_us: of(|one| one.p99_us),
            p999_us: of(|one| one.p999_us),
            max_us: all.iter().map(|one| one.max_us).fold(0.0, f64::max),
        })
    }
}

#[derive(Clone, Copy, Debug, Serialize)]
pub struct Round {
    /// Bytes of batches as they are sent, their heads included.
    pub mb_per_s: f64,
    pub records_per_s: f64,
    /// From sending to the acknowledgement.
    pub ack: Option<Times>,
    /// From sending to the answer that a reader has whole.
    pub sight: Option<Times>,
    /// Processor time of the load, and of all servers, for one megabyte.
    pub client_ms_per_mb: f64,
    pub server_ms_per_mb: f64,
    /// The most that one server had: RssAnon + RssShmem.
    pub memory_mib: f64,
    pub batches: u64,
}

pub fn over(rounds: &[Round]) -> Round {
    let of = |figure: fn(&Round) -> f64| median(rounds.iter().map(figure).collect());
    let times = |which: fn(&Round) -> Option<Times>| {
        let all: Vec<Times> = rounds.iter().filter_map(which).collect();
        Times::over(&all)
    };
    Round {
        mb_per_s: of(|round| round.mb_per_s),
        records_per_s: of(|round| round.records_per_s),
        ack: times(|round| round.ack),
        sight: times(|round| round.sight),
        client_ms_per_mb: of(|round| round.client_ms_per_mb),
        server_ms_per_mb: of(|round| round.server_ms_per_mb),
        // Of none, where nobody has any.
        memory_mib: rounds
            .iter()
            .map(|round| round.memory_mib)
            .fold(f64::NAN, f64::max),
        batches: rounds.iter().map(|round| round.batches).sum(),
    }
}

/// The median of the ratios of rounds that were neighbours in time: what
/// disturbed one has mostly disturbed the other too.
pub fn ratio(ours: &[Round], theirs: &[Round], figure: fn(&Round) -> f64) -> Option<f64> {
    let pairs = ours.iter().zip(theirs);
    let all: Vec<f64> = pairs.map(|(a, b)| figure(a) / figure(b)).collect();
    (!all.is_empty()).then(|| median(all))
}

pub const RATE: fn(&Round) -> f64 = |round| round.mb_per_s;
pub const ACK_P99: fn(&Round) -> f64 = |round| round.ack.map_or(f64::NAN, |ack| ack.p99_us);

/// What reading a topic from its beginning to its end was like.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Reading {
    pub mb_per_s: f64,
    pub records_per_s: f64,
    pub client_ms_per_mb: f64,
    pub server_ms_per_mb: f64,
}

pub fn over_readings(all: &[Reading]) -> Option<Reading> {
    let of = |figure: fn(&Reading) -> f64| median(all.iter().map(figure).collect());
    (!all.is_empty()).then(|| Reading {
        mb_per_s: of(|one| one.mb_per_s),
        records_per_s: of(|one| one.records_per_s),
        client_ms_per_mb: of(|one| one.client_ms_per_mb),
        server_ms_per_mb: of(|one| one.server_ms_per_mb),
    })
}
