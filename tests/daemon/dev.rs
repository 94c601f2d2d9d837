//! `dolmen dev`: a node of one's own, and its end.

use super::*;
use std::net::{TcpListener, UdpSocket};

/// `dolmen dev`, interrupted where the test ends before it, so that its node
/// ends as well.
struct Dev {
    child: Child,
    folder: PathBuf,
}

impl Dev {
    fn start(folder: &Folder) -> Self {
        Self::start_with(folder, &[])
    }

    fn start_with(folder: &Folder, more: &[&str]) -> Self {
        Self::start_at(folder, free_base(), more)
    }

    fn start_at(folder: &Folder, base: u16, more: &[&str]) -> Self {
        let data = folder.path("dev");
        let child = dolmen()
            .args(["dev", "--base-port", &base.to_string()])
            .args(more)
            .args([
                "--set",
                "log.engine=threads",
                "--set",
                "node.log_level=debug",
                "--data",
            ])
            .arg(&data)
            .stdout(File::create(folder.path("shown")).unwrap())
            .stderr(File::create(folder.path("words")).unwrap())
            .spawn()
            .unwrap();
        let dev = Self {
            child,
            folder: data,
        };
        until("every door answers", || dev.cluster());
        dev
    }

    fn cluster(&self) -> Option<Value> {
        let text = fs::read(self.folder.join("cluster.json")).ok()?;
        Some(serde_json::from_slice(&text).unwrap())
    }

    fn node(&self) -> Value {
        self.cluster().unwrap()["nodes"][0].clone()
    }

    fn interrupt(&mut self) -> ExitStatus {
        send("INT", self.child.id());
        until("dev has ended", || self.child.try_wait().unwrap())
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.interrupt();
        }
    }
}

/// A base whose ports are free for three nodes. Below the ports that the
/// kernel gives to whoever asks for any, and another one at each call.
fn free_base() -> u16 {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let is_free = |port: u16| {
        let at = ("127.0.0.1", port);
        TcpListener::bind(at).is_ok() && UdpSocket::bind(at).is_ok()
    };
    let are_free = |base: u16| {
        let mut ports = (1..=3).flat_map(|node| (1..=8).map(move |door| base + 100 * node + door));
        ports.all(is_free)
    };
    let first = std::process::id() * 7;
    (0..100)
        .map(|_| 10_000 + 10 * ((first + COUNT.fetch_add(41, Relaxed)) % 2000) as u16)
        .find(|base| are_free(*base))
        .expect("a hundred bases and none is free")
}

fn is_running(pid: &Value) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[test]
fn dev_tells_what_runs_and_takes_it_along_at_its_end() {
    let folder = Folder::new();
    let mut dev = Dev::start(&folder);
    let node = dev.node();
    let operator = node["doors"]["operator"].as_str().unwrap();
    assert_eq!(get(operator.parse().unwrap(), "/health").status, 200);
    assert_eq!(node["id"], 1);
    for path in ["config", "data"] {
        assert!(
            Path::new(node[path].as_str().unwrap()).is_absolute(),
            "{node}"
        );
    }
    let settings = fs::read_to_string(node["config"].as_str().unwrap()).unwrap();
    assert!(
        settings.contains("node.log_level = \"debug\""),
        "{settings}"
    );
    let shown = until("it is shown", || {
        let shown = fs::read_to_string(folder.path("shown")).unwrap();
        shown.contains("Ctrl-C").then_some(shown)
    });
    assert!(
        shown.contains(&format!("try: curl http://{operator}/health")),
        "{shown}"
    );

    let (code, table, words) = run(dolmen().args(["status", "--data"]).arg(&dev.folder));
    assert_eq!(code, 0, "{words}");
    assert!(table.contains(operator), "{table}");
    let kafka = node["doors"]["kafka"].as_str().unwrap();
    for says in [&shown, &table] {
        assert!(says.contains(&format!("kafka      {kafka}")), "{says}");
    }

    assert_eq!(dev.interrupt().code(), Some(0));
    assert!(!is_running(&node["pid"]));
    assert!(dev.cluster().is_none());
}

#[test]
fn a_killed_node_is_started_again_by_hand_and_still_ends_with_dev() {
    let folder = Folder::new();
    let mut dev = Dev::start(&folder);
    let node = dev.node();
    send("KILL", node["pid"].as_u64().unwrap() as u32);
    until("dev has noticed", || {
        let words = fs::read_to_string(folder.path("words")).unwrap();
        words
            .contains("start it again with: dolmen serve")
            .then_some(())
    });
    let again = fs::File::create(folder.path("again")).unwrap();
    let mut again = dolmen()
        .args(["serve", "--config", node["config"].as_str().unwrap()])
        .stderr(again)
        .spawn()
        .unwrap();
    let operator = node["doors"]["operator"].as_str().unwrap().parse().unwrap();
    until("it answers again", || {
        let address: SocketAddr = operator;
        TcpStream::connect(address).ok()
    });
    assert_eq!(dev.interrupt().code(), Some(0));
    let ended = until("the node has ended", || again.try_wait().unwrap());
    assert_eq!(ended.code(), Some(0));
}

#[test]
fn several_nodes_are_one_cluster_and_again_at_the_next_run() {
    let folder = Folder::new();
    let base = free_base();
    for _ in 0..2 {
        let mut dev = Dev::start_at(&folder, base, &["--nodes", "3"]);
        let cluster = dev.cluster().unwrap();
        let ids: Vec<_> = cluster["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|node| node["id"].as_u64().unwrap())
            .collect();
        assert_eq!(ids, [1, 2, 3]);
        for node in cluster["nodes"].as_array().unwrap() {
            let operator = node["doors"]["operator"].as_str().unwrap();
            let page = get(operator.parse().unwrap(), "/status");
            let status: Value = serde_json::from_str(&page.body).unwrap();
            assert_eq!(status["coordination"]["voters"], 3, "{status}");
            let port = base + 100 * node["id"].as_u64().unwrap() as u16 + 2;
            assert_eq!(node["doors"]["kafka"], format!("127.0.0.1:{port}"));
        }
        assert_eq!(dev.interrupt().code(), Some(0));
    }
    let elsewhere = (base + 1000).to_string();
    let moved = ["dev", "--nodes", "3", "--base-port", &elsewhere, "--data"];
    let (code, _, says) = run(dolmen().args(moved).arg(folder.path("dev")));
    assert_eq!(code, 1, "{says}");
    assert!(says.contains(&format!("--base-port {base}")), "{says}");
}
