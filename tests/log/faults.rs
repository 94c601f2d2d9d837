//! Every planted fault is caught by this suite: the same trials that pass
//! without it fail with it.

#![cfg(debug_assertions)]

use super::crash::{Trial, crash};
use super::foreign::{FOREIGN, record};
use super::kill::{Trial as Kill, kill};
use super::kit::*;
use super::workload::Workload;
use crate::full;
use dolmen::disk::sim::{Faults, SimDisk, Sweep, When};
use dolmen::disk::{Disk, RealDisk};
use dolmen::ids::{Index, LogId};
use dolmen::log::{Device, FRAMES, Opening, Records, Refused, Request, Settings, Way, open};
use dolmen::planted::{Fault, plant};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

type Trier = fn(u64) -> Result<(), String>;

/// The trial that shows a fault, and a seed that is known to, so that the
/// quick run need not search.
fn trial_for(fault: Fault) -> (Trier, u64) {
    match fault {
        Fault::ChecksumNotChecked => (rot, 2),
        Fault::HoleCut => (rot_in_the_journal, 5),
        Fault::FsyncErrorIgnored => (failing_sync, 1),
        Fault::WriteOutErrorIgnored => (failing_write_out, 1),
        Fault::StaleMapLength => (growing_map, 1),
        Fault::FullDiskNotNoticed => (full_disk, 1),
        Fault::BaseOffsetFlipped => (flipped_base, 1),
        Fault::AnswerBeforeSync => (cuts, 1),
        Fault::TornTailKept => (cuts, 1),
        Fault::FolderNotSynced => (cuts, 1),
        Fault::SyncBeforeWrite => (cuts, 1),
        Fault::TrimBeforeSync => (cuts, 1),
        Fault::RecycledFileTrusted => (cuts, 1),
        Fault::OverlappingWrites => (cuts, 1),
        Fault::MarkBeforeData => (cuts, 2),
        Fault::TruncateForgotten => (cuts, 1),
        Fault::RewriteNotSynced => (cuts_of_rewrites, 1),
        Fault::CacheTrusted => (kills, 2),
        elsewhere => unreachable!("{elsewhere:?} is caught by another suite"),
    }
}

/// The trial's outcome; a panic of the simulated disk is a finding too.
fn try_it(trial: Trier, seed: u64) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(|| trial(seed))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Err(text.unwrap_or_else(|| "a panic".into()))
    })
}

#[test]
fn every_planted_fault_is_caught() {
    let mut uncaught = Vec::new();
    for &fault in Fault::ALL {
        let (trial, known) = trial_for(fault);
        let seeds = if full() { 1..=500 } else { known..=known };
        let mut found = None;
        for seed in seeds {
            let planted = plant(fault);
            let outcome = try_it(trial, seed);
            drop(planted);
            if let Err(error) = outcome {
                found = Some((seed, error));
                break;
            }
        }
        match found {
            Some((seed, error)) => {
                let error: String = error.chars().take(150).collect();
                println!("{fault:?}: caught by seed {seed}: {error}");
                // Without the fault the same seed is well.
                assert_eq!(
                    try_it(trial, seed),
                    Ok(()),
                    "{fault:?}, seed {seed}, not planted"
                );
            }
            None => uncaught.push(fault),
        }
    }
    assert!(uncaught.is_empty(), "not caught: {uncaught:?}");
}

fn cuts(seed: u64) -> Result<(), String> {
    crash(few_cuts(seed)).map(drop)
}

fn few_cuts(seed: u64) -> Trial {
    Trial {
        seed,
        steps: 120,
        images: 600,
        every: 0,
        inner: 0,
        rewrites: false,
    }
}

fn cuts_of_rewrites(seed: u64) -> Result<(), String> {
    let rewrites = true;
    crash(Trial {
        rewrites,
        ..few_cuts(seed)
    })
    .map(drop)
}

fn kills(seed: u64) -> Result<(), String> {
    kill(Kill {
        seed,
        steps: 60,
        kills: 20,
    })
}

/// A device that has worked for a while and then rested: the marks of two idle
/// seconds put the last batch beyond doubt.
fn rested(seed: u64, disk: &SimDisk) -> Result<Workload, String> {
    let (mut device, _) = open_small(disk).map_err(|error| error.to_string())?;
    let mut workload = Workload::new(seed);
    workload.run(disk, &mut device, 80)?;
    for _ in 0..2 {
        device.tick().map_err(|fatal| fatal.to_string())?;
        device.settle().map_err(|fatal| fatal.to_string())?;
    }
    Ok(workload)
}

