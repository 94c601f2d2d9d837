//! Whether a ring can be had: one is made as the log makes it, and unmade.
//! That is the only sure test; a filter of system calls is in no file.

use super::{Finding, Site};
use crate::daemon::config::EngineChoice;
use crate::disk::try_ring;

pub(super) fn check(site: &Site) -> Vec<Finding> {
    let wanted = site.config.log.ring_entries;
    vec![match try_ring(wanted) {
        Ok(ring) if ring.entries < wanted => Finding::warning(
            format!("a ring has {} entries of {wanted} asked for", ring.entries),
            "raise the locked memory (LimitMEMLOCK= in the unit)",
        ),
        Ok(ring) => Finding::ok(match ring.is_single_issuer {
            true => format!("a ring of {} entries, with a single issuer", ring.entries),
            false => format!("a ring of {} entries", ring.entries),
        }),
        // The refusal says what to do.
        Err(refused) => match site.config.log.engine {
            EngineChoice::Uring => Finding::error(refused.to_string(), "the node does not start"),
            EngineChoice::Threads => Finding::note(format!("{refused}; not asked for")),
            EngineChoice::Auto => Finding::warning(
                refused.to_string(),
                "nothing, if threads are fast enough: the log takes them",
            ),
        },
    }]
}
