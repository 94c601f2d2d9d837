//! A naive state to compare with: a flat map from path to node, a multi by
//! copying the whole of it. It knows the tree and nothing else.

use super::dice::Dice;
use super::script::bare;
use crate::full;
use dolmen::ids::{SessionId, Uid, Zxid};
use dolmen::state::{
    Acl, AclEntry, Command, Create, Data, Error, Identity, NodeKind, Outcome, Permissions, State,
    Submission, Write,
};
use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq)]
struct Naive {
    data: Data,
    acl: Acl,
    owner: u64,
    version: i32,
    acl_version: i32,
    creations: i32,
    deletions: i32,
    created: (Zxid, u64),
    modified: (Zxid, u64),
    children_zxid: Zxid,
}

#[derive(Clone, Default)]
struct Model {
    nodes: BTreeMap<String, Naive>,
}

struct Sender<'a> {
    session: SessionId,
    who: &'a [Identity],
    zxid: Zxid,
    now: u64,
}

fn is_session(owner: u64) -> bool {
    owner != 0 && owner >> 56 == 0
}

fn parent_of(path: &str) -> String {
    match path.rsplit_once('/') {
        Some(("", _)) | None => "/".into(),
        Some((above, _)) => above.into(),
    }
}

impl Model {
    fn new() -> Self {
        let root = Naive {
            data: [].into(),
            acl: vec![AclEntry {
                permissions: Permissions::ALL,
                who: Identity::new("world", "anyone"),
            }],
            owner: 0,
            version: 0,
            acl_version: 0,
            creations: 0,
            deletions: 0,
            created: (Zxid(0), 0),
            modified: (Zxid(0), 0),
            children_zxid: Zxid(0),
        };
        Self {
            nodes: [("/".to_string(), root)].into(),
        }
    }

    fn children(&self, path: &str) -> usize {
        let is_child = |other: &&String| *other != "/" && parent_of(other) == path;
        self.nodes.keys().filter(is_child).count()
    }

    fn may(&self, path: &str, wanted: Permissions, who: &[Identity]) -> Result<(), Error> {
        let node = self.nodes.get(path).ok_or(Error::NoNode)?;
        let is_given = |entry: &AclEntry| {
            entry.permissions.0 & wanted.0 != 0
                && (&*entry.who.scheme == "world" || who.contains(&entry.who))
        };
        match node.acl.iter().any(is_given) {
            true => Ok(()),
            false => Err(Error::NoAuth),
        }
    }

    fn write(&mut self, sender: &Sender, write: &Write) -> Result<Option<String>, Error> {
        let differs = |actual: i32, wanted: i32| wanted != -1 && wanted != actual;
        match write {
            Write::Create(create) => self.create(sender, create).map(Some),
            Write::Delete { path, version } => {
                let above = parent_of(path);
                self.may(&above, Permissions::DELETE, sender.who)?;
                let node = self.nodes.get(&**path).ok_or(Error::NoNode)?;
                if differs(node.version, *version) {
                    return Err(Error::BadVersion);
                }
                if self.children(path) > 0 {
                    return Err(Error::NotEmpty);
                }
                self.delete(path, sender.zxid);
                Ok(None)
            }
            Write::SetData {
                path,
                data,
                version,
            } => {
                self.may(path, Permissions::WRITE, sender.who)?;
                let node = self.nodes.get_mut(&**path).ok_or(Error::NoNode)?;
                if differs(node.version, *version) {
                    return Err(Error::BadVersion);
                }
                node.data = data.clone();
                node.version += 1;
                node.modified = (sender.zxid, sender.now);
                Ok(None)
            }
            Write::SetAcl { path, acl, version } => {
                let acl = resolved(acl, sender.who)?;
                self.may(path, Permissions::ADMIN, sender.who)?;
                let node = self.nodes.get_mut(&**path).ok_or(Error::NoNode)?;
                if differs(node.acl_version, *version) {
                    return Err(Error::BadVersion);
                }
                node.acl = acl;
                node.acl_version += 1;
                Ok(None)
            }
            Write::Check { path, version } => {
                self.may(path, Permissions::READ, sender.who)?;
                match differs(self.nodes[&**path].version, *version) {
                    true => Err(Error::BadVersion),
                    false => Ok(None),
                }
            }
        }
    }

