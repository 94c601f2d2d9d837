//! The token that a box joins with: what to trust, what to show, where to go.
//! `dolmen1.<sha256 of the authority's public key>.<id>.<secret>@HOST[:PORT]`,
//! its three numbers in hexadecimal digits.

use std::fmt;
use std::str::FromStr;

const FORM: &str = "dolmen1";
/// Where a cluster's members listen for each other and for joiners.
pub const CONTROL_PORT: u16 = 7300;

/// Shown to a person once and then held by nobody but the joiner; the cluster
/// keeps a hash of the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// SHA-256 of the authority's public key as its certificate holds it
    /// (SPKI). Pinned before the secret is sent.
    pub authority: [u8; 32],
    pub id: [u8; 8],
    pub secret: [u8; 16],
    pub host: String,
    pub port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotAToken {
    Form(String),
    Parts(usize),
    Digits { part: &'static str, count: usize },
    NoHost,
    Port(String),
}

impl fmt::Display for NotAToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form(found) => write!(
                f,
                "a token begins with \"{FORM}.\", and this one with \"{found}\""
            ),
            Self::Parts(found) => write!(
                f,
                "a token has 4 parts between dots, and this one {found}; copy it whole"
            ),
            Self::Digits { part, count } => write!(
                f,
                "the token's {part} is not {count} hexadecimal digits; copy it whole"
            ),
            Self::NoHost => write!(
                f,
                "the token names no host: it ends with @HOST or @HOST:PORT"
            ),
            Self::Port(found) => write!(f, "\"{found}\" is not a port"),
        }
    }
}

impl std::error::Error for NotAToken {}

impl Token {
    /// What the cluster keeps of the secret.
    pub fn secret_hash(&self) -> [u8; 32] {
        super::certificate::sha256(&self.secret)
    }

    /// `host:port` of the member that the token names.
    pub fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (authority, id) = (hex(&self.authority), hex(&self.id));
        let secret = hex(&self.secret);
        write!(f, "{FORM}.{authority}.{id}.{secret}@{}", self.host)?;
        if self.port != CONTROL_PORT {
            write!(f, ":{}", self.port)?;
        }
        Ok(())
    }
}

/// Without the secret: what is logged is read by many.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({} at {})", hex(&self.id), self.address())
    }
}

impl FromStr for Token {
    type Err = NotAToken;

    fn from_str(text: &str) -> Result<Self, NotAToken> {
        let text = text.trim();
        let (trusted, place) = text.split_once('@').ok_or(NotAToken::NoHost)?;
        let parts: Vec<&str> = trusted.split('.').collect();
        if parts[0] != FORM {
            let found = parts[0].chars().take(16).collect();
            return Err(NotAToken::Form(found));
        }
        let [_, authority, id, secret] = parts[..] else {
            return Err(NotAToken::Parts(parts.len()));
        };
        let (host, port) = split_place(place)?;
        Ok(Self {
            authority: digits("authority", authority)?,
            id: digits("id", id)?,
            secret: digits("secret", secret)?,
            host: host.into(),
            port,
        })
    }
}

/// An IPv6 address keeps its brackets, so that host and port can be put
/// together again.
fn split_place(place: &str) -> Result<(&str, u16), NotAToken> {
    let after_brackets = place.rfind(']').map_or(0, |at| at + 1);
    let (host, port) = match place[after_brackets..].rfind(':') {
        Some(at) => {
            let (host, port) = place.split_at(after_brackets + at);
            let port = &port[1..];
            let number = port.parse().ok().filter(|port| *port != 0);
            (host, number.ok_or_else(|| NotAToken::Port(port.into()))?)
        }
        None => (place, CONTROL_PORT),
    };
    let is_plain = !host.contains(|c: char| c.is_whitespace() || c == '@');
    if host.is_empty() || host.len() > 255 || !is_plain {
        return Err(NotAToken::NoHost);
    }
    Ok((host, port))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Exactly `N` bytes from twice as many digits.
pub(super) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let is_digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if text.len() != 2 * N || !is_digits {
        return None;
    }
    let mut bytes = [0; N];
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[place * 2..place * 2 + 2], 16).ok()?;
    }
    Some(bytes)
}

fn digits<const N: usize>(part: &'static str, text: &str) -> Result<[u8; N], NotAToken> {
    unhex(text).ok_or(NotAToken::Digits { part, count: 2 * N })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(host: &str, port: u16) -> Token {
        Token {
            authority: [0xab; 32],
            id: [1, 2, 3, 4, 5, 6, 7, 8],
            secret: [0xfe; 16],
            host: host.into(),
            port,
        }
    }

    #[test]
    fn it_reads_back() {
        for host in ["box-1", "10.0.0.7", "[fd00::7]", "a.site.example"] {
            for port in [CONTROL_PORT, 20107] {
                let token = token(host, port);
                assert_eq!(token.to_string().parse(), Ok(token));
            }
        }
        let text = token("box-1", CONTROL_PORT).to_string();
        assert!(
            text.starts_with("dolmen1.abab") && text.ends_with("fe@box-1"),
            "{text}"
        );
        assert_eq!(
            format!(" {text}\n").parse::<Token>().unwrap().address(),
            "box-1:7300"
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        let good = token("box-1", 9).to_string();
        let check = |text: String, says: &str| {
            let reason = text.parse::<Token>().unwrap_err().to_string();
            assert!(reason.contains(says), "{reason}");
        };
        check(good.replace("dolmen1", "K10"), "begins with \"dolmen1.\"");
        check(good.replace("@box-1:9", ""), "names no host");
        check(good.replace("box-1:9", ":9"), "names no host");
        check(good.replace(":9", ":0"), "\"0\" is not a port");
        check(good.replace(":9", ":99999"), "not a port");
        check(
            good.replace("abab", "ab"),
            "authority is not 64 hexadecimal",
        );
        check(good.replace("0102", "010g"), "id is not 16 hexadecimal");
        check(good.replace("fefe", "fe+e"), "secret is not 32 hexadecimal");
        check(
            good.replace(".0102030405060708", ""),
            "4 parts between dots, and this one 3",
        );
        check(String::new(), "names no host");
    }

    #[test]
    fn a_secret_stays_out_of_logs() {
        assert!(!format!("{:?}", token("h", 1)).contains("fefe"));
    }
}
