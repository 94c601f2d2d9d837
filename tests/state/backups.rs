//! Backups taken while the state changes, and restored into another, with
//! every step said twice and the state gone through a snapshot in between.

use super::create;
use super::dice::Dice;
use super::placing::Site;
use crate::full;
use dolmen::clock::Millis;
use dolmen::daemon::backup::codec::{Head, Part, Reading, Writer};
use dolmen::daemon::backup::index::{Index, Plan, Unsound};
use dolmen::entropy::Seeded;
use dolmen::ids::{Index as LogIndex, NodeId, SessionId, Term, Uid};
use dolmen::limits::BACKUP_IMAGE_BYTES_MAX;
use dolmen::state::snapshot::backup::{Begun, Lost, Slice, Sums};
use dolmen::state::{
    Command, Data, Error, Identity, ImportedNode, Loader, NodeKind, OpenSession, Outcome,
    Permissions, Restoration, Restore, RestoreOutcome, RestoreRefused, RestoreStep, State,
    Submission, Write,
};

/// A backup as it would stand in a file.
#[derive(Clone, Default)]
pub struct Backup {
    pub begun: Option<Begun>,
    sums: Sums,
    pub file: Vec<u8>,
}

impl Backup {
    pub fn of(state: &mut State, id: Uid, mut budget: impl FnMut() -> usize) -> Self {
        let mut taking = Taking::begin(state, id);
        while !taking.go_on(state, budget()) {}
        taking.done()
    }

    pub fn plan(&self) -> Result<Plan, Unsound> {
        plan_of(&self.file)
    }

    pub fn nodes(&self) -> Vec<ImportedNode> {
        let plan = self.plan().unwrap();
        let read = |at: u64, bytes: usize| Ok(self.file[at as usize..][..bytes].to_vec());
        plan.batches(read).flat_map(Result::unwrap).collect()
    }

    /// A few nodes at a time.
    pub fn fills(&self) -> impl Iterator<Item = RestoreStep> {
        let nodes = self.nodes();
        let chunks: Vec<_> = nodes.chunks(3).map(<[_]>::to_vec).collect();
        chunks.into_iter().map(RestoreStep::Fill)
    }

    pub fn end(&self) -> RestoreStep {
        RestoreStep::End {
            nodes: self.sums.nodes,
            digest: self.sums.digest,
            zxid: self.begun.map(|begun| begun.zxid).unwrap_or_default(),
        }
    }
}

fn plan_of(file: &[u8]) -> Result<Plan, Unsound> {
    let (mut reading, mut index) = (Reading::default(), Index::default());
    // In small pieces, as a pipe may give them.
    for piece in file.chunks(97) {
        reading.add(piece);
        while let Some(part) = reading.next_part().unwrap() {
            index.add(part)?;
        }
    }
    reading.end().unwrap();
    index.finish()
}

struct Taking {
    number: u64,
    begun: Begun,
    writer: Writer,
    file: Vec<u8>,
    sums: Option<Sums>,
}

impl Taking {
    fn begin(state: &mut State, id: Uid) -> Self {
        let number = 7;
        let begun = state.begin_backup(number).expect("no other is under way");
        let mut writer = Writer::default();
        let file = writer.head(&head(state, id, &begun));
        Self {
            number,
            begun,
            writer,
            file,
            sums: None,
        }
    }

    /// One slice; whether it was the last.
    fn go_on(&mut self, state: &mut State, budget: usize) -> bool {
        match state.backup_slice(self.number, budget).unwrap() {
            Slice::Frame(frame) => self.file.extend(self.writer.frame(frame)),
            Slice::Nothing => {}
            Slice::End(sums) => {
                self.file.extend(self.writer.end(&sums));
                self.sums = Some(sums);
            }
        }
        self.sums.is_some()
    }

    fn done(self) -> Backup {
        Backup {
            begun: Some(self.begun),
            sums: self.sums.expect("it is over"),
            file: self.file,
        }
    }
}

fn head(state: &State, id: Uid, begun: &Begun) -> Head {
    Head {
        id,
        cluster: state.cluster(),
        node: NodeId(1),
        zxid: begun.zxid,
        log_index: LogIndex(9),
        at: Millis(77),
        version: "0.1.0".into(),
        features: begun.features,
        is_stale: false,
        nodes: begun.nodes,
        ephemerals: begun.ephemerals,
        sessions: begun.sessions,
    }
}

