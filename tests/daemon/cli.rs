//! What people type, and what they read.

use super::*;

fn check_wrong_usage(arguments: &[&str], says: &str) {
    let (code, out, words) = run(dolmen().args(arguments));
    assert_eq!((code, out.as_str()), (2, ""), "{words}");
    assert!(
        words.starts_with("dolmen: ") && words.contains(says),
        "{words}"
    );
    assert_eq!(words.lines().count(), 1, "{words}");
}

#[test]
fn wrong_usage_is_one_line_and_status_2() {
    check_wrong_usage(&[], "no command given");
    check_wrong_usage(&["serv"], "unrecognized subcommand 'serv'");
    check_wrong_usage(&["serve", "--confg", "x"], "'--config'");
    check_wrong_usage(&["dev", "--nodes", "many"], "--nodes");
    check_wrong_usage(
        &["status", "--socket", "a", "--data", "b"],
        "cannot be used with",
    );
}

#[test]
fn version_and_help_are_answers() {
    let version = format!("dolmen {}\n", dolmen::daemon::release::VERSION);
    assert_eq!(run(dolmen().arg("--version")), (0, version, String::new()));
    let (code, help, _) = run(dolmen().args(["help"]).arg("--help"));
    assert_ne!(code, 0, "help is an option, not a command: {help}");
    let (code, help, _) = run(dolmen().arg("--help"));
    assert_eq!(code, 0);
    for command in ["serve", "dev", "status"] {
        assert!(help.contains(command), "{help}");
    }
}

#[test]
fn status_is_a_table_for_people_and_json_for_programs() {
    let folder = Folder::new();
    let node = Node::start(&folder);
    let status = |more: &[&str]| {
        let mut command = dolmen();
        command.args(["status", "--socket"]).arg(&node.admin);
        run(command.args(more))
    };
    let (code, table, words) = status(&[]);
    assert_eq!((code, words.as_str()), (0, ""));
    assert!(
        table.contains("\ndoor       address\nkafka      127.0.0.1:")
            && table.contains("\noperator   127.0.0.1:"),
        "{table}"
    );
    assert!(table.starts_with("state          serving\n"), "{table}");
    assert!(table.contains("\nfeature level  "), "{table}");
    assert!(table.contains("\ncoordination   alone\n"), "{table}");
    assert!(
        table.contains(
            "\nengine         threads: as configured\nlog            a new data folder\n"
        ),
        "{table}"
    );
    assert!(table.contains("Z  profile "), "{table}");
    let (_, table, _) = status(&["--events", "0"]);
    assert!(!table.contains("profile"), "{table}");
    let (code, json, _) = status(&["--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(code, 0);
    assert_eq!(json["pid"], node.pid());
    assert_eq!(json["events"][0]["event"]["what"], "started");
}

#[test]
fn a_daemon_that_is_not_there_is_not_waited_for() {
    let (code, _, words) = run(dolmen().args(["status", "--socket", "/nonexistent/admin.sock"]));
    assert_eq!(code, 1);
    assert!(
        words.contains("no daemon answers on /nonexistent/admin.sock: start one"),
        "{words}"
    );
}

#[test]
fn settings_that_are_broken_do_not_hide_the_daemon() {
    let mut status = dolmen();
    status.arg("status").env("DOLMEN_LOG_SEGMENT_MIB", "many");
    let (_, _, says) = run(&mut status);
    let first = says.lines().next().unwrap_or_default();
    assert!(first.contains("log.segment_mib is"), "{says}");
    assert!(
        first.ends_with("; asking the daemon on /run/dolmen/admin.sock"),
        "{says}"
    );
}
