//! One file per subcommand, and the table of them.

mod client;
mod here;
mod kafka;
mod password;
mod signals;
mod table;

use crate::daemon::journal;
use crate::daemon::refused::Refused;
use crate::daemon::release::VERSION;
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

/// A line here is a subcommand: its name, and the file with its `Args` (whose
/// doc comment is the help) and its `run`.
macro_rules! subcommands {
    ($($name:ident $file:ident,)*) => {
        $(pub mod $file;)*

        // Made once, and as large as the one with the most options.
        #[allow(clippy::large_enum_variant)]
        #[derive(clap::Subcommand)]
        enum Command {
            $($name($file::Args),)*
        }

        impl Command {
            fn run(self) -> Result<(), Failure> {
                match self {
                    $(Self::$name(args) => $file::run(args),)*
                }
            }
        }
    };
}

// In the order of `dolmen --help`.
subcommands! {
    Serve serve,
    Dev dev,
    Demo demo,
    Init init,
    Join join,
    Token token,
    Node node,
    User user,
    Topic topic,
    Backup backup,
    Recover recover,
    Upgrade upgrade,
    Status status,
    Doctor doctor,
    CheckConfig check_config,
    Probe probe,
    Profile profile,
    Tune tune,
    Log log,
    Import import,
    Zk zk,
    SupportBundle support_bundle,
    Manual manual,
}

/// Coordination, event log, file store and query engine for an edge site.
#[derive(Parser)]
#[command(name = "dolmen", version = VERSION, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// Why a command did not do what was asked: one line, which says what to do
/// next, and the status to leave with.
#[derive(Debug)]
pub struct Failure {
    pub message: String,
    pub status: u8,
}

impl Failure {
    pub fn failed(message: impl fmt::Display) -> Self {
        Self {
            message: message.to_string(),
            status: 1,
        }
    }

    pub fn wrong_usage(message: impl fmt::Display) -> Self {
        Self {
            message: message.to_string(),
            status: 2,
        }
    }
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self::failed(message)
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Self::failed(refused)
    }
}

pub fn main() -> ExitCode {
    let outcome = match Arguments::try_parse() {
        Ok(arguments) => arguments.command.run(),
        Err(error) => answer_usage(&error),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { message, status }) => {
            eprintln!("{}dolmen: {message}", journal::error_prefix());
            ExitCode::from(status)
        }
    }
}

/// The program as its help shows it, without what is hidden.
fn visible() -> clap::Command {
    let whole = Arguments::command();
    let shown = whole.get_subcommands().filter(|one| !one.is_hide_set());
    let mut program = clap::Command::new("dolmen")
        .version(env!("CARGO_PKG_VERSION"))
        .disable_help_subcommand(true)
        .subcommand_required(true)
        .subcommands(shown.cloned());
    if let Some(about) = whole.get_about() {
        program = program.about(about.clone());
    }
    program
}

/// Help and version are answers; the rest is clap's complaint on one line.
fn answer_usage(error: &clap::Error) -> Result<(), Failure> {
    let text = error.render().to_string();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => print(&text),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Err(Failure::wrong_usage(
            "no command given: dolmen --help lists them",
        )),
        _ => {
            let complaint = text.split("\nUsage:").next().unwrap_or(&text);
            let complaint = complaint.trim_start_matches("error: ");
            let complaint: Vec<_> = complaint.split_whitespace().collect();
            let complaint = complaint.join(" ");
            let complaint = complaint.trim_end_matches(" For more information, try '--help'.");
            let message = format!("{complaint}; --help shows how it is written");
            Err(Failure::wrong_usage(message))
        }
    }
}

/// Prints a command's result. A reader that has seen enough is no failure.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::failed(format!("cannot print: {error}")))
        }
        _ => Ok(()),
    }
}

/// A result for programs: one line of JSON.
fn print_json(value: &serde_json::Value) -> Result<(), Failure> {
    print(&format!("{value}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_well_formed_and_every_command_says_what_it_does() {
        let command = Arguments::command();
        command.clone().debug_assert();
        for subcommand in command.get_subcommands() {
            assert!(
                subcommand.get_about().is_some(),
                "{}",
                subcommand.get_name()
            );
        }
    }
}
