//! TLS and plain on one port.

use super::*;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned};

/// A certificate authority, and what it signs.
struct Authority(CertifiedIssuer<'static, KeyPair>);

type TlsClient = Client<StreamOwned<ClientConnection, TcpStream>>;

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    fn sign(&self, name: &str) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        (vec![certificate.der().clone()], key)
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.as_ref().der().clone()).unwrap();
        Arc::new(roots)
    }

    fn server(&self) -> Arc<ServerConfig> {
        let (chain, key) = self.sign("door");
        let verifier = WebPkiClientVerifier::builder(self.roots())
            .allow_unauthenticated()
            .build()
            .unwrap();
        let config = ServerConfig::builder()
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key);
        Arc::new(config.unwrap())
    }

    /// `name` where the client shows a certificate.
    fn dial(&self, gate: &Gate, name: Option<&str>) -> TlsClient {
        let config = ClientConfig::builder().with_root_certificates(self.roots());
        let config = match name.map(|name| self.sign(name)) {
            Some((chain, key)) => config.with_client_auth_cert(chain, key).unwrap(),
            None => config.with_no_client_auth(),
        };
        let name = ServerName::try_from("localhost").unwrap();
        let tls = ClientConnection::new(Arc::new(config), name).unwrap();
        Client(StreamOwned::new(tls, gate.dial().0))
    }
}

#[test]
fn tls_and_plain_are_taken_on_one_port() {
    let authority = Authority::new();
    let gate = Gate::open(|settings| settings.tls = Some(authority.server()));
    assert_eq!(gate.dial().who().as_deref(), Some("nobody"));
    let mut nobody = authority.dial(&gate, None);
    assert_eq!(nobody.who().as_deref(), Some("nobody"));
    let mut mill = authority.dial(&gate, Some("mill"));
    assert_eq!(mill.who().as_deref(), Some("CN=mill"));

    gate.desk.let_go(100);
    let ahead: Vec<u8> = (1..=40)
        .flat_map(|id| match id % 4 {
            0 => fetch(id, 3 << 20),
            1 => produce(id, 500_000),
            _ => heartbeat(id),
        })
        .collect();
    let (sending, mut client) = (ahead, mill);
    // It fills both directions, so it writes and reads in turn.
    let mut sent = 0;
    for id in 1..=40 {
        while sent < sending.len() && sent < id as usize * 600_000 {
            let until = sending.len().min(sent + 100_000);
            client.send(&sending[sent..until]);
            sent = until;
        }
        assert_eq!(client.answer(), Some(id));
    }
    gate.wait("memory is given back", |counts| {
        counts.held_bytes.get() == 0
    });
}

#[test]
fn a_tls_client_s_goodbye_is_one() {
    let authority = Authority::new();
    let gate = Gate::open(|settings| settings.tls = Some(authority.server()));
    let mut client = authority.dial(&gate, None);
    client.send(&heartbeat(1));
    assert_eq!(client.answer(), Some(1));
    client.0.conn.send_close_notify();
    client.0.flush().unwrap();
    // Told by TLS too: an end without it would be an error of the client's.
    let mut rest = Vec::new();
    assert_eq!(client.0.read_to_end(&mut rest).unwrap(), 0);
    gate.wait("it is gone", |counts| counts.connections.get() == 0);
    assert_eq!(gate.counts.cut_off.get(), 0);
}

#[test]
fn a_door_for_tls_alone_refuses_what_is_plain() {
    let authority = Authority::new();
    let gate = Gate::open(|settings| {
        settings.tls = Some(authority.server());
        settings.tls_only = true;
    });
    assert_eq!(gate.dial().who(), None);
    let mut client = authority.dial(&gate, None);
    assert_eq!(client.who().as_deref(), Some("nobody"));

    let plain = Gate::open(|_| {});
    assert_eq!(authority.dial(&plain, None).who(), None);
    plain.is_well();
}

#[test]
fn certificates_are_renewed_while_the_door_is_open() {
    let (old, new) = (Authority::new(), Authority::new());
    let gate = Gate::open(|settings| settings.tls = Some(old.server()));
    let mut before = old.dial(&gate, None);
    assert!(before.who().is_some());
    gate.running().renew_tls(Some(new.server()));
    assert!(before.who().is_some(), "who is in stays");
    assert!(new.dial(&gate, None).who().is_some());
    assert!(old.dial(&gate, None).who().is_none());
    // And a certificate of the old one names nobody any more.
    assert!(old.dial(&gate, Some("mill")).who().is_none());
}

#[test]
fn a_handshake_that_stalls_or_goes_on_for_ever_is_ended() {
    let authority = Authority::new();
    let gate = Gate::open(|settings| {
        settings.tls = Some(authority.server());
        settings.first_request_time_max = Duration::from_millis(500);
    });
    let mut stalled = gate.dial();
    stalled.send(&[0x16, 3, 1, 0]);
    assert!(stalled.is_closed());

    // Records of a handshake message that never ends.
    let gate = Gate::open(|settings| settings.tls = Some(authority.server()));
    let mut endless = gate.dial();
    let mut record = vec![0x16, 3, 1, 0x40, 0];
    record.extend([1, 0xff, 0xff, 0xff]);
    record.resize(5 + 0x4000, 0);
    for _ in 0..100 {
        if endless.0.write_all(&record).is_err() {
            break;
        }
    }
    gate.wait("it is cut off", |counts| counts.cut_off.get() == 1);
    gate.is_well();
}
