//! Submissions as bytes, for the log and for the way to the leader, and the
//! entries of the log that hold them. Numbers are little endian, a text or a
//! list has its length before it. A leading byte names the form. What is read
//! here came from a peer or a disk: nothing is allocated from a length that
//! was declared, and every byte must mean something.

use super::acl::{Acl, AclEntry, Identity, Permissions};
use super::command::{
    AttachSession, Command, Create, ImportedNode, NodeKind, OpenSession, Reconfigure, Stat,
    Submission, Write,
};
use super::members::{Member, MemberCommand, Role};
use crate::clock::Millis;
use crate::ids::{NodeId, SessionId, Zxid};
use crate::wire::{Cursor, Short};
use std::fmt;

const FORM: u8 = 1;

/// Why bytes are no submission or no entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Malformed {
    Short(Short),
    Form {
        found: u8,
        known: u8,
    },
    Tag {
        of: &'static str,
        tag: u8,
    },
    NotUtf8,
    /// More items than the bytes that are left could hold.
    Count {
        declared: u32,
        left: usize,
    },
    Trailing {
        bytes: usize,
    },
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short(short) => write!(f, "cut short: {short}"),
            Self::Form { found, known } => {
                write!(f, "written in form {found}, this build reads form {known}")
            }
            Self::Tag { of, tag } => write!(f, "{tag} is no {of}"),
            Self::NotUtf8 => f.write_str("a text is not UTF-8"),
            Self::Count { declared, left } => {
                write!(f, "{declared} items declared in {left} bytes")
            }
            Self::Trailing { bytes } => write!(f, "{bytes} bytes behind the end"),
        }
    }
}

impl std::error::Error for Malformed {}

impl From<Short> for Malformed {
    fn from(short: Short) -> Self {
        Self::Short(short)
    }
}

/// An entry of the log: the leader's time, and submissions as they came.
pub fn encode_entry<B: AsRef<[u8]>>(now: Millis, submissions: &[B]) -> Vec<u8> {
    let bytes = submissions.iter().map(|one| 4 + one.as_ref().len());
    let mut out = Out(Vec::with_capacity(13 + bytes.sum::<usize>()));
    out.u8(FORM);
    out.u64(now.0);
    out.u32(submissions.len() as u32);
    for submission in submissions {
        out.bytes(submission.as_ref());
    }
    out.0
}

pub fn decode_entry(bytes: &[u8]) -> Result<(Millis, Submissions<'_>), Malformed> {
    let mut read = In(Cursor::new(bytes));
    read.form()?;
    let now = Millis(read.u64()?);
    let left = read.count(4)?;
    Ok((now, Submissions { read, left }))
}

/// The submissions of an entry, in order. After an error nothing follows.
#[derive(Clone, Debug)]
pub struct Submissions<'a> {
    read: In<'a>,
    left: u32,
}

impl Iterator for Submissions<'_> {
    type Item = Result<Submission, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = match self.left {
            0 => match self.read.end() {
                Ok(()) => return None,
                error => error.map(|()| unreachable!("an error is no end")),
            },
            _ => self.read.bytes().and_then(decode),
        };
        self.left = self.left.saturating_sub(1);
        if next.is_err() {
            self.left = 0;
            self.read = In(Cursor::new(&[]));
        }
        Some(next)
    }
}

pub fn encode(submission: &Submission) -> Vec<u8> {
    let mut out = Out(Vec::with_capacity(128));
    out.u8(FORM);
    out.u64(submission.origin.0);
    out.u64(submission.tag);
    out.u64(submission.session.0);
    out.u32(submission.connection);
    out.u64(submission.sequence);
    out.list(&submission.who, Out::identity);
    out.command(&submission.command);
    out.0
}

pub fn decode(bytes: &[u8]) -> Result<Submission, Malformed> {
    let mut read = In(Cursor::new(bytes));
    read.form()?;
    let submission = Submission {
        origin: NodeId(read.u64()?),
        tag: read.u64()?,
        session: SessionId(read.u64()?),
        connection: read.u32()?,
        sequence: read.u64()?,
        who: read.list(IDENTITY_BYTES, In::identity)?,
        command: read.command()?,
    };
    read.end()?;
    Ok(submission)
}

/// The least that an item of a list takes: two empty texts, and so on.
const IDENTITY_BYTES: usize = 8;
const ACL_ENTRY_BYTES: usize = 4 + IDENTITY_BYTES;
const WRITE_BYTES: usize = 1 + 4 + 4;
const DOOR_BYTES: usize = 8;
const IMPORTED_BYTES: usize = 4 + 4 + 4 + 60;

