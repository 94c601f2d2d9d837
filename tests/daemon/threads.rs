//! Where the threads of a node run.

use super::*;
use crate::zookeeper::client::Client;
use dolmen::ports::zookeeper::codec::{SetDataRequest, Watched};
use dolmen::ports::zookeeper::handlers::{GetData, SetData};
use std::collections::BTreeMap;

/// The cores that each thread may use, by its name, as the kernel lists them.
fn cores_of(node: &Node) -> BTreeMap<String, String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", node.pid())).unwrap();
    let cores = tasks.filter_map(|task| {
        // A thread that has ended meanwhile is not asked about.
        let status = fs::read_to_string(task.ok()?.path().join("status")).ok()?;
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        Some((field("Name")?, field("Cpus_allowed_list")?))
    });
    cores.collect()
}

fn own_cores() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let mut lines = status.lines();
    let list = lines.find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    list.unwrap().trim().to_owned()
}

fn last_of(cores: &str) -> &str {
    cores.rsplit([',', '-']).next().unwrap()
}

#[test]
fn the_log_s_threads_have_the_last_core_and_the_others_all() {
    let folder = Folder::new();
    let node = Node::start(&folder);
    let (all, cores) = (own_cores(), cores_of(&node));
    let last = last_of(&all);
    for of_the_log in ["replica", "log"] {
        assert_eq!(cores[of_the_log], last, "{cores:?}");
    }
    for other in ["zookeeper", "dolmen"] {
        assert_eq!(cores[other], all, "{cores:?}");
    }
}

#[test]
fn told_so_they_run_anywhere() {
    let folder = Folder::new();
    let node = Node::start_with(&folder, &format!("{SMALL}log.core = \"any\"\n"));
    let all = own_cores();
    for (thread, cores) in cores_of(&node) {
        assert_eq!(cores, all, "{thread}");
    }
}

/// The thread that keeps the log's core awake is there where it is wanted, and
/// gives way to all others.
#[test]
fn the_log_s_core_is_watched_unless_it_may_sleep() {
    let folder = Folder::new();
    let node = Node::start(&folder);
    let all = own_cores();
    let last = last_of(&all);
    assert_eq!(cores_of(&node)["vigil"], last);
    let tasks = fs::read_dir(format!("/proc/{}/task", node.pid())).unwrap();
    let mut stats = tasks.filter_map(|task| {
        let stat = fs::read_to_string(task.ok()?.path().join("stat")).ok()?;
        stat.contains("(vigil)").then_some(stat)
    });
    // Field 41 of proc(5), the scheduling policy; the third stands first
    // behind the name.
    let stat = stat_fields(&stats.next().unwrap());
    assert_eq!(stat[41 - 3], libc::SCHED_IDLE.to_string());
    node.stop();

    let folder = Folder::new();
    let node = Node::start_with(&folder, &format!("{SMALL}log.keep_awake_us = 0\n"));
    assert!(!cores_of(&node).contains_key("vigil"));
}

fn stat_fields(stat: &str) -> Vec<String> {
    let behind_the_name = stat.rsplit(") ").next().unwrap();
    behind_the_name
        .split_whitespace()
        .map(String::from)
        .collect()
}

/// Writes have the door sit with the log, reads have it go.
#[test]
fn the_door_sits_with_the_log_while_clients_write() {
    let folder = Folder::new();
    let node = Node::start(&folder);
    let door = node.ask("status").unwrap()["doors"]["zookeeper"].clone();
    let mut client = Client::dial(door.as_str().unwrap().parse().unwrap());
    client.open();
    let seat = || cores_of(&node)["zookeeper"].clone();
    let all = own_cores();
    until("the door sits with the log", || {
        let set = SetDataRequest {
            path: "/".into(),
            data: b"x".as_slice().into(),
            version: -1,
        };
        for _ in 0..64 {
            client.call::<SetData>(&set).unwrap();
        }
        (seat() == last_of(&all)).then_some(())
    });
    until("the door sits anywhere", || {
        let get = Watched {
            path: "/".into(),
            watch: false,
        };
        for _ in 0..64 {
            client.call::<GetData>(&get).unwrap();
        }
        (seat() == all).then_some(())
    });
}
