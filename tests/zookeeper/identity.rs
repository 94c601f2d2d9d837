//! Who a client is: by what it shows, and by its certificate.

use super::House;
use super::basic::node;
use super::client::Client;
use dolmen::ports::zookeeper::codec::{AuthPacket, ClientInfo, Jute, SaslToken};
use dolmen::ports::zookeeper::handlers::{Auth, Create, Operation, Sasl, WhoAmI};
use dolmen::ports::zookeeper::{SaslUser, errors};
use dolmen::state::Identity;
use md5::{Digest, Md5};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, string::Ia5String,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

fn auth(client: &mut Client, scheme: &str, proof: &str) -> i32 {
    let packet = AuthPacket {
        kind: 0,
        scheme: scheme.into(),
        auth: proof.as_bytes().into(),
    };
    client.send_as(-4, Auth::CODE, &packet);
    let (header, body) = client.reply();
    assert_eq!((header.xid, header.zxid.0), (-4, 0));
    assert!(body.is_empty());
    header.error
}

fn info(scheme: &str, user: &str) -> ClientInfo {
    ClientInfo {
        scheme: scheme.into(),
        user: user.into(),
    }
}

/// Of `user:pass`, as a client's own tool computes it.
const USER_HASH: &str = "user:smGaoVKd/cQkjm7b88GyorAUz20=";

#[test]
fn a_client_is_its_address_and_what_it_shows() {
    let house = House::with(|settings| {
        settings.terms.superuser_digest = Some("super:D/InIHSb7yEEbrWz8b9l71RjZJU=".into());
    });
    let mut client = house.client();
    let local = Identity::new("ip", "127.0.0.1");
    let who = house.stand.who_is(client.session);
    assert_eq!(who, std::slice::from_ref(&local));
    assert_eq!(auth(&mut client, "digest", "user:pass"), 0);
    let user = Identity::new("digest", USER_HASH);
    let who = [local.clone(), user.clone()];
    assert_eq!(house.stand.who_is(client.session), who);
    assert_eq!(auth(&mut client, "digest", "super:test"), 0);
    assert_eq!(auth(&mut client, "digest", "user:pass"), 0);
    let shown = client.call::<WhoAmI>(&()).unwrap().who;
    let told = [
        info("ip", "127.0.0.1"),
        info("digest", "user"),
        info("digest", "super"),
        info("super", ""),
    ];
    assert_eq!(shown, told);
}

#[test]
fn a_wrong_proof_ends_the_connection_in_its_place() {
    let house = House::new();
    let mut client = house.client();
    house.stand.hold();
    let xid = client.send::<Create>(&node("/a", b""));
    let packet = AuthPacket {
        kind: 0,
        scheme: "kerberos".into(),
        auth: b"x".as_slice().into(),
    };
    client.send_as(-4, Auth::CODE, &packet);
    client.send::<Create>(&node("/never", b""));
    while house.stand.asked() < 2 {
        std::thread::yield_now();
    }
    house.stand.let_go();
    assert_eq!(client.reply().0.xid, xid);
    let (header, _) = client.reply();
    assert_eq!((header.xid, header.error), (-4, errors::AUTH_FAILED));
    assert_eq!(client.frame(), None);
    assert_eq!(house.stand.asked(), 2, "nothing behind it is asked");
    assert_eq!(house.counts.auth_failures.get(), 1);
}

#[test]
fn a_client_is_not_everybody() {
    let house = House::new();
    let mut client = house.client();
    for n in 1..32 {
        assert_eq!(auth(&mut client, "digest", &format!("user{n}:x")), 0);
    }
    let one_more = auth(&mut client, "digest", "last:x");
    assert_eq!(one_more, errors::AUTH_FAILED);
    assert_eq!(client.frame(), None);
}

fn with_sasl() -> House {
    House::with(|settings| {
        settings.terms.sasl_users = vec![SaslUser {
            name: "jaasuser".into(),
            password: "jaas_password".into(),
        }];
        settings.terms.sasl_superuser = Some("jaasuser".into());
    })
}

