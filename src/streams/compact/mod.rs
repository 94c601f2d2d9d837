//! Compaction: of each key the newest record is kept. What of a partition is
//! worth it (`worth`), the newest offset of each key (`newest`), and a batch in and
//! what is left of it out (`sieve`). Pure.
//!
//! A pass reads the part that is not compacted yet and notes the newest offset of
//! each key, as many as fit the bound; then it reads everything from the first
//! record on and leaves out what has a newer record of its key. Where not all keys
//! fitted, the next pass goes on from there.
//!
//! Offsets never change and leave no holes: `batch::format` says why, and what
//! stands in their place.

mod newest;
mod sieve;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod twin;
mod worth;

pub use newest::Newest;
pub use sieve::{Figures, Gone, LastOf, NotSifted, Rules, Sieve};
pub use worth::{Dirt, Part, Work};
