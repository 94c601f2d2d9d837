//! Batches out, answers in: one batch of a partition is under way at a time, so
//! what is sent again keeps its place and its number.

use super::super::format::Read;
use super::super::shape::{self, Shape, about};
use super::Acks;
use super::lane::{Batch, Lane};
use crate::cli::Failure;
use crate::cli::kafka::{At, Cluster, Pace, Trouble, passes};
use crate::ids::ProducerId;
use crate::limits::CLI_WAITING_BYTES;
use crate::ports::kafka::messages::init_producer_id::{InitProducerId, InitProducerIdRequest};
use crate::ports::kafka::messages::produce::{
    PartitionProduceData, PartitionProduceResponse, Produce, ProduceRequest, ProduceResponse,
    TopicProduceData,
};
use crate::ports::kafka::messages::{ErrorCode, Text};
use crate::streams::batch::codec::Codec;
use std::collections::BTreeMap;

/// A line as a record.
pub struct Entry {
    pub line: u64,
    pub record: Read,
    pub timestamp: i64,
}

impl Entry {
    pub fn new(line: u64, record: Read, timestamp: i64) -> Self {
        Self {
            line,
            record,
            timestamp,
        }
    }

    /// What it takes in a batch.
    pub fn bytes(&self) -> usize {
        let length = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
        let record = length(&self.record.key) + length(&self.record.value);
        record + self.record.headers.bytes() + RECORD_BYTES
    }

    /// What it takes while it waits.
    pub fn held_bytes(&self) -> usize {
        self.bytes() + size_of::<Self>()
    }
}

/// Lines that are given up, and why.
#[derive(Debug, PartialEq, Eq)]
pub struct Gone {
    pub lines: Vec<u64>,
    pub why: String,
}

#[derive(Default)]
pub struct Passed {
    pub records: u64,
    pub bytes: u64,
    /// Those that the topic does not take; others do not mind.
    pub gone: Vec<Gone>,
}

#[derive(Clone, Default)]
pub struct Tally {
    pub records: u64,
    pub partitions: BTreeMap<i32, Part>,
}

/// What of a partition has been acknowledged, or sent where nothing is.
#[derive(Clone, Copy)]
pub struct Part {
    pub records: u64,
    /// Offsets; less than none where a door does not tell.
    pub first: i64,
    pub last: i64,
}

/// What a record takes besides: lengths, a time and a number.
const RECORD_BYTES: usize = 16;

/// The last version that calls a topic by its name.
const BY_NAME: i16 = 12;

pub struct Producer {
    cluster: Cluster,
    shape: Shape,
    acks: Acks,
    codec: Codec,
    batch_bytes: usize,
    /// Who it is, where nothing may be written twice.
    claim: Option<(ProducerId, i16)>,
    lanes: BTreeMap<i32, Lane>,
    waiting_bytes: usize,
    tally: Tally,
    /// Since something was last answered as it should be, or sent at all.
    pace: Pace,
}

impl Producer {
    pub fn open(
        mut cluster: Cluster,
        shape: Shape,
        acks: Acks,
        codec: Codec,
        batch_bytes: usize,
    ) -> Result<Self, Failure> {
        let claim = match acks {
            Acks::All => Some(claim(&mut cluster).map_err(|why| about(&shape.name, why))?),
            Acks::Leader | Acks::None => None,
        };
        Ok(Self {
            pace: Pace::new(cluster.patience()),
            cluster,
            shape,
            acks,
            codec,
            batch_bytes,
            claim,
            lanes: BTreeMap::new(),
            waiting_bytes: 0,
            tally: Tally::default(),
        })
    }

    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    pub fn add(&mut self, partition: i32, entry: Entry) {
        self.waiting_bytes += entry.held_bytes();
        self.lanes.entry(partition).or_default().add(entry);
    }

    pub fn has_room(&self) -> bool {
        self.waiting_bytes < CLI_WAITING_BYTES
    }

    pub fn is_idle(&self) -> bool {
        self.lanes.values().all(Lane::is_idle)
    }

    /// Sends a batch of each partition that has one, and hears what came of
    /// them. Gives up all that is not acknowledged where there is no hope.
    pub fn round(&mut self, is_patient: bool) -> Result<Passed, Vec<Gone>> {
        let mut passed = Passed::default();
        if self.is_idle() {
            return Ok(passed);
        }
        if self.lanes.values().all(|lane| lane.flying().is_none()) {
            self.pace = Pace::new(self.cluster.patience());
        }
        let answered = self.exchange(&mut passed);
        let setback = match answered {
            Ok(()) => return Ok(passed),
            Err(setback) => setback,
        };
        let gives_up = match setback {
            Setback::Passing(_) => !is_patient || !self.pace.again() || !self.look_again(),
            Setback::Final(_) => true,
        };
        match gives_up {
            false => Ok(passed),
            true => {
                let mut gone = passed.gone;
                gone.push(self.give_up(&setback));
                Err(gone)
            }
        }
    }

