//! Who a node is to its peers: its certificate and key, the authority that
//! both sides trust, and the key by which a restarted process resets
//! connections of its former life.

use super::authority::NodeKey;
use super::certificate::{NotOurs, Shown, public_key_hash};
use super::pem;
use crate::clock::Millis;
use crate::entropy::Entropy;
use crate::ids::{NodeId, Uid};
use std::fmt;

const FIRST_LINE: &str = "dolmen node identity, format ";
const FORMAT: u32 = 1;
const RESET_KEY: &str = "DOLMEN RESET KEY";

#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    pub node: NodeId,
    pub cluster: Uid,
    /// Of its certificate.
    pub serial: u64,
    pub valid_from: Millis,
    pub valid_until: Millis,
    pub(super) certificate: Vec<u8>,
    /// PKCS #8.
    pub(super) key: Vec<u8>,
    /// The authority's certificate.
    pub(super) authority: Vec<u8>,
    pub(super) reset_key: [u8; 32],
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unusable {
    Certificate(NotOurs),
    Authority,
    /// A renewal that does not follow from what the node has.
    NotForUs(&'static str),
    Chance(String),
    Text(String),
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate(why) => write!(f, "the node's certificate cannot be used: {why}"),
            Self::Authority => write!(f, "the authority's certificate is none"),
            Self::NotForUs(why) => write!(f, "the renewed certificate cannot be used: {why}"),
            Self::Chance(why) => write!(f, "the machine gives no random bytes: {why}"),
            Self::Text(why) => write!(f, "the node's identity cannot be read: {why}"),
        }
    }
}

impl std::error::Error for Unusable {}

impl Identity {
    pub fn new(
        certificate: Vec<u8>,
        key: &NodeKey,
        authority: Vec<u8>,
        entropy: &dyn Entropy,
    ) -> Result<Self, Unusable> {
        let mut reset_key = [0; 32];
        entropy
            .fill(&mut reset_key)
            .map_err(|error| Unusable::Chance(error.to_string()))?;
        Self::of_parts(certificate, key.to_bytes(), authority, reset_key)
    }

    fn of_parts(
        certificate: Vec<u8>,
        key: Vec<u8>,
        authority: Vec<u8>,
        reset_key: [u8; 32],
    ) -> Result<Self, Unusable> {
        let shown = Shown::read(&certificate).map_err(Unusable::Certificate)?;
        public_key_hash(&authority).ok_or(Unusable::Authority)?;
        Ok(Self {
            node: shown.node,
            cluster: shown.cluster,
            serial: shown.serial,
            valid_from: shown.valid_from,
            valid_until: shown.valid_until,
            certificate,
            key,
            authority,
            reset_key,
        })
    }

    /// The same node with a new certificate and key. The reset key stays, for
    /// connections outlive a renewal.
    pub fn renewed(&self, certificate: Vec<u8>, key: &NodeKey) -> Result<Self, Unusable> {
        if public_key_hash(&certificate) != Some(key.hash()) {
            return Err(Unusable::NotForUs("it is for another key"));
        }
        let (authority, reset_key) = (self.authority.clone(), self.reset_key);
        let renewed = Self::of_parts(certificate, key.to_bytes(), authority, reset_key)?;
        if (renewed.node, renewed.cluster) != (self.node, self.cluster) {
            return Err(Unusable::NotForUs("it is another node's"));
        }
        if renewed.serial < self.serial {
            return Err(Unusable::NotForUs("it is older than the one in use"));
        }
        Ok(renewed)
    }

    /// Two thirds of its certificate's life: 30 days remain for a renewal that
    /// does not come through at once.
    pub fn renew_at(&self) -> Millis {
        let life = self.valid_until.0.saturating_sub(self.valid_from.0);
        Millis(self.valid_from.0 + life / 3 * 2)
    }

    /// What a joiner's token pins.
    pub fn pin(&self) -> [u8; 32] {
        public_key_hash(&self.authority).expect("checked when the identity was made")
    }

