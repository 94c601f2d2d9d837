//! This node's line under /dolmen/nodes: an ephemeral node like any other, of
//! a session of the node's own. It goes when the node goes.

use crate::ids::{NodeId, SessionId, Zxid};
use crate::replica::Doorway;
use crate::replica::desk::{Ask, ConnectionId, Desk, Hello, Reply, Request};
use crate::state::{AclEntry, Command, Create, Identity, NodeKind, Permissions, Write};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

/// Longer than an election, shorter than people wait.
const TIMEOUT_MS: u32 = 10_000;
/// A majority agrees in far less.
const LEAVING_TIME_MAX: Duration = Duration::from_secs(1);

pub struct Presence {
    doorway: Doorway,
    held: Mutex<Held>,
}

struct Held {
    connection: u64,
    step: Step,
    /// What stands there now.
    text: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Away,
    Opening,
    Open,
}

impl Presence {
    pub fn new(doorway: Doorway) -> Self {
        Self {
            doorway,
            held: Mutex::new(Held {
                connection: 0,
                step: Step::Away,
                text: String::new(),
            }),
        }
    }

    /// Called twice a second: a sign of life, and whatever is due.
    pub fn pump(&self, (node, text): &(NodeId, String)) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let mut replies = Vec::new();
        self.doorway.take(&mut replies);
        for reply in replies {
            held.hear(&reply);
        }
        let mut asks = Vec::new();
        match held.step {
            Step::Away => asks.push(held.open()),
            Step::Opening => {}
            Step::Open if held.text != *text => {
                held.text = text.clone();
                // What an earlier life left is not this one's.
                let path = format!("/dolmen/nodes/{node}");
                asks.push(held.ask(remove(&path)));
                asks.push(held.ask(create(&path, text)));
            }
            Step::Open => asks.push(held.ask(Request::Ping)),
        }
        self.doorway.say(&mut asks);
    }

    /// The node stops: its line goes at once. Waits until all have agreed on
    /// that, or for a moment where they cannot.
    pub fn leave(&self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.step != Step::Open {
            return;
        }
        let (tell, told) = mpsc::channel();
        self.doorway.call(Arc::new(move || _ = tell.send(())));
        let close = held.ask(Request::Submit(Command::CloseSession));
        self.doorway.say(&mut vec![close]);
        while held.step != Step::Away && told.recv_timeout(LEAVING_TIME_MAX).is_ok() {
            let mut replies = Vec::new();
            self.doorway.take(&mut replies);
            replies.iter().for_each(|reply| held.hear(reply));
        }
    }
}

impl Held {
    fn hear(&mut self, reply: &Reply) {
        if reply.connection() != ConnectionId(self.connection) {
            return;
        }
        match reply {
            Reply::Opened { .. } => self.step = Step::Open,
            Reply::NotOpened { .. } | Reply::Close { .. } => {
                self.step = Step::Away;
                self.text.clear();
            }
            _ => {}
        }
    }

    fn open(&mut self) -> Ask {
        self.connection += 1;
        self.step = Step::Opening;
        Ask::Open {
            connection: ConnectionId(self.connection),
            hello: Hello {
                session: SessionId(0),
                password: [0; 16],
                timeout_ms: TIMEOUT_MS,
                last_zxid_seen: Zxid(0),
                takes_read_only: false,
            },
            who: vec![Identity::new("super", "dolmen")],
        }
    }

    fn ask(&self, request: Request) -> Ask {
        Ask::Request {
            connection: ConnectionId(self.connection),
            tag: 0,
            request,
        }
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
