//! What a snapshot holds, as it is archived. A field here is a promise to
//! every later build: a change is a new schema.

use crate::clock::Millis;
use crate::ids::{NodeId, SessionId, Term, Uid, Zxid};
use crate::limits::ATTACHMENTS_KEPT;
use crate::state::State;
use crate::state::acl::{Acl, AclEntry, Identity, Permissions};
use crate::state::config_node::Announced;
use crate::state::members::{Member, Members, Role};
use crate::state::node::{Node, Slot};
use crate::state::sessions::Session;
use crate::state::tokens::{Token, Tokens, Used};

/// One frame's content. The head comes first and says how much follows.
#[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub enum Piece {
    Head(Head),
    Acls(Vec<AclRecord>),
    Sessions(Vec<SessionRecord>),
    Nodes(Vec<NodeRecord>),
}

#[derive(Clone, Debug, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Head {
    pub cluster: [u8; 16],
    pub term: u64,
    pub zxid: u64,
    /// Of the whole state; the loaded one must come to the same.
    pub digest: u64,
    pub acls: u64,
    pub sessions: u64,
    pub nodes: u64,
    pub members: MembersRecord,
}

#[derive(Clone, Debug, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct MembersRecord {
    pub list: Vec<MemberRecord>,
    pub announced: Vec<AnnouncedRecord>,
    pub tokens: Vec<TokenRecord>,
    pub next_node: u64,
    pub next_serial: u64,
    pub features: u32,
    pub short_of_room: Vec<u64>,
    pub changed: u64,
}

#[derive(Clone, Debug, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct MemberRecord {
    pub node: u64,
    pub is_voter: bool,
    pub is_promised: bool,
    pub control: String,
    pub bulk: String,
    pub doors: Vec<(String, String)>,
    pub certificate: u64,
}

#[derive(Clone, Debug, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct AnnouncedRecord {
    pub id: u64,
    pub host: String,
    pub ports: (u16, u16),
    pub client_host: String,
    pub client_port: u16,
}

#[derive(Clone, Debug, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct TokenRecord {
    pub id: [u8; 8],
    pub secret_hash: [u8; 32],
    pub is_for_voter: bool,
    pub until: u64,
    pub used: Option<UsedRecord>,
}

#[derive(Clone, Debug, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct UsedRecord {
    pub node: u64,
    pub serial: u64,
    pub public_key: Vec<u8>,
}

#[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct AclRecord {
    /// As the snapshot's nodes call it.
    pub id: u32,
    pub entries: Vec<AclEntryRecord>,
}

#[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct AclEntryRecord {
    pub permissions: u32,
    pub scheme: String,
    pub id: String,
}

#[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct SessionRecord {
    pub id: u64,
    pub password: [u8; 16],
    pub timeout_ms: u32,
    pub connection: u32,
    pub sequence: u64,
    pub has_gap: bool,
    pub origin: u64,
    pub attached_by: [(u64, u64); ATTACHMENTS_KEPT],
}

#[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct NodeRecord {
    pub slot: u32,
    pub parent: u32,
    pub acl: u32,
    pub name: String,
    /// None for nothing, which is not the same as no bytes.
    pub data: Option<Vec<u8>>,
    pub created_zxid: u64,
    pub modified_zxid: u64,
    pub children_zxid: u64,
    pub created: u64,
    pub modified: u64,
    pub owner: u64,
    pub version: i32,
    pub children_created: i32,
    pub acl_version: i32,
}

impl Head {
    pub fn of(state: &State, acls: u64) -> Self {
        Self {
            cluster: state.cluster.0,
            term: state.term.0,
            zxid: state.zxid.0,
            digest: state.digest(),
            acls,
            sessions: state.sessions.count() as u64,
            nodes: state.tree.count(),
            members: MembersRecord::of(&state.members),
        }
    }

    pub fn cluster(&self) -> Uid {
        Uid(self.cluster)
    }

    pub fn term(&self) -> Term {
        Term(self.term)
    }

    pub fn zxid(&self) -> Zxid {
        Zxid(self.zxid)
    }
}

impl MembersRecord {
    fn of(members: &Members) -> Self {
        let record = |member: &Member| MemberRecord {
            node: member.node.0,
            is_voter: member.role == Role::Voter,
            is_promised: members.promised.contains(&member.node),
            control: (*member.control).into(),
            bulk: (*member.bulk).into(),
            doors: pairs(&member.doors),
            certificate: member.certificate,
        };
        let announced = |(&id, announced): (&u64, &Announced)| AnnouncedRecord {
            id,
            host: (*announced.host).into(),
            ports: announced.ports,
            client_host: (*announced.client_host).into(),
            client_port: announced.client_port,
        };
        Self {
            list: members.list.values().map(record).collect(),
            announced: members.announced.iter().map(announced).collect(),
            tokens: members.tokens.iter().map(TokenRecord::of).collect(),
            next_node: members.next_node.0,
            next_serial: members.next_serial,
            features: members.features,
            short_of_room: members.short_of_room.iter().map(|node| node.0).collect(),
            changed: members.changed.0,
        }
    }

