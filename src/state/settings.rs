//! The settings that apply live: what they are called under /dolmen/config,
//! what they may be, and what is in force. The nodes' data is the truth; this
//! reads it.

use super::error::Error;
use super::paths::DOLMEN_CONFIG;
use super::tree::Tree;
use crate::limits::{PARTITIONS_PER_TOPIC_MAX, ZOOKEEPER_FRAME_BYTES_MAX};
use std::ops::RangeInclusive;

/// In the order of `TABLE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    OutstandingRequestsMax,
    ConnectionsMax,
    ConnectionsPerIpMax,
    SessionTimeoutMinMs,
    SessionTimeoutMaxMs,
    FrameBytesMax,
    SnapshotEntries,
    AutoCreateTopics,
    PartitionsDefault,
    ReplicasDefault,
    GroupSessionMinMs,
    GroupFirstRebalanceMs,
}

impl Setting {
    /// Of its node.
    pub fn path(self) -> String {
        format!("{DOLMEN_CONFIG}/{}", TABLE[self as usize].name)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Count,
    Milliseconds,
    Bytes,
}

/// One setting: all are whole numbers, written in decimal.
#[derive(Debug)]
pub struct Row {
    pub setting: Setting,
    pub name: &'static str,
    pub kind: Kind,
    pub range: RangeInclusive<u64>,
    pub default: u64,
    pub doc: &'static str,
}

const COUNT: usize = 12;

pub const TABLE: [Row; COUNT] = [
    Row {
        setting: Setting::OutstandingRequestsMax,
        name: "zookeeper.outstanding_requests_max",
        kind: Kind::Count,
        range: 1..=1_000_000,
        default: 1000,
        doc: "requests of a node's clients that are not answered yet; beyond it they wait in their sockets",
    },
    Row {
        setting: Setting::ConnectionsMax,
        name: "zookeeper.connections_max",
        kind: Kind::Count,
        range: 1..=65_536,
        default: 4096,
        doc: "connections of a node's clients",
    },
    Row {
        setting: Setting::ConnectionsPerIpMax,
        name: "zookeeper.connections_per_ip_max",
        kind: Kind::Count,
        range: 0..=65_536,
        default: 256,
        doc: "connections from one address; 0 sets no bound",
    },
    Row {
        setting: Setting::SessionTimeoutMinMs,
        name: "zookeeper.session_timeout_min_ms",
        kind: Kind::Milliseconds,
        range: 100..=3_600_000,
        default: 4000,
        doc: "the least timeout that a session gets, however little it asks for",
    },
    Row {
        setting: Setting::SessionTimeoutMaxMs,
        name: "zookeeper.session_timeout_max_ms",
        kind: Kind::Milliseconds,
        range: 100..=3_600_000,
        default: 40_000,
        doc: "the longest timeout that a session gets, however much it asks for",
    },
    Row {
        setting: Setting::FrameBytesMax,
        name: "zookeeper.frame_bytes_max",
        kind: Kind::Bytes,
        range: 65_536..=8_388_608,
        default: ZOOKEEPER_FRAME_BYTES_MAX as u64,
        doc: "one request of a client, so also a node's data",
    },
    Row {
        setting: Setting::SnapshotEntries,
        name: "replica.snapshot_entries",
        kind: Kind::Count,
        range: 100..=100_000_000,
        default: 100_000,
        doc: "entries of the log after which a node takes a snapshot",
    },
    Row {
        setting: Setting::AutoCreateTopics,
        name: "kafka.auto_create_topics",
        kind: Kind::Count,
        range: 0..=1,
        default: 1,
        doc: "1 has a topic made when a client first asks where it is, 0 has it refused",
    },
    Row {
        setting: Setting::PartitionsDefault,
        name: "kafka.partitions_default",
        kind: Kind::Count,
        range: 1..=PARTITIONS_PER_TOPIC_MAX as u64,
        default: 1,
        doc: "partitions of a topic that is made without saying how many",
    },
    Row {
        setting: Setting::ReplicasDefault,
        name: "kafka.replicas_default",
        kind: Kind::Count,
        range: 1..=7,
        default: 3,
        doc: "replicas of a topic that is made without saying how many; fewer where there are fewer nodes",
    },
    Row {
        setting: Setting::GroupSessionMinMs,
        name: "kafka.group_session_min_ms",
        kind: Kind::Milliseconds,
        range: 1..=1_800_000,
        default: 6000,
        doc: "the least session timeout that a member of a classic group may ask for",
    },
    Row {
        setting: Setting::GroupFirstRebalanceMs,
        name: "kafka.group_first_rebalance_ms",
        kind: Kind::Milliseconds,
        range: 0..=300_000,
        default: 500,
        doc: "how long a classic group that was empty waits for more members before it begins",
    },
];

/// The values in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    values: [u64; COUNT],
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            values: TABLE.map(|row| row.default),
        }
    }
}

