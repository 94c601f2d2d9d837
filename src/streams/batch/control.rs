//! The record that ends a transaction in a partition: whether it counts, and
//! who said so.
//!
//! Key and value begin with a version each, 0; what a later version adds comes
//! behind and is passed over, as all readers of them do.

use super::build::Builder;
use super::codec::Codec;
use super::header::Claim;
use super::records::{Headers, Record, Unreadable};
use crate::clock::Millis;
use crate::ids::{Offset, ProducerId};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Abort,
    Commit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marker {
    pub ending: Ending,
    /// How often the coordinator of the transaction had changed.
    pub coordinator_epoch: i32,
}

/// Where a marker goes, and whose transaction it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub offset: Offset,
    pub leader_epoch: i32,
    pub id: ProducerId,
    pub epoch: i16,
}

const ABORT: i16 = 0;
const COMMIT: i16 = 1;
/// A marker has no number among its producer's records.
const NO_SEQUENCE: i32 = -1;

impl Marker {
    /// The batch that carries it.
    pub fn batch(self, place: Place, now: Millis) -> Vec<u8> {
        let claim = Claim {
            id: place.id,
            epoch: place.epoch,
            sequence: NO_SEQUENCE,
        };
        let kind = match self.ending {
            Ending::Abort => ABORT,
            Ending::Commit => COMMIT,
        };
        let key = [[0; 2], kind.to_be_bytes()].concat();
        let value = [&[0; 2][..], &self.coordinator_epoch.to_be_bytes()].concat();
        let mut builder = Builder::new(place.offset, Codec::None)
            .leader_epoch(place.leader_epoch)
            .producer(claim, true)
            .control();
        let added = builder.add(&Record {
            offset: place.offset,
            timestamp: now.0 as i64,
            key: Some(&key),
            value: Some(&value),
            headers: Headers::NONE,
        });
        added
            .and_then(|()| builder.finish())
            .expect("a marker has a hundred bytes")
    }

    pub(super) fn read(record: &Record<'_>) -> Result<Self, Unreadable> {
        let refused = |why| Unreadable::Control { why };
        let key = record.key.ok_or(refused("has no key"))?;
        let value = record.value.ok_or(refused("has no value"))?;
        let Some(&[version, more, high, low]) = key.first_chunk() else {
            return Err(refused("has a short key"));
        };
        let Some(&[value_version, value_more, a, b, c, d]) = value.first_chunk() else {
            return Err(refused("has a short value"));
        };
        let versions = [[version, more], [value_version, value_more]];
        if versions
            .map(i16::from_be_bytes)
            .iter()
            .any(|&version| version < 0)
        {
            return Err(refused("has a negative version"));
        }
        let ending = match i16::from_be_bytes([high, low]) {
            ABORT => Ending::Abort,
            COMMIT => Ending::Commit,
            _ => return Err(refused("ends no transaction")),
        };
        Ok(Self {
            ending,
            coordinator_epoch: i32::from_be_bytes([a, b, c, d]),
        })
    }
}
