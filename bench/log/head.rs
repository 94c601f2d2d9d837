//! What was measured on, and how: the machine, the engine and its reason.

use super::machine::Machine;
use dolmen::disk::choose::Chosen;
use dolmen::disk::class::Granted;
use serde::Serialize;
use std::path::Path;

#[derive(Serialize)]
pub struct Head {
    #[serde(flatten)]
    pub machine: Machine,
    pub engine: String,
    pub lone_blocking: bool,
    pub class: String,
    pub settings: String,
    pub rounds: usize,
    pub round_ms: u128,
}

impl Head {
    pub fn of(folder: &Path, chosen: &Chosen, granted: &Granted, direct_refused: bool) -> Self {
        let mut machine = Machine::under(folder);
        if direct_refused {
            machine.folder += " (O_DIRECT refused)";
        }
        Self {
            machine,
            engine: chosen.reason.clone(),
            lone_blocking: chosen.lone_blocking,
            class: format!("{granted:?}"),
            settings: String::new(),
            rounds: 0,
            round_ms: 0,
        }
    }

    pub fn print(&self) {
        self.machine.print();
        println!(
            "engine    {} (lone blocks by the blocking path: {})",
            self.engine, self.lone_blocking
        );
        println!("class Log {}", self.class);
        println!("settings  {}", self.settings);
        println!(
            "rounds    {} of {} ms a row, medians over them",
            self.rounds, self.round_ms
        );
    }
}
