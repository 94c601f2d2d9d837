//! A text that is a slice of the frame it came in.

use bytes::Bytes;
use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;

/// UTF-8, checked when it was made. A clone counts a reference and copies
/// nothing, so it holds the whole frame in memory: what is kept after the answer
/// is copied, for example by `String::from`.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(Bytes);

impl Text {
    pub const fn from_static(text: &'static str) -> Self {
        Self(Bytes::from_static(text.as_bytes()))
    }

    pub fn from_utf8(bytes: Bytes) -> Result<Self, std::str::Utf8Error> {
        std::str::from_utf8(&bytes)?;
        Ok(Self(bytes))
    }
}

/// Looks at the bytes again, a nanosecond or two for a name: the way without is
/// unsafe.
impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        std::str::from_utf8(&self.0).expect("it was checked when it was made")
    }
}

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Equal and ordered as the text is: both go by the bytes.
impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text.into_bytes().into())
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.deref().to_owned()
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.deref(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_text_is_found_by_what_it_says() {
        let topics = BTreeMap::from([(Text::from("orders"), 1), (Text::from("égalité"), 2)]);
        assert_eq!(topics.get("orders"), Some(&1));
        assert_eq!(topics.get("égalité"), Some(&2));
        assert_eq!(topics.get("order"), None);
        assert_eq!(format!("{:>7}|", Text::from_static("log")), "    log|");
    }

    #[test]
    fn half_a_character_is_no_text() {
        let whole = Bytes::from_static("é".as_bytes());
        assert!(Text::from_utf8(whole.slice(..1)).is_err());
        assert_eq!(Text::from_utf8(whole).unwrap(), "é");
    }
}
