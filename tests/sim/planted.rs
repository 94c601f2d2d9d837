//! That the checks find what is planted: each fault by one known seed in the
//! quick run (SentBeforePersisted by search: its seeds go stale soonest), and by
//! search within 500 seeds in the full one. The score is printed by `DOLMEN_FULL=1 cargo test sim::planted -- --nocapture`.

use super::seeds::run;
use dolmen::planted::{Fault, hunt};

/// A seed for each.
const KNOWN: &[(Fault, u64)] = &[
    (Fault::VoteNotStored, 309),
    (Fault::TailLost, 0),
    (Fault::RemovedStillVotes, 0),
    (Fault::LocalRead, 0),
    (Fault::TokenReused, 2),
    (Fault::ZxidNotRaised, 0),
    (Fault::PasswordNotChecked, 2),
    (Fault::GapApplied, 312),
    (Fault::SessionsNotInSnapshot, 0),
    (Fault::AckBeforeFsync, 6),
    (Fault::ExpiryNotProposed, 0),
    (Fault::TimersNotRestarted, 1),
    (Fault::ReadBeforeSeen, 1),
    (Fault::AnswerBeforeEvent, 0),
    (Fault::WatchAfterRead, 0),
    (Fault::SnapshotOfAnotherIndex, 0),
];

#[test]
fn each_is_found() {
    hunt(Fault::COORDINATION, KNOWN, |seed| run(seed).map(drop));
}
