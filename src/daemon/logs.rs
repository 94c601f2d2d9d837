//! The logs of the node's device: opened on their own thread, looked after
//! while they run, sealed at the end.

use super::compose;
use super::config::LogKnobs;
use super::engine_memo;
use super::refused::Refused;
use super::standing::{LogStanding, Standing};
use crate::clock::Clock;
use crate::disk::choose::{Chosen, Wanted, choose};
use crate::disk::class::{self, Class, Granted};
use crate::disk::{self, Disk, LateLane, RealDisk, Reserve};
use crate::entropy::MachineEntropy;
use crate::log::format::Format;
use crate::log::{
    self, Device, FRAMES, Fatal, Hooks, Logs, OpenError, Opening, Owner, Report, Settings, Tenant,
};
use crate::streams::Streams;
use crate::streams::batch::format::BATCHES;
use crate::streams::house::{self, House};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

/// What the logs of a node's device hold: records of its own, and batches.
pub const FORMATS: &[&dyn Format] = &[&FRAMES, &BATCHES];

/// The logs of this node's device, open.
pub struct NodeLogs {
    owner: Owner,
    /// The way to the partitions, whose owner lives on the log's thread.
    streams: Option<Streams>,
    was_clean: bool,
    engine: super::coordination::Engine,
    reserve: Arc<Mutex<Reserve>>,
    /// A question to the log's thread is under way.
    is_asking: Arc<AtomicBool>,
}

impl NodeLogs {
    /// Chooses the engine, reads the logs back and starts their thread. Waits
    /// until appends are taken. `standing` hears how it went.
    pub fn open(
        folder: &Path,
        knobs: &LogKnobs,
        partitions: Option<house::Settings>,
        clock: Arc<dyn Clock>,
        standing: &Standing,
        hooks: Hooks,
    ) -> Result<Self, Refused> {
        let (wanted, how) = (compose::wanted_engine(knobs), compose::journal_how(knobs));
        let remembered = match wanted {
            Wanted::Auto => engine_memo::recall(folder, knobs.ring_entries, clock.now()),
            Wanted::Only(_) => None,
        };
        let chosen = match remembered {
            Some(chosen) => chosen,
            None => {
                let chosen = choose(folder, wanted, knobs.ring_entries, how, &*clock);
                let chosen = chosen.map_err(Refused::Engine)?;
                if !chosen.figures.is_empty() {
                    engine_memo::keep(folder, &chosen, clock.now());
                }
                chosen
            }
        };
        let Chosen {
            engine,
            lone_blocking,
            reason,
            ..
        } = chosen;
        tracing::info!(engine = engine.name(), reason, "the log's engine is chosen");
        let lanes = disk::Settings {
            engine,
            entries: knobs.ring_entries,
            lone_blocking,
        };
        let disk = RealDisk::open(folder, lanes).map_err(Refused::data_folder(folder.into()))?;
        let disk = Arc::new(disk);
        let settings = compose::log_settings(knobs);
        let granted = Arc::new(OnceLock::new());
        let attempt = Attempt {
            disk: disk.clone(),
            settings: settings.clone(),
            granted: granted.clone(),
        };
        let (house, streams) = partitions
            .map(|settings| House::new(settings, clock.clone()))
            .unzip();
        if let Some(streams) = &streams {
            standing.partitions_are_held(streams);
        }
        let tenant = house.map(|house| Box::new(house) as Box<dyn Tenant>);
        let (owner, report) = log::start_with(move || attempt.open(), clock, hooks, tenant)
            .map_err(Refused::log_unopened(folder.into()))?;
        // A new folder has lost nothing either.
        let was_clean = report.was_clean || report.is_new;
        let reserve = Reserve::open(disk.clone(), settings.reserve_bytes)
            .map_err(Refused::data_folder(folder.into()))?;
        standing.log_opened(LogStanding {
            engine: owner.engine(),
            reason,
            is_direct: settings.journal_direct && !disk.direct_refused(),
            class: granted.get().cloned(),
            report,
        });
        standing.reserve_is_held(reserve.is_held());
        let reserve = Arc::new(Mutex::new(reserve));
        let given = reserve.clone();
        let give_up_reserve = Arc::new(move || {
            let mut reserve = given.lock().expect("nothing in here panics");
            let was_held = reserve.is_held();
            reserve.release().is_ok() && was_held
        });
        Ok(Self {
            owner,
            streams,
            was_clean,
            engine: super::coordination::Engine {
                lanes,
                log: compose::replica_log_settings(knobs),
                give_up_reserve,
            },
            reserve,
            is_asking: Arc::default(),
        })
    }

