//! Where others reach this node.

use super::Shared;
use crate::limits::PLACE_BYTES_MAX;
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

    /// This node as the members' list should have it; None for one by itself.
    pub(super) fn own_member(&self) -> Option<Member> {
        let membership = self.membership();
        if !membership.is_initialised {
            return None;
        }
        let (control, bulk) = self.own_addresses().ok()?;
        let serial = self.identity()?.serial;
        let door = self.zookeeper_at.get();
        Some(Member {
            node: membership.node,
            role: Role::Voter,
            control: control.into(),
            bulk: bulk.into(),
            doors: door
                .map(|at| ("zookeeper".into(), at.as_str().into()))
                .into_iter()
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

/// What a stranger says of where it is reached: a name or an IPv4 address, or
/// an IPv6 address in brackets, and a port.
pub(super) fn check_place(place: &str) -> Result<(), String> {
    let wrong = |why: &str| {
        let place: String = place.chars().take(80).collect();
        Err(format!(
            "{place:?} is no address of a node ({why}): write it as host:port"
        ))
    };
    if place.len() > PLACE_BYTES_MAX {
        return wrong("it is too long");
    }
    let Some((host, port)) = place.rsplit_once(':') else {
        return wrong("it has no port");
    };
    if !port.parse().is_ok_and(|port: u16| port > 0) {
        return wrong("its port is not a number from 1 to 65535");
    }
    let inner = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let is_host = match inner {
        Some(inner) => inner
            .parse::<Ipv6Addr>()
            .is_ok_and(|ip| !ip.is_unspecified()),
        None => is_name(host),
    };
    match is_host {
        true => Ok(()),
        false => wrong("its host is neither a name nor an address"),
    }
}

fn is_name(host: &str) -> bool {
    let of_name = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    !host.is_empty() && host != "0.0.0.0" && host.bytes().all(of_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_host_and_a_port() {
        for good in [
            "10.0.0.2:7300",
            "box-2.site:1",
            "[fd00::2]:65535",
            "node_2:7300",
        ] {
            assert_eq!(check_place(good), Ok(()), "{good}");
        }
        let long = format!("{}:1", "a".repeat(300));
        for bad in [
            "",
            ":7300",
            "box",
            "box:",
            "box:0",
            "box:65536",
            "box:-1",
            "fd00::2:7300",
            "[fd00::2:7300",
            "[box]:7300",
            "0.0.0.0:7300",
            "[::]:7300",
            "a b:1",
            "a/b:1",
            &long,
        ] {
            assert!(check_place(bad).is_err(), "{bad}");
        }
    }
}