fn hex_md5(parts: &[&[u8]]) -> String {
    let sum = Md5::digest(parts.concat());
    sum.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The client's side of DIGEST-MD5.
fn respond(challenge: &str, password: &str) -> (String, String) {
    let nonce = challenge.split("nonce=\"").nth(1).unwrap();
    let nonce = nonce.split('"').next().unwrap();
    let inner = Md5::digest(format!("jaasuser:zk-sasl-md5:{password}"));
    let a1 = hex_md5(&[&inner, format!(":{nonce}:cn").as_bytes()]);
    let kd = |method: &str| {
        let a2 = hex_md5(&[format!("{method}:zookeeper/zk-sasl-md5").as_bytes()]);
        hex_md5(&[format!("{a1}:{nonce}:00000001:cn:auth:{a2}").as_bytes()])
    };
    let token = format!(
        "charset=utf-8,username=\"jaasuser\",realm=\"zk-sasl-md5\",nonce=\"{nonce}\",nc=00000001,\
         cnonce=\"cn\",digest-uri=\"zookeeper/zk-sasl-md5\",maxbuf=65536,response={},qop=auth",
        kd("AUTHENTICATE")
    );
    (token, format!("rspauth={}", kd("")))
}

fn token(text: &str) -> SaslToken {
    SaslToken {
        token: text.as_bytes().into(),
    }
}

#[test]
fn a_password_is_proven_by_sasl() {
    let house = with_sasl();
    let mut client = house.client();
    let challenge = client.call::<Sasl>(&token("")).unwrap().token;
    let challenge = String::from_utf8(challenge.to_vec()).unwrap();
    let (response, wanted) = respond(&challenge, "jaas_password");
    let proven = client.call::<Sasl>(&token(&response)).unwrap().token;
    assert_eq!(&*proven, wanted.as_bytes());
    let who = house.stand.who_is(client.session);
    assert_eq!(who[1], Identity::new("sasl", "jaasuser"));
    assert_eq!(who[2], Identity::new("super", ""));

    // Another connection's nonce is another.
    let mut other = house.client();
    let again = other.call::<Sasl>(&token("")).unwrap().token;
    assert_ne!(&*again, challenge.as_bytes());
    // What proved one does not prove the other.
    other.send::<Sasl>(&token(&response));
    let (header, body) = other.reply();
    assert_eq!(header.error, errors::AUTH_FAILED);
    assert_eq!(body, (-1i32).to_be_bytes());
    assert_eq!(other.frame(), None);
}

#[test]
fn a_wrong_password_is_refused_by_sasl() {
    let house = with_sasl();
    let mut client = house.client();
    let challenge = client.call::<Sasl>(&token("")).unwrap().token;
    let challenge = String::from_utf8(challenge.to_vec()).unwrap();
    let (response, _) = respond(&challenge, "guess");
    client.send::<Sasl>(&token(&response));
    assert_eq!(client.reply().0.error, errors::AUTH_FAILED);
    assert_eq!(client.frame(), None);

    let house = House::new();
    let mut client = house.client();
    client.send::<Sasl>(&token(""));
    let (header, _) = client.reply();
    assert_eq!(header.error, errors::AUTH_FAILED, "there are no users");
}

/// A certificate authority of a test, and what it signs.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    fn sign(
        &self,
        names: &[(DnType, rcgen::DnValue)],
    ) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, value) in names {
            params.distinguished_name.push(kind.clone(), value.clone());
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        (vec![certificate.der().clone()], key)
    }

    pub fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.as_ref().der().clone()).unwrap();
        Arc::new(roots)
    }

    pub fn server(&self) -> Arc<ServerConfig> {
        let (chain, key) = self.sign(&[]);
        let verifier = WebPkiClientVerifier::builder(self.roots())
            .allow_unauthenticated()
            .build()
            .unwrap();
        let config = ServerConfig::builder()
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key);
        Arc::new(config.unwrap())
    }

    /// The first message of a client's handshake.
    pub fn hello(&self) -> Vec<u8> {
        let config = ClientConfig::builder()
            .with_root_certificates(self.roots())
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        let mut tls = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut hello = Vec::new();
        tls.write_tls(&mut hello).unwrap();
        hello
    }

    pub fn dial(&self, address: SocketAddr, names: &[(DnType, rcgen::DnValue)]) -> Client {
        let (chain, key) = self.sign(names);
        let config = ClientConfig::builder()
            .with_root_certificates(self.roots())
            .with_client_auth_cert(chain, key)
            .unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let tls = ClientConnection::new(Arc::new(config), name).unwrap();
        let socket = TcpStream::connect(address).unwrap();
        let patience = std::time::Duration::from_secs(20);
        socket.set_read_timeout(Some(patience)).unwrap();
        Client::over(StreamOwned::new(tls, socket))
    }
}

