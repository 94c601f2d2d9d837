//! The nodes of the tree that are the truth about access: one for the users, one
//! for the rules, one for the quotas.
//!
//! They stand in the tree like all that is replicated, so that snapshots, digests
//! and backups hold them without a word more; but only `super` may read them by
//! the ZooKeeper door. A node for each user would be Kafka's shape, and would
//! tell everybody who is there: whether a node exists is no secret in ZooKeeper.

use super::binding::{Binding, Hosts, Operations, Pattern, Permission, ResourceKind, Rule, Whom};
use super::quotas::{Entity, Part, QuotaKey, Rates};
use super::users::{Credential, Credentials, Key, Mechanism, Secret, Users};
use super::{Acls, Quotas};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub const USERS: &str = "/dolmen/streams/access/users";
pub const ACLS: &str = "/dolmen/streams/access/acls";
pub const QUOTAS: &str = "/dolmen/streams/access/quotas";

const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
pub struct UsersRecord {
    version: u32,
    secret: Option<Hex>,
    users: BTreeMap<Box<str>, BTreeMap<Box<str>, CredentialRecord>>,
}

#[derive(Serialize, Deserialize)]
struct CredentialRecord {
    salt: Hex,
    iterations: u32,
    stored_key: Hex,
    server_key: Hex,
}

impl UsersRecord {
    pub fn of(users: &Users) -> Self {
        let record = |credential: &Credential| CredentialRecord {
            salt: Hex(credential.salt.clone()),
            iterations: credential.iterations,
            stored_key: Hex(credential.stored_key.0.clone()),
            server_key: Hex(credential.server_key.0.clone()),
        };
        let records = |credentials: &Credentials| {
            let pairs = credentials.iter();
            pairs
                .map(|(mechanism, one)| (mechanism.name().into(), record(one)))
                .collect()
        };
        let all = users.by_name.iter();
        Self {
            version: VERSION,
            secret: users.secret.map(|secret| Hex(secret.0.into())),
            users: all.map(|(name, of)| (name.clone(), records(of))).collect(),
        }
    }

    pub fn read(self) -> Option<Users> {
        let credential = |(mechanism, record): (Box<str>, CredentialRecord)| {
            let mechanism = Mechanism::named(&mechanism)?;
            let credential = Credential {
                salt: record.salt.0,
                iterations: record.iterations,
                stored_key: Key(record.stored_key.0),
                server_key: Key(record.server_key.0),
            };
            credential.check(mechanism).ok()?;
            Some((mechanism, credential))
        };
        let user = |(name, of): (Box<str>, BTreeMap<_, _>)| {
            let of: Option<Credentials> = of.into_iter().map(credential).collect();
            Some((name, of?))
        };
        let secret = match self.secret {
            None => None,
            Some(hex) => Some(Secret((*hex.0).try_into().ok()?)),
        };
        let by_name = self.users.into_iter().map(user).collect::<Option<_>>()?;
        (self.version == VERSION).then_some(Users { by_name, secret })
    }
}

#[derive(Serialize, Deserialize)]
pub struct AclsRecord {
    version: u32,
    acls: Vec<BindingRecord>,
}

#[derive(Serialize, Deserialize)]
struct BindingRecord {
    resource: Box<str>,
    pattern: Box<str>,
    name: Box<str>,
    principal: Box<str>,
    host: Box<str>,
    operation: Box<str>,
    permission: Box<str>,
}

impl BindingRecord {
    fn of(binding: Binding) -> Self {
        let rule = &binding.rule;
        Self {
            resource: binding.kind.name().into(),
            pattern: binding.pattern.name().into(),
            principal: rule.whom.text().into(),
            host: rule.hosts.text().into(),
            operation: rule.operations.name().into(),
            permission: rule.permission.name().into(),
            name: binding.name,
        }
    }

    fn read(self) -> Option<Binding> {
        let mut kinds = ResourceKind::ALL.into_iter();
        let mut patterns = Pattern::ALL.into_iter();
        let mut permissions = Permission::ALL.into_iter();
        Some(Binding {
            kind: kinds.find(|one| one.name() == &*self.resource)?,
            pattern: patterns.find(|one| one.name() == &*self.pattern)?,
            name: self.name,
            rule: Rule {
                permission: permissions.find(|one| one.name() == &*self.permission)?,
                whom: Whom::parse(&self.principal)?,
                hosts: Hosts::parse(&self.host)?,
                operations: Operations::named(&self.operation)?,
            },
        })
    }
}

impl AclsRecord {
    pub fn of(acls: &Acls) -> Self {
        Self {
            version: VERSION,
            acls: acls.iter().map(BindingRecord::of).collect(),
        }
    }

    pub fn read(self) -> Option<Acls> {
        let mut acls = Acls::default();
        for record in self.acls {
            acls.add(&record.read()?).ok()?;
        }
        (self.version == VERSION).then_some(acls)
    }
}

#[derive(Serialize, Deserialize)]
pub struct QuotasRecord {
    version: u32,
    quotas: Vec<QuotaRecord>,
}

#[derive(Serialize, Deserialize)]
struct QuotaRecord {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<PartRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client: Option<PartRecord>,
    rates: BTreeMap<Box<str>, u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PartRecord {
    Default,
    Named(Box<str>),
}

impl PartRecord {
    fn of(part: &Part) -> Self {
        match part {
            Part::Default => Self::Default,
            Part::Named(name) => Self::Named(name.clone()),
        }
    }

    fn read(self) -> Part {
        match self {
            Self::Default => Part::Default,
            Self::Named(name) => Part::Named(name),
        }
    }
}

impl QuotasRecord {
    pub fn of(quotas: &Quotas) -> Self {
        let record = |(entity, rates): (&Entity, &Rates)| QuotaRecord {
            user: entity.user.as_ref().map(PartRecord::of),
            client: entity.client.as_ref().map(PartRecord::of),
            rates: rates
                .iter()
                .map(|(key, &rate)| (key.name().into(), rate))
                .collect(),
        };
        Self {
            version: VERSION,
            quotas: quotas.iter().map(record).collect(),
        }
    }

    pub fn read(self) -> Option<Quotas> {
        let quota = |record: QuotaRecord| {
            let entity = Entity {
                user: record.user.map(PartRecord::read),
                client: record.client.map(PartRecord::read),
            };
            entity.check().ok()?;
            let rates = record.rates.into_iter();
            let rates = rates.map(|(key, rate)| Some((QuotaKey::named(&key)?, rate)));
            Some((entity, rates.collect::<Option<Rates>>()?))
        };
        let by_entity = self.quotas.into_iter().map(quota).collect::<Option<_>>()?;
        (self.version == VERSION).then_some(Quotas { by_entity })
    }
}

/// Bytes as two digits each.
struct Hex(Box<[u8]>);

impl Serialize for Hex {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let digits = self.0.iter().map(|byte| format!("{byte:02x}"));
        to.serialize_str(&digits.collect::<String>())
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = Box::<str>::deserialize(from)?;
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let pairs = text.as_bytes().chunks(2).map(|pair| match *pair {
            [high, low] => Some((digit(high)? << 4 | digit(low)?) as u8),
            _ => None,
        });
        let bytes: Option<_> = pairs.collect();
        let no_digits = || serde::de::Error::custom("not two digits for each byte");
        bytes.map(Self).ok_or_else(no_digits)
    }
}
