//! Users, rules of access and quotas as replicated state: random commands against
//! a naive model, through the codec, through snapshots and backups, and by eyes
//! that may not see them.

use crate::full;
use dolmen::clock::Millis;
use dolmen::entropy::Seeded;
use dolmen::ids::{NodeId, SessionId, Term, Uid};
use dolmen::limits::{ACCESS_NAMED_MAX, ACL_BINDINGS_MAX, ACL_FILTERS_MAX, SCRAM_USERS_MAX};
use dolmen::state::topics::access::{
    AccessCommand, AccessOutcome, AccessRefused, AclFilter, Binding, Credential, Entity, Hosts,
    Key, Mechanism, Operations, Part, Pattern, Patterns, Permission, QuotaAlteration, QuotaKey,
    ResourceKind, Rule, Secret, UserAlteration, Whom, nodes,
};
use dolmen::state::{
    Acl, AclEntry, Command, Data, Error, Identity, Loader, Outcome, Permissions, State,
    StreamsCommand, StreamsOutcome, Submission, Write, codec,
};
use std::collections::{BTreeMap, BTreeSet};

/// Over few names, so that commands meet.
pub fn command(seeded: &mut Seeded) -> AccessCommand {
    let count = seeded.below(4);
    match seeded.below(6) {
        0 | 1 => AccessCommand::AlterUsers {
            secret: Secret([seeded.below(200) as u8; 32]),
            users: (0..count).map(|_| user(seeded)).collect(),
        },
        2 | 3 => AccessCommand::CreateAcls {
            bindings: (0..count).map(|_| binding(seeded)).collect(),
        },
        4 => AccessCommand::DeleteAcls {
            filters: (0..count).map(|_| filter(seeded)).collect(),
        },
        _ => AccessCommand::AlterQuotas {
            alterations: (0..count).map(|_| quota(seeded)).collect(),
            validates_only: seeded.one_in(5),
        },
    }
}

fn pick<T: Clone>(seeded: &mut Seeded, from: &[T]) -> T {
    from[seeded.below(from.len() as u64) as usize].clone()
}

fn name(seeded: &mut Seeded) -> Box<str> {
    pick(seeded, &["ann", "bob", "CN=box, O=ü", ""]).into()
}

fn user(seeded: &mut Seeded) -> UserAlteration {
    let count = 1 + seeded.below(2);
    let change = |seeded: &mut Seeded| {
        let mechanism = pick(seeded, &Mechanism::ALL);
        let bytes = mechanism.key_bytes() - usize::from(seeded.one_in(12));
        let key = |seeded: &mut Seeded| Key(vec![seeded.below(256) as u8; bytes].into());
        let credential = Credential {
            salt: vec![seeded.below(256) as u8; seeded.below(20) as usize].into(),
            iterations: 4095 + seeded.below(10) as u32,
            stored_key: key(seeded),
            server_key: key(seeded),
        };
        (mechanism, (!seeded.one_in(3)).then_some(credential))
    };
    UserAlteration {
        name: name(seeded),
        changes: (0..count).map(|_| change(seeded)).collect(),
    }
}

fn whom(seeded: &mut Seeded) -> Whom {
    match seeded.one_in(3) {
        true => Whom::Everybody,
        false => Whom::User(pick(seeded, &["ann", "bob"]).into()),
    }
}

fn hosts(seeded: &mut Seeded) -> Hosts {
    let texts = ["*", "10.0.0.1", "fd00::1"];
    Hosts::parse(pick(seeded, &texts)).unwrap()
}

fn operations(seeded: &mut Seeded, kind: ResourceKind) -> Operations {
    match seeded.one_in(4) {
        true => Operations::All,
        false => Operations::One(pick(seeded, kind.operations())),
    }
}

fn binding(seeded: &mut Seeded) -> Binding {
    let kind = pick(seeded, &ResourceKind::ALL);
    // Now and then one of another kind: refused.
    let other = match seeded.one_in(10) {
        true => pick(seeded, &ResourceKind::ALL),
        false => kind,
    };
    Binding {
        kind,
        pattern: pick(seeded, &Pattern::ALL),
        name: match kind {
            ResourceKind::Cluster => "kafka-cluster".into(),
            _ => pick(seeded, &["a", "ab", "*", "b/c", ""]).into(),
        },
        rule: Rule {
            permission: pick(seeded, &Permission::ALL),
            whom: whom(seeded),
            hosts: hosts(seeded),
            operations: operations(seeded, other),
        },
    }
}

