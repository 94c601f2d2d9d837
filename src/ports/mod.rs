//! Front doors.

pub mod kafka;
pub mod operator;
pub mod zookeeper;
