//! Clients: each with a session and one connection at a time, sometimes two;
//! they write, read and watch, come back by other nodes, and hold every answer
//! to the contract as it comes.

use super::history::{Fact, Fate, History, Kind, value_of};
use super::link::{Asked, Link, Part, Sent};
use super::wishes::{Wish, Wishes};
use dolmen::entropy::Seeded;
use dolmen::ids::{NodeId, SessionId, Zxid};
use dolmen::replica::desk::{
    Answer, Answered, Ask, CloseReason, ConnectionId, Hello, NotOpened, Reply, Request, SetWatches,
};
use dolmen::state::{Command, Error, Identity, Outcome};
use std::collections::BTreeMap;
use std::time::Duration;

pub struct Client {
    pub session: Option<(SessionId, [u8; 16])>,
    pub seen: Zxid,
    pub link: Option<ConnectionId>,
    home: NodeId,
    roams: bool,
    takes_read_only: bool,
    timeout: Duration,
    pub pace: Duration,
    /// It went away without a word and never comes back.
    pub is_dead: bool,
    watches: Vec<(Box<str>, Kind, Zxid)>,
    wishes: Wishes,
    /// What it writes as the superuser, before all others.
    layout: Vec<Command>,
    /// Begins with the one request that shows that it is served at the end.
    pub is_last_asked: bool,
    pub is_last_answered: bool,
}

/// A client's word for a node.
pub type Word = (ConnectionId, Ask);

pub struct Clients {
    pub all: Vec<Client>,
    pub links: BTreeMap<ConnectionId, Link>,
    pub history: History,
    /// What became of each create of a run, by the run's connection.
    pub runs: BTreeMap<ConnectionId, BTreeMap<u32, (Box<str>, Fate)>>,
    /// The newest connection of a session that was answered, and its first
    /// zxid.
    owners: BTreeMap<SessionId, (ConnectionId, Zxid)>,
    /// Somebody tries these with a wrong password.
    thieves: BTreeMap<ConnectionId, SessionId>,
    last_connection: u64,
    /// The faults are over: what has to be shown is that all are served.
    pub is_ending: bool,
    pub answers: u64,
    pub written: u64,
    /// A session that lived through this moment must not end behind it.
    pub sessions_lost: u64,
}

impl Clients {
    pub fn new() -> Self {
        Self {
            all: Vec::new(),
            links: BTreeMap::new(),
            history: History::default(),
            runs: BTreeMap::new(),
            owners: BTreeMap::new(),
            thieves: BTreeMap::new(),
            last_connection: 0,
            is_ending: false,
            answers: 0,
            written: 0,
            sessions_lost: 0,
        }
    }

    pub fn add(&mut self, chance: &mut Seeded, home: NodeId) -> usize {
        let number = self.all.len();
        self.all.push(Client {
            session: None,
            seen: Zxid(0),
            link: None,
            home,
            roams: chance.one_in(2),
            takes_read_only: chance.one_in(3),
            timeout: Duration::from_millis(1000 + chance.below(5000)),
            pace: Duration::from_millis(60 + chance.below(700)),
            is_dead: false,
            watches: Vec::new(),
            wishes: Wishes::new(number as u64),
            layout: Vec::new(),
            is_last_asked: false,
            is_last_answered: false,
        });
        number
    }

    /// One who may write settings, does, and leaves.
    pub fn add_operator(&mut self, chance: &mut Seeded, layout: Vec<Command>) -> usize {
        let number = self.add(chance, NodeId(1));
        self.all[number].layout = layout;
        number
    }

