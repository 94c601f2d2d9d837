//! The settings of topics, and what the same are called where they are a
//! broker's: the defaults of all topics.

use super::{Entry, Kind, Source, Synonym};
use crate::ports::kafka::messages::Text;
use crate::state::topics::table::{self, Row, Standing, TABLE};
use crate::state::topics::{TopicSetting, TopicSettings};

/// All that there are, by name.
pub(in super::super) fn topic_entries(settings: &TopicSettings) -> Vec<Entry> {
    TABLE.iter().map(|row| entry(settings, row)).collect()
}

fn entry(settings: &TopicSettings, row: &'static Row) -> Entry {
    let value = Some(Text::from(settings.get(row.setting)));
    let own = settings.is_set(row.setting).then(|| Synonym {
        name: Text::from_static(row.name),
        value: value.clone(),
        source: Source::Topic,
    });
    let source = match own {
        Some(_) => Source::Topic,
        None => Source::Default,
    };
    let of_brokers = broker_name(row.setting).map(|name| Synonym {
        name: Text::from_static(name),
        value: Some(Text::from_static(row.default)),
        source: Source::Default,
    });
    Entry {
        name: Text::from_static(row.name),
        value,
        kind: kind(row.kind),
        source,
        is_read_only: row.standing == Standing::Refused,
        synonyms: own.into_iter().chain(of_brokers).collect(),
        doc: doc(row),
    }
}

pub(super) fn kind(kind: table::Kind) -> Kind {
    match kind {
        table::Kind::Boolean => Kind::Boolean,
        table::Kind::Int(_) => Kind::Int,
        table::Kind::Long(_) => Kind::Long,
        table::Kind::Double => Kind::Double,
        table::Kind::Choice(_) => Kind::Text,
        table::Kind::Choices(_) | table::Kind::List => Kind::List,
    }
}

/// What it is for, and whether it is heeded.
pub(super) fn doc(row: &Row) -> Text {
    match row.standing {
        Standing::Honoured => Text::from_static(row.doc),
        Standing::Accepted => format!("(Without effect.) {}", row.doc).into(),
        Standing::Refused => format!("(Only its default may be set.) {}", row.doc).into(),
    }
}

/// As Kafka's brokers call it; None for what they have no default for.
pub(super) fn broker_name(setting: TopicSetting) -> Option<&'static str> {
    use TopicSetting as Setting;
    let name = match setting {
        Setting::CleanupPolicy => "log.cleanup.policy",
        Setting::CompressionGzipLevel => "compression.gzip.level",
        Setting::CompressionLz4Level => "compression.lz4.level",
        Setting::CompressionType => "compression.type",
        Setting::CompressionZstdLevel => "compression.zstd.level",
        Setting::DeleteRetentionMs => "log.cleaner.delete.retention.ms",
        Setting::FileDeleteDelayMs => "log.segment.delete.delay.ms",
        Setting::FlushMessages => "log.flush.interval.messages",
        Setting::FlushMs => "log.flush.interval.ms",
        Setting::IndexIntervalBytes => "log.index.interval.bytes",
        Setting::LocalRetentionBytes => "log.local.retention.bytes",
        Setting::LocalRetentionMs => "log.local.retention.ms",
        Setting::MaxCompactionLagMs => "log.cleaner.max.compaction.lag.ms",
        Setting::MaxMessageBytes => "message.max.bytes",
        Setting::MessageTimestampAfterMaxMs => "log.message.timestamp.after.max.ms",
        Setting::MessageTimestampBeforeMaxMs => "log.message.timestamp.before.max.ms",
        Setting::MessageTimestampType => "log.message.timestamp.type",
        Setting::MinCleanableDirtyRatio => "log.cleaner.min.cleanable.ratio",
        Setting::MinCompactionLagMs => "log.cleaner.min.compaction.lag.ms",
        Setting::MinInsyncReplicas => "min.insync.replicas",
        Setting::Preallocate => "log.preallocate",
        Setting::RetentionBytes => "log.retention.bytes",
        Setting::RetentionMs => "log.retention.ms",
        Setting::SegmentBytes => "log.segment.bytes",
        Setting::SegmentIndexBytes => "log.index.size.max.bytes",
        Setting::SegmentJitterMs => "log.roll.jitter.ms",
        Setting::SegmentMs => "log.roll.ms",
        Setting::UncleanLeaderElectionEnable => "unclean.leader.election.enable",
        Setting::Durability
        | Setting::FollowerThrottledReplicas
        | Setting::LeaderThrottledReplicas
        | Setting::RemoteLogCopyDisable
        | Setting::RemoteLogDeleteOnDisable
        | Setting::RemoteStorageEnable => return None,
    };
    Some(name)
}
