//! Kills, syncs that fail while recovery is at work, and then a power cut.
//!
//! A kill leaves the page cache as it was: the next start reads what was never
//! synced, and what a failed sync has marked clean reads as if it were
//! durable. No later sync covers that; only a new write does.
//!
//! Invariant: what a start shows, and what is acknowledged behind it, is there
//! after a power cut, whatever the page cache showed before.

use super::crash::same;
use super::kit::*;
use super::workload::{Holding, LOGS, Workload, settings};
use crate::full;
use dolmen::disk::sim::{Crash, Kept, SimDisk, When};
use dolmen::entropy::Seeded;
use dolmen::ids::LogId;
use dolmen::log::{Device, Settings, Way};

/// A log that the workload leaves alone.
const OWN_LOG: u64 = LOGS as u64 + 1;
const OWN_TEXT: &[u8] = b"acknowledged by the life after the kill";

/// Starts that a failing disk may spoil, one after another.
const SPOILED_MAX: u64 = 3;

/// One life of a seed, killed in so many places.
#[derive(Clone, Copy)]
pub struct Trial {
    pub seed: u64,
    pub steps: usize,
    pub kills: usize,
}

pub fn kill(trial: Trial) -> Result<(), String> {
    let Trial { seed, steps, kills } = trial;
    let settings = settings(seed);
    let disk = SimDisk::new(seed);
    disk.set_depth(1 + (seed % 2) as usize);
    let mut workload = Workload::new(seed);
    let (mut device, _) = open_with(&disk, settings.clone()).map_err(|error| error.to_string())?;
    workload.run(&disk, &mut device, steps / 2)?;
    device.close().map_err(|fatal| fatal.to_string())?;
    let (mut device, _) = open_with(&disk, settings.clone()).map_err(|error| error.to_string())?;
    let mut dice = Seeded::new(seed ^ 0x0411);
    if dice.one_in(2) {
        let nth = When::Nth(1 + dice.below(30));
        disk.faults(|faults| (faults.fail_sync, faults.fail_write_out) = (nth, nth));
    }
    // With a failed sync the process ends by itself; all cuts stay of use.
    let outcome = workload.run(&disk, &mut device, steps - steps / 2);
    match (outcome, dice.one_in(2)) {
        (Ok(()), true) => drop(device.close()),
        _ => drop(device),
    }
    let trace = disk.trace();
    let count = trace.ops().len();
    for kill in 0..kills {
        // The last one is the end of the life.
        let cut = match kill + 1 == kills {
            true => count,
            false => dice.below(count as u64 + 1) as usize,
        };
        let notes: Vec<u64> = trace.notes(cut).collect();
        let lives = Lives {
            workload: &workload,
            settings: &settings,
            disk: trace.killed(cut),
            notes: &notes,
            killed_at: cut,
        };
        lives
            .play(&mut dice)
            .map_err(|error| format!("seed {seed}, killed at {cut}: {error}"))?;
    }
    Ok(())
}

/// What follows a kill: starts, of which the disk may spoil the first, and a
/// power cut.
struct Lives<'a> {
    workload: &'a Workload,
    settings: &'a Settings,
    disk: SimDisk,
    notes: &'a [u64],
    killed_at: usize,
}

impl Lives<'_> {
    fn play(&self, dice: &mut Seeded) -> Result<(), String> {
        let mut device = self.start(dice)?;
        let found = self.workload.check(&mut device, self.notes)?;
        append(&mut device, OWN_LOG, OWN_TEXT).map_err(|refused| refused.to_string())?;
        let ends_well = dice.one_in(4);
        match ends_well {
            true => device.close().map_err(|fatal| fatal.to_string())?,
            false => drop(device),
        }
        let trace = self.disk.trace();
        let end = trace.ops().len();
        let choice = dice.next_u64() >> 40;
        for kept in [Kept::Nothing, Kept::Everything, Kept::Random(choice)] {
            let crash = Crash { cut: end, kept };
            let again = self.after_cut(crash, true);
            again
                .and_then(|again| same(&found, &again))
                .map_err(|error| format!("{crash}: {error}"))?;
        }
        let within = self.killed_at + dice.below((end - self.killed_at) as u64) as usize;
        for kept in [Kept::Nothing, Kept::Random(choice)] {
            let crash = Crash { cut: within, kept };
            self.after_cut(crash, false)
                .map_err(|error| format!("{crash}: {error}"))?;
        }
        Ok(())
    }

    /// A start that comes through, behind some that a failed sync has ended.
    fn start(&self, dice: &mut Seeded) -> Result<Device, String> {
        for _ in 0..dice.below(SPOILED_MAX + 1) {
            let (nth, of_folder) = (When::Nth(1 + dice.below(6)), dice.one_in(4));
            self.disk.faults(|faults| match of_folder {
                true => faults.fail_folder_sync = nth,
                false => faults.fail_sync = nth,
            });
            // Where it comes through after all, it is killed at once.
            drop(open_with(&self.disk, self.settings.clone()));
            self.disk.faults(|faults| *faults = Default::default());
        }
        let opened = open_with(&self.disk, self.settings.clone());
        let (device, _) = opened.map_err(|error| format!("does not start: {error}"))?;
        Ok(device)
    }

    fn after_cut(&self, crash: Crash, is_own_there: bool) -> Result<Vec<Holding>, String> {
        let disk = self.disk.trace().image(crash).into_disk();
        let opened = open_with(&disk, self.settings.clone());
        let (mut device, _) = opened.map_err(|error| format!("does not open: {error}"))?;
        let own = try_contents(&mut device, LogId(OWN_LOG), Way::Plain)?;
        if is_own_there && own != [(0, OWN_TEXT.to_vec())] {
            return Err("what was acknowledged after the kill is gone".into());
        }
        self.workload.check(&mut device, self.notes)
    }
}

#[test]
fn what_a_start_shows_survives_the_power_cut_behind_it() {
    let only = std::env::var("DOLMEN_SEED").ok();
    let seeds = match only.and_then(|seed| seed.parse().ok()) {
        Some(seed) => seed..seed + 1,
        None => 1..if full() { 1001 } else { 41 },
    };
    let trial = |seed| Trial {
        seed,
        steps: 60,
        kills: 20,
    };
    let failures: Vec<String> = seeds.filter_map(|seed| kill(trial(seed)).err()).collect();
    assert!(
        failures.is_empty(),
        "{} seeds:\n{}\n  DOLMEN_SEED=... cargo test log::kill",
        failures.len(),
        failures.join("\n")
    );
}
