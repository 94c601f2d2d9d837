//! Random submissions over few paths, so that they meet: sessions that come,
//! go and lose writes, single writes and multis of every kind.

use super::access;
use dolmen::clock::Millis;
use dolmen::entropy::Seeded;
use dolmen::ids::{LogId, NodeId, PartitionId, SessionId, TopicId, Uid};
use dolmen::state::topics::{
    AddPartitions, AlterOverrides, AlterSettings, Alteration, Announce, BrokerLife, CreateTopic,
    Election, Holder, InSyncChange, Kept, Layout, Listener, Lost, Reassignment, Security,
    SettingsChange, TopicKey,
};
use dolmen::state::{
    Acl, AclEntry, AttachSession, Command, Create, Data, Identity, MemberCommand, NodeKind,
    OpenSession, Permissions, Role, State, StreamsCommand, Submission, Write,
};

pub struct Dice {
    pub seeded: Seeded,
    pub now: Millis,
    next_session: u64,
}

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self {
            seeded: Seeded::new(seed),
            now: Millis(1000),
            next_session: 1,
        }
    }

    /// The next submission, given how the state stands.
    pub fn submission(&mut self, state: &State) -> Submission {
        self.now.0 += self.seeded.below(20);
        let sessions: Vec<SessionId> = state.sessions().map(|(id, _)| id).collect();
        let some = self.seeded.below(sessions.len() as u64) as usize;
        let session = sessions.get(some).copied().unwrap_or_default();
        let command = match self.seeded.below(40) {
            0 | 1 => self.open(),
            2 => self.attach(session),
            3 => Command::ExpireSession {
                session,
                connection: state.session(session).map_or(1, |one| one.connection),
            },
            4 => Command::CloseSession,
            5 => self.members(),
            6 => Command::Reap { path: self.path() },
            35..=39 => Command::Streams(self.streams(state)),
            7..=15 => {
                let count = self.seeded.below(5);
                Command::Multi((0..count).map(|_| self.write()).collect())
            }
            _ => Command::Write(self.write()),
        };
        self.sent(state, session, command)
    }

    /// In its place in the session's order, mostly.
    fn sent(&mut self, state: &State, session: SessionId, command: Command) -> Submission {
        let by_client = matches!(
            command,
            Command::Write(_)
                | Command::Multi(_)
                | Command::CloseSession
                | Command::Streams(StreamsCommand::Announce(_))
        );
        let session = if by_client { session } else { SessionId(0) };
        let current = state.session(session);
        let slip = u64::from(self.seeded.one_in(60)) * self.seeded.below(3);
        Submission {
            origin: NodeId(1 + self.seeded.below(3)),
            tag: self.seeded.next_u64(),
            session,
            connection: current.map_or(0, |one| one.connection),
            sequence: current.map_or(0, |one| one.sequence + slip + 1),
            who: vec![Identity::new("digest", "ann:hash")],
            command,
        }
    }

    fn open(&mut self) -> Command {
        let session = SessionId(self.next_session);
        self.next_session += 1;
        Command::OpenSession(OpenSession {
            session,
            password: [session.0 as u8; 16],
            timeout_ms: 10_000,
        })
    }

    fn attach(&mut self, session: SessionId) -> Command {
        let slip = u8::from(self.seeded.one_in(8));
        Command::AttachSession(AttachSession {
            session,
            password: [session.0 as u8 + slip; 16],
            timeout_ms: 20_000,
        })
    }

    fn members(&mut self) -> Command {
        let id = [self.seeded.below(4) as u8; 8];
        Command::Members(match self.seeded.below(3) {
            0 => MemberCommand::CreateToken {
                id,
                secret_hash: [1; 32],
                role: Role::Voter,
                until: Millis(self.now.0 + 500),
            },
            1 => MemberCommand::RevokeToken { id },
            _ => MemberCommand::Admit {
                token: id,
                secret_hash: [1; 32],
                public_key: vec![self.seeded.below(3) as u8],
                control: "a:1".into(),
                bulk: "a:2".into(),
                in_place_of: None,
                features: 1,
            },
        })
    }

    /// Of every kind, so that each has been written and read back; most of them
    /// do nothing.
    fn streams(&mut self, state: &State) -> StreamsCommand {
        let topic = match self.seeded.one_in(2) {
            true => TopicKey::Name(self.topic()),
            false => TopicKey::Id(self.topic_id()),
        };
        let validates_only = self.seeded.one_in(5);
        match self.seeded.below(17) {
            16 => StreamsCommand::AlterOverrides(self.overrides(validates_only)),
            14 | 15 => StreamsCommand::Access(access::command(&mut self.seeded)),
            0..=2 => StreamsCommand::Announce(self.announce()),
            3..=6 => StreamsCommand::CreateTopic(CreateTopic {
                name: self.topic(),
                id: self.topic_id(),
                layout: self.layout(),
                settings: self.given(),
                validates_only,
            }),
            7 => StreamsCommand::DeleteTopic { topic },
            8 => StreamsCommand::AddPartitions(AddPartitions {
                topic,
                count: self.seeded.below(5) as u32,
                assigned: self.seeded.one_in(2).then(|| self.lists()),
                validates_only,
            }),
            9 => StreamsCommand::AlterSettings(AlterSettings {
                topic,
                change: self.settings_change(),
                validates_only,
            }),
            10 => {
                let life = self.life(state);
                let change = InSyncChange {
                    topic: self.topic_id(),
                    partition: self.partition(),
                    leader_epoch: self.seeded.below(3) as i32,
                    partition_epoch: self.seeded.below(3) as i32 - 1,
                    in_sync: vec![life, self.life(state)],
                };
                StreamsCommand::ChangeInSync {
                    leader: life,
                    changes: vec![change],
                }
            }
            11 => StreamsCommand::Elect {
                election: match self.seeded.one_in(2) {
                    true => Election::Preferred,
                    false => Election::Unclean,
                },
                partitions: (self.seeded.one_in(2)).then(|| vec![(self.topic(), self.partition())]),
            },
            12 => match self.seeded.one_in(2) {
                true => StreamsCommand::HandOn {
                    leader: self.life(state),
                    partitions: (self.seeded.one_in(2))
                        .then(|| vec![(self.topic_id(), self.partition())]),
                },
                false => StreamsCommand::DrawProducerIds {
                    broker: self.life(state),
                },
            },
            _ => StreamsCommand::Reassign {
                moves: vec![Reassignment {
                    topic: self.topic(),
                    partition: self.partition(),
                    target: self.seeded.one_in(2).then(|| self.nodes()),
                }],
            },
        }
    }

    fn announce(&mut self) -> Announce {
        let listener = |name: &str, security| Listener {
            name: name.into(),
            security,
            host: "10.0.0.1".into(),
            port: 9092,
        };
        let all = [
            listener("A", Security::Plaintext),
            listener("B", Security::Ssl),
            listener("C", Security::SaslPlaintext),
            listener("D", Security::SaslSsl),
        ];
        let count = 1 + self.seeded.below(4) as usize;
        Announce {
            node: NodeId(1 + self.seeded.below(3)),
            disk: Uid([self.seeded.below(2) as u8; 16]),
            kept: match self.seeded.below(4) {
                0 => Kept::All,
                1 => Kept::Synced,
                2 => Kept::Less(Lost::Anywhere),
                count => Kept::Less(Lost::In((1..count).map(LogId).collect())),
            },
            listeners: all[..count].to_vec(),
            rack: self.seeded.one_in(2).then(|| "left".into()),
        }
    }

    fn topic(&mut self) -> Box<str> {
        ["a.b", "a_b", "c"][self.seeded.below(3) as usize].into()
    }

    fn topic_id(&mut self) -> TopicId {
        TopicId([1 + self.seeded.below(3) as u8; 16])
    }

    fn partition(&mut self) -> PartitionId {
        PartitionId(self.seeded.below(2) as u32)
    }

    fn life(&mut self, state: &State) -> BrokerLife {
        let node = NodeId(1 + self.seeded.below(3));
        let epoch = state.zxid();
        let life = state.topics().brokers().life(node);
        life.unwrap_or(BrokerLife { node, epoch })
    }

    fn nodes(&mut self) -> Vec<NodeId> {
        let count = self.seeded.below(3);
        (0..count)
            .map(|_| NodeId(1 + self.seeded.below(3)))
            .collect()
    }

    fn lists(&mut self) -> Vec<Vec<NodeId>> {
        let count = self.seeded.below(3);
        (0..count).map(|_| self.nodes()).collect()
    }

    fn layout(&mut self) -> Layout {
        match self.seeded.one_in(3) {
            true => Layout::Assigned(self.lists()),
            false => Layout::Spread {
                partitions: self
                    .seeded
                    .one_in(2)
                    .then(|| 1 + self.seeded.below(3) as u32),
                factor: self.seeded.one_in(3).then(|| self.seeded.below(4) as u16),
            },
        }
    }

    fn given(&mut self) -> Vec<(Box<str>, Box<str>)> {
        let all = [
            ("retention.ms", "5"),
            ("durability", "replicated"),
            ("x", "y"),
        ];
        let passed = self.seeded.below(6) as usize;
        let given = all.iter().skip(passed).take(2);
        given
            .map(|&(name, value)| (name.into(), value.into()))
            .collect()
    }

    fn settings_change(&mut self) -> SettingsChange {
        if self.seeded.one_in(3) {
            return SettingsChange::Replace(self.given());
        }
        let alteration = match self.seeded.below(4) {
            0 => Alteration::Set("compact".into()),
            1 => Alteration::Delete,
            2 => Alteration::Append("compact,delete".into()),
            _ => Alteration::Subtract("delete".into()),
        };
        SettingsChange::Alter(vec![("cleanup.policy".into(), alteration)])
    }

    fn overrides(&mut self, validates_only: bool) -> AlterOverrides {
        let (name, value) = [
            ("num.partitions", "3"),
            ("auto.create.topics.enable", "false"),
            ("num.io.threads", "2"),
            ("consumer.session.timeout.ms", "7000"),
            ("consumer.heartbeat.interval.ms", "8000"),
        ][self.seeded.below(5) as usize];
        let change = match self.seeded.below(3) {
            0 => SettingsChange::Replace(vec![(name.into(), value.into())]),
            1 => SettingsChange::Alter(vec![(name.into(), Alteration::Delete)]),
            _ => SettingsChange::Alter(vec![(name.into(), Alteration::Set(value.into()))]),
        };
        AlterOverrides {
            holder: match self.seeded.below(4) {
                0 => Holder::Brokers,
                1 => Holder::OneBroker,
                _ => Holder::Group(self.topic()),
            },
            change,
            validates_only,
        }
    }

    fn path(&mut self) -> Box<str> {
        let depth = 1 + self.seeded.below(3);
        let name = |_| ["/a", "/b", "/c", "/d"][self.seeded.below(4) as usize];
        (0..depth).map(name).collect::<String>().into()
    }

    fn version(&mut self) -> i32 {
        match self.seeded.below(4) {
            0 => self.seeded.below(3) as i32,
            _ => -1,
        }
    }

    fn data(&mut self) -> Data {
        if self.seeded.one_in(8) {
            return Data::NOTHING;
        }
        let length = self.seeded.below(12) as usize;
        vec![self.seeded.below(256) as u8; length].into()
    }

    fn acl(&mut self) -> Acl {
        let who = match self.seeded.below(8) {
            0 => Identity::new("digest", "ann:hash"),
            1 => Identity::new("auth", ""),
            2 => Identity::new("nobody", "knows"),
            _ => Identity::new("world", "anyone"),
        };
        let permissions = match self.seeded.below(6) {
            0 => Permissions(self.seeded.below(32) as u32),
            _ => Permissions::ALL,
        };
        vec![AclEntry { permissions, who }]
    }

    fn write(&mut self) -> Write {
        let path = self.path();
        match self.seeded.below(10) {
            0..=4 => Write::Create(Create {
                path,
                data: self.data(),
                acl: self.acl(),
                kind: match self.seeded.below(8) {
                    0 | 1 => NodeKind::Ephemeral,
                    2 => NodeKind::Container,
                    3 => NodeKind::Ttl { ttl_ms: 50 },
                    _ => NodeKind::Persistent,
                },
                is_sequential: self.seeded.one_in(8),
            }),
            5 | 6 => Write::Delete {
                path,
                version: self.version(),
            },
            7 | 8 => Write::SetData {
                path,
                data: self.data(),
                version: self.version(),
            },
            _ if self.seeded.one_in(2) => Write::SetAcl {
                path,
                acl: self.acl(),
                version: self.version(),
            },
            _ => Write::Check {
                path,
                version: self.version(),
            },
        }
    }
}
