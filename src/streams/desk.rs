//! What the doors and the daemon say to the partitions of this node, and hear
//! from them.
//!
//! The thread of the log owns the partitions (`house`), so nothing of them is
//! locked. A word goes into its inbox and is answered by a callback on that
//! thread, which must be brief. What is looked at often stands in a `View` and
//! is read without asking.

use super::batch::header::Claim;
use super::follow::{Answered, Asked, Tell, Told};
use super::key::Key;
use super::partition::{Acks, LeaderEpoch};
use super::producers::{self, Aborted, Awaited, Closing, Moment};
use super::site::Site;
use super::view::View;
use super::{batch::check::Offered, partition};
use crate::clock::Clock;
use crate::disk::Waker;
use crate::ids::{NodeId, Offset, ProducerId};
use crate::limits::STREAMS_QUEUED_BYTES_MAX;
use crate::metrics::{Counter, Page};
use crate::state::topics::Topics;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// Called on the log's thread: it must be brief. Dropped where the node stops.
pub type Answer<T> = Box<dyn FnOnce(T) + Send>;

/// What is said to the partitions.
pub enum Word {
    /// Which node this is, in which life, and how it proposes. Comes once; what is
    /// said of topics before is heard when it has come.
    Begin(Arc<Site>),
    /// The replicated state of topics and brokers has changed.
    Topics(Arc<Topics>),
    /// The topics that were said last are at least as new as any that this node
    /// went by before it was started: what they do not have is no more.
    CaughtUp,
    /// Where it goes what this node asks of those whom it follows.
    Follow(Tell),
    /// The way to a leader is open: all that is followed of it is asked for anew.
    Reached(NodeId),
    /// A follower asks for more of what this node leads. An ask that another
    /// takes the place of is dropped without an answer.
    Asked {
        from: NodeId,
        asks: Vec<(Asked, Answer<Answered>)>,
    },
    /// A leader has answered.
    Told(Vec<Told>),
    /// The node is about to stop: what it leads is handed on once everybody has
    /// all of it. Answered with how many partitions are still led here, when
    /// those are none that others could lead, or the time is up.
    HandOn {
        until: Duration,
        answer: Answer<usize>,
    },
    Append(Append),
    Mark(Mark),
    Watch(Watch),
    /// Where to look for the first record at or after a time: no record below
    /// has it. None where no record at all has it.
    FindTime {
        key: Key,
        at_ms: i64,
        answer: Answer<Result<Option<Offset>, NotHere>>,
    },
    /// The greatest timestamp of all records, and where to look for it on.
    LatestTime {
        key: Key,
        answer: Answer<Result<Option<(i64, Offset)>, NotHere>>,
    },
    /// The aborted transactions between two offsets.
    Aborted {
        key: Key,
        from: Offset,
        until: Offset,
        answer: Answer<Result<Vec<Aborted>, NotHere>>,
    },
    /// The largest epoch at or below the one asked for, and where it ends.
    EndOfEpoch {
        key: Key,
        epoch: LeaderEpoch,
        answer: Answer<Result<Option<(LeaderEpoch, Offset)>, NotHere>>,
    },
    /// Forgets what is below an offset, all that is acknowledged where that is
    /// None. Answered with where the partition begins then, for good and with
    /// whoever may lead it next.
    DropPrefix {
        key: Key,
        until: Option<Offset>,
        timeout: Duration,
        answer: Answer<Result<Offset, NotDropped>>,
    },
    Producers {
        key: Key,
        answer: Answer<Result<Vec<ProducerShown>, NotHere>>,
    },
    /// Whether this producer has a transaction open here.
    IsOpen {
        key: Key,
        producer: ProducerId,
        answer: Answer<Result<bool, NotHere>>,
    },
}

