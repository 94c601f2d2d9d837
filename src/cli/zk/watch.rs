//! `dolmen zk watch`: what happens at and under a znode, as it happens.

use super::super::{Failure, print, print_json, signals};
use super::client::{Trouble, word};
use super::{Server, node_path};
use crate::ports::zookeeper::codec::{AddWatchRequest, ErrorCode, WatcherEvent, code};
use serde_json::{Value, json};
use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(clap::Args)]
pub struct Args {
    /// The znode, which need not be there yet
    #[arg(value_parser = node_path)]
    path: Box<str>,
    /// Leave after so many events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    events: Option<u64>,
    /// Print one line of JSON an event
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

/// The watch stays, and covers what is below.
const PERSISTENT_RECURSIVE: i32 = 1;

pub fn run(args: Args) -> Result<(), Failure> {
    let mut client = args.server.connect()?;
    let watch = AddWatchRequest {
        path: args.path.clone(),
        mode: PERSISTENT_RECURSIVE,
    };
    let answer: Result<ErrorCode, Trouble> = client.ask(code::ADD_WATCH, &watch);
    answer.map_err(|trouble| format!("{}: {trouble}", args.path))?;
    let is_over = Arc::new(AtomicBool::new(false));
    let handle = client.handle().map_err(Failure::failed)?;
    end_on_signal(handle, is_over.clone())
        .map_err(|error| format!("cannot wait for Ctrl-C: {error}"))?;
    let mut left = args.events;
    while left != Some(0) {
        let event = match client.next_event() {
            Ok(event) => event,
            // The connection is shut; the session goes with its timeout.
            Err(_) if is_over.load(Ordering::Acquire) => return Ok(()),
            Err(trouble) => return Err(Failure::failed(trouble)),
        };
        match args.json {
            true => print_json(&for_programs(&event))?,
            false => print(&format!("{} {}\n", word(event.kind), event.path))?,
        }
        left = left.map(|left| left - 1);
    }
    client.close().map_err(Failure::failed)
}

fn for_programs(event: &WatcherEvent) -> Value {
    json!({ "event": word(event.kind), "path": event.path })
}

/// Ends the wait for the next event.
fn end_on_signal(stream: TcpStream, is_over: Arc<AtomicBool>) -> io::Result<()> {
    signals::on_stop(move || {
        is_over.store(true, Ordering::Release);
        let _ = stream.shutdown(Shutdown::Both);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_an_object() {
        let event = WatcherEvent {
            kind: 1,
            state: 3,
            path: "/a".into(),
        };
        assert_eq!(
            for_programs(&event),
            json!({ "event": "created", "path": "/a" })
        );
    }
}
