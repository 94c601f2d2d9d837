//! Why a node did not start or could not go on. Each variant is the one line
//! that a person reads, and says what to do next.

use super::quick_failures::REDUCED_LASTS;
use crate::ids::NodeId;
use crate::log::OpenError;
use crate::peers::StoreError;
use crate::profile::Fault;
use crate::state::Raised;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(Debug)]
pub enum Refused {
    Settings(Vec<Fault>),
    NoDataFolder(PathBuf),
    NotAFolder(PathBuf),
    ForeignDataFolder {
        folder: PathBuf,
        owner: u32,
        ours: u32,
    },
    DataFolder {
        folder: PathBuf,
        error: io::Error,
    },
    DataHeld {
        folder: PathBuf,
        holder: String,
    },
    AdminSocketAnswers(PathBuf),
    AdminSocket {
        path: PathBuf,
        error: io::Error,
    },
    DoorInUse {
        door: &'static str,
        address: SocketAddr,
    },
    Door {
        door: &'static str,
        address: SocketAddr,
        error: io::Error,
    },
    /// The engine that is set, or the folder, is not to be had.
    Engine(io::Error),
    LogUnopened {
        folder: PathBuf,
        error: OpenError,
    },
    Log(String),
    /// A file that the settings name cannot be used.
    File(PathBuf, String),
    Keys(StoreError),
    Peers(String),
    /// The file that says who this node is among others.
    Membership(PathBuf, String),
    /// The data folder was raised above what this release knows.
    Raised(PathBuf, Raised),
    /// Why a cluster cannot begin again from this node.
    NotRecoverable(String),
    /// A member's replicated state is not where it was.
    StateGone {
        folder: PathBuf,
        node: NodeId,
    },
    /// The reduced state has lasted long enough.
    StillReduced {
        reason: String,
    },
    Machine {
        what: &'static str,
        error: io::Error,
    },
}

impl Refused {
    pub fn data_folder(folder: PathBuf) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::DataFolder { folder, error }
    }

    pub fn log_unopened(folder: PathBuf) -> impl FnOnce(OpenError) -> Self {
        move |error| Self::LogUnopened { folder, error }
    }

    pub fn keys(error: StoreError) -> Self {
        Self::Keys(error)
    }

    pub fn door(door: &'static str, address: SocketAddr) -> impl FnOnce(io::Error) -> Self {
        move |error| match error.kind() {
            io::ErrorKind::AddrInUse => Self::DoorInUse { door, address },
            _ => Self::Door {
                door,
                address,
                error,
            },
        }
    }

    pub fn machine(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Machine { what, error }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings(faults) => {
                let faults: Vec<_> = faults.iter().map(Fault::to_string).collect();
                f.write_str(&faults.join("; "))
            }
            Self::File(path, why) => write!(f, "{}: {why}", path.display()),
            Self::Keys(error) => error.fmt(f),
            Self::Peers(why) => write!(f, "the peers' ports cannot be opened: {why}"),
            Self::Membership(path, why) => write!(
                f,
                "{} cannot be used: {why}; restore it from a backup, or move the data folder \
                 aside and join again",
                path.display()
            ),
            Self::Raised(folder, raised) => {
                write!(f, "the data folder {} was {raised}", folder.display())
            }
            Self::NotRecoverable(why) => f.write_str(why),
            Self::StateGone { folder, node } => write!(
                f,
                "the replicated state of node {node} is gone from {}, and a member that forgets \
                 what it agreed to can lose what others keep: put it back, or take the node out \
                 on another member (dolmen node replace {node}), move this data folder aside, and \
                 join with the token",
                folder.display()
            ),
            Self::NoDataFolder(folder) => {
                let folder = folder.display();
                write!(
                    f,
                    "the data folder {folder} does not exist: make it, owned by the user that \
                     runs dolmen, or set node.data to another"
                )
            }
            Self::NotAFolder(folder) => write!(
                f,
                "the data folder {} is not a folder: set node.data to one",
                folder.display()
            ),
            Self::ForeignDataFolder {
                folder,
                owner,
                ours,
            } => {
                let folder = folder.display();
                write!(
                    f,
                    "the data folder {folder} belongs to uid {owner} and this is uid {ours}: run \
                     dolmen as uid {owner}, or chown -R {ours} {folder}"
                )
            }
            Self::DataFolder { folder, error } => {
                let next = match error.kind() {
                    io::ErrorKind::ReadOnlyFilesystem => "mount it writable",
                    io::ErrorKind::PermissionDenied => "chmod it so that its owner may write",
                    io::ErrorKind::StorageFull => "make room on its file system",
                    _ => "check it and its file system",
                };
                write!(
                    f,
                    "cannot write in the data folder {} ({error}): {next}, or set node.data to \
                     another",
                    folder.display()
                )
            }
            Self::DataHeld { folder, holder } => write!(
                f,
                "the data folder {} is held by {holder}: stop that first, or set node.data to \
                 another",
                folder.display()
            ),
            Self::AdminSocketAnswers(path) => write!(
                f,
                "another daemon answers on the admin socket {}: stop it, or set admin.socket to \
                 another path",
                path.display()
            ),
            Self::AdminSocket { path, error } => write!(
                f,
                "cannot open the admin socket {} ({error}): make its folder, writable for the \
                 user that runs dolmen, or set admin.socket to another path",
                path.display()
            ),
            Self::DoorInUse { door, address } => {
                let port = address.port();
                write!(
                    f,
                    "the {door} door cannot listen on {address}, which is in use: stop what \
                     listens there (ss -ltnp 'sport = :{port}' names it), or set \
                     doors.{door}.listen to another address"
                )
            }
            Self::Door {
                door,
                address,
                error,
            } => write!(
                f,
                "the {door} door cannot listen on {address} ({error}): set doors.{door}.listen to \
                 an address of this machine that its user may use"
            ),
            Self::Engine(error) => error.fmt(f),
            Self::LogUnopened { folder, error } => {
                write!(f, "the log in {} does not open: {error}", folder.display())
            }
            Self::Log(says) => write!(f, "the log: {says}"),
            Self::StillReduced { reason } => write!(
                f,
                "reduced for {} minutes ({reason}): leaving, so that the whole start is tried \
                 again",
                REDUCED_LASTS.as_secs() / 60
            ),
            Self::Machine { what, error } => write!(f, "{what}: {error}"),
        }
    }
}

impl std::error::Error for Refused {}
