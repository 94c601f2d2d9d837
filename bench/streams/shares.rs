//! Which connection has which partitions.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// The partitions of each connection that writes, all of one leader. Where a
/// leader has more connections than partitions, some share one.
pub fn writers(leaders: &[SocketAddr], connections: usize) -> Vec<Vec<usize>> {
    let mut led: BTreeMap<SocketAddr, Vec<usize>> = BTreeMap::new();
    for (partition, leader) in leaders.iter().enumerate() {
        led.entry(*leader).or_default().push(partition);
    }
    let mut shares = Vec::new();
    let each = connections.max(led.len());
    for (place, partitions) in led.values().enumerate() {
        let hands = each / led.len() + usize::from(place < each % led.len());
        for hand in 0..hands {
            shares.push(match partitions.len() >= hands {
                true => partitions
                    .iter()
                    .copied()
                    .skip(hand)
                    .step_by(hands)
                    .collect(),
                false => vec![partitions[hand % partitions.len()]],
            });
        }
    }
    shares
}

/// The same of those that read, of which no two share a partition.
pub fn readers(leaders: &[SocketAddr], connections: usize) -> Vec<Vec<usize>> {
    let mut shares = writers(leaders, connections);
    let mut taken = BTreeSet::new();
    shares.retain(|share| taken.insert(share[0]));
    shares
}
