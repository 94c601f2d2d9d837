//! Old records that a client has dropped: who may lead next is to begin behind them
//! too, before the client is told.

use super::authority::{Authority, Proposals};
use super::machine::{Dwelling, Machine, Time};
use super::refused::{ALIKE, Follower};
use crate::streams::kit::{append, batch, key};
use dolmen::clock::Clock;
use dolmen::ids::{NodeId, Offset, SessionId, Uid, Zxid};
use dolmen::streams::Key;
use dolmen::streams::batch::build::gap;
use dolmen::streams::desk::{NotDropped, NotHere, Word};
use dolmen::streams::follow::{Asked, codec};
use dolmen::streams::partition::{Acks, Answer, Ask};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::Duration;

const OTHERS: [NodeId; 2] = [NodeId(2), NodeId(3)];
const PENDING: Result<Result<Offset, NotDropped>, TryRecvError> = Err(TryRecvError::Empty);

/// Node 1, of whose partition two others are in sync.
struct Leader {
    machine: Machine,
    time: Time,
    authority: Authority,
    session: SessionId,
    key: Key,
    /// Of each of the others' last ask.
    numbers: [u64; 2],
}

impl Leader {
    /// With so many records, which all three have.
    fn new(records: u64) -> Self {
        let (time, proposals, seed) = (Time::default(), Proposals::default(), 1);
        time.go_on(Duration::from_secs(1));
        let now = time.now();
        let mut authority = Authority::new();
        let [session, _, _] = [1, 2, 3].map(|node| {
            let disk = Uid([node as u8; 16]);
            authority.announce(now, NodeId(node), disk, true)
        });
        authority.create(now, 1, 3, &[]);
        let topics = authority.topics();
        let partitions = &topics.get("topic-1").unwrap().partitions;
        let mut leaders = partitions.iter().map(|one| one.leader);
        let led = leaders.position(|leader| leader == Some(NodeId(1)));
        let mut machine = Machine::new(NodeId(1), seed);
        machine.start(seed, &time, &proposals, topics.clone(), false);
        machine.dwelling.as_ref().unwrap().site.live_in(session);
        machine.unheard.push_back(topics.clone());
        machine.hear_topics();
        let mut leader = Self {
            machine,
            time,
            authority,
            session,
            key: key(1, led.expect("it leads its share") as u32),
            numbers: [0; 2],
        };
        leader.append(records);
        leader
    }

    fn dwelling(&mut self) -> &mut Dwelling {
        self.machine.dwelling.as_mut().expect("it runs")
    }

    fn append(&mut self, records: u64) {
        let values: Vec<String> = (0..records).map(|value| value.to_string()).collect();
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let bytes = batch(&values).bytes();
        let (put, given) = channel();
        let offered = append(self.key, bytes, Acks::All, move |outcome| {
            drop(put.send(outcome));
        });
        self.dwelling().streams.append(offered);
        self.work();
        (0..OTHERS.len()).for_each(|other| self.ask(other, 1, records));
        self.work();
        given.try_recv().expect("all have it").unwrap();
    }

    fn work(&mut self) {
        (0..40).for_each(|_| self.dwelling().work());
    }

    fn pass(&mut self, ms: u64) {
        for _ in 0..ms / 100 {
            self.time.go_on(Duration::from_millis(100));
            self.dwelling().turn();
        }
    }

    /// One of the others, which has so many records, asks with a number so much
    /// higher.
    fn ask(&mut self, other: usize, by: u64, has: u64) {
        let topics = self.authority.topics();
        let node = OTHERS[other];
        let life: Zxid = topics.brokers().life(node).expect("it is up").epoch;
        let partition = self.key.partition.0 as usize;
        let stands = &topics.get("topic-1").unwrap().partitions[partition];
        let (leader_epoch, partition_epoch) = (stands.leader_epoch, stands.epoch);
        self.numbers[other] += by;
        let asked = Asked {
            key: self.key,
            number: self.numbers[other],
            waits: true,
            ask: Ask {
                leader_epoch,
                partition_epoch,
                life,
                next: Offset(has),
                last_epoch: Some(leader_epoch),
                has: Offset(has),
                is_durable: true,
            },
        };
        self.dwelling().hear_asks(node, 1, &codec::asks(&[asked]));
    }

