//! TLS: between nodes, at a joiner's first call, on clients' doors, and to them.
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

mod caller;
mod door;
mod verifiers;

use super::address::Plane;
use super::certificate::{NotOurs, Shown, name_of};
use super::identity::Identity;
use crate::clock::{Clock, Millis};
use crate::ids::NodeId;
use quinn::crypto::rustls::{HandshakeData, QuicClientConfig, QuicServerConfig};
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::NoServerSessionStorage;
use rustls::time_provider::TimeProvider;
use rustls::version::TLS13;
use rustls::{ClientConfig, Error, RootCertStore, ServerConfig};
use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use verifiers::{MemberVerifier, PinVerifier, check_chain, read};

pub use caller::{CallerTls, CallerTlsError, TlsStream};
pub use door::{DoorTls, DoorTlsError};

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

#[cfg(test)]
mod tests {
    use super::*;

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
