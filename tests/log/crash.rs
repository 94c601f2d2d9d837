//! Power cuts at every step of a recorded workload, and at every step of the
//! recovery behind it.
//!
//! Invariant: what was acknowledged is there, nothing is there that was never
//! written, nothing of another log or of an earlier life of a file, and a
//! second recovery finds the same.

use super::kit::*;
use super::workload::{Holding, Workload, settings};
use crate::full;
use dolmen::disk::sim::{Image, SimDisk, Sweep, When};
use dolmen::log::Settings;
use std::sync::atomic::{AtomicU64, Ordering};

/// What one seed is to be put through.
#[derive(Clone, Copy)]
pub struct Trial {
    pub seed: u64,
    pub steps: usize,
    /// Images of the workload.
    pub images: usize,
    /// Of every so many of them, recovery itself is cut too...
    pub every: usize,
    /// ...into this many images.
    pub inner: usize,
    /// Segments are written anew meanwhile.
    pub rewrites: bool,
}

/// Segments that took the place of others in all trials.
static EXCHANGED: AtomicU64 = AtomicU64::new(0);

/// Runs a trial; gives how many images were recovered.
pub fn crash(trial: Trial) -> Result<u64, String> {
    let Trial {
        seed,
        steps,
        images,
        ..
    } = trial;
    let settings = settings(seed);
    let disk = SimDisk::new(seed);
    disk.set_depth(1 + (seed % 2) as usize);
    disk.faults(|faults| {
        if seed.is_multiple_of(3) {
            faults.short_read = When::OneIn(4);
            faults.short_write = When::OneIn(4);
        }
        if seed % 4 == 1 {
            (faults.slow, faults.slow_waits) = (When::OneIn(6), 5);
        }
    });
    let at_start = |error: &dyn std::fmt::Display| format!("seed {seed}: {error}");
    let (mut device, _) = open_with(&disk, settings.clone()).map_err(|e| at_start(&e))?;
    let mut workload = Workload::new(seed);
    if trial.rewrites {
        workload = workload.rewriting(seed);
    }
    // A clean stop in the middle, so that its mark is cut through as well.
    workload
        .run(&disk, &mut device, steps / 2)
        .map_err(|e| at_start(&e))?;
    device.close().map_err(|e| at_start(&e))?;
    let (mut device, report) = open_with(&disk, settings.clone()).map_err(|e| at_start(&e))?;
    if !report.was_clean {
        return Err(format!("seed {seed}: a clean stop was not seen as one"));
    }
    workload
        .run(&disk, &mut device, steps - steps / 2)
        .map_err(|e| at_start(&e))?;
    device.close().map_err(|e| at_start(&e))?;
    EXCHANGED.fetch_add(workload.exchanged() as u64, Ordering::Relaxed);
    let trace = disk.trace();
    let mut count = 0;
    for (place, image) in trace.images(Sweep::about(images, seed)).enumerate() {
        let is_deep = trial.every > 0 && place % trial.every == 0;
        let inner = if is_deep { trial.inner } else { 0 };
        let named = format!("seed {seed}, {image}");
        count += recover(&workload, &settings, image, inner)
            .map_err(|error| format!("{named}: {error}"))?;
    }
    Ok(count)
}

fn recover(
    workload: &Workload,
    settings: &Settings,
    image: Image,
    inner: usize,
) -> Result<u64, String> {
    let notes = image.notes().to_vec();
    let disk = image.into_disk();
    if inner > 0 {
        disk.start_recording();
    }
    let found = recover_once(workload, settings, &disk, &notes)?;
    let mut count = 1;
    if inner > 0 {
        let trace = disk.trace();
        disk.stop_recording();
        for cut in trace.images(Sweep::about(inner, 1)) {
            let named = cut.to_string();
            let again = recover_once(workload, settings, &cut.into_disk(), &notes)
                .map_err(|error| format!("recovery cut at {named}: {error}"))?;
            same(&found, &again).map_err(|error| format!("recovery cut at {named}: {error}"))?;
            count += 1;
        }
    }
    let again = recover_once(workload, settings, &disk, &notes)
        .map_err(|error| format!("second recovery: {error}"))?;
    same(&found, &again).map_err(|error| format!("second recovery: {error}"))?;
    Ok(count)
}

fn recover_once(
    workload: &Workload,
    settings: &Settings,
    disk: &SimDisk,
    notes: &[u64],
) -> Result<Vec<Holding>, String> {
    let (mut device, _) =
        open_with(disk, settings.clone()).map_err(|error| format!("does not open: {error}"))?;
    workload.check(&mut device, notes)
}

pub fn same(first: &[Holding], second: &[Holding]) -> Result<(), String> {
    match first == second {
        true => Ok(()),
        false => Err("it finds something else than the first".into()),
    }
}

#[test]
fn nothing_acknowledged_is_lost_at_any_cut() {
    cut_everywhere(false);
}

#[test]
fn a_cut_leaves_the_old_segments_or_the_new_one() {
    cut_everywhere(true);
    let exchanged = EXCHANGED.load(Ordering::Relaxed);
    assert!(exchanged >= 20, "only {exchanged} exchanges");
    println!("{exchanged} exchanges");
}

fn cut_everywhere(rewrites: bool) {
    let (seeds, images) = if full() { (100, 1000) } else { (20, 250) };
    let only = std::env::var("DOLMEN_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seeds: Vec<u64> = match only {
        Some(seed) => vec![seed],
        None => (1..=seeds).collect(),
    };
    let next = AtomicU64::new(0);
    let recovered = AtomicU64::new(0);
    let failures = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(&seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                    let trial = Trial {
                        seed,
                        steps: if rewrites { 120 } else { 60 },
                        images,
                        every: 25,
                        inner: 20,
                        rewrites,
                    };
                    match crash(trial) {
                        Ok(count) => drop(recovered.fetch_add(count, Ordering::Relaxed)),
                        Err(error) => failures.lock().unwrap().push(error),
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    let again = |error: &String| {
        let seed = error
            .trim_start_matches("seed ")
            .split([',', ':'])
            .next()
            .unwrap_or_default();
        format!("{error}\n  DOLMEN_SEED={seed} cargo test log::crash")
    };
    let shown: Vec<String> = failures.iter().map(again).collect();
    assert!(
        failures.is_empty(),
        "{} of {} seeds:\n{}",
        failures.len(),
        seeds.len(),
        shown.join("\n")
    );
    println!("{} images recovered", recovered.into_inner());
}
