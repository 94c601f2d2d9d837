//! What a client would like to do next: a mix that meets every kind of request
//! and makes clients meet at a few paths.

use super::history::{History, Kind, Value};
use super::link::{Asked, Part};
use dolmen::entropy::Seeded;
use dolmen::replica::desk::{Read, Request, WatchMode, WatcherKind};
use dolmen::state::{AclEntry, Command, Create, Identity, NodeKind, Permissions, Write};
use std::collections::BTreeMap;

pub const QUEUE: &str = "/q";
pub const RUNS: &str = "/b";

/// Nodes that all write to.
const SHARED: [&str; 4] = ["/r0", "/r1", "/r2", "/r3"];
/// Nodes that belong to whoever came first.
const LOCKS: [&str; 3] = ["/e0", "/e1", "/e2"];

pub struct Wish {
    pub asked: Asked,
    pub request: Request,
}

pub struct Wishes {
    client: u64,
    values: u64,
    runs: u64,
    /// The version that this client believes in, None for no node.
    believed: BTreeMap<Box<str>, Option<i32>>,
    /// Sequential nodes that it made and did not delete.
    own: Vec<Box<str>>,
}

impl Wishes {
    pub fn new(client: u64) -> Self {
        Self {
            client,
            values: 0,
            runs: 0,
            believed: BTreeMap::new(),
            own: Vec::new(),
        }
    }

    pub fn saw(&mut self, path: &str, version: Option<i32>) {
        match self.believed.get_mut(path) {
            Some(held) => *held = version,
            None => drop(self.believed.insert(path.into(), version)),
        }
    }

    pub fn owns(&mut self, path: &str) {
        self.own.push(path.into());
    }

    pub fn forget_own(&mut self) {
        self.own.clear();
    }

    fn value(&mut self) -> Value {
        self.values += 1;
        (self.client + 1) << 32 | self.values
    }

    /// For a client that is served by a node without a leader.
    pub fn read(&mut self, chance: &mut Seeded) -> Vec<Wish> {
        let path = shared(chance);
        match chance.below(4) {
            0 => vec![ping()],
            _ => vec![data(path, false)],
        }
    }

    pub fn any(
        &mut self,
        chance: &mut Seeded,
        lasting: Option<(Box<str>, Kind)>,
        history: &mut History,
    ) -> Vec<Wish> {
        let path = shared(chance);
        match chance.below(100) {
            0..=15 => vec![data(path, chance.one_in(3))],
            16..=22 => vec![exists(any_path(chance), chance.one_in(2))],
            23..=26 => vec![children(chance.one_in(2))],
            27..=36 => vec![self.set(path, -1, chance, history)],
            37..=48 => vec![self.swap(path, chance, history)],
            49..=52 => vec![self.create(path, NodeKind::Persistent, chance, history)],
            53..=55 => vec![delete(path, -1, history)],
            56..=60 => vec![self.create(lock(chance), NodeKind::Ephemeral, chance, history)],
            61 => vec![delete(lock(chance), -1, history)],
            62..=66 => vec![self.enqueue(chance, history)],
            67..=69 => match self.own.pop() {
                Some(own) => vec![delete(&own, -1, history)],
                None => vec![ping()],
            },
            70..=76 => vec![self.multi(chance, history)],
            77..=84 => vec![sync(), data(path, false)],
            85..=87 => vec![ping()],
            88 | 89 => vec![add_watch(chance)],
            90 => match lasting {
                Some((path, kind)) => vec![remove_watch(&path, kind)],
                None => vec![remove_watch(path, Kind::Persistent)],
            },
            91..=93 => {
                // Its own watch must speak before its own answer does.
                let watch = data(path, true);
                vec![
                    watch,
                    self.set(path, -1, chance, history),
                    data(path, false),
                ]
            }
            _ => self.run(chance, history),
        }
    }

    /// What shows at the end that the client is served.
    pub fn last(&mut self, chance: &mut Seeded, history: &mut History) -> Vec<Wish> {
        let mut list = self.run(chance, history);
        list.push(sync());
        list.extend(SHARED.map(|path| data(path, false)));
        list
    }

    fn set(
        &mut self,
        path: &str,
        version: i32,
        chance: &mut Seeded,
        history: &mut History,
    ) -> Wish {
        let value = self.value();
        history.attempt(value, path);
        let part = Part::Set {
            path: path.into(),
            value,
            version,
        };
        let write = Write::SetData {
            path: path.into(),
            data: bytes(value, chance).into(),
            version,
        };
        wish(vec![part], Command::Write(write))
    }

    /// Compare and set, by the version that was seen last.
    fn swap(&mut self, path: &str, chance: &mut Seeded, history: &mut History) -> Wish {
        match self.believed.get(path) {
            Some(Some(version)) => self.set(path, *version, chance, history),
            Some(None) => self.create(path, NodeKind::Persistent, chance, history),
            None => data(path, false),
        }
    }

    fn create(
        &mut self,
        path: &str,
        kind: NodeKind,
        chance: &mut Seeded,
        history: &mut History,
    ) -> Wish {
        let value = self.value();
        history.attempt(value, path);
        let part = Part::Create {
            path: path.into(),
            value,
            is_sequential: false,
            run: None,
        };
        let write = Write::Create(creation(path, bytes(value, chance), kind, false));
        wish(vec![part], Command::Write(write))
    }

    fn enqueue(&mut self, chance: &mut Seeded, history: &mut History) -> Wish {
        let value = self.value();
        let path = format!("{QUEUE}/n-");
        history.attempt(value, &path);
        let kind = match chance.one_in(2) {
            true => NodeKind::Ephemeral,
            false => NodeKind::Persistent,
        };
        let part = Part::Create {
            path: path.as_str().into(),
            value,
            is_sequential: true,
            run: None,
        };
        let write = Write::Create(creation(&path, bytes(value, chance), kind, true));
        wish(vec![part], Command::Write(write))
    }

