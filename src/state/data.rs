//! What a node holds: bytes, or nothing at all. ZooKeeper's clients tell no
//! bytes from nothing, so it is kept and given back as it came.

use std::ops::Deref;
use std::sync::Arc;

/// Reads as its bytes; nothing reads as none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Data(Option<Arc<[u8]>>);

impl Data {
    pub const NOTHING: Self = Self(None);

    pub fn is_nothing(&self) -> bool {
        self.0.is_none()
    }

    /// The bytes, None for nothing.
    pub fn bytes(&self) -> Option<&[u8]> {
        self.0.as_deref()
    }
}

impl Deref for Data {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes().unwrap_or_default()
    }
}

impl From<Arc<[u8]>> for Data {
    fn from(bytes: Arc<[u8]>) -> Self {
        Self(Some(bytes))
    }
}

impl From<Vec<u8>> for Data {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Some(bytes.into()))
    }
}

impl From<&[u8]> for Data {
    fn from(bytes: &[u8]) -> Self {
        Self(Some(bytes.into()))
    }
}

impl<const N: usize> From<[u8; N]> for Data {
    fn from(bytes: [u8; N]) -> Self {
        Self(Some(bytes.into()))
    }
}

impl From<Option<&[u8]>> for Data {
    fn from(bytes: Option<&[u8]>) -> Self {
        Self(bytes.map(Arc::from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_told_from_no_bytes() {
        let empty = Data::from([]);
        assert_ne!(empty, Data::NOTHING);
        assert_eq!(*empty, *Data::NOTHING);
        assert_eq!(Data::from(empty.bytes()), empty);
        assert!(Data::from(Data::NOTHING.bytes()).is_nothing());
    }
}
