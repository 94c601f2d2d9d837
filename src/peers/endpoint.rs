//! One UDP socket and the QUIC endpoint on it, with every knob set.

use super::address::Plane;
use super::identity::Identity;
use super::settings::{EndpointSettings, Settings};
use super::tls;
use crate::entropy::Entropy;
use crate::limits::{INCOMING_WAITING_MAX, PEER_STREAMS_MAX, STRANGER_WINDOW_BYTES};
use quinn::udp::UdpSocketState;
use quinn::{
    AckFrequencyConfig, ClientConfig, ConnectionId, ConnectionIdGenerator, EndpointConfig,
    IdleTimeout, MtuDiscoveryConfig, ServerConfig, TokioRuntime, TransportConfig, VarInt,
};
use ring::hmac;
use std::fmt;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug)]
pub enum StartError {
    Bind {
        plane: &'static str,
        listen: SocketAddr,
        error: io::Error,
    },
    Thread(io::Error),
    MtuWithGso {
        plane: &'static str,
        mtu: u16,
    },
    Idle {
        plane: &'static str,
        idle: Duration,
    },
    Identity(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind {
                plane,
                listen,
                error,
            } => write!(
                f,
                "the peers' {plane} port cannot be opened at udp {listen}: {error}"
            ),
            Self::Thread(error) => write!(f, "a thread for the peers cannot be started: {error}"),
            Self::MtuWithGso { plane, mtu } => write!(
                f,
                "the {plane} endpoint's mtu_max is {mtu}, and with segmentation offload {} is the \
                 most: lower it, or set gso = false",
                EndpointSettings::MTU_MAX_WITH_GSO
            ),
            Self::Idle { plane, idle } => write!(
                f,
                "the {plane} endpoint's idle time of {idle:?} is not one: it must be longer than \
                 its keep-alive"
            ),
            Self::Identity(why) => write!(f, "the node's identity cannot be used for TLS: {why}"),
        }
    }
}

impl std::error::Error for StartError {}

/// What the kernel granted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Socket {
    /// Bytes for data; Linux keeps as much again for its own use.
    pub receive_buffer_bytes: usize,
    pub send_buffer_bytes: usize,
    /// Segments that one call may carry; 1 is without offload.
    pub gso_segments: usize,
}

/// Binds before the plane's runtime is there, so that a refusal is an answer
/// to whoever starts the node.
pub(super) fn bind(
    plane: Plane,
    settings: &EndpointSettings,
) -> Result<(UdpSocket, Socket), StartError> {
    let (plane, listen) = (plane.name(), settings.listen);
    let failed = |error| StartError::Bind {
        plane,
        listen,
        error,
    };
    if settings.gso && settings.mtu_max > EndpointSettings::MTU_MAX_WITH_GSO {
        let mtu = settings.mtu_max;
        return Err(StartError::MtuWithGso { plane, mtu });
    }
    let idle = settings.idle;
    if idle <= settings.keep_alive || IdleTimeout::try_from(idle).is_err() {
        return Err(StartError::Idle { plane, idle });
    }
    #[allow(clippy::disallowed_methods)] // the home of the nodes' sockets
    let socket = UdpSocket::bind(listen).map_err(failed)?;
    let state = UdpSocketState::new((&socket).into()).map_err(failed)?;
    let wanted = settings.socket_buffer_bytes;
    // Refused beyond net.core.rmem_max without the right to force it: the
    // kernel then grants what it may, and that is reported.
    let _ = state.set_recv_buffer_size((&socket).into(), wanted);
    let _ = state.set_send_buffer_size((&socket).into(), wanted);
    let read = |bytes: io::Result<usize>| bytes.map(|bytes| bytes / 2).map_err(failed);
    let granted = Socket {
        receive_buffer_bytes: read(state.recv_buffer_size((&socket).into()))?,
        send_buffer_bytes: read(state.send_buffer_size((&socket).into()))?,
        gso_segments: if settings.gso {
            state.max_gso_segments()
        } else {
            1
        },
    };
    if granted.receive_buffer_bytes.min(granted.send_buffer_bytes) < wanted {
        tracing::info!(
            "the {plane} endpoint has socket buffers of {} and {} bytes where {wanted} are wished \
             for: sysctl net.core.rmem_max={wanted} net.core.wmem_max={wanted}",
            granted.receive_buffer_bytes,
            granted.send_buffer_bytes
        );
    }
    Ok((socket, granted))
}

/// Within the plane's runtime.
pub(super) fn make(
    plane: Plane,
    socket: UdpSocket,
    identity: &Identity,
    settings: &Settings,
) -> Result<quinn::Endpoint, StartError> {
    let listen = socket.local_addr().unwrap_or(settings.of(plane).listen);
    let server = server_config(plane, identity, settings)?;
    let mut config = reset_config(&identity.reset_key, settings.entropy.clone());
    let most = settings.of(plane).mtu_max;
    let told = config.max_udp_payload_size(most);
    told.map_err(|error| unusable(format!("{most} bytes in a packet: {error}")))?;
    let runtime = Arc::new(TokioRuntime);
    quinn::Endpoint::new(config, Some(server), socket, runtime).map_err(|error| StartError::Bind {
        plane: plane.name(),
        listen,
        error,
    })
}

