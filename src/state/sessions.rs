//! Sessions, and the order of what they send. A connection's writes are
//! applied in the order they were sent, each once, without a gap, however
//! often a message is lost, repeated or overtaken.

use super::command::{AttachSession, Command, OpenSession, Submission};
use super::digest::{Hash, Part};
use super::error::Error;
use super::node::Owner;
use crate::ids::{NodeId, SessionId};
use crate::limits::{ATTACHMENTS_KEPT, SESSIONS_MAX};
use crate::planted;
use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub password: [u8; 16],
    pub timeout_ms: u32,
    /// Which of its connections is the current one, from 1.
    pub connection: u32,
    /// The last of the connection's writes that was applied; 0 is none.
    pub sequence: u64,
    /// A write of the connection was lost: nothing later of it is applied.
    pub has_gap: bool,
    /// The node that serves the current connection.
    pub origin: NodeId,
    /// By which submissions it was opened and attached, as origin and tag, the
    /// newest first: one that comes again, because it was sent again while the
    /// first was on its way, must not raise the connection once more. Repeats
    /// come within seconds, so the last few are enough.
    pub attached_by: [(u64, u64); ATTACHMENTS_KEPT],
}

#[derive(Debug, Default)]
pub(super) struct Sessions {
    by_id: BTreeMap<SessionId, Session>,
    digest: u64,
}

impl Sessions {
    /// Whether a submission is the next of its connection; it then counts as
    /// applied. What no session sent is always taken.
    pub fn admit(&mut self, submission: &Submission) -> Result<(), Error> {
        let opens = matches!(
            submission.command,
            Command::OpenSession(_) | Command::AttachSession(_)
        );
        if opens {
            return self.admit_opening(submission);
        }
        if submission.session.0 == 0 {
            return Ok(());
        }
        let id = submission.session;
        let session = self.by_id.get(&id).ok_or(Error::SessionExpired)?;
        if submission.connection != session.connection {
            return Err(Error::SessionMoved);
        }
        if submission.sequence <= session.sequence {
            return Err(Error::Repeat);
        }
        let is_next = submission.sequence == session.sequence + 1 && !session.has_gap;
        if !is_next && !planted!(GapApplied) {
            self.change(id, |session| session.has_gap = true);
            return Err(Error::Gap);
        }
        self.change(id, |session| session.sequence = submission.sequence);
        Ok(())
    }

    /// What was sent again and applied before has its answer.
    fn admit_opening(&self, submission: &Submission) -> Result<(), Error> {
        let id = match &submission.command {
            Command::OpenSession(open) => open.session,
            Command::AttachSession(attach) => attach.session,
            _ => return Ok(()),
        };
        let by = (submission.origin.0, submission.tag);
        match self.by_id.get(&id) {
            Some(session) if session.attached_by.contains(&by) => Err(Error::Repeat),
            _ => Ok(()),
        }
    }

    pub fn open(&mut self, by: (NodeId, u64), open: &OpenSession) -> Result<&Session, Error> {
        // An id that reads as another kind of owner would make its ephemerals
        // containers.
        if !Owner(open.session.0).is_session() || self.by_id.contains_key(&open.session) {
            return Err(Error::BadArguments);
        }
        if self.by_id.len() >= SESSIONS_MAX {
            return Err(Error::Unavailable);
        }
        let session = Session {
            password: open.password,
            timeout_ms: open.timeout_ms,
            connection: 1,
            sequence: 0,
            has_gap: false,
            origin: by.0,
            attached_by: pushed([(0, 0); ATTACHMENTS_KEPT], by),
        };
        Ok(self.put(open.session, session))
    }

    /// From now on the session's older connections are refused.
    pub fn attach(&mut self, by: (NodeId, u64), attach: &AttachSession) -> Result<&Session, Error> {
        let session = self.by_id.get(&attach.session);
        let session = session.ok_or(Error::SessionExpired)?;
        let is_known = is_same(&session.password, &attach.password);
        if !is_known && !planted!(PasswordNotChecked) {
            return Err(Error::SessionExpired);
        }
        let session = Session {
            timeout_ms: attach.timeout_ms,
            connection: session.connection + 1,
            sequence: 0,
            has_gap: false,
            origin: by.0,
            attached_by: pushed(session.attached_by, by),
            ..*session
        };
        Ok(self.put(attach.session, session))
    }

    pub fn put(&mut self, id: SessionId, session: Session) -> &Session {
        self.remove(id);
        self.digest = self.digest.wrapping_add(hash(id, &session));
        self.by_id.entry(id).or_insert(session)
    }

    pub fn remove(&mut self, id: SessionId) -> Option<Session> {
        let session = self.by_id.remove(&id)?;
        self.digest = self.digest.wrapping_sub(hash(id, &session));
        Some(session)
    }

    fn change(&mut self, id: SessionId, change: impl FnOnce(&mut Session)) {
        let session = self.by_id.get_mut(&id).expect("the session was found");
        self.digest = self.digest.wrapping_sub(hash(id, session));
        change(session);
        self.digest = self.digest.wrapping_add(hash(id, session));
    }

    pub fn get(&self, id: SessionId) -> Option<&Session> {
        self.by_id.get(&id)
    }

    pub fn iter(&self) -> impl Iterator<Item = (SessionId, &Session)> {
        self.by_id.iter().map(|(&id, session)| (id, session))
    }

    pub fn count(&self) -> usize {
        self.by_id.len()
    }

    pub fn digest(&self) -> u64 {
        self.digest
    }
}

fn pushed(
    mut list: [(u64, u64); ATTACHMENTS_KEPT],
    (origin, tag): (NodeId, u64),
) -> [(u64, u64); ATTACHMENTS_KEPT] {
    list.rotate_right(1);
    list[0] = (origin.0, tag);
    list
}

/// In a time that does not tell how far a guess was right.
pub(super) fn is_same(one: &[u8], other: &[u8]) -> bool {
    let differ = one
        .iter()
        .zip(other)
        .fold(0, |differ, (a, b)| differ | (a ^ b));
    one.len() == other.len() && std::hint::black_box(differ) == 0
}

fn hash(id: SessionId, session: &Session) -> u64 {
    let attached_by = session.attached_by.iter();
    let hash = attached_by.fold(Hash::of(Part::Session), |hash, (origin, tag)| {
        hash.word(*origin).word(*tag)
    });
    hash.word(id.0)
        .bytes(&session.password)
        .word(session.timeout_ms.into())
        .word(u64::from(session.connection) << 1 | u64::from(session.has_gap))
        .word(session.sequence)
        .word(session.origin.0)
        .value()
}
