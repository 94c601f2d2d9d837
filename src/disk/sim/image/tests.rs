use super::*;
use crate::disk::sim::When;
use crate::disk::{Disk, How};
use std::collections::BTreeSet;

/// A small disk of one folder-less file per letter. A sector is written as one
/// letter, so that an image can be drawn as a line.
fn draw(disk: &SimDisk) -> String {
    let file = |name: &String| {
        let bytes = disk.file_bytes(name);
        let sectors = bytes.chunks(SECTOR).map(|sector| match sector[0] {
            0 => '.',
            letter => letter as char,
        });
        format!("{name}={}", sectors.collect::<String>())
    };
    disk.names().iter().map(file).collect::<Vec<_>>().join(" ")
}

fn sectors(letters: &str) -> Vec<u8> {
    letters
        .bytes()
        .flat_map(|letter| [letter; SECTOR])
        .collect()
}

/// A disk that has these files durably and records from there on.
fn disk(files: &[(&str, &str)]) -> SimDisk {
    let disk = SimDisk::new(1);
    for (name, letters) in files {
        disk.set_file(name, &sectors(letters));
    }
    disk.start_recording();
    disk
}

fn write(disk: &SimDisk, name: &str, sector: u64, letters: &str) {
    let file = disk.open(name, How::Write).unwrap();
    file.write_all_at(sector * SECTOR as u64, &sectors(letters))
        .unwrap();
}

fn sync(disk: &SimDisk, name: &str) {
    disk.open(name, How::Write).unwrap().sync().unwrap();
}

/// All images at the end of a trace are these and no others.
#[track_caller]
fn check(disk: &SimDisk, expected: &[&str]) {
    let trace = disk.trace();
    let last = trace.ops().len();
    let sweep = Sweep {
        randoms: 200,
        ..Sweep::all(3)
    };
    let images = trace
        .images(sweep)
        .filter(|image| image.crash().cut == last);
    let drawn: BTreeSet<_> = images.map(|image| draw(&image.into_disk())).collect();
    let expected: BTreeSet<_> = expected.iter().map(|line| line.to_string()).collect();
    assert_eq!(drawn, expected, "\n{trace}");
}

#[test]
fn an_unsynced_write_is_there_or_not_or_torn() {
    let disk = disk(&[("f", "xxxx")]);
    write(&disk, "f", 0, "abc");
    check(
        &disk,
        &[
            "f=xxxx", "f=abcx", "f=axxx", "f=abxx", "f=xbcx", "f=xxcx", "f=xbxx", "f=axcx",
        ],
    );
}

#[test]
fn a_synced_write_stays() {
    let disk = disk(&[("f", "xx")]);
    write(&disk, "f", 0, "a");
    sync(&disk, "f");
    check(&disk, &["f=ax"]);
    write(&disk, "f", 1, "b");
    check(&disk, &["f=ax", "f=ab"]);
}

#[test]
fn a_sync_covers_its_own_file_only() {
    let disk = disk(&[("f", "x"), ("g", "x")]);
    write(&disk, "f", 0, "a");
    write(&disk, "g", 0, "b");
    sync(&disk, "g");
    check(&disk, &["f=x g=b", "f=a g=b"]);
}

#[test]
fn writes_may_survive_in_any_order() {
    let disk = disk(&[("f", "xx")]);
    write(&disk, "f", 0, "a");
    write(&disk, "f", 1, "b");
    check(&disk, &["f=xx", "f=ax", "f=xb", "f=ab"]);
}

#[test]
fn of_two_writes_to_one_sector_the_later_wins_where_it_survives() {
    let disk = disk(&[("f", "x")]);
    write(&disk, "f", 0, "a");
    write(&disk, "f", 0, "b");
    check(&disk, &["f=x", "f=a", "f=b"]);
}

#[test]
fn a_sector_brings_the_bytes_that_earlier_writes_put_into_it() {
    let disk = disk(&[("f", "x")]);
    let file = disk.open("f", How::Write).unwrap();
    file.write_all_at(0, b"ab").unwrap();
    file.write_all_at(2, b"cd").unwrap();
    let trace = disk.trace();
    let image = trace.image("cut 2, only 1".parse().unwrap());
    assert_eq!(&image.into_disk().file_bytes("f")[..5], b"abcdx");
}

#[test]
fn an_unsynced_allocation_may_be_lost_and_a_write_behind_it_not() {
    let disk = disk(&[("f", "x")]);
    disk.open("f", How::Write)
        .unwrap()
        .allocate(4 * SECTOR as u64)
        .unwrap();
    check(&disk, &["f=x", "f=x..."]);
    write(&disk, "f", 2, "a");
    check(&disk, &["f=x", "f=x...", "f=x.a", "f=x.a.", "f=x.."]);
    sync(&disk, "f");
    check(&disk, &["f=x.a."]);
}

