//! What a door says to the replica and hears from it. Connections are numbered
//! by the door; what is said of one is answered in the order said.

use crate::clock::Millis;
use crate::ids::{SessionId, Zxid};
use crate::state::{Acl, ChangeKind, Command, Data, Error, Identity, Outcome, Restoration, Stat};
use std::sync::Arc;

/// One client's connection, numbered for the life of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// What a door says.
#[derive(Debug)]
pub enum Ask {
    /// A client's first words. Nothing else is said of the connection before
    /// its `Opened` or `NotOpened` is heard.
    Open {
        connection: ConnectionId,
        hello: Hello,
        who: Vec<Identity>,
    },
    /// The client has shown who else it is: `who` is everybody it is by now,
    /// and holds for what follows.
    Identify {
        connection: ConnectionId,
        who: Vec<Identity>,
    },
    /// Answered in its place among the connection's requests. `tag` is the
    /// door's own and comes back with the answer.
    Request {
        connection: ConnectionId,
        tag: u64,
        request: Request,
    },
    /// What a person or a tool wants to see. The connection has no session and
    /// says nothing else.
    Question {
        connection: ConnectionId,
        question: Question,
    },
    /// The connection is gone; its session lives on. Nothing more is said of
    /// it, nor answered.
    Gone { connection: ConnectionId },
}

impl Ask {
    /// A write of a session: it waits for the disk in any case.
    pub fn is_write(&self) -> bool {
        let Self::Request { request, .. } = self else {
            return false;
        };
        matches!(request, Request::Submit(_))
    }
}

/// Where a door and the replica meet. The door is one thread, the replica
/// another; what passes between them passes in batches.
pub trait Desk: Send + Sync {
    /// Takes every ask, in order, and leaves the list empty. Never waits: the
    /// door bounds what is unanswered.
    fn say(&self, asks: &mut Vec<Ask>);

    /// Appends every reply that is ready, in order.
    fn take(&self, into: &mut Vec<Reply>);

    /// Whom to call after replies have become ready: once for many is enough,
    /// and a call too many does no harm.
    fn call(&self, wake: Arc<dyn Fn() + Send + Sync>);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    Standing,
    /// Every session, with its ephemeral nodes.
    Sessions,
    /// Every watch of this node's connections.
    Watches,
}

/// The answer to a question.
#[derive(Clone, Debug)]
pub enum Shown {
    Standing(Box<Standing>),
    Sessions(Vec<SessionShown>),
    Watches(Vec<WatchShown>),
}

#[derive(Clone, Debug)]
pub struct Hello {
    /// 0 for a new session.
    pub session: SessionId,
    pub password: [u8; 16],
    pub timeout_ms: u32,
    pub last_zxid_seen: Zxid,
    /// The client accepts a node that serves reads only.
    pub takes_read_only: bool,
}

#[derive(Clone, Debug)]
pub enum Request {
    /// Write, Multi, CloseSession or Reconfigure; the replica adds session and
    /// sequence.
    Submit(Command),
    Read(Read),
    MultiRead(Vec<Read>),
    /// What is read after it is at least as new as this moment, everywhere.
    Sync,
    /// Also a sign of life.
    Ping,
    AddWatch {
        path: Box<str>,
        mode: WatchMode,
    },
    SetWatches(SetWatches),
    RemoveWatches {
        path: Box<str>,
        kind: WatcherKind,
        only_check: bool,
    },
    /// Answered in its place with nothing: for what the door answers itself.
    Pass,
}

