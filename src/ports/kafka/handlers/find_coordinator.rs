//! Which broker keeps a group or a transactional id: the one that leads its
//! partition of an internal topic. The topic is made when it is first asked for.

use super::named::each_once;
use super::{Call, Handle};
use crate::ports::kafka::access::{Operation, Resource};
use crate::ports::kafka::messages::find_coordinator::*;
use crate::ports::kafka::messages::{ErrorCode, Text};
use crate::ports::kafka::topics::{Internal, ensure_internal};
use crate::state::topics::{Partition, Topics};
use crate::streams::groups;

/// Kinds of keys. Groups of readers that share partitions (2) are not spoken.
const GROUP: i8 = 0;
const TRANSACTIONAL_ID: i8 = 1;

/// A broker that none is.
const NOBODY: i32 = -1;

impl Handle for FindCoordinator {
    async fn run(call: Call, request: FindCoordinatorRequest) -> Option<FindCoordinatorResponse> {
        let which = match request.key_type {
            GROUP => Ok(Internal::Offsets),
            TRANSACTIONAL_ID => Ok(Internal::Transactions),
            _ => Err(ErrorCode::InvalidRequest),
        };
        let keys = match call.version {
            ..4 => vec![request.key],
            _ => request.coordinator_keys,
        };
        // One that is named a thousand times is found once.
        let keys = each_once(keys, Text::clone).into_iter().map(|(key, _)| key);
        let found = match which {
            Ok(which) => find(&call, which, keys).await,
            Err(code) => keys.map(|key| shown(key, Err((code, None)))).collect(),
        };
        Some(response(call.version, found))
    }
}

#[derive(Clone)]
struct Place {
    node: i32,
    host: Text,
    port: u16,
}

/// A code, and a sentence for a person.
type Refused = (ErrorCode, Option<Text>);

async fn find(call: &Call, which: Internal, keys: impl Iterator<Item = Text>) -> Vec<Coordinator> {
    let keys = keys.map(|key| (may(call, which, &key), key));
    let keys: Vec<_> = keys.collect();
    let ensured = match keys.iter().any(|(may, _)| may.is_ok()) {
        true => ensure_internal(&call.door.site, &*call.door.entropy, which).await,
        false => Ok(()),
    };
    let not_there = |why: Text| (ErrorCode::CoordinatorNotAvailable, Some(why));
    let ensured = ensured.map_err(|why| not_there(why.into()));
    let places = places(&call.door.site.topics(), which.name(), &call.listener);
    let found = keys.into_iter().map(|(may, key)| {
        let found = may.map_err(|code| (code, None));
        let found = found
            .and_then(|()| ensured.clone())
            .and_then(|()| place(&places, &key).ok_or((ErrorCode::CoordinatorNotAvailable, None)));
        shown(key, found)
    });
    found.collect()
}

fn may(call: &Call, which: Internal, key: &str) -> Result<(), ErrorCode> {
    let (resource, code) = match which {
        Internal::Offsets => (Resource::Group(key), ErrorCode::GroupAuthorizationFailed),
        Internal::Transactions => (
            Resource::TransactionalId(key),
            ErrorCode::TransactionalIdAuthorizationFailed,
        ),
    };
    match call.may(Operation::Describe, resource) {
        true => Ok(()),
        false => Err(code),
    }
}

/// Who leads each partition, as reached by the listener of this name: keys have no
/// copies of their own. None while nobody does or nobody is reached there.
fn places(topics: &Topics, topic: &str, listener: &str) -> Vec<Option<Place>> {
    let partitions = topics.get(topic).map(|topic| topic.partitions.iter());
    let place = |partition: &Partition| {
        let node = partition.leader?;
        let up = topics.brokers().get(node)?.up.as_ref()?;
        let reached = up.listeners.iter().find(|it| *it.name == *listener)?;
        Some(Place {
            node: i32::try_from(node.0).ok()?,
            host: Text::from(&*reached.host),
            port: reached.port,
        })
    };
    partitions.into_iter().flatten().map(place).collect()
}

fn place(places: &[Option<Place>], key: &str) -> Option<Place> {
    let number = groups::partition_of(key, places.len() as u32)?;
    places.get(number as usize)?.clone()
}

fn shown(key: Text, found: Result<Place, Refused>) -> Coordinator {
    match found {
        Ok(place) => Coordinator {
            key,
            node_id: place.node,
            host: place.host,
            port: place.port.into(),
            error_code: ErrorCode::None,
            error_message: None,
        },
        Err((error_code, why)) => Coordinator {
            key,
            node_id: NOBODY,
            host: Text::default(),
            port: NOBODY,
            error_code,
            error_message: Some(why.unwrap_or(Text::from_static(error_code.sentence()))),
        },
    }
}

/// Older versions are of one key.
fn response(version: i16, mut found: Vec<Coordinator>) -> FindCoordinatorResponse {
    if version >= 4 {
        return FindCoordinatorResponse {
            coordinators: found,
            ..FindCoordinatorResponse::default()
        };
    }
    let one = found.pop().unwrap_or_default();
    FindCoordinatorResponse {
        error_code: one.error_code,
        error_message: one.error_message,
        node_id: one.node_id,
        host: one.host,
        port: one.port,
        ..FindCoordinatorResponse::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::NodeId;
    use crate::ports::kafka::handlers::shapes::says;
    use crate::streams::coordinators::groups::village::Village;

    #[test]
    fn a_key_is_kept_by_who_leads_its_partition() {
        let village = Village::of(3);
        let find = |key: &str, listener: &str| {
            let topics = village.site.topics();
            let places = places(&topics, "__consumer_offsets", listener);
            let place = place(&places, key)?;
            Some((place.node, place.host.to_string(), place.port))
        };
        assert_eq!(find("a", "PLAINTEXT"), None, "before the topic is there");
        village.topic("__consumer_offsets", 50);
        let (node, host, port) = find("a", "PLAINTEXT").unwrap();
        assert_eq!((host, port), (format!("10.0.0.{node}"), 9092));
        assert_eq!(find("a", "OTHER"), None);
        village.hand_on(NodeId(node as u64));
        assert_ne!(find("a", "PLAINTEXT").unwrap().0, node);
    }

    #[test]
    fn every_version_says_each_answer() {
        let place = || Place {
            node: 2,
            host: "10.0.0.2".into(),
            port: 9092,
        };
        says::<FindCoordinator>(|version| {
            let said = response(version, vec![shown("g".into(), Ok(place()))]);
            let node = match version {
                ..4 => said.node_id,
                _ => said.coordinators[0].node_id,
            };
            assert_eq!(node, 2);
            said
        });
        says::<FindCoordinator>(|version| {
            let refused = Err((ErrorCode::CoordinatorNotAvailable, None));
            let said = response(version, vec![shown("g".into(), refused)]);
            let port = match version {
                ..4 => said.port,
                _ => said.coordinators[0].port,
            };
            assert_eq!(port, -1);
            said
        });
    }
}