#[test]
fn a_file_may_be_as_long_as_a_lost_write_made_it() {
    let disk = disk(&[("f", "x")]);
    write(&disk, "f", 0, "ab");
    check(&disk, &["f=x", "f=ab", "f=a", "f=xb", "f=x."]);
}

#[test]
fn a_folder_whose_sync_failed_has_its_changes_open() {
    let disk = disk(&[("f", "x")]);
    disk.remove("f").unwrap();
    disk.faults(|faults| faults.fail_folder_sync = When::Nth(1));
    assert!(disk.sync_folder("").is_err());
    check(&disk, &["", "f=x"]);
}

#[test]
fn a_name_that_was_not_synced_may_vanish_with_synced_data() {
    let disk = disk(&[]);
    disk.open("f", How::Create).unwrap();
    write(&disk, "f", 0, "a");
    sync(&disk, "f");
    check(&disk, &["", "f=a"]);
    disk.sync_folder("").unwrap();
    check(&disk, &["f=a"]);
}

#[test]
fn a_name_may_survive_without_its_data() {
    let disk = disk(&[]);
    disk.open("f", How::Create).unwrap();
    write(&disk, "f", 0, "a");
    check(&disk, &["", "f=", "f=.", "f=a"]);
}

#[test]
fn another_folders_sync_does_not_cover_a_name() {
    let disk = disk(&[]);
    disk.make_folder("d").unwrap();
    disk.open("d/f", How::Create).unwrap();
    disk.sync_folder("").unwrap();
    check(&disk, &["", "d/f="]);
    disk.sync_folder("d").unwrap();
    check(&disk, &["d/f="]);
}

#[test]
fn a_rename_is_the_old_name_or_the_new() {
    let disk = disk(&[("f", "a"), ("g", "b")]);
    disk.rename("f", "g").unwrap();
    check(&disk, &["f=a g=b", "g=a"]);
    disk.sync_folder("").unwrap();
    check(&disk, &["g=a"]);
}

#[test]
fn changes_of_names_are_lost_one_by_one() {
    let disk = disk(&[("f", "a"), ("g", "b")]);
    disk.rename("f", "h").unwrap();
    disk.remove("g").unwrap();
    check(&disk, &["f=a g=b", "g=b h=a", "f=a", "h=a"]);
}

#[test]
fn a_created_file_that_was_renamed_has_one_of_two_names_or_none() {
    let disk = disk(&[]);
    disk.open("new", How::Create).unwrap();
    write(&disk, "new", 0, "a");
    sync(&disk, "new");
    disk.rename("new", "f").unwrap();
    check(&disk, &["", "new=a", "f=a"]);
}

#[test]
fn a_removal_may_be_lost_and_brings_the_old_contents_back() {
    let disk = disk(&[("f", "x")]);
    write(&disk, "f", 0, "a");
    disk.remove("f").unwrap();
    check(&disk, &["", "f=x", "f=a"]);
    disk.sync_folder("").unwrap();
    check(&disk, &[""]);
}

#[test]
fn a_new_file_under_a_removed_name_is_another_file() {
    let disk = disk(&[("f", "x")]);
    disk.remove("f").unwrap();
    disk.open("f", How::Create).unwrap();
    check(&disk, &["", "f=x", "f="]);
}

#[test]
fn what_a_failed_sync_was_to_cover_no_later_sync_covers() {
    let disk = disk(&[("f", "xx")]);
    write(&disk, "f", 0, "a");
    disk.faults(|faults| faults.fail_sync = When::Nth(1));
    let file = disk.open("f", How::Write).unwrap();
    assert!(file.sync().is_err());
    write(&disk, "f", 1, "b");
    file.sync().unwrap();
    check(&disk, &["f=xb", "f=ab"]);
    // Written again, it is dirty again.
    write(&disk, "f", 0, "a");
    file.sync().unwrap();
    check(&disk, &["f=ab"]);
}

#[test]
fn a_sync_that_covers_the_later_write_takes_shared_sectors_from_the_earlier() {
    let disk = disk(&[("f", "xxxx")]);
    write(&disk, "f", 0, "aaaa");
    disk.faults(|faults| faults.fail_sync = When::Nth(1));
    let file = disk.open("f", How::Write).unwrap();
    assert!(file.sync().is_err());
    write(&disk, "f", 1, "bb");
    file.sync().unwrap();
    check(&disk, &["f=xbbx", "f=abba"]);
}

