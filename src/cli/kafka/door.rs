//! Which Kafka door to ask, and as whom: what people type.

use super::cluster::Cluster;
use super::connection::Means;
use super::login::Login;
use crate::cli::Failure;
use crate::cli::here::Here;
use crate::cli::password::Password;
use crate::daemon::ask::ask;
use crate::peers::tls::CallerTls;
use crate::state::topics::access::Mechanism;
use serde_json::{Value, json};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(clap::Args)]
pub struct Door {
    #[command(flatten)]
    here: Here,
    /// The Kafka door to ask, or several of one cluster with commas between [default: that of the node on this machine]
    #[arg(
        long,
        value_name = "HOST:PORT",
        global = true,
        value_delimiter = ',',
        hide_default_value = true
    )]
    bootstrap: Vec<String>,
    /// Speak TLS with doors whose certificates are of this authority, a file of PEM
    #[arg(long, value_name = "FILE", global = true)]
    tls_ca: Option<PathBuf>,
    /// The certificate to show, PEM, for doors that ask for one
    #[arg(long, value_name = "FILE", global = true)]
    tls_certificate: Option<PathBuf>,
    /// The key of that certificate, PEM
    #[arg(long, value_name = "FILE", global = true)]
    tls_key: Option<PathBuf>,
    /// The name in the certificate of the first door, where it is not the host that is called
    #[arg(long, value_name = "NAME", global = true)]
    tls_name: Option<String>,
    /// Log in as this user; the password is asked for at the terminal
    #[arg(long, value_name = "NAME", global = true)]
    user: Option<String>,
    /// A file that holds the password, on one line
    #[arg(long, value_name = "FILE", global = true)]
    password_file: Option<PathBuf>,
    /// The variable of the environment that holds the password
    #[arg(long, value_name = "VARIABLE", global = true)]
    password_env: Option<String>,
    /// How to log in
    #[arg(long, value_enum, global = true, default_value_t = Scram::Sha512)]
    mechanism: Scram,
    /// How long an answer may take, and how long what may pass is tried again
    #[arg(long, value_name = "SECONDS", global = true, default_value_t = 30,
          value_parser = clap::value_parser!(u32).range(1..=3600))]
    timeout: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Scram {
    #[value(name = "scram-sha-256")]
    Sha256,
    #[value(name = "scram-sha-512")]
    Sha512,
}

impl Door {
    pub fn open(&self) -> Result<Cluster, Failure> {
        let addresses = self.addresses()?;
        let means = Means {
            tls: self.tls()?,
            login: self.login()?,
            patience: self.patience(),
        };
        Ok(Cluster::new(addresses, self.tls_name.clone(), means))
    }

    pub fn patience(&self) -> Duration {
        Duration::from_secs(self.timeout.into())
    }

    fn addresses(&self) -> Result<Vec<String>, Failure> {
        if self.bootstrap.is_empty() {
            return Ok(vec![self.own_address()?]);
        }
        if self.here.named_socket().is_some() {
            let says = "--bootstrap names a door and --socket or --data a node: give one";
            return Err(Failure::wrong_usage(says));
        }
        match self.bootstrap.iter().find(|one| !is_address(one)) {
            Some(other) => Err(Failure::wrong_usage(format!(
                "{other} is no HOST:PORT, such as 127.0.0.1:9092"
            ))),
            None => Ok(self.bootstrap.clone()),
        }
    }

    /// Where the door of the node of this machine listens, as itself says.
    fn own_address(&self) -> Result<String, Failure> {
        let socket = self.here.socket()?;
        let status = ask(&socket, &json!({ "ask": "status" }));
        let status = status.map_err(|why| format!("{why}; --bootstrap asks a door without it"))?;
        let address = status["doors"]["kafka"].as_str().unwrap_or("off");
        match address.parse::<SocketAddr>() {
            Ok(address) => Ok(reached(address).to_string()),
            Err(_) => Err(Failure::failed(format!(
                "the Kafka door of this node is {address}{}: doors.kafka.listen opens it, and \
                 --bootstrap asks another",
                reason(&status)
            ))),
        }
    }