/// Whether a damaged directory opens with all that was acknowledged, or says
/// what is damaged.
fn named_or_harmless(
    disk: &SimDisk,
    workload: &Workload,
    notes: &[u64],
    is_sealed_or_foreign: impl Fn(&str) -> bool,
) -> Result<(), String> {
    let Ok((mut device, _)) = open_small(disk) else {
        return Ok(());
    };
    match workload.check(&mut device, notes) {
        Ok(_) => Ok(()),
        Err(error) if is_sealed_or_foreign(&error) => Ok(()),
        Err(error) => Err(error),
    }
}

/// One bit of what is stored flips, anywhere.
fn rot(seed: u64) -> Result<(), String> {
    rot_in(seed, "")
}

fn rot_in_the_journal(seed: u64) -> Result<(), String> {
    rot_in(seed, "journal/")
}

fn rot_in(seed: u64, prefix: &str) -> Result<(), String> {
    let disk = SimDisk::new(seed);
    let workload = rested(seed, &disk)?;
    let trace = disk.trace();
    let cut = format!("cut {}, everything", trace.ops().len());
    let notes: Vec<u64> = trace.notes(trace.ops().len()).collect();
    let mut dice = dolmen::entropy::Seeded::new(seed);
    for _ in 0..60 {
        let disk = trace.image(cut.parse().expect("a cut")).into_disk();
        let mut names = disk.names();
        names.retain(|name| name.starts_with(prefix));
        let name = &names[dice.below(names.len() as u64) as usize];
        let bytes = disk.file_bytes(name);
        if bytes.is_empty() {
            continue;
        }
        let (at, bit) = (dice.below(bytes.len() as u64), dice.below(8) as u8);
        disk.flip(name, at, bit);
        named_or_harmless(&disk, &workload, &notes, |error| {
            // A foreign record's checksum leaves its base and epoch out; a
            // sealed segment's footer covers them, and `verify` reads it.
            // Sealed segments are not read at a start: rot there shows when
            // it is read, as an error that names it.
            name.starts_with("logs/4-") || (name.starts_with("logs/") && !error.contains("holds"))
        })
        .map_err(|error| format!("bit {bit} of byte {at} of {name} flipped: {error}"))?;
    }
    Ok(())
}

/// One write of the device lands somewhere else in its file.
fn misdirected(seed: u64) -> Result<(), String> {
    let disk = SimDisk::new(seed);
    let only = if seed.is_multiple_of(2) {
        "journal"
    } else {
        "logs"
    };
    disk.faults(|faults| {
        faults.only = only.into();
        faults.misdirect_write = When::Nth(4 + seed % 60);
    });
    let Ok(workload) = rested(seed, &disk) else {
        // The device met its own stray write: a truncation could not read.
        return Ok(());
    };
    let trace = disk.trace();
    let notes: Vec<u64> = trace.notes(trace.ops().len()).collect();
    let cut = format!("cut {}, everything", trace.ops().len());
    let disk = trace.image(cut.parse().expect("a cut")).into_disk();
    named_or_harmless(&disk, &workload, &notes, |error| {
        only == "logs" && (!error.contains("holds") || error.starts_with("log 4 "))
    })
}

/// A sync fails once: the device must die, and what it had answered is there.
fn failing_sync(seed: u64) -> Result<(), String> {
    failing(seed, |faults| faults.fail_sync = When::Nth(3 + seed % 20))
}

/// The same where it is heard of ahead of the sync, which then says nothing.
fn failing_write_out(seed: u64) -> Result<(), String> {
    failing(seed, |faults| {
        faults.fail_write_out = When::Nth(1 + seed % 20)
    })
}

fn failing(seed: u64, fails: impl FnOnce(&mut Faults)) -> Result<(), String> {
    let disk = SimDisk::new(seed);
    let (mut device, _) = open_small(&disk).map_err(|error| error.to_string())?;
    disk.faults(fails);
    let mut workload = Workload::new(seed);
    let outcome = workload.run(&disk, &mut device, 80);
    drop(device);
    let trace = disk.trace();
    let cut = format!("cut {}, nothing", trace.ops().len());
    let image = trace.image(cut.parse().expect("a cut"));
    let notes = image.notes().to_vec();
    let disk = image.into_disk();
    let (mut device, _) = open_small(&disk).map_err(|error| error.to_string())?;
    workload.check(&mut device, &notes)?;
    match outcome {
        Err(_) => Ok(()),
        Ok(()) => Err("a failed sync went unnoticed".into()),
    }
}