fn filter(seeded: &mut Seeded) -> AclFilter {
    let kind = pick(seeded, &ResourceKind::ALL);
    let patterns = [
        Patterns::Any,
        Patterns::Covering,
        Patterns::Only(Pattern::Literal),
        Patterns::Only(Pattern::Prefixed),
    ];
    let mut some = || seeded.one_in(2);
    let [k, n, w, h, o, p] = [some(), some(), some(), some(), some(), some()];
    AclFilter {
        kind: k.then_some(kind),
        patterns: pick(seeded, &patterns),
        name: n.then(|| pick(seeded, &["a", "abc", "*"]).into()),
        whom: w.then(|| whom(seeded)),
        hosts: h.then(|| hosts(seeded)),
        operations: o.then(|| operations(seeded, kind)),
        permission: p.then(|| pick(seeded, &Permission::ALL)),
    }
}

fn quota(seeded: &mut Seeded) -> QuotaAlteration {
    let part = |seeded: &mut Seeded| match seeded.below(3) {
        0 => None,
        1 => Some(Part::Default),
        _ => Some(Part::Named(name(seeded))),
    };
    let entity = Entity {
        user: part(seeded),
        client: part(seeded),
    };
    let change = |seeded: &mut Seeded| {
        let rate = (!seeded.one_in(3)).then(|| seeded.below(3) * (u64::MAX / 2));
        (pick(seeded, &QuotaKey::ALL), rate)
    };
    let count = seeded.below(3);
    QuotaAlteration {
        entity,
        changes: (0..count).map(|_| change(seeded)).collect(),
    }
}

pub fn said(command: AccessCommand) -> Submission {
    Submission {
        origin: NodeId(1),
        tag: 0,
        session: SessionId(0),
        connection: 0,
        sequence: 0,
        who: Vec::new(),
        command: Command::Streams(StreamsCommand::Access(command)),
    }
}

fn apply(state: &mut State, command: AccessCommand) -> AccessOutcome {
    let applied = state.apply(Millis(5), &said(command), &mut Vec::new());
    match applied.outcome {
        Ok(Outcome::Streams(StreamsOutcome::Access(outcome))) => outcome,
        other => panic!("{other:?}"),
    }
}

fn fresh() -> State {
    let mut state = State::new(Uid([1; 16]));
    state.begin_term(Term(1));
    state
}

/// What there should be, kept as plain lists.
#[derive(Default)]
struct Model {
    users: BTreeMap<(Box<str>, Mechanism), Credential>,
    acls: BTreeSet<Binding>,
    quotas: BTreeMap<(Entity, QuotaKey), u64>,
}

impl Model {
    fn follow(&mut self, command: &AccessCommand, outcome: &AccessOutcome) {
        match (command, outcome) {
            (AccessCommand::AlterUsers { users, .. }, AccessOutcome::Each(each)) => {
                for (user, outcome) in users.iter().zip(each) {
                    let changes = user.changes.iter().filter(|_| outcome.is_ok());
                    for (mechanism, change) in changes {
                        let key = (user.name.clone(), *mechanism);
                        match change {
                            Some(one) => drop(self.users.insert(key, one.clone())),
                            None => drop(self.users.remove(&key).expect("it was there")),
                        }
                    }
                }
            }
            (AccessCommand::CreateAcls { bindings }, AccessOutcome::Each(each)) => {
                let good = bindings
                    .iter()
                    .zip(each)
                    .filter(|(_, outcome)| outcome.is_ok());
                self.acls.extend(good.map(|(binding, _)| binding.clone()));
            }
            (AccessCommand::DeleteAcls { filters }, AccessOutcome::Deleted(deleted)) => {
                let before = self.acls.clone();
                for (filter, deleted) in filters.iter().zip(deleted) {
                    let matched = before.iter().filter(|one| {
                        filter.matches((one.kind, one.pattern, &one.name, &one.rule))
                    });
                    let matched: BTreeSet<_> = matched.cloned().collect();
                    assert_eq!(deleted.iter().cloned().collect::<BTreeSet<_>>(), matched);
                    self.acls.retain(|one| !matched.contains(one));
                }
            }
            (
                AccessCommand::AlterQuotas {
                    alterations,
                    validates_only,
                },
                AccessOutcome::Each(each),
            ) => {
                let pairs = alterations.iter().zip(each);
                for (one, _) in pairs.filter(|(_, outcome)| outcome.is_ok() && !validates_only) {
                    for (key, rate) in &one.changes {
                        let key = (one.entity.clone(), *key);
                        match rate {
                            Some(rate) => drop(self.quotas.insert(key, *rate)),
                            None => drop(self.quotas.remove(&key)),
                        }
                    }
                }
            }
            other => panic!("{other:?}"),
        }
    }

