//! All rules, found by the resource that they are about. Looking allocates
//! nothing: it is done for every topic of every request.

use super::binding::{
    AclFilter, Binding, EVERY_NAME, Entry, Operation, Pattern, Permission, ResourceKind, Rule,
};
use super::command::AccessRefused;
use crate::limits::ACL_BINDINGS_MAX;
// The address types of `core`: pure values, no sockets.
use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

type Named = BTreeMap<Box<str>, BTreeSet<Rule>>;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acls {
    of: [OfKind; ResourceKind::ALL.len()],
    count: usize,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct OfKind {
    literal: Named,
    prefixed: Named,
}

/// What the rules say to something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Allowed,
    Denied,
    /// Rules are about the thing, and none of them about this.
    Unsaid,
    /// No rule is about the thing.
    Unnamed,
}

impl Acls {
    pub fn count(&self) -> usize {
        self.count
    }

    /// A denial wins over every permission, however precise.
    pub fn verdict(
        &self,
        who: &str,
        from: IpAddr,
        operation: Operation,
        (kind, name): (ResourceKind, &str),
    ) -> Verdict {
        let of = &self.of[kind as usize];
        let literal = [of.literal.get(name), of.literal.get(EVERY_NAME)];
        let covering = literal.into_iter().flatten();
        let covering = covering.chain(Prefixes::of(&of.prefixed, name));
        let mut verdict = Verdict::Unnamed;
        for rule in covering.flatten() {
            if verdict == Verdict::Unnamed {
                verdict = Verdict::Unsaid;
            }
            if rule.is_about(who, from, operation) {
                match rule.permission {
                    Permission::Deny => return Verdict::Denied,
                    Permission::Allow => verdict = Verdict::Allowed,
                }
            }
        }
        verdict
    }

    /// Whether there is any name of which this is allowed, as KIP-679 asks it of
    /// topics: a permission that no denial covers whole.
    pub fn allows_some(
        &self,
        who: &str,
        from: IpAddr,
        operation: Operation,
        kind: ResourceKind,
    ) -> bool {
        let of = &self.of[kind as usize];
        let has = |rules: &BTreeSet<Rule>, permission| {
            let mut about = rules.iter().filter(|rule| rule.permission == permission);
            about.any(|rule| rule.is_about(who, from, operation))
        };
        let denies = |rules: Option<&BTreeSet<Rule>>| {
            rules.is_some_and(|rules| has(rules, Permission::Deny))
        };
        if denies(of.literal.get(EVERY_NAME)) {
            return false;
        }
        let is_denied_whole =
            |prefix| Prefixes::of(&of.prefixed, prefix).any(|rules| denies(Some(rules)));
        let literal = of.literal.iter().any(|(name, rules)| {
            let is_every = &**name == EVERY_NAME;
            has(rules, Permission::Allow)
                && (is_every || !(denies(Some(rules)) || is_denied_whole(name)))
        });
        literal
            || of
                .prefixed
                .iter()
                .any(|(prefix, rules)| has(rules, Permission::Allow) && !is_denied_whole(prefix))
    }

    /// By kind, pattern and name.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        let all = ResourceKind::ALL.into_iter().zip(&self.of);
        let both = all.flat_map(|(kind, of)| {
            [
                (Pattern::Literal, &of.literal),
                (Pattern::Prefixed, &of.prefixed),
            ]
            .map(|(pattern, named)| (kind, pattern, named))
        });
        both.flat_map(|(kind, pattern, named)| {
            named.iter().flat_map(move |(name, rules)| {
                rules.iter().map(move |rule| (kind, pattern, &**name, rule))
            })
        })
    }

    pub fn iter(&self) -> impl Iterator<Item = Binding> + '_ {
        self.entries().map(binding)
    }

    pub fn matching(&self, filter: &AclFilter) -> Vec<Binding> {
        let matching = self.entries().filter(|entry| filter.matches(*entry));
        matching.map(binding).collect()
    }

    /// Whether there is a rule of this very pattern.
    pub(super) fn has_of(&self, binding: &Binding) -> bool {
        self.named(binding.kind, binding.pattern)
            .contains_key(&binding.name)
    }

    /// What is there already is no mistake.
    pub(super) fn add(&mut self, binding: &Binding) -> Result<(), AccessRefused> {
        binding.check()?;
        let named = self.named(binding.kind, binding.pattern);
        let rules = named.get(&binding.name);
        if rules.is_some_and(|rules| rules.contains(&binding.rule)) {
            return Ok(());
        }
        if self.count >= ACL_BINDINGS_MAX {
            return Err(AccessRefused::AclsMax);
        }
        let named = self.named_mut(binding.kind, binding.pattern);
        let rules = named.entry(binding.name.clone()).or_default();
        rules.insert(binding.rule.clone());
        self.count += 1;
        Ok(())
    }

    pub(super) fn remove(&mut self, binding: &Binding) {
        let named = self.named_mut(binding.kind, binding.pattern);
        let Some(rules) = named.get_mut(&binding.name) else {
            return;
        };
        let was_there = rules.remove(&binding.rule);
        if rules.is_empty() {
            named.remove(&binding.name);
        }
        self.count -= usize::from(was_there);
    }

    fn named(&self, kind: ResourceKind, pattern: Pattern) -> &Named {
        let of = &self.of[kind as usize];
        match pattern {
            Pattern::Literal => &of.literal,
            Pattern::Prefixed => &of.prefixed,
        }
    }

    fn named_mut(&mut self, kind: ResourceKind, pattern: Pattern) -> &mut Named {
        let of = &mut self.of[kind as usize];
        match pattern {
            Pattern::Literal => &mut of.literal,
            Pattern::Prefixed => &mut of.prefixed,
        }
    }
}

