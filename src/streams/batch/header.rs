//! The head of a batch, 61 bytes, read and changed where it stands.
//!
//! | at | bytes | what | in the CRC |
//! |---|---|---|---|
//! | 0 | 8 | base offset | no |
//! | 8 | 4 | length of what follows, from 12 on | no |
//! | 12 | 4 | leader epoch of the partition | no |
//! | 16 | 1 | magic, 2 | no |
//! | 17 | 4 | CRC-32C of everything from 21 on | no |
//! | 21 | 2 | attributes | yes |
//! | 23 | 4 | the last record's offset, from the base | yes |
//! | 27 | 8 | base timestamp, or the delete horizon | yes |
//! | 35 | 8 | greatest timestamp, or the time of the append | yes |
//! | 43 | 8 | producer id, -1 for none | yes |
//! | 51 | 2 | producer epoch | yes |
//! | 53 | 4 | sequence of the first record | yes |
//! | 57 | 4 | count of records; then the records | yes |
//!
//! Numbers are big endian and signed, as the protocol has them. Nothing is
//! checked here: `check` does that for what a client sends, `format` for what
//! stands in a log.

use super::codec::Codec;
use crate::clock::Millis;
use crate::ids::{Offset, ProducerId};
use crate::wire::crc32c;

pub const HEADER_BYTES: usize = 61;
pub const MAGIC: i8 = 2;

const BASE_OFFSET: usize = 0;
const LENGTH: usize = 8;
const LEADER_EPOCH: usize = 12;
const MAGIC_AT: usize = 16;
const CRC: usize = 17;
const ATTRIBUTES: usize = 21;
const LAST_OFFSET_DELTA: usize = 23;
const BASE_TIMESTAMP: usize = 27;
const MAX_TIMESTAMP: usize = 35;
const PRODUCER_ID: usize = 43;
const PRODUCER_EPOCH: usize = 51;
const BASE_SEQUENCE: usize = 53;
const COUNT: usize = 57;

/// What stands before the bytes that the length counts.
const UNCOUNTED_BYTES: usize = LENGTH + 4;
/// What the CRC begins with.
const CRC_FROM: usize = ATTRIBUTES;

/// A view of a batch's head.
#[derive(Clone, Copy)]
pub struct Header<'a>(&'a [u8; HEADER_BYTES]);

impl<'a> Header<'a> {
    /// None where there are fewer bytes than a head has.
    pub fn of(bytes: &'a [u8]) -> Option<Self> {
        bytes.first_chunk().map(Self)
    }

    /// The batch from its first to its last byte; None where the length it
    /// states has no room for the head.
    pub fn total_bytes(&self) -> Option<usize> {
        let total = usize::try_from(self.length()).ok()? + UNCOUNTED_BYTES;
        (total >= HEADER_BYTES).then_some(total)
    }

    /// Nothing is written here.
    pub fn is_zero(&self) -> bool {
        self.0.iter().all(|&byte| byte == 0)
    }

    pub fn base_offset(&self) -> i64 {
        i64::from_be_bytes(self.field::<BASE_OFFSET, 8>())
    }

    pub fn length(&self) -> i32 {
        i32::from_be_bytes(self.field::<LENGTH, 4>())
    }

    pub fn leader_epoch(&self) -> i32 {
        i32::from_be_bytes(self.field::<LEADER_EPOCH, 4>())
    }

    pub fn magic(&self) -> i8 {
        i8::from_be_bytes(self.field::<MAGIC_AT, 1>())
    }

    pub fn crc(&self) -> u32 {
        u32::from_be_bytes(self.field::<CRC, 4>())
    }

    pub fn attributes(&self) -> Attributes {
        Attributes(i16::from_be_bytes(self.field::<ATTRIBUTES, 2>()))
    }

    pub fn last_offset_delta(&self) -> i32 {
        i32::from_be_bytes(self.field::<LAST_OFFSET_DELTA, 4>())
    }

    pub fn base_timestamp(&self) -> i64 {
        i64::from_be_bytes(self.field::<BASE_TIMESTAMP, 8>())
    }

    pub fn max_timestamp(&self) -> i64 {
        i64::from_be_bytes(self.field::<MAX_TIMESTAMP, 8>())
    }

    pub fn producer_id(&self) -> i64 {
        i64::from_be_bytes(self.field::<PRODUCER_ID, 8>())
    }

    pub fn producer_epoch(&self) -> i16 {
        i16::from_be_bytes(self.field::<PRODUCER_EPOCH, 2>())
    }

    pub fn base_sequence(&self) -> i32 {
        i32::from_be_bytes(self.field::<BASE_SEQUENCE, 4>())
    }

