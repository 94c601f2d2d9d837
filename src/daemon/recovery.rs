//! What `dolmen recover` does to a data folder that no daemon holds.

use super::compose::{self, Sources};
use super::coordination::{Engine, ReplicaFolder};
use super::data_folder;
use super::lock::Lock;
use super::membership::Membership;
use super::refused::Refused;
use crate::clock::{Clock, MachineClock};
use crate::disk;
use crate::peers::Store;
use crate::replica::Recovered;
use std::path::Path;
use std::sync::Arc;

/// Makes the folder's node the only voter of its cluster.
pub fn recover(sources: &Sources, data: &Path) -> Result<Recovered, Refused> {
    let mut sources = sources.clone();
    sources.sets.push(format!("node.data={}", data.display()));
    let config = compose::load(&sources)?.config;
    data_folder::check(data)?;
    let _lock = Lock::take(data, "dolmen recover")?;
    let membership = Membership::read(data)?.ok_or_else(|| {
        Refused::NotRecoverable("this node is by itself: there is nothing to recover from".into())
    })?;
    let store = Store::open(&data.join("tls")).map_err(Refused::keys)?;
    if store.authority().map_err(Refused::keys)?.is_none() {
        return Err(Refused::NotRecoverable(format!(
            "node {} is a worker and holds no key to let others join with: recover a voter",
            membership.node
        )));
    }
    let clock: Arc<dyn Clock> = Arc::new(MachineClock::new());
    let engine = Engine {
        lanes: disk::Settings {
            engine: disk::Engine::Threads,
            entries: config.log.ring_entries,
            lone_blocking: true,
        },
        log: compose::replica_log_settings(&config.log),
        give_up_reserve: Arc::new(|| false),
    };
    let folder = ReplicaFolder::new(&config, engine, &membership, clock);
    let recovered = folder
        .recover()
        .map_err(Refused::log_unopened(folder.path().into()))?;
    // Nobody else is dialed.
    let alone = Membership {
        peers: membership
            .peers
            .iter()
            .filter(|peer| peer.node == membership.node.0)
            .cloned()
            .collect(),
        ..membership
    };
    alone
        .write(data)
        .map_err(Refused::data_folder(data.into()))?;
    Ok(recovered)
}
