//! Founding, joining, leaving, and joining again.

use super::*;
use crate::daemon::systemd::Systemd;

/// What must be as before where a join has failed.
fn kept(machine: &Machine) -> (Option<Vec<u8>>, bool) {
    let membership = fs::read(machine.folder.path("data/membership")).ok();
    (
        membership,
        machine.folder.path("data/tls/node.pem").exists(),
    )
}

fn replace(token: &str, part: usize, with: &str) -> String {
    let (secret, host) = token.split_once('@').unwrap();
    let mut parts: Vec<&str> = secret.split('.').collect();
    parts[part] = with;
    format!("{}@{host}", parts.join("."))
}

fn discarded(machine: &Machine) -> usize {
    let entries = fs::read_dir(machine.folder.data()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name());
    names
        .filter(|name| name.to_string_lossy().starts_with("replica-discarded-"))
        .count()
}

#[test]
fn a_mark_that_the_power_has_torn_is_no_other_node_s() {
    let mut machine = Machine::start();
    machine.zk(&["create", "/a", "x"]).answer();
    let mark = machine.folder.path("data/replica/of");
    let whole = fs::read_to_string(&mark).unwrap();
    for kept in [0, 10] {
        machine.stop();
        fs::write(&mark, &whole[..kept]).unwrap();
        machine.go_on();
        assert_eq!(fs::read_to_string(&mark).unwrap(), whole);
        assert_eq!(machine.zk(&["get", "/a"]).answer(), "x\n");
    }
    assert_eq!(discarded(&machine), 0);
}

#[test]
fn a_box_joins_leaves_and_joins_again() {
    let first = Machine::start();
    first
        .type_in(&["token", "create"])
        .refused_with("dolmen init");
    assert!(first.zk(&["create", "/a", "1"]).answer().contains("/a"));
    assert!(first.type_in(&["init"]).answer().contains("new cluster"));
    assert!(first.type_in(&["init"]).answer().contains("already"));
    assert_eq!(first.zk(&["get", "/a"]).answer().trim(), "1");

    let second = Machine::start();
    second.zk(&["create", "/mine", ""]).answer();
    refuse_every_bad_token(&first, &second);

    let token = first.token(&[]);
    second.type_in(&["join", &token]).refused_with("--discard");
    assert_eq!(kept(&second), (None, false));
    assert_eq!(second.join_with(&token, &["--discard"]), 2);
    assert_eq!(discarded(&second), 1);
    let chronicle = second.node().chronicle();
    assert!(
        chronicle.len() > 3,
        "the node's own history stays: {chronicle:?}"
    );
    assert!(
        second
            .type_in(&["join", &token])
            .answer()
            .contains("already")
    );
    first.until_voters(2);
    second.until_voters(2);
    assert_eq!(second.zk(&["get", "/a"]).answer().trim(), "1");
    second.zk(&["get", "/mine"]).refused_with("no such znode");

    // A token admits one box, and says whom.
    let third = Machine::start();
    third
        .type_in(&["join", &token])
        .refused_with("the token has admitted node 2");
    let listed = first.type_in(&["token", "list"]).answer();
    assert!(listed.contains("used by node 2"), "{listed}");
    first
        .node()
        .until_it_says("does not join: the token has admitted node 2");

    hand_the_lead_on(&first, &second);
    leave_and_come_back(&first, &second);
}

fn refuse_every_bad_token(first: &Machine, second: &Machine) {
    let good = first.token(&[]);
    let revoked = first.token(&[]);
    let id = revoked.split('.').nth(2).unwrap();
    first.type_in(&["token", "revoke", id]).answer();
    first
        .type_in(&["token", "revoke", id])
        .refused_with("there is no such token");
    let wrong_secret = replace(&good, 3, &"0".repeat(32));
    let wrong_pin = replace(&good, 1, &"0".repeat(64));
    for (token, says) in [
        ("dolmen1.abc@127.0.0.1", "4 parts"),
        (&wrong_pin, "is not the cluster that the token names"),
        (&wrong_secret, "there is no such token"),
        (&revoked, "there is no such token"),
    ] {
        second
            .type_in(&["join", token, "--discard"])
            .refused_with(says);
        assert_eq!(kept(second), (None, false), "{says}");
    }
    first
        .node()
        .until_it_says("does not join: there is no such token");
    assert_eq!(second.zk(&["ls", "/"]).answer().matches("mine").count(), 1);
    assert_eq!(first.members().len(), 1);
}

fn leader(machine: &Machine) -> Value {
    machine.status()["coordination"]["leader"].clone()
}

