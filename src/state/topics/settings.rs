//! The settings that a topic has of its own, and what is in force.

use super::command::SettingsChange;
use super::table::{Kind, Row, Standing, TopicSetting};
use crate::limits::{TOPIC_ALTERATIONS_MAX, TOPIC_SETTING_BYTES_MAX};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What is set; all else is as the table says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicSettings {
    set: BTreeMap<TopicSetting, Box<str>>,
}

/// What to do with one setting, as in KIP-339.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alteration {
    Set(Box<str>),
    /// As if it had never been set.
    Delete,
    /// To a list, what it does not have yet.
    Append(Box<str>),
    /// From a list.
    Subtract(Box<str>),
}

/// A setting by its name, and what it is to be.
pub type Given = (Box<str>, Box<str>);

/// Which setting cannot be so, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingFault {
    pub name: Box<str>,
    pub why: Unfit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    Unknown,
    /// More than once in one request.
    Twice,
    /// More than there are settings.
    TooMany,
    TooLong {
        bytes: usize,
    },
    NotA(Kind),
    /// Appended to, or subtracted from.
    NotAList,
    NotHere,
    /// Not one of whose settings are altered: a broker or a group.
    NotOf(&'static str),
    /// Of one broker, where it is the same for all.
    OfAllBrokers,
    /// A group's members are to be heard from more often than they are missed.
    Heartbeat,
    /// The least lag of compaction is longer than the longest.
    Lags,
}

impl fmt::Display for SettingFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match self.why {
            Unfit::Unknown => write!(f, "{name} is no setting of a topic"),
            Unfit::NotOf(whom) => write!(f, "{name} is no setting that {whom} can be given"),
            Unfit::OfAllBrokers => write!(
                f,
                "{name} is the same on all brokers: alter the default of brokers, which has no name"
            ),
            Unfit::Heartbeat => write!(f, "{name} is not below consumer.session.timeout.ms"),
            Unfit::Twice => write!(f, "{name} is named twice"),
            Unfit::TooMany => write!(f, "more than {TOPIC_ALTERATIONS_MAX} settings are named"),
            Unfit::TooLong { bytes } => write!(
                f,
                "{name} has {bytes} bytes where {TOPIC_SETTING_BYTES_MAX} are the most"
            ),
            Unfit::NotA(kind) => write!(f, "{name} is {kind}"),
            Unfit::NotAList => write!(f, "{name} is no list: set it or delete it"),
            Unfit::NotHere => write!(
                f,
                "{name}: remote storage is not there, so only its default may be set"
            ),
            Unfit::Lags => f.write_str("min.compaction.lag.ms is above max.compaction.lag.ms"),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Boolean => f.write_str("true or false"),
            Kind::Int(ranges) | Kind::Long(ranges) => {
                let range = |&(least, most): &(i64, i64)| match least == most {
                    true => format!("{least}"),
                    false => format!("a whole number from {least} to {most}"),
                };
                let all: Vec<_> = ranges.iter().map(range).collect();
                f.write_str(&all.join(", or "))
            }
            Kind::Double => f.write_str("a number from 0 to 1"),
            Kind::Choice(choices) => write!(f, "one of {}", choices.join(", ")),
            Kind::Choices(choices) => write!(f, "one or more of {}", choices.join(", ")),
            Kind::List => f.write_str("a list"),
        }
    }
}

impl TopicSettings {
    pub fn changed(&self, change: &SettingsChange) -> Result<Self, SettingFault> {
        match change {
            SettingsChange::Alter(alterations) => self.altered(alterations),
            SettingsChange::Replace(given) => Self::of(given),
        }
    }

    /// Exactly these, and all else as the table says.
    pub fn of(given: &[Given]) -> Result<Self, SettingFault> {
        let names = given.iter().map(|(name, _)| &**name);
        check_names(names)?;
        let mut settings = Self::default();
        for (name, value) in given {
            settings.put(known(name)?, value)?;
        }
        settings.check()
    }

