//! Logins by a client of our own, and by strangers.

use super::super::acl_words::tests::say;
use super::*;
use crate::entropy::Seeded;
use crate::state::topics::access::{AccessCommand, UserAlteration};
use base64::engine::general_purpose::STANDARD;
use ring::{digest, hmac, pbkdf2};
use std::num::NonZeroU32;

const SECRET: Secret = Secret([1; 32]);
const NONCE: &[u8] = b"eighteen bytes....";

fn users(with: &[(&str, Mechanism, &str)]) -> Users {
    let iterations = NonZeroU32::new(4096).unwrap();
    let of = |&(name, mechanism, password): &(&str, Mechanism, &str)| {
        let one = scram::credential(mechanism, password.as_bytes(), b"salt of ann", iterations);
        UserAlteration {
            name: name.into(),
            changes: vec![(mechanism, Some(one))],
        }
    };
    let command = AccessCommand::AlterUsers {
        secret: SECRET,
        users: with.iter().map(of).collect(),
    };
    say(command).users
}

/// A client, written from RFC 5802 beside the server and not out of its parts.
struct Client<'a> {
    user: &'a str,
    password: &'a str,
    is_sha512: bool,
}

impl Client<'_> {
    fn first(&self) -> String {
        let name = self.user.replace('=', "=3D").replace(',', "=2C");
        format!("n,,n={name},r=fyko")
    }

    /// The last message, and what the server shall say to it.
    fn last(&self, server_first: &str) -> (String, String) {
        let said: Vec<&str> = server_first.split(',').collect();
        let salt = STANDARD.decode(&said[1][2..]).unwrap();
        let iterations = said[2][2..].parse().unwrap();
        let (hash, mac, derivation) = match self.is_sha512 {
            true => (
                &digest::SHA512,
                hmac::HMAC_SHA512,
                pbkdf2::PBKDF2_HMAC_SHA512,
            ),
            false => (
                &digest::SHA256,
                hmac::HMAC_SHA256,
                pbkdf2::PBKDF2_HMAC_SHA256,
            ),
        };
        let sign = |key: &[u8], text: &[u8]| {
            let tag = hmac::sign(&hmac::Key::new(mac, key), text);
            tag.as_ref().to_vec()
        };
        let mut salted = vec![0; hash.output_len()];
        pbkdf2::derive(
            derivation,
            iterations,
            &salt,
            self.password.as_bytes(),
            &mut salted,
        );
        let client_key = sign(&salted, b"Client Key");
        let stored_key = digest::digest(hash, &client_key);
        let bare = format!("c=biws,{}", said[0]);
        let words = format!("{},{server_first},{bare}", &self.first()[3..]);
        let signature = sign(stored_key.as_ref(), words.as_bytes());
        let proof: Vec<u8> = client_key
            .iter()
            .zip(signature)
            .map(|(a, b)| a ^ b)
            .collect();
        let server = sign(&sign(&salted, b"Server Key"), words.as_bytes());
        let wanted = format!("v={}", STANDARD.encode(server));
        (format!("{bare},p={}", STANDARD.encode(proof)), wanted)
    }
}

fn challenged(way: Way, first: &[u8], users: &Users) -> Option<(String, Exchange)> {
    match Exchange::new(way).step(first, users, &SECRET, NONCE) {
        Step::Challenge(said, exchange) => Some((String::from_utf8(said).unwrap(), exchange)),
        Step::Refused => None,
        other => panic!("{other:?}"),
    }
}

/// Who it is found to be.
fn scram(mechanism: Mechanism, client: &Client, users: &Users) -> Option<Box<str>> {
    let way = Way::Scram(mechanism);
    let (said, exchange) = challenged(way, client.first().as_bytes(), users)?;
    assert!(said.starts_with("r=fyko") && said.len() > 30, "{said}");
    let (last, wanted) = client.last(&said);
    match exchange.step(last.as_bytes(), users, &SECRET, NONCE) {
        Step::Proven(Proven { user, token }) => {
            assert_eq!(String::from_utf8(token).unwrap(), wanted);
            Some(user)
        }
        Step::Refused => None,
        other => panic!("{other:?}"),
    }
}

