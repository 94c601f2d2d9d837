//! Counts starts that came to nothing, so that a daemon that systemd starts
//! again for ever ends up with its operator door open and the reason on it.
//!
//! A start is counted before the work begins and taken back once the node has
//! served for `SERVED_LONG_ENOUGH` or stopped cleanly. A start that was cut
//! off by a reboot without a word of failure is a power cut, and not counted:
//! an edge site may lose power three times in a minute.

use super::refused::Refused;
use crate::wire::crc32c;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

const NAME: &str = "dolmen.starts";
const VERSION: u32 = 1;
pub const QUICK_FAILURES_MAX: u32 = 3;
/// Long enough to have replayed a journal and met the clients.
pub const SERVED_LONG_ENOUGH: Duration = Duration::from_secs(60);
/// What the reduced state lasts before the whole start is tried again: an
/// unattended box heals once what was missing (an address, room on the disk, a
/// mount) has come back, and a person who looks at once still finds the
/// reason. Six tries an hour wear nothing out.
pub const REDUCED_LASTS: Duration = Duration::from_secs(600);
/// A reason is a line; a panic's may be longer.
const REASON_BYTES_MAX: usize = 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    Full,
    /// The operator door and the admin socket only.
    Reduced {
        reason: String,
    },
}

/// One line in the file: the checksum in hexadecimal, a space, this as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Counted {
    version: u32,
    /// Starts that have not been taken back, the running one included.
    starts: u32,
    /// The machine's boot in which the last of them began.
    boot: String,
    /// The last of them has not said how it ended.
    is_open: bool,
    reason: Option<String>,
}

/// The running start.
pub struct QuickFailures {
    folder: PathBuf,
    counted: Counted,
    /// A failure after that is not a quick one.
    is_taken_back: AtomicBool,
}

impl QuickFailures {
    /// Counts this start, and says which kind it is to be. A full disk must not
    /// keep from starting; a folder that may not be written to does.
    pub fn count_start(folder: &Path) -> Result<(Self, Start), Refused> {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let before = read(&folder.join(NAME));
        let (counted, start) = next(before, boot.trim());
        match write(folder, &counted) {
            Err(error) if is_forbidden(&error) => {
                return Err(Refused::data_folder(folder.into())(error));
            }
            Err(error) => tracing::warn!(%error, file = NAME, "this start is not counted"),
            Ok(()) => {}
        }
        let failures = Self {
            folder: folder.into(),
            counted,
            is_taken_back: AtomicBool::new(false),
        };
        Ok((failures, start))
    }

    /// The reduced state has lasted: the next start is a full one.
    pub fn allow_one_more(&self) {
        self.is_taken_back.store(true, Relaxed);
        if let Err(error) = write(&self.folder, &one_more_try(&self.counted)) {
            tracing::warn!(%error, file = NAME, "the next start is reduced as well");
        }
    }

    /// How this start failed. Does nothing where it has been taken back.
    pub fn record(&self, reason: &str) {
        if self.is_taken_back.load(Relaxed) {
            return;
        }
        let end = reason.floor_char_boundary(REASON_BYTES_MAX);
        let counted = Counted {
            is_open: false,
            reason: Some(reason[..end].into()),
            ..self.counted.clone()
        };
        if let Err(error) = write(&self.folder, &counted) {
            tracing::warn!(%error, file = NAME, "the reason of this failure is not kept");
        }
    }

    /// This start was a good one, and what came before is forgotten.
    pub fn take_back(&self) {
        self.is_taken_back.store(true, Relaxed);
        match fs::remove_file(self.folder.join(NAME)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(%error, file = NAME, "this start stays counted"),
        }
    }
}

fn is_forbidden(error: &io::Error) -> bool {
    use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem)
}

/// What a reduced start leaves behind: the next one is a full one, and fails
/// into the reduced state at once.
fn one_more_try(counted: &Counted) -> Counted {
    Counted {
        starts: QUICK_FAILURES_MAX - 1,
        is_open: false,
        ..counted.clone()
    }
}

/// What is written for a start that finds `before`.
fn next(before: Option<Counted>, boot: &str) -> (Counted, Start) {
    let (mut failures, mut reason) = (0, None);
    if let Some(before) = before {
        let was_power_cut = before.is_open && before.boot != boot;
        failures = before.starts - u32::from(was_power_cut && before.starts > 0);
        reason = match before.is_open && !was_power_cut {
            true => Some("the process ended without a word (killed, or crashed)".into()),
            false => before.reason,
        };
    }
    let is_reduced = failures >= QUICK_FAILURES_MAX;
    let start = match (is_reduced, &reason) {
        (false, _) => Start::Full,
        (true, reason) => Start::Reduced {
            reason: reason.clone().unwrap_or_else(|| "unknown".into()),
        },
    };
    let counted = Counted {
        version: VERSION,
        // A reduced start is not another failure, and does not hide the
        // reason of the last one if it is cut off itself.
        starts: failures + u32::from(!is_reduced),
        boot: boot.into(),
        is_open: !is_reduced,
        reason,
    };
    (counted, start)
}

