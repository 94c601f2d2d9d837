//! Where clients of the Kafka door are told to come. One port takes TLS and
//! plain connections, and Kafka has a name for each: a client is told of those
//! of the name by which it came.

use crate::daemon::config::KafkaDoor;
use crate::daemon::place::Place;
use crate::state::topics::{Listener, Security};
use std::net::SocketAddr;

/// The plain one first, where there is one.
pub fn securities(door: &KafkaDoor) -> Vec<Security> {
    let [plain, tls] = [false, true].map(|is_tls| Security::of(is_tls, door.needs_sasl));
    match &door.tls {
        None => vec![plain],
        Some(files) if files.is_required => vec![tls],
        Some(_) => vec![plain, tls],
    }
}

/// Each is called after what it takes, as Kafka's own are.
pub fn listeners(door: &KafkaDoor, at: &Place) -> Vec<Listener> {
    let listener = |security: Security| Listener {
        name: security.name().into(),
        security,
        host: at.host.as_str().into(),
        port: at.port,
    };
    securities(door).into_iter().map(listener).collect()
}

/// What is advertised, or else the address that the door listens on: for one
/// that listens on all of them, the host by which other nodes reach this one.
pub fn place(
    door: &KafkaDoor,
    address: SocketAddr,
    own_host: impl FnOnce() -> Option<String>,
) -> Place {
    if let Some(advertised) = &door.advertise {
        return advertised.clone();
    }
    let host = match address.ip().is_unspecified() {
        true => own_host().unwrap_or_else(|| "localhost".into()),
        false => address.ip().to_canonical().to_string(),
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    Place {
        host: bare.into(),
        port: address.port(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::config::DoorTls;

    fn door(tls: Option<bool>, needs_sasl: bool) -> KafkaDoor {
        KafkaDoor {
            listen: None,
            advertise: None,
            tls: tls.map(|is_required| DoorTls {
                certificate: "/c".into(),
                key: "/k".into(),
                client_ca: None,
                is_required,
            }),
            needs_sasl,
            super_users: Vec::new(),
        }
    }

    #[test]
    fn each_way_in_has_a_listener_of_kafka_s_name() {
        let at = Place::parse("[fd00::1]:9092").unwrap();
        for (tls, needs_sasl, names) in [
            (None, false, "PLAINTEXT"),
            (None, true, "SASL_PLAINTEXT"),
            (Some(false), false, "PLAINTEXT SSL"),
            (Some(true), false, "SSL"),
            (Some(false), true, "SASL_PLAINTEXT SASL_SSL"),
            (Some(true), true, "SASL_SSL"),
        ] {
            let listeners = listeners(&door(tls, needs_sasl), &at);
            let told: Vec<_> = listeners.iter().map(|one| &*one.name).collect();
            assert_eq!(told.join(" "), names);
            for one in &listeners {
                assert_eq!((&*one.host, one.port), ("fd00::1", 9092));
                assert_eq!(&*one.name, one.security.name());
            }
        }
    }

    #[test]
    fn clients_are_told_a_place_that_they_can_come_to() {
        let own = |host: &str| Some(host.to_string());
        let told = |advertise: &str, address: &str, host: Option<String>| {
            let door = KafkaDoor {
                advertise: Place::parse(advertise).ok(),
                ..door(None, false)
            };
            place(&door, address.parse().unwrap(), || host).to_string()
        };
        assert_eq!(told("box:1", "0.0.0.0:9092", own("10.0.0.1")), "box:1");
        assert_eq!(told("", "127.0.0.1:7", own("10.0.0.1")), "127.0.0.1:7");
        assert_eq!(told("", "0.0.0.0:7", own("10.0.0.1")), "10.0.0.1:7");
        assert_eq!(told("", "[::]:7", own("[fd00::1]")), "[fd00::1]:7");
        assert_eq!(told("", "[::]:7", own("fd00::1")), "[fd00::1]:7");
        assert_eq!(told("", "0.0.0.0:7", None), "localhost:7");
    }
}