/// The key by which connections that this node no longer knows are reset
/// outlives the process, and so must the ids pass for ours.
pub(super) fn reset_config(reset_key: &[u8; 32], entropy: Arc<dyn Entropy>) -> EndpointConfig {
    let key = hmac::Key::new(hmac::HMAC_SHA256, reset_key);
    let mut config = EndpointConfig::new(Arc::new(key));
    config.cid_generator(move || Box::new(DrawnIds(entropy.clone())));
    config
}

/// Ids without a mark of the process, unlike quinn's own, whose mark a
/// restarted process would not know.
struct DrawnIds(Arc<dyn Entropy>);

const ID_BYTES: usize = 8;

impl ConnectionIdGenerator for DrawnIds {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut id = [0; ID_BYTES];
        self.0
            .fill(&mut id)
            .expect("the machine gives random bytes, as it did at the start");
        ConnectionId::new(&id)
    }

    fn cid_len(&self) -> usize {
        ID_BYTES
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

pub(super) fn server_config(
    plane: Plane,
    identity: &Identity,
    settings: &Settings,
) -> Result<ServerConfig, StartError> {
    let tls = tls::server(identity, plane, &settings.clock).map_err(unusable)?;
    let mut config = ServerConfig::with_crypto(tls);
    // Until the other side has shown who it is, it has one stream and the
    // room of one request to join. `link` opens the rest.
    let mut transport = transport(plane, settings.of(plane));
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(1))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .receive_window(VarInt::from_u32(STRANGER_WINDOW_BYTES));
    config
        .transport_config(Arc::new(transport))
        .max_incoming(INCOMING_WAITING_MAX)
        .incoming_buffer_size(u64::from(STRANGER_WINDOW_BYTES))
        .incoming_buffer_size_total(u64::from(STRANGER_WINDOW_BYTES) * 16);
    Ok(config)
}

pub(super) fn client_config(
    plane: Plane,
    identity: &Identity,
    settings: &Settings,
) -> Result<ClientConfig, StartError> {
    let tls = tls::client(identity, plane, &settings.clock).map_err(unusable)?;
    let mut config = ClientConfig::new(tls);
    config.transport_config(Arc::new(transport(plane, settings.of(plane))));
    Ok(config)
}

fn unusable(error: impl fmt::Display) -> StartError {
    StartError::Identity(error.to_string())
}

/// What a peer may open: one stream each way for frames, and on bulk those
/// that are asked for one by one.
pub(super) fn streams(plane: Plane) -> (VarInt, VarInt) {
    let both_ways = match plane {
        Plane::Control => 0,
        Plane::Bulk => PEER_STREAMS_MAX,
    };
    (VarInt::from_u32(1), VarInt::from_u32(both_ways))
}

/// What is lost is missed this much later at the most.
const ACK_DELAY: Duration = Duration::from_millis(5);

fn transport(plane: Plane, settings: &EndpointSettings) -> TransportConfig {
    let mut transport = TransportConfig::default();
    let (one_way, both_ways) = streams(plane);
    let idle = IdleTimeout::try_from(settings.idle).expect("checked when the socket was bound");
    let mut mtu = MtuDiscoveryConfig::default();
    mtu.upper_bound(settings.mtu_max);
    transport
        .max_concurrent_uni_streams(one_way)
        .max_concurrent_bidi_streams(both_ways)
        .keep_alive_interval(Some(settings.keep_alive))
        .max_idle_timeout(Some(idle))
        .stream_receive_window(VarInt::from_u32(settings.stream_window_bytes))
        .receive_window(VarInt::from_u32(settings.connection_window_bytes))
        .send_window(u64::from(settings.connection_window_bytes))
        .mtu_discovery_config(Some(mtu))
        .enable_segmentation_offload(settings.gso)
        // A LAN, or at the most a site: the default of 333 ms makes the first
        // lost packet of a handshake cost a second.
        .initial_rtt(Duration::from_millis(50))
        .datagram_receive_buffer_size(None)
        .congestion_controller_factory(Arc::new(quinn::congestion::CubicConfig::default()));
    // Nearly all that is said is answered, and an acknowledgement goes with the
    // answer: by itself it would cost either side a packet and a wake-up.
    let mut rarer = AckFrequencyConfig::default();
    rarer
        .ack_eliciting_threshold(VarInt::from_u32(10))
        .max_ack_delay(Some(ACK_DELAY));
    transport.ack_frequency_config(Some(rarer));
    transport
}

/// A joiner's, for one conversation.
pub(super) fn joiner_transport(within: Duration) -> Arc<TransportConfig> {
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .receive_window(VarInt::from_u32(STRANGER_WINDOW_BYTES))
        .initial_rtt(Duration::from_millis(50))
        .max_idle_timeout(IdleTimeout::try_from(within * 2).ok());
    Arc::new(transport)
}

impl Settings {
    pub(super) fn of(&self, plane: Plane) -> &EndpointSettings {
        match plane {
            Plane::Control => &self.control,
            Plane::Bulk => &self.bulk,
        }
    }
}
