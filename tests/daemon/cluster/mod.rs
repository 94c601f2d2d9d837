//! Several daemons that are one cluster: how they come together, part, and
//! come together again.

mod brokers;
mod certificates;
mod demo;
mod life;
mod recovery;
mod rolling;
mod room;
mod settings;
mod strangers;
mod tls;
mod upgrades;

use super::*;
use std::net::UdpSocket;

/// Asks a door for a new session of 10 s: protocol, last zxid, timeout, id,
/// password.
fn greeting() -> Vec<u8> {
    let fields = [
        &44i32.to_be_bytes()[..],
        &[0; 12],
        &10_000i32.to_be_bytes(),
        &[0; 8],
        &16i32.to_be_bytes(),
        &[0; 16],
    ];
    fields.concat()
}

/// One box: its folder, its ports, and the daemon on it while one runs.
pub(super) struct Machine {
    pub(super) folder: Folder,
    settings: String,
    node: Option<Node>,
}

impl Machine {
    /// A box whose daemon runs and is by itself.
    pub(super) fn start() -> Self {
        Self::start_with("")
    }

    fn start_with(more: &str) -> Self {
        Self::start_in(Folder::new(), more)
    }

    fn start_in(folder: Folder, more: &str) -> Self {
        // Held together, so that they differ.
        let ports = [0; 2].map(|_| UdpSocket::bind("127.0.0.1:0").unwrap());
        let [control, bulk] = ports.map(|port| port.local_addr().unwrap());
        let settings = format!(
            "{SMALL}peers.control.listen = \"{control}\"\npeers.bulk.listen = \"{bulk}\"\n\
             coordination.election_timeout_ms = 1500\n\
             doors.zookeeper.super_digest = \"{SUPER}\"\n{more}"
        );
        let node = Some(Node::start_with(&folder, &settings));
        Self {
            folder,
            settings,
            node,
        }
    }

    pub(super) fn node(&self) -> &Node {
        self.node.as_ref().expect("it runs")
    }

    fn stop(&mut self) {
        self.node.take().expect("it runs").stop();
    }

    pub(super) fn kill(&mut self) {
        self.node.take().expect("it runs").kill(&self.folder);
    }

    /// Again, after `stop` or `kill`.
    pub(super) fn go_on(&mut self) {
        self.node = Some(Node::start_with(&self.folder, &self.settings));
    }

    /// Whatever a person would type on this box.
    pub(super) fn type_in(&self, command: &[&str]) -> Typed {
        let (code, out, words) = run(dolmen()
            .args(command)
            .arg("--socket")
            .arg(self.folder.path("admin.sock")));
        Typed { code, out, words }
    }

    /// Asks as often as a client would that finds no leader at the moment.
    fn zk(&self, command: &[&str]) -> Typed {
        until("there is a leader to ask", || {
            let typed = self.try_zk(command);
            let is_asked = !typed.words.contains("hung up before a session was open");
            is_asked.then_some(typed)
        })
    }

    fn try_zk(&self, command: &[&str]) -> Typed {
        let server = self.door("zookeeper");
        let (code, out, words) = run(dolmen().arg("zk").args(command).args(["--server", &server]));
        Typed { code, out, words }
    }

    pub(super) fn status(&self) -> Value {
        self.node().ask("status").unwrap()
    }

    pub(super) fn door(&self, name: &str) -> String {
        self.status()["doors"][name].as_str().unwrap().to_string()
    }

    /// Where one of its planes listens.
    fn place(&self, plane: &str) -> String {
        let key = format!("peers.{plane}.listen = ");
        let mut lines = self.settings.lines();
        let place = lines.find_map(|line| line.strip_prefix(&key)).unwrap();
        place.trim_matches('"').to_string()
    }

    fn members(&self) -> Vec<Value> {
        let listed = self.type_in(&["node", "list", "--json"]);
        let listed: Value = serde_json::from_str(&listed.answer()).unwrap();
        listed.as_array().unwrap().clone()
    }

    fn token(&self, more: &[&str]) -> String {
        let answer = self.type_in(&[&["token", "create", "--json"], more].concat());
        let answer: Value = serde_json::from_str(&answer.answer()).unwrap();
        answer["token"].as_str().unwrap().to_string()
    }

    /// Joins, and waits until the cluster has taken it in whole.
    pub(super) fn join(&self, member: &Machine, more: &[&str]) -> u64 {
        let token = member.token(more);
        self.join_with(&token, &["--discard"])
    }

    fn join_with(&self, token: &str, more: &[&str]) -> u64 {
        let joined = self.type_in(&[&["join", token, "--json"], more].concat());
        let joined: Value = serde_json::from_str(&joined.answer()).unwrap();
        let node = joined["node"].as_u64().unwrap();
        self.until_in(node);
        node
    }

    fn until_in(&self, node: u64) {
        until(&format!("node {node} follows its leader"), || {
            let status = self.node().ask("status").ok()?;
            let stands = &status["coordination"];
            let is_in = stands["node"] == node && stands["leader"].is_u64();
            (is_in && status["state"] == "serving").then_some(())
        });
    }

    pub(super) fn until_voters(&self, count: u64) {
        until(&format!("{count} nodes vote"), || {
            let status = self.node().ask("status").ok()?;
            (status["coordination"]["voters"] == count).then_some(())
        });
    }

    fn identity(&self) -> dolmen::peers::Identity {
        self.store().identity().unwrap().unwrap()
    }

    fn store(&self) -> dolmen::peers::Store {
        dolmen::peers::Store::open(&self.folder.path("data/tls")).unwrap()
    }
}

/// `super:test`, as ZooKeeper's own tests have it.
const SUPER: &str = "super:D/InIHSb7yEEbrWz8b9l71RjZJU=";
const AS_SUPER: [&str; 2] = ["--auth", "digest:super:test"];

/// What came of a command that somebody typed.
pub(super) struct Typed {
    pub(super) code: i32,
    pub(super) out: String,
    pub(super) words: String,
}

impl Typed {
    pub(super) fn answer(self) -> String {
        assert_eq!(self.code, 0, "{}", self.words);
        self.out
    }

    /// One sentence, and status 1.
    pub(super) fn refusal(self) -> String {
        assert_eq!(self.code, 1, "{}{}", self.out, self.words);
        assert_eq!(self.words.lines().count(), 1, "{}", self.words);
        self.words
    }

    pub(super) fn refused_with(self, says: &str) {
        let words = self.refusal();
        assert!(words.contains(says), "{says:?} is not in {words:?}");
    }
}
