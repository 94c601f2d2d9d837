//! Runs of many seeds. A failing one prints the line that repeats it:
//! `DOLMEN_SEED=8412 cargo test sim::seeds::one`. `DOLMEN_SEEDS=2000..9000` has
//! `all_of_them` play those instead.

use super::world::World;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

const QUICK: u64 = 100;
const FULL: u64 = 2000;
/// Run twice, to the same end.
const TWICE: u64 = 50;

/// What came of a seed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    pub hash: u64,
    pub events: u64,
    pub answers: u64,
    pub writes: u64,
    pub facts: usize,
    pub watches: usize,
    /// Starts without a state, which another node then gave.
    pub lacked: u64,
    pub simulated_ms: u64,
    /// Of worlds with mixed releases.
    pub raises: u64,
    pub refused: u64,
    pub outgrown: u64,
}

pub fn run(seed: u64) -> Result<Run, String> {
    play(seed, World::new)
}

pub fn play(seed: u64, begin: fn(u64) -> World) -> Result<Run, String> {
    let lived = catch_unwind(AssertUnwindSafe(|| {
        let mut world = begin(seed);
        world.live();
        let releases = world.releases.take().unwrap_or_default();
        let (facts, watches) = world.clients.history.counts();
        Run {
            hash: world.hash,
            events: world.events,
            answers: world.clients.answers,
            writes: world.clients.written,
            facts,
            watches,
            lacked: world.lacked,
            simulated_ms: world.now.as_millis() as u64,
            raises: releases.raises,
            refused: releases.refused,
            outgrown: releases.outgrown,
        }
    }));
    lived.map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let plain = || panic.downcast_ref::<&str>().map(|text| text.to_string());
        text.or_else(plain).unwrap_or_else(|| "no reason".into())
    })
}

/// On all cores; the first few that fail are told, with the test that repeats
/// one.
pub fn run_all(
    seeds: std::ops::Range<u64>,
    repeats: &str,
    run: impl Fn(u64) -> Result<Run, String> + Sync,
) -> Vec<Run> {
    let (next, end) = (AtomicU64::new(seeds.start), seeds.end);
    let (runs, failures) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let work = || loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end || failures.lock().unwrap().len() >= 20 {
            return;
        }
        match run(seed) {
            Ok(run) => runs.lock().unwrap().push(run),
            Err(why) => failures.lock().unwrap().push((seed, why)),
        }
    };
    on_all_cores(work);
    let mut failures = failures.into_inner().unwrap();
    failures.sort();
    let lines = failures
        .iter()
        .map(|(seed, why)| format!("DOLMEN_SEED={seed} cargo test {repeats}\n    {why}"));
    let lines: Vec<String> = lines.collect();
    assert!(lines.is_empty(), "\n{}\n", lines.join("\n"));
    runs.into_inner().unwrap()
}

fn on_all_cores(work: impl Fn() + Sync) {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        (0..cores).for_each(|_| drop(scope.spawn(&work)));
    });
}

#[test]
fn all_of_them() {
    let seeds = std::env::var("DOLMEN_SEEDS");
    let range = match &seeds {
        Ok(seeds) => range(seeds).expect("DOLMEN_SEEDS is like 2000..9000"),
        Err(_) if crate::full() => 0..FULL,
        Err(_) => 0..QUICK,
    };
    let runs = run_all(range, "sim::seeds::one", run);
    let sum = |of: fn(&Run) -> u64| runs.iter().map(of).sum::<u64>();
    println!(
        "{} seeds, {} simulated minutes, {} events, {} answers, {} writes, {} facts, {} watches, \
         {} starts without a state",
        runs.len(),
        sum(|run| run.simulated_ms) / 60_000,
        sum(|run| run.events),
        sum(|run| run.answers),
        sum(|run| run.writes),
        sum(|run| run.facts as u64),
        sum(|run| run.watches as u64),
        sum(|run| run.lacked),
    );
}

fn range(seeds: &str) -> Option<std::ops::Range<u64>> {
    let (start, end) = seeds.split_once("..")?;
    Some(start.parse().ok()?..end.parse().ok()?)
}

#[test]
fn the_same_seed_is_the_same_history() {
    let count = if crate::full() { TWICE } else { 5 };
    for seed in 10_000..10_000 + count {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}

/// The seed of `DOLMEN_SEED`, with all it has to tell.
#[test]
fn one() {
    let Ok(seed) = std::env::var("DOLMEN_SEED") else {
        return;
    };
    let seed = seed.parse().expect("DOLMEN_SEED is a number");
    match run(seed) {
        Ok(run) => println!("seed {seed} is well: {run:?}"),
        Err(why) => panic!("DOLMEN_SEED={seed} cargo test sim::seeds::one\n    {why}"),
    }
}
