//! The operator door: what it tells, and what it does not put up with.

use super::*;
use dolmen::limits::OPERATOR_CONNECTIONS_MAX;
use std::time::Instant;

#[test]
fn health_is_ok_and_a_head_has_no_body() {
    let folder = Folder::new();
    let node = Node::start(&folder);
    let health = get(node.operator(), "/health");
    assert_eq!((health.status, health.body.as_str()), (200, "ok\n"));
    let head = http(node.operator(), "HEAD /health HTTP/1.1");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert!(head.head.contains("content-length: 3"), "{}", head.head);
}

#[test]
fn metrics_are_what_prometheus_reads() {
    let folder = Folder::new();
    let node = Node::start(&folder);
    let page = get(node.operator(), "/metrics");
    assert_eq!(page.status, 200);
    assert!(page.head.contains("text/plain; version=0.0.4"));
    let mut typed = Vec::new();
    for line in page.body.lines() {
        if let Some(of) = line.strip_prefix("# TYPE ") {
            typed.push(of.split_once(' ').unwrap().0);
        } else if !line.starts_with("# HELP ") {
            let (name, value) = line.rsplit_once(' ').unwrap();
            value.parse::<f64>().unwrap();
            let name = name.split('{').next().unwrap();
            let parts = ["", "_bucket", "_sum", "_count"];
            let is_typed = |part: &&str| {
                name.strip_suffix(*part)
                    .is_some_and(|name| typed.contains(&name))
            };
            assert!(parts.iter().any(is_typed), "no type before {line}");
        }
    }
    assert!(page.body.contains("\ndolmen_serving 1\n"), "{}", page.body);
}

#[test]
fn the_status_page_and_the_admin_socket_say_the_same() {
    let folder = Folder::new();
    let node = Node::start(&folder);
    let page = get(node.operator(), "/status");
    let page: Value = serde_json::from_str(&page.body).unwrap();
    assert_eq!(page["pid"], node.pid());
    assert_eq!(page["doors"], node.ask("status").unwrap()["doors"]);
    let front = get(node.operator(), "/");
    assert!(front.body.contains("href=\"/health\""));
    assert_eq!(get(node.operator(), "/etc/passwd").status, 404);
}

#[test]
fn a_change_is_refused_and_the_refusal_arrives_whole() {
    let folder = Folder::new();
    let node = Node::start(&folder);
    // The body comes after the head, as many clients send it.
    let mut stream = TcpStream::connect(node.operator()).unwrap();
    write!(
        stream,
        "POST /health HTTP/1.1\r\nhost: node\r\ncontent-length: 200000\r\n\r\n"
    )
    .unwrap();
    stream.write_all(&[b'x'; 200_000]).unwrap();
    let refusal = reply(&mut stream);
    assert_eq!(refusal.status, 405);
    assert!(
        refusal.head.contains("\r\nallow: get, head"),
        "{}",
        refusal.head
    );
}

#[test]
fn a_head_too_large_is_refused() {
    let folder = Folder::new();
    let node = Node::start(&folder);
    let long = "x".repeat(200 << 10);
    let refusal = http(
        node.operator(),
        &format!("GET /health HTTP/1.1\r\nlong: {long}"),
    );
    assert_eq!(refusal.status, 431);
    let many: String = (0..70).map(|n| format!("\r\nh{n}: 1")).collect();
    let refusal = http(node.operator(), &format!("GET /health HTTP/1.1{many}"));
    assert_eq!(refusal.status, 431);
    assert_eq!(get(node.operator(), "/health").status, 200);
}

#[test]
#[allow(clippy::disallowed_methods)] // measures the machine's own time
fn silent_and_slow_clients_are_closed_after_ten_seconds() {
    let folder = Folder::new();
    let node = Node::start(&folder);
    let began = Instant::now();
    let clients: Vec<_> = ["", "GET /health HTTP/1.1\r\nslow: "]
        .into_iter()
        .map(|said| {
            let mut stream = TcpStream::connect(node.operator()).unwrap();
            stream.write_all(said.as_bytes()).unwrap();
            let mut dripping = stream.try_clone().unwrap();
            std::thread::spawn(move || {
                // One byte now and then, where the head was begun at all.
                while !said.is_empty() && dripping.write_all(b"x").is_ok() {
                    std::thread::sleep(Duration::from_millis(500));
                }
            });
            stream
        })
        .collect();
    for mut stream in clients {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut rest = Vec::new();
        // Closed or reset, but not silent.
        if let Err(error) = stream.read_to_end(&mut rest) {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        }
        let lasted = began.elapsed().as_secs();
        assert!((9..15).contains(&lasted), "closed after {lasted} s");
    }
    until("both are counted", || {
        let page = get(node.operator(), "/metrics").body;
        page.contains("\ndolmen_operator_timed_out_total 2\n")
            .then_some(())
    });
}

#[test]
fn a_full_door_says_busy_and_opens_again() {
    let folder = Folder::new();
    let node = Node::start(&folder);
    let address = node.operator();
    let silent: Vec<_> = (0..OPERATOR_CONNECTIONS_MAX)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect();
    let mut turned_away = TcpStream::connect(address).unwrap();
    let busy = reply(&mut turned_away);
    assert_eq!((busy.status, busy.body.as_str()), (503, "busy\n"));
    drop(silent);
    until("the door has room again", || {
        let mut stream = TcpStream::connect(address).ok()?;
        write!(stream, "GET /health HTTP/1.1\r\nhost: node\r\n\r\n").ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        text.starts_with("HTTP/1.1 200").then_some(())
    });
}
