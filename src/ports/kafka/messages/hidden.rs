//! Bytes that hold or prove a password. They are read and written as any, and
//! never shown.

use super::Version;
use super::reader::{Reader, Unread};
use super::shape::Kind;
use super::value::Value;
use super::writer::{Unwritten, Writer};
use bytes::Bytes;
use std::fmt;

#[derive(Clone, Default, PartialEq, Eq)]
pub struct Hidden(pub Bytes);

impl From<Bytes> for Hidden {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("hidden")
    }
}

impl Value for Hidden {
    const KIND: Kind = Kind::Hidden;

    #[inline(always)]
    fn bytes_min(at: Version) -> usize {
        Bytes::bytes_min(at)
    }

    fn read(from: &mut Reader, at: Version) -> Result<Self, Unread> {
        Bytes::read(from, at).map(Self)
    }

    fn write(&self, into: &mut Writer, at: Version) -> Result<(), Unwritten> {
        self.0.write(into, at)
    }
}

#[cfg(test)]
mod tests {
    use super::super::alter_user_scram_credentials::ScramCredentialUpsertion;
    use super::super::sasl_authenticate::SaslAuthenticateRequest;
    use super::*;

    #[test]
    fn no_request_shows_a_password() {
        let password = Bytes::from_static(b"\0ann\0tr0ub4dor");
        let login = SaslAuthenticateRequest {
            auth_bytes: password.clone().into(),
        };
        let change = ScramCredentialUpsertion {
            salted_password: password.into(),
            ..Default::default()
        };
        for shown in [
            format!("{login:?} {change:?}"),
            format!("{login:#?} {change:#?}"),
        ] {
            assert!(
                shown.contains("hidden") && !shown.contains("tr0ub"),
                "{shown}"
            );
        }
    }
}