    /// A client's turn: what it says now. `nodes` are those that run, with
    /// their lives.
    pub fn act(
        &mut self,
        number: usize,
        now: Duration,
        chance: &mut Seeded,
        nodes: &[(NodeId, u64)],
    ) -> Vec<Word> {
        let mut words = Vec::new();
        let client = &mut self.all[number];
        if client.is_dead || nodes.is_empty() {
            return words;
        }
        let Some(id) = client.link else {
            self.connect(number, now, chance, nodes, &mut words);
            return words;
        };
        let link = &self.links[&id];
        let patience = client.timeout * 2 / 3;
        let oldest = match link.is_open {
            true => link.sent.front().map_or(now, |sent| sent.at),
            false => link.asked_at,
        };
        if now.saturating_sub(oldest) > patience {
            words.push((id, Ask::Gone { connection: id }));
            self.leave(number);
            return words;
        }
        if !link.is_open {
            return words;
        }
        if !self.all[number].layout.is_empty() {
            self.lay_out(number, id, now, &mut words);
            return words;
        }
        if self.is_ending {
            self.say_last(number, now, chance, &mut words);
            return words;
        }
        match chance.below(400) {
            // Goes away without a word, for ever.
            0 => {
                self.leave(number);
                self.all[number].is_dead = true;
            }
            // The connection breaks.
            1..=5 => {
                words.push((id, Ask::Gone { connection: id }));
                self.leave(number);
            }
            // Comes by another node while the old connection stands.
            6..=11 if self.all[number].roams => {
                self.leave_open(number);
                self.connect(number, now, chance, nodes, &mut words);
            }
            12 => self.steal(number, now, chance, nodes, &mut words),
            13 | 14 => self.say(id, now, Asked::Close, close(), &mut words),
            _ => self.wish(id, now, chance, &mut words),
        }
        words
    }

    /// One after the other; its last answer is its end.
    fn lay_out(&mut self, number: usize, id: ConnectionId, now: Duration, words: &mut Vec<Word>) {
        if !self.links[&id].sent.is_empty() {
            return;
        }
        let command = self.all[number].layout[0].clone();
        self.say(id, now, Asked::Layout, Request::Submit(command), words);
    }

    fn connect(
        &mut self,
        number: usize,
        now: Duration,
        chance: &mut Seeded,
        nodes: &[(NodeId, u64)],
        words: &mut Vec<Word>,
    ) {
        let client = &self.all[number];
        let at_home = nodes.iter().find(|(node, _)| *node == client.home);
        let node = match at_home.filter(|_| !client.roams && !chance.one_in(4)) {
            Some(node) => *node,
            None => nodes[chance.below(nodes.len() as u64) as usize],
        };
        let (session, password) = client.session.unwrap_or_default();
        let hello = Hello {
            session,
            password,
            timeout_ms: client.timeout.as_millis() as u32,
            last_zxid_seen: client.seen,
            takes_read_only: client.takes_read_only,
        };
        let id = self.open(number, node, now, hello, words);
        self.all[number].link = Some(id);
    }

    fn open(
        &mut self,
        number: usize,
        node: (NodeId, u64),
        now: Duration,
        hello: Hello,
        words: &mut Vec<Word>,
    ) -> ConnectionId {
        self.last_connection += 1;
        let id = ConnectionId(self.last_connection);
        let mut link = Link::new(id, number, node, now);
        link.floor = hello.last_zxid_seen;
        link.session = hello.session;
        self.links.insert(id, link);
        let who = match self.all[number].layout.is_empty() {
            true => Vec::new(),
            false => vec![Identity::new("super", "operator")],
        };
        words.push((
            id,
            Ask::Open {
                connection: id,
                hello,
                who,
            },
        ));
        id
    }

    /// Somebody who knows a session's number and not its password.
    fn steal(
        &mut self,
        number: usize,
        now: Duration,
        chance: &mut Seeded,
        nodes: &[(NodeId, u64)],
        words: &mut Vec<Word>,
    ) {
        let Some((session, mut password)) = self.all[number].session else {
            return;
        };
        password[chance.below(16) as usize] ^= 1 << chance.below(8);
        let hello = Hello {
            session,
            password,
            timeout_ms: 1000,
            last_zxid_seen: Zxid(0),
            takes_read_only: false,
        };
        let node = nodes[chance.below(nodes.len() as u64) as usize];
        let id = self.open(number, node, now, hello, words);
        self.thieves.insert(id, session);
    }

    fn say(
        &mut self,
        id: ConnectionId,
        now: Duration,
        asked: Asked,
        request: Request,
        words: &mut Vec<Word>,
    ) {
        let heard = self.history.heard;
        let link = self.links.get_mut(&id).expect("the client has it");
        link.last_tag += 1;
        let tag = link.last_tag;
        link.sent.push_back(Sent {
            tag,
            at: now,
            heard,
            asked,
        });
        words.push((
            id,
            Ask::Request {
                connection: id,
                tag,
                request,
            },
        ));
    }