#[test]
fn what_is_planted_by_hand_is_durable() {
    let disk = disk(&[("f", "xx")]);
    write(&disk, "f", 0, "a");
    disk.overwrite("f", SECTOR as u64, &sectors("b"));
    disk.set_file("g", &sectors("c"));
    check(&disk, &["f=ab g=c"]);
}

#[test]
fn every_choice_at_a_cut_has_its_line() {
    let disk = disk(&[("f", "xxx")]);
    write(&disk, "f", 0, "ab");
    write(&disk, "f", 2, "c");
    let trace = disk.trace();
    let sweep = Sweep {
        randoms: 0,
        ..Sweep::all(1)
    };
    let lines: Vec<_> = trace.images(sweep).map(|image| image.to_string()).collect();
    assert_eq!(
        lines,
        [
            "cut 0, nothing",
            "cut 1, nothing",
            "cut 1, everything",
            "cut 1, head 0 to 1",
            "cut 1, tail 0 from 1",
            "cut 2, nothing",
            "cut 2, everything",
            "cut 2, drop 0",
            "cut 2, drop 1",
            "cut 2, only 0",
            "cut 2, only 1",
            "cut 2, head 0 to 1",
            "cut 2, tail 0 from 1",
        ]
    );
}

#[test]
fn zeros_over_zeros_are_not_torn() {
    let disk = SimDisk::new(1);
    disk.set_file("f", &[0; 64 << 10]);
    disk.start_recording();
    let file = disk.open("f", How::Write).unwrap();
    file.write_all_at(0, &[0; 64 << 10]).unwrap();
    let sweep = Sweep {
        randoms: 0,
        ..Sweep::all(1)
    };
    let lines: Vec<_> = disk
        .trace()
        .images(sweep)
        .map(|image| image.to_string())
        .collect();
    assert_eq!(
        lines,
        ["cut 0, nothing", "cut 1, nothing", "cut 1, everything"]
    );
}

#[test]
fn old_bytes_over_bytes_that_are_not_durable_are_torn() {
    let disk = disk(&[("f", "xx")]);
    write(&disk, "f", 0, "ab");
    write(&disk, "f", 0, "xx");
    let lines: Vec<_> = disk
        .trace()
        .images(Sweep::all(1))
        .map(|image| image.to_string())
        .collect();
    assert!(
        lines.contains(&"cut 2, head 1 to 1".to_owned()),
        "{lines:?}"
    );
}

#[test]
fn a_line_brings_its_image_back() {
    let trace = workload(5, 120);
    for image in trace.images(Sweep::about(2_000, 9)) {
        let again = trace.image(image.to_string().parse().unwrap());
        assert_eq!(again.digest(), image.digest(), "{image}");
        assert_eq!(again.notes(), image.notes(), "{image}");
    }
}

#[test]
fn a_story_tells_the_fate_of_each_operation() {
    let disk = disk(&[("f", "xxx")]);
    write(&disk, "f", 0, "ab");
    write(&disk, "f", 2, "c");
    let story = disk.trace().story("cut 2, head 0 to 1".parse().unwrap());
    let lines: Vec<_> = story.lines().collect();
    assert_eq!(lines[0], "cut 2, head 0 to 1");
    assert!(
        lines[1].ends_with("of f torn, with the sectors at [0] left"),
        "{story}"
    );
    assert!(lines[2].ends_with("of f survived"), "{story}");
}

#[test]
fn a_cut_knows_what_was_promised_before_it() {
    let disk = disk(&[("f", "x")]);
    write(&disk, "f", 0, "a");
    disk.note(7);
    disk.note(9);
    sync(&disk, "f");
    let trace = disk.trace();
    let promised: Vec<_> = trace
        .images(Sweep::all(1))
        .map(|image| (image.crash().cut, image.notes().to_vec()))
        .collect();
    assert_eq!(
        promised,
        [
            (0, vec![]),
            (3, vec![7, 9]),
            (3, vec![7, 9]),
            (4, vec![7, 9])
        ]
    );
}

#[test]
fn everything_built_piece_by_piece_is_what_the_process_saw() {
    for seed in 0..20 {
        let trace = workload(seed, 150);
        for cut in 0..=trace.ops().len() {
            let walk = Walk::at(&trace, cut);
            let mut built = walk.durable.clone();
            for unsynced in &walk.unsynced {
                unsynced.change.apply(&mut built);
            }
            assert_eq!(built.digest(), walk.live.digest(), "seed {seed}, cut {cut}");
        }
    }
}

