//! A backup's file: refused with the place of the damage, or read to an order in
//! which every node comes behind its parent. An input is tried as a file as it
//! came, in pieces; and as bodies of frames, each behind its length in two
//! bytes, in a file whose head, checksums and end are good.
#![no_main]

use dolmen::clock::Millis;
use dolmen::daemon::backup::codec::{Head, Reading, Writer};
use dolmen::daemon::backup::index::Index;
use dolmen::ids::{Index as LogIndex, NodeId, Uid, Zxid};
use dolmen::state::snapshot::backup::Sums;
use dolmen::wire::{crc32c, crc32c_append};
use dolmen_fuzz::{judge, judge_at};
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeSet;

/// An archived access list of no entries takes 12 bytes; with its number in a
/// map of its own, some 100 beside the file's bytes, which are held twice.
const BYTES_PER_INPUT_BYTE: usize = 32;

fuzz_target!(|input: &[u8]| {
    judge(input, |input| {
        let mut reading = Reading::default();
        for piece in input.chunks(100) {
            reading.add(piece);
            while let Ok(Some(_)) = reading.next_part() {}
        }
        let _ = reading.end();
    });
    let Some((&nodes, bodies)) = input.split_first() else {
        return;
    };
    judge_at(BYTES_PER_INPUT_BYTE, bodies, |bodies| {
        restore(&file(nodes.into(), bodies))
    });
});

fn file(nodes: u64, mut bodies: &[u8]) -> Vec<u8> {
    let head = Head {
        id: Uid([1; 16]),
        cluster: Uid([2; 16]),
        node: NodeId(1),
        zxid: Zxid((1 << 61) - 1),
        log_index: LogIndex(1),
        at: Millis(1),
        version: "0.1.0".into(),
        features: 1,
        is_stale: false,
        nodes,
        ephemerals: 0,
        sessions: 0,
    };
    let mut writer = Writer::default();
    let mut file = writer.head(&head);
    let mut sums = Sums {
        nodes,
        ..Sums::default()
    };
    while let Some((length, rest)) = bodies.split_first_chunk() {
        let length = usize::from(u16::from_le_bytes(*length));
        let (body, rest) = rest.split_at(length.min(rest.len()));
        bodies = rest;
        file.extend(writer.frame(framed(body)));
        sums.frames += 1;
    }
    file.extend(writer.end(&sums));
    file
}

fn framed(body: &[u8]) -> Vec<u8> {
    let mut frame = b"dsnp\x01\0\0\0".to_vec();
    frame.extend_from_slice(&(body.len() as u32).to_le_bytes());
    let sum = crc32c_append(crc32c(&frame), body);
    frame.extend_from_slice(&sum.to_le_bytes());
    frame.extend_from_slice(body);
    frame
}

fn restore(file: &[u8]) {
    let (mut reading, mut index) = (Reading::default(), Index::default());
    reading.add(file);
    while let Some(part) = reading.next_part().expect("the file's own parts are good") {
        if index.add(part).is_err() {
            return;
        }
    }
    reading.end().expect("the file is whole");
    let Ok(plan) = index.finish() else {
        return;
    };
    let mut there: BTreeSet<Box<str>> = ["/", "/dolmen", "/dolmen/config"].map(Box::from).into();
    let read = |at: u64, bytes: usize| Ok(file[at as usize..][..bytes].to_vec());
    for batch in plan.batches(read) {
        for node in batch.expect("the file is what it was") {
            let above = node.path.rsplit_once('/').map_or("", |(above, _)| above);
            let above = if above.is_empty() { "/" } else { above };
            assert!(there.contains(above), "{} comes before {above}", node.path);
            there.insert(node.path);
        }
    }
}
