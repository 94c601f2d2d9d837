//! The generator's core while a load runs: the first of the machine's, so that
//! its own wanderings are not measured. Servers are started outside of a load
//! and go where they and the kernel like.

use super::failure::Failure;
use std::fs;
use std::process::{self, Command, Stdio};

pub struct Placed {
    /// Where the thread may run otherwise.
    before: String,
}

impl Placed {
    /// The calling thread must be the process' first, as its load is.
    pub fn on_the_first_core() -> Result<Self, Failure> {
        let status = fs::read_to_string("/proc/thread-self/status")?;
        let allowed = status.lines().find_map(|line| {
            let list = line.strip_prefix("Cpus_allowed_list:")?;
            Some(list.trim().to_owned())
        });
        let before = allowed.unwrap_or_else(|| "0".into());
        let first = before.split([',', '-']).next().unwrap_or("0");
        put(first)?;
        Ok(Self { before })
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        // Fails where the first one would have.
        let _ = put(&self.before);
    }
}

/// By the program, as only `unsafe` could do it from here.
fn put(cores: &str) -> Result<(), Failure> {
    let status = Command::new("taskset")
        .args(["-p", "-c", cores, &process::id().to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    match status.success() {
        true => Ok(()),
        false => Err(Failure::NotRunning(format!(
            "taskset refuses the generator core {cores}"
        ))),
    }
}
