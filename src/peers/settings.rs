//! What the peers need to be told; `daemon/compose.rs` fills it from the
//! profile.

use super::codec::Release;
use super::paces::RateOf;
use crate::clock::Clock;
use crate::entropy::Entropy;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone)]
pub struct Settings {
    pub control: EndpointSettings,
    pub bulk: EndpointSettings,
    /// Which start of this node it is; grows with each. By it a peer tells a
    /// restarted process from one that dialed twice.
    pub incarnation: u64,
    /// What this node runs; peers are told.
    pub release: Release,
    /// A handshake and the greeting after it.
    pub handshake_within: Duration,
    /// A joiner's request from its first packet, and then again the answer.
    pub join_within: Duration,
    /// The first and the longest wait before a peer is dialed again; each is
    /// drawn between its half and its whole.
    pub dial_again_first: Duration,
    pub dial_again_last: Duration,
    /// How much longer the higher id waits before it dials for the first time:
    /// of two connections that cross, the lower id's stays.
    pub head_start: Duration,
    /// How much bulk may leave in a second by an address of this node. Asked on
    /// the plane's thread when a link comes up.
    pub bulk_rate: RateOf,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
}

/// The knobs of one endpoint.
#[derive(Clone, Debug)]
pub struct EndpointSettings {
    pub listen: SocketAddr,
    pub keep_alive: Duration,
    /// Silence after which a connection is given up.
    pub idle: Duration,
    pub stream_window_bytes: u32,
    pub connection_window_bytes: u32,
    /// The largest UDP payload that is tried; what the path does not carry is
    /// found out by packets that only try. Ten of them are handed to the
    /// kernel at once with segmentation offload, and must fit 64 KiB.
    pub mtu_max: u16,
    /// Segmentation offload; four times slower without.
    pub gso: bool,
    /// SO_RCVBUF and SO_SNDBUF, as far as the kernel grants them.
    pub socket_buffer_bytes: usize,
}

impl Settings {
    /// A small board on 1 GbE.
    pub fn new(
        control: SocketAddr,
        bulk: SocketAddr,
        incarnation: u64,
        release: Release,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self {
            control: EndpointSettings::control(control),
            bulk: EndpointSettings::bulk(bulk),
            incarnation,
            release,
            handshake_within: Duration::from_secs(5),
            join_within: Duration::from_secs(10),
            dial_again_first: Duration::from_millis(50),
            dial_again_last: Duration::from_secs(1),
            head_start: Duration::from_millis(100),
            // 1 GbE carries 118 MB/s; at 100 a heartbeat beside it waits
            // 0.2 ms, unpaced 3 ms.
            bulk_rate: Arc::new(|_| 100_000_000),
            clock,
            entropy,
        }
    }
}

impl EndpointSettings {
    fn control(listen: SocketAddr) -> Self {
        Self {
            listen,
            keep_alive: Duration::from_secs(1),
            idle: Duration::from_secs(4),
            stream_window_bytes: 1 << 20,
            connection_window_bytes: 8 << 20,
            mtu_max: 1452,
            gso: true,
            socket_buffer_bytes: 2 << 20,
        }
    }

    fn bulk(listen: SocketAddr) -> Self {
        Self {
            keep_alive: Duration::from_secs(10),
            idle: Duration::from_secs(30),
            // A packet costs the same processor time whatever it carries: what
            // a jumbo network or loopback takes is taken.
            mtu_max: Self::MTU_MAX_WITH_GSO,
            ..Self::control(listen)
        }
    }

    /// quinn hands over batches of ten segments, and the kernel refuses one
    /// of more than 64 KiB: 10 x 6550 fit, IPv6 and UDP headers included.
    pub const MTU_MAX_WITH_GSO: u16 = 6550;
}
