//! The newest offset of each key of a stretch of a partition, in bounded memory.
//!
//! Keys are known by 128 bits of their SHA-256. Two keys of one hash would be taken
//! for one, and a record be lost; of hashes that nobody can make collide, no two
//! ever have.

use crate::ids::Offset;
use ring::digest::{SHA256, digest};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

#[derive(Clone, Copy, PartialEq, Eq)]
struct KeyHash(u64, u64);

impl Hash for KeyHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

/// Never walked, so that its order shows nowhere.
#[derive(Default)]
pub struct Newest {
    by_key: HashMap<KeyHash, u64, BuildHasherDefault<First>>,
    most: usize,
}

impl Newest {
    /// For at most so many keys.
    pub fn new(most: usize) -> Self {
        Self {
            by_key: HashMap::default(),
            most,
        }
    }

    /// Notes a record that stands behind all that were noted. False where there is
    /// no room for another key.
    #[must_use]
    pub fn note(&mut self, key: &[u8], at: Offset) -> bool {
        let is_full = self.by_key.len() >= self.most;
        let hash = hash(key);
        match self.by_key.get_mut(&hash) {
            Some(newest) => *newest = at.0,
            None if is_full => return false,
            None => drop(self.by_key.insert(hash, at.0)),
        }
        true
    }

    /// Whether a later record of this key was noted.
    pub fn has_newer(&self, key: &[u8], than: Offset) -> bool {
        let newest = self.by_key.get(&hash(key));
        newest.is_some_and(|&newest| newest > than.0)
    }

    pub fn keys(&self) -> usize {
        self.by_key.len()
    }
}

fn hash(key: &[u8]) -> KeyHash {
    let digest = digest(&SHA256, key);
    let word = |at: usize| {
        let bytes = &digest.as_ref()[at..at + 8];
        bytes
            .iter()
            .fold(0, |word, &byte| word << 8 | u64::from(byte))
    };
    KeyHash(word(0), word(8))
}

/// What is a hash already is not hashed again.
#[derive(Default)]
pub struct First(u64);

impl Hasher for First {
    fn write(&mut self, _: &[u8]) {
        unreachable!("a key's hash is one word");
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = word;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_each_key_and_no_more_keys_than_fit() {
        let mut newest = Newest::new(2);
        assert!(newest.note(b"a", Offset(1)) && newest.note(b"", Offset(2)));
        assert!(newest.note(b"a", Offset(5)), "known already");
        assert!(!newest.note(b"c", Offset(6)));
        let newer = |key: &[u8], than| newest.has_newer(key, Offset(than));
        assert_eq!([newer(b"a", 1), newer(b"a", 5)], [true, false]);
        assert_eq!([newer(b"", 1), newer(b"c", 0)], [true, false]);
        assert_eq!(newest.keys(), 2);
    }

    #[test]
    fn hashes_spread() {
        let mut newest = Newest::new(100_000);
        for n in 0..50_000_u64 {
            assert!(newest.note(&n.to_le_bytes(), Offset(n)));
        }
        assert_eq!(newest.keys(), 50_000);
        assert!((0..50_000_u64).all(|n| !newest.has_newer(&n.to_le_bytes(), Offset(n))));
    }
}