    pub fn count(&self) -> i32 {
        i32::from_be_bytes(self.field::<COUNT, 4>())
    }

    /// Who sent it; None where no producer numbers it. Some clients leave
    /// zeros in the other two fields then.
    pub fn claim(&self) -> Option<Claim> {
        Some(Claim {
            id: ProducerId(u64::try_from(self.producer_id()).ok()?),
            epoch: self.producer_epoch(),
            sequence: self.base_sequence(),
        })
    }

    fn field<const AT: usize, const N: usize>(&self) -> [u8; N] {
        std::array::from_fn(|place| self.0[AT + place])
    }
}

/// What a producer says of a batch: who it is, and where the batch stands
/// among all that it sent to this partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    pub id: ProducerId,
    pub epoch: i16,
    /// Of the first record.
    pub sequence: i32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes(pub i16);

impl Attributes {
    pub const CODEC: i16 = 0b111;
    pub const APPEND_TIME: i16 = 1 << 3;
    pub const TRANSACTIONAL: i16 = 1 << 4;
    pub const CONTROL: i16 = 1 << 5;
    pub const DELETE_HORIZON: i16 = 1 << 6;
    /// Bits that mean nothing yet.
    pub const UNKNOWN: i16 = !0b111_1111;

    /// None for a number that no codec has.
    pub fn codec(self) -> Option<Codec> {
        Codec::of(self.codec_bits())
    }

    pub fn codec_bits(self) -> u8 {
        (self.0 & Self::CODEC) as u8
    }

    pub fn has(self, bits: i16) -> bool {
        self.0 & bits != 0
    }
}

/// The CRC of a whole batch as it should be.
pub fn sum(batch: &[u8]) -> u32 {
    crc32c(batch.get(CRC_FROM..).unwrap_or_default())
}

/// One whole batch that may be changed.
pub struct BatchMut<'a>(&'a mut [u8]);

impl<'a> BatchMut<'a> {
    /// None where the bytes are not one batch from its first byte to its last.
    pub fn of(batch: &'a mut [u8]) -> Option<Self> {
        let stated = Header::of(batch)?.total_bytes()?;
        (stated == batch.len()).then_some(Self(batch))
    }

    /// Outside the CRC.
    pub fn set_base_offset(&mut self, base: Offset) {
        self.put(BASE_OFFSET, &base.0.to_be_bytes());
    }

    /// Outside the CRC.
    pub fn set_leader_epoch(&mut self, epoch: i32) {
        self.put(LEADER_EPOCH, &epoch.to_be_bytes());
    }

    /// Gives all records the time of the append, whatever their own say.
    pub fn set_append_time(&mut self, now: Millis) {
        let attributes = self.attributes().0 | Attributes::APPEND_TIME;
        self.put(ATTRIBUTES, &attributes.to_be_bytes());
        self.put(MAX_TIMESTAMP, &now.0.to_be_bytes());
        self.seal();
    }

    /// Puts right what the head says of the records.
    pub fn set_max_timestamp(&mut self, timestamp: i64) {
        self.put(MAX_TIMESTAMP, &timestamp.to_be_bytes());
        self.seal();
    }

    fn attributes(&self) -> Attributes {
        Attributes(i16::from_be_bytes([
            self.0[ATTRIBUTES],
            self.0[ATTRIBUTES + 1],
        ]))
    }

    fn seal(&mut self) {
        let crc = sum(self.0);
        self.put(CRC, &crc.to_be_bytes());
    }

    fn put(&mut self, at: usize, field: &[u8]) {
        self.0[at..at + field.len()].copy_from_slice(field);
    }
}

/// A head in the making.
pub(super) struct Fields {
    pub base_offset: Offset,
    pub leader_epoch: i32,
    pub attributes: Attributes,
    pub last_offset_delta: i32,
    pub base_timestamp: i64,
    pub max_timestamp: i64,
    pub claim: Option<Claim>,
    pub count: i32,
}

