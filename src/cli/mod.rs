//! One file per subcommand.

pub mod check_config;
pub mod profile;

use std::process::ExitCode;

/// Why a subcommand failed, and the exit status: 1 it failed, 2 wrong usage.
#[derive(Debug)]
pub struct Failure {
    pub message: String,
    pub status: u8,
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self { message, status: 1 }
    }
}

pub fn main() -> ExitCode {
    ExitCode::from(2)
}
