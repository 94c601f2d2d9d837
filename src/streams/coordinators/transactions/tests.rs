//! The way from a door to partitions and back, over partitions in memory.

use super::trial::Trial;
use super::*;
use crate::ids::ProducerId;
use crate::streams::transactions::record::Stage;
use crate::streams::trial::House;
use std::time::Duration;

fn run<T>(work: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().build().unwrap();
    runtime.block_on(async {
        let limit = Duration::from_secs(20);
        tokio::time::timeout(limit, work).await.expect("in time")
    })
}

impl Trial {
    /// Asks until it is served and nothing is in the way.
    async fn ask(&self, request: Request) -> Result<Reply, Error> {
        loop {
            match self.transactions.ask(request.clone()).await {
                Err(Error::Loading | Error::Concurrent | Error::NotCoordinator) => {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                answer => return answer,
            }
        }
    }

    async fn init(&self, id: &str) -> Identity {
        let id = id.into();
        let (was, timeout_ms) = (None, 60_000);
        let request = Request::Init {
            id,
            was,
            timeout_ms,
        };
        match self.ask(request).await {
            Ok(Reply::Begun(who)) => who,
            other => panic!("{other:?}"),
        }
    }

    async fn verify(&self, id: &str, who: Identity, partition: u32) -> Result<(), Error> {
        let who = (who.id.0 as i64, who.epoch);
        let place = ("t", PartitionId(partition));
        self.transactions.verify(id, who, place, true).await
    }

    async fn commit(&self, id: &str, who: Identity) -> Result<Reply, Error> {
        let id = id.into();
        let (is_committed, is_raised) = (true, true);
        let request = Request::End {
            id,
            who,
            is_committed,
            is_raised,
        };
        self.ask(request).await
    }

    async fn stage(&self, id: &str) -> Stage {
        match self.ask(Request::Describe { id: id.into() }).await {
            Ok(Reply::Described(described)) => described.stage,
            other => panic!("{other:?}"),
        }
    }

    async fn until(&self, id: &str, stage: Stage) {
        while self.stage(id).await != stage {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Another node adds a partition to a transaction that is coordinated here.
#[test]
fn a_partition_that_only_the_asker_knows_is_not_added() {
    run(async {
        let trial = Trial::new();
        let who = trial.init("a").await;
        let house = House::new(64 << 10);
        let tell_groups: TellGroups = Box::new(|_, _, _| Box::pin(std::future::ready(())));
        let own = trial.transactions.clone();
        let callee = far::callee(house.streams.clone(), own, Arc::new(tell_groups));
        let add = async |topic: &str| {
            let partition = PartitionId(1);
            let topic = topic.into();
            let question = codec::Question::Ask(Request::Add {
                id: "a".into(),
                who,
                places: [Place { topic, partition }].into(),
                is_raised: true,
            });
            let answer = callee(NodeId(2), question.encode().unwrap()).await;
            codec::Answer::decode(&answer.unwrap()).unwrap()
        };
        let unknown = Err(Error::UnknownPartition);
        assert_eq!(add("new").await, codec::Answer::Asked(unknown));
        let added = Ok(Reply::Added);
        assert_eq!(add("t").await, codec::Answer::Asked(added));
    });
}

#[test]
fn a_transaction_goes_all_the_way() {
    run(async {
        let trial = Trial::new();
        let who = trial.init("a").await;
        assert_eq!(trial.verify("a", who, 0).await, Ok(()));
        assert_eq!(trial.verify("a", who, 1).await, Ok(()));
        assert_eq!(
            trial.verify("a", who, 2).await,
            Err(Error::UnknownPartition)
        );
        let place = trial.transactions.place_of_group("g").unwrap();
        let add = Request::Add {
            id: "a".into(),
            who,
            places: [place.clone()].into(),
            is_raised: true,
        };
        assert_eq!(trial.ask(add).await, Ok(Reply::Added));
        let next = Identity {
            id: who.id,
            epoch: 1,
        };
        assert_eq!(trial.commit("a", who).await, Ok(Reply::Ended(next)));
        trial.until("a", Stage::CompleteCommit).await;
        let mut marks = trial.memory.marks();
        marks.sort_unstable();
        let offsets = trial.key(CONSUMER_OFFSETS, place.partition.0);
        let mut expected =
            [trial.key("t", 0), trial.key("t", 1), offsets].map(|key| (key, who.id.0, 1, true));
        expected.sort_unstable();
        assert_eq!(marks, expected);
        let told = (place.partition, who.id.0, 1, true);
        assert_eq!(trial.memory.groups_told(), [told]);
        assert_eq!(
            trial.verify("a", who, 0).await,
            Err(Error::Fenced {
                given: 0,
                current: 1
            })
        );
    });
}

#[test]
fn a_partition_is_told_until_it_has_it() {
    run(async {
        let trial = Trial::new();
        let who = trial.init("a").await;
        trial.verify("a", who, 0).await.unwrap();
        trial.memory.refuse(5);
        trial.commit("a", who).await.unwrap();
        trial.until("a", Stage::CompleteCommit).await;
        assert_eq!(trial.memory.refusals_left(), 0);
        assert_eq!(trial.memory.marks().len(), 1);
    });
}

#[test]
fn nobody_is_told_for_a_topic_that_is_gone() {
    run(async {
        let trial = Trial::new();
        let who = trial.init("a").await;
        trial.verify("a", who, 0).await.unwrap();
        trial.delete("t");
        trial.commit("a", who).await.unwrap();
        trial.until("a", Stage::CompleteCommit).await;
        assert_eq!(trial.memory.marks(), []);
    });
}

#[test]
fn a_busy_log_is_asked_again() {
    run(async {
        let trial = Trial::new();
        trial.memory.be_busy(3);
        let who = trial.init("a").await;
        assert_eq!(who.epoch, 0);
        assert_eq!(trial.init("a").await.epoch, 1);
        assert_eq!(trial.memory.reads(), 2, "each of the partitions once");
    });
}

#[test]
fn where_a_batch_is_lost_everything_is_read_again() {
    run(async {
        let trial = Trial::new();
        let who = trial.init("a").await;
        trial.verify("a", who, 0).await.unwrap();
        trial.memory.fail(1);
        let end = Request::End {
            id: "a".into(),
            who,
            is_committed: true,
            is_raised: true,
        };
        let answer = trial.transactions.ask(end).await;
        assert_eq!(answer, Err(Error::NotCoordinator));
        assert_eq!(trial.memory.marks(), [], "nobody was told");
        // It is in the log all the same, and goes on from there.
        trial.until("a", Stage::CompleteCommit).await;
        assert_eq!(trial.memory.marks().len(), 1);
        assert_eq!(trial.memory.reads(), 3);
        let again = trial.commit("a", who).await;
        assert!(matches!(again, Ok(Reply::Ended(_))), "{again:?}");
    });
}

#[test]
fn what_comes_while_a_batch_is_written_is_the_next() {
    run(async {
        let trial = Trial::new();
        trial.init("a").await;
        let before = trial.memory.appends();
        trial.memory.be_slow(true);
        let ask = |n: u32| {
            let transactions = trial.transactions.clone();
            tokio::spawn(async move {
                let init = Request::Init {
                    id: format!("{n}").into(),
                    was: None,
                    timeout_ms: 1000,
                };
                transactions.ask(init).await
            })
        };
        let asked: Vec<_> = (0..40).map(ask).collect();
        tokio::time::sleep(Duration::from_millis(20)).await;
        trial.memory.be_slow(false);
        let mut ids = Vec::new();
        for one in asked {
            match one.await.unwrap() {
                Ok(Reply::Begun(who)) => ids.push(who.id),
                other => panic!("{other:?}"),
            }
        }
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 40, "each has an id of its own");
        let batches = trial.memory.appends() - before;
        assert!(batches <= 12, "{batches} batches for 40 records");
        assert_eq!(trial.transactions.list().await.unwrap().len(), 41);
    });
}

#[test]
fn another_leader_is_another_coordinator() {
    run(async {
        let trial = Trial::new();
        let who = trial.init("a").await;
        trial.verify("a", who, 0).await.unwrap();
        trial.hand_on(1);
        while trial.verify("a", who, 0).await != Err(Error::NotCoordinator) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(trial.transactions.list().await, Ok(Vec::new()));
        trial.hand_on(2);
        assert_eq!(trial.stage("a").await, Stage::Ongoing);
        trial.commit("a", who).await.unwrap();
        trial.until("a", Stage::CompleteCommit).await;
    });
}

#[test]
fn producer_ids_are_of_a_block_and_of_nobody_else() {
    run(async {
        let trial = Trial::new();
        let mut ids = Vec::new();
        for _ in 0..2500 {
            ids.push(trial.transactions.producer_id().await.unwrap());
        }
        ids.push(trial.init("a").await.id);
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 2501);
        let last = ids.last().copied();
        assert!(last < Some(ProducerId(3100)), "{last:?} is wasteful");
    });
}

#[test]
fn where_no_ids_are_to_be_had_that_is_said() {
    run(async {
        let trial = Trial::new();
        trial.draws(false);
        let none = trial.transactions.producer_id().await;
        assert_eq!(none, Err(Error::NoProducerIds));
        let init = Request::Init {
            id: "a".into(),
            was: None,
            timeout_ms: 1000,
        };
        assert_eq!(trial.ask(init).await, Err(Error::NoProducerIds));
        trial.draws(true);
        assert_eq!(trial.init("a").await.epoch, 0);
    });
}

#[test]
fn who_comes_after_the_end_hears_it() {
    run(async {
        let trial = Trial::new();
        let who = trial.init("a").await;
        trial.memory.be_slow(true);
        let waits = trial.verify("a", who, 0);
        let (answer, ()) = tokio::join!(waits, trial.transactions.close());
        assert_eq!(answer, Err(Error::NotCoordinator));
        assert_eq!(trial.verify("a", who, 0).await, Err(Error::NotCoordinator));
        assert!(trial.transactions.producer_id().await.is_err());
    });
}
