//! A leader that loses its place, or what it has placed, and who waits for it.

use super::authority::{Authority, Proposals};
use super::machine::{Dwelling, Machine, Time, heads};
use crate::streams::kit::{Batch, append, batch, key};
use dolmen::clock::Clock;
use dolmen::disk::sim::SimDisk;
use dolmen::ids::{NodeId, Offset, PartitionId, ProducerId, SessionId, Uid};
use dolmen::planted::{Fault, plant};
use dolmen::state::topics::{Reassignment, StreamsCommand, StreamsOutcome};
use dolmen::streams::batch::header::Claim;
use dolmen::streams::desk::{NotAppended, Word};
use dolmen::streams::follow::{Asked, codec};
use dolmen::streams::house::log_of;
use dolmen::streams::partition::{Acks, Answer, Ask, Refused};
use std::panic::catch_unwind;
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Outcomes = Arc<Mutex<Vec<(&'static str, Result<Offset, NotAppended>)>>>;

/// The first of some brokers, which leads the one partition.
struct Leader {
    machine: Machine,
    authority: Authority,
    proposals: Proposals,
    sessions: Vec<SessionId>,
    time: Time,
    outcomes: Outcomes,
    asks: u64,
}

impl Leader {
    fn of(brokers: u64) -> Self {
        Self::after(Duration::from_secs(1), brokers)
    }

    /// On machines that have been up for so long.
    fn after(uptime: Duration, brokers: u64) -> Self {
        let (time, proposals, seed) = (Time::default(), Proposals::default(), 1);
        time.go_on(uptime);
        let now = time.now();
        let mut authority = Authority::new();
        let sessions: Vec<SessionId> = (1..=brokers)
            .map(|node| authority.announce(now, NodeId(node), Uid([node as u8; 16]), true))
            .collect();
        authority.create(now, 1, 1, &[]);
        let mut machine = Machine::new(NodeId(1), seed);
        machine.start(seed, &time, &proposals, authority.topics(), false);
        let mut leader = Self {
            machine,
            authority,
            proposals,
            sessions: sessions.clone(),
            time,
            outcomes: Outcomes::default(),
            asks: 0,
        };
        leader.dwelling().site.live_in(sessions[0]);
        leader.hear();
        assert!(leader.leads());
        leader
    }

    fn dwelling(&mut self) -> &mut Dwelling {
        self.machine.dwelling.as_mut().expect("it runs")
    }

    fn leads(&mut self) -> bool {
        let view = self.dwelling().streams.view(key(1, 0));
        view.is_some_and(|view| view.leads())
    }

    fn hear(&mut self) {
        self.machine.unheard.push_back(self.authority.topics());
        self.machine.hear_topics();
    }

    /// What comes of it is noted under a name. The bytes are spoiled on their way
    /// to the log where it is to refuse them.
    fn send(&mut self, name: &'static str, producer: u64, is_spoiled: bool) {
        let claim = Claim {
            id: ProducerId(producer),
            epoch: 0,
            sequence: 0,
        };
        let bytes = Batch {
            claim: Some(claim),
            ..batch(&[name])
        }
        .bytes();
        let outcomes = self.outcomes.clone();
        let mut offered = append(key(1, 0), bytes, Acks::All, move |outcome| {
            let outcome = outcome.map(|appended| appended.base);
            outcomes.lock().unwrap().push((name, outcome));
        });
        let last = offered.bytes.len() - 2;
        offered.bytes[last] ^= u8::from(is_spoiled);
        self.dwelling().streams.append(offered);
    }

    /// What is led here is to be led by others.
    fn hand_on(&mut self) {
        let until = self.time.monotonic() + Duration::from_secs(1);
        let dwelling = self.dwelling();
        dwelling.streams.say(Word::HandOn {
            until,
            answer: Box::new(|_| ()),
        });
        dwelling.turn();
    }

    fn drop_all(&mut self) {
        let dwelling = self.dwelling();
        dwelling.streams.say(Word::DropPrefix {
            key: key(1, 0),
            until: None,
            timeout: Duration::from_secs(1),
            answer: Box::new(|_| ()),
        });
        dwelling.settle();
    }

    /// Whoever leads by now has others lead.
    fn change_leader(&mut self) {
        let (now, topics) = (self.time.now(), self.authority.topics());
        let partition = &topics.get("topic-1").expect("it was made").partitions[0];
        let node = partition.leader.expect("all are up");
        let leader = topics.brokers().life(node).expect("it is up");
        let command = StreamsCommand::HandOn {
            leader,
            partitions: None,
        };
        let session = self.sessions[node.0 as usize - 1];
        self.authority.streams(now, session, command).unwrap();
    }

    /// Others are to hold the partition.
    fn reassign(&mut self, target: &[u64]) {
        let (now, session) = (self.time.now(), self.sessions[1]);
        let command = StreamsCommand::Reassign {
            moves: vec![Reassignment {
                topic: "topic-1".into(),
                partition: PartitionId(0),
                target: Some(target.iter().copied().map(NodeId).collect()),
            }],
        };
        let outcome = self.authority.streams(now, session, command).unwrap();
        let is_done =
            matches!(&outcome, StreamsOutcome::Each(each) if each.iter().all(Result::is_ok));
        assert!(is_done, "{outcome:?}");
    }

    /// A follower has heard what there is to hear, and has all up to here.
    fn asked_by(&mut self, node: u64, next: u64) {
        self.heard_from(node, next, false);
    }

    /// The same, and whether it waits for more.
    fn heard_from(&mut self, node: u64, next: u64, waits: bool) {
        let topics = self.authority.topics();
        let partition = &topics.get("topic-1").expect("it was made").partitions[0];
        let life = topics.brokers().life(NodeId(node)).expect("it is up");
        let ask = Ask {
            leader_epoch: partition.leader_epoch,
            partition_epoch: partition.epoch,
            life: life.epoch,
            next: Offset(next),
            last_epoch: (next > 0).then_some(partition.leader_epoch),
            has: Offset(next),
            is_durable: true,
        };
        self.asks += 1;
        let asked = Asked {
            key: key(1, 0),
            number: self.asks,
            waits,
            ask,
        };
        self.dwelling()
            .hear_asks(NodeId(node), 1, &codec::asks(&[asked]));
    }

    /// What it proposed is applied; whether it hears what came of that.
    fn decide(&mut self, is_heard: bool) {
        let proposals = std::mem::take(&mut *self.proposals.lock().unwrap());
        assert_eq!(proposals.len(), 1, "one at a time");
        for (_, command, answer) in proposals {
            let (now, session) = (self.time.now(), self.sessions[0]);
            let outcome = self.authority.streams(now, session, command);
            answer(match is_heard {
                true => outcome,
                false => Err("nobody knows".into()),
            });
        }
        self.dwelling().turn();
    }

    fn take_outcomes(&mut self) -> Vec<(&'static str, Result<Offset, NotAppended>)> {
        let mut outcomes = std::mem::take(&mut *self.outcomes.lock().unwrap());
        outcomes.sort_by_key(|(name, _)| *name);
        outcomes
    }
}

/// It is well, and with this fault it is not.
fn show(fault: Fault, play: fn()) {
    play();
    let planted = plant(fault);
    let played = catch_unwind(play);
    drop(planted);
    assert!(played.is_err(), "{fault:?} goes unseen");
}

fn send_again_what_is_refused() {
    let mut one = Leader::of(1);
    one.send("a", 1, true);
    one.send("a again", 1, true);
    one.dwelling().settle();
    let outcomes = one.take_outcomes();
    let is_refused = |(_, outcome): &(_, _)| matches!(outcome, Err(NotAppended::Disk(_)));
    assert!(
        outcomes.len() == 2 && outcomes.iter().all(is_refused),
        "{outcomes:?}"
    );
    // Another's stands there now.
    one.time.go_on(Duration::from_secs(1));
    one.send("b", 2, false);
    one.dwelling().settle();
    assert_eq!(one.take_outcomes(), [("b", Ok(Offset(0)))]);
    one.send("c", 1, false);
    one.dwelling().settle();
    assert_eq!(one.take_outcomes(), [("c", Ok(Offset(1)))]);
}

#[test]
fn who_sent_again_what_the_log_then_refused_is_told_so() {
    show(Fault::RepeatNotRefused, send_again_what_is_refused);
}

fn send_again_and_change_the_leader() {
    let mut one = Leader::of(3);
    one.send("a", 1, false);
    one.send("a again", 1, false);
    one.dwelling().settle();
    assert_eq!(one.take_outcomes(), [], "no other has it");
    let (now, session) = (one.time.now(), one.sessions[0]);
    one.authority.expire(now, session);
    one.hear();
    assert!(!one.leads());
    let not_leader = || Err(NotAppended::Partition(Refused::NotLeader));
    let told = [("a", not_leader()), ("a again", not_leader())];
    assert_eq!(one.take_outcomes(), told);
}

#[test]
fn who_sent_again_to_a_leader_that_leads_no_more_is_told_so() {
    show(Fault::RepeatNotRefused, send_again_and_change_the_leader);
}

fn hand_on_twice() {
    let mut one = Leader::of(3);
    one.hand_on();
    let proposed = |one: &Leader| std::mem::take(&mut *one.proposals.lock().unwrap()).len();
    assert_eq!(proposed(&one), 1);
    // It is done, and the other hands on to this one.
    (0..2).for_each(|_| one.change_leader());
    one.hear();
    assert!(one.leads());
    one.hand_on();
    assert_eq!(proposed(&one), 1);
}

#[test]
fn who_leads_again_before_it_knew_of_another_hands_on_again() {
    show(Fault::HandingKept, hand_on_twice);
}

fn hand_on_unheard() {
    let mut one = Leader::of(3);
    one.hand_on();
    one.decide(false);
    // Another leads, and this node has not heard of it.
    one.send("a", 1, false);
    one.dwelling().settle();
    let told = Err(NotAppended::Partition(Refused::NotLeader));
    assert_eq!(one.take_outcomes(), [("a", told)]);
    // It asks again, and that it is too late to ask says as little.
    one.time.go_on(Duration::from_secs(1));
    one.dwelling().turn();
    one.decide(true);
    one.send("b", 1, false);
    one.dwelling().settle();
    let told = Err(NotAppended::Partition(Refused::NotLeader));
    assert_eq!(one.take_outcomes(), [("b", told)]);
    one.hear();
    assert!(!one.leads());
}

#[test]
fn who_has_not_heard_whether_another_leads_takes_nothing_and_asks_again() {
    show(Fault::HandingGivenUp, hand_on_unheard);
}

/// Records of 1970, where a topic keeps a week and is looked at each hour.
#[test]
fn what_is_older_than_a_new_topic_keeps_is_there_until_it_is_looked_at() {
    let mut one = Leader::after(Duration::from_secs(9 * 3600), 1);
    one.send("a", 1, false);
    one.dwelling().settle();
    assert_eq!(one.take_outcomes(), [("a", Ok(Offset(0)))]);
    let mut first_after = |passed| {
        one.time.go_on(passed);
        one.dwelling().settle();
        let view = one.dwelling().streams.view(key(1, 0));
        view.expect("it is held").marks().first
    };
    assert_eq!(first_after(Duration::from_secs(1)), Offset(0));
    assert_eq!(first_after(Duration::from_secs(3600)), Offset(1));
}

/// While it is off others hold the partition, and forget more than it can know.
#[test]
fn who_holds_a_partition_again_begins_anew() {
    let mut one = Leader::of(3);
    one.send("a", 1, false);
    one.dwelling().settle();
    (2..=3).for_each(|node| one.asked_by(node, 1));
    assert_eq!(one.take_outcomes(), [("a", Ok(Offset(0)))]);
    one.machine.stop();
    let (now, session) = (one.time.now(), one.sessions[0]);
    one.authority.expire(now, session);
    one.reassign(&[2, 3]);
    one.sessions[0] = one.authority.announce(now, NodeId(1), Uid([1; 16]), true);
    one.reassign(&[1, 2, 3]);
    let topics = one.authority.topics();
    let partition = &topics.get("topic-1").expect("it was made").partitions[0];
    assert_eq!(partition.adding, [NodeId(1)]);
    let since = partition.since(NodeId(1));
    let logs = [0, since].map(|since| format!("logs/{:x}-", log_of(key(1, 0), since).0));
    let has_log = |disk: &SimDisk| {
        let names = disk.names();
        let is_there = |log: &String| names.iter().any(|name| name.starts_with(&**log));
        [is_there(&logs[0]), is_there(&logs[1])]
    };
    assert_eq!(has_log(&one.machine.disk), [true, false]);
    let (time, proposals) = (one.time.clone(), one.proposals.clone());
    one.machine.start(2, &time, &proposals, topics, false);
    let session = one.sessions[0];
    one.dwelling().site.live_in(session);
    one.hear();
    one.dwelling().settle();
    let view = one.dwelling().streams.view(key(1, 0));
    assert_eq!(view.expect("it is held").marks().next, Offset(0));
    assert!(!has_log(&one.machine.disk)[0], "it is nobody's any more");
}

fn read_behind_its_reign() {
    let mut one = Leader::of(3);
    one.send("a", 1, false);
    one.dwelling().settle();
    one.heard_from(2, 0, true);
    one.change_leader();
    one.hear();
    assert!(!one.leads());
    // By now the log may be another's.
    let answer = one.dwelling().answer(1 << 20);
    let (_, _, message) = answer.expect("one is owed");
    let (heads, batches) = heads(&message);
    assert_eq!(heads.len(), 1);
    assert_eq!(heads[0].answer, Answer::NotNow);
    assert!(batches.is_empty());
}

#[test]
fn what_was_asked_of_a_leader_is_not_read_from_the_log_of_a_follower() {
    show(Fault::ReadAfterItsReign, read_behind_its_reign);
}

fn come_back_and_die() {
    let mut one = Leader::of(3);
    let (now, session) = (one.time.now(), one.sessions[2]);
    one.authority.expire(now, session);
    one.hear();
    one.send("a", 1, false);
    one.dwelling().settle();
    one.asked_by(2, 1);
    assert_eq!(one.take_outcomes(), [("a", Ok(Offset(0)))]);
    one.drop_all();
    // Back, and with all there is, it is held back until it has heard of that.
    one.sessions[2] = one.authority.announce(now, NodeId(3), Uid([3; 16]), true);
    one.hear();
    one.asked_by(3, 1);
    assert!(one.proposals.lock().unwrap().is_empty());
    // Where it dies before, nobody waits for it.
    let session = one.sessions[2];
    one.authority.expire(now, session);
    one.hear();
    one.send("b", 2, false);
    one.dwelling().settle();
    one.asked_by(2, 2);
    one.time.go_on(Duration::from_secs(1));
    one.dwelling().turn();
    assert_eq!(one.take_outcomes(), [("b", Ok(Offset(1)))]);
}

#[test]
fn who_is_held_back_from_the_in_sync_set_is_not_waited_for() {
    show(Fault::UnsaidAwaited, come_back_and_die);
}

fn take_in_unheard() {
    let mut one = Leader::of(3);
    let (now, session) = (one.time.now(), one.sessions[2]);
    one.authority.expire(now, session);
    one.authority.announce(now, NodeId(3), Uid([3; 16]), true);
    one.hear();
    one.asked_by(2, 0);
    one.asked_by(3, 0);
    one.decide(false);
    one.time.go_on(Duration::from_secs(1));
    one.dwelling().turn();
    // It holds already, so that this one is of an older epoch.
    one.decide(true);
    one.send("a", 1, false);
    one.dwelling().settle();
    one.asked_by(2, 1);
    assert_eq!(one.take_outcomes(), [], "the third has yet to have it");
    one.hear();
    one.asked_by(2, 1);
    assert_eq!(one.take_outcomes(), []);
    one.asked_by(3, 1);
    assert_eq!(one.take_outcomes(), [("a", Ok(Offset(0)))]);
}

#[test]
fn who_may_have_come_to_be_in_sync_is_waited_for_until_that_is_known() {
    show(Fault::SilenceTakenForRefusal, take_in_unheard);
}
