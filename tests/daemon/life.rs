//! Starting, reloading, stopping.

use super::*;

/// A clean end leaves nothing but the data.
fn check_clean_end(folder: &Folder, mut node: Node) {
    let status = node.ended();
    assert_eq!(status.code(), Some(0), "{}", node.words());
    assert!(node.words().ends_with("<5>stopped\n"), "{}", node.words());
    assert!(!folder.path("admin.sock").exists());
    assert!(!folder.path("data/dolmen.starts").exists());
}

#[test]
fn a_stop_is_clean_however_it_is_asked_for() {
    for signal in ["TERM", "INT"] {
        let folder = Folder::new();
        let node = Node::start(&folder);
        send(signal, node.pid());
        check_clean_end(&folder, node);
    }
    let folder = Folder::new();
    let node = Node::start(&folder);
    assert_eq!(node.ask("stop").unwrap(), "stopping");
    check_clean_end(&folder, node);
}

#[test]
fn more_signals_make_a_stop_no_worse() {
    let folder = Folder::new();
    let node = Node::start(&folder);
    // Holds the stop up: the door waits a moment for an exchange to end.
    let _exchange = TcpStream::connect(node.operator()).unwrap();
    send("TERM", node.pid());
    node.until_it_says("stopping");
    for signal in ["TERM", "INT", "HUP", "TERM"] {
        send(signal, node.pid());
    }
    check_clean_end(&folder, node);
}

#[test]
fn a_reload_takes_the_level_and_names_what_needs_a_restart() {
    let folder = Folder::new();
    let node = Node::start(&folder);
    folder.write_settings("127.0.0.1:1", &format!("{SMALL}node.log_level = \"debug\""));
    send("HUP", node.pid());
    node.until_it_says("these need a restart settings=\"doors.operator.listen\"");
    // A client that breaks the protocol is told of at level debug only.
    assert_eq!(http(node.operator(), "nonsense").status, 400);
    node.until_it_says("<6>a client broke the protocol or left");

    fs::write(folder.path("dolmen.toml"), "node.log_level = 3\n").unwrap();
    send("HUP", node.pid());
    node.until_it_says("settings stay as they were");
    assert_eq!(get(node.operator(), "/health").status, 200);
}

#[test]
fn a_killed_daemon_leaves_nothing_in_the_way_of_the_next() {
    let folder = Folder::new();
    let mut killed = Node::start(&folder);
    killed.child.kill().unwrap();
    killed.ended();
    assert!(folder.path("admin.sock").exists());
    let node = Node::start(&folder);
    assert_eq!(node.ask("status").unwrap()["pid"], node.pid());
}
