//! One rule: who may do what to which resource, or may not.

use super::command::AccessRefused;
use crate::limits::{ACL_NAME_BYTES_MAX, USER_NAME_BYTES_MAX};
// The address types of `core`: pure values, no sockets.
use core::net::IpAddr;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ResourceKind {
    Topic,
    Group,
    Cluster,
    TransactionalId,
    User,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    Read,
    Write,
    Create,
    Delete,
    Alter,
    Describe,
    ClusterAction,
    DescribeConfigs,
    AlterConfigs,
    IdempotentWrite,
    CreateTokens,
    DescribeTokens,
    TwoPhaseCommit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operations {
    All,
    One(Operation),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pattern {
    /// The name and no other; `*` is every name.
    Literal,
    /// Names that begin so.
    Prefixed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    Deny,
    Allow,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whom {
    Everybody,
    User(Box<str>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hosts {
    All,
    One(IpAddr),
}

/// Who may what, whatever it is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    pub permission: Permission,
    pub whom: Whom,
    pub hosts: Hosts,
    pub operations: Operations,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Binding {
    pub kind: ResourceKind,
    pub pattern: Pattern,
    pub name: Box<str>,
    pub rule: Rule,
}

/// A binding where it stands.
pub type Entry<'a> = (ResourceKind, Pattern, &'a str, &'a Rule);

/// Every name.
pub const EVERY_NAME: &str = "*";
/// What Kafka calls the cluster where it has a name like other resources.
pub const CLUSTER_NAME: &str = "kafka-cluster";

impl ResourceKind {
    pub const ALL: [Self; 5] = [
        Self::Topic,
        Self::Group,
        Self::Cluster,
        Self::TransactionalId,
        Self::User,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Topic => "topic",
            Self::Group => "group",
            Self::Cluster => "cluster",
            Self::TransactionalId => "transactional id",
            Self::User => "user",
        }
    }

    /// What can be done to it.
    pub fn operations(self) -> &'static [Operation] {
        use Operation::*;
        match self {
            Self::Topic => &[
                Read,
                Write,
                Create,
                Delete,
                Alter,
                Describe,
                DescribeConfigs,
                AlterConfigs,
            ],
            Self::Group => &[Read, Delete, Describe, DescribeConfigs, AlterConfigs],
            Self::Cluster => &[
                Create,
                Alter,
                Describe,
                ClusterAction,
                DescribeConfigs,
                AlterConfigs,
                IdempotentWrite,
            ],
            Self::TransactionalId => &[Write, Describe, TwoPhaseCommit],
            Self::User => &[CreateTokens, DescribeTokens],
        }
    }
}

impl Operation {
    pub const ALL: [Self; 13] = [
        Self::Read,
        Self::Write,
        Self::Create,
        Self::Delete,
        Self::Alter,
        Self::Describe,
        Self::ClusterAction,
        Self::DescribeConfigs,
        Self::AlterConfigs,
        Self::IdempotentWrite,
        Self::CreateTokens,
        Self::DescribeTokens,
        Self::TwoPhaseCommit,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Create => "create",
            Self::Delete => "delete",
            Self::Alter => "alter",
            Self::Describe => "describe",
            Self::ClusterAction => "cluster action",
            Self::DescribeConfigs => "describe configs",
            Self::AlterConfigs => "alter configs",
            Self::IdempotentWrite => "idempotent write",
            Self::CreateTokens => "create tokens",
            Self::DescribeTokens => "describe tokens",
            Self::TwoPhaseCommit => "two-phase commit",
        }
    }

    /// Whether who is allowed this is allowed the other by it.
    fn implies(self, other: Self) -> bool {
        match other {
            Self::Describe => matches!(
                self,
                Self::Read | Self::Write | Self::Delete | Self::Alter | Self::Describe
            ),
            Self::DescribeConfigs => matches!(self, Self::AlterConfigs | Self::DescribeConfigs),
            _ => self == other,
        }
    }
}

impl Operations {
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::One(operation) => operation.name(),
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        let one = Operation::ALL.into_iter().find(|one| one.name() == name);
        one.map(Self::One)
            .or_else(|| (name == Self::All.name()).then_some(Self::All))
    }
}

impl Pattern {
    pub const ALL: [Self; 2] = [Self::Literal, Self::Prefixed];

    pub fn name(self) -> &'static str {
        match self {
            Self::Literal => "literal",
            Self::Prefixed => "prefixed",
        }
    }
}