    fn wish(
        &mut self,
        id: ConnectionId,
        now: Duration,
        chance: &mut Seeded,
        words: &mut Vec<Word>,
    ) {
        let link = &self.links[&id];
        if link.sent.len() > 40 {
            return;
        }
        let number = link.client;
        let is_read_only = link.is_read_only;
        let lasting = link.lasting();
        for _ in 0..1 + chance.below(4) {
            let wishes = &mut self.all[number].wishes;
            let list = match is_read_only {
                true => wishes.read(chance),
                false => wishes.any(chance, lasting.clone(), &mut self.history),
            };
            for Wish { asked, request } in list {
                self.note_run(id, &asked);
                self.say(id, now, asked, request, words);
            }
        }
    }

    fn note_run(&mut self, id: ConnectionId, asked: &Asked) {
        let Asked::Write(parts) = asked else {
            return;
        };
        self.written += 1;
        for part in parts {
            if let Part::Create {
                run: Some(place),
                path,
                ..
            } = part
            {
                let run = self.runs.entry(id).or_default();
                run.insert(*place, (path.clone(), Fate::Open));
            }
        }
    }

    /// At the end each client must be able to write and to read what it wrote.
    fn say_last(
        &mut self,
        number: usize,
        now: Duration,
        chance: &mut Seeded,
        words: &mut Vec<Word>,
    ) {
        let client = &mut self.all[number];
        let Some(id) = client.link else {
            return;
        };
        let link = &self.links[&id];
        if link.is_read_only || !link.sent.is_empty() {
            return;
        }
        if client.is_last_asked {
            client.is_last_answered = true;
            return self.say(id, now, Asked::Ping, Request::Ping, words);
        }
        client.is_last_asked = true;
        let list = client.wishes.last(chance, &mut self.history);
        for Wish { asked, request } in list {
            self.note_run(id, &asked);
            self.say(id, now, asked, request, words);
        }
    }

    /// The client's connection is of no use any more.
    fn leave(&mut self, number: usize) {
        let client = &mut self.all[number];
        let Some(id) = client.link.take() else {
            return;
        };
        client.is_last_asked &= client.is_last_answered;
        let link = self.links.get_mut(&id).expect("the client has it");
        if link.is_over {
            return;
        }
        let again = link.end(&mut self.history);
        client.watches.extend(again);
    }

    /// It goes on elsewhere; what the old connection still brings is heard.
    fn leave_open(&mut self, number: usize) {
        let client = &mut self.all[number];
        client.link = None;
    }

