//! `Produce`: batches into partitions.
//!
//! Requests of one connection run side by side, and their batches must not
//! change places. So everything up to the append is done before the first
//! await; a transactional producer takes turns besides (`turns`), for its
//! batches may have to wait for the transaction's coordinator first.

mod keep;
mod turns;

pub use turns::Turns;

use super::led::{NO_EPOCH, NotLed, told};
use super::{Call, Handle};
use crate::ids::PartitionId;
use crate::limits::{BEGIN_VERIFIED_MAX, KAFKA_PACKED_BYTES_AT_ONCE};
use crate::ports::kafka::access::{Operation, Resource};
use crate::ports::kafka::errors::appends::unverified;
use crate::ports::kafka::errors::in_words;
use crate::ports::kafka::errors::transactions::Vocabulary;
use crate::ports::kafka::messages::ErrorCode;
use crate::ports::kafka::messages::produce::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, Produce,
    ProduceRequest, ProduceResponse, TopicProduceData, TopicProduceResponse,
};
use crate::ports::kafka::quotas::throttle_time_ms;
use crate::ports::kafka::threads;
use crate::state::topics::names::is_internal;
use crate::state::topics::{Topic, Topics};
use crate::streams::Key;
use crate::streams::batch::codec::Unpacker;
use crate::streams::batch::header::{Attributes, Claim, Header};
use crate::streams::desk::{Append, Appended, NotAppended, NotHere};
use crate::streams::partition::{self, Acks};
use crate::streams::producers::Moment;
use bytes::Bytes;
use keep::{Keep, NotTaken, Taken};
use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use turns::Turn;

/// The first version in which a partition joins the transaction by being
/// written to, and a producer's epoch is raised with each (KIP-890).
const TRANSACTIONS_V2_FROM: i16 = 12;
/// The first version that knows TRANSACTION_ABORTABLE.
const ABORTABLE_FROM: i16 = 11;
/// The first version in which a topic is named by its id.
const IDS_FROM: i16 = 13;

impl Handle for Produce {
    /// Whoever asks for no acknowledgement hears of a failure by the end of the
    /// connection, which makes it ask anew who leads.
    fn is_mute(request: &ProduceRequest) -> bool {
        request.acks == 0
    }

    async fn run(call: Call, request: ProduceRequest) -> Option<ProduceResponse> {
        let is_mute = Self::is_mute(&request);
        let throttled = call.door.quotas.produced(&call, bytes_of(&request));
        let mut sending = Sending::begin(call, request);
        if let Some(mut turn) = sending.turn.take() {
            match turn.come().await {
                Ok(()) => sending.append_in(&mut turn).await,
                Err(_) => sending.send_away(),
            }
        } else {
            let given = sending.append_all();
            sending.heard(given).await;
        }
        let mut response = sending.response;
        response.throttle_time_ms = throttle_time_ms(throttled);
        let is_good = |topic: &TopicProduceResponse| {
            let mut partitions = topic.partition_responses.iter();
            partitions.all(|one| one.error_code == ErrorCode::None)
        };
        match is_mute && response.responses.iter().all(is_good) {
            true => None,
            false => Some(response),
        }
    }
}

/// One request on its way.
struct Sending {
    call: Call,
    version: i16,
    acks: Acks,
    timeout: Duration,
    transactional_id: Option<Box<str>>,
    turn: Option<Turn>,
    offers: Vec<Offer>,
    /// Of the batches that take their time: those that are packed, or are to be.
    packed_bytes: usize,
    response: ProduceResponse,
}

/// A batch that may be appended, and where its answer goes.
struct Offer {
    topic: usize,
    partition: usize,
    name: Arc<str>,
    key: Key,
    keep: Keep,
    /// Once more if it has to be sent again: it is a slice of the request.
    records: Bytes,
    taken: Option<Taken>,
}

type Outcome = Result<Appended, NotAppended>;
type Given = oneshot::Receiver<Outcome>;

thread_local! {
    static UNPACKER: RefCell<Unpacker> = RefCell::default();
}

