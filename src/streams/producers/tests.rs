use super::*;
use crate::limits::OFFSET_MAX;

pub(super) const NOW: Millis = Millis(1_000_000);

pub(super) fn claim(id: u64, epoch: i16, sequence: i32) -> Claim {
    Claim {
        id: ProducerId(id),
        epoch,
        sequence,
    }
}

fn offer(id: u64, epoch: i16, sequence: i32, count: u32) -> Offer {
    Offer {
        claim: claim(id, epoch, sequence),
        count,
        is_transactional: false,
        raises_epoch: false,
    }
}

fn transactional(offer: Offer) -> Offer {
    Offer {
        is_transactional: true,
        ..offer
    }
}

/// A log that grows by what is admitted.
struct Log {
    producers: Producers,
    stored: Vec<Stored>,
}

impl Log {
    fn new() -> Self {
        Self {
            producers: Producers::new(Offset(0)),
            stored: Vec::new(),
        }
    }

    fn take(&mut self, claim: Option<Claim>, count: u64, is_transactional: bool, kind: Kind) {
        let first = self.producers.next();
        let stored = Stored {
            first,
            next: Offset(first.0 + count),
            leader_epoch: 0,
            max_timestamp: Some(0),
            claim,
            is_transactional,
            kind,
        };
        self.producers.take(&stored, NOW);
        self.stored.push(stored);
    }

    /// Asks, and appends what is new.
    fn offer(&mut self, offer: Offer) -> Result<Admitted, Refused> {
        let admitted = self.producers.admit(&offer)?;
        if let Admitted::New { .. } = admitted {
            let (count, is_transactional) = (offer.count.into(), offer.is_transactional);
            self.take(Some(offer.claim), count, is_transactional, Kind::Data);
        }
        Ok(admitted)
    }

    fn close(&mut self, id: u64, epoch: i16, ending: Ending, coordinator_epoch: i32) {
        let marker = Marker {
            ending,
            coordinator_epoch,
        };
        self.take(Some(claim(id, epoch, -1)), 1, true, Kind::Marker(marker));
    }

    fn aborted(&self, from: u64, until: u64) -> Vec<u64> {
        let aborted = self.producers.aborted(Offset(from), Offset(until));
        aborted.map(|one| one.first.0).collect()
    }

    fn stable(&self, watermark: u64) -> u64 {
        self.producers.last_stable(Offset(watermark)).0
    }
}

const NEW: Result<Admitted, Refused> = Ok(Admitted::New { begins: false });

fn known(first: u64, last: u64) -> Result<Admitted, Refused> {
    let (first, last) = (Offset(first), Offset(last));
    Ok(Admitted::Known { first, last })
}

fn out_of_order(expected: i32, found: i32) -> Result<Admitted, Refused> {
    let id = ProducerId(7);
    Err(Refused::OutOfOrder {
        id,
        expected,
        found,
    })
}

#[test]
fn the_last_five_batches_are_known_again() {
    let mut log = Log::new();
    for batch in 0..7 {
        assert_eq!(log.offer(offer(7, 0, batch * 3, 3)), NEW);
    }
    for batch in 2..7 {
        let first = batch as u64 * 3;
        assert_eq!(
            log.offer(offer(7, 0, batch * 3, 3)),
            known(first, first + 2)
        );
    }
    // Older ones, and batches that are cut in another way.
    assert_eq!(log.offer(offer(7, 0, 3, 3)), out_of_order(21, 3));
    assert_eq!(log.offer(offer(7, 0, 18, 2)), out_of_order(21, 18));
    assert_eq!(log.offer(offer(7, 0, 18, 4)), out_of_order(21, 18));
    assert_eq!(log.offer(offer(7, 0, 22, 1)), out_of_order(21, 22));
    assert_eq!(log.offer(offer(7, 0, 21, 1)), NEW);
}