fn hand_the_lead_on(first: &Machine, second: &Machine) {
    first
        .type_in(&["node", "transfer", "7"])
        .refused_with("no vote");
    let said = first.type_in(&["node", "transfer", "2"]).answer();
    assert!(said.contains("node 2 leads now"), "{said}");
    first
        .type_in(&["node", "transfer", "1"])
        .refused_with("node 2 leads");
    let said = second.type_in(&["node", "transfer", "2"]).answer();
    assert!(said.contains("already"), "{said}");
    until("the other one knows", || (leader(first) == 2).then_some(()));
}

/// The one that leaves leads when it is told to.
fn leave_and_come_back(first: &Machine, second: &Machine) {
    first
        .type_in(&["node", "remove", "9"])
        .refused_with("no member");
    first
        .type_in(&["node", "replace", "1"])
        .refused_with("this one");
    let said = first.type_in(&["node", "replace", "2"]).answer();
    assert!(said.contains("dolmen join dolmen1."), "{said}");
    second.node().until_it_says("was removed from its cluster");
    first.until_voters(1);
    let status = until("it shows that it left", || {
        let status = second.status();
        (status["coordination"]["role"] == "removed").then_some(status)
    });
    let warnings = status["warnings"].to_string();
    assert!(warnings.contains("node 2 was removed"), "{warnings}");
    second
        .try_zk(&["get", "/a"])
        .refused_with("hung up before a session was open");
    assert_eq!(first.zk(&["get", "/a"]).answer().trim(), "1");
    first
        .type_in(&["node", "remove", "1"])
        .refused_with("last voter");

    let token = said.split_whitespace().last().unwrap();
    second.type_in(&["join", token]).refused_with("--discard");
    assert_eq!(second.join_with(token, &["--discard"]), 3);
    first.until_voters(2);
    assert_eq!(second.zk(&["get", "/a"]).answer().trim(), "1");
    assert_eq!(discarded(second), 2);
    let nodes = until("each has its line", || {
        let nodes = first.zk(&["ls", "/dolmen/nodes"]);
        (nodes.code == 0 && nodes.out.contains('3')).then_some(nodes)
    });
    assert!(nodes.out.contains('1'), "{}", nodes.out);
}

#[test]
fn a_member_that_lost_its_state_is_refused() {
    let mut first = Machine::start();
    first.type_in(&["init"]).answer();
    first.stop();
    fs::rename(first.folder.path("data/replica"), first.folder.path("gone")).unwrap();
    let settings = first.folder.path("dolmen.toml");
    let (code, _, says) = run(dolmen().args(["serve", "--config"]).arg(settings));
    assert_eq!(code, 1, "{says}");
    assert!(
        says.contains("the replicated state of node 1 is gone"),
        "{says}"
    );
    let _ = fs::remove_file(first.folder.path("data/dolmen.starts"));
    fs::rename(first.folder.path("gone"), first.folder.path("data/replica")).unwrap();
    first.go_on();
    first.until_in(1);
}

#[test]
fn a_member_removed_while_it_was_off_hears_why_and_may_leave() {
    let first = Machine::start();
    first.type_in(&["init"]).answer();
    let mut worker = Machine::start();
    worker.join(&first, &["--role", "worker"]);
    worker
        .type_in(&["join", &first.token(&[]), "--discard"])
        .answer();
    assert_eq!(first.members().len(), 2, "a member that is needed stays");
    worker.stop();
    first.type_in(&["node", "remove", "2"]).answer();
    // Until then it could still be told.
    until("it is counted no more", || {
        (first.status()["coordination"]["learners"] == 0).then_some(())
    });
    worker.go_on();
    until("its status says why nobody speaks to it", || {
        let warnings = worker.status()["warnings"].to_string();
        warnings
            .contains("node 2 is not a member; if it was removed, it joins again")
            .then_some(())
    });
    first.node().until_it_says("node 2 is not a member");
    worker
        .try_zk(&["ls", "/"])
        .refused_with("hung up before a session was open");
    let token = first.token(&["--role", "worker"]);
    assert_eq!(worker.join_with(&token, &["--discard"]), 3);
}

#[test]
fn to_systemd_a_join_is_a_reload_and_not_a_stop() {
    let mut first = Machine::start();
    first.type_in(&["init"]).answer();
    let mut second = Machine::start();
    second.stop();
    let systemd = Systemd::listen(&second.folder);
    let mut serve = dolmen();
    serve.arg("serve").arg("--config");
    serve.arg(second.folder.path("dolmen.toml"));
    serve.env("NOTIFY_SOCKET", second.folder.path("notify"));
    second.node = Some(Node::spawn(&second.folder, &mut serve));
    systemd.hear_until("READY=1");
    second.node().await_start();

    second.join(&first, &[]);
    let heard = systemd.hear_until("READY=1");
    assert!(heard[0].starts_with("RELOADING=1"), "{heard:?}");
    let stops = heard.iter().any(|message| message.contains("STOPPING=1"));
    assert!(!stops, "{heard:?}");
    second.stop();
    first.stop();
}
