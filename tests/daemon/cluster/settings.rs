//! What stands under /dolmen/config is in force on every node.

use super::*;

const BOUND: &str = "/dolmen/config/zookeeper.connections_per_ip_max";

/// What a node's door says of its own bounds.
fn conf(machine: &Machine) -> String {
    let mut stream = TcpStream::connect(machine.door("zookeeper")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"conf").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

fn until_conf(machine: &Machine, line: &str) {
    until(&format!("the door says {line}"), || {
        conf(machine).lines().any(|one| one == line).then_some(())
    });
}

/// Whether so many sessions of one address fit at the same time.
fn fit(machine: &Machine, count: usize) -> bool {
    let address: SocketAddr = machine.door("zookeeper").parse().unwrap();
    let mut sockets = Vec::new();
    (0..count).all(|_| {
        let mut socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let _ = socket.write_all(&greeting());
        let is_in = socket.read_exact(&mut [0; 4]).is_ok();
        sockets.push(socket);
        is_in
    })
}

#[test]
fn a_setting_that_one_node_takes_holds_on_all() {
    let mut first = Machine::start();
    first.type_in(&["init"]).answer();
    let second = Machine::start();
    second.join(&first, &["--role", "worker"]);
    until_conf(&second, "maxClientCnxns=256");

    let set = |value: &str| first.zk(&[&["set", BOUND, value], &AS_SUPER[..]].concat());
    first.zk(&["set", BOUND, "2"]).refusal();
    set("2").answer();
    until_conf(&second, "maxClientCnxns=2");
    until_conf(&first, "maxClientCnxns=2");
    until("two fit", || fit(&second, 2).then_some(()));
    assert!(!fit(&second, 3));

    let refused = set("many").refusal();
    assert!(
        refused.contains("does not take that path or value"),
        "{refused}"
    );
    until_conf(&second, "maxClientCnxns=2");

    let least = "/dolmen/config/zookeeper.session_timeout_min_ms";
    first
        .zk(&[&["set", least, "15000"], &AS_SUPER[..]].concat())
        .answer();
    until_conf(&second, "minSessionTimeout=15000");

    // From the start on, too.
    first.stop();
    first.go_on();
    first.until_in(1);
    until_conf(&first, "maxClientCnxns=2");
}
