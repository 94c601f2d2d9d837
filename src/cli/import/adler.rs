//! Adler-32, the sum that ZooKeeper keeps over its files (RFC 1950, section 9).

/// The largest prime below 65,536.
const MODULUS: u32 = 65_521;

/// How many bytes may be added before the sums must be reduced: the largest n
/// with 255 n (n + 1) / 2 + (n + 1) (MODULUS - 1) below 2^32.
const UNREDUCED_MAX: usize = 5552;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Adler32 {
    bytes: u32,
    sums: u32,
}

impl Default for Adler32 {
    fn default() -> Self {
        Self { bytes: 1, sums: 0 }
    }
}

impl Adler32 {
    pub fn of(bytes: &[u8]) -> u32 {
        let mut sum = Self::default();
        sum.add(bytes);
        sum.value()
    }

    pub fn add(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(UNREDUCED_MAX) {
            for &byte in piece {
                self.bytes += u32::from(byte);
                self.sums += self.bytes;
            }
            self.bytes %= MODULUS;
            self.sums %= MODULUS;
        }
    }

    pub fn value(self) -> u32 {
        self.sums << 16 | self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_sums() {
        assert_eq!(Adler32::of(b""), 1);
        assert_eq!(Adler32::of(b"Wikipedia"), 0x11E6_0398);
        // Every byte at its largest is where an overflow would show.
        assert_eq!(Adler32::of(&[0xff; 1 << 20]), 0x8E88_EF11);
    }

    #[test]
    fn a_sum_in_pieces_is_the_sum_of_the_whole() {
        let bytes: Vec<u8> = (0..20_000u32).map(|number| (number * 7) as u8).collect();
        let mut sum = Adler32::default();
        bytes.chunks(333).for_each(|piece| sum.add(piece));
        assert_eq!(sum.value(), Adler32::of(&bytes));
    }
}
