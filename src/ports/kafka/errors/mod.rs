//! Our errors as Kafka's codes: one exhaustive match for each, so that a new
//! failure is seen here before a client sees it.

pub mod appends;
pub mod groups;
pub mod topics;
pub mod transactions;

pub use topics::{Refusal, in_words};
