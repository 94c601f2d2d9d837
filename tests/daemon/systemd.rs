//! What systemd hears, on a socket of the test's own.

use super::*;
use std::os::unix::net::UnixDatagram;

pub(super) struct Systemd(UnixDatagram);

impl Systemd {
    pub(super) fn listen(folder: &Folder) -> Self {
        let socket = UnixDatagram::bind(folder.path("notify")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    fn start(folder: &Folder) -> Node {
        let settings = folder.write_settings("127.0.0.1:0", "");
        let mut command = dolmen();
        command.args(["serve", "--config"]).arg(settings);
        Node::spawn(folder, command.env("NOTIFY_SOCKET", folder.path("notify")))
    }

    fn hear(&self) -> String {
        let mut message = [0; 4096];
        let length = self.0.recv(&mut message).expect("systemd hears something");
        String::from_utf8(message[..length].to_vec()).unwrap()
    }

    /// Messages up to the one that begins so, pings left out.
    pub(super) fn hear_until(&self, start: &str) -> Vec<String> {
        let mut heard = Vec::new();
        loop {
            let message = self.hear();
            let is_last = message.starts_with(start);
            if message != "WATCHDOG=1" {
                heard.push(message);
            }
            if is_last {
                return heard;
            }
        }
    }
}

#[test]
fn ready_comes_when_health_answers_and_the_rest_in_its_order() {
    let folder = Folder::new();
    let systemd = Systemd::listen(&folder);
    let mut node = Systemd::start(&folder);
    let heard = systemd.hear_until("READY=1");
    assert_eq!(get(node.operator(), "/health").status, 200);
    assert_eq!(
        heard,
        [
            "STATUS=starting: the log is being read",
            "EXTEND_TIMEOUT_USEC=60000000",
            "STATUS=starting: the replicated state is being read",
            "EXTEND_TIMEOUT_USEC=60000000",
            "READY=1\nSTATUS=serving",
        ]
    );

    send("HUP", node.pid());
    let heard = systemd.hear_until("READY=1");
    let [reloading, ready] = &heard[..] else {
        panic!("{heard:?}")
    };
    let micros = reloading
        .strip_prefix("RELOADING=1\nMONOTONIC_USEC=")
        .unwrap();
    assert!(micros.parse::<u64>().unwrap() > 0);
    assert_eq!(ready, "READY=1\nSTATUS=serving");

    send("TERM", node.pid());
    let heard = systemd.hear_until("STATUS=stopping: the log is being sealed");
    assert_eq!(
        heard,
        [
            "STOPPING=1\nSTATUS=stopping",
            "STATUS=stopping: partitions are being handed on",
            "STATUS=stopping: Kafka's clients are being sent away",
            "STATUS=stopping: clients are being sent away",
            "STATUS=stopping: the log is being sealed",
        ]
    );
    assert_eq!(node.ended().code(), Some(0));
}

#[test]
fn pings_go_on_while_the_node_serves_and_while_it_is_reduced() {
    let folder = Folder::new();
    let systemd = Systemd::listen(&folder);
    for _ in 0..3 {
        let mut node = Systemd::start(&folder);
        for _ in 0..3 {
            while systemd.hear() != "WATCHDOG=1" {}
        }
        node.child.kill().unwrap();
        node.ended();
    }
    let _node = Systemd::start(&folder);
    let reduced = systemd.hear_until("READY=1");
    assert!(
        reduced[0].starts_with("READY=1\nSTATUS=reduced: the process ended"),
        "{reduced:?}"
    );
    for _ in 0..3 {
        while systemd.hear() != "WATCHDOG=1" {}
    }
}
