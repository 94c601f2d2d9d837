//! `dolmen support-bundle`: one file with what somebody far away needs to help,
//! and nothing of anybody's data or secrets.

mod archive;
mod bounded;
mod bundle;
mod folder;
mod http;
mod node;
mod parts;
mod redact;
mod unit;

use super::here::Here;
use super::{Failure, print, print_json};
use crate::clock::{Clock, MachineClock, Millis};
use bundle::Bundle;
use node::Node;
use redact::Redactor;
use serde_json::json;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Gather in one file what somebody who helps you needs to know
///
/// Made for when things are broken: what cannot be had (the daemon is down, the
/// settings are refused, this user may not look) is listed in the bundle with
/// the reason, and the rest is there. Root sees most; a member of the group
/// dolmen sees enough.
///
/// No path or data of a znode, no key, password or token and no comment of a
/// settings file goes in. Names of machines, addresses and sizes do: look
/// through it before you send it.
#[derive(clap::Args)]
pub struct Args {
    /// Write to FILE, which must not be there yet, or into a folder [default:
    /// dolmen-support-HOST-DATE.tar.gz here]
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The node's settings, where they are not at the standard place
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    config: Option<PathBuf>,
    /// The unit that runs the node
    #[arg(long, value_name = "NAME", default_value = "dolmen.service")]
    unit: String,
    #[command(flatten)]
    here: Here,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> Result<(), Failure> {
    if args.unit.starts_with('-') {
        return Err(Failure::wrong_usage(format!(
            "{} is no unit's name",
            args.unit
        )));
    }
    let named = args.config.clone().or_else(|| args.here.dev_settings());
    if let Some(file) = named.filter(|file| fs::symlink_metadata(file).is_err()) {
        return Err(Failure::failed(format!(
            "there are no settings of a node at {}: name another place",
            file.display()
        )));
    }
    let clock = MachineClock::new();
    let began = clock.now();
    let host = host();
    let folder = format!("dolmen-support-{host}-{}", stamp(began));
    let target = Target::of(args.out, &folder);
    // Before the work: it would be for nothing.
    target.check()?;

    let node = Arc::new(Node::look(&args.here, args.config, &args.unit));
    let mut head = vec![
        format!(
            "made:          {began}, by dolmen {}",
            env!("CARGO_PKG_VERSION")
        ),
        format!("host:          {host}"),
    ];
    head.extend(node.told());
    let raw = parts::gather(&node, &clock);
    let redactor = Redactor::new(node.secrets());
    let bundle = Bundle::of(began, head, raw, &redactor);

    let bytes = bundle.archive(&folder).map_err(Failure::failed)?;
    let written = target.write(&bytes)?;
    if args.json {
        let mut list = bundle.json();
        list["file"] = json!(written);
        list["bytes"] = json!(bytes.len());
        return print_json(&list);
    }
    print(&format!(
        "{}\n{} ({} KiB); look through it before you send it\n",
        bundle.table(),
        written.display(),
        bytes.len().div_ceil(1024),
    ))
}

/// The machine's name, as far as it fits the name of a file.
fn host() -> String {
    const LENGTH_MAX: usize = 40;
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let is_plain = |letter: &char| letter.is_ascii_alphanumeric() || *letter == '-';
    let name: String = name.chars().filter(is_plain).take(LENGTH_MAX).collect();
    match name.is_empty() {
        true => "host".into(),
        false => name,
    }
}

/// `20260203T040506Z`.
fn stamp(now: Millis) -> String {
    now.to_string().replace(['-', ':'], "")
}

/// Where the bundle goes.
enum Target {
    /// A name that the person has chosen.
    Named(PathBuf),
    /// A name of ours in a folder: the next free one is taken.
    In(PathBuf, String),
}

impl Target {
    fn of(out: Option<PathBuf>, name: &str) -> Self {
        match out {
            Some(out) if !out.is_dir() => Self::Named(out),
            out => Self::In(out.unwrap_or_default(), name.into()),
        }
    }

    fn candidates(&self) -> Vec<PathBuf> {
        match self {
            Self::Named(path) => vec![path.clone()],
            Self::In(folder, name) => {
                let numbered = (2..10).map(|n| format!("{name}-{n}.tar.gz"));
                let names = std::iter::once(format!("{name}.tar.gz")).chain(numbered);
                names.map(|name| folder.join(name)).collect()
            }
        }
    }

    fn check(&self) -> Result<(), Failure> {
        match self {
            Self::Named(path) if fs::symlink_metadata(path).is_ok() => Err(is_there(path)),
            _ => Ok(()),
        }
    }

    /// A reader finds the whole bundle or none, and nothing that was there is
    /// written over: the name is taken first, and what is moved to it is whole.
    fn write(&self, bytes: &[u8]) -> Result<PathBuf, Failure> {
        let candidates = self.candidates();
        let unfinished = {
            let mut name = candidates[0].as_os_str().to_owned();
            name.push(format!(".{}.part", std::process::id()));
            PathBuf::from(name)
        };
        let outcome = write_new(&unfinished, bytes)
            .map_err(|error| cannot(&unfinished, &error))
            .and_then(|()| move_to_first_free(&unfinished, &candidates));
        if outcome.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        outcome
    }
}

fn move_to_first_free(unfinished: &Path, candidates: &[PathBuf]) -> Result<PathBuf, Failure> {
    for path in candidates {
        match write_new(path, &[]) {
            Ok(()) => {
                let moved = fs::rename(unfinished, path);
                return match moved {
                    Ok(()) => Ok(path.clone()),
                    Err(error) => {
                        let _ = fs::remove_file(path);
                        Err(cannot(path, &error))
                    }
                };
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(cannot(path, &error)),
        }
    }
    Err(is_there(&candidates[0]))
}

/// For its owner alone, and not there before.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn is_there(path: &Path) -> Failure {
    Failure::failed(format!(
        "{} is there already: name another file with -o",
        path.display()
    ))
}

fn cannot(path: &Path, error: &io::Error) -> Failure {
    Failure::failed(format!(
        "cannot write {} ({error}): name a place that this user may write to with -o FILE",
        path.display()
    ))
}
