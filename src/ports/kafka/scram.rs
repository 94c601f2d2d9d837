//! SCRAM (RFC 5802, RFC 7677): its hashes and its messages. Names and passwords
//! are taken as the UTF-8 that they are, without the normal forms of RFC 4013, as
//! by Kafka.

pub mod client;

use crate::state::topics::access::{Credential, Key, Mechanism, Secret};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::{digest, hmac, pbkdf2};
use std::num::NonZeroU32;

/// What is kept of a password.
pub fn credential(
    mechanism: Mechanism,
    password: &[u8],
    salt: &[u8],
    iterations: NonZeroU32,
) -> Credential {
    let mut salted = vec![0; mechanism.key_bytes()];
    pbkdf2::derive(
        pbkdf2_of(mechanism),
        iterations,
        salt,
        password,
        &mut salted,
    );
    let (stored_key, server_key) = keys(mechanism, &salted);
    Credential {
        salt: salt.into(),
        iterations: iterations.get(),
        stored_key,
        server_key,
    }
}

/// The stored key and the server's of what a client has made of a password.
pub fn keys(mechanism: Mechanism, salted: &[u8]) -> (Key, Key) {
    let client = mac(mechanism, salted, &[b"Client Key"]);
    let stored = digest::digest(digest_of(mechanism), client.as_ref());
    let server = mac(mechanism, salted, &[b"Server Key"]);
    (Key(stored.as_ref().into()), Key(server.as_ref().into()))
}

/// Takes as long as the credential's iterations.
pub fn is_password(mechanism: Mechanism, credential: &Credential, password: &[u8]) -> bool {
    let Some(iterations) = NonZeroU32::new(credential.iterations) else {
        return false;
    };
    let made = self::credential(mechanism, password, &credential.salt, iterations);
    is_equal(&made.stored_key.0, &credential.stored_key.0)
}

/// What a user who is not there seems to have: always the same, and as long and
/// as costly as what the others have. No password fits it.
pub fn decoy(
    mechanism: Mechanism,
    user: &str,
    secret: &Secret,
    like: Option<&Credential>,
) -> Credential {
    let salt_bytes = like.map_or(SALT_BYTES, |like| like.salt.len());
    let iterations = like.map_or(ITERATIONS, |like| like.iterations);
    let name = mechanism.name().as_bytes();
    let part = |of: u8, n: u8| {
        let parts = [&[of, n][..], name, user.as_bytes()];
        mac(Mechanism::Sha512, &secret.0, &parts).as_ref().to_vec()
    };
    let salt = (0..).flat_map(|n| part(0, n)).take(salt_bytes);
    let key = |of| {
        Key(part(of, 0)
            .into_iter()
            .take(mechanism.key_bytes())
            .collect())
    };
    Credential {
        salt: salt.collect(),
        iterations,
        stored_key: key(1),
        server_key: key(2),
    }
}

/// As many bytes as the hash of the smaller mechanism.
pub const SALT_BYTES: usize = 32;
/// RFC 7677's least, and what Kafka's own tool takes.
pub const ITERATIONS: u32 = 4096;

/// The first message of a client.
#[derive(Debug, PartialEq, Eq)]
pub struct ClientFirst<'a> {
    /// What is said of channels: none is bound here.
    pub header: &'a str,
    pub user: String,
    pub nonce: &'a str,
    /// All behind the header.
    pub bare: &'a str,
}

impl<'a> ClientFirst<'a> {
    pub fn parse(token: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(token).ok()?;
        let mut parts = text.splitn(3, ',');
        let (channel, other, bare) = (parts.next()?, parts.next()?, parts.next()?);
        if !matches!(channel, "n" | "y") {
            return None;
        }
        // What a client must understand would come before the name.
        let mut said = bare.split(',');
        let user = name(said.next()?.strip_prefix("n=")?)?;
        let nonce = said.next()?.strip_prefix("r=")?;
        // Delegation tokens are not there.
        let is_token = said.any(|extension| extension == "tokenauth=true");
        // Nobody speaks for another.
        let for_other = match other.strip_prefix("a=") {
            Some(other) => name(other)? != user,
            None => !other.is_empty(),
        };
        let is_nonce = !nonce.is_empty() && nonce.bytes().all(|byte| byte.is_ascii_graphic());
        let is_good = !user.is_empty() && is_nonce && !is_token && !for_other;
        is_good.then_some(Self {
            header: &text[..text.len() - bare.len()],
            user,
            nonce,
            bare,
        })
    }
}

