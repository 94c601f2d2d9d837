//! The stage on which scripts play: a state, sessions by their names, and
//! watchers. Every command gives the lines that came of it.
//!
//! ```text
//! open ann                          a session; `ann` is its name here
//! ann auth digest:ann:hash          shows who else she is
//! ann create /a x ephemeral seq     also container, ttl=MS, acl=WHO:PERMS,...
//! ann set /a y v=0                  delete, setacl and check alike
//! ann multi create /a; check /b     all or nothing
//! ann get /a                        ls, stat, acl, count, exists alike
//! ann watch data /a                 exist, child, persistent, recursive
//! root ...                          the superuser, of no session
//! ann streams announce 1 disk-a     a command on topics; `topics` has the list
//! brokers                           who is up, and how it stands with the topics
//! backup mon                        a backup of what is there; `mon` is its name here
//! restore begin mon                 discard, empty, fill, end, give-up alike
//! ```

use super::backups::Backup;
use super::topics;
use dolmen::clock::Millis;
use dolmen::ids::{NodeId, SessionId, Term, Uid, Zxid};
use dolmen::state::codec;
use dolmen::state::{
    Acl, AclEntry, AttachSession, Change, ChangeKind, Command, Create, Data, Error, Identity,
    ImportedNode, Loader, Member, MemberCommand, MemberOutcome, NodeKind, OpenSession, Outcome,
    Permissions, Reconfigure, Restore, RestoreOutcome, RestoreStep, Role, Stat, State, Submission,
    WatchKind, WatchSelection, Watches, Write,
};
use std::collections::BTreeMap;

pub struct Stage {
    /// No two submissions share a number.
    tags: u64,
    pub state: State,
    now: u64,
    actors: BTreeMap<String, Actor>,
    /// By the actor's session, so that outcomes come in a known order.
    watches: Watches<u64>,
    backups: BTreeMap<String, Backup>,
}

struct Actor {
    session: SessionId,
    connection: u32,
    sequence: u64,
    who: Vec<Identity>,
}

type Lines = Vec<String>;

impl Stage {
    pub fn new() -> Self {
        let root = Actor {
            session: SessionId(0),
            connection: 0,
            sequence: 0,
            who: vec![Identity::new("super", "")],
        };
        Self {
            tags: 0,
            state: State::new(Uid([7; 16])),
            now: 1000,
            actors: [("root".to_string(), root)].into(),
            watches: Watches::new(),
            backups: BTreeMap::new(),
        }
    }

