//! Every setting of a topic: Kafka 4.1's, and `durability`, which is ours. What
//! it may be, what it is where nobody says, and whether it is heeded here.

use Kind::{Boolean, Choice, Choices, Double, Int, List, Long};
use Standing::{Accepted, Honoured, Refused};

/// In the order of `TABLE`, which is that of the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TopicSetting {
    CleanupPolicy,
    CompressionGzipLevel,
    CompressionLz4Level,
    CompressionType,
    CompressionZstdLevel,
    DeleteRetentionMs,
    Durability,
    FileDeleteDelayMs,
    FlushMessages,
    FlushMs,
    FollowerThrottledReplicas,
    IndexIntervalBytes,
    LeaderThrottledReplicas,
    LocalRetentionBytes,
    LocalRetentionMs,
    MaxCompactionLagMs,
    MaxMessageBytes,
    MessageTimestampAfterMaxMs,
    MessageTimestampBeforeMaxMs,
    MessageTimestampType,
    MinCleanableDirtyRatio,
    MinCompactionLagMs,
    MinInsyncReplicas,
    Preallocate,
    RemoteLogCopyDisable,
    RemoteLogDeleteOnDisable,
    RemoteStorageEnable,
    RetentionBytes,
    RetentionMs,
    SegmentBytes,
    SegmentIndexBytes,
    SegmentJitterMs,
    SegmentMs,
    UncleanLeaderElectionEnable,
}

/// Whole numbers lie in one of their ranges, ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Boolean,
    Int(&'static [(i64, i64)]),
    Long(&'static [(i64, i64)]),
    /// From 0 to 1.
    Double,
    Choice(&'static [&'static str]),
    /// Some of them, separated by commas; at least one.
    Choices(&'static [&'static str]),
    /// Texts separated by commas, or none.
    List,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Honoured,
    /// May be set, for tools that do; there is nothing here that it could mean.
    Accepted,
    /// It asks for what is not there: only its default may be set.
    Refused,
}

#[derive(Debug)]
pub struct Row {
    pub setting: TopicSetting,
    pub name: &'static str,
    pub kind: Kind,
    pub default: &'static str,
    pub standing: Standing,
    pub doc: &'static str,
}

pub const COUNT: usize = 34;

const INT_MAX: i64 = i32::MAX as i64;
const LONG_MAX: i64 = i64::MAX;
/// No bound is said as this number, the largest of 64 bits.
const NO_BOUND: &str = "9223372036854775807";

const fn row(
    setting: TopicSetting,
    name: &'static str,
    kind: Kind,
    default: &'static str,
    standing: Standing,
    doc: &'static str,
) -> Row {
    Row {
        setting,
        name,
        kind,
        default,
        standing,
        doc,
    }
}

