//! Whether the doors can listen, read from the kernel's table of sockets: a
//! trial would take the port from a daemon that is just starting.

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

pub(super) fn check(site: &Site) -> Vec<Finding> {
    let doors = [("operator", site.config.operator_listen)];
    let listeners = listeners(site);
    let of_door = |(door, address): (&str, Option<SocketAddr>)| match address {
        None => Finding::ok(format!("{door}: off")),
        Some(address) if address.port() == 0 => {
            Finding::ok(format!("{door}: any port that is free"))
        }
        Some(address) => of_address(site, door, address, &listeners),
    };
    doors.into_iter().map(of_door).collect()
}

fn of_address(site: &Site, door: &str, address: SocketAddr, listeners: &[Listener]) -> Finding {
    let taken = listeners.iter().find(|one| collide(one.address, address));
    let Some(taken) = taken else {
        return match site.holder_pid() {
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
        format!("stop it, or set doors.{door}.listen to another address"),
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

fn listeners(site: &Site) -> Vec<Listener> {
    let tables = ["self/net/tcp", "self/net/tcp6"].into_iter();
    let texts = tables.filter_map(|name| fs::read_to_string(site.roots.proc.join(name)).ok());
    let mut listeners = Vec::new();
    for text in texts {
        listeners.extend(text.lines().skip(1).filter_map(listener));
    }
    listeners
}

/// `n: ADDRESS:PORT remote STATE queues timer retransmits uid timeout inode`,
/// state 0A being one that listens (proc_net_tcp in the kernel's documents).
fn listener(line: &str) -> Option<Listener> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    if *fields.get(3)? != "0A" {
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
    #[cfg(target_endian = "little")]
    fn the_kernel_s_table_is_read() {
        let line = "   0: 0100007F:1BA8 00000000:0000 0A 00000000:00000000 00:00000000 \
                    00000000   997        0 4711 1 0000000000000000 100 0 0 10 0";
        let listener = listener(line).unwrap();
        assert_eq!(listener.address.to_string(), "127.0.0.1:7080");
        assert_eq!((listener.user, listener.inode), (997, 4711));
        let v6 = address("00000000000000000000000001000000").unwrap();
        assert_eq!(v6.to_string(), "::1");
    }
}
