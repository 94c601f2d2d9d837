//! The four-letter words, as a person with `nc` types them.

use super::House;
use super::basic::node;
use dolmen::ports::zookeeper::codec::AddWatchRequest;
use dolmen::ports::zookeeper::handlers::{AddWatch, Create, Operation, Ping};
use dolmen::ports::zookeeper::words::{OpenFiles, Word};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// The whole answer to a word.
pub fn ask(house: &House, word: &str) -> String {
    try_ask(house, word).expect("the door answers")
}

/// None where the door tears the connection down.
pub fn try_ask(house: &House, word: &str) -> Option<String> {
    let mut socket = TcpStream::connect(house.door.address()).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    // With a line's end, as `echo` sends it.
    socket.write_all(format!("{word}\n").as_bytes()).ok()?;
    let _ = socket.shutdown(Shutdown::Write);
    let mut answer = String::new();
    socket.read_to_string(&mut answer).ok()?;
    (!answer.is_empty()).then_some(answer)
}

fn talkative() -> House {
    House::with(|settings| {
        settings.terms.words = Word::ALL.to_vec();
        settings.about.data_dir = "/var/lib/dolmen".into();
        settings.about.tick_ms = 2000;
        settings.about.node = 7;
        settings.about.environment = vec![("host.name".into(), "box".into())];
        settings.about.open_files = Some(|| OpenFiles {
            count: Some(12),
            most: None,
        });
    })
}

#[test]
fn words_are_answered_as_tools_read_them() {
    let house = talkative();
    assert_eq!(ask(&house, "ruok"), "imok");
    assert_eq!(ask(&house, "isro"), "rw");
    let envi = ask(&house, "envi");
    assert!(
        envi.starts_with("Environment:\nzookeeper.version=3.9."),
        "{envi}"
    );
    assert!(envi.ends_with("\nhost.name=box\n"), "{envi}");
    let port = house.door.address().port();
    let conf = format!(
        "clientPort={port}\nsecureClientPort=-1\ndataDir=/var/lib/dolmen\n\
         dataDirSize=0\ndataLogDir=/var/lib/dolmen\ndataLogSize=0\ntickTime=2000\nmaxClientCnxns=256\n\
         minSessionTimeout=4000\nmaxSessionTimeout=40000\nclientPortListenBacklog=-1\nserverId=7\n"
    );
    assert_eq!(ask(&house, "conf"), conf);
    assert_eq!(ask(&house, "dirs"), "datadir_size: 0\nlogdir_size: 0\n");
    assert_eq!(ask(&house, "hash"), "0: 42\n");
}

#[test]
fn the_server_shows_how_it_stands() {
    let house = talkative();
    let mut client = house.client();
    client.call::<Create>(&node("/a", b"")).unwrap();
    let srvr = ask(&house, "srvr");
    let lines: Vec<&str> = srvr.lines().collect();
    let names: Vec<&str> = lines
        .iter()
        .filter_map(|line| line.split(": ").next())
        .collect();
    assert_eq!(
        names,
        [
            "Zookeeper version",
            "Latency min/avg/max",
            "Received",
            "Sent",
            "Connections",
            "Outstanding",
            "Zxid",
            "Mode",
            "Node count",
        ]
    );
    // The greeting, the create and this word; the answers to the first two.
    assert_eq!(
        lines[2..],
        [
            "Received: 3",
            "Sent: 2",
            "Connections: 2",
            "Outstanding: 0",
            "Zxid: 0x1",
            "Mode: leader",
            "Node count: 1",
        ]
    );
    let stat = ask(&house, "stat");
    assert!(stat.contains("\nClients:\n /127.0.0.1:"), "{stat}");
    assert!(stat.contains("](queued=0,recved=2,sent=2)\n"), "{stat}");
    let cons = ask(&house, "cons");
    let told = format!(",sid=0x{:x},lop=CREA,est=", client.session.0);
    assert!(cons.contains(&told), "{cons}");
    assert!(
        cons.contains(",to=10000,lcxid=0x1,lzxid=0x1,lresp="),
        "{cons}"
    );
    let mntr = ask(&house, "mntr");
    for line in [
        "zk_server_state\tleader",
        "zk_znode_count\t1",
        "zk_num_alive_connections\t2",
        "zk_outstanding_requests\t0",
        "zk_learners\t2",
    ] {
        assert!(mntr.lines().any(|found| found == line), "{line} in {mntr}");
    }
    assert!(mntr.starts_with("zk_version\t3.9."), "{mntr}");
    assert!(mntr.contains("\nzk_open_file_descriptor_count\t12\n"));
    assert!(!mntr.contains("max_file_descriptor_count"), "not known");
}