    /// These, altered; in the order in which the alterations come.
    pub fn altered(&self, alterations: &[(Box<str>, Alteration)]) -> Result<Self, SettingFault> {
        let names = alterations.iter().map(|(name, _)| &**name);
        check_names(names)?;
        let mut settings = self.clone();
        for (name, alteration) in alterations {
            match alteration {
                Alteration::Set(value) => settings.put(known(name)?, value)?,
                // One that is not known is not set either.
                Alteration::Delete => {
                    let row = Row::named(name);
                    row.map(|row| settings.set.remove(&row.setting));
                }
                Alteration::Append(more) => {
                    let row = known_list(name)?;
                    let standing = settings.get(row.setting).to_owned();
                    let list: Vec<_> = items(&standing).collect();
                    let more = items(more).filter(|item| !list.contains(item));
                    let all: Vec<_> = list.iter().copied().chain(more).collect();
                    settings.put(row, &all.join(","))?;
                }
                Alteration::Subtract(less) => {
                    let row = known_list(name)?;
                    let less: Vec<_> = items(less).collect();
                    let list = items(settings.get(row.setting));
                    let left: Vec<_> = list.filter(|item| !less.contains(item)).collect();
                    settings.put(row, &left.join(","))?;
                }
            }
        }
        settings.check()
    }

    /// Whatever of it means something to this build.
    pub(super) fn known_of(given: &BTreeMap<Box<str>, Box<str>>) -> Self {
        let mut settings = Self::default();
        for (name, value) in given {
            if let Some(row) = Row::named(name) {
                // One that is not taken is as if it were not set.
                let _ = settings.put(row, value);
            }
        }
        settings
    }

    fn put(&mut self, row: &Row, value: &str) -> Result<(), SettingFault> {
        let value = value.trim();
        if value.len() > TOPIC_SETTING_BYTES_MAX {
            let bytes = value.len();
            return Err(fault(row.name, Unfit::TooLong { bytes }));
        }
        if !row.kind.takes(value) {
            return Err(fault(row.name, Unfit::NotA(row.kind)));
        }
        let is_default = value.eq_ignore_ascii_case(row.default);
        if row.standing == Standing::Refused && !is_default {
            return Err(fault(row.name, Unfit::NotHere));
        }
        self.set.insert(row.setting, value.into());
        Ok(())
    }

    fn check(self) -> Result<Self, SettingFault> {
        match self.min_compaction_lag_ms() > self.max_compaction_lag_ms() {
            true => Err(fault("min.compaction.lag.ms", Unfit::Lags)),
            false => Ok(self),
        }
    }

    /// Those that are set, by name.
    pub fn overrides(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let set = self.set.iter();
        set.map(|(&setting, value)| (Row::of(setting).name, &**value))
    }

    pub fn is_set(&self, setting: TopicSetting) -> bool {
        self.set.contains_key(&setting)
    }

    /// What is in force, as a text.
    pub fn get(&self, setting: TopicSetting) -> &str {
        let set = self.set.get(&setting);
        set.map_or(Row::of(setting).default, |value| value)
    }

    fn number(&self, setting: TopicSetting) -> i64 {
        let text = self.get(setting);
        text.parse().expect("what is set was checked")
    }

    fn flag(&self, setting: TopicSetting) -> bool {
        self.get(setting).eq_ignore_ascii_case("true")
    }

    fn has(&self, setting: TopicSetting, wanted: &str) -> bool {
        items(self.get(setting)).any(|item| item == wanted)
    }

    pub fn is_deleted_by_age(&self) -> bool {
        self.has(TopicSetting::CleanupPolicy, "delete")
    }

    pub fn is_compacted(&self) -> bool {
        self.has(TopicSetting::CleanupPolicy, "compact")
    }

    pub fn compression_type(&self) -> &str {
        self.get(TopicSetting::CompressionType)
    }

    pub fn compression_gzip_level(&self) -> i64 {
        self.number(TopicSetting::CompressionGzipLevel)
    }

    pub fn compression_zstd_level(&self) -> i64 {
        self.number(TopicSetting::CompressionZstdLevel)
    }

    pub fn delete_retention_ms(&self) -> i64 {
        self.number(TopicSetting::DeleteRetentionMs)
    }

    pub fn durability(&self) -> Durability {
        match self.has(TopicSetting::Durability, "replicated") {
            true => Durability::Replicated,
            false => Durability::Synced,
        }
    }

    pub fn max_compaction_lag_ms(&self) -> i64 {
        self.number(TopicSetting::MaxCompactionLagMs)
    }