    pub fn play(&mut self, line: &str) -> Lines {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "time" => {
                self.now = number(rest);
                Vec::new()
            }
            "term" => {
                self.state.begin_term(Term(number(rest)));
                vec![format!("zxid {:x}", self.state.zxid().0)]
            }
            "open" => self.open(rest),
            "attach" => self.attach(rest),
            "expire" => self.expire(rest),
            "reap" => {
                let path = rest.into();
                self.system(Command::Reap { path })
            }
            "reapable" => paths(self.state.reapable(Millis(self.now), number(rest) as usize)),
            "members" => self.members(rest),
            "import" => self.import(rest),
            "backup" => self.backup(rest),
            "restore" => self.restore(rest),
            "config" => self.config(),
            "brokers" => topics::standing(&self.state),
            "figures" => vec![format!("{:?}", self.state.figures())],
            "digest-is-kept-by" => self.keeps_digest(rest),
            "snapshot" => self.snapshot(),
            _ => self.act(word, rest),
        }
    }

    fn submit(&mut self, actor: &str, command: Command) -> Lines {
        let actor = self.actors.get_mut(actor).expect("the actor is known");
        actor.sequence += 1;
        self.tags += 1;
        let submission = Submission {
            origin: NodeId(1),
            tag: self.tags,
            session: actor.session,
            connection: actor.connection,
            sequence: actor.sequence,
            who: actor.who.clone(),
            command,
        };
        self.apply(submission)
    }

    fn system(&mut self, command: Command) -> Lines {
        self.submit("root", command)
    }

    /// By way of the bytes in which it travels.
    fn apply(&mut self, submission: Submission) -> Lines {
        let bytes = codec::encode(1, &submission);
        assert_eq!(codec::decode(1, &bytes), Ok(submission.clone()));
        let before = self.state.zxid();
        let mut changes = Vec::new();
        let applied = self
            .state
            .apply(Millis(self.now), &submission, &mut changes);
        let mut lines = vec![match &applied.outcome {
            Ok(outcome) => shown(outcome),
            Err(error) => format!("{error:?}"),
        }];
        if applied.zxid == before {
            lines[0].push_str(", no zxid");
        }
        for change in &changes {
            lines.extend(self.tell(change));
        }
        if let Ok(Outcome::Attached {
            session,
            connection,
            ..
        }) = applied.outcome
        {
            let actors = self.actors.values_mut();
            for actor in actors.filter(|actor| actor.session == session) {
                (actor.connection, actor.sequence) = (connection, 0);
            }
        }
        lines
    }

    fn tell(&mut self, change: &Change) -> Lines {
        let concerned = self.watches.trigger(change);
        let named = |session: &u64| {
            let mut actors = self.actors.iter();
            let found = actors.find(|(_, actor)| actor.session.0 == *session);
            let (name, actor) = found.expect("watchers are actors");
            let may = self.state.may_read(&change.acl, &actor.who);
            let kind = match change.kind {
                ChangeKind::Created => "created",
                ChangeKind::Deleted => "deleted",
                ChangeKind::DataChanged => "changed",
                ChangeKind::ChildrenChanged => "children of",
            };
            may.then(|| format!("{name} sees {kind} {}", change.path))
        };
        concerned.iter().filter_map(named).collect()
    }

    fn open(&mut self, rest: &str) -> Lines {
        let (name, timeout) = rest.split_once(' ').unwrap_or((rest, "10000"));
        let session = SessionId(self.actors.len() as u64);
        let actor = Actor {
            session,
            connection: 1,
            sequence: 0,
            who: vec![Identity::new("ip", "10.0.0.9")],
        };
        self.actors.insert(name.into(), actor);
        self.system(Command::OpenSession(OpenSession {
            session,
            password: password(name),
            timeout_ms: number(timeout) as u32,
        }))
    }

    /// `attach NAME [with PASSWORD-OF]`.
    fn attach(&mut self, rest: &str) -> Lines {
        let (name, known) = rest.split_once(" with ").unwrap_or((rest, rest));
        self.system(Command::AttachSession(AttachSession {
            session: self.actors[name].session,
            password: password(known),
            timeout_ms: 10_000,
        }))
    }

    /// `expire NAME [CONNECTION]`.
    fn expire(&mut self, rest: &str) -> Lines {
        let (name, connection) = rest.split_once(' ').unwrap_or((rest, ""));
        let actor = &self.actors[name];
        let (session, current) = (actor.session, actor.connection);
        let connection = match connection {
            "" => current,
            connection => number(connection) as u32,
        };
        self.system(Command::ExpireSession {
            session,
            connection,
        })
    }

    fn act(&mut self, name: &str, line: &str) -> Lines {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let who = self.actors[name].who.clone();
        let session = self.actors[name].session;
        let state = &self.state;
        match word {
            "auth" => {
                let (scheme, id) = rest.split_once(':').expect("scheme:id");
                let actor = self.actors.get_mut(name).expect("the actor is known");
                actor.who.push(Identity::new(scheme, id));
                Vec::new()
            }
            "loses" => {
                let actor = self.actors.get_mut(name).expect("the actor is known");
                actor.sequence += number(rest);
                Vec::new()
            }
            "repeats" => {
                let actor = self.actors.get_mut(name).expect("the actor is known");
                actor.sequence -= number(rest);
                Vec::new()
            }
            "moves" => {
                let actor = self.actors.get_mut(name).expect("the actor is known");
                actor.connection = number(rest) as u32;
                Vec::new()
            }
            "close" => self.submit(name, Command::CloseSession),
            "multi" => {
                let writes = rest.split(';').map(|one| write(one.trim())).collect();
                self.submit(name, Command::Multi(writes))
            }
            "reconfig" => self.reconfig(name, rest),
            "streams" => {
                let command = topics::read(state, rest);
                self.submit(name, Command::Streams(command))
            }
            "watch" | "has" | "unwatch" => self.watch(word, session.0, rest),
            "get" => told(state.data(rest, &who), |(data, stat)| {
                let text = data.bytes().map_or("nothing".into(), |bytes| {
                    let text = String::from_utf8_lossy(bytes).replace('\n', "|");
                    format!("{text:?}")
                });
                vec![text, figures(&stat)]
            }),
            "stat" => told(state.exists(rest, &who), |stat| vec![figures(&stat)]),
            "ls" => told(state.children(rest, &who), |(names, _)| {
                vec![format!("[{}]", names.join(" "))]
            }),
            "count" => told(state.children_count(rest, &who), |n| vec![n.to_string()]),
            "acl" => told(state.acl(rest, &who), |(acl, _)| {
                let entry = |entry: &AclEntry| {
                    let Identity { scheme, id } = &entry.who;
                    format!("{scheme}:{id}:{}", letters(entry.permissions))
                };
                acl.iter().map(entry).collect()
            }),
            "ephemerals" => paths(state.ephemerals(session, rest)),
            _ => self.submit(name, Command::Write(write(line))),
        }
    }

    fn watch(&mut self, word: &str, session: u64, rest: &str) -> Lines {
        let (kind, path) = rest.split_once(' ').expect("kind path");
        let selection = match kind {
            "child" => WatchSelection::Children,
            "data" => WatchSelection::Data,
            "any" => WatchSelection::Any,
            "persistent" => WatchSelection::Persistent,
            _ => WatchSelection::Recursive,
        };
        let kind = match kind {
            "child" => WatchKind::Child,
            "data" => WatchKind::Data,
            "exist" => WatchKind::Exist,
            "persistent" => WatchKind::Persistent,
            _ => WatchKind::Recursive,
        };
        let done = match word {
            "watch" => self.watches.add(session, path, kind),
            "unwatch" => self.watches.remove(session, path, selection),
            _ => return vec![self.watches.has(session, path, selection).to_string()],
        };
        match done {
            Ok(()) => Vec::new(),
            Err(error) => vec![format!("{error:?}")],
        }
    }

    /// `[+SERVER ...] [-ID ...] [=ALL] [from=VERSION]`.
    fn reconfig(&mut self, name: &str, rest: &str) -> Lines {
        let part = |mark: char| {
            let parts = rest.split(' ').filter_map(|part| part.strip_prefix(mark));
            let all = parts.collect::<Vec<_>>().join(",");
            (!all.is_empty()).then(|| all.replace('~', " ").into())
        };
        let mut froms = rest
            .split(' ')
            .filter_map(|part| part.strip_prefix("from="));
        let from_version = froms.next().map_or(-1, |from| match from {
            "now" => self.state.members().changed().0 as i64,
            from => from.parse().expect("a number"),
        });
        let asked = Reconfigure {
            joining: part('+'),
            leaving: part('-'),
            members: part('='),
            from_version,
        };
        self.submit(name, Command::Reconfigure(asked))
    }

    fn members(&mut self, rest: &str) -> Lines {
        let words: Vec<&str> = rest.split(' ').collect();
        let token = |name: &str| password(name)[..8].try_into().expect("eight bytes");
        let hash = |name: &str| [password(name), password(name)].concat().try_into();
        let hash = |name: &str| hash(name).expect("32 bytes");
        let node = |word: &str| NodeId(number(word));
        let role = |word: &str| match word {
            "voter" => Role::Voter,
            _ => Role::Learner,
        };
        let member = |word: &str, certificate: &str| Member {
            node: node(word),
            role: Role::Voter,
            control: format!("10.0.0.{word}:7300").into(),
            bulk: format!("10.0.0.{word}:7301").into(),
            doors: vec![("zookeeper".into(), format!("10.0.0.{word}:2181").into())],
            certificate: number(certificate),
        };
        let command = match words[..] {
            ["found", id] => MemberCommand::Found(member(id, "1")),
            ["announce", id, certificate] => MemberCommand::Announce(member(id, certificate)),
            ["token", name, as_what, until] => MemberCommand::CreateToken {
                id: token(name),
                secret_hash: hash(name),
                role: role(as_what),
                until: Millis(number(until)),
            },
            ["revoke", name] => MemberCommand::RevokeToken { id: token(name) },
            ["admit", name, key] => admit(token(name), hash(name), key, None),
            ["admit", name, key, "knowing", level] => {
                let mut command = admit(token(name), hash(name), key, None);
                if let MemberCommand::Admit { features, .. } = &mut command {
                    *features = number(level) as u32;
                }
                command
            }
            ["admit", name, key, "guessing"] => admit(token(name), hash("guess"), key, None),
            ["admit", name, key, old] => admit(token(name), hash(name), key, Some(node(old))),
            ["role", id, as_what] => MemberCommand::SetRole {
                node: node(id),
                role: role(as_what),
            },
            ["renew", id] => MemberCommand::Renew { node: node(id) },
            ["remove", id] => MemberCommand::Remove { node: node(id) },
            ["room", id, how] => MemberCommand::Room {
                node: node(id),
                is_short: match how {
                    "short" => true,
                    "enough" => false,
                    _ => panic!("{how:?} is neither short nor enough"),
                },
            },
            ["raise", level] => MemberCommand::RaiseFeatures {
                level: number(level) as u32,
                members_of: self.state.members().changed(),
            },
            ["raise", level, "of", changed] => MemberCommand::RaiseFeatures {
                level: number(level) as u32,
                members_of: Zxid(number(changed)),
            },
            _ => panic!("what is {rest:?}?"),
        };
        let mut lines = self.system(Command::Members(command));
        let promised: Vec<u64> = self.state.members().promised().map(|node| node.0).collect();
        if !promised.is_empty() {
            lines.push(format!("promised a vote: {promised:?}"));
        }
        lines
    }

    /// `PATH DATA [ZXID [OWNER]]; ...`, or nothing but the path.
    fn import(&mut self, rest: &str) -> Lines {
        let node = |text: &str| {
            let words: Vec<&str> = text.trim().split(' ').collect();
            let zxid = words.get(2).map_or(5, |word| number(word));
            let owner = words.get(3).map_or(0, |word| number(word));
            ImportedNode {
                path: words[0].into(),
                data: words.get(1).unwrap_or(&"").as_bytes().into(),
                acl: anyone(),
                stat: Stat {
                    created_zxid: dolmen::ids::Zxid(zxid),
                    modified_zxid: dolmen::ids::Zxid(zxid),
                    children_zxid: dolmen::ids::Zxid(zxid),
                    created: Millis(77),
                    modified: Millis(78),
                    version: 3,
                    children_version: 9,
                    acl_version: 1,
                    owner,
                    data_length: words.get(1).map_or(0, |data| data.len() as i32),
                    children: 0,
                },
            }
        };
        let nodes = rest.split(';').map(node).collect();
        let mut lines = self.system(Command::Import(nodes));
        lines.push(format!("zxid {:x}", self.state.zxid().0));
        lines
    }

    fn backup(&mut self, name: &str) -> Lines {
        let backup = Backup::of(&mut self.state, Uid(password(name)), || 3);
        let line = format!("{:?}", backup.begun);
        self.backups.insert(name.into(), backup);
        vec![line]
    }

    fn restore(&mut self, rest: &str) -> Lines {
        let (step, name) = rest.split_once(' ').unwrap_or((rest, ""));
        let backup = Uid(password(name));
        let named = self.backups.get(name).cloned();
        let named = named.unwrap_or_default();
        let steps = match step {
            "begin" => vec![RestoreStep::Begin { discards: false }],
            "discard" => vec![RestoreStep::Begin { discards: true }],
            "empty" => vec![RestoreStep::Empty],
            "fill" => named.fills().collect(),
            "half-fill" => named.fills().take(1).collect(),
            "end" => vec![named.end()],
            "give-up" => vec![RestoreStep::GiveUp { discards: false }],
            "give-all-up" => vec![RestoreStep::GiveUp { discards: true }],
            _ => panic!("what is restore {step}?"),
        };
        let steps = steps.into_iter();
        let lines = steps.flat_map(|step| self.system(Command::Restore(Restore { backup, step })));
        lines.collect()
    }

    fn config(&self) -> Lines {
        let (config, stat) = self.state.data("/zookeeper/config", &[]).expect("all may");
        let config = String::from_utf8_lossy(&config);
        let lines = config.lines().map(String::from);
        lines.chain([figures(&stat)]).collect()
    }

    /// Plays a command and says whether anything but the number has changed.
    fn keeps_digest(&mut self, rest: &str) -> Lines {
        let before = bare(&self.state);
        let mut lines = self.play(rest);
        let kept = bare(&self.state) == before;
        lines.push(if kept { "kept" } else { "not kept" }.into());
        lines
    }

    /// Takes a snapshot, goes on with what was loaded from it.
    fn snapshot(&mut self) -> Lines {
        let digest = self.state.digest();
        self.state.begin_walk();
        let mut loader = Loader::knowing(9);
        while let Some(frame) = self.state.walk_slice(3) {
            if let Err(error) = loader.frame(&frame) {
                return vec![error.to_string()];
            }
        }
        match loader.finish() {
            Ok(state) => {
                let same = state.digest() == digest && state.figures() == self.state.figures();
                self.state = state;
                vec![if same { "the same" } else { "another" }.into()]
            }
            Err(error) => vec![error.to_string()],
        }
    }
}

