//! Stories of upgrades, of a way back, and of a leader that leaves.

use super::basic::create;
use super::quiet::Cluster;
use dolmen::ids::{NodeId, SessionId, Zxid};
use dolmen::replica::desk::{Ask, CloseReason, ConnectionId, Hello, Reply};
use dolmen::replica::level_file;
use dolmen::state::{Command, MEMBERS_CHANGED, MemberCommand, MemberOutcome, Outcome};

fn level(cluster: &mut Cluster, id: u64) -> u32 {
    cluster.replica(id).state().members().features()
}

/// What `cat features` shows.
fn file(cluster: &Cluster, id: u64) -> String {
    let bytes = cluster.nodes[&NodeId(id)].disk.file_bytes(level_file::NAME);
    String::from_utf8(bytes).unwrap()
}

fn finalize(cluster: &mut Cluster, on: u64) -> Result<Option<MemberOutcome>, String> {
    // A new leader has a word to say on the members first.
    for _ in 0..3 {
        let Some(raise) = cluster.replica(on).finalize()? else {
            return Ok(None);
        };
        match cluster.command(on, Command::Members(raise)) {
            Ok(Outcome::Members(MemberOutcome::Refused(why))) if *why == *MEMBERS_CHANGED => {}
            Ok(Outcome::Members(outcome)) => return Ok(Some(outcome)),
            other => panic!("{other:?}"),
        }
    }
    Err(MEMBERS_CHANGED.into())
}

/// As if everybody had been asked.
fn raise_unasked(cluster: &mut Cluster, on: u64, to: u32) {
    let members_of = cluster.replica(on).state().members().changed();
    let level = to;
    let raise = MemberCommand::RaiseFeatures { level, members_of };
    let moment = cluster.moment();
    let raise = Command::Members(raise);
    cluster.replica(on).command(moment, raise, None);
}

fn refusal(started: Result<(), dolmen::log::OpenError>) -> String {
    started.expect_err("it does not start").to_string()
}

#[test]
fn a_new_cluster_is_at_the_level_of_its_build() {
    let mut cluster = Cluster::new(1);
    cluster.add_knowing(1, 3);
    cluster.until("it is raised", |cluster| level(cluster, 1) == 3);
    assert_eq!(file(&cluster, 1), "3\n");
    assert_eq!(finalize(&mut cluster, 1), Ok(None));

    let says = refusal(cluster.install(1, 2));
    assert!(says.contains("raised to feature level 3"), "{says}");
    assert!(says.contains("knows levels up to 2"), "{says}");
    cluster.install(1, 3).unwrap();
}

#[test]
fn an_upgraded_node_stays_at_its_level_until_it_is_final() {
    let mut cluster = Cluster::new(1);
    cluster.add(1);
    let (client, _) = cluster.connect(1);
    cluster.ask(1, client, create("/a", b"one")).unwrap();
    cluster.install(1, 2).unwrap();
    cluster.ticks(50);
    assert_eq!(
        (level(&mut cluster, 1), file(&cluster, 1)),
        (1, "1\n".into())
    );

    // And back, and again.
    cluster.install(1, 1).unwrap();
    cluster.install(1, 2).unwrap();
    cluster.until("it leads", |cluster| cluster.replica(1).is_leader());
    assert_eq!(finalize(&mut cluster, 1), Ok(Some(MemberOutcome::Done)));
    assert_eq!(
        (level(&mut cluster, 1), file(&cluster, 1)),
        (2, "2\n".into())
    );
    assert!(cluster.install(1, 1).is_err());
}

