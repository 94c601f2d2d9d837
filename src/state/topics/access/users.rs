//! Who can log in: for each user and mechanism what SCRAM (RFC 5802) keeps of a
//! password, from which the password cannot be had.

use super::command::AccessRefused;
use crate::limits::{SCRAM_SALT_BYTES_MAX, SCRAM_USERS_MAX, USER_NAME_BYTES_MAX};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

/// Fewer are broken too soon, and more are a load that a stranger could ask for.
/// Kafka's bounds.
pub const ITERATIONS: RangeInclusive<u32> = 4096..=16_384;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mechanism {
    Sha256,
    Sha512,
}

impl Mechanism {
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];

    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "SCRAM-SHA-256",
            Self::Sha512 => "SCRAM-SHA-512",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    /// What its hash comes to.
    pub fn key_bytes(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

/// Never shown: whoever has a stored key can look for the password, and whoever
/// has a server key can pass for the server.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(pub Box<[u8]>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a key of {} bytes", self.0.len())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    pub salt: Box<[u8]>,
    pub iterations: u32,
    pub stored_key: Key,
    pub server_key: Key,
}

impl Credential {
    pub fn check(&self, mechanism: Mechanism) -> Result<(), AccessRefused> {
        if !ITERATIONS.contains(&self.iterations) {
            let asked = self.iterations;
            return Err(AccessRefused::Iterations { asked });
        }
        if !(1..=SCRAM_SALT_BYTES_MAX).contains(&self.salt.len()) {
            let bytes = self.salt.len();
            return Err(AccessRefused::Salt { bytes });
        }
        let mut keys = [&self.stored_key, &self.server_key].into_iter();
        match keys.find(|key| key.0.len() != mechanism.key_bytes()) {
            Some(key) => Err(AccessRefused::Key {
                mechanism,
                bytes: key.0.len(),
            }),
            None => Ok(()),
        }
    }
}

pub type Credentials = BTreeMap<Mechanism, Credential>;

/// All that is done to one user at once, or nothing of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserAlteration {
    pub name: Box<str>,
    /// None takes it away.
    pub changes: Vec<(Mechanism, Option<Credential>)>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Users {
    pub(super) by_name: BTreeMap<Box<str>, Credentials>,
    /// Drawn by who made the first user.
    pub(super) secret: Option<Secret>,
}

/// Of this the door makes salts for users who are not there, the same ones on
/// every node and after every start, so that nobody learns who is there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret(pub [u8; 32]);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a secret")
    }
}

impl Users {
    pub fn get(&self, name: &str, mechanism: Mechanism) -> Option<&Credential> {
        self.by_name.get(name)?.get(&mechanism)
    }

    pub fn of(&self, name: &str) -> Option<&Credentials> {
        self.by_name.get(name)
    }

    /// By name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Credentials)> {
        self.by_name.iter().map(|(name, of)| (&**name, of))
    }

    pub fn secret(&self) -> Option<Secret> {
        self.secret
    }

    pub(super) fn alter(&mut self, alteration: &UserAlteration) -> Result<(), AccessRefused> {
        let UserAlteration { name, changes } = alteration;
        check_name(name)?;
        let standing = self.by_name.get(name);
        for (n, (mechanism, change)) in changes.iter().enumerate() {
            if changes[..n].iter().any(|(other, _)| other == mechanism) {
                return Err(AccessRefused::Twice);
            }
            match change {
                Some(credential) => credential.check(*mechanism)?,
                None if standing.is_none_or(|of| !of.contains_key(mechanism)) => {
                    return Err(AccessRefused::NoCredential);
                }
                None => {}
            }
        }
        if standing.is_none() && self.by_name.len() >= SCRAM_USERS_MAX {
            return Err(AccessRefused::UsersMax);
        }
        let of = self.by_name.entry(name.clone()).or_default();
        for (mechanism, change) in changes {
            match change {
                Some(credential) => drop(of.insert(*mechanism, credential.clone())),
                None => drop(of.remove(mechanism)),
            }
        }
        if of.is_empty() {
            self.by_name.remove(name);
        }
        Ok(())
    }
}

fn check_name(name: &str) -> Result<(), AccessRefused> {
    match name.len() {
        1..=USER_NAME_BYTES_MAX => Ok(()),
        bytes => Err(AccessRefused::UserName { bytes }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credential(iterations: u32, salt: usize, key: usize) -> Option<Credential> {
        Some(Credential {
            salt: vec![7; salt].into(),
            iterations,
            stored_key: Key(vec![0xab; key].into()),
            server_key: Key(vec![0xcd; key].into()),
        })
    }

    #[test]
    fn what_is_no_credential_is_refused_and_changes_nothing() {
        use Mechanism::{Sha256, Sha512};
        let long = "u".repeat(USER_NAME_BYTES_MAX + 1);
        let good = || (Sha256, credential(4096, 16, 32));
        let cases = [
            ("", vec![good()], AccessRefused::UserName { bytes: 0 }),
            (&long, vec![good()], AccessRefused::UserName { bytes: 257 }),
            (
                "ann",
                vec![good(), (Sha512, credential(4095, 16, 64))],
                AccessRefused::Iterations { asked: 4095 },
            ),
            (
                "ann",
                vec![(Sha256, credential(16_385, 16, 32))],
                AccessRefused::Iterations { asked: 16_385 },
            ),
            (
                "ann",
                vec![(Sha256, credential(4096, 0, 32))],
                AccessRefused::Salt { bytes: 0 },
            ),
            (
                "ann",
                vec![(Sha512, credential(4096, 16, 32))],
                AccessRefused::Key {
                    mechanism: Sha512,
                    bytes: 32,
                },
            ),
            ("ann", vec![good(), good()], AccessRefused::Twice),
            (
                "ann",
                vec![good(), (Sha512, None)],
                AccessRefused::NoCredential,
            ),
        ];
        for (name, changes, refused) in cases {
            let mut users = Users::default();
            let name = name.into();
            let alteration = UserAlteration { name, changes };
            assert_eq!(users.alter(&alteration), Err(refused));
            assert_eq!(users, Users::default());
        }
    }

    #[test]
    fn a_user_goes_with_the_last_mechanism() {
        let mut users = Users::default();
        let mut alter = |changes: &[(Mechanism, Option<Credential>)]| {
            let altered = users.alter(&UserAlteration {
                name: "ann".into(),
                changes: changes.to_vec(),
            });
            altered.map(|()| users.by_name.get("ann").map_or(0, BTreeMap::len))
        };
        let both = [
            (Mechanism::Sha256, credential(4096, 1, 32)),
            (
                Mechanism::Sha512,
                credential(16_384, SCRAM_SALT_BYTES_MAX, 64),
            ),
        ];
        assert_eq!(alter(&both), Ok(2));
        assert_eq!(alter(&[(Mechanism::Sha256, None)]), Ok(1));
        assert_eq!(alter(&[(Mechanism::Sha512, None)]), Ok(0));
    }

    #[test]
    fn no_key_is_shown() {
        let shown = format!("{:?}", credential(4096, 16, 32));
        assert!(!shown.contains("171") && !shown.contains("205"), "{shown}");
        assert!(!shown.to_lowercase().contains("ab, ab"), "{shown}");
        assert_eq!(format!("{:?}", Secret([0xab; 32])), "a secret");
    }
}
