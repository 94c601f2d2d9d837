//! The cluster's own certificate authority. It is made when the cluster is
//! founded, holds one P-256 key, and says which node a key belongs to. A voter
//! holds it, so that any leader can issue; the serials come from the
//! replicated state.

use super::certificate::{name_of, public_key_hash};
use super::identity::Identity;
use super::pem;
use crate::clock::Millis;
use crate::entropy::Entropy;
use crate::ids::{NodeId, Uid};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SerialNumber,
    SignatureAlgorithm, SigningKey, date_time_ymd,
};
use std::fmt;
use std::time::Duration;

/// A leaf's life. Revocation is the member list's matter; this bounds what a
/// key that leaked unseen is good for.
const LEAF_LIFE: Duration = Duration::from_secs(90 * 24 * 3600);
const FIRST_LINE: &str = "dolmen authority, format ";
const FORMAT: u32 = 1;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthorityError {
    /// What the library for certificates said.
    Made(String),
    NotAPublicKey(usize),
    Unreadable(String),
    /// Of a time that a certificate cannot say.
    Time(Millis),
    Chance(String),
}

impl fmt::Display for AuthorityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Made(why) => write!(f, "a key or a certificate could not be made: {why}"),
            Self::NotAPublicKey(length) => write!(
                f,
                "these {length} bytes are no public key: a point on P-256 is 65 bytes, the first a 4"
            ),
            Self::Unreadable(why) => write!(f, "the authority cannot be read: {why}"),
            Self::Time(at) => write!(f, "a certificate cannot begin at {at}: set the clock"),
            Self::Chance(why) => write!(f, "the machine gives no random bytes: {why}"),
        }
    }
}

impl std::error::Error for AuthorityError {}

impl From<rcgen::Error> for AuthorityError {
    fn from(error: rcgen::Error) -> Self {
        Self::Made(error.to_string())
    }
}

/// A node's private key, and what may be shown of it.
pub struct NodeKey(KeyPair);

impl NodeKey {
    pub fn draw() -> Result<Self, AuthorityError> {
        Ok(Self(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?))
    }

    /// A point on P-256, uncompressed.
    pub fn public_key(&self) -> Vec<u8> {
        self.0.public_key_raw().to_vec()
    }

    /// As a certificate's public key hashes.
    pub(super) fn hash(&self) -> [u8; 32] {
        key_hash(&self.0)
    }

    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, AuthorityError> {
        Ok(self.0.sign(message)?)
    }

    /// PKCS #8.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.serialize_der()
    }
}

/// The other half of `NodeKey::sign`.
pub fn is_signed(public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, public_key)
        .verify(message, signature)
        .is_ok()
}

pub struct Authority {
    cluster: Uid,
    key: KeyPair,
    certificate: Vec<u8>,
}

impl Authority {
    pub fn found(cluster: Uid) -> Result<Self, AuthorityError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = own_parameters(cluster).self_signed(&key)?.der().to_vec();
        Ok(Self {
            cluster,
            key,
            certificate,
        })
    }

    pub fn cluster(&self) -> Uid {
        self.cluster
    }

    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// What a token pins: SHA-256 of the public key (SPKI).
    pub fn pin(&self) -> [u8; 32] {
        public_key_hash(&self.certificate).expect("our own certificate can be read")
    }

    /// A certificate for a node's public key, from now on for 90 days. The
    /// serial is given from above and never twice.
    pub fn issue(
        &self,
        node: NodeId,
        public_key: &[u8],
        serial: u64,
        now: Millis,
    ) -> Result<Vec<u8>, AuthorityError> {
        let point = Point::read(public_key)?;
        let begin = date_time_ymd(1970, 1, 1);
        let since = Duration::from_millis(now.0);
        // A certificate's dates end with the year 9999, and adding beyond
        // panics.
        let day_max = Duration::from_secs(8000 * 365 * 24 * 3600);
        if since > day_max {
            return Err(AuthorityError::Time(now));
        }
        let mut leaf = CertificateParams::new([name_of(node, self.cluster)])?;
        leaf.not_before = begin + since;
        leaf.not_after = begin + since + LEAF_LIFE;
        leaf.serial_number = Some(SerialNumber::from(serial));
        leaf.distinguished_name = named(&format!("dolmen node {node}"));
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        leaf.use_authority_key_identifier_extension = true;
        let issuer = Issuer::new(own_parameters(self.cluster), &self.key);
        Ok(leaf.signed_by(&point, &issuer)?.der().to_vec())
    }

    /// An identity with a key of its own, for the founding node and for one
    /// whose certificate ran out while it was switched off.
    pub fn identify(
        &self,
        node: NodeId,
        serial: u64,
        now: Millis,
        entropy: &dyn Entropy,
    ) -> Result<Identity, AuthorityError> {
        let key = NodeKey::draw()?;
        let certificate = self.issue(node, &key.public_key(), serial, now)?;
        Identity::new(certificate, &key, self.certificate.clone(), entropy)
            .map_err(|error| AuthorityError::Unreadable(error.to_string()))
    }

    /// All of it, key included: the form of its file, and of what a new voter
    /// is handed inside the channel between members.
    pub fn export(&self) -> Vec<u8> {
        let mut text = format!("{FIRST_LINE}{FORMAT}\ncluster {}\n", self.cluster);
        text += &pem::write("CERTIFICATE", &self.certificate);
        text += &pem::write("PRIVATE KEY", &self.key.serialize_der());
        text.into_bytes()
    }

    pub fn import(bytes: &[u8]) -> Result<Self, AuthorityError> {
        let unreadable = |why: &str| AuthorityError::Unreadable(why.into());
        let text = std::str::from_utf8(bytes).map_err(|_| unreadable("it is not text"))?;
        pem::check_first_line(text, FIRST_LINE, FORMAT).map_err(AuthorityError::Unreadable)?;
        let cluster = text
            .lines()
            .nth(1)
            .and_then(|line| line.strip_prefix("cluster "));
        let cluster = cluster
            .and_then(super::token::unhex)
            .map(Uid)
            .ok_or_else(|| unreadable("it names no cluster"))?;
        let blocks = pem::read(text).map_err(AuthorityError::Unreadable)?;
        let [certificate, key] = &blocks[..] else {
            return Err(unreadable(
                "it is a certificate and a key, and not both are there",
            ));
        };
        let key_bytes = key.bytes.as_slice();
        let key = KeyPair::try_from(key_bytes)?;
        if public_key_hash(&certificate.bytes) != Some(key_hash(&key)) {
            return Err(unreadable("its key is not its certificate's"));
        }
        Ok(Self {
            cluster,
            key,
            certificate: certificate.bytes.clone(),
        })
    }
}

