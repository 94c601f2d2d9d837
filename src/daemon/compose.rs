//! Fills what each part needs from the settings, and knows which of them can
//! change while the node runs.

use super::config::{self, Config, EngineChoice, Loaded, LogKnobs};
use super::refused::Refused;
use crate::disk::choose::Wanted;
use crate::disk::{Engine, How};
use crate::log;
use crate::profile::Machine;
use crate::streams::house;
use std::path::{Path, PathBuf};

/// Where settings come from, later ones over earlier ones.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The standard file where none is named; that one may be absent.
    pub file: Option<PathBuf>,
    /// `key=value`, from the command line.
    pub sets: Vec<String>,
}

/// The settings that a running node takes.
const LIVE: &[&str] = &["node.log_level"];
/// Those that `dolmen tune` reads, and no daemon.
const TUNE: &str = "tune.";

/// The settings of the node on this machine.
pub fn load(sources: &Sources) -> Result<Loaded, Refused> {
    Config::load(config::Sources {
        file: sources.file.clone().or_else(config::installed_file),
        data: None,
        environment: std::env::vars_os().collect(),
        set: sources.sets.clone(),
        machine: &Machine::here,
        profile_folders: config::profile_folders(),
    })
    .map_err(Refused::Settings)
}

/// The settings that differ and that a running node cannot take.
pub fn needing_restart(old: &Loaded, new: &Loaded) -> Vec<&'static str> {
    let before = old.layers.settings().iter();
    before
        .zip(new.layers.settings())
        .filter(|(old, new)| old.value != new.value)
        .map(|(old, _)| old.knob.key)
        .filter(|key| !LIVE.contains(key) && !key.starts_with(TUNE))
        .collect()
}

pub fn log_settings(knobs: &LogKnobs) -> log::Settings {
    log::Settings {
        journal_file_bytes: knobs.journal_file_mib << 20,
        journal_files_max: knobs.journal_files_max as usize,
        journal_direct: knobs.journal_direct_io,
        bypass_bytes: (knobs.journal_bypass_kib << 10) as usize,
        segment_bytes: knobs.segment_mib << 20,
        // A start after a crash begins with new journal files, also on a full
        // disk: this device's and the replica's.
        reserve_bytes: ((knobs.reserve_mib + knobs.journal_file_mib) << 20)
            + REPLICA_JOURNAL_BYTES.min(knobs.journal_file_mib << 20),
        ..log::Settings::default()
    }
}

/// The partitions of a node whose event log may have so much of the disk.
pub fn partitions(data: &Path, disk_percent: u64) -> house::Settings {
    let room = crate::disk::room(data);
    let room = room.inspect_err(|error| {
        tracing::warn!(%error, "the event log is not held to its share of the disk");
    });
    house::Settings {
        bytes_max: room.ok().map(|room| room.bytes_total / 100 * disk_percent),
        ..house::Settings::default()
    }
}

/// The replica's entries are small and soon in a snapshot; a file this size
/// takes some 2,000 of its syncs.
const REPLICA_JOURNAL_BYTES: u64 = 8 << 20;

/// The replica's own device.
pub fn replica_log_settings(knobs: &LogKnobs) -> log::Settings {
    log::Settings {
        journal_file_bytes: REPLICA_JOURNAL_BYTES.min(knobs.journal_file_mib << 20),
        segment_bytes: (knobs.segment_mib << 20).min(32 << 20),
        reserve_bytes: 0,
        ..log_settings(knobs)
    }
}

pub fn wanted_engine(knobs: &LogKnobs) -> Wanted {
    match knobs.engine {
        EngineChoice::Auto => Wanted::Auto,
        EngineChoice::Uring => Wanted::Only(Engine::Uring),
        EngineChoice::Threads => Wanted::Only(Engine::Threads),
    }
}

/// How the journal's files are opened.
pub fn journal_how(knobs: &LogKnobs) -> How {
    match knobs.journal_direct_io {
        true => How::WriteDirect,
        false => How::Write,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(sets: &[&str]) -> Loaded {
        Config::load(config::Sources {
            file: None,
            data: None,
            environment: Vec::new(),
            set: sets.iter().map(ToString::to_string).collect(),
            machine: &|_| Machine::default(),
            profile_folders: Vec::new(),
        })
        .unwrap()
    }

    #[test]
    fn only_the_level_changes_in_a_running_node() {
        let old = with(&[]);
        let new = with(&[
            "node.log_level=debug",
            "node.data=/tmp/d",
            "tune.swappiness=1",
        ]);
        assert_eq!(needing_restart(&old, &new), ["node.data"]);
    }

    #[test]
    fn the_log_is_told_in_bytes() {
        let set = &["log.journal_file_mib=16", "log.journal_bypass_kib=8"];
        let settings = log_settings(&with(set).config.log);
        assert_eq!(settings.journal_file_bytes, 16 << 20);
        assert_eq!(settings.bypass_bytes, 8 << 10);
    }
}
