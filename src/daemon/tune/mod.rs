//! `dolmen tune`: settings of the kernel that the hardware profile names, and
//! the way back from them.
//!
//! A tuner is a line in `TUNERS`: a knob below `tune.` says what is wanted, and
//! the line which files of the kernel have it. `standing` looks how this machine
//! stands to that and touches nothing; `change` writes, and takes back. What
//! stood there before is in a file below /run, synced before the first setting
//! is written (`kept`), so that there is a way back whatever became of an apply.
//!
//! No tuner may make a machine less safe: barriers, flushes and write caches
//! are nobody's to tune.

mod change;
mod kept;
mod kernel;
mod script;
mod standing;

pub use change::{Put, Step, apply, off};
pub use kept::{Kept, NotKept, Saved};
pub use kernel::{Kernel, Running};
pub use script::script;
pub use standing::{Found, Ground, LEAVE_ALONE, Standing, State, survey};

/// Something of the kernel that can be set.
#[derive(Debug)]
pub struct Tuner {
    pub name: &'static str,
    /// The knob that says what is wanted.
    pub key: &'static str,
    /// The files, for a reader.
    pub sets: &'static str,
    /// What it is good for.
    pub reason: &'static str,
    /// The files on this machine, or why there are none.
    files: fn(&Ground<'_>) -> Result<Vec<String>, String>,
    form: Form,
    /// Of the knob's unit in the kernel's.
    scale: i64,
    /// Whether more than what is wanted is as good.
    is_least: bool,
}

/// How a file of the kernel says what is in force.
#[derive(Debug)]
enum Form {
    Plain,
    /// All that may be written, and in brackets what is in force.
    Bracketed,
    /// What may be written stands in a file of this name beside it.
    OfferedIn(&'static str),
    /// Either this file or the one of this name beside it is in force. Writing
    /// one has the other say 0, and 0 itself cannot be written.
    Either(&'static str),
}

/// In the order in which they are shown and set.
pub static TUNERS: &[Tuner] = &[
    Tuner {
        name: "disk_scheduler",
        key: "tune.disk_scheduler",
        sets: "/sys/class/block/DISK/queue/scheduler, of each disk under the data folder",
        reason: "a scheduler that sorts requests holds a log's write back behind others' reads; a disk with queues of its own needs none",
        files: schedulers,
        form: Form::Bracketed,
        scale: 1,
        is_least: false,
    },
    Tuner {
        name: "socket_buffers",
        key: "tune.socket_buffers_kib",
        sets: "/proc/sys/net/core/rmem_max and wmem_max",
        reason: "the nodes' datagrams wait in the socket's buffer until a thread has its turn; those that find no room are lost and sent again",
        files: |_| {
            Ok(vec![
                "/proc/sys/net/core/rmem_max".into(),
                "/proc/sys/net/core/wmem_max".into(),
            ])
        },
        form: Form::Plain,
        scale: 1 << 10,
        is_least: true,
    },
    Tuner {
        name: "swappiness",
        key: "tune.swappiness",
        sets: "/proc/sys/vm/swappiness",
        reason: "state that has gone to the swap disk is read back from it while everybody waits",
        files: |_| Ok(vec!["/proc/sys/vm/swappiness".into()]),
        form: Form::Plain,
        scale: 1,
        is_least: false,
    },
    Tuner {
        name: "dirty_background",
        key: "tune.dirty_background_mib",
        sets: "/proc/sys/vm/dirty_background_bytes",
        reason: "what programs have written gathers in memory and then goes to the disk in one go, which a flush of the log has to share the disk with",
        files: |_| Ok(vec!["/proc/sys/vm/dirty_background_bytes".into()]),
        form: Form::Either("dirty_background_ratio"),
        scale: 1 << 20,
        is_least: false,
    },
    Tuner {
        name: "cpu_governor",
        key: "tune.cpu_governor",
        sets: "/sys/devices/system/cpu/cpufreq/policyN/scaling_governor, of all cores",
        reason: "a core that has been idle begins each write at its lowest frequency",
        files: governors,
        form: Form::OfferedIn("scaling_available_governors"),
        scale: 1,
        is_least: false,
    },
];

fn schedulers(ground: &Ground<'_>) -> Result<Vec<String>, String> {
    let disks = &ground.machine.disk.disks;
    match disks.is_empty() {
        true => Err("no block device is known under the data folder".into()),
        false => Ok(disks
            .iter()
            .map(|disk| format!("/sys/class/block/{disk}/queue/scheduler"))
            .collect()),
    }
}

fn governors(ground: &Ground<'_>) -> Result<Vec<String>, String> {
    const POLICIES: &str = "/sys/devices/system/cpu/cpufreq";
    let names = ground.kernel.names(POLICIES).into_iter();
    let files: Vec<String> = names
        .filter(|name| name.starts_with("policy"))
        .map(|policy| format!("{POLICIES}/{policy}/scaling_governor"))
        .collect();
    match files.is_empty() {
        true => Err("the kernel does not choose the frequency here".into()),
        false => Ok(files),
    }
}

#[cfg(test)]
mod tests;
