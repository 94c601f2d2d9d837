//! What is known of replicas that are behind, and what becomes of one whose log
//! could not be cut where it should be.

use super::haste::{NOW, partition, standing};
use super::*;
use crate::planted::{Fault, plant};
use std::panic::catch_unwind;

/// Asks for more, hears the answer, and takes what there is up to `next`.
fn follows(leader: &mut Partition<u64>, follower: &mut Partition<u64>, next: u64) {
    let (_, ask) = follower.ask().unwrap();
    let own = follower.own;
    let answer = leader.asked(NOW, own, ask);
    follower.answered(follower.run(), &ask, answer);
    let span = Span {
        first: follower.next(),
        next: Offset(next),
        epoch: 1,
    };
    if span.first < span.next {
        assert!(follower.follow(&[span]));
        follower.landed(follower.run(), Offset(next));
    }
}

#[test]
fn what_every_replica_has_is_told_to_all_and_counts_those_behind() {
    let mut stands = standing(&[1, 2, 3], true);
    stands.in_sync = vec![NodeId(1), NodeId(2)];
    let mut leader = partition(1, stands.clone());
    let (mut near, mut far) = (partition(2, stands.clone()), partition(3, stands.clone()));
    for token in 0..9 {
        leader.offer(Acks::Leader, token, 1, NOW).unwrap();
    }
    leader.landed(leader.run(), Offset(9));
    follows(&mut leader, &mut near, 9);
    follows(&mut leader, &mut near, 9);
    assert_eq!(leader.watermark(), Offset(9));
    assert_eq!(leader.everywhere(), Offset(0), "one has said nothing");
    follows(&mut leader, &mut far, 4);
    follows(&mut leader, &mut far, 4);
    assert_eq!(leader.everywhere(), Offset(4));
    assert_eq!(near.everywhere(), Offset(0), "it has not heard of it");
    follows(&mut leader, &mut near, 9);
    assert_eq!(near.everywhere(), Offset(4));
    // It is up anew, and may be another disk.
    stands.lives.insert(NodeId(3), Zxid(8));
    for one in [&mut leader, &mut near] {
        one.stand(NOW, stands.clone());
        assert_eq!(one.everywhere(), Offset(0));
    }
    let alone = partition(1, standing(&[1], true));
    assert_eq!(alone.everywhere(), alone.watermark());
}

#[test]
fn what_no_leader_of_the_epoch_had_is_not_taken() {
    let mut one = partition(2, standing(&[1, 2], true));
    let own = one.standing().leader_epoch;
    let span = |epoch| Span {
        first: Offset(0),
        next: Offset(1),
        epoch,
    };
    assert!(!one.follow(&[span(own + 1)]));
    assert!(one.follow(&[span(own)]));
}

#[test]
fn a_log_that_was_not_cut_counts_as_it_is() {
    let mut leader = partition(1, standing(&[1, 2], true));
    let mut one = partition(2, standing(&[1, 2], true));
    follows(&mut leader, &mut one, 9);
    let (_, ask) = one.ask().unwrap();
    let parted = Answer::Parted {
        epoch: 1,
        end: Offset(5),
    };
    one.answered(one.run(), &ask, parted);
    let (run, epochs) = (one.run(), one.epochs().clone());
    assert_eq!(one.take_effects(), [Effect::Truncate { from: Offset(5) }]);
    // The log has cut at the beginning of a batch.
    let found = |next| Found {
        first: Offset(0),
        next: Offset(next),
        epochs: epochs.clone(),
    };
    one.found_again(found(3));
    one.landed(run, Offset(5));
    assert_eq!((one.next(), one.durable()), (Offset(3), Offset(3)));
    let (_, ask) = one.ask().unwrap();
    assert_eq!((ask.next, ask.last_epoch), (Offset(3), Some(1)));
    // Or not at all, and this node leads next: what it has, it has.
    one.found_again(found(9));
    let mut stands = standing(&[1, 2], true);
    (stands.leader, stands.leader_epoch) = (Some(NodeId(2)), 2);
    one.stand(NOW, stands);
    one.found_again(found(8));
    let place = one.offer(Acks::Leader, 1, 1, NOW).unwrap();
    assert_eq!((place.base, place.epoch), (Offset(8), 2));
}

#[test]
fn a_log_of_which_nothing_is_left_goes_on_where_it_ended() {
    let mut leader = partition(1, standing(&[1, 2], true));
    let mut one = partition(2, standing(&[1, 2], true));
    for token in 0..9 {
        leader.offer(Acks::Leader, token, 1, NOW).unwrap();
    }
    leader.landed(leader.run(), Offset(9));
    for _ in 0..3 {
        follows(&mut leader, &mut one, 9);
    }
    // It has heard of a drop that the one that leads now has not heard of.
    one.drop_prefix(Offset(9));
    assert_eq!((one.first(), leader.first()), (Offset(9), Offset(0)));
    let (_, ask) = one.ask().unwrap();
    assert_eq!((ask.next, ask.last_epoch), (Offset(9), None));
    let answer = leader.asked(NOW, NodeId(2), ask);
    assert!(matches!(answer, Answer::Alike { .. }), "{answer:?}");
    one.answered(one.run(), &ask, answer);
    assert_eq!((one.next(), one.durable()), (Offset(9), Offset(9)));
    // Behind the leader's end there is nothing to go on with.
    let ask = Ask {
        next: Offset(10),
        has: Offset(10),
        ..ask
    };
    let gone = Answer::Gone { first: Offset(0) };
    assert_eq!(leader.asked(NOW, NodeId(2), ask), gone);
}

fn remove_a_replica_and_add_it_again() {
    let whole = standing(&[1, 2, 3], true);
    let without = Standing {
        partition_epoch: 2,
        ..standing(&[1, 2], true)
    };
    let added = Standing {
        partition_epoch: 3,
        counted: without.counted.clone(),
        in_sync: without.in_sync.clone(),
        ..whole.clone()
    };
    // The leader may hear of both at once.
    for heard in [vec![&without, &added], vec![&added]] {
        let mut leader = partition(1, whole.clone());
        let (mut near, mut old) = (partition(2, whole.clone()), partition(3, whole.clone()));
        leader.offer(Acks::Leader, 1, 9, NOW).unwrap();
        leader.landed(leader.run(), Offset(9));
        for _ in 0..2 {
            follows(&mut leader, &mut near, 9);
            follows(&mut leader, &mut old, 9);
        }
        assert_eq!(leader.watermark(), Offset(9));
        for stands in heard {
            leader.stand(NOW, stands.clone());
        }
        leader.take_effects();
        leader.tick(NOW);
        follows(&mut leader, &mut old, 9);
        assert_eq!(
            leader.take_effects(),
            [],
            "it has yet to hear that it was removed"
        );
        assert_eq!(leader.everywhere(), Offset(0));
        let mut new = partition(3, added.clone());
        follows(&mut leader, &mut new, 9);
        assert_eq!(leader.take_effects(), [], "it has nothing");
        follows(&mut leader, &mut new, 9);
        let effects = leader.take_effects();
        let joins = |effect: &Effect<u64>| match effect {
            Effect::Propose { in_sync, .. } => in_sync.len() == 3,
            _ => false,
        };
        assert!(effects.iter().any(joins), "{effects:?}");
    }
}

#[test]
fn what_a_replica_had_before_it_was_removed_does_not_count_when_it_is_added_again() {
    remove_a_replica_and_add_it_again();
    let planted = plant(Fault::RemovalNotMinded);
    let played = catch_unwind(remove_a_replica_and_add_it_again);
    drop(planted);
    assert!(played.is_err(), "it counts, and goes unseen");
}
