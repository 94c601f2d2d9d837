//! Who a client is: by its address, by a name and password that it shows, by
//! the certificate of its TLS connection.

use super::terms::Terms;
use crate::state::Identity;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

/// May do everything.
pub fn superuser() -> Identity {
    Identity::new("super", "")
}

/// The identities that an auth request brings; None where it shows nothing
/// that holds. `known` is who the connection is already.
pub fn shown(
    scheme: &str,
    auth: &[u8],
    known: &[Identity],
    terms: &Terms,
) -> Option<Vec<Identity>> {
    match scheme {
        "digest" => Some(digest_identities(auth, terms)),
        // Known from the connection itself: saying so again changes nothing.
        "ip" | "x509" => known
            .iter()
            .any(|identity| &*identity.scheme == scheme)
            .then(Vec::new),
        _ => None,
    }
}

/// Anything is somebody's proof; whose, the hash tells.
fn digest_identities(auth: &[u8], terms: &Terms) -> Vec<Identity> {
    let name_and_password = String::from_utf8_lossy(auth);
    let hashed = hash(&name_and_password);
    let is_super = terms
        .superuser_digest
        .as_ref()
        .is_some_and(|wanted| is_equal(wanted.0.as_bytes(), hashed.as_bytes()));
    let mut identities = vec![Identity::new("digest", &hashed)];
    if is_super {
        identities.push(superuser());
    }
    identities
}

/// `user:password` as access lists hold it: `user:base64(sha1(user:password))`.
/// SHA-1 is what the protocol's clients compute themselves.
pub fn hash(name_and_password: &str) -> String {
    let name = name_and_password.split(':').next().unwrap_or_default();
    let sum = digest(&SHA1_FOR_LEGACY_USE_ONLY, name_and_password.as_bytes());
    format!("{name}:{}", STANDARD.encode(sum))
}

/// Takes as long for a near miss as for a far one.
pub fn is_equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

/// What whoAmI tells of an identity: never a hash.
pub fn user(identity: &Identity) -> &str {
    match &*identity.scheme {
        "digest" => identity.id.split(':').next().unwrap_or_default(),
        _ => &identity.id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_reads_as_the_original_writes_it() {
        // The superuser digest that the originals' own tests use.
        assert_eq!(hash("super:test"), "super:D/InIHSb7yEEbrWz8b9l71RjZJU=");
    }

    #[test]
    fn the_superuser_is_known_by_the_digest() {
        let terms = Terms {
            superuser_digest: Some("super:D/InIHSb7yEEbrWz8b9l71RjZJU=".into()),
            ..Terms::default()
        };
        let shown = |auth: &[u8]| shown("digest", auth, &[], &terms).unwrap();
        assert!(shown(b"super:test").contains(&superuser()));
        assert!(!shown(b"super:other").contains(&superuser()));
    }

    #[test]
    fn a_scheme_that_nobody_knows_is_refused() {
        let terms = Terms::default();
        let known = [Identity::new("ip", "127.0.0.1")];
        assert_eq!(shown("ip", b"", &known, &terms), Some(vec![]));
        for scheme in ["world", "super", "sasl", "x509", "kerberos", ""] {
            assert_eq!(shown(scheme, b"a:b", &known, &terms), None, "{scheme}");
        }
        assert!(shown("digest", &[0xff], &known, &terms).is_some());
    }
}
