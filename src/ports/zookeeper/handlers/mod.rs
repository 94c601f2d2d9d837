//! One file per family of operations, and the table of them. Dispatch, the
//! figures by operation, the page of what is spoken and the tests that ask
//! every operation come from the table.

mod acl;
mod children;
mod create;
mod data;
mod delete;
mod identity;
mod life;
mod multi;
mod reconfig;
mod watches;

pub use acl::{GetAcl, SetAcl};
pub use children::{GetAllChildrenNumber, GetChildren, GetChildren2, GetEphemerals};
pub use create::{Create, Create2, CreateContainer, CreateTtl};
pub use data::{Exists, GetData, SetData};
pub use delete::{Delete, DeleteContainer};
pub use identity::{Auth, CreateSession, Sasl, WhoAmI};
pub use life::{CloseSession, Ping, Sync};
pub use multi::{Multi, MultiRead};
pub use reconfig::Reconfig;
pub use watches::{AddWatch, CheckWatches, RemoveWatches, SetWatches, SetWatches2};

use super::codec::{AuthPacket, Jute, SaslToken, Unread};
use crate::replica::desk::{Answer, Request};
use crate::state::Error;
use crate::wire::Cursor;

/// What a request becomes.
#[derive(Debug)]
pub enum Asked {
    /// For the replica.
    Replica(Request),
    /// The same, with what the answer will need besides.
    Keeping(Request, Kept),
    /// Answered by what the request says of itself.
    Refused(i32),
    /// The same, with these bytes behind the error.
    RefusedWith(i32, Vec<u8>),
    /// For the connection: who its client is.
    Auth(AuthPacket),
    Sasl(SaslToken),
    WhoAmI,
    /// For the connection: its greeting once more.
    Greeting,
}

/// What of a request its answer needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Kept {
    #[default]
    Nothing,
    Path(Option<Box<str>>),
    /// For each operation of a multi, whether a stat goes with its result.
    WithStat(Box<[bool]>),
}

/// One operation of the protocol.
pub trait Operation {
    const CODE: i32;
    const NAME: &'static str;
    /// As `cons` names the last operation of a connection.
    const SHORT: &'static str;
    /// Refused where the node serves reads only.
    const IS_WRITE: bool;
    type Request: Jute;
    type Response: Jute;

    fn ask(request: Self::Request) -> Asked;

    /// The response that an answer makes. The replica answers each request
    /// after its kind; another kind is a broken invariant.
    fn answer(answer: Answer, kept: Kept) -> Result<Self::Response, Error>;
}

/// An operation as the table holds it.
pub struct Handler {
    pub code: i32,
    pub name: &'static str,
    pub short: &'static str,
    pub is_write: bool,
    pub read: fn(&mut Cursor<'_>) -> Result<Asked, Unread>,
    /// Appends the response's body.
    pub answer: fn(Answer, Kept, &mut Vec<u8>) -> Result<(), Error>,
    /// Reads both bodies as a client and a server would and writes them again;
    /// for tests.
    pub rewrite_request: fn(&[u8]) -> Result<Vec<u8>, Unread>,
    pub rewrite_response: fn(&[u8]) -> Result<Vec<u8>, Unread>,
}

impl Handler {
    const fn of<O: Operation>() -> Self {
        Self {
            code: O::CODE,
            name: O::NAME,
            short: O::SHORT,
            is_write: O::IS_WRITE,
            read: |from| O::Request::read(from).map(O::ask),
            answer: |answer, kept, into| {
                O::answer(answer, kept).map(|response| response.write(into))
            },
            rewrite_request: rewrite::<O::Request>,
            rewrite_response: rewrite::<O::Response>,
        }
    }
}

fn rewrite<T: Jute>(bytes: &[u8]) -> Result<Vec<u8>, Unread> {
    let mut again = Vec::new();
    T::read(&mut Cursor::new(bytes))?.write(&mut again);
    Ok(again)
}

/// Every operation that is spoken.
pub const TABLE: &[Handler] = &[
    Handler::of::<Create>(),
    Handler::of::<Delete>(),
    Handler::of::<Exists>(),
    Handler::of::<GetData>(),
    Handler::of::<SetData>(),
    Handler::of::<GetAcl>(),
    Handler::of::<SetAcl>(),
    Handler::of::<GetChildren>(),
    Handler::of::<Sync>(),
    Handler::of::<Ping>(),
    Handler::of::<GetChildren2>(),
    Handler::of::<Multi>(),
    Handler::of::<Create2>(),
    Handler::of::<Reconfig>(),
    Handler::of::<CheckWatches>(),
    Handler::of::<RemoveWatches>(),
    Handler::of::<CreateContainer>(),
    Handler::of::<DeleteContainer>(),
    Handler::of::<CreateTtl>(),
    Handler::of::<MultiRead>(),
    Handler::of::<Auth>(),
    Handler::of::<SetWatches>(),
    Handler::of::<Sasl>(),
    Handler::of::<GetEphemerals>(),
    Handler::of::<GetAllChildrenNumber>(),
    Handler::of::<SetWatches2>(),
    Handler::of::<AddWatch>(),
    Handler::of::<WhoAmI>(),
    Handler::of::<CreateSession>(),
    Handler::of::<CloseSession>(),
];

/// Codes run from closeSession's -11 to whoAmI's 107.
const LOWEST: i32 = -11;
const PLACES: usize = 119;
const NOWHERE: u8 = u8::MAX;

/// A code's place in the table, so that finding one costs a load.
const PLACE: [u8; PLACES] = {
    let mut place = [NOWHERE; PLACES];
    let mut at = 0;
    while at < TABLE.len() {
        place[(TABLE[at].code - LOWEST) as usize] = at as u8;
        at += 1;
    }
    place
};

/// An operation's place in the table.
pub fn find(code: i32) -> Option<usize> {
    let at = usize::try_from(code.checked_sub(LOWEST)?).ok()?;
    let place = *PLACE.get(at)?;
    (place != NOWHERE).then_some(usize::from(place))
}

/// The replica answered something else than was asked.
fn misfit(operation: &str, answer: &Answer) -> ! {
    panic!("the replica answered {operation} with {answer:?}");
}
