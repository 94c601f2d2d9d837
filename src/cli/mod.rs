//! One file per subcommand.

use std::process::ExitCode;

pub fn main() -> ExitCode {
    ExitCode::from(2)
}
