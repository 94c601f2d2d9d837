//! What the checks look at: the machine, the node's settings, and whether a
//! daemon runs on its data folder.

use crate::daemon::config::{Config, Loaded, SETTINGS, Sources};
use crate::daemon::lock::{self, Lock};
use crate::daemon::refused::Refused;
use crate::profile::{Choice, Fault, Layers, Machine, Roots, Shelf, choose};
use std::fs;
use std::path::{Path, PathBuf};

pub struct Site {
    pub roots: Roots,
    /// /run.
    pub run: PathBuf,
    pub config_file: Option<PathBuf>,
    pub config: Config,
    /// Where each of the settings comes from.
    pub layers: Layers,
    /// Why the settings are refused; `config` is then what is built in.
    pub faults: Vec<Fault>,
    pub notes: Vec<String>,
    pub machine: Machine,
    pub profile: Option<Choice>,
    pub life: Life,
}

/// Who holds the data folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Life {
    Nobody,
    /// As the lock file has it: `pid 4711 (dolmen serve)`.
    Held(String),
    /// This user may not look.
    Unknown(String),
}

impl Site {
    pub fn look(sources: Sources<'_>, roots: Roots, run: PathBuf) -> Self {
        let (config_file, data) = (sources.file.clone(), sources.data.clone());
        let machine_of = sources.machine;
        let (config, layers, machine, profile, notes, faults) = match Config::load(sources) {
            Ok(Loaded {
                config,
                layers,
                machine,
                profile,
                notes,
                ..
            }) => (config, layers, machine, profile, notes, Vec::new()),
            Err(faults) => {
                let mut config = Config::built_in();
                if let Some(data) = data.and_then(|data| std::path::absolute(data).ok()) {
                    config.data = data;
                }
                let machine = machine_of(&config.data);
                let profile = choose(&Shelf::built_in(), &machine);
                let layers = Layers::built_in(SETTINGS);
                (config, layers, machine, profile, Vec::new(), faults)
            }
        };
        Self {
            roots,
            run,
            config_file,
            life: life(&config.data),
            config,
            layers,
            faults,
            notes,
            machine,
            profile,
        }
    }

    pub fn data(&self) -> &Path {
        &self.config.data
    }

    /// The process that holds the data folder.
    pub fn holder_pid(&self) -> Option<u32> {
        match &self.life {
            Life::Held(holder) => holder.strip_prefix("pid ")?.split(' ').next()?.parse().ok(),
            _ => None,
        }
    }

    /// A file of procfs about the daemon, or about us where there is none; and
    /// whose it is.
    pub fn process_file(&self, name: &str) -> (Option<String>, String) {
        let (folder, whose) = match self.holder_pid() {
            Some(pid) => (pid.to_string(), format!("of the running daemon, pid {pid}")),
            None => ("self".into(), "of this command".into()),
        };
        let file = self.roots.proc.join(folder).join(name);
        (fs::read_to_string(file).ok(), whose)
    }

    /// Does the work while the data folder is held, so that no daemon starts
    /// into it. Err says why that may not be.
    pub fn while_held<T>(&self, work: impl FnOnce() -> T) -> Result<T, String> {
        match &self.life {
            Life::Held(holder) => return Err(format!("{holder} holds the data folder")),
            Life::Unknown(why) => return Err(why.clone()),
            Life::Nobody => {}
        }
        if !self.data().is_dir() {
            return Err("there is no data folder".into());
        }
        let _lock = match has_lock(self.data()) {
            // Where no daemon has ever been there is nobody to keep out, and
            // the doctor leaves no file.
            false => None,
            true => match Lock::take(self.data(), "dolmen doctor") {
                Ok(lock) => Some(lock),
                Err(refused) => return Err(refused.to_string()),
            },
        };
        Ok(work())
    }
}

fn has_lock(data: &Path) -> bool {
    data.join(lock::NAME).exists()
}

/// Found out by holding the lock for an instant.
fn life(data: &Path) -> Life {
    match fs::symlink_metadata(data.join(lock::NAME)) {
        Ok(_) => match Lock::take(data, "dolmen doctor") {
            Ok(_) => Life::Nobody,
            Err(Refused::DataHeld { holder, .. }) => Life::Held(holder),
            Err(refused) => Life::Unknown(refused.to_string()),
        },
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            Life::Unknown(format!("{}: {error}", data.display()))
        }
        Err(_) => Life::Nobody,
    }
}
