//! Whether the doors can listen, read from the kernel's table of sockets: a
//! trial would take the port from a daemon that is just starting.

use super::super::membership;
use super::super::place::Place;
use super::{Finding, Site};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::MetadataExt;

/// A socket that listens.
struct Listener {
    address: SocketAddr,
    user: u32,
    inode: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Carrier {
    Tcp,
    Udp,
}

impl Carrier {
    const ALL: [Self; 2] = [Self::Tcp, Self::Udp];

    fn tables(self) -> [&'static str; 2] {
        match self {
            Self::Tcp => ["self/net/tcp", "self/net/tcp6"],
            Self::Udp => ["self/net/udp", "self/net/udp6"],
        }
    }

    /// A socket that others may speak to: TCP's that listens, UDP's that is
    /// bound and connected to nobody.
    fn open_state(self) -> &'static str {
        match self {
            Self::Tcp => "0A",
            Self::Udp => "07",
        }
    }
}

struct Door {
    name: &'static str,
    /// The setting that says where it listens.
    key: &'static str,
    address: Option<SocketAddr>,
    carrier: Carrier,
    /// The peers' ports are opened when the node is one of several.
    is_opened: bool,
    /// What others are told, where it is not the address itself.
    advertise: Option<String>,
}

fn doors(site: &Site) -> [Door; 5] {
    let config = &site.config;
    let is_member = membership::is_there(site.data());
    let advertise = &config.peers.advertise;
    [
        Door {
            name: "operator",
            key: "doors.operator.listen",
            address: config.operator_listen,
            carrier: Carrier::Tcp,
            is_opened: true,
            advertise: None,
        },
        Door {
            name: "zookeeper",
            key: "doors.zookeeper.listen",
            address: config.zookeeper.listen,
            carrier: Carrier::Tcp,
            is_opened: true,
            advertise: config.zookeeper.advertise.clone(),
        },
        Door {
            name: "kafka",
            key: "doors.kafka.listen",
            address: config.kafka.listen,
            carrier: Carrier::Tcp,
            is_opened: true,
            advertise: config.kafka.advertise.as_ref().map(Place::to_string),
        },
        Door {
            name: "peers.control",
            key: "peers.control.listen",
            address: Some(config.peers.control_listen),
            carrier: Carrier::Udp,
            is_opened: is_member,
            advertise: advertise.clone(),
        },
        Door {
            name: "peers.bulk",
            key: "peers.bulk.listen",
            address: Some(config.peers.bulk_listen),
            carrier: Carrier::Udp,
            is_opened: is_member,
            advertise: advertise.clone(),
        },
    ]
}

pub(super) fn check(site: &Site) -> Vec<Finding> {
    let listeners = Carrier::ALL.map(|carrier| listeners(site, carrier));
    let doors = doors(site);
    let of_door = |door: &Door| match door.address {
        None => Finding::ok(format!("{}: off", door.name)),
        Some(address) if address.port() == 0 => {
            Finding::ok(format!("{}: any port that is free", door.name))
        }
        Some(address) => of_address(site, door, address, &listeners[door.carrier as usize]),
    };
    let listening = doors.iter().map(of_door);
    listening
        .chain(doors.iter().filter_map(advertised))
        .collect()
}

/// Who comes from elsewhere and is sent to loopback meets itself.
fn advertised(door: &Door) -> Option<Finding> {
    let address = door.address?;
    let advertise = door.advertise.as_ref()?;
    let is_reached = !address.ip().to_canonical().is_loopback();
    let is_misled = is_reached && is_loopback(advertise);
    is_misled.then(|| {
        let key = match door.carrier {
            Carrier::Tcp => format!("doors.{}.advertise", door.name),
            Carrier::Udp => "peers.advertise".into(),
        };
        Finding::warning(
            format!(
                "{}: it listens on {address} and tells others to come to {advertise}, which is \
                 each machine's own",
                door.name
            ),
            format!("set {key} to the name or address by which others reach this machine"),
        )
    })
}

