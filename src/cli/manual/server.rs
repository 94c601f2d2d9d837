//! dolmen-server(8): the daemon, for whoever looks after one.

use super::commands::forms;
use super::page::{Page, sentence};
use super::settings::{capitalised, default_of};
use crate::daemon::config::{FILE, SETTINGS};
use crate::daemon::quick_failures::{QUICK_FAILURES_MAX, REDUCED_LASTS, SERVED_LONG_ENOUGH};
use crate::ports::operator;
use crate::profile::Kind;
use clap::Command;
use roff::{bold, roman};

pub(super) fn page(program: &Command) -> Page {
    let mut page = Page::new("dolmen-server", 8, "the Dolmen daemon");
    page.section("SYNOPSIS");
    page.text("`systemctl start dolmen`");
    let serve = program
        .get_subcommands()
        .find(|one| one.get_name() == "serve");
    forms(
        &mut page,
        "dolmen serve",
        serve.expect("the daemon is a command"),
    );
    page.section("DESCRIPTION");
    page.text(
        "One process is one node. It keeps the replicated state of its cluster and a log on its \
         disk, and serves clients at its doors. A node serves from its first start, as a cluster \
         of its own; `dolmen init` makes it the first of up to seven, and `dolmen join` brings \
         in the others. What is acknowledged is on stable storage of a majority.",
    );
    doors(&mut page);
    signals(&mut page);
    states(&mut page);
    threads(&mut page);
    files(&mut page);
    credentials(&mut page);
    journal(&mut page);
    systemd(&mut page);
    page.section("EXIT STATUS");
    page.item([bold("0")], "The node was told to stop, and has.");
    page.item(
        [bold("1")],
        "It did not start or could not go on; the last line says why.",
    );
    page.item([bold("2")], "The command line is not as it should be.");
    page.text(
        "A sync that fails, or a broken invariant, aborts the process (SIGABRT): others recover \
         a node that is down, and believe one that is wrong.",
    );
    page.see_also(&[
        "dolmen(1)",
        "dolmen-doctor(1)",
        "dolmen-status(1)",
        "dolmen.toml(5)",
        "dolmen-hw-profile(5)",
        "systemd.exec(5)",
    ]);
    page
}

fn doors(page: &mut Page) {
    page.section("DOORS AND PORTS");
    page.text(
        "Every address is a setting of `dolmen.toml`(5). A door for clients listens on loopback \
         until told otherwise; beyond it a door wants TLS or an explicit word that it is open.",
    );
    let knobs = SETTINGS.iter().flat_map(|table| table.iter());
    for knob in knobs.filter(|knob| matches!(knob.kind, Kind::Listen)) {
        let says = format!("{} Default: {}.", knob.doc, default_of(knob.key));
        page.item([bold(knob.key)], &says);
    }
    let says = format!(
        "Where the commands on the same host reach the daemon; every change to a node comes \
         through here. For its owner and the group `dolmen` (mode 0660). Default: {}.",
        default_of("admin.socket")
    );
    page.item([bold("admin.socket")], &says);
    page.text("The operator door answers GET and HEAD over HTTP:");
    for (path, says) in operator::listed() {
        page.item([bold(path)], &capitalised(&sentence(says)));
    }
}

fn signals(page: &mut Page) {
    page.section("SIGNALS");
    page.item(
        [bold("SIGTERM"), roman(", "), bold("SIGINT")],
        "The doors close, the peers are told, the logs are sealed. A start behind such a stop \
         scans nothing.",
    );
    page.item(
        [bold("SIGHUP")],
        "Settings and certificate files are read again. What a running node cannot take is named \
         and waits for a restart; a file that cannot be used leaves what was in force.",
    );
    page.item(
        [bold("SIGKILL"), roman(", loss of power")],
        "Nothing that was acknowledged is lost. The next start writes again what is not proven \
         to be on the disk.",
    );
}

fn states(page: &mut Page) {
    let minutes = REDUCED_LASTS.as_secs() / 60;
    let seconds = SERVED_LONG_ENOUGH.as_secs();
    page.section("STATES");
    page.item(
        [bold("starting")],
        "The log and the state are being read. The operator door and the admin socket answer.",
    );
    page.item([bold("serving")], "All doors are open.");
    page.item(
        [bold("reduced")],
        &format!(
            "The {QUICK_FAILURES_MAX} starts before this one failed, each within {seconds} s. \
             Only the operator door and the admin socket are open; `dolmen status` and /health \
             say why. After {minutes} minutes the process leaves with status 1, to be started \
             whole again: a box with nobody near it heals once what was missing has come back. \
             A power cut is no failure."
        ),
    );
    page.item([bold("stopping")], "The node is sealing its logs.");
}

