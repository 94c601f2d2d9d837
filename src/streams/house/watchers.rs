//! Who waits for more of a partition. One that waits for several is answered
//! once, by the first that has more. Pure.

use crate::ids::Offset;
use crate::limits::STREAMS_WATCHES_MAX;
use crate::streams::Key;
use crate::streams::desk::{Answer, Watch};
use crate::streams::view::Marks;
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Default)]
pub struct Watchers {
    waiting: BTreeMap<u64, Waiting>,
    by_key: BTreeMap<Key, BTreeMap<u64, Offset>>,
    next: u64,
}

struct Waiting {
    answer: Answer<()>,
    keys: Vec<Key>,
    until: Duration,
    reads_committed: bool,
}

impl Watchers {
    /// Where too many wait already, this one is answered at once: it looks
    /// again, and finds nothing, which costs time and no memory.
    pub fn add(&mut self, watch: Watch) {
        if self.waiting.len() >= STREAMS_WATCHES_MAX || watch.wants.is_empty() {
            return (watch.answer)(());
        }
        let number = self.next;
        self.next += 1;
        let keys = watch.wants.iter().map(|&(key, _)| key).collect();
        for (key, offset) in watch.wants {
            self.by_key.entry(key).or_default().insert(number, offset);
        }
        let waiting = Waiting {
            answer: watch.answer,
            keys,
            until: watch.until,
            reads_committed: watch.reads_committed,
        };
        self.waiting.insert(number, waiting);
    }

    /// A partition goes as far as this now.
    pub fn reached(&mut self, key: Key, marks: Marks) {
        let Some(watching) = self.by_key.get(&key) else {
            return;
        };
        let has_more = |&(number, from): &(&u64, &Offset)| {
            let waiting = &self.waiting[number];
            let mark = match waiting.reads_committed {
                true => marks.last_stable,
                false => marks.watermark,
            };
            mark > *from
        };
        let done = watching.iter().filter(has_more);
        let done: Vec<u64> = done.map(|(&number, _)| number).collect();
        done.into_iter().for_each(|number| self.answer(number));
    }

    /// Who leads the partition is another, or it is gone.
    pub fn changed(&mut self, key: Key) {
        let watching = self.by_key.get(&key);
        let numbers: Vec<u64> = watching.into_iter().flatten().map(|(&n, _)| n).collect();
        numbers.into_iter().for_each(|number| self.answer(number));
    }

    /// Those whose time is over wait no more, whether somebody listens or not.
    pub fn tick(&mut self, now: Duration) {
        let over = self.waiting.iter().filter(|(_, one)| one.until <= now);
        let over: Vec<u64> = over.map(|(&number, _)| number).collect();
        over.into_iter().for_each(|number| self.answer(number));
    }

    #[cfg(test)]
    fn count(&self) -> usize {
        self.waiting.len()
    }

    fn answer(&mut self, number: u64) {
        let Some(waiting) = self.waiting.remove(&number) else {
            return;
        };
        for key in &waiting.keys {
            if let Some(watching) = self.by_key.get_mut(key) {
                watching.remove(&number);
                if watching.is_empty() {
                    self.by_key.remove(key);
                }
            }
        }
        (waiting.answer)(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{PartitionId, TopicId};
    use std::sync::mpsc::{Receiver, channel};

    fn key(n: u32) -> Key {
        Key {
            topic: TopicId([1; 16]),
            partition: PartitionId(n),
        }
    }

    fn wait(watchers: &mut Watchers, wants: &[(u32, u64)], reads_committed: bool) -> Receiver<()> {
        let (put, given) = channel();
        watchers.add(Watch {
            wants: wants.iter().map(|&(n, at)| (key(n), Offset(at))).collect(),
            until: Duration::from_secs(5),
            reads_committed,
            answer: Box::new(move |()| put.send(()).unwrap()),
        });
        given
    }

    fn marks(last_stable: u64, watermark: u64) -> Marks {
        Marks {
            last_stable: Offset(last_stable),
            watermark: Offset(watermark),
            next: Offset(watermark),
            ..Marks::default()
        }
    }

    #[test]
    fn the_first_partition_with_more_answers_and_nothing_is_left_behind() {
        let mut watchers = Watchers::default();
        let told = wait(&mut watchers, &[(0, 10), (1, 20)], false);
        watchers.reached(key(0), marks(0, 10));
        watchers.reached(key(2), marks(0, 99));
        assert!(told.try_recv().is_err());
        watchers.reached(key(1), marks(0, 21));
        assert!(told.try_recv().is_ok());
        assert!(watchers.by_key.is_empty() && watchers.count() == 0);
        watchers.reached(key(0), marks(0, 11));
        assert!(told.try_recv().is_err(), "answered once");
    }

    #[test]
    fn who_reads_what_is_committed_waits_for_that() {
        let mut watchers = Watchers::default();
        let told = wait(&mut watchers, &[(0, 10)], true);
        watchers.reached(key(0), marks(10, 15));
        assert!(told.try_recv().is_err());
        watchers.reached(key(0), marks(15, 15));
        assert!(told.try_recv().is_ok());
    }

    #[test]
    fn a_change_of_leader_a_lost_time_and_a_crowd_answer_too() {
        let mut watchers = Watchers::default();
        let (changed, late) = (
            wait(&mut watchers, &[(0, 1)], false),
            wait(&mut watchers, &[(1, 1)], false),
        );
        watchers.changed(key(0));
        assert!(changed.try_recv().is_ok() && late.try_recv().is_err());
        watchers.tick(Duration::from_millis(4999));
        assert!(late.try_recv().is_err());
        watchers.tick(Duration::from_secs(5));
        assert!(late.try_recv().is_ok());
        let held: Vec<_> = (0..STREAMS_WATCHES_MAX)
            .map(|_| wait(&mut watchers, &[(0, 1)], false))
            .collect();
        let one_too_many = wait(&mut watchers, &[(0, 1)], false);
        assert!(one_too_many.try_recv().is_ok() && held[0].try_recv().is_err());
    }
}
