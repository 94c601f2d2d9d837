//! Which partition a key belongs to, as Kafka's own clients have it: by
//! MurmurHash2 (Austin Appleby, public domain) with their seed.

const SEED: u32 = 0x9747_b28c;
const M: u32 = 0x5bd1_e995;

/// `partitions` are at least one.
pub fn partition(key: &[u8], partitions: usize) -> usize {
    (hash(key) & 0x7fff_ffff) as usize % partitions
}

fn hash(key: &[u8]) -> u32 {
    let mut hash = SEED ^ key.len() as u32;
    let (words, rest) = key.as_chunks();
    for word in words {
        let mut word = u32::from_le_bytes(*word).wrapping_mul(M);
        word ^= word >> 24;
        hash = hash.wrapping_mul(M) ^ word.wrapping_mul(M);
    }
    if !rest.is_empty() {
        let tail = rest.iter().rev();
        hash ^= tail.fold(0, |tail, &byte| tail << 8 | u32::from(byte));
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ hash >> 15
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Kafka's Java client makes of them.
    #[test]
    fn keys_go_where_other_clients_put_them() {
        for (key, value) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            (
                "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
                -58_897_971,
            ),
            ("abc", 479_470_107),
        ] {
            assert_eq!(hash(key.as_bytes()).cast_signed(), value, "{key}");
        }
        assert_eq!(partition(b"abc", 1), 0);
        assert_eq!(partition(b"abc", 10), 7);
    }
}
