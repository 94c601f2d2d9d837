//! What doors ask, in the order of each connection.

use super::desk::{
    Answer, Answered, Ask, CloseReason, ConnectionId, Hello, NotOpened, Read, Reply, Request,
    SetWatches, WatchMode, WatcherKind,
};
use super::session::{Line, Step};
use super::syncs::Waiter;
use super::{Now, Opening, Replica, Sender};
use crate::ids::{SessionId, Zxid};
use crate::limits::{SESSIONS_MAX, SUBMISSIONS_MAX};
use crate::planted;
use crate::state::WatchKind;
use crate::state::{
    Applied, AttachSession, Change, ChangeKind, Command, Error, Identity, OpenSession, Outcome,
    WatchSelection,
};

/// -1 on the wire: which transaction it was that a returning client missed is
/// not known.
const SOME_TIME_AGO: Zxid = Zxid(u64::MAX);

impl Replica {
    /// Takes in what a door says.
    pub fn ask(&mut self, now: Now, ask: Ask) {
        self.now = now;
        match ask {
            Ask::Open {
                connection,
                hello,
                who,
            } => self.open_session(connection, hello, who),
            Ask::Identify { connection, who } => {
                if let Some(line) = self.lines.get_mut(&connection) {
                    line.who = who;
                }
            }
            Ask::Request {
                connection,
                tag,
                request,
            } => self.request(connection, tag, request),
            Ask::Question {
                connection,
                question,
            } => {
                let shown = self.show(question);
                self.replies.push(Reply::Shown { connection, shown });
            }
            Ask::Gone { connection } => self.gone(connection),
        }
    }

    fn open_session(&mut self, connection: ConnectionId, hello: Hello, who: Vec<Identity>) {
        if !self.is_serving() {
            let serves_reads = self.serves_read_only() && !self.has_left();
            return match hello.takes_read_only && serves_reads {
                true => self.open_read_only(connection, hello, who),
                false => self.not_opened(connection, NotOpened::NotServing),
            };
        }
        if hello.last_zxid_seen > self.state.zxid() && !planted!(ReadBeforeSeen) {
            return self.not_opened(connection, NotOpened::ClientIsAhead);
        }
        let is_new = hello.session == SessionId(0);
        if is_new && self.state.figures().sessions >= SESSIONS_MAX as u64
            || self.pending.len() >= SUBMISSIONS_MAX
        {
            return self.not_opened(connection, NotOpened::Full);
        }
        let command = match is_new {
            true => match self.draw_session(hello.timeout_ms) {
                Some(open) => Command::OpenSession(open),
                None => return self.not_opened(connection, NotOpened::NotServing),
            },
            false => Command::AttachSession(AttachSession {
                session: hello.session,
                password: hello.password,
                timeout_ms: hello.timeout_ms,
            }),
        };
        let number = self.next_number();
        let opening = Opening { connection, who };
        self.submit(number, None, command, Sender::Opening(opening));
    }

    fn draw_session(&self, timeout_ms: u32) -> Option<OpenSession> {
        let (mut number, mut password) = ([0; 8], [0; 16]);
        let filled = self.entropy.fill(&mut number);
        if let Err(error) = filled.and_then(|()| self.entropy.fill(&mut password)) {
            tracing::error!(%error, "no session is opened without chance");
            return None;
        }
        // The node in the high byte, so that people see where a session was
        // opened, and that no two nodes draw the same.
        let low = u64::from_le_bytes(number) >> 8;
        let session = SessionId((self.settings.node.0 & 0xff) << 56 | low.max(1));
        Some(OpenSession {
            session,
            password,
            timeout_ms,
        })
    }

