//! Committed entries into the state, and what follows from each command for
//! this node's clients.

use super::desk::CloseReason;
use super::{Pending, Replica, Sender};
use crate::clock::Millis;
use crate::consensus::{Body, Entry};
use crate::ids::{Index, SessionId, Term};
use crate::limits::{DIGEST_EVERY, DIGESTS_KEPT};
use crate::log::Fatal;
use crate::planted;
use crate::state::{Applied, Command, Outcome, Submission, codec};

impl Replica {
    /// Gives up in the middle where the level is raised above this build's.
    pub(super) fn apply_entry(&mut self, entry: &Entry) -> Result<(), Fatal> {
        assert_eq!(
            entry.index.0,
            self.applied.0 + 1,
            "entries are applied in order"
        );
        let is_first = self.begin_term(entry.term);
        match &entry.body {
            Body::Data(bytes) => {
                self.keeping.log_bytes += bytes.len() as u64;
                self.apply_data(entry.index, bytes)?;
                if !self.takes_part() {
                    return Ok(());
                }
            }
            // Who is leaving may have left with it.
            Body::Members(_) => self.members_changed = true,
            _ => {}
        }
        self.applied = entry.index;
        for (connection, path, kind) in std::mem::take(&mut self.late_watches) {
            if self.lines.contains_key(&connection) {
                // A planted fault: one too many is no matter.
                let _ = self.watches.add(connection, &path, kind);
            }
        }
        if entry.index.0.is_multiple_of(DIGEST_EVERY) {
            self.note_digest(entry.index);
        }
        if is_first && self.is_leader() && self.lead.term == entry.term {
            self.raise_if_new();
        }
        Ok(())
    }

    /// Whether the term is a new one.
    fn begin_term(&mut self, term: Term) -> bool {
        let is_new = term > self.applied_term;
        if is_new {
            self.applied_term = term;
            self.state.begin_term(term);
        }
        is_new
    }

    fn apply_data(&mut self, index: Index, bytes: &[u8]) -> Result<(), Fatal> {
        if let Some(raised) = self.raised(codec::level_of(bytes)) {
            self.outgrow(&raised);
            return Ok(());
        }
        let known = self.settings.release.features;
        let (now, submissions) = match codec::decode_entry(known, bytes) {
            Ok(entry) => entry,
            Err(bad) => {
                tracing::error!(%index, %bad, "an entry is passed over");
                return Ok(());
            }
        };
        for submission in submissions {
            match submission {
                Ok(submission) => self.apply_submission(now, submission)?,
                // Every replica passes over the same bytes.
                Err(bad) => tracing::error!(%index, %bad, "a submission is passed over"),
            }
            if !self.takes_part() {
                break;
            }
        }
        Ok(())
    }

    fn apply_submission(&mut self, now: Millis, submission: Submission) -> Result<(), Fatal> {
        let mut changes = std::mem::take(&mut self.changes);
        let before = self.level();
        let applied = self.state.apply(now, &submission, &mut changes);
        // Before anybody hears of it, and before anything else is kept.
        if self.level() > before && !self.may_keep(self.level())? {
            return Ok(());
        }
        if planted!(AnswerBeforeEvent) {
            self.follow(submission.clone(), applied.clone());
        }
        for change in changes.drain(..) {
            self.tell_watchers(applied.zxid, &change);
        }
        self.changes = changes;
        if !planted!(AnswerBeforeEvent) {
            self.follow(submission, applied);
        }
        Ok(())
    }

    fn follow(&mut self, submission: Submission, applied: Applied) {
        self.follow_sessions(&submission, &applied);
        if submission.origin == self.settings.node
            && let Some(pending) = self.pending.remove(&submission.tag)
        {
            self.finish(submission.tag, pending, applied);
        }
    }

    /// What a command means for leases, and for connections of its session
    /// that are here.
    fn follow_sessions(&mut self, submission: &Submission, applied: &Applied) {
        match (&submission.command, &applied.outcome) {
            (
                Command::OpenSession(_) | Command::AttachSession(_),
                Ok(Outcome::Attached {
                    session,
                    timeout_ms,
                    ..
                }),
            ) => {
                if self.is_leader() {
                    self.leases.open(self.now.monotonic, *session, *timeout_ms);
                }
                if let Some(old) = self.attached.remove(session) {
                    self.close(old, CloseReason::SessionMoved);
                }
            }
            (Command::CloseSession, Ok(Outcome::Closed)) => {
                self.leases.close(submission.session);
                let is_own = submission.origin == self.settings.node
                    && self.pending.contains_key(&submission.tag);
                if !is_own && let Some(line) = self.attached.remove(&submission.session) {
                    self.close(line, CloseReason::SessionExpired);
                }
            }
            (Command::ExpireSession { session, .. }, Ok(Outcome::Closed)) => {
                self.leases.close(*session);
                if let Some(line) = self.attached.remove(session) {
                    self.close(line, CloseReason::SessionExpired);
                }
            }
            (Command::Members(_) | Command::Reconfigure(_), Ok(_)) => self.members_changed = true,
            (Command::Restore(_), Ok(_)) => self.part_from_ended_sessions(),
            _ => {}
        }
    }

    /// A restore has ended all sessions of clients.
    fn part_from_ended_sessions(&mut self) {
        let state = &self.state;
        let is_over = |session: &SessionId| state.session(*session).is_none();
        self.leases.close_where(is_over);
        let lines = self.attached.extract_if(.., |session, _| is_over(session));
        let lines: Vec<_> = lines.map(|(_, line)| line).collect();
        for line in lines {
            self.close(line, CloseReason::SessionExpired);
        }
    }

    fn finish(&mut self, number: u64, pending: Pending, applied: Applied) {
        match pending.sender {
            Sender::Line(connection) => self.finish_write(connection, number, applied),
            Sender::Opening(opening) => self.finish_opening(opening, applied),
            Sender::Inside(Some(done)) => self.outcomes.push((done, applied.outcome)),
            Sender::Inside(None) => {}
        }
    }

    /// What the state sums to here, for the leader to compare.
    fn note_digest(&mut self, index: Index) {
        let digest = self.state.digest();
        if self.digests.len() >= DIGESTS_KEPT {
            self.digests.pop_front();
        }
        self.digests.push_back((index, digest));
        self.report_digest(index, digest);
    }
}
