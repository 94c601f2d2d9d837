//! The segmented append-only log: many logs over one journal per device.
//!
//! `device` is the heart: one thread owns it, gathers the appends of every log
//! into one journal batch a sync, and answers them together. `recover` opens a
//! data directory, `shelf` is what readers see and `maps` what stays mapped for
//! them, `owner` puts a device on its own thread, `rewrite` has sealed segments
//! written anew, `mend` finds and mends damage, `fresh` keeps what is on its way to a
//! segment. `frame`, `batch`, `segment`, `footer`, `scan` and `plan` are pure: bytes,
//! and what they mean.

pub mod batch;
mod device;
mod errors;
pub mod footer;
pub mod format;
pub mod frame;
mod fresh;
pub mod identity;
pub mod journal;
mod maps;
pub mod mend;
mod owner;
pub mod plan;
mod recover;
mod rewrite;
pub mod scan;
pub mod segment;
mod settings;
mod shelf;
pub mod sparse;
mod tenant;

pub use device::{Answer, Appended, Device, ErrandDone, Figures, Records, Request};
pub use errors::{Fatal, Hole, OpenError, ReadError, Refused};
pub use frame::{FRAMES, Payload};
pub use owner::{Hooks, LogHandle, Logs, Owner, Ticket, start, start_with};
pub use recover::{Opening, Report, open};
pub use rewrite::{Rewrite, Run, Written};
pub use settings::Settings;
pub use shelf::{Chunk, Read, Shelf, Span, Way};
pub use tenant::Tenant;
