//! The handle and its task, over partitions in memory.

use crate::clock::{Clock, MachineClock, Millis};
use crate::ids::{NodeId, Offset, PartitionId, ProducerId, Uid};
use crate::state::topics::names::CONSUMER_OFFSETS;
use crate::streams::batch::control::{Ending, Marker, Place};
use crate::streams::coordinators::Groups;
use crate::streams::coordinators::groups::memory::Memory;
use crate::streams::coordinators::groups::village::Village;
use crate::streams::groups::Error;
use crate::streams::groups::request::*;
use crate::streams::producers::Moment;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let patient = async { tokio::time::timeout(Duration::from_secs(20), future).await };
    runtime.unwrap().block_on(patient).expect("it ends")
}

fn open(village: &Village, memory: &Memory, clock: Arc<dyn Clock>) -> Groups {
    let runtime = tokio::runtime::Handle::current();
    let (site, memory) = (village.site.clone(), Arc::new(memory.clone()));
    Groups::over(
        site,
        memory,
        clock,
        crate::streams::coordinators::groups::settings_of,
        &runtime,
    )
}

fn caller(group: &str) -> Caller {
    Caller {
        group: group.into(),
        member: "".into(),
        instance: None,
        generation: -1,
    }
}

fn offset(offset: i64) -> NewOffset {
    NewOffset {
        topic: "t".into(),
        topic_id: Default::default(),
        partition: 0,
        offset,
        leader_epoch: -1,
        metadata: "".into(),
    }
}

async fn commit(groups: &Groups, group: &str, at: i64) -> Result<(), Error> {
    let commit = Commit {
        caller: caller(group),
        retention_ms: None,
        offsets: vec![offset(at)],
    };
    match groups.ask(group, Request::Commit(commit)).await? {
        Reply::Committed(done) => done.into_iter().collect(),
        other => panic!("{other:?}"),
    }
}

async fn fetch(groups: &Groups, group: &str) -> Result<i64, Error> {
    let fetch = Fetch {
        caller: caller(group),
        spots: Some(vec![("t".into(), 0)]),
        is_stable_required: true,
    };
    match groups.ask(group, Request::Fetch(fetch)).await? {
        Reply::Fetched(mut found) => Ok(found.remove(0).offset?.map_or(-1, |at| at.offset)),
        other => panic!("{other:?}"),
    }
}

