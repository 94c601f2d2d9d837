//! The ZooKeeper door's certificates, from files that are read again.

use super::*;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::sync::Arc;

pub(super) struct Site(CertifiedIssuer<'static, KeyPair>);

impl Site {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// Certificate and key, PEM.
    fn sign(&self, name: &str) -> (String, String) {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    fn write(&self, folder: &Folder) {
        let (certificate, key) = self.sign("door");
        fs::write(folder.path("door.pem"), certificate).unwrap();
        fs::write(folder.path("door.key"), key).unwrap();
    }

    /// A door with this site's certificates, in the folder.
    pub(super) fn settings(&self, folder: &Folder, required: bool) -> String {
        self.write(folder);
        fs::write(folder.path("clients.pem"), self.0.as_ref().pem()).unwrap();
        Self::settings_of(folder, required)
    }

    fn settings_of(folder: &Folder, required: bool) -> String {
        let file = |name: &str| folder.path(name).display().to_string();
        format!(
            "{SMALL}doors.zookeeper.tls_certificate = \"{}\"\ndoors.zookeeper.tls_key = \"{}\"\n\
             doors.zookeeper.tls_client_ca = \"{}\"\ndoors.zookeeper.tls_required = {required}\n",
            file("door.pem"),
            file("door.key"),
            file("clients.pem"),
        )
    }

    /// Whether the door shows this site's certificate, and who it then takes
    /// its client for.
    fn whoami(&self, address: SocketAddr) -> Option<String> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.as_ref().der().clone()).unwrap();
        let (certificate, key) = self.sign("mason");
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let tls = ClientConnection::new(Arc::new(config), name).unwrap();
        let socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        ask_who(&mut StreamOwned::new(tls, socket))
    }
}

/// Opens a session and asks for whoAmI; None where the door closes.
fn ask_who(stream: &mut (impl Read + Write)) -> Option<String> {
    stream.write_all(&greeting()).ok()?;
    frame(stream)?;
    let ask = [8i32, 1, 107].map(i32::to_be_bytes).concat();
    stream.write_all(&ask).ok()?;
    frame(stream).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn frame(stream: &mut impl Read) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let mut bytes = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

#[test]
fn the_door_s_certificates_are_read_again_at_a_reload() {
    let (old, new) = (Site::new(), Site::new());
    let folder = Folder::new();
    old.write(&folder);
    let authorities = format!("{}{}", old.0.as_ref().pem(), new.0.as_ref().pem());
    fs::write(folder.path("clients.pem"), authorities).unwrap();
    let settings = |required| Site::settings_of(&folder, required);
    let node = Node::start_with(&folder, &settings(false));
    let door = || {
        let status = node.ask("status").unwrap();
        let at = status["doors"]["zookeeper"].as_str().unwrap();
        at.parse::<SocketAddr>().unwrap()
    };
    let who = old.whoami(door()).expect("the door speaks TLS");
    assert!(who.contains("x509") && who.contains("CN=mason"), "{who}");
    let plain = ask_who(&mut TcpStream::connect(door()).unwrap());
    let plain = plain.expect("and without, on the same port");
    assert!(!plain.contains("x509"), "{plain}");

    new.write(&folder);
    send("HUP", node.pid());
    node.until_it_says("certificates are read again");
    assert!(new.whoami(door()).is_some());
    assert!(old.whoami(door()).is_none());

    fs::write(folder.path("door.key"), "no key").unwrap();
    send("HUP", node.pid());
    node.until_it_says("certificates stay as they were");
    assert!(new.whoami(door()).is_some());
    node.stop();

    old.write(&folder);
    let node = Node::start_with(&folder, &settings(true));
    let status = node.ask("status").unwrap();
    let at: SocketAddr = status["doors"]["zookeeper"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(ask_who(&mut TcpStream::connect(at).unwrap()), None);
    assert!(old.whoami(at).is_some());
}