    /// Creates sent one behind the other, each without waiting for the last.
    fn run(&mut self, chance: &mut Seeded, history: &mut History) -> Vec<Wish> {
        self.runs += 1;
        let run = self.runs;
        let count = 3 + chance.below(8) as u32;
        let create = |place: u32| {
            let path = format!("{RUNS}/{}-{run}-{place}", self.client);
            let value = self.value();
            history.attempt(value, &path);
            let part = Part::Create {
                path: path.as_str().into(),
                value,
                is_sequential: false,
                run: Some(run as u32 * 1000 + place),
            };
            let data = value.to_le_bytes().as_slice().into();
            let write = Write::Create(creation(&path, data, NodeKind::Persistent, false));
            wish(vec![part], Command::Write(write))
        };
        (0..count).map(create).collect()
    }

    /// Two shared nodes change together, or neither does.
    fn multi(&mut self, chance: &mut Seeded, history: &mut History) -> Wish {
        let one = chance.below(SHARED.len() as u64) as usize;
        let other = (one + 1) % SHARED.len();
        let (mut parts, mut writes) = (Vec::new(), Vec::new());
        if let Some(Some(version)) = self.believed.get(SHARED[one]) {
            parts.push(Part::Check);
            writes.push(Write::Check {
                path: SHARED[one].into(),
                version: *version,
            });
        }
        for path in [SHARED[one], SHARED[other]] {
            let Wish {
                asked: Asked::Write(mut part),
                request: Request::Submit(Command::Write(write)),
            } = (match chance.below(6) {
                0 => delete(path, -1, history),
                1 => self.create(path, NodeKind::Persistent, chance, history),
                _ => self.set(path, -1, chance, history),
            })
            else {
                unreachable!("each is one write");
            };
            parts.append(&mut part);
            writes.push(write);
        }
        wish(parts, Command::Multi(writes))
    }
}

pub fn creation(
    path: &str,
    data: std::sync::Arc<[u8]>,
    kind: NodeKind,
    is_sequential: bool,
) -> Create {
    let open = AclEntry {
        permissions: Permissions::ALL,
        who: Identity::new("world", "anyone"),
    };
    Create {
        path: path.into(),
        data: data.into(),
        acl: vec![open],
        kind,
        is_sequential,
    }
}

fn wish(parts: Vec<Part>, command: Command) -> Wish {
    Wish {
        asked: Asked::Write(parts),
        request: Request::Submit(command),
    }
}

/// Mostly short, now and then past a page, rarely past what the journal takes.
fn bytes(value: Value, chance: &mut Seeded) -> std::sync::Arc<[u8]> {
    let more = match chance.below(40) {
        0 => 20_000,
        1..=3 => 5000,
        _ => 40,
    };
    let mut bytes = value.to_le_bytes().to_vec();
    bytes.resize(8 + chance.below(more) as usize, value as u8);
    bytes.into()
}

fn shared(chance: &mut Seeded) -> &'static str {
    SHARED[chance.below(SHARED.len() as u64) as usize]
}

fn lock(chance: &mut Seeded) -> &'static str {
    LOCKS[chance.below(LOCKS.len() as u64) as usize]
}

fn any_path(chance: &mut Seeded) -> &'static str {
    match chance.one_in(3) {
        true => lock(chance),
        false => shared(chance),
    }
}

fn data(path: &str, watch: bool) -> Wish {
    let path: Box<str> = path.into();
    Wish {
        asked: Asked::Data {
            path: path.clone(),
            watch,
        },
        request: Request::Read(Read::Data { path, watch }),
    }
}

fn exists(path: &str, watch: bool) -> Wish {
    let path: Box<str> = path.into();
    Wish {
        asked: Asked::Exists {
            path: path.clone(),
            watch,
        },
        request: Request::Read(Read::Exists { path, watch }),
    }
}

fn children(watch: bool) -> Wish {
    let path: Box<str> = QUEUE.into();
    Wish {
        asked: Asked::Children {
            path: path.clone(),
            watch,
        },
        request: Request::Read(Read::Children { path, watch }),
    }
}

fn delete(path: &str, version: i32, history: &mut History) -> Wish {
    let part = Part::Delete {
        path: path.into(),
        number: history.delete(path),
    };
    let write = Write::Delete {
        path: path.into(),
        version,
    };
    wish(vec![part], Command::Write(write))
}

fn sync() -> Wish {
    Wish {
        asked: Asked::Sync,
        request: Request::Sync,
    }
}

fn ping() -> Wish {
    Wish {
        asked: Asked::Ping,
        request: Request::Ping,
    }
}

fn add_watch(chance: &mut Seeded) -> Wish {
    let (path, kind, mode) = match chance.below(3) {
        0 => (QUEUE, Kind::Recursive, WatchMode::PersistentRecursive),
        1 => (QUEUE, Kind::Persistent, WatchMode::Persistent),
        _ => (shared(chance), Kind::Persistent, WatchMode::Persistent),
    };
    Wish {
        asked: Asked::AddWatch {
            path: path.into(),
            kind,
        },
        request: Request::AddWatch {
            path: path.into(),
            mode,
        },
    }
}

fn remove_watch(path: &str, kind: Kind) -> Wish {
    let selection = match kind {
        Kind::Recursive => WatcherKind::PersistentRecursive,
        _ => WatcherKind::Persistent,
    };
    Wish {
        asked: Asked::RemoveWatch {
            path: path.into(),
            kind,
        },
        request: Request::RemoveWatches {
            path: path.into(),
            kind: selection,
            only_check: false,
        },
    }
}
