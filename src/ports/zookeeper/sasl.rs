//! DIGEST-MD5 (RFC 2831), the server's side, without a security layer
//! (`qop=auth`). Old, and what the protocol's clients speak: a password does
//! not travel, but what does is no better protected than by MD5. Over TLS it
//! is sound.

use super::auth::is_equal;
use super::terms::Terms;
use crate::limits::ZOOKEEPER_SASL_TOKEN_BYTES_MAX;
use md5::{Digest, Md5};
use std::collections::BTreeMap;

/// What ZooKeeper's servers and clients have agreed to call themselves.
const REALM: &str = "zk-sasl-md5";
/// The service that a client means to reach; what follows the slash differs
/// between clients.
const SERVICE: &str = "zookeeper/";

/// Where a connection stands in proving who its client is.
#[derive(Debug, Default)]
pub enum Conversation {
    #[default]
    NotBegun,
    Challenged {
        nonce: String,
    },
    Over,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// To be said to the client, which then answers.
    Challenge(Vec<u8>),
    /// The client is who it says; the token proves to it that we know its
    /// password too.
    Proven {
        user: Box<str>,
        token: Vec<u8>,
    },
    Refused,
}

impl Conversation {
    /// `nonce` is drawn for this conversation alone.
    pub fn hear(&mut self, token: &[u8], terms: &Terms, nonce: impl FnOnce() -> String) -> Step {
        match std::mem::replace(self, Conversation::Over) {
            // What a client says first says nothing yet: the challenge is ours.
            Conversation::NotBegun if !terms.sasl_users.is_empty() => {
                let nonce = nonce();
                let challenge = format!(
                    "realm=\"{REALM}\",nonce=\"{nonce}\",qop=\"auth\",charset=utf-8,algorithm=md5-sess"
                );
                *self = Conversation::Challenged { nonce };
                Step::Challenge(challenge.into_bytes())
            }
            Conversation::Challenged { nonce } => {
                prove(token, &nonce, terms).unwrap_or(Step::Refused)
            }
            _ => Step::Refused,
        }
    }
}

fn prove(token: &[u8], nonce: &str, terms: &Terms) -> Option<Step> {
    let said = directives(token)?;
    let text = |name| said.get(name).map(Vec::as_slice);
    let plain = |name| text(name).and_then(|value| std::str::from_utf8(value).ok());

    let name = plain("username")?;
    let user = terms.sasl_users.iter().find(|user| &*user.name == name)?;
    let is_ours = plain("realm").unwrap_or_default() == REALM
        && plain("nonce")? == nonce
        && plain("nc")? == "00000001"
        && plain("qop").unwrap_or("auth") == "auth"
        && plain("digest-uri")?.starts_with(SERVICE)
        // Nobody speaks for another.
        && plain("authzid").is_none_or(|other| other == name);
    if !is_ours {
        return None;
    }
    let exchange = Exchange {
        realm: REALM,
        nonce,
        nc: "00000001",
        cnonce: text("cnonce")?,
        digest_uri: text("digest-uri")?,
        authzid: text("authzid"),
    };
    let response = text("response")?;
    let secret = [
        exchange.secret(&latin(name)?, &latin(&user.password)?),
        exchange.secret(name.as_bytes(), user.password.as_bytes()),
    ];
    // RFC 2831 hashes names and passwords in Latin-1 where they fit; some
    // clients always hash UTF-8.
    let secret = secret.into_iter().find(|secret| {
        let wanted = exchange.response(secret, "AUTHENTICATE");
        is_equal(wanted.as_bytes(), response)
    })?;
    let token = format!("rspauth={}", exchange.response(&secret, ""));
    Some(Step::Proven {
        user: name.into(),
        token: token.into_bytes(),
    })
}

/// Latin-1 where the text fits, else UTF-8.
fn latin(text: &str) -> Option<Vec<u8>> {
    let latin: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(c).ok()).collect();
    Some(latin.unwrap_or_else(|| text.as_bytes().to_vec()))
}

/// What both sides hash, in the words of RFC 2831, section 2.1.2.1.
pub struct Exchange<'a> {
    pub realm: &'a str,
    pub nonce: &'a str,
    pub nc: &'a str,
    pub cnonce: &'a [u8],
    pub digest_uri: &'a [u8],
    pub authzid: Option<&'a [u8]>,
}

impl Exchange<'_> {
    /// HEX(H(A1)).
    pub fn secret(&self, name: &[u8], password: &[u8]) -> String {
        let inner = md5(&[name, b":", self.realm.as_bytes(), b":", password]);
        let mut a1 = vec![&inner[..], b":", self.nonce.as_bytes(), b":", self.cnonce];
        if let Some(authzid) = self.authzid {
            a1.extend([b":", authzid]);
        }
        hex(&md5(&a1))
    }

    /// A client authenticates, a server answers with an empty method.
    pub fn response(&self, secret: &str, method: &str) -> String {
        let a2 = hex(&md5(&[method.as_bytes(), b":", self.digest_uri]));
        hex(&md5(&[
            secret.as_bytes(),
            b":",
            self.nonce.as_bytes(),
            b":",
            self.nc.as_bytes(),
            b":",
            self.cnonce,
            b":auth:",
            a2.as_bytes(),
        ]))
    }
}

