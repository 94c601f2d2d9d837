//! Planted faults: each is found by a known seed, which is well without it.

use super::schedule::run;
use dolmen::planted::{Fault, plant};

fn known_seed(fault: Fault) -> u64 {
    match fault {
        Fault::VoteNotStored => 51,
        Fault::SentBeforePersisted => 0,
        Fault::TailLost => 0,
        Fault::RemovedStillVotes => 0,
        Fault::LocalRead => 0,
        elsewhere => unreachable!("{elsewhere:?} is caught by another suite"),
    }
}

#[test]
fn every_planted_fault_is_found() {
    for &fault in Fault::CONSENSUS {
        let known = known_seed(fault);
        let mut seeds = if crate::full() {
            0..500
        } else {
            known..known + 1
        };
        let found = seeds.find_map(|seed| {
            let planted = plant(fault);
            let outcome = run(seed);
            drop(planted);
            outcome.err().map(|why| (seed, why))
        });
        let Some((seed, why)) = found else {
            panic!("{fault:?} is not found");
        };
        println!("{fault:?}: found by seed {seed}: {why}");
        assert!(
            run(seed).is_ok(),
            "{fault:?}: seed {seed} fails without it too"
        );
    }
}
