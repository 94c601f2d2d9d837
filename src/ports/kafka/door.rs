//! What every handler works with.

use super::access::SuperUsers;
use super::handlers::fetch::{ColdMemory, Sessions, WarmMemory};
use super::handlers::produce::Turns;
use super::quotas::Quotas;
use super::sasl::Sasl;
use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::streams::coordinators::{Groups, Transactions};
use crate::streams::{Site, Streams};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// What the door is given.
pub struct Means {
    pub site: Arc<Site>,
    pub streams: Streams,
    pub groups: Groups,
    pub transactions: Transactions,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    /// The data folder, as those who ask for log directories are told.
    pub folder: PathBuf,
    pub super_users: SuperUsers,
}

pub struct Door {
    pub site: Arc<Site>,
    pub streams: Streams,
    pub groups: Groups,
    pub transactions: Transactions,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub folder: PathBuf,
    pub super_users: SuperUsers,
    pub sasl: Sasl,
    pub quotas: Quotas,
    /// Whose turn it is among a transactional producer's requests.
    pub turns: Arc<Turns>,
    /// What consumers have said that they read.
    pub fetch_sessions: Mutex<Sessions>,
    pub cold_memory: ColdMemory,
    pub warm_memory: WarmMemory,
}

impl Door {
    /// An error is a machine without randomness.
    pub fn new(means: Means) -> io::Result<Self> {
        let Means {
            site,
            streams,
            groups,
            transactions,
            clock,
            entropy,
            folder,
            super_users,
        } = means;
        Ok(Self {
            sasl: Sasl::new(&*entropy)?,
            site,
            streams,
            groups,
            transactions,
            clock,
            entropy,
            folder,
            super_users,
            quotas: Quotas::default(),
            turns: Arc::default(),
            fetch_sessions: Mutex::default(),
            cold_memory: ColdMemory::default(),
            warm_memory: WarmMemory::default(),
        })
    }
}

#[cfg(test)]
impl Means {
    /// Those of a node without partitions, which coordinates nothing.
    pub fn idle(site: Arc<Site>, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            streams: Streams::idle(),
            groups: Groups::idle(&site),
            transactions: Transactions::idle(&site),
            site,
            clock,
            entropy,
            folder: std::env::temp_dir(),
            super_users: SuperUsers::default(),
        }
    }
}
