//! `dolmen topic` against a real node: what people read, and that no line is
//! lost between a pipe and a topic.

use super::*;
use std::io::{BufRead, BufReader};

/// A node whose Kafka door is open.
struct Site {
    folder: Folder,
    node: Node,
}

impl Site {
    fn start() -> Self {
        let folder = Folder::new();
        let node = Node::start(&folder);
        let site = Self { folder, node };
        until("the door answers", || {
            (site.topic(&["list"]).0 == 0).then_some(())
        });
        site
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = dolmen();
        command.arg("topic").args(arguments);
        command.arg("--socket").arg(&self.node.admin);
        command
    }

    fn topic(&self, arguments: &[&str]) -> (i32, String, String) {
        run(&mut self.command(arguments))
    }

    /// What it prints, where all goes well.
    fn shown(&self, arguments: &[&str]) -> String {
        let (code, shown, words) = self.topic(arguments);
        assert_eq!(code, 0, "{arguments:?}: {words}");
        shown
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let shown = self.shown(&[arguments, &["--json"]].concat());
        serde_json::from_str(&shown).unwrap()
    }

    /// The status and the one line of a refusal.
    fn refused(&self, arguments: &[&str]) -> (i32, String) {
        let (code, shown, words) = self.topic(arguments);
        assert_eq!(shown, "", "{words}");
        assert_eq!(words.lines().count(), 1, "{words}");
        (code, words)
    }

    /// Passes the lines to `produce`: its status and what it says.
    fn produce(&self, lines: &[u8], arguments: &[&str]) -> (i32, String, String) {
        let input = self.folder.path("input");
        fs::write(&input, lines).unwrap();
        let mut command = self.command(&[&["produce"], arguments].concat());
        run(command.stdin(File::open(input).unwrap()))
    }
}

#[test]
fn topics_are_made_shown_changed_and_deleted() {
    let site = Site::start();
    assert_eq!(
        site.shown(&["list"]),
        "no topics; dolmen topic create NAME makes one\n"
    );
    let made = site.shown(&[
        "create",
        "orders",
        "--partitions",
        "2",
        "--set",
        "retention.ms=7000000",
    ]);
    assert_eq!(made, "orders is made, with 2 partitions on 1 node each\n");
    assert_eq!(
        site.shown(&["list"]),
        "topic   partitions  replicas  state\norders  2           1         in sync\n"
    );
    let told = site.json(&["describe", "orders"]);
    let id = told[0]["id"].as_str().unwrap();
    assert_eq!(
        site.shown(&["describe", "orders"]),
        format!(
            "orders  2 partitions, 1 replica each, id {id}\n\
             \x20 retention.ms  7000000\n\
             partition  leader  replicas  in sync  first  end\n\
             0          1       1         1        0      0\n\
             1          1       1         1        0      0\n"
        )
    );
    assert_eq!(
        site.shown(&[
            "alter",
            "orders",
            "--unset",
            "retention.ms",
            "--partitions",
            "3"
        ]),
        "orders is changed, and has 3 partitions where it had 2\n"
    );
    let told = site.json(&["describe", "orders"]);
    assert_eq!(told[0]["settings"], json!({}));
    assert_eq!(told[0]["partitions"].as_array().unwrap().len(), 3);

    let (code, words) = site.refused(&["delete", "orders"]);
    assert_eq!(code, 2, "{words}");
    assert_eq!(
        site.shown(&["delete", "orders", "--yes"]),
        "orders is deleted\n"
    );
    assert_eq!(site.json(&["list"]), json!([]));
}

#[test]
fn what_is_wrong_is_said_in_a_line_with_what_to_do() {
    let site = Site::start();
    site.shown(&["create", "orders"]);
    for (arguments, code, says) in [
        (
            &["describe", "ordres"][..],
            1,
            "no topic ordres, but orders: dolmen topic list",
        ),
        (&["consume", "ordres"], 1, "no topic ordres, but orders"),
        (&["create", "orders"], 1, "TOPIC_ALREADY_EXISTS"),
        (
            &["create", "o", "--replicas", "3"],
            1,
            "dolmen node list shows them",
        ),
        (
            &["create", "o", "--set", "no=1"],
            1,
            "no is no setting of a topic",
        ),
        (&["create", "o/o"], 1, "INVALID_TOPIC_EXCEPTION"),
        (&["alter", "orders"], 2, "--partitions"),
        (
            &["alter", "orders", "--replicas", "2"],
            1,
            "no partition can be on 2 nodes where 1 node can be reached",
        ),
        (&["groups", "describe", "g"], 1, "there is no group g"),
        (&["consume", "orders", "--from", "17"], 1, "no offset 17"),
        (
            &["consume", "orders", "--partition", "7"],
            1,
            "no partition 7",
        ),
        (&["consume", "orders", "--from", "soon"], 2, "last-10"),
    ] {
        let (status, words) = site.refused(arguments);
        assert_eq!(status, code, "{words}");
        assert!(words.contains(says), "{arguments:?}: {words}");
    }
    // A change of which a part is refused is not made by half.
    site.refused(&[
        "alter",
        "orders",
        "--set",
        "retention.ms=1",
        "--partitions",
        "1",
    ]);
    let told = site.json(&["describe", "orders"]);
    assert_eq!(told[0]["settings"], json!({}));
    // Doors that are none of Kafka's.
    let operator = site.node.operator().to_string();
    let (_, _, words) = run(dolmen().args(["topic", "list", "--bootstrap", &operator]));
    assert!(words.contains("a form that is not Kafka's"), "{words}");
}

