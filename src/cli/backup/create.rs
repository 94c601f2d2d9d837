//! `dolmen backup create`.

use super::super::here::Here;
use super::super::table::Table;
use super::file::{NewFile, may_write};
use super::stopping::Stopping;
use super::{Failure, Progress, print, print_json, short_id, size};
use crate::clock::Millis;
use crate::daemon::ask::{Talk, Unanswered};
use crate::daemon::backup::codec::{Head, Part, Reading};
use crate::daemon::backup::{Piece, ask_for, hear_piece};
use crate::state::snapshot::backup::Sums;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub struct Args {
    /// The file to write, or a folder for one with a name of its own [default:
    /// the current folder]
    #[arg(short, long, value_name = "FILE|DIR")]
    output: Option<PathBuf>,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
    /// Where no majority answers, take what this node has, though others may
    /// know more
    #[arg(long)]
    accept_stale: bool,
}

pub fn run(args: &Args, here: &Here, as_json: bool) -> Result<(), Failure> {
    let output = args.output.as_deref().unwrap_or(Path::new(""));
    let place = Place::of(output);
    if let Place::File(file) = &place {
        may_write(file, args.force)?;
    }
    let stopping = Stopping::listen("nothing was written")?;
    let mut talk = Talk::open_to_agree(&here.socket()?).map_err(Failure::failed)?;
    let wish = Wish {
        place,
        prefix: "dolmen",
        may_replace: args.force,
        accepts_stale: args.accept_stale,
    };
    let written = write(&mut talk, &wish, &stopping)?;
    match as_json {
        true => print_json(&written.json()),
        false => print(&written.table()),
    }
}

/// Where a backup goes.
pub enum Place {
    File(PathBuf),
    Folder(PathBuf),
}

impl Place {
    fn of(output: &Path) -> Self {
        let is_here = output.as_os_str().is_empty();
        let is_folder =
            is_here || output.is_dir() || output.as_os_str().as_encoded_bytes().ends_with(b"/");
        match is_folder {
            true => Self::Folder(output.into()),
            false => Self::File(output.into()),
        }
    }

    fn path(&self, prefix: &str, head: &Head) -> PathBuf {
        match self {
            Self::File(file) => file.clone(),
            Self::Folder(folder) => folder.join(name(prefix, head)),
        }
    }
}

/// Which cluster, how far, and when: `dolmen-1f2e3d4c-0x10000002a-20260203T040506Z.backup`.
fn name(prefix: &str, head: &Head) -> String {
    let cluster = head.cluster.to_string();
    let at: String = compact(head.at);
    format!(
        "{prefix}-{}-{:#x}-{at}.backup",
        short_id(&cluster),
        head.zxid.0
    )
}

fn compact(at: Millis) -> String {
    let at = at.to_string();
    at.chars().filter(|one| !matches!(one, '-' | ':')).collect()
}

/// What is to be written, and how.
pub struct Wish {
    pub place: Place,
    pub prefix: &'static str,
    pub may_replace: bool,
    pub accepts_stale: bool,
}

/// A backup that is on the disk under its name.
pub struct Written {
    pub path: PathBuf,
    pub head: Head,
    sums: Sums,
    bytes: u64,
}

/// Has the daemon make a backup, and writes it down.
pub fn write(talk: &mut Talk, wish: &Wish, stopping: &Stopping) -> Result<Written, Failure> {
    ask_for(talk, wish.accepts_stale).map_err(Failure::failed)?;
    let mut arriving = Arriving::default();
    let progress = Progress::new("written");
    let mut file = None;
    while let Piece::Bytes(piece) = hear_piece(talk).map_err(broken_off)? {
        arriving.take(&piece)?;
        // The first piece is the head, and names the file.
        let head = arriving.head.as_ref();
        let head = head.ok_or_else(|| damaged("no head comes first"))?;
        let file = match &mut file {
            Some(file) => file,
            None => {
                let path = wish.place.path(wish.prefix, head);
                file.insert((NewFile::begin(&path, wish.may_replace, stopping)?, path))
            }
        };
        file.0.write(&piece)?;
        progress.show(arriving.nodes_about, head.nodes);
    }
    drop(progress);
    let (head, sums) = arriving.whole()?;
    let (file, path) = file.ok_or_else(|| Failure::failed("the daemon sent nothing"))?;
    let bytes = file.finish()?;
    let written = Written {
        path,
        head,
        sums,
        bytes,
    };
    written.tell(talk);
    Ok(written)
}