    /// Where nothing is acknowledged, what was sent has been taken once the
    /// same connection answers something else.
    pub fn settle(&mut self) -> Result<(), Failure> {
        if self.acks != Acks::None || self.tally.records == 0 {
            return Ok(());
        }
        let numbers = self.shape.numbers();
        let found = super::super::offsets::ask(
            &mut self.cluster,
            &[(&self.shape, &numbers)],
            super::super::offsets::LATEST,
            false,
        );
        let sent = &self.tally.partitions;
        let lost = found
            .into_iter()
            .find_map(|((_, number), found)| found.err().filter(|_| sent.contains_key(&number)));
        match lost {
            None => Ok(()),
            Some(trouble) => Err(Failure::failed(format!(
                "{}: whether all that was sent has arrived is not known: {trouble}",
                self.shape.name
            ))),
        }
    }

    /// Whether the topic is there, and who leads its partitions now.
    fn look_again(&mut self) -> bool {
        match shape::one(&mut self.cluster, &self.shape.name) {
            Ok(shape) => {
                self.shape = shape;
                true
            }
            Err(trouble) => trouble.is_passing(),
        }
    }

    fn give_up(&mut self, setback: &Setback) -> Gone {
        let lanes = self.lanes.values_mut();
        let mut lines: Vec<u64> = lanes.flat_map(Lane::take_lines).collect();
        lines.sort_unstable();
        let (Setback::Passing(why) | Setback::Final(why)) = setback;
        Gone {
            lines,
            why: format!("not acknowledged: {why}"),
        }
    }

    fn exchange(&mut self, passed: &mut Passed) -> Result<(), Setback> {
        let mut by_leader: BTreeMap<i32, Vec<PartitionProduceData>> = BTreeMap::new();
        let mut worst = None;
        for (&number, lane) in &mut self.lanes {
            let freed = lane.fill(self.codec, self.claim, self.batch_bytes, &mut passed.gone);
            self.waiting_bytes = self.waiting_bytes.saturating_sub(freed);
            let Some(batch) = lane.flying() else {
                continue;
            };
            let leader = self.shape.partition(number).and_then(|one| one.leader);
            match leader {
                None => Setback::keep(
                    &mut worst,
                    Setback::Passing(Trouble::refused(ErrorCode::LeaderNotAvailable, None)),
                ),
                Some(leader) => by_leader
                    .entry(leader)
                    .or_default()
                    .push(PartitionProduceData {
                        index: number,
                        records: Some(batch.bytes.clone()),
                    }),
            }
        }
        let mut sent = Vec::new();
        for (leader, partitions) in by_leader {
            let numbers: Vec<i32> = partitions.iter().map(|one| one.index).collect();
            let request = self.request(partitions);
            match self.send(leader, &request) {
                Ok(()) => sent.push((leader, numbers)),
                Err(trouble) => self.lost(leader, trouble, &mut worst),
            }
        }
        for (leader, numbers) in sent {
            if self.acks == Acks::None {
                numbers.iter().for_each(|one| self.has_sent(*one, passed));
                continue;
            }
            let heard = self.cluster.connection(At::Broker(leader));
            match heard.and_then(|connection| connection.hear::<Produce>()) {
                Ok(answer) => self.heard(answer, &numbers, passed, &mut worst),
                Err(trouble) => self.lost(leader, trouble, &mut worst),
            }
        }
        worst.map_or(Ok(()), Err)
    }

    fn request(&self, partition_data: Vec<PartitionProduceData>) -> ProduceRequest {
        ProduceRequest {
            transactional_id: None,
            acks: match self.acks {
                Acks::All => -1,
                Acks::Leader => 1,
                Acks::None => 0,
            },
            timeout_ms: self.cluster.patience_ms(),
            topic_data: vec![TopicProduceData {
                name: Text::from(&*self.shape.name),
                partition_data,
                ..TopicProduceData::default()
            }],
        }
    }

    fn send(&mut self, leader: i32, request: &ProduceRequest) -> Result<(), Trouble> {
        let connection = self.cluster.connection(At::Broker(leader))?;
        match self.acks {
            Acks::None => connection.tell_at_most::<Produce>(request, BY_NAME),
            Acks::All | Acks::Leader => connection.send_at_most::<Produce>(request, BY_NAME),
        }
    }

