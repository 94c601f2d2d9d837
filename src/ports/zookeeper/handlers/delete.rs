//! delete, and check: what must be so for a multi to be done.

use super::super::codec::{AtVersion, code};
use super::{Asked, Kept, Operation, misfit};
use crate::replica::desk::{Answer, Request};
use crate::state::{Command, Error, Outcome, Write};

pub struct Delete;
pub struct Check;

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

/// Alone it is a multi of one: it takes its place among the session's writes.
impl Operation for Check {
    const CODE: i32 = code::CHECK;
    const NAME: &'static str = "check";
    const SHORT: &'static str = "CHEC";
    const IS_WRITE: bool = true;
    type Request = AtVersion;
    type Response = ();

    fn ask(request: AtVersion) -> Asked {
        let AtVersion { path, version } = request;
        let check = Command::Multi(vec![Write::Check { path, version }]);
        Asked::Replica(Request::Submit(check))
    }

    fn answer(answer: Answer, _: Kept) -> Result<(), Error> {
        match answer {
            Answer::Outcome(Outcome::Multi(results)) if results.len() == 1 => {
                results.into_iter().try_for_each(|result| result.map(drop))
            }
            other => misfit(Self::NAME, &other),
        }
    }
}