/// A comma and an equals sign are written as numbers.
fn name(text: &str) -> Option<String> {
    let mut parts = text.split('=');
    let mut name = parts.next()?.to_string();
    for part in parts {
        let rest = match part.split_at_checked(2)? {
            ("2C", rest) => {
                name.push(',');
                rest
            }
            ("3D", rest) => {
                name.push('=');
                rest
            }
            _ => return None,
        };
        name.push_str(rest);
    }
    Some(name)
}

/// The last message of a client.
#[derive(Debug, PartialEq, Eq)]
pub struct ClientFinal<'a> {
    pub header: Vec<u8>,
    pub nonce: &'a str,
    pub proof: Vec<u8>,
    /// All before the proof.
    pub bare: &'a str,
}

impl<'a> ClientFinal<'a> {
    pub fn parse(token: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(token).ok()?;
        let (bare, proof) = text.rsplit_once(",p=")?;
        let mut said = bare.split(',');
        Some(Self {
            header: STANDARD.decode(said.next()?.strip_prefix("c=")?).ok()?,
            nonce: said.next()?.strip_prefix("r=")?,
            proof: STANDARD.decode(proof).ok()?,
            bare,
        })
    }
}

pub fn server_first(nonce: &str, credential: &Credential) -> String {
    let salt = STANDARD.encode(&credential.salt);
    format!("r={nonce},s={salt},i={}", credential.iterations)
}

/// Whether the client knows the password, by the words of both sides.
pub fn proves(mechanism: Mechanism, credential: &Credential, words: &str, proof: &[u8]) -> bool {
    let stored = &credential.stored_key.0;
    let signature = mac(mechanism, stored, &[words.as_bytes()]);
    if proof.len() != mechanism.key_bytes() {
        return false;
    }
    let client = signature.as_ref().iter().zip(proof).map(|(a, b)| a ^ b);
    let client: Vec<u8> = client.collect();
    let made = digest::digest(digest_of(mechanism), &client);
    is_equal(made.as_ref(), stored)
}

/// By which the client learns that the server knows its keys.
pub fn server_final(mechanism: Mechanism, credential: &Credential, words: &str) -> String {
    let signature = mac(mechanism, &credential.server_key.0, &[words.as_bytes()]);
    format!("v={}", STANDARD.encode(signature))
}

fn mac(mechanism: Mechanism, key: &[u8], parts: &[&[u8]]) -> hmac::Tag {
    let algorithm = match mechanism {
        Mechanism::Sha256 => hmac::HMAC_SHA256,
        Mechanism::Sha512 => hmac::HMAC_SHA512,
    };
    let key = hmac::Key::new(algorithm, key);
    let mut context = hmac::Context::with_key(&key);
    parts.iter().for_each(|part| context.update(part));
    context.sign()
}

fn digest_of(mechanism: Mechanism) -> &'static digest::Algorithm {
    match mechanism {
        Mechanism::Sha256 => &digest::SHA256,
        Mechanism::Sha512 => &digest::SHA512,
    }
}

fn pbkdf2_of(mechanism: Mechanism) -> pbkdf2::Algorithm {
    match mechanism {
        Mechanism::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
        Mechanism::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
    }
}