    fn check(&self, state: &State) {
        let access = state.topics().access();
        let users = access.users.iter().flat_map(|(name, of)| {
            of.iter()
                .map(move |(mechanism, one)| ((Box::from(name), *mechanism), one.clone()))
        });
        assert_eq!(users.collect::<BTreeMap<_, _>>(), self.users);
        assert_eq!(access.acls.iter().collect::<BTreeSet<_>>(), self.acls);
        assert_eq!(access.acls.count(), self.acls.len());
        let quotas = access.quotas.iter().flat_map(|(entity, rates)| {
            rates
                .iter()
                .map(move |(key, rate)| ((entity.clone(), *key), *rate))
        });
        assert_eq!(quotas.collect::<BTreeMap<_, _>>(), self.quotas);
        assert_eq!(state.topics_anew().as_ref(), Ok(state.topics()));
    }
}

#[test]
fn access_is_what_was_said_of_it() {
    let seeds = if full() { 2000 } else { 100 };
    let (mut good, mut refused) = (0, BTreeSet::new());
    for seed in 1..=seeds {
        let mut seeded = Seeded::new(seed);
        let (mut state, mut model) = (fresh(), Model::default());
        for _ in 0..60 {
            let command = command(&mut seeded);
            let bytes = codec::encode(1, &said(command.clone()));
            assert_eq!(codec::decode(1, &bytes), Ok(said(command.clone())));
            let (before, digest) = (state.topics().access().clone(), state.digest());
            let outcome = apply(&mut state, command.clone());
            assert_ne!(state.digest(), digest, "every command takes a number");
            model.follow(&command, &outcome);
            model.check(&state);
            if let AccessOutcome::Each(each) = &outcome {
                good += each.iter().filter(|one| one.is_ok()).count();
                let why = each.iter().filter_map(|one| one.as_ref().err());
                refused
                    .extend(why.map(|why| format!("{why:?}").split(' ').next().map(String::from)));
                if !each.is_empty() && each.iter().all(Result::is_err) {
                    assert_eq!(*state.topics().access(), before);
                }
            }
            if seeded.one_in(20) {
                state = again(&mut state);
                model.check(&state);
            }
        }
    }
    assert!(good > 1000 && refused.len() >= 8, "{good} {refused:?}");
}

/// A state that went to a snapshot and back.
fn again(state: &mut State) -> State {
    let mut loader = Loader::new();
    state.begin_walk();
    while let Some(frame) = state.walk_slice(5) {
        loader.frame(&frame).unwrap();
    }
    loader.finish().unwrap()
}

fn ann() -> AccessCommand {
    let credential = Credential {
        salt: [7; 16].into(),
        iterations: 4096,
        stored_key: Key([8; 32].into()),
        server_key: Key([9; 32].into()),
    };
    AccessCommand::AlterUsers {
        secret: Secret([5; 32]),
        users: vec![UserAlteration {
            name: "ann".into(),
            changes: vec![(Mechanism::Sha256, Some(credential))],
        }],
    }
}

