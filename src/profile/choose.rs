//! Which profile is this machine's: of those whose rules all hold the one with
//! the most rules, then with the highest priority, then the first by name.

use super::machine::Machine;
use super::shelf::{Profile, Shelf, Tested};
use serde::Serialize;
use std::cmp::Reverse;

/// A profile as it stands on one machine.
#[derive(Clone, Debug)]
pub struct Candidate<'a> {
    pub profile: &'a Profile,
    /// How many rules hold; None where one does not.
    pub score: Option<usize>,
    /// The rules that hold, or the first that does not.
    pub reason: String,
}

/// The profile that was chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Choice {
    pub name: String,
    pub tested: Tested,
    pub score: usize,
    pub reason: String,
}

/// Every profile, the best first.
pub fn rank<'a>(shelf: &'a Shelf, machine: &Machine) -> Vec<Candidate<'a>> {
    let mut candidates: Vec<Candidate<'a>> = shelf
        .profiles()
        .map(|profile| candidate(profile, machine))
        .collect();
    // Profiles come in the order of their names and the sort is stable. None
    // is below every score.
    candidates.sort_by_key(|one| Reverse((one.score, one.profile.priority)));
    candidates
}

/// None only where a local file has given `generic` rules, and they fail.
pub fn choose(shelf: &Shelf, machine: &Machine) -> Option<Choice> {
    let best = rank(shelf, machine).into_iter().next()?;
    Some(Choice {
        name: best.profile.name.clone(),
        tested: best.profile.tested,
        score: best.score?,
        reason: best.reason,
    })
}

fn candidate<'a>(profile: &'a Profile, machine: &Machine) -> Candidate<'a> {
    let rules = &profile.rules;
    let (score, reason) = match rules.iter().find(|rule| !rule.holds(machine)) {
        Some(rule) => (None, rule.unmet(machine)),
        None if rules.is_empty() => (Some(0), "fits every machine".into()),
        None => {
            let met: Vec<String> = rules.iter().map(|rule| rule.met(machine)).collect();
            (Some(rules.len()), met.join(", "))
        }
    };
    Candidate {
        profile,
        score,
        reason,
    }
}
