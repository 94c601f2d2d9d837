//! Front doors.

pub mod operator;
pub mod zookeeper;