/// A producer's batches for one partition, all of them or nothing.
pub struct Append {
    pub key: Key,
    /// As `batch::check` has found them good, with what it found.
    pub bytes: Vec<u8>,
    pub offered: Vec<Offered>,
    pub acks: Acks,
    pub timeout: Duration,
    /// Refused (`NotLeader`) unless this node leads since this very epoch: for
    /// who has read the partition since, and must know of all that is in it.
    pub led_since: Option<LeaderEpoch>,
    /// The producer's epoch is raised with each transaction (KIP-890).
    pub raises_epoch: bool,
    /// The transaction's coordinator knows of this partition: it was asked after
    /// `BeginsTransaction` gave this.
    pub verified: Option<Moment>,
    /// The time that the batches were given, where the topic asks for that of
    /// the append.
    pub append_time_ms: Option<i64>,
    pub answer: Answer<Result<Appended, NotAppended>>,
}

/// Where batches went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    pub base: Offset,
    /// The oldest record that is kept.
    pub first: Offset,
    pub append_time_ms: Option<i64>,
}

/// Why batches are not in the log, or not known to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotAppended {
    NotHere(NotHere),
    /// More than may wait is waiting: to be tried again.
    Busy,
    Partition(partition::Refused),
    Producer(producers::Refused),
    /// They would begin a transaction here, and its coordinator is to be told
    /// first: then again, with `verified`. Also where it was told, and another
    /// transaction of the producer has ended here since.
    BeginsTransaction(Moment),
    /// The disk has no room, or failed.
    Disk(Box<str>),
    /// A producer that numbers its batches sends one at a time.
    ManyBatches,
}

impl NotAppended {
    /// Whether the client is to try again as it is: what it has sent behind this is
    /// to wait for that.
    fn is_for_now(&self) -> bool {
        use producers::Refused;
        match self {
            Self::NotHere(_)
            | Self::Busy
            | Self::Partition(_)
            | Self::BeginsTransaction(_)
            | Self::Disk(_)
            | Self::Producer(Refused::TooManyOpen { .. } | Refused::TooManyAborted { .. }) => true,
            // It waits for one that is noted.
            Self::Producer(Refused::Awaited { .. })
            | Self::Producer(
                Refused::Fenced { .. }
                | Refused::OutOfOrder { .. }
                | Refused::NotTransactional { .. }
                | Refused::OldCoordinator { .. },
            )
            | Self::ManyBatches => false,
        }
    }
}

impl fmt::Display for NotAppended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotHere(why) => why.fmt(f),
            Self::Busy => f.write_str("too much waits to be written: try again"),
            Self::Partition(why) => why.fmt(f),
            Self::Producer(why) => why.fmt(f),
            Self::BeginsTransaction(_) => {
                f.write_str("the transaction's coordinator does not know of the partition")
            }
            Self::Disk(why) => f.write_str(why),
            Self::ManyBatches => {
                f.write_str("a producer that numbers its batches sends one at a time")
            }
        }
    }
}

/// The end of a transaction, for one partition.
pub struct Mark {
    pub key: Key,
    pub closing: Closing,
    pub answer: Answer<Result<Offset, NotAppended>>,
}

/// Answered once one of the partitions has more to be read than up to the
/// offset that stands with it, or has another leader, or is not here.
pub struct Watch {
    pub wants: Vec<(Key, Offset)>,
    /// By the clock that never goes back: nobody waits any more behind it.
    pub until: Duration,
    /// What counts is how far transactions are ended.
    pub reads_committed: bool,
    pub answer: Answer<()>,
}

/// Why a partition does not answer here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotHere {
    /// It is not held by this node, or not any more.
    Unknown,
    /// It is being read back.
    Opening,
    /// Another node leads it.
    NotLeader,
}

impl fmt::Display for NotHere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "this node does not hold the partition",
            Self::Opening => "the partition is being read back",
            Self::NotLeader => "another node leads the partition",
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotDropped {
    NotHere(NotHere),
    /// There is no such record yet, or it is not acknowledged.
    OutOfRange,
    /// More than may wait is waiting: to be tried again.
    Busy,
    /// They are dropped here, and not with all who may lead next in the time that
    /// was given.
    TimedOut,
    /// The disk has no room to note it, or failed.
    Disk(Box<str>),
}

