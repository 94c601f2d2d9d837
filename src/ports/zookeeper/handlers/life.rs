//! sync, ping, closeSession: what keeps a session and ends it.

use super::super::codec::{OfAnyPath, code};
use super::{Asked, Kept, Operation, misfit};
use crate::replica::desk::{Answer, Request};
use crate::state::{Command, Error, Outcome};

pub struct Sync;
pub struct Ping;
pub struct CloseSession;

/// What is read after it is at least as new as this moment, everywhere.
impl Operation for Sync {
    const CODE: i32 = code::SYNC;
    const NAME: &'static str = "sync";
    const SHORT: &'static str = "SYNC";
    const IS_WRITE: bool = true; // it asks the leader
    type Request = OfAnyPath;
    type Response = OfAnyPath;

    fn ask(request: OfAnyPath) -> Asked {
        Asked::Keeping(Request::Sync, Kept::Path(request.path))
    }

    fn answer(answer: Answer, kept: Kept) -> Result<OfAnyPath, Error> {
        match (answer, kept) {
            (Answer::Synced, Kept::Path(path)) => Ok(OfAnyPath { path }),
            (other, _) => misfit(Self::NAME, &other),
        }
    }
}

impl Operation for Ping {
    const CODE: i32 = code::PING;
    const NAME: &'static str = "ping";
    const SHORT: &'static str = "PING";
    const IS_WRITE: bool = false;
    type Request = ();
    type Response = ();

    fn ask((): ()) -> Asked {
        Asked::Replica(Request::Ping)
    }

    fn answer(answer: Answer, _: Kept) -> Result<(), Error> {
        match answer {
            Answer::Pong => Ok(()),
            other => misfit(Self::NAME, &other),
        }
    }
}

/// Answered, then the connection is closed.
impl Operation for CloseSession {
    const CODE: i32 = code::CLOSE_SESSION;
    const NAME: &'static str = "closeSession";
    const SHORT: &'static str = "CLOS";
    const IS_WRITE: bool = false; // a client may always leave
    type Request = ();
    type Response = ();

    fn ask((): ()) -> Asked {
        Asked::Replica(Request::Submit(Command::CloseSession))
    }

    fn answer(answer: Answer, _: Kept) -> Result<(), Error> {
        match answer {
            Answer::Outcome(Outcome::Closed) => Ok(()),
            other => misfit(Self::NAME, &other),
        }
    }
}
