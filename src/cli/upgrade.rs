//! `dolmen upgrade`: the feature level of the cluster, and raising it.

use super::here::Here;
use super::table::Table;
use super::{Failure, print, print_json};
use crate::state::FEATURES;
use serde_json::{Value, json};

/// Show what each member's release knows, and make a new release's way final
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
    /// Show the feature level that is written, and what each member knows
    Status,
    /// Raise the level to what all members know; from then on there is no way back
    Finalize,
    /// Print the level that this build knows, without a daemon
    Supports,
}

pub fn run(args: Args) -> Result<(), Failure> {
    let (answer, says) = match args.what {
        What::Status => {
            let answer = args.here.ask(&json!({ "ask": "upgrade_status" }))?;
            let says = for_people(&answer);
            (answer, says)
        }
        What::Finalize => {
            let answer = args.here.ask(&json!({ "ask": "upgrade_finalize" }))?;
            let level = &answer["level"];
            let says = match answer["already"] == true {
                true => format!("already at level {level}\n"),
                false => format!(
                    "the cluster is at level {level} now: releases that know less cannot be put \
                     back\n"
                ),
            };
            (answer, says)
        }
        What::Supports => (json!({ "supports": FEATURES }), format!("{FEATURES}\n")),
    };
    match args.json {
        true => print_json(&answer),
        false => print(&says),
    }
}

fn for_people(status: &Value) -> String {
    let mut table = Table::with_columns(["node", "role", "state", "version", "knows level"]);
    for member in status["members"].as_array().into_iter().flatten() {
        let mut state = match member["heard"] == true {
            true => "up".to_string(),
            false => "not heard of".to_string(),
        };
        if member["leads"] == true {
            state += ", leads";
        }
        if member["here"] == true {
            state += ", this one";
        }
        let text = |key: &str| member[key].as_str().unwrap_or("-");
        let knows = member["supports"].as_u64();
        let knows = knows.map_or("-".into(), |level| level.to_string());
        let node = member["node"].to_string();
        table.row([&node, text("role"), &state, text("version"), &knows]);
    }
    let (level, to) = (&status["level"], &status["to"]);
    let next = match status["in_the_way"].as_str() {
        Some(why) => why.to_string(),
        None if status["is_due"] != true => "there is nothing to raise".to_string(),
        None => format!("dolmen upgrade finalize raises it to {to}, for good"),
    };
    format!("{table}\nthe cluster is at level {level}: {next}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(to: u64, in_the_way: Option<&str>) -> Value {
        json!({
            "level": 1, "to": to, "is_due": to > 1, "in_the_way": in_the_way,
            "members": [
                {"node": 1, "role": "voter", "version": "0.2.0", "supports": 2, "heard": true,
                 "leads": true, "here": true},
                {"node": 2, "role": "learner", "version": null, "supports": null, "heard": false,
                 "leads": false, "here": false},
            ],
        })
    }

    #[test]
    fn a_person_sees_who_knows_what_and_what_comes_next() {
        let table = "node  role     state                version  knows level\n\
                     1     voter    up, leads, this one  0.2.0    2\n\
                     2     learner  not heard of         -        -\n\n\
                     the cluster is at level 1: ";
        for (to, in_the_way, next) in [
            (1, None, "there is nothing to raise"),
            (2, None, "dolmen upgrade finalize raises it to 2, for good"),
            (2, Some("node 2 is missing"), "node 2 is missing"),
        ] {
            assert_eq!(
                for_people(&status(to, in_the_way)),
                format!("{table}{next}\n")
            );
        }
    }
}
