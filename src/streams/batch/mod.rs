//! Record batches of Kafka's format, version 2, as data: their head, their
//! records, how those are packed, and what a log must know of them. Pure.
//!
//! A batch is stored and served byte for byte as its client made it. Only the
//! twelve bytes outside its CRC are set here, and the rest where a topic asks
//! for the time of the append or is compacted.

pub mod build;
pub mod check;
pub mod codec;
pub mod control;
pub mod format;
pub mod header;
pub mod record;
pub mod records;
pub mod stored;

#[cfg(test)]
mod tests;
