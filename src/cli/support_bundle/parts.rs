//! The parts of a bundle, each a line in `PARTS`: its files, and who gathers
//! them. A part that cannot be had is missing, and the others are there.

use super::bounded::within;
use super::bundle::{Body, Piece, Raw};
use super::node::{ANSWER, Node, sources};
use super::{folder, http, unit};
use crate::cli::doctor::{self, Findings};
use crate::cli::profile::settings_json;
use crate::clock::Clock;
use crate::daemon::ask::Talk;
use crate::daemon::config::profile_folders;
use crate::daemon::doctor::{Site, examine};
use crate::limits::SUPPORT_CHRONICLE_RECORDS;
use crate::profile::{Fault, Roots, Shelf, rank};
use serde_json::{Value, json};
use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// The longest is the doctor's, who measures for half a second on a disk that
/// is well; two commands of systemd have 7 s each.
const PATIENCE: Duration = Duration::from_secs(15);

type Pieces = Vec<Result<Piece, String>>;

struct Part {
    /// Name and meaning of each file, in the order of what `gather` answers.
    files: &'static [(&'static str, &'static str)],
    gather: fn(&Node) -> Pieces,
}

const PARTS: &[Part] = &[
    Part {
        files: &[(
            "settings.json",
            "every setting with its origin, and what is refused",
        )],
        gather: |node| vec![Ok(settings(node))],
    },
    Part {
        files: &[(
            "machine.json",
            "versions, processor, memory, and the disk of the data folder",
        )],
        gather: |node| vec![Ok(machine(node))],
    },
    Part {
        files: &[(
            "profiles.json",
            "the hardware profile that is chosen, and how each fits",
        )],
        gather: |node| vec![profiles(node)],
    },
    Part {
        files: &[
            ("status.json", "dolmen status"),
            (
                "chronicle.json",
                "the last records of the node's own history",
            ),
        ],
        gather: |node| vec![node.status.clone().map(piece), chronicle(node)],
    },
    Part {
        files: &[
            ("operator-health.txt", "the operator door's /health"),
            ("operator-metrics.txt", "the operator door's /metrics"),
            ("operator-status.txt", "the operator door's /status"),
        ],
        gather: operator,
    },
    Part {
        files: &[(
            "data-list.txt",
            "names, sizes, modes and times in the data folder",
        )],
        gather: |node| vec![folder::listing(&node.data)],
    },
    Part {
        files: &[(
            "data-memos.json",
            "what the daemon keeps of itself beside the log",
        )],
        gather: |node| vec![folder::memos(&node.data)],
    },
    Part {
        files: &[(
            "data-heads.txt",
            "what journal, segments and snapshots say of themselves",
        )],
        gather: |node| vec![folder::heads(&node.data)],
    },
    Part {
        files: &[("doctor.json", "dolmen doctor")],
        gather: |node| vec![Ok(piece(examined(node)))],
    },
    Part {
        files: &[
            (
                "unit-show.txt",
                "systemctl show, without values of the environment",
            ),
            (
                "unit-files.txt",
                "the unit as it is loaded, drop-ins included",
            ),
        ],
        gather: of_unit,
    },
    Part {
        files: &[("journal.txt", "the unit's last lines in the journal")],
        gather: |node| vec![node.unit.clone().and_then(|unit| unit::journal(&unit))],
    },
];

/// Everything that can be had, one part after the other: what is measured in one
/// is not to be disturbed by another.
pub(super) fn gather(node: &Arc<Node>, clock: &dyn Clock) -> Vec<Raw> {
    let mut raw = Vec::new();
    for part in PARTS {
        let (node, work) = (node.clone(), part.gather);
        let pieces = within(PATIENCE, move || work(&node));
        let pieces = pieces.unwrap_or_else(|why| vec![Err(why)]);
        let mut pieces = pieces.into_iter();
        // One reason may stand for the rest of a part.
        let mut why = String::new();
        for (name, what) in part.files {
            let piece = pieces.next().unwrap_or_else(|| Err(why.clone()));
            if let Err(says) = &piece {
                why.clone_from(says);
            }
            raw.push(Raw {
                name,
                what,
                made: clock.now(),
                piece,
            });
        }
    }
    raw
}