    /// What was under way there may have been written or not: it is sent again
    /// where the door tells one time from another.
    fn lost(&mut self, leader: i32, trouble: Trouble, worst: &mut Option<Setback>) {
        self.cluster.forget(At::Broker(leader));
        let is_passing = trouble.is_passing() && self.claim.is_some();
        Setback::keep(worst, Setback::of(trouble, is_passing));
    }

    fn heard(
        &mut self,
        answer: ProduceResponse,
        numbers: &[i32],
        passed: &mut Passed,
        worst: &mut Option<Setback>,
    ) {
        let answers = answer.responses.into_iter();
        let answers = answers.flat_map(|topic| topic.partition_responses);
        let mut answers: BTreeMap<i32, PartitionProduceResponse> =
            answers.map(|one| (one.index, one)).collect();
        for &number in numbers {
            let Some(answer) = answers.remove(&number) else {
                let unsaid = Trouble::refused(ErrorCode::UnknownServerError, None);
                Setback::keep(worst, Setback::Final(unsaid));
                continue;
            };
            if let Err(setback) = self.answered(number, answer, passed) {
                Setback::keep(worst, setback);
            }
        }
    }

    fn answered(
        &mut self,
        number: i32,
        answer: PartitionProduceResponse,
        passed: &mut Passed,
    ) -> Result<(), Setback> {
        let lane = self.lanes.entry(number).or_default();
        let why = || Trouble::refused(answer.error_code, answer.error_message.as_ref());
        match answer.error_code {
            // One that was sent again, and had been written the first time.
            ErrorCode::None | ErrorCode::DuplicateSequenceNumber => {
                if let Some(batch) = lane.is_done() {
                    self.acknowledged(number, &batch, answer.base_offset, passed);
                }
                self.pace = Pace::new(self.cluster.patience());
                Ok(())
            }
            code if is_of_records(code) => {
                let freed = lane.split(&mut passed.gone, || why().to_string());
                self.waiting_bytes += freed;
                Ok(())
            }
            code => {
                let again = passes(code) || code == ErrorCode::UnknownTopicOrPartition;
                // Nobody tells a second copy from the first where it may be there.
                let may_be_there = matches!(
                    code,
                    ErrorCode::RequestTimedOut
                        | ErrorCode::NotEnoughReplicasAfterAppend
                        | ErrorCode::NetworkException
                );
                let is_passing = again && (self.claim.is_some() || !may_be_there);
                Err(Setback::of(why(), is_passing))
            }
        }
    }

    fn acknowledged(&mut self, number: i32, batch: &Batch, base: i64, passed: &mut Passed) {
        let records = batch.lines().len() as u64;
        passed.records += records;
        passed.bytes += batch.plain_bytes as u64;
        self.tally.records += records;
        let last = match base {
            ..0 => base,
            _ => base + records as i64 - 1,
        };
        let part = self.tally.partitions.entry(number).or_insert(Part {
            records: 0,
            first: base,
            last,
        });
        part.records += records;
        part.last = last;
    }

    fn has_sent(&mut self, number: i32, passed: &mut Passed) {
        if let Some(batch) = self.lanes.entry(number).or_default().is_done() {
            self.acknowledged(number, &batch, -1, passed);
        }
    }
}

/// Why a round did not go well.
enum Setback {
    /// The same may go well in a moment.
    Passing(Trouble),
    Final(Trouble),
}

impl Setback {
    fn of(trouble: Trouble, is_passing: bool) -> Self {
        match is_passing {
            true => Self::Passing(trouble),
            false => Self::Final(trouble),
        }
    }

    fn keep(worst: &mut Option<Self>, other: Self) {
        match (&worst, &other) {
            (None, _) | (Some(Self::Passing(_)), Self::Final(_)) => *worst = Some(other),
            _ => {}
        }
    }
}

/// What is wrong is in the records: others may be well.
fn is_of_records(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::MessageTooLarge
            | ErrorCode::RecordListTooLarge
            | ErrorCode::InvalidRecord
            | ErrorCode::InvalidTimestamp
    )
}

fn claim(cluster: &mut Cluster) -> Result<(ProducerId, i16), Trouble> {
    let request = InitProducerIdRequest {
        transactional_id: None,
        // Of no meaning without a transaction; brokers want one all the same.
        transaction_timeout_ms: i32::MAX,
        ..InitProducerIdRequest::default()
    };
    cluster.insist(|cluster| {
        let answer = cluster.ask::<InitProducerId>(At::Anyone, &request)?;
        let id = u64::try_from(answer.producer_id);
        match (answer.error_code, id) {
            (ErrorCode::None, Ok(id)) => Ok((ProducerId(id), answer.producer_epoch)),
            (ErrorCode::None, Err(_)) => Err(Trouble::refused(ErrorCode::UnknownServerError, None)),
            (code, _) => Err(Trouble::refused(code, None)),
        }
    })
}
