//! The ports between nodes: what is heard there, and whom they are open to.

use super::super::membership::KnownPeer;
use super::super::refused::Refused;
use super::super::release::release;
use super::super::standing::Standing;
use super::members::Listed;
use super::{Shared, Work};
use crate::entropy::MachineEntropy;
use crate::log::Fatal;
use crate::peers::{self, Closing, FromPeers, Peers, RateOf};
use crate::profile::{Roots, speed_mbps};
use crate::replica;
use std::sync::{Arc, OnceLock};
use tokio::sync::mpsc;

impl Shared {
    pub(super) fn open_peers(&self) -> Result<Closing, Refused> {
        let folder = self.config.data.join("tls");
        let Some(identity) = self.identity() else {
            let why = "the node's certificate is missing: restore the folder tls, or join again";
            return Err(Refused::Membership(folder, why.into()));
        };
        let renewed = self.renew_ended(identity);
        let identity = renewed.map_err(|why| Refused::Membership(folder, why))?;
        let listen = &self.config.peers;
        let mut settings = peers::Settings::new(
            listen.control_listen,
            listen.bulk_listen,
            // Grows from start to start as long as the clock does not go back,
            // and then the peers' idle timeout does the rest.
            self.clock.now().0,
            release(),
            self.clock.clone(),
            Arc::new(MachineEntropy),
        );
        settings.bulk_rate = bulk_rate(listen.bulk_mb_per_second);
        let (replica, work) = (self.replica.clone(), self.work.clone());
        let streams = self.hears_streams.clone();
        let hear = move |heard| match heard {
            FromPeers::Frame { from, bytes, .. } => match Work::aside(from, &bytes) {
                Some(aside) => drop(work.send(aside)),
                None => replica.heard(from, bytes),
            },
            FromPeers::Up { node, release, .. } => replica.peer_up(node, release),
            FromPeers::Down { node } => replica.peer_down(node),
            FromPeers::Join { request, answer } => {
                let _ = work.send(Work::Join(request, answer));
            }
            FromPeers::Stream { from, stream } => match streams.get() {
                Some(hear) => hear(from, stream),
                // The event log is not open, and the peer tries again.
                None => drop(stream),
            },
        };
        let (peers, closing) = Peers::start(settings, identity, Box::new(hear))
            .map_err(|error| Refused::Peers(error.to_string()))?;
        let known = self.membership().peers;
        peers.set_members(known.iter().map(KnownPeer::address).collect());
        self.peers.get_or_init(|| peers);
        let work = self.work.clone();
        self.replica.look(move |replica, _| {
            let _ = work.send(Work::Members(Listed::of(replica)));
        });
        Ok(closing)
    }
}

/// Where an interface does not say what it carries: a virtual one, or loopback.
/// As much as one thread sends, so that bulk is held back by the processor; a
/// heartbeat beside it waits 3 ms (`docs/decisions/0016-bulk-follows-the-link.md`).
const UNKNOWN_LINK_MB_PER_SECOND: u64 = 1000;

/// How much bulk may leave by an address: as much as was set, or four fifths of
/// what its interface carries.
fn bulk_rate(set: Option<u64>) -> RateOf {
    Arc::new(move |address| {
        let carried_mbps = || speed_mbps(address?, &Roots::default());
        bytes_per_second(set, carried_mbps)
    })
}

fn bytes_per_second(set_mb: Option<u64>, carried_mbps: impl FnOnce() -> Option<u64>) -> u64 {
    let set = set_mb.map(|mb| mb * 1_000_000);
    let carried = || Some(carried_mbps()? * 1_000_000 / 8 * 4 / 5);
    let unknown = UNKNOWN_LINK_MB_PER_SECOND * 1_000_000;
    set.or_else(carried).unwrap_or(unknown)
}

pub(super) fn hooks(
    standing: Arc<Standing>,
    peers: Arc<OnceLock<Peers>>,
    work: mpsc::UnboundedSender<Work>,
    topics: replica::ShowTopics,
    fatal: Box<dyn FnOnce(&Fatal) + Send>,
) -> replica::Hooks {
    replica::Hooks {
        beat: Box::new(move || standing.replica_beat()),
        fatal,
        send: Box::new(move |sends| {
            if let Some(peers) = peers.get() {
                for (to, plane, bytes) in sends {
                    peers.send(to, plane, bytes);
                }
            }
        }),
        members: Box::new(move |replica| {
            // The daemon is gone only at the very end.
            let _ = work.send(Work::Members(Listed::of(replica)));
        }),
        topics,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bulk_takes_four_fifths_of_what_the_link_carries() {
        for (set_mb, carried_mbps, bytes) in [
            (Some(7), Some(1000), 7_000_000),
            (None, Some(100), 10_000_000),
            (None, Some(1000), 100_000_000),
            (None, Some(25_000), 2_500_000_000),
            (None, None, 1_000_000_000),
        ] {
            let found = bytes_per_second(set_mb, || carried_mbps);
            assert_eq!(found, bytes, "{set_mb:?} {carried_mbps:?}");
        }
    }
}