    fn create(&mut self, sender: &Sender, create: &Create) -> Result<String, Error> {
        let owner = match create.kind {
            NodeKind::Persistent => 0,
            NodeKind::Ephemeral if sender.session.0 == 0 => return Err(Error::BadArguments),
            NodeKind::Ephemeral => sender.session.0,
            NodeKind::Container => 1 << 63,
            NodeKind::Ttl { ttl_ms } => 0xff00_0000_0000_0000 + ttl_ms,
        };
        let acl = resolved(&create.acl, sender.who)?;
        let above = parent_of(&create.path);
        self.may(&above, Permissions::CREATE, sender.who)?;
        let parent = self.nodes[&above].clone();
        let path = match create.is_sequential {
            true => format!("{}{:010}", create.path, parent.creations),
            false => create.path.to_string(),
        };
        if self.nodes.contains_key(&path) {
            return Err(Error::NodeExists);
        }
        if is_session(parent.owner) {
            return Err(Error::NoChildrenForEphemerals);
        }
        let parent = self.nodes.get_mut(&above).expect("just seen");
        parent.creations += 1;
        parent.children_zxid = sender.zxid;
        let node = Naive {
            data: create.data.clone(),
            acl,
            owner,
            version: 0,
            acl_version: 0,
            creations: 0,
            deletions: 0,
            created: (sender.zxid, sender.now),
            modified: (sender.zxid, sender.now),
            children_zxid: sender.zxid,
        };
        self.nodes.insert(path.clone(), node);
        Ok(path)
    }

    fn delete(&mut self, path: &str, zxid: Zxid) {
        self.nodes.remove(path);
        let parent = self.nodes.get_mut(&parent_of(path)).expect("parents stay");
        parent.deletions += 1;
        parent.children_zxid = zxid;
    }

    fn multi(&mut self, sender: &Sender, writes: &[Write]) -> Vec<Result<Option<String>, Error>> {
        let before = self.clone();
        let mut outcomes: Vec<_> = Vec::new();
        for write in writes {
            outcomes.push(self.write(sender, write));
            if outcomes[outcomes.len() - 1].is_err() {
                *self = before;
                let failed = outcomes.len() - 1;
                outcomes[..failed].fill(Ok(None));
                outcomes.resize(writes.len(), Err(Error::NotReached));
                return outcomes;
            }
        }
        outcomes
    }

    fn end_session(&mut self, session: SessionId, zxid: Zxid) {
        let is_of =
            |(path, node): (&String, &Naive)| (node.owner == session.0).then(|| path.clone());
        for path in self.nodes.iter().filter_map(is_of).collect::<Vec<_>>() {
            self.delete(&path, zxid);
        }
    }

    /// Follows what the state did with a submission, and says whether the two
    /// agree about what came of it.
    fn follow(
        &mut self,
        submission: &Submission,
        now: u64,
        zxid: Zxid,
        outcome: &Result<Outcome, Error>,
    ) {
        let sender = Sender {
            session: submission.session,
            who: &submission.who,
            zxid,
            now,
        };
        let refused = [
            Error::Gap,
            Error::Repeat,
            Error::SessionMoved,
            Error::SessionExpired,
        ];
        if outcome.as_ref().is_err_and(|error| refused.contains(error)) {
            return;
        }
        match &submission.command {
            Command::Write(write) => {
                let own = self.write(&sender, write);
                agree(&own, outcome);
            }
            Command::Multi(writes) => {
                let own = self.multi(&sender, writes);
                let Ok(Outcome::Multi(outcomes)) = outcome else {
                    panic!("a multi came to {outcome:?}");
                };
                assert_eq!(own.len(), outcomes.len());
                own.iter()
                    .zip(outcomes)
                    .for_each(|(own, its)| agree(own, its));
            }
            Command::CloseSession if outcome.is_ok() => {
                self.end_session(submission.session, zxid);
            }
            Command::ExpireSession { session, .. } if outcome.is_ok() => {
                self.end_session(*session, zxid);
            }
            Command::Reap { path } => self.reap(path, now, zxid, outcome),
            _ => {}
        }
    }