/// A second opinion, from a model so plain that it is no use but here: since
/// its last sync each sector has had some versions, and an image shows one.
#[test]
fn each_sector_is_one_of_its_versions_and_each_version_turns_up() {
    let length = 12 * SECTOR;
    for seed in 0..30 {
        let mut chance = Seeded::new(seed);
        let disk = disk(&[("f", "xxxxxxxxxxxx")]);
        let file = disk.open("f", How::Write).unwrap();
        let mut live = disk.file_bytes("f");
        let versions_of = |live: &[u8]| -> Vec<BTreeSet<Vec<u8>>> {
            live.chunks(SECTOR)
                .map(|sector| [sector.to_vec()].into())
                .collect()
        };
        let mut versions = vec![versions_of(&live)];
        for step in 0..12 {
            let mut now = versions[step].clone();
            if chance.one_in(5) {
                file.sync().unwrap();
                now = versions_of(&live);
            } else {
                let start = chance.below(length as u64) as usize;
                let end = length.min(start + 1 + chance.below(2_000) as usize);
                live[start..end].fill(step as u8);
                file.write_all_at(start as u64, &live[start..end]).unwrap();
                for sector in start / SECTOR..end.div_ceil(SECTOR) {
                    now[sector].insert(live[sector * SECTOR..][..SECTOR].to_vec());
                }
            }
            versions.push(now);
        }
        let trace = disk.trace();
        let mut shown = vec![vec![BTreeSet::new(); 12]; versions.len()];
        for image in trace.images(Sweep::all(seed)) {
            let cut = image.crash().cut;
            let line = image.to_string();
            let bytes = image.into_disk().file_bytes("f");
            for (sector, bytes) in bytes.chunks(SECTOR).enumerate() {
                assert!(
                    versions[cut][sector].contains(bytes),
                    "seed {seed}, {line}: {sector}"
                );
                shown[cut][sector].insert(bytes.to_vec());
            }
        }
        assert_eq!(shown, versions, "seed {seed}\n{trace}");
    }
}

#[test]
fn a_quick_sweep_is_spread_over_the_whole_trace() {
    let trace = workload(2, 400);
    let images: Vec<_> = trace.images(Sweep::about(1_000, 4)).collect();
    assert!((900..=1_000).contains(&images.len()), "{}", images.len());
    let quarter = trace.ops().len() / 4;
    for part in 0..4 {
        let inside = |image: &&Image| image.crash().cut / quarter == part;
        let count = images.iter().filter(inside).count();
        assert!(
            (150..=350).contains(&count),
            "{count} images in part {part}"
        );
    }
    let few: Vec<_> = trace
        .images(Sweep::about(20, 4))
        .map(|image| image.crash().cut)
        .collect();
    assert!(few.len() >= 19 && few[10] > quarter, "{few:?}");
}

#[test]
fn a_recovery_can_be_cut_again() {
    let disk = disk(&[("f", "xx")]);
    write(&disk, "f", 0, "ab");
    let image = disk.trace().image("cut 1, head 0 to 1".parse().unwrap());
    let recovering = image.into_disk();
    assert_eq!(recovering.trace().ops().len(), 0);
    recovering.start_recording();
    write(&recovering, "f", 1, "r");
    check(&recovering, &["f=ax", "f=ar"]);
}

/// A seeded mixture of everything, on files of 64 KiB in two folders.
fn workload(seed: u64, steps: usize) -> Trace {
    let mut chance = Seeded::new(seed);
    let disk = SimDisk::new(seed);
    disk.make_folder("a").unwrap();
    for file in 0..8 {
        disk.set_file(&format!("a/{file}"), &vec![1; 64 << 10]);
    }
    disk.start_recording();
    disk.faults(|faults| faults.fail_sync = When::OneIn(20));
    for step in 0..steps as u64 {
        let names = disk.names();
        let name = &names[chance.below(names.len() as u64) as usize];
        let file = disk.open(name, How::Write).unwrap();
        match chance.below(16) {
            0 => drop(disk.open(&format!("a/new{step}"), How::Create).unwrap()),
            1 => disk.rename(name, &format!("a/moved{step}")).unwrap(),
            2 if names.len() > 4 => disk.remove(name).unwrap(),
            3 => disk.sync_folder("a").unwrap(),
            4..=6 => drop(file.sync()),
            7 => file.allocate(chance.below(96 << 10)).unwrap(),
            8 => disk.note(step),
            9 => file
                .write_all_at(chance.below(15) << 12, &[step as u8; 4096])
                .unwrap(),
            _ => {
                let bytes = vec![step as u8; 1 + chance.below(3_000) as usize];
                file.write_all_at(chance.below(60 << 10), &bytes).unwrap();
            }
        }
    }
    disk.trace()
}
