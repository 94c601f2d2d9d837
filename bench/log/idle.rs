//! A thousand logs that nobody writes to: disk, memory, time to open.
//!
//! Each step is a process of its own, so that its memory is that of the logs
//! and not what the rows before have left behind.

use super::files::disk_bytes;
use super::folder::Folder;
use super::load::{Variant, append, open_here};
use super::memory::Memory;
use dolmen::ids::LogId;
use dolmen::log::{FRAMES, Settings};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

pub const LOGS: u64 = 1000;
const RECORD: usize = 100;

#[derive(Serialize)]
pub struct Idle {
    pub logs: u64,
    /// Blocks of the segments, without the journal.
    pub disk_bytes: u64,
    pub journal_bytes: u64,
    pub made: Step,
    pub after_unclean: Step,
    pub after_clean: Step,
}

/// What one process tells.
#[derive(Serialize, Deserialize)]
pub struct Step {
    /// Until all was written, or open.
    pub ms: f64,
    /// On top of the process before it opened anything.
    pub memory: Memory,
}

pub fn measure(parent: &Path, variant: Variant) -> Idle {
    let folder = Folder::make(parent, "idle").expect("room for a thousand logs");
    let made = child(folder.path(), "make", variant);
    let disk = |name| disk_bytes(&folder.path().join(name)).expect("the logs are there");
    Idle {
        logs: LOGS,
        disk_bytes: disk("logs"),
        journal_bytes: disk("journal"),
        made,
        after_unclean: child(folder.path(), "open", variant),
        after_clean: child(folder.path(), "open", variant),
    }
}

fn child(folder: &Path, step: &str, variant: Variant) -> Step {
    let program = std::env::current_exe().expect("the bench knows itself");
    let output = Command::new(program)
        .args(["--idle-step", step, "--engine", variant.0, "--dir"])
        .arg(folder)
        .output()
        .expect("the bench starts itself");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{step} failed: {complaint}");
    serde_json::from_slice(&output.stdout).expect("a step prints itself")
}

/// What the child does: makes the logs and ends as if killed, or opens them
/// and ends in order.
pub fn step(folder: &Path, step: &str, variant: Variant) -> Step {
    let before = Memory::now();
    let start = Instant::now();
    let (mut device, report) =
        open_here(folder, variant.1, Settings::default()).expect("the logs open");
    let is_made = step == "make";
    if is_made {
        for log in (0..LOGS).map(LogId) {
            device.log(log, &FRAMES).expect("room for a thousand logs");
            let appended = device.call(append(log, vec![7; RECORD]));
            appended.expect("the bench's appends are taken");
        }
        device.settle().expect("the bench's disk does not fail");
    } else {
        assert_eq!(report.logs as u64, LOGS);
    }
    let ms = start.elapsed().as_secs_f64() * 1e3;
    let memory = Memory::now().since(before);
    match is_made {
        true => drop(device),
        false => device.close().expect("the bench's disk does not fail"),
    }
    Step { ms, memory }
}
