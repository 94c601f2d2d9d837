//! Which nodes hold the partitions of a topic when it is to have more replicas, or
//! fewer. Who holds one goes on where it can, so that no more is sent from node to
//! node than has to be.

use super::shape::{Partition, Shape};
use std::collections::BTreeMap;

/// A node that is up.
#[derive(Clone, Debug)]
pub struct Node {
    pub number: i32,
    pub rack: Option<String>,
}

/// A partition that others are to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    pub partition: i32,
    pub replicas: Vec<i32>,
}

/// Fewer nodes are up than a partition is to have replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooFew {
    pub up: usize,
}

/// Of all partitions those that have not as many.
pub fn plan(shape: &Shape, nodes: &[Node], count: usize) -> Result<Vec<Move>, TooFew> {
    let mut held: BTreeMap<i32, usize> = BTreeMap::new();
    let partitions = shape.partitions.iter();
    for &node in partitions.flat_map(|one| &one.replicas) {
        *held.entry(node).or_default() += 1;
    }
    let mut moves = Vec::new();
    for partition in &shape.partitions {
        let mut replicas = partition.replicas.clone();
        while replicas.len() > count {
            let gone = replicas.remove(last(partition, &replicas));
            held.entry(gone).and_modify(|held| *held -= 1);
        }
        while replicas.len() < count {
            let next = next(nodes, &held, &replicas, partition.number);
            let next = next.ok_or(TooFew { up: nodes.len() })?;
            *held.entry(next).or_default() += 1;
            replicas.push(next);
        }
        if replicas != partition.replicas {
            let partition = partition.number;
            moves.push(Move {
                partition,
                replicas,
            });
        }
    }
    Ok(moves)
}

/// The place of who goes first: not in sync, then behind the others, and the
/// leader last of all.
fn last(partition: &Partition, replicas: &[i32]) -> usize {
    let rank = |(place, node): (usize, &i32)| {
        let leads = partition.leader == Some(*node);
        (leads, partition.in_sync.contains(node), usize::MAX - place)
    };
    let ranked = replicas.iter().enumerate().map(|one| (rank(one), one.0));
    ranked.min().map_or(0, |(_, place)| place)
}

/// Who holds the partition as well: in the rack that has the least of it, of those
/// who hold the least of the topic, another for each partition where they are
/// alike.
fn next(
    nodes: &[Node],
    held: &BTreeMap<i32, usize>,
    replicas: &[i32],
    partition: i32,
) -> Option<i32> {
    let rack_of = |number: i32| {
        let node = nodes.iter().find(|node| node.number == number);
        node.and_then(|node| node.rack.as_deref())
    };
    let others = nodes.iter().enumerate();
    let others = others.filter(|(_, node)| !replicas.contains(&node.number));
    let rank = |(place, node): (usize, &Node)| {
        let is_beside =
            |&&other: &&i32| node.rack.is_some() && rack_of(other) == rack_of(node.number);
        let beside = replicas.iter().filter(is_beside).count();
        let has = held.get(&node.number).copied().unwrap_or(0);
        let turn = (place + partition.unsigned_abs() as usize) % nodes.len();
        ((beside, has, turn), node.number)
    };
    others.map(rank).min().map(|(_, number)| number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::topic::shape::tests as shapes;
    use crate::ports::kafka::messages::metadata::MetadataResponsePartition;

    /// Led by the first in sync.
    fn topic(partitions: &[(&[i32], &[i32])]) -> Shape {
        let each = (0..).zip(partitions);
        let each = each.map(|(number, (replicas, in_sync))| MetadataResponsePartition {
            replica_nodes: replicas.to_vec(),
            ..shapes::partition(number, in_sync[0], in_sync)
        });
        shapes::shape(each.collect())
    }

    fn nodes(racks: &[(i32, &str)]) -> Vec<Node> {
        let node = |&(number, rack): &(i32, &str)| Node {
            number,
            rack: Some(rack.to_string()).filter(|rack| !rack.is_empty()),
        };
        racks.iter().map(node).collect()
    }

    fn planned(shape: &Shape, nodes: &[Node], count: usize) -> Vec<(i32, Vec<i32>)> {
        let moves = plan(shape, nodes, count).unwrap().into_iter();
        moves.map(|one| (one.partition, one.replicas)).collect()
    }

    #[test]
    fn who_holds_it_stays_and_others_come_evenly() {
        let three = nodes(&[(1, ""), (2, ""), (3, "")]);
        let of_one: (&[i32], &[i32]) = (&[1], &[1]);
        let shape = topic(&[of_one; 4]);
        let moves = planned(&shape, &three, 2);
        assert!(
            moves
                .iter()
                .all(|(_, replicas)| replicas[0] == 1 && replicas.len() == 2)
        );
        let on = |node| moves.iter().filter(|(_, all)| all.contains(&node)).count();
        assert_eq!((on(2), on(3)), (2, 2));
        let all = planned(&shape, &three, 3);
        assert_eq!(all.len(), 4);
        assert_eq!(plan(&shape, &three, 4), Err(TooFew { up: 3 }));
        let mixed = topic(&[(&[1, 2], &[1, 2]), (&[3], &[3])]);
        let moves = planned(&mixed, &three, 2);
        assert_eq!(moves, [(1, vec![3, 1])], "one has as many");
    }

    #[test]
    fn racks_come_before_loads() {
        let racked = nodes(&[(1, "a"), (2, "a"), (3, "b")]);
        let shape = topic(&[(&[1], &[1]), (&[3], &[3]), (&[3], &[3])]);
        let moves = planned(&shape, &racked, 2);
        assert_eq!(moves[0], (0, vec![1, 3]), "though 2 holds nothing");
    }

    #[test]
    fn the_leader_stays_and_who_is_behind_goes_first() {
        let three = nodes(&[(1, ""), (2, ""), (3, "")]);
        let shape = topic(&[(&[1, 2, 3], &[3, 1]), (&[1, 2, 3], &[2, 1, 3])]);
        assert_eq!(
            planned(&shape, &three, 2),
            [(0, vec![1, 3]), (1, vec![1, 2])]
        );
        assert_eq!(planned(&shape, &three, 1), [(0, vec![3]), (1, vec![2])]);
        assert_eq!(planned(&shape, &three, 3), []);
    }
}
