//! `dolmen doctor`: what of this machine keeps a node from being fast or safe.

use super::profile::Node;
use super::{Failure, print, print_json};
use crate::daemon::config::{Sources, installed_file, profile_folders};
use crate::daemon::doctor::{Check, Finding, Severity, Site, examine};
use crate::profile::{Machine, Roots};
use serde_json::{Value, json};

/// Look for what keeps a node on this machine from being fast or safe
///
/// Exit status: 0 where nothing is wrong, 1 with warnings, 2 with errors. Beside
/// a running daemon nothing is measured; else the data folder is written to for
/// half a second. As root it sees more.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    node: Node,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> Result<(), Failure> {
    let sources = Sources {
        file: args.node.config.or_else(installed_file),
        data: args.node.data,
        // That of a shell is not the daemon's.
        environment: Vec::new(),
        set: Vec::new(),
        machine: &Machine::here,
        profile_folders: profile_folders(),
    };
    let site = Site::look(sources, Roots::default(), "/run".into());
    let findings = examine(&site);
    match args.json {
        true => print_json(&for_programs(&findings))?,
        false => print(&for_people(&findings))?,
    }
    verdict(&findings)
}

pub(super) type Findings = [(&'static Check, Finding)];

pub(super) fn for_programs(findings: &Findings) -> Value {
    let one = |(check, finding): &(&Check, Finding)| {
        json!({
            "check": check.name,
            "looks_at": check.looks_at,
            "severity": finding.severity,
            "message": finding.message,
            "to_do": finding.to_do,
        })
    };
    json!({
        "worst": worst(findings),
        "findings": findings.iter().map(one).collect::<Vec<_>>(),
    })
}

fn for_people(findings: &Findings) -> String {
    let width = findings.iter().map(|(check, _)| check.name.len()).max();
    let width = width.unwrap_or(0);
    let mut text = String::new();
    for (check, finding) in findings {
        let severity = finding.severity.word();
        text += &format!("{severity:7}  {:width$}  {}\n", check.name, finding.message);
        if let Some(to_do) = &finding.to_do {
            text += &format!("{:7}  {:width$}  > {to_do}\n", "", "");
        }
    }
    text
}

fn worst(findings: &Findings) -> Severity {
    let severities = findings.iter().map(|(_, finding)| finding.severity);
    severities.max().unwrap_or(Severity::Ok)
}

/// The last word, and the exit status.
fn verdict(findings: &Findings) -> Result<(), Failure> {
    let count = |severity: Severity| {
        let of_it = findings
            .iter()
            .filter(|(_, finding)| finding.severity == severity);
        match of_it.count() {
            1 => format!("1 {}", severity.word()),
            count => format!("{count} {}s", severity.word()),
        }
    };
    let status = match worst(findings) {
        Severity::Ok | Severity::Note => return Ok(()),
        Severity::Warning => 1,
        Severity::Error => 2,
    };
    Err(Failure {
        message: format!("{}, {}", count(Severity::Error), count(Severity::Warning)),
        status,
    })
}
