//! Reads a submission's parts. What is read came from a stranger.

use super::Malformed;
use crate::clock::Millis;
use crate::ids::{NodeId, SessionId, Uid, Zxid};
use crate::state::acl::{Acl, AclEntry, Identity, Permissions};
use crate::state::command::{
    AttachSession, Command, Create, ImportedNode, NodeKind, OpenSession, Reconfigure, Stat, Write,
};
use crate::state::data::Data;
use crate::state::members::{FIRST_FEATURES, Member, MemberCommand, Role};
use crate::state::restore::{Restore, RestoreStep};
use crate::wire::Cursor;

/// The least that an item of a list takes: two empty texts, and so on.
pub(super) const IDENTITY_BYTES: usize = 8;
const ACL_ENTRY_BYTES: usize = 4 + IDENTITY_BYTES;
const WRITE_BYTES: usize = 1 + 4 + 4;
const DOOR_BYTES: usize = 8;
const IMPORTED_BYTES: usize = 4 + 1 + 4 + 60;

#[derive(Clone, Debug)]
pub(super) struct In<'a>(pub Cursor<'a>);

impl<'a> In<'a> {
    /// The level at which it was written.
    pub(super) fn level(&mut self, known: u32) -> Result<u32, Malformed> {
        let found = u32::from(self.u8()?);
        match (FIRST_FEATURES..=known).contains(&found) {
            true => Ok(found),
            false => Err(Malformed::Level { found, known }),
        }
    }

    pub(super) fn end(&self) -> Result<(), Malformed> {
        match self.0.left() {
            0 => Ok(()),
            bytes => Err(Malformed::Trailing { bytes }),
        }
    }

    pub(super) fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.0.u8()?)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(self.0.u32()?)
    }

    pub(super) fn i32(&mut self) -> Result<i32, Malformed> {
        Ok(self.u32()? as i32)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(self.0.u64()?)
    }

    pub(super) fn raw<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let bytes = self.0.take(N)?;
        Ok(bytes.try_into().expect("as many as were taken"))
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let count = self.u32()? as usize;
        Ok(self.0.take(count)?)
    }

    pub(super) fn text(&mut self) -> Result<Box<str>, Malformed> {
        let text = std::str::from_utf8(self.bytes()?);
        text.map(Box::from).map_err(|_| Malformed::NotUtf8)
    }

    pub(super) fn data(&mut self) -> Result<Data, Malformed> {
        match self.flag("data")? {
            true => Ok(self.bytes()?.into()),
            false => Ok(Data::NOTHING),
        }
    }

    /// How many items follow, each of which takes at least so many bytes.
    pub(super) fn count(&mut self, least: usize) -> Result<u32, Malformed> {
        let declared = self.u32()?;
        let left = self.0.left();
        match (declared as usize).checked_mul(least) {
            Some(bytes) if bytes <= left => Ok(declared),
            _ => Err(Malformed::Count { declared, left }),
        }
    }

    pub(super) fn list<T>(
        &mut self,
        least: usize,
        one: impl Fn(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        (0..self.count(least)?).map(|_| one(self)).collect()
    }

    pub(super) fn flag(&mut self, of: &'static str) -> Result<bool, Malformed> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            tag => Err(Malformed::Tag { of, tag }),
        }
    }

    pub(super) fn option<T>(
        &mut self,
        one: impl Fn(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Option<T>, Malformed> {
        match self.flag("option")? {
            true => one(self).map(Some),
            false => Ok(None),
        }
    }

    pub(super) fn identity(&mut self) -> Result<Identity, Malformed> {
        Ok(Identity {
            scheme: self.text()?,
            id: self.text()?,
        })
    }

    pub(super) fn acl(&mut self) -> Result<Acl, Malformed> {
        self.list(ACL_ENTRY_BYTES, |read| {
            Ok(AclEntry {
                permissions: Permissions(read.u32()?),
                who: read.identity()?,
            })
        })
    }

    pub(super) fn command(&mut self) -> Result<Command, Malformed> {
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
            10 => Command::Restore(self.restore()?),
            11 => Command::Streams(self.streams()?),
            tag => return Err(Malformed::Tag { of: "command", tag }),
        })
    }

    pub(super) fn write(&mut self) -> Result<Write, Malformed> {
        Ok(match self.u8()? {
            0 => Write::Create(Create {
                path: self.text()?,
                data: self.data()?,
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
                data: self.data()?,
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

    pub(super) fn kind(&mut self) -> Result<NodeKind, Malformed> {
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

    pub(super) fn restore(&mut self) -> Result<Restore, Malformed> {
        let backup = Uid(self.raw()?);
        let step = match self.u8()? {
            0 => RestoreStep::Begin {
                discards: self.flag("discards")?,
            },
            1 => RestoreStep::Empty,
            2 => RestoreStep::Fill(self.list(IMPORTED_BYTES, Self::imported)?),
            3 => RestoreStep::End {
                nodes: self.u64()?,
                digest: self.u64()?,
                zxid: Zxid(self.u64()?),
            },
            4 => RestoreStep::GiveUp {
                discards: self.flag("discards")?,
            },
            tag => {
                return Err(Malformed::Tag {
                    of: "step of a restore",
                    tag,
                });
            }
        };
        Ok(Restore { backup, step })
    }

    pub(super) fn imported(&mut self) -> Result<ImportedNode, Malformed> {
        let (path, data, acl) = (self.text()?, self.data()?, self.acl()?);
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
            data,
            acl,
            stat,
        })
    }

    pub(super) fn members(&mut self) -> Result<MemberCommand, Malformed> {
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
                features: self.u32()?,
            },
            4 => MemberCommand::Announce(self.member()?),
            5 => MemberCommand::SetRole {
                node: NodeId(self.u64()?),
                role: self.role()?,
            },
            6 => MemberCommand::Remove {
                node: NodeId(self.u64()?),
            },
            7 => MemberCommand::RaiseFeatures {
                level: self.u32()?,
                members_of: Zxid(self.u64()?),
            },
            8 => MemberCommand::Renew {
                node: NodeId(self.u64()?),
            },
            9 => MemberCommand::Room {
                node: NodeId(self.u64()?),
                is_short: self.flag("room")?,
            },
            tag => {
                return Err(Malformed::Tag {
                    of: "member command",
                    tag,
                });
            }
        })
    }

    pub(super) fn member(&mut self) -> Result<Member, Malformed> {
        Ok(Member {
            node: NodeId(self.u64()?),
            role: self.role()?,
            control: self.text()?,
            bulk: self.text()?,
            doors: self.list(DOOR_BYTES, |read| Ok((read.text()?, read.text()?)))?,
            certificate: self.u64()?,
        })
    }

    pub(super) fn role(&mut self) -> Result<Role, Malformed> {
        Ok(match self.flag("role")? {
            true => Role::Learner,
            false => Role::Voter,
        })
    }
}