fn md5(parts: &[&[u8]]) -> [u8; 16] {
    let mut sum = Md5::new();
    parts.iter().for_each(|part| sum.update(part));
    sum.finalize().into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `name=value` or `name="value"`, with commas between. None where the token
/// is not that, or says something twice.
fn directives(token: &[u8]) -> Option<BTreeMap<&str, Vec<u8>>> {
    if token.len() > ZOOKEEPER_SASL_TOKEN_BYTES_MAX {
        return None;
    }
    let mut found = BTreeMap::new();
    let mut rest = token.trim_ascii();
    while !rest.is_empty() {
        let equals = rest.iter().position(|&byte| byte == b'=')?;
        let name = std::str::from_utf8(rest[..equals].trim_ascii()).ok()?;
        let (value, behind) = value(&rest[equals + 1..])?;
        if found.insert(name, value).is_some() {
            return None;
        }
        rest = behind.trim_ascii_start();
        match rest.split_first() {
            Some((b',', behind)) => rest = behind.trim_ascii_start(),
            Some(_) => return None,
            None => {}
        }
    }
    Some(found)
}

fn value(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let Some(mut rest) = text.strip_prefix(b"\"") else {
        let end = text.iter().position(|&byte| byte == b',');
        let (value, behind) = text.split_at(end.unwrap_or(text.len()));
        return Some((value.trim_ascii().to_vec(), behind));
    };
    let mut value = Vec::new();
    loop {
        match rest {
            [b'"', behind @ ..] => return Some((value, behind)),
            [b'\\', byte, behind @ ..] | [byte, behind @ ..] => {
                value.push(*byte);
                rest = behind;
            }
            [] => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::terms::SaslUser;
    use super::*;

    #[test]
    fn the_example_of_the_rfc_holds() {
        // RFC 2831, section 4.
        let exchange = Exchange {
            realm: "elwood.innosoft.com",
            nonce: "OA6MG9tEQGm2hh",
            nc: "00000001",
            cnonce: b"OA6MHXh6VqTrRk",
            digest_uri: b"imap/elwood.innosoft.com",
            authzid: None,
        };
        let secret = exchange.secret(b"chris", b"secret");
        let response = exchange.response(&secret, "AUTHENTICATE");
        assert_eq!(response, "d388dad90d4bbd760a152321f2143af7");
        let rspauth = exchange.response(&secret, "");
        assert_eq!(rspauth, "ea40f60335c427b5527b84dbabcdfffd");
    }

    fn terms() -> Terms {
        let user = |name: &str, password: &str| SaslUser {
            name: name.into(),
            password: password.into(),
        };
        Terms {
            sasl_users: vec![user("jaasuser", "jaas_password"), user("zoë", "schlüssel")],
            ..Terms::default()
        }
    }

    /// A client that answers a challenge as the test says.
    fn answer(name: &str, password: &str, change: impl Fn(String) -> String) -> Step {
        let mut conversation = Conversation::default();
        let begun = conversation.hear(b"", &terms(), || "n0nce".into());
        let Step::Challenge(challenge) = begun else {
            panic!("{begun:?}")
        };
        let said = directives(&challenge).unwrap();
        assert_eq!(said["nonce"], b"n0nce");
        assert_eq!(said["realm"], REALM.as_bytes());
        let exchange = Exchange {
            realm: REALM,
            nonce: "n0nce",
            nc: "00000001",
            cnonce: b"c\"1",
            digest_uri: b"zookeeper/zk-sasl-md5",
            authzid: None,
        };
        let secret = exchange.secret(name.as_bytes(), password.as_bytes());
        let response = exchange.response(&secret, "AUTHENTICATE");
        let token = format!(
            "username=\"{name}\",realm=\"{REALM}\",nonce=\"n0nce\",cnonce=\"c\\\"1\",nc=00000001,\
             qop=auth,digest-uri=\"zookeeper/zk-sasl-md5\",response={response},charset=utf-8"
        );
        conversation.hear(change(token).as_bytes(), &terms(), || unreachable!())
    }

    #[test]
    fn a_password_is_proven() {
        for (name, password) in [("jaasuser", "jaas_password"), ("zoë", "schlüssel")] {
            let Step::Proven { user, token } = answer(name, password, |token| token) else {
                panic!("{name} is refused");
            };
            assert_eq!(&*user, name);
            assert!(token.starts_with(b"rspauth="));
        }
    }

    #[test]
    fn what_does_not_hold_is_refused() {
        assert_eq!(answer("jaasuser", "wrong", |token| token), Step::Refused);
        assert_eq!(answer("nobody", "jaas_password", |t| t), Step::Refused);
        let check = |from: &str, to: &str| {
            let step = answer("jaasuser", "jaas_password", |token| token.replace(from, to));
            assert_eq!(step, Step::Refused, "{from} -> {to}");
        };
        check("nonce=\"n0nce\"", "nonce=\"other\"");
        check("nc=00000001", "nc=00000002");
        check("qop=auth", "qop=auth-conf");
        check("zookeeper/", "imap/");
        check("charset=utf-8", "charset=utf-8,authzid=\"root\"");
        check("charset=utf-8", "charset=utf-8,qop=auth");
        check("charset=utf-8", "charset=\"utf-8");
        check("username", "");
    }

    #[test]
    fn a_conversation_has_one_course() {
        let mut conversation = Conversation::default();
        let begun = conversation.hear(b"garbage", &terms(), || "n0nce".into());
        assert!(matches!(begun, Step::Challenge(_)), "{begun:?}");
        for said in [b"garbage", b"" as &[u8]] {
            let step = conversation.hear(said, &terms(), || unreachable!());
            assert_eq!(step, Step::Refused);
        }
        let nobody = Terms::default();
        assert_eq!(
            Conversation::default().hear(b"", &nobody, String::new),
            Step::Refused
        );
    }
}
