//! reconfig: who belongs to the cluster.

use super::super::codec::{DataWithStat, ReconfigRequest, code};
use super::{Asked, Kept, Operation, misfit};
use crate::replica::desk::{Answer, Request};
use crate::state::{Command, Error, Outcome, Reconfigure};

pub struct Reconfig;

impl Operation for Reconfig {
    const CODE: i32 = code::RECONFIG;
    const NAME: &'static str = "reconfig";
    const SHORT: &'static str = "RECO";
    const IS_WRITE: bool = true;
    type Request = ReconfigRequest;
    type Response = DataWithStat;

    fn ask(request: ReconfigRequest) -> Asked {
        Asked::Replica(Request::Submit(Command::Reconfigure(Reconfigure {
            joining: said(request.joining),
            leaving: said(request.leaving),
            members: said(request.members),
            from_version: request.from_version,
        })))
    }

    fn answer(answer: Answer, _: Kept) -> Result<DataWithStat, Error> {
        match answer {
            Answer::Outcome(Outcome::Reconfigured { config, stat }) => {
                Ok(DataWithStat { data: config, stat })
            }
            other => misfit(Self::NAME, &other),
        }
    }
}

/// Some clients send an empty text where others send none.
fn said(text: Option<Box<str>>) -> Option<Box<str>> {
    text.filter(|text| !text.is_empty())
}