    /// The form of its file: text with the key in it. Key and certificate
    /// stand together, so that one rename swaps both.
    pub fn encode(&self) -> String {
        [
            format!("{FIRST_LINE}{FORMAT}\n"),
            pem::write("CERTIFICATE", &self.certificate),
            pem::write("CERTIFICATE", &self.authority),
            pem::write("PRIVATE KEY", &self.key),
            pem::write(RESET_KEY, &self.reset_key),
        ]
        .concat()
    }

    pub fn parse(text: &str) -> Result<Self, Unusable> {
        pem::check_first_line(text, FIRST_LINE, FORMAT).map_err(Unusable::Text)?;
        let blocks = pem::read(text).map_err(Unusable::Text)?;
        let labels: Vec<&str> = blocks.iter().map(|block| block.label.as_str()).collect();
        if labels != ["CERTIFICATE", "CERTIFICATE", "PRIVATE KEY", RESET_KEY] {
            let found = format!("it holds {labels:?}; it was cut short or changed");
            return Err(Unusable::Text(found));
        }
        let mut parts = blocks.into_iter().map(|block| block.bytes);
        let mut next = || parts.next().unwrap_or_default();
        let (certificate, authority, key) = (next(), next(), next());
        let reset_key = <[u8; 32]>::try_from(next())
            .map_err(|_| Unusable::Text("its reset key is not 32 bytes".into()))?;
        Self::of_parts(certificate, key, authority, reset_key)
    }
}

/// Without the keys.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Identity(node {} of {}, serial {})",
            self.node, self.cluster, self.serial
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::authority::Authority;
    use super::*;
    use crate::entropy::MachineEntropy;

    const NOW: Millis = Millis(1_790_000_000_000);
    const DAY: u64 = 24 * 3600 * 1000;

    fn identity() -> (Authority, Identity) {
        let authority = Authority::found(Uid([9; 16])).unwrap();
        let identity = authority.identify(NodeId(2), 7, NOW, &MachineEntropy);
        (authority, identity.unwrap())
    }

    #[test]
    fn it_reads_back() {
        let (authority, identity) = identity();
        assert_eq!(Identity::parse(&identity.encode()), Ok(identity.clone()));
        assert_eq!(identity.pin(), authority.pin());
        assert_eq!(identity.renew_at(), Millis(NOW.0 + 60 * DAY));
    }

    #[test]
    fn a_renewal_keeps_the_reset_key() {
        let (authority, old) = identity();
        let key = NodeKey::draw().unwrap();
        let later = Millis(NOW.0 + 60 * DAY);
        let leaf = authority.issue(NodeId(2), &key.public_key(), 8, later);
        let new = old.renewed(leaf.unwrap(), &key).unwrap();
        assert_eq!((new.serial, new.renew_at()), (8, Millis(NOW.0 + 120 * DAY)));
        assert_eq!(new.reset_key, old.reset_key);
        assert_ne!(new.key, old.key);
    }

    #[test]
    fn a_renewal_for_somebody_else_is_refused() {
        let (authority, old) = identity();
        let (key, other) = (NodeKey::draw().unwrap(), NodeKey::draw().unwrap());
        let issue = |node, serial| authority.issue(NodeId(node), &key.public_key(), serial, NOW);
        assert!(old.renewed(issue(2, 8).unwrap(), &key).is_ok());
        for (node, serial, key) in [(2, 8, &other), (3, 8, &key), (2, 6, &key)] {
            let renewed = old.renewed(issue(node, serial).unwrap(), key);
            assert!(matches!(renewed, Err(Unusable::NotForUs(_))), "{renewed:?}");
        }
    }

    #[test]
    fn a_file_that_is_not_whole_is_refused() {
        let (_, identity) = identity();
        let text = identity.encode();
        let (head, _) = text.split_once("-----BEGIN DOLMEN").unwrap();
        let check = |text: &str, says: &str| {
            let why = Identity::parse(text).unwrap_err().to_string();
            assert!(why.contains(says), "{why}");
        };
        check(head, "cut short");
        check(&text[..text.len() / 2], "no end");
        check(
            &text.replace("format 1", "format 3"),
            "format 3, and this build reads format 1",
        );
    }

    #[test]
    fn keys_stay_out_of_logs() {
        let (_, identity) = identity();
        assert_eq!(
            format!("{identity:?}"),
            format!("Identity(node 2 of {}, serial 7)", identity.cluster)
        );
    }
}
