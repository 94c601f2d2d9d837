//! delete, and deleteContainer, which is not for clients.

use super::super::codec::{AtVersion, OfPath, code};
use super::super::errors::UNIMPLEMENTED;
use super::{Asked, Kept, Operation, misfit};
use crate::replica::desk::{Answer, Request};
use crate::state::{Command, Error, Outcome, Write};

pub struct Delete;
pub struct DeleteContainer;

impl Operation for Delete {
    const CODE: i32 = code::DELETE;
    const NAME: &'static str = "delete";
    const SHORT: &'static str = "DELE";
    const IS_WRITE: bool = true;
    type Request = AtVersion;
    type Response = ();

    fn ask(request: AtVersion) -> Asked {
        let AtVersion { path, version } = request;
        let delete = Command::Write(Write::Delete { path, version });
        Asked::Replica(Request::Submit(delete))
    }

    fn answer(answer: Answer, _: Kept) -> Result<(), Error> {
        match answer {
            Answer::Outcome(Outcome::Deleted) => Ok(()),
            other => misfit(Self::NAME, &other),
        }
    }
}

/// The original lets anyone delete anything by it, without a right to. Ours
/// reaps containers by itself.
impl Operation for DeleteContainer {
    const CODE: i32 = code::DELETE_CONTAINER;
    const NAME: &'static str = "deleteContainer";
    const SHORT: &'static str = "DELC";
    const IS_WRITE: bool = true;
    type Request = OfPath;
    type Response = ();

    fn ask(_: OfPath) -> Asked {
        Asked::Refused(UNIMPLEMENTED)
    }

    fn answer(answer: Answer, _: Kept) -> Result<(), Error> {
        misfit(Self::NAME, &answer)
    }
}
