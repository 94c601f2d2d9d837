//! The batches that a leader sent, before they are believed. Its disk may have
//! rotted since it summed them, and what is wrong would be acknowledged here.

use crate::ids::Epoch;
use crate::log::format::{Fault, Format, Step};
use crate::streams::batch::format::BATCHES;
use crate::streams::batch::records::Unreadable;
use crate::streams::batch::stored::Stored;
use std::fmt;

#[derive(Debug)]
pub enum Unfit {
    Fault(Fault),
    Unreadable(Unreadable),
    /// The last is not whole.
    Cut,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(fault) => fault.fmt(f),
            Self::Unreadable(why) => why.fmt(f),
            Self::Cut => f.write_str("the last batch is not whole"),
        }
    }
}

/// What a partition must know of them. Whether they follow its log is for it to
/// say.
pub fn check(mut bytes: &[u8]) -> Result<Vec<Stored>, Unfit> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let head = match BATCHES.measure(bytes).map_err(Unfit::Fault)? {
            Step::Record(head) => head,
            Step::More(_) | Step::Nothing => return Err(Unfit::Cut),
        };
        let (batch, rest) = bytes.split_at_checked(head.length).ok_or(Unfit::Cut)?;
        // Segments of batches have no life before this one.
        BATCHES.check(batch, Epoch(0)).map_err(Unfit::Fault)?;
        all.push(Stored::read(batch).map_err(Unfit::Unreadable)?);
        bytes = rest;
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Offset;
    use crate::streams::batch::build::Builder;
    use crate::streams::batch::codec::Codec;
    use crate::streams::batch::records::{Headers, Record};

    fn batch(base: u64, values: &[&str]) -> Vec<u8> {
        let mut builder = Builder::new(Offset(base), Codec::None);
        for (at, value) in (base..).zip(values) {
            let record = Record {
                offset: Offset(at),
                timestamp: 5,
                key: None,
                value: Some(value.as_bytes()),
                headers: Headers::NONE,
            };
            builder.add(&record).unwrap();
        }
        builder.finish().unwrap()
    }

    #[test]
    fn each_flipped_bit_but_those_of_place_is_found() {
        let bytes = [batch(3, &["a", "b"]), batch(5, &["c"])].concat();
        let good = check(&bytes).unwrap();
        let ends: Vec<_> = good.iter().map(|one| (one.first.0, one.next.0)).collect();
        assert_eq!(ends, [(3, 5), (5, 6)]);
        let first = batch(3, &["a", "b"]).len();
        for at in 0..bytes.len() {
            let within = if at < first { at } else { at - first };
            // Base offset and leader epoch, which the sum leaves out: whether
            // they follow is looked at where they are appended.
            if within < 8 || (12..16).contains(&within) {
                continue;
            }
            for bit in 0..8 {
                let mut wrong = bytes.clone();
                wrong[at] ^= 1 << bit;
                assert!(check(&wrong).is_err(), "byte {at} bit {bit}");
            }
        }
        assert!(check(&bytes[..bytes.len() - 1]).is_err());
        assert!(check(&[0; 100]).is_err());
        assert!(check(&[]).unwrap().is_empty());
    }
}
