//! Where others reach this node.

use super::super::place::Place;
use super::Shared;
use crate::peers::{PeerAddress, Plane};
use crate::profile::{interface_addresses, only_one};
use crate::state::{Member, Role};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

impl Shared {
    /// The host by which the other members reach this node.
    pub(super) fn own_host(&self) -> Result<String, String> {
        let others = self.membership().peers;
        let mut hosts = others
            .iter()
            .filter_map(|peer| peer.control.parse::<SocketAddr>().ok());
        self.host_towards(hosts.next().map(|other| other.ip()))
    }

    /// The host by which a machine there reaches this node; whichever machine
    /// where none is named.
    fn host_towards(&self, there: Option<IpAddr>) -> Result<String, String> {
        let peers = &self.config.peers;
        if let Some(host) = &peers.advertise {
            return Ok(host.clone());
        }
        let ip = peers.control_listen.ip();
        if !ip.is_unspecified() {
            return Ok(ip.to_string());
        }
        if let Some(own) = there.and_then(|there| interface_towards(there).ok()) {
            return Ok(own.to_string());
        }
        // A site whose network leads nowhere else has no route to the world.
        let own = interface_towards(WORLD).or_else(|_| the_only_interface())?;
        Ok(own.to_string())
    }

    /// Of the control and the bulk endpoint, for the members.
    pub(super) fn own_addresses(&self) -> Result<(String, String), String> {
        self.addresses_at(self.own_host()?)
    }

    /// The same, for a cluster that is reached at this host.
    pub(super) fn own_addresses_towards(&self, host: &str) -> Result<(String, String), String> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        self.addresses_at(self.host_towards(bare.parse().ok())?)
    }

    fn addresses_at(&self, host: String) -> Result<(String, String), String> {
        let bracketed = match host.contains(':') {
            true => format!("[{host}]"),
            false => host,
        };
        let configured = &self.config.peers;
        let at = |plane, key: &str, listen: SocketAddr| {
            let listens_at = self.peers.get().map(|peers| peers.listens_at(plane));
            match listens_at.unwrap_or(listen).port() {
                0 => Err(format!(
                    "others must know where to reach this node: set {key} with a port"
                )),
                port => Ok(format!("{bracketed}:{port}")),
            }
        };
        let control = at(
            Plane::Control,
            "peers.control.listen",
            configured.control_listen,
        )?;
        let bulk = at(Plane::Bulk, "peers.bulk.listen", configured.bulk_listen)?;
        Ok((control, bulk))
    }

    /// Where clients come, by the doors' names.
    pub(super) fn doors(&self) -> impl Iterator<Item = (&'static str, String)> {
        let kafka = self.broker.get().and_then(|broker| broker.place());
        let zookeeper = self.zookeeper_at.get().cloned();
        let doors = [
            ("kafka", kafka.map(|place| place.to_string())),
            ("zookeeper", zookeeper),
        ];
        let open = doors.into_iter();
        open.filter_map(|(name, at)| Some((name, at?)))
    }

    /// This node as the members' list should have it; None for one by itself.
    pub(super) fn own_member(&self) -> Option<Member> {
        let membership = self.membership();
        if !membership.is_initialised {
            return None;
        }
        let (control, bulk) = self.own_addresses().ok()?;
        let serial = self.identity()?.serial;
        Some(Member {
            node: membership.node,
            role: Role::Voter,
            control: control.into(),
            bulk: bulk.into(),
            doors: self
                .doors()
                .map(|(name, at)| (name.into(), at.into()))
                .collect(),
            certificate: serial,
        })
    }
}

/// An address of RFC 5737, for documents: it is nobody's.
const WORLD: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// The address of the interface that a machine is reached by. Nothing is sent.
fn interface_towards(there: IpAddr) -> io::Result<IpAddr> {
    let unspecified: IpAddr = match there {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((unspecified, 0))?;
    socket.connect((there, 9))?;
    Ok(socket.local_addr()?.ip())
}

fn the_only_interface() -> Result<IpAddr, String> {
    let addresses = interface_addresses();
    if let Some(only) = only_one(&addresses) {
        return Ok(only);
    }
    let listed: Vec<String> = addresses
        .iter()
        .map(|(interface, address)| format!("{interface} {address}"))
        .collect();
    Err(match listed.is_empty() {
        true => "this machine has no address to be reached at: give an interface one, or set \
                 peers.advertise"
            .into(),
        false => format!(
            "this machine has several addresses ({}) and no default route that tells which the \
             other machines reach: set peers.advertise to that one",
            listed.join(", ")
        ),
    })
}

pub(super) fn address_of(member: &Member) -> PeerAddress {
    PeerAddress {
        node: member.node,
        control: member.control.to_string(),
        bulk: member.bulk.to_string(),
        certificate: member.certificate,
    }
}

/// What a stranger says of where it is reached.
pub(super) fn check_place(text: &str) -> Result<(), String> {
    Place::parse(text).map(drop).map_err(|why| {
        let text: String = text.chars().take(80).collect();
        format!("{text:?} is no address of a node ({why}): write it as host:port")
    })
}
