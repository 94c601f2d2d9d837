//! `dolmen zk acl`: who may do what with a znode.

use super::super::{Failure, print, print_json};
use super::show::{acl_entry, acl_for_programs, entry};
use super::{Server, node_path};
use crate::ports::zookeeper::codec::{AclWithStat, OfPath, OfStat, SetAclRequest, code};
use crate::state::{Acl, AclEntry};
use serde_json::json;

#[derive(clap::Args)]
pub struct Args {
    /// The znode
    #[arg(value_parser = node_path)]
    path: Box<str>,
    /// Set the list to these entries, as scheme:id:cdrwa; may be repeated
    #[arg(long, value_name = "ENTRY", value_parser = entry)]
    set: Vec<AclEntry>,
    /// Set it only where the list has this version
    #[arg(
        long,
        value_name = "N",
        default_value_t = -1,
        allow_hyphen_values = true,
        requires = "set"
    )]
    version: i32,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

pub fn run(args: Args) -> Result<(), Failure> {
    let mut client = args.server.connect()?;
    let about = |trouble| format!("{}: {trouble}", args.path);
    if !args.set.is_empty() {
        let request = SetAclRequest {
            path: args.path.clone(),
            acl: args.set.clone(),
            version: args.version,
        };
        client
            .ask::<OfStat>(code::SET_ACL, &request)
            .map_err(about)?;
    }
    let asked = OfPath {
        path: args.path.clone(),
    };
    // Who has just taken the right to read from everybody is done all the same.
    let answer = client.ask::<AclWithStat>(code::GET_ACL, &asked);
    let acl: Acl = match answer {
        Err(_) if !args.set.is_empty() => args.set.clone(),
        answer => answer.map_err(about)?.acl,
    };
    client.close().map_err(Failure::failed)?;
    match args.json {
        true => print_json(&json!({ "path": args.path, "acl": acl_for_programs(&acl) })),
        false => {
            let lines = acl.iter().map(|entry| format!("{}\n", acl_entry(entry)));
            print(&lines.collect::<String>())
        }
    }
}