impl Permission {
    pub const ALL: [Self; 2] = [Self::Deny, Self::Allow];

    pub fn name(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Allow => "allow",
        }
    }
}

impl Whom {
    /// As Kafka writes it.
    pub fn text(&self) -> String {
        match self {
            Self::Everybody => "User:*".into(),
            Self::User(name) => format!("User:{name}"),
        }
    }

    /// None for other types of principals than users, which nobody here is.
    pub fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix("User:")? {
            "" => None,
            "*" => Some(Self::Everybody),
            name => Some(Self::User(name.into())),
        }
    }
}

impl Hosts {
    pub fn text(&self) -> String {
        match self {
            Self::All => "*".into(),
            Self::One(host) => host.to_string(),
        }
    }

    /// None for what no client's address could ever be equal to.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "*" => Some(Self::All),
            _ => {
                let host: IpAddr = text.parse().ok()?;
                Some(Self::One(host.to_canonical()))
            }
        }
    }
}

impl Rule {
    /// Whether it says something of this. A denial is of what it names alone,
    /// a permission also of what follows from that.
    pub fn is_about(&self, who: &str, from: IpAddr, operation: Operation) -> bool {
        let operations = match (self.operations, self.permission) {
            (Operations::All, _) => true,
            (Operations::One(own), Permission::Allow) => own.implies(operation),
            (Operations::One(own), Permission::Deny) => own == operation,
        };
        let whom = match &self.whom {
            Whom::Everybody => true,
            Whom::User(name) => &**name == who,
        };
        let host = match self.hosts {
            Hosts::All => true,
            Hosts::One(host) => host == from,
        };
        operations && whom && host
    }
}

impl Binding {
    pub fn check(&self) -> Result<(), AccessRefused> {
        if !(1..=ACL_NAME_BYTES_MAX).contains(&self.name.len()) {
            let bytes = self.name.len();
            return Err(AccessRefused::ResourceName { bytes });
        }
        if self.kind == ResourceKind::Cluster && &*self.name != CLUSTER_NAME {
            return Err(AccessRefused::ClusterName);
        }
        if let Whom::User(name) = &self.rule.whom
            && !(1..=USER_NAME_BYTES_MAX).contains(&name.len())
        {
            return Err(AccessRefused::UserName { bytes: name.len() });
        }
        let Rule { whom, hosts, .. } = &self.rule;
        let is_as_written = Whom::parse(&whom.text()).as_ref() == Some(whom)
            && Hosts::parse(&hosts.text()) == Some(*hosts);
        if !is_as_written {
            return Err(AccessRefused::NotAsWritten);
        }
        match self.rule.operations {
            Operations::One(operation) if !self.kind.operations().contains(&operation) => {
                let kind = self.kind;
                Err(AccessRefused::NoOperationOf { kind, operation })
            }
            _ => Ok(()),
        }
    }
}

/// Which bindings are meant; None is any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AclFilter {
    pub kind: Option<ResourceKind>,
    pub patterns: Patterns,
    pub name: Option<Box<str>>,
    pub whom: Option<Whom>,
    pub hosts: Option<Hosts>,
    pub operations: Option<Operations>,
    pub permission: Option<Permission>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Patterns {
    /// Of the name itself, of whichever pattern.
    #[default]
    Any,
    /// All that hold for a resource of the name.
    Covering,
    Only(Pattern),
}

