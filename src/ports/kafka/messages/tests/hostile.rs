//! Frames that declare more than they hold. What they make a decoder allocate
//! is measured by the fuzz target `kafka_messages`; here is what they are told.

use super::twin::unsigned;
use crate::limits::{KAFKA_DECODED_BYTES_BESIDES, KAFKA_DECODED_BYTES_PER_BYTE};
use crate::ports::kafka::messages::metadata::MetadataRequest;
use crate::ports::kafka::messages::offset_commit::OffsetCommitRequest;
use crate::ports::kafka::messages::produce::ProduceRequest;
use crate::ports::kafka::messages::shape::Kind;
use crate::ports::kafka::messages::{APIS, Message, Reader, Text, Unread, Why};

fn why<M: Message>(version: i16, bytes: Vec<u8>) -> Why {
    let read = M::decode(version, &mut Reader::new(bytes.into()));
    read.err().expect("it is refused").why
}

#[test]
fn a_count_that_cannot_fit_is_refused_at_once() {
    let most = i32::MAX.to_be_bytes();
    let found = why::<MetadataRequest>(0, most.to_vec());
    let declared = i32::MAX as usize;
    assert_eq!(found, Why::Count { declared, left: 0 });

    // A topic takes at least 18 bytes in version 10: id, name, tagged section.
    let mut bytes = vec![3];
    bytes.extend([0; 35]);
    let found = why::<MetadataRequest>(10, bytes);
    let (declared, left) = (2, 35);
    assert_eq!(found, Why::Count { declared, left });

    let mut bytes = Vec::new();
    unsigned(u32::MAX, &mut bytes);
    bytes.extend([0; 100]);
    let declared = u32::MAX as usize - 1;
    let left = 100;
    let found = why::<MetadataRequest>(12, bytes);
    assert_eq!(found, Why::Count { declared, left });
}

#[test]
fn each_message_that_begins_with_a_list_refuses_the_largest() {
    let mut tried = 0;
    for api in APIS {
        for (record, rewrite) in [
            (api.request, api.rewrite_request),
            (api.response, api.rewrite_response),
        ] {
            let first = record.fields[0];
            let of = match first.kind {
                Kind::Optional(of) => *of,
                kind => kind,
            };
            let version = *api.versions.end();
            if !matches!(of, Kind::List(_)) || !first.is_plain_in(version) {
                continue;
            }
            let mut bytes = Vec::new();
            if version >= api.flexible_from {
                unsigned(i32::MAX as u32 + 1, &mut bytes);
            } else {
                bytes.extend(i32::MAX.to_be_bytes());
            }
            bytes.extend([0; 16]);
            let Unread { field, why } = rewrite(version, bytes.into()).err().unwrap();
            assert_eq!(*field, first, "{}", api.name);
            let declared = i32::MAX as usize;
            assert_eq!(why, Why::Count { declared, left: 16 }, "{}", api.name);
            tried += 1;
        }
    }
    assert!(tried > 15, "{tried}");
}

/// A text of no letters is one byte and takes 32.
#[test]
fn a_list_is_bounded_by_what_its_frame_pays_for() {
    let request = |count: u32| {
        let mut bytes = vec![];
        unsigned(2, &mut bytes); // one group
        bytes.extend([1, 0, 0, 0, 0, 0]); // no id, member or epoch
        unsigned(count + 1, &mut bytes); // so many topics
        for _ in 0..count {
            bytes.extend([1, 1, 0]);
        }
        bytes.extend([0, 0, 0]);
        bytes
    };
    let size = size_of::<crate::ports::kafka::messages::offset_fetch::OffsetFetchRequestTopics>();
    let read = |count| {
        let bytes = request(count);
        let frame = bytes.len();
        let at = super::super::offset_fetch::OffsetFetchRequest::decode(
            9,
            &mut Reader::new(bytes.into()),
        );
        (frame, at.map(|_| ()))
    };
    assert_eq!(read(1000).1, Ok(()));
    let (frame, found) = read(200_000);
    let wanted = 200_000 * size;
    let left = frame * KAFKA_DECODED_BYTES_PER_BYTE + KAFKA_DECODED_BYTES_BESIDES;
    assert!(wanted > left, "the test says something");
    let Err(Unread {
        why: Why::Memory { wanted: found, .. },
        ..
    }) = found
    else {
        panic!("{found:?}");
    };
    assert_eq!(found, wanted);
}

