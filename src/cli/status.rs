//! `dolmen status`: how a node stands, asked over its admin socket.

use super::table::Table;
use super::{Failure, dev, print, print_json};
use crate::daemon::ask::ask;
use crate::daemon::compose::{self, Sources};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Show how the node on this host stands
#[derive(clap::Args)]
pub struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// The daemon's admin socket, where it is not the standard one
    #[arg(long, value_name = "PATH", conflicts_with = "data")]
    socket: Option<PathBuf>,
    /// The data folder of `dolmen dev`
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

pub fn run(args: Args) -> Result<(), Failure> {
    let socket = match (args.socket, args.data) {
        (Some(socket), _) => socket,
        (None, Some(data)) => dev::admin_socket(&data),
        (None, None) => compose::load(&Sources::default())?.config.admin_socket,
    };
    let status = ask(&socket, &json!({ "ask": "status" })).map_err(Failure::failed)?;
    match args.json {
        true => print_json(&status),
        false => print(&for_people(&status)),
    }
}

fn for_people(status: &Value) -> String {
    let mut node = Table::default();
    for (name, key) in [
        ("state", "state"),
        ("reason", "reason"),
        ("version", "version"),
        ("pid", "pid"),
        ("uptime", "uptime_s"),
        ("data", "data"),
    ] {
        match &status[key] {
            Value::Null => {}
            Value::String(text) => node.row([name, text]),
            seconds if key.ends_with("_s") => node.row([name, &format!("{seconds} s")]),
            number => node.row([name, &number.to_string()]),
        }
    }
    format!("{node}\n{}", doors(status))
}

/// The doors of a status, one a line.
pub(super) fn doors(status: &Value) -> Table {
    let mut table = Table::with_columns(["door", "address"]);
    for (door, address) in status["doors"].as_object().into_iter().flatten() {
        table.row([door, address.as_str().unwrap_or("?")]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_reads_units_and_no_empty_lines_of_facts() {
        let status = json!({
            "state": "serving", "reason": null, "version": "0.1.0", "pid": 7,
            "uptime_s": 12, "data": "/d", "doors": {"operator": "127.0.0.1:7080"},
        });
        let shown = "state    serving\nversion  0.1.0\npid      7\nuptime   12 s\ndata     /d\n\n\
                     door      address\noperator  127.0.0.1:7080\n";
        assert_eq!(for_people(&status), shown);
    }
}
