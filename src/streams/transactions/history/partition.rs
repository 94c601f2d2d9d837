//! A partition with its real rules for producers, and what is in its log.

use super::super::{Identity, Markers};
use crate::clock::Millis;
use crate::ids::{Offset, ProducerId};
use crate::streams::batch::control::{Ending, Marker};
use crate::streams::batch::header::Claim;
use crate::streams::batch::stored::{Kind, Stored};
use crate::streams::producers::{Admitted, Closing, Ends, Moment, Offer, Producers, Refused};
use std::collections::BTreeMap;

/// A batch that a client wants written.
#[derive(Clone, Debug)]
pub(super) struct Write {
    pub client: usize,
    /// Its try, so that the answer finds it.
    pub number: u64,
    pub id: super::super::Name,
    pub who: Identity,
    pub sequence: i32,
    pub partition: u32,
    /// The transaction that the client means.
    pub serial: u64,
    pub is_raised: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Entry {
    Data { id: ProducerId, serial: u64 },
    Marker { id: ProducerId, is_committed: bool },
}

#[derive(Default)]
pub(super) struct Partition {
    pub producers: Producers,
    pub log: Vec<Entry>,
    ends: Ends,
}

pub(super) enum Offered {
    Written,
    /// Its coordinator is to be asked first; to be offered again with this.
    Begins(Moment),
    Refused,
}

impl Partition {
    pub(super) fn offer(&mut self, write: &Write, verified: Option<Moment>) -> Offered {
        let claim = Claim {
            id: write.who.id,
            epoch: write.who.epoch,
            sequence: write.sequence,
        };
        let offer = Offer {
            claim,
            count: 1,
            is_transactional: true,
            raises_epoch: write.is_raised,
        };
        match self.producers.admit(&offer) {
            Ok(Admitted::Known { .. }) => Offered::Written,
            Ok(Admitted::New { begins }) => {
                if begins && let Err(now) = self.ends.check(verified, claim.id) {
                    return Offered::Begins(now);
                }
                self.log.push(Entry::Data {
                    id: write.who.id,
                    serial: write.serial,
                });
                self.take(claim, Kind::Data);
                Offered::Written
            }
            Err(_) => Offered::Refused,
        }
    }

    pub(super) fn mark(&mut self, markers: &Markers) -> Result<(), Refused> {
        let id = markers.producer.id;
        let ending = match markers.is_committed {
            true => Ending::Commit,
            false => Ending::Abort,
        };
        let marker = Marker {
            ending,
            coordinator_epoch: markers.coordinator_epoch,
        };
        self.producers.admit_marker(&Closing {
            id,
            epoch: markers.producer.epoch,
            marker,
            raises_epoch: markers.raises_epoch,
        })?;
        self.log.push(Entry::Marker {
            id,
            is_committed: markers.is_committed,
        });
        self.ends.note(id);
        let claim = Claim {
            id,
            epoch: markers.producer.epoch,
            sequence: -1,
        };
        self.take(claim, Kind::Marker(marker));
        Ok(())
    }

    fn take(&mut self, claim: Claim, kind: Kind) {
        let next = self.log.len() as u64;
        let stored = Stored {
            first: Offset(next - 1),
            next: Offset(next),
            leader_epoch: 0,
            max_timestamp: Some(0),
            claim: Some(claim),
            is_transactional: true,
            kind,
        };
        self.producers.take(&stored, Millis(1));
        self.producers.settle(Offset(next));
    }

    /// The transactions as their clients meant them, and how each of their
    /// records ended here; what is open is not named.
    pub(super) fn ended(&self) -> Vec<(u64, bool)> {
        let mut open: BTreeMap<ProducerId, Vec<u64>> = BTreeMap::new();
        let mut ended = Vec::new();
        for entry in &self.log {
            match *entry {
                Entry::Data { id, serial } => open.entry(id).or_default().push(serial),
                Entry::Marker { id, is_committed } => {
                    let records = open.remove(&id).unwrap_or_default();
                    ended.extend(records.into_iter().map(|serial| (serial, is_committed)));
                }
            }
        }
        ended
    }

    pub(super) fn is_settled(&self) -> bool {
        let next = Offset(self.log.len() as u64);
        self.producers.last_stable(next) == next
    }
}
