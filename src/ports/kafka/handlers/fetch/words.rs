//! The messages of a Fetch: a request as the session knows it, and the answer
//! of what was served.

use super::served::Served;
use super::session::{Asked, Named, Spot, Wanted};
use crate::ports::kafka::handlers::Call;
use crate::ports::kafka::handlers::led::{NotLed, told};
use crate::ports::kafka::messages::fetch::{
    FetchPartition, FetchRequest, FetchResponse, FetchTopic, FetchableTopicResponse, NodeEndpoint,
    PartitionData,
};
use crate::ports::kafka::messages::{ErrorCode, Text, Uuid};
use crate::state::topics::Topics;

/// The first version in which a topic is named by its id.
const IDS_FROM: i16 = 13;
/// The first version in which a replica says in a tagged field who it is.
const REPLICA_STATE_FROM: i16 = 15;

/// Who asks, where it is a broker; below 0 for everybody else.
pub fn replica(version: i16, request: &FetchRequest) -> i32 {
    match version >= REPLICA_STATE_FROM {
        true => request.replica_state.replica_id,
        false => request.replica_id,
    }
}

pub fn asked(version: i16, request: FetchRequest) -> Asked {
    let names_ids = version >= IDS_FROM;
    // Kept longer than the request, so nothing of the frame.
    let named = |name: &Text, id: Uuid| match names_ids {
        true => Named::Id(id.into()),
        false => Named::Name((&**name).into()),
    };
    let wanted = request.topics.iter().flat_map(|topic| {
        let named = named(&topic.topic, topic.topic_id);
        let partitions = topic.partitions.iter();
        partitions.map(move |one| wanted((named.clone(), one.partition), one))
    });
    let forgotten = request.forgotten_topics_data.iter().flat_map(|topic| {
        let named = named(&topic.topic, topic.topic_id);
        let partitions = topic.partitions.iter();
        partitions.map(move |&partition| (named.clone(), partition))
    });
    Asked {
        session: request.session_id,
        epoch: request.session_epoch,
        names_ids,
        wanted: wanted.collect(),
        forgotten: forgotten.collect(),
    }
}

fn wanted(spot: Spot, one: &FetchPartition) -> Wanted {
    Wanted {
        spot,
        leader_epoch: one.current_leader_epoch,
        last_epoch: one.last_fetched_epoch,
        from: one.fetch_offset,
        bytes_max: one.partition_max_bytes,
    }
}

/// Nothing but the session's error.
pub fn failed(error_code: ErrorCode) -> FetchResponse {
    FetchResponse {
        error_code,
        ..FetchResponse::default()
    }
}

/// Everything is refused, and old versions say so at each partition.
pub fn refused(request: FetchRequest, code: ErrorCode) -> FetchResponse {
    let refuse = |one: &FetchPartition| Served::from(code).data(one.partition);
    let topic = |topic: FetchTopic| FetchableTopicResponse {
        topic: topic.topic,
        topic_id: topic.topic_id,
        partitions: topic.partitions.iter().map(refuse).collect(),
    };
    FetchResponse {
        error_code: code,
        responses: request.topics.into_iter().map(topic).collect(),
        ..FetchResponse::default()
    }
}

pub fn response<'w>(
    call: &Call,
    session_id: i32,
    told: impl Iterator<Item = (&'w Wanted, Served)>,
) -> FetchResponse {
    let topics = call.door.site.topics();
    let mut response = FetchResponse {
        session_id,
        ..FetchResponse::default()
    };
    let mut last = None;
    for (wanted, served) in told {
        let (named, partition) = &wanted.spot;
        name_leader(call, &topics, &mut response, &served);
        let data = served.data(*partition);
        match response.responses.last_mut() {
            Some(topic) if last == Some(named) => topic.partitions.push(data),
            _ => response.responses.push(begun(named, data)),
        }
        last = Some(named);
    }
    response
}

fn begun(named: &Named, first: PartitionData) -> FetchableTopicResponse {
    let partitions = vec![first];
    match named {
        Named::Name(name) => FetchableTopicResponse {
            topic: Text::from(&**name),
            partitions,
            ..FetchableTopicResponse::default()
        },
        Named::Id(id) => FetchableTopicResponse {
            topic_id: (*id).into(),
            partitions,
            ..FetchableTopicResponse::default()
        },
    }
}

/// Adds where the leader is reached that a partition points to.
fn name_leader(call: &Call, topics: &Topics, response: &mut FetchResponse, served: &Served) {
    let Served::Refused(NotLed {
        leader: Some((leader, _)),
        ..
    }) = served
    else {
        return;
    };
    let endpoints = &mut response.node_endpoints;
    if endpoints.iter().any(|one| one.node_id == told(*leader)) {
        return;
    }
    endpoints.extend(call.endpoint(topics, *leader).map(|one| NodeEndpoint {
        node_id: one.node,
        host: one.host,
        port: one.port,
        rack: one.rack,
    }));
}
