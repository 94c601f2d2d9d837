//! Whether the kernel is set as the hardware profile names it. Never more than
//! a note: a node keeps its promises without.

use super::{Finding, Site};
use crate::daemon::tune::{Ground, Running, Standing, State, survey};

pub(super) fn check(site: &Site) -> Vec<Finding> {
    let kernel = Running::of(site.roots.clone());
    let ground = Ground {
        kernel: &kernel,
        machine: &site.machine,
    };
    vec![judge(&survey(&ground, &site.layers))]
}

fn judge(standings: &[Standing]) -> Finding {
    let names = |holds: fn(&Standing) -> bool| -> Vec<&str> {
        let those = standings.iter().filter(|standing| holds(standing));
        those.map(|standing| standing.tuner.name).collect()
    };
    let counted = names(Standing::counts);
    let differing = names(|standing| standing.state == State::Differs);
    let of_all = format!(
        "{} of {} in force",
        counted.len() - differing.len(),
        counted.len()
    );
    if counted.is_empty() {
        return Finding::ok("nothing that is named can be set here; `dolmen tune list` says why");
    }
    if differing.is_empty() {
        return Finding::ok(of_all);
    }
    Finding::note(format!(
        "{of_all}, without {}: `dolmen tune apply` sets them until the next start of the \
         machine, `systemctl enable --now dolmen-tune` at each",
        differing.join(", ")
    ))
}