/// All that clients of the one and of the other can see and that a backup is
/// to keep. Children are counted as those that were ever created.
fn kept(state: &State) -> String {
    let root = [Identity::new("super", "")];
    let (mut text, mut waiting) = (String::new(), vec![String::from("/")]);
    while let Some(path) = waiting.pop() {
        let (data, stat) = state.data(&path, &root).expect("root may");
        let (acl, _) = state.acl(&path, &root).expect("root may");
        let (names, _) = state.children(&path, &root).expect("root may");
        let above = if path == "/" { "" } else { &path };
        waiting.extend(names.iter().map(|name| format!("{above}/{name}")));
        let is_the_systems = path == "/zookeeper/config"
            || (path.starts_with("/dolmen") && !path.starts_with("/dolmen/config/"));
        if is_the_systems || stat.owner != 0 {
            continue;
        }
        // Counted anew, without ephemeral nodes.
        let data = if path.ends_with("zookeeper_stats") {
            Data::NOTHING
        } else {
            data
        };
        let created = (stat.children_version + stat.children) / 2;
        text.push_str(&format!(
            "{path} {data:?} {} {} {} {} {} {} {} {created} {acl:?}\n",
            stat.created_zxid,
            stat.modified_zxid,
            stat.children_zxid,
            stat.created.0,
            stat.modified.0,
            stat.version,
            stat.acl_version,
        ));
    }
    text + &format!("{:?}", state.settings())
}

fn sent(session: SessionId, command: Command) -> Submission {
    Submission {
        origin: NodeId(1),
        tag: 0,
        session,
        connection: 1,
        sequence: 1,
        who: Vec::new(),
        command,
    }
}

