//! A seed's story, and the quiet end in which all must agree.

use super::cluster::Cluster;
use super::truth::{Counts, Held, hold};
use dolmen::consensus::{MemberStep, MembersChange};
use dolmen::ids::NodeId;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Two elections' worth of ticks for each node that may have to fail first,
/// many times over.
const QUIET_ROUNDS: usize = 600;
const NODES_MAX: usize = 9;

/// Runs one seed. A panic of the library is a finding too.
pub fn run(seed: u64) -> Result<Counts, String> {
    catch_unwind(AssertUnwindSafe(|| story(seed))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string()));
        Err(format!("a panic: {}", text.unwrap_or_default()))
    })
}

fn story(seed: u64) -> Result<Counts, String> {
    let size = [1, 2, 3, 3, 3, 5, 5][(seed % 7) as usize];
    let mut cluster = Cluster::found(seed, size);
    let changes = cluster.dice.one_in(2);
    let loss = cluster.dice.below(4);
    let calm = cluster.dice.below(4);
    let events = 3000 + cluster.dice.below(6000);
    for _ in 0..events {
        happen(&mut cluster, changes, loss, calm)?;
    }
    quiet_end(&mut cluster)?;
    Ok(cluster.truth.counts)
}

/// One thing happens.
fn happen(cluster: &mut Cluster, changes: bool, loss: u64, calm: u64) -> Held {
    let id = cluster.any_node();
    match cluster.dice.below(1000) {
        0..150 => some_nodes(cluster, |cluster, id| cluster.tick(id)),
        150..560 => {
            for _ in 0..1 + cluster.dice.below(5) {
                arrive(cluster, loss)?;
            }
            Ok(())
        }
        560..690 => some_nodes(cluster, |cluster, id| {
            let turns = 1 + cluster.dice.below(3) as usize;
            cluster.persist(id, turns)
        }),
        690..770 => some_nodes(cluster, |cluster, id| {
            let count = 1 + cluster.dice.below(6) as usize;
            cluster.apply(id, count)
        }),
        770..850 => cluster.propose(),
        850..875 => {
            let node = cluster.nodes.get_mut(&id).expect("a node");
            node.read(&cluster.truth);
            cluster.take(id)
        }
        875..885 => {
            cluster.node(id).read_again();
            cluster.take(id)
        }
        885..900 => cluster.serve_fetches(id),
        900..920 => {
            if cluster.dice.one_in(3) || cluster.node(id).wants_snapshot() {
                let keep = cluster.dice.below(12);
                cluster.node(id).compact(keep);
            }
            cluster.take(id)
        }
        920..930 => cluster.report_snapshots(id),
        930..938 => {
            // Some stories are calmer than others.
            if cluster.dice.below(4) >= calm {
                cluster.crash(id)?;
            }
            if cluster.dice.one_in(2) {
                cluster.start(id)?;
            }
            Ok(())
        }
        938..956 => {
            let down = cluster.nodes.values().filter(|node| !node.is_up());
            match down.map(|node| node.id).next() {
                Some(id) => cluster.start(id),
                None => Ok(()),
            }
        }
        956..960 => {
            cut(cluster);
            Ok(())
        }
        960..968 => {
            cluster.cut.clear();
            Ok(())
        }
        968..970 => transfer(cluster),
        970..973 => {
            let to = cluster.any_node();
            if let Some(consensus) = cluster.consensus(id) {
                consensus.report_unreachable(to);
            }
            cluster.take(id)
        }
        973..975 => storm(cluster, loss),
        _ if changes => change_members(cluster),
        _ => cluster.tick(id),
    }
}

/// To each node, or not, as the dice fall.
fn some_nodes(cluster: &mut Cluster, mut what: impl FnMut(&mut Cluster, NodeId) -> Held) -> Held {
    let ids: Vec<NodeId> = cluster.nodes.keys().copied().collect();
    for id in ids {
        if !cluster.dice.one_in(3) {
            what(cluster, id)?;
        }
    }
    Ok(())
}

/// A letter arrives, is lost, or arrives and stays on its way.
fn arrive(cluster: &mut Cluster, loss: u64) -> Held {
    if cluster.on_the_way.is_empty() {
        return Ok(());
    }
    // Mostly the eldest, so that something gets done.
    let near = cluster
        .on_the_way
        .len()
        .min(1 + 4 * cluster.dice.below(6) as usize);
    let at = cluster.dice.below(near as u64) as usize;
    let luck = cluster.dice.below(20);
    if luck < loss {
        cluster.on_the_way.remove(at);
        return Ok(());
    }
    if luck == 19 {
        let double = cluster.on_the_way[at].clone();
        cluster.on_the_way.push(double);
    }
    cluster.deliver(at)
}

/// Nobody hears of a leader for a while; then votes are asked for and given
/// while nodes fail and come back.
fn storm(cluster: &mut Cluster, loss: u64) -> Held {
    for _ in 0..18 {
        some_nodes(cluster, |cluster, id| cluster.tick(id))?;
    }
    for _ in 0..120 {
        let id = cluster.any_node();
        match cluster.dice.below(12) {
            0 => {
                cluster.crash(id)?;
                cluster.start(id)?;
            }
            1 | 2 => cluster.tick(id)?,
            3..6 => cluster.persist(id, 2)?,
            _ => arrive(cluster, loss)?,
        }
    }
    Ok(())
}

