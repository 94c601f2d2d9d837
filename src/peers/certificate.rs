//! What a certificate of ours says: which node of which cluster, how long, and
//! its serial. The name is its only subject alternative name,
//! `node-<id>.<cluster>.dolmen.internal`.

use super::token::unhex;
use crate::clock::Millis;
use crate::ids::{NodeId, Uid};
use ring::digest::{SHA256, digest};
use std::fmt;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

const DOMAIN: &str = "dolmen.internal";

/// A certificate's contents, after its chain was checked or before. Reading
/// proves nothing by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub node: NodeId,
    pub cluster: Uid,
    pub serial: u64,
    pub valid_from: Millis,
    pub valid_until: Millis,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotOurs {
    NotACertificate,
    /// The names it carries.
    Name(String),
    Serial,
    Time,
}

impl fmt::Display for NotOurs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotACertificate => write!(f, "it is not an X.509 certificate"),
            Self::Name(found) => write!(
                f,
                "a node's certificate carries the one name node-ID.CLUSTER.{DOMAIN}, \
                 and this one {found}"
            ),
            Self::Serial => write!(f, "its serial is not a number of 64 bits"),
            Self::Time => write!(f, "it begins or ends before 1970"),
        }
    }
}

impl std::error::Error for NotOurs {}

pub(super) fn name_of(node: NodeId, cluster: Uid) -> String {
    format!("node-{node}.{cluster}.{DOMAIN}")
}

impl Shown {
    pub(super) fn read(der: &[u8]) -> Result<Self, NotOurs> {
        let parsed = parse(der).ok_or(NotOurs::NotACertificate)?;
        let (node, cluster) = name_in(&parsed)?;
        let validity = parsed.validity();
        let millis = |seconds: i64| {
            let seconds = u64::try_from(seconds).map_err(|_| NotOurs::Time)?;
            Ok(Millis(seconds.saturating_mul(1000)))
        };
        Ok(Self {
            node,
            cluster,
            serial: serial(parsed.raw_serial()).ok_or(NotOurs::Serial)?,
            valid_from: millis(validity.not_before.timestamp())?,
            valid_until: millis(validity.not_after.timestamp())?,
        })
    }
}

fn parse(der: &[u8]) -> Option<X509Certificate<'_>> {
    match X509Certificate::from_der(der) {
        Ok(([], parsed)) => Some(parsed),
        _ => None,
    }
}

fn name_in(parsed: &X509Certificate<'_>) -> Result<(NodeId, Uid), NotOurs> {
    let names = match parsed.subject_alternative_name() {
        Ok(Some(extension)) => &extension.value.general_names[..],
        _ => &[],
    };
    if let [GeneralName::DNSName(name)] = names
        && let Some(found) = parse_name(name)
    {
        return Ok(found);
    }
    let found: Vec<String> = names.iter().take(4).map(GeneralName::to_string).collect();
    Err(NotOurs::Name(format!("[{}]", found.join(", "))))
}

/// Only the form that `name_of` writes, so that a name has one reading.
fn parse_name(name: &str) -> Option<(NodeId, Uid)> {
    let rest = name.strip_prefix("node-")?;
    let (node, rest) = rest.split_once('.')?;
    let cluster = rest.strip_suffix(DOMAIN)?.strip_suffix('.')?;
    let found = (NodeId(node.parse().ok()?), Uid(unhex(cluster)?));
    (name_of(found.0, found.1) == name).then_some(found)
}

/// DER writes a number with as few bytes as it takes, and a zero before a
/// first bit that would read as a sign.
fn serial(raw: &[u8]) -> Option<u64> {
    let first = raw.iter().position(|byte| *byte != 0).unwrap_or(raw.len());
    let significant = &raw[first..];
    if significant.len() > 8 {
        return None;
    }
    Some(
        significant
            .iter()
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
    )
}

/// SHA-256 over a certificate's public key as it stands there (SPKI).
pub(super) fn public_key_hash(der: &[u8]) -> Option<[u8; 32]> {
    let parsed = parse(der)?;
    Some(sha256(parsed.public_key().raw))
}

pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_reading() {
        let cluster = Uid([0xc1; 16]);
        let name = name_of(NodeId(12), cluster);
        assert_eq!(parse_name(&name), Some((NodeId(12), cluster)));
        for other in [
            name.replace("node-12", "node-012"),
            name.replace("node-12", "node-+12"),
            name.to_uppercase(),
            name.replace("c1c1", "C1c1"),
            name.replace("c1c1", "c1"),
            format!("{name}."),
            format!("x.{name}"),
            name.replace(".internal", ".example"),
        ] {
            assert_eq!(parse_name(&other), None, "{other}");
        }
    }

    #[test]
    fn a_serial_of_more_than_64_bits_is_none() {
        assert_eq!(serial(&[0]), Some(0));
        assert_eq!(serial(&[0, 0xff, 1]), Some(0xff01));
        assert_eq!(
            serial(&[0, 255, 255, 255, 255, 255, 255, 255, 255]),
            Some(u64::MAX)
        );
        assert_eq!(serial(&[1, 0, 0, 0, 0, 0, 0, 0, 0]), None);
    }

    #[test]
    fn noise_is_no_certificate() {
        assert_eq!(Shown::read(b""), Err(NotOurs::NotACertificate));
        assert_eq!(Shown::read(&[0x30; 400]), Err(NotOurs::NotACertificate));
    }
}
