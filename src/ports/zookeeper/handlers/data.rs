//! exists, getData, setData.

use super::super::codec::{DataWithStat, OfStat, SetDataRequest, Watched, code};
use super::{Asked, Kept, Operation, misfit};
use crate::replica::desk::{Answer, Answered, Read, Request};
use crate::state::{Command, Error, Outcome, Write};

pub struct Exists;
pub struct GetData;
pub struct SetData;

/// Leaves its watch on a node that is not there, too.
impl Operation for Exists {
    const CODE: i32 = code::EXISTS;
    const NAME: &'static str = "exists";
    const SHORT: &'static str = "EXIS";
    const IS_WRITE: bool = false;
    type Request = Watched;
    type Response = OfStat;

    fn ask(request: Watched) -> Asked {
        let Watched { path, watch } = request;
        Asked::Replica(Request::Read(Read::Exists { path, watch }))
    }

    fn answer(answer: Answer, _: Kept) -> Result<OfStat, Error> {
        match answer {
            Answer::Read(Answered::Exists(stat)) => Ok(OfStat { stat }),
            other => misfit(Self::NAME, &other),
        }
    }
}

impl Operation for GetData {
    const CODE: i32 = code::GET_DATA;
    const NAME: &'static str = "getData";
    const SHORT: &'static str = "GETD";
    const IS_WRITE: bool = false;
    type Request = Watched;
    type Response = DataWithStat;

    fn ask(request: Watched) -> Asked {
        let Watched { path, watch } = request;
        Asked::Replica(Request::Read(Read::Data { path, watch }))
    }

    fn answer(answer: Answer, _: Kept) -> Result<DataWithStat, Error> {
        match answer {
            Answer::Read(Answered::Data { data, stat }) => Ok(DataWithStat { data, stat }),
            other => misfit(Self::NAME, &other),
        }
    }
}

impl Operation for SetData {
    const CODE: i32 = code::SET_DATA;
    const NAME: &'static str = "setData";
    const SHORT: &'static str = "SETD";
    const IS_WRITE: bool = true;
    type Request = SetDataRequest;
    type Response = OfStat;

    fn ask(request: SetDataRequest) -> Asked {
        Asked::Replica(Request::Submit(Command::Write(Write::SetData {
            path: request.path,
            data: request.data,
            version: request.version,
        })))
    }

    fn answer(answer: Answer, _: Kept) -> Result<OfStat, Error> {
        match answer {
            Answer::Outcome(Outcome::Set(stat)) => Ok(OfStat { stat }),
            other => misfit(Self::NAME, &other),
        }
    }
}
