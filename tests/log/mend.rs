//! Damage is found wherever it is, and mended without losing a word about
//! what is lost.

use super::foreign::{FOREIGN, record};
use super::kit::*;
use super::workload::write_anew;
use dolmen::disk::Disk;
use dolmen::disk::sim::{SimDisk, Sweep};
use dolmen::entropy::Seeded;
use dolmen::ids::{Index, JournalNumber, LogId};
use dolmen::log::mend::{self, Examined, Lost};
use dolmen::log::scan::{self, File};
use dolmen::log::{OpenError, Records, Request, Settings, Way, footer};
use std::collections::BTreeMap;

const FRAMED: [u64; 3] = [1, 2, 3];
const OTHER: u64 = 9;
/// Log 3 has forgotten what is below; a repair may bring it back.
const DROPPED: u64 = 11;

type Contents = BTreeMap<u64, Vec<(u64, Vec<u8>)>>;

/// A directory with sealed segments, straight batches, a truncated log, one
/// whose first records are dropped, and one of a foreign format.
struct Directory {
    disk: SimDisk,
    contents: Contents,
}

fn fill(seed: u64, is_clean: bool) -> Directory {
    fill_with(seed, is_clean, small())
}

/// Journal files with room for many batches.
fn roomy() -> Settings {
    Settings {
        journal_file_bytes: 512 << 10,
        ..small()
    }
}

fn fill_with(seed: u64, is_clean: bool, settings: Settings) -> Directory {
    let disk = SimDisk::new(seed);
    disk.stop_recording();
    let (mut device, _) = open_with(&disk, settings).unwrap();
    let mut dice = Seeded::new(seed);
    device.log(LogId(OTHER), &FOREIGN).unwrap();
    let mut base = 0;
    for round in 0..60 {
        for log in FRAMED {
            let length = match dice.one_in(12) {
                true => 6000 + dice.below(3000),
                false => dice.below(900),
            };
            append(&mut device, log, &vec![round as u8 + 1; length as usize]).unwrap();
        }
        let count = 1 + dice.below(3) as u32;
        let length = match dice.one_in(12) {
            true => 6500,
            false => dice.below(500),
        };
        let bytes = record(base, 1, count, &vec![7; length as usize]);
        base += u64::from(count);
        let append = Request::Append {
            log: LogId(OTHER),
            records: Records::Whole(bytes),
        };
        device.call(append).unwrap();
        if round == 30 {
            let from = Index(25);
            device
                .call(Request::Truncate {
                    log: LogId(2),
                    from,
                })
                .unwrap();
            let until = Index(DROPPED);
            device
                .call(Request::DropPrefix {
                    log: LogId(3),
                    until,
                })
                .unwrap();
        }
    }
    device.settle().unwrap();
    write_old_anew(&mut device, seed);
    // The last batch before a stop is open to doubt until one follows it.
    device.tick().unwrap();
    device.settle().unwrap();
    let contents = all(&mut device);
    match is_clean {
        true => device.close().unwrap(),
        false => drop(device),
    }
    Directory { disk, contents }
}

/// The sealed segments of the foreign log become one, with gaps in it.
fn write_old_anew(device: &mut dolmen::log::Device, seed: u64) {
    let shelf = device.shelf(LogId(OTHER)).unwrap();
    let spans = shelf.spans();
    let (from, until) = (spans[0].first, spans[spans.len() - 1].first);
    assert!(from < until, "some are sealed");
    let run = device.rewrite(LogId(OTHER), from, until).unwrap();
    let (written, _) = write_anew(&shelf, run, from, until, &mut Seeded::new(seed)).unwrap();
    device.call(Request::Exchange(Box::new(written))).unwrap();
    device.settle().unwrap();
}

fn all(device: &mut dolmen::log::Device) -> Contents {
    let ids = device.log_ids();
    ids.into_iter()
        .map(|log| (log.0, contents(device, log, Way::Plain)))
        .collect()
}

fn copy_of(disk: &SimDisk) -> SimDisk {
    let copy = SimDisk::new(1);
    copy.stop_recording();
    for folder in ["journal", "logs"] {
        copy.make_folder(folder).unwrap();
    }
    for name in disk.names() {
        copy.set_file(&name, &disk.file_bytes(&name));
    }
    copy
}