/// The disk is full for a while: appends are refused with the reason, reads
/// go on, and room makes them work again without a restart.
pub fn full_disk(seed: u64) -> Result<(), String> {
    let disk = SimDisk::new(seed);
    let settings = Settings {
        journal_files_max: 2,
        ..small()
    };
    let (mut device, _) = open_with(&disk, settings).map_err(|error| error.to_string())?;
    for _ in 0..10 {
        append(&mut device, 1, &[7; 500]).map_err(|refused| refused.to_string())?;
    }
    disk.faults(|faults| faults.room = Some(0));
    let mut refused = 0;
    let mut taken = 10;
    for _ in 0..100 {
        match append(&mut device, 1, &[7; 500]) {
            Ok(_) => taken += 1,
            Err(Refused::Full(_)) => refused += 1,
            Err(other) => return Err(format!("refused for another reason: {other}")),
        }
    }
    if refused == 0 {
        return Err("nothing was refused on a full disk".into());
    }
    if contents(&mut device, LogId(1), Way::Plain).len() != taken {
        return Err("reads do not go on".into());
    }
    disk.faults(|faults| faults.room = None);
    for _ in 0..100 {
        append(&mut device, 1, &[7; 500]).map_err(|refused| format!("after: {refused}"))?;
    }
    drop(device);
    let (mut device, _) = open_small(&disk).map_err(|error| error.to_string())?;
    match contents(&mut device, LogId(1), Way::Plain).len() == taken + 100 {
        true => Ok(()),
        false => Err("something is missing after the restart".into()),
    }
}

/// A foreign record is stored as it came, or recovery says that it is not.
fn flipped_base(seed: u64) -> Result<(), String> {
    let disk = SimDisk::new(seed);
    let (mut device, _) = open_small(&disk).map_err(|error| error.to_string())?;
    let log = LogId(1);
    device
        .log(log, &FOREIGN)
        .map_err(|refused| refused.to_string())?;
    for base in 0..20 {
        let records = Records::Whole(record(base, 1, 1, &[1; 40]));
        device
            .call(Request::Append { log, records })
            .map_err(|refused| refused.to_string())?;
    }
    drop(device);
    let (mut device, _) = open_small(&disk).map_err(|error| error.to_string())?;
    let found: Vec<u64> = contents(&mut device, log, Way::Plain)
        .into_iter()
        .map(|(base, _)| base)
        .collect();
    match found == (0..20).collect::<Vec<u64>>() {
        true => Ok(()),
        false => Err(format!("bases are {found:?}")),
    }
}

/// A reader by map sees what was appended after the file grew.
fn growing_map(seed: u64) -> Result<(), String> {
    let folder = std::env::temp_dir().join(format!("dolmen-map-{}-{seed}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let settings = dolmen::disk::Settings {
            engine: dolmen::disk::Engine::Threads,
            entries: 8,
            lone_blocking: true,
        };
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(&folder, settings).unwrap());
        let lane = disk.lane().unwrap();
        let dice = Dice::new(seed);
        let settings = Settings {
            bypass_bytes: 1 << 20,
            ..small()
        };
        let opening = Opening {
            disk,
            lane,
            entropy: &dice,
            settings,
            formats: &[&FRAMES],
        };
        let (mut device, _) = open(opening).unwrap();
        for n in 0..40 {
            append(&mut device, 1, &[n; 400]).unwrap();
            let found = contents(&mut device, LogId(1), Way::Map).len();
            if found != n as usize + 1 {
                return Err(format!("{found} of {} records are read", n + 1));
            }
        }
        Ok(())
    }));
    let _ = std::fs::remove_dir_all(&folder);
    outcome.unwrap_or_else(|_| Err("a reader by map fails".into()))
}