#[test]
fn numbers_go_on_over_their_end() {
    let mut log = Log::new();
    let last = i32::MAX;
    assert_eq!(log.offer(offer(7, 0, last - 1, 4)), NEW);
    assert_eq!(log.offer(offer(7, 0, last - 1, 4)), known(0, 3));
    assert_eq!(log.offer(offer(7, 0, 3, 1)), out_of_order(2, 3));
    assert_eq!(log.offer(offer(7, 0, 2, 1)), NEW);
    assert_eq!(log.offer(offer(7, 0, last, 1)), out_of_order(3, last));
}

#[test]
fn who_is_not_known_begins_anywhere_unless_its_epoch_is_raised() {
    let mut log = Log::new();
    let raising = Offer {
        raises_epoch: true,
        ..transactional(offer(7, 0, 40, 1))
    };
    assert_eq!(log.offer(raising), out_of_order(0, 40));
    assert_eq!(log.offer(offer(7, 0, 40, 1)), NEW);
    assert_eq!(log.offer(offer(7, 0, 40, 1)), known(0, 0));
    let from_zero = Offer {
        claim: claim(8, 0, 0),
        ..raising
    };
    assert_eq!(log.offer(from_zero), Ok(Admitted::New { begins: true }));
}

#[test]
fn a_new_epoch_begins_at_zero_and_ends_the_old_one() {
    let mut log = Log::new();
    assert_eq!(log.offer(offer(7, 3, 0, 5)), NEW);
    assert_eq!(log.offer(offer(7, 4, 5, 1)), out_of_order(0, 5));
    assert_eq!(log.offer(offer(7, 4, 0, 5)), NEW);
    // The same numbers in the epoch before are another batch, and come too late.
    let (id, epoch, current) = (ProducerId(7), 3, 4);
    let fenced = Err(Refused::Fenced { id, epoch, current });
    assert_eq!(log.offer(offer(7, 3, 0, 5)), fenced);
    assert_eq!(log.offer(offer(7, 4, 0, 5)), known(5, 9));
}

#[test]
fn a_marker_with_a_raised_epoch_fences_what_is_on_its_way() {
    let mut log = Log::new();
    let begins = Ok(Admitted::New { begins: true });
    assert_eq!(log.offer(transactional(offer(7, 3, 0, 5))), begins);
    log.close(7, 4, Ending::Commit, 1);
    let late = log.offer(transactional(offer(7, 3, 5, 1)));
    assert!(matches!(late, Err(Refused::Fenced { .. })), "{late:?}");
    // The next transaction counts from 0.
    let wrong = log.offer(transactional(offer(7, 4, 5, 1)));
    assert_eq!(wrong, out_of_order(0, 5));
    assert_eq!(log.offer(transactional(offer(7, 4, 0, 1))), begins);
}

#[test]
fn a_marker_of_the_same_epoch_lets_the_numbers_go_on() {
    let mut log = Log::new();
    let begins = Ok(Admitted::New { begins: true });
    assert_eq!(log.offer(transactional(offer(7, 3, 0, 5))), begins);
    assert_eq!(log.offer(transactional(offer(7, 3, 5, 1))), NEW);
    log.close(7, 3, Ending::Commit, 1);
    assert_eq!(log.offer(transactional(offer(7, 3, 6, 1))), begins);
}

#[test]
fn nothing_is_written_beside_an_open_transaction() {
    let mut log = Log::new();
    log.offer(transactional(offer(7, 0, 0, 2))).unwrap();
    let (id, open) = (ProducerId(7), Offset(0));
    let beside = log.offer(offer(7, 0, 2, 1));
    assert_eq!(beside, Err(Refused::NotTransactional { id, open }));
    log.close(7, 0, Ending::Abort, 0);
    assert_eq!(log.offer(offer(7, 0, 2, 1)), NEW);
}