fn text(text: &str) -> rcgen::DnValue {
    rcgen::DnValue::Utf8String(text.into())
}

#[test]
fn a_certificate_is_an_identity() {
    let authority = Authority::new();
    let house = House::with(|settings| settings.tls = Some(authority.server()));
    let mail = DnType::CustomDnType(vec![1, 2, 840, 113549, 1, 9, 1]);
    let address = Ia5String::try_from("a@b.c").unwrap();
    let names = [
        (
            DnType::CountryName,
            rcgen::DnValue::PrintableString("DE".try_into().unwrap()),
        ),
        (DnType::OrganizationName, text("Steine, GmbH ")),
        (mail, rcgen::DnValue::Ia5String(address)),
        (DnType::CommonName, text("zoë")),
    ];
    let mut client = authority.dial(house.door.address(), &names);
    client.open();
    let who = house.stand.who_is(client.session);
    let name = "CN=zoë,1.2.840.113549.1.9.1=#16056140622e63,O=Steine\\, GmbH\\ ,C=DE";
    assert_eq!(who[1], Identity::new("x509", name));
    // Much in both directions, in pieces that are no records of TLS.
    for _ in 0..3 {
        let path = format!("/{}", client.next_xid);
        client.call::<Create>(&node(&path, &[7; 500_000])).unwrap();
        let read = dolmen::ports::zookeeper::codec::Watched {
            path: path.as_str().into(),
            watch: false,
        };
        type GetData = dolmen::ports::zookeeper::handlers::GetData;
        assert_eq!(client.call::<GetData>(&read).unwrap().data.len(), 500_000);
    }
    // One port for both.
    let mut plain = house.client();
    assert_eq!(plain.call::<WhoAmI>(&()).unwrap().who.len(), 1);
    client.send_as(1, -11, &());
    assert_eq!(client.reply().0.error, 0);
}

#[test]
fn a_door_for_tls_alone_refuses_what_is_plain() {
    let authority = Authority::new();
    let house = House::with(|settings| {
        settings.tls = Some(authority.server());
        settings.tls_only = true;
    });
    let mut plain = Client::dial(house.door.address());
    let mut bytes = Vec::new();
    super::client::greeting().write(&mut bytes);
    plain.say(&bytes);
    assert_eq!(plain.frame(), None);
    assert_eq!(super::words::try_ask(&house, "ruok"), None);
    authority.dial(house.door.address(), &[]).open();
}

#[test]
fn certificates_are_renewed_while_the_door_is_open() {
    let (old, new) = (Authority::new(), Authority::new());
    let house = House::with(|settings| settings.tls = Some(old.server()));
    let mut before = old.dial(house.door.address(), &[]);
    before.open();
    house.door.renew_tls(Some(new.server()));
    new.dial(house.door.address(), &[]).open();
    // Who is in stays in.
    before.call::<Create>(&node("/a", b"")).unwrap();
    let mut bytes = Vec::new();
    0i32.write(&mut bytes);
    let mut refused = old.dial(house.door.address(), &[]);
    assert!(refused.stream.write_all(&bytes).is_err());
}
