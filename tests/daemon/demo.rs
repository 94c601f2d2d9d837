//! `dolmen demo`: what it shows is what the node answered, what it made is gone
//! behind it, and what others made is left alone.

use super::*;
use std::io::{BufRead, BufReader};
use std::process::ChildStdout;

/// What the root of an earlier demo holds.
const MARK: &str = "made by dolmen demo, which removes it";

/// A node, and the demo beside it.
struct Site {
    node: Node,
    folder: Folder,
}

impl Site {
    fn start() -> Self {
        let folder = Folder::new();
        let digest = "super:D/InIHSb7yEEbrWz8b9l71RjZJU=";
        let settings = format!("{SMALL}doors.zookeeper.super_digest = \"{digest}\"\n");
        let node = Node::start_with(&folder, &settings);
        Self { node, folder }
    }

    fn door(&self) -> String {
        let status = self.node.ask("status").unwrap();
        status["doors"]["zookeeper"].as_str().unwrap().to_string()
    }

    fn demo(&self, more: &[&str]) -> Command {
        let mut command = dolmen();
        command.arg("demo").args(more);
        command.args(["--server", &self.door()]);
        command
    }

    /// Plays it to its end.
    fn played(&self, more: &[&str]) -> String {
        let (code, shown, words) = run(&mut self.demo(more));
        assert_eq!((code, words.as_str()), (0, ""), "{shown}");
        shown
    }

    /// One line, and status 1.
    fn refused(&self, more: &[&str]) -> String {
        refused(&mut self.demo(more))
    }

    fn zk(&self, command: &[&str]) -> String {
        let server = self.door();
        let mut typed = dolmen();
        typed.arg("zk").args(command).args(["--server", &server]);
        let (code, shown, words) = run(&mut typed);
        assert_eq!(code, 0, "{words}");
        shown
    }

    fn top(&self) -> String {
        self.zk(&["ls", "/"])
    }

    /// A demo that goes on beside the test, shown as far as a line with `text`.
    fn begun(&self, more: &[&str], text: &str) -> Playing {
        let mut command = self.demo(more);
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let words = format!("demo-words-{}", COUNT.fetch_add(1, Relaxed));
        let words = self.folder.path(&words);
        command.stderr(File::create(&words).unwrap());
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = child.stdout.take().map(BufReader::new);
        let mut playing = Playing {
            child,
            lines,
            words,
        };
        playing.until_it_shows(text);
        playing
    }
}

struct Playing {
    child: Child,
    /// None once nobody reads on.
    lines: Option<BufReader<ChildStdout>>,
    words: PathBuf,
}

impl Playing {
    fn until_it_shows(&mut self, text: &str) {
        let mut shown = String::new();
        while !shown.contains(text) {
            let length = self.lines.as_mut().unwrap().read_line(&mut shown).unwrap();
            assert!(length > 0, "it ended before {text:?}: {shown}");
        }
    }

    fn send(&self, signal: &str) {
        send(signal, self.child.id());
    }

    /// Its status and what it said on stderr.
    fn ended(mut self) -> (Option<i32>, String) {
        if let Some(lines) = &mut self.lines {
            lines.read_to_string(&mut String::new()).unwrap();
        }
        let status = until("it has ended", || self.child.try_wait().unwrap());
        (status.code(), fs::read_to_string(&self.words).unwrap())
    }
}

impl Drop for Playing {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines of one who acts in a step, from its title on.
fn lines_of<'a>(shown: &'a str, step: usize, who: &str) -> Vec<&'a str> {
    let begin = shown.find(&format!("\n{step} of 7  ")).unwrap();
    let step = shown[begin..].trim_start();
    let step = step.split("\n\n").next().unwrap();
    let lines = step.lines().filter_map(|line| line.strip_prefix("  "));
    let of_one = lines.filter_map(|line| line.strip_prefix(who));
    of_one.map(str::trim).collect()
}

/// The first number in hex in a line.
fn token(line: &str) -> u64 {
    let number = line.split("0x").nth(1).expect("it has a token");
    let digits: String = number.chars().take_while(char::is_ascii_hexdigit).collect();
    u64::from_str_radix(&digits, 16).unwrap()
}

