//! The ZooKeeper door over loopback, with a small stand-in for the replica.

mod basic;
pub mod client;
mod desk;
mod hostile;
mod identity;
mod words;

use client::Client;
use desk::Stand;
use dolmen::clock::MachineClock;
use dolmen::entropy::MachineEntropy;
use dolmen::ports::zookeeper::{Counts, Door, Settings};
use std::net::SocketAddr;
use std::sync::Arc;

/// A door with a stand-in behind it.
struct House {
    door: Door,
    stand: Arc<Stand>,
    counts: Arc<Counts>,
}

impl House {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::new(SocketAddr::from(([127, 0, 0, 1], 0)));
        change(&mut settings);
        let stand = Arc::new(Stand::default());
        let counts = Arc::new(Counts::default());
        let door = Door::open(
            settings,
            stand.clone(),
            Arc::new(MachineClock::new()),
            &MachineEntropy,
            counts.clone(),
        )
        .unwrap();
        Self {
            door,
            stand,
            counts,
        }
    }

    fn client(&self) -> Client {
        let mut client = Client::dial(self.door.address());
        let opened = client.open();
        assert_ne!(opened.timeout_ms, 0);
        client
    }
}