struct Out(Vec<u8>);

impl Out {
    fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn i32(&mut self, value: i32) {
        self.u32(value as u32);
    }

    fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.u32(bytes.len() as u32);
        self.raw(bytes);
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn list<T>(&mut self, items: &[T], one: impl Fn(&mut Self, &T)) {
        self.u32(items.len() as u32);
        items.iter().for_each(|item| one(self, item));
    }

    fn option<T>(&mut self, item: &Option<T>, one: impl Fn(&mut Self, &T)) {
        self.u8(item.is_some().into());
        item.iter().for_each(|item| one(self, item));
    }

    fn identity(&mut self, identity: &Identity) {
        self.text(&identity.scheme);
        self.text(&identity.id);
    }

    fn acl(&mut self, acl: &Acl) {
        self.list(acl, |out, entry| {
            out.u32(entry.permissions.0);
            out.identity(&entry.who);
        });
    }

    fn command(&mut self, command: &Command) {
        match command {
            Command::OpenSession(OpenSession {
                session,
                password,
                timeout_ms,
            }) => {
                self.u8(0);
                self.session(*session, password, *timeout_ms);
            }
            Command::AttachSession(AttachSession {
                session,
                password,
                timeout_ms,
            }) => {
                self.u8(1);
                self.session(*session, password, *timeout_ms);
            }
            Command::CloseSession => self.u8(2),
            Command::ExpireSession {
                session,
                connection,
            } => {
                self.u8(3);
                self.u64(session.0);
                self.u32(*connection);
            }
            Command::Write(write) => {
                self.u8(4);
                self.write(write);
            }
            Command::Multi(writes) => {
                self.u8(5);
                self.list(writes, Self::write);
            }
            Command::Reap { path } => {
                self.u8(6);
                self.text(path);
            }
            Command::Reconfigure(asked) => {
                self.u8(7);
                for text in [&asked.joining, &asked.leaving, &asked.members] {
                    self.option(text, |out, text| out.text(text));
                }
                self.u64(asked.from_version as u64);
            }
            Command::Members(command) => {
                self.u8(8);
                self.members(command);
            }
            Command::Import(nodes) => {
                self.u8(9);
                self.list(nodes, Self::imported);
            }
        }
    }

    fn session(&mut self, session: SessionId, password: &[u8; 16], timeout_ms: u32) {
        self.u64(session.0);
        self.raw(password);
        self.u32(timeout_ms);
    }

    fn write(&mut self, write: &Write) {
        match write {
            Write::Create(create) => {
                self.u8(0);
                self.text(&create.path);
                self.bytes(&create.data);
                self.acl(&create.acl);
                self.kind(create.kind);
                self.u8(create.is_sequential.into());
            }
            Write::Delete { path, version } => {
                self.u8(1);
                self.text(path);
                self.i32(*version);
            }
            Write::SetData {
                path,
                data,
                version,
            } => {
                self.u8(2);
                self.text(path);
                self.bytes(data);
                self.i32(*version);
            }
            Write::SetAcl { path, acl, version } => {
                self.u8(3);
                self.text(path);
                self.acl(acl);
                self.i32(*version);
            }
            Write::Check { path, version } => {
                self.u8(4);
                self.text(path);
                self.i32(*version);
            }
        }
    }

    fn kind(&mut self, kind: NodeKind) {
        match kind {
            NodeKind::Persistent => self.u8(0),
            NodeKind::Ephemeral => self.u8(1),
            NodeKind::Container => self.u8(2),
            NodeKind::Ttl { ttl_ms } => {
                self.u8(3);
                self.u64(ttl_ms);
            }
        }
    }

    fn imported(&mut self, node: &ImportedNode) {
        self.text(&node.path);
        self.bytes(&node.data);
        self.acl(&node.acl);
        let stat = &node.stat;
        for number in [
            stat.created_zxid.0,
            stat.modified_zxid.0,
            stat.children_zxid.0,
            stat.created.0,
            stat.modified.0,
            stat.owner,
        ] {
            self.u64(number);
        }
        self.i32(stat.version);
        self.i32(stat.children_version);
        self.i32(stat.acl_version);
    }