fn broken_off(why: Unanswered) -> Failure {
    match why {
        Unanswered::Refused(says) => Failure::failed(says),
        other => Failure::failed(format!("nothing was written: {other}")),
    }
}

/// Checks what comes as if it were read from a file.
#[derive(Default)]
struct Arriving {
    reading: Reading,
    head: Option<Head>,
    sums: Option<Sums>,
    nodes_about: u64,
}

impl Arriving {
    fn take(&mut self, piece: &[u8]) -> Result<(), Failure> {
        self.reading.add(piece);
        while let Some(part) = self.reading.next_part().map_err(damaged)? {
            match part {
                Part::Head(head) => self.head = Some(head),
                Part::Frame { .. } => {
                    self.nodes_about += crate::limits::BACKUP_NODES_PER_SLICE as u64
                }
                Part::End(sums) => self.sums = Some(sums),
            }
        }
        Ok(())
    }

    fn whole(self) -> Result<(Head, Sums), Failure> {
        self.reading.end().map_err(damaged)?;
        let whole = self.head.zip(self.sums);
        whole.ok_or_else(|| Failure::failed("the daemon sent no whole backup"))
    }
}

fn damaged(damage: impl std::fmt::Display) -> Failure {
    Failure::failed(format!(
        "what the daemon sent is damaged ({damage}): nothing was written, try again"
    ))
}

impl Written {
    /// For the node's chronicle. The file is there whatever comes of it.
    fn tell(&self, talk: &mut Talk) {
        let path = std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone());
        let told = talk.ask(&json!({
            "ask": "backup_written",
            "path": path.display().to_string(),
            "zxid": format!("{:#x}", self.head.zxid.0),
            "nodes": self.sums.nodes,
            "bytes": self.bytes,
        }));
        if let Err(why) = told {
            eprintln!("dolmen: the backup is written, but not in the node's chronicle: {why}");
        }
    }

    pub fn json(&self) -> Value {
        json!({
            "file": self.path,
            "bytes": self.bytes,
            "data_bytes": self.sums.data_bytes,
            "backup": self.head.json(),
        })
    }

    fn table(&self) -> String {
        let head = &self.head;
        let mut table = Table::default();
        table.row(["backup", &self.path.display().to_string()]);
        let made = format!(
            "{} by node {} of cluster {}",
            head.at, head.node, head.cluster
        );
        table.row(["made", &made]);
        if head.is_stale {
            table.row([
                "stale",
                "no majority answered: other nodes may know of later writes",
            ]);
        }
        let holds = format!(
            "{} znodes with {} of data, as of zxid {:#x}",
            self.sums.nodes,
            size(self.sums.data_bytes),
            head.zxid.0
        );
        table.row(["holds", &holds]);
        let left_out = format!(
            "{} sessions, {} ephemeral znodes, members, tokens, keys",
            head.sessions, head.ephemerals
        );
        table.row(["left out", &left_out]);
        table.row(["size", &size(self.bytes)]);
        table.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Index, NodeId, Uid, Zxid};

    #[test]
    fn a_name_tells_which_cluster_how_far_and_when() {
        let head = Head {
            id: Uid([1; 16]),
            cluster: Uid([0xab; 16]),
            node: NodeId(1),
            zxid: Zxid(0x1_0000_002a),
            log_index: Index(7),
            at: Millis(951_782_400_000),
            version: "0.1.0".into(),
            features: 1,
            is_stale: false,
            nodes: 1,
            ephemerals: 0,
            sessions: 0,
        };
        assert_eq!(
            name("dolmen", &head),
            "dolmen-abababab-0x10000002a-20000229T000000Z.backup"
        );
    }
}
