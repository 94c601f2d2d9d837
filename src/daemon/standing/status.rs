//! How the node stands, as one object of JSON.

use super::super::chronicle;
use super::super::release::VERSION;
use super::Standing;
use crate::disk::class::Granted;
use crate::ports::operator;
use crate::replica::desk;
use crate::state::FEATURES;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;

impl Standing {
    fn log_json(&self) -> Value {
        let Some(log) = self.log.get() else {
            return Value::Null;
        };
        let figures = self.figures.lock().expect("figures are set whole");
        let opening = chronicle::Opening::from(&log.report);
        json!({
            "engine": log.engine,
            "engine_reason": log.reason,
            "is_direct": log.is_direct,
            "class": log.class.as_ref().map(class_word),
            "silence_ms": self.silence().map(|silence| silence.as_millis() as u64),
            "opened": opening.to_string(),
            "opening": opening,
            "is_reserve_held": self.is_reserve_held.load(Relaxed),
            "logs": figures.logs,
            "appends": figures.appends,
            "batches": figures.batches,
            "straight_batches": figures.straight_batches,
            "journal_bytes": figures.journal_bytes,
            "journal_files": figures.journal_files,
            "sweeps": figures.sweeps,
            "stalls": figures.stalls,
            "refused_full": figures.refused_full,
            "tidy_failures": figures.tidy_failures,
        })
    }

    pub fn status(&self) -> Value {
        let phase = self.phase();
        let doors = self.doors.lock().expect("a door is never left half listed");
        let doors: BTreeMap<_, _> = doors
            .iter()
            .map(|(door, address)| (*door, address.to_string()))
            .collect();
        json!({
            "version": VERSION,
            "features": self.features_json(),
            "pid": std::process::id(),
            "state": phase.word(),
            "reason": operator::Report::out_of_service(self),
            "uptime_s": self.clock.monotonic().as_secs(),
            "data": self.data,
            "doors": doors,
            "log": self.log_json(),
            "coordination": self.coordination_json(),
            "doors_class": self.doors_class.get().map(class_word),
            "warnings": self.warnings(),
        })
    }

    /// The cluster's level is not known before the state is read back.
    fn features_json(&self) -> Value {
        let held = self.coordination.lock().expect("set whole");
        json!({
            "cluster": held.as_ref().map(|standing| standing.features),
            "supports": FEATURES,
        })
    }

    fn coordination_json(&self) -> Value {
        let held = self.coordination.lock().expect("set whole");
        let Some(standing) = held.as_ref() else {
            return Value::Null;
        };
        let peers = self.peers.lock().expect("set whole");
        let peers = peers.iter().map(|peer| {
            let connection = peer.connection.as_ref();
            json!({
                "node": peer.node.0,
                "plane": format!("{:?}", peer.plane).to_lowercase(),
                "connected": connection.is_some(),
                "unreached": peer.unreached,
                "round_trip_us": connection.map(|one| one.round_trip.as_micros() as u64),
                "path_mtu": connection.map(|one| one.path_mtu),
                "lost_packets": connection.map(|one| one.lost_packets),
                "sent_bytes": connection.map(|one| one.sent_bytes),
                "received_bytes": connection.map(|one| one.received_bytes),
                "queued_bytes": connection.map(|one| one.queued_bytes),
                "dropped_frames": peer.dropped_frames,
            })
        });
        let until = *self.certificate_until.lock().expect("set whole");
        let role = match standing.role {
            _ if standing.has_left => "removed",
            _ if standing.outgrown.is_some() => "outgrown",
            desk::Role::Alone => "alone",
            desk::Role::Leader => "leader",
            desk::Role::Follower => "follower",
            desk::Role::Learner => "learner",
            desk::Role::Looking => "looking for a leader",
        };
        json!({
            "node": standing.node.0,
            "role": role,
            "leader": standing.leader.map(|node| node.0),
            "term": standing.term,
            "zxid": format!("{:#x}", standing.zxid.0),
            "voters": standing.voters,
            "learners": standing.learners,
            "nodes": standing.nodes,
            "data_bytes": standing.data_bytes,
            "ephemerals": standing.ephemerals,
            "watches": standing.watches,
            "sessions": standing.sessions,
            "connections": standing.connections,
            "outstanding": standing.outstanding,
            "log_index": standing.log_index,
            "snapshot_index": standing.snapshot_index,
            "digest": format!("{:016x}", standing.digest),
            "restore": standing.restoration.to_string(),
            "election_timeout_ms": standing.election_timeout_ms,
            "flush_p99_us": standing.flush_p99_us,
            "certificate_until": until.map(|until| until.to_string()),
            "peers": peers.collect::<Vec<_>>(),
        })
    }
}

/// What a thread was granted, in a word.
fn class_word(granted: &Granted) -> String {
    match granted {
        Granted::Full => "as designed".into(),
        Granted::Nice(nice) => format!("nice {nice}"),
        Granted::Ordinary { .. } => "ordinary".into(),
    }
}
