//! Who asks, what for, and whether that is allowed.

use super::Door;
use crate::state::topics::access::{Access, CLUSTER_NAME, ResourceKind, Verdict};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

pub use crate::state::topics::access::Operation;

/// Who a client has shown to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    Anonymous,
    User(Arc<str>),
}

impl Principal {
    /// As rules and quotas call it.
    pub fn name(&self) -> &str {
        match self {
            Self::Anonymous => "ANONYMOUS",
            Self::User(name) => name,
        }
    }
}

/// What it is done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource<'a> {
    Topic(&'a str),
    Group(&'a str),
    Cluster,
    TransactionalId(&'a str),
    User(&'a str),
}

impl<'a> Resource<'a> {
    fn named(self) -> (ResourceKind, &'a str) {
        match self {
            Self::Topic(name) => (ResourceKind::Topic, name),
            Self::Group(name) => (ResourceKind::Group, name),
            Self::Cluster => (ResourceKind::Cluster, CLUSTER_NAME),
            Self::TransactionalId(name) => (ResourceKind::TransactionalId, name),
            Self::User(name) => (ResourceKind::User, name),
        }
    }
}

/// Who asks, and from where.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    pub who: &'a Principal,
    pub from: IpAddr,
    /// The listener wants to know who its clients are.
    pub had_to_log_in: bool,
}

/// Users who may do everything, whatever the rules say: those who make the first
/// of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SuperUsers(BTreeSet<Box<str>>);

impl SuperUsers {
    /// By their names, with `User:` before them or without.
    pub fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let bare = |name: &'a str| name.strip_prefix("User:").unwrap_or(name);
        Self(names.into_iter().map(|name| bare(name).into()).collect())
    }

    pub fn has(&self, who: &Principal) -> bool {
        self.0.contains(who.name())
    }
}

impl Door {
    pub fn allows(&self, asker: Asker, operation: Operation, on: Resource) -> bool {
        let topics = self.site.topics();
        allows(&self.super_users, topics.access(), asker, operation, on)
    }
}

/// What no rule allows is denied. Only what no rule names is open to whoever
/// comes by a listener that asks nobody who he is (Kafka's
/// `allow.everyone.if.no.acl.found`): else the first rule that somebody makes
/// would shut him out himself. Who has to log in may do nothing until somebody
/// says so, which a super user can.
pub fn allows(
    super_users: &SuperUsers,
    access: &Access,
    asker: Asker,
    operation: Operation,
    on: Resource,
) -> bool {
    if super_users.has(asker.who) {
        return true;
    }
    let acls = &access.acls;
    let (who, from) = (asker.who.name(), asker.from.to_canonical());
    match acls.verdict(who, from, operation, on.named()) {
        Verdict::Allowed => true,
        Verdict::Unnamed if !asker.had_to_log_in => true,
        // KIP-679: who may write to some topic may write to it idempotently.
        Verdict::Denied | Verdict::Unsaid | Verdict::Unnamed => {
            operation == Operation::IdempotentWrite
                && acls.allows_some(who, from, Operation::Write, ResourceKind::Topic)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::acl_words::tests::access;
    use super::*;

    fn user(name: &str) -> Principal {
        match name {
            "-" => Principal::Anonymous,
            name => Principal::User(name.into()),
        }
    }

    #[test]
    fn without_rules_an_open_listener_is_open_and_others_are_the_super_users() {
        let super_users = SuperUsers::named(["User:root", "chief"]);
        let access = Access::default();
        for (who, had_to_log_in, allowed) in [
            ("-", false, true),
            ("CN=box", false, true),
            ("ann", true, false),
            ("root", true, true),
            ("chief", true, true),
        ] {
            let asker = Asker {
                who: &user(who),
                from: IpAddr::from([10, 0, 0, 1]),
                had_to_log_in,
            };
            let on = Resource::Topic("a");
            let may = allows(&super_users, &access, asker, Operation::Write, on);
            assert_eq!(may, allowed, "{who}");
        }
    }

    #[test]
    fn rules_hold_for_everybody_but_super_users() {
        let access = access(&[
            "allow User:ann * write topic literal a",
            "allow User:* 10.0.0.1 read topic prefixed log.",
            "deny User:bob * read topic literal log.x",
            "allow User:ANONYMOUS * describe cluster literal kafka-cluster",
        ]);
        let super_users = SuperUsers::named(["root"]);
        let check = |who: &str, host: &str, operation, on, allowed| {
            let asker = Asker {
                who: &user(who),
                from: host.parse().unwrap(),
                had_to_log_in: true,
            };
            let may = allows(&super_users, &access, asker, operation, on);
            assert_eq!(may, allowed, "{who} {host} {operation:?} {on:?}");
            // Where nobody has to say who he is, what no rule names is open.
            let had_to_log_in = false;
            let asker = Asker {
                had_to_log_in,
                ..asker
            };
            let is_named = match on {
                Resource::Topic(name) => name == "a" || name.starts_with("log."),
                Resource::Cluster => true,
                _ => false,
            };
            let may = allows(&super_users, &access, asker, operation, on);
            assert_eq!(
                may,
                allowed || !is_named,
                "{who} {host} {operation:?} {on:?}"
            );
        };
        let topic = Resource::Topic;
        check("ann", "10.0.0.9", Operation::Write, topic("a"), true);
        check("ann", "10.0.0.9", Operation::Describe, topic("a"), true);
        check("ann", "10.0.0.9", Operation::Read, topic("a"), false);
        check("ann", "10.0.0.9", Operation::Write, topic("ab"), false);
        check("bob", "10.0.0.1", Operation::Read, topic("log.y"), true);
        check(
            "bob",
            "::ffff:10.0.0.1",
            Operation::Read,
            topic("log.y"),
            true,
        );
        check("bob", "10.0.0.2", Operation::Read, topic("log.y"), false);
        check("bob", "10.0.0.1", Operation::Read, topic("log.x"), false);
        // What is denied is reading: to describe it follows from no other rule.
        check("bob", "10.0.0.1", Operation::Describe, topic("log.x"), true);
        check("root", "10.0.0.1", Operation::Alter, topic("log.x"), true);
        check(
            "-",
            "10.0.0.1",
            Operation::Describe,
            Resource::Cluster,
            true,
        );
        check("-", "10.0.0.1", Operation::Alter, Resource::Cluster, false);
        check(
            "ann",
            "10.0.0.1",
            Operation::Read,
            Resource::Group("a"),
            false,
        );
        let idempotent = Operation::IdempotentWrite;
        check("ann", "10.0.0.1", idempotent, Resource::Cluster, true);
        check("bob", "10.0.0.1", idempotent, Resource::Cluster, false);
    }
}