impl Settings {
    pub fn get(&self, setting: Setting) -> u64 {
        self.values[setting as usize]
    }

    /// What the nodes say; where one is missing or means nothing, the default.
    pub(super) fn read(tree: &Tree) -> Self {
        let mut settings = Self::default();
        let Some(folder) = tree.find(DOLMEN_CONFIG) else {
            return settings;
        };
        for row in &TABLE {
            let node = tree.child(folder, row.name).map(|slot| tree.node(slot));
            if let Some(value) = node.and_then(|node| row.parse(&node.data)) {
                settings.values[row.setting as usize] = value;
            }
        }
        settings
    }

    /// Whether a setting may be written so, given the others.
    pub(super) fn check(mut self, name: &str, data: &[u8]) -> Result<(), Error> {
        let row = TABLE.iter().find(|row| row.name == name);
        let row = row.ok_or(Error::BadArguments)?;
        self.values[row.setting as usize] = row.parse(data).ok_or(Error::BadArguments)?;
        let least = self.get(Setting::SessionTimeoutMinMs);
        if least > self.get(Setting::SessionTimeoutMaxMs) {
            return Err(Error::BadArguments);
        }
        Ok(())
    }

    /// What a session gets that asks for so much.
    pub fn session_timeout_ms(&self, asked: u32) -> u32 {
        let least = self.get(Setting::SessionTimeoutMinMs);
        let most = self.get(Setting::SessionTimeoutMaxMs).max(least);
        u64::from(asked).clamp(least, most) as u32
    }
}

/// Whether a node's data is a value of the setting that the node holds.
pub(super) fn means_something(path: &str, data: &[u8]) -> bool {
    let name = path.rsplit('/').next();
    let row = TABLE.iter().find(|row| Some(row.name) == name);
    row.is_some_and(|row| row.parse(data).is_some())
}

impl Row {
    fn parse(&self, data: &[u8]) -> Option<u64> {
        let text = std::str::from_utf8(data).ok()?;
        let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
        let value = text.parse().ok().filter(|_| is_plain)?;
        self.range.contains(&value).then_some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_its_defaults_are_allowed() {
        for (n, row) in TABLE.iter().enumerate() {
            assert_eq!(row.setting as usize, n);
            let default = row.default.to_string();
            assert_eq!(row.parse(default.as_bytes()), Some(row.default));
            assert_eq!(
                Settings::default().check(row.name, default.as_bytes()),
                Ok(())
            );
        }
    }

    /// As the original refuses it: jute.maxbuffer is one below 1 MiB.
    #[test]
    fn a_frame_of_a_whole_mib_is_too_long() {
        assert_eq!(
            Settings::default().get(Setting::FrameBytesMax),
            (1 << 20) - 1
        );
    }

    #[test]
    fn bad_values_are_refused() {
        let check = |name, data: &str| Settings::default().check(name, data.as_bytes());
        let name = "zookeeper.connections_max";
        assert_eq!(check(name, "65536"), Ok(()));
        for bad in [
            "",
            "0",
            "65537",
            "+5",
            " 5",
            "5 ",
            "5k",
            "-1",
            "99999999999999999999",
        ] {
            assert_eq!(check(name, bad), Err(Error::BadArguments), "{bad:?}");
        }
        assert_eq!(check("zookeeper.nothing", "1"), Err(Error::BadArguments));
        assert_eq!(check("zookeeper.session_timeout_min_ms", "40000"), Ok(()));
        assert_eq!(
            check("zookeeper.session_timeout_min_ms", "40001"),
            Err(Error::BadArguments)
        );
    }
}