#[test]
fn lines_pass_through_a_topic_as_they_are() {
    let site = Site::start();
    site.shown(&["create", "orders"]);
    let lines = b"plain\n\n  spaces \t\nlast without end";
    let (code, _, words) = site.produce(lines, &["orders"]);
    assert_eq!(code, 0, "{words}");
    assert!(
        words.starts_with("4 lines acknowledged in 1 partition of orders, "),
        "{words}"
    );
    assert_eq!(
        site.shown(&["consume", "orders"]),
        "plain\n\n  spaces \t\nlast without end\n"
    );

    site.shown(&["create", "keyed"]);
    let headers = ["--header", "from=mill", "--codec", "zstd"];
    let keyed = ["keyed", "--key-separator", ":", "--null", "-"];
    let (code, _, words) = site.produce(b"a:1\nb:-\n", &[&keyed[..], &headers].concat());
    assert_eq!(code, 0, "{words}");
    assert_eq!(
        site.shown(&["consume", "keyed", "--key-separator", "="]),
        "a=1\nb=null\n"
    );
    let told = site.shown(&["consume", "keyed", "--json"]);
    let told: Vec<Value> = told
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(told[1]["value"], Value::Null);
    assert_eq!(told[0]["headers"], json!([["from", "mill"]]));
    // Such lines are records again, bytes that are no text among them.
    site.shown(&["create", "copy"]);
    let at = a_while_ago();
    let record = format!("{{\"key\":{{\"hex\":\"00ff\"}},\"value\":\"v\",\"timestamp\":{at}}}\n");
    let copied = ["copy", "--format", "json"];
    assert_eq!(site.produce(record.as_bytes(), &copied).0, 0);
    let told = site.json(&["consume", "copy"]);
    assert_eq!(told["key"], json!({ "base64": "AP8=" }));
    assert_eq!(told["timestamp"], at);
}

#[test]
fn a_line_that_is_not_taken_is_named_and_the_others_are_not_held_up() {
    let site = Site::start();
    site.shown(&["create", "small", "--set", "max.message.bytes=2000"]);
    let long = "x".repeat(3000);
    let lines = format!("1\n{long}\n3\n4\n{long}\n");
    let (code, told, words) = site.produce(lines.as_bytes(), &["small", "--json"]);
    assert_eq!(code, 1);
    for says in ["line 2: ", "line 5: ", "2 of 5 lines not acknowledged"] {
        assert!(words.contains(&format!("dolmen: {says}")), "{words}");
    }
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (&told["acknowledged"], &told["lost"]),
        (&json!(3), &json!(2))
    );
    assert_eq!(site.shown(&["consume", "small"]), "1\n3\n4\n");

    let keyless = ["small", "--key-separator", ":"];
    let (code, _, words) = site.produce(b"a:b\nc\n", &keyless);
    assert_eq!(code, 1);
    assert!(words.contains("dolmen: line 2: it has no key"), "{words}");
}

#[test]
fn a_place_in_a_topic_is_a_word_an_offset_or_a_time() {
    let site = Site::start();
    site.shown(&["create", "orders"]);
    let began = a_while_ago();
    let line = |time: u64| {
        let at = began + time;
        format!("{{\"timestamp\":{at},\"value\":\"{time}\"}}\n")
    };
    let lines: String = (0..10).map(|n| line(n * 1000)).collect();
    let json = ["orders", "--format", "json"];
    assert_eq!(site.produce(lines.as_bytes(), &json).0, 0);
    let check = |arguments: &[&str], expected: &[u64]| {
        let shown = site.shown(&[&["consume", "orders"], arguments].concat());
        let shown: Vec<u64> = shown.lines().map(|line| line.parse().unwrap()).collect();
        assert_eq!(shown, expected, "{arguments:?}");
    };
    check(&["--from", "last-2"], &[8000, 9000]);
    check(&["--from", "7"], &[7000, 8000, 9000]);
    check(&["--from", "2", "--until", "4"], &[2000, 3000]);
    check(&["--from", "2", "--count", "1"], &[2000]);
    check(&["--from", &format!("@{}", began + 8500)], &[9000]);
    check(&["--until", &format!("@{}", began + 1000)], &[0]);
    check(&["--from", "1s"], &[]);
    check(&["--from", "last"], &[]);
}