fn restore(state: &mut State, backup: Uid, step: RestoreStep) -> RestoreOutcome {
    let restore = Command::Restore(Restore { backup, step });
    let submission = sent(SessionId(0), restore);
    let applied = state.apply(Millis(5000), &submission, &mut Vec::new());
    match applied.outcome.unwrap() {
        Outcome::Restore(outcome) => outcome,
        other => panic!("{other:?}"),
    }
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

#[test]
fn what_is_restored_is_what_was_there_when_the_backup_began() {
    let seeds = if full() { 2000 } else { 100 };
    for seed in 1..=seeds {
        let mut dice = Dice::new(seed);
        let mut state = State::new(Uid([1; 16]));
        state.begin_term(Term(seed));
        for _ in 0..200 {
            let submission = dice.submission(&state);
            state.apply(dice.now, &submission, &mut Vec::new());
        }
        let (was, zxid) = (kept(&state), state.zxid());
        let mut taking = Taking::begin(&mut state, Uid([9; 16]));
        // A snapshot walks beside it, and neither disturbs the other.
        state.begin_walk();
        while !taking.go_on(&mut state, 1 + dice.seeded.below(4) as usize) {
            for _ in 0..dice.seeded.below(4) {
                let submission = dice.submission(&state);
                state.apply(dice.now, &submission, &mut Vec::new());
            }
            state.walk_slice(1);
        }
        let restored = into_another(&taking.done(), &mut dice.seeded);
        assert_eq!(kept(&restored), was, "seed {seed}");
        assert!(restored.zxid() > zxid);
    }
}

/// Restores with each step said once or twice, and the state maybe read back
/// from a snapshot in between.
fn into_another(backup: &Backup, seeded: &mut Seeded) -> State {
    let id = Uid([9; 16]);
    let mut state = State::new(Uid([2; 16]));
    state.begin_term(Term(1));
    let begin = RestoreStep::Begin { discards: false };
    let steps = [begin].into_iter().chain(backup.fills());
    for step in steps {
        for _ in 0..1 + seeded.below(2) {
            let outcome = restore(&mut state, id, step.clone());
            let filling = RestoreOutcome::Stands(Restoration::Filling(id));
            assert_eq!(outcome, filling);
        }
        if seeded.one_in(4) {
            state = again(&mut state);
        }
    }
    let outcome = restore(&mut state, id, backup.end());
    assert_eq!(outcome, RestoreOutcome::Stands(Restoration::Done(id)));
    state
}

#[test]
fn nothing_of_sessions_members_and_tokens_is_in_the_file() {
    let mut state = State::new(Uid([1; 16]));
    let open = Command::OpenSession(OpenSession {
        session: SessionId(5),
        password: *b"password of mine",
        timeout_ms: 9000,
    });
    state.apply(Millis(1), &sent(SessionId(0), open), &mut Vec::new());
    let mut ephemeral = create("/here-and-gone", b"of a session");
    if let Command::Write(Write::Create(create)) = &mut ephemeral.command {
        create.kind = NodeKind::Ephemeral;
    }
    (ephemeral.session, ephemeral.connection, ephemeral.sequence) = (SessionId(5), 1, 1);
    let applied = state.apply(Millis(1), &ephemeral, &mut Vec::new());
    applied.outcome.unwrap();
    let token = dolmen::state::MemberCommand::CreateToken {
        id: *b"token id",
        secret_hash: [0xee; 32],
        role: dolmen::state::Role::Voter,
        until: Millis(u64::MAX),
    };
    let token = sent(SessionId(0), Command::Members(token));
    state.apply(Millis(1), &token, &mut Vec::new());
    let backup = Backup::of(&mut state, Uid([3; 16]), || 4);
    assert_eq!(backup.begun.unwrap().ephemerals, 1);
    assert_eq!(backup.begun.unwrap().sessions, 1);
    for secret in [
        &b"password of mine"[..],
        b"token id",
        &[0xee; 8],
        b"here-and-gone",
    ] {
        let mut windows = backup.file.windows(secret.len());
        assert!(!windows.any(|window| window == secret), "{secret:?}");
    }
}

#[test]
fn a_backup_that_is_slower_than_the_changes_is_lost_and_not_the_memory() {
    let mut state = State::new(Uid([1; 16]));
    let large = vec![1; 1 << 20];
    let count = BACKUP_IMAGE_BYTES_MAX / large.len();
    for n in 0..=count {
        let submission = create(&format!("/large-{n}"), &large);
        state.apply(Millis(1), &submission, &mut Vec::new());
    }
    assert!(state.begin_backup(1).is_some());
    assert!(state.begin_backup(2).is_none(), "one at a time");
    assert!(matches!(state.backup_slice(1, 1), Ok(Slice::Frame(_))));
    for n in 0..=count {
        let set = Write::SetData {
            path: format!("/large-{n}").into(),
            data: b"small"[..].into(),
            version: -1,
        };
        let set = sent(SessionId(0), Command::Write(set));
        state.apply(Millis(2), &set, &mut Vec::new());
    }
    assert!(matches!(state.backup_slice(1, 1), Err(Lost::TooSlow)));
    // The next one begins as if nothing had been.
    assert!(matches!(state.backup_slice(1, 1), Err(Lost::OtherState)));
    assert!(state.begin_backup(3).is_some());
}

#[test]
fn a_backup_of_another_sum_does_not_count() {
    let mut state = State::new(Uid([1; 16]));
    state.apply(Millis(1), &create("/a", b"x"), &mut Vec::new());
    let backup = Backup::of(&mut state, Uid([3; 16]), || 100);
    let id = Uid([3; 16]);
    let mut other = State::new(Uid([2; 16]));
    restore(&mut other, id, RestoreStep::Begin { discards: false });
    let few = backup.fills().next().unwrap();
    restore(&mut other, id, few);
    let not_whole = RestoreRefused::NotWhole { found: 3, nodes: 4 };
    let outcome = restore(&mut other, id, backup.end());
    assert_eq!(outcome, RestoreOutcome::Refused(not_whole));
    for step in backup.fills() {
        restore(&mut other, id, step);
    }
    let RestoreStep::End {
        nodes,
        digest,
        zxid,
    } = backup.end()
    else {
        panic!("an end is an end");
    };
    let wrong = RestoreStep::End {
        nodes,
        digest: digest ^ 1,
        zxid,
    };
    let outcome = restore(&mut other, id, wrong);
    assert_eq!(
        outcome,
        RestoreOutcome::Refused(RestoreRefused::OtherDigest)
    );
    assert!(other.restoration().is_under_way());
    let open = Command::OpenSession(OpenSession {
        session: SessionId(5),
        password: [0; 16],
        timeout_ms: 9000,
    });
    let open = sent(SessionId(0), open);
    let refused = other.apply(Millis(9), &open, &mut Vec::new());
    assert_eq!(refused.outcome, Err(Error::Unavailable));
    restore(&mut other, id, backup.end());
    assert!(!other.restoration().is_under_way());
    let mut open = open;
    open.tag = 1;
    assert!(
        other
            .apply(Millis(9), &open, &mut Vec::new())
            .outcome
            .is_ok()
    );
}

#[test]
fn lists_of_access_and_settings_come_back() {
    let mut state = State::new(Uid([1; 16]));
    let acl = vec![dolmen::state::AclEntry {
        permissions: Permissions::READ,
        who: Identity::new("digest", "ann:hash"),
    }];
    let mut guarded = create("/guarded", b"x");
    if let Command::Write(Write::Create(create)) = &mut guarded.command {
        create.acl = acl.clone();
    }
    state.apply(Millis(1), &guarded, &mut Vec::new());
    let mut set = sent(
        SessionId(0),
        Command::Write(Write::SetData {
            path: "/dolmen/config/zookeeper.connections_max".into(),
            data: b"77"[..].into(),
            version: -1,
        }),
    );
    set.who = vec![Identity::new("super", "")];
    let applied = state.apply(Millis(1), &set, &mut Vec::new());
    applied.outcome.unwrap();
    let backup = Backup::of(&mut state, Uid([3; 16]), || 100);
    let restored = into_another(&backup, &mut Seeded::new(1));
    let root = [Identity::new("super", "")];
    assert_eq!(restored.acl("/guarded", &root).unwrap().0, acl);
    let max = dolmen::state::Setting::ConnectionsMax;
    assert_eq!(restored.settings().get(max), 77);
}

/// A small backup with something of every kind, always the same bytes.
fn small() -> Backup {
    let mut state = State::new(Uid([1; 16]));
    state.begin_term(Term(1));
    let kinds = [
        (
            "/plain",
            NodeKind::Persistent,
            Data::from(b"text"[..].to_vec()),
        ),
        ("/plain/nothing", NodeKind::Persistent, Data::NOTHING),
        ("/box", NodeKind::Container, Data::from([])),
        ("/box/in", NodeKind::Persistent, Data::from([0, 255])),
        ("/brief", NodeKind::Ttl { ttl_ms: 5000 }, Data::from([1])),
    ];
    for (at, (path, kind, data)) in (1..).zip(kinds) {
        let mut submission = create(path, b"");
        if let Command::Write(Write::Create(create)) = &mut submission.command {
            (create.kind, create.data) = (kind, data);
        }
        let applied = state.apply(Millis(at), &submission, &mut Vec::new());
        applied.outcome.unwrap();
    }
    Backup::of(&mut state, Uid([3; 16]), || 100)
}

/// What a file comes to: whether it is whole, and if so its nodes.
fn read(file: &[u8]) -> Result<Vec<ImportedNode>, String> {
    let (mut reading, mut index) = (Reading::default(), Index::default());
    reading.add(file);
    while let Some(part) = reading.next_part().map_err(|damage| damage.to_string())? {
        index.add(part).map_err(|unsound| unsound.to_string())?;
    }
    reading.end().map_err(|damage| damage.to_string())?;
    let plan = index.finish().map_err(|unsound| unsound.to_string())?;
    let read = |at: u64, bytes: usize| Ok(file[at as usize..][..bytes].to_vec());
    let batches: Vec<_> = plan.batches(read).collect::<Result<_, _>>()?;
    Ok(batches.concat())
}

#[test]
fn no_bit_turns_and_no_byte_is_missing_unnoticed() {
    let file = small().file;
    assert!(read(&file).is_ok());
    for bit in 0..file.len() * 8 {
        let mut bad = file.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(read(&bad).is_err(), "bit {bit}");
    }
    for length in 0..file.len() {
        let refused = read(&file[..length]).unwrap_err();
        let says = match length {
            0..8 => "this is no backup".to_string(),
            _ => format!("byte {length}: the file ends here, before its end mark"),
        };
        assert!(refused.contains(&says), "{length}: {refused}");
        let without = [&file[..length], &file[length + 1..]].concat();
        assert!(read(&without).is_err(), "byte {length}");
    }
    assert!(read(&[&file[..], &[0]].concat()).is_err());
}

/// Frames whose checksums are right and that no state has written.
#[test]
fn what_could_not_be_restored_to_its_end_is_refused_before_it_begins() {
    let small = small();
    let (mut reading, mut parts) = (Reading::default(), Vec::new());
    reading.add(&small.file);
    while let Some(part) = reading.next_part().unwrap() {
        parts.push(part);
    }
    let check = |parts: Vec<Part>, says: &str| {
        let mut index = Index::default();
        let added = parts.into_iter().try_for_each(|part| index.add(part));
        let refused = added.and_then(|()| index.finish().map(drop)).unwrap_err();
        assert!(refused.to_string().contains(says), "{refused}");
    };
    let without = |at: usize| {
        let mut parts = parts.clone();
        parts.remove(at);
        parts
    };
    check(without(0), "too high");
    check(without(1), "has no access list");
    check(without(2), "no root");
    check(without(parts.len() - 1), "it is not whole");
    let mut twice = parts.clone();
    twice.insert(2, parts[2].clone());
    check(twice, "out of its place");
    let mut fewer = parts.clone();
    if let Part::Head(head) = &mut fewer[0] {
        head.nodes -= 1;
    }
    check(fewer, "znodes where");
    let mut earlier = parts.clone();
    if let Part::Head(head) = &mut earlier[0] {
        head.zxid.0 -= 1;
    }
    check(earlier, "too high");
    let mut late = parts;
    if let Part::Head(head) = &mut late[0] {
        head.zxid.0 = 1 << 62;
    }
    check(late, "too high");
}

/// Of the first release on, whatever later builds write.
#[test]
fn a_file_of_the_first_format_is_read() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/backup");
    let (file, told) = (folder.join("1.backup"), folder.join("1.txt"));
    if std::env::var_os("DOLMEN_REWRITE").is_some_and(|value| value == "1") && !file.exists() {
        std::fs::write(&file, small().file).unwrap();
    }
    let nodes = read(&std::fs::read(&file).unwrap()).unwrap();
    let mut text: String = nodes.iter().map(|node| format!("{node:?}\n")).collect();
    text = text.replace(", ", ",\n    ");
    if std::env::var_os("DOLMEN_REWRITE").is_some_and(|value| value == "1") {
        std::fs::write(&told, &text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(&told).unwrap());
}

/// What is here stays: a user, the rules of a pattern, a quota.
#[test]
fn who_may_do_what_comes_back_beside_what_is_there() {
    use dolmen::state::topics::access::{AccessCommand, Hosts, Operations, Pattern, Permission};
    use dolmen::state::topics::access::{Binding, ResourceKind, Rule, Whom};
    let rule = |whom: &str| Rule {
        permission: Permission::Allow,
        whom: Whom::User(whom.into()),
        hosts: Hosts::All,
        operations: Operations::All,
    };
    let on = |name: &str, whom: &str| Binding {
        kind: ResourceKind::Topic,
        pattern: Pattern::Literal,
        name: name.into(),
        rule: rule(whom),
    };
    let say = |state: &mut State, bindings: &[Binding]| {
        let bindings = bindings.to_vec();
        let command = super::access::said(AccessCommand::CreateAcls { bindings });
        state.apply(Millis(1), &command, &mut Vec::new());
    };
    let mut state = State::new(Uid([1; 16]));
    state.begin_term(Term(1));
    say(&mut state, &[on("a", "ann"), on("b", "ann")]);
    let (mut user, mut seeded) = (0, Seeded::new(1));
    while user < 40 {
        let command = super::access::command(&mut seeded);
        if !matches!(
            command,
            AccessCommand::CreateAcls { .. } | AccessCommand::DeleteAcls { .. }
        ) {
            state.apply(Millis(1), &super::access::said(command), &mut Vec::new());
            user += 1;
        }
    }
    let was = state.topics().access().clone();
    assert!(was.users.iter().count() > 0 && !was.quotas.is_empty());
    let backup = Backup::of(&mut state, Uid([9; 16]), || 3);
    let restored = into_another(&backup, &mut Seeded::new(1));
    assert_eq!(restored.topics().access(), &was);

    let mut other = State::new(Uid([2; 16]));
    other.begin_term(Term(1));
    say(&mut other, &[on("b", "bob")]);
    let id = Uid([9; 16]);
    restore(&mut other, id, RestoreStep::Begin { discards: false });
    for step in backup.fills() {
        restore(&mut other, id, step);
    }
    restore(&mut other, id, backup.end());
    let access = other.topics().access();
    let acls: Vec<_> = access.acls.iter().collect();
    assert_eq!(acls, [on("a", "ann"), on("b", "bob")]);
    assert_eq!((&access.users, &access.quotas), (&was.users, &was.quotas));
    assert_eq!(other.topics_anew().as_ref(), Ok(other.topics()));
}

/// What is here stays: what brokers are given, and each group that has something.
#[test]
fn what_brokers_and_groups_are_given_comes_back_beside_what_is_there() {
    use dolmen::state::topics::overrides::BROKER_TABLE;
    use dolmen::state::topics::{
        AlterOverrides, Alteration, Holder, SettingsChange, StreamsCommand,
    };
    let give = |state: &mut State, holder, name: &str, value: &str| {
        let one = (name.into(), Alteration::Set(value.into()));
        let command = StreamsCommand::AlterOverrides(AlterOverrides {
            holder,
            change: SettingsChange::Alter(vec![one]),
            validates_only: false,
        });
        let command = sent(SessionId(0), Command::Streams(command));
        state.apply(Millis(1), &command, &mut Vec::new());
    };
    let begun = || {
        let mut state = State::new(Uid([1; 16]));
        state.begin_term(Term(1));
        state
    };
    let group = |name: &str| Holder::Group(name.into());
    let session = "consumer.session.timeout.ms";
    let mut state = begun();
    give(&mut state, Holder::Brokers, "num.partitions", "4");
    give(&mut state, Holder::OneBroker, "num.io.threads", "5");
    give(&mut state, Holder::OneBroker, "background.threads", "6");
    give(&mut state, group("a"), session, "7000");
    give(&mut state, group("b"), session, "8000");
    let mut other = begun();
    give(&mut other, Holder::OneBroker, "num.io.threads", "9");
    give(&mut other, group("b"), session, "9000");
    let backup = Backup::of(&mut state, Uid([9; 16]), || 3);
    let id = Uid([9; 16]);
    restore(&mut other, id, RestoreStep::Begin { discards: false });
    for step in backup.fills() {
        restore(&mut other, id, step);
    }
    restore(&mut other, id, backup.end());
    let topics = other.topics();
    let set = BROKER_TABLE.iter().filter_map(|row| {
        let value = topics.of_brokers(row)?;
        Some(format!("{}={value}", row.name))
    });
    let set: Vec<_> = set.collect();
    let expected = [
        "background.threads=6",
        "num.io.threads=9",
        "num.partitions=4",
    ];
    assert_eq!(set, expected);
    let own = |name| topics.overrides().group(name).session_ms;
    assert_eq!(
        (own("a"), own("b"), own("c")),
        (Some(7000), Some(9000), None)
    );
    assert_eq!(other.topics_anew().as_ref(), Ok(topics));
}

/// What there is of topics: a line for each, without what is the cluster's.
fn topics(state: &State) -> Vec<String> {
    assert_eq!(state.topics_anew().as_ref(), Ok(state.topics()));
    let topics = state.topics().iter();
    let line = |(name, topic): (&std::sync::Arc<str>, &dolmen::state::topics::Topic)| {
        let factor = topic.partitions[0].replicas.len();
        let set: Vec<_> = topic.settings.overrides().collect();
        format!("{name}: {} of {factor}, {set:?}", topic.partitions.len())
    };
    topics.map(line).collect()
}

#[test]
fn topics_come_back_empty_on_as_many_brokers_as_there_are() {
    let mut site = Site::of(3);
    site.create("orders", 5, 3).unwrap();
    site.create("clicks", 2, 1).unwrap();
    site.set("orders", "retention.ms", "5");
    let backup = Backup::of(&mut site.state, Uid([9; 16]), || 3);
    let restored = |brokers| {
        let mut other = Site::of(brokers);
        other.create("clicks", 7, 1).unwrap();
        let before = other.state.topics().get("clicks").cloned();
        let id = Uid([9; 16]);
        restore(&mut other.state, id, RestoreStep::Begin { discards: false });
        for step in backup.fills() {
            restore(&mut other.state, id, step.clone());
            other.state = again(&mut other.state);
            restore(&mut other.state, id, step);
        }
        let done = restore(&mut other.state, id, backup.end());
        assert_eq!(done, RestoreOutcome::Stands(Restoration::Done(id)));
        assert_eq!(other.state.topics().get("clicks"), before.as_ref());
        other.state
    };
    let id_in = |state: &State| state.topics().get("orders").map(|topic| topic.id);
    for (brokers, factor) in [(4, 3), (2, 2), (1, 1)] {
        let state = restored(brokers);
        let orders = format!("orders: 5 of {factor}, [(\"retention.ms\", \"5\")]");
        assert_eq!(topics(&state), ["clicks: 7 of 1, []", &orders]);
        assert_ne!(id_in(&state), id_in(&site.state), "another topic");
    }
    // Where no broker ever was there is nobody to hold a topic.
    let none = into_another(&backup, &mut Seeded::new(1));
    assert_eq!(topics(&none), [""; 0]);
}
