//! From a ZooKeeper's data folder to its tree: the newest snapshot that is
//! sound, then every later transaction, in order and without a gap.

use super::folder::{Folder, LogFile, SnapshotFile};
use super::jute::Damage;
use super::snapshot;
use super::tree::Tree;
use super::txnlog::{Entries, Torn};
use crate::ids::Zxid;
use std::fmt;
use std::path::PathBuf;

/// A tree, and how it was come by.
pub struct Recovered {
    pub tree: Tree,
    pub account: Account,
}

#[derive(Debug, Default)]
pub struct Account {
    pub snapshot: PathBuf,
    /// Newer snapshots that were passed over, and why.
    pub unsound: Vec<(PathBuf, String)>,
    pub logs: u64,
    pub transactions: u64,
    /// Parts of transactions that the snapshot held already.
    pub passed_over: u64,
    pub torn: Vec<(PathBuf, Torn)>,
    /// The last transaction before each gap, and the first behind it.
    pub gaps: Vec<(Zxid, Zxid)>,
    /// The last transaction of all.
    pub zxid: Zxid,
}

#[derive(Debug)]
pub enum Unrecovered {
    NoSnapshot(PathBuf),
    NoSoundSnapshot(Vec<(PathBuf, String)>),
    Unreadable {
        path: PathBuf,
        says: String,
    },
    Damaged {
        path: PathBuf,
        damage: Damage,
    },
    Gap {
        path: PathBuf,
        last: Zxid,
        found: Zxid,
    },
    Backwards {
        path: PathBuf,
        last: Zxid,
        found: Zxid,
    },
}

impl fmt::Display for Unrecovered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSnapshot(path) => write!(
                f,
                "{} holds no snapshot: name ZooKeeper's dataDir, which has a folder version-2",
                path.display()
            ),
            Self::NoSoundSnapshot(unsound) => {
                f.write_str("no snapshot is sound: ")?;
                let mut between = "";
                for (path, says) in unsound {
                    write!(f, "{between}{} {says}", path.display())?;
                    between = "; ";
                }
                f.write_str("; take the files of another server of the ensemble")
            }
            Self::Unreadable { path, says } => write!(f, "{}: {says}", path.display()),
            Self::Damaged { path, damage } => write!(
                f,
                "{} is damaged {damage}; take the files of another server of the ensemble",
                path.display()
            ),
            Self::Gap { path, last, found } => write!(
                f,
                "{} goes on with transaction {:#x} after {:#x}: those between are in no file. Is \
                 a log missing (--log-dir)? --accept-gaps imports without them",
                path.display(),
                found.0,
                last.0
            ),
            Self::Backwards { path, last, found } => write!(
                f,
                "{} goes back to transaction {:#x} after {:#x}: are these files of one server?",
                path.display(),
                found.0,
                last.0
            ),
        }
    }
}

pub fn recover(folder: &Folder, accepts_gaps: bool) -> Result<Recovered, Unrecovered> {
    let (tree, zxid, account) = newest_sound(folder)?;
    let mut replay = Replay {
        tree,
        snapshot_zxid: zxid,
        last: None,
        accepts_gaps,
        account: Account { zxid, ..account },
    };
    for log in folder.logs_from(zxid) {
        replay.log(log)?;
    }
    Ok(Recovered {
        tree: replay.tree,
        account: replay.account,
    })
}

fn newest_sound(folder: &Folder) -> Result<(Tree, Zxid, Account), Unrecovered> {
    let mut unsound = Vec::new();
    for SnapshotFile { path, zxid, .. } in &folder.snapshots {
        let source = folder.open_snapshot(path);
        let source = source.map_err(|error| unreadable(path, error.to_string()))?;
        match snapshot::read(source) {
            Ok(tree) => {
                let account = Account {
                    snapshot: path.clone(),
                    unsound,
                    ..Account::default()
                };
                return Ok((tree, *zxid, account));
            }
            Err(damage) => unsound.push((path.clone(), format!("is damaged {damage}"))),
        }
    }
    Err(match unsound.is_empty() {
        true => Unrecovered::NoSnapshot(folder.data.clone()),
        false => Unrecovered::NoSoundSnapshot(unsound),
    })
}

fn unreadable(path: &std::path::Path, says: String) -> Unrecovered {
    Unrecovered::Unreadable {
        path: path.into(),
        says,
    }
}

struct Replay {
    tree: Tree,
    snapshot_zxid: Zxid,
    /// The last transaction that was read, before the snapshot too.
    last: Option<Zxid>,
    accepts_gaps: bool,
    account: Account,
}

impl Replay {
    fn log(&mut self, log: &LogFile) -> Result<(), Unrecovered> {
        let path = &log.path;
        let bytes = log.read().map_err(|says| unreadable(path, says))?;
        let damaged = |damage| Unrecovered::Damaged {
            path: path.clone(),
            damage,
        };
        let mut entries = Entries::open(&bytes).map_err(damaged)?;
        while let Some((header, change)) = entries.next().map_err(damaged)? {
            self.follow(log, header.zxid)?;
            // What the snapshot holds for certain is not replayed.
            if header.zxid > self.snapshot_zxid {
                self.account.transactions += 1;
                self.account.passed_over += self.tree.replay(&header, change).len() as u64;
                self.account.zxid = header.zxid;
            }
        }
        self.account.logs += 1;
        let torn = entries.torn().map(|torn| (path.clone(), torn));
        self.account.torn.extend(torn);
        Ok(())
    }

    /// Every transaction has a number, and an epoch's are without gaps from 1:
    /// a missing number is a missing file or a missing part of one.
    fn follow(&mut self, log: &LogFile, found: Zxid) -> Result<(), Unrecovered> {
        let path = log.path.clone();
        let before = self.last.replace(found);
        if let Some(last) = before
            && found <= last
        {
            return Err(Unrecovered::Backwards { path, last, found });
        }
        let last = before.unwrap_or(Zxid(0)).max(self.snapshot_zxid);
        if found <= last || is_next(last, found) {
            return Ok(());
        }
        match self.accepts_gaps {
            true => self.account.gaps.push((last, found)),
            false => return Err(Unrecovered::Gap { path, last, found }),
        }
        Ok(())
    }
}

/// The next one of the epoch, or the first of a later epoch.
fn is_next(last: Zxid, found: Zxid) -> bool {
    let (epoch, counter) = (found.0 >> 32, found.0 & 0xffff_ffff);
    found == last.next() || (epoch > last.0 >> 32 && counter <= 1)
}
