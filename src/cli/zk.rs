//! `dolmen zk`: a client of the ZooKeeper door, or of any server that speaks
//! the protocol.

mod acl;
mod create;
mod data;
mod get;
mod ls;
mod quota;
mod rm;
mod set;
mod show;
mod stat;
mod watch;

pub(super) use show::{hex, open_to_all};

use super::Failure;
use super::client::{self, Server};

/// Read, write and watch znodes
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List the children of a znode
    Ls(ls::Args),
    /// Print the data of a znode
    Get(get::Args),
    /// Create a znode and print its path
    Create(create::Args),
    /// Set the data of a znode
    Set(set::Args),
    /// Remove a znode
    Rm(rm::Args),
    /// Show the figures of a znode
    Stat(stat::Args),
    /// Print what happens at and under a znode, until Ctrl-C
    Watch(watch::Args),
    /// Show or set who may do what with a znode
    Acl(acl::Args),
    /// Show, set or remove the quota of a znode
    Quota(quota::Args),
}

pub fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Ls(args) => ls::run(args),
        Command::Get(args) => get::run(args),
        Command::Create(args) => create::run(args),
        Command::Set(args) => set::run(args),
        Command::Rm(args) => rm::run(args),
        Command::Stat(args) => stat::run(args),
        Command::Watch(args) => watch::run(args),
        Command::Acl(args) => acl::run(args),
        Command::Quota(args) => quota::run(args),
    }
}

/// The path of a node as people type it. What it may hold beyond this is for
/// the server to say.
pub(super) fn node_path(text: &str) -> Result<Box<str>, String> {
    if !text.starts_with('/') {
        return Err(format!("a znode's path begins with /: /{text}"));
    }
    match text.strip_suffix('/') {
        Some("") | None => Ok(text.into()),
        Some(trimmed) => Err(format!("a znode's path does not end with /: {trimmed}")),
    }
}

pub(super) fn joined(parent: &str, name: &str) -> Box<str> {
    match parent {
        "/" => format!("/{name}").into(),
        _ => format!("{parent}/{name}").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_checked_as_far_as_people_mistype_them() {
        assert_eq!(node_path("/"), Ok("/".into()));
        assert_eq!(node_path("/a/b"), Ok("/a/b".into()));
        assert_eq!(
            node_path("a").unwrap_err(),
            "a znode's path begins with /: /a"
        );
        assert!(node_path("/a/").is_err());
        assert_eq!(&*joined("/", "a"), "/a");
        assert_eq!(&*joined("/a", "b"), "/a/b");
    }
}
