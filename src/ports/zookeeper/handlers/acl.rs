//! getACL and setACL.

use super::super::codec::{AclWithStat, OfPath, OfStat, SetAclRequest, code};
use super::{Asked, Kept, Operation, misfit};
use crate::replica::desk::{Answer, Answered, Read, Request};
use crate::state::{Command, Error, Outcome, Write};

pub struct GetAcl;
pub struct SetAcl;

impl Operation for GetAcl {
    const CODE: i32 = code::GET_ACL;
    const NAME: &'static str = "getACL";
    const SHORT: &'static str = "GETA";
    const IS_WRITE: bool = false;
    type Request = OfPath;
    type Response = AclWithStat;

    fn ask(request: OfPath) -> Asked {
        Asked::Replica(Request::Read(Read::Acl { path: request.path }))
    }

    fn answer(answer: Answer, _: Kept) -> Result<AclWithStat, Error> {
        match answer {
            Answer::Read(Answered::Acl { acl, stat }) => Ok(AclWithStat { acl, stat }),
            other => misfit(Self::NAME, &other),
        }
    }
}

impl Operation for SetAcl {
    const CODE: i32 = code::SET_ACL;
    const NAME: &'static str = "setACL";
    const SHORT: &'static str = "SETA";
    const IS_WRITE: bool = true;
    type Request = SetAclRequest;
    type Response = OfStat;

    fn ask(request: SetAclRequest) -> Asked {
        Asked::Replica(Request::Submit(Command::Write(Write::SetAcl {
            path: request.path,
            acl: request.acl,
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
