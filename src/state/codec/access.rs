//! Commands on users, rules of access and quotas, to bytes and back.

use super::Malformed;
use super::input::In;
use super::out::Out;
use crate::state::topics::access::{
    AccessCommand, AclFilter, Binding, Credential, Entity, Hosts, Key, Mechanism, Operation,
    Operations, Part, Pattern, Patterns, Permission, QuotaAlteration, QuotaKey, ResourceKind, Rule,
    Secret, UserAlteration, Whom,
};
// The address types of `core`: pure values, no sockets.
use core::net::IpAddr;

/// The least that an item of a list takes.
const USER_BYTES: usize = 4 + 4;
const CREDENTIAL_BYTES: usize = 1 + 1;
const BINDING_BYTES: usize = 1 + 1 + 4 + 4;
const FILTER_BYTES: usize = 7;
const QUOTA_BYTES: usize = 2 + 4;
const RATE_BYTES: usize = 1 + 1;

impl Out {
    pub(super) fn access(&mut self, command: &AccessCommand) {
        match command {
            AccessCommand::AlterUsers { secret, users } => {
                self.u8(0);
                self.raw(&secret.0);
                self.list(users, Self::user);
            }
            AccessCommand::CreateAcls { bindings } => {
                self.u8(1);
                self.list(bindings, Self::binding);
            }
            AccessCommand::DeleteAcls { filters } => {
                self.u8(2);
                self.list(filters, Self::filter);
            }
            AccessCommand::AlterQuotas {
                alterations,
                validates_only,
            } => {
                self.u8(3);
                self.list(alterations, Self::quota);
                self.u8((*validates_only).into());
            }
        }
    }

    fn user(&mut self, user: &UserAlteration) {
        self.text(&user.name);
        self.list(&user.changes, |out, (mechanism, credential)| {
            out.u8(*mechanism as u8);
            out.option(credential, |out, credential| {
                out.bytes(&credential.salt);
                out.u32(credential.iterations);
                out.bytes(&credential.stored_key.0);
                out.bytes(&credential.server_key.0);
            });
        });
    }

    fn binding(&mut self, binding: &Binding) {
        self.u8(binding.kind as u8);
        self.u8(binding.pattern as u8);
        self.text(&binding.name);
        self.u8(binding.rule.permission as u8);
        self.whom(&binding.rule.whom);
        self.hosts(&binding.rule.hosts);
        self.operations(&binding.rule.operations);
    }

    fn filter(&mut self, filter: &AclFilter) {
        self.option(&filter.kind, |out, kind| out.u8(*kind as u8));
        self.u8(match filter.patterns {
            Patterns::Only(pattern) => pattern as u8,
            Patterns::Any => 2,
            Patterns::Covering => 3,
        });
        self.option(&filter.name, |out, name| out.text(name));
        self.option(&filter.whom, Self::whom);
        self.option(&filter.hosts, Self::hosts);
        self.option(&filter.operations, Self::operations);
        self.option(&filter.permission, |out, one| out.u8(*one as u8));
    }

    fn whom(&mut self, whom: &Whom) {
        match whom {
            Whom::Everybody => self.u8(0),
            Whom::User(name) => {
                self.u8(1);
                self.text(name);
            }
        }
    }

    fn hosts(&mut self, hosts: &Hosts) {
        match hosts {
            Hosts::All => self.u8(0),
            Hosts::One(IpAddr::V4(host)) => {
                self.u8(4);
                self.raw(&host.octets());
            }
            Hosts::One(IpAddr::V6(host)) => {
                self.u8(6);
                self.raw(&host.octets());
            }
        }
    }

    fn operations(&mut self, operations: &Operations) {
        match operations {
            Operations::One(operation) => self.u8(*operation as u8),
            Operations::All => self.u8(ALL_OPERATIONS),
        }
    }

    fn quota(&mut self, alteration: &QuotaAlteration) {
        for part in [&alteration.entity.user, &alteration.entity.client] {
            match part {
                None => self.u8(0),
                Some(Part::Default) => self.u8(1),
                Some(Part::Named(name)) => {
                    self.u8(2);
                    self.text(name);
                }
            }
        }
        self.list(&alteration.changes, |out, (key, rate)| {
            out.u8(*key as u8);
            out.option(rate, |out, rate| out.u64(*rate));
        });
    }
}

const ALL_OPERATIONS: u8 = u8::MAX;

