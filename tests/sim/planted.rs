//! That the checks find what is planted: each fault by one known seed in the
//! quick run, and by search within 500 seeds in the full one. The score is
//! printed by `DOLMEN_FULL=1 cargo test sim::planted -- --nocapture`.

use super::seeds::{first_found, on_all_cores, run};
use dolmen::planted::Fault;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Seeds that a search may take for one fault.
const SEARCHED: u64 = 500;

/// A seed for each.
const KNOWN: &[(Fault, u64)] = &[
    (Fault::VoteNotStored, 96),
    (Fault::SentBeforePersisted, 6),
    (Fault::TailLost, 0),
    (Fault::RemovedStillVotes, 0),
    (Fault::LocalRead, 3),
    (Fault::TokenReused, 2),
    (Fault::ZxidNotRaised, 0),
    (Fault::PasswordNotChecked, 1),
    (Fault::GapApplied, 238),
    (Fault::SessionsNotInSnapshot, 0),
    (Fault::AckBeforeFsync, 34),
    (Fault::ExpiryNotProposed, 1),
    (Fault::TimersNotRestarted, 1),
    (Fault::ReadBeforeSeen, 1),
    (Fault::AnswerBeforeEvent, 0),
    (Fault::WatchAfterRead, 1),
    (Fault::SnapshotOfAnotherIndex, 0),
];

/// Runs without the planted fault are well, so what fails is the fault.
fn is_found(fault: Fault, seed: u64) -> Option<String> {
    run(seed, Some(fault)).err()
}

#[test]
fn each_is_found_by_its_seed() {
    let next = AtomicUsize::new(0);
    let missed = Mutex::new(Vec::new());
    on_all_cores(|| {
        while let Some((fault, seed)) = KNOWN.get(next.fetch_add(1, Ordering::Relaxed)) {
            match is_found(*fault, *seed) {
                Some(why) => println!("{fault:?}, seed {seed}: {}", first_line(&why)),
                None => missed.lock().unwrap().push((*fault, *seed)),
            }
        }
    });
    let missed = missed.into_inner().unwrap();
    assert!(missed.is_empty(), "planted and not found: {missed:?}");
}

#[test]
fn each_is_found_by_search() {
    if !crate::full() {
        return;
    }
    let mut missed = Fault::COORDINATION.to_vec();
    // Most are found soon; what is left is searched for longer.
    for until in [20, SEARCHED] {
        missed.retain(|fault| match search(*fault, until) {
            Some((seed, why)) => {
                println!("{fault:?}: seed {seed}: {}", first_line(&why));
                false
            }
            None => true,
        });
    }
    let all = Fault::COORDINATION.len();
    println!(
        "{} of {all} found; not found: {missed:?}",
        all - missed.len()
    );
    missed.retain(|fault| KNOWN.iter().any(|(known, _)| known == fault));
    assert!(missed.is_empty(), "planted and not found: {missed:?}");
}

/// The first seed that finds a fault, by all cores.
fn search(fault: Fault, until: u64) -> Option<(u64, String)> {
    first_found(0..until, |seed| is_found(fault, seed))
}

fn first_line(why: &str) -> &str {
    let line = why.lines().find(|line| !line.trim().is_empty());
    let line = line.unwrap_or_default();
    let end = line
        .char_indices()
        .nth(160)
        .map_or(line.len(), |(at, _)| at);
    &line[..end]
}