    /// Serves what this node has, and nothing is agreed on.
    fn open_read_only(&mut self, connection: ConnectionId, hello: Hello, who: Vec<Identity>) {
        if hello.last_zxid_seen > self.state.zxid() && !planted!(ReadBeforeSeen) {
            return self.not_opened(connection, NotOpened::ClientIsAhead);
        }
        let line = Line::new(hello.session, 0, who, true);
        self.lines.insert(connection, line);
        self.replies.push(Reply::Opened {
            connection,
            session: hello.session,
            password: hello.password,
            timeout_ms: hello.timeout_ms,
            is_read_only: true,
        });
    }

    fn not_opened(&mut self, connection: ConnectionId, why: NotOpened) {
        self.replies.push(Reply::NotOpened { connection, why });
    }

    /// A session was opened or attached for a client here, or was not.
    pub(super) fn finish_opening(&mut self, opening: Opening, applied: Applied) {
        let connection = opening.connection;
        match applied.outcome {
            Ok(Outcome::Attached {
                session,
                password,
                timeout_ms,
                connection: attachment,
            }) => {
                let line = Line::new(session, attachment, opening.who, false);
                self.lines.insert(connection, line);
                self.attached.insert(session, connection);
                self.replies.push(Reply::Opened {
                    connection,
                    session,
                    password,
                    timeout_ms,
                    is_read_only: false,
                });
            }
            Err(Error::Unavailable) => self.not_opened(connection, NotOpened::NotServing),
            _ => self.not_opened(connection, NotOpened::Expired),
        }
    }

    fn request(&mut self, connection: ConnectionId, tag: u64, request: Request) {
        let Some(line) = self.lines.get_mut(&connection) else {
            return;
        };
        let session = line.session;
        line.arrive(tag, request);
        if !line.is_read_only {
            self.touch(session);
        }
        self.advance(connection);
    }

    /// Does all that may be done now for a connection.
    pub(super) fn advance(&mut self, connection: ConnectionId) {
        while let Some(line) = self.lines.get_mut(&connection) {
            let Some(step) = line.next(&mut self.last_number) else {
                return;
            };
            match step {
                Step::Run { tag, request } => {
                    let answer = self.run(connection, request);
                    self.answer(connection, tag, self.state.zxid(), answer);
                }
                Step::Submit {
                    number,
                    sequence,
                    command,
                } => {
                    let from = (connection, sequence);
                    self.submit(number, Some(from), command, Sender::Line(connection));
                }
                Step::StartSync { number } => self.syncs.ask(Waiter::Line {
                    connection,
                    ticket: number,
                }),
                Step::AnswerSync { tag } => {
                    self.answer(connection, tag, self.state.zxid(), Ok(Answer::Synced));
                }
            }
        }
    }

    pub(super) fn answer(
        &mut self,
        connection: ConnectionId,
        tag: u64,
        zxid: Zxid,
        answer: Result<Answer, Error>,
    ) {
        let Some(line) = self.lines.get_mut(&connection) else {
            return;
        };
        line.last_zxid = line.last_zxid.max(zxid);
        self.replies.push(Reply::Answer {
            connection,
            tag,
            zxid: line.last_zxid,
            answer,
        });
    }

    /// A write of a connection here is applied.
    pub(super) fn finish_write(&mut self, connection: ConnectionId, number: u64, applied: Applied) {
        let Some(line) = self.lines.get_mut(&connection) else {
            return;
        };
        let Some(tag) = line.finish(number) else {
            return self.close(connection, CloseReason::WriteLost);
        };
        let is_closed = matches!(applied.outcome, Ok(Outcome::Closed));
        match applied.outcome {
            Err(Error::Gap | Error::Repeat) => self.close(connection, CloseReason::WriteLost),
            Err(Error::SessionMoved) => self.close(connection, CloseReason::SessionMoved),
            Err(Error::SessionExpired) => {
                self.answer(connection, tag, applied.zxid, Err(Error::SessionExpired));
                self.close(connection, CloseReason::SessionExpired);
            }
            outcome => {
                self.answer(connection, tag, applied.zxid, outcome.map(Answer::Outcome));
                match is_closed {
                    true => self.close(connection, CloseReason::SessionClosed),
                    false => self.advance(connection),
                }
            }
        }
    }