impl Sending {
    /// Checks everything.
    fn begin(call: Call, request: ProduceRequest) -> Self {
        let mut sending = Self {
            version: call.version,
            acks: match request.acks {
                -1 => Acks::All,
                _ => Acks::Leader,
            },
            timeout: Duration::from_millis(request.timeout_ms.max(0) as u64),
            transactional_id: request.transactional_id.as_deref().map(Into::into),
            turn: None,
            offers: Vec::new(),
            packed_bytes: 0,
            response: ProduceResponse::default(),
            call,
        };
        let writer = transactional(&request);
        let refusal = sending.refusal(request.acks, writer.is_some());
        let topics = sending.call.door.site.topics();
        for topic in request.topic_data {
            sending.begin_topic(&topics, topic, refusal);
        }
        sending.turn = writer
            .filter(|_| !sending.offers.is_empty())
            .map(|claim| sending.call.door.turns.enter(claim.id));
        sending
    }

    /// Why nothing of the request is taken.
    fn refusal(&self, acks: i16, is_transactional: bool) -> Option<ErrorCode> {
        let may_write = |id: &str| {
            let resource = Resource::TransactionalId(id);
            self.call.may(Operation::Write, resource)
        };
        if is_transactional && !self.transactional_id.as_deref().is_some_and(may_write) {
            return Some(ErrorCode::TransactionalIdAuthorizationFailed);
        }
        match acks {
            -1..=1 => None,
            _ => Some(ErrorCode::InvalidRequiredAcks),
        }
    }

    fn begin_topic(&mut self, topics: &Topics, data: TopicProduceData, refusal: Option<ErrorCode>) {
        let found = match refusal {
            Some(code) => Err(code),
            None => self.topic(topics, &data),
        };
        let now = self.call.door.clock.now();
        let keep = found.map(|(name, topic)| (name, topic, Keep::of(&topic.settings, now)));
        let at = self.response.responses.len();
        self.response.responses.push(TopicProduceResponse {
            name: data.name,
            topic_id: data.topic_id,
            partition_responses: Vec::with_capacity(data.partition_data.len()),
        });
        for (partition, one) in data.partition_data.into_iter().enumerate() {
            let mut answer = unanswered(one.index);
            match &keep {
                Err(code) => answer.error_code = *code,
                Ok((name, topic, keep)) => {
                    let records = one.records.unwrap_or_default();
                    match self.offer(topic, one.index, keep, &records) {
                        Ok((key, taken)) => self.offers.push(Offer {
                            topic: at,
                            partition,
                            name: (*name).clone(),
                            key,
                            keep: keep.clone(),
                            records,
                            taken: Some(taken),
                        }),
                        Err(Unoffered::NotLed(why)) => {
                            answer.error_code = why.code;
                            self.name_leader(topics, &mut answer, why);
                        }
                        Err(Unoffered::NotTaken(why)) => refuse(&mut answer, &why),
                    }
                }
            }
            self.response.responses[at].partition_responses.push(answer);
        }
    }

