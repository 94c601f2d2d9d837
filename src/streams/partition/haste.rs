//! Acknowledgements that wait for less than the disk.

use super::*;
use crate::planted::{Fault, plant};
use std::panic::catch_unwind;

pub(super) const NOW: Duration = Duration::ZERO;
const LATE: Duration = Duration::from_secs(9);

pub(super) fn standing(replicas: &[u64], needs_majority: bool) -> Standing {
    let replicas: Vec<NodeId> = replicas.iter().copied().map(NodeId).collect();
    Standing {
        leader: Some(NodeId(1)),
        leader_epoch: 1,
        partition_epoch: 1,
        counted: replicas.clone(),
        in_sync: replicas.clone(),
        lives: replicas.iter().map(|&node| (node, Zxid(7))).collect(),
        replicas,
        floor: 1,
        needs_majority,
        hands_on: false,
    }
}

pub(super) fn partition(own: u64, standing: Standing) -> Partition<u64> {
    let lag_max = Duration::from_secs(1);
    let settings = Settings { lag_max };
    let mut partition = Partition::new(NodeId(own), settings, Found::default());
    partition.stand(NOW, standing);
    partition.take_effects();
    partition
}

fn offer(partition: &mut Partition<u64>, acks: Acks, token: u64) -> Place {
    partition.offer(acks, token, 1, LATE).unwrap()
}

/// Who has an answer, and a good one.
fn acknowledged(partition: &mut Partition<u64>) -> Vec<u64> {
    let effects = partition.take_effects().into_iter();
    let told = effects.filter_map(|effect| match effect {
        Effect::Acknowledge(token, Ok(())) => Some(token),
        _ => None,
    });
    told.collect()
}

#[test]
fn who_waits_for_the_leader_alone_waits_for_its_log_and_readers_for_its_disk() {
    let mut one = partition(1, standing(&[1], true));
    offer(&mut one, Acks::All, 10);
    assert!(!one.is_hasty());
    offer(&mut one, Acks::Leader, 11);
    assert!(one.is_hasty());
    let run = one.run();
    one.take_in(run + 1, Offset(2));
    assert!(acknowledged(&mut one).is_empty(), "of another run");
    one.take_in(run, Offset(1));
    assert!(acknowledged(&mut one).is_empty() && one.is_hasty());
    one.take_in(run, Offset(9));
    assert_eq!(acknowledged(&mut one), [11]);
    assert_eq!((one.taken(), one.durable()), (Offset(2), Offset(0)));
    assert!(!one.is_hasty() && one.watermark() == Offset(0));
    one.landed(run, Offset(2));
    assert_eq!(acknowledged(&mut one), [10]);
    assert_eq!(one.watermark(), Offset(2));
}

#[test]
fn replicated_is_in_the_memory_of_all_who_are_in_sync() {
    let stands = standing(&[1, 2], false);
    let (mut leader, mut other) = (partition(1, stands.clone()), partition(2, stands));
    offer(&mut leader, Acks::All, 10);
    assert!(leader.is_hasty());
    let run = leader.run();
    leader.take_in(run, Offset(1));
    assert!(
        acknowledged(&mut leader).is_empty(),
        "the other has nothing"
    );
    let asks = |leader: &mut Partition<u64>, other: &mut Partition<u64>| {
        let (to, ask) = other.ask().unwrap();
        assert_eq!(to, NodeId(1));
        let answer = leader.asked(NOW, NodeId(2), ask);
        other.answered(other.run(), &ask, answer);
        ask.has
    };
    assert_eq!(asks(&mut leader, &mut other), Offset(0));
    let span = Span {
        first: Offset(0),
        next: Offset(1),
        epoch: 1,
    };
    assert!(other.follow(&[span]) && other.is_hasty());
    assert_eq!(
        asks(&mut leader, &mut other),
        Offset(0),
        "its log has not taken it"
    );
    other.take_in(other.run(), Offset(1));
    assert_eq!(asks(&mut leader, &mut other), Offset(1));
    assert_eq!(acknowledged(&mut leader), [10]);
    assert_eq!(
        (leader.watermark(), leader.durable()),
        (Offset(1), Offset(0))
    );
    assert_eq!((other.watermark(), other.durable()), (Offset(1), Offset(0)));
}

fn come_to_be_synced() {
    let (memory, disks) = (standing(&[1, 2], false), standing(&[1, 2], true));
    let (mut leader, mut other) = (partition(1, memory.clone()), partition(2, memory));
    let asks = |leader: &mut Partition<u64>, other: &mut Partition<u64>| {
        let (_, ask) = other.ask().unwrap();
        let answer = leader.asked(NOW, NodeId(2), ask);
        other.answered(other.run(), &ask, answer);
    };
    let take = |other: &mut Partition<u64>, first| {
        let span = Span {
            first: Offset(first),
            next: Offset(first + 1),
            epoch: 1,
        };
        assert!(other.follow(&[span]));
        other.take_in(other.run(), Offset(first + 1));
    };
    offer(&mut leader, Acks::All, 10);
    leader.landed(leader.run(), Offset(1));
    take(&mut other, 0);
    asks(&mut leader, &mut other);
    assert_eq!(acknowledged(&mut leader), [10]);
    // What it said of its memory is worth nothing from here on, nor what it says
    // until it has heard of it as well.
    offer(&mut leader, Acks::All, 11);
    take(&mut other, 1);
    asks(&mut leader, &mut other);
    leader.stand(NOW, disks.clone());
    leader.landed(leader.run(), Offset(2));
    assert!(acknowledged(&mut leader).is_empty());
    asks(&mut leader, &mut other);
    assert!(acknowledged(&mut leader).is_empty());
    other.stand(NOW, disks);
    asks(&mut leader, &mut other);
    assert!(acknowledged(&mut leader).is_empty());
    other.landed(other.run(), Offset(2));
    asks(&mut leader, &mut other);
    assert_eq!(acknowledged(&mut leader), [11]);
}

#[test]
fn memory_does_not_count_for_disks_once_a_topic_is_synced() {
    come_to_be_synced();
    let planted = plant(Fault::MemoryCountedOn);
    assert!(catch_unwind(come_to_be_synced).is_err());
    drop(planted);
}

#[test]
fn what_the_log_has_taken_is_not_given_up_for_what_it_refuses() {
    let mut one = partition(1, standing(&[1], true));
    let first = offer(&mut one, Acks::Leader, 10);
    let second = offer(&mut one, Acks::Leader, 11);
    one.take_in(one.run(), Offset(1));
    assert_eq!(acknowledged(&mut one), [10]);
    one.failed(second.attempt, second.base);
    assert_eq!((one.next(), one.taken()), (Offset(1), Offset(1)));
    // Were the one before refused, its answer would be a lie: it is kept.
    one.failed(first.attempt + 1, first.base);
    assert_eq!((one.next(), one.taken()), (Offset(1), Offset(1)));
}
