//! xxHash with 32 bits and seed 0, which LZ4's frames sum themselves with
//! (the xxHash specification, version 0.1.1).

const PRIMES: [u32; 5] = [
    0x9E37_79B1,
    0x85EB_CA77,
    0xC2B2_AE3D,
    0x27D4_EB2F,
    0x1656_67B1,
];
const STRIPE_BYTES: usize = 16;

/// A sum that is made as the bytes come.
pub(super) struct Sum {
    lanes: [u32; 4],
    /// Bytes that make no whole stripe yet.
    held: Vec<u8>,
    length: u64,
}

impl Sum {
    pub(super) fn new() -> Self {
        let [first, second, ..] = PRIMES;
        Self {
            lanes: [
                first.wrapping_add(second),
                second,
                0,
                0u32.wrapping_sub(first),
            ],
            held: Vec::with_capacity(STRIPE_BYTES),
            length: 0,
        }
    }

    pub(super) fn of(bytes: &[u8]) -> u32 {
        let mut sum = Self::new();
        sum.add(bytes);
        sum.get()
    }

    pub(super) fn add(&mut self, mut bytes: &[u8]) {
        self.length += bytes.len() as u64;
        if !self.held.is_empty() {
            let wanted = (STRIPE_BYTES - self.held.len()).min(bytes.len());
            self.held.extend_from_slice(&bytes[..wanted]);
            bytes = &bytes[wanted..];
            if self.held.len() < STRIPE_BYTES {
                return;
            }
            let held = std::mem::take(&mut self.held);
            self.stripes(&held);
        }
        let whole = bytes.len() - bytes.len() % STRIPE_BYTES;
        self.stripes(&bytes[..whole]);
        self.held.extend_from_slice(&bytes[whole..]);
    }

    fn stripes(&mut self, bytes: &[u8]) {
        let [first, second, ..] = PRIMES;
        let mut lanes = self.lanes;
        for stripe in bytes.as_chunks::<STRIPE_BYTES>().0 {
            let words = stripe.as_chunks::<4>().0;
            for (lane, &word) in lanes.iter_mut().zip(words) {
                let word = u32::from_le_bytes(word).wrapping_mul(second);
                *lane = lane.wrapping_add(word).rotate_left(13).wrapping_mul(first);
            }
        }
        self.lanes = lanes;
    }

    pub(super) fn get(&self) -> u32 {
        let [first, second, third, fourth, fifth] = PRIMES;
        let [a, b, c, d] = self.lanes;
        let mut sum = match self.length < STRIPE_BYTES as u64 {
            true => fifth,
            false => a
                .rotate_left(1)
                .wrapping_add(b.rotate_left(7))
                .wrapping_add(c.rotate_left(12))
                .wrapping_add(d.rotate_left(18)),
        };
        sum = sum.wrapping_add(self.length as u32);
        let (words, bytes) = self.held.as_chunks::<4>();
        for &word in words {
            let word = u32::from_le_bytes(word).wrapping_mul(third);
            sum = sum.wrapping_add(word).rotate_left(17).wrapping_mul(fourth);
        }
        for &byte in bytes {
            let byte = u32::from(byte).wrapping_mul(fifth);
            sum = sum.wrapping_add(byte).rotate_left(11).wrapping_mul(first);
        }
        sum = (sum ^ (sum >> 15)).wrapping_mul(second);
        sum = (sum ^ (sum >> 13)).wrapping_mul(third);
        sum ^ (sum >> 16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_sums() {
        let long = b"Nobody inspects the spammish repetition";
        for (bytes, sum) in [
            (&b""[..], 0x02CC_5D05),
            (b"a", 0x550D_7456),
            (b"abc", 0x32D1_53FF),
            (long, 0xE229_3B2F),
        ] {
            assert_eq!(Sum::of(bytes), sum, "{bytes:?}");
        }
    }

    #[test]
    fn however_the_bytes_come() {
        let bytes: Vec<u8> = (0..200).collect();
        for piece in 1..60 {
            let mut sum = Sum::new();
            bytes.chunks(piece).for_each(|piece| sum.add(piece));
            assert_eq!(sum.get(), Sum::of(&bytes), "pieces of {piece}");
        }
    }
}