impl AclFilter {
    pub fn matches(&self, (kind, pattern, name, rule): Entry) -> bool {
        fn is<T: PartialEq>(wanted: &Option<T>, found: &T) -> bool {
            wanted.as_ref().is_none_or(|wanted| wanted == found)
        }
        let is_of_pattern = match self.patterns {
            Patterns::Any | Patterns::Covering => true,
            Patterns::Only(only) => only == pattern,
        };
        let is_of_name = self
            .name
            .as_deref()
            .is_none_or(|wanted| match (self.patterns, pattern) {
                (Patterns::Covering, Pattern::Literal) => wanted == name || name == EVERY_NAME,
                (Patterns::Covering, Pattern::Prefixed) => wanted.starts_with(name),
                _ => wanted == name,
            });
        is(&self.kind, &kind)
            && is_of_pattern
            && is_of_name
            && is(&self.whom, &rule.whom)
            && is(&self.hosts, &rule.hosts)
            && is(&self.operations, &rule.operations)
            && is(&self.permission, &rule.permission)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binding(kind: ResourceKind, name: &str, operations: Operations) -> Binding {
        Binding {
            kind,
            pattern: Pattern::Literal,
            name: name.into(),
            rule: Rule {
                permission: Permission::Allow,
                whom: Whom::Everybody,
                hosts: Hosts::All,
                operations,
            },
        }
    }

    #[test]
    fn a_binding_means_something_or_is_refused() {
        use Operations::{All, One};
        let long = "a".repeat(ACL_NAME_BYTES_MAX + 1);
        let cases = [
            (ResourceKind::Topic, "a", One(Operation::Read), Ok(())),
            (ResourceKind::Cluster, CLUSTER_NAME, All, Ok(())),
            (
                ResourceKind::Cluster,
                "c",
                All,
                Err(AccessRefused::ClusterName),
            ),
            (
                ResourceKind::Group,
                "g",
                One(Operation::Write),
                Err(AccessRefused::NoOperationOf {
                    kind: ResourceKind::Group,
                    operation: Operation::Write,
                }),
            ),
            (
                ResourceKind::Topic,
                "",
                All,
                Err(AccessRefused::ResourceName { bytes: 0 }),
            ),
            (
                ResourceKind::Topic,
                &long,
                All,
                Err(AccessRefused::ResourceName { bytes: long.len() }),
            ),
        ];
        for (kind, name, operations, wanted) in cases {
            assert_eq!(binding(kind, name, operations).check(), wanted, "{name}");
        }
    }

    #[test]
    fn what_would_be_read_as_another_is_refused() {
        let mut one = binding(ResourceKind::Topic, "a", Operations::All);
        one.rule.whom = Whom::User("*".into());
        assert_eq!(one.check(), Err(AccessRefused::NotAsWritten));
        one.rule.whom = Whom::Everybody;
        one.rule.hosts = Hosts::One("::ffff:10.0.0.1".parse().unwrap());
        assert_eq!(one.check(), Err(AccessRefused::NotAsWritten));
    }

    #[test]
    fn principals_and_hosts_are_read_as_kafka_writes_them() {
        for (text, whom) in [
            ("User:*", Some(Whom::Everybody)),
            ("User:ann", Some(Whom::User("ann".into()))),
            ("User:CN=a,O=b", Some(Whom::User("CN=a,O=b".into()))),
            ("User:", None),
            ("Group:ann", None),
            ("ann", None),
        ] {
            let read = Whom::parse(text);
            assert_eq!(read, whom);
            assert!(read.is_none_or(|read| read.text() == text));
        }
        for (text, reads) in [
            ("*", true),
            ("10.0.0.1", true),
            ("fd00::1", true),
            ("10.0.0.0/8", false),
            ("box", false),
            ("", false),
        ] {
            assert_eq!(Hosts::parse(text).is_some(), reads, "{text}");
        }
        assert_eq!(Hosts::parse("::ffff:10.0.0.1"), Hosts::parse("10.0.0.1"));
    }
}