/// A disk that was full before the journal had a second file.
fn full_from_the_start(straight: bool) -> Result<(), String> {
    let disk = SimDisk::new(1);
    let (mut device, _) = open_small(&disk).map_err(|error| error.to_string())?;
    // The segment has its room; the journal never gets its second file.
    let size = if straight { 6000 } else { 10 };
    append(&mut device, 1, &vec![1; size]).map_err(|refused| refused.to_string())?;
    disk.faults(|faults| faults.room = Some(0));
    let outcomes: Vec<_> = (0..40)
        .map(|_| append(&mut device, 1, &vec![1; size]))
        .collect();
    let refused = outcomes
        .iter()
        .filter(|one| matches!(one, Err(Refused::Full(_))))
        .count();
    if refused == 0
        || outcomes
            .iter()
            .any(|one| matches!(one, Err(Refused::Failed(_))))
    {
        return Err(format!("{refused} refused"));
    }
    disk.faults(|faults| faults.room = None);
    for _ in 0..40 {
        append(&mut device, 1, &vec![1; size]).map_err(|refused| format!("after: {refused}"))?;
    }
    let held = contents(&mut device, LogId(1), Way::Plain).len();
    device.close().map_err(|fatal| fatal.to_string())?;
    match held == 81 - refused {
        true => Ok(()),
        false => Err(format!("{held} records, {refused} refused")),
    }
}

#[test]
fn a_disk_full_from_the_start_refuses_and_resumes() {
    assert_eq!(full_from_the_start(false), Ok(()));
    assert_eq!(full_from_the_start(true), Ok(()));
}

/// A disk that others have filled before the journal had a second file.
#[test]
fn what_gives_room_back_is_taken_where_the_journal_takes_nothing_else() {
    let disk = SimDisk::new(1);
    let settings = Settings {
        journal_file_bytes: 1 << 20,
        ..small()
    };
    let (mut device, _) = open_with(&disk, settings.clone()).unwrap();
    for _ in 0..10 {
        append(&mut device, 1, &vec![1; 200_000]).unwrap();
    }
    let others = [2, 3, 4, 5];
    for other in others {
        append(&mut device, other, b"a").unwrap();
    }
    device.settle().unwrap();
    let used = disk.used_bytes();
    disk.faults(|faults| faults.room = Some(used));
    let mut more = others.iter().cycle().take(1000);
    let why = loop {
        let &other = more.next().expect("the journal is endless");
        if let Err(why) = append(&mut device, other, b"a") {
            break why.to_string();
        }
    };
    assert!(why.contains("journal"), "{why}");
    let dropped = |device: &mut Device, until: u64| {
        let (log, until) = (LogId(1), Index(until));
        device.call(Request::DropPrefix { log, until })
    };
    disk.start_recording();
    assert_eq!(dropped(&mut device, 9).map(|done| done.first), Ok(Index(9)));
    disk.note(9);
    device.settle().unwrap();
    append(&mut device, 2, b"there is room").unwrap();
    drop(device);
    for image in disk.trace().images(Sweep::about(40, 1)) {
        let (named, is_promised) = (image.to_string(), !image.notes().is_empty());
        let (mut device, _) = open_with(&image.into_disk(), settings.clone()).unwrap();
        let found = contents(&mut device, LogId(1), Way::Plain);
        let first = found.first().map(|(index, _)| *index);
        let is_one = first == Some(9) || (first == Some(0) && !is_promised);
        assert!(is_one, "{named}: it begins at {first:?}");
    }
}

#[test]
fn a_journal_that_has_lost_its_newest_file_is_refused() {
    let disk = SimDisk::new(1);
    let (mut device, _) = open_small(&disk).unwrap();
    let journal = || {
        disk.names()
            .into_iter()
            .filter(|name| name.ends_with(".jrn"))
    };
    // Until a second file is in use, and a little into it.
    let mut more = 3;
    while more > 0 {
        append(&mut device, 1, &[7; 300]).unwrap();
        device.settle().unwrap();
        more -= usize::from(journal().count() == 2);
    }
    drop(device);
    disk.remove(&journal().next_back().unwrap()).unwrap();
    let before = disk.digest();
    let Err(error) = open_small(&disk) else {
        panic!("it opened")
    };
    let says = error.to_string();
    assert!(says.contains("end of the log by the journal"), "{says}");
    assert_eq!(disk.digest(), before, "and nothing was changed");
}

#[test]
fn rot_is_named_or_does_no_harm() {
    for seed in 1..=if full() { 100 } else { 10 } {
        assert_eq!(rot(seed), Ok(()), "seed {seed}");
    }
}

#[test]
fn a_stray_write_is_named_or_does_no_harm() {
    for seed in 1..=if full() { 2000 } else { 200 } {
        assert_eq!(misdirected(seed), Ok(()), "seed {seed}");
    }
}
