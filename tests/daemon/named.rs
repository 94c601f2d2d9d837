//! What a small request makes the Kafka door hold: a name of 32 KiB that stands for
//! thousands of partitions, or one thing that is named thousands of times. Every list
//! of every request in the table is tried, made from the messages' own shapes.

use super::{Folder, Node, PATIENCE, until};
use dolmen::ports::kafka::handlers::TABLE;
use dolmen::ports::kafka::messages::create_acls::{AclCreation, CreateAcls, CreateAclsRequest};
use dolmen::ports::kafka::messages::create_topics::{
    CreatableTopic, CreateTopics, CreateTopicsRequest,
};
use dolmen::ports::kafka::messages::describe_groups::{DescribeGroups, DescribeGroupsRequest};
use dolmen::ports::kafka::messages::find_coordinator::{FindCoordinator, FindCoordinatorRequest};
use dolmen::ports::kafka::messages::join_group::{
    JoinGroup, JoinGroupRequest, JoinGroupRequestProtocol,
};
use dolmen::ports::kafka::messages::list_offsets::{
    ListOffsets, ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use dolmen::ports::kafka::messages::offset_commit::{
    OffsetCommit, OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use dolmen::ports::kafka::messages::shape::{Field, Kind, Record};
use dolmen::ports::kafka::messages::sync_group::{SyncGroup, SyncGroupRequest};
use dolmen::ports::kafka::messages::{
    APIS, Api, ApiShape, ErrorCode, read_response, write_request,
};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;

/// How often one thing is named. Copied as often, the longest name is 320 MiB.
const MANY: usize = 10_000;
/// The longest text that there is.
const LONG: usize = i16::MAX as usize;
/// What is there: a topic, a group with a member, and what it has committed.
const THERE: &str = "t";
/// The words that a group and an offset have with them: told a thousand times they fit
/// into what is allowed, and not ten thousand times.
const PROTOCOL_BYTES: usize = 1000;
const WORDS_BYTES: usize = 4000;

/// A request, what was read of it, what is answered and the answer's bytes may take
/// so much together for each byte of the frame: a partition's number has four, and
/// becomes some sixty in memory and thirty on the wire.
const BYTES_PER_BYTE: usize = 32;
/// And this much besides, for what the daemon does meanwhile and what the allocator
/// keeps of what was answered before: 7 MiB after all of them.
const BYTES_BESIDES: usize = 16 << 20;

/// One client by hand.
struct Caller {
    door: String,
    stream: TcpStream,
}

impl Caller {
    fn new(door: &str) -> Self {
        let stream = TcpStream::connect(door).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let door = door.into();
        Self { door, stream }
    }

    /// The answer to a frame, with the length before it; None where the connection is
    /// ended instead.
    fn exchange(&mut self, frame: &[u8]) -> Option<Vec<u8>> {
        let answer = self.try_exchange(frame);
        if answer.is_none() {
            *self = Self::new(&self.door);
        }
        answer
    }

    fn try_exchange(&mut self, frame: &[u8]) -> Option<Vec<u8>> {
        self.stream.write_all(frame).ok()?;
        let mut length = [0; 4];
        if let Err(error) = self.stream.read_exact(&mut length) {
            let is_late = error.kind() == std::io::ErrorKind::WouldBlock;
            assert!(!is_late, "nothing is answered");
            return None;
        }
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut answer).ok()?;
        Some(answer)
    }

    fn ask<A: Api>(&mut self, version: i16, request: &A::Request) -> A::Response {
        let frame = write_request::<A>(version, 7, None, request).unwrap();
        let answer = self.exchange(&frame.to_vec()).expect(A::NAME);
        read_response::<A>(version, answer.into()).unwrap().1
    }
}

/// A request with one of its lists long.
struct Form {
    version: i16,
    is_flexible: bool,
    /// The names of all around the list.
    name: String,
    /// Whether the items of the list are numbered, where they have numbers.
    is_numbered: bool,
    /// Of the item that is written; None outside of the list.
    item: Option<i32>,
    bytes: Vec<u8>,
}

impl Form {
    fn of(api: &ApiShape, version: i16, path: &[&'static Field], way: Way) -> Vec<u8> {
        let mut form = Self {
            version,
            is_flexible: version >= api.flexible_from,
            name: match way {
                Way::LongName => "x".repeat(LONG),
                Way::Numbered | Way::Same => THERE.into(),
            },
            is_numbered: way != Way::Same,
            item: None,
            bytes: vec![0; 4],
        };
        form.header(api.key);
        form.record(api.request, path);
        let length = form.bytes.len() as u32 - 4;
        form.bytes[..4].copy_from_slice(&length.to_be_bytes());
        form.bytes
    }

    fn header(&mut self, key: i16) {
        self.bytes.extend(key.to_be_bytes());
        self.bytes.extend(self.version.to_be_bytes());
        self.bytes.extend(7i32.to_be_bytes());
        self.bytes.extend((-1i16).to_be_bytes());
        self.tags();
    }

    fn record(&mut self, record: &Record, path: &[&'static Field]) {
        let version = self.version;
        let fields = record.fields.iter();
        for field in fields.filter(|field| field.is_plain_in(version)) {
            match path.split_first() {
                Some((next, rest)) if *next == field => self.along(field.kind, rest),
                _ => self.value(field.kind, field.may_be_null_in(version)),
            }
        }
        self.tags();
    }

    /// What leads to the list, or is it.
    fn along(&mut self, kind: Kind, rest: &[&'static Field]) {
        match kind {
            Kind::Optional(Kind::Record(record)) => {
                self.bytes.push(1);
                self.record(record, rest);
            }
            Kind::Optional(of) => self.along(*of, rest),
            Kind::Record(record) => self.record(record, rest),
            Kind::List(of) if rest.is_empty() => {
                self.count(Some(MANY));
                for number in 0..MANY as i32 {
                    self.item = Some(if self.is_numbered { number } else { 0 });
                    self.value(*of, false);
                }
                self.item = None;
            }
            Kind::List(of) => {
                self.count(Some(1));
                self.along(*of, rest);
            }
            other => panic!("{other:?} leads nowhere"),
        }
    }

    /// Numbers that mean nothing in particular, or that nothing is said.
    fn value(&mut self, kind: Kind, may_be_null: bool) {
        match kind {
            // Names of all kinds have texts, though some may have none.
            Kind::Text | Kind::Optional(Kind::Text) => self.text(),
            Kind::Optional(Kind::Record(_)) if may_be_null => self.bytes.push(0xff),
            Kind::Optional(_) if may_be_null => self.count(None),
            Kind::Optional(of) => self.value(*of, false),
            Kind::Record(record) => self.record(record, &[]),
            Kind::List(of) => {
                let count = usize::from(self.item.is_some());
                self.count(Some(count));
                (0..count).for_each(|_| self.value(*of, false));
            }
            Kind::Bytes | Kind::Hidden | Kind::Records => self.count(Some(0)),
            // What changes something shall only look, where it can.
            Kind::Bool => self.bytes.push(u8::from(self.name.len() < LONG)),
            Kind::I8 => self.bytes.push(0),
            Kind::I16 | Kind::ErrorCode => self.bytes.extend((-1i16).to_be_bytes()),
            Kind::I32 => self.bytes.extend(self.item.unwrap_or(-1).to_be_bytes()),
            Kind::I64 => self.bytes.extend((-1i64).to_be_bytes()),
            Kind::F64 => self.bytes.extend(1f64.to_be_bytes()),
            Kind::Uuid => self.bytes.extend([0; 16]),
        }
    }

    fn text(&mut self) {
        let text = match self.item {
            Some(_) => THERE.to_owned(),
            None => self.name.clone(),
        };
        match self.is_flexible {
            true => self.count(Some(text.len())),
            false => self.bytes.extend((text.len() as i16).to_be_bytes()),
        }
        self.bytes.extend(text.bytes());
    }

    /// None for null.
    fn count(&mut self, count: Option<usize>) {
        if !self.is_flexible {
            let count = count.map_or(-1, |count| count as i32);
            self.bytes.extend(count.to_be_bytes());
            return;
        }
        let mut left = count.map_or(0, |count| count + 1);
        while left > 0x7f {
            self.bytes.push(left as u8 | 0x80);
            left >>= 7;
        }
        self.bytes.push(left as u8);
    }

    fn tags(&mut self) {
        if self.is_flexible {
            self.bytes.push(0);
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    /// All that is around the list has the longest name.
    LongName,
    /// It is of what is there; its items are others each time.
    Numbered,
    /// And the same each time.
    Same,
}

/// The way to each list that a record has in this version.
fn lists(record: &'static Record, version: i16) -> Vec<Vec<&'static Field>> {
    let mut all = Vec::new();
    let fields = record.fields.iter();
    for field in fields.filter(|field| field.is_plain_in(version)) {
        let mut kind = field.kind;
        if let Kind::Optional(of) = kind {
            kind = *of;
        }
        if let Kind::List(of) = kind {
            all.push(vec![field]);
            kind = *of;
        }
        if let Kind::Record(inner) = kind {
            let inner = lists(inner, version).into_iter();
            all.extend(inner.map(|rest| [vec![field], rest].concat()));
        }
    }
    all
}

/// The daemon's memory, as the kernel tells it.
struct Memory {
    folder: PathBuf,
    /// Before anything was tried: what an answer leaves behind in the allocator would
    /// hide what the next takes.
    before: usize,
}

impl Memory {
    fn of(node: &Node) -> Self {
        let mut memory = Self {
            folder: format!("/proc/{}", node.pid()).into(),
            before: 0,
        };
        memory.before = memory.read("VmRSS:");
        memory
    }

    fn read(&self, what: &str) -> usize {
        let status = fs::read_to_string(self.folder.join("status")).unwrap();
        let line = status.lines().find(|line| line.starts_with(what));
        let word = line.and_then(|line| line.split_whitespace().nth(1));
        word.and_then(|word| word.parse::<usize>().ok()).unwrap() << 10
    }

    /// How far it goes up while something is done.
    fn grown(&self, work: impl FnOnce()) -> usize {
        // The peak begins anew.
        fs::write(self.folder.join("clear_refs"), "5").unwrap();
        work();
        self.read("VmHWM:").saturating_sub(self.before)
    }
}

/// All that was asked for, and what took more than it may.
#[derive(Default)]
struct Tried {
    requests: usize,
    answered: usize,
    dear: Vec<String>,
}

fn try_all(memory: &Memory, caller: &mut Caller, ways: &[Way]) -> Tried {
    let mut tried = Tried::default();
    let is_answered = |api: &&ApiShape| TABLE.iter().any(|handler| handler.key == api.key);
    for api in APIS.iter().filter(is_answered) {
        let mut versions = vec![*api.versions.start(), *api.versions.end()];
        versions.dedup();
        for version in versions {
            for path in lists(api.request, version) {
                for &way in ways {
                    let frame = Form::of(api, version, &path, way);
                    let mut is_answered = false;
                    let bytes = memory.grown(|| is_answered = caller.exchange(&frame).is_some());
                    tried.requests += 1;
                    tried.answered += usize::from(is_answered);
                    if bytes > frame.len() * BYTES_PER_BYTE + BYTES_BESIDES {
                        let (name, list) = (api.name, path[path.len() - 1]);
                        let of = frame.len();
                        let what = format!("{name} {version} {list} {way:?}: {bytes} of {of}");
                        tried.dear.push(what);
                    }
                }
            }
        }
    }
    tried
}

/// A topic of one partition; a group with one member, which goes by long names; and
/// what it has committed.
fn furnish(caller: &mut Caller) {
    let topic = CreatableTopic {
        name: THERE.into(),
        num_partitions: 1,
        replication_factor: 1,
        ..CreatableTopic::default()
    };
    let create = CreateTopicsRequest {
        topics: vec![topic],
        timeout_ms: 10_000,
        ..CreateTopicsRequest::default()
    };
    let created = caller.ask::<CreateTopics>(7, &create);
    assert_eq!(created.topics[0].error_code, ErrorCode::None);
    let find = FindCoordinatorRequest {
        coordinator_keys: vec![THERE.into()],
        ..FindCoordinatorRequest::default()
    };
    until("the group has a coordinator", || {
        let found = caller.ask::<FindCoordinator>(6, &find);
        (found.coordinators[0].error_code == ErrorCode::None).then_some(())
    });
    let join = JoinGroupRequest {
        group_id: THERE.into(),
        session_timeout_ms: 600_000,
        rebalance_timeout_ms: 1000,
        protocol_type: "p".repeat(PROTOCOL_BYTES).into(),
        protocols: vec![JoinGroupRequestProtocol {
            name: "r".repeat(PROTOCOL_BYTES).into(),
            ..JoinGroupRequestProtocol::default()
        }],
        ..JoinGroupRequest::default()
    };
    let joined = until("the member has joined", || {
        let joined = caller.ask::<JoinGroup>(3, &join);
        (joined.error_code == ErrorCode::None).then_some(joined)
    });
    let sync = SyncGroupRequest {
        group_id: THERE.into(),
        generation_id: joined.generation_id,
        member_id: joined.member_id.clone(),
        ..SyncGroupRequest::default()
    };
    let synced = caller.ask::<SyncGroup>(2, &sync);
    assert_eq!(synced.error_code, ErrorCode::None);
    let partition = OffsetCommitRequestPartition {
        committed_offset: 1,
        committed_metadata: Some("w".repeat(WORDS_BYTES).into()),
        ..OffsetCommitRequestPartition::default()
    };
    let commit = OffsetCommitRequest {
        group_id: THERE.into(),
        generation_id_or_member_epoch: joined.generation_id,
        member_id: joined.member_id,
        topics: vec![OffsetCommitRequestTopic {
            name: THERE.into(),
            partitions: vec![partition],
        }],
        ..OffsetCommitRequest::default()
    };
    let committed = caller.ask::<OffsetCommit>(7, &commit);
    let code = committed.topics[0].partitions[0].error_code;
    assert_eq!(code, ErrorCode::None);
    let describe = DescribeGroupsRequest {
        groups: vec![THERE.into()],
        ..DescribeGroupsRequest::default()
    };
    let described = caller.ask::<DescribeGroups>(5, &describe);
    let group = &described.groups[0];
    let told = (group.members.len(), group.protocol_data.len());
    assert_eq!(told, (1, PROTOCOL_BYTES));
}

/// From here on nobody may do anything with topics, groups and transactions.
fn forbid(caller: &mut Caller) {
    const ALL: i8 = 2;
    const DENY: i8 = 2;
    let creation = |resource_type| AclCreation {
        resource_type,
        resource_name: "*".into(),
        principal: "User:*".into(),
        host: "*".into(),
        operation: ALL,
        permission_type: DENY,
        ..AclCreation::default()
    };
    let create = CreateAclsRequest {
        creations: [2, 3, 5].map(creation).into(),
    };
    let created = caller.ask::<CreateAcls>(3, &create);
    let codes = created.results.iter().map(|one| one.error_code);
    assert_eq!(codes.collect::<Vec<_>>(), [ErrorCode::None; 3]);
    let list = ListOffsetsRequest {
        replica_id: -1,
        topics: vec![ListOffsetsTopic {
            name: THERE.into(),
            partitions: vec![ListOffsetsPartition::default()],
        }],
        ..ListOffsetsRequest::default()
    };
    let listed = caller.ask::<ListOffsets>(1, &list);
    let code = listed.topics[0].partitions[0].error_code;
    assert_eq!(code, ErrorCode::TopicAuthorizationFailed);
}

#[test]
fn what_a_request_names_again_and_again_takes_no_memory_that_its_frame_does_not_pay_for() {
    let folder = Folder::new();
    let node = Node::start(&folder);
    let status = node.ask("status").unwrap();
    let mut caller = Caller::new(status["doors"]["kafka"].as_str().unwrap());
    furnish(&mut caller);
    let memory = Memory::of(&node);
    let free = try_all(
        &memory,
        &mut caller,
        &[Way::LongName, Way::Numbered, Way::Same],
    );
    forbid(&mut caller);
    let denied = try_all(&memory, &mut caller, &[Way::LongName]);
    assert!(free.requests > 250, "{}", free.requests);
    // Of what is refused as a whole its client is told by the end of the connection.
    for (tried, who) in [(free, "who may do all"), (denied, "who may do nothing")] {
        let most = tried.requests * 9 / 10;
        assert!(tried.answered >= most, "{who}: {}", tried.answered);
        assert!(tried.dear.is_empty(), "{who}:\n{}", tried.dear.join("\n"));
    }
    node.stop();
}
