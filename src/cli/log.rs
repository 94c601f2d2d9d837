//! `dolmen log`: a log on disk, without a daemon.

mod append;
mod mend;
mod read;

use super::Failure;
use crate::clock::MachineClock;
use crate::daemon::data_folder;
use crate::daemon::lock::Lock;
use crate::daemon::logs::FORMATS;
use crate::disk::choose::{Wanted, choose};
use crate::disk::{Disk, Engine, How, RealDisk, Settings as DiskSettings};
use crate::entropy::MachineEntropy;
use crate::log::{Device, OpenError, Opening, Report, Settings, identity, open};
use std::path::PathBuf;
use std::sync::Arc;

/// Append to, read, check or mend a log on disk, without a daemon
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Append lines from standard input; print each one's offset once it is durable
    Append(append::Args),
    /// Print records, one a line
    Read(read::Args),
    /// List all damage of a data directory; changes nothing
    Verify(mend::VerifyArgs),
    /// Mend a damaged data directory, and say what is lost
    Repair(mend::RepairArgs),
}

pub fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Append(args) => append::run(args),
        Command::Read(args) => read::run(args),
        Command::Verify(args) => mend::verify(args),
        Command::Repair(args) => mend::repair(args),
    }
}

#[derive(clap::Args)]
struct Place {
    /// The data directory
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

/// A ring for the two batches that a journal has in flight.
const RING_ENTRIES: u32 = 8;

impl Place {
    /// Keeps a daemon and this tool out of each other's way.
    fn lock(&self, what: &str) -> Result<Lock, Failure> {
        data_folder::check(&self.dir)?;
        Ok(Lock::take(&self.dir, what)?)
    }

    /// The disk, and a word on why it works as it does.
    fn disk(&self, wanted: Wanted) -> Result<(Arc<dyn Disk>, String), Failure> {
        let cannot = |error| Failure::failed(format!("{}: {error}", self.dir.display()));
        let how = match Settings::default().journal_direct {
            true => How::WriteDirect,
            false => How::Write,
        };
        let clock = MachineClock::new();
        let chosen = choose(&self.dir, wanted, RING_ENTRIES, how, &clock).map_err(cannot)?;
        let settings = DiskSettings {
            engine: chosen.engine,
            entries: RING_ENTRIES,
            lone_blocking: chosen.lone_blocking,
        };
        let disk = RealDisk::open(&self.dir, settings).map_err(cannot)?;
        Ok((Arc::new(disk), chosen.reason))
    }

    /// For commands that wait for the disk now and then and need no ring.
    fn plain_disk(&self) -> Result<Arc<dyn Disk>, Failure> {
        Ok(self.disk(Wanted::Only(Engine::Threads))?.0)
    }

    /// Reading must not make a data directory of a mistyped path.
    fn must_be_ours(&self, disk: &dyn Disk) -> Result<(), Failure> {
        let found = identity::read(disk).map_err(Failure::failed)?;
        match found {
            Some(_) => Ok(()),
            None => Err(Failure::failed(format!(
                "{} is no data directory: it has no file \"{}\"",
                self.dir.display(),
                identity::NAME
            ))),
        }
    }
}

/// At the class of an ordinary thread: recovery computes for long, and no
/// lease hangs on this tool.
fn open_device(disk: Arc<dyn Disk>) -> Result<(Device, Report), OpenError> {
    let lane = disk.lane().map_err(OpenError::io("start the disk"))?;
    open(Opening {
        disk,
        lane,
        entropy: &MachineEntropy,
        settings: Settings::default(),
        formats: FORMATS,
    })
}

/// What opening found, in one line.
fn told(report: &Report) -> String {
    if report.is_new {
        return "a new data directory".into();
    }
    if report.was_clean {
        return "the last stop was clean, nothing was scanned".into();
    }
    let Report {
        replayed_batches,
        replayed_bytes,
        scanned_bytes,
        torn,
        ..
    } = report;
    let torn = match torn {
        Some(torn) => format!(", cut a batch that was never whole ({torn})"),
        None => String::new(),
    };
    format!(
        "the last stop was not clean: replayed {replayed_batches} batches ({replayed_bytes} \
         bytes), scanned {scanned_bytes} bytes{torn}"
    )
}
