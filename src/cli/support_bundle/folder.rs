//! A data folder from outside: what lies in it, and what the heads of its files
//! say. Nothing of a record, and nothing of `tls/`, is read.

use super::bundle::{Body, Piece};
use super::redact::{Counts, Kind};
use crate::cli::table::Table;
use crate::clock::Millis;
use crate::daemon::membership::Membership;
use crate::daemon::{engine_memo, quick_failures};
use crate::limits::{
    BLOCK_BYTES, SNAPSHOT_HEAD_BYTES_MAX, SUPPORT_JOURNAL_FILE_BYTES_MAX, SUPPORT_LISTED_MAX,
};
use crate::log::batch::FileHeader;
use crate::log::footer::Footer;
use crate::log::scan::{self, Ending, Scanned};
use crate::log::{journal, segment};
use crate::profile::{Document, KNOBS, PROBE_FILE, Value};
use crate::replica::snapshots;
use serde_json::{Map, Value as Json, json};
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// A footer of a segment of 1 GiB has some 20 KiB.
const FOOTER_BYTES_MAX: u64 = 1 << 20;
/// Ours go four folders deep.
const DEPTH_MAX: usize = 8;
/// The replica has a device of its own.
/// The texts that `dolmen probe` writes.
const OF_PROBE: [&str; 10] = [
    "probe.tool",
    "probe.date",
    "probe.kernel",
    "probe.device",
    "probe.bus",
    "probe.write_cache",
    "probe.file_system",
    "probe.mount_options",
    "probe.io_uring",
    "probe.thread_class",
];
const DEVICES: [&str; 2] = ["", "replica"];

/// Name, size, mode, owner and time of everything in the folder.
pub(super) fn listing(data: &Path) -> Result<Piece, String> {
    let mut listing = Listing {
        top: data,
        table: Table::with_columns(["MODE", "OWNER", "BYTES", "CHANGED", "NAME"]),
        count: 0,
        notes: String::new(),
    };
    fs::read_dir(data).map_err(|error| format!("{}: {error}", data.display()))?;
    listing.walk(data, 0);
    Ok(Body::Text(format!("{}{}", listing.table, listing.notes)).into())
}

struct Listing<'a> {
    top: &'a Path,
    table: Table,
    count: usize,
    notes: String,
}

impl Listing<'_> {
    fn walk(&mut self, folder: &Path, depth: usize) {
        let entries = match sorted(folder) {
            Ok(entries) => entries,
            Err(error) => {
                let name = self.name(folder);
                self.notes += &format!("{name} cannot be listed: {error}\n");
                return;
            }
        };
        for path in entries {
            self.count += 1;
            if self.count > SUPPORT_LISTED_MAX {
                self.notes +=
                    &format!("more than {SUPPORT_LISTED_MAX} names; the rest is left out\n");
                return;
            }
            match fs::symlink_metadata(&path) {
                Ok(metadata) => {
                    self.line(&path, &metadata);
                    if metadata.is_dir() && depth < DEPTH_MAX {
                        self.walk(&path, depth + 1);
                    }
                }
                // Gone meanwhile, where a daemon runs.
                Err(error) => self.notes += &format!("{}: {error}\n", self.name(&path)),
            }
        }
    }

    fn line(&mut self, path: &Path, metadata: &Metadata) {
        let kind = match metadata.file_type() {
            kind if kind.is_dir() => "d",
            kind if kind.is_symlink() => "l",
            kind if kind.is_file() => "-",
            kind if kind.is_socket() => "s",
            _ => "?",
        };
        let changed = metadata.modified().ok();
        let since = changed.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let changed = since.map(|since| Millis(since.as_millis() as u64).to_string());
        let name = self.name(path);
        self.table.row([
            &format!("{kind}{:04o}", metadata.mode() & 0o7777),
            &format!("{}:{}", metadata.uid(), metadata.gid()),
            &metadata.len().to_string(),
            &changed.unwrap_or_default(),
            &name,
        ]);
    }

    fn name(&self, path: &Path) -> String {
        let name = path.strip_prefix(self.top).unwrap_or(path);
        name.to_string_lossy().escape_debug().to_string()
    }
}

fn sorted(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.take(SUPPORT_LISTED_MAX);
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}

/// What each file of the log and each snapshot says of itself.
pub(super) fn heads(data: &Path) -> Result<Piece, String> {
    let mut table = Table::with_columns(["FILE", "WHAT ITS HEAD SAYS"]);
    let mut count = 0;
    for device in DEVICES {
        for (folder, says) in FOLDERS {
            let folder = data.join(device).join(folder);
            for path in sorted(&folder).unwrap_or_default() {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let Some(says) = says(&path, &name) else {
                    continue;
                };
                let shown = path.strip_prefix(data).unwrap_or(&path).to_string_lossy();
                table.row([&shown.escape_debug().to_string(), &says]);
                count += 1;
            }
        }
    }
    match count {
        0 => Err(format!(
            "there is no file of a log in {} that this user may see",
            data.display()
        )),
        _ => Ok(Body::Text(table.to_string()).into()),
    }
}

/// What a file says of itself; None for one that is none of ours.
type Says = fn(&Path, &str) -> Option<String>;

const FOLDERS: [(&str, Says); 3] = [
    ("journal", of_journal),
    (segment::FOLDER, of_segment),
    ("snapshots", of_snapshot),
];

fn start_of(path: &Path, bytes_max: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(bytes_max).read_to_end(&mut bytes));
    read.map(|_| bytes).map_err(|error| error.to_string())
}

fn said<T, E: ToString>(head: Result<T, E>, says: impl FnOnce(T) -> String) -> Option<String> {
    Some(head.map_or_else(|error| error.to_string(), says))
}

