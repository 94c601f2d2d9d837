//! Front doors.

pub mod kafka;
pub mod operator;
mod tls;
pub mod zookeeper;
