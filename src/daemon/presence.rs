//! This node's own session, in which it speaks for itself. On it hangs the
//! node's line under /dolmen/nodes, an ephemeral node like any other, and its
//! life as a broker: both go when the node goes. In it the node proposes what
//! the event log asks of the replicated state, for a command of a session is
//! applied once and in its order, however often it had to be sent on its way to
//! whoever leads; one of no session may come twice, and delete a topic that was
//! made again meanwhile.

use super::eventlog::Broker;
use crate::clock::Clock;
use crate::ids::{NodeId, SessionId, Zxid};
use crate::limits::PROPOSALS_MAX;
use crate::replica::desk::{
    Answer, Ask, CloseReason, ConnectionId, Desk, Hello, NotOpened, Reply, Request,
};
use crate::state::{AclEntry, Command, Create, Identity, NodeKind, Outcome, Permissions, Write};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;
use tokio::sync::Notify;

/// Longer than an election, shorter than people wait.
const TIMEOUT_MS: u32 = 10_000;
/// A majority agrees in far less.
const LEAVING_TIME_MAX: Duration = Duration::from_secs(1);
/// How long somebody waits for what came of a command.
const PATIENCE: Duration = Duration::from_secs(8);

/// Hears what came of a command; an error is for a person.
pub type Told = Box<dyn FnOnce(Result<Outcome, String>) + Send>;

/// Hears the answer to a request of the session.
type Heard = Box<dyn FnOnce(Result<Answer, String>) + Send>;

pub struct Presence {
    desk: Arc<dyn Desk>,
    clock: Arc<dyn Clock>,
    held: Mutex<Held>,
}

struct Held {
    connection: u64,
    step: Step,
    /// With its password. It outlives connections, as a client's does.
    session: Option<(SessionId, [u8; 16])>,
    /// What stands under /dolmen/nodes now.
    text: String,
    last_tag: u64,
    /// Commands that are not answered yet, by tag.
    waiting: BTreeMap<u64, Waiting>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Away,
    Opening,
    Open,
}

struct Waiting {
    until: Duration,
    /// None once it has waited long enough.
    heard: Option<Heard>,
}

/// What somebody is about to hear.
type Hearing = (Heard, Result<Answer, String>);

impl Presence {
    /// Answers are heard on the runtime that this is called on.
    pub fn start(desk: Arc<dyn Desk>, clock: Arc<dyn Clock>) -> Arc<Self> {
        let called = Arc::new(Notify::new());
        let call = called.clone();
        desk.call(Arc::new(move || call.notify_one()));
        let presence = Arc::new(Self::new(desk, clock));
        let hearing = presence.clone();
        tokio::spawn(async move {
            loop {
                called.notified().await;
                hearing.hear();
            }
        });
        presence
    }

