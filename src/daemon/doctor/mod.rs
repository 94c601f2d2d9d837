//! `dolmen doctor`: what of this machine keeps a node from being fast or safe,
//! and what to do about it.
//!
//! A check is a line in `CHECKS` and a file; it looks at a `Site` and says what
//! it found. Where a daemon runs, its process is looked at, and nothing is
//! measured: a disk that is being measured is slow for everybody on it.

mod clock;
mod config;
mod device;
mod doors;
mod engine;
mod file_system;
mod flush;
mod kernel;
mod limits;
mod log_core;
mod ownership;
mod probe;
mod profile;
mod room;
mod site;
mod threads;
mod tuning;
mod uring;

pub use site::{Life, Site};

use serde::Serialize;

/// In the order of how much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Ok,
    /// Worth knowing; nothing is wrong.
    Note,
    /// The node runs, and is slower or less safe than it could be.
    Warning,
    /// The node does not start, or does not keep what it promises.
    Error,
}

impl Severity {
    pub fn word(self) -> &'static str {
        match self {
            Severity::Ok => "ok",
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// What a check says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub severity: Severity,
    pub message: String,
    /// What to do about it.
    pub to_do: Option<String>,
}

impl Finding {
    fn ok(message: impl Into<String>) -> Self {
        Self::of(Severity::Ok, message, None)
    }

    fn note(message: impl Into<String>) -> Self {
        Self::of(Severity::Note, message, None)
    }

    fn warning(message: impl Into<String>, to_do: impl Into<String>) -> Self {
        Self::of(Severity::Warning, message, Some(to_do.into()))
    }

    fn error(message: impl Into<String>, to_do: impl Into<String>) -> Self {
        Self::of(Severity::Error, message, Some(to_do.into()))
    }

    fn of(severity: Severity, message: impl Into<String>, to_do: Option<String>) -> Self {
        Self {
            severity,
            message: message.into(),
            to_do,
        }
    }
}

pub struct Check {
    pub name: &'static str,
    /// What it looks at, in a few words.
    pub looks_at: &'static str,
    run: fn(&Site) -> Vec<Finding>,
}

/// In the order in which a person would ask.
pub const CHECKS: &[Check] = &[
    Check {
        name: "config",
        looks_at: "the settings, as a start would read them",
        run: config::check,
    },
    Check {
        name: "profile",
        looks_at: "the hardware profile that fits this machine",
        run: profile::check,
    },
    Check {
        name: "probe",
        looks_at: "probe.toml in the data folder",
        run: probe::check,
    },
    Check {
        name: "kernel",
        looks_at: "the kernel's version",
        run: kernel::check,
    },
    // Before whoever takes class Log, which lowers a limit of this process.
    Check {
        name: "limits",
        looks_at: "what the process may have of files, locked memory and real time",
        run: limits::check,
    },
    Check {
        name: "io_uring",
        looks_at: "whether a ring like the log's can be set up",
        run: uring::check,
    },
    Check {
        name: "engine",
        looks_at: "how the log would reach the disk",
        run: engine::check,
    },
    Check {
        name: "threads",
        looks_at: "the priorities that threads are granted",
        run: threads::check,
    },
    Check {
        name: "log core",
        looks_at: "the core of the log's threads, and what keeping it awake costs",
        run: log_core::check,
    },
    Check {
        name: "file system",
        looks_at: "the file system of the data folder and its mount options",
        run: file_system::check,
    },
    Check {
        name: "device",
        looks_at: "the bus and the write cache of the data folder's disk",
        run: device::check,
    },
    Check {
        name: "flush",
        looks_at: "how long fdatasync takes in the data folder",
        run: flush::check,
    },
    Check {
        name: "tuning",
        looks_at: "the kernel's settings that the hardware profile names",
        run: tuning::check,
    },
    Check {
        name: "room",
        looks_at: "free bytes and free files under the data folder",
        run: room::check,
    },
    Check {
        name: "clock",
        looks_at: "who keeps the clock right",
        run: clock::check,
    },
    Check {
        name: "doors",
        looks_at: "who listens on the ports of the doors",
        run: doors::check,
    },
    Check {
        name: "ownership",
        looks_at: "owner and mode of the data folder and of the settings",
        run: ownership::check,
    },
];

/// Everything that all checks say.
pub fn examine(site: &Site) -> Vec<(&'static Check, Finding)> {
    let of_check = |check: &'static Check| {
        let findings = (check.run)(site).into_iter();
        findings.map(move |finding| (check, finding))
    };
    CHECKS.iter().flat_map(of_check).collect()
}