    pub fn read(self) -> Members {
        let promised = self.list.iter().filter(|member| member.is_promised);
        let promised = promised.map(|member| NodeId(member.node)).collect();
        let member = |record: MemberRecord| Member {
            node: NodeId(record.node),
            role: role(record.is_voter),
            control: record.control.into(),
            bulk: record.bulk.into(),
            doors: (record.doors.into_iter())
                .map(|(name, at)| (name.into(), at.into()))
                .collect(),
            certificate: record.certificate,
        };
        let announced = |record: AnnouncedRecord| Announced {
            host: record.host.into(),
            ports: record.ports,
            client_host: record.client_host.into(),
            client_port: record.client_port,
        };
        Members {
            promised,
            list: (self.list.into_iter())
                .map(|record| (NodeId(record.node), member(record)))
                .collect(),
            announced: (self.announced.into_iter())
                .map(|record| (record.id, announced(record)))
                .collect(),
            tokens: Tokens(self.tokens.into_iter().map(TokenRecord::read).collect()),
            next_node: NodeId(self.next_node),
            next_serial: self.next_serial,
            features: self.features,
            short_of_room: self.short_of_room.into_iter().map(NodeId).collect(),
            changed: Zxid(self.changed),
        }
    }
}

fn pairs(doors: &[(Box<str>, Box<str>)]) -> Vec<(String, String)> {
    let pair = |(name, at): &(Box<str>, Box<str>)| (name.to_string(), at.to_string());
    doors.iter().map(pair).collect()
}

fn role(is_voter: bool) -> Role {
    match is_voter {
        true => Role::Voter,
        false => Role::Learner,
    }
}

impl TokenRecord {
    fn of((id, token): ([u8; 8], &Token)) -> Self {
        Self {
            id,
            secret_hash: token.secret_hash,
            is_for_voter: token.role == Role::Voter,
            until: token.until.0,
            used: token.used.as_ref().map(|used| UsedRecord {
                node: used.node.0,
                serial: used.serial,
                public_key: used.public_key.clone(),
            }),
        }
    }

    fn read(self) -> ([u8; 8], Token) {
        let token = Token {
            secret_hash: self.secret_hash,
            role: role(self.is_for_voter),
            until: Millis(self.until),
            used: self.used.map(|used| Used {
                node: NodeId(used.node),
                serial: used.serial,
                public_key: used.public_key,
            }),
        };
        (self.id, token)
    }
}

impl AclRecord {
    pub fn of(id: u32, acl: &Acl) -> Self {
        let record = |entry: &AclEntry| AclEntryRecord {
            permissions: entry.permissions.0,
            scheme: (*entry.who.scheme).into(),
            id: (*entry.who.id).into(),
        };
        Self {
            id,
            entries: acl.iter().map(record).collect(),
        }
    }

    /// Bytes of its archive, generously.
    pub fn weight(&self) -> usize {
        let texts = self
            .entries
            .iter()
            .map(|one| one.scheme.len() + one.id.len());
        16 + self.entries.len() * 32 + texts.sum::<usize>()
    }
}

impl ArchivedAclRecord {
    pub fn acl(&self) -> Acl {
        let entry = |record: &ArchivedAclEntryRecord| AclEntry {
            permissions: Permissions(record.permissions.to_native()),
            who: Identity::new(&record.scheme, &record.id),
        };
        self.entries.iter().map(entry).collect()
    }
}

impl SessionRecord {
    /// Bytes of its archive.
    pub const WEIGHT: usize = 64 + 16 * ATTACHMENTS_KEPT;

    pub fn of(id: SessionId, session: &Session) -> Self {
        Self {
            id: id.0,
            password: session.password,
            timeout_ms: session.timeout_ms,
            connection: session.connection,
            sequence: session.sequence,
            has_gap: session.has_gap,
            origin: session.origin.0,
            attached_by: session.attached_by,
        }
    }
}

impl ArchivedSessionRecord {
    pub fn session(&self) -> (SessionId, Session) {
        let session = Session {
            password: self.password,
            timeout_ms: self.timeout_ms.to_native(),
            connection: self.connection.to_native(),
            sequence: self.sequence.to_native(),
            has_gap: self.has_gap,
            origin: NodeId(self.origin.to_native()),
            attached_by: self
                .attached_by
                .each_ref()
                .map(|by| (by.0.to_native(), by.1.to_native())),
        };
        (SessionId(self.id.to_native()), session)
    }
}

impl NodeRecord {
    pub(super) fn of(slot: Slot, node: &Node) -> Self {
        Self {
            slot: slot.0,
            parent: node.parent.0,
            acl: node.acl.0,
            name: (*node.name).into(),
            data: node.data.bytes().map(Vec::from),
            created_zxid: node.created_zxid.0,
            modified_zxid: node.modified_zxid.0,
            children_zxid: node.children_zxid.0,
            created: node.created.0,
            modified: node.modified.0,
            owner: node.owner.0,
            version: node.version,
            children_created: node.children_created,
            acl_version: node.acl_version,
        }
    }

    /// Bytes of its archive: the numbers, two relative pointers with their
    /// lengths, whether there is data, and padding.
    pub(super) fn weight(node: &Node) -> usize {
        104 + node.name.len() + node.data.len()
    }
}
