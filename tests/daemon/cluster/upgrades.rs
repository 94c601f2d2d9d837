//! The feature level, as a person meets it.

use super::*;
use dolmen::clock::MachineClock;
use dolmen::entropy::MachineEntropy;
use dolmen::peers::{Applicant, join};
use dolmen::state::FEATURES;
use std::sync::Arc;

fn status(machine: &Machine) -> Value {
    let status = machine.type_in(&["upgrade", "status", "--json"]).answer();
    serde_json::from_str(&status).unwrap()
}

fn file(machine: &Machine) -> String {
    fs::read_to_string(machine.folder.path("data/features")).unwrap()
}

/// Both are of this build, so there is nothing to raise.
#[test]
fn a_new_cluster_is_at_its_build_s_level_and_says_who_knows_it() {
    let mut first = Machine::start();
    let features = json!({"cluster": FEATURES, "supports": FEATURES});
    until("its state is at its build's level", || {
        (first.status()["features"] == features).then_some(())
    });
    assert_eq!(file(&first), format!("{FEATURES}\n"));
    first.type_in(&["init"]).answer();
    let second = Machine::start();
    second.join(&first, &[]);
    first.until_voters(2);
    for machine in [&first, &second] {
        until("it is heard what both run", || {
            let status = status(machine);
            let members = status["members"].as_array().unwrap();
            let knows = |member: &&Value| member["supports"] == FEATURES && member["heard"] == true;
            (members.iter().filter(knows).count() == 2).then_some(())
        });
        let status = status(machine);
        assert_eq!(status["level"], FEATURES);
        assert_eq!(status["is_due"], false);
        assert_eq!(file(machine), format!("{FEATURES}\n"));
        let says = machine.type_in(&["upgrade", "finalize"]).answer();
        assert_eq!(says, format!("already at level {FEATURES}\n"));
    }
    let table = second.type_in(&["upgrade", "status"]).answer();
    assert!(table.contains("there is nothing to raise"), "{table}");
    assert!(table.contains(env!("CARGO_PKG_VERSION")), "{table}");

    first.stop();
    until("the first is not heard of", || {
        let status = status(&second);
        let members = status["members"].as_array().unwrap();
        (members[0]["heard"] == false).then_some(())
    });
}

/// One whose release knows no level at all, since this build knows the first.
#[test]
fn a_box_of_an_older_release_does_not_join() {
    let first = Machine::start();
    first.type_in(&["init"]).answer();
    let token = first.token(&[]).parse().unwrap();
    let applicant = Applicant {
        control: "127.0.0.1:1".into(),
        bulk: "127.0.0.1:2".into(),
        features: 0,
        within: PATIENCE,
        clock: Arc::new(MachineClock::new()),
        entropy: Arc::new(MachineEntropy),
    };
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    let refused = runtime.block_on(join(&token, &applicant)).unwrap_err();
    let says = format!(
        "the cluster writes feature level {FEATURES}, and the release on this box knows levels up \
         to 0"
    );
    assert!(refused.to_string().contains(&says), "{refused}");
    // And one that knows more does.
    let applicant = Applicant {
        features: FEATURES + 5,
        ..applicant
    };
    runtime.block_on(join(&token, &applicant)).unwrap();
}

#[test]
fn data_of_a_newer_release_are_refused_in_one_line_and_left_alone() {
    let mut machine = Machine::start();
    machine.stop();
    let newer = FEATURES + 1;
    fs::write(machine.folder.path("data/features"), format!("{newer}\n")).unwrap();
    let look = |folder: &Folder| {
        let listed = Command::new("find")
            .arg(folder.data())
            .args(["-ls"])
            .output();
        String::from_utf8(listed.unwrap().stdout).unwrap()
    };
    let before = look(&machine.folder);
    let settings = machine.folder.path("dolmen.toml");
    let line = refusal(&settings);
    let says = format!(
        "was raised to feature level {newer}, and this release knows levels up to {FEATURES}: \
         install the newer release again"
    );
    assert!(line.contains(&says), "{line}");
    assert_eq!(look(&machine.folder), before);

    // What the file does not say, the log does not hold: it is written again.
    for text in ["", "nonsense\n"] {
        fs::write(machine.folder.path("data/features"), text).unwrap();
        machine.go_on();
        assert_eq!(file(&machine), format!("{FEATURES}\n"));
        machine.stop();
    }
}