fn threads(page: &mut Page) {
    page.section("THREADS");
    page.text(
        "Each thread has a name that `top -H` shows, and a class. Where a class is refused the \
         next best is taken, and `dolmen status` and `dolmen doctor` say so.",
    );
    page.item(
        [
            bold("replica"),
            roman(", "),
            bold("log"),
            roman(", "),
            bold("peers-control"),
        ],
        "Real-time priority 10 (SCHED_FIFO), else nice -15, together on the last core unless \
         `log.core` says otherwise. One that runs for a second without sleeping is taken for a \
         runaway, and the process is ended.",
    );
    page.item(
        [bold("zookeeper"), roman(" and the first thread")],
        "Nice 0: the doors, the admin socket, and what may take its time.",
    );
    page.item(
        [bold("peers-bulk")],
        "Nice 0: snapshots to and from peers, paced.",
    );
    page.item(
        [bold("vigil")],
        "Idle class: keeps the log's core awake while a write is on its way (`log.keep_awake_us`).",
    );
}

fn files(page: &mut Page) {
    page.section("FILES");
    page.item([bold(FILE)], "Settings: `dolmen.toml`(5).");
    let data = default_of("node.data");
    for (name, says) in [
        ("", "The data folder, of the service's user alone."),
        ("/identity", "Which cluster and which folder this is."),
        (
            "/membership",
            "Which node of its cluster this is, and where the others were.",
        ),
        (
            "/replica/",
            "The replicated state: its journal, its log and its snapshots.",
        ),
        (
            "/tls/",
            "Keys and certificates between nodes, 0600. Keep copies as you would a password.",
        ),
        (
            "/engine.json",
            "Which disk engine was measured to be best; forgotten after a week.",
        ),
        ("/probe.toml", "What `dolmen probe --write` found."),
        (
            "/dolmen.starts",
            "Quick failures; gone once the node has served.",
        ),
        ("/dolmen.lock", "Held by whoever has the folder open."),
        (
            "/reserve",
            "Room held back, so that a node can start on a full disk.",
        ),
    ] {
        page.item([bold(format!("{data}{name}"))], says);
    }
    page.text("Files of the log stand beside these. None is to be changed by hand; `dolmen-log`(1) checks and mends them.");
    let says = "The admin socket; gone when the daemon is.";
    page.item([bold(default_of("admin.socket"))], says);
}

fn credentials(page: &mut Page) {
    page.section("CREDENTIALS");
    page.text(
        "A node makes its own keys. A secret that you supply, such as the key of the clients' \
         door or the users of SASL, need not lie where the service may read it: systemd hands it \
         over. In `/etc/systemd/system/dolmen.service.d/secrets.conf`:",
    );
    page.example("[Service]\nLoadCredential=zookeeper-users:/root/zookeeper-users");
    page.text(&format!("and in `{FILE}`:"));
    page.example(
        "[doors.zookeeper]\n\
         sasl_users_file = \"/run/credentials/dolmen.service/zookeeper-users\"",
    );
    page.text("then `systemctl daemon-reload` and `systemctl restart dolmen`.");
}

fn journal(page: &mut Page) {
    page.section("JOURNAL");
    page.text(
        "Messages go to the journal of systemd, with SYSLOG_IDENTIFIER=dolmen, or to standard \
         error with a priority in angle brackets where there is no journal. There are no log \
         files. `node.log_level` says how much is told. Fields beside MESSAGE and PRIORITY:",
    );
    page.item(
        [
            bold("CODE_FILE"),
            roman(", "),
            bold("CODE_LINE"),
            roman(", "),
            bold("TARGET"),
        ],
        "Where in the program it was said.",
    );
    page.item(
        [bold("F_DOOR"), roman(", "), bold("F_ADDRESS")],
        "Which door, and where.",
    );
    page.item(
        [bold("F_CHRONICLE")],
        "The number of the record in the node's own chronicle, which `dolmen status` shows and \
         which outlives the journal.",
    );
    page.item(
        [
            bold("F_ERROR"),
            roman(", "),
            bold("F_REASON"),
            roman(", "),
            bold("F_WHY"),
        ],
        "What went wrong, or why something was done.",
    );
    page.item(
        [
            bold("F_FROM"),
            roman(", "),
            bold("F_NODE"),
            roman(", "),
            bold("F_INDEX"),
        ],
        "Another node, or a place in the log.",
    );
    page.text("For example, all warnings since the last boot, with their fields:");
    page.example("journalctl -u dolmen -b -p warning -o json-pretty");
}

fn systemd(page: &mut Page) {
    page.section("SYSTEMD");
    page.text(
        "The unit is of Type=notify: READY=1 leaves when every door answers, STATUS= says how \
         the node stands, and while a long log is read a start is given more time. The watchdog's \
         ping comes from the thread that owns the log, so that a log which is stuck is restarted. \
         Restarts have no limit: see the state `reduced`.\n\n\
         `systemctl reload dolmen` is SIGHUP. Change the unit by a drop-in, `systemctl edit \
         dolmen`. The unit's sandbox takes all capabilities away; real-time threads are granted by \
         LimitRTPRIO= and LimitNICE=.",
    );
}
