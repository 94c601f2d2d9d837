//! `dolmen user`: who logs in at the Kafka door. The password is read here and
//! goes no further: the daemon is told what SCRAM keeps of it.

use super::here::Here;
use super::password::Password;
use super::table::Table;
use super::{Failure, print, print_json};
use crate::entropy::{Entropy, MachineEntropy};
use crate::ports::kafka::scram;
use crate::state::topics::access::{Credential, ITERATIONS, Mechanism};
use serde_json::{Value, json};
use std::num::NonZeroU32;

/// Make, list and remove the users of the Kafka door
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    here: Here,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(clap::Subcommand)]
enum What {
    /// Make a user, or give one a new password: it is asked for, or read from standard input
    Add {
        /// What the user is called
        name: String,
        /// How costly it is to try a password
        #[arg(long, value_name = "N", default_value_t = scram::ITERATIONS, value_parser = clap::value_parser!(u32).range(i64::from(*ITERATIONS.start())..=i64::from(*ITERATIONS.end())))]
        iterations: u32,
    },
    /// List the users, and how they log in
    List,
    /// Remove a user; connections that it has go on
    Remove {
        /// As `user list` shows it
        name: String,
    },
}

pub fn run(args: Args) -> Result<(), Failure> {
    let question = match &args.what {
        What::Add { name, iterations } => {
            let password = Password::new_for(name)?;
            let credentials = credentials(&password, *iterations)?;
            json!({ "ask": "user_add", "name": name, "credentials": credentials })
        }
        What::List => json!({ "ask": "user_list" }),
        What::Remove { name } => json!({ "ask": "user_remove", "name": name }),
    };
    let answer = args.here.ask(&question)?;
    if args.json {
        return print_json(&answer);
    }
    match args.what {
        What::Add { name, .. } => print(&format!("{name} can log in\n")),
        What::Remove { name } => print(&format!("{name} is removed\n")),
        What::List => {
            let mut table = Table::with_columns(["name", "mechanism", "iterations"]);
            for user in answer.as_array().into_iter().flatten() {
                let text = |key: &str| user[key].as_str().unwrap_or("?");
                let iterations = user["iterations"].to_string();
                table.row([text("name"), text("mechanism"), &iterations]);
            }
            print(&table.to_string())
        }
    }
}

/// For every mechanism, so that every client can log in.
fn credentials(password: &Password, iterations: u32) -> Result<Vec<Value>, Failure> {
    let iterations = NonZeroU32::new(iterations);
    let iterations = iterations.ok_or_else(|| Failure::wrong_usage("no iterations"))?;
    let one = |mechanism: Mechanism| {
        let mut salt = [0; scram::SALT_BYTES];
        let drawn = MachineEntropy.fill(&mut salt);
        drawn.map_err(|error| Failure::failed(format!("no random numbers: {error}")))?;
        let kept = scram::credential(mechanism, password.bytes(), &salt, iterations);
        Ok(told(mechanism, &kept))
    };
    Mechanism::ALL.into_iter().map(one).collect()
}

fn told(mechanism: Mechanism, kept: &Credential) -> Value {
    let hex = |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
    json!({
        "mechanism": mechanism.name(),
        "iterations": kept.iterations,
        "salt": hex(&kept.salt),
        "stored_key": hex(&kept.stored_key.0),
        "server_key": hex(&kept.server_key.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_daemon_hears_no_password() {
        let password = Password::taken(&b"tr0ub4dor"[..]).unwrap();
        let told = credentials(&password, 4096).unwrap();
        assert_eq!(told.len(), 2);
        let shown = format!("{told:?} {password:?}");
        assert!(!shown.contains("tr0ub"), "{shown}");
        assert!(!shown.contains("7472307562"), "{shown}");
    }
}