/// Again and again while the coordinator reads, as clients do.
async fn patiently<T, F: Future<Output = Result<T, Error>>>(mut ask: impl FnMut() -> F) -> T {
    loop {
        match ask().await {
            Ok(done) => return done,
            Err(Error::Loading | Error::NotCoordinator) => {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn groups_are_kept_over_leaders_and_failures() {
    block_on(async {
        let (village, memory) = (Village::of(1), Memory::default());
        let groups = open(&village, &memory, Arc::new(MachineClock::new()));
        assert_eq!(groups.partition_of("a"), None);
        assert_eq!(commit(&groups, "a", 1).await, Err(Error::NotCoordinator));
        memory.read_slowly(Duration::from_millis(20));
        village.topic(CONSUMER_OFFSETS, 50);
        // As Kafka places it.
        assert_eq!(groups.partition_of("a"), Some(PartitionId(47)));
        while commit(&groups, "a", 5).await == Err(Error::NotCoordinator) {
            tokio::task::yield_now().await;
        }
        assert_eq!(commit(&groups, "a", 5).await, Err(Error::Loading));
        memory.read_slowly(Duration::ZERO);
        patiently(|| commit(&groups, "a", 5)).await;
        assert_eq!(fetch(&groups, "a").await, Ok(5));
        assert_eq!(fetch(&groups, "b").await, Ok(-1));

        // A full queue of the log is waited for.
        let reads = memory.reads();
        memory.be_busy(3);
        assert_eq!(commit(&groups, "a", 6).await, Ok(()));
        assert_eq!(memory.reads(), reads);

        // A batch that fails, though it is in the log, has its partition read
        // again, and no other's.
        memory.fail(1);
        assert_eq!(commit(&groups, "a", 7).await, Err(Error::NotCoordinator));
        assert_eq!(patiently(|| fetch(&groups, "a")).await, 7);
        assert_eq!(memory.reads(), reads + 1);

        // Answers wait for their batches.
        memory.be_slow(true);
        let slow = tokio::spawn({
            let groups = groups.clone();
            async move { commit(&groups, "a", 8).await }
        });
        while memory.held() == 0 {
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!slow.is_finished());
        memory.be_slow(false);
        assert_eq!(slow.await.unwrap(), Ok(()));

        // Another topic of the same name knows nothing of it.
        village.delete(CONSUMER_OFFSETS);
        village.topic(CONSUMER_OFFSETS, 50);
        assert_eq!(patiently(|| fetch(&groups, "a")).await, -1);

        groups.close().await;
        assert_eq!(fetch(&groups, "a").await, Err(Error::NotCoordinator));
    });
}

#[test]
fn a_lost_reign_sends_everybody_away() {
    block_on(async {
        let (village, memory) = (Village::of(2), Memory::default());
        let groups = open(&village, &memory, Arc::new(MachineClock::new()));
        village.topic(CONSUMER_OFFSETS, 2);
        let led = |group: &&str| {
            let partition = groups.partition_of(group).unwrap();
            let topics = village.site.topics();
            let topic = topics.get(CONSUMER_OFFSETS).unwrap();
            topic.partition(partition).unwrap().leader == Some(NodeId(1))
        };
        let mine = ["a", "b", "c"].into_iter().find(led).expect("some are led");
        let partition = groups.partition_of(mine).unwrap();
        patiently(|| commit(&groups, mine, 3)).await;
        let (listed, error) = groups.list().await;
        assert_eq!((listed.len(), error), (1, None));
        memory.be_slow(true);
        let waits = tokio::spawn({
            let groups = groups.clone();
            async move { commit(&groups, mine, 4).await }
        });
        while memory.held() == 0 {
            tokio::task::yield_now().await;
        }
        village.hand_on(NodeId(1));
        assert_eq!(waits.await.unwrap(), Err(Error::NotCoordinator));
        assert_eq!(fetch(&groups, mine).await, Err(Error::NotCoordinator));
        let ended = groups.ended(partition, ProducerId(1), 0, true).await;
        assert_eq!(ended, Err(Error::NotCoordinator));
        // It comes back, and does not read before the batch of before is told.
        let reads = memory.reads();
        village.hand_on(NodeId(2));
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(fetch(&groups, mine).await, Err(Error::Loading));
        assert!(memory.reads() <= reads + 1, "the other partition alone");
        memory.be_slow(false);
        assert_eq!(patiently(|| fetch(&groups, mine)).await, 4);
    });
}

/// An offset in a transaction of producer 7, which is open: what asks for it to be
/// verified is offered again at once.
async fn begin(groups: &Groups, at: i64) -> Result<Reply, Error> {
    match begin_verified(groups, at, None).await {
        Err(Error::Unverified(now)) => begin_verified(groups, at, Some(now)).await,
        answer => answer,
    }
}

async fn begin_verified(
    groups: &Groups,
    at: i64,
    verified: Option<Moment>,
) -> Result<Reply, Error> {
    let commit = CommitInTransaction {
        caller: caller("a"),
        producer: 7,
        producer_epoch: 0,
        offsets: vec![offset(at)],
        verified,
    };
    groups.ask("a", Request::CommitInTransaction(commit)).await
}

#[test]
fn a_transactions_end_waits_for_who_reads() {
    block_on(async {
        let (village, memory) = (Village::of(1), Memory::default());
        let groups = open(&village, &memory, Arc::new(MachineClock::new()));
        village.topic(CONSUMER_OFFSETS, 50);
        patiently(|| begin(&groups, 9)).await;
        assert_eq!(fetch(&groups, "a").await, Err(Error::UnstableOffset));
        let partition = groups.partition_of("a").unwrap();
        // The coordinator fails and reads again, slowly.
        memory.read_slowly(Duration::from_millis(30));
        memory.fail(1);
        assert_eq!(commit(&groups, "a", 1).await, Err(Error::NotCoordinator));
        let ended = groups.ended(partition, ProducerId(7), 0, true).await;
        assert_eq!(ended, Ok(()));
        assert_eq!(fetch(&groups, "a").await, Ok(1), "the later commit counts");

        // The marker alone does it where nobody was there to be told.
        patiently(|| begin(&groups, 9)).await;
        let marker = Marker {
            ending: Ending::Commit,
            coordinator_epoch: 0,
        };
        let place = Place {
            offset: Offset(0),
            leader_epoch: 0,
            id: ProducerId(7),
            epoch: 0,
        };
        let key = village.key(CONSUMER_OFFSETS, partition.0);
        memory.put(key, marker.batch(place, Millis(1)));
        groups.close().await;
        let groups = open(&village, &memory, Arc::new(MachineClock::new()));
        assert_eq!(patiently(|| fetch(&groups, "a")).await, 9);
    });
}

/// Told twice, for the first call was lost: the first is still to be heard when
/// the second comes, and is no end of what is begun behind that.
#[test]
fn an_end_that_waited_does_not_end_the_next_transaction() {
    block_on(async {
        let (village, memory) = (Village::of(1), Memory::default());
        let groups = open(&village, &memory, Arc::new(MachineClock::new()));
        village.topic(CONSUMER_OFFSETS, 50);
        let partition = groups.partition_of("a").unwrap();
        for n in 0..5 {
            patiently(|| begin(&groups, 10 * n)).await;
            // The coordinator fails and reads again, slowly.
            memory.read_slowly(Duration::from_millis(100));
            memory.fail(1);
            let failed = commit(&groups, "a", 1).await;
            assert_eq!(failed, Err(Error::NotCoordinator));
            let first = tokio::spawn({
                let groups = groups.clone();
                async move { groups.ended(partition, ProducerId(7), 0, false).await }
            });
            patiently(|| fetch(&groups, "other")).await;
            let second = groups.ended(partition, ProducerId(7), 0, false).await;
            assert_eq!(second, Ok(()));
            assert!(begin(&groups, 10 * n + 1).await.is_ok());
            assert_eq!(first.await.unwrap(), Ok(()));
            let found = fetch(&groups, "a").await;
            assert_eq!(found, Err(Error::UnstableOffset), "it is not ended");
            let ended = groups.ended(partition, ProducerId(7), 0, false).await;
            assert_eq!(ended, Ok(()));
        }
    });
}

/// The door has heard that the transaction is open, and is late with what it was to
/// keep: there would be nobody to end it.
#[test]
fn offsets_that_were_verified_before_the_end_come_too_late() {
    block_on(async {
        let (village, memory) = (Village::of(1), Memory::default());
        let groups = open(&village, &memory, Arc::new(MachineClock::new()));
        village.topic(CONSUMER_OFFSETS, 50);
        patiently(|| fetch(&groups, "a")).await;
        let partition = groups.partition_of("a").unwrap();
        let asked_at = async || match begin_verified(&groups, 9, None).await {
            Err(Error::Unverified(now)) => now,
            other => panic!("{other:?}"),
        };
        let end = async |producer| {
            let producer = ProducerId(producer);
            let ended = groups.ended(partition, producer, 0, false).await;
            assert_eq!(ended, Ok(()));
        };
        let first = asked_at().await;
        end(7).await;
        let late = begin_verified(&groups, 9, Some(first)).await;
        assert!(matches!(late, Err(Error::Unverified(_))), "{late:?}");
        assert_eq!(fetch(&groups, "a").await, Ok(-1));
        // Others' ends are nothing to it, and those of another life are unknown.
        let second = asked_at().await;
        end(8).await;
        assert!(begin_verified(&groups, 9, Some(second)).await.is_ok());
        end(7).await;
        let third = asked_at().await;
        memory.fail(1);
        let failed = commit(&groups, "a", 1).await;
        assert_eq!(failed, Err(Error::NotCoordinator));
        patiently(|| fetch(&groups, "a")).await;
        let late = begin_verified(&groups, 9, Some(third)).await;
        assert!(matches!(late, Err(Error::Unverified(_))), "{late:?}");
    });
}

/// A clock that can be put forward.
#[derive(Default)]
struct Wound(AtomicU64);

impl Clock for Wound {
    fn now(&self) -> Millis {
        Millis(1_767_225_600_000 + self.0.load(Ordering::Relaxed))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(1000 + self.0.load(Ordering::Relaxed))
    }
}

async fn join(groups: &Groups, member: &str) -> Result<Reply, Error> {
    let join = Join {
        group: "g".into(),
        member: member.into(),
        instance: None,
        client_id: "c".into(),
        client_host: "/127.0.0.1".into(),
        session_ms: 10_000,
        rebalance_ms: 10_000,
        protocol_type: "consumer".into(),
        protocols: vec![Protocol {
            name: "range".into(),
            metadata: Arc::from(&b"\0\x03\0\0\0\0\0\0\0\0"[..]),
        }],
        is_known_id_required: false,
        can_skip_assignment: false,
        chance: Default::default(),
    };
    groups.ask("g", Request::Join(join)).await
}

/// A member falls silent for longer than its session: it is gone where the
/// process ran, and still there where it did not.
#[test]
fn nobody_is_silent_while_the_process_stands_still() {
    for stood_still in [false, true] {
        block_on(async {
            let (village, memory) = (Village::of(1), Memory::default());
            let clock = Arc::new(Wound::default());
            let groups = open(&village, &memory, clock.clone());
            village.topic(CONSUMER_OFFSETS, 1);
            patiently(|| fetch(&groups, "g")).await;
            let joining = tokio::spawn({
                let groups = groups.clone();
                async move { join(&groups, "").await }
            });
            // The clock goes on by itself in small steps.
            while !joining.is_finished() {
                clock.0.fetch_add(50, Ordering::Relaxed);
                patiently(|| fetch(&groups, "other")).await;
            }
            let Ok(Reply::Joined(joined)) = joining.await.unwrap() else {
                panic!("it joins");
            };
            let steps = if stood_still { 1 } else { 60 };
            for _ in 0..steps {
                clock.0.fetch_add(60_000 / steps, Ordering::Relaxed);
                patiently(|| fetch(&groups, "other")).await;
            }
            let heartbeat = Request::Heartbeat(Caller {
                group: "g".into(),
                member: joined.member,
                instance: None,
                generation: joined.generation,
            });
            let answer = groups.ask("g", heartbeat).await;
            match stood_still {
                true => assert_ne!(answer, Err(Error::UnknownMember)),
                false => assert_eq!(answer, Err(Error::UnknownMember)),
            }
        });
    }
}

#[test]
fn a_pattern_is_for_topics_that_its_member_sees() {
    block_on(async {
        let (village, memory) = (Village::of(1), Memory::default());
        let groups = open(&village, &memory, Arc::new(MachineClock::new()));
        village.topic(CONSUMER_OFFSETS, 1);
        for name in ["in.a", "in.b", "out.c"] {
            village.topic(name, 1);
        }
        let beat = |epoch, pattern: Option<&str>| {
            let beat = Beat {
                group: "g".into(),
                member: "m".into(),
                epoch,
                instance: None,
                rack: None,
                client_id: "c".into(),
                client_host: "/127.0.0.1".into(),
                rebalance_ms: Some(1000),
                topics: Some(Default::default()).filter(|_| epoch == 0),
                pattern: pattern.map(Into::into),
                assignor: None,
                held: Some(Default::default()).filter(|_| epoch == 0),
                chance: Default::default(),
            };
            let sees = Box::new(|topic: &str| topic != "in.b");
            let groups = groups.clone();
            async move {
                let request = Request::ConsumerHeartbeat(beat);
                groups.ask_seeing("g", request, Some(sees)).await
            }
        };
        patiently(|| beat(0, Some("in.*|__.*"))).await;
        let target = || async {
            let describe = Request::DescribeConsumer { group: "g".into() };
            match groups.ask("g", describe).await {
                Ok(Reply::ConsumerDescribed(group)) => {
                    (group.members[0].epoch, group.members[0].target.clone())
                }
                other => panic!("{other:?}"),
            }
        };
        let id = |topic: &str| Uid(village.key(topic, 0).topic.0);
        let (epoch, seen) = target().await;
        let one = [(id("in.a"), 0)].into_iter().collect();
        assert_eq!(seen, one);
        // A new topic is found with the next heartbeat.
        village.topic("in.d", 1);
        tokio::task::yield_now().await;
        assert_eq!(target().await.1, one);
        assert!(beat(epoch, None).await.is_ok());
        let two = [(id("in.a"), 0), (id("in.d"), 0)].into_iter().collect();
        assert_eq!(target().await.1, two);
    });
}
