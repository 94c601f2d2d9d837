//! The records that go with an answer, read from the leader's log. May wait for
//! the disk.

use super::Answered;
use crate::ids::Offset;
use crate::limits::{FOLLOW_MAPPED_BYTES, FOLLOW_PARTITION_BYTES};
use crate::log::{Chunk, ReadError, Way};
use crate::planted;
use crate::streams::batch::build::{is_gap, rest_of_gap};
use crate::streams::batch::header::Header;
use crate::streams::partition::Answer;
use crate::streams::view::{Batches, View};

/// What to say instead of the answer, and the batches that go with it. One at
/// least where there is one, and more while they fit.
pub fn read(view: &View, answered: &Answered, bytes_max: usize) -> (Answer, Option<Chunk>) {
    let found = look(view, answered, bytes_max);
    // An answer waits for its turn to be sent, and the log may have been cut and
    // have grown anew under another leader since it was decided. Looked at behind
    // the read: the view changes before the log does.
    let leads_still = view.leads() && view.leader_epoch() == answered.ask.leader_epoch;
    match leads_still || planted!(ReadAfterItsReign) {
        true => found,
        false => (Answer::NotNow, None),
    }
}

fn look(view: &View, answered: &Answered, bytes_max: usize) -> (Answer, Option<Chunk>) {
    match answered.answer {
        Answer::Alike { first, .. } => match batches(view, answered, first, bytes_max) {
            Ok(Found::Batches(bytes)) => (answered.answer, Some(bytes)),
            Ok(Found::Nothing) => (answered.answer, None),
            Ok(Found::Elsewhere(first)) => (Answer::Gone { first }, None),
            Err(why) => {
                // The follower asks again, and a person mends the log.
                tracing::error!(partition = %view.key, at = %answered.ask.next, %why,
                    "a follower's records cannot be read");
                (Answer::NotNow, None)
            }
        },
        Answer::Gone { first } => {
            let base = base_of(view, first, answered.until).unwrap_or(first);
            (Answer::Gone { first: base }, None)
        }
        answer => (answer, None),
    }
}

/// Whether the answer reads nothing but what was written last.
pub fn is_within(view: &View, answered: &Answered, stretch: u64) -> bool {
    let from = answered.ask.next;
    match answered.answer {
        Answer::Alike { first, .. } => {
            let marks = view.marks();
            marks.is_within(stretch, view.bytes(), from.max(first))
        }
        // It says which batch the log begins with, and reads that.
        Answer::Gone { .. } => false,
        Answer::Parted { .. } | Answer::NotNow => true,
    }
}

enum Found {
    Batches(Chunk),
    Nothing,
    /// The log begins here, and not where it was asked for.
    Elsewhere(Offset),
}

fn batches(
    view: &View,
    answered: &Answered,
    first: Offset,
    bytes_max: usize,
) -> Result<Found, ReadError> {
    let (next, until) = (answered.ask.next, answered.until);
    let most = bytes_max.min(FOLLOW_PARTITION_BYTES);
    let way = match is_within(view, answered, FOLLOW_MAPPED_BYTES) {
        true => Way::Map,
        false => Way::Plain,
    };
    let read = match view.read(next.max(first), until, most, way) {
        Ok(read) => read,
        // The beginning was dropped since it was asked for.
        Err(ReadError::BelowFirst { first }) => {
            let first = Offset(first.0);
            return Ok(Found::Elsewhere(
                base_of(view, first, until).unwrap_or(first),
            ));
        }
        Err(why) => return Err(why),
    };
    let Some(Batches { bytes, .. }) = read else {
        return Ok(match next < first {
            true => Found::Elsewhere(first),
            false => Found::Nothing,
        });
    };
    // Where a follower has nothing, the first batch may begin below the first
    // record that counts, and all of it is sent. Where it ends within what
    // compaction has left nothing of here, the rest of that is.
    let base = Header::of(&bytes).map(|header| Offset(header.base_offset() as u64));
    Ok(match base {
        Some(base) if base < next => match rest_of_gap(&bytes, next) {
            Some(rest) => Found::Batches(Chunk::of(rest)),
            None => Found::Elsewhere(base),
        },
        Some(base) if base != next => Found::Elsewhere(base),
        _ => Found::Batches(bytes),
    })
}

/// Where the batch begins that holds this record. Of one that compaction has left
/// nothing of, the rest from there on is sent: who begins anew need not go back
/// behind what it has shown.
fn base_of(view: &View, first: Offset, until: Offset) -> Option<Offset> {
    let read = view.read(first, until, 1, Way::Plain).ok().flatten()?;
    let header = Header::of(&read.bytes)?;
    Some(match is_gap(&header) {
        true => first,
        false => Offset(header.base_offset() as u64),
    })
}
