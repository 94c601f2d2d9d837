//! `dolmen probe`: what it refuses, what it writes, and that it clears up.

use super::{Folder, dolmen};
use dolmen::clock::MachineClock;
use dolmen::daemon::config::{Config, Sources};
use dolmen::daemon::lock::Lock;
use dolmen::daemon::probe::{Plan, Progress, ROOM_BYTES_MIN, run};
use dolmen::profile::Machine;
use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

fn plan(folder: &Folder) -> Plan {
    Plan {
        data: folder.data(),
        time: Duration::from_secs(1),
        room_bytes_min: ROOM_BYTES_MIN,
    }
}

#[track_caller]
fn refused(plan: &Plan, wanted: &str) {
    let refused = run(plan, &Progress::default(), &MachineClock::new());
    let message = refused.err().unwrap().to_string();
    assert!(message.contains(wanted), "{message}");
}

#[test]
fn a_held_or_full_or_missing_folder_is_refused() {
    let folder = Folder::new();
    {
        let _lock = Lock::take(&folder.data(), "dolmen serve").unwrap();
        let holder = format!("is held by pid {} (dolmen serve)", std::process::id());
        refused(&plan(&folder), &holder);
    }
    let full = Plan {
        room_bytes_min: u64::MAX,
        ..plan(&folder)
    };
    refused(&full, "make room, or name a folder on another disk");
    let missing = Plan {
        data: folder.data().join("missing"),
        ..plan(&folder)
    };
    refused(&missing, "does not exist");
}

/// Also one that was stopped before it began.
#[test]
fn a_stopped_probe_leaves_nothing_behind() {
    let folder = Folder::new();
    let progress = Progress::default();
    progress.stop();
    let stopped = run(&plan(&folder), &progress, &MachineClock::new());
    assert!(stopped.err().unwrap().to_string().starts_with("stopped"));
    assert!(!folder.data().join(".dolmen-probe").exists());

    let mut child = probe(&folder, "30").stderr(Stdio::piped()).spawn().unwrap();
    while !folder.data().join(".dolmen-probe").exists() {
        assert!(child.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(10));
    }
    let kill = format!("kill -INT {}", child.id());
    Command::new("sh").args(["-c", &kill]).status().unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(words.starts_with("dolmen: stopped"), "{words}");
    assert!(!folder.data().join(".dolmen-probe").exists());
    assert!(!folder.data().join("probe.toml").exists());
}

fn probe(folder: &Folder, seconds: &str) -> Command {
    let mut command = dolmen();
    command.args(["probe", "--json", "--seconds", seconds]);
    command.arg("--data").arg(folder.data());
    command.stdout(Stdio::piped());
    command
}

#[test]
fn what_it_writes_is_what_the_node_takes() {
    let folder = Folder::new();
    // What a probe that was killed has left.
    folder.file("data/.dolmen-probe/stream", "");
    folder.file("data/probe.toml", "an older one");
    let output = probe(&folder, "2").arg("--write").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(json["flush"]["threads_buffered_quiet"]["p50_us"].is_number());
    assert_eq!(json["processor"]["lz4"]["says"], "not linked");
    let mut left: Vec<_> = fs::read_dir(folder.data())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["dolmen.lock", "probe.toml"]);

    let loaded = Config::load(Sources {
        file: None,
        data: Some(folder.data()),
        environment: Vec::new(),
        set: Vec::new(),
        machine: &Machine::here,
        profile_folders: Vec::new(),
    })
    .unwrap();
    assert_eq!(loaded.notes, Vec::<String>::new());
    let mut written = 0;
    for knob in json["knobs"].as_array().unwrap() {
        assert!(knob["reason"].is_string(), "{knob}");
        let Some(value) = knob["value"].as_str() else {
            continue;
        };
        let setting = loaded.layers.setting(knob["key"].as_str().unwrap());
        assert_eq!(setting.value.as_ref().unwrap().to_string(), value);
        let origin = setting.origin.to_string();
        assert!(origin.starts_with("probe "), "{origin}");
        written += 1;
    }
    // By an ordinary user the engines cannot be compared.
    assert!(written >= 2, "{json}");

    let mut show = dolmen();
    let show = show.args(["profile", "show", "--data"]).arg(folder.data());
    let shown = String::from_utf8(show.output().unwrap().stdout).unwrap();
    let line = shown
        .lines()
        .find(|line| line.starts_with("log.journal_bypass_kib"));
    assert!(line.is_some_and(|line| line.contains(" probe ")), "{shown}");
}

#[test]
fn without_io_uring_threads_are_what_follows() {
    let folder = Folder::new();
    let mut command = probe(&folder, "1");
    let output = dolmen::disk::testing::without_io_uring(&mut command)
        .output()
        .unwrap();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let engine = &json["knobs"][0];
    assert_eq!(engine["value"], "\"threads\"");
    let reason = engine["reason"].as_str().unwrap();
    assert!(reason.starts_with("io_uring is refused"), "{reason}");
    assert!(!folder.data().join("probe.toml").exists());
}
