//! `dolmen backup list`.

use super::super::table::Table;
use super::file::{UNFINISHED, read_whole};
use super::{Failure, Progress, print, print_json, short_id, size};
use crate::daemon::backup::codec::{Head, MAGIC, Part};
use crate::state::FEATURES;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// What a backup's file is called, where it has the name that we give it.
const ENDING: &str = ".backup";

pub fn run(places: &[PathBuf], as_json: bool) -> Result<(), Failure> {
    let here = [PathBuf::from(".")];
    let places = if places.is_empty() { &here } else { places };
    let mut files = Vec::new();
    for place in places {
        match place.is_dir() {
            true => files.extend(backups_in(place)?.into_iter().map(plain)),
            false => files.push(place.clone()),
        }
    }
    let looked: Vec<Looked> = files.into_iter().map(Looked::at).collect();
    match as_json {
        true => print_json(&looked.iter().map(Looked::json).collect::<Value>())?,
        false if looked.is_empty() => print("no backups there\n")?,
        false => print(&table(&looked))?,
    }
    let bad = looked.iter().filter(|one| one.is_bad()).count();
    match bad {
        0 => Ok(()),
        _ => Err(Failure::failed(format!(
            "{bad} of {} files cannot be restored: make new backups, and look at the medium",
            looked.len()
        ))),
    }
}

/// The files of a folder that are backups, or should be.
fn backups_in(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let failed = |error: io::Error| Failure::failed(format!("{}: {error}", folder.display()));
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let is_file = fs::metadata(&path).is_ok_and(|metadata| metadata.is_file());
        if is_file && (is_named_so(&path) || begins_so(&path)) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Without the folder where that is this one.
fn plain(path: PathBuf) -> PathBuf {
    match path.strip_prefix("./") {
        Ok(rest) => rest.into(),
        Err(_) => path,
    }
}

fn is_named_so(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.as_encoded_bytes());
    name.is_some_and(|name| name.ends_with(ENDING.as_bytes()))
}

fn begins_so(path: &Path) -> bool {
    let mut magic = [0; MAGIC.len()];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut magic));
    read.is_ok() && magic == *MAGIC
}

/// A file, read from its first byte to its last.
struct Looked {
    path: PathBuf,
    bytes: u64,
    head: Option<Head>,
    state: State,
}

enum State {
    Whole,
    /// What `backup create` left that was killed.
    Unfinished,
    /// Not there, or another's.
    Unread(String),
    Damaged(String),
}

impl Looked {
    fn at(path: PathBuf) -> Self {
        let mut looked = Self {
            bytes: 0,
            head: None,
            state: State::Whole,
            path,
        };
        if let Err(state) = looked.look() {
            looked.state = match is_unfinished(&looked.path) {
                true => State::Unfinished,
                false => state,
            };
        }
        looked
    }

    fn look(&mut self) -> Result<(), State> {
        let unread = |error: io::Error| State::Unread(error.to_string());
        let mut file = File::open(&self.path).map_err(unread)?;
        let metadata = file.metadata().map_err(unread)?;
        if !metadata.is_file() {
            return Err(State::Unread("this is no file".into()));
        }
        self.bytes = metadata.len();
        let progress = Progress::new("checked");
        let all = self.bytes;
        let take = |part| {
            if let Part::Head(head) = part {
                self.head = Some(head);
            }
            Ok(())
        };
        read_whole(&mut file, take, |bytes| progress.show(bytes, all)).map_err(State::Damaged)
    }

    fn is_bad(&self) -> bool {
        matches!(self.state, State::Damaged(_) | State::Unread(_))
    }

    fn says(&self) -> String {
        match &self.state {
            State::Unfinished => "unfinished: its making broke off, remove it".into(),
            State::Unread(why) => format!("cannot be read: {why}"),
            State::Damaged(why) => format!("damaged: {why}"),
            State::Whole => {
                let mut says = String::from("whole");
                let head = self.head.as_ref();
                if head.is_some_and(|head| head.is_stale) {
                    says += ", made without a majority";
                }
                if let Some(head) = head.filter(|head| head.features > FEATURES) {
                    says += &format!(
                        ", of feature level {} where this build knows {FEATURES}",
                        head.features
                    );
                }
                says
            }
        }
    }

    fn json(&self) -> Value {
        json!({
            "file": self.path,
            "bytes": self.bytes,
            "whole": matches!(self.state, State::Whole),
            "unfinished": matches!(self.state, State::Unfinished),
            "says": self.says(),
            "backup": self.head.as_ref().map(Head::json),
        })
    }
}

fn is_unfinished(path: &Path) -> bool {
    let name = path.as_os_str().as_encoded_bytes();
    name.ends_with(UNFINISHED.as_bytes())
}

fn table(looked: &[Looked]) -> String {
    let columns = ["file", "made", "cluster", "zxid", "znodes", "size", "state"];
    let mut table = Table::with_columns(columns);
    for one in looked {
        let shown = |text: fn(&Head) -> String| one.head.as_ref().map_or("-".into(), text);
        table.row([
            &one.path.display().to_string(),
            &shown(|head| head.at.to_string()),
            &shown(|head| short_id(&head.cluster.to_string()).into()),
            &shown(|head| format!("{:#x}", head.zxid.0)),
            &shown(|head| head.nodes.to_string()),
            &size(one.bytes),
            &one.says(),
        ]);
    }
    table.to_string()
}
