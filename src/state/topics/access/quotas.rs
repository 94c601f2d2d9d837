//! How much clients may send and be sent, by user and by what they call
//! themselves, each for every node by itself.

use super::command::AccessRefused;
use crate::limits::{CLIENT_QUOTAS_MAX, USER_NAME_BYTES_MAX};
use std::collections::BTreeMap;

/// Whom a quota is for; at least one of the two is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entity {
    pub user: Option<Part>,
    pub client: Option<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Each for which no other is said.
    Default,
    Named(Box<str>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum QuotaKey {
    Produced,
    Fetched,
}

impl QuotaKey {
    pub const ALL: [Self; 2] = [Self::Produced, Self::Fetched];

    pub fn name(self) -> &'static str {
        match self {
            Self::Produced => "producer_byte_rate",
            Self::Fetched => "consumer_byte_rate",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}

/// Bytes a second.
pub type Rates = BTreeMap<QuotaKey, u64>;

/// What is done to one entity at once, or nothing of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaAlteration {
    pub entity: Entity,
    /// None takes it away, where it is there.
    pub changes: Vec<(QuotaKey, Option<u64>)>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quotas {
    pub(super) by_entity: BTreeMap<Entity, Rates>,
}

impl Quotas {
    pub fn is_empty(&self) -> bool {
        self.by_entity.is_empty()
    }

    pub fn of(&self, entity: &Entity) -> Option<&Rates> {
        self.by_entity.get(entity)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Entity, &Rates)> {
        self.by_entity.iter()
    }

    /// The rate that holds for a client, and whom it is for: of all that fit the
    /// most precise, where a user counts for more than a client's name.
    pub fn rate(&self, key: QuotaKey, user: &str, client: &str) -> Option<(&Entity, u64)> {
        let parts = |name: &str| [Some(Part::Named(name.into())), Some(Part::Default), None];
        let (users, clients) = (parts(user), parts(client));
        let entities = users.iter().flat_map(|user| {
            clients.iter().map(|client| Entity {
                user: user.clone(),
                client: client.clone(),
            })
        });
        let mut rates = entities.filter_map(|entity| {
            let (entity, rates) = self.by_entity.get_key_value(&entity)?;
            Some((entity, *rates.get(&key)?))
        });
        rates.next()
    }

    pub(super) fn alter(&mut self, alteration: &QuotaAlteration) -> Result<(), AccessRefused> {
        let QuotaAlteration { entity, changes } = alteration;
        entity.check()?;
        for (n, (key, rate)) in changes.iter().enumerate() {
            if changes[..n].iter().any(|(other, _)| other == key) {
                return Err(AccessRefused::Twice);
            }
            if *rate == Some(0) {
                return Err(AccessRefused::Rate { key: *key });
            }
        }
        let standing = self.by_entity.get(entity);
        if standing.is_none() && self.by_entity.len() >= CLIENT_QUOTAS_MAX {
            return Err(AccessRefused::QuotasMax);
        }
        let rates = self.by_entity.entry(entity.clone()).or_default();
        for &(key, rate) in changes {
            match rate {
                Some(rate) => drop(rates.insert(key, rate)),
                None => drop(rates.remove(&key)),
            }
        }
        if rates.is_empty() {
            self.by_entity.remove(entity);
        }
        Ok(())
    }
}

impl Entity {
    pub fn check(&self) -> Result<(), AccessRefused> {
        if self.user.is_none() && self.client.is_none() {
            return Err(AccessRefused::NoEntity);
        }
        for part in [&self.user, &self.client].into_iter().flatten() {
            if let Part::Named(name) = part
                && !(1..=USER_NAME_BYTES_MAX).contains(&name.len())
            {
                return Err(AccessRefused::UserName { bytes: name.len() });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(text: &str) -> Option<Part> {
        match text {
            "-" => None,
            "*" => Some(Part::Default),
            name => Some(Part::Named(name.into())),
        }
    }

    fn entity(user: &str, client: &str) -> Entity {
        Entity {
            user: part(user),
            client: part(client),
        }
    }

    fn set(entity: Entity, rate: Option<u64>) -> QuotaAlteration {
        let changes = vec![(QuotaKey::Produced, rate)];
        QuotaAlteration { entity, changes }
    }

    /// Kafka's order, from `(user, client)` down to the default of clients: each
    /// holds where all before it are gone.
    #[test]
    fn the_most_precise_quota_holds() {
        let order = [
            ("ann", "app"),
            ("ann", "*"),
            ("ann", "-"),
            ("*", "app"),
            ("*", "*"),
            ("*", "-"),
            ("-", "app"),
            ("-", "*"),
        ];
        let mut quotas = Quotas::default();
        for (n, (user, client)) in order.into_iter().enumerate() {
            let alteration = set(entity(user, client), Some(n as u64 + 1));
            quotas.alter(&alteration).unwrap();
        }
        for (n, (user, client)) in order.into_iter().enumerate() {
            let one = entity(user, client);
            let found = quotas.rate(QuotaKey::Produced, "ann", "app");
            assert_eq!(found, Some((&one, n as u64 + 1)));
            assert_eq!(quotas.rate(QuotaKey::Fetched, "ann", "app"), None);
            quotas.alter(&set(one, None)).unwrap();
        }
        assert!(quotas.is_empty());
    }

    #[test]
    fn what_is_no_quota_is_refused() {
        let long = "u".repeat(USER_NAME_BYTES_MAX + 1);
        let twice = QuotaAlteration {
            entity: entity("ann", "-"),
            changes: vec![(QuotaKey::Produced, Some(1)), (QuotaKey::Produced, None)],
        };
        for (alteration, refused) in [
            (set(entity("-", "-"), Some(1)), AccessRefused::NoEntity),
            (
                set(entity("ann", "-"), Some(0)),
                AccessRefused::Rate {
                    key: QuotaKey::Produced,
                },
            ),
            (
                set(entity(&long, "-"), Some(1)),
                AccessRefused::UserName { bytes: long.len() },
            ),
            (twice, AccessRefused::Twice),
        ] {
            let mut quotas = Quotas::default();
            assert_eq!(quotas.alter(&alteration), Err(refused));
            assert!(quotas.is_empty());
        }
        let gone = set(entity("ann", "-"), None);
        assert_eq!(Quotas::default().alter(&gone), Ok(()));
    }
}
