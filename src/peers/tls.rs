//! TLS: between nodes, at a joiner's first call, and on clients' doors.
//!
//! Between nodes both sides show a certificate of the cluster's authority. A
//! server lets a connection without one through the handshake, since a joiner
//! has none; what it may say then is `strangers`' matter.
//!
//! A certificate that begins in the future is accepted, with a warning. Boxes
//! without a clock battery wake up in the past, and must find each other
//! before anybody can tell them the time. Nothing is lost by it: the authority
//! issues for now only, and the least serial of each member says what is too
//! old. One that has ended is refused.
//!
//! No session is resumed: each connection shows its certificate again.

use super::address::Plane;
use super::certificate::{NotOurs, Shown, name_of, public_key_hash};
use super::identity::Identity;
use crate::clock::{Clock, Millis};
use crate::ids::NodeId;
use quinn::crypto::rustls::{HandshakeData, QuicClientConfig, QuicServerConfig};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier};
use rustls::time_provider::TimeProvider;
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, OtherError,
    RootCertStore, ServerConfig, SignatureScheme,
};
use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What a joiner speaks, on the control port.
pub(super) const JOIN_PROTOCOL: &[u8] = b"dolmen-join/1";

/// What a member's connection is opened with and accepted by.
pub(super) fn server(
    identity: &Identity,
    plane: Plane,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<QuicServerConfig>, Error> {
    let verifier = MemberVerifier::new(identity)?;
    let mut config = ServerConfig::builder_with_details(provider(), wall(clock))
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_single_cert(chain(identity), key(identity))?;
    config.alpn_protocols = vec![plane.protocol().to_vec()];
    if plane == Plane::Control {
        config.alpn_protocols.push(JOIN_PROTOCOL.to_vec());
    }
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(quic(config.try_into())?))
}

pub(super) fn client(
    identity: &Identity,
    plane: Plane,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<QuicClientConfig>, Error> {
    let verifier = MemberVerifier::new(identity)?;
    let mut config = ClientConfig::builder_with_details(provider(), wall(clock))
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_auth_cert(chain(identity), key(identity))?;
    config.alpn_protocols = vec![plane.protocol().to_vec()];
    config.resumption = Resumption::disabled();
    Ok(Arc::new(quic(config.try_into())?))
}

/// Trusts the authority whose public key has this hash, shows nothing.
pub(super) fn joiner(
    pin: [u8; 32],
    clock: &Arc<dyn Clock>,
) -> Result<Arc<QuicClientConfig>, Error> {
    pinned(pin, JOIN_PROTOCOL, None, clock)
}

/// A caller that speaks what it likes and shows what it likes, for tests.
#[cfg(test)]
pub(super) fn nobody(
    pin: [u8; 32],
    protocol: &[u8],
    shows: Option<&Identity>,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<QuicClientConfig>, Error> {
    pinned(pin, protocol, shows, clock)
}

fn pinned(
    pin: [u8; 32],
    protocol: &[u8],
    shows: Option<&Identity>,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<QuicClientConfig>, Error> {
    let builder = ClientConfig::builder_with_details(provider(), wall(clock))
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(PinVerifier { pin }));
    let mut config = match shows {
        None => builder.with_no_client_auth(),
        Some(identity) => builder.with_client_auth_cert(chain(identity), key(identity))?,
    };
    config.alpn_protocols = vec![protocol.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(Arc::new(quic(config.try_into())?))
}

/// The name that a member answers to.
pub(super) fn server_name(identity: &Identity, node: NodeId) -> String {
    name_of(node, identity.cluster)
}

/// Whether an authority issued a certificate, and it has not ended.
pub(super) fn check_issued(certificate: &[u8], authority: &[u8], now: Millis) -> Result<(), Error> {
    let leaf = CertificateDer::from(certificate.to_vec());
    let now = tolerant(&read(&leaf)?, unix(now.0));
    check_chain(&leaf, &[], &*roots(authority)?, now)
}

/// The first certificate that the other side showed; its chain was checked in
/// the handshake.
pub(super) fn shown(identity: Option<Box<dyn Any>>) -> Option<Result<Shown, NotOurs>> {
    let chain = identity?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    Some(Shown::read(chain.first()?))
}

pub(super) fn protocol(handshake: Option<Box<dyn Any>>) -> Option<Vec<u8>> {
    handshake?.downcast::<HandshakeData>().ok()?.protocol
}

/// The cipher that a processor with AES instructions runs at the speed of
/// memory comes first; without them ChaCha20 is twice as fast.
fn provider() -> Arc<CryptoProvider> {
    let mut provider = rustls::crypto::ring::default_provider();
    let wanted = match has_aes() {
        true => rustls::CipherSuite::TLS13_AES_128_GCM_SHA256,
        false => rustls::CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
    };
    provider
        .cipher_suites
        .sort_by_key(|suite| suite.suite() != wanted);
    Arc::new(provider)
}

fn has_aes() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("aes");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    return false;
}

fn chain(identity: &Identity) -> Vec<CertificateDer<'static>> {
    // The authority goes along: a joiner has only its hash.
    vec![
        identity.certificate.clone().into(),
        identity.authority.clone().into(),
    ]
}

fn key(identity: &Identity) -> PrivateKeyDer<'static> {
    PrivatePkcs8KeyDer::from(identity.key.clone()).into()
}