    /// What can be answered here, from the state as it is.
    fn run(&mut self, connection: ConnectionId, request: Request) -> Result<Answer, Error> {
        match request {
            Request::Read(read) => self.read(connection, read).map(Answer::Read),
            Request::MultiRead(reads) => {
                let reads = reads.into_iter();
                let answers = reads.map(|read| self.read(connection, read)).collect();
                Ok(Answer::MultiRead(answers))
            }
            Request::Ping => Ok(Answer::Pong),
            Request::Pass => Ok(Answer::Pass),
            Request::AddWatch { path, mode } => {
                let kind = match mode {
                    WatchMode::Persistent => WatchKind::Persistent,
                    WatchMode::PersistentRecursive => WatchKind::Recursive,
                };
                self.watches.add(connection, &path, kind)?;
                Ok(Answer::Watching)
            }
            Request::SetWatches(watched) => {
                self.set_watches(connection, watched)?;
                Ok(Answer::Watching)
            }
            Request::RemoveWatches {
                path,
                kind,
                only_check,
            } => {
                let selection = match kind {
                    WatcherKind::Children => WatchSelection::Children,
                    WatcherKind::Data => WatchSelection::Data,
                    WatcherKind::Any => WatchSelection::Any,
                    WatcherKind::Persistent => WatchSelection::Persistent,
                    WatcherKind::PersistentRecursive => WatchSelection::Recursive,
                };
                match only_check {
                    true if self.watches.has(connection, &path, selection) => {}
                    true => return Err(Error::NoWatcher),
                    false => self.watches.remove(connection, &path, selection)?,
                }
                Ok(Answer::Unwatched)
            }
            // Only on a connection that takes nothing else.
            Request::Submit(_) | Request::Sync => Err(Error::NotReadOnly),
        }
    }

    fn read(&mut self, connection: ConnectionId, read: Read) -> Result<Answered, Error> {
        let Some(line) = self.lines.get(&connection) else {
            return Err(Error::SessionExpired);
        };
        let who = &line.who;
        let mut set_watch = |path: &str, kind| {
            if planted!(WatchAfterRead) {
                self.late_watches.push((connection, path.into(), kind));
                return Ok(());
            }
            self.watches.add(connection, path, kind)
        };
        match read {
            Read::Exists { path, watch } => {
                let found = self.state.exists(&path, who);
                if watch && matches!(found, Ok(_) | Err(Error::NoNode)) {
                    let kind = match found {
                        Ok(_) => WatchKind::Data,
                        Err(_) => WatchKind::Exist,
                    };
                    set_watch(&path, kind)?;
                }
                found.map(Answered::Exists)
            }
            Read::Data { path, watch } => {
                let (data, stat) = self.state.data(&path, who)?;
                if watch {
                    set_watch(&path, WatchKind::Data)?;
                }
                Ok(Answered::Data { data, stat })
            }
            Read::Children { path, watch } => {
                let (names, stat) = self.state.children(&path, who)?;
                if watch {
                    set_watch(&path, WatchKind::Child)?;
                }
                Ok(Answered::Children { names, stat })
            }
            Read::ChildrenCount { path } => {
                let count = self.state.children_count(&path, who)?;
                Ok(Answered::ChildrenCount(count))
            }
            Read::Acl { path } => {
                let (acl, stat) = self.state.acl(&path, who)?;
                Ok(Answered::Acl { acl, stat })
            }
            Read::Ephemerals { prefix } => {
                let paths = self.state.ephemerals(line.session, &prefix);
                Ok(Answered::Ephemerals(paths))
            }
        }
    }

