//! Where the threads of a node run.

use super::*;
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

#[test]
fn the_log_s_threads_have_the_last_core_and_the_others_all() {
    let folder = Folder::new();
    let node = Node::start(&folder);
    let (all, cores) = (own_cores(), cores_of(&node));
    let last = all.rsplit([',', '-']).next().unwrap();
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
