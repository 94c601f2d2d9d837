//! Bytes: cursor, checksum, bounded frame. Pure; what is read here came from
//! a stranger, so nothing is allocated from a length that was declared.

mod cursor;
pub mod frame;

pub use cursor::{Cursor, Short};

/// CRC-32C, by the processor's own instruction where it has one.
pub fn crc32c(bytes: &[u8]) -> u32 {
    ::crc32c::crc32c(bytes)
}

/// Goes on with a CRC-32C where `crc` left off.
pub fn crc32c_append(crc: u32, bytes: &[u8]) -> u32 {
    ::crc32c::crc32c_append(crc, bytes)
}
