//! `dolmen backup restore`.

use super::super::here::Here;
use super::super::table::Table;
use super::create::{self, Place, Wish};
use super::file::read_whole;
use super::stopping::Stopping;
use super::{Failure, Progress, print, print_json, size};
use crate::daemon::ask::{Talk, ask_to_agree};
use crate::daemon::backup::index::{Index, Plan};
use crate::daemon::import::codec::encode;
use crate::limits::IMPORT_FRAME_BYTES_MAX;
use serde_json::{Value, json};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub struct Args {
    /// The backup
    #[arg(value_name = "FILE", required_unless_present = "give_up")]
    file: Option<PathBuf>,
    /// Replace the znodes that are there; a backup of them is written first
    #[arg(long)]
    discard: bool,
    /// The folder for that backup, where it should not stand beside FILE
    #[arg(long, value_name = "DIR", requires = "discard")]
    keep: Option<PathBuf>,
    /// Let clients in again where a restore broke off before it removed anything;
    /// with --discard also where it did, to an empty cluster
    #[arg(long, conflicts_with_all = ["file", "keep"])]
    give_up: bool,
}

const NOTHING_YET: &str = "nothing was changed";
const HALF: &str = "the restore is half done and clients are kept out: type it again to its end";

pub fn run(args: &Args, here: &Here, as_json: bool) -> Result<(), Failure> {
    // Without a file it is to be given up: clap wants one of the two.
    let Some(path) = &args.file else {
        return give_up(args.discard, here, as_json);
    };
    let stopping = Stopping::listen(NOTHING_YET)?;
    let mut file = open(path)?;
    let plan = check(path, &mut file)?;
    let socket = here.socket()?;
    let mut talk = Talk::open_to_agree(&socket).map_err(Failure::failed)?;
    stopping.say(HALF);
    let begun = begin(&mut talk, &plan, args.discard)?;
    if begun == "restored" {
        return tell(path, &plan, &Came::already(), as_json);
    }
    let kept = match begun.as_str() {
        "held" => Some(keep(args, path, &socket, &stopping)?),
        _ => None,
    };
    stopping.say(HALF);
    let zxid = put_back(&mut talk, &plan, &file, &begun).map_err(|says| {
        Failure::failed(format!("{}; {HALF}", says.trim_end_matches(": try again")))
    })?;
    let came = Came {
        is_already: false,
        kept,
        zxid: Some(zxid),
    };
    tell(path, &plan, &came, as_json)
}

fn give_up(discards: bool, here: &Here, as_json: bool) -> Result<(), Failure> {
    let question = json!({ "ask": "restore_give_up", "discard": discards });
    let (mut answer, mut removes) = (here.ask(&question)?, false);
    while answer["stands"] == "emptying" || answer["stands"] == "filling" {
        (answer, removes) = (here.ask(&question)?, true);
    }
    let says = match removes {
        true => "given up: the cluster is empty, and clients are served\n",
        false => "given up: nothing was removed, and clients are served again\n",
    };
    match as_json {
        true => print_json(&answer),
        false => print(says),
    }
}

fn open(path: &Path) -> Result<File, Failure> {
    File::open(path).map_err(|error| Failure::failed(format!("{}: {error}", path.display())))
}

/// Reads all of it, before anything is changed.
fn check(path: &Path, file: &mut File) -> Result<Plan, Failure> {
    let all = file.metadata().map_or(0, |metadata| metadata.len());
    let progress = Progress::new("checked");
    let mut index = Index::default();
    let take = |part| index.add(part).map_err(|unsound| unsound.to_string());
    let read = read_whole(file, take, |bytes| progress.show(bytes, all));
    let plan = read.and_then(|()| index.finish().map_err(|unsound| unsound.to_string()));
    plan.map_err(|why| {
        Failure::failed(format!(
            "{} cannot be restored, and {NOTHING_YET}: {why}",
            path.display()
        ))
    })
}

fn begin(talk: &mut Talk, plan: &Plan, discards: bool) -> Result<String, Failure> {
    let begun = talk.ask(&json!({
        "ask": "restore_begin",
        "backup": plan.head.id.to_string(),
        "features": plan.head.features,
        "discard": discards,
    }));
    word(&begun.map_err(Failure::failed)?).map_err(Failure::failed)
}

