//! The replicated state, by scripts anyone can read, by a naive model, and by
//! snapshots and backups taken while it changes.

mod access;
mod backups;
mod dice;
mod figures;
mod histories;
mod model;
mod placing;
mod script;
mod snapshots;
mod topics;

use dolmen::ids::SessionId;
use dolmen::state::{
    AclEntry, Command, Create, Identity, NodeKind, Permissions, Submission, Write,
};
use script::Stage;
use std::path::{Path, PathBuf};

/// Nobody's, and open to all.
fn create(path: &str, data: &[u8]) -> Submission {
    Submission {
        origin: Default::default(),
        tag: 0,
        session: SessionId(0),
        connection: 0,
        sequence: 0,
        who: Vec::new(),
        command: Command::Write(Write::Create(Create {
            path: path.into(),
            data: data.into(),
            acl: vec![AclEntry {
                permissions: Permissions::ALL,
                who: Identity::new("world", "anyone"),
            }],
            kind: NodeKind::Persistent,
            is_sequential: false,
        })),
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/state/scripts")
}

/// Runs a script: lines that begin with `>` are commands, what stands between
/// them is what came of the one before. `DOLMEN_REWRITE=1` writes down what
/// came instead of comparing; read the diff.
fn run(name: &str) -> Result<(), String> {
    let path = folder().join(format!("{name}.txt"));
    let text = std::fs::read_to_string(&path).expect("the script is readable");
    let mut stage = Stage::new();
    let mut played = String::new();
    for line in text.lines() {
        let is_outcome = !line.is_empty() && !line.starts_with(['>', '#']);
        if is_outcome {
            continue;
        }
        played.push_str(line);
        played.push('\n');
        if let Some(command) = line.strip_prefix('>') {
            for outcome in stage.play(command.trim()) {
                played.push_str(&format!("    {outcome}\n"));
            }
        }
    }
    // What a planted fault brings is not what should be.
    if !is_planted() && std::env::var_os("DOLMEN_REWRITE").is_some_and(|value| value == "1") {
        std::fs::write(&path, &played).expect("the script is writable");
        return Ok(());
    }
    let expected = text.lines().map(Some).chain(std::iter::repeat(None));
    let came = played.lines().map(Some).chain(std::iter::repeat(None));
    let pairs = expected.zip(came).take_while(|pair| *pair != (None, None));
    match (1..)
        .zip(pairs)
        .find(|(_, (expected, came))| expected != came)
    {
        None => Ok(()),
        Some((line, (expected, came))) => Err(format!(
            "{name}.txt:{line}: expected {:?}, came {:?}",
            expected.unwrap_or("the end"),
            came.unwrap_or("the end"),
        )),
    }
}

fn is_planted() -> bool {
    #[cfg(debug_assertions)]
    {
        use dolmen::planted::{Fault, is_planted};
        let mut faults = Fault::STATE.iter().chain(Fault::STREAMS);
        faults.any(|&fault| is_planted(fault))
    }
    #[cfg(not(debug_assertions))]
    false
}

fn scripts() -> Vec<String> {
    let entries = std::fs::read_dir(folder()).expect("the scripts are there");
    let names = entries.map(|entry| entry.expect("the scripts are there").file_name());
    let names = names.filter_map(|name| name.to_str()?.strip_suffix(".txt").map(String::from));
    let mut names: Vec<String> = names.collect();
    names.sort_unstable();
    names
}

/// The scripts that fail with a fault do so because of it: without it all of
/// them play.
#[cfg(debug_assertions)]
#[test]
fn every_planted_fault_is_caught() {
    use dolmen::planted::{Fault, plant};
    for &fault in Fault::STATE {
        let planted = plant(fault);
        let caught = scripts().iter().find_map(|name| run(name).err());
        drop(planted);
        println!("{fault:?}: caught by {}", caught.expect("a script fails"));
    }
}

#[test]
fn every_script_plays_as_written() {
    let names = scripts();
    assert!(names.len() >= 8, "{names:?}");
    let failures: Vec<String> = names.iter().filter_map(|name| run(name).err()).collect();
    assert!(failures.is_empty(), "\n{}\n", failures.join("\n"));
}
