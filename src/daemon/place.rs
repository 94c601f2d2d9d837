//! Where something is reached: a host and a port, as people write them.

use crate::limits::PLACE_BYTES_MAX;
use std::fmt;
use std::net::Ipv6Addr;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// A name or an address, one of IPv6 without its brackets.
    pub host: String,
    pub port: u16,
}

impl Place {
    /// A name or an IPv4 address, or an IPv6 address in brackets, and a port. The
    /// reason, where it is none of these.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.len() > PLACE_BYTES_MAX {
            return Err("it is too long");
        }
        let (host, port) = text.rsplit_once(':').ok_or("it has no port")?;
        let port = port.parse().ok().filter(|port: &u16| *port > 0);
        let port = port.ok_or("its port is not a number from 1 to 65535")?;
        let inner = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let is_host = match inner {
            Some(inner) => inner
                .parse::<Ipv6Addr>()
                .is_ok_and(|ip| !ip.is_unspecified()),
            None => is_name(host),
        };
        match is_host {
            true => Ok(Self {
                host: inner.unwrap_or(host).into(),
                port,
            }),
            false => Err("its host is neither a name nor an address"),
        }
    }
}

fn is_name(host: &str) -> bool {
    let of_name = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    !host.is_empty() && host != "0.0.0.0" && host.bytes().all(of_name)
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        match host.contains(':') {
            true => write!(f, "[{host}]:{port}"),
            false => write!(f, "{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_host_and_a_port() {
        for good in [
            "10.0.0.2:7300",
            "box-2.site:1",
            "[fd00::2]:65535",
            "node_2:7300",
        ] {
            let place = Place::parse(good).expect(good);
            assert_eq!(place.to_string(), good);
            assert!(!place.host.contains('['));
        }
        let long = format!("{}:1", "a".repeat(300));
        for bad in [
            "",
            ":7300",
            "box",
            "box:",
            "box:0",
            "box:65536",
            "box:-1",
            "fd00::2:7300",
            "[fd00::2:7300",
            "[box]:7300",
            "0.0.0.0:7300",
            "[::]:7300",
            "a b:1",
            "a/b:1",
            &long,
        ] {
            assert!(Place::parse(bad).is_err(), "{bad}");
        }
    }
}