#[test]
fn the_level_is_raised_once_every_member_knows_it() {
    let mut cluster = Cluster::of(7, 3);
    cluster.meet_all();
    assert_eq!(finalize(&mut cluster, 2), Ok(None));
    for id in [1, 2] {
        cluster.install(id, 2).unwrap();
        cluster.meet_all();
    }
    cluster.until("one leads", |cluster| cluster.replica(2).leader().is_some());
    // Also where it is typed on the one that is too old.
    for id in 1..=3 {
        let says = finalize(&mut cluster, id).unwrap_err();
        let expected = "feature level 2 has to wait: node 3 runs 0.1.0, which knows levels up to \
                        1: install the newer release on it";
        assert_eq!(says, expected);
    }
    let moment = cluster.moment();
    cluster.replica(2).peer_down(moment, NodeId(3));
    let says = finalize(&mut cluster, 2).unwrap_err();
    assert!(says.contains("node 3 is not heard of"), "{says}");

    cluster.install(3, 2).unwrap();
    cluster.meet_all();
    cluster.until("one leads", |cluster| cluster.replica(2).leader().is_some());
    assert_eq!(finalize(&mut cluster, 2), Ok(Some(MemberOutcome::Done)));
    cluster.ticks(4);
    for id in 1..=3 {
        assert_eq!(
            (level(&mut cluster, id), file(&cluster, id)),
            (2, "2\n".into())
        );
    }
    assert_eq!(finalize(&mut cluster, 1), Ok(None));
}

#[test]
fn who_came_behind_the_asking_is_not_raised_over() {
    let mut cluster = Cluster::of(8, 2);
    for id in [1, 2] {
        cluster.install(id, 2).unwrap();
    }
    cluster.meet_all();
    cluster.until("one leads", |cluster| cluster.replica(1).leader().is_some());
    let raise = cluster.replica(1).finalize().unwrap().unwrap();
    let remove = MemberCommand::Remove { node: NodeId(2) };
    cluster.command(1, Command::Members(remove)).unwrap();
    let outcome = cluster.command(1, Command::Members(raise)).unwrap();
    let Outcome::Members(MemberOutcome::Refused(why)) = outcome else {
        panic!("{outcome:?}");
    };
    assert!(why.contains("changed meanwhile"), "{why}");
    assert_eq!(level(&mut cluster, 1), 1);
}

/// Two nodes of release 2 and, as `old`, one of release 1, whose client is
/// connected. The level is raised over it.
fn raised_over(old: u64) -> (Cluster, ConnectionId) {
    let mut cluster = Cluster::of(9, 3);
    for id in (1..=3).filter(|id| *id != old) {
        cluster.install(id, 2).unwrap();
        cluster.meet_all();
        cluster.until("one leads", |cluster| {
            cluster.replica(id).leader().is_some()
        });
    }
    if !cluster.replica(old).is_leader() && old == 1 {
        let leads = cluster.replica(1).leader().unwrap().0;
        cluster.replica(leads).transfer(NodeId(1));
        cluster.until("it leads", |cluster| cluster.replica(1).is_leader());
    }
    let (client, _) = cluster.connect(old);
    raise_unasked(&mut cluster, 2, 2);
    cluster.until("it stands still", |cluster| {
        cluster.replica(old).outgrown().is_some()
    });
    (cluster, client)
}

fn stands_still(cluster: &mut Cluster, old: u64, client: ConnectionId) {
    let why = cluster.replica(old).outgrown().unwrap().to_string();
    assert!(why.contains("raised to feature level 2"), "{why}");
    assert!(why.contains("knows levels up to 1"), "{why}");
    let replies = &cluster.nodes[&NodeId(old)].replies;
    let is_sent_away = |reply: &Reply| matches!(reply, Reply::Close { connection, why: CloseReason::NotServing } if *connection == client);
    assert!(replies.iter().any(is_sent_away), "{replies:?}");

    let applied = cluster.replica(old).applied();
    let others: Vec<u64> = (1..=3).filter(|id| *id != old).collect();
    cluster.until("another leads", |cluster| {
        others.iter().any(|id| cluster.replica(*id).is_leader())
    });
    let (other, _) = cluster.connect(others[0]);
    cluster.ask(others[0], other, create("/b", b"two")).unwrap();
    cluster.ticks(100);
    assert_eq!(cluster.replica(old).applied(), applied);
    assert!(!cluster.replica(old).is_leader());

    let hello = Hello {
        session: SessionId(0),
        password: [0; 16],
        timeout_ms: 10_000,
        last_zxid_seen: Zxid(0),
        takes_read_only: true,
    };
    let open = Ask::Open {
        connection: ConnectionId(99),
        hello,
        who: Vec::new(),
    };
    let moment = cluster.moment();
    cluster.replica(old).ask(moment, open);
    cluster.tick();
    let replies = &cluster.nodes[&NodeId(old)].replies;
    let is_refused = |reply: &Reply| matches!(reply, Reply::NotOpened { .. });
    assert!(replies.iter().any(is_refused), "{replies:?}");
}

