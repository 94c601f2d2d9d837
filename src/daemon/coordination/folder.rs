//! The folder of the replicated state, and the replica that is opened on it.

use super::super::config::Config;
use super::super::membership::Membership;
use super::super::refused::Refused;
use super::super::release::release;
use super::Engine;
use crate::clock::Clock;
use crate::disk::class::{self, Class};
use crate::disk::{self, LateLane, RealDisk};
use crate::entropy::MachineEntropy;
use crate::limits::ROOM_LOW_BYTES;
use crate::log::format::Format;
use crate::log::{FRAMES, OpenError, Opening};
use crate::replica::{self, FOUNDER, Now, Replica, Start};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const FORMATS: &[&dyn Format] = &[&FRAMES];
const NAME: &str = "replica";
/// Says whose state the folder holds.
const MARK: &str = "of";

/// The folder of the replica's own device.
pub struct ReplicaFolder {
    folder: PathBuf,
    data: PathBuf,
    engine: Engine,
    settings: replica::Settings,
    is_founder: bool,
    has_others: bool,
    clock: Arc<dyn Clock>,
}

impl ReplicaFolder {
    pub fn new(
        config: &Config,
        engine: Engine,
        membership: &Membership,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            folder: config.data.join(NAME),
            data: config.data.clone(),
            engine,
            settings: settings(config, membership),
            is_founder: membership.node == FOUNDER,
            has_others: membership
                .peers
                .iter()
                .any(|peer| peer.address().node != membership.node),
            clock,
        }
    }

    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// What another node's life left is moved aside: a state that belongs to
    /// another cluster, or to another member of this one. A member whose own
    /// is gone is refused: it may have voted, and it cannot remember for what.
    pub fn prepare(&self, membership: &Membership) -> Result<(), Refused> {
        let failed = Refused::data_folder(self.folder.clone());
        let mark = self.folder.join(MARK);
        let owner = format!("{} {}\n", membership.cluster, membership.node);
        match fs::read_to_string(&mark) {
            Ok(found) if found == owner => return self.settle(&mark).map_err(failed),
            // Torn by a power cut: no state stands behind it yet.
            Ok(found) if owner.starts_with(&found) => Ok(()),
            Ok(_) => self.move_aside(),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Err(_) if membership.is_initialised && !membership.is_fresh => {
                return Err(Refused::StateGone {
                    folder: self.folder.clone(),
                    node: membership.node,
                });
            }
            Err(_) => Ok(()),
        }
        .and_then(|()| self.make(&mark, &owner))
        .map_err(failed)
    }

    fn make(&self, mark: &Path, owner: &str) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        fs::write(mark, owner)?;
        self.settle(mark)
    }

    /// The mark, its name, and the names in the data folder, which a process
    /// that was killed may have left in the page cache only: this life builds
    /// on them.
    fn settle(&self, mark: &Path) -> io::Result<()> {
        let data = self.folder.parent().unwrap_or(Path::new("."));
        for path in [mark, &self.folder, data] {
            fs::File::open(path)?.sync_all()?;
        }
        Ok(())
    }

    fn move_aside(&self) -> io::Result<()> {
        let date = self.clock.now().to_string().replace(':', "");
        let named = |suffix: &str| {
            let name = format!("replica-discarded-{date}{suffix}");
            self.folder.with_file_name(name)
        };
        let mut aside = named("");
        let mut count = 1;
        while aside.exists() {
            count += 1;
            aside = named(&format!("-{count}"));
        }
        tracing::warn!(to = %aside.display(), "the state of another membership is moved aside");
        fs::rename(&self.folder, aside)
    }

    pub fn open(self) -> Result<(Replica, replica::Opened), OpenError> {
        match self.open_once() {
            Err(full) if full.is_full() && (self.engine.give_up_reserve)() => {
                tracing::warn!(
                    %full,
                    "the disk is full: the reserve is given up, and the replica opened once more"
                );
                self.open_once()
            }
            opened => opened,
        }
    }

    fn open_once(&self) -> Result<(Replica, replica::Opened), OpenError> {
        let disk = RealDisk::open(&self.folder, self.engine.lanes)
            .map_err(OpenError::io("open the replica's folder"))?;
        let disk = Arc::new(disk.one_at_a_time());
        let late = disk.clone();
        // Reading back takes as long as it takes, at an ordinary class.
        class::take(Class::Bulk);
        let lane = LateLane::new(move || {
            class::take(Class::Log);
            disk::Disk::lane(&*late)
        });
        Replica::open(self.start(disk, Box::new(lane))?)
    }

    /// For a tool that has the folder to itself.
    pub fn recover(&self) -> Result<replica::Recovered, OpenError> {
        let disk = RealDisk::open(&self.folder, self.engine.lanes)
            .map_err(OpenError::io("open the replica's folder"))?;
        let disk: Arc<dyn disk::Disk> = Arc::new(disk);
        let lane = disk
            .lane()
            .map_err(OpenError::io("open the replica's lane"))?;
        replica::recover(self.start(disk, lane)?)
    }

    fn start(
        &self,
        disk: Arc<dyn disk::Disk>,
        lane: Box<dyn disk::Lane>,
    ) -> Result<Start<'static>, OpenError> {
        let data = RealDisk::open(&self.data, self.engine.lanes)
            .map_err(OpenError::io("open the data folder"))?;
        Ok(Start {
            settings: self.settings.clone(),
            is_founder: self.is_founder,
            has_others: self.has_others,
            opening: Opening {
                disk,
                lane,
                entropy: &MachineEntropy,
                settings: self.engine.log.clone(),
                formats: FORMATS,
            },
            data: Arc::new(data),
            entropy: Arc::new(MachineEntropy),
            now: Now {
                wall: self.clock.now(),
                monotonic: self.clock.monotonic(),
            },
        })
    }
}

fn settings(config: &Config, membership: &Membership) -> replica::Settings {
    let tick = Duration::from_millis(config.coordination.tick_ms);
    let election = config.coordination.election_timeout_ms / config.coordination.tick_ms;
    replica::Settings {
        node: membership.node,
        cluster: membership.cluster,
        release: release(),
        tick,
        election_ticks: election.max(4) as usize,
        heartbeat_ticks: (election / 5).max(1) as usize,
        // Two nodes that are started together should not ask together.
        seed: u64::from(std::process::id()),
        serves_read_only: config.zookeeper.serves_read_only,
        room_low_bytes: ROOM_LOW_BYTES,
    }
}