/// The tree as a text, and what stands beside it, without the numbers that
/// every transaction raises.
pub fn bare(state: &State) -> String {
    let mut text = String::new();
    let root = [Identity::new("super", "")];
    let mut waiting = vec![String::from("/")];
    while let Some(path) = waiting.pop() {
        let (data, stat) = state.data(&path, &root).expect("root may");
        let (acl, _) = state.acl(&path, &root).expect("root may");
        text.push_str(&format!("{path} {data:?} {stat:?} {acl:?}\n"));
        let (names, _) = state.children(&path, &root).expect("root may");
        let above = if path == "/" { "" } else { &path };
        waiting.extend(names.iter().map(|name| format!("{above}/{name}")));
    }
    let (settings, members) = (state.settings(), state.members());
    text + &format!("{settings:?} {members:?} {:?}", state.topics())
}

fn admit(token: [u8; 8], secret_hash: [u8; 32], key: &str, old: Option<NodeId>) -> MemberCommand {
    MemberCommand::Admit {
        token,
        secret_hash,
        public_key: key.as_bytes().into(),
        control: format!("{key}:7300").into(),
        bulk: format!("{key}:7301").into(),
        in_place_of: old,
        features: 9,
    }
}

fn password(name: &str) -> [u8; 16] {
    std::array::from_fn(|n| *name.as_bytes().get(n).unwrap_or(&b'.'))
}