    fn topic<'t>(
        &self,
        topics: &'t Topics,
        data: &TopicProduceData,
    ) -> Result<(&'t Arc<str>, &'t Topic), ErrorCode> {
        let found = match self.version >= IDS_FROM {
            true => topics.by_id(data.topic_id.into()),
            false => topics.named(&data.name),
        };
        let name = found.map_or(&*data.name, |(name, _)| &**name);
        if self.version < IDS_FROM || found.is_some() {
            if !self.call.may(Operation::Write, Resource::Topic(name)) {
                return Err(ErrorCode::TopicAuthorizationFailed);
            }
            if is_internal(name) {
                return Err(ErrorCode::InvalidTopicException);
            }
        }
        found.ok_or(match self.version >= IDS_FROM {
            true => ErrorCode::UnknownTopicId,
            false => ErrorCode::UnknownTopicOrPartition,
        })
    }

    fn offer(
        &mut self,
        topic: &Topic,
        index: i32,
        keep: &Keep,
        records: &[u8],
    ) -> Result<(Key, Taken), Unoffered> {
        let key = match self.call.led(topic, index, NO_EPOCH) {
            Ok(view) => view.key,
            Err(why) => {
                self.note_turned_away(topic, index, records);
                return Err(Unoffered::NotLed(why));
            }
        };
        if keep.packs(records) {
            self.packed_bytes += records.len();
        }
        let taken = match self.packed_bytes > KAFKA_PACKED_BYTES_AT_ONCE {
            true => threads::aside(|| take(keep, self.version, records)),
            false => take(keep, self.version, records),
        };
        Ok((key, taken.map_err(Unoffered::NotTaken)?))
    }

    /// The client comes back when this node leads the partition, and may have heard
    /// of that sooner: then what it has sent behind this comes first.
    fn note_turned_away(&self, topic: &Topic, index: i32, records: &[u8]) {
        let partition = u32::try_from(index).map(PartitionId).ok();
        let partition = partition.filter(|&partition| topic.partition(partition).is_some());
        if let Some(partition) = partition {
            let topic = topic.id;
            let claim = Header::of(records).and_then(|header| header.claim());
            let streams = &self.call.door.streams;
            streams.note_turned_away(Key { topic, partition }, claim);
        }
    }

    /// Gives everything to the partitions, in this very poll.
    fn append_all(&mut self) -> Vec<Given> {
        let mut offers = std::mem::take(&mut self.offers);
        let given = offers.iter_mut().map(|offer| self.append(offer, None));
        let given = given.collect();
        self.offers = offers;
        given
    }

    fn append(&self, offer: &mut Offer, verified: Option<Moment>) -> Given {
        let (put, given) = oneshot::channel();
        let again = || take(&offer.keep, self.version, &offer.records).ok();
        // What was taken once is taken again.
        if let Some(taken) = offer.taken.take().or_else(again) {
            let raises_epoch =
                self.version >= TRANSACTIONS_V2_FROM && taken.offered.is_transactional;
            self.call.door.streams.append(Append {
                key: offer.key,
                bytes: taken.bytes,
                offered: vec![taken.offered],
                acks: self.acks,
                timeout: self.timeout,
                led_since: None,
                raises_epoch,
                verified,
                append_time_ms: offer.keep.append_time_ms(),
                answer: Box::new(move |outcome| drop(put.send(outcome))),
            });
        }
        given
    }

    /// Waits for all, and notes what each came to. False where one failed.
    async fn heard(&mut self, given: Vec<Given>) -> bool {
        let mut is_good = true;
        for (offer, given) in std::mem::take(&mut self.offers).into_iter().zip(given) {
            let outcome = given.await.unwrap_or(Err(STOPPING));
            is_good &= outcome.is_ok();
            self.note(&offer, outcome);
        }
        is_good
    }

    /// The same for a transactional producer, whose turn it is.
    async fn append_in(&mut self, turn: &mut Turn) {
        let mut given = self.append_all();
        let mut is_good = true;
        for _ in 0..BEGIN_VERIFIED_MAX {
            given = self.begin_again(given, &mut is_good).await;
        }
        is_good &= self.heard(given).await;
        if !is_good {
            turn.fail();
        }
    }

    /// Has those verified that begin a transaction, and offers them once more.
    async fn begin_again(&mut self, given: Vec<Given>, is_good: &mut bool) -> Vec<Given> {
        let (mut begun, mut again) = (Vec::new(), Vec::new());
        for (mut offer, given) in std::mem::take(&mut self.offers).into_iter().zip(given) {
            let outcome = given.await.unwrap_or(Err(STOPPING));
            let Err(NotAppended::BeginsTransaction(now)) = outcome else {
                *is_good &= outcome.is_ok();
                self.note(&offer, outcome);
                continue;
            };
            match self.verify(&offer).await {
                Ok(()) => {
                    again.push(self.append(&mut offer, Some(now)));
                    begun.push(offer);
                }
                Err(code) => {
                    *is_good = false;
                    self.answer(&offer).error_code = code;
                }
            }
        }
        self.offers = begun;
        again
    }

    /// Has the transaction's coordinator say that the partition is in it, or take
    /// it in.
    async fn verify(&self, offer: &Offer) -> Result<(), ErrorCode> {
        let is_v2 = self.version >= TRANSACTIONS_V2_FROM;
        let claim = Header::of(&offer.records).and_then(|header| header.claim());
        let (Some(id), Some(claim)) = (&self.transactional_id, claim) else {
            return Err(ErrorCode::InvalidTxnState);
        };
        let (producer, partition) = ((claim.id.0 as i64, claim.epoch), offer.key.partition);
        let place = (&*offer.name, partition);
        let transactions = &self.call.door.transactions;
        let verified = transactions.verify(id, producer, place, is_v2).await;
        // PRODUCER_FENCED is of the coordinator's own APIs.
        let knows = Vocabulary::since(self.version, i16::MAX, ABORTABLE_FROM);
        verified.map_err(|why| unverified(knows.code(&why), is_v2))
    }

    /// Nothing of it was appended, and what it follows on is missing.
    fn send_away(&mut self) {
        for offer in std::mem::take(&mut self.offers) {
            let answer = self.answer(&offer);
            answer.error_code = ErrorCode::NotEnoughReplicas;
            let why = "a batch before these was not appended: all of them are to be sent again";
            answer.error_message = Some(why.into());
        }
    }

    fn answer(&mut self, offer: &Offer) -> &mut PartitionProduceResponse {
        let topic = &mut self.response.responses[offer.topic];
        &mut topic.partition_responses[offer.partition]
    }

    fn note(&mut self, offer: &Offer, outcome: Outcome) {
        match outcome {
            Ok(appended) => {
                let answer = self.answer(offer);
                answer.base_offset = appended.base.0 as i64;
                answer.log_start_offset = appended.first.0 as i64;
                answer.log_append_time_ms = appended.append_time_ms.unwrap_or(-1);
            }
            Err(why) => {
                let answer = self.answer(offer);
                answer.error_code = (&why).into();
                answer.error_message = Some(in_words(&why));
                if is_elsewhere(&why) {
                    self.name_new_leader(offer);
                }
            }
        }
    }

    /// It led when the request came, and does not any more.
    fn name_new_leader(&mut self, offer: &Offer) {
        let topics = self.call.door.site.topics();
        let (own, key) = (self.call.door.site.node, offer.key);
        let topic = topics.by_id(key.topic).map(|(_, topic)| topic);
        let partition = topic.and_then(|topic| topic.partition(key.partition));
        let leader = partition.and_then(|partition| {
            let leader = partition.leader.filter(|&leader| leader != own)?;
            Some((leader, partition.leader_epoch))
        });
        let code = ErrorCode::NotLeaderOrFollower;
        let mut answer = std::mem::take(self.answer(offer));
        self.name_leader(&topics, &mut answer, NotLed { code, leader });
        *self.answer(offer) = answer;
    }

    fn name_leader(&mut self, topics: &Topics, answer: &mut PartitionProduceResponse, why: NotLed) {
        let Some((leader, leader_epoch)) = why.leader else {
            return;
        };
        let leader_id = told(leader);
        answer.current_leader = LeaderIdAndEpoch {
            leader_id,
            leader_epoch,
        };
        let endpoints = &mut self.response.node_endpoints;
        if endpoints.iter().any(|one| one.node_id == leader_id) {
            return;
        }
        endpoints.extend(self.call.endpoint(topics, leader).map(|one| NodeEndpoint {
            node_id: one.node,
            host: one.host,
            port: one.port,
            rack: one.rack,
        }));
    }
}

