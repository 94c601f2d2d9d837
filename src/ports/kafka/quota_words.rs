//! Quotas in Kafka's words, and in ours.

use super::errors::in_words;
use super::messages::{ErrorCode, Text};
use super::refused_access::Said;
use crate::state::topics::access::{Entity, Part, QuotaKey};
use std::fmt;

const USER: &str = "user";
const CLIENT: &str = "client-id";
const IP: &str = "ip";

/// Kafka's other quotas. A share of threads' time is not counted here, topics are
/// made by all nodes together, and connections have a bound of their own.
const NOT_HERE: [&str; 3] = [
    "request_percentage",
    "controller_mutation_rate",
    "connection_creation_rate",
];

/// The name of a part as messages have it: None is the default.
pub type Named = (Text, Option<Text>);

fn refused(code: ErrorCode, why: impl fmt::Display) -> Said {
    (code, Some(in_words(why)))
}

pub fn entity(parts: &[Named]) -> Result<Entity, Said> {
    let mut entity = Entity::default();
    for (kind, name) in parts {
        let place = place(&mut entity, kind)?;
        if place.is_some() {
            let why = format!("{kind} is named twice");
            return Err(refused(ErrorCode::InvalidRequest, why));
        }
        *place = Some(match name {
            None => Part::Default,
            Some(name) => Part::Named((&**name).into()),
        });
    }
    let checked = entity.check();
    checked.map_err(|why| refused(ErrorCode::InvalidRequest, why))?;
    Ok(entity)
}

fn place<'a>(entity: &'a mut Entity, kind: &str) -> Result<&'a mut Option<Part>, Said> {
    match kind {
        USER => Ok(&mut entity.user),
        CLIENT => Ok(&mut entity.client),
        IP => Err(refused(
            ErrorCode::InvalidRequest,
            "quotas of an ip are connection_creation_rate, which is not honoured here",
        )),
        other => Err(refused(
            ErrorCode::InvalidRequest,
            format!("{other:?} is no type of entity"),
        )),
    }
}

/// As messages have it.
pub fn names(entity: &Entity) -> Vec<Named> {
    let named = |kind: &'static str, part: &Option<Part>| {
        let name = match part.as_ref()? {
            Part::Default => None,
            Part::Named(name) => Some(Text::from(&**name)),
        };
        Some((Text::from_static(kind), name))
    };
    let both = [named(USER, &entity.user), named(CLIENT, &entity.client)];
    both.into_iter().flatten().collect()
}

pub fn key(name: &str) -> Result<QuotaKey, Said> {
    QuotaKey::named(name).ok_or_else(|| {
        let why = match NOT_HERE.contains(&name) {
            true => format!("{name} is not honoured here"),
            false => format!("{name:?} is no quota"),
        };
        refused(ErrorCode::InvalidRequest, why)
    })
}

/// Whole bytes a second, as Kafka has it.
pub fn rate(key: QuotaKey, value: f64) -> Result<u64, Said> {
    // Above 2^53 every value is whole, and the largest of Kafka's is below 2^63.
    let is_good = value >= 1.0 && value < i64::MAX as f64 && value.fract() == 0.0;
    match is_good {
        true => Ok(value as u64),
        false => Err(refused(
            ErrorCode::InvalidRequest,
            format!("{} is a whole number from 1 on, not {value}", key.name()),
        )),
    }
}

/// Which entities are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntityFilter {
    user: Option<Wanted>,
    client: Option<Wanted>,
    /// Of an ip there are none.
    ip: bool,
    /// What is not asked for is not there.
    is_strict: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    Any,
    Only(Part),
}

const EXACT: i8 = 0;
const DEFAULT: i8 = 1;
const ANY: i8 = 2;

impl EntityFilter {
    /// Of a type, a match, and the name for an exact one.
    pub fn read(
        components: impl IntoIterator<Item = (Text, i8, Option<Text>)>,
        is_strict: bool,
    ) -> Result<Self, Said> {
        let mut filter = Self {
            is_strict,
            ..Self::default()
        };
        for (kind, match_type, name) in components {
            let wanted = match (match_type, name) {
                (EXACT, Some(name)) => Wanted::Only(Part::Named((&*name).into())),
                (DEFAULT, _) => Wanted::Only(Part::Default),
                (ANY, _) => Wanted::Any,
                (EXACT, None) => {
                    let why = "an exact match has a name";
                    return Err(refused(ErrorCode::InvalidRequest, why));
                }
                (other, _) => {
                    let why = format!("{other} is no type of match");
                    return Err(refused(ErrorCode::InvalidRequest, why));
                }
            };
            let was = match &*kind {
                USER => filter.user.replace(wanted).is_some(),
                CLIENT => filter.client.replace(wanted).is_some(),
                IP => std::mem::replace(&mut filter.ip, true),
                other => {
                    let why = format!("{other:?} is no type of entity");
                    return Err(refused(ErrorCode::UnsupportedVersion, why));
                }
            };
            if was {
                let why = format!("{kind} is named twice");
                return Err(refused(ErrorCode::InvalidRequest, why));
            }
        }
        Ok(filter)
    }

