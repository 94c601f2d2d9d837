//! `dolmen token`: what other machines join with.

use super::here::Here;
use super::table::Table;
use super::{Failure, print, print_json};
use serde_json::json;

/// Make, list and revoke the tokens that other machines join with
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
    /// Make a token that one machine may join with
    Create {
        /// What the machine becomes: a voter, or a worker that only follows
        #[arg(long, value_name = "ROLE", default_value = "voter", value_parser = ["voter", "worker"])]
        role: String,
        /// Hours until it expires
        #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u64).range(1..=8760))]
        hours: u64,
    },
    /// List the tokens, without their secrets
    List,
    /// Make a token worthless
    Revoke {
        /// As `token list` shows it
        id: String,
    },
}

pub fn run(args: Args) -> Result<(), Failure> {
    let question = match &args.what {
        What::Create { role, hours } => {
            json!({ "ask": "token_create", "role": role, "hours": hours })
        }
        What::List => json!({ "ask": "token_list" }),
        What::Revoke { id } => json!({ "ask": "token_revoke", "id": id }),
    };
    let answer = args.here.ask(&question)?;
    if args.json {
        return print_json(&answer);
    }
    let text = |key: &str| answer[key].as_str().unwrap_or("?").to_string();
    match args.what {
        What::Create { .. } => print(&format!(
            "{}\ngood for one machine until {}; there: dolmen join TOKEN\n",
            text("token"),
            text("until")
        )),
        What::Revoke { .. } => print(&format!("{} is revoked\n", text("revoked"))),
        What::List => {
            let mut table = Table::with_columns(["id", "role", "until", "state"]);
            for token in answer.as_array().into_iter().flatten() {
                let text = |key: &str| token[key].as_str().unwrap_or("?");
                table.row([text("id"), text("role"), text("until"), text("state")]);
            }
            print(&table.to_string())
        }
    }
}
