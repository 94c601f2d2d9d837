//! A server's bytes as our own clients read them, and a client's as the door
//! does, operation by operation.
#![no_main]

use dolmen::ports::zookeeper::codec::{
    ConnectRequest, ConnectResponse, FRAME_HEAD_BYTES, Jute, ReplyHeader, WatcherEvent,
};
use dolmen::ports::zookeeper::handlers::TABLE;
use dolmen::wire::Cursor;
use dolmen_fuzz::judge;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| judge(input, run));

fn run(input: &[u8]) {
    let Some((&first, bytes)) = input.split_first() else {
        return;
    };
    let handler = &TABLE[usize::from(first) % TABLE.len()];
    for rewrite in [handler.rewrite_request, handler.rewrite_response] {
        if let Ok(once) = rewrite(bytes) {
            assert_eq!(rewrite(&once), Ok(once.clone()), "{}", handler.name);
        }
    }
    if let Ok(request) = ConnectRequest::read(bytes) {
        let mut again = Vec::new();
        request.write(&mut again);
        assert_eq!(
            ConnectRequest::read(&again[FRAME_HEAD_BYTES..]),
            Ok(request)
        );
    }
    if let Ok(response) = ConnectResponse::read(bytes) {
        let mut again = Vec::new();
        response.write(&mut again);
        assert_eq!(
            ConnectResponse::read(&again[FRAME_HEAD_BYTES..]),
            Ok(response)
        );
    }
    let from = &mut Cursor::new(bytes);
    if ReplyHeader::read(from).is_ok() {
        let _ = WatcherEvent::read(from);
    }
}
