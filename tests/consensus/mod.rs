//! Consensus in one process: nodes whose disks forget what was not persisted,
//! a network that drops, doubles and reorders, and invariants that are held
//! against every turn. One seed decides everything.
//!
//! ```text
//! truth     what must hold, whatever happens
//! node      one node: its disk, its state, and its life until the next crash
//! cluster   the nodes and the network between them
//! schedule  a seed's story, and the quiet end in which all must agree
//! directed  single situations, each with its expected end
//! faults    planted faults, each found
//! ```

mod cluster;
mod directed;
mod faults;
mod node;
mod schedule;
mod truth;
