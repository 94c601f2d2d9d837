//! Whether this very machine was measured, and still is the one that was.

use super::{Finding, Site};
use crate::profile::{Document, PROBE_FILE, Probe};
use std::io;

pub(super) fn check(site: &Site) -> Vec<Finding> {
    let path = site.data().join(PROBE_FILE);
    let source = path.display().to_string();
    let bytes = match Document::bytes(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return vec![Finding::note(
                "none: `dolmen probe --write`, with the daemon stopped, measures this machine",
            )];
        }
        Err(error) => {
            return vec![Finding::note(format!(
                "{source}: {error}; run this as root"
            ))];
        }
    };
    let parsed = Document::parse(&source, &bytes).map_err(|fault| vec![fault]);
    vec![match parsed.and_then(Probe::parse) {
        Ok(probe) => match probe.stale(&site.machine) {
            None => Finding::ok(format!("{source} is of this kernel and this disk")),
            Some(why) => Finding::warning(why, "until then the hardware profile's values hold"),
        },
        Err(faults) => Finding::error(
            faults
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("; "),
            "remove the file, or run `dolmen probe --write` again",
        ),
    }]
}