#[test]
fn each_step_shows_what_the_node_answered() {
    let site = Site::start();
    let shown = site.played(&[]);
    assert!(!shown.contains('\x1b'), "no terminal, no colour: {shown}");

    let line = lines_of(&shown, 1, "line");
    assert!(line[0].ends_with("40, version 0"), "{line:?}");
    assert!(line[1].starts_with("is told: changed speed"), "{line:?}");
    assert!(line[2].ends_with("55, version 1"), "{line:?}");
    let late = lines_of(&shown, 1, "office-2");
    assert!(
        late[0].ends_with("refused: it has another version"),
        "{late:?}"
    );

    let (left, right) = (lines_of(&shown, 2, "left"), lines_of(&shown, 2, "right"));
    assert!(token(right[0]) > token(left[0]), "{left:?} {right:?}");
    assert!(right[1].ends_with("waits"), "{right:?}");
    assert!(right[2].contains("holds the press"), "{right:?}");
    let press = lines_of(&shown, 2, "press");
    assert!(
        press[1].contains("order of left") && press[1].contains("done"),
        "{press:?}"
    );
    assert!(
        press[2].contains("order of right") && press[2].contains("done"),
        "{press:?}"
    );
    assert_eq!(token(press[3]), token(left[0]), "{press:?}");
    let refusal = format!("refused: it has seen {:#x}", token(right[0]));
    assert!(press[3].ends_with(&refusal), "{press:?}");

    let first = lines_of(&shown, 3, "first");
    assert!(first[0].ends_with("leads"), "{first:?}");
    let second = lines_of(&shown, 3, "second");
    assert!(second[0].contains("watches first"), "{second:?}");
    assert!(
        second[1].contains("is told: deleted n-0000000000"),
        "{second:?}"
    );
    assert!(second[1].contains("leads, "), "{second:?}");
    let third = lines_of(&shown, 3, "third");
    assert!(third[0].contains("watches second"), "{third:?}");
    assert!(third[1].contains("was told of nothing"), "{third:?}");
    assert!(third[1].ends_with("in line: second, third"), "{third:?}");

    let mut numbers = Vec::new();
    for counter in 1..=3 {
        let drawn = lines_of(&shown, 4, &format!("counter-{counter}"))[0];
        let (_, listed) = drawn.split_once("10 times").unwrap();
        numbers.extend(
            listed
                .split_whitespace()
                .map(|one| one.parse::<u32>().unwrap()),
        );
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (0..30).collect::<Vec<_>>());
    let again = lines_of(&shown, 4, "counter-1");
    assert!(again[1].contains("30: none is given twice"), "{again:?}");

    let last = lines_of(&shown, 5, "worker-3");
    assert!(last[0].contains("3 of 3"), "{last:?}");
    for worker in ["worker-1", "worker-2"] {
        let lines = lines_of(&shown, 5, worker);
        assert!(lines[0].ends_with("waits for ready"), "{lines:?}");
        assert!(lines[1].starts_with("is told: created ready"), "{lines:?}");
    }

    let office = lines_of(&shown, 6, "office");
    assert!(office[2].ends_with("oven, press"), "{office:?}");
    assert!(office[3].contains("  oven, "), "{office:?}");
    let (_, gone) = office[4].split_once("nobody is there, ").unwrap();
    let seconds: f64 = gone.trim_end_matches(" s later").parse().unwrap();
    assert!((3.0..10.0).contains(&seconds), "{office:?}");

    let reader = lines_of(&shown, 7, "reader");
    assert!(reader[1].contains("get /dolmen/nodes/1"), "{reader:?}");
    assert!(
        shown.contains(&format!("\"zookeeper\":\"{}\"", site.door())),
        "{shown}"
    );

    assert!(shown.contains("/demo is gone again"), "{shown}");
    assert_eq!(site.top(), "dolmen\nzookeeper\n");
}

#[test]
fn what_is_kept_is_there_and_the_next_demo_begins_anew() {
    let site = Site::start();
    let shown = site.played(&["--keep"]);
    assert!(shown.contains("dolmen zk ls -R /demo --server"), "{shown}");
    let highest = site.zk(&["get", "/demo/lock/press"]);
    let press = lines_of(&shown, 2, "press");
    assert_eq!(token(&highest), token(press[2]), "{press:?}");
    assert_eq!(site.zk(&["ls", "/demo/sequence"]).lines().count(), 30);
    assert_eq!(site.zk(&["get", "/demo"]), format!("{MARK}\n"));

    // What somebody has put below the root stays, and the root with it.
    site.zk(&["create", "/demo/mine", "precious"]);
    let shown = site.played(&[]);
    assert!(shown.contains("what others put there stays"), "{shown}");
    assert_eq!(site.zk(&["ls", "-R", "/demo"]), "/demo/mine\n");
    assert_eq!(site.zk(&["get", "/demo/mine"]), "precious\n");
}

#[test]
fn it_refuses_what_it_did_not_make() {
    let site = Site::start();
    site.zk(&["create", "/demo", "mine"]);
    let says = site.refused(&[]);
    assert!(
        says.contains("was not made by dolmen demo") && says.contains("--root"),
        "{says}"
    );
    assert_eq!(site.zk(&["ls", "-R", "/demo"]), "");
    assert_eq!(site.zk(&["get", "/demo"]), "mine\n");

    // In the folder of a step somebody's znode would be in the way.
    site.zk(&["create", "/tour", MARK]);
    site.zk(&["create", "/tour/lock"]);
    site.zk(&["create", "/tour/lock/mine"]);
    let says = site.refused(&["--root", "/tour"]);
    assert!(
        says.contains(
            "/tour/lock holds znodes that no demo has made, and they stay: look at them (dolmen zk"
        ),
        "{says}"
    );
    assert_eq!(
        site.zk(&["ls", "-R", "/tour"]),
        "/tour/lock\n/tour/lock/mine\n"
    );

    let says = site.refused(&["--root", "/none/demo"]);
    assert!(
        says.contains("/none is not there") && says.contains("zk create /none"),
        "{says}"
    );
    let says = site.refused(&["--root", "/dolmen/demo"]);
    assert!(says.contains("--auth says who you are"), "{says}");
}