/// A producer that a partition knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerShown {
    pub id: ProducerId,
    pub epoch: i16,
    pub last_sequence: i32,
    pub last_timestamp_ms: i64,
    pub coordinator_epoch: i32,
    pub open_since: Option<Offset>,
}

/// The way to the partitions. Clones share it.
#[derive(Clone)]
pub struct Streams {
    shared: Arc<Shared>,
}

struct Shared {
    inbox: Mutex<Vec<Word>>,
    /// Looked at before the log's thread sleeps.
    has_words: AtomicBool,
    queued_bytes: AtomicUsize,
    clock: Arc<dyn Clock>,
    /// Held for a note, never longer, as the inbox is. Only what is turned away and
    /// what is a producer's first asks for it.
    awaited: Mutex<Awaited>,
    /// Empty until the log's thread is up.
    waker: OnceLock<Waker>,
    views: RwLock<BTreeMap<Key, Arc<View>>>,
    /// Told each time that a partition is led by another, has come or has gone.
    turns: Notify,
    bytes_max: Option<u64>,
    compaction: CompactionCounts,
}

/// What compaction has come to since the node started.
#[derive(Default)]
pub struct CompactionCounts {
    pub passes: Counter,
    pub failures: Counter,
    /// Of the segments that it went over, and what was left of them.
    pub bytes_before: Counter,
    pub bytes_after: Counter,
    pub records_read: Counter,
    pub records_left_out: Counter,
}

impl CompactionCounts {
    pub fn write(&self, page: &mut Page) {
        for (name, help, counter) in [
            (
                "passes",
                "Passes of compaction over a partition",
                &self.passes,
            ),
            ("failures", "Passes that were given up", &self.failures),
            (
                "read_bytes",
                "Bytes of segments that were compacted",
                &self.bytes_before,
            ),
            (
                "left_bytes",
                "Bytes that were left of them",
                &self.bytes_after,
            ),
            (
                "read_records",
                "Records that compaction has looked at",
                &self.records_read,
            ),
            (
                "left_out_records",
                "Records that it has left out",
                &self.records_left_out,
            ),
        ] {
            let name = format!("dolmen_streams_compaction_{name}_total");
            page.counter(&name, help, counter.get());
        }
    }
}

impl Streams {
    /// Those of a node that holds no partition and hears nothing.
    #[cfg(test)]
    pub fn idle() -> Self {
        Self::new(None, Arc::new(crate::clock::MachineClock::new()))
    }