impl Fields {
    /// The head before `records`, with its CRC. None where that would be
    /// longer than a batch can say.
    pub(super) fn seal(&self, records: &[u8]) -> Option<Vec<u8>> {
        let length = i32::try_from(HEADER_BYTES - UNCOUNTED_BYTES + records.len()).ok()?;
        let (id, epoch, sequence) = match self.claim {
            Some(claim) => (claim.id.0 as i64, claim.epoch, claim.sequence),
            None => (-1, -1, -1),
        };
        let mut batch = Vec::with_capacity(HEADER_BYTES + records.len());
        batch.extend_from_slice(&self.base_offset.0.to_be_bytes());
        batch.extend_from_slice(&length.to_be_bytes());
        batch.extend_from_slice(&self.leader_epoch.to_be_bytes());
        batch.extend_from_slice(&MAGIC.to_be_bytes());
        batch.extend_from_slice(&[0; 4]);
        batch.extend_from_slice(&self.attributes.0.to_be_bytes());
        batch.extend_from_slice(&self.last_offset_delta.to_be_bytes());
        batch.extend_from_slice(&self.base_timestamp.to_be_bytes());
        batch.extend_from_slice(&self.max_timestamp.to_be_bytes());
        batch.extend_from_slice(&id.to_be_bytes());
        batch.extend_from_slice(&epoch.to_be_bytes());
        batch.extend_from_slice(&sequence.to_be_bytes());
        batch.extend_from_slice(&self.count.to_be_bytes());
        batch.extend_from_slice(records);
        BatchMut(&mut batch).seal();
        Some(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> Fields {
        Fields {
            base_offset: Offset(0x0102_0304_0506_0708),
            leader_epoch: 9,
            attributes: Attributes(Attributes::TRANSACTIONAL | 4),
            last_offset_delta: 2,
            base_timestamp: 1000,
            max_timestamp: 1005,
            claim: Some(Claim {
                id: ProducerId(77),
                epoch: 3,
                sequence: 40,
            }),
            count: 3,
        }
    }

    #[test]
    fn every_field_reads_as_it_was_written() {
        let batch = fields().seal(b"records").unwrap();
        let header = Header::of(&batch).unwrap();
        assert_eq!(header.base_offset(), 0x0102_0304_0506_0708);
        assert_eq!(header.length(), 49 + 7);
        assert_eq!(header.total_bytes(), Some(batch.len()));
        assert_eq!(header.leader_epoch(), 9);
        assert_eq!(header.magic(), MAGIC);
        assert_eq!(header.crc(), sum(&batch));
        assert_eq!(header.attributes().codec(), Some(Codec::Zstd));
        assert!(header.attributes().has(Attributes::TRANSACTIONAL));
        assert!(!header.attributes().has(Attributes::CONTROL));
        assert_eq!(header.last_offset_delta(), 2);
        assert_eq!(
            (header.base_timestamp(), header.max_timestamp()),
            (1000, 1005)
        );
        assert_eq!(header.claim(), fields().claim);
        assert_eq!(header.count(), 3);
    }

    #[test]
    fn a_batch_of_no_producer_has_no_claim() {
        let none = Fields {
            claim: None,
            ..fields()
        };
        let batch = none.seal(b"").unwrap();
        let header = Header::of(&batch).unwrap();
        assert_eq!(header.claim(), None);
        assert_eq!(
            (
                header.producer_id(),
                header.producer_epoch(),
                header.base_sequence()
            ),
            (-1, -1, -1)
        );
    }

    #[test]
    fn what_stands_outside_the_crc_can_be_set_without_it() {
        let mut batch = fields().seal(b"records").unwrap();
        let before = Header::of(&batch).unwrap().crc();
        let mut open = BatchMut::of(&mut batch).unwrap();
        open.set_base_offset(Offset(5));
        open.set_leader_epoch(12);
        let header = Header::of(&batch).unwrap();
        assert_eq!((header.base_offset(), header.leader_epoch()), (5, 12));
        assert_eq!((header.crc(), sum(&batch)), (before, before));
    }

    #[test]
    fn the_time_of_the_append_makes_the_crc_anew() {
        let mut batch = fields().seal(b"records").unwrap();
        let before = Header::of(&batch).unwrap().crc();
        BatchMut::of(&mut batch)
            .unwrap()
            .set_append_time(Millis(9_000_000));
        let header = Header::of(&batch).unwrap();
        assert!(header.attributes().has(Attributes::APPEND_TIME));
        assert!(header.attributes().has(Attributes::TRANSACTIONAL));
        assert_eq!(header.attributes().codec(), Some(Codec::Zstd));
        assert_eq!(header.max_timestamp(), 9_000_000);
        assert_ne!(header.crc(), before);
        assert_eq!(header.crc(), sum(&batch));
    }

    #[test]
    fn only_one_whole_batch_may_be_changed() {
        let batch = fields().seal(b"records").unwrap();
        for length in 0..batch.len() {
            assert!(BatchMut::of(&mut batch[..length].to_vec()).is_none());
        }
        assert!(BatchMut::of(&mut [&batch[..], b"x"].concat()).is_none());
        // A length that is negative, and one too short for the head.
        for length in [-1, i32::MIN, 0, 48] {
            let mut bad = batch.clone();
            bad[LENGTH..LENGTH + 4].copy_from_slice(&i32::to_be_bytes(length));
            assert_eq!(Header::of(&bad).unwrap().total_bytes(), None);
        }
    }
}
