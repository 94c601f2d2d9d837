//! `dolmen zk get`: the data of a znode.

use super::super::{Failure, print, print_json};
use super::show::{data_for_programs, printable, stat_for_programs};
use super::{Server, node_path};
use crate::ports::zookeeper::codec::{DataWithStat, Watched, code};
use serde_json::json;
use std::io::{self, Write};

#[derive(clap::Args)]
pub struct Args {
    /// The znode
    #[arg(value_parser = node_path)]
    path: Box<str>,
    /// Write the bytes as they are, and nothing else
    #[arg(long, conflicts_with = "json")]
    raw: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

pub fn run(args: Args) -> Result<(), Failure> {
    let asked = Watched {
        path: args.path.clone(),
        watch: false,
    };
    let answer = args.server.ask_about(&args.path, code::GET_DATA, &asked)?;
    let DataWithStat { data, stat } = answer;
    if args.raw {
        return raw(&data);
    }
    if args.json {
        let mut shown = data_for_programs(&data);
        shown["path"] = json!(args.path);
        shown["stat"] = stat_for_programs(&stat);
        return print_json(&shown);
    }
    match printable(&data) {
        Some(text) if text.is_empty() || text.ends_with('\n') => print(text),
        Some(text) => print(&format!("{text}\n")),
        None => Err(Failure::failed(format!(
            "{}: {} bytes that are no text; --raw writes them, --json shows them in base64",
            args.path,
            data.len()
        ))),
    }
}

fn raw(data: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(data).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::failed(format!("cannot print: {error}")))
        }
        _ => Ok(()),
    }
}
