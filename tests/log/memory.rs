//! What is read without the disk, and what stays mapped for it.

use super::kit::*;
use dolmen::disk::sim::{SimDisk, When};
use dolmen::ids::{Index, LogId};
use dolmen::limits::MAPS_KEPT;
use dolmen::log::{Device, ReadError, Request, Settings, Way};

const ONE: LogId = LogId(1);

/// Segments of a few records each.
fn filled(disk: &SimDisk, records: usize) -> Device {
    disk.maps(true);
    let (mut device, _) = open_with(disk, short()).unwrap();
    for _ in 0..records {
        append(&mut device, ONE.0, &[7; 2000]).unwrap();
    }
    device.settle().unwrap();
    device
}

fn short() -> Settings {
    Settings {
        segment_bytes: 8 << 10,
        ..small()
    }
}

/// Where the records of a log begin that stand first in their segment.
fn firsts(device: &Device) -> Vec<Index> {
    let spans = device.shelf(ONE).unwrap().spans();
    spans.iter().map(|span| span.first).collect()
}

/// Where in memory a record was read to, if it is in memory.
fn place(device: &Device, from: Index, way: Way) -> Option<usize> {
    match device.shelf(ONE).unwrap().read(from, 1, way) {
        Ok(read) => Some(read.expect("it is there").bytes.as_ptr() as usize),
        Err(ReadError::NotInMemory) => None,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn what_is_not_in_memory_is_not_waited_for() {
    let disk = SimDisk::new(1);
    let device = filled(&disk, 40);
    let firsts = firsts(&device);
    let (sealed, active) = (firsts[1], *firsts.last().unwrap());
    for from in [sealed, Index(sealed.0 + 1), active] {
        assert!(place(&device, from, Way::Resident).is_some(), "{from}");
        disk.faults(|faults| faults.evicted = When::OneIn(1));
        assert_eq!(place(&device, from, Way::Resident), None, "{from}");
        assert!(place(&device, from, Way::Map).is_some(), "{from}");
        disk.faults(|faults| faults.evicted = When::Never);
    }
    // After a start neither a file is open, nor the footer read that says where in
    // it a record stands.
    device.close().unwrap();
    let (device, _) = open_with(&disk, short()).unwrap();
    for from in [sealed, active] {
        disk.reset_counts();
        assert_eq!(place(&device, from, Way::Resident), None, "{from}");
        assert_eq!(disk.counts().reads, 0);
        assert!(place(&device, from, Way::Plain).is_some(), "{from}");
        assert!(place(&device, from, Way::Resident).is_some(), "{from}");
    }
}

#[test]
fn a_sealed_segment_stays_mapped_until_others_are_read_or_it_is_dropped() {
    let disk = SimDisk::new(2);
    let mut device = filled(&disk, 4 * (MAPS_KEPT + 4));
    let firsts = firsts(&device);
    assert!(firsts.len() > MAPS_KEPT + 2, "{}", firsts.len());
    let before = disk.mapped();
    let first = place(&device, firsts[0], Way::Map);
    assert_eq!(place(&device, firsts[0], Way::Resident), first);
    assert_eq!(disk.mapped(), before + 1);
    for from in &firsts[..firsts.len() - 1] {
        place(&device, *from, Way::Resident).unwrap();
    }
    assert_eq!(disk.mapped(), before + MAPS_KEPT);
    let drop_all = Request::DropPrefix {
        log: ONE,
        until: *firsts.last().unwrap(),
    };
    device.call(drop_all).unwrap();
    device.settle().unwrap();
    assert_eq!(disk.mapped(), before);
}
