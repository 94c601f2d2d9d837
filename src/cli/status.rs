//! `dolmen status`: how a node stands, asked over its admin socket.

use super::here::Here;
use super::table::Table;
use super::{Failure, print, print_json};
use crate::daemon::ask::ask;
use serde_json::{Value, json};

/// Show how the node on this host stands
#[derive(clap::Args)]
pub struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    here: Here,
    /// How many of the last events of the node's life to show
    #[arg(long, value_name = "N", default_value_t = 5)]
    events: usize,
}

pub fn run(args: Args) -> Result<(), Failure> {
    let socket = args.here.socket()?;
    let mut status = ask(&socket, &json!({ "ask": "status" })).map_err(Failure::failed)?;
    // A node without its log has no events to show, and is shown all the same.
    let events = json!({ "ask": "chronicle", "last": args.events });
    status["events"] = ask(&socket, &events).unwrap_or_default();
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
        ("engine", "/log/engine_reason"),
        ("log", "/log/opened"),
        ("coordination", "/coordination/role"),
        ("node", "/coordination/node"),
        ("leader", "/coordination/leader"),
        ("voters", "/coordination/voters"),
        ("zxid", "/coordination/zxid"),
        ("nodes", "/coordination/nodes"),
        ("sessions", "/coordination/sessions"),
    ] {
        let value = match key.starts_with('/') {
            true => status.pointer(key).unwrap_or(&Value::Null),
            false => &status[key],
        };
        match value {
            Value::Null => {}
            Value::String(text) => node.row([name, text]),
            seconds if key.ends_with("_s") => node.row([name, &format!("{seconds} s")]),
            number => node.row([name, &number.to_string()]),
        }
    }
    for warning in status["warnings"].as_array().into_iter().flatten() {
        node.row(["warning", warning.as_str().unwrap_or("?")]);
    }
    let mut text = format!("{node}\n{}", doors(status));
    match status["events"].as_array() {
        Some(list) if !list.is_empty() => text += &format!("\n{}", events(list)),
        _ => {}
    }
    text
}

/// The chronicle's last records, one a line.
fn events(list: &[Value]) -> Table {
    let mut table = Table::with_columns(["event", "time", "what happened"]);
    for event in list {
        let index = event["index"].to_string();
        let text = |key: &str| event[key].as_str().unwrap_or("?");
        table.row([&index, text("at"), text("says")]);
    }
    table
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
            "log": {"engine_reason": "threads: as configured", "opened": "a new data folder"},
            "warnings": ["no reserve is held"],
            "events": [{"index": 3, "at": "2026-02-03T04:05:06Z", "says": "stopping: SIGTERM"}],
        });
        let shown = "state    serving\nversion  0.1.0\npid      7\nuptime   12 s\ndata     /d\n\
                     engine   threads: as configured\nlog      a new data folder\n\
                     warning  no reserve is held\n\n\
                     door      address\noperator  127.0.0.1:7080\n\n\
                     event  time                  what happened\n\
                     3      2026-02-03T04:05:06Z  stopping: SIGTERM\n";
        assert_eq!(for_people(&status), shown);
    }
}
