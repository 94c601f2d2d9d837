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
        ("feature level", "/features/cluster"),
        ("pid", "pid"),
        ("uptime", "uptime_s"),
        ("data", "data"),
        ("engine", "/log/engine_reason"),
        ("log", "/log/opened"),
        ("coordination", "/coordination/role"),
        ("node", "/coordination/node"),
        ("leader", "/coordination/leader"),
        ("voters", "/coordination/voters"),
        ("workers", "/coordination/learners"),
        ("certificate", "/coordination/certificate_until"),
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
    match status
        .pointer("/coordination/peers")
        .and_then(Value::as_array)
    {
        Some(list) if !list.is_empty() => text += &format!("\n{}", peers(list)),
        _ => {}
    }
    match status["events"].as_array() {
        Some(list) if !list.is_empty() => text += &format!("\n{}", events(list)),
        _ => {}
    }
    text
}

/// The other members, one a line: how each of its two connections stands.
fn peers(list: &[Value]) -> Table {
    let mut table = Table::with_columns(["peer", "control", "bulk", "dropped"]);
    let control = list.iter().filter(|peer| peer["plane"] == "control");
    for peer in control {
        let bulk = list
            .iter()
            .find(|other| other["plane"] == "bulk" && other["node"] == peer["node"]);
        let bulk = bulk.unwrap_or(&Value::Null);
        let dropped = [peer, bulk].map(|plane| plane["dropped_frames"].as_u64().unwrap_or(0));
        let node = format!("node {}", peer["node"]);
        let dropped = dropped.iter().sum::<u64>().to_string();
        table.row([&node, &connection(peer), &connection(bulk), &dropped]);
    }
    table
}

fn connection(plane: &Value) -> String {
    match plane["round_trip_us"].as_u64() {
        Some(micros) => format!("up, {}.{:03} ms", micros / 1000, micros % 1000),
        None => "down".into(),
    }
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
    fn each_peer_has_a_line() {
        let peer = |node: u64, plane: &str, round_trip: Option<u64>| json!({"node": node, "plane": plane, "round_trip_us": round_trip, "dropped_frames": 2});
        let list = [
            peer(2, "control", Some(1234)),
            peer(3, "control", None),
            peer(2, "bulk", Some(56)),
            peer(3, "bulk", None),
        ];
        let shown = "peer    control       bulk          dropped\n\
                     node 2  up, 1.234 ms  up, 0.056 ms  4\n\
                     node 3  down          down          4\n";
        assert_eq!(peers(&list).to_string(), shown);
    }

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
