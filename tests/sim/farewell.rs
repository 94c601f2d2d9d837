//! A removed node hears of it while somebody still talks to it.

use super::quiet::{Cluster, TICK};
use dolmen::ids::NodeId;
use dolmen::state::{Command, MemberCommand};
use std::time::Duration;

/// Of three nodes the third is removed, and does not hear of it.
fn removed_and_deaf(cluster: &mut Cluster) {
    let third = NodeId(3);
    cluster.deaf.insert(third);
    let remove = MemberCommand::Remove { node: third };
    cluster.command(1, Command::Members(remove)).unwrap();
}

fn is_counted(cluster: &mut Cluster) -> bool {
    cluster.replica(1).members().contains(NodeId(3))
}

#[test]
fn who_is_removed_is_counted_until_it_knows() {
    let mut cluster = Cluster::of(11, 3);
    cluster.meet_all();
    removed_and_deaf(&mut cluster);
    cluster.ticks(20);
    assert!(is_counted(&mut cluster));
    assert!(!cluster.replica(3).has_left());

    cluster.deaf.clear();
    cluster.until("it is counted no more", |cluster| !is_counted(cluster));
    assert!(cluster.replica(3).has_left());
}

#[test]
fn who_does_not_answer_is_not_waited_for_long() {
    let mut cluster = Cluster::of(12, 3);
    cluster.meet_all();
    removed_and_deaf(&mut cluster);
    let begun = cluster.now;
    cluster.until("it is counted no more", |cluster| !is_counted(cluster));
    let took = cluster.now - begun;
    assert!(took >= Duration::from_secs(2), "{took:?}");
    assert!(took <= Duration::from_secs(5), "{took:?}");
}

#[test]
fn who_is_not_there_is_not_waited_for() {
    let mut cluster = Cluster::of(13, 3);
    cluster.deaf.insert(NodeId(3));
    // Two looks for a majority, at each of which a silent one is noticed.
    cluster.ticks(60);
    removed_and_deaf(&mut cluster);
    let begun = cluster.now;
    cluster.until("it is counted no more", |cluster| !is_counted(cluster));
    assert!(cluster.now - begun <= TICK * 4, "{:?}", cluster.now - begun);
}