#[test]
fn one_that_was_killed_is_cleared_up_behind_by_the_next() {
    let site = Site::start();
    let mut killed = site.begun(&[], "watches lock-0000000000");
    killed.child.kill().unwrap();
    killed.child.wait().unwrap();
    let left = site.zk(&["ls", "-R", "/demo"]);
    assert!(left.contains("/demo/lock/press/lock-0000000001"), "{left}");
    let shown = site.played(&[]);
    assert!(shown.contains("/demo is gone again"), "{shown}");
    assert_eq!(site.top(), "dolmen\nzookeeper\n");
}

#[test]
fn ctrl_c_ends_it_and_it_clears_up() {
    let site = Site::start();
    let playing = site.begun(&[], "oven       is cut off");
    playing.send("INT");
    let (code, says) = playing.ended();
    assert_eq!(code, Some(1), "{says}");
    assert_eq!(
        says,
        "dolmen: stopped before the end; what it had made is removed\n"
    );
    assert_eq!(site.top(), "dolmen\nzookeeper\n");

    // Whoever has seen enough is told nothing.
    let mut playing = site.begun(&[], "1 of 7");
    playing.lines = None;
    assert_eq!(playing.ended(), (Some(0), String::new()));
    assert_eq!(site.top(), "dolmen\nzookeeper\n");
}

#[test]
fn two_at_the_same_time_play_one_behind_the_other() {
    let site = Site::start();
    let first = site.begun(&[], "1 of 7");
    let shown = site.played(&[]);
    assert!(shown.starts_with("Another demo has /demo"), "{shown}");
    assert_eq!(first.ended(), (Some(0), String::new()));
    assert_eq!(site.top(), "dolmen\nzookeeper\n");
}

#[test]
fn one_that_slept_for_too_long_does_nothing_to_the_next() {
    let site = Site::start();
    let slept = site.begun(&[], "watches lock-0000000000");
    slept.send("STOP");
    let next = site.begun(&[], "oven       is cut off");
    slept.send("CONT");
    let (code, says) = slept.ended();
    assert_eq!(code, Some(1), "{says}");
    assert!(says.contains("silent for so long"), "{says}");
    assert_eq!(next.ended(), (Some(0), String::new()));
    assert_eq!(site.top(), "dolmen\nzookeeper\n");
}

#[test]
fn it_waits_for_its_turn_and_not_for_ever() {
    let site = Site::start();
    site.zk(&["create", "/demo", MARK]);
    // Stands for a demo that goes on.
    let runs = site.zk(&["create", "/demo/running-", "-s"]);
    let says = site.refused(&[]);
    assert!(
        says.contains("another dolmen demo runs below /demo"),
        "{says}"
    );
    assert!(says.contains("dolmen demo --root /demo2"), "{says}");
    assert_eq!(site.zk(&["ls", "-R", "/demo"]), runs);
}

#[test]
fn where_not_everybody_may_it_wants_to_know_who_asks() {
    let site = Site::start();
    let ann = ["--auth", "digest:ann:secret"];
    let only_ann = [
        "acl",
        "/",
        "--set",
        "auth::cdrwa",
        "--set",
        "world:anyone:r",
    ];
    site.zk(&[&only_ann[..], &ann].concat());
    let says = site.refused(&[]);
    assert!(
        says.contains("/demo: ") && says.contains("--auth says who you are"),
        "{says}"
    );
    let shown = site.played(&ann);
    assert!(shown.contains("/demo is gone again"), "{shown}");
    assert!(!shown.contains("secret"), "{shown}");
}

#[test]
fn where_sessions_are_long_nobody_waits_for_one_to_end() {
    let site = Site::start();
    let setting = "/dolmen/config/zookeeper.session_timeout_min_ms";
    site.zk(&["set", setting, "30000", "--auth", "digest:super:test"]);
    let shown = site.played(&[]);
    let oven = lines_of(&shown, 6, "oven");
    assert!(
        oven[1].ends_with("it would be listed for 30 s more"),
        "{oven:?}"
    );
}

#[test]
fn wrong_usage_and_a_server_that_is_not_there_are_one_line() {
    for (arguments, wanted) in [
        (&["--pause"][..], "--pause waits for Enter"),
        (&["--root", "/"], "a znode of its own"),
        (&["--root", "demo"], "begins with /"),
        (&["--auth", "digest"], "SCHEME:DATA"),
    ] {
        let (code, shown, words) = run(dolmen().arg("demo").args(arguments));
        assert_eq!((code, shown.as_str()), (2, ""), "{words}");
        assert_eq!(words.lines().count(), 1, "{words}");
        assert!(words.contains(wanted), "{words}");
    }
    let says = refused(dolmen().args(["demo", "--server", "127.0.0.1:1"]));
    assert!(
        says.contains("no server answers") && says.contains("dolmen dev"),
        "{says}"
    );
}
