//! `Fetch`: batches from partitions, as they stand in the log.
//!
//! ```text
//! session   which partitions, and which of them go into the answer
//! plan      from where to where, and how many bytes of each
//! read      the bytes
//! cold      memory for those that are read from the disk
//! warm      and for those that leave from where they stand
//! served    what a partition came to
//! words     the message as the others know it, and back
//! ```
//!
//! A request that finds less than it wants waits for more (`desk::Watch`) and
//! looks again.

mod cold;
mod plan;
mod read;
mod served;
mod session;
mod warm;
mod words;

pub use cold::ColdMemory;
pub use plan::end_of_epoch;
pub use session::Sessions;
pub use warm::WarmMemory;

use super::led::NotLed;
use super::{Call, Handle};
use crate::limits::{FETCH_AGAIN_MS, FETCH_BYTES_MAX, FETCH_WAIT_MS_MAX};
use crate::ports::kafka::access::{Operation, Resource};
use crate::ports::kafka::messages::ErrorCode;
use crate::ports::kafka::messages::fetch::{Fetch, FetchRequest, FetchResponse};
use crate::ports::kafka::quotas::throttle_time_ms;
use crate::state::topics::{Topic, Topics};
use crate::streams::View;
use crate::streams::desk::{NotHere, Watch, Word};
use plan::{parts, stretch};
use read::{Given, Memory, Reading};
use served::{Read, Served};
use session::{Asked, Named, Reads, Wanted};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

/// Of the isolation levels.
const READ_COMMITTED: i8 = 1;

impl Handle for Fetch {
    const MAY_BE_LARGE: bool = true;

    async fn run(call: Call, request: FetchRequest) -> Option<FetchResponse> {
        let version = call.version;
        // Nodes copy from each other by a way of their own.
        if words::replica(version, &request) >= 0 {
            return Some(words::refused(
                request,
                ErrorCode::ClusterAuthorizationFailed,
            ));
        }
        let fetching = Fetching::of(call, &request);
        Some(match fetching.begin(words::asked(version, request)) {
            Ok(reads) => fetching.answer(reads).await,
            Err(code) => words::failed(code),
        })
    }
}

/// One request, without its partitions.
struct Fetching {
    call: Call,
    reads_committed: bool,
    bytes_max: i32,
    bytes_min: usize,
    /// By the clock that never goes back.
    until: Duration,
}

impl Fetching {
    fn of(call: Call, request: &FetchRequest) -> Self {
        let wait_ms = (request.max_wait_ms.max(0) as u64).min(FETCH_WAIT_MS_MAX);
        Self {
            reads_committed: request.isolation_level == READ_COMMITTED,
            bytes_max: request.max_bytes,
            bytes_min: bytes_min(request),
            until: call.door.clock.monotonic() + Duration::from_millis(wait_ms),
            call,
        }
    }

    fn begin(&self, asked: Asked) -> Result<Reads, ErrorCode> {
        let now = self.call.door.clock.monotonic();
        self.sessions().begin(now, asked)
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        let sessions = self.call.door.fetch_sessions.lock();
        sessions.unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, reads: Reads) -> FetchResponse {
        let mut served = self.serve_enough(&reads.wanted).await;
        if self.reads_committed {
            self.name_aborted(&mut served).await;
        }
        let shown: Vec<_> = served.iter().map(Served::shown).collect();
        let draw = || {
            let mut bytes = [0; 4];
            let drawn = self.call.door.entropy.fill(&mut bytes);
            drawn.ok().map(|()| i32::from_be_bytes(bytes))
        };
        let now = self.call.door.clock.monotonic();
        let telling = self.sessions().tell(now, &reads, &shown, draw);
        match telling {
            Ok(telling) => {
                let bytes = served.iter().map(Served::bytes).sum();
                let throttled = self.call.door.quotas.fetched(&self.call, bytes);
                let all = reads.wanted.iter().zip(served).zip(telling.is_told);
                let told = all.filter_map(|(one, is_told)| is_told.then_some(one));
                let mut response = words::response(&self.call, telling.session, told);
                response.throttle_time_ms = throttle_time_ms(throttled);
                response
            }
            Err(code) => words::failed(code),
        }
    }

