//! Whether the node would start with its settings.

use super::{Finding, Site};

pub(super) fn check(site: &Site) -> Vec<Finding> {
    let file = match &site.config_file {
        Some(file) => file.display().to_string(),
        None => "built-in settings, no file".into(),
    };
    if site.faults.is_empty() {
        let mut findings = vec![Finding::ok(file)];
        findings.extend(site.notes.iter().map(Finding::note));
        return findings;
    }
    let refused = |fault: &crate::profile::Fault| {
        let to_do = "correct it; until then the other checks take the built-in settings";
        Finding::error(fault.to_string(), to_do)
    };
    site.faults.iter().map(refused).collect()
}
