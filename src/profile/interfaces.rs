//! The addresses of this machine that others may reach it at, and what their
//! interfaces carry.

use super::detect::{Roots, speed_of};
use std::net::IpAddr;

/// Of every interface that is up, by its name; neither loopback nor what holds
/// on one link alone. In the order of the names.
pub fn interface_addresses() -> Vec<(String, IpAddr)> {
    let networks = match sysinfo::Networks::new_with_refreshed_list() {
        Ok(networks) => networks,
        Err(_) => return Vec::new(),
    };
    let mut found: Vec<(String, IpAddr)> = Vec::new();
    for (name, network) in &networks {
        let addresses = network.ip_networks().iter().map(|one| one.addr);
        let reachable = addresses.filter(is_reachable);
        found.extend(reachable.map(|address| (name.to_string_lossy().into_owned(), address)));
    }
    found.sort();
    found.dedup();
    found
}

/// What the interface with this address says that it carries. None for loopback,
/// most virtual ones, and one without a cable.
pub fn speed_mbps(address: IpAddr, roots: &Roots) -> Option<u64> {
    let networks = sysinfo::Networks::new_with_refreshed_list().ok()?;
    let (name, _) = networks.iter().find(|(_, network)| {
        let mut addresses = network.ip_networks().iter().map(|one| one.addr);
        addresses.any(|own| own.to_canonical() == address.to_canonical())
    })?;
    speed_of(&roots.sys.join("class/net").join(name))
}

fn is_reachable(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_link_local() && !ip.is_unspecified(),
        IpAddr::V6(ip) => !ip.is_loopback() && !ip.is_unicast_link_local() && !ip.is_unspecified(),
    }
}

/// The one that a machine is to be named by: the only one, those of IPv6 left
/// aside where there are others. None where it cannot be told.
pub fn only_one(addresses: &[(String, IpAddr)]) -> Option<IpAddr> {
    let of_v4: Vec<IpAddr> = addresses
        .iter()
        .map(|(_, address)| *address)
        .filter(IpAddr::is_ipv4)
        .collect();
    match (&of_v4[..], addresses) {
        ([only], _) => Some(*only),
        ([], [(_, only)]) => Some(*only),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(addresses: &[&str], named_by: Option<&str>) {
        let listed: Vec<(String, IpAddr)> = addresses
            .iter()
            .map(|address| ("eth0".into(), address.parse().unwrap()))
            .collect();
        let reachable: Vec<_> = listed
            .into_iter()
            .filter(|(_, address)| is_reachable(address))
            .collect();
        let named = only_one(&reachable).map(|address| address.to_string());
        assert_eq!(named.as_deref(), named_by, "{addresses:?}");
    }

    #[test]
    fn an_interface_is_found_by_its_address_and_says_what_it_carries() {
        let folder = std::env::temp_dir().join(format!("dolmen-net-{}", std::process::id()));
        let roots = Roots {
            sys: folder.clone(),
            ..Roots::default()
        };
        let loopback = folder.join("class/net/lo");
        std::fs::create_dir_all(&loopback).unwrap();
        for (says, expected) in [("2500", Some(2500)), ("-1", None), ("", None)] {
            std::fs::write(loopback.join("speed"), format!("{says}\n")).unwrap();
            for address in ["127.0.0.1", "::ffff:127.0.0.1"] {
                assert_eq!(
                    speed_mbps(address.parse().unwrap(), &roots),
                    expected,
                    "{says}"
                );
            }
        }
        std::fs::write(loopback.join("speed"), "2500\n").unwrap();
        // Of the documents' network: nobody has it.
        assert_eq!(speed_mbps("192.0.2.1".parse().unwrap(), &roots), None);
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_machine_is_named_by_the_only_address_that_others_may_reach() {
        check(
            &["127.0.0.1", "::1", "10.0.0.2", "fe80::1"],
            Some("10.0.0.2"),
        );
        check(&["10.0.0.2", "fd00::2"], Some("10.0.0.2"));
        check(&["127.0.0.1", "fd00::2", "fe80::1"], Some("fd00::2"));
        check(&["10.0.0.2", "192.168.1.2"], None);
        check(&["fd00::2", "fd00::3"], None);
        check(&["127.0.0.1", "169.254.3.4"], None);
    }
}
