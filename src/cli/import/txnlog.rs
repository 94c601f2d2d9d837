//! A file of ZooKeeper's transactions: an opening, then entries, each behind
//! its Adler-32 and closed by a `B`, then zeros that were written ahead.
//!
//! What no longer parses is one of two things. A write that the power cut
//! short stands at the end, with nothing whole behind it: it was never
//! acknowledged, and is cut. With whole entries behind it, it is damage, and
//! going on would silently leave out what was acknowledged.

use super::adler::Adler32;
use super::jute::{Damage, Fault, Reader, opening};
use super::txn::{self, Change, Header};
use crate::limits::IMPORTED_LOOKS_MAX;

const MAGIC: &str = "ZKLG";
const OPENING_BYTES: usize = 16;
/// A checksum in eight bytes, of which it fills four, and a length.
const HEAD_BYTES: usize = 12;
const CLOSING: u8 = b'B';

/// The entries of one file, in order.
pub struct Entries<'a> {
    bytes: &'a [u8],
    at: usize,
    torn: Option<Torn>,
}

/// An unfinished write at the end of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Torn {
    pub at: u64,
    /// From there to the last byte that is not zero.
    pub bytes: u64,
}

impl<'a> Entries<'a> {
    /// A file whose opening was never finished has no entries.
    pub fn open(bytes: &'a [u8]) -> Result<Self, Damage> {
        let mut entries = Self {
            bytes,
            at: OPENING_BYTES,
            torn: None,
        };
        let is_unfinished = bytes.len() < OPENING_BYTES || bytes[..OPENING_BYTES] == [0; 16];
        if is_unfinished && first_entry(bytes).is_none() {
            entries.at = 0;
            entries.stop();
            return Ok(entries);
        }
        let mut reader = Reader::new(bytes);
        match opening(&mut reader, MAGIC) {
            Ok(()) => Ok(entries),
            Err(fault) => Err(Damage { at: 0, fault }),
        }
    }

    /// What was cut, once `next` has come to the end.
    pub fn torn(&self) -> Option<Torn> {
        self.torn
    }

    /// The next transaction; None at the end.
    #[allow(clippy::should_implement_trait)] // an iterator's item would hide the error
    pub fn next(&mut self) -> Result<Option<(Header, Change)>, Damage> {
        let at = self.at as u64;
        let rest = &self.bytes[self.at..];
        let Some(body) = entry(rest) else {
            if first_entry(rest).is_some() {
                return Err(Damage {
                    at,
                    fault: Fault::Hole,
                });
            }
            self.stop();
            return Ok(None);
        };
        self.at += HEAD_BYTES + body.len() + 1;
        let parsed = txn::parse(body).map_err(|fault| Damage { at, fault })?;
        Ok(Some(parsed))
    }

    fn stop(&mut self) {
        let rest = &self.bytes[self.at..];
        let written = rest.iter().rposition(|&byte| byte != 0);
        if let Some(last) = written {
            self.torn = Some(Torn {
                at: self.at as u64,
                bytes: last as u64 + 1,
            });
        }
        self.at = self.bytes.len();
    }
}

/// The body of a whole entry that begins here.
fn entry(bytes: &[u8]) -> Option<&[u8]> {
    let body = plausible(bytes)?;
    (Adler32::of(body) == sum(bytes)).then_some(body)
}

/// The cheap marks of an entry: a checksum of 32 bits in 64, a length that
/// stays inside the file and is not that of the zeros, the closing byte.
fn plausible(bytes: &[u8]) -> Option<&[u8]> {
    let (head, rest) = bytes.split_first_chunk::<HEAD_BYTES>()?;
    let length = u32::from_be_bytes([head[8], head[9], head[10], head[11]]) as usize;
    let is_sum = head[..4] == [0; 4] && length > 0;
    let is_closed = rest.get(length) == Some(&CLOSING);
    (is_sum && is_closed).then(|| &rest[..length])
}

fn sum(bytes: &[u8]) -> u32 {
    u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]])
}

