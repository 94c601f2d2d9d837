//! Ctrl-C while a file is being written or a restore is under way: what is
//! unfinished goes, and what to do next is said.

use super::super::Failure;
use super::super::signals;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// What is to be done when the process is told to stop.
#[derive(Clone, Default)]
pub struct Stopping(Arc<Mutex<Held>>);

#[derive(Default)]
struct Held {
    unfinished: Option<PathBuf>,
    says: &'static str,
}

impl Stopping {
    pub fn listen(says: &'static str) -> Result<Self, Failure> {
        let stopping = Self::default();
        stopping.say(says);
        let heard = stopping.clone();
        let listening = signals::on_stop(move || heard.stop());
        listening
            .map_err(|error| Failure::failed(format!("cannot listen for signals: {error}")))?;
        Ok(stopping)
    }

    /// What stopping means from here on.
    pub fn say(&self, says: &'static str) {
        self.change(|held| held.says = says);
    }

    pub fn writes(&self, unfinished: &Path) {
        self.change(|held| held.unfinished = Some(unfinished.into()));
    }

    fn change(&self, change: impl FnOnce(&mut Held)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Never comes back: the work's thread may wait for the daemon, or the disk.
    fn stop(&self) {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(unfinished) = &held.unfinished {
            let _ = fs::remove_file(unfinished);
        }
        eprintln!("dolmen: stopped: {}", held.says);
        std::process::exit(1);
    }
}
