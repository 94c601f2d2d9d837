//! Fetches from the leaders of partitions, and gives the records that count.

use super::aborted::Aborted;
use crate::cli::Failure;
use crate::cli::kafka::{At, Cluster, Pace, Trouble};
use crate::cli::topic::offsets::{self, EARLIEST};
use crate::cli::topic::shape::{self, Shape, about};
use crate::limits::{BATCH_PLAIN_BYTES_MAX, CLI_FETCH_BYTES, CLI_FETCH_PARTITION_BYTES};
use crate::ports::kafka::messages::fetch::{
    Fetch, FetchPartition, FetchRequest, FetchResponse, FetchTopic, PartitionData,
};
use crate::ports::kafka::messages::{ErrorCode, Text};
use crate::streams::batch::codec::Unpacker;
use crate::streams::batch::header::{Header, sum};
use crate::streams::batch::records::{self, Records};
use bytes::Bytes;
use std::collections::BTreeMap;

/// From where to where a partition is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The next to be read.
    next: i64,
    /// All below has been printed.
    printed: i64,
    end: Option<i64>,
}

impl Place {
    pub fn new(next: i64, end: Option<i64>) -> Self {
        Self {
            next,
            printed: next,
            end,
        }
    }

    fn is_through(&self) -> bool {
        self.end.is_some_and(|end| self.next >= end)
    }
}

pub struct Record<'a> {
    pub partition: i32,
    pub record: &'a records::Record<'a>,
}

pub enum Taken<'a> {
    Record(Record<'a>),
    /// What was taken is printed now.
    Pause,
}

/// What whoever takes records says to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wants {
    More,
    Enough,
    /// Nothing, and what was taken since the last pause has reached nobody.
    Nothing,
}

pub type Take<'t> = dyn FnMut(Taken<'_>) -> Result<Wants, Failure> + 't;

pub struct Reading {
    cluster: Cluster,
    shape: Shape,
    places: BTreeMap<i32, Place>,
    is_stable: bool,
    /// Somebody waits for what comes, and so for a leader that is away.
    follows: bool,
    has_complained: bool,
    unpacker: Unpacker,
    pace: Pace,
}

/// The last version that calls a topic by its name.
const BY_NAME: i16 = 12;
const CONSUMER: i32 = -1;
/// No session: each request says all.
const NO_SESSION: i32 = -1;
/// What is there already is not waited for, what may come is.
const READ_WAIT_MS: i32 = 100;
const FOLLOW_WAIT_MS: i32 = 500;

impl Reading {
    pub fn new(
        cluster: Cluster,
        shape: Shape,
        places: BTreeMap<i32, Place>,
        is_stable: bool,
        follows: bool,
    ) -> Self {
        Self {
            pace: Pace::new(cluster.patience()),
            cluster,
            shape,
            places,
            is_stable,
            follows,
            has_complained: false,
            unpacker: Unpacker::default(),
        }
    }

    pub fn is_through(&self) -> bool {
        self.places.values().all(Place::is_through)
    }

    /// The offset behind what was printed of each partition.
    pub fn printed(&self) -> BTreeMap<i32, i64> {
        let places = self.places.iter();
        places
            .map(|(number, place)| (*number, place.printed))
            .collect()
    }

    pub fn cluster(&mut self) -> &mut Cluster {
        &mut self.cluster
    }

    pub fn into_cluster(self) -> Cluster {
        self.cluster
    }

    /// Asks each leader once. Answers what somebody should know of it.
    pub fn round(&mut self, take: &mut Take<'_>) -> Result<Vec<String>, Failure> {
        let mut said = Vec::new();
        let mut trouble = None;
        let mut asked = Vec::new();
        for (leader, numbers) in self.by_leader(&mut trouble) {
            let request = self.request(&numbers);
            let connection = self.cluster.connection(At::Broker(leader));
            let sent = connection
                .and_then(|connection| connection.send_at_most::<Fetch>(&request, BY_NAME));
            match sent {
                Ok(()) => asked.push(leader),
                Err(why) => self.lost(leader, why, &mut trouble),
            }
        }
        for leader in asked {
            let connection = self.cluster.connection(At::Broker(leader));
            match connection.and_then(|connection| connection.hear::<Fetch>()) {
                Ok(answer) => {
                    let wants = self.heard(answer, take, &mut said, &mut trouble)?;
                    if wants != Wants::More {
                        return Ok(said);
                    }
                }
                Err(why) => self.lost(leader, why, &mut trouble),
            }
        }
        match trouble {
            None => {
                self.pace = Pace::new(self.cluster.patience());
                if std::mem::take(&mut self.has_complained) {
                    said.push(format!("{} is read on again", self.shape.name));
                }
            }
            Some((_, why)) if passes_here(&why) && self.pace.again() => self.look_again()?,
            Some((number, why)) if passes_here(&why) && self.follows => {
                if !std::mem::replace(&mut self.has_complained, true) {
                    let says = self.about(number, why).message;
                    said.push(format!("{says}; waiting for it"));
                }
                self.pace = Pace::new(self.cluster.patience());
                self.look_again()?;
            }
            Some((number, why)) => return Err(self.about(number, why)),
        }
        Ok(said)
    }

