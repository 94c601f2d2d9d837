//! What scenarios stand on: topics of their own, records sent and read.

use futures_executor::block_on;
use rdkafka::ClientContext;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, DeliveryResult, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::error::Error;
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub type Seen = Result<(), Box<dyn Error>>;

/// No scenario waits longer for what is to come.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Fails a scenario with what it saw.
#[macro_export]
macro_rules! holds {
    ($condition:expr, $($saw:tt)+) => {
        if !$condition {
            return Err(format!($($saw)+).into());
        }
    };
}

pub struct Stage {
    brokers: String,
    drawn: AtomicU64,
}

/// Where each record went, in the order of the acknowledgements.
#[derive(Clone, Default)]
pub struct Delivered(Arc<Mutex<Vec<Result<(i32, i64), KafkaError>>>>);

impl ClientContext for Delivered {}

impl ProducerContext for Delivered {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let told = match result {
            Ok(message) => Ok((message.partition(), message.offset())),
            Err((error, _)) => Err(error.clone()),
        };
        self.0.lock().unwrap().push(told);
    }
}

impl Delivered {
    pub fn take(&self) -> Vec<Result<(i32, i64), KafkaError>> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

pub type Sender = BaseProducer<Delivered>;

/// One record as a scenario compares it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Got {
    pub partition: i32,
    pub offset: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
}

impl From<&BorrowedMessage<'_>> for Got {
    fn from(message: &BorrowedMessage<'_>) -> Self {
        Self {
            partition: message.partition(),
            offset: message.offset(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
        }
    }
}

impl Stage {
    pub fn new(brokers: String) -> Self {
        let drawn = AtomicU64::new(0);
        Self { brokers, drawn }
    }

    /// One that nobody has used.
    pub fn name(&self, stem: &str) -> String {
        let drawn = self.drawn.fetch_add(1, Ordering::Relaxed);
        let began = std::time::UNIX_EPOCH
            .elapsed()
            .map_or(0, |at| at.as_micros());
        format!("{stem}-{}-{began}-{drawn}", process::id())
    }

    pub fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        config
    }

    pub fn sender(&self, settings: &[(&str, &str)]) -> Result<Sender, KafkaError> {
        let mut config = self.config();
        for (name, value) in settings {
            config.set(*name, *value);
        }
        config.create_with_context(Delivered::default())
    }

    /// Of a group, from the beginning, committing only what it is told to.
    pub fn reader(
        &self,
        group: &str,
        settings: &[(&str, &str)],
    ) -> Result<BaseConsumer, KafkaError> {
        let mut config = self.config();
        config
            .set("group.id", group)
            .set("auto.offset.reset", "earliest")
            .set("enable.auto.commit", "false")
            .set("session.timeout.ms", "6000")
            .set("heartbeat.interval.ms", "500");
        for (name, value) in settings {
            config.set(*name, *value);
        }
        config.create()
    }

    pub fn admin(&self) -> Result<AdminClient<DefaultClientContext>, KafkaError> {
        self.config().create()
    }

    pub fn topic(&self, stem: &str, partitions: i32) -> Result<String, Box<dyn Error>> {
        let name = self.name(stem);
        let new = NewTopic::new(&name, partitions, TopicReplication::Fixed(1));
        let made = block_on(self.admin()?.create_topics([&new], &AdminOptions::new()))?;
        for one in made {
            one.map_err(|(topic, code)| format!("{topic} is not made: {code}"))?;
        }
        Ok(name)
    }

    /// All that is there, from the first offset of each partition to its end.
    pub fn all(
        &self,
        topic: &str,
        partitions: i32,
        isolation: &str,
    ) -> Result<Vec<Got>, Box<dyn Error>> {
        let settings = [
            ("isolation.level", isolation),
            ("enable.partition.eof", "true"),
        ];
        let reader = self.reader("reads-all", &settings)?;
        let mut places = TopicPartitionList::new();
        for partition in 0..partitions {
            places.add_partition_offset(topic, partition, Offset::Beginning)?;
        }
        reader.assign(&places)?;
        let (mut got, mut ended) = (Vec::new(), 0);
        let until = Instant::now() + PATIENCE;
        while ended < partitions {
            if Instant::now() > until {
                return Err(format!("{ended} of {partitions} partitions read").into());
            }
            match reader.poll(Duration::from_millis(200)) {
                None => {}
                Some(Ok(message)) => got.push(Got::from(&message)),
                Some(Err(KafkaError::PartitionEOF(_))) => ended += 1,
                Some(Err(error)) => return Err(error.into()),
            }
        }
        got.sort();
        Ok(got)
    }
}

/// Sends values to one partition, and waits for all acknowledgements.
pub fn send(
    sender: &Sender,
    topic: &str,
    partition: i32,
    values: &[&str],
) -> Result<Vec<i64>, Box<dyn Error>> {
    for value in values {
        let record = BaseRecord::<(), str>::to(topic)
            .partition(partition)
            .payload(*value);
        sender.send(record).map_err(|(error, _)| error)?;
    }
    sender.flush(PATIENCE)?;
    let told: Result<Vec<_>, _> = sender.context().take().into_iter().collect();
    Ok(told?.into_iter().map(|(_, offset)| offset).collect())
}

/// Reads until as many are there.
pub fn read(reader: &BaseConsumer, count: usize) -> Result<Vec<Got>, Box<dyn Error>> {
    let (mut got, until) = (Vec::new(), Instant::now() + PATIENCE);
    while got.len() < count {
        if Instant::now() > until {
            return Err(format!("{} of {count} records came", got.len()).into());
        }
        if let Some(message) = reader.poll(Duration::from_millis(200)) {
            got.push(Got::from(&message?));
        }
    }
    Ok(got)
}

pub fn values(got: &[Got]) -> Vec<String> {
    let text = |one: &Got| String::from_utf8_lossy(one.value.as_deref().unwrap_or_default()).into();
    got.iter().map(text).collect()
}
