//! Consumer groups, by scripts anyone can read and by random histories.

mod bounds;
mod history;
mod script;

use script::Stage;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/groups/scripts")
}

/// Runs a script: lines that begin with `>` are what somebody does, what stands
/// between them is what came of the one before. `DOLMEN_REWRITE=1` writes down
/// what came instead of comparing; read the diff.
fn run(name: &str) -> Result<(), String> {
    let path = folder().join(name);
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
        if let Some(deed) = line.strip_prefix('>') {
            for said in stage.play(deed.trim()) {
                played.push_str(&format!("    {}\n", said.trim()));
            }
        }
    }
    if std::env::var_os("DOLMEN_REWRITE").is_some_and(|value| value == "1") {
        std::fs::write(&path, &played).expect("the script is writable");
        return Ok(());
    }
    let differs = |(written, played): &(&str, &str)| written != played;
    let mut lines = text.lines().zip(played.lines());
    match lines.find(differs) {
        Some((written, played)) => Err(format!("{name}: {written:?} is played as {played:?}")),
        None if text == played => Ok(()),
        None => Err(format!("{name} is shorter or longer than it is played")),
    }
}

#[test]
fn every_script_plays_as_written() {
    let entries = std::fs::read_dir(folder()).expect("the scripts are there");
    let names = entries.map(|entry| entry.expect("the scripts are there").file_name());
    let mut names: Vec<String> = names.filter_map(|name| name.into_string().ok()).collect();
    names.sort_unstable();
    assert!(names.len() >= 4, "{names:?}");
    let failures: Vec<String> = names.iter().filter_map(|name| run(name).err()).collect();
    assert!(failures.is_empty(), "\n{}\n", failures.join("\n"));
}
