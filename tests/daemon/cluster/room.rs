//! A disk that fills up.

use super::*;
use crate::daemon::log::Small;
use std::fs::File;

const NEARLY_FULL: &str = "the disk is nearly full";

fn fill(machine: &Machine, mib: usize) -> PathBuf {
    let filler = machine.folder.path("data/filler");
    let mut file = File::create(&filler).unwrap();
    let piece = vec![1; 1 << 20];
    (0..mib).for_each(|_| file.write_all(&piece).unwrap());
    filler
}

fn until_warned(machine: &Machine, is_warned: bool) {
    until(NEARLY_FULL, || {
        let warnings = machine.status()["warnings"].to_string();
        (warnings.contains(NEARLY_FULL) == is_warned).then_some(())
    });
}

#[test]
fn on_a_disk_that_is_nearly_full_nothing_is_added_and_all_can_be_removed() {
    let folder = Folder::new();
    let Some(_small) = Small::mount(folder.data(), 256) else {
        return;
    };
    let mut machine = Machine::start_in(folder, "");
    machine.zk(&["create", "/a", "x"]).answer();
    machine.zk(&["create", "/b", "x"]).answer();

    let filler = fill(&machine, 160);
    until_warned(&machine, true);
    for adding in [["create", "/c", "x"], ["set", "/a", "y"]] {
        machine
            .zk(&adding)
            .refused_with("the server cannot take writes now");
    }
    machine.zk(&["rm", "/b"]).answer();
    assert_eq!(machine.zk(&["get", "/a"]).answer(), "x\n");

    // It is known to a node that starts again, before it has looked.
    machine.kill();
    machine.go_on();
    machine
        .zk(&["create", "/c", "x"])
        .refused_with("the server cannot take writes now");

    fs::remove_file(filler).unwrap();
    until_warned(&machine, false);
    machine.zk(&["create", "/c", "x"]).answer();
    machine.stop();
}
