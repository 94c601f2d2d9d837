//! The hardware profile, and whether anybody has tried it.

use super::{Finding, Site};
use crate::profile::Tested;

pub(super) fn check(site: &Site) -> Vec<Finding> {
    let Some(choice) = &site.profile else {
        return vec![Finding::warning(
            "no hardware profile fits this machine, so built-in values hold",
            "`dolmen profile list` says why; put one into /etc/dolmen/hw-profiles.d",
        )];
    };
    let message = format!("{}: {}", choice.name, choice.reason);
    vec![match choice.tested {
        Tested::Lab => Finding::ok(format!("{message}; tested on such a box")),
        Tested::Paper => Finding::note(format!(
            "{message}; its values were reasoned and never tried on such a box"
        )),
    }]
}