#[rustfmt::skip]
pub const TABLE: [Row; COUNT] = [
    row(TopicSetting::CleanupPolicy, "cleanup.policy", Choices(&["delete", "compact"]), "delete", Honoured,
        "what becomes of old records: whole segments are deleted, or all but the last of each key are, or both"),
    row(TopicSetting::CompressionGzipLevel, "compression.gzip.level", Int(&[(-1, -1), (1, 9)]), "-1", Honoured,
        "how hard gzip tries where batches are compressed anew with it; -1 is its own default"),
    row(TopicSetting::CompressionLz4Level, "compression.lz4.level", Int(&[(1, 17)]), "9", Accepted,
        "how hard lz4 tries: it has one level here"),
    row(TopicSetting::CompressionType, "compression.type",
        Choice(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]), "producer", Honoured,
        "the codec in which batches are kept; producer keeps them as they came"),
    row(TopicSetting::CompressionZstdLevel, "compression.zstd.level", Int(&[(-131_072, 22)]), "3", Honoured,
        "how hard zstd tries where batches are compressed anew with it"),
    row(TopicSetting::DeleteRetentionMs, "delete.retention.ms", Long(&[(0, LONG_MAX)]), "86400000", Honoured,
        "how long a compacted topic keeps the word that a key is deleted"),
    row(TopicSetting::Durability, "durability", Choice(&["synced", "replicated"]), "synced", Honoured,
        "what an acknowledgement means: synced to disk by a majority, or in the memory of every in-sync replica"),
    row(TopicSetting::FileDeleteDelayMs, "file.delete.delay.ms", Long(&[(0, LONG_MAX)]), "60000", Accepted,
        "how long a deleted segment's file stays: it goes when its last reader has let go of it"),
    row(TopicSetting::FlushMessages, "flush.messages", Long(&[(1, LONG_MAX)]), NO_BOUND, Accepted,
        "messages after which to sync: durability says when a sync is due"),
    row(TopicSetting::FlushMs, "flush.ms", Long(&[(0, LONG_MAX)]), NO_BOUND, Accepted,
        "time after which to sync: durability says when a sync is due"),
    row(TopicSetting::FollowerThrottledReplicas, "follower.replication.throttled.replicas", List, "", Accepted,
        "replicas that copy at a reduced rate: copying between nodes is paced as a whole"),
    row(TopicSetting::IndexIntervalBytes, "index.interval.bytes", Int(&[(0, INT_MAX)]), "4096", Accepted,
        "bytes between two entries of the offset index: it is built as finely as it is of use"),
    row(TopicSetting::LeaderThrottledReplicas, "leader.replication.throttled.replicas", List, "", Accepted,
        "replicas that are copied from at a reduced rate: copying between nodes is paced as a whole"),
    row(TopicSetting::LocalRetentionBytes, "local.retention.bytes", Long(&[(-2, LONG_MAX)]), "-2", Accepted,
        "bytes kept on the node beside remote storage, which is not there"),
    row(TopicSetting::LocalRetentionMs, "local.retention.ms", Long(&[(-2, LONG_MAX)]), "-2", Accepted,
        "time kept on the node beside remote storage, which is not there"),
    row(TopicSetting::MaxCompactionLagMs, "max.compaction.lag.ms", Long(&[(1, LONG_MAX)]), NO_BOUND, Honoured,
        "the longest that a record of a compacted topic is left uncompacted"),
    row(TopicSetting::MaxMessageBytes, "max.message.bytes", Int(&[(0, INT_MAX)]), "1048588", Honoured,
        "the largest batch that is taken, as it is compressed: 1 MiB and its frame"),
    row(TopicSetting::MessageTimestampAfterMaxMs, "message.timestamp.after.max.ms", Long(&[(0, LONG_MAX)]),
        "3600000", Honoured,
        "how far a record's own time may be ahead of the broker's"),
    row(TopicSetting::MessageTimestampBeforeMaxMs, "message.timestamp.before.max.ms", Long(&[(0, LONG_MAX)]),
        NO_BOUND, Honoured,
        "how far a record's own time may be behind the broker's"),
    row(TopicSetting::MessageTimestampType, "message.timestamp.type",
        Choice(&["CreateTime", "LogAppendTime"]), "CreateTime", Honoured,
        "whose time a record bears: its producer's, or that of the append"),
    row(TopicSetting::MinCleanableDirtyRatio, "min.cleanable.dirty.ratio", Double, "0.5", Honoured,
        "the part of a compacted log that must be uncompacted before it is compacted again"),
    row(TopicSetting::MinCompactionLagMs, "min.compaction.lag.ms", Long(&[(0, LONG_MAX)]), "0", Honoured,
        "the shortest that a record of a compacted topic is left uncompacted"),
    row(TopicSetting::MinInsyncReplicas, "min.insync.replicas", Int(&[(1, INT_MAX)]), "1", Honoured,
        "in-sync replicas without which acks=all is refused; synced topics need a majority whatever it says"),
    row(TopicSetting::Preallocate, "preallocate", Boolean, "false", Accepted,
        "whether a segment's file is made whole at once: files grow in steps"),
    row(TopicSetting::RemoteLogCopyDisable, "remote.log.copy.disable", Boolean, "false", Refused,
        "whether remote storage takes no more: remote storage is not there"),
    row(TopicSetting::RemoteLogDeleteOnDisable, "remote.log.delete.on.disable", Boolean, "false", Refused,
        "whether what is in remote storage goes with it: remote storage is not there"),
    row(TopicSetting::RemoteStorageEnable, "remote.storage.enable", Boolean, "false", Refused,
        "whether old segments move to remote storage: remote storage is not there"),
    row(TopicSetting::RetentionBytes, "retention.bytes", Long(&[(-1, LONG_MAX)]), "-1", Honoured,
        "bytes of a partition beyond which its oldest segments are deleted; -1 sets no bound"),
    row(TopicSetting::RetentionMs, "retention.ms", Long(&[(-1, LONG_MAX)]), "604800000", Honoured,
        "age after which segments are deleted: 7 days; -1 sets no bound"),
    row(TopicSetting::SegmentBytes, "segment.bytes", Int(&[(1 << 12, INT_MAX)]), "1073741824", Honoured,
        "the most that one segment holds; where a topic does not say, the hardware profile sets less"),
    row(TopicSetting::SegmentIndexBytes, "segment.index.bytes", Int(&[(4, INT_MAX)]), "10485760", Accepted,
        "the most that a segment's index takes: it is as large as its segment makes it"),
    row(TopicSetting::SegmentJitterMs, "segment.jitter.ms", Long(&[(0, LONG_MAX)]), "0", Honoured,
        "the most that is taken from segment.ms, other for each segment, so that they do not all end together"),
    row(TopicSetting::SegmentMs, "segment.ms", Long(&[(1, LONG_MAX)]), "604800000", Honoured,
        "age after which a segment is sealed though it is not full, so that it may be deleted or compacted"),
    row(TopicSetting::UncleanLeaderElectionEnable, "unclean.leader.election.enable", Boolean, "false", Honoured,
        "whether a replica that may lack acknowledged records leads where no other is left"),
];

impl Row {
    pub fn of(setting: TopicSetting) -> &'static Self {
        &TABLE[setting as usize]
    }

    pub fn named(name: &str) -> Option<&'static Self> {
        let at = TABLE.binary_search_by(|row| row.name.cmp(name));
        at.ok().map(|at| &TABLE[at])
    }

    pub fn is_list(&self) -> bool {
        matches!(self.kind, Choices(_) | List)
    }
}