#[test]
fn what_a_coordinator_writes_for_a_producer_has_no_numbers() {
    let mut log = Log::new();
    let written = transactional(offer(7, 2, -1, 1));
    assert_eq!(log.offer(written), Ok(Admitted::New { begins: true }));
    assert_eq!(log.offer(written), NEW);
    let older = log.offer(transactional(offer(7, 1, -1, 1)));
    assert!(matches!(older, Err(Refused::Fenced { .. })));
    assert_eq!(log.stable(2), 0);
    log.close(7, 2, Ending::Commit, 0);
    assert_eq!(
        log.offer(transactional(offer(7, 2, -1, 1))),
        Ok(Admitted::New { begins: true })
    );
}

#[test]
fn markers_that_are_refused() {
    let mut log = Log::new();
    let closing = |epoch, coordinator_epoch, raises_epoch| Closing {
        id: ProducerId(7),
        epoch,
        marker: Marker {
            ending: Ending::Commit,
            coordinator_epoch,
        },
        raises_epoch,
    };
    let asked = |log: &Log, epoch, coordinator, raises| {
        log.producers
            .admit_marker(&closing(epoch, coordinator, raises))
    };
    assert_eq!(asked(&log, 0, 0, true), Ok(()), "of a producer unknown");
    log.offer(transactional(offer(7, 3, 0, 1))).unwrap();
    log.close(7, 4, Ending::Commit, 9);
    log.offer(transactional(offer(7, 4, 0, 1))).unwrap();
    let fenced = |epoch| {
        let (id, current) = (ProducerId(7), 4);
        Err(Refused::Fenced { id, epoch, current })
    };
    assert_eq!(asked(&log, 3, 9, true), fenced(3));
    assert_eq!(asked(&log, 3, 9, false), fenced(3));
    // The marker of the transaction before, sent again into the next one.
    assert_eq!(asked(&log, 4, 9, true), fenced(4));
    assert_eq!(asked(&log, 4, 9, false), Ok(()));
    assert_eq!(asked(&log, 5, 9, true), Ok(()));
    let (epoch, current) = (8, 9);
    let old = Err(Refused::OldCoordinator { epoch, current });
    assert_eq!(asked(&log, 5, 8, true), old);
    log.close(7, 5, Ending::Abort, 10);
    assert_eq!(
        asked(&log, 5, 10, true),
        Ok(()),
        "once more, and nothing open"
    );
}

#[test]
fn what_is_stable_ends_with_what_is_open() {
    let mut log = Log::new();
    log.take(None, 10, false, Kind::Data);
    assert_eq!(log.stable(10), 10);
    log.offer(transactional(offer(7, 0, 0, 5))).unwrap();
    log.offer(transactional(offer(8, 0, 0, 5))).unwrap();
    assert_eq!((log.stable(8), log.stable(12), log.stable(20)), (8, 10, 10));
    log.close(7, 0, Ending::Commit, 0);
    // The marker at 20 may still be lost while the watermark is not beyond it.
    assert_eq!((log.stable(20), log.stable(21)), (10, 15));
    log.producers.settle(Offset(21));
    assert_eq!(log.stable(21), 15);
    log.close(8, 0, Ending::Abort, 0);
    assert_eq!((log.stable(21), log.stable(22)), (15, 22));
}

