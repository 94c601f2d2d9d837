//! What a row asks of the log, and the records it is asked with.

use dolmen::disk::{Disk, RealDisk, Settings as DiskSettings};
use dolmen::entropy::MachineEntropy;
use dolmen::ids::{LogId, Term};
use dolmen::log::{
    Device, FRAMES, OpenError, Opening, Payload, Records, Report, Request, Settings, open,
};
use std::path::Path;
use std::sync::Arc;

/// Appends of one size that wait for their answers at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    pub bytes: usize,
    pub outstanding: usize,
    /// Over so many logs, in turn.
    pub logs: u64,
}

impl Load {
    /// For this one thread of several that share the load.
    pub fn share(self, threads: usize) -> Self {
        Self {
            outstanding: self.outstanding.div_ceil(threads),
            ..self
        }
    }
}

/// The engines that rows name, the one that `auto` chose among them.
pub type Variant = (&'static str, DiskSettings);

pub fn append(log: LogId, bytes: Vec<u8>) -> Request {
    let records = Records::Frames(vec![Payload::new(Term(1), 0, bytes)]);
    Request::Append { log, records }
}

/// Opens the logs in a folder with a lane of the calling thread, which has its
/// class.
pub fn open_here(
    folder: &Path,
    disk: DiskSettings,
    settings: Settings,
) -> Result<(Device, Report), OpenError> {
    let disk = RealDisk::open(folder, disk).expect("the bench's own folder opens");
    let lane = disk.lane().expect("an engine that was tried has lanes");
    open(Opening {
        disk: Arc::new(disk),
        lane,
        entropy: &MachineEntropy,
        settings,
        formats: &[&FRAMES],
    })
}
