//! Where a member is reached, and what of it is accepted.

use crate::ids::NodeId;

/// Told from above whenever the members change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerAddress {
    pub node: NodeId,
    /// `host:port` of its control endpoint.
    pub control: String,
    /// `host:port` of its bulk endpoint.
    pub bulk: String,
    /// The least serial of its certificate that is accepted.
    pub certificate: u64,
}

/// The two ways between nodes. Each has an endpoint, a thread and a runtime
/// of its own: stream priorities alone do not keep bulk from delaying a
/// heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Plane {
    /// Votes, heartbeats, appends, forwarded writes.
    Control,
    /// Snapshots, records, blocks, shuffle; paced.
    Bulk,
}

impl Plane {
    /// The protocol's name in the handshake.
    pub(super) fn protocol(self) -> &'static [u8] {
        match self {
            Self::Control => b"dolmen-ctl/1",
            Self::Bulk => b"dolmen-data/1",
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Bulk => "bulk",
        }
    }

    pub(super) fn of(self, peer: &PeerAddress) -> &str {
        match self {
            Self::Control => &peer.control,
            Self::Bulk => &peer.bulk,
        }
    }
}