    pub fn max_message_bytes(&self) -> usize {
        self.number(TopicSetting::MaxMessageBytes) as usize
    }

    pub fn message_timestamp_after_max_ms(&self) -> i64 {
        self.number(TopicSetting::MessageTimestampAfterMaxMs)
    }

    pub fn message_timestamp_before_max_ms(&self) -> i64 {
        self.number(TopicSetting::MessageTimestampBeforeMaxMs)
    }

    pub fn message_timestamp_type(&self) -> TimestampType {
        match self.has(TopicSetting::MessageTimestampType, "LogAppendTime") {
            true => TimestampType::LogAppendTime,
            false => TimestampType::CreateTime,
        }
    }

    pub fn min_cleanable_dirty_ratio(&self) -> f64 {
        let text = self.get(TopicSetting::MinCleanableDirtyRatio);
        text.parse().expect("what is set was checked")
    }

    pub fn min_compaction_lag_ms(&self) -> i64 {
        self.number(TopicSetting::MinCompactionLagMs)
    }

    pub fn min_insync_replicas(&self) -> usize {
        self.number(TopicSetting::MinInsyncReplicas) as usize
    }

    /// None for no bound.
    pub fn retention_bytes(&self) -> Option<u64> {
        u64::try_from(self.number(TopicSetting::RetentionBytes)).ok()
    }

    /// None for no bound.
    pub fn retention_ms(&self) -> Option<u64> {
        u64::try_from(self.number(TopicSetting::RetentionMs)).ok()
    }

    pub fn segment_bytes(&self) -> usize {
        self.number(TopicSetting::SegmentBytes) as usize
    }

    pub fn segment_jitter_ms(&self) -> i64 {
        self.number(TopicSetting::SegmentJitterMs)
    }

    pub fn segment_ms(&self) -> i64 {
        self.number(TopicSetting::SegmentMs)
    }

    pub fn may_elect_uncleanly(&self) -> bool {
        self.flag(TopicSetting::UncleanLeaderElectionEnable)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    Synced,
    Replicated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampType {
    CreateTime,
    LogAppendTime,
}

impl Kind {
    pub(super) fn takes(self, value: &str) -> bool {
        let whole = |ranges: &[(i64, i64)]| {
            let number = value.parse::<i64>().ok();
            let is_in = |number: i64| {
                let mut ranges = ranges.iter();
                ranges.any(|&(least, most)| (least..=most).contains(&number))
            };
            number.is_some_and(is_in)
        };
        match self {
            Self::Boolean => {
                value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false")
            }
            Self::Int(ranges) | Self::Long(ranges) => whole(ranges),
            Self::Double => {
                let number = value.parse::<f64>();
                number.is_ok_and(|number| (0.0..=1.0).contains(&number))
            }
            Self::Choice(choices) => choices.contains(&value),
            Self::Choices(choices) => {
                let mut chosen = items(value).peekable();
                chosen.peek().is_some() && chosen.all(|item| choices.contains(&item))
            }
            Self::List => true,
        }
    }
}

/// Of a list.
fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
}

fn known(name: &str) -> Result<&'static Row, SettingFault> {
    Row::named(name).ok_or_else(|| fault(name, Unfit::Unknown))
}

fn known_list(name: &str) -> Result<&'static Row, SettingFault> {
    let row = known(name)?;
    match row.is_list() {
        true => Ok(row),
        false => Err(fault(name, Unfit::NotAList)),
    }
}

pub(super) fn check_names<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), SettingFault> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(fault(name, Unfit::Twice));
        }
        if seen.len() > TOPIC_ALTERATIONS_MAX {
            return Err(fault(name, Unfit::TooMany));
        }
    }
    Ok(())
}

fn fault(name: &str, why: Unfit) -> SettingFault {
    let name = name.into();
    SettingFault { name, why }
}

#[cfg(test)]
mod tests {
    use super::super::table::TABLE;
    use super::*;

    #[test]
    fn the_table_is_in_order_and_its_defaults_are_taken() {
        for (n, row) in TABLE.iter().enumerate() {
            assert_eq!(row.setting as usize, n, "{}", row.name);
            assert!(row.kind.takes(row.default), "{}", row.name);
            assert_eq!(
                Row::named(row.name).map(|row| row.setting),
                Some(row.setting)
            );
        }
        assert!(TABLE.is_sorted_by(|one, other| one.name < other.name));
    }

