//! What is asked of users over the admin socket. A password never is in it.

use super::super::coordination::Shared;
use super::Desk;
use crate::state::topics::access::{Credential, Key, Mechanism};
use serde::Deserialize;
use serde_json::Value;
use std::fmt;

/// A user who shall be there, with these credentials.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Added {
    name: String,
    credentials: Vec<Kept>,
}

/// What SCRAM keeps of a password, as two digits a byte.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    mechanism: String,
    iterations: u32,
    salt: String,
    stored_key: String,
    server_key: String,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a credential for {}", self.mechanism)
    }
}

impl Kept {
    fn read(&self) -> Result<(Mechanism, Credential), String> {
        let mechanism = Mechanism::named(&self.mechanism);
        let mechanism = mechanism.ok_or_else(|| format!("{} is no mechanism", self.mechanism))?;
        let digits = |text: &str| bytes(text).ok_or("a key or salt is two digits for each byte");
        let credential = Credential {
            salt: digits(&self.salt)?,
            iterations: self.iterations,
            stored_key: Key(digits(&self.stored_key)?),
            server_key: Key(digits(&self.server_key)?),
        };
        Ok((mechanism, credential))
    }
}

fn bytes(digits: &str) -> Option<Box<[u8]>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = digits.as_bytes().chunks(2).map(|pair| match *pair {
        [high, low] => Some((digit(high)? << 4 | digit(low)?) as u8),
        _ => None,
    });
    pairs.collect()
}

impl Desk {
    pub(super) async fn add_user(&self, shared: &Shared, added: Added) -> Result<Value, String> {
        let credentials = added.credentials.iter().map(Kept::read);
        let credentials: Vec<_> = credentials.collect::<Result<_, _>>()?;
        if credentials.is_empty() {
            return Err("a user without credentials cannot log in".into());
        }
        shared.add_user(&added.name, credentials).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_and_not_shown() {
        let text = r#"{"name":"ann","credentials":[{"mechanism":"SCRAM-SHA-256",
            "iterations":4096,"salt":"0aFF","stored_key":"abcd","server_key":"ef01"}]}"#;
        let added: Added = serde_json::from_str(text).unwrap();
        let (mechanism, credential) = added.credentials[0].read().unwrap();
        assert_eq!(mechanism, Mechanism::Sha256);
        assert_eq!(
            (&*credential.salt, credential.iterations),
            (&[10, 255][..], 4096)
        );
        assert_eq!(&*credential.stored_key.0, [0xab, 0xcd]);
        let shown = format!("{added:?}");
        assert!(
            !shown.contains("abcd") && !shown.contains("ef01"),
            "{shown}"
        );
        for bad in ["0", "0g", "+1", "ü"] {
            assert_eq!(bytes(bad), None, "{bad}");
        }
    }
}