    fn members(&mut self, command: &MemberCommand) {
        match command {
            MemberCommand::Found(member) => {
                self.u8(0);
                self.member(member);
            }
            MemberCommand::CreateToken {
                id,
                secret_hash,
                role,
                until,
            } => {
                self.u8(1);
                self.raw(id);
                self.raw(secret_hash);
                self.role(*role);
                self.u64(until.0);
            }
            MemberCommand::RevokeToken { id } => {
                self.u8(2);
                self.raw(id);
            }
            MemberCommand::Admit {
                token,
                secret_hash,
                public_key,
                control,
                bulk,
                in_place_of,
            } => {
                self.u8(3);
                self.raw(token);
                self.raw(secret_hash);
                self.bytes(public_key);
                self.text(control);
                self.text(bulk);
                self.option(in_place_of, |out, node| out.u64(node.0));
            }
            MemberCommand::Announce(member) => {
                self.u8(4);
                self.member(member);
            }
            MemberCommand::SetRole { node, role } => {
                self.u8(5);
                self.u64(node.0);
                self.role(*role);
            }
            MemberCommand::Remove { node } => {
                self.u8(6);
                self.u64(node.0);
            }
            MemberCommand::RaiseFeatures { level } => {
                self.u8(7);
                self.u32(*level);
            }
        }
    }

    fn member(&mut self, member: &Member) {
        self.u64(member.node.0);
        self.role(member.role);
        self.text(&member.control);
        self.text(&member.bulk);
        self.list(&member.doors, |out, (name, at)| {
            out.text(name);
            out.text(at);
        });
        self.u64(member.certificate);
    }

    fn role(&mut self, role: Role) {
        self.u8((role == Role::Learner).into());
    }
}

#[derive(Clone, Debug)]
struct In<'a>(Cursor<'a>);

impl<'a> In<'a> {
    fn form(&mut self) -> Result<(), Malformed> {
        match self.u8()? {
            FORM => Ok(()),
            found => Err(Malformed::Form { found, known: FORM }),
        }
    }

    fn end(&self) -> Result<(), Malformed> {
        match self.0.left() {
            0 => Ok(()),
            bytes => Err(Malformed::Trailing { bytes }),
        }
    }

    fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.0.u8()?)
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(self.0.u32()?)
    }

    fn i32(&mut self) -> Result<i32, Malformed> {
        Ok(self.u32()? as i32)
    }

    fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(self.0.u64()?)
    }

    fn raw<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let bytes = self.0.take(N)?;
        Ok(bytes.try_into().expect("as many as were taken"))
    }

    fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let count = self.u32()? as usize;
        Ok(self.0.take(count)?)
    }

    fn text(&mut self) -> Result<Box<str>, Malformed> {
        let text = std::str::from_utf8(self.bytes()?);
        text.map(Box::from).map_err(|_| Malformed::NotUtf8)
    }

    /// How many items follow, each of which takes at least so many bytes.
    fn count(&mut self, least: usize) -> Result<u32, Malformed> {
        let declared = self.u32()?;
        let left = self.0.left();
        match (declared as usize).checked_mul(least) {
            Some(bytes) if bytes <= left => Ok(declared),
            _ => Err(Malformed::Count { declared, left }),
        }
    }

    fn list<T>(
        &mut self,
        least: usize,
        one: impl Fn(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        (0..self.count(least)?).map(|_| one(self)).collect()
    }

    fn flag(&mut self, of: &'static str) -> Result<bool, Malformed> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            tag => Err(Malformed::Tag { of, tag }),
        }
    }

    fn option<T>(
        &mut self,
        one: impl Fn(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Option<T>, Malformed> {
        match self.flag("option")? {
            true => one(self).map(Some),
            false => Ok(None),
        }
    }

    fn identity(&mut self) -> Result<Identity, Malformed> {
        Ok(Identity {
            scheme: self.text()?,
            id: self.text()?,
        })
    }

    fn acl(&mut self) -> Result<Acl, Malformed> {
        self.list(ACL_ENTRY_BYTES, |read| {
            Ok(AclEntry {
                permissions: Permissions(read.u32()?),
                who: read.identity()?,
            })
        })
    }

    fn command(&mut self) -> Result<Command, Malformed> {
        Ok(match self.u8()? {
            0 => Command::OpenSession(OpenSession {
                session: SessionId(self.u64()?),
                password: self.raw()?,
                timeout_ms: self.u32()?,
            }),
            1 => Command::AttachSession(AttachSession {
                session: SessionId(self.u64()?),
                password: self.raw()?,
                timeout_ms: self.u32()?,
            }),
            2 => Command::CloseSession,
            3 => Command::ExpireSession {
                session: SessionId(self.u64()?),
                connection: self.u32()?,
            },
            4 => Command::Write(self.write()?),
            5 => Command::Multi(self.list(WRITE_BYTES, Self::write)?),
            6 => Command::Reap { path: self.text()? },
            7 => Command::Reconfigure(Reconfigure {
                joining: self.option(Self::text)?,
                leaving: self.option(Self::text)?,
                members: self.option(Self::text)?,
                from_version: self.u64()? as i64,
            }),
            8 => Command::Members(self.members()?),
            9 => Command::Import(self.list(IMPORTED_BYTES, Self::imported)?),
            tag => return Err(Malformed::Tag { of: "command", tag }),
        })
    }

    fn write(&mut self) -> Result<Write, Malformed> {
        Ok(match self.u8()? {
            0 => Write::Create(Create {
                path: self.text()?,
                data: self.bytes()?.into(),
                acl: self.acl()?,
                kind: self.kind()?,
                is_sequential: self.flag("is_sequential")?,
            }),
            1 => Write::Delete {
                path: self.text()?,
                version: self.i32()?,
            },
            2 => Write::SetData {
                path: self.text()?,
                data: self.bytes()?.into(),
                version: self.i32()?,
            },
            3 => Write::SetAcl {
                path: self.text()?,
                acl: self.acl()?,
                version: self.i32()?,
            },
            4 => Write::Check {
                path: self.text()?,
                version: self.i32()?,
            },
            tag => return Err(Malformed::Tag { of: "write", tag }),
        })
    }

    fn kind(&mut self) -> Result<NodeKind, Malformed> {
        Ok(match self.u8()? {
            0 => NodeKind::Persistent,
            1 => NodeKind::Ephemeral,
            2 => NodeKind::Container,
            3 => NodeKind::Ttl {
                ttl_ms: self.u64()?,
            },
            tag => {
                return Err(Malformed::Tag {
                    of: "node kind",
                    tag,
                });
            }
        })
    }

    fn imported(&mut self) -> Result<ImportedNode, Malformed> {
        let (path, data, acl) = (self.text()?, self.bytes()?, self.acl()?);
        let stat = Stat {
            created_zxid: Zxid(self.u64()?),
            modified_zxid: Zxid(self.u64()?),
            children_zxid: Zxid(self.u64()?),
            created: Millis(self.u64()?),
            modified: Millis(self.u64()?),
            owner: self.u64()?,
            version: self.i32()?,
            children_version: self.i32()?,
            acl_version: self.i32()?,
            data_length: data.len() as i32,
            children: 0,
        };
        Ok(ImportedNode {
            path,
            data: data.into(),
            acl,
            stat,
        })
    }

    fn members(&mut self) -> Result<MemberCommand, Malformed> {
        Ok(match self.u8()? {
            0 => MemberCommand::Found(self.member()?),
            1 => MemberCommand::CreateToken {
                id: self.raw()?,
                secret_hash: self.raw()?,
                role: self.role()?,
                until: Millis(self.u64()?),
            },
            2 => MemberCommand::RevokeToken { id: self.raw()? },
            3 => MemberCommand::Admit {
                token: self.raw()?,
                secret_hash: self.raw()?,
                public_key: self.bytes()?.into(),
                control: self.text()?,
                bulk: self.text()?,
                in_place_of: self.option(|read| Ok(NodeId(read.u64()?)))?,
            },
            4 => MemberCommand::Announce(self.member()?),
            5 => MemberCommand::SetRole {
                node: NodeId(self.u64()?),
                role: self.role()?,
            },
            6 => MemberCommand::Remove {
                node: NodeId(self.u64()?),
            },
            7 => MemberCommand::RaiseFeatures { level: self.u32()? },
            tag => {
                return Err(Malformed::Tag {
                    of: "member command",
                    tag,
                });
            }
        })
    }

    fn member(&mut self) -> Result<Member, Malformed> {
        Ok(Member {
            node: NodeId(self.u64()?),
            role: self.role()?,
            control: self.text()?,
            bulk: self.text()?,
            doors: self.list(DOOR_BYTES, |read| Ok((read.text()?, read.text()?)))?,
            certificate: self.u64()?,
        })
    }

    fn role(&mut self) -> Result<Role, Malformed> {
        Ok(match self.flag("role")? {
            true => Role::Learner,
            false => Role::Voter,
        })
    }
}
