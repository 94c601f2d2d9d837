//! TLS on the doors' listeners, by what an operator hands in.

use super::provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{Error, RootCertStore, ServerConfig};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

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

pub(super) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match all {
        Ok(all) if all.is_empty() => Err("it holds none".into()),
        Ok(all) => Ok(all),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Millis;
    use crate::entropy::MachineEntropy;
    use crate::ids::{NodeId, Uid};
    use crate::peers::{Authority, pem};

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
}