    /// Who was answered since, and where it is to begin.
    fn told(&mut self) -> Vec<(NodeId, Offset)> {
        let owed = std::mem::take(&mut *self.dwelling().owed.lock().unwrap());
        let told = owed.into_iter().map(|(node, _, answered)| {
            let Answer::Alike { first, .. } = answered.answer else {
                panic!("{:?}", answered.answer);
            };
            (node, first)
        });
        let mut told: Vec<_> = told.collect();
        told.sort_unstable();
        told
    }

    fn drop_prefix(&mut self, until: u64) -> Receiver<Result<Offset, NotDropped>> {
        let (put, given) = channel();
        let key = self.key;
        self.dwelling().streams.say(Word::DropPrefix {
            key,
            until: Some(Offset(until)),
            timeout: Duration::from_secs(10),
            answer: Box::new(move |outcome| drop(put.send(outcome))),
        });
        self.work();
        given
    }
}

#[test]
fn a_client_is_told_once_all_who_may_lead_next_have_dropped_it() {
    let mut leader = Leader::new(5);
    leader.told();
    let given = leader.drop_prefix(3);
    let begin = OTHERS.map(|node| (node, Offset(3)));
    assert_eq!(leader.told(), begin);
    assert_eq!(given.try_recv(), PENDING, "they were told, and that is all");
    leader.ask(0, 1, 5);
    // This one has given up an answer, and may not have heard of it.
    leader.ask(1, 2, 5);
    leader.work();
    assert_eq!(given.try_recv(), PENDING);
    leader.pass(1000);
    assert_eq!(leader.told(), begin[1..], "it is told again");
    leader.ask(1, 1, 5);
    assert_eq!(given.try_recv(), Ok(Ok(Offset(3))));
    // What is there already is asked for again.
    let given = leader.drop_prefix(2);
    assert_eq!(given.try_recv(), Ok(Ok(Offset(3))));
}

#[test]
fn a_client_is_not_told_of_what_others_do_not_follow_in_time_or_lead_themselves() {
    let mut leader = Leader::new(5);
    let given = leader.drop_prefix(3);
    leader.ask(0, 1, 5);
    leader.pass(9000);
    assert_eq!(given.try_recv(), PENDING);
    leader.pass(2000);
    assert_eq!(given.try_recv(), Ok(Err(NotDropped::TimedOut)));
    let given = leader.drop_prefix(4);
    assert_eq!(given.try_recv(), PENDING);
    let (now, session) = (leader.time.now(), leader.session);
    leader.authority.expire(now, session);
    let topics = leader.authority.topics();
    leader.machine.unheard.push_back(topics);
    leader.machine.hear_topics();
    let elsewhere = NotDropped::NotHere(NotHere::NotLeader);
    assert_eq!(given.try_recv(), Ok(Err(elsewhere)));
}

#[test]
fn a_follower_s_next_number_says_that_it_has_dropped_what_it_was_told_to() {
    let mut one = Follower::new();
    let asked = one.asks_for(0);
    let (epoch, number) = (asked.ask.leader_epoch, asked.number);
    one.tell(&asked, ALIKE, gap(Offset(0), Offset(5), epoch));
    let asked = one.asks_for(5);
    assert_eq!(asked.number, number + 1);
    let begins = Answer::Alike {
        watermark: Offset(5),
        first: Offset(3),
        everywhere: Offset(0),
    };
    // Its drop is on its way to the disk with the first ask behind that.
    one.settle();
    one.tell(&asked, begins, Vec::new());
    let later = one.asks_for(5);
    assert_eq!(later.number, asked.number + 2);
    one.settle();
    one.tell(&later, begins, Vec::new());
    let last = one.asks_for(5);
    assert_eq!(last.number, later.number + 1);
    // An answer that it never had.
    one.reach();
    assert_eq!(one.asks_for(5).number, last.number + 2);
}
