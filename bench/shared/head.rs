//! What was measured on, and how.

use super::machine::Machine;
use serde::Serialize;
use std::path::Path;

#[derive(Serialize)]
pub struct Head {
    #[serde(flatten)]
    pub machine: Machine,
    pub settings: Vec<String>,
}

impl Head {
    pub fn of(folder: &Path, settings: Vec<String>) -> Self {
        let machine = Machine::under(folder);
        Self { machine, settings }
    }

    pub fn print(&self) {
        self.machine.print();
        for line in &self.settings {
            println!("          {line}");
        }
    }
}