fn quic<T, E: fmt::Display>(converted: Result<T, E>) -> Result<T, Error> {
    converted.map_err(|error| Error::General(error.to_string()))
}

/// The wall clock of the seam, so that a test can set it.
struct Wall(Arc<dyn Clock>);

fn wall(clock: &Arc<dyn Clock>) -> Arc<dyn TimeProvider> {
    Arc::new(Wall(clock.clone()))
}

impl TimeProvider for Wall {
    fn current_time(&self) -> Option<UnixTime> {
        Some(unix(self.0.now().0))
    }
}

impl fmt::Debug for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wall")
    }
}

fn unix(millis: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_millis(millis))
}

/// Now, or the certificate's beginning where that is later.
fn tolerant(shown: &Shown, now: UnixTime) -> UnixTime {
    let begins = unix(shown.valid_from.0);
    if begins <= now {
        return now;
    }
    tracing::warn!(
        "the certificate of node {} begins at {}, which this machine's clock has not reached: \
         set the clock",
        shown.node,
        shown.valid_from
    );
    begins
}

fn roots(authority: &[u8]) -> Result<Arc<RootCertStore>, Error> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(authority.to_vec()))?;
    Ok(Arc::new(roots))
}

/// Both sides of a connection between members.
#[derive(Debug)]
struct MemberVerifier {
    cluster: crate::ids::Uid,
    roots: Arc<RootCertStore>,
    clients: Arc<dyn ClientCertVerifier>,
}

impl MemberVerifier {
    fn new(identity: &Identity) -> Result<Self, Error> {
        let roots = roots(&identity.authority)?;
        let clients = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider())
            .build()
            .map_err(|error| Error::General(error.to_string()))?;
        Ok(Self {
            cluster: identity.cluster,
            roots,
            clients,
        })
    }

    fn read(&self, leaf: &CertificateDer<'_>) -> Result<Shown, Error> {
        let shown = read(leaf)?;
        if shown.cluster != self.cluster {
            return Err(CertificateError::NotValidForName.into());
        }
        Ok(shown)
    }
}

fn read(leaf: &CertificateDer<'_>) -> Result<Shown, Error> {
    let not_ours = |why| CertificateError::Other(OtherError(Arc::new(why)));
    Shown::read(leaf).map_err(|why| not_ours(why).into())
}

impl ServerCertVerifier for MemberVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let shown = self.read(end_entity)?;
        check_chain(
            end_entity,
            intermediates,
            &self.roots,
            tolerant(&shown, now),
        )?;
        verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.clients.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.clients.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.clients.supported_verify_schemes()
    }
}

impl ClientCertVerifier for MemberVerifier {
    /// A joiner has none.
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.clients.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let shown = self.read(end_entity)?;
        let now = tolerant(&shown, now);
        self.clients
            .verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.clients.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.clients.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.clients.supported_verify_schemes()
    }
}

fn check_chain(
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    roots: &RootCertStore,
    now: UnixTime,
) -> Result<(), Error> {
    let algorithms = provider().signature_verification_algorithms.all;
    let leaf = ParsedCertificate::try_from(leaf)?;
    verify_server_cert_signed_by_trust_anchor(&leaf, roots, intermediates, now, algorithms)
}

/// A joiner trusts whom the token pins, whatever its cluster and name.
#[derive(Debug)]
struct PinVerifier {
    pin: [u8; 32],
}

impl ServerCertVerifier for PinVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let pinned = |der: &&CertificateDer<'_>| public_key_hash(der) == Some(self.pin);
        let authority = intermediates
            .iter()
            .find(pinned)
            .ok_or(CertificateError::UnknownIssuer)?;
        let now = tolerant(&read(end_entity)?, now);
        check_chain(end_entity, &[], &*roots(authority)?, now)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = provider().signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = provider().signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// TLS on a door for clients. What is loaded again holds for the connections
/// that come after.
pub struct DoorTls {
    current: Mutex<Arc<ServerConfig>>,
}

/// What an operator handed in and cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DoorTlsError {
    Certificate(String),
    Key(String),
    ClientAuthority(String),
    /// They are read, and do not belong together.
    Pair(String),
}

