//! The echo as a child process.

use super::failure::Failure;
use super::process::{Process, eventually};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

const START_WITHIN: Duration = Duration::from_secs(10);

pub struct EchoServer {
    process: Process,
    pub address: SocketAddr,
}

impl EchoServer {
    pub fn start(folder: &Path) -> Result<Self, Failure> {
        let program = std::env::current_exe()?.display().to_string();
        let log = folder.join("echo.log");
        let mut process = Process::start(&[program, "--echo".to_owned()], folder, &log)?;
        let address = eventually(START_WITHIN, || {
            process.check()?;
            let text = fs::read_to_string(&log)?;
            let line = text.strip_suffix('\n').unwrap_or_default();
            line.parse()
                .map_err(|_| Failure::Lost(format!("no address of the echo: {text:?}")))
        })?;
        Ok(Self { process, address })
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }
}
