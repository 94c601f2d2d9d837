//! One connection that reads some partitions of one leader to their ends and
//! waits there, and looks at what it is given: every batch is one that was
//! sent, and no offset is left out.

use super::batches::Batch;
use super::failure::Failure;
use super::pipe::{Framing, Pipe};
use super::topic::{Topic, good};
use bytes::{Buf, Bytes};
use dolmen::ports::kafka::messages::fetch::{Fetch, FetchPartition, FetchRequest, FetchTopic};
use dolmen::ports::kafka::messages::{Text, read_response, write_request};
use dolmen::streams::batch::header::{Header, sum};
use std::time::Instant;

/// With names of topics, for brokers that do not know their ids.
const FETCH: i16 = 12;
const WAIT_MS: i32 = 500;
/// As Kafka's consumer asks for all partitions together.
const FETCH_BYTES_MAX: i32 = 50 << 20;
/// Of so many batches one is summed up: the checksum that it states is compared
/// with the one that was sent each time.
const SUMMED: u64 = 16;

/// A batch that was read.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    pub partition: usize,
    pub base: u64,
    pub records: u64,
    pub bytes: u64,
}

struct Place {
    partition: usize,
    next: u64,
    batch: Batch,
}

pub struct Follower {
    pub pipe: Pipe,
    version: i16,
    topic: Text,
    places: Vec<Place>,
    partition_bytes: i32,
    asked: i32,
    is_waiting: bool,
    batches: u64,
}

impl Follower {
    /// From the first offset of these partitions, all of one leader.
    pub fn open(
        topic: &Topic,
        partitions: &[usize],
        batches: &[Batch],
        partition_bytes: usize,
    ) -> Result<Self, Failure> {
        let place = |&partition: &usize| Place {
            partition,
            next: 0,
            batch: batches[partition % batches.len()].clone(),
        };
        Ok(Self {
            pipe: Pipe::open(topic.leaders[partitions[0]], Framing::Kafka, &[])?,
            version: topic.versions.of::<Fetch>(FETCH)?,
            topic: topic.name.clone(),
            places: partitions.iter().map(place).collect(),
            partition_bytes: partition_bytes as i32,
            asked: 0,
            is_waiting: false,
            batches: 0,
        })
    }

    /// Where it has come to, by partition.
    pub fn reached(&self) -> impl Iterator<Item = (usize, u64)> {
        self.places
            .iter()
            .map(|place| (place.partition, place.next))
    }

    /// Asks for what follows, unless it has asked.
    pub fn ask(&mut self) -> Result<(), Failure> {
        if std::mem::replace(&mut self.is_waiting, true) {
            return Ok(());
        }
        self.asked += 1;
        let partition = |place: &Place| FetchPartition {
            partition: place.partition as i32,
            fetch_offset: place.next as i64,
            partition_max_bytes: self.partition_bytes,
            ..Default::default()
        };
        let request = FetchRequest {
            max_wait_ms: WAIT_MS,
            min_bytes: 1,
            max_bytes: FETCH_BYTES_MAX,
            topics: vec![FetchTopic {
                topic: self.topic.clone(),
                partitions: self.places.iter().map(partition).collect(),
                ..Default::default()
            }],
            ..Default::default()
        };
        let said = write_request::<Fetch>(self.version, self.asked, Some("bench".into()), &request);
        let mut said = said.map_err(|error| Failure::Answered(error.to_string()))?;
        self.pipe.say(said.copy_to_bytes(said.remaining()));
        self.pipe.flush()
    }

    /// Reads what has come, with the time at which all of an answer was there,
    /// and asks for more.
    pub fn hear(&mut self, seen: &mut Vec<(Seen, Instant)>) -> Result<(), Failure> {
        let Self {
            pipe,
            version,
            places,
            asked,
            is_waiting,
            batches,
            ..
        } = self;
        pipe.read(|frame| {
            let now = Instant::now();
            *is_waiting = false;
            take(frame, *version, *asked, places, batches, |one| {
                seen.push((one, now));
            })
        })?;
        self.ask()
    }
}

fn take(
    frame: Bytes,
    version: i16,
    asked: i32,
    places: &mut [Place],
    batches: &mut u64,
    mut seen: impl FnMut(Seen),
) -> Result<(), Failure> {
    let wrong = |why: String| Failure::Answered(format!("Fetch {version}: {why}"));
    let (answered, response) =
        read_response::<Fetch>(version, frame).map_err(|error| wrong(error.to_string()))?;
    if answered != asked {
        return Err(wrong(format!("answer {answered} to {asked}")));
    }
    good(response.error_code, || "Fetch".to_owned())?;
    for one in response
        .responses
        .iter()
        .flat_map(|topic| &topic.partitions)
    {
        let number = one.partition_index;
        good(one.error_code, || {
            format!("partition {number} gives nothing")
        })?;
        let place = places
            .iter_mut()
            .find(|place| place.partition as i32 == number)
            .ok_or_else(|| wrong(format!("nobody asked for partition {number}")))?;
        let records = one.records.clone().into_bytes();
        place.take(&records, batches, &mut seen)?;
    }
    Ok(())
}

impl Place {
    /// The last batch may be cut.
    fn take(
        &mut self,
        mut bytes: &[u8],
        batches: &mut u64,
        seen: &mut impl FnMut(Seen),
    ) -> Result<(), Failure> {
        while let Some(header) = Header::of(bytes) {
            let length = header.total_bytes().unwrap_or(0);
            let expected = &self.batch;
            let is_ours = header.crc() == expected.crc
                && length == expected.bytes.len()
                && header.count() as u64 == expected.records;
            if !is_ours {
                let (partition, next) = (self.partition, self.next);
                let why = format!("a strange batch in partition {partition} at {next}");
                return Err(Failure::Answered(why));
            }
            let Some(batch) = bytes.get(..length) else {
                break;
            };
            let base = header.base_offset() as u64;
            *batches += 1;
            if batches.is_multiple_of(SUMMED) && sum(batch) != expected.crc {
                let why = format!("partition {}: wrong bytes at {base}", self.partition);
                return Err(Failure::Answered(why));
            }
            if base != self.next {
                let (partition, next) = (self.partition, self.next);
                let why = format!("partition {partition} goes on at {base} in place of {next}");
                return Err(Failure::Answered(why));
            }
            self.next = base + expected.records;
            seen(Seen {
                partition: self.partition,
                base,
                records: expected.records,
                bytes: length as u64,
            });
            bytes = &bytes[length..];
        }
        Ok(())
    }
}