/// None where there is nothing, or nothing that can be believed: a torn file
/// costs one more quick failure, not the start.
fn read(path: &Path) -> Option<Counted> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::warn!(%error, file = NAME, "earlier starts are not counted");
            return None;
        }
    };
    let counted = parse(&text);
    if counted.is_none() {
        tracing::warn!(
            file = NAME,
            "torn or of another version: earlier starts are not counted"
        );
    }
    counted
}

/// What the file holds, for who looks at it from outside; None without one.
pub fn told(folder: &Path) -> Result<Option<serde_json::Value>, String> {
    match fs::read_to_string(folder.join(NAME)) {
        Ok(text) => match parse(&text) {
            Some(counted) => Ok(Some(serde_json::json!(counted))),
            None => Err("it is torn or of another version".into()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

fn parse(text: &str) -> Option<Counted> {
    let (checksum, json) = text.trim_end().split_once(' ')?;
    let counted: Counted = serde_json::from_str(json).ok()?;
    let is_whole = u32::from_str_radix(checksum, 16) == Ok(crc32c(json.as_bytes()));
    (is_whole && counted.version == VERSION).then_some(counted)
}

fn write(folder: &Path, counted: &Counted) -> io::Result<()> {
    let json = serde_json::to_string(counted)?;
    let unfinished = folder.join(format!("{NAME}.new"));
    let mut file = File::create(&unfinished)?;
    writeln!(file, "{:08x} {json}", crc32c(json.as_bytes()))?;
    file.sync_data()?;
    fs::rename(&unfinished, folder.join(NAME))?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each word is what befell one start; the answer is the kind of the next.
    fn after(story: &str) -> Start {
        let mut file = None;
        for fate in story.split_whitespace() {
            let (mut counted, _) = next(file, "this boot");
            match fate {
                "fails" => {
                    counted.is_open = false;
                    counted.reason = Some("port in use".into());
                }
                "killed" => {}
                "waits" => counted = one_more_try(&counted),
                "power" => counted.boot = "an earlier boot".into(),
                other => panic!("no such fate: {other}"),
            }
            file = Some(counted);
        }
        next(file, "this boot").1
    }

    fn reduced(reason: &str) -> Start {
        Start::Reduced {
            reason: reason.into(),
        }
    }

    #[test]
    fn three_quick_failures_reduce_and_the_last_one_is_the_reason() {
        let silent = "the process ended without a word (killed, or crashed)";
        assert_eq!(after(""), Start::Full);
        assert_eq!(after("fails fails"), Start::Full);
        assert_eq!(after("killed killed fails"), reduced("port in use"));
        assert_eq!(after("fails fails killed"), reduced(silent));
    }

    #[test]
    fn power_cuts_are_not_failures() {
        assert_eq!(after("power power power power"), Start::Full);
        assert_eq!(after("fails power fails"), Start::Full);
        assert_eq!(
            after("fails power fails power fails"),
            reduced("port in use")
        );
    }

    #[test]
    fn a_reduced_start_that_is_killed_stays_reduced_for_the_first_reason() {
        assert_eq!(
            after("fails fails fails killed killed"),
            reduced("port in use")
        );
    }

    #[test]
    fn after_a_while_reduced_the_whole_start_is_tried_once() {
        assert_eq!(after("fails fails fails waits"), Start::Full);
        assert_eq!(
            after("fails fails fails waits fails"),
            reduced("port in use")
        );
        assert_eq!(after("fails fails fails waits fails waits"), Start::Full);
        assert_eq!(after("fails fails fails waits power"), Start::Full);
    }

    #[test]
    fn a_file_torn_anywhere_is_not_believed() {
        let (counted, _) = next(None, "this boot");
        let json = serde_json::to_string(&counted).unwrap();
        let whole = format!("{:08x} {json}", crc32c(json.as_bytes()));
        assert_eq!(parse(&whole), Some(counted));
        for cut in 0..whole.len() {
            assert_eq!(parse(&whole[..cut]), None, "cut at {cut}");
        }
    }
}
