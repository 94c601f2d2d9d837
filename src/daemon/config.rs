//! The settings of one node, from every layer, each value with its origin.

use std::net::SocketAddr;
use std::path::PathBuf;

/// What a node is told to be.
#[derive(Clone, Debug)]
pub struct Config {
    /// `node.data`: where everything durable lives.
    pub data: PathBuf,
    /// `admin.socket`: where the CLI on the same host talks to the daemon.
    pub admin_socket: PathBuf,
    /// `doors.operator.listen`: health, metrics, status; None where the door is off.
    pub operator_listen: Option<SocketAddr>,
    pub log: LogKnobs,
}

/// The knobs of `[log]`, as in `profile`.
#[derive(Clone, Debug)]
pub struct LogKnobs {
    pub engine: EngineChoice,
    pub ring_entries: u32,
    pub journal_direct_io: bool,
    pub journal_file_mib: u64,
    pub journal_files_max: u64,
    pub journal_bypass_kib: u64,
    pub segment_mib: u64,
    pub reserve_mib: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineChoice {
    /// By a start-up probe.
    Auto,
    Uring,
    Threads,
}

impl Config {
    pub fn built_in() -> Self {
        Self {
            data: "/var/lib/dolmen".into(),
            admin_socket: "/run/dolmen/admin.sock".into(),
            operator_listen: Some(SocketAddr::from(([127, 0, 0, 1], 7080))),
            log: LogKnobs {
                engine: EngineChoice::Auto,
                ring_entries: 64,
                journal_direct_io: true,
                journal_file_mib: 32,
                journal_files_max: 8,
                journal_bypass_kib: 64,
                segment_mib: 64,
                reserve_mib: 8,
            },
        }
    }
}