    /// Serves all, again and again until it is enough or the time is up.
    async fn serve_enough(&self, wanted: &[Wanted]) -> Vec<Served> {
        let mut was_woken = false;
        loop {
            let (served, is_full) = self.serve(wanted).await;
            let left = self.left();
            if left.is_zero() || is_full || self.is_enough(&served, wanted) {
                return served;
            }
            let wants = served.iter().filter_map(Served::awaited).collect();
            // What was read may have memory that others wait for: it is read
            // again, and not held while nothing happens.
            drop(served);
            let woken = self.call.door.streams.ask(|answer| {
                Word::Watch(Watch {
                    wants,
                    until: self.until,
                    reads_committed: self.reads_committed,
                    answer,
                })
            });
            let Ok(Some(())) = tokio::time::timeout(left, woken).await else {
                // The time is up, or the node stops.
                return self.serve(wanted).await.0;
            };
            if was_woken {
                let pause = Duration::from_millis(FETCH_AGAIN_MS);
                tokio::time::sleep(pause.min(self.left())).await;
            }
            was_woken = true;
        }
    }

    fn left(&self) -> Duration {
        let now = self.call.door.clock.monotonic();
        self.until.saturating_sub(now)
    }

    /// A partition that has more than it may give counts as all that it may: whole
    /// batches go in, and those seldom fill it.
    fn is_enough(&self, served: &[Served], wanted: &[Wanted]) -> bool {
        let each = served.iter().zip(wanted);
        let bytes: usize = each
            .map(|(one, wanted)| match one.has_more() {
                true => one
                    .bytes()
                    .max(usize::try_from(wanted.bytes_max).unwrap_or(0)),
                false => one.bytes(),
            })
            .sum();
        let is_hopeless = served.iter().all(|one| one.awaited().is_none());
        bytes >= self.bytes_min || is_hopeless || served.iter().any(Served::is_urgent)
    }

    /// And whether nothing more goes into the answer.
    async fn serve(&self, wanted: &[Wanted]) -> (Vec<Served>, bool) {
        let mut all = Vec::with_capacity(wanted.len());
        for (found, wanted) in self.find(wanted).into_iter().zip(wanted) {
            all.push(match found {
                Ok(view) if wanted.last_epoch >= 0 => self.compare(view, wanted).await,
                Ok(view) => self.place(view, wanted),
                Err(why) => why.into(),
            });
        }
        let readings = all.iter().zip(wanted).filter_map(|(one, wanted)| {
            let Served::Read(read) = one else {
                return None;
            };
            let (view, bytes_max) = (read.view.clone(), wanted.bytes_max);
            Some(Reading::new(view, read.marks, read.stretch, bytes_max))
        });
        let memory = Memory {
            cold: &self.call.door.cold_memory,
            warm: &self.call.door.warm_memory,
        };
        let read = read::read(readings.collect(), self.bytes_max, memory, self.left()).await;
        let mut given = read.given.into_iter();
        for one in &mut all {
            let Served::Read(read) = one else {
                continue;
            };
            match given.next() {
                Some(Ok(given)) => read.given = given,
                Some(Err(code)) => *one = code.into(),
                None => *one = ErrorCode::UnknownServerError.into(),
            }
        }
        (all, read.is_full)
    }

    /// The partitions that this node leads and this client may read.
    fn find(&self, wanted: &[Wanted]) -> Vec<Result<Arc<View>, NotLed>> {
        let topics = self.call.door.site.topics();
        // The partitions of a topic mostly stand together.
        let mut last: Option<(&Named, Result<&Topic, ErrorCode>)> = None;
        let mut all = Vec::with_capacity(wanted.len());
        for Wanted {
            spot: (named, partition),
            leader_epoch,
            ..
        } in wanted
        {
            let topic = match last {
                Some((same, topic)) if same == named => topic,
                _ => self.topic(&topics, named),
            };
            last = Some((named, topic));
            let led = |topic| self.call.led(topic, *partition, *leader_epoch);
            all.push(topic.map_err(NotLed::from).and_then(led));
        }
        all
    }

