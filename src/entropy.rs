//! The one place that asks the machine for chance.

use std::io::{self, Read};

/// The seam: one real form here, a seeded one in tests.
pub trait Entropy: Send + Sync {
    fn fill(&self, into: &mut [u8]) -> io::Result<()>;
}

/// The kernel's random source.
pub struct MachineEntropy;

impl Entropy for MachineEntropy {
    #[allow(clippy::disallowed_methods)] // the home of chance
    fn fill(&self, into: &mut [u8]) -> io::Result<()> {
        std::fs::File::open("/dev/urandom")?.read_exact(into)
    }
}

/// A seeded source (SplitMix64). For simulation and for choosing test data;
/// never for a secret.
#[derive(Clone, Debug)]
pub struct Seeded {
    state: u64,
}

impl Seeded {
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 where `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 {
            0
        } else {
            self.next_u64() % bound
        }
    }

    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}
