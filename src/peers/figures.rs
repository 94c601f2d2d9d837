//! How a peer's connection on a plane stands, for metrics, status and doctor.

use super::address::Plane;
use super::endpoint::Socket;
use super::link::Link;
use crate::ids::NodeId;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerFigures {
    pub node: NodeId,
    pub plane: Plane,
    /// None where there is no connection.
    pub connection: Option<ConnectionFigures>,
    /// Why the last dial came to nothing; None once one has succeeded.
    pub unreached: Option<String>,
    /// Since the peer became a member: it was away or its queue was full.
    pub dropped_frames: u64,
    /// The plane's own, the same for every peer.
    pub socket: Socket,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionFigures {
    pub incarnation: u64,
    pub is_dialed_by_us: bool,
    /// Of the peer's certificate.
    pub serial: u64,
    pub age: Duration,
    pub round_trip: Duration,
    pub path_mtu: u16,
    pub sent_packets: u64,
    pub lost_packets: u64,
    pub sent_bytes: u64,
    pub received_bytes: u64,
    pub queued_frames: usize,
    pub queued_bytes: usize,
}

impl ConnectionFigures {
    pub(super) fn read(link: &Link, us: NodeId, now: Duration) -> Self {
        let stats = link.connection.stats();
        let (queued_frames, queued_bytes) = link.queue.length();
        Self {
            incarnation: link.standing.incarnation,
            is_dialed_by_us: link.standing.dialed_by == us,
            serial: link.serial,
            age: now.saturating_sub(link.since),
            round_trip: stats.path.rtt,
            path_mtu: stats.path.current_mtu,
            sent_packets: stats.path.sent_packets,
            lost_packets: stats.path.lost_packets,
            sent_bytes: stats.udp_tx.bytes,
            received_bytes: stats.udp_rx.bytes,
            queued_frames,
            queued_bytes,
        }
    }
}
