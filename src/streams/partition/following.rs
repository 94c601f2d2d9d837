//! What a follower does: it asks its leader for more, cuts what the leader does
//! not have, and says what it has.

use super::{Answer, Ask, Effect, LeaderEpoch, Partition, Role};
use crate::ids::{NodeId, Offset};
use crate::planted;

pub(super) struct Following {
    leader: NodeId,
    /// As the leader said last.
    pub watermark: Offset,
    /// Every replica has all below, as the leader said last.
    pub everywhere: Offset,
}

impl Following {
    pub fn new(leader: NodeId) -> Self {
        Self {
            leader,
            watermark: Offset(0),
            everywhere: Offset(0),
        }
    }
}

/// What stands in one of the leader's batches, as far as a replica must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub first: Offset,
    pub next: Offset,
    pub epoch: LeaderEpoch,
}

impl<T> Partition<T> {
    /// Whom to ask, and for what; None on a node that follows nobody.
    pub fn ask(&self) -> Option<(NodeId, Ask)> {
        let Role::Follows(following) = &self.role else {
            return None;
        };
        let before = self.next.0.checked_sub(1);
        let ask = Ask {
            leader_epoch: self.standing.leader_epoch,
            partition_epoch: self.standing.partition_epoch,
            life: *self.standing.lives.get(&self.own)?,
            next: self.next,
            last_epoch: before.and_then(|before| self.epochs.at(Offset(before))),
            has: match planted!(SaidBeforeDurable) {
                true => self.next,
                false => self.has(),
            },
            is_durable: self.standing.needs_majority,
        };
        Some((following.leader, ask))
    }

    /// The leader's answer to an ask of this run, without records.
    pub fn answered(&mut self, run: u64, ask: &Ask, answer: Answer) {
        if !self.is_current(run, ask) {
            return;
        }
        match answer {
            Answer::NotNow => {}
            Answer::Alike {
                watermark,
                first,
                everywhere,
            } => {
                if let Role::Follows(following) = &mut self.role {
                    (following.watermark, following.everywhere) = (watermark, everywhere);
                }
                self.advance();
                self.drop_prefix(first);
            }
            Answer::Parted { epoch, end } => {
                let own = self.epochs.end_of(epoch, self.next);
                let end = match own {
                    _ if planted!(OwnEpochNotMinded) => end.min(self.next),
                    // What both have of it is the same, batch for batch.
                    Some((own, own_end)) if own == epoch => end.min(own_end),
                    // The leader has none of the epochs behind. Where it stands
                    // with this one is asked for next: its end of another may lie
                    // within a batch of this log.
                    Some((_, own_end)) => own_end,
                    None => self.first,
                };
                self.truncate(end);
            }
            Answer::Gone { first } => self.restart(first),
        }
    }

    /// Whether an answer to this ask still means something.
    pub fn is_current(&self, run: u64, ask: &Ask) -> bool {
        let is_follower = matches!(self.role, Role::Follows(_));
        let is_same = ask.leader_epoch == self.standing.leader_epoch;
        let is_as_asked = run == self.run && ask.next == self.next;
        is_follower && is_same && (is_as_asked || planted!(OldAnswerTaken))
    }

    /// The leader's records follow at the end of this log; the caller appends
    /// them there. Called behind `answered`, with what came along. False where
    /// they do not follow, and are not to be appended.
    pub fn follow(&mut self, spans: &[Span]) -> bool {
        let mut next = self.next;
        for span in spans {
            let follows = span.first == next && span.next > span.first;
            // Its leader had nothing of a later epoch in this one.
            let is_later = span.epoch > self.standing.leader_epoch;
            if !follows || is_later {
                return false;
            }
            next = span.next;
        }
        for span in spans {
            self.epochs.note(span.epoch, span.first);
        }
        self.next = next;
        true
    }

    fn truncate(&mut self, from: Offset) {
        if from <= self.first {
            return self.restart(self.first);
        }
        self.cut(from);
        self.effects.push(Effect::Truncate { from });
    }

    fn restart(&mut self, at: Offset) {
        self.cut(at.min(self.next));
        self.epochs.clear();
        (self.first, self.next) = (at, at);
        (self.taken, self.durable) = (at, at);
        self.watermark = self.watermark.max(at);
        self.effects.push(Effect::Restart { at });
    }
}
