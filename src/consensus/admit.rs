//! What is refused or passed over before the library hears of it: what it would
//! believe, or stop the process for.

use super::Consensus;
use super::errors::StepError;
use crate::ids::{Index, NodeId};
use raft::eraftpb::{Message, MessageType};

impl Consensus {
    /// Refuses what no sound peer sends, where the library would believe it or
    /// stop the process.
    pub(super) fn admit(&self, from: NodeId, message: &Message) -> Result<(), StepError> {
        let claimed = NodeId(message.from);
        if claimed != from {
            return Err(StepError::Impersonates { claimed, from });
        }
        if message.to != self.settings.node.0 {
            return Err(StepError::NotForUs {
                to: NodeId(message.to),
            });
        }
        // An answer of the term that this node led before a crash may speak of
        // entries that left before they were durable here, and were lost.
        let raft = &self.raft.raft;
        let last = raft.raft_log.last_index();
        let says = match message.msg_type {
            MessageType::MsgHeartbeat if message.term >= raft.term => message.commit,
            MessageType::MsgAppendResponse if message.term == raft.term && self.is_leader() => {
                message.index
            }
            _ => 0,
        };
        if says > last {
            return Err(StepError::BeyondLog {
                says: Index(says),
                last: Index(last),
            });
        }
        Ok(())
    }

    /// What is in order and comes at the wrong moment is passed over.
    pub(super) fn has_use_for(&mut self, message: &Message) -> bool {
        match message.msg_type {
            MessageType::MsgTimeoutNow => self.may_campaign(),
            // A follower would pass it on in the asker's name, which the next
            // node refuses. The asker asks again.
            MessageType::MsgReadIndex => self.is_leader(),
            MessageType::MsgAppendResponse => !self.is_stale_rejection(message),
            _ => true,
        }
    }

    /// A follower that holds everything up to `matched` rejects nothing at or
    /// before it: such a rejection was overtaken. The library would believe it
    /// while it probes, send from below `matched`, and where those entries are
    /// gone send a snapshot whose end nobody reports.
    fn is_stale_rejection(&mut self, message: &Message) -> bool {
        let is_rejection = message.msg_type == MessageType::MsgAppendResponse
            && message.reject
            && message.term == self.raft.raft.term
            && self.is_leader();
        if !is_rejection {
            return false;
        }
        match self.raft.raft.mut_prs().get_mut(message.from) {
            Some(progress) if message.index <= progress.matched => {
                progress.recent_active = true;
                true
            }
            _ => false,
        }
    }

    /// The library reads the entries after the applied one when it campaigns,
    /// and stops the process if a snapshot took their place and is not applied
    /// yet. A node that needs no other's vote leads at once, and stops the
    /// process if its last entries are not durable; it could also lead one term
    /// twice.
    pub(super) fn may_campaign(&self) -> bool {
        let log = &self.raft.raft.raft_log;
        let reaches_back =
            log.unstable_snapshot().is_some() || log.applied + 1 >= log.first_index();
        let own = self.settings.node.0;
        let voters = self.raft.raft.prs().conf().voters().ids();
        let wins_alone = voters.iter().all(|voter| voter == own);
        let all_durable = self.persisted == self.given
            && log.unstable_entries().is_empty()
            && log.unstable_snapshot().is_none();
        reaches_back && (all_durable || !wins_alone)
    }
}