#[test]
fn a_million_tagged_fields_are_skipped_and_more_than_there_are_refused() {
    let mut bytes = vec![1, 0, 0, 0];
    unsigned(1_000_000, &mut bytes);
    for number in 0..1_000_000 {
        unsigned(number, &mut bytes);
        bytes.push(0);
    }
    let read = MetadataRequest::decode(11, &mut Reader::new(bytes.clone().into()));
    assert!(read.is_err(), "version 11 has one byte less before them");
    bytes.remove(3);
    let read = MetadataRequest::decode(11, &mut Reader::new(bytes.clone().into()));
    assert_eq!(read.map(|request| request.topics), Ok(Some(Vec::new())));

    let mut bytes = vec![1, 0, 0];
    unsigned(u32::MAX, &mut bytes);
    let found = why::<MetadataRequest>(11, bytes);
    assert_eq!(found, Why::Short { wanted: 1, left: 0 });
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let cases: &[(i16, &[u8], &str)] = &[
        (0, &[0, 0], "MetadataRequest.topics: 4 bytes wanted, 2 left"),
        (
            0,
            &[0xff, 0xff, 0xff, 0xff],
            "MetadataRequest.topics: null in a version that has none",
        ),
        (
            1,
            &[0xff, 0xff, 0xff, 0xfe],
            "MetadataRequest.topics: -2 is no length",
        ),
        (
            1,
            &[0, 0, 0, 1, 0, 3, b'a'],
            "MetadataRequestTopic.name: 3 bytes wanted, 1 left",
        ),
        (
            1,
            &[0, 0, 0, 1, 0, 2, b'a', 0xc3],
            "MetadataRequestTopic.name: no UTF-8 from byte 1 on",
        ),
        (
            1,
            &[0, 0, 0, 1, 0xff, 0xff],
            "MetadataRequestTopic.name: null in a version that has none",
        ),
        (
            9,
            &[0x80, 0x80, 0x80, 0x80, 0x10],
            "MetadataRequest.topics: a number of more than 32 bits",
        ),
        (
            9,
            &[0x80, 0x80, 0x80, 0x80, 0x80, 0],
            "MetadataRequest.topics: a number of more than 32 bits",
        ),
        (14, &[], "frame.begin: there is no version 14"),
    ];
    for (version, bytes, expected) in cases {
        let mut from = Reader::new(bytes.to_vec().into());
        let unread = MetadataRequest::decode(*version, &mut from).unwrap_err();
        assert_eq!(unread.to_string(), *expected);
    }
}

#[test]
fn a_tagged_field_is_as_long_as_it_says() {
    use crate::ports::kafka::messages::fetch::FetchRequest;
    // Wait, least, most, isolation, session and epoch, no topics, no forgotten
    // ones, no rack; then one tagged field: the cluster's id.
    let with_tag = |tagged: &[u8]| {
        let mut bytes = vec![0; 21];
        bytes.extend([1, 1, 1]);
        bytes.extend(tagged);
        FetchRequest::decode(15, &mut Reader::new(bytes.into()))
    };
    let read = with_tag(&[1, 0, 3, 3, b'i', b'd']);
    assert_eq!(read.unwrap().cluster_id, Some(Text::from("id")));
    let longer = with_tag(&[1, 0, 4, 3, b'i', b'd', 0]).unwrap_err();
    assert_eq!(
        longer.to_string(),
        "FetchRequest.cluster_id: 1 bytes more than the tagged field has"
    );
    let shorter = with_tag(&[1, 0, 2, 3, b'i', b'd']).unwrap_err();
    assert_eq!(
        shorter.to_string(),
        "FetchRequest.cluster_id: 2 bytes wanted, 1 left"
    );
    // Before the version that has it, its number is nobody's.
    let unknown = with_tag(&[1, 9, 2, 3, b'i']);
    assert_eq!(unknown.unwrap().cluster_id, None);
}

#[test]
fn a_text_is_as_long_as_the_oldest_length_can_say() {
    let commit = |length: usize| {
        let mut bytes = Vec::new();
        unsigned(length as u32 + 1, &mut bytes);
        bytes.extend(vec![b'g'; length]);
        bytes.extend([0, 0, 0, 0, 1, 0, 1, 0]);
        OffsetCommitRequest::decode(8, &mut Reader::new(bytes.into()))
    };
    assert!(commit(i16::MAX as usize).is_ok());
    assert_eq!(commit(1 << 15).unwrap_err().why, Why::LongText(1 << 15));
}

#[test]
fn records_are_slices_of_the_frame() {
    let mut bytes = Vec::new();
    bytes.extend([0xff, 0xff, 0, 1, 0, 0, 0, 9]); // no transaction, acks, timeout
    bytes.extend([0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0, 3]);
    bytes.extend(b"rec");
    let frame = bytes::Bytes::from(bytes);
    let request = ProduceRequest::decode(7, &mut Reader::new(frame.clone())).unwrap();
    let topic = &request.topic_data[0];
    let records = topic.partition_data[0].records.as_ref().unwrap();
    assert_eq!((&*topic.name, &records[..]), ("t", &b"rec"[..]));
    let within = frame.as_ptr_range();
    assert!(within.contains(&records.as_ptr()) && within.contains(&topic.name.as_ptr()));
}