    pub fn logs(&self) -> &Logs {
        self.owner.logs()
    }

    /// None while nobody owns partitions here.
    pub fn streams(&self) -> Option<&Streams> {
        self.streams.as_ref()
    }

    /// Whether all that was ever written here, also without a sync, is there.
    pub fn was_clean(&self) -> bool {
        self.was_clean
    }

    /// What another device of this node is opened with.
    pub fn engine(&self) -> super::coordination::Engine {
        self.engine.clone()
    }

    /// Called twice a second. Has the log's thread show that it is alive, and
    /// learns its figures; holds the reserve again where there is room. Never
    /// waits: one question at a time is asked, from a thread of its own.
    pub fn look(&self, standing: &Arc<Standing>) {
        self.logs().tick();
        if self.is_asking.swap(true, Ordering::AcqRel) {
            return;
        }
        let (logs, standing) = (self.logs().clone(), standing.clone());
        let (reserve, is_asking) = (self.reserve.clone(), self.is_asking.clone());
        tokio::task::spawn_blocking(move || {
            if let Ok(figures) = logs.figures() {
                standing.log_figures(figures);
            }
            hold_again(&reserve, &standing);
            is_asking.store(false, Ordering::Release);
        });
    }

    /// Answers what was asked for, seals, and ends the thread.
    pub fn close(self) -> Result<(), Fatal> {
        self.owner.close()
    }
}

fn hold_again(reserve: &Mutex<Reserve>, standing: &Standing) {
    let mut reserve = reserve.lock().expect("nothing in here panics");
    if reserve.is_held() {
        return;
    }
    match reserve.restore() {
        Ok(true) => {
            standing.reserve_is_held(true);
            tracing::info!("the reserve is held again");
        }
        Ok(false) => {}
        // Tried again in half a second, and status says that it is not held.
        Err(error) => tracing::debug!(%error, "the reserve cannot be held"),
    }
}

/// One opening, on the log's thread.
struct Attempt {
    disk: Arc<RealDisk>,
    settings: Settings,
    granted: Arc<OnceLock<Granted>>,
}

impl Attempt {
    fn open(self) -> Result<(Device, Report), OpenError> {
        // Recovery sums for as long as it takes: see `disk::LateLane`.
        class::take(Class::Bulk);
        match self.open_once() {
            Err(full) if full.is_full() && self.give_up_reserve() => {
                tracing::warn!(
                    %full,
                    "the disk is full: the reserve is given up, and the log opened once more"
                );
                class::take(Class::Bulk);
                self.open_once()
            }
            opened => opened,
        }
    }

    fn open_once(&self) -> Result<(Device, Report), OpenError> {
        let (disk, granted) = (self.disk.clone(), self.granted.clone());
        let lane = LateLane::new(move || {
            let class = class::take(Class::Log);
            granted.get_or_init(|| class);
            disk.lane()
        });
        log::open(Opening {
            disk: self.disk.clone(),
            lane: Box::new(lane),
            entropy: &MachineEntropy,
            settings: self.settings.clone(),
            formats: FORMATS,
        })
    }

    /// Whether that made room.
    fn give_up_reserve(&self) -> bool {
        let give_up = || {
            let mut reserve = Reserve::open(self.disk.clone(), self.settings.reserve_bytes)?;
            let was_held = reserve.is_held();
            reserve.release().map(|()| was_held)
        };
        give_up().unwrap_or_else(|error: io::Error| {
            tracing::warn!(%error, "the reserve cannot be given up");
            false
        })
    }
}
