//! The hardware profile: read, detect, check.
//!
//! `knobs` is the one table of what can be set. `document` turns TOML into
//! flat entries that know their line and column. `detect` reads what the
//! machine is, `choose` picks the profile whose rules hold there, and `layers`
//! puts one value over another and remembers where each came from. A setting
//! that is wrong is refused with its place; nothing here panics on a text.

#[allow(clippy::disallowed_methods)] // sysfs
mod block;
mod choose;
#[allow(clippy::disallowed_methods)] // the home of sysfs and procfs
mod detect;
mod document;
mod fault;
mod groups;
mod interfaces;
mod knobs;
mod layers;
mod machine;
mod matching;
mod mount;
mod probe;
#[allow(clippy::disallowed_methods)] // reads the profiles' folders
mod shelf;
mod twice;
mod virt;

pub use choose::{Candidate, Choice, choose, rank};
pub use detect::Roots;
pub use document::{Document, Entry, Value};
pub use fault::{Fault, Place};
pub use groups::{CpuQuota, cpu_quota};
pub use interfaces::{interface_addresses, only_one, speed_mbps};
pub use knobs::{KNOBS, Kind, Knob, Tables, check, expect};
pub use layers::{Given, Layer, Layers, Origin, Setting};
pub use machine::{Device, Machine};
pub use matching::{Pattern, RULES, Rule};
pub use mount::Mounts;
pub use probe::{PROBE_FILE, Probe};
pub use shelf::{HEAD, Profile, Shelf, Tested};