    /// The node or the way to it is gone.
    pub fn broken(&mut self, id: ConnectionId) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let client = link.client;
        if self.all[client].link == Some(id) {
            self.leave(client);
        } else if !link.is_over {
            link.end(&mut self.history);
        }
    }

    /// What a node says; gives what the client says to it.
    pub fn hear(&mut self, now: Duration, reply: Reply) -> Vec<Word> {
        let id = reply.connection();
        let mut words = Vec::new();
        let Some(link) = self.links.get_mut(&id) else {
            panic!("a word on {id:?}, which nobody opened");
        };
        if link.is_over {
            return words;
        }
        match reply {
            Reply::Opened {
                session,
                password,
                is_read_only,
                ..
            } => self.opened(id, now, (session, password), is_read_only, &mut words),
            Reply::NotOpened { why, .. } => self.not_opened(id, why),
            Reply::Answer {
                tag, zxid, answer, ..
            } => self.answered(id, tag, zxid, answer),
            Reply::Event {
                zxid, kind, path, ..
            } => {
                link.event(zxid, kind, &path, &mut self.history);
            }
            Reply::Close { why, .. } => self.closed(id, why),
            Reply::Shown { .. } => panic!("nobody asked {id:?} to show anything"),
        }
        words
    }

    fn opened(
        &mut self,
        id: ConnectionId,
        now: Duration,
        session: (SessionId, [u8; 16]),
        is_read_only: bool,
        words: &mut Vec<Word>,
    ) {
        assert!(
            !self.thieves.contains_key(&id),
            "{id:?} was given {:?} with a wrong password",
            session.0
        );
        let link = self.links.get_mut(&id).expect("looked at before");
        assert!(!link.is_open, "{id:?} is opened twice");
        link.is_open = true;
        link.is_read_only = is_read_only;
        let asked = std::mem::replace(&mut link.session, session.0);
        if asked != SessionId(0) {
            assert_eq!(asked, session.0, "{id:?} was given another session");
        }
        let client = &mut self.all[link.client];
        if !is_read_only {
            client.session = Some(session);
        }
        let mut list = std::mem::take(&mut client.watches);
        list.sort();
        list.dedup_by(|later, first| later.0 == first.0 && later.1 == first.1);
        if list.is_empty() {
            return;
        }
        let since = list.iter().map(|one| one.2).min().unwrap_or_default();
        let list: Vec<_> = list
            .into_iter()
            .map(|(path, kind, _)| (path, kind, since))
            .collect();
        let of = |wanted| {
            let of_kind = list.iter().filter(move |one| one.1 == wanted);
            of_kind.map(|one| one.0.clone()).collect::<Vec<_>>()
        };
        let request = Request::SetWatches(SetWatches {
            since,
            data: of(Kind::Data),
            exist: of(Kind::Exist),
            children: of(Kind::Child),
            persistent: of(Kind::Persistent),
            persistent_recursive: of(Kind::Recursive),
        });
        self.say(id, now, Asked::SetWatches(list), request, words);
    }

    fn not_opened(&mut self, id: ConnectionId, why: NotOpened) {
        let link = self.links.get_mut(&id).expect("looked at before");
        assert!(!link.is_open, "{id:?} was open");
        let client = link.client;
        link.end(&mut self.history);
        if self.thieves.contains_key(&id) {
            return;
        }
        let client = &mut self.all[client];
        if client.link == Some(id) {
            client.link = None;
            if why == NotOpened::Expired {
                self.lose_session(id);
            }
        }
    }

    fn lose_session(&mut self, id: ConnectionId) {
        let client = &mut self.all[self.links[&id].client];
        self.sessions_lost += 1;
        client.session = None;
        client.watches.clear();
        client.wishes.forget_own();
    }

    fn closed(&mut self, id: ConnectionId, why: CloseReason) {
        let session = self.links[&id].session;
        self.broken(id);
        let client = &mut self.all[self.links[&id].client];
        let is_own = client.session.is_some_and(|own| own.0 == session);
        if matches!(
            why,
            CloseReason::SessionExpired | CloseReason::SessionClosed
        ) && is_own
        {
            self.lose_session(id);
        }
    }

    fn answered(&mut self, id: ConnectionId, tag: u64, zxid: Zxid, answer: Result<Answer, Error>) {
        let link = self.links.get_mut(&id).expect("looked at before");
        assert!(link.is_open, "{id:?} is answered before it is open");
        let sent = link.answer(tag, zxid);
        self.answers += 1;
        let is_refused = matches!(answer, Err(Error::SessionExpired));
        if !link.is_read_only && !is_refused {
            self.check_owner(id, zxid);
        }
        self.check_time(id, &sent, zxid, &answer);
        self.history.heard = self.history.heard.max(zxid);
        let link = self.links.get_mut(&id).expect("looked at before");
        let client = &mut self.all[link.client];
        if client.link == Some(id) {
            client.seen = client.seen.max(zxid);
        }
        self.take_answer(id, sent, zxid, answer);
    }

    /// A session that has ended, or has moved on, is not spoken for.
    fn check_owner(&mut self, id: ConnectionId, zxid: Zxid) {
        let session = self.links[&id].session;
        if let Some(end) = self.history.ended.get(&session) {
            assert!(
                zxid <= *end,
                "{id:?} is answered at {zxid}, its session ended by {end}"
            );
        }
        match self.owners.get(&session) {
            Some((newer, first)) if *newer > id => assert!(
                zxid <= *first,
                "{id:?} is answered at {zxid}, {newer:?} took its session by {first}"
            ),
            Some((same, _)) if *same == id => {}
            _ => drop(self.owners.insert(session, (id, zxid))),
        }
    }

    /// Writes and syncs take place between question and answer.
    fn check_time(
        &self,
        id: ConnectionId,
        sent: &Sent,
        zxid: Zxid,
        answer: &Result<Answer, Error>,
    ) {
        let heard = sent.heard;
        match &sent.asked {
            Asked::Write(_) | Asked::Close => {
                let took_none = matches!(
                    answer,
                    Err(Error::SessionExpired | Error::SessionMoved | Error::NotReadOnly)
                        | Err(Error::Unavailable)
                );
                assert!(
                    zxid > heard || took_none,
                    "{id:?}: a write at {zxid}, asked for when {heard} was known: {sent:?}"
                );
            }
            Asked::Sync if answer.is_ok() => assert!(
                zxid >= heard,
                "{id:?}: a sync to {zxid}, asked for when {heard} was known"
            ),
            _ => {}
        }
    }

    fn take_answer(
        &mut self,
        id: ConnectionId,
        sent: Sent,
        zxid: Zxid,
        answer: Result<Answer, Error>,
    ) {
        let link = self.links.get_mut(&id).expect("looked at before");
        let history = &mut self.history;
        match (sent.asked, answer) {
            (Asked::Data { path, watch }, Ok(Answer::Read(Answered::Data { data, stat }))) => {
                let fact = Fact::of(&stat, Some(value_of(&data)));
                history.learn(&path, zxid, fact);
                self.all[link.client].wishes.saw(&path, Some(stat.version));
                if watch {
                    link.watch(&path, Kind::Data, zxid);
                }
            }
            (Asked::Exists { path, watch }, Ok(Answer::Read(Answered::Exists(stat)))) => {
                history.learn(&path, zxid, Fact::of(&stat, None));
                self.all[link.client].wishes.saw(&path, Some(stat.version));
                if watch {
                    link.watch(&path, Kind::Data, zxid);
                }
            }
            (Asked::Exists { path, watch }, Err(Error::NoNode)) => {
                history.learn(&path, zxid, Fact::Absent);
                self.all[link.client].wishes.saw(&path, None);
                if watch {
                    link.watch(&path, Kind::Exist, zxid);
                }
            }
            (Asked::Data { path, .. }, Err(Error::NoNode)) => {
                history.learn(&path, zxid, Fact::Absent);
                self.all[link.client].wishes.saw(&path, None);
            }
            (
                Asked::Children { path, watch },
                Ok(Answer::Read(Answered::Children { stat, .. })),
            ) => {
                history.learn(&path, zxid, Fact::of(&stat, None));
                if watch {
                    link.watch(&path, Kind::Child, zxid);
                }
            }
            (Asked::Write(parts), answer) => self.wrote(id, parts, zxid, answer),
            (Asked::AddWatch { path, kind }, Ok(Answer::Watching)) => link.watch(&path, kind, zxid),
            (Asked::RemoveWatch { path, kind }, Ok(Answer::Unwatched)) => {
                assert!(link.is_watching(&path, kind), "{id:?}: removed, not there");
                link.unwatch(&path, kind, zxid, history);
            }
            (Asked::RemoveWatch { path, kind }, Err(Error::NoWatcher)) => {
                assert!(!link.is_watching(&path, kind), "{id:?}: {path} was watched");
            }
            (Asked::SetWatches(list), Ok(Answer::Watching)) => link.watches_set(list, zxid),
            (Asked::Layout, Ok(Answer::Outcome(_)) | Err(Error::NodeExists)) => {
                let client = &mut self.all[link.client];
                client.layout.remove(0);
                client.is_dead = client.layout.is_empty();
            }
            (Asked::Sync, Ok(Answer::Synced)) | (Asked::Ping, Ok(Answer::Pong)) => {}
            (Asked::Close, Ok(Answer::Outcome(Outcome::Closed))) => {
                let end = self.history.ended.entry(link.session).or_insert(zxid);
                *end = (*end).min(zxid);
            }
            (_, Err(Error::SessionExpired | Error::NotReadOnly | Error::Unavailable)) => {}
            (asked, answer) => panic!("{id:?}: {asked:?} is answered {answer:?}"),
        }
    }

    fn wrote(
        &mut self,
        id: ConnectionId,
        parts: Vec<Part>,
        zxid: Zxid,
        answer: Result<Answer, Error>,
    ) {
        let outcomes = match answer {
            Ok(Answer::Outcome(Outcome::Multi(outcomes))) => outcomes,
            Ok(Answer::Outcome(outcome)) => vec![Ok(outcome)],
            Ok(other) => panic!("{id:?}: a write is answered {other:?}"),
            Err(error) => vec![Err(error)],
        };
        let is_done = outcomes.iter().all(Result::is_ok);
        // An expired session's write may still have come before its end.
        let fate = match (is_done, outcomes.first()) {
            (true, _) => Fate::Done(zxid),
            (false, Some(Err(Error::SessionExpired | Error::SessionMoved))) => Fate::Open,
            (false, _) => Fate::Refused,
        };
        Link::settle(&parts, fate, &mut self.history);
        let client = self.links[&id].client;
        for (part, outcome) in parts.iter().zip(&outcomes) {
            if let Part::Create {
                run: Some(place),
                path,
                ..
            } = part
            {
                let run = self.runs.get_mut(&id).expect("noted when asked");
                run.insert(*place, (path.clone(), fate));
            }
            match (is_done, part, outcome) {
                (
                    true,
                    Part::Create {
                        path,
                        value,
                        is_sequential,
                        ..
                    },
                    Ok(Outcome::Created { path: given, stat }),
                ) => {
                    if *is_sequential {
                        assert!(given.starts_with(&**path), "{given} was made for {path}");
                        self.history.number_given(given);
                        self.all[client].wishes.owns(given);
                    } else {
                        assert_eq!(path, given, "another node was made");
                    }
                    self.history
                        .learn(given, zxid, Fact::of(stat, Some(*value)));
                    self.all[client].wishes.saw(given, Some(stat.version));
                }
                (
                    true,
                    Part::Set {
                        path,
                        value,
                        version,
                    },
                    Ok(Outcome::Set(stat)),
                ) => {
                    let follows = *version == -1 || stat.version == version + 1;
                    assert!(follows, "{path}: {} from {version}", stat.version);
                    self.history.learn(path, zxid, Fact::of(stat, Some(*value)));
                    self.all[client].wishes.saw(path, Some(stat.version));
                }
                (true, Part::Delete { path, .. }, Ok(Outcome::Deleted)) => {
                    self.history.learn(path, zxid, Fact::Absent);
                    self.all[client].wishes.saw(path, None);
                }
                (true, Part::Check, Ok(Outcome::Checked)) => {}
                (false, Part::Set { path, .. } | Part::Delete { path, .. }, Err(Error::NoNode)) => {
                    self.history.learn(path, zxid, Fact::Absent);
                    self.all[client].wishes.saw(path, None);
                }
                (false, _, Ok(Outcome::Checked)) | (false, _, Err(_)) => {}
                (is_done, part, outcome) => panic!("{id:?}: {part:?}: {outcome:?}, done {is_done}"),
            }
        }
    }

    /// Of creates that were sent one behind the other on one connection, those
    /// that are there come before those that are not, unless some were refused
    /// and nobody heard of it.
    pub fn check_runs(&self, is_there: impl Fn(&str) -> bool, has_refused: bool) {
        for (id, run) in &self.runs {
            let mut missing = None;
            for (path, fate) in run.values() {
                let found = is_there(path);
                assert!(
                    found || !matches!(fate, Fate::Done(_)),
                    "{path} was acknowledged and is lost"
                );
                assert!(!found || *fate != Fate::Refused, "{path} was refused");
                match (&missing, found) {
                    (Some(missing), true) if !has_refused => {
                        panic!("{id:?}: {missing} was lost, {path} behind it was applied")
                    }
                    (None, false) if *fate == Fate::Open => missing = Some(path),
                    _ => {}
                }
            }
        }
    }
}

fn close() -> Request {
    Request::Submit(Command::CloseSession)
}