    /// Watches of a client's last connection: what it missed since is told at
    /// once, for the rest the watch stands again.
    fn set_watches(&mut self, connection: ConnectionId, watched: SetWatches) -> Result<(), Error> {
        let SetWatches {
            since,
            data,
            exist,
            children,
            persistent,
            persistent_recursive,
        } = watched;
        for path in data {
            match self.state.stat_of(&path) {
                Err(_) => self.tell(connection, ChangeKind::Deleted, path),
                Ok(stat) if stat.modified_zxid > since => {
                    self.tell(connection, ChangeKind::DataChanged, path);
                }
                Ok(_) => self.watches.add(connection, &path, WatchKind::Data)?,
            }
        }
        for path in exist {
            match self.state.stat_of(&path) {
                Ok(_) => self.tell(connection, ChangeKind::Created, path),
                Err(_) => self.watches.add(connection, &path, WatchKind::Exist)?,
            }
        }
        for path in children {
            match self.state.stat_of(&path) {
                Err(_) => self.tell(connection, ChangeKind::Deleted, path),
                Ok(stat) if stat.children_zxid > since => {
                    self.tell(connection, ChangeKind::ChildrenChanged, path);
                }
                Ok(_) => self.watches.add(connection, &path, WatchKind::Child)?,
            }
        }
        for path in persistent {
            self.watches.add(connection, &path, WatchKind::Persistent)?;
        }
        for path in persistent_recursive {
            self.watches.add(connection, &path, WatchKind::Recursive)?;
        }
        Ok(())
    }

    fn tell(&mut self, connection: ConnectionId, kind: ChangeKind, path: Box<str>) {
        self.replies.push(Reply::Event {
            connection,
            zxid: SOME_TIME_AGO,
            kind,
            path,
        });
    }

    /// Tells who watches of what has changed.
    pub(super) fn tell_watchers(&mut self, zxid: Zxid, change: &Change) {
        for connection in self.watches.trigger(change) {
            let Some(line) = self.lines.get(&connection) else {
                continue;
            };
            if self.state.may_read(&change.acl, &line.who) {
                self.replies.push(Reply::Event {
                    connection,
                    zxid,
                    kind: change.kind,
                    path: change.path.clone(),
                });
            }
        }
    }

    /// Ends a connection from this side.
    pub(super) fn close(&mut self, connection: ConnectionId, why: CloseReason) {
        self.replies.push(Reply::Close { connection, why });
        self.forget(connection);
    }

    /// The client went away, maybe while its session was being opened: then
    /// nobody is told, and the session ends by its silence.
    fn gone(&mut self, connection: ConnectionId) {
        self.forget(connection);
        for pending in self.pending.values_mut() {
            if matches!(&pending.sender, Sender::Opening(one) if one.connection == connection) {
                pending.sender = Sender::Inside(None);
            }
        }
    }

    fn forget(&mut self, connection: ConnectionId) {
        if let Some(line) = self.lines.remove(&connection)
            && self.attached.get(&line.session) == Some(&connection)
        {
            self.attached.remove(&line.session);
        }
        self.watches.drop_connection(connection);
    }

    pub(super) fn close_all(&mut self, why: CloseReason) {
        let connections: Vec<_> = self.lines.keys().copied().collect();
        for connection in connections {
            self.close(connection, why);
        }
    }

    pub(super) fn begin_syncs(&mut self) {
        let retry_after = self.settings.tick * self.settings.election_ticks as u32;
        if let Some(counter) = self.syncs.begin(self.now.monotonic, retry_after) {
            self.consensus.read_index(crate::consensus::ReadId {
                node: self.settings.node,
                boot: self.boot,
                counter,
            });
        }
    }

    pub(super) fn answer_syncs(&mut self) {
        for waiter in self.syncs.done(self.applied) {
            match waiter {
                Waiter::Line { connection, ticket } => {
                    if let Some(line) = self.lines.get_mut(&connection) {
                        line.synced(ticket);
                        self.advance(connection);
                    }
                }
                Waiter::Inside(when_current) => when_current(self),
            }
        }
    }
}
