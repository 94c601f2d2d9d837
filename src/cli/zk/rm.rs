//! `dolmen zk rm`: znodes go, with -R their children first.

use super::super::{Failure, print_json};
use super::client::{Client, Trouble};
use super::{Server, ls, node_path};
use crate::ports::zookeeper::codec::{AtVersion, Multi, MultiResults, Part, code};
use crate::ports::zookeeper::errors;
use serde_json::json;

/// Nodes of one multi. Paths of 500 bytes keep it a tenth of the default frame;
/// a wider one would hold up others for no gain.
const PER_MULTI: usize = 200;
/// The bytes of their paths, for paths that are longer than people's.
const PATH_BYTES_PER_MULTI: usize = 256 << 10;
/// Rounds in which children that others create meanwhile are looked for again.
const ROUNDS_MAX: usize = 10;

#[derive(clap::Args)]
pub struct Args {
    /// The znode
    #[arg(value_parser = node_path)]
    path: Box<str>,
    /// Remove everything under it first
    #[arg(short = 'R', long)]
    recursive: bool,
    /// Remove it only where it has this version
    #[arg(
        long,
        value_name = "N",
        default_value_t = -1,
        allow_hyphen_values = true,
        conflicts_with = "recursive"
    )]
    version: i32,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

pub fn run(args: Args) -> Result<(), Failure> {
    if args.recursive && &*args.path == "/" {
        return Err(Failure::wrong_usage(
            "/ stays, and what the system owns under it: name what is to go",
        ));
    }
    let mut client = args.server.connect()?;
    let removed = match args.recursive {
        true => remove_all(&mut client, &args.path),
        false => remove(&mut client, &args.path, args.version).map(|()| 1),
    };
    let removed = removed.map_err(|trouble| format!("{}: {trouble}", args.path))?;
    client.close().map_err(Failure::failed)?;
    match args.json {
        true => print_json(&json!({ "path": args.path, "removed": removed })),
        false => Ok(()),
    }
}

fn remove(client: &mut Client, path: &str, version: i32) -> Result<(), Trouble> {
    let path = path.into();
    client.ask(code::DELETE, &AtVersion { path, version })
}

/// Others may create children while this removes: then it looks again.
fn remove_all(client: &mut Client, top: &str) -> Result<u64, Trouble> {
    let mut removed = 0;
    for round in 1.. {
        let mut paths = ls::under(client, top)?;
        paths.insert(0, top.into());
        // Children stand behind their parents.
        paths.reverse();
        match remove_listed(client, &paths, &mut removed) {
            Err(trouble) if trouble.is(errors::NOT_EMPTY) && round < ROUNDS_MAX => {}
            done => return done.map(|()| removed),
        }
    }
    unreachable!("the last round returns")
}

fn remove_listed(
    client: &mut Client,
    paths: &[Box<str>],
    removed: &mut u64,
) -> Result<(), Trouble> {
    let mut rest = paths;
    while !rest.is_empty() {
        let (batch, behind) = rest.split_at(batch_length(rest));
        match remove_together(client, batch) {
            Ok(()) => *removed += batch.len() as u64,
            // Somebody else has removed one: then each by itself.
            Err(trouble) if trouble.is(errors::NO_NODE) => {
                *removed += remove_each(client, batch)?;
            }
            Err(trouble) => return Err(trouble),
        }
        rest = behind;
    }
    Ok(())
}

fn batch_length(paths: &[Box<str>]) -> usize {
    let mut bytes = 0;
    let fits = paths.iter().take(PER_MULTI).take_while(|path| {
        bytes += path.len();
        bytes <= PATH_BYTES_PER_MULTI
    });
    fits.count().max(1)
}

fn remove_together(client: &mut Client, paths: &[Box<str>]) -> Result<(), Trouble> {
    let parts = paths.iter().map(|path| {
        Part::Delete(AtVersion {
            path: path.clone(),
            version: -1,
        })
    });
    let multi = Multi {
        parts: parts.collect(),
    };
    let MultiResults { results } = client.ask(code::MULTI, &multi)?;
    use crate::ports::zookeeper::codec::PartResult;
    let refused = results.iter().find_map(|result| match result {
        // Those that were not reached say nothing of why.
        PartResult::Error(code) if !matches!(*code, errors::OK | errors::RUNTIME_INCONSISTENCY) => {
            Some(*code)
        }
        _ => None,
    });
    refused.map_or(Ok(()), |code| Err(Trouble::Refused(code)))
}

fn remove_each(client: &mut Client, paths: &[Box<str>]) -> Result<u64, Trouble> {
    let mut removed = 0;
    for path in paths {
        match remove(client, path, -1) {
            Ok(()) => removed += 1,
            Err(trouble) if trouble.is(errors::NO_NODE) => {}
            Err(trouble) => return Err(trouble),
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_bounded_in_number_and_bytes_and_never_empty() {
        let short: Vec<Box<str>> = (0..500).map(|n| format!("/a/{n}").into()).collect();
        assert_eq!(batch_length(&short), PER_MULTI);
        assert_eq!(batch_length(&short[..3]), 3);
        let long: Vec<Box<str>> = vec!["x".repeat(PATH_BYTES_PER_MULTI / 2).into(); 5];
        assert_eq!(batch_length(&long), 2);
        let huge: Vec<Box<str>> = vec!["x".repeat(PATH_BYTES_PER_MULTI * 2).into()];
        assert_eq!(batch_length(&huge), 1);
    }
}
