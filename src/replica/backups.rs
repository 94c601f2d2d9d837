//! Backups: begun when this node is known to be current, then handed out piece
//! by piece to whoever writes them down.

use super::syncs::{Waiter, WhenCurrent};
use super::{Now, Replica};
use crate::clock::Millis;
use crate::ids::{Index, NodeId, Uid};
use crate::limits::BACKUP_NODES_PER_SLICE;
use crate::state::snapshot::backup::{Begun, Lost, Slice};
use std::fmt;

/// A backup that was begun, and of what.
#[derive(Clone, Copy, Debug)]
pub struct Backup {
    /// Its number on this node, for the pieces that follow.
    pub number: u64,
    pub cluster: Uid,
    pub node: NodeId,
    pub index: Index,
    pub at: Millis,
    pub begun: Begun,
}

/// Why none is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoBackup {
    AnotherUnderWay,
    LacksState,
    HalfRestored,
}

impl fmt::Display for NoBackup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AnotherUnderWay => {
                "another backup is being made on this node: try again when it is done"
            }
            Self::LacksState => {
                "this node waits for another to give it the state: make the backup on another node"
            }
            Self::HalfRestored => {
                "a backup is half restored here: type its restore again to its end first"
            }
        })
    }
}

impl Replica {
    /// Goes through the same round as a client's sync. Never called while no
    /// majority answers.
    pub fn when_current(&mut self, now: Now, when_current: WhenCurrent) {
        self.now = now;
        self.syncs.ask(Waiter::Inside(when_current));
    }

    pub fn begin_backup(&mut self) -> Result<Backup, NoBackup> {
        use crate::state::Restoration::{Emptying, Filling};
        if self.lacks_state() {
            return Err(NoBackup::LacksState);
        }
        if let Emptying(_) | Filling(_) = self.state.restoration() {
            return Err(NoBackup::HalfRestored);
        }
        let number = self.backups + 1;
        let begun = self.state.begin_backup(number);
        let begun = begun.ok_or(NoBackup::AnotherUnderWay)?;
        self.backups = number;
        Ok(Backup {
            number,
            cluster: self.settings.cluster,
            node: self.settings.node,
            index: self.applied,
            at: self.now.wall,
            begun,
        })
    }

    pub fn backup_slice(&mut self, number: u64) -> Result<Slice, Lost> {
        self.state.backup_slice(number, BACKUP_NODES_PER_SLICE)
    }

    pub fn drop_backup(&mut self, number: u64) {
        self.state.drop_backup(number);
    }
}