fn examine(disk: &SimDisk) -> Examined {
    mend::examine(disk, FORMATS).unwrap()
}

/// Repairs, and holds the result to what a repair promises.
fn mended(disk: &SimDisk, before: &Contents, what: &str) -> Vec<Lost> {
    mended_after(&[], disk, before, what)
}

/// The same after a repair that was cut off and had said what is lost.
fn mended_after(said: &[Lost], disk: &SimDisk, before: &Contents, what: &str) -> Vec<Lost> {
    let examined = examine(disk);
    mend::repair(disk, &examined, &small(), &Dice::new(5), "2026-11-20").unwrap();
    let again = examine(disk);
    assert_eq!(again.damages, [], "{what}: a repair leaves damage");
    let digest = disk.digest();
    let folder = mend::repair(disk, &again, &small(), &Dice::new(6), "2026-11-20").unwrap();
    assert_eq!(folder, None, "{what}");
    assert_eq!(
        disk.digest(),
        digest,
        "{what}: the second repair changed something"
    );
    let (mut device, _) = open_small(disk).unwrap_or_else(|error| panic!("{what}: {error}"));
    let found = all(&mut device);
    let has_note = disk.names().iter().any(|name| name == mend::LOSSES);
    let noted = has_note.then(|| String::from_utf8(disk.file_bytes(mend::LOSSES)).unwrap());
    let noted = noted.map(|said| Lost::logs(&said));
    // Where it is not known which, it may be any.
    let notes = |log: u64| {
        let logs = noted.as_ref();
        logs.is_some_and(|logs| logs.as_ref().is_none_or(|logs| logs.contains(&LogId(log))))
    };
    assert!(has_note || examined.lost.is_empty(), "{what}: not noted");
    for (log, records) in before {
        let kept = found.get(log).cloned().unwrap_or_default();
        let mut named = examined.lost.iter().chain(said);
        let lost = named.find(|lost| lost.log.0 == *log);
        // A truncation whose own segment is gone cannot be told.
        let says = format!("log {log}: what said where");
        if examined.notes.iter().any(|note| note.starts_with(&says)) {
            continue;
        }
        for record in records {
            let is_lost = lost.is_some_and(|lost| {
                record.0 >= lost.from.0 && lost.until.is_none_or(|until| record.0 < until.0)
            });
            assert!(
                kept.contains(record) || is_lost,
                "{what}: log {log} has lost {} and {lost:?} does not say so",
                record.0
            );
            assert!(
                kept.contains(record) || notes(*log),
                "{what}: what is lost of log {log} is not noted"
            );
        }
        for record in &kept {
            assert!(
                records.contains(record) || (*log == 3 && record.0 < DROPPED),
                "{what}: log {log} has {} that was never there",
                record.0
            );
        }
    }
    // It can be written to.
    for log in before.keys().filter(|log| **log != OTHER) {
        append(&mut device, *log, b"after").unwrap();
    }
    device.close().unwrap();
    examined.lost
}

fn journal_files(disk: &SimDisk) -> Vec<String> {
    let names = disk.names();
    let is_file = |name: &String| name.starts_with("journal/") && name.ends_with(".jrn");
    names.into_iter().filter(is_file).collect()
}

fn segments_of(disk: &SimDisk, log: u64) -> Vec<String> {
    let prefix = format!("logs/{log:x}-");
    let mut names: Vec<String> = disk
        .names()
        .into_iter()
        .filter(|name| name.starts_with(&prefix) && name.ends_with(".seg"))
        .collect();
    names.sort_by_key(|name| {
        let epoch = name.trim_end_matches(".seg").rsplit('-').next().unwrap();
        u64::from_str_radix(epoch, 16).unwrap()
    });
    names
}

/// Where the batches of entries stand in a journal file.
fn batches_of(disk: &SimDisk, name: &str) -> Vec<u64> {
    let digits = name.trim_start_matches("journal/").trim_end_matches(".jrn");
    let number = JournalNumber(u64::from_str_radix(digits, 16).unwrap());
    match scan::scan(&disk.file_bytes(name), number).unwrap() {
        File::Begun(scanned) => {
            let entries = &scanned.batches[scanned.table_parts..];
            entries.iter().map(|&at| at as u64).collect()
        }
        File::Unbegun => Vec::new(),
    }
}

