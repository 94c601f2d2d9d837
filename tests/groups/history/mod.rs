//! Random histories: clients of every kind, a coordinator that crashes and is
//! read back, answers that are lost. After each step the invariants, which are
//! named in words where they are looked at.

mod classic;
mod consumer;
mod promises;
mod transactions;
mod world;

#[cfg(debug_assertions)]
use dolmen::planted::{Fault, hunt};
use world::World;

const STEPS: usize = 1500;
const QUICK: u64 = 40;
const FULL: u64 = 2000;

/// Plays the history of a seed to its end, or to what it should not have come
/// to.
fn play(seed: u64) -> Result<(), String> {
    let mut world = World::new(seed);
    for _ in 0..STEPS {
        world.step();
        world.check()?;
    }
    world.calm_down()?;
    world.end()
}

#[test]
fn every_history_keeps_the_invariants() {
    let seeds = 0..if crate::full() { FULL } else { QUICK };
    for seed in seeds {
        if let Err(why) = play(seed) {
            panic!("DOLMEN_SEED={seed} cargo test groups::history::one\n    {why}");
        }
    }
}

#[test]
fn one() {
    let Ok(seed) = std::env::var("DOLMEN_SEED") else {
        return;
    };
    let seed = seed.parse().expect("DOLMEN_SEED is a number");
    if let Err(why) = play(seed) {
        panic!("DOLMEN_SEED={seed} cargo test groups::history::one\n    {why}");
    }
}

/// A seed for each planted fault.
#[cfg(debug_assertions)]
const KNOWN: &[(Fault, u64)] = &[
    (Fault::GroupAnswerEarly, 0),
    (Fault::PartitionGivenEarly, 25),
    (Fault::GenerationNotWritten, 0),
    (Fault::StaleCommitTaken, 0),
    (Fault::PendingOverNewer, 3),
    (Fault::PendingNotWritten, 0),
    (Fault::SilenceNotMinded, 0),
    (Fault::WaiterForgotten, 5),
    (Fault::EndNotMinded, 1),
];

#[cfg(debug_assertions)]
#[test]
fn every_planted_fault_is_found() {
    hunt(Fault::GROUPS, KNOWN, play);
}