#[test]
fn aborted_transactions_are_found_by_what_is_read() {
    let mut log = Log::new();
    // 0..5 of 7, 5..10 of 8; 8 ends at 10, 7 at 11, and 9 from 12 to 14.
    log.offer(transactional(offer(7, 0, 0, 5))).unwrap();
    log.offer(transactional(offer(8, 0, 0, 5))).unwrap();
    log.close(8, 0, Ending::Abort, 0);
    log.close(7, 0, Ending::Abort, 0);
    log.offer(transactional(offer(9, 0, 0, 2))).unwrap();
    log.close(9, 0, Ending::Abort, 0);
    // An empty transaction, and one that was committed.
    log.close(9, 0, Ending::Abort, 0);
    log.offer(transactional(offer(9, 0, 2, 2))).unwrap();
    log.close(9, 0, Ending::Commit, 0);
    for (from, until, firsts) in [
        (0, 5, &[0][..]),
        (0, 6, &[5, 0]),
        (0, 12, &[5, 0]),
        (0, 13, &[5, 0, 12]),
        (10, 12, &[5, 0]),
        (11, 12, &[0]),
        (12, 13, &[12]),
        (14, 30, &[12]),
        (15, 30, &[]),
        (3, 3, &[0]),
    ] {
        assert_eq!(log.aborted(from, until), firsts, "{from}..{until}");
    }
    let stable: Vec<_> = log.producers.aborted(Offset(0), Offset(30)).collect();
    let stable: Vec<_> = stable.iter().map(|one| one.last_stable.0).collect();
    assert_eq!(stable, [0, 12, 15]);
    log.producers.forget_before(Offset(11));
    assert_eq!(log.aborted(0, 30), [0, 12]);
    log.producers.forget_aborted(Offset(12));
    assert_eq!(log.aborted(0, 30), [12]);
    let seven = log.offer(transactional(offer(7, 0, 4, 1)));
    assert_eq!(seven, out_of_order(5, 4), "still remembered");
}

#[test]
fn what_is_open_and_before_the_log_holds_nothing_back_but_the_rest() {
    let mut log = Log::new();
    log.offer(transactional(offer(7, 0, 0, 5))).unwrap();
    log.take(None, 10, false, Kind::Data);
    log.producers.forget_before(Offset(8));
    assert_eq!(log.stable(15), 8);
    log.close(7, 0, Ending::Abort, 0);
    assert_eq!(log.stable(16), 16);
}

#[test]
fn the_idle_are_forgotten_and_the_open_are_not() {
    let mut log = Log::new();
    log.offer(offer(7, 0, 0, 5)).unwrap();
    log.offer(transactional(offer(8, 0, 0, 5))).unwrap();
    log.producers.expire(Millis(NOW.0 + PRODUCER_IDLE_MS - 1));
    assert_eq!(log.producers.iter().count(), 2);
    log.producers.expire(Millis(NOW.0 + PRODUCER_IDLE_MS));
    let left: Vec<_> = log.producers.iter().map(|(id, _)| id.0).collect();
    assert_eq!(left, [8]);
    assert_eq!(log.offer(offer(7, 0, 80, 1)), NEW);
    // A clock that was put back forgets nobody.
    log.producers.expire(Millis(0));
    assert_eq!(log.producers.iter().count(), 2);
}

#[test]
fn producers_are_as_many_as_their_bound() {
    let mut log = Log::new();
    let most = PRODUCERS_PER_PARTITION_MAX as u64;
    let at = |id, now, is_open: bool, log: &mut Log| {
        let first = log.producers.next();
        let stored = Stored {
            first,
            next: Offset(first.0 + 1),
            leader_epoch: 0,
            max_timestamp: Some(0),
            claim: Some(claim(id, 0, 0)),
            is_transactional: is_open,
            kind: Kind::Data,
        };
        log.producers.take(&stored, Millis(now));
    };
    // The first hundred have something open, the later ones were seen later.
    for id in 0..most {
        at(id, 5000 + id, id < 100, &mut log);
    }
    assert_eq!(log.producers.iter().count() as u64, most);
    at(most, 9_000_000, false, &mut log);
    let at_once = PRODUCERS_FORGOTTEN_AT_ONCE as u64;
    let left: Vec<_> = log.producers.iter().map(|(id, _)| id.0).collect();
    let expected: Vec<_> = (0..100).chain(100 + at_once..=most).collect();
    assert_eq!(left, expected);

    // Where all have something open, there is no room.
    let mut log = Log::new();
    for id in 0..most {
        at(id, 5000, true, &mut log);
    }
    let most = PRODUCERS_PER_PARTITION_MAX;
    let refused = Err(Refused::TooManyOpen { most });
    assert_eq!(log.offer(offer(1 << 40, 0, 0, 1)), refused);
    log.close(1 << 40, 0, Ending::Abort, 0);
    assert_eq!(log.producers.iter().count(), most);
    log.close(3, 0, Ending::Abort, 0);
    assert_eq!(log.offer(offer(1 << 40, 0, 0, 1)), NEW);
}