fn binding((kind, pattern, name, rule): Entry) -> Binding {
    Binding {
        kind,
        pattern,
        name: name.into(),
        rule: rule.clone(),
    }
}

/// The rules of all prefixes of a name, the longest first. In the order of the
/// texts a name's prefixes stand before it. The nearest before it is a prefix, or
/// else has a beginning in common with it that no prefix further on is longer
/// than: so there are never more steps than the name has characters, and mostly
/// one.
struct Prefixes<'a> {
    named: &'a Named,
    name: &'a str,
    until: Bound<&'a str>,
}

impl<'a> Prefixes<'a> {
    fn of(named: &'a Named, name: &'a str) -> Self {
        let until = Bound::Included(name);
        Self { named, name, until }
    }
}

impl<'a> Iterator for Prefixes<'a> {
    type Item = &'a BTreeSet<Rule>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut before = self.named.range::<str, _>((Bound::Unbounded, self.until));
            let (nearest, rules) = before.next_back()?;
            let common = common(nearest, self.name);
            if common == nearest.len() {
                self.until = Bound::Excluded(nearest);
                return Some(rules);
            }
            self.until = Bound::Included(&self.name[..common]);
        }
    }
}

/// How many bytes two texts begin with alike, in whole characters.
fn common(one: &str, other: &str) -> usize {
    let pairs = one.bytes().zip(other.bytes());
    let mut alike = pairs.take_while(|(a, b)| a == b).count();
    while !other.is_char_boundary(alike) {
        alike -= 1;
    }
    alike
}

#[cfg(test)]
mod tests {
    use super::super::binding::{Hosts, Operations, Whom};
    use super::*;
    use crate::entropy::Seeded;

    /// The rules as they are written down: every binding is looked at.
    fn naive(
        all: &[Binding],
        who: &str,
        from: IpAddr,
        operation: Operation,
        (kind, name): (ResourceKind, &str),
    ) -> Verdict {
        let covers = |binding: &&Binding| {
            binding.kind == kind
                && match binding.pattern {
                    Pattern::Literal => &*binding.name == name || &*binding.name == "*",
                    Pattern::Prefixed => name.starts_with(&*binding.name),
                }
        };
        let implied: &[Operation] = match operation {
            Operation::Describe => &[
                Operation::Read,
                Operation::Write,
                Operation::Delete,
                Operation::Alter,
            ],
            Operation::DescribeConfigs => &[Operation::AlterConfigs],
            _ => &[],
        };
        let says = |permission: Permission| {
            all.iter().filter(covers).any(|binding| {
                let rule = &binding.rule;
                rule.permission == permission
                    && (rule.whom == Whom::Everybody || rule.whom == Whom::User(who.into()))
                    && (rule.hosts == Hosts::All || rule.hosts == Hosts::One(from))
                    && match rule.operations {
                        Operations::All => true,
                        Operations::One(one) => {
                            one == operation
                                || permission == Permission::Allow && implied.contains(&one)
                        }
                    }
            })
        };
        match (says(Permission::Deny), says(Permission::Allow)) {
            (true, _) => Verdict::Denied,
            (false, true) => Verdict::Allowed,
            (false, false) if all.iter().any(|one| covers(&one)) => Verdict::Unsaid,
            (false, false) => Verdict::Unnamed,
        }
    }

    const NAMES: [&str; 12] = [
        "a", "ab", "abc", "abd", "b", "ba", "é", "éa", "è", "*", "a*", "abcé",
    ];
    const USERS: [&str; 3] = ["ann", "bob", "ANONYMOUS"];

    fn pick<T: Clone>(seeded: &mut Seeded, from: &[T]) -> T {
        from[seeded.below(from.len() as u64) as usize].clone()
    }

    fn host(seeded: &mut Seeded) -> IpAddr {
        IpAddr::from([10, 0, 0, seeded.below(2) as u8])
    }

    fn some_binding(seeded: &mut Seeded) -> Binding {
        let kind = pick(seeded, &[ResourceKind::Topic, ResourceKind::Group]);
        let operation = pick(seeded, kind.operations());
        let denies = seeded.one_in(5);
        Binding {
            kind,
            pattern: pick(seeded, &Pattern::ALL),
            name: pick(seeded, &NAMES).into(),
            rule: Rule {
                permission: Permission::ALL[usize::from(!denies)],
                whom: match seeded.one_in(4) {
                    true => Whom::Everybody,
                    false => Whom::User(pick(seeded, &USERS).into()),
                },
                hosts: match seeded.one_in(3) {
                    true => Hosts::One(host(seeded)),
                    false => Hosts::All,
                },
                operations: match seeded.one_in(6) {
                    true => Operations::All,
                    false => Operations::One(operation),
                },
            },
        }
    }