impl fmt::Display for DoorTlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate(why) => write!(f, "the door's certificate cannot be read: {why}"),
            Self::Key(why) => write!(f, "the door's key cannot be read: {why}"),
            Self::ClientAuthority(why) => {
                write!(
                    f,
                    "the authority of the clients' certificates cannot be used: {why}"
                )
            }
            Self::Pair(why) => write!(f, "certificate and key do not serve together: {why}"),
        }
    }
}

impl std::error::Error for DoorTlsError {}

impl DoorTls {
    /// `client_authority` asks clients for a certificate; one that has none is
    /// let in as nobody, one of another authority is not.
    pub fn load(
        certificates_pem: &[u8],
        key_pem: &[u8],
        client_authority_pem: Option<&[u8]>,
    ) -> Result<Self, DoorTlsError> {
        let config = door_config(certificates_pem, key_pem, client_authority_pem)?;
        Ok(Self {
            current: Mutex::new(Arc::new(config)),
        })
    }

    /// The old stays where the new cannot be used.
    pub fn load_again(
        &self,
        certificates_pem: &[u8],
        key_pem: &[u8],
        client_authority_pem: Option<&[u8]>,
    ) -> Result<(), DoorTlsError> {
        let config = door_config(certificates_pem, key_pem, client_authority_pem)?;
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        Ok(())
    }

    /// What the next connection is accepted with.
    pub fn current(&self) -> Arc<ServerConfig> {
        self.current
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

fn door_config(
    certificates_pem: &[u8],
    key_pem: &[u8],
    client_authority_pem: Option<&[u8]>,
) -> Result<ServerConfig, DoorTlsError> {
    let certificates = certificates(certificates_pem).map_err(DoorTlsError::Certificate)?;
    let key = PrivateKeyDer::from_pem_slice(key_pem)
        .map_err(|error| DoorTlsError::Key(error.to_string()))?;
    let verifier = match client_authority_pem {
        None => WebPkiClientVerifier::no_client_auth(),
        Some(pem) => client_verifier(pem).map_err(DoorTlsError::ClientAuthority)?,
    };
    let pair = |error: Error| DoorTlsError::Pair(error.to_string());
    ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(pair)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificates, key)
        .map_err(pair)
}

fn client_verifier(pem: &[u8]) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(pem)? {
        roots.add(authority).map_err(|error| error.to_string())?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
        .allow_unauthenticated()
        .build()
        .map_err(|error| error.to_string())
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match all {
        Ok(all) if all.is_empty() => Err("it holds none".into()),
        Ok(all) => Ok(all),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Authority, pem};
    use super::*;
    use crate::entropy::MachineEntropy;
    use crate::ids::Uid;

    /// A certificate and its key, as an operator would hand them in.
    fn pair() -> (Vec<u8>, Vec<u8>) {
        let authority = Authority::found(Uid([1; 16])).unwrap();
        let now = Millis(1_790_000_000_000);
        let identity = authority.identify(NodeId(1), 1, now, &MachineEntropy);
        let identity = identity.unwrap();
        (
            pem::write("CERTIFICATE", &identity.certificate).into_bytes(),
            pem::write("PRIVATE KEY", &identity.key).into_bytes(),
        )
    }

    #[test]
    fn a_door_keeps_its_certificate_until_a_better_one_comes() {
        let (certificate, key) = pair();
        let door = DoorTls::load(&certificate, &key, None).unwrap();
        let first = door.current();
        let (other, other_key) = pair();
        let refused = door.load_again(&other, &key, None).unwrap_err();
        assert!(matches!(refused, DoorTlsError::Pair(_)), "{refused}");
        assert!(Arc::ptr_eq(&door.current(), &first));
        door.load_again(&other, &other_key, Some(&certificate))
            .unwrap();
        assert!(!Arc::ptr_eq(&door.current(), &first));
    }

    #[test]
    fn what_an_operator_hands_in_is_named_when_it_is_wrong() {
        let (certificate, key) = pair();
        let check = |certificate: &[u8], key: &[u8], clients: Option<&[u8]>, says: &str| {
            let why = DoorTls::load(certificate, key, clients)
                .err()
                .unwrap()
                .to_string();
            assert!(why.contains(says), "{why}");
        };
        check(b"", &key, None, "certificate cannot be read: it holds none");
        check(&certificate, b"", None, "key cannot be read");
        check(
            &certificate,
            &key,
            Some(b"x"),
            "clients' certificates cannot be used: it holds none",
        );
    }

    #[test]
    fn a_processor_gets_the_cipher_that_suits_it() {
        let first = provider().cipher_suites[0].suite();
        let expected = match has_aes() {
            true => rustls::CipherSuite::TLS13_AES_128_GCM_SHA256,
            false => rustls::CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
        };
        assert_eq!(first, expected);
    }
}