    fn by_leader(&self, trouble: &mut Option<(Option<i32>, Trouble)>) -> BTreeMap<i32, Vec<i32>> {
        let mut by_leader: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
        for (&number, place) in &self.places {
            if place.is_through() {
                continue;
            }
            match self.shape.partition(number).and_then(|one| one.leader) {
                Some(leader) => by_leader.entry(leader).or_default().push(number),
                None => {
                    let why = Trouble::refused(ErrorCode::LeaderNotAvailable, None);
                    keep(trouble, Some(number), why);
                }
            }
        }
        by_leader
    }

    fn request(&self, numbers: &[i32]) -> FetchRequest {
        let partition = |number: &i32| FetchPartition {
            partition: *number,
            fetch_offset: self.places.get(number).map_or(0, |place| place.next),
            partition_max_bytes: CLI_FETCH_PARTITION_BYTES as i32,
            ..FetchPartition::default()
        };
        FetchRequest {
            replica_id: CONSUMER,
            max_wait_ms: match self.follows {
                true => FOLLOW_WAIT_MS,
                false => READ_WAIT_MS,
            },
            min_bytes: 1,
            max_bytes: CLI_FETCH_BYTES as i32,
            isolation_level: self.is_stable.into(),
            session_epoch: NO_SESSION,
            topics: vec![FetchTopic {
                topic: Text::from(&*self.shape.name),
                partitions: numbers.iter().map(partition).collect(),
                ..FetchTopic::default()
            }],
            ..FetchRequest::default()
        }
    }

    fn lost(&mut self, leader: i32, why: Trouble, trouble: &mut Option<(Option<i32>, Trouble)>) {
        self.cluster.forget(At::Broker(leader));
        keep(trouble, None, why);
    }

    fn heard(
        &mut self,
        answer: FetchResponse,
        take: &mut Take<'_>,
        said: &mut Vec<String>,
        trouble: &mut Option<(Option<i32>, Trouble)>,
    ) -> Result<Wants, Failure> {
        if !answer.error_code.is_none() {
            keep(trouble, None, Trouble::refused(answer.error_code, None));
            return Ok(Wants::More);
        }
        for data in answer.responses.into_iter().flat_map(|one| one.partitions) {
            let number = data.partition_index;
            match data.error_code {
                ErrorCode::None => {
                    let wants = self.take_partition(data, take)?;
                    if wants != Wants::More {
                        return Ok(wants);
                    }
                }
                ErrorCode::OffsetOutOfRange => said.push(self.find_first(number)?),
                code => keep(trouble, Some(number), Trouble::refused(code, None)),
            }
        }
        Ok(Wants::More)
    }

    /// What stood there was removed meanwhile: it goes on with what is left.
    fn find_first(&mut self, number: i32) -> Result<String, Failure> {
        let (cluster, topic) = (&mut self.cluster, &*self.shape.name);
        let firsts = offsets::all(cluster, topic, &[number], EARLIEST, self.is_stable)?;
        let first = firsts.get(&number).copied().unwrap_or_default();
        let place = self.places.entry(number).or_insert(Place::new(first, None));
        if first <= place.next {
            let next = place.next;
            return Err(Failure::failed(format!(
                "{topic}, partition {number}: there is no offset {next}: the records behind it \
                 were lost, or the topic was made anew"
            )));
        }
        let gone = format!(
            "{topic}, partition {number}: the records from {} to below {first} are gone",
            place.next
        );
        place.next = first;
        place.printed = first;
        Ok(gone)
    }

