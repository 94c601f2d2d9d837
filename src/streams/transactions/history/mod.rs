//! Random histories: producers of both rules, two of them with one id, over
//! partitions as they are, a coordinator that is lost and read back, words and
//! answers that are late, lost or come twice. After each step the invariants,
//! which are named in words where they are looked at. A failure names its seed.

mod client;
mod partition;
mod world;

use crate::planted::{Fault, hunt, is_in_full};
use world::World;

const STEPS: usize = 2000;
const HISTORIES: u64 = 150;
const HISTORIES_IN_FULL: u64 = 1000;

/// Plays the history of a seed to its end, or to what it should not have come
/// to.
fn play(seed: u64) -> Result<(), String> {
    let mut world = World::new(seed);
    for _ in 0..STEPS {
        world.step();
        world.check()?;
    }
    world.calm_down()
}

#[test]
fn every_history_keeps_the_invariants() {
    let histories = if is_in_full() {
        HISTORIES_IN_FULL
    } else {
        HISTORIES
    };
    for seed in 0..histories {
        if let Err(why) = play(seed) {
            panic!("seed {seed}: {why}");
        }
    }
}

/// A seed for each.
const KNOWN: &[(Fault, u64)] = &[];

#[test]
fn every_planted_mistake_is_found() {
    hunt(Fault::TRANSACTIONS, KNOWN, play);
}

/// What the histories come to, so that they are known to come to something.
#[test]
fn the_histories_are_eventful() {
    let mut sums = [0; 6];
    for seed in 0..40 {
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            world.step();
        }
        for (sum, count) in sums.iter_mut().zip(world.counts()) {
            *sum += count;
        }
    }
    println!("committed, aborted, timed out, lost, told again, late writes: {sums:?}");
    let [often @ .., late] = &sums;
    assert!(often.iter().all(|&sum| sum > 20) && *late > 0, "{sums:?}");
}
