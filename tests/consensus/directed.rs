//! Single situations, each with its expected end.

use super::cluster::Cluster;
use dolmen::consensus::{MemberStep, MembersChange};
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

fn agreed(cluster: &Cluster) -> bool {
    let last = cluster.truth.last_committed();
    let members = cluster.truth.members();
    let mut nodes = cluster.nodes.values();
    cluster.leader().is_some()
        && !members.is_joint()
        && nodes.all(|node| !members.contains(node.id) || node.applied() == last)
}

/// Leads, and has a first entry of its term committed.
fn led(seed: u64, size: u64) -> (Cluster, NodeId) {
    let mut cluster = Cluster::found_with(seed, size, |settings| {
        settings.uncommitted_bytes_max = 1 << 20;
        settings.message_bytes_max = 1000;
        settings.window_bytes = 1000;
    });
    cluster
        .until(80, "one leads and has begun", |cluster| {
            cluster.truth.last_committed() > 1 && agreed(cluster)
        })
        .unwrap();
    let leader = cluster.leader().unwrap();
    (cluster, leader)
}

fn another(cluster: &Cluster, leader: NodeId) -> NodeId {
    let mut nodes = cluster.nodes.keys().copied();
    nodes.find(|&id| id != leader).unwrap()
}

fn propose(cluster: &mut Cluster, count: usize) {
    for _ in 0..count {
        cluster.propose().unwrap();
        cluster.settle().unwrap();
    }
}

fn change(cluster: &mut Cluster, steps: &[MemberStep]) {
    let steps = steps.to_vec();
    cluster.change_members(MembersChange { steps }).unwrap();
    cluster.settle().unwrap();
    cluster.until(80, "the change is made", agreed).unwrap();
}

#[test]
fn a_life_that_is_not_durable_is_heard_by_nobody() {
    let (mut cluster, one) = led(5, 1);
    let two = cluster.add_node();
    change(&mut cluster, &[MemberStep::Learner(two)]);
    propose(&mut cluster, 3);
    cluster.crash(one).unwrap();
    cluster.start(one).unwrap();
    for _ in 0..40 {
        if !cluster.node(one).leads() {
            cluster.persist(one, 9).unwrap();
            cluster.tick(one).unwrap();
        }
    }
    assert!(cluster.node(one).leads());
    // It leads a term that its disk has not heard of. Were the learner told,
    // the next life could lead the same term with other entries.
    cluster.propose().unwrap();
    assert_eq!(cluster.on_the_way.len(), 0);
    cluster.persist(one, 9).unwrap();
    assert!(!cluster.on_the_way.is_empty());
    cluster.until(80, "the learner has it", agreed).unwrap();
}

#[test]
fn a_follower_behind_the_window_is_fed_from_the_disk() {
    let (mut cluster, leader) = led(6, 3);
    let away = another(&cluster, leader);
    cluster.crash(away).unwrap();
    propose(&mut cluster, 60);
    cluster.start(away).unwrap();
    cluster.until(80, "it has caught up", agreed).unwrap();
    assert!(cluster.truth.counts.fetches > 0);
    assert_eq!(cluster.truth.counts.snapshots, 0);
}

#[test]
fn a_follower_behind_the_log_gets_a_snapshot() {
    let (mut cluster, leader) = led(7, 3);
    let away = another(&cluster, leader);
    cluster.crash(away).unwrap();
    propose(&mut cluster, 30);
    cluster.node(leader).compact(2);
    cluster.start(away).unwrap();
    cluster.until(80, "it has caught up", agreed).unwrap();
    assert_eq!(cluster.truth.counts.snapshots, 1);
}

/// A snapshot from before it was a member would be thrown away by it.
#[test]
fn a_joiner_gets_a_snapshot_that_knows_it() {
    let (mut cluster, leader) = led(8, 3);
    propose(&mut cluster, 5);
    cluster.node(leader).compact(0);
    let before = cluster.node(leader).durable.snapshot.clone();
    let joiner = cluster.add_node();
    change(&mut cluster, &[MemberStep::Learner(joiner)]);
    assert_ne!(cluster.node(leader).durable.snapshot, before);
    assert_eq!(cluster.truth.counts.snapshots, 1);
    change(&mut cluster, &[MemberStep::Voter(joiner)]);
    assert_eq!(cluster.truth.members().voters.len(), 4);
}

#[test]
fn a_leader_that_is_removed_steps_down_and_another_leads() {
    let (mut cluster, leader) = led(9, 3);
    propose(&mut cluster, 3);
    cluster
        .change_members(MembersChange::one(MemberStep::Remove(leader)))
        .unwrap();
    cluster.propose().unwrap();
    cluster.settle().unwrap();
    assert!(!cluster.node(leader).leads());
    cluster
        .until(80, "another leads", |cluster| {
            cluster.leader().is_some_and(|other| other != leader) && agreed(cluster)
        })
        .unwrap();
    propose(&mut cluster, 3);
    // It asks for no votes, and nobody is disturbed.
    let terms = cluster.truth.counts.terms;
    for _ in 0..100 {
        cluster.round().unwrap();
    }
    assert_eq!(cluster.truth.counts.terms, terms);
}

#[test]
fn leadership_goes_where_it_is_sent() {
    let (mut cluster, leader) = led(10, 3);
    let to = another(&cluster, leader);
    cluster.consensus(leader).unwrap().transfer(to);
    cluster.take(leader).unwrap();
    cluster.settle().unwrap();
    assert_eq!(cluster.leader(), Some(to));
}

#[test]
fn a_new_leader_leaves_the_joint_configuration_of_the_last() {
    let (mut cluster, leader) = led(11, 3);
    let (four, five) = (cluster.add_node(), cluster.add_node());
    change(&mut cluster, &[MemberStep::Learner(four)]);
    change(&mut cluster, &[MemberStep::Learner(five)]);
    let steps = vec![MemberStep::Voter(four), MemberStep::Voter(five)];
    cluster.change_members(MembersChange { steps }).unwrap();
    // The change spreads and is committed, but the leader never applies it.
    for _ in 0..8 {
        for id in cluster.nodes.keys().copied().collect::<Vec<_>>() {
            cluster.persist(id, 9).unwrap();
            if id != leader {
                cluster.apply(id, 9).unwrap();
            }
        }
        for letter in std::mem::take(&mut cluster.on_the_way) {
            cluster.hand_over(letter).unwrap();
        }
    }
    assert!(cluster.truth.members().is_joint());
    cluster.crash(leader).unwrap();
    cluster
        .until(100, "the joint configuration is left", |cluster| {
            !cluster.truth.members().is_joint()
        })
        .unwrap();
    assert_eq!(cluster.truth.members().voters.len(), 5);
}

#[test]
fn a_node_cut_off_disturbs_nobody_when_it_returns() {
    let (mut cluster, leader) = led(12, 3);
    let away = another(&cluster, leader);
    let others = cluster.nodes.keys().copied().filter(|&id| id != away);
    cluster.cut = others.map(|id| (id.min(away), id.max(away))).collect();
    for _ in 0..200 {
        cluster.round().unwrap();
    }
    cluster.cut.clear();
    propose(&mut cluster, 3);
    cluster.until(40, "all agree", agreed).unwrap();
    assert_eq!(
        (cluster.leader(), cluster.truth.counts.terms),
        (Some(leader), 1)
    );
}
