//! Batches of records on their way out: the pieces that a partition answers a
//! Fetch with, one after the other, none of them copied.

use bytes::Bytes;
use std::fmt;

/// Bytes in pieces. A piece may be a range of a memory map, held by what
/// `Bytes::from_owner` is given, or a slice of a frame that was read.
///
/// There is no null: the protocol has one, but some clients refuse it in the
/// answer to a Fetch. Nothing is written as empty bytes, and null reads as
/// nothing.
#[derive(Clone, Default)]
pub struct Records {
    /// Mostly the only one, so it needs no allocation.
    first: Bytes,
    more: Vec<Bytes>,
}

impl Records {
    pub fn push(&mut self, piece: Bytes) {
        if self.first.is_empty() {
            self.first = piece;
        } else if !piece.is_empty() {
            self.more.push(piece);
        }
    }

    pub fn pieces(&self) -> impl Iterator<Item = &Bytes> {
        std::iter::once(&self.first).chain(&self.more)
    }

    pub fn len(&self) -> usize {
        self.pieces().map(Bytes::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    /// In one piece: as they came where they came in one, else copied.
    pub fn into_bytes(self) -> Bytes {
        if self.more.is_empty() {
            return self.first;
        }
        let mut whole = Vec::with_capacity(self.len());
        self.pieces()
            .for_each(|piece| whole.extend_from_slice(piece));
        whole.into()
    }
}

impl From<Bytes> for Records {
    fn from(first: Bytes) -> Self {
        Self {
            first,
            more: Vec::new(),
        }
    }
}

impl FromIterator<Bytes> for Records {
    fn from_iter<I: IntoIterator<Item = Bytes>>(pieces: I) -> Self {
        let mut records = Self::default();
        pieces.into_iter().for_each(|piece| records.push(piece));
        records
    }
}

/// Equal where the bytes are, whatever their pieces.
impl PartialEq for Records {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.pieces().flatten().eq(other.pieces().flatten())
    }
}

impl Eq for Records {}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.clone().into_bytes(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_the_same_bytes_however_they_are_cut() {
        let whole = Bytes::from_static(b"batches");
        let cut: Records = [whole.slice(..3), Bytes::new(), whole.slice(3..)]
            .into_iter()
            .collect();
        assert_eq!(cut.pieces().count(), 2);
        assert_eq!(cut, Records::from(whole.clone()));
        assert_ne!(cut, Records::from(whole.slice(1..)));
        assert_eq!((cut.len(), cut.is_empty()), (7, false));
        assert_eq!(cut.into_bytes(), whole);
        assert!(Records::default().is_empty());
    }
}