fn plain(token: &str, users: &Users) -> Option<Box<str>> {
    match Exchange::new(Way::Plain).step(token.as_bytes(), users, &SECRET, NONCE) {
        Step::Try(trial) => trial.run().map(|proven| proven.user),
        Step::Refused => None,
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_knows_the_password_is_let_in() {
    use Mechanism::{Sha256, Sha512};
    let users = users(&[
        ("ann", Sha256, "pencil"),
        ("a,b=c", Sha512, "päßword"),
        ("bob", Sha512, "pen"),
    ]);
    for (mechanism, user, password, is_in) in [
        (Sha256, "ann", "pencil", true),
        (Sha256, "ann", "pencil2", false),
        (Sha256, "ann", "", false),
        (Sha512, "a,b=c", "päßword", true),
        (Sha512, "bob", "pen", true),
        // No credential of that mechanism.
        (Sha256, "bob", "pen", false),
        (Sha512, "nobody", "pen", false),
    ] {
        let client = Client {
            user,
            password,
            is_sha512: mechanism == Sha512,
        };
        let wanted = is_in.then(|| Box::from(user));
        assert_eq!(
            scram(mechanism, &client, &users),
            wanted,
            "{user} {password}"
        );
    }
    for (token, wanted) in [
        ("\0ann\0pencil", Some("ann")),
        ("ann\0ann\0pencil", Some("ann")),
        ("\0a,b=c\0päßword", Some("a,b=c")),
        ("\0ann\0pen", None),
        ("\0nobody\0pencil", None),
        ("bob\0ann\0pencil", None),
    ] {
        assert_eq!(plain(token, &users).as_deref(), wanted, "{token:?}");
    }
}

#[test]
fn who_is_not_there_looks_like_who_is() {
    let users = users(&[("ann", Mechanism::Sha256, "pencil")]);
    let way = Way::Scram(Mechanism::Sha256);
    let first = |user: &str| {
        let token = format!("n,,n={user},r=fyko");
        challenged(way, token.as_bytes(), &users).unwrap().0
    };
    let (there, not, again) = (first("ann"), first("nobody"), first("nobody"));
    assert_eq!(there.len(), not.len(), "{there} {not}");
    assert_eq!(not, again, "asked twice");
    assert_ne!(not, first("nobody2"));
    // A password is tried as long for both.
    let token = b"\0nobody\0pencil";
    let step = Exchange::new(Way::Plain).step(token, &users, &SECRET, NONCE);
    let Step::Try(trial) = step else {
        panic!("{step:?}");
    };
    assert_eq!(trial.attempt.credential.iterations, 4096);
    assert_eq!(trial.run(), None);
}

#[test]
fn hostile_tokens_are_refused() {
    let users = users(&[("ann", Mechanism::Sha256, "pencil")]);
    let long = vec![b'a'; KAFKA_SASL_TOKEN_BYTES_MAX + 1];
    let of_plain: [&[u8]; 12] = [
        b"",
        b"\0",
        b"\0\0",
        b"\0\0\0",
        b"ann",
        b"\0ann",
        b"\0ann\0",
        b"\0\0pencil",
        b"\0ann\0pencil\0",
        b"\0ann\0pencil\0more",
        b"\0ann\0\xff\xfe",
        &long,
    ];
    for token in of_plain {
        let step = Exchange::new(Way::Plain).step(token, &users, &SECRET, NONCE);
        assert!(matches!(step, Step::Refused), "{token:?}");
    }
    let way = Way::Scram(Mechanism::Sha256);
    let firsts: [&[u8]; 5] = [b"", b"\0ann\0pencil", b"n,,n=ann", b"n,,n=\xff,r=a", &long];
    for token in firsts {
        assert!(challenged(way, token, &users).is_none(), "{token:?}");
    }
    let client = Client {
        user: "ann",
        password: "pencil",
        is_sha512: false,
    };
    let (said, _) = challenged(way, client.first().as_bytes(), &users).unwrap();
    let (good, _) = client.last(&said);
    let nonce = said.split(',').next().unwrap();
    let lasts = [
        String::new(),
        client.first(),
        good.replace("c=biws", "c=eSws"),
        good.replace("r=fyko", "r=fykO"),
        good.replace(nonce, "r=fyko"),
        good.replace(",p=", ",x=1,p="),
        good.replace(",p=", ",q="),
        format!("{good}AAAA"),
        good[..good.len() - 4].into(),
    ];
    for last in lasts {
        let (_, exchange) = challenged(way, client.first().as_bytes(), &users).unwrap();
        let step = exchange.step(last.as_bytes(), &users, &SECRET, NONCE);
        assert!(matches!(step, Step::Refused), "{last}");
    }
    // Words of one conversation are nothing in another.
    let (other, exchange) =
        match Exchange::new(way).step(client.first().as_bytes(), &users, &SECRET, b"other") {
            Step::Challenge(said, exchange) => (said, exchange),
            step => panic!("{step:?}"),
        };
    assert_ne!(other, said.as_bytes());
    let step = exchange.step(good.as_bytes(), &users, &SECRET, NONCE);
    assert!(matches!(step, Step::Refused));
}

/// Every byte of every token flipped, and chance: nothing panics, nobody is let
/// in.
#[test]
fn damaged_tokens_let_nobody_in() {
    let users = users(&[("ann", Mechanism::Sha256, "pencil")]);
    let way = Way::Scram(Mechanism::Sha256);
    let client = Client {
        user: "ann",
        password: "pencil",
        is_sha512: false,
    };
    let first = client.first();
    let (said, _) = challenged(way, first.as_bytes(), &users).unwrap();
    let (last, _) = client.last(&said);
    let mut seeded = Seeded::new(7);
    for at in 0..last.len() {
        let mut damaged = last.clone().into_bytes();
        damaged[at] ^= 1 << seeded.below(8);
        let (_, exchange) = challenged(way, first.as_bytes(), &users).unwrap();
        let step = exchange.step(&damaged, &users, &SECRET, NONCE);
        let shown = String::from_utf8_lossy(&damaged).into_owned();
        assert!(matches!(step, Step::Refused), "{shown}");
    }
    for at in 0..first.len() {
        let mut damaged = first.clone().into_bytes();
        damaged[at] ^= 1 << seeded.below(8);
        if let Step::Challenge(_, exchange) =
            Exchange::new(way).step(&damaged, &users, &SECRET, NONCE)
        {
            let step = exchange.step(last.as_bytes(), &users, &SECRET, NONCE);
            assert!(matches!(step, Step::Refused), "{damaged:?}");
        }
    }
}

#[test]
fn no_password_is_shown() {
    let users = users(&[("ann", Mechanism::Sha256, "tr0ub4dor")]);
    let step = Exchange::new(Way::Plain).step(b"\0ann\0tr0ub4dor", &users, &SECRET, NONCE);
    let shown = format!("{step:?} {step:#?} {users:?}");
    assert!(shown.contains("ann") && !shown.contains("tr0ub"), "{shown}");
    // Nor the bytes of it.
    assert!(!shown.contains("116, 114, 48"), "{shown}");
}
