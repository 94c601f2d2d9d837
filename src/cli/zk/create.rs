//! `dolmen zk create`: a new znode.

use super::super::{Failure, print, print_json};
use super::show::{entry, open_to_all, stat_for_programs};
use super::{Server, data, node_path};
use crate::ports::zookeeper::codec::{CreateRequest, CreateTtlRequest, CreatedWithStat, code};
use crate::state::{Acl, AclEntry};
use serde_json::json;

#[derive(clap::Args)]
pub struct Args {
    /// The znode; its parent must be there
    #[arg(value_parser = create_path)]
    path: Box<str>,
    /// Its data: text, @FILE, or - for standard input
    #[arg(default_value = "", allow_hyphen_values = true)]
    data: String,
    /// Add the next number of the parent to the name
    #[arg(short, long)]
    sequential: bool,
    /// Not to be had: an ephemeral znode goes when this command leaves
    #[arg(short, long)]
    ephemeral: bool,
    /// Remove it when its last child goes
    #[arg(short, long, conflicts_with_all = ["sequential", "ttl"])]
    container: bool,
    /// Remove it when it has no children and was not changed for so long
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(i64).range(1..1 << 40))]
    ttl: Option<i64>,
    /// Who may do what, as scheme:id:cdrwa; may be repeated
    #[arg(long, value_parser = entry, default_value = "world:anyone:cdrwa")]
    acl: Vec<AclEntry>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

/// With a number to follow, a name may be empty: `/queue/` becomes
/// `/queue/0000000007`.
fn create_path(text: &str) -> Result<Box<str>, String> {
    match text.strip_suffix('/') {
        Some(parent) if parent.starts_with('/') => Ok(text.into()),
        _ => node_path(text),
    }
}

mod flag {
    pub const PERSISTENT: i32 = 0;
    pub const SEQUENTIAL: i32 = 2;
    pub const CONTAINER: i32 = 4;
    pub const TTL: i32 = 5;
    pub const SEQUENTIAL_TTL: i32 = 6;
}

pub fn run(args: Args) -> Result<(), Failure> {
    if args.ephemeral {
        return Err(Failure::wrong_usage(
            "an ephemeral znode lives as long as its client, and this one leaves at once; use a \
             client that stays, or --ttl MS for a znode that goes by itself",
        ));
    }
    if args.path.ends_with('/') && !args.sequential {
        return Err(Failure::wrong_usage(
            "a znode's path does not end with /, but with --sequential",
        ));
    }
    let data = data::read(&args.data)?;
    let acl: Acl = match args.acl.is_empty() {
        true => open_to_all(),
        false => args.acl.clone(),
    };
    let (operation, flags) = kind(&args);
    let path = args.path.clone();
    let CreatedWithStat { path, stat } = match args.ttl {
        Some(ttl_ms) => {
            let create = CreateTtlRequest {
                path,
                data,
                acl,
                flags,
                ttl_ms,
            };
            args.server.ask_about(&args.path, operation, &create)?
        }
        None => {
            let create = CreateRequest {
                path,
                data,
                acl,
                flags,
            };
            args.server.ask_about(&args.path, operation, &create)?
        }
    };
    match args.json {
        true => print_json(&json!({ "path": path, "stat": stat_for_programs(&stat) })),
        false => print(&format!("{path}\n")),
    }
}

fn kind(args: &Args) -> (i32, i32) {
    match (args.ttl, args.container, args.sequential) {
        (Some(_), _, true) => (code::CREATE_TTL, flag::SEQUENTIAL_TTL),
        (Some(_), _, false) => (code::CREATE_TTL, flag::TTL),
        (None, true, _) => (code::CREATE_CONTAINER, flag::CONTAINER),
        (None, false, true) => (code::CREATE2, flag::SEQUENTIAL),
        (None, false, false) => (code::CREATE2, flag::PERSISTENT),
    }
}
