//! getChildren, getChildren2, getAllChildrenNumber, getEphemerals.

use super::super::codec::{
    Children, ChildrenNumber, ChildrenWithStat, Ephemerals, OfAnyPath, OfPath, Watched, code,
};
use super::{Asked, Kept, Operation, misfit};
use crate::replica::desk::{Answer, Answered, Read, Request};
use crate::state::Error;

pub struct GetChildren;
pub struct GetChildren2;
pub struct GetAllChildrenNumber;
pub struct GetEphemerals;

fn ask(request: Watched) -> Asked {
    let Watched { path, watch } = request;
    Asked::Replica(Request::Read(Read::Children { path, watch }))
}

impl Operation for GetChildren {
    const CODE: i32 = code::GET_CHILDREN;
    const NAME: &'static str = "getChildren";
    const SHORT: &'static str = "GETC";
    const IS_WRITE: bool = false;
    type Request = Watched;
    type Response = Children;

    fn ask(request: Watched) -> Asked {
        ask(request)
    }

    fn answer(answer: Answer, _: Kept) -> Result<Children, Error> {
        match answer {
            Answer::Read(Answered::Children { names, .. }) => Ok(Children { names }),
            other => misfit(Self::NAME, &other),
        }
    }
}

impl Operation for GetChildren2 {
    const CODE: i32 = code::GET_CHILDREN2;
    const NAME: &'static str = "getChildren2";
    const SHORT: &'static str = "GETC";
    const IS_WRITE: bool = false;
    type Request = Watched;
    type Response = ChildrenWithStat;

    fn ask(request: Watched) -> Asked {
        ask(request)
    }

    fn answer(answer: Answer, _: Kept) -> Result<ChildrenWithStat, Error> {
        match answer {
            Answer::Read(Answered::Children { names, stat }) => {
                Ok(ChildrenWithStat { names, stat })
            }
            other => misfit(Self::NAME, &other),
        }
    }
}

/// Children and theirs, all the way down.
impl Operation for GetAllChildrenNumber {
    const CODE: i32 = code::GET_ALL_CHILDREN_NUMBER;
    const NAME: &'static str = "getAllChildrenNumber";
    const SHORT: &'static str = "GETACN";
    const IS_WRITE: bool = false;
    type Request = OfPath;
    type Response = ChildrenNumber;

    fn ask(request: OfPath) -> Asked {
        let path = request.path;
        Asked::Replica(Request::Read(Read::ChildrenCount { path }))
    }

    fn answer(answer: Answer, _: Kept) -> Result<ChildrenNumber, Error> {
        match answer {
            Answer::Read(Answered::ChildrenCount(count)) => Ok(ChildrenNumber {
                count: i32::try_from(count).unwrap_or(i32::MAX),
            }),
            other => misfit(Self::NAME, &other),
        }
    }
}

/// The ephemeral nodes of the client's own session.
impl Operation for GetEphemerals {
    const CODE: i32 = code::GET_EPHEMERALS;
    const NAME: &'static str = "getEphemerals";
    const SHORT: &'static str = "GETE";
    const IS_WRITE: bool = false;
    type Request = OfAnyPath;
    type Response = Ephemerals;

    fn ask(request: OfAnyPath) -> Asked {
        let prefix = request.path.unwrap_or_default();
        Asked::Replica(Request::Read(Read::Ephemerals { prefix }))
    }

    fn answer(answer: Answer, _: Kept) -> Result<Ephemerals, Error> {
        match answer {
            Answer::Read(Answered::Ephemerals(paths)) => Ok(Ephemerals { paths }),
            other => misfit(Self::NAME, &other),
        }
    }
}
