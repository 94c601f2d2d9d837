//! What a topic may be called: Kafka's rules.

use crate::limits::TOPIC_NAME_BYTES_MAX;
use std::fmt;

/// Where groups keep what they have read, and who is in them.
pub const CONSUMER_OFFSETS: &str = "__consumer_offsets";
/// Where it is kept how transactions stand.
pub const TRANSACTION_STATE: &str = "__transaction_state";

/// Why a text is no topic's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameFault {
    Empty,
    Dots,
    TooLong { bytes: usize },
    Character { found: char },
}

impl fmt::Display for NameFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a topic's name is not empty"),
            Self::Dots => f.write_str("\".\" and \"..\" are no names of topics"),
            Self::TooLong { bytes } => write!(
                f,
                "a topic's name has at most {TOPIC_NAME_BYTES_MAX} characters, not {bytes}"
            ),
            Self::Character { found } => write!(
                f,
                "a topic's name has letters and digits of ASCII, \".\", \"_\" and \"-\", and no \
                 {found:?}"
            ),
        }
    }
}

pub fn check(name: &str) -> Result<(), NameFault> {
    let is_foreign =
        |found: &char| !found.is_ascii_alphanumeric() && !matches!(found, '.' | '_' | '-');
    match name {
        "" => Err(NameFault::Empty),
        "." | ".." => Err(NameFault::Dots),
        _ if name.len() > TOPIC_NAME_BYTES_MAX => Err(NameFault::TooLong { bytes: name.len() }),
        _ => match name.chars().find(is_foreign) {
            Some(found) => Err(NameFault::Character { found }),
            None => Ok(()),
        },
    }
}

/// What names have in common that may not stand beside each other: metrics
/// write "." as "_".
pub fn alike(name: &str) -> Box<str> {
    name.replace('.', "_").into()
}

/// Topics that brokers keep for themselves.
pub fn is_internal(name: &str) -> bool {
    matches!(name, CONSUMER_OFFSETS | TRANSACTION_STATE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kafkas() {
        let longest = "a".repeat(TOPIC_NAME_BYTES_MAX);
        for good in ["a", "A.b_c-9", "...", "__consumer_offsets", &longest] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        let bytes = longest.len() + 1;
        for (bad, fault) in [
            ("", NameFault::Empty),
            (".", NameFault::Dots),
            ("..", NameFault::Dots),
            ("a b", NameFault::Character { found: ' ' }),
            ("a/b", NameFault::Character { found: '/' }),
            ("ä", NameFault::Character { found: 'ä' }),
            (&format!("{longest}a"), NameFault::TooLong { bytes }),
        ] {
            assert_eq!(check(bad), Err(fault), "{bad}");
        }
        assert_eq!(alike("a.b_c"), alike("a_b.c"));
    }
}