fn number(text: &str) -> u64 {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).expect("a number"),
        None => text.parse().expect("a number"),
    }
}

fn write(line: &str) -> Write {
    let mut words = line.split(' ');
    let kind = words.next().expect("a command");
    let path: Box<str> = words.next().expect("a path").replace('~', " ").into();
    let mut version = -1;
    let mut data = Data::from([]);
    let mut acl = anyone();
    let (mut node_kind, mut is_sequential) = (NodeKind::Persistent, false);
    for word in words {
        match word.split_once('=').unwrap_or((word, "")) {
            ("v", wanted) => version = wanted.parse().expect("a version"),
            ("acl", list) => {
                acl = list
                    .split(',')
                    .filter(|one| !one.is_empty())
                    .map(entry)
                    .collect()
            }
            ("ttl", ms) => node_kind = NodeKind::Ttl { ttl_ms: number(ms) },
            ("ephemeral", _) => node_kind = NodeKind::Ephemeral,
            ("container", _) => node_kind = NodeKind::Container,
            ("seq", _) => is_sequential = true,
            ("nothing", _) => data = Data::NOTHING,
            _ => data = word.as_bytes().into(),
        }
    }
    match kind {
        "create" => Write::Create(Create {
            path,
            data,
            acl,
            kind: node_kind,
            is_sequential,
        }),
        "delete" => Write::Delete { path, version },
        "set" => Write::SetData {
            path,
            data,
            version,
        },
        "setacl" => Write::SetAcl { path, acl, version },
        "check" => Write::Check { path, version },
        _ => panic!("what is {line:?}?"),
    }
}

