//! Neighbours together. The members stand in an order, and each takes the next
//! part of a topic's partitions.

use super::Seat;
use crate::ids::Uid;
use crate::streams::groups::Name;
use crate::streams::groups::partitions::Partitions;
use std::collections::BTreeMap;

pub(super) fn share_out(
    seats: &BTreeMap<Name, Seat>,
    counts: &BTreeMap<Uid, u32>,
) -> BTreeMap<Name, Partitions> {
    let mut shares: BTreeMap<Name, Partitions> = (seats.keys())
        .map(|name| (name.clone(), Partitions::default()))
        .collect();
    for (topic, count) in counts {
        let order = order_of(seats, topic);
        for (name, part) in order.iter().zip(parts(*count, order.len())) {
            if let Some(share) = shares.get_mut(*name) {
                share.0.extend(part.map(|partition| (*topic, partition)));
            }
        }
    }
    shares
}

/// Those that want the topic, as they stood before by the first partition that
/// each had of it: so the parts only shift where somebody came or went. Who had
/// none of it stands behind, as it stands in other topics, that a new topic is
/// cut like the old ones; who had nothing comes last, by name.
fn order_of<'a>(seats: &'a BTreeMap<Name, Seat>, topic: &Uid) -> Vec<&'a Name> {
    let place = |seat: &Seat| {
        let first = |is_in: &dyn Fn(&Uid) -> bool| {
            let numbers = seat.before.iter().filter(|(topic, _)| is_in(topic));
            numbers.map(|(_, number)| *number).min().unwrap_or(i32::MAX)
        };
        (first(&|of| of == topic), first(&|_| true))
    };
    let mut order: Vec<((i32, i32), &Name)> = (seats.iter())
        .filter(|(_, seat)| seat.topics.contains(topic))
        .map(|(name, seat)| (place(seat), name))
        .collect();
    order.sort();
    order.into_iter().map(|(_, name)| name).collect()
}

/// Cuts `count` partitions into so many parts, the first of which may be
/// larger by one.
fn parts(count: u32, into: usize) -> impl Iterator<Item = std::ops::Range<i32>> {
    let count = i32::try_from(count).unwrap_or(i32::MAX) as usize;
    let (least, longer) = match into {
        0 => (0, 0),
        into => (count / into, count % into),
    };
    let start = move |at: usize| (at * least + at.min(longer)) as i32;
    (0..into).map(move |at| start(at)..start(at + 1))
}
