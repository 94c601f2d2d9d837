//! A client's frame as the Kafka door takes it, header and body, and the blobs
//! that members of a group send through it.
#![no_main]

use bytes::Bytes;
use dolmen::ports::kafka::messages::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription,
};
use dolmen::ports::kafka::messages::{
    Api, Message, Peek, api_versions, fetch, join_group, metadata, produce, read_blob,
    read_request, read_response, sasl_authenticate, sasl_handshake, write_blob, write_request,
    write_response,
};
use dolmen_fuzz::judge;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    judge(input, request);
    judge(input, blob::<ConsumerProtocolSubscription>);
    judge(input, blob::<ConsumerProtocolAssignment>);
});

fn request(bytes: &[u8]) {
    match Peek::of(bytes).map(|peek| peek.key) {
        Some(produce::Produce::KEY) => frame::<produce::Produce>(bytes),
        Some(fetch::Fetch::KEY) => frame::<fetch::Fetch>(bytes),
        Some(metadata::Metadata::KEY) => frame::<metadata::Metadata>(bytes),
        Some(join_group::JoinGroup::KEY) => frame::<join_group::JoinGroup>(bytes),
        // These three are read of strangers.
        Some(api_versions::ApiVersions::KEY) => frame::<api_versions::ApiVersions>(bytes),
        Some(sasl_handshake::SaslHandshake::KEY) => frame::<sasl_handshake::SaslHandshake>(bytes),
        Some(sasl_authenticate::SaslAuthenticate::KEY) => {
            frame::<sasl_authenticate::SaslAuthenticate>(bytes);
        }
        _ => {}
    }
}

fn frame<A: Api>(bytes: &[u8]) {
    let Ok((header, request)) = read_request::<A>(Bytes::copy_from_slice(bytes)) else {
        return;
    };
    let (version, id) = (header.version, header.correlation_id);
    let client = header.client_id.clone();
    let parts = write_request::<A>(version, id, client, &request).expect("it was read");
    let again = Bytes::from(parts.to_vec()).slice(4..);
    let (header_again, again) = read_request::<A>(again).expect("it was written");
    assert!(header_again == header && is_same(version, &again, &request));

    let answer = write_response::<A>(version, id, &A::Response::default());
    // A default may have nulls that an old version has not.
    if let Ok(parts) = answer {
        let answer = Bytes::from(parts.to_vec()).slice(4..);
        let (answered, _) = read_response::<A>(version, answer).expect("it was written");
        assert_eq!(answered, id);
    }
}

/// By what they are written as: a fraction may be no number, which equals nothing.
fn is_same<M: Message>(version: i16, one: &M, other: &M) -> bool {
    write_blob(version, one) == write_blob(version, other)
}

fn blob<M: Message>(bytes: &[u8]) {
    if let Ok((told, message)) = read_blob::<M>(Bytes::copy_from_slice(bytes)) {
        let version = told.min(*M::VERSIONS.end());
        let again = write_blob(version, &message).expect("it was read");
        let (_, again) = read_blob::<M>(again).expect("it was written");
        assert!(is_same(version, &again, &message));
    }
}
