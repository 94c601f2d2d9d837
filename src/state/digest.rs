//! The digest: one number that differs where two replicas have diverged. A
//! wrapping sum of one hash per part, so that a change costs two hashes and
//! the order in which parts came does not matter. An alarm, no defence: who
//! can choose what is stored can make two states collide.

/// Folded multiplication, as in wyhash: both halves of the 128-bit product.
#[derive(Clone, Copy)]
pub(super) struct Hash(u64);

const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// Parts of different kinds start from different numbers, so that a session
/// is never mistaken for a node.
#[derive(Clone, Copy)]
pub(super) enum Part {
    Path = 1,
    Node,
    Acl,
    Session,
    Members,
    State,
    Placement,
    TopicId,
}

impl Hash {
    pub fn of(part: Part) -> Self {
        Self(0).word(part as u64)
    }

    /// Goes on where another hash left off.
    pub fn after(hash: u64) -> Self {
        Self(hash)
    }

    pub fn word(self, word: u64) -> Self {
        let product = u128::from(self.0 ^ word ^ 0xa076_1d64_78bd_642f) * u128::from(MULTIPLIER);
        Self((product as u64) ^ ((product >> 64) as u64).rotate_left(31))
    }

    pub fn bytes(self, bytes: &[u8]) -> Self {
        let mut hash = self.word(bytes.len() as u64);
        let mut words = bytes.chunks_exact(8);
        for word in &mut words {
            hash = hash.word(u64::from_le_bytes(word.try_into().expect("eight bytes")));
        }
        let rest = words.remainder();
        if rest.is_empty() {
            return hash;
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        hash.word(u64::from_le_bytes(last))
    }

    pub fn value(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_of_near_things_lie_far_apart() {
        let mut seen = std::collections::BTreeSet::new();
        for length in 0..40 {
            for place in 0..length.max(1) {
                let mut bytes = vec![0; length];
                if let Some(byte) = bytes.get_mut(place) {
                    *byte = 1;
                }
                assert!(seen.insert(Hash::of(Part::Node).bytes(&bytes).value()));
            }
        }
        // An empty text is the word 0, its length.
        for word in 1..1000 {
            assert!(seen.insert(Hash::of(Part::Node).word(word).value()));
            assert!(seen.insert(Hash::of(Part::Session).word(word).value()));
        }
    }
}