impl In<'_> {
    pub(super) fn access(&mut self) -> Result<AccessCommand, Malformed> {
        Ok(match self.u8()? {
            0 => AccessCommand::AlterUsers {
                secret: Secret(self.raw()?),
                users: self.list(USER_BYTES, Self::user)?,
            },
            1 => AccessCommand::CreateAcls {
                bindings: self.list(BINDING_BYTES, Self::binding)?,
            },
            2 => AccessCommand::DeleteAcls {
                filters: self.list(FILTER_BYTES, Self::filter)?,
            },
            3 => AccessCommand::AlterQuotas {
                alterations: self.list(QUOTA_BYTES, Self::quota)?,
                validates_only: self.flag("validates_only")?,
            },
            tag => {
                return Err(Malformed::Tag {
                    of: "command on access",
                    tag,
                });
            }
        })
    }

    /// One of a list, by its place.
    fn of<T: Copy>(&mut self, all: &[T], of: &'static str) -> Result<T, Malformed> {
        let tag = self.u8()?;
        let one = all.get(usize::from(tag)).copied();
        one.ok_or(Malformed::Tag { of, tag })
    }

    fn user(&mut self) -> Result<UserAlteration, Malformed> {
        Ok(UserAlteration {
            name: self.text()?,
            changes: self.list(CREDENTIAL_BYTES, |read| {
                let mechanism = read.of(&Mechanism::ALL, "mechanism")?;
                Ok((mechanism, read.option(Self::credential)?))
            })?,
        })
    }

    fn credential(&mut self) -> Result<Credential, Malformed> {
        Ok(Credential {
            salt: self.bytes()?.into(),
            iterations: self.u32()?,
            stored_key: Key(self.bytes()?.into()),
            server_key: Key(self.bytes()?.into()),
        })
    }

    fn binding(&mut self) -> Result<Binding, Malformed> {
        Ok(Binding {
            kind: self.of(&ResourceKind::ALL, "resource")?,
            pattern: self.of(&Pattern::ALL, "pattern")?,
            name: self.text()?,
            rule: Rule {
                permission: self.of(&Permission::ALL, "permission")?,
                whom: self.whom()?,
                hosts: self.hosts()?,
                operations: self.operations()?,
            },
        })
    }

    fn filter(&mut self) -> Result<AclFilter, Malformed> {
        Ok(AclFilter {
            kind: self.option(|read| read.of(&ResourceKind::ALL, "resource"))?,
            patterns: match self.u8()? {
                0 => Patterns::Only(Pattern::Literal),
                1 => Patterns::Only(Pattern::Prefixed),
                2 => Patterns::Any,
                3 => Patterns::Covering,
                tag => {
                    return Err(Malformed::Tag {
                        of: "patterns",
                        tag,
                    });
                }
            },
            name: self.option(Self::text)?,
            whom: self.option(Self::whom)?,
            hosts: self.option(Self::hosts)?,
            operations: self.option(Self::operations)?,
            permission: self.option(|read| read.of(&Permission::ALL, "permission"))?,
        })
    }

    fn whom(&mut self) -> Result<Whom, Malformed> {
        match self.flag("principal")? {
            false => Ok(Whom::Everybody),
            true => Ok(Whom::User(self.text()?)),
        }
    }

    fn hosts(&mut self) -> Result<Hosts, Malformed> {
        match self.u8()? {
            0 => Ok(Hosts::All),
            4 => Ok(Hosts::One(IpAddr::from(self.raw::<4>()?))),
            6 => Ok(Hosts::One(IpAddr::from(self.raw::<16>()?))),
            tag => Err(Malformed::Tag { of: "hosts", tag }),
        }
    }

    fn operations(&mut self) -> Result<Operations, Malformed> {
        let tag = self.u8()?;
        if tag == ALL_OPERATIONS {
            return Ok(Operations::All);
        }
        let one = Operation::ALL.get(usize::from(tag)).copied();
        let of = "operation";
        one.map(Operations::One).ok_or(Malformed::Tag { of, tag })
    }

    fn quota(&mut self) -> Result<QuotaAlteration, Malformed> {
        Ok(QuotaAlteration {
            entity: Entity {
                user: self.part()?,
                client: self.part()?,
            },
            changes: self.list(RATE_BYTES, |read| {
                let key = read.of(&QuotaKey::ALL, "quota")?;
                Ok((key, read.option(Self::u64)?))
            })?,
        })
    }

    fn part(&mut self) -> Result<Option<Part>, Malformed> {
        match self.u8()? {
            0 => Ok(None),
            1 => Ok(Some(Part::Default)),
            2 => Ok(Some(Part::Named(self.text()?))),
            tag => Err(Malformed::Tag { of: "entity", tag }),
        }
    }
}
