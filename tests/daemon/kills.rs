//! What the daemon has said is so, after any kill.

use super::*;
use dolmen::clock::MachineClock;
use dolmen::disk::choose::{Wanted, choose};
use dolmen::disk::{Engine, How};
use dolmen::entropy::Seeded;
use std::collections::BTreeMap;

/// What each kind of line in the journal is in the chronicle.
const LINES: &[(&str, &str)] = &[
    ("the log is open", "started"),
    ("hardware profile", "profile_chosen"),
    ("settings read again", "settings_reloaded"),
];

/// Records that lines on stderr name as durable, by their index.
fn acknowledged(words: &str) -> BTreeMap<u64, &'static str> {
    let whole = words.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let of_line = |line: &str| {
        let index = line.split("chronicle=").nth(1)?;
        let index = index.split(' ').next()?.parse().ok()?;
        let (_, what) = LINES.iter().find(|(says, _)| line.contains(says))?;
        Some((index, *what))
    };
    whole.lines().filter_map(of_line).collect()
}

/// Asks a process to reload, over and over, until it is gone or this is
/// dropped.
struct Reloads(Child);

impl Reloads {
    fn of(node: &Node) -> Self {
        let script = "while kill -HUP $0 2>/dev/null; do sleep 0.002; done";
        let pid = node.pid().to_string();
        let mut shell = Command::new("sh");
        Self(shell.args(["-c", script, &pid]).spawn().unwrap())
    }
}

impl Drop for Reloads {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// No record is missing, in the chronicle or between those that were told of.
fn check_all_there(told: &BTreeMap<u64, &str>, records: &[Value]) {
    let index = |record: &Value| record["index"].as_u64().unwrap();
    let first = records.first().map_or(0, index);
    for (place, record) in records.iter().enumerate() {
        assert_eq!(
            index(record),
            first + place as u64,
            "a hole in the chronicle"
        );
    }
    for (&told, what) in told.range(first..) {
        let record = records.get((told - first) as usize);
        let record = record.unwrap_or_else(|| panic!("record {told} ({what}) is lost"));
        assert_eq!(record["event"]["what"], *what, "record {told}");
    }
}

fn grants_io_uring(folder: &Folder) -> bool {
    let wanted = Wanted::Only(Engine::Uring);
    choose(
        &folder.path(""),
        wanted,
        8,
        How::Write,
        &MachineClock::new(),
    )
    .is_ok()
}

/// 25 kills, 100 with DOLMEN_FULL=1: most while reloads append records, every
/// third at any moment of a start.
#[test]
fn every_acknowledged_record_outlives_a_kill() {
    let kills = match std::env::var_os("DOLMEN_FULL") {
        Some(_) => 100,
        None => 25,
    };
    let folder = Folder::new();
    let engines = match grants_io_uring(&folder) {
        true => ["uring", "threads"],
        false => ["threads", "threads"],
    };
    let mut chance = Seeded::new(8412);
    let mut told = BTreeMap::new();
    for kill in 0..kills {
        let engine = engines[kill % 2];
        let more = format!("{SMALL}log.ring_entries = 8").replace("threads", engine);
        let settings = folder.write_settings("127.0.0.1:0", &more);
        if kill % 3 == 2 {
            let node = Node::spawn(&folder, dolmen().args(["serve", "--config"]).arg(&settings));
            std::thread::sleep(Duration::from_millis(chance.below(150)));
            let words = node.words.clone();
            node.kill(&folder);
            told.extend(acknowledged(&fs::read_to_string(words).unwrap()));
            continue;
        }
        let node = Node::start_with(&folder, &more);
        assert_eq!(node.ask("status").unwrap()["log"]["engine"], engine);
        let reloads = Reloads::of(&node);
        std::thread::sleep(Duration::from_millis(chance.below(120)));
        let words = node.words.clone();
        node.kill(&folder);
        drop(reloads);
        told.extend(acknowledged(&fs::read_to_string(words).unwrap()));

        let node = Node::start_with(&folder, &more);
        told.extend(acknowledged(&node.words()));
        check_all_there(&told, &node.chronicle());
        node.kill(&folder);
    }
    assert!(told.len() > 2 * kills, "only {} were told of", told.len());
}
