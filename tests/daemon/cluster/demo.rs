//! `dolmen demo` at one of three nodes, at one that has lost them, and at a
//! door that wants TLS.

use super::*;

fn demo(machine: &Machine) -> Typed {
    let server = machine.door("zookeeper");
    let (code, out, words) = run(dolmen().args(["demo", "--server", &server]));
    Typed { code, out, words }
}

#[test]
fn it_plays_at_a_follower_and_a_lost_majority_is_one_line() {
    let (mut first, mut second, third) = (Machine::start(), Machine::start(), Machine::start());
    first.type_in(&["init"]).answer();
    second.join(&first, &[]);
    third.join(&first, &[]);
    third.until_voters(3);
    assert_eq!(third.status()["coordination"]["leader"], 1);

    let shown = demo(&third).answer();
    assert!(shown.contains("holds the press, "), "{shown}");
    assert!(shown.contains("refused: it has seen 0x"), "{shown}");
    for node in 1..=3 {
        assert!(
            shown.contains(&format!("get /dolmen/nodes/{node} ")),
            "{shown}"
        );
    }
    assert_eq!(first.zk(&["ls", "/"]).answer(), "dolmen\nzookeeper\n");

    first.kill();
    second.kill();
    demo(&third).refused_with("no majority");
}

#[test]
fn a_door_that_wants_tls_is_one_line() {
    let (site, folder) = (tls::Site::new(), Folder::new());
    let node = Node::start_with(&folder, &site.settings(&folder, true));
    let status = node.ask("status").unwrap();
    let door = status["doors"]["zookeeper"].as_str().unwrap();
    let says = refused(dolmen().args(["demo", "--server", door]));
    assert!(says.contains("asks for TLS"), "{says}");
}
