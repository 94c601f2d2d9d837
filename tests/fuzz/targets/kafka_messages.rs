//! A Kafka message without its header: the first byte says the API, the second
//! its version, and whether it is a request or a response. What parses is
//! written, and read again as what was written.
#![no_main]

use bytes::Bytes;
use dolmen::ports::kafka::messages::APIS;
use dolmen_fuzz::judge;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| judge(input, run));

fn run(input: &[u8]) {
    let [which, version, body @ ..] = input else {
        return;
    };
    let api = &APIS[usize::from(*which) % APIS.len()];
    let versions = api.versions.end() - api.versions.start() + 1;
    let version = api.versions.start() + i16::from(version >> 1) % versions;
    let rewrite = if input[1] & 1 == 0 {
        api.rewrite_request
    } else {
        api.rewrite_response
    };
    let Ok(written) = rewrite(version, Bytes::copy_from_slice(body)) else {
        return;
    };
    let once = written.expect("what was read can be said").to_vec();
    let twice = rewrite(version, once.clone().into()).expect("what was written can be read");
    let twice = twice.expect("what was read can be said").to_vec();
    assert_eq!(once, twice, "{} at {version}", api.name);
}