#[test]
fn a_group_reads_on_and_is_moved() {
    let site = Site::start();
    site.shown(&["create", "orders"]);
    assert_eq!(site.produce(b"1\n2\n3\n", &["orders"]).0, 0);
    let consume = |more: &[&str]| {
        let command = [&["consume", "orders", "--group", "mills"], more].concat();
        site.shown(&command)
    };
    assert_eq!(consume(&["--count", "2"]), "1\n2\n");
    assert_eq!(
        site.shown(&["lag"]),
        "group  topic   partition  committed  end  lag\n\
         mills  orders  0          2          3    1\n"
    );
    assert_eq!(consume(&[]), "3\n");
    assert_eq!(consume(&[]), "");
    let reset = ["groups", "reset", "mills", "--to", "1"];
    let table = "topic   partition  from  to\norders  0          3     1\n";
    assert_eq!(
        site.shown(&reset),
        format!("{table}nothing is changed yet; --yes does it\n")
    );
    assert_eq!(consume(&[]), "");
    site.shown(&[&reset[..], &["--yes"]].concat());
    assert_eq!(consume(&[]), "2\n3\n");
    let told = site.json(&["groups", "describe", "mills"]);
    assert_eq!(
        (&told["state"], &told["partitions"][0]["lag"]),
        (&json!("empty"), &json!(0))
    );
    site.shown(&["groups", "delete", "mills", "--yes"]);
    assert_eq!(site.shown(&["groups"]), "no groups\n");
}

#[test]
fn who_follows_hears_what_comes_and_ends_in_order() {
    let site = Site::start();
    site.shown(&["create", "orders"]);
    let follow = ["consume", "orders", "--follow", "--group", "mills"];
    let mut command = site.command(&follow);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for line in ["one", "two"] {
        assert_eq!(
            site.produce(format!("{line}\n").as_bytes(), &["orders"]).0,
            0
        );
        assert_eq!(lines.next().unwrap().unwrap(), line);
    }
    send("INT", child.id());
    let ended = until("it has ended", || child.try_wait().unwrap());
    assert_eq!(ended.code(), Some(0));
    let lag = site.json(&["lag", "mills"]);
    assert_eq!(
        (&lag[0]["committed"], &lag[0]["lag"]),
        (&json!(2), &json!(0))
    );
    // A reader that has seen enough is no failure.
    let many: String = (0..200_000).map(|n| format!("{n}\n")).collect();
    assert_eq!(site.produce(many.as_bytes(), &["orders"]).0, 0);
    let mut command = site.command(&["consume", "orders"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ended = until("it has ended", || child.try_wait().unwrap());
    assert_eq!(ended.code(), Some(0));
}

/// Numbers are given to records, so what is sent again is written once.
#[test]
fn a_node_that_dies_costs_no_line_and_doubles_none() {
    let folder = Folder::new();
    let port = free_port();
    let settings = format!("{SMALL}doors.kafka.listen = \"127.0.0.1:{port}\"\n");
    let node = Node::start_with(&folder, &settings);
    let door = format!("127.0.0.1:{port}");
    let topic = |arguments: &[&str]| {
        let mut command = dolmen();
        command.arg("topic").args(arguments);
        command.args(["--bootstrap", &door]);
        command
    };
    until("the topic is made", || {
        (run(&mut topic(&["create", "orders"])).0 == 0).then_some(())
    });
    let words = File::create(folder.path("producer")).unwrap();
    let mut producer = topic(&["produce", "orders"]);
    producer.stdin(Stdio::piped()).stderr(words);
    let mut producer = producer.spawn().unwrap();
    let mut input = producer.stdin.take().unwrap();
    let mut say = |from: u32, to: u32| {
        for number in from..to {
            writeln!(input, "{number}").unwrap();
        }
    };
    say(0, 1000);
    let end = |at_least: u64| {
        until("the lines are there", || {
            let (code, told, _) = run(&mut topic(&["describe", "orders", "--json"]));
            let told: Value = (code == 0).then(|| serde_json::from_str(&told).unwrap())?;
            let end = told[0]["partitions"][0]["end"].as_u64()?;
            (end >= at_least).then_some(())
        });
    };
    end(1000);
    node.kill(&folder);
    say(1000, 2000);
    let node = Node::start_with(&folder, &settings);
    end(2000);
    say(2000, 3000);
    drop(input);
    let ended = until("it has ended", || producer.try_wait().unwrap());
    let words = fs::read_to_string(folder.path("producer")).unwrap();
    assert_eq!(ended.code(), Some(0), "{words}");
    let (_, shown, _) = run(&mut topic(&["consume", "orders"]));
    let expected: String = (0..3000).map(|number| format!("{number}\n")).collect();
    assert!(
        shown == expected,
        "lines are missing, doubled or out of order"
    );
    node.stop();
}

/// In milliseconds: within the time that records are kept for, and not of late.
fn a_while_ago() -> u64 {
    let now = std::time::SystemTime::now();
    let now = now.duration_since(std::time::UNIX_EPOCH).unwrap();
    now.as_millis() as u64 - 100_000
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