/// Writes a backup of what is there. Where that fails clients go on with it.
fn keep(args: &Args, path: &Path, socket: &Path, stopping: &Stopping) -> Result<PathBuf, Failure> {
    stopping.say(
        "nothing was removed, but clients are kept out: type it again, or dolmen backup restore \
         --give-up",
    );
    let beside = path.parent().unwrap_or(Path::new(""));
    let folder = args.keep.as_deref().unwrap_or(beside);
    let wish = Wish {
        place: Place::Folder(folder.into()),
        prefix: "discarded",
        may_replace: false,
        accepts_stale: false,
    };
    let talk = Talk::open_to_agree(socket).map_err(Failure::failed);
    match talk.and_then(|mut talk| create::write(&mut talk, &wish, stopping)) {
        Ok(written) => Ok(written.path),
        Err(failure) => {
            let give_up = json!({ "ask": "restore_give_up", "discard": false });
            let given_up = ask_to_agree(socket, &give_up);
            let then = match given_up {
                Ok(_) => "so nothing was changed".to_string(),
                Err(why) => format!(
                    "so nothing was removed, but clients are kept out ({why}): dolmen backup \
                     restore --give-up lets them in"
                ),
            };
            Err(Failure::failed(format!(
                "what is here cannot be kept, {then}: {} (--keep DIR names another folder)",
                failure.message
            )))
        }
    }
}

/// From where it stands to the end; gives the zxid from which clients go on.
fn put_back(talk: &mut Talk, plan: &Plan, file: &File, begun: &str) -> Result<String, String> {
    let backup = plan.head.id.to_string();
    let mut stands = begun.to_string();
    while stands != "filling" {
        let empty = json!({ "ask": "restore_empty", "backup": backup });
        stands = word(&talk.ask(&empty).map_err(says)?)?;
    }
    let fill = json!({
        "ask": "restore_fill",
        "backup": backup,
        "nodes": plan.sums.nodes,
        "digest": plan.sums.digest,
        "zxid": format!("{:#x}", plan.head.zxid.0),
    });
    talk.ask(&fill).map_err(says)?;
    let progress = Progress::new("restored");
    let mut sent = 0;
    for batch in plan.batches(|at, bytes| read_at(file, at, bytes)) {
        let batch = batch?;
        sent += batch.len() as u64;
        let answer = talk.hand(&encode(&batch), IMPORT_FRAME_BYTES_MAX);
        let taken = answer.map_err(says)?["nodes"].as_u64();
        if taken != Some(sent) {
            return Err(format!(
                "{sent} znodes were sent and the daemon counts {taken:?}"
            ));
        }
        progress.show(sent, plan.nodes());
    }
    let end = talk.hand(&[], IMPORT_FRAME_BYTES_MAX).map_err(says)?;
    let zxid = end["zxid"]
        .as_str()
        .ok_or("the answer is of no known form")?;
    Ok(zxid.into())
}

fn read_at(file: &File, at: u64, bytes: usize) -> Result<Vec<u8>, String> {
    let mut read = vec![0; bytes];
    let done = file.read_exact_at(&mut read, at);
    done.map_err(|error| format!("byte {at}: {error}"))?;
    Ok(read)
}

fn word(answer: &Value) -> Result<String, String> {
    let word = answer["stands"].as_str();
    let word = word.ok_or("the answer is of no known form: is the daemon of another version?")?;
    Ok(word.into())
}

fn says(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// What came of it.
struct Came {
    is_already: bool,
    kept: Option<PathBuf>,
    zxid: Option<String>,
}

impl Came {
    fn already() -> Self {
        Self {
            is_already: true,
            kept: None,
            zxid: None,
        }
    }
}

fn tell(path: &Path, plan: &Plan, came: &Came, as_json: bool) -> Result<(), Failure> {
    if as_json {
        return print_json(&json!({
            "file": path,
            "already": came.is_already,
            "kept": came.kept,
            "zxid": came.zxid,
            "backup": plan.head.json(),
        }));
    }
    if came.is_already {
        return print(&format!(
            "{} was restored here before, and what came since stays: to go back to it, \
             --discard\n",
            path.display()
        ));
    }
    let head = &plan.head;
    let mut table = Table::default();
    let restored = format!(
        "{} znodes with {} of data, and the cluster's settings",
        plan.sums.nodes,
        size(plan.sums.data_bytes)
    );
    table.row(["restored", &restored]);
    let from = format!(
        "{}, made {} by node {} of cluster {} at zxid {:#x}",
        path.display(),
        head.at,
        head.node,
        head.cluster,
        head.zxid.0
    );
    table.row(["from", &from]);
    if head.is_stale {
        table.row([
            "stale",
            "it was made without a majority: later writes may be missing",
        ]);
    }
    if let Some(kept) = &came.kept {
        table.row([
            "kept",
            &format!("what was here before, in {}", kept.display()),
        ]);
    }
    let left_out = format!(
        "{} sessions and {} ephemeral znodes of that time",
        head.sessions, head.ephemerals
    );
    table.row(["left out", &left_out]);
    let zxid = came.zxid.as_deref().unwrap_or("?");
    table.row(["checked", "every znode, by the sum over all of them"]);
    table.row(["goes on", &format!("at zxid {zxid}; clients are served")]);
    print(&table.to_string())
}
