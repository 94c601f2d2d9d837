//! Planted faults: each is found by a known seed, which is well without it.

use super::schedule::run;
use dolmen::planted::{Fault, hunt};

/// A seed for each.
const KNOWN: &[(Fault, u64)] = &[
    (Fault::VoteNotStored, 51),
    (Fault::SentBeforePersisted, 0),
    (Fault::TailLost, 0),
    (Fault::RemovedStillVotes, 0),
    (Fault::LocalRead, 0),
];

#[test]
fn every_planted_fault_is_found() {
    hunt(Fault::CONSENSUS, KNOWN, |seed| run(seed).map(drop));
}
