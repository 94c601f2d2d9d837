//! What this build calls itself, to people and to the other nodes.

use crate::peers::Release;
use crate::state::FEATURES;

pub const VERSION: &str = match cfg!(feature = "next-features") {
    true => concat!(env!("CARGO_PKG_VERSION"), "+next-features"),
    false => env!("CARGO_PKG_VERSION"),
};

pub fn release() -> Release {
    Release {
        features: FEATURES,
        version: VERSION.into(),
    }
}
