//! The settings of a broker that clients ask for, under Kafka's names. Some can be
//! altered while brokers run (`overrides`). The others are for reading: some are
//! what every broker does, some stand in its own file, and the defaults of topics
//! are the table's.

use super::topic::{broker_name, doc, kind};
use super::{Entry, Kind, Source, Synonym};
use crate::ids::NodeId;
use crate::limits::{
    GROUP_HEARTBEAT_MS_MAX, GROUP_HEARTBEAT_MS_MIN, GROUP_OFFSET_METADATA_BYTES_MAX,
    GROUP_SESSION_MS_MAX, GROUP_SESSION_MS_MIN, PRODUCER_IDLE_MS,
};
use crate::ports::kafka::errors::Refusal;
use crate::ports::kafka::messages::{ErrorCode, Text};
use crate::ports::kafka::topics::INTERNAL_PARTITIONS;
use crate::state::Setting;
use crate::state::topics::overrides::{BROKER_TABLE, BrokerRow, GROUP_TABLE};
use crate::state::topics::table::{Row, TABLE};
use crate::state::topics::{Broker, INTERNAL_FACTOR, Listener, Security, TopicSetting, Topics};
use crate::streams::coordinators::groups::settings_of;

const MINUTE_MS: u64 = 60 * 1000;
const HOUR_MS: u64 = 60 * MINUTE_MS;

/// All that there are, by name.
pub(in super::super) fn broker_entries(
    node: NodeId,
    broker: &Broker,
    topics: &Topics,
    bytes_max: Option<u64>,
) -> Vec<Entry> {
    let mut entries = of_topics();
    entries.extend(alterable(topics));
    entries.extend(of_all(topics));
    entries.extend(of_groups(topics));
    entries.extend(of_one(node, broker));
    entries.extend(bytes_max.map(share));
    entries.sort_by(|one, other| one.name.cmp(&other.name));
    entries
}

/// Those that somebody has altered, for whoever asks what all brokers are given.
pub(in super::super) fn set_entries(topics: &Topics) -> Vec<Entry> {
    let all = alterable(topics);
    all.filter(|entry| entry.source == Source::Brokers)
        .collect()
}

/// Whether it can be altered by `alter`.
pub(super) fn is_alterable(name: &str) -> bool {
    BROKER_TABLE.iter().any(|row| row.name == name)
}

/// Whether it is shown of a broker, to be read only.
pub(super) fn is_fixed(topics: &Topics, name: &str) -> bool {
    let Some((node, broker)) = topics.brokers().iter().next() else {
        return false;
    };
    let entries = broker_entries(node, broker, topics, Some(0));
    entries
        .iter()
        .any(|entry| entry.is_read_only && entry.name == *name)
}

pub(in super::super) fn broker_named<'a>(
    topics: &'a Topics,
    name: &str,
) -> Result<(NodeId, &'a Broker), Refusal> {
    let node = name.parse().ok().map(NodeId);
    let broker = node.and_then(|node| Some((node, topics.brokers().get(node)?)));
    broker.ok_or_else(|| {
        let why = format_args!("there is no broker {name}");
        Refusal::new(ErrorCode::InvalidRequest, why)
    })
}

fn alterable(topics: &Topics) -> impl Iterator<Item = Entry> {
    BROKER_TABLE.iter().map(|row| {
        let default = default_of(row, topics);
        let mut entry = entry(row.name, kind(row.kind), Source::Default, Some(default), "");
        entry.is_read_only = false;
        entry.doc = match row.heeded {
            Some(_) => format!("{}; the same on all brokers", row.doc).into(),
            None => format!("(Without effect.) {}", row.doc).into(),
        };
        if let Some(set) = topics.of_brokers(row) {
            let name = entry.name.clone();
            let set = Text::from(&*set);
            let own = Synonym {
                name,
                value: Some(set.clone()),
                source: Source::Brokers,
            };
            entry.synonyms.insert(0, own);
            (entry.value, entry.source) = (Some(set), Source::Brokers);
        }
        entry
    })
}

/// As it is where there are no more brokers than there are.
fn default_of(row: &BrokerRow, topics: &Topics) -> Text {
    match row.heeded {
        Some(Setting::ReplicasDefault) => {
            let default: usize = row.default.parse().expect("the table's tests read it");
            default.min(topics.brokers().count()).to_string().into()
        }
        _ => Text::from_static(row.default),
    }
}

fn entry(
    name: &'static str,
    kind: Kind,
    source: Source,
    value: Option<Text>,
    doc: &'static str,
) -> Entry {
    let name = Text::from_static(name);
    Entry {
        synonyms: vec![Synonym {
            name: name.clone(),
            value: value.clone(),
            source,
        }],
        name,
        value,
        kind,
        source,
        is_read_only: true,
        doc: Text::from_static(doc),
    }
}

fn default(
    name: &'static str,
    kind: Kind,
    value: impl std::fmt::Display,
    doc: &'static str,
) -> Entry {
    let value = Text::from(value.to_string());
    entry(name, kind, Source::Default, Some(value), doc)
}

/// The defaults of topics.
fn of_topics() -> Vec<Entry> {
    let each = TABLE.iter().filter_map(|row| {
        let name = broker_name(row.setting)?;
        let value = Some(Text::from_static(row.default));
        let entry = entry(name, kind(row.kind), Source::Default, value, row.doc);
        Some(Entry {
            doc: doc(row),
            ..entry
        })
    });
    each.collect()
}