/// The release that is too old does not start again, and writes nothing; the
/// newer one goes on where it was.
fn comes_back_with_the_newer(cluster: &mut Cluster, old: u64) {
    assert_eq!(file(cluster, old), "2\n");
    let disk = cluster.nodes[&NodeId(old)].disk.clone();
    let recorded = disk.recorded();
    let says = refusal(cluster.install(old, 1));
    assert!(says.contains("raised to feature level 2"), "{says}");
    assert_eq!(disk.recorded(), recorded);

    cluster.install(old, 2).unwrap();
    cluster.until("it follows", |cluster| {
        let digests = (1..=3).map(|id| cluster.replica(id).state().digest());
        let digests: Vec<u64> = digests.collect();
        digests.iter().all(|digest| *digest == digests[0]) && level(cluster, old) == 2
    });
}

#[test]
fn a_follower_of_an_older_release_stands_still() {
    let (mut cluster, client) = raised_over(3);
    stands_still(&mut cluster, 3, client);
    comes_back_with_the_newer(&mut cluster, 3);
}

#[test]
fn a_leader_of_an_older_release_stands_still_and_another_leads() {
    let (mut cluster, client) = raised_over(1);
    stands_still(&mut cluster, 1, client);
    comes_back_with_the_newer(&mut cluster, 1);
}

#[test]
fn without_its_file_a_raised_state_is_refused_all_the_same() {
    let mut cluster = Cluster::new(1);
    cluster.add_knowing(1, 2);
    cluster.until("it is raised", |cluster| level(cluster, 1) == 2);
    let (client, _) = cluster.connect(1);
    cluster.ask(1, client, create("/a", b"one")).unwrap();
    let disk = cluster.nodes[&NodeId(1)].disk.clone();
    disk.set_file(level_file::NAME, b"");
    let says = refusal(cluster.install(1, 1));
    assert!(says.contains("raised to feature level 2"), "{says}");
    cluster.install(1, 2).unwrap();
    assert_eq!(file(&cluster, 1), "2\n");
}

/// Within a tick: nobody waits for an election, which takes ten.
#[test]
fn a_leader_that_leaves_hands_over_at_once() {
    let mut cluster = Cluster::of(3, 3);
    cluster.meet_all();
    let (writer, _) = cluster.connect(2);
    cluster.ask(2, writer, create("/a", b"one")).unwrap();
    assert!(cluster.replica(1).is_leader());
    assert_eq!(cluster.replica(2).hand_over(&[]), None, "it does not lead");
    // The third is cut off, whatever its log says.
    let moment = cluster.moment();
    cluster.replica(1).peer_down(moment, NodeId(3));
    assert_eq!(cluster.replica(1).heir(&[]), Some(NodeId(2)));
    assert_eq!(cluster.replica(1).hand_over(&[NodeId(2), NodeId(3)]), None);
    assert_eq!(cluster.replica(1).hand_over(&[]), Some(NodeId(2)));
    cluster.settle();
    cluster.tick();
    for id in 1..=3 {
        assert_eq!(cluster.replica(id).leader(), Some(NodeId(2)));
    }
    cluster.ask(2, writer, create("/b", b"two")).unwrap();
}

#[test]
fn who_is_short_of_room_or_alone_is_no_heir() {
    let mut cluster = Cluster::of(3, 3);
    for node in [NodeId(2), NodeId(3)] {
        let room = MemberCommand::Room {
            node,
            is_short: true,
        };
        cluster.command(1, Command::Members(room)).unwrap();
    }
    assert_eq!(cluster.replica(1).heir(&[]), None);
    assert_eq!(cluster.replica(1).hand_over(&[]), None);
    let mut alone = Cluster::new(1);
    alone.add(1);
    alone.until("it leads", |cluster| cluster.replica(1).is_leader());
    assert_eq!(alone.replica(1).hand_over(&[]), None);
}