    pub(super) fn new(bytes_max: Option<u64>, clock: Arc<dyn Clock>) -> Self {
        let shared = Shared {
            inbox: Mutex::default(),
            has_words: AtomicBool::new(false),
            queued_bytes: AtomicUsize::new(0),
            clock,
            awaited: Mutex::default(),
            waker: OnceLock::new(),
            views: RwLock::default(),
            turns: Notify::new(),
            bytes_max,
            compaction: CompactionCounts::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    pub(super) fn wake_with(&self, waker: Waker) {
        self.shared.waker.get_or_init(|| waker);
    }

    /// What all partitions of this node may have of its disk.
    pub fn bytes_max(&self) -> Option<u64> {
        self.shared.bytes_max
    }

    pub fn compaction(&self) -> &CompactionCounts {
        &self.shared.compaction
    }

    /// A partition that this node holds, leading it or not.
    pub fn view(&self, key: Key) -> Option<Arc<View>> {
        let views = self.shared.views.read();
        let views = views.unwrap_or_else(PoisonError::into_inner);
        views.get(&key).cloned()
    }

    /// All partitions that this node holds.
    pub fn views(&self) -> Vec<Arc<View>> {
        let views = self.shared.views.read();
        let views = views.unwrap_or_else(PoisonError::into_inner);
        views.values().cloned().collect()
    }

    /// Comes to its end when some partition is led by another, has come or has
    /// gone since this was called.
    pub fn turned(&self) -> Notified<'_> {
        self.shared.turns.notified()
    }

    /// Appends, or answers "busy" where too much waits.
    pub fn append(&self, append: Append) {
        let bytes = append.bytes.len();
        let (key, claim) = (append.key, numbered(&append.offered));
        let before = self.shared.queued_bytes.fetch_add(bytes, Ordering::AcqRel);
        // One always fits, however large.
        if before > 0 && before + bytes > STREAMS_QUEUED_BYTES_MAX {
            self.shared.queued_bytes.fetch_sub(bytes, Ordering::AcqRel);
            // Before the next batch is said.
            self.note_turned_away(key, claim);
            return (append.answer)(Err(NotAppended::Busy));
        }
        let streams = self.clone();
        let answer = append.answer;
        let answer = Box::new(move |outcome: Result<Appended, NotAppended>| {
            let queued_bytes = &streams.shared.queued_bytes;
            queued_bytes.fetch_sub(bytes, Ordering::AcqRel);
            // Before the next batch is heard.
            if outcome.as_ref().is_err_and(NotAppended::is_for_now) {
                streams.note_turned_away(key, claim);
            }
            answer(outcome);
        });
        self.say(Word::Append(Append { answer, ..append }));
    }

    /// A batch does not come to its partition, and is likely to be sent again: what
    /// its producer has sent behind it is not taken for its first.
    pub fn note_turned_away(&self, key: Key, claim: Option<Claim>) {
        if let Some(claim) = claim.filter(|claim| claim.sequence >= 0) {
            let now = self.shared.clock.monotonic();
            self.awaited().note(now, key, &claim);
        }
    }

    /// Whether a batch may be the first of a producer that its partition does not
    /// know.
    pub(super) fn check_first(&self, key: Key, claim: &Claim) -> Result<(), producers::Refused> {
        let now = self.shared.clock.monotonic();
        self.awaited().check(now, key, claim)
    }

    fn awaited(&self) -> MutexGuard<'_, Awaited> {
        let awaited = self.shared.awaited.lock();
        awaited.unwrap_or_else(PoisonError::into_inner)
    }

    pub fn say(&self, word: Word) {
        let inbox = self.shared.inbox.lock();
        inbox.unwrap_or_else(PoisonError::into_inner).push(word);
        self.shared.has_words.store(true, Ordering::Release);
        if let Some(waker) = self.shared.waker.get() {
            waker.wake();
        }
    }

    /// Says a word at once, and gives its answer to who waits for it; None where
    /// the node stops.
    pub fn ask<T: Send + 'static, W: FnOnce(Answer<T>) -> Word>(
        &self,
        word: W,
    ) -> impl Future<Output = Option<T>> + Send + use<T, W> {
        let (put, given) = tokio::sync::oneshot::channel();
        self.say(word(Box::new(move |answer| drop(put.send(answer)))));
        async move { given.await.ok() }
    }

    /// `append`, waited for; None where the node stops.
    pub async fn appended(
        &self,
        append: impl FnOnce(Answer<Result<Appended, NotAppended>>) -> Append,
    ) -> Option<Result<Appended, NotAppended>> {
        let (put, given) = tokio::sync::oneshot::channel();
        self.append(append(Box::new(move |answer| drop(put.send(answer)))));
        given.await.ok()
    }

    /// What came, for the partitions' owner. Held for a swap, never longer: the
    /// owner's thread goes before all others.
    pub(super) fn take(&self, into: &mut Vec<Word>) {
        if self.is_quiet() {
            return;
        }
        let inbox = self.shared.inbox.lock();
        let mut inbox = inbox.unwrap_or_else(PoisonError::into_inner);
        self.shared.has_words.store(false, Ordering::Release);
        std::mem::swap(&mut *inbox, into);
    }

    pub(super) fn is_quiet(&self) -> bool {
        !self.shared.has_words.load(Ordering::Acquire)
    }

    pub(super) fn show(&self, view: Arc<View>) {
        let views = self.shared.views.write();
        let mut views = views.unwrap_or_else(PoisonError::into_inner);
        views.insert(view.key, view);
        drop(views);
        self.turn();
    }

    pub(super) fn hide(&self, key: Key) {
        let views = self.shared.views.write();
        let mut views = views.unwrap_or_else(PoisonError::into_inner);
        views.remove(&key);
        drop(views);
        self.turn();
    }

    /// To be called when what a view says of who leads has changed.
    pub(super) fn turn(&self) {
        self.shared.turns.notify_waiters();
    }
}

