//! TLS to a door, by whom a command of ours calls: what it trusts and shows.

use super::door::certificates;
use super::provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, Error, RootCertStore, StreamOwned};
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

/// What doors are called with. A door's certificate is held to the authority
/// that was named, the name that was called, and the machine's time.
pub struct CallerTls {
    config: Arc<ClientConfig>,
}

/// What somebody handed in and cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallerTlsError {
    Authority(String),
    Certificate(String),
    Key(String),
    /// They are read, and do not belong together.
    Pair(String),
}

impl fmt::Display for CallerTlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Authority(why) => write!(f, "the authority cannot be used: {why}"),
            Self::Certificate(why) => write!(f, "the certificate cannot be read: {why}"),
            Self::Key(why) => write!(f, "the certificate's key cannot be read: {why}"),
            Self::Pair(why) => write!(f, "certificate and key do not serve together: {why}"),
        }
    }
}

impl std::error::Error for CallerTlsError {}

impl CallerTls {
    /// `shows` is a certificate and its key, for doors that ask for one.
    pub fn load(
        authority_pem: &[u8],
        shows: Option<(&[u8], &[u8])>,
    ) -> Result<Self, CallerTlsError> {
        let unusable = |error: Error| CallerTlsError::Authority(error.to_string());
        let mut roots = RootCertStore::empty();
        for authority in certificates(authority_pem).map_err(CallerTlsError::Authority)? {
            roots.add(authority).map_err(unusable)?;
        }
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_root_certificates(roots);
        let config = match shows {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let chain = certificates(chain).map_err(CallerTlsError::Certificate)?;
                let key = PrivateKeyDer::from_pem_slice(key)
                    .map_err(|error| CallerTlsError::Key(error.to_string()))?;
                let config = builder.with_client_auth_cert(chain, key);
                config.map_err(|error| CallerTlsError::Pair(error.to_string()))?
            }
        };
        Ok(Self {
            config: Arc::new(config),
        })
    }

    /// Shakes hands with whoever answers to `name`, which is an address too.
    pub fn call(&self, name: &str, mut socket: TcpStream) -> io::Result<TlsStream> {
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_owned())
            .map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))?;
        let connection = ClientConnection::new(self.config.clone(), name);
        let mut connection = connection.map_err(io::Error::other)?;
        while connection.is_handshaking() {
            connection.complete_io(&mut socket)?;
        }
        Ok(TlsStream(StreamOwned::new(connection, socket)))
    }
}

/// A connection that has shaken hands.
pub struct TlsStream(StreamOwned<ClientConnection, TcpStream>);

impl TlsStream {
    pub fn socket(&self) -> &TcpStream {
        &self.0.sock
    }
}

impl Read for TlsStream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

impl Write for TlsStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // a door of its own
mod tests {
    use super::super::DoorTls;
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use rustls::ServerConnection;
    use std::net::TcpListener;
    use std::thread::{JoinHandle, spawn};

    struct Authority(CertifiedIssuer<'static, KeyPair>);

    impl Authority {
        fn new() -> Self {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let key = KeyPair::generate().unwrap();
            Self(CertifiedIssuer::self_signed(params, key).unwrap())
        }

        fn pem(&self) -> Vec<u8> {
            self.0.as_ref().pem().into_bytes()
        }

        fn pair(&self) -> (Vec<u8>, Vec<u8>) {
            let params = CertificateParams::new(vec!["door.example".to_owned()]).unwrap();
            let key = KeyPair::generate().unwrap();
            let certificate = params.signed_by(&key, &self.0).unwrap();
            (
                certificate.pem().into_bytes(),
                key.serialize_pem().into_bytes(),
            )
        }
    }

    /// Echoes five bytes to one caller; answers whether it showed a certificate.
    fn door(authority: &Authority) -> (u16, JoinHandle<Option<bool>>) {
        let (certificate, key) = authority.pair();
        let tls = DoorTls::load(&certificate, &key, Some(&authority.pem())).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let served = spawn(move || {
            let (mut socket, _) = listener.accept().ok()?;
            let mut connection = ServerConnection::new(tls.current()).ok()?;
            while connection.is_handshaking() {
                connection.complete_io(&mut socket).ok()?;
            }
            let shown = connection.peer_certificates().is_some();
            let mut stream = StreamOwned::new(connection, socket);
            let mut said = [0; 5];
            stream.read_exact(&mut said).ok()?;
            stream.write_all(&said).ok()?;
            Some(shown)
        });
        (port, served)
    }

    fn call(tls: &CallerTls, name: &str, port: u16) -> io::Result<[u8; 5]> {
        let mut stream = tls.call(name, TcpStream::connect(("127.0.0.1", port))?)?;
        stream.write_all(b"hello")?;
        let mut heard = [0; 5];
        stream.read_exact(&mut heard)?;
        Ok(heard)
    }

    #[test]
    fn a_door_is_held_to_its_authority_and_its_name() {
        let (ours, other) = (Authority::new(), Authority::new());
        let (chain, key) = ours.pair();
        let shows = Some((&chain[..], &key[..]));
        for (trusts, name, shows, is_well) in [
            (&ours, "door.example", None, true),
            (&ours, "door.example", shows, true),
            (&ours, "127.0.0.1", None, false),
            (&other, "door.example", None, false),
        ] {
            let (port, served) = door(&ours);
            let tls = CallerTls::load(&trusts.pem(), shows).unwrap();
            let heard = call(&tls, name, port);
            assert_eq!(heard.is_ok(), is_well, "{heard:?}");
            let served = served.join().unwrap();
            assert_eq!(served, is_well.then_some(shows.is_some()));
        }
    }

    #[test]
    fn what_is_handed_in_is_named_when_it_is_wrong() {
        let authority = Authority::new();
        let ((chain, key), (_, other_key)) = (authority.pair(), authority.pair());
        let why = |pem: &[u8], chain: &[u8], key: &[u8]| {
            let loaded = CallerTls::load(pem, Some((chain, key)));
            loaded.err().unwrap().to_string()
        };
        let pem = authority.pem();
        assert!(why(b"", &chain, &key).starts_with("the authority cannot be used: it holds none"));
        assert!(why(&pem, b"", &key).starts_with("the certificate cannot be read"));
        assert!(why(&pem, &chain, b"").starts_with("the certificate's key cannot be read"));
        assert!(why(&pem, &chain, &other_key).contains("do not serve together"));
    }
}
