//! One connection that sends the same prepared batches over and over, some of
//! them ahead of their answers, as clients do.

use super::batches::Batch;
use super::echo_server::hello;
use super::failure::Failure;
use super::pipe::{Framing, Pipe};
use super::topic::{Topic, good};
use bytes::{Buf, Bytes};
use dolmen::ports::kafka::messages::produce::{
    PartitionProduceData, Produce, ProduceRequest, TopicProduceData,
};
use dolmen::ports::kafka::messages::{read_response, write_request};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

/// With names of topics, for brokers that do not know their ids.
pub const PRODUCE: i16 = 9;
const TIMEOUT_MS: i32 = 30_000;
/// Where the correlation id stands: behind length, key and version.
const CORRELATION: std::ops::Range<usize> = 8..12;
/// What Produce is answered with for one partition, more or less.
const ECHOED_BYTES: usize = 64;

/// A request as it is sent: what changes, and the rest.
struct Form {
    partition: usize,
    head: Vec<u8>,
    rest: Vec<Bytes>,
    records: u64,
    bytes: u64,
}

/// A batch that was acknowledged.
#[derive(Clone, Copy, Debug)]
pub struct Acked {
    pub partition: usize,
    pub base: u64,
    pub records: u64,
    pub bytes: u64,
    pub sent_at: Instant,
}

struct Outstanding {
    correlation: i32,
    form: usize,
    sent_at: Instant,
}

pub struct Producer {
    pub pipe: Pipe,
    version: i16,
    forms: Vec<Form>,
    next: usize,
    asked: i32,
    outstanding: VecDeque<Outstanding>,
    answer: Answer,
}

#[derive(Clone, Copy)]
enum Answer {
    Kafka,
    /// Bytes that say nothing.
    Echo,
}

impl Producer {
    /// For these partitions of a topic, in turn, all of one leader.
    pub fn open(
        topic: &Topic,
        partitions: &[usize],
        batches: &[Batch],
        acks: i16,
    ) -> Result<Self, Failure> {
        let leader = topic.leaders[partitions[0]];
        let version = topic.versions.of::<Produce>(PRODUCE)?;
        let form = |&place: &usize| {
            let batch = &batches[place % batches.len()];
            Form::of(topic, place, batch, acks, version)
        };
        Ok(Self {
            pipe: Pipe::open(leader, Framing::Kafka, &[])?,
            version,
            forms: partitions.iter().map(form).collect::<Result<_, _>>()?,
            next: 0,
            asked: 0,
            outstanding: VecDeque::new(),
            answer: Answer::Kafka,
        })
    }

    /// The same bytes to a server that only counts them: what the load itself
    /// costs, and what no broker could pass.
    pub fn to_the_echo(address: SocketAddr, batch: &Batch) -> Result<Self, Failure> {
        let nobody = Topic {
            name: "bench-00000".into(),
            leaders: Vec::new(),
            versions: Default::default(),
        };
        let form = Form::of(&nobody, 0, batch, -1, PRODUCE)?;
        let hello = hello(form.length(), ECHOED_BYTES);
        Ok(Self {
            pipe: Pipe::open(address, Framing::Fixed(ECHOED_BYTES), &hello)?,
            version: PRODUCE,
            forms: vec![form],
            next: 0,
            asked: 0,
            outstanding: VecDeque::new(),
            answer: Answer::Echo,
        })
    }

    /// Says one more batch, which goes with the next flush.
    pub fn send(&mut self, now: Instant) {
        let form = &mut self.forms[self.next];
        self.asked += 1;
        form.head[CORRELATION].copy_from_slice(&self.asked.to_be_bytes());
        self.pipe.say(Bytes::copy_from_slice(&form.head));
        for piece in &form.rest {
            self.pipe.say(piece.clone());
        }
        self.outstanding.push_back(Outstanding {
            correlation: self.asked,
            form: self.next,
            sent_at: now,
        });
        self.next = (self.next + 1) % self.forms.len();
    }

    pub fn outstanding(&self) -> usize {
        self.outstanding.len()
    }

    pub fn oldest(&self) -> Option<Instant> {
        self.outstanding.front().map(|one| one.sent_at)
    }

    /// Reads what has come.
    pub fn hear(&mut self, acked: &mut Vec<Acked>) -> Result<(), Failure> {
        let Self {
            pipe,
            version,
            forms,
            outstanding,
            answer,
            ..
        } = self;
        pipe.read(|frame| {
            let unasked = || Failure::Answered("an answer that nobody asked for".into());
            let one = outstanding.pop_front().ok_or_else(unasked)?;
            let form = &forms[one.form];
            let base = match answer {
                Answer::Echo => 0,
                Answer::Kafka => base(frame, *version, one.correlation, form.partition)?,
            };
            acked.push(Acked {
                partition: form.partition,
                base,
                records: form.records,
                bytes: form.bytes,
                sent_at: one.sent_at,
            });
            Ok(())
        })
    }
}

/// The offset that the only batch of a request was given.
fn base(frame: Bytes, version: i16, correlation: i32, place: usize) -> Result<u64, Failure> {
    let wrong = |why: String| Failure::Answered(format!("Produce {version}: {why}"));
    let (answered, response) =
        read_response::<Produce>(version, frame).map_err(|error| wrong(error.to_string()))?;
    if answered != correlation {
        return Err(wrong(format!("answer {answered} to {correlation}")));
    }
    let mut each = response
        .responses
        .iter()
        .flat_map(|topic| &topic.partition_responses);
    let one = each.next().filter(|one| one.index == place as i32);
    let one = one.ok_or_else(|| wrong(format!("nothing of partition {place}")))?;
    let told = || {
        one.error_message
            .clone()
            .map_or(String::new(), String::from)
    };
    good(one.error_code, || {
        format!("partition {place} takes nothing: {}", told())
    })?;
    u64::try_from(one.base_offset).map_err(|_| wrong(format!("offset {}", one.base_offset)))
}

impl Form {
    fn of(
        topic: &Topic,
        partition: usize,
        batch: &Batch,
        acks: i16,
        version: i16,
    ) -> Result<Self, Failure> {
        let request = ProduceRequest {
            transactional_id: None,
            acks,
            timeout_ms: TIMEOUT_MS,
            topic_data: vec![TopicProduceData {
                name: topic.name.clone(),
                partition_data: vec![PartitionProduceData {
                    index: partition as i32,
                    records: Some(batch.bytes.clone()),
                }],
                ..Default::default()
            }],
        };
        let mut parts = write_request::<Produce>(version, 0, Some("bench".into()), &request)
            .map_err(|error| Failure::Answered(error.to_string()))?;
        let head = parts.chunk().to_vec();
        parts.advance(head.len());
        let mut rest = Vec::new();
        while parts.has_remaining() {
            let length = parts.chunk().len();
            // The batch itself is shared by all that send it.
            rest.push(match parts.chunk().as_ptr() == batch.bytes.as_ptr() {
                true => batch.bytes.slice(..length),
                false => Bytes::copy_from_slice(parts.chunk()),
            });
            parts.advance(length);
        }
        Ok(Self {
            partition,
            head,
            rest,
            records: batch.records,
            bytes: batch.bytes.len() as u64,
        })
    }

    fn length(&self) -> usize {
        self.head.len() + self.rest.iter().map(Bytes::len).sum::<usize>()
    }
}
