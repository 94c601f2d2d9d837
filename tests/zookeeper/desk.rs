//! A stand-in for the replica: a flat tree in memory, without access lists,
//! answering at once unless it is told to hold its answers.

use dolmen::ids::{SessionId, Zxid};
use dolmen::replica::desk::{
    Answer, Answered, Ask, CloseReason, ConnectionId, Desk, Hello, NotOpened, Question, Read,
    Reply, Request, Role, SessionShown, Shown, Standing, WatchShown,
};
use dolmen::state::{
    Acl, AclEntry, ChangeKind, Command, Data, Error, Identity, NodeKind, Outcome, Permissions,
    Stat, Write,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

#[derive(Default)]
pub struct Stand {
    held: Mutex<Held>,
    wake: Mutex<Option<Arc<dyn Fn() + Send + Sync>>>,
}

#[derive(Default)]
struct Held {
    nodes: BTreeMap<String, (Data, Stat)>,
    sessions: BTreeMap<SessionId, [u8; 16]>,
    connections: BTreeMap<ConnectionId, SessionId>,
    who: BTreeMap<ConnectionId, Vec<Identity>>,
    watches: Vec<(ConnectionId, String)>,
    zxid: u64,
    next_session: u64,
    replies: Vec<Reply>,
    /// Answers wait here while they are held.
    kept: Vec<Reply>,
    holds: bool,
    is_read_only: bool,
    asked: usize,
    gone: usize,
}

impl Desk for Stand {
    fn say(&self, asks: &mut Vec<Ask>) {
        let mut held = self.held.lock().unwrap();
        for ask in asks.drain(..) {
            held.hear(ask);
        }
        drop(held);
        self.call_door();
    }

    fn take(&self, into: &mut Vec<Reply>) {
        into.append(&mut self.held.lock().unwrap().replies);
    }

    fn call(&self, wake: Arc<dyn Fn() + Send + Sync>) {
        *self.wake.lock().unwrap() = Some(wake);
    }
}

impl Stand {
    fn call_door(&self) {
        let wake = self.wake.lock().unwrap().clone();
        wake.expect("the door has said whom to call")();
    }

    /// From here on answers wait for `let_go`.
    pub fn hold(&self) {
        self.held.lock().unwrap().holds = true;
    }

    pub fn let_go(&self) {
        let mut held = self.held.lock().unwrap();
        held.holds = false;
        let mut kept = std::mem::take(&mut held.kept);
        held.replies.append(&mut kept);
        drop(held);
        self.call_door();
    }

    /// Says something of its own accord.
    pub fn push(&self, replies: impl IntoIterator<Item = Reply>) {
        self.held.lock().unwrap().replies.extend(replies);
        self.call_door();
    }

    pub fn serve_reads_only(&self) {
        self.held.lock().unwrap().is_read_only = true;
    }

    pub fn asked(&self) -> usize {
        self.held.lock().unwrap().asked
    }

    pub fn gone(&self) -> usize {
        self.held.lock().unwrap().gone
    }

    pub fn connection_of(&self, session: SessionId) -> ConnectionId {
        let held = self.held.lock().unwrap();
        let mut found = held.connections.iter();
        *found
            .find(|(_, of)| **of == session)
            .expect("it is connected")
            .0
    }

    pub fn who_is(&self, session: SessionId) -> Vec<Identity> {
        let connection = self.connection_of(session);
        self.held.lock().unwrap().who[&connection].clone()
    }

    pub fn expire(&self, session: SessionId) {
        self.held.lock().unwrap().sessions.remove(&session);
    }
}

impl Held {
    fn hear(&mut self, ask: Ask) {
        match ask {
            Ask::Open {
                connection,
                hello,
                who,
            } => {
                self.who.insert(connection, who);
                let reply = self.open(connection, hello);
                self.replies.push(reply);
            }
            Ask::Identify { connection, who } => {
                self.who.insert(connection, who);
            }
            Ask::Request {
                connection,
                tag,
                request,
            } => {
                self.asked += 1;
                let closes = matches!(request, Request::Submit(Command::CloseSession));
                let answer = self.answer(connection, request);
                let reply = Reply::Answer {
                    connection,
                    tag,
                    zxid: Zxid(self.zxid),
                    answer,
                };
                let queue = if self.holds {
                    &mut self.kept
                } else {
                    &mut self.replies
                };
                queue.push(reply);
                if closes {
                    let why = CloseReason::SessionClosed;
                    queue.push(Reply::Close { connection, why });
                }
            }
            Ask::Question {
                connection,
                question,
            } => {
                let shown = self.show(question);
                self.replies.push(Reply::Shown { connection, shown });
            }
            Ask::Gone { connection } => {
                self.gone += 1;
                self.connections.remove(&connection);
            }
        }
    }

    fn open(&mut self, connection: ConnectionId, hello: Hello) -> Reply {
        let not_opened = |why| Reply::NotOpened { connection, why };
        if hello.last_zxid_seen.0 > self.zxid {
            return not_opened(NotOpened::ClientIsAhead);
        }
        if self.is_read_only && !hello.takes_read_only {
            return not_opened(NotOpened::NotServing);
        }
        let session = if hello.session == SessionId(0) {
            self.next_session += 1;
            let session = SessionId(0xff00_0000_0000_0000 + self.next_session);
            self.sessions.insert(session, [self.next_session as u8; 16]);
            session
        } else {
            hello.session
        };
        let known = self.sessions.get(&session);
        let Some(&password) =
            known.filter(|password| hello.session == SessionId(0) || **password == hello.password)
        else {
            return not_opened(NotOpened::Expired);
        };
        self.connections.insert(connection, session);
        Reply::Opened {
            connection,
            session,
            password,
            timeout_ms: hello.timeout_ms,
            is_read_only: self.is_read_only,
        }
    }

    fn answer(&mut self, connection: ConnectionId, request: Request) -> Result<Answer, Error> {
        match request {
            Request::Submit(Command::Write(write)) => self.write(write).map(Answer::Outcome),
            Request::Submit(Command::Multi(writes)) => {
                Ok(Answer::Outcome(Outcome::Multi(self.multi(writes))))
            }
            Request::Submit(Command::CloseSession) => Ok(Answer::Outcome(Outcome::Closed)),
            Request::Submit(Command::Reconfigure(reconfigure)) => {
                let config = format!("{reconfigure:?}").into_bytes().into();
                let stat = Stat::default();
                Ok(Answer::Outcome(Outcome::Reconfigured { config, stat }))
            }
            Request::Submit(other) => panic!("no client asks for {other:?}"),
            Request::Read(read) => self.read(connection, read).map(Answer::Read),
            Request::MultiRead(reads) => Ok(Answer::MultiRead(
                reads
                    .into_iter()
                    .map(|read| self.read(connection, read))
                    .collect(),
            )),
            Request::Sync => Ok(Answer::Synced),
            Request::Ping => Ok(Answer::Pong),
            Request::Pass => Ok(Answer::Pass),
            Request::AddWatch { path, .. } => {
                self.watches.push((connection, path.into()));
                Ok(Answer::Watching)
            }
            Request::SetWatches(watches) => {
                let paths = watches.data.iter().chain(&watches.persistent_recursive);
                for path in paths {
                    self.watches.push((connection, path.to_string()));
                }
                Ok(Answer::Watching)
            }
            Request::RemoveWatches {
                path, only_check, ..
            } => {
                let is_it = |(of, on): &(ConnectionId, String)| *of == connection && **on == *path;
                if !self.watches.iter().any(is_it) {
                    return Err(Error::NoWatcher);
                }
                if !only_check {
                    self.watches.retain(|watch| !is_it(watch));
                }
                Ok(Answer::Unwatched)
            }
        }
    }

    fn multi(&mut self, writes: Vec<Write>) -> Vec<Result<Outcome, Error>> {
        let (nodes, zxid) = (self.nodes.clone(), self.zxid);
        let mut outcomes: Vec<_> = writes.into_iter().map(|write| self.write(write)).collect();
        if let Some(failed) = outcomes.iter().position(Result::is_err) {
            (self.nodes, self.zxid) = (nodes, zxid);
            outcomes[..failed].fill(Ok(Outcome::Checked));
            outcomes[failed + 1..].fill(Err(Error::NotReached));
        }
        outcomes
    }

    fn write(&mut self, write: Write) -> Result<Outcome, Error> {
        self.zxid += 1;
        match write {
            Write::Create(create) => {
                if matches!(create.kind, NodeKind::Ttl { ttl_ms } if ttl_ms == 0 || ttl_ms >> 40 != 0)
                {
                    return Err(Error::BadArguments);
                }
                if create.acl.is_empty() {
                    return Err(Error::InvalidAcl);
                }
                let path = match create.is_sequential {
                    true => format!("{}{:010}", create.path, self.zxid),
                    false => create.path.to_string(),
                };
                if self.nodes.contains_key(&path) {
                    return Err(Error::NodeExists);
                }
                let stat = Stat {
                    created_zxid: Zxid(self.zxid),
                    modified_zxid: Zxid(self.zxid),
                    data_length: create.data.len() as i32,
                    ..Stat::default()
                };
                self.nodes.insert(path.clone(), (create.data, stat));
                self.fire(&path, ChangeKind::Created);
                let path = path.into();
                Ok(Outcome::Created { path, stat })
            }
            Write::Delete { path, version } => {
                self.at_version(&path, version)?;
                self.nodes.remove(&*path);
                self.fire(&path, ChangeKind::Deleted);
                Ok(Outcome::Deleted)
            }
            Write::SetData {
                path,
                data,
                version,
            } => {
                let zxid = Zxid(self.zxid);
                let (held, stat) = self.at_version(&path, version)?;
                stat.version += 1;
                stat.modified_zxid = zxid;
                stat.data_length = data.len() as i32;
                *held = data;
                let stat = *stat;
                self.fire(&path, ChangeKind::DataChanged);
                Ok(Outcome::Set(stat))
            }
            Write::SetAcl { path, version, .. } => {
                let (_, stat) = self.at_version(&path, version)?;
                stat.acl_version += 1;
                Ok(Outcome::Set(*stat))
            }
            Write::Check { path, version } => {
                self.at_version(&path, version)?;
                Ok(Outcome::Checked)
            }
        }
    }

    fn at_version(&mut self, path: &str, version: i32) -> Result<&mut (Data, Stat), Error> {
        let node = self.nodes.get_mut(path).ok_or(Error::NoNode)?;
        if version != -1 && version != node.1.version {
            return Err(Error::BadVersion);
        }
        Ok(node)
    }

    fn fire(&mut self, path: &str, kind: ChangeKind) {
        let fired: Vec<_> = self
            .watches
            .extract_if(.., |(_, watched)| watched == path)
            .collect();
        for (connection, path) in fired {
            self.replies.push(Reply::Event {
                connection,
                zxid: Zxid(self.zxid),
                kind,
                path: path.into(),
            });
        }
    }

    fn read(&mut self, connection: ConnectionId, read: Read) -> Result<Answered, Error> {
        let (path, watch) = match &read {
            Read::Exists { path, watch }
            | Read::Data { path, watch }
            | Read::Children { path, watch } => (path, *watch),
            Read::ChildrenCount { path } | Read::Acl { path } => (path, false),
            Read::Ephemerals { prefix } => {
                return Ok(Answered::Ephemerals(vec![prefix.clone()]));
            }
        };
        if watch {
            self.watches.push((connection, path.to_string()));
        }
        let inside = match &**path {
            "/" => "/".to_owned(),
            path => format!("{path}/"),
        };
        let names: Vec<Box<str>> = self
            .nodes
            .keys()
            .filter_map(|node| node.strip_prefix(&inside))
            .map(Into::into)
            .collect();
        let (data, stat) = match self.nodes.get(&**path) {
            Some((data, stat)) => (data.clone(), *stat),
            None if &**path == "/" => Default::default(),
            None => return Err(Error::NoNode),
        };
        Ok(match read {
            Read::Exists { .. } => Answered::Exists(stat),
            Read::Data { .. } => Answered::Data { data, stat },
            Read::Children { .. } => Answered::Children { names, stat },
            Read::ChildrenCount { .. } => Answered::ChildrenCount(names.len() as u32),
            Read::Acl { .. } => Answered::Acl {
                acl: everybody(),
                stat,
            },
            Read::Ephemerals { .. } => unreachable!("answered above"),
        })
    }

    fn show(&self, question: Question) -> Shown {
        let sessions = self.sessions.keys();
        match question {
            Question::Standing => Shown::Standing(Box::new(Standing {
                role: Role::Leader,
                zxid: Zxid(self.zxid),
                nodes: self.nodes.len() as u64,
                watches: self.watches.len() as u64,
                digest: 42,
                voters: 3,
                is_read_only: self.is_read_only,
                ..Standing::default()
            })),
            Question::Sessions => Shown::Sessions(
                sessions
                    .map(|&session| SessionShown {
                        session,
                        timeout_ms: 10_000,
                        connection: Some(ConnectionId(1)),
                        ephemerals: vec!["/e".into()],
                    })
                    .collect(),
            ),
            Question::Watches => Shown::Watches(
                self.watches
                    .iter()
                    .map(|(connection, path)| WatchShown {
                        path: path.as_str().into(),
                        session: self.connections[connection],
                    })
                    .collect(),
            ),
        }
    }
}

/// Everybody may do everything.
pub fn everybody() -> Acl {
    vec![AclEntry {
        permissions: Permissions::ALL,
        who: Identity::new("world", "anyone"),
    }]
}