fn of_all(topics: &Topics) -> Vec<Entry> {
    let brokers = topics.brokers().count();
    let internal_factor = INTERNAL_FACTOR.min(brokers);
    let retention = Row::of(TopicSetting::RetentionMs).default;
    let retention: u64 = retention.parse().expect("the table's tests read it");
    vec![
        default(
            "delete.topic.enable",
            Kind::Boolean,
            true,
            "whether topics can be deleted",
        ),
        default(
            "log.retention.hours",
            Kind::Int,
            retention / HOUR_MS,
            "log.retention.ms in hours",
        ),
        default(
            "offsets.topic.num.partitions",
            Kind::Int,
            INTERNAL_PARTITIONS,
            "partitions of the topic that holds what groups have read",
        ),
        default(
            "offsets.topic.replication.factor",
            Kind::Int,
            internal_factor,
            "replicas of that topic, when it is made",
        ),
        default(
            "producer.id.expiration.ms",
            Kind::Int,
            PRODUCER_IDLE_MS,
            "how long a producer is remembered that writes nothing",
        ),
        default(
            "transaction.state.log.num.partitions",
            Kind::Int,
            INTERNAL_PARTITIONS,
            "partitions of the topic that holds how transactions stand",
        ),
        default(
            "transaction.state.log.replication.factor",
            Kind::Int,
            internal_factor,
            "replicas of that topic, when it is made",
        ),
    ]
}

fn of_groups(topics: &Topics) -> Vec<Entry> {
    let settings = settings_of(topics);
    let of_all = GROUP_TABLE.iter();
    let of_all = of_all.map(|row| default(row.of_brokers, Kind::Int, row.default, row.doc));
    let others = vec![
        default(
            "group.consumer.max.heartbeat.interval.ms",
            Kind::Int,
            GROUP_HEARTBEAT_MS_MAX,
            "the most that a group may be given as consumer.heartbeat.interval.ms",
        ),
        default(
            "group.consumer.max.session.timeout.ms",
            Kind::Int,
            GROUP_SESSION_MS_MAX,
            "the most that a group may be given as consumer.session.timeout.ms",
        ),
        default(
            "group.consumer.min.heartbeat.interval.ms",
            Kind::Int,
            GROUP_HEARTBEAT_MS_MIN,
            "the least that a group may be given as consumer.heartbeat.interval.ms",
        ),
        default(
            "group.consumer.min.session.timeout.ms",
            Kind::Int,
            GROUP_SESSION_MS_MIN,
            "the least that a group may be given as consumer.session.timeout.ms",
        ),
        default(
            "group.max.session.timeout.ms",
            Kind::Int,
            settings.session_ms_max,
            "the longest session timeout that a classic member may ask for",
        ),
        default(
            "group.max.size",
            Kind::Int,
            settings.members_max,
            "members of one group",
        ),
        default(
            "offset.metadata.max.bytes",
            Kind::Int,
            GROUP_OFFSET_METADATA_BYTES_MAX,
            "the words that a client may leave with an offset",
        ),
        default(
            "offsets.retention.check.interval.ms",
            Kind::Long,
            settings.sweep_every_ms,
            "how often offsets are looked through for those to be forgotten",
        ),
        default(
            "offsets.retention.minutes",
            Kind::Int,
            settings.offsets_retention_ms / MINUTE_MS,
            "how long offsets are kept that no member needs",
        ),
    ];
    of_all.chain(others).collect()
}

/// What its disk allows; no setting of Kafka's.
fn share(bytes_max: u64) -> Entry {
    entry(
        "eventlog.disk.bytes",
        Kind::Long,
        Source::File,
        Some(Text::from(bytes_max.to_string())),
        "what all partitions of the broker may have: eventlog.disk_percent of its disk; beyond it \
         the oldest segments of all topics are deleted before their time",
    )
}

/// What its own file says. Of one that is down nobody knows where it is reached.
fn of_one(node: NodeId, broker: &Broker) -> Vec<Entry> {
    let listeners = broker.up.as_ref().map(|up| &*up.listeners);
    let list = |one: &dyn Fn(&Listener) -> String| {
        let each = listeners?.iter().map(one);
        Some(Text::from(each.collect::<Vec<_>>().join(",")))
    };
    let addresses = list(&|listener| {
        let host = match listener.host.contains(':') {
            true => format!("[{}]", listener.host),
            false => listener.host.to_string(),
        };
        format!("{}://{host}:{}", listener.name, listener.port)
    });
    let protocols = list(&|listener| {
        let protocol = match listener.security {
            Security::Plaintext => "PLAINTEXT",
            Security::Ssl => "SSL",
            Security::SaslPlaintext => "SASL_PLAINTEXT",
            Security::SaslSsl => "SASL_SSL",
        };
        format!("{}:{protocol}", listener.name)
    });
    let own = |name, kind, value, doc| entry(name, kind, Source::File, value, doc);
    let number = Some(Text::from(node.to_string()));
    let rack = broker.rack.as_deref().map(Text::from);
    vec![
        own(
            "advertised.listeners",
            Kind::List,
            addresses.clone(),
            "where clients reach the broker, by the name of each listener",
        ),
        own(
            "broker.id",
            Kind::Int,
            number.clone(),
            "the broker's number, which is its node's",
        ),
        own("broker.rack", Kind::Text, rack, "where the broker stands"),
        own(
            "listener.security.protocol.map",
            Kind::Text,
            protocols,
            "how each listener is spoken to",
        ),
        own(
            "listeners",
            Kind::List,
            addresses,
            "where clients reach the broker, by the name of each listener",
        ),
        own(
            "node.id",
            Kind::Int,
            number,
            "the broker's number, which is its node's",
        ),
    ]
}
