//! Writes a submission's parts, each in one form.

use crate::ids::SessionId;
use crate::state::acl::{Acl, Identity};
use crate::state::command::{AttachSession, Command, ImportedNode, NodeKind, OpenSession, Write};
use crate::state::data::Data;
use crate::state::members::{Member, MemberCommand, Role};
use crate::state::restore::{Restore, RestoreStep};

pub(super) struct Out(pub Vec<u8>);

impl Out {
    /// The level at which all that follows is written.
    pub(super) fn level(&mut self, level: u32) {
        self.u8(u8::try_from(level).expect("no level is above FEATURES_MAX"));
    }

    pub(super) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn i32(&mut self, value: i32) {
        self.u32(value as u32);
    }

    pub(super) fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.u32(bytes.len() as u32);
        self.raw(bytes);
    }

    pub(super) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub(super) fn data(&mut self, data: &Data) {
        self.u8((!data.is_nothing()).into());
        data.bytes().iter().for_each(|bytes| self.bytes(bytes));
    }

    pub(super) fn list<T>(&mut self, items: &[T], one: impl Fn(&mut Self, &T)) {
        self.u32(items.len() as u32);
        items.iter().for_each(|item| one(self, item));
    }

    pub(super) fn option<T>(&mut self, item: &Option<T>, one: impl Fn(&mut Self, &T)) {
        self.u8(item.is_some().into());
        item.iter().for_each(|item| one(self, item));
    }

    pub(super) fn identity(&mut self, identity: &Identity) {
        self.text(&identity.scheme);
        self.text(&identity.id);
    }

    pub(super) fn acl(&mut self, acl: &Acl) {
        self.list(acl, |out, entry| {
            out.u32(entry.permissions.0);
            out.identity(&entry.who);
        });
    }

    pub(super) fn command(&mut self, command: &Command) {
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
            Command::Restore(restore) => {
                self.u8(10);
                self.restore(restore);
            }
            Command::Streams(command) => {
                self.u8(11);
                self.streams(command);
            }
        }
    }

    pub(super) fn session(&mut self, session: SessionId, password: &[u8; 16], timeout_ms: u32) {
        self.u64(session.0);
        self.raw(password);
        self.u32(timeout_ms);
    }

    pub(super) fn write(&mut self, write: &Write) {
        match write {
            Write::Create(create) => {
                self.u8(0);
                self.text(&create.path);
                self.data(&create.data);
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
                self.data(data);
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

    pub(super) fn kind(&mut self, kind: NodeKind) {
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

    pub(super) fn restore(&mut self, restore: &Restore) {
        self.raw(&restore.backup.0);
        match &restore.step {
            RestoreStep::Begin { discards } => {
                self.u8(0);
                self.u8((*discards).into());
            }
            RestoreStep::Empty => self.u8(1),
            RestoreStep::Fill(nodes) => {
                self.u8(2);
                self.list(nodes, Self::imported);
            }
            RestoreStep::End {
                nodes,
                digest,
                zxid,
            } => {
                self.u8(3);
                [*nodes, *digest, zxid.0]
                    .iter()
                    .for_each(|&number| self.u64(number));
            }
            RestoreStep::GiveUp { discards } => {
                self.u8(4);
                self.u8((*discards).into());
            }
        }
    }

    pub(super) fn imported(&mut self, node: &ImportedNode) {
        self.text(&node.path);
        self.data(&node.data);
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

    pub(super) fn members(&mut self, command: &MemberCommand) {
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
                features,
            } => {
                self.u8(3);
                self.raw(token);
                self.raw(secret_hash);
                self.bytes(public_key);
                self.text(control);
                self.text(bulk);
                self.option(in_place_of, |out, node| out.u64(node.0));
                self.u32(*features);
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
            MemberCommand::Renew { node } => {
                self.u8(8);
                self.u64(node.0);
            }
            MemberCommand::Room { node, is_short } => {
                self.u8(9);
                self.u64(node.0);
                self.u8(u8::from(*is_short));
            }
            MemberCommand::RaiseFeatures { level, members_of } => {
                self.u8(7);
                self.u32(*level);
                self.u64(members_of.0);
            }
        }
    }

    pub(super) fn member(&mut self, member: &Member) {
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

    pub(super) fn role(&mut self, role: Role) {
        self.u8((role == Role::Learner).into());
    }
}
