//! Every setting that brokers and groups can be given while they run: what it may
//! be, what it is where nobody says, and what is made of it.

use super::GroupOverrides;
use crate::limits::{
    GROUP_HEARTBEAT_MS, GROUP_HEARTBEAT_MS_MAX, GROUP_HEARTBEAT_MS_MIN, GROUP_SESSION_MS,
    GROUP_SESSION_MS_MAX, GROUP_SESSION_MS_MIN, PARTITIONS_PER_TOPIC_MAX,
};
use crate::state::settings::Setting;
use crate::state::topics::table::Kind::{self, Boolean, Double, Int, Long};

/// One setting that brokers can be given, under Kafka's name.
#[derive(Debug)]
pub struct BrokerRow {
    pub name: &'static str,
    pub kind: Kind,
    pub default: &'static str,
    /// None where it has no effect.
    pub heeded: Option<Setting>,
    pub doc: &'static str,
}

const INT_MAX: i64 = i32::MAX as i64;
const SOME: Kind = Int(&[(1, INT_MAX)]);

const fn heeded(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    setting: Setting,
    doc: &'static str,
) -> BrokerRow {
    BrokerRow {
        name,
        kind,
        default,
        heeded: Some(setting),
        doc,
    }
}

const fn idle(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    doc: &'static str,
) -> BrokerRow {
    BrokerRow {
        name,
        kind,
        default,
        heeded: None,
        doc,
    }
}

/// By name. Of Kafka's own that have no effect only such are here as nobody could
/// rely on: how a broker divides its work among threads, which is for the hardware
/// profile to say, and the pace of Kerberos, by which nobody is let in. Whatever
/// an operator would miss is refused instead.
#[rustfmt::skip]
pub const BROKER_TABLE: &[BrokerRow] = &[
    heeded("auto.create.topics.enable", Boolean, "true", Setting::AutoCreateTopics,
        "whether a topic is made when a client first asks where it is"),
    idle("background.threads", SOME, "10",
        "threads for what is not urgent: the hardware profile says how many there are"),
    heeded("default.replication.factor", Int(&[(1, 7)]), "3", Setting::ReplicasDefault,
        "replicas of a topic that is made without saying how many, as far as there are as many brokers"),
    heeded("group.initial.rebalance.delay.ms", Int(&[(0, 300_000)]), "500", Setting::GroupFirstRebalanceMs,
        "how long a group that was empty waits for more members"),
    heeded("group.min.session.timeout.ms", Int(&[(1, 1_800_000)]), "6000", Setting::GroupSessionMinMs,
        "the shortest session timeout that a classic member may ask for"),
    idle("log.cleaner.threads", SOME, "1",
        "threads that compact: one beside each log"),
    idle("num.io.threads", SOME, "8",
        "threads that serve requests: the hardware profile says how many there are"),
    idle("num.network.threads", SOME, "3",
        "threads that read and write sockets: those that serve requests do"),
    heeded("num.partitions", Int(&[(1, PARTITIONS_PER_TOPIC_MAX as i64)]), "1", Setting::PartitionsDefault,
        "partitions of a topic that is made without saying how many"),
    idle("num.recovery.threads.per.data.dir", SOME, "2",
        "threads that read logs at the start: one for each log"),
    idle("num.replica.fetchers", SOME, "1",
        "threads that follow other brokers: none are needed"),
    idle("sasl.kerberos.min.time.before.relogin", Long(&[(0, i64::MAX)]), "60000",
        "the pause between two logins to Kerberos, which is not spoken"),
    idle("sasl.kerberos.ticket.renew.jitter", Double, "0.05",
        "by how much the renewal of a ticket of Kerberos is moved, which is not spoken"),
    idle("sasl.kerberos.ticket.renew.window.factor", Double, "0.8",
        "when a ticket of Kerberos is renewed, which is not spoken"),
];

/// One setting that a group can be given, under Kafka's name.
#[derive(Debug)]
pub struct GroupRow {
    pub name: &'static str,
    /// As the brokers call it, who have it for all groups.
    pub of_brokers: &'static str,
    pub kind: Kind,
    pub default: u32,
    pub doc: &'static str,
    pub(super) part: fn(&mut GroupOverrides) -> &mut Option<u32>,
}

impl GroupRow {
    /// What the group has of its own.
    pub fn own(&self, mut group: GroupOverrides) -> Option<u32> {
        *(self.part)(&mut group)
    }
}

/// By name.
pub const GROUP_TABLE: &[GroupRow] = &[
    GroupRow {
        name: HEARTBEAT,
        of_brokers: "group.consumer.heartbeat.interval.ms",
        kind: Int(&[(GROUP_HEARTBEAT_MS_MIN as i64, GROUP_HEARTBEAT_MS_MAX as i64)]),
        default: GROUP_HEARTBEAT_MS,
        doc: "how often a member of the new protocol is told to say that it lives",
        part: |group| &mut group.heartbeat_ms,
    },
    GroupRow {
        name: "consumer.session.timeout.ms",
        of_brokers: "group.consumer.session.timeout.ms",
        kind: Int(&[(GROUP_SESSION_MS_MIN as i64, GROUP_SESSION_MS_MAX as i64)]),
        default: GROUP_SESSION_MS,
        doc: "how long a member of the new protocol is kept that says nothing",
        part: |group| &mut group.session_ms,
    },
];
pub(super) const HEARTBEAT: &str = "consumer.heartbeat.interval.ms";