/// Takes as long wherever they differ.
fn is_equal(one: &[u8], other: &[u8]) -> bool {
    let pairs = one.iter().zip(other);
    let differ = pairs.fold(0, |differ, (a, b)| differ | (a ^ b));
    one.len() == other.len() && std::hint::black_box(differ) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exchange of RFC 7677, section 3: user "user", password "pencil".
    #[test]
    fn the_rfc_s_exchange_comes_out() {
        let first = ClientFirst::parse(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO").unwrap();
        assert_eq!((first.header, &*first.user), ("n,,", "user"));
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let iterations = NonZeroU32::new(4096).unwrap();
        let kept = credential(Mechanism::Sha256, b"pencil", &salt, iterations);
        let nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let server = server_first(nonce, &kept);
        assert_eq!(
            server,
            format!("r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")
        );
        let said = format!("c=biws,r={nonce},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
        let last = ClientFinal::parse(said.as_bytes()).unwrap();
        assert_eq!((last.header.as_slice(), last.nonce), (&b"n,,"[..], nonce));
        let words = format!("{},{server},{}", first.bare, last.bare);
        assert!(proves(Mechanism::Sha256, &kept, &words, &last.proof));
        assert_eq!(
            server_final(Mechanism::Sha256, &kept, &words),
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
        );
        let mut other = last.proof.clone();
        other[7] ^= 1;
        assert!(!proves(Mechanism::Sha256, &kept, &words, &other));
        assert!(!proves(Mechanism::Sha256, &kept, &words, &[]));
        assert!(!proves(
            Mechanism::Sha256,
            &kept,
            "other words",
            &last.proof
        ));
        assert!(is_password(Mechanism::Sha256, &kept, b"pencil"));
        assert!(!is_password(Mechanism::Sha256, &kept, b"pencil "));
    }

    #[test]
    fn first_messages_are_read_or_refused() {
        let long = format!("n,,n={},r=x", "=3D".repeat(50));
        for (token, user) in [
            ("n,,n=ann,r=abc", Some("ann")),
            ("y,,n=ann,r=abc", Some("ann")),
            ("n,a=ann,n=ann,r=abc", Some("ann")),
            ("n,,n=a=2Cb=3Dc,r=abc,x=more", Some("a,b=c")),
            ("n,,n=ü,r=abc", Some("ü")),
            (&long, Some(&*"=".repeat(50))),
            ("", None),
            ("n", None),
            ("n,", None),
            ("n,,", None),
            ("n,,n=ann", None),
            ("n,,n=ann,r=", None),
            ("n,,n=,r=abc", None),
            ("n,,r=abc,n=ann", None),
            ("n,,m=must,n=ann,r=abc", None),
            ("p=tls-unique,,n=ann,r=abc", None),
            ("x,,n=ann,r=abc", None),
            ("n,a=bob,n=ann,r=abc", None),
            ("n,bob,n=ann,r=abc", None),
            ("n,,n=a=2c,r=abc", None),
            ("n,,n=a=2,r=abc", None),
            ("n,,n=a=,r=abc", None),
            ("n,,n=a=ü,r=abc", None),
            ("n,,n=ann,r=a c", None),
            ("n,,n=ann,r=abc,tokenauth=true", None),
        ] {
            let read = ClientFirst::parse(token.as_bytes()).map(|first| first.user);
            assert_eq!(read.as_deref(), user, "{token}");
        }
        assert_eq!(ClientFirst::parse(b"n,,n=\xff,r=abc"), None);
    }

    #[test]
    fn last_messages_are_read_or_refused() {
        for (token, is_read) in [
            ("c=biws,r=abc,p=AAAA", true),
            ("c=biws,r=abc,x=more,p=AAAA", true),
            ("c=biws,r=abc,p=", true),
            ("", false),
            (",p=AAAA", false),
            ("c=biws,p=AAAA", false),
            ("c=biws,r=abc", false),
            ("c=?,r=abc,p=AAAA", false),
            ("c=biws,r=abc,p=AAA", false),
            ("r=abc,c=biws,p=AAAA", false),
        ] {
            let read = ClientFinal::parse(token.as_bytes());
            assert_eq!(read.is_some(), is_read, "{token}");
        }
    }

    #[test]
    fn a_decoy_is_always_the_same_and_like_the_others() {
        let secret = Secret([3; 32]);
        let make = |user, secret: &Secret, like| decoy(Mechanism::Sha256, user, secret, like);
        let one = make("ann", &secret, None);
        assert_eq!(one, make("ann", &secret, None));
        assert_ne!(one.salt, make("bob", &secret, None).salt);
        assert_ne!(one.salt, make("ann", &Secret([4; 32]), None).salt);
        assert_ne!(
            one.salt,
            decoy(Mechanism::Sha512, "ann", &secret, None).salt
        );
        assert_eq!(one.check(Mechanism::Sha256), Ok(()));
        let like = Credential {
            salt: [0; 100].into(),
            iterations: 8192,
            ..one.clone()
        };
        let other = make("ann", &secret, Some(&like));
        assert_eq!((other.salt.len(), other.iterations), (100, 8192));
    }
}
