//! What the event log asks of the replicated state goes there in the node's own
//! session, and so does the question whether this node has heard of everything.

use crate::daemon::presence::Presence;
use crate::state::{Command, Outcome, StreamsOutcome};
use crate::streams::catch_up::BeginRound;
use crate::streams::site::Propose;
use std::sync::Arc;

/// Works on every node alike: whoever leads is sent it, and what came of it is
/// heard once this node has applied it and shows it.
pub(super) fn proposing(presence: Arc<Presence>) -> Propose {
    Box::new(move |command, answer| {
        let told = Box::new(|outcome: Result<Outcome, String>| {
            answer(outcome.and_then(of_streams));
        });
        presence.propose(Command::Streams(command), told);
    })
}

pub(super) fn catching_up(presence: Arc<Presence>) -> BeginRound {
    Box::new(move |end| presence.catch_up(end))
}

pub(super) fn of_streams(outcome: Outcome) -> Result<StreamsOutcome, String> {
    match outcome {
        Outcome::Streams(outcome) => Ok(outcome),
        other => Err(format!("an outcome of another kind: {other:?}")),
    }
}