fn piece(value: Value) -> Piece {
    Body::Json(value).into()
}

/// Only what the tables know; a secret is "(set)".
fn settings(node: &Node) -> Piece {
    let known = &node.known;
    piece(json!({
        "file": node.file,
        "settings": settings_json(known.layers.settings()),
        "refused": known.faults.iter().map(Fault::to_string).collect::<Vec<_>>(),
        "notes": known.notes,
        "environment": "left out: that of a shell is not the daemon's",
    }))
}

fn machine(node: &Node) -> Piece {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let line = |text: &str, name: &str| {
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.split_once([':', '=']));
        value.map(|(_, value)| value.trim().trim_matches('"').to_owned())
    };
    let (os, cpu, memory) = (
        read("/etc/os-release"),
        read("/proc/cpuinfo"),
        read("/proc/meminfo"),
    );
    piece(json!({
        "dolmen": env!("CARGO_PKG_VERSION"),
        "host": read("/proc/sys/kernel/hostname").trim(),
        "kernel": read("/proc/version").trim(),
        "os": line(&os, "PRETTY_NAME"),
        "os_id": line(&os, "ID"),
        "os_version": line(&os, "VERSION_ID"),
        "processor": line(&cpu, "model name").or_else(|| line(&cpu, "Model")),
        "memory": line(&memory, "MemTotal"),
        "memory_available": line(&memory, "MemAvailable"),
        "load": read("/proc/loadavg").trim(),
        "up_s": read("/proc/uptime").split('.').next().and_then(|text| text.parse::<u64>().ok()),
        "detected": node.known.machine,
    }))
}

fn profiles(node: &Node) -> Result<Piece, String> {
    let faults = |faults: Vec<Fault>| {
        let lines: Vec<String> = faults.iter().map(Fault::to_string).collect();
        lines.join("; ")
    };
    let shelf = Shelf::open(&profile_folders()).map_err(faults)?;
    let candidates = rank(&shelf, &node.known.machine);
    let candidates = candidates.iter().map(|one| {
        json!({
            "name": one.profile.name,
            "source": one.profile.source,
            "tested": one.profile.tested,
            "priority": one.profile.priority,
            "score": one.score,
            "reason": one.reason,
        })
    });
    Ok(piece(json!({
        "chosen": node.known.profile,
        "candidates": candidates.collect::<Vec<_>>(),
    })))
}

fn chronicle(node: &Node) -> Result<Piece, String> {
    // Who was silent before is not waited for again.
    node.status.as_ref().map_err(Clone::clone)?;
    let question = json!({ "ask": "chronicle", "last": SUPPORT_CHRONICLE_RECORDS });
    let talk = Talk::open_for(&node.socket, ANSWER);
    let answer = talk.and_then(|mut talk| talk.ask(&question));
    answer.map(piece).map_err(|error| error.to_string())
}

fn operator(node: &Node) -> Pieces {
    let address = match &node.status {
        Ok(status) => status["doors"]["operator"].as_str().unwrap_or("off"),
        Err(_) => node.known.operator_door(),
    };
    let Ok(address) = address.parse::<SocketAddr>() else {
        return vec![Err("the operator door is off".into())];
    };
    let mut pieces: Pieces = Vec::new();
    for path in ["/health", "/metrics", "/status"] {
        let page = http::get(address, path, ANSWER);
        let is_last = page.is_err();
        pieces.push(page.map(|text| Body::Text(text).into()));
        if is_last {
            break;
        }
    }
    pieces
}

fn examined(node: &Node) -> Value {
    let sources = sources(node.file.clone(), Some(node.data.clone()));
    let site = Site::look(sources, Roots::default(), "/run".into());
    let findings = examine(&site);
    let findings: &Findings = &findings;
    doctor::for_programs(findings)
}

fn of_unit(node: &Node) -> Pieces {
    let (Ok(unit), Ok(shown)) = (&node.unit, &node.unit_shown) else {
        return vec![Err(node.unit_shown.clone().err().unwrap_or_default())];
    };
    vec![Ok(unit::cleaned(shown)), unit::files(unit)]
}