/// Without the key.
impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authority(of {})", self.cluster)
    }
}

fn key_hash(key: &KeyPair) -> [u8; 32] {
    super::certificate::sha256(&key.subject_public_key_info())
}

/// The same each time, so that the issuer of a leaf is spelled as the
/// authority's certificate spells it. It ends with the calendar: a cluster
/// outlives any date that could be picked, and a box without a clock battery
/// wakes up in 1970.
fn own_parameters(cluster: Uid) -> CertificateParams {
    let mut own = CertificateParams::default();
    own.not_before = date_time_ymd(1970, 1, 1);
    own.not_after = date_time_ymd(9999, 12, 31);
    own.distinguished_name = named(&format!("dolmen cluster {cluster}"));
    own.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    own.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    own
}

fn named(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}

/// A foreign public key: an uncompressed point on P-256.
struct Point(Vec<u8>);

impl Point {
    fn read(bytes: &[u8]) -> Result<Self, AuthorityError> {
        match bytes {
            [4, rest @ ..] if rest.len() == 64 => Ok(Self(bytes.to_vec())),
            _ => Err(AuthorityError::NotAPublicKey(bytes.len())),
        }
    }
}

impl PublicKeyData for Point {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

#[cfg(test)]
mod tests {
    use super::super::certificate::Shown;
    use super::*;

    const NOW: Millis = Millis(1_790_000_000_000);

    #[test]
    fn a_leaf_says_whom_it_is_for() {
        let cluster = Uid([5; 16]);
        let authority = Authority::found(cluster).unwrap();
        let key = NodeKey::draw().unwrap();
        for serial in [1, 0x80, u64::MAX] {
            let leaf = authority
                .issue(NodeId(3), &key.public_key(), serial, NOW)
                .unwrap();
            let shown = Shown {
                node: NodeId(3),
                cluster,
                serial,
                valid_from: NOW,
                valid_until: Millis(NOW.0 + 90 * 24 * 3600 * 1000),
            };
            assert_eq!(Shown::read(&leaf), Ok(shown));
        }
    }

    #[test]
    fn an_authority_reads_back_and_issues_for_the_same_pin() {
        let authority = Authority::found(Uid([5; 16])).unwrap();
        let again = Authority::import(&authority.export()).unwrap();
        assert_eq!(again.pin(), authority.pin());
        assert_eq!(again.export(), authority.export());
    }

    #[test]
    fn what_is_no_authority_is_refused() {
        let authority = Authority::found(Uid([5; 16])).unwrap();
        let other = Authority::found(Uid([5; 16])).unwrap();
        let text = String::from_utf8(authority.export()).unwrap();
        let check = |text: &str, says: &str| {
            let why = Authority::import(text.as_bytes()).unwrap_err().to_string();
            assert!(why.contains(says), "{why}");
        };
        check("", "first line");
        check(
            &text.replace("format 1", "format 2"),
            "format 2, and this build reads format 1",
        );
        check(&text.replace("cluster", "klaster"), "names no cluster");
        let (head, _) = text.split_once("-----BEGIN PRIVATE").unwrap();
        check(head, "not both are there");
        let foreign = pem::write("PRIVATE KEY", &other.key.serialize_der());
        check(&format!("{head}{foreign}"), "not its certificate's");
    }

    #[test]
    fn a_key_that_is_no_point_gets_no_certificate() {
        let authority = Authority::found(Uid([5; 16])).unwrap();
        for key in [&[][..], &[4; 64], &[2; 65], &[4; 66]] {
            let refused = authority.issue(NodeId(3), key, 1, NOW).unwrap_err();
            assert_eq!(refused, AuthorityError::NotAPublicKey(key.len()));
        }
        let key = NodeKey::draw().unwrap().public_key();
        let far = Millis(u64::MAX);
        assert_eq!(
            authority.issue(NodeId(3), &key, 1, far),
            Err(AuthorityError::Time(far))
        );
    }

    #[test]
    fn a_signature_holds_for_its_key_and_words() {
        let (key, other) = (NodeKey::draw().unwrap(), NodeKey::draw().unwrap());
        let signature = key.sign(b"words").unwrap();
        assert!(is_signed(&key.public_key(), b"words", &signature));
        assert!(!is_signed(&key.public_key(), b"word", &signature));
        assert!(!is_signed(&other.public_key(), b"words", &signature));
        assert!(!is_signed(b"", b"words", &signature));
    }
}
