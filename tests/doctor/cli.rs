//! The binary: its exit status, its JSON, and a machine without io_uring.

use super::{Folder, dolmen};
use dolmen::disk::testing::without_io_uring;
use serde_json::Value;
use std::process::{Command, Output};

fn doctor(folder: &Folder) -> Command {
    let mut command = dolmen();
    let config = folder.file("dolmen.toml", "doors.operator.listen = \"off\"\n");
    command.arg("doctor").arg("--config").arg(config);
    command.arg("--data").arg(folder.data());
    command
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

fn finding<'a>(json: &'a Value, check: &str) -> &'a Value {
    let findings = json["findings"].as_array().unwrap();
    findings.iter().find(|one| one["check"] == check).unwrap()
}

#[test]
fn the_status_is_that_of_the_worst_finding() {
    let folder = Folder::new();
    let status_of = |severity: &Value| [0, 0, 1, 2][rank(severity)];
    for (mode, ownership) in [(0o750, 0), (0o755, 1), (0o757, 2)] {
        folder.set_mode("data", mode);
        let output = doctor(&folder).arg("--json").output().unwrap();
        let json = json(&output);
        let found = &finding(&json, "ownership")["severity"];
        assert_eq!(status_of(found), ownership, "{json}");
        // The machine may be worse: at work, slow, or with its data in memory.
        let findings = json["findings"].as_array().unwrap();
        let worst = findings.iter().map(|one| rank(&one["severity"])).max();
        assert_eq!(Some(rank(&json["worst"])), worst, "{json}");
        let status = status_of(&json["worst"]);
        assert_eq!(output.status.code(), Some(status), "{output:?}");
        let last_word = String::from_utf8_lossy(&output.stderr);
        assert_eq!(last_word.contains("error"), status > 0, "{last_word}");
    }
}

fn rank(severity: &Value) -> usize {
    let ranks = ["ok", "note", "warning", "error"];
    ranks.iter().position(|one| severity == one).unwrap()
}

#[test]
fn every_finding_has_the_same_shape() {
    let folder = Folder::new();
    let output = doctor(&folder).arg("--json").output().unwrap();
    let json = json(&output);
    for check in dolmen::daemon::doctor::CHECKS {
        let finding = finding(&json, check.name);
        let keys: Vec<_> = finding.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["check", "looks_at", "message", "severity", "to_do"]);
        let is_bad = finding["severity"] == "warning" || finding["severity"] == "error";
        assert!(!is_bad || finding["to_do"].is_string(), "{finding}");
    }
}

#[test]
fn a_refused_ring_is_told_with_its_remedy() {
    let folder = Folder::new();
    let mut command = doctor(&folder);
    let output = without_io_uring(command.arg("--json")).output().unwrap();
    let json = json(&output);
    let ring = finding(&json, "io_uring");
    assert_eq!(ring["severity"], "warning");
    let message = ring["message"].as_str().unwrap();
    let wanted = "io_uring is refused by a seccomp filter: allow io_uring_setup";
    assert!(message.starts_with(wanted), "{message}");
    assert!(message.contains("log.engine = \"threads\""), "{message}");
    let engine = finding(&json, "engine")["message"].as_str().unwrap();
    assert!(
        engine.starts_with("threads: io_uring is refused"),
        "{engine}"
    );
    assert_ne!(output.status.code(), Some(0));
}

#[test]
fn a_person_reads_a_line_a_finding() {
    let folder = Folder::new();
    let output = doctor(&folder).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for check in dolmen::daemon::doctor::CHECKS {
        assert!(text.contains(&format!("  {:11}  ", check.name)), "{text}");
    }
}
