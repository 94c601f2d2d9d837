//! A node whose Kafka door is open is a broker, for as long as it runs.

use super::*;

const IDS: &str = "/dolmen/streams/brokers/ids";

/// What the tree says of a broker; None where it is down.
fn broker(asked: &Machine, node: u64) -> Option<Value> {
    let read = asked.zk(&["get", &format!("{IDS}/{node}")]);
    (read.code == 0).then(|| serde_json::from_str(&read.out).unwrap())
}

fn disk(asked: &Machine, node: u64) -> String {
    let read = asked.zk(&["get", &format!("/dolmen/streams/brokers/disks/{node}")]);
    let record: Value = serde_json::from_str(&read.answer()).unwrap();
    record["disk"].as_str().unwrap().into()
}

fn brokers(asked: &Machine) -> Vec<String> {
    let listed = asked.zk(&["ls", IDS]);
    listed.out.split_whitespace().map(String::from).collect()
}

#[test]
fn a_node_is_a_broker_when_it_serves_and_again_after_a_kill() {
    let mut node = Machine::start_with("node.rack = \"left\"\n");
    let told = broker(&node, 1).expect("it is one from the start");
    let endpoint = format!("PLAINTEXT://{}", node.door("kafka"));
    assert_eq!(told["endpoints"], json!([endpoint]));
    assert_eq!(told["rack"], "left");
    let folder = disk(&node, 1);
    let line = node.zk(&["get", "/dolmen/nodes/1"]).answer();
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["doors"]["kafka"], node.door("kafka"));

    node.kill();
    node.go_on();
    // The life before it is not its own: it has announced itself again.
    let told = broker(&node, 1).expect("it is one again");
    let endpoint = format!("PLAINTEXT://{}", node.door("kafka"));
    assert_eq!(told["endpoints"], json!([endpoint]));
    assert_eq!(disk(&node, 1), folder);
    node.stop();
}

#[test]
fn a_door_that_is_off_makes_no_broker() {
    let node = Machine::start_with("doors.kafka.listen = \"off\"\n");
    assert_eq!(brokers(&node), [""; 0]);
    assert!(node.status()["doors"]["kafka"].is_null());
}

/// Long before its session would have expired.
#[test]
fn a_broker_that_stops_is_down_at_once() {
    let first = Machine::start();
    first.type_in(&["init"]).answer();
    let mut others = [Machine::start(), Machine::start()];
    for other in &others {
        other.join(&first, &[]);
    }
    until("all three are brokers", || {
        (brokers(&first) == ["1", "2", "3"]).then_some(())
    });
    assert_ne!(disk(&first, 1), disk(&first, 2));
    let listed = first.members();
    let doors: Vec<_> = listed.iter().map(|one| one["kafka"].is_string()).collect();
    assert_eq!(doors, [true; 3], "{listed:?}");
    // While the third only learns, the second is one of two who decide.
    first.until_voters(3);
    others[0].stop();
    // Answered once this node has come to all that was agreed upon before.
    assert_eq!(first.zk(&["create", "/stopped", "2"]).code, 0);
    assert_eq!(brokers(&first), ["1", "3"]);
    others[0].go_on();
    until("it is one again", || {
        (brokers(&first) == ["1", "2", "3"]).then_some(())
    });
}

/// How many nodes have all of each partition; None where they differ.
fn in_sync_on(asked: &Machine, topic: &str) -> Option<usize> {
    let typed = asked.type_in(&["topic", "describe", topic, "--json"]);
    let told: Value = serde_json::from_str(&typed.answer()).unwrap();
    let partitions = told[0]["partitions"].as_array().unwrap();
    let counts = partitions
        .iter()
        .map(|one| one["in_sync"].as_array().unwrap().len());
    let counts: std::collections::BTreeSet<_> = counts.collect();
    (counts.len() == 1).then(|| counts.into_iter().next().unwrap())
}

/// Where the group stands, by whoever keeps it now.
fn stands(asked: &Machine) -> Option<i64> {
    let typed = asked.type_in(&["topic", "groups", "describe", "readers", "--json"]);
    let told: Value = (typed.code == 0).then(|| serde_json::from_str(&typed.out).unwrap())?;
    told["partitions"][0]["committed"].as_i64()
}

#[test]
fn what_one_node_keeps_is_on_those_who_join_before_it_is_gone() {
    let mut first = Machine::start();
    first.type_in(&["topic", "create", "orders"]).answer();
    let lines = first.folder.path("lines");
    fs::write(&lines, "a\nb\n").unwrap();
    let mut produce = dolmen();
    produce.args(["topic", "produce", "orders", "--socket"]);
    produce.arg(first.folder.path("admin.sock"));
    let (code, _, words) = run(produce.stdin(File::open(lines).unwrap()));
    assert_eq!(code, 0, "{words}");
    let read = first.type_in(&["topic", "consume", "orders", "--group", "readers"]);
    assert_eq!(read.answer(), "a\nb\n");
    assert_eq!(in_sync_on(&first, "__consumer_offsets"), Some(1));

    first.type_in(&["init"]).answer();
    let others = [Machine::start(), Machine::start()];
    for other in &others {
        other.join(&first, &[]);
    }
    until("its groups are on all three", || {
        (in_sync_on(&first, "__consumer_offsets") == Some(3)).then_some(())
    });
    assert_eq!(in_sync_on(&first, "orders"), Some(1), "nobody asked for it");
    let widen = ["topic", "alter", "orders", "--replicas", "3"];
    let says = first.type_in(&widen).answer();
    assert!(says.contains("to be on 3 nodes each"), "{says}");
    until("so is the topic", || {
        (in_sync_on(&first, "orders") == Some(3)).then_some(())
    });
    assert!(first.type_in(&widen).answer().contains("0 partitions"));

    others[0].until_voters(3);
    first.kill();
    until("others keep the group", || {
        (stands(&others[0]) == Some(2)).then_some(())
    });
}