    fn topic<'t>(&self, topics: &'t Topics, named: &Named) -> Result<&'t Topic, ErrorCode> {
        let may = |name: &str| match self.call.may(Operation::Read, Resource::Topic(name)) {
            true => Ok(()),
            false => Err(ErrorCode::TopicAuthorizationFailed),
        };
        match named {
            Named::Name(name) => {
                may(name)?;
                topics.get(name).ok_or(ErrorCode::UnknownTopicOrPartition)
            }
            Named::Id(id) => {
                let (name, topic) = topics.by_id(*id).ok_or(ErrorCode::UnknownTopicId)?;
                may(name)?;
                Ok(topic)
            }
        }
    }

    fn place(&self, view: Arc<View>, wanted: &Wanted) -> Served {
        let marks = view.marks();
        match stretch(marks, wanted.from, self.reads_committed) {
            Ok(stretch) => Served::Read(Read {
                view,
                marks,
                stretch,
                given: Given::default(),
                aborted: self.reads_committed.then(Vec::new),
            }),
            Err(code) => code.into(),
        }
    }

    /// For a client that names the epoch of what it read last.
    async fn compare(&self, view: Arc<View>, wanted: &Wanted) -> Served {
        let (key, epoch) = (view.key, wanted.last_epoch);
        let ask = |answer| Word::EndOfEpoch { key, epoch, answer };
        let asked = self.call.door.streams.ask(ask).await;
        let found = match asked.unwrap_or(Err(NotHere::NotLeader)) {
            Ok(found) => found,
            Err(why) => return ErrorCode::from(why).into(),
        };
        let marks = view.marks();
        let Some(end) = end_of_epoch(epoch, view.leader_epoch(), marks.first, found) else {
            return ErrorCode::OffsetOutOfRange.into();
        };
        match parts(epoch, wanted.from, end) {
            Some((epoch, end)) if wanted.from >= marks.first.0 as i64 => {
                Served::Parted { epoch, end, marks }
            }
            _ => self.place(view, wanted),
        }
    }

    /// Which of the records that were read are of transactions that were
    /// aborted: those are the reader's to leave out.
    async fn name_aborted(&self, served: &mut [Served]) {
        let ask = |one: &Served| {
            let Served::Read(read) = one else {
                return None;
            };
            let (key, from, until) = read.found()?;
            let (put, given) = tokio::sync::oneshot::channel();
            self.call.door.streams.say(Word::Aborted {
                key,
                from,
                until,
                answer: Box::new(move |answer| drop(put.send(answer))),
            });
            Some(given)
        };
        let asked: Vec<_> = served.iter().map(ask).collect();
        for (one, given) in served.iter_mut().zip(asked) {
            let (Served::Read(read), Some(given)) = (&mut *one, given) else {
                continue;
            };
            let found = given.await.unwrap_or(Err(NotHere::NotLeader));
            // What the log has forgotten in between, it has forgotten of the
            // transactions too.
            let is_kept = read.view.marks().first <= read.stretch.from;
            match found {
                Ok(found) if is_kept => read.aborted = Some(found),
                Ok(_) => *one = ErrorCode::OffsetOutOfRange.into(),
                Err(why) => *one = ErrorCode::from(why).into(),
            }
        }
    }
}

/// Not more than there can be.
fn bytes_min(request: &FetchRequest) -> usize {
    let bytes_max = request.max_bytes.clamp(0, FETCH_BYTES_MAX as i32);
    request.min_bytes.clamp(0, bytes_max) as usize
}

#[cfg(test)]
mod tests;
