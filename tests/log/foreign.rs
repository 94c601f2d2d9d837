//! A record format that brings its own checksum and leaves its base offset and
//! epoch out of it, as Kafka's batches do.

use dolmen::ids::{Epoch, Index, Term};
use dolmen::log::format::{End, Fault, Format, Head, Step};
use dolmen::wire::crc32c;

/// `base 8 | length 4 | epoch 4 | count 4 | crc 4 | body`, big endian; the crc
/// is over count and body.
pub struct Foreign;

pub static FOREIGN: Foreign = Foreign;

const HEAD: usize = 24;

pub fn record(base: u64, epoch: u32, count: u32, body: &[u8]) -> Vec<u8> {
    let mut covered = count.to_be_bytes().to_vec();
    covered.extend_from_slice(body);
    let mut bytes = base.to_be_bytes().to_vec();
    bytes.extend_from_slice(&(body.len() as u32).to_be_bytes());
    bytes.extend_from_slice(&epoch.to_be_bytes());
    bytes.extend_from_slice(&count.to_be_bytes());
    bytes.extend_from_slice(&crc32c(&covered).to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// What stands for records that were left out.
pub fn gap(base: u64, epoch: u32, count: u32) -> Vec<u8> {
    record(base, epoch, count, GAP)
}

pub fn is_gap(record: &[u8]) -> bool {
    &record[HEAD..] == GAP
}

const GAP: &[u8] = b"nothing is left of these";

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
}

impl Format for Foreign {
    fn id(&self) -> u16 {
        99
    }

    fn name(&self) -> &'static str {
        "foreign"
    }

    fn measure(&self, bytes: &[u8]) -> Result<Step, Fault> {
        if bytes.len() < HEAD {
            // A few zeros may as well be the beginning of a base.
            return Ok(Step::More(HEAD));
        }
        if bytes[..HEAD].iter().all(|&byte| byte == 0) {
            return Ok(Step::Nothing);
        }
        let base = u64::from_be_bytes(bytes[..8].try_into().unwrap());
        let (length, count) = (number(bytes, 8) as usize, number(bytes, 16));
        if length > 1 << 20 || count == 0 || count > 1 << 20 || base > 1 << 48 {
            return Err(Fault {
                what: "foreign head",
                expected: 0,
                found: length as u64,
            });
        }
        Ok(Step::Record(Head {
            length: HEAD + length,
            first: Index(base),
            next: Index(base + u64::from(count)),
            term: Term(number(bytes, 12).into()),
            previous: 0,
            check: 0,
        }))
    }

    fn check(&self, record: &[u8], _: Epoch) -> Result<(), Fault> {
        let mut covered = record[16..20].to_vec();
        covered.extend_from_slice(&record[HEAD..]);
        let (expected, found) = (number(record, 20), crc32c(&covered));
        match expected == found {
            true => Ok(()),
            false => Err(Fault {
                what: "foreign checksum",
                expected: expected.into(),
                found: found.into(),
            }),
        }
    }

    fn continues(&self, end: End, head: &Head) -> Result<(), Fault> {
        let fault = |what, expected, found| {
            Err(Fault {
                what,
                expected,
                found,
            })
        };
        if head.first != end.next {
            return fault("base offset", end.next.0, head.first.0);
        }
        if head.term < end.term {
            return fault("leader epoch", end.term.0, head.term.0);
        }
        Ok(())
    }
}
