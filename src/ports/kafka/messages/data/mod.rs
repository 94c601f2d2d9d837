//! Records in and out, and the offsets that lead to them.

pub mod delete_records;
pub mod describe_producers;
pub mod fetch;
pub mod list_offsets;
pub mod offset_for_leader_epoch;
pub mod produce;