#[derive(Clone, Debug)]
pub enum Read {
    Exists { path: Box<str>, watch: bool },
    Data { path: Box<str>, watch: bool },
    Children { path: Box<str>, watch: bool },
    ChildrenCount { path: Box<str> },
    Acl { path: Box<str> },
    Ephemerals { prefix: Box<str> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchMode {
    Persistent,
    PersistentRecursive,
}

/// Which watches of a connection on a path are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatcherKind {
    Children,
    Data,
    Any,
    Persistent,
    PersistentRecursive,
}

/// What a client watched on its last connection.
#[derive(Clone, Debug, Default)]
pub struct SetWatches {
    pub since: Zxid,
    pub data: Vec<Box<str>>,
    pub exist: Vec<Box<str>>,
    pub children: Vec<Box<str>>,
    pub persistent: Vec<Box<str>>,
    pub persistent_recursive: Vec<Box<str>>,
}

/// What a door hears.
#[derive(Debug)]
pub enum Reply {
    Opened {
        connection: ConnectionId,
        session: SessionId,
        password: [u8; 16],
        timeout_ms: u32,
        is_read_only: bool,
    },
    NotOpened {
        connection: ConnectionId,
        why: NotOpened,
    },
    Answer {
        connection: ConnectionId,
        tag: u64,
        /// The last transaction that the answer reflects.
        zxid: Zxid,
        answer: Result<Answer, Error>,
    },
    /// Comes before any answer that shows the new state.
    Event {
        connection: ConnectionId,
        /// All ones for what happened while the client was away.
        zxid: Zxid,
        kind: ChangeKind,
        path: Box<str>,
    },
    Shown {
        connection: ConnectionId,
        shown: Shown,
    },
    /// The door closes the connection without a word; nothing follows.
    Close {
        connection: ConnectionId,
        why: CloseReason,
    },
}

impl Reply {
    pub fn connection(&self) -> ConnectionId {
        match self {
            Reply::Opened { connection, .. }
            | Reply::NotOpened { connection, .. }
            | Reply::Answer { connection, .. }
            | Reply::Event { connection, .. }
            | Reply::Shown { connection, .. }
            | Reply::Close { connection, .. } => *connection,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotOpened {
    /// Unknown session or wrong password: the client hears that it is expired.
    Expired,
    /// The client has seen more than this node has: it should try another.
    ClientIsAhead,
    /// No leader is known and the client does not take read-only.
    NotServing,
    /// The bound on sessions is reached.
    Full,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    SessionMoved,
    SessionExpired,
    /// The client said goodbye; its answer came before.
    SessionClosed,
    /// A write may or may not have been applied: the client hears connection
    /// loss.
    WriteLost,
    NotServing,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Outcome(Outcome),
    Read(Answered),
    /// One each; a failed read fails alone.
    MultiRead(Vec<Result<Answered, Error>>),
    Synced,
    Pong,
    Watching,
    Unwatched,
    Pass,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Answered {
    Exists(Stat),
    Data {
        data: Data,
        stat: Stat,
    },
    Children {
        names: Vec<Box<str>>,
        stat: Stat,
    },
    ChildrenCount(u32),
    /// With hashes masked where the asker may not administer.
    Acl {
        acl: Acl,
        stat: Stat,
    },
    Ephemerals(Vec<Box<str>>),
}

/// How the node stands, for people and tools.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    pub role: Role,
    pub leader: Option<crate::ids::NodeId>,
    pub node: crate::ids::NodeId,
    pub term: u64,
    pub zxid: Zxid,
    pub nodes: u64,
    pub ephemerals: u64,
    pub data_bytes: u64,
    pub watches: u64,
    pub watched_paths: u64,
    pub watching_connections: u64,
    pub sessions: u64,
    pub connections: u64,
    pub outstanding: u64,
    pub voters: u64,
    pub learners: u64,
    pub synced_followers: u64,
    pub started: Millis,
    pub digest: u64,
    pub snapshot_index: u64,
    pub log_index: u64,
    /// On this node's disk.
    pub snapshot_bytes: u64,
    /// Of the entries behind the snapshot.
    pub log_bytes: u64,
    /// The disk has no room for what is to be agreed on.
    pub is_disk_full: bool,
    /// This node's disk is nearly full.
    pub is_short_of_room: bool,
    /// A majority has room: what adds to the state is taken.
    pub takes_more: bool,
    /// It waits for another node to give it the state.
    pub lacks_state: bool,
    /// The level at which the cluster writes.
    pub features: u32,
    /// Why it stands still: its cluster was raised above its release.
    pub outgrown: Option<Box<str>>,
    /// A node whose replicated state was found to be another than this one's.
    pub differs: Option<crate::ids::NodeId>,
    /// How far a backup has come back into its state.
    pub restoration: Restoration,
    /// It was removed from its cluster.
    pub has_left: bool,
    /// How long it waits for a leader before it asks for votes.
    pub election_timeout_ms: u64,
    /// What a durable append takes, but for one in a hundred.
    pub flush_p99_us: u64,
    /// No leader is known, and reads are served to clients that take them.
    pub is_read_only: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// The only voter.
    Alone,
    Leader,
    Follower,
    Learner,
    /// No leader is known.
    #[default]
    Looking,
}

/// One session, for `dump`, `cons` and status.
#[derive(Clone, Debug)]
pub struct SessionShown {
    pub session: SessionId,
    pub timeout_ms: u32,
    pub connection: Option<ConnectionId>,
    pub ephemerals: Vec<Box<str>>,
}

/// One watch, for `wchs`, `wchc` and `wchp`.
#[derive(Clone, Debug)]
pub struct WatchShown {
    pub path: Box<str>,
    pub session: SessionId,
}
