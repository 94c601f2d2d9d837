//! Rules of access in Kafka's numbers and words, and in ours.

use super::messages::{ErrorCode, Text};
use crate::state::topics::access::{
    AclFilter, Binding, Hosts, Operation, Operations, Pattern, Patterns, Permission, ResourceKind,
    Rule, Whom,
};
use std::fmt;

/// Kafka's number for any, in every filter.
const ANY: i8 = 1;

const KINDS: [(i8, ResourceKind); 5] = [
    (2, ResourceKind::Topic),
    (3, ResourceKind::Group),
    (4, ResourceKind::Cluster),
    (5, ResourceKind::TransactionalId),
    (7, ResourceKind::User),
];
/// There are none, and so no rules for them.
const DELEGATION_TOKENS: i8 = 6;

const PATTERNS: [(i8, Pattern); 2] = [(3, Pattern::Literal), (4, Pattern::Prefixed)];
const MATCH: i8 = 2;

const OPERATIONS: [(i8, Operations); 14] = [
    (2, Operations::All),
    (3, Operations::One(Operation::Read)),
    (4, Operations::One(Operation::Write)),
    (5, Operations::One(Operation::Create)),
    (6, Operations::One(Operation::Delete)),
    (7, Operations::One(Operation::Alter)),
    (8, Operations::One(Operation::Describe)),
    (9, Operations::One(Operation::ClusterAction)),
    (10, Operations::One(Operation::DescribeConfigs)),
    (11, Operations::One(Operation::AlterConfigs)),
    (12, Operations::One(Operation::IdempotentWrite)),
    (13, Operations::One(Operation::CreateTokens)),
    (14, Operations::One(Operation::DescribeTokens)),
    (15, Operations::One(Operation::TwoPhaseCommit)),
];

const PERMISSIONS: [(i8, Permission); 2] = [(2, Permission::Deny), (3, Permission::Allow)];

/// A number or word that means nothing here: INVALID_REQUEST.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaningless {
    Number { of: &'static str, number: i8 },
    DelegationTokens,
    Principal(Box<str>),
    Host(Box<str>),
}

impl Meaningless {
    pub const CODE: ErrorCode = ErrorCode::InvalidRequest;
}

impl fmt::Display for Meaningless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number { of, number } => write!(f, "{number} is no {of}"),
            Self::DelegationTokens => f.write_str("there are no delegation tokens here"),
            Self::Principal(text) => write!(f, "{text:?} is no principal: User:NAME or User:*"),
            Self::Host(text) => write!(f, "{text:?} is no address, nor * for every one"),
        }
    }
}

fn of_number<T: Copy>(all: &[(i8, T)], number: i8, of: &'static str) -> Result<T, Meaningless> {
    let found = all.iter().find(|(one, _)| *one == number);
    found
        .map(|(_, meant)| *meant)
        .ok_or(Meaningless::Number { of, number })
}

fn filtered<T: Copy>(
    all: &[(i8, T)],
    number: i8,
    of: &'static str,
) -> Result<Option<T>, Meaningless> {
    match number {
        ANY => Ok(None),
        number => of_number(all, number, of).map(Some),
    }
}

/// Each of ours has its number: the tables are whole, which a test holds.
fn number_of<T: Copy + PartialEq>(all: &[(i8, T)], meant: T) -> i8 {
    let found = all.iter().find(|(_, one)| *one == meant);
    found.map_or(0, |(number, _)| *number)
}

/// A binding as messages have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    pub resource_type: i8,
    pub resource_name: Text,
    pub pattern_type: i8,
    pub principal: Text,
    pub host: Text,
    pub operation: i8,
    pub permission_type: i8,
}

impl Words {
    pub fn of(binding: &Binding) -> Self {
        let rule = &binding.rule;
        Self {
            resource_type: number_of(&KINDS, binding.kind),
            resource_name: (&*binding.name).into(),
            pattern_type: number_of(&PATTERNS, binding.pattern),
            principal: rule.whom.text().into(),
            host: rule.hosts.text().into(),
            operation: number_of(&OPERATIONS, rule.operations),
            permission_type: number_of(&PERMISSIONS, rule.permission),
        }
    }