/// Latency is measured: it covers the time that the replica took.
#[test]
fn figures_are_measured_and_can_be_set_to_zero() {
    let house = talkative();
    let mut client = house.client();
    house.stand.hold();
    client.send_as(-2, Ping::CODE, &());
    while house.stand.asked() == 0 {
        std::thread::yield_now();
    }
    let began = std::time::Instant::now();
    while began.elapsed() < Duration::from_millis(20) {
        std::thread::yield_now();
    }
    house.stand.let_go();
    client.reply();
    let latency_ms_max = |house: &House| -> u64 {
        let srvr = ask(house, "srvr");
        let line = srvr.lines().nth(1).unwrap().to_owned();
        line.rsplit('/').next().unwrap().parse().unwrap()
    };
    assert!(latency_ms_max(&house) >= 20);
    assert_eq!(ask(&house, "srst"), "Server stats reset.\n");
    assert_eq!(latency_ms_max(&house), 0);
    assert!(ask(&house, "cons").contains("recved=2,sent=2"));
    assert_eq!(ask(&house, "crst"), "Connection stats reset.\n");
    assert!(ask(&house, "cons").contains("recved=0,sent=0"));
}

#[test]
fn watches_and_sessions_are_listed() {
    let house = talkative();
    let mut client = house.client();
    let add = AddWatchRequest {
        path: "/w".into(),
        mode: 0,
    };
    client.call::<AddWatch>(&add).unwrap();
    let session = client.session.0;
    assert_eq!(ask(&house, "wchc"), format!("0x{session:x}\n\t/w\n\n"));
    assert_eq!(ask(&house, "wchp"), format!("/w\n\t0x{session:x}\n\n"));
    let wchs = "0 connections watching 0 paths\nTotal watches:1\n";
    assert_eq!(ask(&house, "wchs"), wchs);
    let dump = format!(
        "SessionTracker dump:\nGlobal Sessions(1):\n0x{session:x}\t10000ms\n\
         ephemeral nodes dump:\nSessions with Ephemerals (1):\n0x{session:x}:\n\t/e\n\
         Connections dump:\nConnections(1):\n0x{session:x}\n"
    );
    assert_eq!(ask(&house, "dump"), dump);
}

#[test]
fn a_word_that_is_not_allowed_is_refused() {
    let house = House::new();
    for word in Word::ALL {
        let answer = ask(&house, word.text());
        let refusal = format!(
            "{} is not executed because it is not in the whitelist.\n",
            word.text()
        );
        let allowed = ["srvr", "ruok", "mntr", "stat", "isro", "conf", "envi"];
        let is_allowed = allowed.contains(&word.text());
        assert_eq!(answer != refusal, is_allowed, "{answer}");
    }
    // A word that nobody knows is a length, and far too long.
    assert_eq!(try_ask(&house, "abcd"), None);
}

#[test]
fn a_node_that_serves_reads_only_says_so() {
    let house = talkative();
    house.stand.serve_reads_only();
    assert_eq!(ask(&house, "isro"), "ro");
    let srvr = ask(&house, "srvr");
    assert!(srvr.contains("\nREAD-ONLY mode; serving only read-only clients\n"));
    assert!(srvr.contains("\nMode: read-only\n"));
}
