//! The addresses of this machine that others may reach it at.

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