    pub fn read(&self) -> Result<Binding, Meaningless> {
        Ok(Binding {
            kind: kind(self.resource_type)?,
            pattern: of_number(&PATTERNS, self.pattern_type, "type of pattern")?,
            name: (&*self.resource_name).into(),
            rule: Rule {
                permission: of_number(&PERMISSIONS, self.permission_type, "permission")?,
                whom: whom(&self.principal)?,
                hosts: hosts(&self.host)?,
                operations: of_number(&OPERATIONS, self.operation, "operation")?,
            },
        })
    }
}

fn kind(number: i8) -> Result<ResourceKind, Meaningless> {
    match number {
        DELEGATION_TOKENS => Err(Meaningless::DelegationTokens),
        number => of_number(&KINDS, number, "type of resource"),
    }
}

fn whom(text: &str) -> Result<Whom, Meaningless> {
    Whom::parse(text).ok_or_else(|| Meaningless::Principal(text.into()))
}

fn hosts(text: &str) -> Result<Hosts, Meaningless> {
    Hosts::parse(text).ok_or_else(|| Meaningless::Host(text.into()))
}

/// A filter as messages have it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilterWords {
    pub resource_type: i8,
    pub resource_name: Option<Text>,
    pub pattern_type: i8,
    pub principal: Option<Text>,
    pub host: Option<Text>,
    pub operation: i8,
    pub permission_type: i8,
}

