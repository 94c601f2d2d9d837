//! setWatches and setWatches2 after a reconnect, addWatch, checkWatches and
//! removeWatches.

use super::super::codec::{
    AddWatchRequest, ErrorCode, SetWatches2Request, SetWatchesRequest, WatchesRequest, code,
};
use super::super::errors::{BAD_ARGUMENTS, OK};
use super::{Asked, Kept, Operation, misfit};
use crate::replica::desk::{self, Answer, Request, WatchMode, WatcherKind};
use crate::state::Error;

pub struct SetWatches;
pub struct SetWatches2;
pub struct AddWatch;
pub struct CheckWatches;
pub struct RemoveWatches;

fn watching(operation: &str, answer: &Answer) {
    if *answer != Answer::Watching {
        misfit(operation, answer);
    }
}

impl Operation for SetWatches {
    const CODE: i32 = code::SET_WATCHES;
    const NAME: &'static str = "setWatches";
    const SHORT: &'static str = "SETW";
    const IS_WRITE: bool = false;
    type Request = SetWatchesRequest;
    type Response = ();

    fn ask(request: SetWatchesRequest) -> Asked {
        Asked::Replica(Request::SetWatches(desk::SetWatches {
            since: request.since,
            data: request.data,
            exist: request.exist,
            children: request.children,
            ..desk::SetWatches::default()
        }))
    }

    fn answer(answer: Answer, _: Kept) -> Result<(), Error> {
        watching(Self::NAME, &answer);
        Ok(())
    }
}

impl Operation for SetWatches2 {
    const CODE: i32 = code::SET_WATCHES2;
    const NAME: &'static str = "setWatches2";
    const SHORT: &'static str = "STW2";
    const IS_WRITE: bool = false;
    type Request = SetWatches2Request;
    type Response = ();

    fn ask(request: SetWatches2Request) -> Asked {
        Asked::Replica(Request::SetWatches(desk::SetWatches {
            since: request.since,
            data: request.data,
            exist: request.exist,
            children: request.children,
            persistent: request.persistent,
            persistent_recursive: request.persistent_recursive,
        }))
    }

    fn answer(answer: Answer, _: Kept) -> Result<(), Error> {
        watching(Self::NAME, &answer);
        Ok(())
    }
}

impl Operation for AddWatch {
    const CODE: i32 = code::ADD_WATCH;
    const NAME: &'static str = "addWatch";
    const SHORT: &'static str = "ADDW";
    const IS_WRITE: bool = false;
    type Request = AddWatchRequest;
    /// The original answers with a code beside that of the header.
    type Response = ErrorCode;

    fn ask(request: AddWatchRequest) -> Asked {
        let mode = match request.mode {
            0 => WatchMode::Persistent,
            1 => WatchMode::PersistentRecursive,
            _ => return Asked::Refused(BAD_ARGUMENTS),
        };
        let path = request.path;
        Asked::Replica(Request::AddWatch { path, mode })
    }

    fn answer(answer: Answer, _: Kept) -> Result<ErrorCode, Error> {
        watching(Self::NAME, &answer);
        Ok(ErrorCode { code: OK })
    }
}

fn ask_about(request: WatchesRequest, only_check: bool) -> Asked {
    let kind = match request.kind {
        1 => WatcherKind::Children,
        2 => WatcherKind::Data,
        3 => WatcherKind::Any,
        4 => WatcherKind::Persistent,
        5 => WatcherKind::PersistentRecursive,
        _ => return Asked::Refused(BAD_ARGUMENTS),
    };
    Asked::Replica(Request::RemoveWatches {
        path: request.path,
        kind,
        only_check,
    })
}

fn unwatched(operation: &str, answer: &Answer) {
    if *answer != Answer::Unwatched {
        misfit(operation, answer);
    }
}

impl Operation for CheckWatches {
    const CODE: i32 = code::CHECK_WATCHES;
    const NAME: &'static str = "checkWatches";
    const SHORT: &'static str = "CHKW";
    const IS_WRITE: bool = false;
    type Request = WatchesRequest;
    type Response = ();

    fn ask(request: WatchesRequest) -> Asked {
        ask_about(request, true)
    }

    fn answer(answer: Answer, _: Kept) -> Result<(), Error> {
        unwatched(Self::NAME, &answer);
        Ok(())
    }
}

impl Operation for RemoveWatches {
    const CODE: i32 = code::REMOVE_WATCHES;
    const NAME: &'static str = "removeWatches";
    const SHORT: &'static str = "REMW";
    const IS_WRITE: bool = false;
    type Request = WatchesRequest;
    type Response = ();

    fn ask(request: WatchesRequest) -> Asked {
        ask_about(request, false)
    }

    fn answer(answer: Answer, _: Kept) -> Result<(), Error> {
        unwatched(Self::NAME, &answer);
        Ok(())
    }
}