    fn take_partition(
        &mut self,
        data: PartitionData,
        take: &mut Take<'_>,
    ) -> Result<Wants, Failure> {
        let number = data.partition_index;
        let Some(place) = self.places.get_mut(&number) else {
            return Ok(Wants::More);
        };
        let listed = match self.is_stable {
            true => data.aborted_transactions.unwrap_or_default(),
            false => Vec::new(),
        };
        let mut aborted = Aborted::new(listed);
        let mut rest = data.records.into_bytes();
        let mut wants = Wants::More;
        while wants == Wants::More && !place.is_through() {
            let Some(batch) = cut(&mut rest) else { break };
            let taken = take_batch(
                number,
                &batch,
                place,
                &mut aborted,
                &mut self.unpacker,
                take,
            );
            wants = taken.map_err(|why| match why {
                Untaken::Unreadable(why) => Failure::failed(format!(
                    "{}, partition {number}, at offset {}: a batch that cannot be read: {why}; \
                     --from goes around it",
                    self.shape.name, place.next
                )),
                Untaken::Unprinted(failure) => failure,
            })?;
        }
        let wants = take(Taken::Pause)?;
        if wants != Wants::Nothing {
            place.printed = place.next;
        }
        Ok(wants)
    }

    /// Who leads what now.
    fn look_again(&mut self) -> Result<(), Failure> {
        match shape::one(&mut self.cluster, &self.shape.name) {
            Ok(shape) => self.shape = shape,
            Err(trouble) if trouble.is_passing() => {}
            Err(trouble) if trouble.is(ErrorCode::UnknownTopicOrPartition) => {
                let name = &self.shape.name;
                return Err(Failure::failed(format!("{name} is not there any more")));
            }
            Err(trouble) => return Err(about(&self.shape.name, trouble)),
        }
        Ok(())
    }

    fn about(&self, number: Option<i32>, why: Trouble) -> Failure {
        let topic = &self.shape.name;
        match number {
            Some(number) => about(&format!("{topic}, partition {number}"), why),
            None => about(topic, why),
        }
    }
}

fn passes_here(why: &Trouble) -> bool {
    let is_moving = why.is(ErrorCode::UnknownTopicOrPartition);
    why.is_passing() || is_moving || matches!(why, Trouble::Silent { .. })
}

/// What does not pass is kept rather than what does.
fn keep(trouble: &mut Option<(Option<i32>, Trouble)>, number: Option<i32>, why: Trouble) {
    match trouble {
        Some((_, kept)) if !passes_here(kept) || passes_here(&why) => {}
        _ => *trouble = Some((number, why)),
    }
}

/// The next whole batch; the last one of an answer may be cut.
fn cut(rest: &mut Bytes) -> Option<Bytes> {
    let length = Header::of(rest)?.total_bytes()?;
    (length <= rest.len()).then(|| rest.split_to(length))
}

enum Untaken {
    Unreadable(String),
    Unprinted(Failure),
}

