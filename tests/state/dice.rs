//! Random submissions over few paths, so that they meet: sessions that come,
//! go and lose writes, single writes and multis of every kind.

use dolmen::clock::Millis;
use dolmen::entropy::Seeded;
use dolmen::ids::{NodeId, SessionId};
use dolmen::state::{
    Acl, AclEntry, AttachSession, Command, Create, Data, Identity, MemberCommand, NodeKind,
    OpenSession, Permissions, Role, State, Submission, Write,
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
            Command::Write(_) | Command::Multi(_) | Command::CloseSession
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
