//! Random histories: clients of every kind, a coordinator that crashes and is
//! read back, answers that are lost. After each step the invariants, which are
//! named in words where they are looked at.

mod classic;
mod consumer;
mod promises;
mod transactions;
mod world;

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

#[cfg(debug_assertions)]
mod faults {
    use super::play;
    use dolmen::planted::{Fault, plant};

    fn known_seed(fault: Fault) -> u64 {
        match fault {
            Fault::PartitionGivenEarly | Fault::WaiterForgotten => 9,
            Fault::StaleCommitTaken | Fault::PendingOverNewer => 1,
            Fault::GroupAnswerEarly
            | Fault::GenerationNotWritten
            | Fault::PendingNotWritten
            | Fault::SilenceNotMinded => 0,
            elsewhere => unreachable!("{elsewhere:?} is caught by another suite"),
        }
    }

    /// Each is found by a known seed, which is well without it.
    #[test]
    fn every_planted_fault_is_found() {
        for &fault in Fault::GROUPS {
            let known = known_seed(fault);
            let mut seeds = match crate::full() {
                true => 0..500,
                false => known..known + 1,
            };
            let found = seeds.find_map(|seed| {
                let planted = plant(fault);
                let outcome = play(seed);
                drop(planted);
                outcome.err().map(|why| (seed, why))
            });
            let Some((seed, why)) = found else {
                panic!("{fault:?} is not found");
            };
            println!("{fault:?}: found by seed {seed}: {why}");
            assert!(
                play(seed).is_ok(),
                "{fault:?}: seed {seed} fails without it too"
            );
        }
    }
}
