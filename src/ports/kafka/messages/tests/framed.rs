//! Headers, frames, and answers in pieces.

use crate::limits::KAFKA_SPLICED_BYTES_MIN;
use crate::ports::kafka::messages::api_versions::{ApiVersions, ApiVersionsResponse};
use crate::ports::kafka::messages::consumer_protocol::ConsumerProtocolSubscription;
use crate::ports::kafka::messages::describe_groups::{
    DescribeGroups, DescribeGroupsResponse, DescribedGroup, DescribedGroupMember,
};
use crate::ports::kafka::messages::fetch::{
    Fetch, FetchResponse, FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData,
};
use crate::ports::kafka::messages::list_offsets::{
    ListOffsets, ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use crate::ports::kafka::messages::metadata::{Metadata, MetadataRequest, MetadataRequestTopic};
use crate::ports::kafka::messages::{
    ErrorCode, Message, Parts, Peek, Reader, Records, Text, Unsaid, Why, read_blob, read_request,
    read_response, write_blob, write_request, write_response,
};
use bytes::{Buf, Bytes};
use kafka_protocol::messages as theirs;
use kafka_protocol::protocol::{Decodable, Encodable};
use std::io::IoSlice;

/// The payload of a frame whose length is right.
fn payload(parts: &Parts) -> Bytes {
    let mut frame = Bytes::from(parts.to_vec());
    assert_eq!(frame.get_i32() as usize, frame.len());
    frame
}

#[test]
fn requests_have_the_headers_that_the_referee_reads() {
    let request = MetadataRequest {
        topics: Some(vec![MetadataRequestTopic {
            name: Some("orders".into()),
            ..Default::default()
        }]),
        ..Default::default()
    };
    for version in 0..=13 {
        let parts = write_request::<Metadata>(version, 77, Some("me".into()), &request).unwrap();
        let frame = payload(&parts);
        let peek = Peek::of(&frame).unwrap();
        let expected = Peek {
            key: 3,
            version,
            correlation_id: 77,
        };
        assert_eq!(peek, expected);

        let header_version = theirs::ApiKey::Metadata.request_header_version(version);
        let mut rest = frame.clone();
        let header = theirs::RequestHeader::decode(&mut rest, header_version).unwrap();
        assert_eq!((header.request_api_key, header.correlation_id), (3, 77));
        assert_eq!(header.client_id.as_deref(), Some("me"));
        let body = theirs::MetadataRequest::decode(&mut rest, version).unwrap();
        assert!(rest.is_empty());

        let mut again = Vec::new();
        header.encode(&mut again, header_version).unwrap();
        body.encode(&mut again, version).unwrap();
        assert_eq!(again, frame);
        let (header, read) = read_request::<Metadata>(again.into()).unwrap();
        assert_eq!(
            (header.client_id, header.correlation_id),
            (Some("me".into()), 77)
        );
        assert_eq!(read, request);
    }
}

#[test]
fn a_frame_too_short_for_a_request_is_not_peeked_at() {
    let whole = [0, 18, 0, 4, 0, 0, 0, 9];
    for length in 0..whole.len() {
        assert_eq!(Peek::of(&whole[..length]), None);
    }
    assert_eq!(Peek::of(&whole).map(|peek| peek.correlation_id), Some(9));
}

/// A client that is newer than we are asks in words that nobody knows. It reads
/// the answer as the oldest one.
#[test]
fn an_unknown_version_of_the_first_question_has_an_answer() {
    let response = ApiVersionsResponse {
        error_code: ErrorCode::UnsupportedVersion,
        ..Default::default()
    };
    let mut frame = payload(&write_response::<ApiVersions>(0, 5, &response).unwrap());
    let header = theirs::ResponseHeader::decode(&mut frame, 0).unwrap();
    assert_eq!(header.correlation_id, 5);
    let read = theirs::ApiVersionsResponse::decode(&mut frame, 0).unwrap();
    assert_eq!(read.error_code, 35);
    // And the newest version has the old header too.
    let newest = payload(&write_response::<ApiVersions>(4, 5, &response).unwrap());
    assert_eq!(newest[..6], [0, 0, 0, 5, 0, 35]);
}

fn fetched(records: Records) -> FetchResponse {
    FetchResponse {
        session_id: 3,
        responses: vec![FetchableTopicResponse {
            topic: Text::from("orders"),
            partitions: vec![PartitionData {
                high_watermark: 90,
                records,
                current_leader: LeaderIdAndEpoch {
                    leader_id: 2,
                    leader_epoch: 8,
                },
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

#[test]
fn records_go_out_in_the_pieces_in_which_they_lie() {
    let map = Bytes::from_owner(vec![7u8; 100_000]);
    let short = KAFKA_SPLICED_BYTES_MIN - 1;
    let pieces = [
        map.slice(10..60_000),
        map.slice(..short),
        map.slice(70_000..),
    ];
    let response = fetched(pieces.iter().cloned().collect());
    for version in 7..=18 {
        let mut parts = write_response::<Fetch>(version, 1, &response).unwrap();
        let spliced: Vec<_> = parts
            .iter()
            .filter(|part| map.as_ptr_range().contains(&part.as_ptr()))
            .collect();
        assert_eq!(spliced, [&pieces[0], &pieces[2]]);
        let own: usize = parts.iter().map(|part| part.len()).sum::<usize>() - 59_990 - 30_000;
        assert!(own < short + 200, "{own}");

        let whole = parts.to_vec();
        let (id, read) = read_response::<Fetch>(version, payload(&parts)).unwrap();
        assert_eq!(
            (id, &read.responses[0].partitions[0].records),
            (1, &response.responses[0].partitions[0].records)
        );

        // However much a socket takes at a time.
        let mut sent = Vec::new();
        for take in (1..).map(|n| n * 997) {
            let mut slices = [IoSlice::new(&[]); 2];
            let count = parts.chunks_vectored(&mut slices);
            let offered: Vec<u8> = slices[..count]
                .iter()
                .flat_map(|slice| slice.iter().copied())
                .collect();
            let taken = take.min(offered.len());
            sent.extend_from_slice(&offered[..taken]);
            parts.advance(taken);
            if !parts.has_remaining() {
                break;
            }
        }
        assert_eq!(sent, whole);
    }
}

/// Some clients take the length -1 there for a broken answer.
#[test]
fn no_records_are_empty_and_not_null() {
    for version in 4..=18 {
        let response = FetchResponse {
            session_id: 0,
            ..fetched(Records::default())
        };
        let mut frame = payload(&write_response::<Fetch>(version, 1, &response).unwrap());
        theirs::ResponseHeader::decode(&mut frame, i16::from(version >= 12)).unwrap();
        let mut read = theirs::FetchResponse::decode(&mut frame, version).unwrap();
        let records = &mut read.responses[0].partitions[0].records;
        assert_eq!(*records, Some(Bytes::new()));

        *records = None;
        let mut with_null = Vec::new();
        read.encode(&mut with_null, version).unwrap();
        let read = FetchResponse::decode(version, &mut Reader::new(with_null.into())).unwrap();
        assert!(read.responses[0].partitions[0].records.is_empty());
    }
}

#[test]
fn hints_are_left_out_for_clients_that_cannot_read_them_and_errors_are_not() {
    let mut response = fetched(Records::default());
    response.session_id = 0;
    response.node_endpoints = vec![NodeEndpoint::default()];
    let old = write_response::<Fetch>(11, 1, &response).unwrap();
    let (_, read) = read_response::<Fetch>(11, payload(&old)).unwrap();
    let partition = &read.responses[0].partitions[0];
    assert_eq!(partition.current_leader, LeaderIdAndEpoch::default());
    assert!(read.node_endpoints.is_empty());

    response.session_id = 4;
    let unwritten = write_response::<Fetch>(6, 1, &response).unwrap_err();
    assert_eq!(
        unwritten.to_string(),
        "FetchResponse.session_id: version 6 cannot say it"
    );

    let offsets = ListOffsetsResponse {
        topics: vec![ListOffsetsTopicResponse {
            partitions: vec![ListOffsetsPartitionResponse {
                leader_epoch: 3,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    assert!(write_response::<ListOffsets>(4, 1, &offsets).is_ok());
    let unwritten = write_response::<ListOffsets>(3, 1, &offsets).unwrap_err();
    assert_eq!(unwritten.why, Unsaid::NotIn(3));
}

#[test]
fn what_no_length_or_version_can_say_is_not_written() {
    let long = MetadataRequest {
        topics: Some(vec![MetadataRequestTopic {
            name: Some("x".repeat(1 << 15).into()),
            ..Default::default()
        }]),
        ..Default::default()
    };
    for version in [1, 12] {
        let unwritten = write_request::<Metadata>(version, 1, None, &long).unwrap_err();
        assert_eq!(unwritten.why, Unsaid::TooLong(1 << 15));
    }
    let by_id = MetadataRequest {
        topics: Some(vec![MetadataRequestTopic::default()]),
        ..Default::default()
    };
    assert!(write_request::<Metadata>(10, 1, None, &by_id).is_ok());
    let unwritten = write_request::<Metadata>(9, 1, None, &by_id).unwrap_err();
    assert_eq!(
        unwritten.to_string(),
        "MetadataRequestTopic.name: version 9 has no null there"
    );
    let unwritten = write_request::<Metadata>(14, 1, None, &by_id).unwrap_err();
    assert_eq!(unwritten.why, Unsaid::Version(14));
}

/// Only the length before a tagged field is known last.
#[test]
fn long_tagged_fields_have_their_lengths() {
    for count in [1, 3, 100, 5000] {
        let endpoint = |node_id| NodeEndpoint {
            node_id,
            host: Text::from("broker.example"),
            port: 9092,
            rack: None,
        };
        let response = FetchResponse {
            node_endpoints: (0..count).map(endpoint).collect(),
            ..fetched(Bytes::from(vec![1; 2 * KAFKA_SPLICED_BYTES_MIN]).into())
        };
        let frame = payload(&write_response::<Fetch>(16, 1, &response).unwrap());
        let mut rest = frame.clone();
        theirs::ResponseHeader::decode(&mut rest, 1).unwrap();
        let read = theirs::FetchResponse::decode(&mut rest, 16).unwrap();
        assert_eq!(read.node_endpoints.len(), count as usize);
        let (_, mut read) = read_response::<Fetch>(16, frame).unwrap();
        // Version 16 names the topic by its id.
        read.responses[0].topic = Text::from("orders");
        assert_eq!(read, response);
    }
}

#[test]
fn a_blob_of_a_newer_client_is_read_as_far_as_it_is_known() {
    let subscription = ConsumerProtocolSubscription {
        topics: vec!["orders".into()],
        generation_id: 4,
        rack_id: Some("a".into()),
        ..Default::default()
    };
    for version in 0..=3 {
        let blob = write_blob(version, &subscription).unwrap();
        let (told, read) = read_blob::<ConsumerProtocolSubscription>(blob).unwrap();
        assert_eq!((told, &read.topics), (version, &subscription.topics));
    }
    let mut newer = write_blob(3, &subscription).unwrap().to_vec();
    newer[1] = 9;
    newer.extend(b"and more");
    let (told, read) = read_blob(newer.clone().into()).unwrap();
    assert_eq!((told, read), (9, subscription));

    newer[1] = 3;
    let unread = read_blob::<ConsumerProtocolSubscription>(newer.clone().into()).unwrap_err();
    assert_eq!(unread.why, Why::Trailing(8));
    newer[0] = 0xff;
    let unread = read_blob::<ConsumerProtocolSubscription>(newer.into()).unwrap_err();
    assert_eq!(unread.why, Why::Version(-253));
}

/// Bytes of members of a group, some short and some spliced, and fields between
/// them.
#[test]
fn spliced_bytes_keep_their_places_between_fields() {
    let long = |byte| Bytes::from(vec![byte; KAFKA_SPLICED_BYTES_MIN]);
    let member = |id: &str, metadata: &Bytes, assignment: &Bytes| DescribedGroupMember {
        member_id: id.into(),
        member_metadata: metadata.clone(),
        member_assignment: assignment.clone(),
        ..Default::default()
    };
    let short = Bytes::from_static(b"short");
    let response = DescribeGroupsResponse {
        groups: vec![DescribedGroup {
            members: vec![
                member("a", &long(1), &long(2)),
                member("b", &short, &long(3)),
                member("c", &long(4), &short),
            ],
            ..Default::default()
        }],
        ..Default::default()
    };
    for version in 0..=6 {
        let parts = write_response::<DescribeGroups>(version, 1, &response).unwrap();
        assert!(parts.iter().count() >= 8);
        let mut frame = payload(&parts);
        theirs::ResponseHeader::decode(&mut frame, i16::from(version >= 5)).unwrap();
        let read = theirs::DescribeGroupsResponse::decode(&mut frame, version).unwrap();
        let members = &read.groups[0].members;
        let expected = [
            (long(1), long(2)),
            (short.clone(), long(3)),
            (long(4), short.clone()),
        ];
        for (member, (metadata, assignment)) in members.iter().zip(expected) {
            assert_eq!(member.member_metadata, metadata);
            assert_eq!(member.member_assignment, assignment);
        }
    }
}

/// As librdkafka 2.16 asks for all topics at version 13.
#[test]
fn what_stands_behind_a_request_is_not_looked_at() {
    let frame = b"\0\x03\0\x0d\0\0\0\x03\0\x07rdkafka\0\0\0\0\0\x01\0\0";
    let (header, read) = read_request::<Metadata>(Bytes::from_static(frame)).unwrap();
    assert_eq!((header.version, header.correlation_id), (13, 3));
    assert_eq!(read.topics, None);
    assert!(!read.allow_auto_topic_creation);
}
