//! The ids of topics and of log directories, as they stand in messages.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt;

/// Sixteen bytes; all zero stands for none.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    pub const NONE: Self = Self([0; 16]);

    pub fn is_none(self) -> bool {
        self == Self::NONE
    }
}

/// As Kafka's tools show it: 22 characters of base64.
impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uuid({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_as_the_tools_show_it() {
        assert_eq!(Uuid::NONE.to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
        let id = Uuid([
            0xfb, 0xff, 0xbf, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255,
        ]);
        assert_eq!(id.to_string(), "-_-_AwQFBgcICQoLDA0O_w");
    }
}
