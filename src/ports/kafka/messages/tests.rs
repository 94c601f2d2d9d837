//! The messages against a referee, the crate `kafka-protocol`, and against
//! bytes made from their shapes; damaged bytes; frames.

mod agree;
mod damaged;
mod debug_tree;
mod framed;
mod hostile;
mod pairs;
mod twin;
