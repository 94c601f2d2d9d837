//! Settings that brokers and groups are given while they run. All brokers have
//! the same. What is heeded of theirs is a setting of the cluster and stands
//! under /dolmen/config; what has no effect is kept so that it is found again by
//! whoever set it. A group has what all groups have, but for what it is given.

mod alteration;
mod tables;

pub use tables::{BROKER_TABLE, BrokerRow, GROUP_TABLE, GroupRow};

use super::command::{AlterOverrides, Holder, SettingsChange, StreamsOutcome, StreamsRefused};
use super::nodes::{self, GroupsRecord, SettingsRecord, StreamsNode};
use super::settings::{Alteration, SettingFault, Unfit};
use super::streams::Streams;
use super::table::Kind;
use super::{Topics, Unread, unread};
use crate::limits::{
    GROUP_HEARTBEAT_MS, GROUP_NAME_BYTES_MAX, GROUP_SESSION_MS, GROUPS_OVERRIDDEN_MAX,
};
use crate::state::settings::Settings as ClusterSettings;
use crate::state::tree::Tree;
use alteration::{altered, fault, fitting};
use std::collections::BTreeMap;
use std::sync::Arc;
use tables::HEARTBEAT;

/// By their names.
pub type Texts = BTreeMap<&'static str, Box<str>>;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Of the settings of brokers, those without effect that are set.
    idle: Arc<Texts>,
    groups: Arc<Groups>,
}

/// What groups have of their own, by their names.
pub type Groups = BTreeMap<Box<str>, GroupOverrides>;

/// None for what all groups have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupOverrides {
    pub session_ms: Option<u32>,
    pub heartbeat_ms: Option<u32>,
}

impl GroupOverrides {
    pub fn session_ms(&self) -> u32 {
        self.session_ms.unwrap_or(GROUP_SESSION_MS)
    }

    pub fn heartbeat_ms(&self) -> u32 {
        self.heartbeat_ms.unwrap_or(GROUP_HEARTBEAT_MS)
    }

    fn texts(self) -> Texts {
        let own = |row: &GroupRow| Some((row.name, row.own(self)?.to_string().into()));
        GROUP_TABLE.iter().filter_map(own).collect()
    }

    fn of(texts: &Texts) -> Self {
        let mut group = Self::default();
        for row in GROUP_TABLE {
            let text = texts.get(row.name);
            *(row.part)(&mut group) = text.and_then(|text| text.parse().ok());
        }
        group
    }

    fn altered(self, change: &SettingsChange) -> Result<Self, SettingFault> {
        let known = |name: &str| {
            let row = GROUP_TABLE.iter().find(|row| row.name == name);
            row.map(|row| (row.name, row.kind))
        };
        let next = Self::of(&altered(self.texts(), change, known, "a group")?);
        match next.heartbeat_ms() < next.session_ms() {
            true => Ok(next),
            false => Err(fault(HEARTBEAT, Unfit::Heartbeat)),
        }
    }

    /// Whatever of it means something to this build.
    fn known_of(given: &BTreeMap<Box<str>, Box<str>>) -> Self {
        let mut group = Self::default();
        for (name, value) in given {
            let one = [(name.clone(), Alteration::Set(value.clone()))];
            group = group
                .altered(&SettingsChange::Alter(one.into()))
                .unwrap_or(group);
        }
        group
    }
}

impl Overrides {
    pub fn groups(&self) -> &Arc<Groups> {
        &self.groups
    }

    pub fn group(&self, name: &str) -> GroupOverrides {
        self.groups.get(name).copied().unwrap_or_default()
    }

    pub(super) fn read(tree: &Tree) -> Result<Self, Unread> {
        let data = |node: StreamsNode| tree.find(&node.path()).map(|slot| &tree.node(slot).data);
        let mut read = Self::default();
        if let Some(data) = data(StreamsNode::BrokerSettings) {
            let record = nodes::read::<SettingsRecord>(data);
            let record = record.ok_or_else(|| unread(StreamsNode::BrokerSettings))?;
            read.idle = Arc::new(idle_of(&record));
        }
        if let Some(data) = data(StreamsNode::GroupSettings) {
            let record = nodes::read::<GroupsRecord>(data);
            let record = record.ok_or_else(|| unread(StreamsNode::GroupSettings))?;
            read.groups = Arc::new(groups_of(&record));
        }
        Ok(read)
    }
}

impl Topics {
    pub fn overrides(&self) -> &Overrides {
        &self.overrides
    }

    /// What a broker's setting is where it is not the default.
    pub fn of_brokers(&self, row: &BrokerRow) -> Option<Box<str>> {
        match row.heeded {
            None => self.overrides.idle.get(row.name).cloned(),
            Some(setting) => {
                let text = text(row.kind, self.cluster.get(setting));
                (*text != *row.default).then_some(text)
            }
        }
    }