    fn reap(&mut self, path: &str, now: u64, zxid: Zxid, outcome: &Result<Outcome, Error>) {
        let node = self.nodes.get(path);
        let is_due = node.is_some_and(|node| match node.owner {
            owner if owner == 1 << 63 => node.creations > 0,
            owner => owner >> 56 == 0xff && now - node.modified.1 > owner & 0xff_ffff_ffff,
        });
        assert_eq!(
            outcome.is_ok(),
            is_due && self.children(path) == 0,
            "{path}"
        );
        if outcome.is_ok() {
            self.delete(path, zxid);
        }
    }

    /// Every node of the two is the same.
    fn compare(&self, state: &State) {
        let root = [Identity::new("super", "")];
        let theirs = state.children_count("/", &root).unwrap();
        let below = |path| state.children_count(path, &root).unwrap() + 1;
        let system = below("/zookeeper") + below("/dolmen");
        assert_eq!(theirs - system, self.nodes.len() as u32 - 1);
        for (path, node) in self.nodes.iter().filter(|(path, _)| *path != "/") {
            let (data, stat) = state.data(path, &root).unwrap();
            let (acl, _) = state.acl(path, &root).unwrap();
            let naive = Naive {
                data: data.clone(),
                acl,
                owner: node.owner,
                version: stat.version,
                acl_version: stat.acl_version,
                creations: node.creations,
                deletions: stat.children_version - node.creations,
                created: (stat.created_zxid, stat.created.0),
                modified: (stat.modified_zxid, stat.modified.0),
                children_zxid: stat.children_zxid,
            };
            assert_eq!(&naive, node, "{path}");
            // Clients see no owner of a container or of a node with a TTL.
            let owner = Some(node.owner).filter(|&owner| is_session(owner));
            assert_eq!(stat.owner, owner.unwrap_or(0), "{path}");
            assert_eq!(stat.children as usize, self.children(path), "{path}");
            assert_eq!(stat.data_length as usize, data.len());
        }
    }
}

fn resolved(acl: &Acl, who: &[Identity]) -> Result<Acl, Error> {
    let entry = &acl[0];
    match &*entry.who.scheme {
        "nobody" => Err(Error::InvalidAcl),
        "auth" => Ok(vec![AclEntry {
            permissions: entry.permissions,
            who: who[0].clone(),
        }]),
        _ => Ok(acl.clone()),
    }
}

fn agree(own: &Result<Option<String>, Error>, its: &Result<Outcome, Error>) {
    match (own, its) {
        (Ok(Some(path)), Ok(Outcome::Created { path: its, .. })) => assert_eq!(path, &**its),
        (Ok(None), Ok(Outcome::Deleted | Outcome::Set(_) | Outcome::Checked)) => {}
        (Err(own), Err(its)) => assert_eq!(own, its),
        _ => panic!("{own:?} is not {its:?}"),
    }
}

#[test]
fn the_tree_does_what_a_naive_one_does() {
    let seeds = if full() { 2000 } else { 30 };
    for seed in 1..=seeds {
        let mut dice = Dice::new(seed);
        let mut state = State::new(Uid([1; 16]));
        let mut model = Model::new();
        for _ in 0..300 {
            let submission = dice.submission(&state);
            let is_write = matches!(submission.command, Command::Write(_));
            let before = (is_write && dice.seeded.one_in(4)).then(|| bare(&state));
            let applied = state.apply(dice.now, &submission, &mut Vec::new());
            model.follow(&submission, dice.now.0, applied.zxid, &applied.outcome);
            if let (Some(before), Err(_)) = (before, &applied.outcome) {
                assert_eq!(bare(&state), before, "a failed write leaves nothing");
            }
            model.compare(&state);
        }
        let ephemerals = model
            .nodes
            .values()
            .filter(|node| node.owner != 0 && node.owner >> 56 == 0);
        let brokers = state.topics().brokers().iter();
        let up = brokers.filter(|(_, broker)| broker.up.is_some()).count();
        assert_eq!(state.figures().ephemerals, (ephemerals.count() + up) as u64);
    }
}