/// The node stops: another leads soon.
const STOPPING: NotAppended = NotAppended::NotHere(NotHere::NotLeader);

enum Unoffered {
    NotLed(NotLed),
    NotTaken(NotTaken),
}

fn is_elsewhere(why: &NotAppended) -> bool {
    use NotAppended::{NotHere, Partition};
    matches!(why, NotHere(_) | Partition(partition::Refused::NotLeader))
}

fn take(keep: &Keep, version: i16, records: &[u8]) -> Result<Taken, NotTaken> {
    UNPACKER.with_borrow_mut(|unpacker| keep.take(version, records, unpacker))
}

fn bytes_of(request: &ProduceRequest) -> usize {
    let partitions = request
        .topic_data
        .iter()
        .flat_map(|topic| &topic.partition_data);
    let records = partitions.filter_map(|one| one.records.as_ref());
    records.map(|records| records.len()).sum()
}

/// Whose batches are part of a transaction. All of a request are one producer's.
fn transactional(request: &ProduceRequest) -> Option<Claim> {
    let topics = request.topic_data.iter();
    let mut all = topics.flat_map(|topic| &topic.partition_data);
    all.find_map(|one| {
        let header = Header::of(one.records.as_ref()?)?;
        let is_transactional = header.attributes().has(Attributes::TRANSACTIONAL);
        header.claim().filter(|_| is_transactional)
    })
}

fn unanswered(index: i32) -> PartitionProduceResponse {
    PartitionProduceResponse {
        index,
        base_offset: -1,
        ..PartitionProduceResponse::default()
    }
}

fn refuse(answer: &mut PartitionProduceResponse, why: &NotTaken) {
    answer.error_code = why.code();
    answer.error_message = Some(in_words(why));
    let each = why.records().iter().map(|&at| BatchIndexAndErrorMessage {
        batch_index: at as i32,
        batch_index_error_message: answer.error_message.clone(),
    });
    answer.record_errors.extend(each);
}

#[cfg(test)]
mod tests;