#[test]
fn a_whole_directory_has_no_damage() {
    for (seed, is_clean) in [(1, true), (2, false), (3, true), (4, false)] {
        let Directory { disk, .. } = fill(seed, is_clean);
        let digest = disk.digest();
        assert_eq!(mend::verify(&disk, FORMATS).unwrap(), [], "seed {seed}");
        assert_eq!(disk.digest(), digest);
    }
}

#[test]
fn a_rotten_record_ends_its_log_and_no_other() {
    for is_clean in [true, false] {
        let Directory { disk, contents } = fill(5, is_clean);
        let name = segments_of(&disk, 1).remove(1);
        disk.flip(&name, 5000, 3);
        let damages = mend::verify(&disk, FORMATS).unwrap();
        // Not clean, the journal may hold those bytes: then nothing is wrong.
        if is_clean {
            assert_eq!(damages[0].file, name);
        }
        let lost = mended(&disk, &contents, "rotten record");
        assert!(lost.iter().all(|lost| lost.log == LogId(1)), "{lost:?}");
        if is_clean {
            assert_eq!(lost[0].until, Some(Index(60)));
            let aside = name.replace('/', "-");
            let names = disk.names();
            assert!(
                names.contains(&format!("lost+2026-11-20/{aside}")),
                "{names:?}"
            );
        }
    }
}

#[test]
fn a_rotten_batch_loses_nothing_that_reached_its_segment() {
    let Directory { disk, contents } = fill_with(6, false, roomy());
    let places = journal_files(&disk).into_iter().rev();
    let mut places = places.map(|name| (batches_of(&disk, &name), name));
    let (batches, name) = places.find(|(batches, _)| batches.len() > 4).unwrap();
    disk.overwrite(&name, batches[1], &[0x55; 4096]);
    let refused = open_small(&copy_of(&disk)).err().unwrap();
    assert!(matches!(refused, OpenError::Hole(_)), "{refused}");
    let damages = mend::verify(&disk, FORMATS).unwrap();
    assert_eq!(
        (damages[0].file.as_str(), damages[0].at),
        (name.as_str(), batches[1])
    );
    for lost in mended(&disk, &contents, "rotten batch") {
        let last = contents[&lost.log.0].last().unwrap().0;
        assert!(
            lost.from.0 > last,
            "{lost:?}: all of it had reached the segment"
        );
    }
}

#[test]
fn a_rotten_batch_whose_bytes_are_nowhere_else_is_a_gap_of_one_log() {
    // One log's batch is lost together with its bytes in the segment.
    let disk = SimDisk::new(1);
    disk.stop_recording();
    let (mut device, _) = open_with(&disk, roomy()).unwrap();
    for round in 0..5u8 {
        append(&mut device, 1, &[round; 100]).unwrap();
        append(&mut device, 2, &[round; 100]).unwrap();
    }
    device.settle().unwrap();
    let before = all(&mut device);
    drop(device);
    let journal = journal_files(&disk).pop().unwrap();
    let bytes = disk.file_bytes(&journal);
    let has_it = |at: &u64| {
        let batch = &bytes[*at as usize..*at as usize + 4096];
        batch.windows(100).any(|window| window == [3; 100])
    };
    let at = batches_of(&disk, &journal)
        .into_iter()
        .find(has_it)
        .unwrap();
    disk.overwrite(&journal, at, &[0; 4096]);
    let segment = segments_of(&disk, 1).remove(0);
    let body = disk.file_bytes(&segment);
    let place = body.windows(100).position(|w| w == [3; 100]).unwrap() - 64;
    disk.overwrite(&segment, place as u64, &[0; 176]);
    let lost = mended(&disk, &before, "gap");
    let expected = Lost {
        log: LogId(1),
        from: Index(3),
        until: Some(Index(5)),
    };
    assert_eq!(lost, [expected]);
}