    pub fn matches(&self, entity: &Entity) -> bool {
        let is_part = |wanted: &Option<Wanted>, part: &Option<Part>| match (wanted, part) {
            (None, None) => true,
            (None, Some(_)) => !self.is_strict,
            (Some(_), None) => false,
            (Some(Wanted::Any), Some(_)) => true,
            (Some(Wanted::Only(only)), Some(part)) => only == part,
        };
        !self.ip && is_part(&self.user, &entity.user) && is_part(&self.client, &entity.client)
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

    fn entity_of(user: &str, client: &str) -> Entity {
        let (user, client) = (part(user), part(client));
        Entity { user, client }
    }

    #[test]
    fn entities_read_back_and_others_are_refused() {
        for (user, client) in [("ann", "-"), ("*", "-"), ("-", "app"), ("ann", "*")] {
            let one = entity_of(user, client);
            assert_eq!(entity(&names(&one)), Ok(one));
        }
        let user = || (Text::from(USER), Some(Text::from("ann")));
        let ip = (Text::from(IP), Some(Text::from("10.0.0.1")));
        let empty = (Text::from(USER), Some(Text::from("")));
        let other = (Text::from("group"), None);
        for parts in [
            vec![],
            vec![user(), user()],
            vec![ip],
            vec![empty],
            vec![other],
        ] {
            let (code, _) = entity(&parts).unwrap_err();
            assert_eq!(code, ErrorCode::InvalidRequest, "{parts:?}");
        }
    }

    #[test]
    fn values_are_whole_and_keys_are_known() {
        let produced = QuotaKey::Produced;
        assert_eq!(rate(produced, 1.0), Ok(1));
        assert_eq!(rate(produced, 1e15), Ok(1_000_000_000_000_000));
        for bad in [0.0, -1.0, 0.5, 1.5, 1e19, f64::INFINITY, f64::NAN] {
            assert!(rate(produced, bad).is_err(), "{bad}");
        }
        assert_eq!(key("consumer_byte_rate"), Ok(QuotaKey::Fetched));
        for bad in ["request_percentage", "bytes", ""] {
            assert!(key(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn filters_match_as_kafkas() {
        let all = [
            entity_of("ann", "-"),
            entity_of("*", "-"),
            entity_of("-", "app"),
            entity_of("ann", "app"),
            entity_of("ann", "*"),
        ];
        let component = |text: &str| {
            let (kind, wanted) = text.split_once('=').unwrap();
            match wanted {
                "*" => (kind.into(), DEFAULT, None),
                "?" => (kind.into(), ANY, None),
                name => (kind.into(), EXACT, Some(name.into())),
            }
        };
        for (asked, is_strict, found) in [
            (vec![], false, vec![0, 1, 2, 3, 4]),
            (vec![], true, vec![]),
            (vec!["user=ann"], false, vec![0, 3, 4]),
            (vec!["user=ann"], true, vec![0]),
            (vec!["user=?"], true, vec![0, 1]),
            (vec!["user=*"], false, vec![1]),
            (vec!["user=ann", "client-id=?"], true, vec![3, 4]),
            (vec!["client-id=app"], false, vec![2, 3]),
            (vec!["ip=?"], false, vec![]),
        ] {
            let components = asked.iter().map(|text| component(text));
            let filter = EntityFilter::read(components, is_strict).unwrap();
            let matched = (0..all.len()).filter(|&n| filter.matches(&all[n]));
            assert_eq!(matched.collect::<Vec<_>>(), found, "{asked:?} {is_strict}");
        }
        for bad in [
            vec![("user".into(), EXACT, None)],
            vec![("user".into(), 3, None)],
            vec![("user".into(), ANY, None), ("user".into(), DEFAULT, None)],
            vec![("group".into(), ANY, None)],
        ] {
            assert!(EntityFilter::read(bad.clone(), false).is_err(), "{bad:?}");
        }
    }
}