fn cut(cluster: &mut Cluster) {
    cluster.cut.clear();
    let ids: Vec<NodeId> = cluster.nodes.keys().copied().collect();
    let side: Vec<bool> = ids.iter().map(|_| cluster.dice.one_in(2)).collect();
    for (a, &left) in ids.iter().enumerate() {
        for (b, &right) in ids.iter().enumerate().skip(a + 1) {
            if side[a] != side[b] {
                cluster.cut.insert((left, right));
            }
        }
    }
}

fn transfer(cluster: &mut Cluster) -> Held {
    let to = cluster.any_node();
    let Some(leader) = cluster.leader() else {
        return Ok(());
    };
    if let Some(consensus) = cluster.consensus(leader) {
        consensus.transfer(to);
    }
    cluster.take(leader)
}

fn change_members(cluster: &mut Cluster) -> Held {
    let mut steps = Vec::new();
    for _ in 0..1 + cluster.dice.below(4) / 3 * 2 {
        let members = cluster.truth.members();
        let mut fresh = cluster.nodes.values().filter(|node| node.applied() == 0);
        let fresh = fresh
            .find(|node| !members.contains(node.id))
            .map(|node| node.id);
        let node = match (cluster.dice.below(4), fresh) {
            (0, Some(fresh)) => fresh,
            (0, None) if cluster.nodes.len() < NODES_MAX => cluster.add_node(),
            _ => cluster.any_node(),
        };
        steps.push(match cluster.dice.below(5) {
            0 | 1 => MemberStep::Learner(node),
            2 | 3 => MemberStep::Voter(node),
            _ => MemberStep::Remove(node),
        });
    }
    let members = cluster.truth.members();
    let removed = |step: &MemberStep| match step {
        MemberStep::Learner(node) => members.voters.contains(node),
        MemberStep::Remove(node) => members.voters.contains(node),
        MemberStep::Voter(_) => false,
    };
    // Numbers are given once: a removed node does not come back.
    let gone = |step: &MemberStep| {
        let node = step.node();
        !members.contains(node) && cluster.nodes[&node].applied() > 1
    };
    let leaves_some = steps.iter().filter(|step| removed(step)).count() < members.voters.len();
    if leaves_some && !steps.iter().any(gone) {
        // What does not fit is refused, and that is well too.
        let _ = cluster.change_members(MembersChange { steps });
    }
    match cluster.leader() {
        Some(leader) => cluster.take(leader),
        None => Ok(()),
    }
}

/// The network heals, every node runs, and in bounded time all members have
/// all that was ever committed, and take new proposals.
fn quiet_end(cluster: &mut Cluster) -> Held {
    cluster.cut.clear();
    let ids: Vec<NodeId> = cluster.nodes.keys().copied().collect();
    for &id in &ids {
        cluster.start(id)?;
        cluster.report_snapshots(id)?;
    }
    let agree = |cluster: &Cluster| {
        let last = cluster.truth.last_committed();
        let members = cluster.truth.members();
        let mut nodes = cluster
            .nodes
            .values()
            .filter(|node| members.contains(node.id));
        !members.is_joint()
            && cluster
                .leader()
                .is_some_and(|leader| members.is_voter(leader))
            && nodes.all(|node| node.applied() == last)
    };
    cluster.until(QUIET_ROUNDS, "all members agree", agree)?;
    let before = cluster.truth.data().count();
    // A transfer of leadership may still be under way, and refuse the first.
    for _ in 0..QUIET_ROUNDS {
        if cluster.truth.data().count() > before {
            break;
        }
        cluster.propose()?;
        cluster.round()?;
    }
    cluster.until(QUIET_ROUNDS, "a proposal is committed", |cluster| {
        cluster.truth.data().count() > before && agree(cluster)
    })?;
    let members = cluster.truth.members().clone();
    for &id in ids.iter().filter(|&&id| members.contains(id)) {
        let node = cluster.nodes.get_mut(&id).expect("a node");
        node.read(&cluster.truth);
        for _ in 0..40 {
            cluster.node(id).read_again();
            cluster.round()?;
        }
        hold!(
            cluster.node(id).unanswered() == 0,
            "node {id} gets no answer to a read"
        );
    }
    Ok(())
}

#[test]
fn seeds() {
    let count = if crate::full() { 2000 } else { 100 };
    let first = std::env::var("DOLMEN_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seeds = match first {
        Some(seed) => seed..seed + 1,
        None => 0..count,
    };
    let mut sum = Counts::default();
    for seed in seeds {
        match run(seed) {
            Ok(counts) => {
                sum.terms += counts.terms;
                sum.committed += counts.committed;
                sum.changes += counts.changes;
                sum.reads += counts.reads;
                sum.snapshots += counts.snapshots;
                sum.fetches += counts.fetches;
                sum.crashes += counts.crashes;
                sum.refused += counts.refused;
            }
            Err(why) => panic!("{why}\nDOLMEN_SEED={seed} cargo test consensus::schedule::seeds"),
        }
    }
    println!("{sum:?}");
}
