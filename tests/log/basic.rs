//! What a log does when nothing goes wrong.

use super::foreign::{FOREIGN, record};
use super::kit::*;
use dolmen::disk::sim::SimDisk;
use dolmen::ids::{Index, LogId};
use dolmen::log::{Records, Refused, Request, Way};

fn texts(count: usize) -> Vec<Vec<u8>> {
    (0..count)
        .map(|n| format!("record {n} {}", "x".repeat(n * 37 % 900)).into_bytes())
        .collect()
}

#[test]
fn what_was_appended_reads_back_after_a_clean_stop() {
    let disk = SimDisk::new(1);
    let (mut device, report) = open_small(&disk).unwrap();
    assert!(report.is_new);
    let texts = texts(300);
    for (n, text) in texts.iter().enumerate() {
        let appended = append(&mut device, 7, text).unwrap();
        assert_eq!(
            (appended.first.0, appended.next.0),
            (n as u64, n as u64 + 1)
        );
    }
    let expected: Vec<_> = texts
        .iter()
        .enumerate()
        .map(|(n, text)| (n as u64, text.clone()))
        .collect();
    assert_eq!(contents(&mut device, LogId(7), Way::Map), expected);
    device.close().unwrap();
    let (mut device, report) = open_small(&disk).unwrap();
    assert!(report.was_clean, "{report:?}");
    assert_eq!(report.scanned_bytes, 0);
    assert_eq!(contents(&mut device, LogId(7), Way::Plain), expected);
    append(&mut device, 7, b"one more").unwrap();
    drop(device);
    let (mut device, report) = open_small(&disk).unwrap();
    assert!(!report.was_clean);
    assert_eq!(contents(&mut device, LogId(7), Way::Plain).len(), 301);
    device.close().unwrap();
}

#[test]
fn large_batches_go_straight_and_small_ones_stay_behind_them_in_order() {
    let disk = SimDisk::new(2);
    let (mut device, _) = open_small(&disk).unwrap();
    device.log(LogId(1), &dolmen::log::FRAMES).unwrap();
    let sizes = [10, 9000, 20, 30_000, 7000, 5, 6001, 1];
    let (sender, receiver) = std::sync::mpsc::channel();
    for (n, size) in sizes.into_iter().enumerate() {
        let records = payloads(&[&vec![n as u8; size]]);
        let sender = sender.clone();
        device.submit(
            Request::Append {
                log: LogId(1),
                records,
            },
            Box::new(move |outcome| sender.send((n as u64, outcome.unwrap().first.0)).unwrap()),
        );
    }
    device.settle().unwrap();
    let answers: Vec<_> = receiver.try_iter().collect();
    assert_eq!(answers, (0..8).map(|n| (n, n)).collect::<Vec<_>>());
    drop(device);
    let (mut device, _) = open_small(&disk).unwrap();
    let found = contents(&mut device, LogId(1), Way::Plain);
    let lengths: Vec<_> = found.iter().map(|(_, body)| body.len()).collect();
    assert_eq!(lengths, sizes);
    device.close().unwrap();
}

#[test]
fn truncation_drop_restart_and_removal_hold_after_a_crash() {
    let disk = SimDisk::new(3);
    let (mut device, _) = open_small(&disk).unwrap();
    for text in texts(100) {
        append(&mut device, 1, &text).unwrap();
        append(&mut device, 2, &text).unwrap();
        append(&mut device, 3, &text).unwrap();
    }
    let one = LogId(1);
    device
        .call(Request::Truncate {
            log: one,
            from: Index(60),
        })
        .unwrap();
    append(&mut device, 1, b"after").unwrap();
    device
        .call(Request::DropPrefix {
            log: one,
            until: Index(41),
        })
        .unwrap();
    device
        .call(Request::Restart {
            log: LogId(2),
            at: Index(1000),
        })
        .unwrap();
    append(&mut device, 2, b"anew").unwrap();
    device.call(Request::Remove { log: LogId(3) }).unwrap();
    let check = |device: &mut dolmen::log::Device| {
        let found = contents(device, one, Way::Plain);
        assert_eq!(found.len(), 20);
        assert_eq!((found[0].0, found[19].0), (41, 60));
        assert_eq!(found[19].1, b"after");
        assert_eq!(
            contents(device, LogId(2), Way::Plain),
            vec![(1000, b"anew".to_vec())]
        );
        assert!(device.shelf(LogId(3)).is_none());
    };
    check(&mut device);
    let outside = device.call(Request::Truncate {
        log: one,
        from: Index(7),
    });
    assert_eq!(
        outside,
        Err(Refused::OutOfRange {
            first: Index(41),
            next: Index(61)
        })
    );
    drop(device);
    let (mut device, _) = open_small(&disk).unwrap();
    check(&mut device);
    device.close().unwrap();
    let (mut device, _) = open_small(&disk).unwrap();
    check(&mut device);
}