/// Gives the records of a batch that count, and moves on behind it, or behind
/// the last record that was wanted.
fn take_batch(
    partition: i32,
    batch: &[u8],
    place: &mut Place,
    aborted: &mut Aborted,
    unpacker: &mut Unpacker,
    take: &mut Take<'_>,
) -> Result<Wants, Untaken> {
    let unreadable = |why: String| Untaken::Unreadable(why);
    let header = Header::of(batch).ok_or_else(|| unreadable("it has no head".into()))?;
    if sum(batch) != header.crc() {
        return Err(unreadable("its CRC is not that of its bytes".into()));
    }
    let behind = header.base_offset() + i64::from(header.last_offset_delta()) + 1;
    if behind <= place.next {
        // Of a transaction it tells all the same.
        aborted.passes_over(&header);
        return Ok(Wants::More);
    }
    if aborted.passes_over(&header) {
        place.next = behind;
        return Ok(Wants::More);
    }
    let records = Records::of(batch, BATCH_PLAIN_BYTES_MAX, unpacker);
    let records = records.map_err(|why| unreadable(why.to_string()))?;
    for record in records.iter() {
        let record = record.map_err(|why| unreadable(why.to_string()))?;
        let offset = i64::try_from(record.offset.0).unwrap_or(i64::MAX);
        if offset < place.next {
            continue;
        }
        if let Some(end) = place.end.filter(|end| offset >= *end) {
            place.next = end;
            return Ok(Wants::More);
        }
        let taken = Taken::Record(Record {
            partition,
            record: &record,
        });
        let wants = take(taken).map_err(Untaken::Unprinted)?;
        place.next = offset + 1;
        if wants != Wants::More {
            return Ok(wants);
        }
    }
    place.next = place.next.max(behind);
    Ok(Wants::More)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Offset;
    use crate::streams::batch::build::Builder;
    use crate::streams::batch::codec::Codec;
    use crate::streams::batch::records::Headers;

    fn batch(base: u64, count: u64, codec: Codec) -> Vec<u8> {
        let mut builder = Builder::new(Offset(base), codec);
        for offset in base..base + count {
            builder
                .add(&records::Record {
                    offset: Offset(offset),
                    timestamp: 0,
                    key: None,
                    value: Some(b"a value of some length"),
                    headers: Headers::NONE,
                })
                .unwrap();
        }
        builder.finish().unwrap()
    }

    /// Takes from `bytes` until so many were taken; their offsets, and where it
    /// stands.
    fn taken(bytes: Vec<u8>, place: Place, most: usize) -> (Vec<u64>, Place) {
        let mut rest = Bytes::from(bytes);
        let (mut place, mut offsets) = (place, Vec::new());
        let mut aborted = Aborted::new(Vec::new());
        let mut wants = Wants::More;
        while wants == Wants::More && !place.is_through() {
            let Some(batch) = cut(&mut rest) else { break };
            let mut take = |taken: Taken<'_>| {
                if let Taken::Record(taken) = taken {
                    offsets.push(taken.record.offset.0);
                }
                Ok(match offsets.len() < most {
                    true => Wants::More,
                    false => Wants::Enough,
                })
            };
            let unpacker = &mut Unpacker::default();
            let taken = take_batch(0, &batch, &mut place, &mut aborted, unpacker, &mut take);
            wants = taken.ok().unwrap();
        }
        (offsets, place)
    }

    fn log() -> Vec<u8> {
        let batches = [
            (10, 5, Codec::Zstd),
            (15, 3, Codec::None),
            (20, 4, Codec::Lz4),
        ];
        batches
            .into_iter()
            .flat_map(|(base, count, codec)| batch(base, count, codec))
            .collect()
    }

    #[test]
    fn records_are_those_from_the_place_to_its_end() {
        for (next, end, offsets, stands) in [
            (10, None, 10..18, 24),
            (12, None, 12..18, 24),
            (17, None, 17..18, 24),
            (10, Some(12), 10..12, 12),
            (13, Some(16), 13..16, 16),
            (24, None, 0..0, 24),
        ] {
            let (taken, place) = taken(log(), Place::new(next, end), 100);
            let tail = if end.is_none() && next < 24 {
                20..24
            } else {
                0..0
            };
            let expected: Vec<u64> = offsets.chain(tail).collect();
            assert_eq!(taken, expected, "{next} {end:?}");
            assert_eq!(place.next, stands, "{next} {end:?}");
        }
    }

    #[test]
    fn who_has_enough_stands_behind_the_last_that_was_taken() {
        let (offsets, place) = taken(log(), Place::new(11, None), 2);
        assert_eq!((offsets, place.next), (vec![11, 12], 13));
    }

    #[test]
    fn a_batch_that_is_cut_or_torn_is_not_taken() {
        let mut cut_short = log();
        cut_short.pop();
        let (offsets, place) = taken(cut_short, Place::new(10, None), 100);
        assert_eq!((offsets.len(), place.next), (8, 18));
        let mut torn = batch(10, 5, Codec::None);
        *torn.last_mut().unwrap() ^= 1;
        let mut place = Place::new(10, None);
        let mut aborted = Aborted::new(Vec::new());
        let unpacker = &mut Unpacker::default();
        let mut take = |_: Taken<'_>| -> Result<Wants, Failure> { panic!("it is torn") };
        let taken = take_batch(0, &torn, &mut place, &mut aborted, unpacker, &mut take);
        assert!(matches!(taken, Err(Untaken::Unreadable(why)) if why.contains("CRC")));
        assert_eq!(place.next, 10);
    }
}