fn of_journal(path: &Path, name: &str) -> Option<String> {
    let number = journal::parse_name(name)?;
    let is_small =
        fs::metadata(path).is_ok_and(|file| file.len() <= SUPPORT_JOURNAL_FILE_BYTES_MAX);
    let most = match is_small {
        true => SUPPORT_JOURNAL_FILE_BYTES_MAX,
        false => BLOCK_BYTES as u64,
    };
    let bytes = match start_of(path, most) {
        Ok(bytes) => bytes,
        Err(error) => return Some(error),
    };
    if !is_small {
        return said(FileHeader::parse(&bytes), |head| of_file_header(&head));
    }
    Some(match scan::scan(&bytes, number) {
        Ok(scan::File::Begun(scanned)) => of_scanned(&scanned),
        Ok(scan::File::Unbegun) => "not begun".into(),
        Err(scan::Bad::Version { found }) => format!("journal format version {found}"),
        Err(scan::Bad::Hole { at, fault }) => format!("damaged at byte {at}: {fault}"),
    })
}

fn of_file_header(head: &FileHeader) -> String {
    format!(
        "number {}, epoch {}, home {}",
        head.number, head.epoch, head.home
    )
}

fn of_scanned(scanned: &Scanned) -> String {
    let (head, last) = (of_file_header(&scanned.header), &scanned.last);
    let ending = match &scanned.ending {
        Ending::Clean => "ends clean".into(),
        Ending::Torn { at, fault } => format!("torn at byte {at}: {fault}"),
    };
    format!(
        "{head}; {} batches, sequence {} to {}, the last {:?}, oldest file needed {}, until byte {}; \
         {ending}",
        scanned.batches.len(),
        scanned.first_sequence,
        last.sequence,
        last.kind,
        last.oldest,
        last.until,
    )
}

fn of_segment(path: &Path, name: &str) -> Option<String> {
    let named = segment::parse_name(name)?;
    if named.is_footer {
        let footer = start_of(path, FOOTER_BYTES_MAX)
            .and_then(|bytes| Footer::parse(&bytes).map_err(|fault| fault.to_string()));
        return said(footer, |footer| {
            format!(
                "log {}, epoch {}, until byte {}, next index {}, term {}, {} pieces",
                footer.log,
                footer.epoch,
                footer.until,
                footer.end.next,
                footer.end.term,
                footer.pieces.len()
            )
        });
    }
    let header = start_of(path, BLOCK_BYTES as u64)
        .and_then(|bytes| segment::Header::parse(&bytes).map_err(|fault| fault.to_string()));
    said(header, |header| {
        let previous = header.previous.map(|joint| joint.epoch.to_string());
        format!(
            "log {}, record format {}, epoch {} behind {}, first index {}, term {}, home {}",
            header.log,
            header.format,
            header.epoch,
            previous.as_deref().unwrap_or("none"),
            header.start.next,
            header.start.term,
            header.home,
        )
    })
}

fn of_snapshot(path: &Path, _: &str) -> Option<String> {
    let head =
        start_of(path, SNAPSHOT_HEAD_BYTES_MAX as u64).and_then(|bytes| snapshots::head(&bytes));
    said(head, |head| {
        let members = &head.members;
        format!(
            "index {}, term {}, cluster {}, voters {:?}, learners {:?}",
            head.place.index, head.place.term, head.cluster, members.voters, members.learners
        )
    })
}

/// What the daemon keeps of itself, parsed: a stranger's text in these is left
/// behind.
pub(super) fn memos(data: &Path) -> Result<Piece, String> {
    let mut left_out = Counts::default();
    let mut told = Map::new();
    let mut put = |name: &str, memo: Result<Json, String>| {
        told.insert(
            name.into(),
            memo.unwrap_or_else(|why| json!({ "cannot be told": why })),
        );
    };
    let none = || json!("not there");
    put(
        "dolmen.starts",
        quick_failures::told(data).map(|told| told.unwrap_or_else(none)),
    );
    put("engine.json", engine_memo::told(data));
    put(PROBE_FILE, probe(&data.join(PROBE_FILE), &mut left_out));
    put("membership", membership(data));
    Ok(Piece {
        body: Body::Json(Json::Object(told)),
        left_out,
    })
}

fn membership(data: &Path) -> Result<Json, String> {
    let membership = Membership::read(data).map_err(|refused| refused.to_string())?;
    Ok(match membership {
        None => json!("not there: the node is by itself"),
        Some(membership) => json!({
            "node": membership.node.0,
            "cluster": membership.cluster.to_string(),
            "is_fresh": membership.is_fresh,
            "peers": membership.peers,
        }),
    })
}

/// Figures and knobs. A text that is neither is somebody's own.
fn probe(path: &Path, left_out: &mut Counts) -> Result<Json, String> {
    if !path.exists() {
        return Ok(json!("not there"));
    }
    let document = Document::read(path).map_err(|fault| fault.to_string())?;
    let mut told = Map::new();
    for entry in &document.entries {
        let is_knob = KNOBS
            .iter()
            .any(|knob| knob.key == entry.key && knob.kind.takes(&entry.value));
        let is_ours = OF_PROBE.contains(&entry.key.as_str()) || is_knob;
        match &entry.value {
            Value::Number(number) => told.insert(entry.key.clone(), json!(number)),
            Value::Switch(switch) => told.insert(entry.key.clone(), json!(switch)),
            Value::Text(text) if is_ours => told.insert(entry.key.clone(), json!(text)),
            _ => {
                left_out.count(Kind::Unknown);
                None
            }
        };
    }
    Ok(Json::Object(told))
}