/// Whose batch it is and which, where its producer numbers them: such a one sends
/// one at a time.
fn numbered(offered: &[Offered]) -> Option<Claim> {
    match offered {
        [one] => one.claim,
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{PartitionId, TopicId};
    use crate::streams::batch::codec::Codec;
    use std::sync::mpsc::{Receiver, channel};

    const KEY: Key = Key {
        topic: TopicId([1; 16]),
        partition: PartitionId(0),
    };

    fn claim(sequence: i32) -> Claim {
        Claim {
            id: ProducerId(9),
            epoch: 0,
            sequence,
        }
    }

    fn append(
        streams: &Streams,
        bytes: usize,
        claim: Option<Claim>,
    ) -> Receiver<Result<Appended, NotAppended>> {
        let (put, given) = channel();
        let offered = Offered {
            bytes: 0..bytes,
            count: 1,
            latest: 0,
            max_timestamp: 0,
            is_max_timestamp_wrong: false,
            codec: Codec::None,
            claim,
            is_transactional: false,
        };
        streams.append(Append {
            key: KEY,
            bytes: vec![0; bytes],
            offered: vec![offered],
            acks: Acks::All,
            timeout: Duration::ZERO,
            led_since: None,
            raises_epoch: false,
            verified: None,
            append_time_ms: None,
            answer: Box::new(move |outcome| put.send(outcome).unwrap()),
        });
        given
    }

    #[test]
    fn what_follows_a_batch_that_there_was_no_room_for_waits_for_it() {
        let streams = Streams::idle();
        let held = append(&streams, STREAMS_QUEUED_BYTES_MAX, None);
        assert!(held.try_recv().is_err());
        let busy = append(&streams, 1, Some(claim(40)));
        assert_eq!(busy.recv(), Ok(Err(NotAppended::Busy)));
        let (id, awaited, found) = (ProducerId(9), 40, 41);
        let why = producers::Refused::Awaited { id, awaited, found };
        assert_eq!(streams.check_first(KEY, &claim(41)), Err(why));
        assert_eq!(streams.check_first(KEY, &claim(40)), Ok(()));
    }

    #[test]
    fn what_is_refused_for_good_holds_nothing_up() {
        let (id, epoch, current, expected, found) = (ProducerId(9), 0, 1, 0, 40);
        for (why, is_awaited) in [
            (NotAppended::Disk("full".into()), true),
            (NotAppended::NotHere(NotHere::Opening), true),
            (NotAppended::BeginsTransaction(Moment::default()), true),
            (NotAppended::ManyBatches, false),
            (
                NotAppended::Producer(producers::Refused::Fenced { id, epoch, current }),
                false,
            ),
            (
                NotAppended::Producer(producers::Refused::OutOfOrder {
                    id,
                    expected,
                    found,
                }),
                false,
            ),
        ] {
            let streams = Streams::idle();
            let given = append(&streams, 1, Some(claim(40)));
            let mut words = Vec::new();
            streams.take(&mut words);
            let Some(Word::Append(append)) = words.pop() else {
                panic!("it is said");
            };
            (append.answer)(Err(why.clone()));
            assert_eq!(given.recv(), Ok(Err(why.clone())));
            let next = streams.check_first(KEY, &claim(41));
            assert_eq!(next.is_err(), is_awaited, "{why}");
        }
    }
}