    #[test]
    fn the_index_says_what_a_look_at_every_rule_says() {
        let mut seen = [0; 4];
        for seed in 0..300 {
            let mut seeded = Seeded::new(seed);
            let (mut acls, mut all) = (Acls::default(), BTreeSet::new());
            for _ in 0..60 {
                if let (true, Some(gone)) = (seeded.one_in(6), all.first().cloned()) {
                    acls.remove(&gone);
                    all.remove(&gone);
                }
                let one = some_binding(&mut seeded);
                assert_eq!(acls.add(&one), Ok(()));
                all.insert(one);
                assert_eq!(acls.count(), all.len());

                let kind = pick(&mut seeded, &[ResourceKind::Topic, ResourceKind::Group]);
                let operation = pick(&mut seeded, kind.operations());
                let (who, name) = (pick(&mut seeded, &USERS), pick(&mut seeded, &NAMES));
                let from = host(&mut seeded);
                let list: Vec<_> = all.iter().cloned().collect();
                let wanted = naive(&list, who, from, operation, (kind, name));
                let found = acls.verdict(who, from, operation, (kind, name));
                assert_eq!(
                    found, wanted,
                    "seed {seed}: {who} {operation:?} {name}: {all:?}"
                );
                seen[wanted as usize] += 1;
            }
            let listed: Vec<_> = acls.iter().collect();
            assert!(all.iter().all(|one| listed.contains(one)));
            assert_eq!(listed.len(), all.len());
        }
        assert!(seen.iter().all(|&count| count > 100), "{seen:?}");
    }

    /// Over all names that could matter: if one of them is allowed, some is.
    #[test]
    fn some_name_is_allowed_where_a_permission_is_not_covered() {
        let (mut yes, mut no) = (0, 0);
        for seed in 0..2000 {
            let mut seeded = Seeded::new(seed);
            let mut acls = Acls::default();
            let mut list = Vec::new();
            for _ in 0..seeded.below(6) {
                let mut one = some_binding(&mut seeded);
                one.kind = ResourceKind::Topic;
                one.rule.operations = Operations::One(Operation::Write);
                acls.add(&one).unwrap();
                list.push(one);
            }
            let from = IpAddr::from([10, 0, 0, 0]);
            let fresh = NAMES.iter().map(|name| format!("{name}-fresh"));
            let names = NAMES.iter().map(|name| name.to_string());
            // What no rule speaks of but by a prefix, or by every name.
            let wanted = names.filter(|name| name != "*").chain(fresh).any(|name| {
                let of = (ResourceKind::Topic, &*name);
                naive(&list, "ann", from, Operation::Write, of) == Verdict::Allowed
            });
            let some = acls.allows_some("ann", from, Operation::Write, ResourceKind::Topic);
            assert_eq!(some, wanted, "seed {seed}: {list:?}");
            match some {
                true => yes += 1,
                false => no += 1,
            }
        }
        assert!(yes > 200 && no > 200, "{yes} {no}");
    }

    #[test]
    fn filters_match_as_kafkas() {
        use super::super::binding::Patterns::{Any, Covering, Only};
        let mut acls = Acls::default();
        for (pattern, name) in [
            (Pattern::Literal, "orders"),
            (Pattern::Literal, "*"),
            (Pattern::Prefixed, "ord"),
            (Pattern::Prefixed, "orders"),
            (Pattern::Prefixed, "x"),
        ] {
            let rule = Rule {
                permission: Permission::Allow,
                whom: Whom::User("ann".into()),
                hosts: Hosts::All,
                operations: Operations::One(Operation::Read),
            };
            let (kind, name) = (ResourceKind::Topic, name.into());
            let binding = Binding {
                kind,
                pattern,
                name,
                rule,
            };
            acls.add(&binding).unwrap();
        }
        for (patterns, name, count) in [
            (Any, None, 5),
            (Covering, None, 5),
            (Only(Pattern::Literal), None, 2),
            (Only(Pattern::Prefixed), None, 3),
            (Any, Some("orders"), 2),
            (Covering, Some("orders"), 4),
            (Covering, Some("ordinary"), 2),
            (Only(Pattern::Literal), Some("orders"), 1),
            (Only(Pattern::Prefixed), Some("orders"), 1),
            (Only(Pattern::Literal), Some("*"), 1),
        ] {
            let name: Option<Box<str>> = name.map(Into::into);
            let filter = AclFilter {
                patterns,
                name: name.clone(),
                ..AclFilter::default()
            };
            assert_eq!(acls.matching(&filter).len(), count, "{patterns:?} {name:?}");
        }
        let nobodys = AclFilter {
            whom: Some(Whom::Everybody),
            ..AclFilter::default()
        };
        assert_eq!(acls.matching(&nobodys), []);
    }
}