#[test]
fn a_missing_journal_file_and_a_missing_journal() {
    let Directory { disk, contents } = fill(7, false);
    let files = journal_files(&disk);
    assert!(files.len() > 1, "{files:?}");
    let one = copy_of(&disk);
    one.remove(&files[0]).unwrap();
    mended(&one, &contents, "the first journal file");
    for name in files {
        disk.remove(&name).unwrap();
    }
    let refused = open_small(&copy_of(&disk)).err().unwrap();
    assert!(matches!(refused, OpenError::Hole(_)), "{refused}");
    for lost in mended(&disk, &contents, "the journal") {
        let last = contents[&lost.log.0].last().unwrap().0;
        assert!(lost.from.0 > last, "{lost:?}: the segments had it all");
    }
}

#[test]
fn frames_tell_that_the_journal_has_lost_its_end() {
    // One whose last file held records.
    let settings = Settings {
        journal_file_bytes: 192 << 10,
        ..small()
    };
    let without_newest = |seed| {
        let Directory { disk, contents } = fill_with(seed, false, settings.clone());
        let newest = journal_files(&disk).pop().unwrap();
        disk.remove(&newest).unwrap();
        let damages = mend::verify(&disk, FORMATS).unwrap();
        let is_told = damages.iter().any(|damage| damage.log.is_some());
        is_told.then_some((disk, contents, damages))
    };
    let (disk, contents, damages) = (11..200).find_map(without_newest).unwrap();
    let says = |log: u64| damages.iter().any(|damage| damage.log == Some(LogId(log)));
    mend::repair(
        &disk,
        &examine(&disk),
        &small(),
        &Dice::new(5),
        "2026-11-20",
    )
    .unwrap();
    let (mut device, _) = open_small(&disk).unwrap();
    let found = all(&mut device);
    for log in FRAMED.into_iter().filter(|&log| says(log)) {
        assert_eq!(found[&log], contents[&log], "log {log}");
    }
}

#[test]
fn a_repair_that_is_cut_off_can_be_done_again() {
    let Directory { disk, contents } = fill(12, false);
    let name = segments_of(&disk, 1).remove(1);
    disk.remove(&name).unwrap();
    let journal = journal_files(&disk).remove(0);
    disk.overwrite(&journal, 8192, &[0x55; 600]);
    disk.start_recording();
    let examined = examine(&disk);
    mend::repair(&disk, &examined, &small(), &Dice::new(5), "2026-11-20").unwrap();
    let trace = disk.trace();
    for image in trace.images(Sweep::about(150, 1)) {
        let what = image.to_string();
        mended_after(&examined.lost, &image.into_disk(), &contents, &what);
    }
}

#[test]
fn a_missing_identity_is_made_anew_for_the_same_directory() {
    let Directory { disk, contents } = fill(8, true);
    disk.remove("identity").unwrap();
    let refused = open_small(&copy_of(&disk)).err().unwrap();
    assert!(
        refused.to_string().contains("no file \"identity\""),
        "{refused}"
    );
    let examined = examine(&disk);
    assert!(
        examined.notes[0].contains("has to join again"),
        "{:?}",
        examined.notes
    );
    assert_eq!(mended(&disk, &contents, "identity"), []);
}

#[test]
fn a_bad_footer_is_built_anew_and_a_missing_one_is_no_damage() {
    let Directory { disk, contents } = fill(9, true);
    let names = disk.names();
    let footers: Vec<&String> = names
        .iter()
        .filter(|name| name.ends_with(".foot"))
        .collect();
    let was = footer::Footer::parse(&disk.file_bytes(footers[0]));
    disk.flip(footers[0], 40, 1);
    let damages = mend::verify(&disk, FORMATS).unwrap();
    assert!(damages.len() == 1 && damages[0].is_harmless, "{damages:?}");
    let copy = copy_of(&disk);
    assert_eq!(mended(&copy, &contents, "footer"), []);
    assert_eq!(
        footer::Footer::parse(&copy.file_bytes(footers[0])).map(|f| f.end),
        was.map(|f| f.end)
    );
    disk.remove(footers[0]).unwrap();
    assert_eq!(mend::verify(&disk, FORMATS).unwrap(), []);
}

#[test]
fn a_missing_segment_ends_its_log_there() {
    let Directory { disk, contents } = fill(10, true);
    let names = segments_of(&disk, 1);
    disk.remove(&names[1]).unwrap();
    let lost = mended(&disk, &contents, "a segment in the middle");
    assert_eq!(lost.len(), 1);
    let Directory { disk, contents } = fill(10, true);
    disk.remove(&names[0]).unwrap();
    let lost = mended(&disk, &contents, "the first segment");
    assert_eq!((lost[0].from, lost[0].until), (Index(0), Some(Index(60))));
}

