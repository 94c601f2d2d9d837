//! A replica whose disk is full while its log is to be cut where its leader parts
//! from it.

use super::authority::{Authority, Proposals};
use super::machine::{Dwelling, Machine, Time};
use crate::streams::kit::told;
use dolmen::clock::Clock;
use dolmen::disk::sim::When;
use dolmen::ids::{NodeId, Offset, Uid};
use dolmen::streams::batch::build::gap;
use dolmen::streams::desk::Word;
use dolmen::streams::follow::Asked;
use dolmen::streams::partition::Answer;
use std::time::Duration;

pub(super) const ALIKE: Answer = Answer::Alike {
    watermark: Offset(0),
    first: Offset(0),
    everywhere: Offset(0),
};

pub(super) struct Follower {
    machine: Machine,
    time: Time,
}

impl Follower {
    /// Of a leader that is another node.
    pub fn new() -> Self {
        let (time, proposals, seed) = (Time::default(), Proposals::default(), 1);
        time.go_on(Duration::from_secs(1));
        let now = time.now();
        let mut authority = Authority::new();
        let announce = |authority: &mut Authority, node: u64| {
            authority.announce(now, NodeId(node), Uid([node as u8; 16]), true)
        };
        let [own, _, _] = [1, 2, 3].map(|node| announce(&mut authority, node));
        authority.create(now, 1, 1, &[]);
        authority.expire(now, own);
        let session = announce(&mut authority, 1);
        let mut machine = Machine::new(NodeId(1), seed);
        machine.start(seed, &time, &proposals, authority.topics(), false);
        machine.dwelling.as_ref().unwrap().site.live_in(session);
        machine.unheard.push_back(authority.topics());
        machine.hear_topics();
        Self { machine, time }
    }

    fn dwelling(&mut self) -> &mut Dwelling {
        self.machine.dwelling.as_mut().expect("it runs")
    }

    pub fn settle(&mut self) {
        self.dwelling().settle();
    }

    /// The way to its leader is open anew.
    pub fn reach(&mut self) {
        for leader in [2, 3] {
            let dwelling = self.dwelling();
            dwelling.streams.say(Word::Reached(NodeId(leader)));
            dwelling.turn();
        }
    }

    /// Waits until it asks for what stands at an offset.
    pub fn asks_for(&mut self, next: u64) -> Asked {
        for _ in 0..1000 {
            let asked = std::mem::take(&mut *self.dwelling().asked.lock().unwrap());
            let mut asked = asked.into_iter().map(|(_, one)| one);
            if let Some(one) = asked.find(|one| one.waits && one.ask.next == Offset(next)) {
                return one;
            }
            self.time.go_on(Duration::from_millis(20));
            self.dwelling().work();
        }
        panic!("it never asks for {next}");
    }

    pub fn tell(&mut self, asked: &Asked, answer: Answer, batches: Vec<u8>) {
        let dwelling = self.dwelling();
        dwelling.streams.say(told(asked, answer, batches));
        dwelling.turn();
    }
}

#[test]
fn a_log_that_is_not_cut_for_want_of_room_is_cut_once_there_is_some() {
    let mut one = Follower::new();
    let asked = one.asks_for(0);
    let epoch = asked.ask.leader_epoch;
    // On their way to the disk when it is to be cut.
    one.machine
        .disk
        .faults(|faults| (faults.slow, faults.slow_waits) = (When::OneIn(1), 50));
    one.tell(&asked, ALIKE, gap(Offset(0), Offset(5), epoch));
    let asked = one.asks_for(5);
    one.tell(&asked, ALIKE, gap(Offset(5), Offset(10), epoch));
    let asked = one.asks_for(10);
    let used = one.machine.disk.used_bytes();
    one.machine.disk.faults(|faults| {
        faults.slow = When::Never;
        faults.room = Some(used);
    });
    let parted = Answer::Parted {
        epoch,
        end: Offset(5),
    };
    one.tell(&asked, parted, Vec::new());
    let asked = one.asks_for(10);
    assert_eq!(asked.ask.last_epoch, Some(epoch), "the log is as it was");
    assert_eq!(asked.ask.has, Offset(10));
    one.machine.disk.faults(|faults| faults.room = None);
    one.tell(&asked, parted, Vec::new());
    let asked = one.asks_for(5);
    one.tell(&asked, ALIKE, gap(Offset(5), Offset(7), epoch));
    one.asks_for(7);
}
