//! After three quick failures the node tells what is wrong and does no more.

use super::*;
use std::net::TcpListener;

fn check_reduced(node: &Node, reason: &str) {
    let status = node.ask("status").unwrap();
    assert_eq!(status["state"], "reduced");
    assert!(
        status["reason"].as_str().unwrap().contains(reason),
        "{status}"
    );
    let health = get(node.operator(), "/health");
    assert_eq!(health.status, 503);
    assert!(health.body.contains(reason), "{}", health.body);
    let metrics = get(node.operator(), "/metrics");
    assert!(metrics.body.contains("\ndolmen_serving 0\n"));
}

#[test]
fn three_failed_starts_reduce_the_next_and_a_clean_stop_ends_it() {
    let folder = Folder::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let settings = folder.write_settings(&address, "");
    for _ in 0..3 {
        refusal(&settings);
    }
    let mut node = Node::start(&folder);
    let reason = format!("cannot listen on {address}, which is in use");
    check_reduced(&node, &reason);
    assert!(node.words().contains("<3>reduced after quick failures"));

    // Killed, it comes back as it was; stopped, it comes back whole.
    node.child.kill().unwrap();
    node.ended();
    let mut node = Node::start(&folder);
    check_reduced(&node, &reason);
    send("TERM", node.pid());
    assert_eq!(node.ended().code(), Some(0));
    let node = Node::start(&folder);
    assert_eq!(node.ask("status").unwrap()["state"], "serving");
}

#[test]
fn a_node_that_is_killed_three_times_says_that_it_does_not_know_why() {
    let folder = Folder::new();
    for _ in 0..3 {
        let mut node = Node::start(&folder);
        assert_eq!(node.ask("status").unwrap()["state"], "serving");
        node.child.kill().unwrap();
        node.ended();
    }
    check_reduced(&Node::start(&folder), "ended without a word");
}

#[test]
fn a_torn_count_is_told_of_and_does_not_keep_the_node_down() {
    let folder = Folder::new();
    fs::write(folder.path("data/dolmen.starts"), "7d3f {\"vers").unwrap();
    let node = Node::start(&folder);
    assert_eq!(get(node.operator(), "/health").status, 200);
    assert!(node.words().contains("<4>torn or of another version"));
}

#[test]
fn a_second_daemon_does_not_count_as_a_failure_of_the_first() {
    let folder = Folder::new();
    let mut node = Node::start(&folder);
    for _ in 0..3 {
        refusal(&folder.path("dolmen.toml"));
    }
    node.child.kill().unwrap();
    node.ended();
    let node = Node::start(&folder);
    assert_eq!(node.ask("status").unwrap()["state"], "serving");
}