#[test]
fn aborted_transactions_are_as_many_as_their_bound() {
    let mut log = Log::new();
    let most = ABORTED_PER_PARTITION_MAX;
    for sequence in 0..most as i32 {
        log.take(Some(claim(7, 0, sequence)), 1, true, Kind::Data);
        log.close(7, 0, Ending::Abort, 0);
    }
    let next = transactional(offer(7, 0, most as i32, 1));
    assert_eq!(log.offer(next), Err(Refused::TooManyAborted { most }));
    assert_eq!(log.offer(offer(7, 0, most as i32, 1)), NEW);
    log.producers.settle(log.producers.next());
    let bytes = encode(&log.producers);
    assert!(bytes.len() < 9 << 20);
    assert_eq!(decode(&bytes).as_ref(), Ok(&log.producers));
    log.producers.forget_before(Offset(2));
    assert_eq!(log.producers.transactions.aborted.len(), most - 1);
    let next = transactional(offer(7, 0, most as i32 + 1, 1));
    assert_eq!(log.offer(next), Ok(Admitted::New { begins: true }));
}

/// Something of everything.
fn busy() -> Log {
    let mut log = Log::new();
    log.take(None, 100, false, Kind::Data);
    for batch in 0..7 {
        log.offer(offer(7, 0, batch * 3, 3)).unwrap();
    }
    log.offer(transactional(offer(8, 1, 0, 2))).unwrap();
    log.offer(transactional(offer(9, 5, 0, 2))).unwrap();
    log.close(9, 6, Ending::Abort, 3);
    log.offer(transactional(offer(10, 5, 0, 2))).unwrap();
    log.close(10, 6, Ending::Commit, 3);
    log.producers.forget_before(Offset(20));
    log
}

#[test]
fn a_snapshot_reads_as_it_was_written() {
    for producers in [
        Producers::default(),
        Producers::new(Offset(77)),
        busy().producers,
    ] {
        assert_eq!(decode(&encode(&producers)), Ok(producers));
    }
}

#[test]
fn what_is_behind_a_snapshot_is_taken_and_nothing_else() {
    let log = busy();
    for count in 0..log.stored.len() {
        let mut early = Producers::new(Offset(0));
        for stored in &log.stored[..count] {
            early.take(stored, NOW);
        }
        let mut again = decode(&encode(&early)).unwrap();
        for stored in &log.stored {
            again.take(stored, NOW);
        }
        again.forget_before(Offset(20));
        assert_eq!(again, log.producers, "a snapshot after {count}");
    }
}

#[test]
fn every_cut_and_every_flipped_bit_of_a_snapshot_is_seen() {
    let bytes = encode(&busy().producers);
    for length in 0..bytes.len() {
        assert!(decode(&bytes[..length]).is_err(), "{length}");
    }
    for bit in 0..bytes.len() * 8 {
        let mut bad = bytes.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(decode(&bad).is_err(), "bit {bit}");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert!(decode(&longer).is_err());
}

/// Bytes of a snapshot under their own checksum.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let covered = bytes.len() - 4;
    let crc = crate::wire::crc32c(&bytes[..covered]).to_le_bytes();
    bytes[covered..].copy_from_slice(&crc);
    bytes
}

#[test]
fn another_version_is_refused_with_both_numbers() {
    let mut bytes = encode(&busy().producers);
    bytes[4] = 9;
    let says = decode(&sealed(bytes)).unwrap_err().to_string();
    assert!(
        says.contains("version 9") && says.contains("reads 1"),
        "{says}"
    );
}

