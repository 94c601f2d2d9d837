//! A data folder that cannot be used is named in one line and left as it was.

use super::*;
use dolmen::wire::crc32c;
use std::collections::BTreeMap;
use std::os::unix::fs::FileExt;

/// Every file of the data folder with its length and checksum, but for the
/// two that are the daemon's own: the lock and the count of starts.
pub(super) fn tree(folder: &Folder) -> BTreeMap<PathBuf, (usize, u32)> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.data()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap();
            if path.is_dir() {
                folders.push(path);
            } else if name != "dolmen.lock" && name != "dolmen.starts" {
                let bytes = fs::read(&path).unwrap();
                files.insert(path, (bytes.len(), crc32c(&bytes)));
            }
        }
    }
    files
}

/// A folder in which a node has lived and stopped.
fn lived_in() -> Folder {
    let folder = Folder::new();
    Node::start(&folder).stop();
    folder
}

/// The one file of a kind.
fn the(folder: &Folder, part: &str, extension: &str) -> PathBuf {
    let mut found = fs::read_dir(folder.path("data").join(part))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension));
    let first = found.next().expect("there is one");
    assert_eq!(found.next(), None);
    first
}

fn journal(folder: &Folder) -> PathBuf {
    the(folder, "journal", "jrn")
}

fn segment(folder: &Folder) -> PathBuf {
    the(folder, "logs", "seg")
}

fn cut(path: &Path, length: u64) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_len(length).unwrap();
}

fn put(path: &Path, at: u64, bytes: &[u8]) {
    let file = File::options().write(true).open(path).unwrap();
    file.write_all_at(bytes, at).unwrap();
}

fn refused_and_left(folder: &Folder, says: &str) {
    let before = tree(folder);
    let line = refusal(&folder.path("dolmen.toml"));
    assert!(line.contains(says), "{line}");
    let data = folder.data().display().to_string();
    assert!(
        line.contains(&format!("the log in {data} does not open")),
        "{line}"
    );
    assert_eq!(tree(folder), before);
}

/// Does damage to a folder in which a node has lived.
fn check(damage: impl FnOnce(&Folder), says: &str) {
    let folder = lived_in();
    damage(&folder);
    refused_and_left(&folder, says);
}

#[test]
fn a_torn_identity_is_named() {
    check(
        |folder| cut(&folder.path("data/identity"), 0),
        "it is empty",
    );
    check(
        |folder| cut(&folder.path("data/identity"), 60),
        "it was cut short",
    );
    check(
        |folder| fs::remove_file(folder.path("data/identity")).unwrap(),
        "part of it is missing",
    );
}

#[test]
fn another_format_is_named_with_both_versions() {
    check(
        |folder| {
            let path = folder.path("data/identity");
            let text = fs::read_to_string(&path).unwrap();
            fs::write(&path, text.replace("format 1", "format 7")).unwrap();
        },
        "it has format 7, and this build reads format 1",
    );
    check(
        |folder| put(&journal(folder), 8, &[9]),
        "has journal format 9, and this build reads format 1",
    );
    check(
        |folder| put(&segment(folder), 8, &[9]),
        "has segment format 9, and this build reads format 2",
    );
}

#[test]
fn files_cut_short_are_named() {
    check(|folder| cut(&journal(folder), 0), "journal");
    check(|folder| cut(&journal(folder), 4096), "journal");
    check(|folder| cut(&segment(folder), 0), "length of the file");
    check(|folder| cut(&segment(folder), 4100), "length of the file");
    check(
        |folder| fs::remove_file(segment(folder)).unwrap(),
        "the segment with epoch",
    );
    check(
        |folder| fs::remove_file(journal(folder)).unwrap(),
        "journal",
    );
}

#[test]
fn files_of_another_node_are_named() {
    let other = lived_in();
    let mixed = "files of two nodes or clusters were mixed";
    check(
        |folder| {
            fs::copy(journal(&other), journal(folder)).unwrap();
        },
        mixed,
    );
    check(
        |folder| {
            fs::copy(segment(&other), segment(folder)).unwrap();
        },
        mixed,
    );
    check(
        |folder| {
            let (from, to) = ("data/identity", folder.path("data/identity"));
            fs::copy(other.path(from), to).unwrap();
        },
        mixed,
    );
}

#[test]
fn a_log_that_does_not_open_reduces_the_node_and_heals_when_it_is_mended() {
    let folder = lived_in();
    let kept = fs::read(segment(&folder)).unwrap();
    cut(&segment(&folder), 0);
    for _ in 0..3 {
        refused_and_left(&folder, "length of the file");
    }
    let node = Node::start(&folder);
    let status = node.ask("status").unwrap();
    assert_eq!(status["state"], "reduced");
    let reason = status["reason"].as_str().unwrap();
    assert!(reason.contains("length of the file"), "{reason}");
    let asked = json!({ "ask": "chronicle", "last": 5 });
    let error = ask(&node.admin, &asked).unwrap_err().to_string();
    assert_eq!(error, "the chronicle is not open, the node is reduced");
    let (code, table, _) = run(dolmen().args(["status", "--socket"]).arg(&node.admin));
    assert_eq!(code, 0);
    assert!(table.starts_with("state    reduced\n"), "{table}");
    node.stop();

    fs::write(segment(&folder), kept).unwrap();
    let node = Node::start(&folder);
    assert_eq!(node.ask("status").unwrap()["state"], "serving");
    assert_eq!(node.chronicle()[0]["event"]["what"], "started");
}
