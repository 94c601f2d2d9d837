//! A partition as clients are shown it: who leads it, who follows, who is away.

use super::reached::{NOBODY, number, numbers};
use crate::ids::NodeId;
use crate::ports::kafka::messages::ErrorCode;
use crate::state::topics::{Brokers, Partition};

pub struct Shown {
    pub code: ErrorCode,
    pub leader: i32,
    pub leader_epoch: i32,
    pub replicas: Vec<i32>,
    pub in_sync: Vec<i32>,
    pub offline: Vec<i32>,
    /// In-sync members that are down: each may lead when it is back. KIP-966 has
    /// a list of its own for them.
    pub eligible: Vec<i32>,
    /// Who had all of it last, where that is lost.
    pub last_known: Vec<i32>,
}

impl Shown {
    pub fn of(partition: &Partition, brokers: &Brokers) -> Self {
        let some = |nodes: &[NodeId], wanted: &dyn Fn(NodeId) -> bool| {
            let wanted = nodes.iter().copied().filter(|&node| wanted(node));
            wanted.map(number).collect::<Vec<_>>()
        };
        let is_down = |node| !brokers.is_up(node);
        let is_lost = partition.is_lost;
        Self {
            code: match partition.leader {
                Some(_) => ErrorCode::None,
                None => ErrorCode::LeaderNotAvailable,
            },
            leader: partition.leader.map_or(NOBODY, number),
            leader_epoch: partition.leader_epoch,
            replicas: numbers(&partition.replicas),
            in_sync: some(&partition.in_sync, &|node| !is_lost && !is_down(node)),
            offline: some(&partition.replicas, &is_down),
            eligible: some(&partition.in_sync, &|node| !is_lost && is_down(node)),
            last_known: some(&partition.in_sync, &|_| is_lost),
        }
    }
}
