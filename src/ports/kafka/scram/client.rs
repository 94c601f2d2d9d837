//! The client's half of SCRAM, for commands of ours that log in.

use super::{STANDARD, keys, mac, pbkdf2_of};
use crate::state::topics::access::Mechanism;
use base64::Engine;
use ring::pbkdf2;
use std::fmt;
use std::num::NonZeroU32;

/// What a server may ask for: more is a load that a stranger asks for. Kafka's
/// own stays far below.
const ITERATIONS_MAX: u32 = 1 << 20;

/// No channel is bound, and nobody speaks for another.
const HEADER: &str = "n,,";

/// A login under way.
pub struct Proving {
    mechanism: Mechanism,
    /// The first message without its header.
    bare: String,
    nonce: String,
}

/// What is said last, and what a server that knows the password says to it.
#[derive(Debug)]
pub struct Proof {
    pub message: String,
    pub answer: String,
}

/// Why no proof is given to this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unproven {
    NoScram,
    NotOurNonce,
    Iterations(u32),
}

impl fmt::Display for Unproven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoScram => f.write_str("its words are none of SCRAM"),
            Self::NotOurNonce => f.write_str("it answers to another login than this"),
            Self::Iterations(count) => write!(
                f,
                "it asks for {count} iterations where {ITERATIONS_MAX} are the most"
            ),
        }
    }
}

impl std::error::Error for Unproven {}

impl Proving {
    /// `nonce` is chance, printable and without a comma.
    pub fn begin(mechanism: Mechanism, user: &str, nonce: String) -> Self {
        let user = user.replace('=', "=3D").replace(',', "=2C");
        Self {
            mechanism,
            bare: format!("n={user},r={nonce}"),
            nonce,
        }
    }

    pub fn first(&self) -> String {
        format!("{HEADER}{}", self.bare)
    }

    /// The proof to the server's first words. The password stays here.
    pub fn prove(&self, server_first: &[u8], password: &[u8]) -> Result<Proof, Unproven> {
        let first = std::str::from_utf8(server_first).map_err(|_| Unproven::NoScram)?;
        let (nonce, salt, count) = said(first).ok_or(Unproven::NoScram)?;
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err(Unproven::NotOurNonce);
        }
        if count.get() > ITERATIONS_MAX {
            return Err(Unproven::Iterations(count.get()));
        }
        let mechanism = self.mechanism;
        let mut salted = vec![0; mechanism.key_bytes()];
        pbkdf2::derive(pbkdf2_of(mechanism), count, &salt, password, &mut salted);
        let bare = format!("c={},r={nonce}", STANDARD.encode(HEADER));
        let words = format!("{},{first},{bare}", self.bare);
        let (stored, server) = keys(mechanism, &salted);
        let client = mac(mechanism, &salted, &[b"Client Key"]);
        let signature = mac(mechanism, &stored.0, &[words.as_bytes()]);
        let proof: Vec<u8> = client
            .as_ref()
            .iter()
            .zip(signature.as_ref())
            .map(|(a, b)| a ^ b)
            .collect();
        let answer = mac(mechanism, &server.0, &[words.as_bytes()]);
        Ok(Proof {
            message: format!("{bare},p={}", STANDARD.encode(proof)),
            answer: format!("v={}", STANDARD.encode(answer)),
        })
    }
}

/// Nonce, salt and iterations. What a server wants understood beside them would
/// come first, and is not.
fn said(first: &str) -> Option<(&str, Vec<u8>, NonZeroU32)> {
    let mut parts = first.split(',');
    let nonce = parts.next()?.strip_prefix("r=")?;
    let salt = STANDARD.decode(parts.next()?.strip_prefix("s=")?).ok()?;
    let count = parts.next()?.strip_prefix("i=")?.parse().ok()?;
    Some((nonce, salt, count))
}

#[cfg(test)]
mod tests {
    use super::super::*;
    use super::*;

    /// The exchange that RFC 7677 shows.
    #[test]
    fn the_exchange_of_the_standard_is_ours() {
        let nonce = "rOprNGfwEbeRWgbNEkqO".to_owned();
        let proving = Proving::begin(Mechanism::Sha256, "user", nonce);
        assert_eq!(proving.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let first = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                     s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let proof = proving.prove(first.as_bytes(), b"pencil").unwrap();
        assert_eq!(
            proof.message,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert_eq!(
            proof.answer,
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
        );
    }

    #[test]
    fn our_door_believes_it_and_is_believed() {
        for mechanism in Mechanism::ALL {
            let count = NonZeroU32::new(4096).unwrap();
            let kept = credential(mechanism, b"tr0ub4dor", b"salt of twelve", count);
            let proving = Proving::begin(mechanism, "a=n,n", "mine".into());
            let first = proving.first();
            let heard = ClientFirst::parse(first.as_bytes()).unwrap();
            assert_eq!((&*heard.user, heard.nonce), ("a=n,n", "mine"));
            let server = server_first("mine+its", &kept);
            for (password, is_it) in [("tr0ub4dor", true), ("troubador", false)] {
                let proof = proving.prove(server.as_bytes(), password.as_bytes());
                let proof = proof.unwrap();
                let last = ClientFinal::parse(proof.message.as_bytes()).unwrap();
                let words = format!("{},{server},{}", heard.bare, last.bare);
                assert_eq!(proves(mechanism, &kept, &words, &last.proof), is_it);
                assert_eq!(
                    proof.answer == server_final(mechanism, &kept, &words),
                    is_it
                );
            }
        }
    }

    #[test]
    fn a_server_that_is_none_gets_no_proof() {
        let proving = Proving::begin(Mechanism::Sha512, "ann", "mine".into());
        for (first, why) in [
            (
                &b"r=mine+its,s=c2FsdA==,i=2000000"[..],
                "2000000 iterations",
            ),
            (b"r=mine,s=c2FsdA==,i=4096", "another login"),
            (b"r=other,s=c2FsdA==,i=4096", "another login"),
            (b"r=mine+its,s=?,i=4096", "none of SCRAM"),
            (b"r=mine+its,s=c2FsdA==,i=0", "none of SCRAM"),
            (b"m=new,r=mine+its,s=c2FsdA==,i=4096", "none of SCRAM"),
            (b"\xff", "none of SCRAM"),
        ] {
            let refused = proving.prove(first, b"pencil").unwrap_err().to_string();
            assert!(refused.contains(why), "{refused}");
        }
    }
}
