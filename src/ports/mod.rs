//! Front doors.

pub mod operator;
