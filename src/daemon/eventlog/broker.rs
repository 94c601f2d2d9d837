//! This node as a broker: it is one for as long as the session lives in which it
//! has announced itself, and announces itself again whenever the topics do not
//! show it as it is.

use super::listeners::{listeners, place};
use super::proposing::of_streams;
use crate::daemon::config::{Config, KafkaDoor};
use crate::daemon::place::Place;
use crate::ids::{SessionId, Uid};
use crate::state::topics::{Announce, BrokerLife, Kept, Topics};
use crate::state::{Outcome, StreamsCommand, StreamsOutcome};
use crate::streams::Site;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Looks to let pass before what was refused is said again: 2 s.
const RESTS: u32 = 4;

pub struct Broker {
    site: Arc<Site>,
    disk: Uid,
    /// Over the stop before this start.
    kept: Kept,
    rack: Option<Box<str>>,
    door: KafkaDoor,
    /// Where the door listens.
    address: SocketAddr,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    /// None before it was first looked for.
    place: Option<Place>,
    /// An announcement is not answered yet.
    is_asked: bool,
    rests: u32,
    /// Why the last one was not taken.
    refused: Option<String>,
    /// The last life of this process.
    life: Option<BrokerLife>,
}

impl Broker {
    /// `disk` is the data folder's own name, drawn when it was made.
    pub fn new(
        site: Arc<Site>,
        disk: Uid,
        kept: Kept,
        config: &Config,
        address: SocketAddr,
    ) -> Self {
        Self {
            site,
            disk,
            kept,
            rack: config.rack.as_deref().map(Box::from),
            door: config.kafka.clone(),
            address,
            held: Mutex::default(),
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks where clients are to come: the machine may have another address now.
    pub fn look_around(&self, own_host: impl FnOnce() -> Option<String>) {
        let place = place(&self.door, self.address, own_host);
        self.held().place = Some(place);
    }

    /// Where clients come.
    pub fn place(&self) -> Option<Place> {
        self.held().place.clone()
    }

    /// What is to be said in this session, which is open: nothing where the
    /// topics show this node as it is.
    pub fn due(&self, session: SessionId) -> Option<StreamsCommand> {
        self.site.live_in(session);
        let mut held = self.held();
        if held.is_asked {
            return None;
        }
        if held.rests > 0 {
            held.rests -= 1;
            return None;
        }
        let announce = Announce {
            node: self.site.node,
            disk: self.disk,
            // Of what this process wrote, nothing is lost while it lives.
            kept: held.life.map_or_else(|| self.kept.clone(), |_| Kept::All),
            listeners: listeners(&self.door, held.place.as_ref()?),
            rack: self.rack.clone(),
        };
        let topics = self.site.topics();
        if self.site.life_in(&topics).is_some() && is_shown(&topics, &announce) {
            return None;
        }
        held.is_asked = true;
        Some(StreamsCommand::Announce(announce))
    }

    /// What came of what was due.
    pub fn hear(&self, outcome: Result<Outcome, String>) {
        let mut held = self.held();
        held.is_asked = false;
        let refused = match outcome.and_then(of_streams) {
            Ok(StreamsOutcome::Announced(life)) => {
                if held.life.replace(life) != Some(life) {
                    tracing::info!(node = %life.node, epoch = %life.epoch, "this node is a broker");
                }
                held.refused = None;
                return;
            }
            Ok(StreamsOutcome::Refused(why)) => why.to_string(),
            Ok(other) => format!("an outcome of another kind: {other:?}"),
            Err(why) => why,
        };
        held.rests = RESTS;
        if held.refused.as_ref() != Some(&refused) {
            tracing::warn!(why = refused, "this node is not taken for a broker yet");
        }
        held.refused = Some(refused);
    }
}

/// Whether the topics say of the broker what it says of itself.
fn is_shown(topics: &Topics, announce: &Announce) -> bool {
    let Some(broker) = topics.brokers().get(announce.node) else {
        return false;
    };
    let up = broker.up.as_ref();
    let is_reached = up.is_some_and(|up| up.listeners == announce.listeners);
    is_reached && broker.disk == announce.disk && broker.rack == announce.rack
}

#[cfg(test)]
mod tests;