    fn set(name: &str, value: &str) -> Result<TopicSettings, Unfit> {
        let settings = TopicSettings::of(&[(name.into(), value.into())]);
        settings.map_err(|fault| fault.why)
    }

    #[test]
    fn values_are_taken_or_refused_as_kafka_does() {
        let good = [
            ("retention.ms", "-1"),
            ("retention.ms", " 5 "),
            ("segment.bytes", "4096"),
            ("cleanup.policy", "compact, delete"),
            ("compression.type", "zstd"),
            ("compression.gzip.level", "-1"),
            ("min.cleanable.dirty.ratio", "0.25"),
            ("preallocate", "TRUE"),
            ("remote.storage.enable", "false"),
            ("follower.replication.throttled.replicas", ""),
            ("durability", "replicated"),
        ];
        for (name, value) in good {
            let settings = set(name, value).expect(name);
            let own: Vec<_> = settings.overrides().collect();
            assert_eq!(own, [(name, value.trim())]);
        }
        let bad = [
            ("retention.ms", "-2"),
            ("retention.ms", "1.5"),
            ("retention.ms", ""),
            ("retention.ms", "9223372036854775808"),
            ("segment.bytes", "4095"),
            ("segment.bytes", "2147483648"),
            ("cleanup.policy", ""),
            ("cleanup.policy", "delete,burn"),
            ("compression.type", "Zstd"),
            ("compression.gzip.level", "0"),
            ("min.cleanable.dirty.ratio", "NaN"),
            ("min.cleanable.dirty.ratio", "1.01"),
            ("min.insync.replicas", "0"),
            ("preallocate", "yes"),
        ];
        for (name, value) in bad {
            let unfit = set(name, value).unwrap_err();
            assert!(matches!(unfit, Unfit::NotA(_)), "{name}={value}: {unfit:?}");
        }
        assert_eq!(set("remote.storage.enable", "true"), Err(Unfit::NotHere));
        assert_eq!(set("retention", "1"), Err(Unfit::Unknown));
        let long = "x".repeat(TOPIC_SETTING_BYTES_MAX + 1);
        let unfit = set("leader.replication.throttled.replicas", &long);
        assert!(matches!(unfit, Err(Unfit::TooLong { .. })));
    }

    #[test]
    fn alterations_are_made_in_turn_or_not_at_all() {
        let alter = |settings: &TopicSettings, list: &[(&str, Alteration)]| {
            let list = list.iter().cloned();
            let list: Vec<_> = list.map(|(name, one)| (name.into(), one)).collect();
            settings.altered(&list).map_err(|fault| fault.why)
        };
        let policy = "cleanup.policy";
        let none = TopicSettings::default();
        let both = alter(
            &none,
            &[(policy, Alteration::Append("compact,delete".into()))],
        )
        .unwrap();
        assert_eq!(both.get(TopicSetting::CleanupPolicy), "delete,compact");
        assert!(both.is_compacted() && both.is_deleted_by_age());
        let one = alter(&both, &[(policy, Alteration::Subtract("delete".into()))]).unwrap();
        assert_eq!(one.get(TopicSetting::CleanupPolicy), "compact");
        let none_left = alter(&one, &[(policy, Alteration::Subtract("compact".into()))]);
        assert!(matches!(none_left, Err(Unfit::NotA(_))));
        let back = alter(
            &one,
            &[(policy, Alteration::Delete), ("old", Alteration::Delete)],
        );
        assert_eq!(back, Ok(none.clone()));
        let number = alter(&none, &[("retention.ms", Alteration::Append("1".into()))]);
        assert_eq!(number, Err(Unfit::NotAList));
        let set = |value: &str| Alteration::Set(value.into());
        let twice = alter(&none, &[(policy, set("delete")), (policy, set("compact"))]);
        assert_eq!(twice, Err(Unfit::Twice));
        let least = ("min.compaction.lag.ms", set("2"));
        let most = ("max.compaction.lag.ms", set("1"));
        let crossed = alter(&none, &[least, most]);
        assert_eq!(crossed, Err(Unfit::Lags));
    }
}