/// A host with or without a port.
fn is_loopback(place: &str) -> bool {
    let host = match place.parse::<IpAddr>() {
        Ok(_) => place,
        Err(_) => place.rsplit_once(':').map_or(place, |(host, _)| host),
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let ip = bare.parse::<IpAddr>();
    bare == "localhost" || ip.is_ok_and(|ip| ip.to_canonical().is_loopback())
}

fn of_address(site: &Site, door: &Door, address: SocketAddr, listeners: &[Listener]) -> Finding {
    let Door {
        name: door,
        key,
        is_opened,
        ..
    } = door;
    let taken = listeners.iter().find(|one| collide(one.address, address));
    let Some(taken) = taken else {
        return match site.holder_pid() {
            Some(_) if !is_opened => Finding::ok(format!(
                "{door}: {address} is free; it is opened when the node is one of several"
            )),
            Some(pid) => Finding::warning(
                format!("{door}: nobody listens on {address}, though pid {pid} holds the data"),
                "`dolmen status` shows where it listens; it may have been started with other \
                 settings",
            ),
            None => Finding::ok(format!("{door}: {address} is free")),
        };
    };
    let pid = owner(site, taken.inode);
    if pid.is_some() && pid == site.holder_pid() {
        return Finding::ok(format!("{door}: the running daemon listens on {address}"));
    }
    let who = match pid {
        Some(pid) => {
            let name = fs::read_to_string(site.roots.proc.join(pid.to_string()).join("comm"));
            format!("pid {pid} ({})", name.unwrap_or_default().trim_end())
        }
        None => format!("a process of uid {}", taken.user),
    };
    let is_of_data_owner = fs::metadata(site.data()).is_ok_and(|data| data.uid() == taken.user);
    if pid.is_none() && is_of_data_owner {
        return Finding::note(format!(
            "{door}: {who}, which owns the data folder too, listens on {address}: the daemon, \
             most likely; run this as root to be sure"
        ));
    }
    Finding::error(
        format!("{door}: {who} listens on {address}"),
        format!("stop it, or set {key} to another address"),
    )
}

/// Whether one keeps the other from listening: the same port on the same
/// address, or on all of them. `[::]` takes IPv4 along.
fn collide(theirs: SocketAddr, ours: SocketAddr) -> bool {
    let all = |ip: IpAddr| ip.is_unspecified();
    let (their_ip, our_ip) = (theirs.ip().to_canonical(), ours.ip().to_canonical());
    theirs.port() == ours.port()
        && (their_ip == our_ip
            || (all(their_ip) && (their_ip.is_ipv6() || our_ip.is_ipv4()))
            || (all(our_ip) && (our_ip.is_ipv6() || their_ip.is_ipv4())))
}

fn listeners(site: &Site, carrier: Carrier) -> Vec<Listener> {
    let tables = carrier.tables().into_iter();
    let texts = tables.filter_map(|name| fs::read_to_string(site.roots.proc.join(name)).ok());
    let mut listeners = Vec::new();
    for text in texts {
        let lines = text.lines().skip(1);
        listeners.extend(lines.filter_map(|line| listener(line, carrier)));
    }
    listeners
}

/// `n: ADDRESS:PORT remote STATE queues timer retransmits uid timeout inode`,
/// as proc_net_tcp in the kernel's documents has it; UDP's table is alike.
fn listener(line: &str, carrier: Carrier) -> Option<Listener> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    if *fields.get(3)? != carrier.open_state() {
        return None;
    }
    let (ip, port) = fields[1].split_once(':')?;
    Some(Listener {
        address: SocketAddr::new(address(ip)?, u16::from_str_radix(port, 16).ok()?),
        user: fields.get(7)?.parse().ok()?,
        inode: fields.get(9)?.parse().ok()?,
    })
}

/// Words of four bytes in the machine's own order.
fn address(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(hex.get(at..at + 8)?, 16).ok();
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?.to_ne_bytes()).into()),
        32 => {
            let mut bytes = [0; 16];
            for (part, at) in bytes.chunks_exact_mut(4).zip([0, 8, 16, 24]) {
                part.copy_from_slice(&word(at)?.to_ne_bytes());
            }
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

/// Only root sees the sockets of others.
fn owner(site: &Site, inode: u64) -> Option<u32> {
    let wanted = format!("socket:[{inode}]");
    let has_it =
        |pid: &u32| {
            let descriptors = fs::read_dir(site.roots.proc.join(pid.to_string()).join("fd"));
            descriptors.into_iter().flatten().flatten().any(|entry| {
                fs::read_link(entry.path()).is_ok_and(|link| link.as_os_str() == &*wanted)
            })
        };
    // The daemon first: it is the likely one.
    let processes = fs::read_dir(&site.roots.proc).ok()?;
    let pids = processes
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    site.holder_pid().into_iter().chain(pids).find(has_it)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_on_all_interfaces_takes_the_port_of_each() {
        let collide =
            |theirs: &str, ours: &str| collide(theirs.parse().unwrap(), ours.parse().unwrap());
        assert!(collide("127.0.0.1:7080", "127.0.0.1:7080"));
        assert!(collide("0.0.0.0:7080", "127.0.0.1:7080"));
        assert!(collide("[::]:7080", "127.0.0.1:7080"));
        assert!(collide("127.0.0.1:7080", "0.0.0.0:7080"));
        assert!(!collide("0.0.0.0:7080", "[::1]:7080"));
        assert!(!collide("127.0.0.1:7081", "127.0.0.1:7080"));
        assert!(!collide("127.0.0.2:7080", "127.0.0.1:7080"));
    }

    #[test]
    fn a_place_on_loopback_is_known_in_every_form() {
        for place in [
            "localhost",
            "localhost:2181",
            "127.0.0.1",
            "127.1.2.3:1",
            "::1",
            "[::1]:7",
        ] {
            assert!(is_loopback(place), "{place}");
        }
        for place in [
            "box",
            "box:2181",
            "10.0.0.1:2181",
            "[fd00::1]:2181",
            "fd00::1",
        ] {
            assert!(!is_loopback(place), "{place}");
        }
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn the_kernel_s_table_is_read() {
        let line = "   0: 0100007F:1BA8 00000000:0000 0A 00000000:00000000 00:00000000 \
                    00000000   997        0 4711 1 0000000000000000 100 0 0 10 0";
        assert!(listener(line, Carrier::Udp).is_none());
        let listener = listener(line, Carrier::Tcp).unwrap();
        assert_eq!(listener.address.to_string(), "127.0.0.1:7080");
        assert_eq!((listener.user, listener.inode), (997, 4711));
        let v6 = address("00000000000000000000000001000000").unwrap();
        assert_eq!(v6.to_string(), "::1");
    }
}
