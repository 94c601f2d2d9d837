//! Brokers come, go, and leave for good, and what they held goes over to others
//! in the same step.

use super::brokers::{self, Broker, Up};
use super::command::{Announce, Kept, StreamsOutcome, StreamsRefused};
use super::nodes::{self, BrokerRecord, DiskRecord, StreamsNode};
use super::settings::Durability;
use super::streams::Streams;
use crate::ids::{LogId, NodeId, SessionId};
use crate::planted;
use crate::state::node::Owner;
use crate::state::placement::Loads;

impl Streams<'_> {
    pub(super) fn announce(
        &mut self,
        announce: &Announce,
    ) -> Result<StreamsOutcome, StreamsRefused> {
        brokers::check(announce)?;
        let (node, session) = (announce.node, self.writes.session);
        if session.0 == 0 {
            return Err(StreamsRefused::NoSession);
        }
        let of_session = self.topics.brokers.of_session(session);
        if of_session.is_some_and(|other| other != node) {
            return Err(StreamsRefused::Announcement { what: "session" });
        }
        // A node by itself has no list.
        let has_list = self.members.iter().next().is_some();
        if has_list && self.members.get(node).is_none() {
            return Err(StreamsRefused::NoMember { node });
        }
        self.lay_out();
        let known = self.topics.brokers.get(node).cloned();
        let is_same_disk = known.as_ref().is_some_and(|one| one.disk == announce.disk);
        match of_session.is_some() && is_same_disk {
            true => self.readdress(announce),
            false => self.begin_life(announce, known),
        }
        self.widen_internal();
        let life = self.topics.brokers.life(node);
        let life = life.expect("it has just been announced");
        Ok(StreamsOutcome::Announced(life))
    }

    /// Said again in the same session.
    fn readdress(&mut self, announce: &Announce) {
        let data = self.broker_data(announce);
        self.put(&StreamsNode::Broker(announce.node).path(), data);
        self.put_disk(announce);
        let broker = self.topics_mut().brokers.by_node.get_mut(&announce.node);
        let broker = broker.expect("it is up");
        broker.rack = announce.rack.clone();
        if let Some(up) = &mut broker.up {
            up.listeners = announce.listeners.clone();
        }
    }

    /// What was up under the number before is down, and whatever it led is led
    /// by others; then this one is up, and what nobody leads it may lead.
    fn begin_life(&mut self, announce: &Announce, known: Option<Broker>) {
        let node = announce.node;
        let path = StreamsNode::Broker(node).path();
        self.remove(&path);
        let data = self.broker_data(announce);
        let session = self.writes.session;
        self.add_of(&path, data, Owner(session.0));
        self.put_disk(announce);
        let up = Up {
            session,
            epoch: self.writes.zxid,
            listeners: announce.listeners.clone(),
        };
        let broker = Broker {
            disk: announce.disk,
            rack: announce.rack.clone(),
            up: Some(up),
        };
        self.topics_mut().brokers.by_node.insert(node, broker);
        self.receive(announce, known.as_ref());
    }

    fn receive(&mut self, announce: &Announce, known: Option<&Broker>) {
        let node = announce.node;
        let was_up = known.is_some_and(|known| known.up.is_some());
        let has_other_disk = known.is_some_and(|known| known.disk != announce.disk);
        let members = self.members;
        self.change_all(|at, partition, brokers| {
            let is_up = |other| brokers.is_up(other);
            let others_up = |other| other != node && brokers.is_up(other);
            if !partition.replicas.contains(&node) {
                // Room that a removed member has left.
                let mut replicas = partition.replicas.iter();
                let gone = replicas.find(|&&other| members.has_left(other));
                if let Some(&gone) = gone {
                    partition.substitute(gone, Some(node));
                }
                return;
            }
            if was_up {
                partition.lose(node, at.floor, &others_up);
            }
            let log = LogId::of_partition(at.topic, at.partition, partition.since(node));
            let is_of_memory = at.settings.durability() == Durability::Replicated;
            match &announce.kept {
                _ if has_other_disk => partition.forget(node, &others_up),
                Kept::Less(lost) if lost.is_in(log) => {
                    partition.yield_to_others(node, &others_up);
                }
                // It had a power cut or worse besides.
                Kept::Synced | Kept::Less(_) if is_of_memory => {
                    partition.distrust(node, &others_up);
                }
                Kept::Synced | Kept::Less(_) | Kept::All => {}
            }
            partition.revive(&is_up, at.settings.may_elect_uncleanly());
            partition.complete(at.floor, &is_up);
        });
    }

    fn broker_data(&self, announce: &Announce) -> Vec<u8> {
        let (listeners, rack) = (&announce.listeners, &announce.rack);
        nodes::bytes(&BrokerRecord::of(self.writes.now.0, listeners, rack))
    }

    fn put_disk(&mut self, announce: &Announce) {
        let record = DiskRecord::of(announce.disk, &announce.rack);
        self.put(
            &StreamsNode::Disk(announce.node).path(),
            nodes::bytes(&record),
        );
    }

    /// A session has ended, and its ephemeral nodes are gone. If a broker's life
    /// hung on it, others lead what it led, in this same step.
    pub fn session_ended(&mut self, session: SessionId) {
        let Some(node) = self.topics.brokers.of_session(session) else {
            return;
        };
        if let Some(broker) = self.topics_mut().brokers.by_node.get_mut(&node) {
            broker.up = None;
        }
        if planted!(LostLeaderKept) {
            return;
        }
        self.change_all(|at, partition, brokers| {
            if partition.replicas.contains(&node) {
                let is_up = |other| brokers.is_up(other);
                partition.lose(node, at.floor, &is_up);
                partition.revive(&is_up, at.settings.may_elect_uncleanly());
                // It may have led what was to go to others, and they are whole.
                partition.complete(at.floor, &is_up);
            }
        });
    }

    /// The members have changed. What one that has left held is gone for good:
    /// another takes its place in each partition, where there is one, and the
    /// place is kept for the next that comes where there is none.
    pub fn members_changed(&mut self) {
        let brokers = self.topics.brokers.by_node.keys().copied();
        let gone = brokers.filter(|&node| self.members.has_left(node));
        let gone: Vec<_> = gone.collect();
        gone.into_iter().for_each(|node| self.bid_farewell(node));
    }

    fn bid_farewell(&mut self, gone: NodeId) {
        self.remove(&StreamsNode::Broker(gone).path());
        self.remove(&StreamsNode::Disk(gone).path());
        self.topics_mut().brokers.by_node.remove(&gone);
        let mut loads = Loads::of(self.topics, None);
        self.change_all(|at, partition, brokers| {
            if !partition.replicas.contains(&gone) {
                return;
            }
            let is_up = |other| brokers.is_up(other);
            partition.lose(gone, at.floor, &is_up);
            partition.forget(gone, &is_up);
            let other = loads.substitute(at.topic, at.partition, &partition.replicas);
            partition.substitute(gone, other);
            partition.revive(&is_up, at.settings.may_elect_uncleanly());
            partition.complete(at.floor, &is_up);
        });
    }
}
