//! Single situations, each with its expected end.

use super::cluster::Cluster;
use dolmen::ids::NodeId;

#[test]
fn a_node_alone_commits_what_it_has_made_durable() {
    let mut cluster = Cluster::found(1, 1);
    cluster
        .until(40, "it leads", |cluster| cluster.leader().is_some())
        .unwrap();
    cluster.settle().unwrap();
    let before = cluster.truth.last_committed();
    cluster.propose().unwrap();
    assert_eq!(cluster.truth.last_committed(), before);
    cluster.persist(NodeId(1), 9).unwrap();
    assert_eq!(cluster.truth.last_committed(), before + 1);
}

#[test]
fn three_nodes_elect_and_commit() {
    let mut cluster = Cluster::found(3, 3);
    cluster
        .until(60, "one leads", |cluster| cluster.leader().is_some())
        .unwrap();
    for _ in 0..20 {
        cluster.propose().unwrap();
    }
    cluster
        .until(5, "all have them", |cluster| {
            let last = cluster.truth.last_committed();
            cluster.truth.data().count() as u64 == cluster.taken
                && cluster.nodes.values().all(|node| node.applied() == last)
        })
        .unwrap();
    assert!(cluster.taken > 0);
}