    fn new(desk: Arc<dyn Desk>, clock: Arc<dyn Clock>) -> Self {
        Self {
            desk,
            clock,
            held: Mutex::new(Held {
                connection: 0,
                step: Step::Away,
                session: None,
                text: String::new(),
                last_tag: 0,
                waiting: BTreeMap::new(),
            }),
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Called twice a second: a sign of life, and whatever is due.
    pub fn pump(&self, line: &(NodeId, String), broker: Option<&Arc<Broker>>) {
        self.hear();
        let now = self.clock.monotonic();
        let mut held = self.held();
        let late = held.overdue(now);
        let mut asks = held.due(line);
        self.desk.say(&mut asks);
        let session = held.session.filter(|_| held.step == Step::Open);
        drop(held);
        tell(late);
        if let (Some(broker), Some((session, _))) = (broker, session)
            && let Some(announce) = broker.due(session)
        {
            let heard = broker.clone();
            let told = Box::new(move |outcome| heard.hear(outcome));
            self.propose(Command::Streams(announce), told);
        }
    }

    /// Has a command applied, once, in this node's session.
    pub fn propose(&self, command: Command, told: Told) {
        let heard = |answer: Result<Answer, String>| told(answer.and_then(outcome_of));
        self.ask(Request::Submit(command), Box::new(heard));
    }

    /// Calls when this node shows all that was agreed upon anywhere before, or
    /// when no majority says so.
    pub fn catch_up(&self, ended: Box<dyn FnOnce() + Send>) {
        self.ask(Request::Sync, Box::new(|_| ended()));
    }

    fn ask(&self, request: Request, heard: Heard) {
        let until = self.clock.monotonic() + PATIENCE;
        let mut held = self.held();
        let refused = match held.step {
            Step::Open if held.waiting.len() < PROPOSALS_MAX => None,
            Step::Open => Some("too many changes wait to be agreed on: try again"),
            _ => Some("this node is in touch with no majority now: try again"),
        };
        if let Some(why) = refused {
            drop(held);
            return heard(Err(why.into()));
        }
        held.last_tag += 1;
        let (tag, heard) = (held.last_tag, Some(heard));
        held.waiting.insert(tag, Waiting { until, heard });
        let ask = held.ask(tag, request);
        self.desk.say(&mut vec![ask]);
    }

    /// The node stops: its line goes at once, and as a broker it is down. Waits
    /// until all have agreed on that, or for a moment where they cannot.
    pub fn leave(&self) {
        let (tell, told) = mpsc::channel();
        let told_all = Box::new(move |_| _ = tell.send(()));
        self.propose(Command::CloseSession, told_all);
        let _ = told.recv_timeout(LEAVING_TIME_MAX);
    }

    /// Takes what has come. Whoever waited for it hears it when nothing is held:
    /// the next thing that it does may be to propose.
    fn hear(&self) {
        let (mut replies, mut hearings) = (Vec::new(), Vec::new());
        let mut held = self.held();
        self.desk.take(&mut replies);
        for reply in replies {
            held.hear(reply, &mut hearings);
        }
        drop(held);
        tell(hearings);
    }
}

fn tell(hearings: Vec<Hearing>) {
    for (heard, answer) in hearings {
        heard(answer);
    }
}

impl Held {
    fn due(&mut self, (node, text): &(NodeId, String)) -> Vec<Ask> {
        match self.step {
            Step::Away => vec![self.open()],
            Step::Opening => Vec::new(),
            Step::Open if self.text != *text => {
                self.text = text.clone();
                // What an earlier life left is not this one's.
                let path = format!("/dolmen/nodes/{node}");
                [remove(&path), create(&path, text)]
                    .map(|request| self.ask(0, request))
                    .into()
            }
            Step::Open => vec![self.ask(0, Request::Ping)],
        }
    }

    /// Those who need not wait any more. Their commands are still on their way,
    /// and count as such.
    fn overdue(&mut self, now: Duration) -> Vec<Hearing> {
        let late = self.waiting.values_mut().filter(|one| one.until <= now);
        let late = late.filter_map(|one| one.heard.take());
        late.map(|heard| (heard, Err(not_agreed()))).collect()
    }

    fn hear(&mut self, reply: Reply, hearings: &mut Vec<Hearing>) {
        if reply.connection() != ConnectionId(self.connection) {
            return;
        }
        match reply {
            Reply::Opened {
                session, password, ..
            } => {
                self.step = Step::Open;
                self.session = Some((session, password));
            }
            Reply::NotOpened { why, .. } => self.part(why == NotOpened::Expired, hearings),
            Reply::Close { why, .. } => {
                let is_over = match why {
                    CloseReason::SessionMoved
                    | CloseReason::SessionExpired
                    | CloseReason::SessionClosed => true,
                    CloseReason::WriteLost | CloseReason::NotServing => false,
                };
                self.part(is_over, hearings);
            }
            Reply::Answer { tag, answer, .. } => {
                let waiting = self.waiting.remove(&tag);
                if let Some(heard) = waiting.and_then(|waiting| waiting.heard) {
                    hearings.push((heard, answer.map_err(|error| error.to_string())));
                }
            }
            Reply::Event { .. } | Reply::Shown { .. } => {}
        }
    }

    /// The connection is gone, and with it the answers to what was said in it.
    fn part(&mut self, is_session_over: bool, hearings: &mut Vec<Hearing>) {
        self.step = Step::Away;
        self.text.clear();
        if is_session_over {
            self.session = None;
        }
        let waiting = std::mem::take(&mut self.waiting).into_values();
        let heard = waiting.filter_map(|waiting| waiting.heard);
        hearings.extend(heard.map(|heard| (heard, Err(LOST.into()))));
    }

    fn open(&mut self) -> Ask {
        self.connection += 1;
        self.step = Step::Opening;
        let (session, password) = self.session.unwrap_or((SessionId(0), [0; 16]));
        Ask::Open {
            connection: ConnectionId(self.connection),
            hello: Hello {
                session,
                password,
                timeout_ms: TIMEOUT_MS,
                last_zxid_seen: Zxid(0),
                takes_read_only: false,
            },
            who: vec![Identity::new("super", "dolmen")],
        }
    }

    fn ask(&self, tag: u64, request: Request) -> Ask {
        Ask::Request {
            connection: ConnectionId(self.connection),
            tag,
            request,
        }
    }
}

const LOST: &str = "this node lost touch with the others; what was asked for may have happened: \
                    look before it is asked for again";

fn not_agreed() -> String {
    format!(
        "no majority agreed within {} s; what was asked for may still happen: look at dolmen \
         status on the other nodes",
        PATIENCE.as_secs()
    )
}

fn outcome_of(answer: Answer) -> Result<Outcome, String> {
    match answer {
        Answer::Outcome(outcome) => Ok(outcome),
        other => Err(format!("an answer of another kind: {other:?}")),
    }
}

fn remove(path: &str) -> Request {
    Request::Submit(Command::Write(Write::Delete {
        path: path.into(),
        version: -1,
    }))
}

fn create(path: &str, text: &str) -> Request {
    Request::Submit(Command::Write(Write::Create(Create {
        path: path.into(),
        data: text.as_bytes().into(),
        acl: vec![AclEntry {
            permissions: Permissions::READ,
            who: Identity::new("world", "anyone"),
        }],
        kind: NodeKind::Ephemeral,
        is_sequential: false,
    })))
}

#[cfg(test)]
mod tests;