/// One bit anywhere: it is found or does not count; opening gives all or
/// refuses; a repair opens and names what is gone.
#[test]
fn a_flipped_bit_anywhere_is_found_or_does_not_count() {
    sweep(|disk, name, at, dice| {
        let bit = dice.below(8) as u8;
        disk.flip(name, at, bit);
        format!("bit {bit} of byte {at} flipped")
    });
}

/// The same for what drives do more often: a sector of something else, and
/// names that are gone.
#[test]
fn a_lost_sector_or_file_is_found_or_does_not_count() {
    sweep(|disk, name, at, dice| match dice.below(4) {
        0 => {
            disk.remove(name).unwrap();
            "removed".into()
        }
        kind => {
            let at = at / 512 * 512;
            let length = (disk.file_bytes(name).len() as u64 - at).min(512);
            let fill = |_| match kind {
                1 => 0,
                _ => dice.next_u64() as u8,
            };
            let sector: Vec<u8> = (0..length).map(fill).collect();
            disk.overwrite(name, at, &sector);
            format!("sector at byte {at} of kind {kind}")
        }
    });
}

type Harm = fn(&SimDisk, &str, u64, &mut Seeded) -> String;

fn sweep(harm: Harm) {
    let is_full = std::env::var_os("DOLMEN_FULL").is_some();
    let rounds = if is_full { 20_000 } else { 400 };
    let given = std::env::var("DOLMEN_SEED").ok();
    let given: Option<u64> = given.map(|seed| seed.parse().unwrap());
    let directories: Vec<_> = (0..6)
        .map(|seed| match seed % 3 {
            0 => fill_with(20 + seed, seed % 2 == 0, roomy()),
            _ => fill(20 + seed, seed % 2 == 0),
        })
        .collect();
    for seed in given.map_or(0..rounds, |seed| seed..seed + 1) {
        harm_once(seed, &directories[seed as usize % directories.len()], harm);
    }
}

fn harm_once(seed: u64, directory: &Directory, harm: Harm) {
    let mut dice = Seeded::new(seed);
    let disk = copy_of(&directory.disk);
    let names = disk.names();
    let name = &names[dice.below(names.len() as u64) as usize];
    let bytes = disk.file_bytes(name);
    // Every other time where something stands.
    let written: Vec<usize> = (0..bytes.len()).filter(|&at| bytes[at] != 0).collect();
    let at = match dice.one_in(2) && !written.is_empty() {
        true => written[dice.below(written.len() as u64) as usize] as u64,
        false => dice.below(bytes.len() as u64),
    };
    let newest = journal_files(&disk).pop();
    let harmed = harm(&disk, name, at, &mut dice);
    if newest.as_ref() == Some(name) && !disk.names().contains(name) {
        // Nothing on the disk says that there was a newer file, but frames
        // that were read back: a foreign format has none.
        return;
    }
    let what = format!("DOLMEN_SEED={seed}: {name}: {harmed}");
    let damages = mend::verify(&disk, FORMATS).unwrap_or_else(|error| panic!("{what}: {error}"));
    match open_small(&copy_of(&disk)) {
        Ok((mut device, _)) => {
            for (&log, records) in &directory.contents {
                let found = try_contents(&mut device, LogId(log), Way::Plain);
                let is_named = damages.iter().any(|damage| damage.log == Some(LogId(log)));
                assert!(
                    found.as_ref() == Ok(records) || is_named,
                    "{what}: log {log} changed, and nobody says so: {damages:?}"
                );
            }
        }
        Err(error) => {
            let says = error.to_string();
            let folder = name.split('/').next().unwrap();
            // A missing segment is named by its epoch.
            let is_named = says.contains(folder) || says.contains("the segment with epoch");
            assert!(is_named, "{what}: refused without the file: {says}");
            assert!(
                !damages.is_empty(),
                "{what}: refused, and verify finds nothing: {says}"
            );
        }
    }
    mended(&disk, &directory.contents, &what);
}
