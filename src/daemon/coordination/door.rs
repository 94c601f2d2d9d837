//! What the ZooKeeper door is told: by the settings file at its opening, and
//! while it is open by the replicated settings and by files that are read
//! again.

use super::super::config::{Config, DoorTls as TlsFiles};
use super::super::open_files;
use super::super::refused::Refused;
use super::super::release::VERSION;
use crate::ids::NodeId;
use crate::peers::tls::DoorTls;
use crate::ports::zookeeper::words::{About, Word};
use crate::ports::zookeeper::{self, Limits};
use crate::state::{Setting, Settings};
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

pub(super) fn settings(
    config: &Config,
    listen: SocketAddr,
    node: NodeId,
    limits: Limits,
    tls: Option<&DoorTls>,
) -> Result<zookeeper::Settings, Refused> {
    let wanted = &config.zookeeper;
    let mut settings = zookeeper::Settings::new(listen);
    settings.terms.words = words(&wanted.words)?;
    settings.terms.superuser_digest = wanted.super_digest.clone();
    if let Some(file) = &wanted.sasl_users_file {
        settings.terms.sasl_users = sasl_users(file)?;
        settings.terms.sasl_superuser = Some("super".into());
    }
    settings.tls = tls.map(DoorTls::current);
    settings.tls_only = wanted.tls.as_ref().is_some_and(|tls| tls.is_required);
    settings.take(limits);
    settings.about = About {
        data_dir: config.data.display().to_string(),
        tick_ms: 2000,
        node: node.0,
        open_files: Some(open_files::look),
        environment: vec![
            ("dolmen.version".into(), VERSION.into()),
            ("host.name".into(), host_name()),
        ],
        ..settings.about
    };
    Ok(settings)
}

fn words(wanted: &[String]) -> Result<Vec<Word>, Refused> {
    if wanted.iter().any(|word| word == "*") {
        return Ok(Word::ALL.to_vec());
    }
    let words = wanted.iter().map(|text| {
        Word::named(text).ok_or_else(|| {
            let known: Vec<_> = Word::ALL.iter().map(|word| word.text()).collect();
            let known = known.join(" ");
            Refused::Door {
                door: "zookeeper",
                address: SocketAddr::from(([0, 0, 0, 0], 0)),
                error: io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!("doors.zookeeper.words: {text:?} is none of {known}"),
                ),
            }
        })
    });
    words.collect()
}

fn sasl_users(file: &Path) -> Result<Vec<zookeeper::SaslUser>, Refused> {
    let text =
        fs::read_to_string(file).map_err(|error| Refused::File(file.into(), error.to_string()))?;
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let users = lines.map(|line| match line.split_once(':') {
        Some((name, password)) => Ok(zookeeper::SaslUser {
            name: name.into(),
            password: password.into(),
        }),
        None => Err(Refused::File(
            file.into(),
            "each line is user:password, and one has no colon".into(),
        )),
    });
    users.collect()
}

/// None where the door has no certificate.
pub fn load_tls(files: Option<&TlsFiles>) -> Result<Option<DoorTls>, Refused> {
    let Some(files) = files else {
        return Ok(None);
    };
    let Pem {
        certificate,
        key,
        client_ca,
    } = Pem::read(files)?;
    DoorTls::load(&certificate, &key, client_ca.as_deref())
        .map(Some)
        .map_err(|error| Refused::File(files.certificate.clone(), error.to_string()))
}

/// The old stays in force where the new cannot be used.
pub fn load_tls_again(tls: &DoorTls, files: &TlsFiles) -> Result<(), Refused> {
    let pem = Pem::read(files)?;
    tls.load_again(&pem.certificate, &pem.key, pem.client_ca.as_deref())
        .map_err(|error| Refused::File(files.certificate.clone(), error.to_string()))
}

struct Pem {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Pem {
    fn read(files: &TlsFiles) -> Result<Self, Refused> {
        let read = |path: &Path| {
            fs::read(path).map_err(|error| Refused::File(path.into(), error.to_string()))
        };
        Ok(Self {
            certificate: read(&files.certificate)?,
            key: read(&files.key)?,
            client_ca: files.client_ca.as_deref().map(read).transpose()?,
        })
    }
}

/// What the replicated settings say of a door. Their table keeps each value
/// within what the door's own numbers hold.
pub(super) fn limits(settings: &Settings) -> Limits {
    let number = |setting| usize::try_from(settings.get(setting)).expect("checked by the table");
    let millis = |setting| u32::try_from(settings.get(setting)).expect("checked by the table");
    Limits {
        outstanding_max: number(Setting::OutstandingRequestsMax),
        connections_max: number(Setting::ConnectionsMax),
        connections_per_address_max: match number(Setting::ConnectionsPerIpMax) {
            0 => usize::MAX,
            bound => bound,
        },
        timeout_ms_min: millis(Setting::SessionTimeoutMinMs),
        timeout_ms_max: millis(Setting::SessionTimeoutMaxMs),
        frame_bytes_max: number(Setting::FrameBytesMax),
    }
}

/// What the original's clients ask `envi` for.
fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname");
    name.map_or("<NA>".into(), |name| name.trim().to_owned())
}