const LETTERS: [(char, Permissions); 5] = [
    ('c', Permissions::CREATE),
    ('d', Permissions::DELETE),
    ('r', Permissions::READ),
    ('w', Permissions::WRITE),
    ('a', Permissions::ADMIN),
];

/// `scheme:id:cdrwa`; the id may have colons.
fn entry(text: &str) -> AclEntry {
    let (scheme, rest) = text.split_once(':').expect("scheme:id:permissions");
    let (id, given) = rest.rsplit_once(':').expect("scheme:id:permissions");
    let given = LETTERS.iter().filter(|(letter, _)| given.contains(*letter));
    AclEntry {
        permissions: Permissions(given.fold(0, |all, (_, one)| all | one.0)),
        who: Identity::new(scheme, id),
    }
}

fn letters(permissions: Permissions) -> String {
    let given = LETTERS.iter().filter(|(_, one)| permissions.has(*one));
    given.map(|(letter, _)| letter).collect()
}

fn anyone() -> Acl {
    vec![entry("world:anyone:cdrwa")]
}

fn shown(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Created { path, .. } => format!("created {path}"),
        Outcome::Deleted => "deleted".into(),
        Outcome::Set(stat) => format!("set, version {} acl {}", stat.version, stat.acl_version),
        Outcome::Checked => "checked".into(),
        Outcome::Multi(outcomes) => {
            let one = |outcome: &Result<Outcome, Error>| match outcome {
                Ok(outcome) => shown(outcome),
                Err(error) => format!("{error:?}"),
            };
            let all: Vec<String> = outcomes.iter().map(one).collect();
            format!("[{}]", all.join("; "))
        }
        Outcome::Attached {
            timeout_ms,
            connection,
            ..
        } => format!("attached, connection {connection}, timeout {timeout_ms}"),
        Outcome::Closed => "closed".into(),
        Outcome::Reconfigured { config, .. } => {
            format!("reconfigured {:?}", String::from_utf8_lossy(config))
        }
        Outcome::Members(MemberOutcome::Done) | Outcome::Done => "done".into(),
        Outcome::Members(MemberOutcome::Admitted { node, serial }) => {
            format!("admitted as node {node}, serial {serial}")
        }
        Outcome::Members(MemberOutcome::Refused(why)) => format!("refused: {why}"),
        Outcome::Streams(outcome) => topics::shown(outcome),
        Outcome::Restore(RestoreOutcome::Stands(stands)) => format!("stands {}", stands.word()),
        Outcome::Restore(RestoreOutcome::Refused(why)) => format!("refused: {why:?}"),
        Outcome::Restore(outcome) => format!("{outcome:?}"),
    }
}

fn figures(stat: &Stat) -> String {
    format!(
        "zxids {:x} {:x} {:x} times {} {} versions {} {} {} owner {:x} length {} children {}",
        stat.created_zxid.0,
        stat.modified_zxid.0,
        stat.children_zxid.0,
        stat.created.0,
        stat.modified.0,
        stat.version,
        stat.children_version,
        stat.acl_version,
        stat.owner,
        stat.data_length,
        stat.children,
    )
}

fn told<T>(read: Result<T, Error>, show: impl FnOnce(T) -> Lines) -> Lines {
    match read {
        Ok(read) => show(read),
        Err(error) => vec![format!("{error:?}")],
    }
}

fn paths(paths: Vec<Box<str>>) -> Lines {
    vec![format!("[{}]", paths.join(" "))]
}