#[test]
fn only_the_super_user_reads_the_nodes_and_nobody_writes_them() {
    let mut state = fresh();
    apply(&mut state, ann());
    let everybody = [
        vec![],
        vec![Identity::new("ip", "10.0.0.1")],
        vec![
            Identity::new("digest", "ann:hash"),
            Identity::new("sasl", "ann"),
        ],
    ];
    let superuser = vec![Identity::new("super", "root")];
    for path in ["/dolmen/streams/access", nodes::USERS] {
        for who in &everybody {
            assert_eq!(state.data(path, who).err(), Some(Error::NoAuth), "{path}");
            assert_eq!(state.children(path, who).err(), Some(Error::NoAuth));
        }
        assert!(state.data(path, &superuser).is_ok());
    }
    let open = vec![AclEntry {
        permissions: Permissions::ALL,
        who: Identity::new("world", "anyone"),
    }];
    let before = state.topics().access().clone();
    for who in everybody.iter().chain([&superuser]) {
        let mut write = |write: Write| {
            let submission = Submission {
                who: who.clone(),
                command: Command::Write(write),
                ..said(ann())
            };
            let applied = state.apply(Millis(6), &submission, &mut Vec::new());
            applied.outcome.is_err()
        };
        let path: Box<str> = Box::from(nodes::USERS);
        let data = Data::from(&b"{}"[..]);
        assert!(write(Write::SetData {
            path: path.clone(),
            data,
            version: -1
        }));
        let (version, acl): (i32, Acl) = (-1, open.clone());
        let path_too = path.clone();
        assert!(write(Write::Delete { path, version }));
        if *who != superuser {
            let path = path_too;
            assert!(write(Write::SetAcl { path, acl, version }));
        }
    }
    assert_eq!(*state.topics().access(), before);
}

#[test]
fn what_is_too_much_is_refused_whole() {
    let mut state = fresh();
    let named = ACCESS_NAMED_MAX + 1;
    let mut seeded = Seeded::new(1);
    let bindings = (0..named).map(|_| binding(&mut seeded)).collect();
    let most = ACCESS_NAMED_MAX;
    assert_eq!(
        apply(&mut state, AccessCommand::CreateAcls { bindings }),
        AccessOutcome::Refused(AccessRefused::NamedMax { named, most })
    );
    let filters = vec![AclFilter::default(); ACL_FILTERS_MAX + 1];
    assert!(matches!(
        apply(&mut state, AccessCommand::DeleteAcls { filters }),
        AccessOutcome::Refused(AccessRefused::NamedMax { .. })
    ));
    let topic = |n: usize| Binding {
        kind: ResourceKind::Topic,
        pattern: Pattern::Literal,
        name: format!("topic-{n}").into(),
        rule: Rule {
            permission: Permission::Allow,
            whom: Whom::Everybody,
            hosts: Hosts::All,
            operations: Operations::All,
        },
    };
    for at in (0..ACL_BINDINGS_MAX).step_by(1000) {
        let bindings = (at..at + 1000).map(topic).collect();
        apply(&mut state, AccessCommand::CreateAcls { bindings });
    }
    let bindings = vec![topic(0), topic(ACL_BINDINGS_MAX)];
    assert_eq!(
        apply(&mut state, AccessCommand::CreateAcls { bindings }),
        AccessOutcome::Each(vec![Ok(()), Err(AccessRefused::AclsMax)])
    );
    // Two filters that match all would be an answer twice as long.
    let filters = vec![AclFilter::default(); 2];
    assert!(matches!(
        apply(&mut state, AccessCommand::DeleteAcls { filters }),
        AccessOutcome::Refused(AccessRefused::NamedMax { .. })
    ));
    assert_eq!(state.topics().access().acls.count(), ACL_BINDINGS_MAX);
    assert_eq!(state.topics_anew().as_ref(), Ok(state.topics()));

    let AccessCommand::AlterUsers { secret, users } = ann() else {
        unreachable!("it alters users");
    };
    let user = |n: usize| UserAlteration {
        name: format!("user-{n}").into(),
        ..users[0].clone()
    };
    let users = (0..SCRAM_USERS_MAX).map(user).collect();
    apply(&mut state, AccessCommand::AlterUsers { secret, users });
    assert_eq!(
        apply(&mut state, ann()),
        AccessOutcome::Each(vec![Err(AccessRefused::UsersMax)])
    );
}
