//! Who passes a handshake between nodes.

use super::super::certificate::{Shown, public_key_hash};
use super::super::identity::Identity;
use super::{provider, roots, tolerant};
use crate::ids::Uid;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore,
    SignatureScheme,
};
use std::sync::Arc;

/// What both of the library's traits ask for alike: signatures are checked by
/// the algorithms of our provider.
macro_rules! signatures_by_our_provider {
    () => {
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
    };
}

/// Both sides of a connection between members.
#[derive(Debug)]
pub(super) struct MemberVerifier {
    cluster: Uid,
    roots: Arc<RootCertStore>,
    clients: Arc<dyn ClientCertVerifier>,
}

impl MemberVerifier {
    pub(super) fn new(identity: &Identity) -> Result<Self, Error> {
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

pub(super) fn read(leaf: &CertificateDer<'_>) -> Result<Shown, Error> {
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

    signatures_by_our_provider!();
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

    signatures_by_our_provider!();
}

pub(super) fn check_chain(
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
pub(super) struct PinVerifier {
    pub(super) pin: [u8; 32],
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

    signatures_by_our_provider!();
}
