//! auth, sasl, whoAmI, createSession: the connection answers these itself, in
//! their place among the requests.

use super::super::codec::{self, AuthPacket, OfTimeout, SaslToken, code};
use super::{Asked, Kept, Operation, misfit};
use crate::replica::desk::Answer;
use crate::state::Error;

pub struct Auth;
pub struct Sasl;
pub struct WhoAmI;
pub struct CreateSession;

impl Operation for Auth {
    const CODE: i32 = code::AUTH;
    const NAME: &'static str = "auth";
    const SHORT: &'static str = "AUTH";
    const IS_WRITE: bool = false;
    type Request = AuthPacket;
    type Response = ();

    fn ask(request: AuthPacket) -> Asked {
        Asked::Auth(request)
    }

    fn answer(answer: Answer, _: Kept) -> Result<(), Error> {
        misfit(Self::NAME, &answer)
    }
}

impl Operation for Sasl {
    const CODE: i32 = code::SASL;
    const NAME: &'static str = "sasl";
    const SHORT: &'static str = "SASL";
    const IS_WRITE: bool = false;
    type Request = SaslToken;
    type Response = SaslToken;

    fn ask(request: SaslToken) -> Asked {
        Asked::Sasl(request)
    }

    fn answer(answer: Answer, _: Kept) -> Result<SaslToken, Error> {
        misfit(Self::NAME, &answer)
    }
}

impl Operation for WhoAmI {
    const CODE: i32 = code::WHO_AM_I;
    const NAME: &'static str = "whoAmI";
    const SHORT: &'static str = "HOMI";
    const IS_WRITE: bool = false;
    type Request = ();
    type Response = codec::WhoAmI;

    fn ask((): ()) -> Asked {
        Asked::WhoAmI
    }

    fn answer(answer: Answer, _: Kept) -> Result<codec::WhoAmI, Error> {
        misfit(Self::NAME, &answer)
    }
}

/// What the original's servers send each other. A client that sends it is told
/// once more of the session that it has, without a header.
impl Operation for CreateSession {
    const CODE: i32 = code::CREATE_SESSION;
    const NAME: &'static str = "createSession";
    const SHORT: &'static str = "SESS";
    const IS_WRITE: bool = false;
    type Request = OfTimeout;
    type Response = ();

    fn ask(_: OfTimeout) -> Asked {
        Asked::Greeting
    }

    fn answer(answer: Answer, _: Kept) -> Result<(), Error> {
        misfit(Self::NAME, &answer)
    }
}