#[test]
fn a_foreign_format_is_stored_byte_for_byte_and_checked_on_the_way_in() {
    let disk = SimDisk::new(4);
    let (mut device, _) = open_small(&disk).unwrap();
    let log = LogId(5);
    device.log(log, &FOREIGN).unwrap();
    let mut call = |bytes: Vec<u8>| {
        device.call(Request::Append {
            log,
            records: Records::Whole(bytes),
        })
    };
    let first = record(0, 1, 10, b"ten entries");
    let second = record(10, 1, 1, &[7; 7000]);
    assert_eq!(call(first.clone()).unwrap().next, Index(10));
    assert_eq!(call(second.clone()).unwrap().next, Index(11));
    for bad in [
        record(10, 1, 1, b"again"),
        record(11, 0, 1, b"old epoch"),
        vec![1, 2, 3],
    ] {
        assert!(matches!(call(bad), Err(Refused::BadRecord(_))));
    }
    let mut flipped = record(11, 1, 1, b"flipped");
    flipped[30] ^= 1;
    assert!(matches!(call(flipped), Err(Refused::BadRecord(_))));
    drop(device);
    let (mut device, _) = open_small(&disk).unwrap();
    assert_eq!(
        contents(&mut device, log, Way::Plain),
        vec![(0, first), (10, second)]
    );
    let other = device.log(log, &dolmen::log::FRAMES);
    assert!(matches!(
        other,
        Err(Refused::OtherFormat { have: 99, want: 1 })
    ));
}

/// How long the segments' files are, in KiB.
fn segments(disk: &SimDisk) -> Vec<usize> {
    let names = disk.names();
    let segments = names.iter().filter(|name| name.ends_with(".seg"));
    segments
        .map(|name| disk.file_bytes(name).len() >> 10)
        .collect()
}

#[test]
fn a_busy_segment_has_its_room_before_it_is_full() {
    let disk = SimDisk::new(5);
    let settings = dolmen::log::Settings {
        segment_bytes: 256 << 10,
        ..small()
    };
    let (mut device, _) = open_with(&disk, settings).unwrap();
    let mut grown = Vec::new();
    for n in 1..=100 {
        append(&mut device, 1, &[b'x'; 1000]).unwrap();
        device.settle().unwrap();
        let room = segments(&disk)[0];
        if grown.last().is_none_or(|&(_, last)| last != room) {
            grown.push((n, room));
        }
    }
    // With 4 KiB before the first and a head each, a step is left when it is full;
    // from 128 KiB on when a quarter of it is left. Idle logs stay small.
    let expected = [(1, 8), (4, 16), (12, 32), (27, 64), (58, 128), (89, 256)];
    assert_eq!(grown, expected);
    device.close().unwrap();
}

#[test]
fn a_load_takes_journal_files_around_and_gives_them_back() {
    let disk = SimDisk::new(7);
    let settings = dolmen::log::Settings {
        journal_files_max: 6,
        ..small()
    };
    let (mut device, _) = open_with(&disk, settings).unwrap();
    let files = || {
        let names = disk.names();
        let journal = names.iter().filter(|name| name.starts_with("journal/"));
        journal.count()
    };
    let mut most = 0;
    for _ in 0..400 {
        append(&mut device, 1, &[b'x'; 2000]).unwrap();
        most = most.max(files());
    }
    assert!((4..=6).contains(&most), "{most} files");
    device.settle().unwrap();
    let mut quiet_for = |seconds| {
        for _ in 0..seconds {
            device.tick().unwrap();
            device.settle().unwrap();
        }
        files()
    };
    let left = quiet_for(1);
    assert_eq!(quiet_for(30), left, "a load may come again soon");
    assert_eq!(quiet_for(60), left - 1);
    let few = quiet_for(600);
    assert!(few <= 3, "one in use and two spares: {:?}", disk.names());
    device.close().unwrap();
}
