//! The admin socket, asked well and badly.

use super::*;
use dolmen::limits::{ADMIN_CONNECTIONS_MAX, ADMIN_FRAME_BYTES_MAX};
use dolmen::wire::frame::{Frames, framed};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

/// Sends bytes and reads one answer.
fn answer(node: &Node, bytes: &[u8]) -> Value {
    let mut stream = UnixStream::connect(&node.admin).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(bytes).unwrap();
    let mut frames = Frames::new(ADMIN_FRAME_BYTES_MAX);
    let mut arrived = [0; 4096];
    loop {
        if let Some(payload) = frames.take().unwrap() {
            return serde_json::from_slice(&payload).unwrap();
        }
        let length = stream.read(&mut arrived).unwrap();
        assert_ne!(length, 0, "closed without an answer");
        frames.add(&arrived[..length]);
    }
}

fn check_error(node: &Node, bytes: &[u8], says: &str) {
    let answer = answer(node, bytes);
    let error = answer["error"].as_str().unwrap();
    assert!(error.contains(says), "{error}");
}

#[test]
fn a_bad_question_gets_a_clear_error_and_the_next_an_answer() {
    let folder = Folder::new();
    let node = Node::start(&folder);
    let question = |text: &str| framed(text.as_bytes(), ADMIN_FRAME_BYTES_MAX).unwrap();
    let unknown = "unknown variant `dance`, expected one of `status`, `chronicle`, `stop`";
    check_error(&node, &question(r#"{"ask":"dance"}"#), unknown);
    check_error(
        &node,
        &question(r#"{"task":"status"}"#),
        "missing field `ask`",
    );
    check_error(&node, &question("not json"), "does not understand");
    check_error(&node, &question(""), "does not understand");
    check_error(
        &node,
        &question(&"[".repeat(100_000)),
        "does not understand",
    );
    check_error(
        &node,
        &[0xff; 4],
        "a frame of 4294967295 bytes where 1048576 is the most",
    );
    drop(UnixStream::connect(&node.admin).unwrap().write_all(&[0, 0]));
    assert_eq!(node.ask("status").unwrap()["state"], "serving");
}

#[test]
fn the_socket_is_for_its_owner_and_group() {
    let folder = Folder::new();
    let node = Node::start(&folder);
    let mode = fs::metadata(&node.admin).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
}

#[test]
fn a_full_socket_says_busy() {
    let folder = Folder::new();
    let node = Node::start(&folder);
    let talks: Vec<_> = (0..ADMIN_CONNECTIONS_MAX)
        .map(|_| UnixStream::connect(&node.admin).unwrap())
        .collect();
    let refusal = node.ask("status").unwrap_err();
    assert!(refusal.contains("busy"), "{refusal}");
    drop(talks);
    until("there is room again", || node.ask("status").ok());
}