#[test]
fn a_declared_count_takes_nothing() {
    let counts_at = 22;
    for place in 0..3 {
        let mut bytes = encode(&busy().producers);
        let at = counts_at + place * 4;
        bytes[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        let decoded = decode(&sealed(bytes));
        assert!(
            matches!(decoded, Err(Unsound::TooMany { .. })),
            "{decoded:?}"
        );
    }
}

#[test]
fn a_state_that_no_log_leads_to_is_refused() {
    type Twist = fn(&mut Producers);
    fn producer(producers: &mut Producers, id: u64) -> &mut Producer {
        producers.by_id.get_mut(&ProducerId(id)).unwrap()
    }
    let twists: [(&str, Twist); 15] = [
        ("first offset", |all| all.start = Offset(all.next.0 + 1)),
        ("end", |all| all.next = Offset(OFFSET_MAX + 1)),
        ("producer id", |all| {
            all.by_id.insert(ProducerId(1 << 63), Producer::default());
        }),
        ("producer epoch", |all| producer(all, 7).epoch = -1),
        ("open transaction", |all| {
            producer(all, 7).open = Some(all.next)
        }),
        ("open transaction", |all| {
            producer(all, 7).open = producer(all, 8).open;
        }),
        ("count of batches", |all| {
            let recent = &mut producer(all, 7).recent;
            recent.push(recent[0]);
        }),
        ("sequence", |all| producer(all, 7).recent[0].sequence = -1),
        ("count of records", |all| {
            producer(all, 7).recent[0].delta = -1
        }),
        ("last offset of a batch", |all| {
            producer(all, 7).recent[0].delta = 1000
        }),
        ("marker", |all| {
            let (first, last) = all.transactions.ended[0];
            all.transactions.ended[0] = (last, first);
        }),
        ("marker", |all| all.transactions.ended.reverse()),
        ("marker", |all| {
            let one = &mut all.transactions.aborted[0];
            one.first = one.last;
        }),
        ("marker", |all| {
            let again = all.transactions.aborted[0];
            all.transactions.aborted.push(again);
        }),
        ("last stable offset", |all| {
            let one = &mut all.transactions.aborted[0];
            one.last_stable = Offset(one.last.0 + 2);
        }),
    ];
    for (place, (names, twist)) in twists.into_iter().enumerate() {
        let mut producers = busy().producers;
        twist(&mut producers);
        match decode(&encode(&producers)) {
            Err(Unsound::Number { what, .. }) => assert_eq!(what, names, "twist {place}"),
            other => panic!("twist {place}, {names}: {other:?}"),
        }
    }
}

#[test]
fn what_reads_well_is_written_the_same() {
    let mut chance = crate::entropy::Seeded::new(6);
    let whole = encode(&busy().producers);
    let mut read = 0;
    for _ in 0..50_000 {
        let mut bytes = whole.clone();
        for _ in 0..=chance.below(3) {
            let at = 6 + chance.below(bytes.len() as u64 - 10) as usize;
            bytes[at] = match chance.below(2) {
                0 => chance.below(8) as u8,
                _ => chance.next_u64() as u8,
            };
        }
        let bytes = sealed(bytes);
        if let Ok(producers) = decode(&bytes) {
            assert_eq!(encode(&producers), bytes);
            read += 1;
        }
    }
    assert!(read > 1000, "{read}");
}

#[test]
fn a_log_that_begins_within_a_batch_knows_whose_it_is() {
    let mut producers = Producers::new(Offset(12));
    let stored = Stored {
        first: Offset(10),
        next: Offset(14),
        leader_epoch: 0,
        max_timestamp: Some(0),
        claim: Some(claim(1, 0, 0)),
        is_transactional: false,
        kind: Kind::Data,
    };
    producers.take(&stored, NOW);
    let known = Admitted::Known {
        first: Offset(10),
        last: Offset(13),
    };
    assert_eq!(producers.admit(&offer(1, 0, 0, 4)), Ok(known));
    assert!(producers.admit(&offer(1, 0, 5, 1)).is_err());
    let before = producers.clone();
    producers.take(&stored, NOW);
    assert_eq!(producers, before, "it is known already");
}