    /// Those that are not the default.
    fn texts_of_brokers(&self) -> Texts {
        let text = |row: &BrokerRow| Some((row.name, self.of_brokers(row)?));
        BROKER_TABLE.iter().filter_map(text).collect()
    }
}

impl Streams<'_> {
    pub(super) fn alter_overrides(
        &mut self,
        alter: &AlterOverrides,
    ) -> Result<StreamsOutcome, StreamsRefused> {
        match &alter.holder {
            Holder::Group(name) => {
                check_group(name)?;
                let group = self.topics.overrides.group(name).altered(&alter.change)?;
                let mut groups = Groups::clone(&self.topics.overrides.groups);
                match group == GroupOverrides::default() {
                    true => groups.remove(name),
                    false => groups.insert(name.clone(), group),
                };
                if groups.len() > GROUPS_OVERRIDDEN_MAX {
                    return Err(StreamsRefused::GroupsOverriddenMax);
                }
                if !alter.validates_only {
                    self.put_groups(groups);
                }
            }
            Holder::Brokers | Holder::OneBroker => {
                let is_all = alter.holder == Holder::Brokers;
                let (own, others) = split(self.topics.texts_of_brokers(), is_all);
                let known = |name: &str| {
                    let row = BROKER_TABLE.iter().find(|row| row.name == name);
                    row.map(|row| (row.name, row.kind))
                };
                let mut texts = altered(own, &alter.change, known, "a broker")?;
                if !is_all {
                    check_one(&alter.change)?;
                    texts.extend(others);
                }
                if !alter.validates_only {
                    self.put_brokers(texts);
                }
            }
        }
        Ok(StreamsOutcome::Altered)
    }

    fn put_brokers(&mut self, texts: Texts) {
        let mut idle = Texts::new();
        let mut is_news = false;
        for row in BROKER_TABLE {
            let set = texts.get(row.name);
            match row.heeded {
                None => idle.extend(set.map(|text| (row.name, text.clone()))),
                Some(setting) => {
                    let value = number(set.map_or(row.default, |text| text));
                    if value != self.topics.cluster.get(setting) {
                        self.put(&setting.path(), value.to_string().into_bytes());
                        is_news = true;
                    }
                }
            }
        }
        if is_news {
            let cluster = ClusterSettings::read(self.writes.tree);
            self.topics_mut().set_cluster(cluster);
        }
        self.put_idle(idle);
    }

    fn put_idle(&mut self, idle: Texts) {
        if idle != *self.topics.overrides.idle {
            let config = idle.iter();
            let record = SettingsRecord {
                version: SettingsRecord::VERSION,
                config: config
                    .map(|(&name, text)| (name.into(), text.clone()))
                    .collect(),
            };
            self.lay_out();
            self.put(&StreamsNode::BrokerSettings.path(), nodes::bytes(&record));
            self.topics_mut().overrides.idle = Arc::new(idle);
        }
    }

    fn put_groups(&mut self, groups: Groups) {
        if groups != *self.topics.overrides.groups {
            let texts = |group: &GroupOverrides| {
                let texts = group.texts().into_iter();
                texts.map(|(name, text)| (name.into(), text)).collect()
            };
            let all = groups.iter();
            let record = GroupsRecord::of(
                all.map(|(name, group)| (name.clone(), texts(group)))
                    .collect(),
            );
            self.lay_out();
            self.put(&StreamsNode::GroupSettings.path(), nodes::bytes(&record));
            self.topics_mut().overrides.groups = Arc::new(groups);
        }
    }

    /// A node of a backup. What is set here stays as it is; the backup's others
    /// are added.
    pub(super) fn restore_broker_settings(&mut self, data: &[u8]) {
        let record = nodes::read::<SettingsRecord>(data).unwrap_or_default();
        let mut idle = idle_of(&record);
        idle.extend(Texts::clone(&self.topics.overrides.idle));
        self.put_idle(idle);
    }

    /// The same of groups, as far as there is room for them.
    pub(super) fn restore_group_settings(&mut self, data: &[u8]) {
        let record = nodes::read::<GroupsRecord>(data).unwrap_or_default();
        let mut groups = Groups::clone(&self.topics.overrides.groups);
        for (name, group) in groups_of(&record) {
            let has_room = groups.len() < GROUPS_OVERRIDDEN_MAX;
            if check_group(&name).is_ok() && has_room {
                groups.entry(name).or_insert(group);
            }
        }
        self.put_groups(groups);
    }
}

/// Of one broker by its name only what has no effect is altered: the rest holds
/// for all of them, and who names one may mean that one alone.
fn split(texts: Texts, is_all: bool) -> (Texts, Texts) {
    let is_own = |name: &str| is_all || is_idle(name);
    texts.into_iter().partition(|(name, _)| is_own(name))
}

fn is_idle(name: &str) -> bool {
    let row = BROKER_TABLE.iter().find(|row| row.name == name);
    row.is_none_or(|row| row.heeded.is_none())
}