/// Where a whole entry begins behind a place that holds none.
fn first_entry(bytes: &[u8]) -> Option<usize> {
    let places = (0..bytes.len()).filter(|&at| plausible(&bytes[at..]).is_some());
    // A body that no transaction is in was made to look like an entry.
    let is_entry = |&at: &usize| entry(&bytes[at..]).is_some_and(|body| txn::parse(body).is_ok());
    places.take(IMPORTED_LOOKS_MAX).find(is_entry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Zxid;

    /// An entry of a request that was refused.
    fn refused(zxid: u64) -> Vec<u8> {
        let mut body = [0; 12].to_vec();
        body.extend_from_slice(&zxid.to_be_bytes());
        body.extend_from_slice(&[0; 8]);
        body.extend_from_slice(&(-1i32).to_be_bytes());
        body.extend_from_slice(&(-101i32).to_be_bytes());
        let sum = u64::from(Adler32::of(&body)).to_be_bytes();
        let length = (body.len() as i32).to_be_bytes();
        [&sum[..], &length, &body, b"B"].concat()
    }

    fn file(zxids: std::ops::Range<u64>) -> Vec<u8> {
        let mut bytes = b"ZKLG\0\0\0\x02\0\0\0\0\0\0\0\0".to_vec();
        zxids.for_each(|zxid| bytes.extend(refused(zxid)));
        bytes
    }

    fn read(bytes: &[u8]) -> Result<(Vec<u64>, Option<Torn>), Damage> {
        let mut entries = Entries::open(bytes)?;
        let mut zxids = Vec::new();
        while let Some((header, _)) = entries.next()? {
            let Header {
                zxid: Zxid(zxid), ..
            } = header;
            zxids.push(zxid);
        }
        Ok((zxids, entries.torn()))
    }

    #[test]
    fn zeros_written_ahead_are_the_end() {
        let mut bytes = file(1..4);
        assert_eq!(read(&bytes), Ok((vec![1, 2, 3], None)));
        bytes.resize(bytes.len() + 4096, 0);
        assert_eq!(read(&bytes), Ok((vec![1, 2, 3], None)));
    }

    #[test]
    fn a_write_cut_anywhere_is_cut_from_the_file_and_told() {
        let kept = file(1..3).len();
        let whole = file(1..4);
        for length in kept + 1..whole.len() {
            for zeros in [0, 100] {
                let mut bytes = whole[..length].to_vec();
                bytes.resize(length + zeros, 0);
                let (zxids, torn) = read(&bytes).unwrap();
                assert_eq!(zxids, [1, 2], "{length}");
                let last = bytes.iter().rposition(|&byte| byte != 0).unwrap() + 1;
                let told = (last > kept).then(|| Torn {
                    at: kept as u64,
                    bytes: (last - kept) as u64,
                });
                assert_eq!(torn, told, "{length}");
            }
        }
    }

    #[test]
    fn an_unfinished_opening_is_a_file_without_entries() {
        let whole = file(1..1);
        for length in 0..OPENING_BYTES {
            let (zxids, torn) = read(&whole[..length]).unwrap();
            assert_eq!((zxids.len(), torn.is_some()), (0, length > 0), "{length}");
        }
        assert_eq!(read(&[0; 4096]), Ok((Vec::new(), None)));
    }

    #[test]
    fn any_flipped_bit_before_the_last_entry_is_damage() {
        let good = file(1..4);
        let last = file(1..3).len();
        for place in 0..last {
            // The number of the database, which nothing reads.
            if (8..16).contains(&place) {
                continue;
            }
            let mut bytes = good.clone();
            bytes[place] ^= 0x10;
            assert!(read(&bytes).is_err(), "byte {place}");
        }
        for place in last..good.len() {
            let mut bytes = good.clone();
            bytes[place] ^= 0x10;
            assert!(matches!(read(&bytes), Ok((_, Some(_)))), "byte {place}");
        }
    }

    #[test]
    fn a_page_of_zeros_amid_entries_is_damage() {
        let mut bytes = file(1..300);
        bytes[4096..8192].fill(0);
        let damage = read(&bytes).unwrap_err();
        assert_eq!(damage.fault, Fault::Hole);
        assert!((4000..4096).contains(&damage.at), "{damage}");
    }
}
