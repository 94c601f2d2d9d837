//! What a coordinator is told about how to behave.

use crate::limits::{GROUP_HEARTBEAT_MS, GROUP_SESSION_MS};
use crate::state::topics::overrides;
use std::sync::Arc;

/// Named after Kafka's settings of the same meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// A classic member may ask for a session timeout between these.
    pub session_ms_min: u32,
    pub session_ms_max: u32,
    /// How long a classic group that was empty waits for more members before
    /// its first generation, and again after each that came meanwhile. Kafka
    /// waits 3 s. Here a rebalance costs a sync and not seconds, but whoever
    /// comes too late for one costs a heartbeat interval, 3 s, until the others
    /// hear of the next: so what the machine's start brings up together, within
    /// some hundred milliseconds, should be in, and a lone consumer should not
    /// wait for what does not come.
    pub initial_delay_ms: u32,
    pub members_max: usize,
    /// How long a member of KIP-848 lives without a heartbeat, and how often it
    /// is told to send one: of each group that has something of its own, by its
    /// name, and of all others.
    pub own: Arc<overrides::Groups>,
    pub consumer_session_ms: u32,
    pub consumer_heartbeat_ms: u32,
    /// How long offsets are kept after their group became empty, or, where no
    /// member reads their topic, after their commit.
    pub offsets_retention_ms: u64,
    /// How often offsets are looked through for those to be forgotten.
    pub sweep_every_ms: u64,
}

impl Settings {
    pub fn session_ms_of(&self, group: &str) -> u32 {
        let own = self.own.get(group).and_then(|own| own.session_ms);
        own.unwrap_or(self.consumer_session_ms)
    }

    pub fn heartbeat_ms_of(&self, group: &str) -> u32 {
        let own = self.own.get(group).and_then(|own| own.heartbeat_ms);
        own.unwrap_or(self.consumer_heartbeat_ms)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            session_ms_min: 6_000,
            session_ms_max: 30 * 60 * 1000,
            initial_delay_ms: 500,
            members_max: crate::limits::GROUP_MEMBERS_MAX,
            own: Arc::default(),
            consumer_session_ms: GROUP_SESSION_MS,
            consumer_heartbeat_ms: GROUP_HEARTBEAT_MS,
            offsets_retention_ms: 7 * 24 * 60 * 60 * 1000,
            sweep_every_ms: 10 * 60 * 1000,
        }
    }
}