fn check_one(change: &SettingsChange) -> Result<(), SettingFault> {
    match change.names().find(|name| !is_idle(name)) {
        Some(name) => Err(fault(name, Unfit::OfAllBrokers)),
        None => Ok(()),
    }
}

fn check_group(name: &str) -> Result<(), StreamsRefused> {
    match (1..=GROUP_NAME_BYTES_MAX).contains(&name.len()) {
        true => Ok(()),
        false => Err(StreamsRefused::GroupName { bytes: name.len() }),
    }
}

/// As the cluster's settings have it.
fn number(text: &str) -> u64 {
    match text {
        "true" => 1,
        "false" => 0,
        digits => digits.parse().expect("what is set was checked"),
    }
}

fn text(kind: Kind, number: u64) -> Box<str> {
    match kind {
        Kind::Boolean => (number != 0).to_string().into(),
        _ => number.to_string().into(),
    }
}

/// Whatever of it means something to this build.
fn idle_of(record: &SettingsRecord) -> Texts {
    let rows = BROKER_TABLE.iter().filter(|row| row.heeded.is_none());
    let text = |row: &BrokerRow| {
        let text = record.config.get(row.name)?;
        Some((row.name, fitting(row.name, row.kind, text).ok()?))
    };
    rows.filter_map(text).collect()
}

fn groups_of(record: &GroupsRecord) -> Groups {
    let groups = record.groups.iter();
    let known = groups.map(|(name, given)| (name.clone(), GroupOverrides::known_of(given)));
    known
        .filter(|(_, group)| *group != GroupOverrides::default())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::settings::TABLE;

    #[test]
    fn the_tables_are_in_order_and_agree_with_the_settings_of_the_cluster() {
        assert!(BROKER_TABLE.is_sorted_by(|one, other| one.name < other.name));
        assert!(GROUP_TABLE.is_sorted_by(|one, other| one.name < other.name));
        for row in BROKER_TABLE {
            assert!(row.kind.takes(row.default), "{}", row.name);
            let Some(setting) = row.heeded else { continue };
            let of_cluster = &TABLE[setting as usize];
            assert_eq!(number(row.default), of_cluster.default, "{}", row.name);
            assert_eq!(*text(row.kind, of_cluster.default), *row.default);
            let (least, most) = of_cluster.range.clone().into_inner();
            match row.kind {
                Kind::Boolean => assert_eq!((least, most), (0, 1), "{}", row.name),
                Kind::Int(&[range]) => {
                    assert_eq!((least as i64, most as i64), range, "{}", row.name)
                }
                other => panic!("{}: {other:?}", row.name),
            }
        }
        let heeded = BROKER_TABLE.iter().filter_map(|row| row.heeded);
        let of_kafka = TABLE.iter().filter(|row| row.name.starts_with("kafka."));
        assert_eq!(heeded.count(), of_kafka.count());
        for row in GROUP_TABLE {
            assert!(row.kind.takes(&row.default.to_string()), "{}", row.name);
        }
    }

    fn set(name: &str, value: &str) -> SettingsChange {
        SettingsChange::Alter(vec![(name.into(), Alteration::Set(value.into()))])
    }

    #[test]
    fn a_group_has_what_all_have_but_for_what_it_is_given() {
        let all = GroupOverrides::default();
        let own = all.altered(&set("consumer.session.timeout.ms", " 50000 "));
        let own = own.unwrap();
        assert_eq!((own.session_ms(), own.heartbeat_ms()), (50_000, 5_000));
        let both = own.altered(&set(HEARTBEAT, "49999")).unwrap();
        assert_eq!((both.session_ms(), both.heartbeat_ms()), (50_000, 49_999));
        let replaced = SettingsChange::Replace(vec![(HEARTBEAT.into(), "3000".into())]);
        let replaced = both.altered(&replaced).unwrap();
        assert_eq!(
            (replaced.session_ms(), replaced.heartbeat_ms()),
            (45_000, 3_000)
        );
        assert_eq!(
            replaced.altered(&SettingsChange::Replace(Vec::new())),
            Ok(all)
        );
        let gone = SettingsChange::Alter(vec![(HEARTBEAT.into(), Alteration::Delete)]);
        assert_eq!(both.altered(&gone), Ok(own));
        let list = SettingsChange::Alter(vec![(HEARTBEAT.into(), Alteration::Append("1".into()))]);
        for (change, why) in [
            (set(HEARTBEAT, "50000"), Unfit::Heartbeat),
            (set(HEARTBEAT, "0"), Unfit::NotA(GROUP_TABLE[0].kind)),
            (set(HEARTBEAT, "x"), Unfit::NotA(GROUP_TABLE[0].kind)),
            (
                set("share.session.timeout.ms", "45000"),
                Unfit::NotOf("a group"),
            ),
            (list, Unfit::NotAList),
        ] {
            assert_eq!(own.altered(&change).unwrap_err().why, why, "{change:?}");
        }
    }
}
