//! Who may do what: the check against a node's access list, and what becomes
//! of a list that a client sends.

use super::acl::{Acl, AclEntry, Identity, Permissions};
use super::error::Error;
// The address types of `core`: pure values, no sockets.
use core::net::IpAddr;

/// The superuser's scheme: whoever bears it may do everything.
const SUPER: &str = "super";

pub(super) fn anyone(permissions: Permissions) -> Acl {
    vec![AclEntry {
        permissions,
        who: Identity::new("world", "anyone"),
    }]
}

pub(super) fn is_super(who: &[Identity]) -> bool {
    who.iter().any(|identity| &*identity.scheme == SUPER)
}

/// Whether one of the permissions is given to one of the identities.
pub(super) fn allows(acl: &Acl, wanted: Permissions, who: &[Identity]) -> bool {
    let mut entries = acl.iter().filter(|entry| entry.permissions.has(wanted));
    is_super(who)
        || entries
            .any(|entry| is_anyone(&entry.who) || who.iter().any(|one| matches(one, &entry.who)))
}

fn is_anyone(identity: &Identity) -> bool {
    &*identity.scheme == "world" && &*identity.id == "anyone"
}

fn matches(one: &Identity, listed: &Identity) -> bool {
    one.scheme == listed.scheme
        && match &*listed.scheme {
            "ip" => Network::parse(&listed.id).is_some_and(|network| network.holds(&one.id)),
            _ => one.id == listed.id,
        }
}

/// The list as it is kept: repeated entries once, `auth` replaced by whom the
/// sender has shown to be.
pub(super) fn resolve(sent: &Acl, who: &[Identity]) -> Result<Acl, Error> {
    let mut acl = Acl::new();
    for (n, entry) in sent.iter().enumerate() {
        if sent[..n].contains(entry) {
            continue;
        }
        match &*entry.who.scheme {
            "auth" => {
                let shown: Vec<&Identity> = who.iter().filter(|one| is_shown(one)).collect();
                if shown.is_empty() {
                    return Err(Error::InvalidAcl);
                }
                acl.extend(shown.into_iter().map(|one| AclEntry {
                    permissions: entry.permissions,
                    who: one.clone(),
                }));
            }
            _ if is_valid(&entry.who) => acl.push(entry.clone()),
            _ => return Err(Error::InvalidAcl),
        }
    }
    if acl.is_empty() {
        return Err(Error::InvalidAcl);
    }
    Ok(acl)
}

/// An address shows nobody, and the superuser is no name to put on a list.
fn is_shown(identity: &Identity) -> bool {
    matches!(&*identity.scheme, "digest" | "sasl" | "x509")
}

fn is_valid(identity: &Identity) -> bool {
    let id = &*identity.id;
    match &*identity.scheme {
        "world" => id == "anyone",
        "digest" => {
            id.split(':').filter(|part| !part.is_empty()).count() == 2
                && id.matches(':').count() == 1
        }
        "ip" => Network::parse(id).is_some(),
        "sasl" | "x509" => !id.is_empty(),
        _ => false,
    }
}

/// The list as it is shown to who may not administer the node: no hashes.
pub(super) fn masked(acl: &Acl) -> Acl {
    let mut acl = acl.clone();
    for entry in &mut acl {
        if let ("digest", Some((user, _))) = (&*entry.who.scheme, entry.who.id.split_once(':')) {
            entry.who.id = format!("{user}:x").into();
        }
    }
    acl
}

/// Addresses that begin with the same bits: `10.0.0.0/8`, or one address.
struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse().ok()?,
            None => bits_max,
        };
        (bits <= bits_max).then_some(Self { address, bits })
    }

    fn holds(&self, address: &str) -> bool {
        match (self.address, address.parse()) {
            (IpAddr::V4(a), Ok(IpAddr::V4(b))) => {
                let differ = (a.to_bits() ^ b.to_bits()).leading_zeros();
                differ >= self.bits
            }
            (IpAddr::V6(a), Ok(IpAddr::V6(b))) => {
                let differ = (a.to_bits() ^ b.to_bits()).leading_zeros();
                differ >= self.bits
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[(&str, &str, Permissions)]) -> Acl {
        let entry = |&(scheme, id, permissions): &(&str, &str, _)| AclEntry {
            permissions,
            who: Identity::new(scheme, id),
        };
        entries.iter().map(entry).collect()
    }

    #[test]
    fn an_address_is_held_by_its_network() {
        let check = |network: &str, address: &str, holds| {
            let acl = list(&[("ip", network, Permissions::READ)]);
            let who = [Identity::new("ip", address)];
            assert_eq!(
                allows(&acl, Permissions::READ, &who),
                holds,
                "{network} {address}"
            );
        };
        check("10.1.2.3", "10.1.2.3", true);
        check("10.1.2.3", "10.1.2.4", false);
        check("10.1.0.0/16", "10.1.200.4", true);
        check("10.1.0.0/16", "10.2.0.0", false);
        check("0.0.0.0/0", "1.2.3.4", true);
        check("0.0.0.0/0", "::1", false);
        check("fd00::/8", "fd12::1", true);
        check("fd00::/8", "fe80::1", false);
        check("10.1.0.0/33", "10.1.0.0", false);
    }

    #[test]
    fn lists_are_resolved_or_refused() {
        let who = [
            Identity::new("ip", "10.0.0.1"),
            Identity::new("digest", "ann:hash"),
            Identity::new("sasl", "ann"),
        ];
        let all = Permissions::ALL;
        let resolved = resolve(&list(&[("auth", "", all), ("world", "anyone", all)]), &who);
        let expected = [
            ("digest", "ann:hash", all),
            ("sasl", "ann", all),
            ("world", "anyone", all),
        ];
        assert_eq!(resolved, Ok(list(&expected)));
        let twice = list(&[("world", "anyone", all), ("world", "anyone", all)]);
        assert_eq!(resolve(&twice, &who), Ok(anyone(all)));
        for bad in [
            ("world", "somebody"),
            ("digest", "ann"),
            ("digest", "a:b:c"),
            ("ip", "10.0.0.256"),
            ("ip", "10.0.0.1/x"),
            ("super", "ann"),
            ("kerberos", "ann"),
            ("sasl", ""),
        ] {
            let sent = list(&[("world", "anyone", all), (bad.0, bad.1, all)]);
            assert_eq!(resolve(&sent, &who), Err(Error::InvalidAcl), "{bad:?}");
        }
        assert_eq!(resolve(&list(&[]), &who), Err(Error::InvalidAcl));
        assert_eq!(
            resolve(&list(&[("auth", "", all)]), &who[..1]),
            Err(Error::InvalidAcl)
        );
    }
}
