//! The bytes of one simulated file: pages shared until written, so that a
//! thousand crash images of one file cost what they differ by.

use crate::limits::BLOCK_BYTES;
use std::sync::{Arc, OnceLock};

const PAGE: usize = BLOCK_BYTES;
static ZEROS: [u8; PAGE] = [0; PAGE];

#[derive(Clone, Debug)]
struct Page {
    bytes: [u8; PAGE],
    /// Of the bytes; 0 for zeros. Most pages of most images are shared, so
    /// most are digested once in a whole sweep.
    digest: OnceLock<u64>,
}

impl Page {
    fn of(bytes: [u8; PAGE]) -> Arc<Self> {
        Arc::new(Self {
            bytes,
            digest: OnceLock::new(),
        })
    }

    fn digest(&self) -> u64 {
        let fresh = || {
            if self.bytes == ZEROS {
                0
            } else {
                digest(&self.bytes)
            }
        };
        *self.digest.get_or_init(fresh)
    }
}

/// A page of zeros, never written or written so, is None.
/// Invariant: bytes past `length` are zeros.
#[derive(Clone, Debug, Default)]
pub(super) struct Pages {
    pages: Vec<Option<Arc<Page>>>,
    length: u64,
}

impl Pages {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut pages = Self::default();
        pages.write(0, bytes);
        pages
    }

    pub(super) fn len(&self) -> u64 {
        self.length
    }

    /// Makes the file at least this long.
    pub(super) fn grow(&mut self, until: u64) {
        if until > self.length {
            self.length = until;
            self.pages.resize(
                usize::try_from(until)
                    .expect("a simulated file fits memory")
                    .div_ceil(PAGE),
                None,
            );
        }
    }

    pub(super) fn write(&mut self, at: u64, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.grow(at + bytes.len() as u64);
        for (page, within, piece) in pieces(at, bytes.len()) {
            let bytes = &bytes[piece];
            let slot = &mut self.pages[page];
            if let Ok(whole) = <[u8; PAGE]>::try_from(bytes) {
                *slot = (whole != ZEROS).then(|| Page::of(whole));
            } else {
                let page = Arc::make_mut(slot.get_or_insert_with(|| Page::of(ZEROS)));
                page.digest = OnceLock::new();
                page.bytes[within..within + bytes.len()].copy_from_slice(bytes);
            }
        }
    }

    /// Reads up to the end of the file and says how much that was.
    pub(super) fn read(&self, at: u64, into: &mut [u8]) -> usize {
        let count = self.length.saturating_sub(at).min(into.len() as u64) as usize;
        for (page, within, piece) in pieces(at, count) {
            let page = self.pages[page].as_ref().map_or(&ZEROS, |page| &page.bytes);
            let length = piece.len();
            into[piece].copy_from_slice(&page[within..within + length]);
        }
        count
    }

    pub(super) fn to_vec(&self, at: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        let count = self.read(at, &mut bytes);
        bytes.truncate(count);
        bytes
    }

    /// Equal for equal bytes, whether a page of zeros was written or not. Not
    /// a CRC: over a frame that ends with its own CRC that says the same
    /// whatever the frame holds.
    pub(super) fn digest(&self) -> u64 {
        let pages = self
            .pages
            .iter()
            .map(|page| page.as_ref().map_or(0, |page| page.digest()));
        let written = pages.enumerate().filter(|(_, digest)| *digest != 0);
        written.fold(mix(self.length), |sum, (index, digest)| {
            sum.wrapping_add(mix(digest ^ mix(index as u64 + 1)))
        })
    }
}

/// The pages that a range of bytes touches: page, place in it, and which of
/// the bytes.
fn pieces(at: u64, length: usize) -> impl Iterator<Item = (usize, usize, std::ops::Range<usize>)> {
    let start = at as usize;
    let mut done = 0;
    std::iter::from_fn(move || {
        let (page, within) = ((start + done) / PAGE, (start + done) % PAGE);
        let piece = done..length.min(done + PAGE - within);
        done = piece.end;
        (!piece.is_empty()).then_some((page, within, piece))
    })
}

/// Four lanes, so that the multiplications overlap.
pub(super) fn digest(bytes: &[u8]) -> u64 {
    let mut lanes = [1, 2, 3, 4].map(|lane| mix(lane ^ bytes.len() as u64));
    let (whole, rest) = bytes.as_chunks::<32>();
    let mut last = [0; 32];
    last[..rest.len()].copy_from_slice(rest);
    for chunk in whole.iter().chain([&last]) {
        for (lane, word) in lanes.iter_mut().zip(chunk.as_chunks::<8>().0) {
            *lane = (*lane ^ u64::from_le_bytes(*word)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            *lane ^= *lane >> 29;
        }
    }
    lanes.into_iter().fold(0, |sum, lane| mix(sum ^ lane))
}

pub(super) fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::Seeded;

    #[test]
    fn reads_and_writes_like_a_plain_vector() {
        let mut chance = Seeded::new(1);
        let (mut pages, mut plain) = (Pages::default(), Vec::new());
        for step in 0..300 {
            let at = chance.below(20_000) as usize;
            let bytes = vec![step as u8; 1 + chance.below(9_000) as usize];
            if plain.len() < at + bytes.len() {
                plain.resize(at + bytes.len(), 0);
            }
            plain[at..at + bytes.len()].copy_from_slice(&bytes);
            pages.write(at as u64, &bytes);
            let from = chance.below(30_000) as usize;
            let expected = plain
                .get(from..plain.len().min(from + 5_000))
                .unwrap_or(&[]);
            assert_eq!(pages.to_vec(from as u64, 5_000), expected);
        }
        assert_eq!(pages.digest(), Pages::of(&plain).digest());
    }

    #[test]
    fn a_copy_does_not_see_later_writes() {
        let mut pages = Pages::of(&[7; 5_000]);
        let copy = pages.clone();
        pages.write(4_000, &[8; 200]);
        assert_eq!(copy.to_vec(0, 9_999), vec![7; 5_000]);
    }

    #[test]
    fn the_digest_tells_bytes_places_and_lengths_apart() {
        let mut written = Pages::of(&[0; 8_192]);
        let mut sparse = Pages::default();
        sparse.grow(8_192);
        assert_eq!(written.digest(), sparse.digest());
        written.write(5_000, &[1]);
        sparse.write(904, &[1]);
        assert_ne!(written.digest(), sparse.digest());
        assert_ne!(Pages::of(&[0; 10]).digest(), Pages::of(&[0; 11]).digest());
    }
}
