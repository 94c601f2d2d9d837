//! The majority is gone for good.

use super::*;

fn recover(machine: &Machine, more: &[&str]) -> Typed {
    let (code, out, words) = run(dolmen()
        .args(["recover", "--data"])
        .arg(machine.folder.data())
        .arg("--config")
        .arg(machine.folder.path("dolmen.toml"))
        .args(more));
    Typed { code, out, words }
}

const ACCEPT: &str = "--i-accept-that-writes-may-be-lost";

#[test]
fn a_cluster_begins_again_from_one_of_three() {
    let mut first = Machine::start();
    first.type_in(&["init"]).answer();
    let [mut second, mut third] = [0; 2].map(|_| Machine::start());
    second.join(&first, &[]);
    third.join(&first, &[]);
    [&first, &second, &third]
        .into_iter()
        .for_each(|machine| machine.until_voters(3));
    second.zk(&["create", "/kept", "stone"]).answer();
    recover(&second, &[ACCEPT]).refused_with("dolmen serve");

    first.kill();
    third.kill();
    drop((first, third));
    until("nobody leads", || {
        second.status()["coordination"]["leader"]
            .is_null()
            .then_some(())
    });
    second.stop();
    let asked = recover(&second, &[]);
    assert_eq!(asked.code, 2, "{}", asked.words);
    assert!(
        asked.words.contains("nothing was changed"),
        "{}",
        asked.words
    );
    let said = recover(&second, &[ACCEPT]).answer();
    assert!(said.contains("node 2 is the only voter"), "{said}");
    assert!(said.contains("no members any more: 1, 3"), "{said}");

    second.go_on();
    second.until_in(2);
    assert_eq!(second.zk(&["get", "/kept"]).answer().trim(), "stone");
    second.zk(&["create", "/more", ""]).answer();
    let new = Machine::start();
    assert_eq!(new.join(&second, &[]), 4, "ids are never given twice");
    second.until_voters(2);
    assert_eq!(new.zk(&["get", "/kept"]).answer().trim(), "stone");
}