impl FilterWords {
    /// None where it means something that no rule could be about.
    pub fn read(&self) -> Result<Option<AclFilter>, Meaningless> {
        let kinds = match self.resource_type {
            ANY => None,
            DELEGATION_TOKENS => return Ok(None),
            number => Some(kind(number)?),
        };
        let filter = AclFilter {
            kind: kinds,
            patterns: match self.pattern_type {
                ANY => Patterns::Any,
                MATCH => Patterns::Covering,
                number => Patterns::Only(of_number(&PATTERNS, number, "type of pattern")?),
            },
            name: self.resource_name.as_deref().map(Into::into),
            whom: self.principal.as_deref().and_then(Whom::parse),
            hosts: self.host.as_deref().and_then(Hosts::parse),
            operations: filtered(&OPERATIONS, self.operation, "operation")?,
            permission: filtered(&PERMISSIONS, self.permission_type, "permission")?,
        };
        // Another type of principal, or a host of another kind, is in no rule.
        let is_foreign = (self.principal.is_some() && filter.whom.is_none())
            || (self.host.is_some() && filter.hosts.is_none());
        Ok((!is_foreign).then_some(filter))
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::clock::Millis;
    use crate::ids::{NodeId, SessionId, Uid};
    use crate::state::topics::access::{Access, AccessCommand};
    use crate::state::{Command, State, StreamsCommand, Submission};

    /// From lines as `allow User:ann * write topic literal NAME`.
    pub fn access(lines: &[&str]) -> Access {
        say(AccessCommand::CreateAcls {
            bindings: lines.iter().map(|line| binding(line)).collect(),
        })
    }

    /// What one command makes of nothing.
    pub fn say(command: AccessCommand) -> Access {
        let submission = Submission {
            origin: NodeId(1),
            tag: 0,
            session: SessionId(0),
            connection: 0,
            sequence: 0,
            who: Vec::new(),
            command: Command::Streams(StreamsCommand::Access(command)),
        };
        let mut state = State::new(Uid([1; 16]));
        let applied = state.apply(Millis(1), &submission, &mut Vec::new());
        assert!(applied.outcome.is_ok(), "{applied:?}");
        Access::clone(state.topics().access())
    }

    fn binding(line: &str) -> Binding {
        let words: Vec<&str> = line.split(' ').collect();
        let [permission, whom, hosts, operation, kind, pattern, name] = words[..] else {
            panic!("what is {line:?}?");
        };
        let mut kinds = ResourceKind::ALL.into_iter();
        let mut patterns = Pattern::ALL.into_iter();
        let mut permissions = Permission::ALL.into_iter();
        Binding {
            kind: kinds.find(|one| one.name() == kind).unwrap(),
            pattern: patterns.find(|one| one.name() == pattern).unwrap(),
            name: name.into(),
            rule: Rule {
                permission: permissions.find(|one| one.name() == permission).unwrap(),
                whom: Whom::parse(whom).unwrap(),
                hosts: Hosts::parse(hosts).unwrap(),
                operations: Operations::named(operation).unwrap(),
            },
        }
    }

    #[test]
    fn every_binding_has_words_that_read_back() {
        for kind in ResourceKind::ALL {
            let one = |operation: &Operation| Operations::One(*operation);
            let operations = kind.operations().iter().map(one);
            for operations in operations.chain([Operations::All]) {
                for pattern in Pattern::ALL {
                    for permission in Permission::ALL {
                        let mut binding = binding("allow User:a,b 10.0.0.1 read topic literal x");
                        (binding.kind, binding.pattern) = (kind, pattern);
                        binding.rule.operations = operations;
                        binding.rule.permission = permission;
                        let words = Words::of(&binding);
                        assert_eq!(words.read(), Ok(binding), "{words:?}");
                    }
                }
            }
        }
        let numbers = OPERATIONS.map(|(number, _)| number);
        assert_eq!(numbers, std::array::from_fn(|n| n as i8 + 2));
    }

    #[test]
    fn what_means_nothing_is_refused() {
        let good = Words::of(&binding("allow User:ann * read topic literal x"));
        let with = |change: &dyn Fn(&mut Words)| {
            let mut words = good.clone();
            change(&mut words);
            words.read().map(drop)
        };
        assert_eq!(with(&|_| {}), Ok(()));
        for number in [0, 1, 8, -1] {
            let of = "type of resource";
            let refused = Err(Meaningless::Number { of, number });
            assert_eq!(with(&|words| words.resource_type = number), refused);
        }
        assert_eq!(
            with(&|words| words.resource_type = 6),
            Err(Meaningless::DelegationTokens)
        );
        for number in [0, 1, 2, 5] {
            assert!(with(&|words| words.pattern_type = number).is_err());
        }
        for number in [0, 1, 16] {
            assert!(with(&|words| words.operation = number).is_err());
        }
        for number in [0, 1, 4] {
            assert!(with(&|words| words.permission_type = number).is_err());
        }
        for text in ["ann", "Group:ann", "User:", ""] {
            assert!(with(&|words| words.principal = text.into()).is_err());
        }
        for text in ["", "box.example", "10.0.0.0/8"] {
            assert!(with(&|words| words.host = text.into()).is_err());
        }
    }

    #[test]
    fn filters_of_what_is_not_there_match_nothing() {
        let any = FilterWords {
            resource_type: 1,
            pattern_type: 1,
            operation: 1,
            permission_type: 1,
            ..FilterWords::default()
        };
        assert_eq!(any.read(), Ok(Some(AclFilter::default())));
        let with = |change: &dyn Fn(&mut FilterWords)| {
            let mut words = any.clone();
            change(&mut words);
            words.read()
        };
        assert_eq!(with(&|words| words.resource_type = 6), Ok(None));
        assert_eq!(
            with(&|words| words.principal = Some("Group:a".into())),
            Ok(None)
        );
        assert_eq!(with(&|words| words.host = Some("box".into())), Ok(None));
        assert!(with(&|words| words.resource_type = 0).is_err());
        assert!(with(&|words| words.pattern_type = 0).is_err());
        assert!(with(&|words| words.operation = 0).is_err());
        assert!(with(&|words| words.permission_type = 0).is_err());
    }
}