    fn tls(&self) -> Result<Option<CallerTls>, Failure> {
        let shows = match (&self.tls_certificate, &self.tls_key) {
            (Some(certificate), Some(key)) => Some((file(certificate)?, file(key)?)),
            (None, None) => None,
            _ => {
                let says = "--tls-certificate and --tls-key go together";
                return Err(Failure::wrong_usage(says));
            }
        };
        let Some(authority) = &self.tls_ca else {
            return match shows.is_some() || self.tls_name.is_some() {
                true => Err(Failure::wrong_usage(
                    "TLS is spoken where --tls-ca says whose doors are believed",
                )),
                false => Ok(None),
            };
        };
        let shows = shows.as_ref().map(|(chain, key)| (&chain[..], &key[..]));
        let tls = CallerTls::load(&file(authority)?, shows);
        tls.map(Some).map_err(Failure::failed)
    }

    fn login(&self) -> Result<Option<Login>, Failure> {
        let Some(user) = &self.user else {
            return match self.password_file.is_some() || self.password_env.is_some() {
                true => Err(Failure::wrong_usage("whose password is it? --user says so")),
                false => Ok(None),
            };
        };
        let password = match (&self.password_file, &self.password_env) {
            (Some(_), Some(_)) => {
                let says = "--password-file and --password-env both hold it: give one";
                return Err(Failure::wrong_usage(says));
            }
            (Some(path), None) => Password::of_file(path)?,
            (None, Some(name)) => Password::of_variable(name)?,
            (None, None) => Password::typed(user)?,
        };
        let mechanism = match self.mechanism {
            Scram::Sha256 => Mechanism::Sha256,
            Scram::Sha512 => Mechanism::Sha512,
        };
        Ok(Some(Login {
            user: user.clone(),
            password,
            mechanism,
        }))
    }
}

fn reason(status: &Value) -> String {
    let reason = status["reason"].as_str();
    reason.map_or_else(String::new, |reason| format!(" ({reason})"))
}

fn file(path: &Path) -> Result<Vec<u8>, Failure> {
    let read = fs::read(path);
    read.map_err(|error| Failure::failed(format!("{}: {error}", path.display())))
}

fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let is_bare_v6 = host.contains(':') && !host.starts_with('[');
    !host.is_empty() && !is_bare_v6 && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// A door that listens on all addresses is reached on this machine's own.
fn reached(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        });
    }
    address
}

/// The host in HOST:PORT.
pub(super) fn host(address: &str) -> &str {
    address.rsplit_once(':').map_or(address, |(host, _)| host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        door: Door,
    }

    fn typed(line: &str) -> Result<Cluster, Failure> {
        Line::parse_from(line.split(' ')).door.open()
    }

    #[test]
    fn addresses_are_a_host_and_a_port() {
        for good in ["127.0.0.1:9092", "box:1", "[::1]:9092"] {
            assert!(is_address(good), "{good}");
        }
        for bad in ["", "box", "box:", ":9092", "::1:9092", "box:0", "box:65536"] {
            assert!(!is_address(bad), "{bad}");
        }
        assert_eq!(host("[::1]:9092"), "[::1]");
        let all: SocketAddr = "0.0.0.0:9092".parse().unwrap();
        assert_eq!(reached(all).to_string(), "127.0.0.1:9092");
        let all: SocketAddr = "[::]:9092".parse().unwrap();
        assert_eq!(reached(all).to_string(), "[::1]:9092");
        let one: SocketAddr = "10.0.0.1:9092".parse().unwrap();
        assert_eq!(reached(one), one);
    }

    #[test]
    fn what_does_not_go_together_is_said() {
        let says = |line: &str| {
            let failure = typed(line).err().unwrap();
            assert_eq!(failure.status, 2, "{}", failure.message);
            failure.message
        };
        assert!(says("x --bootstrap a:1 --data d").contains("give one"));
        assert!(says("x --bootstrap a:1,b").contains("b is no HOST:PORT"));
        assert!(says("x --bootstrap a:1 --tls-key k").contains("go together"));
        assert!(says("x --bootstrap a:1 --tls-name n").contains("--tls-ca"));
        assert!(says("x --bootstrap a:1 --password-env V").contains("--user"));
        assert!(
            says("x --bootstrap a:1 --user u --password-env V --password-file f")
                .contains("give one")
        );
        assert!(typed("x --bootstrap a:1,b:2").is_ok());
    }
}
