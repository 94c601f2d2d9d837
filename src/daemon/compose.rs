//! Fills what each part needs from the settings, and knows which of them can
//! change while the node runs.

use super::config::Config;
use super::few_settings;
use super::refused::Refused;
use std::path::PathBuf;
use tracing::level_filters::LevelFilter;

/// Where settings come from, later ones over earlier ones.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The standard file where none is named; that one may be absent.
    pub file: Option<PathBuf>,
    /// `key=value`, from the command line.
    pub sets: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct Settings {
    pub config: Config,
    /// `node.log_level`: how much is told to the journal.
    pub level: LevelFilter,
}

/// The one place where settings are read.
pub fn load(sources: &Sources) -> Result<Settings, Refused> {
    few_settings::load(sources)
}

/// The settings that differ and that a running node cannot take.
pub fn needing_restart(old: &Settings, new: &Settings) -> Vec<&'static str> {
    few_settings::needing_restart(old, new)
}
