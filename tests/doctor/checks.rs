//! Each check, on machines as they were written down and on made ones.

use super::{Folder, made, recorded, says};
use dolmen::daemon::lock::Lock;
use dolmen::profile::Roots;
use std::net::TcpListener;

#[track_caller]
fn check(check: &str, machine: &str, wanted: &[&str]) {
    let folder = Folder::new();
    assert_eq!(says(check, &folder, recorded(machine), None), wanted);
}

#[test]
fn a_card_wears_out_and_a_cache_is_told() {
    check(
        "device",
        "rpi5-sd",
        &[
            "ok: mmcblk0 (mmc): write through, a flush has nothing to do",
            "warning: mmcblk0 (mmc): a card or eMMC wears out under small durable writes, and a \
             flush may take hundreds of milliseconds > put the data on NVMe or SATA where the \
             box has it",
        ],
    );
    check(
        "device",
        "nuc-i5",
        &[
            "note: nvme0n1 (nvme): write back, a volatile cache that every flush empties; fua \
           spares that for single writes",
        ],
    );
    check(
        "device",
        "rack-nvme-plp",
        &["ok: nvme0n1+nvme1n1 (nvme): write through, a flush has nothing to do"],
    );
    check(
        "device",
        "container",
        &["note: no block device is known under the data folder"],
    );
}

#[test]
fn what_is_not_tuned_is_a_note_and_never_more() {
    check(
        "tuning",
        "rpi5-sd",
        &[
            "note: 0 of 3 in force, without socket_buffers, swappiness, dirty_background: \
             `dolmen tune apply` sets them until the next start of the machine, `systemctl \
             enable --now dolmen-tune` at each",
        ],
    );
    check(
        "tuning",
        "container",
        &["ok: nothing that is named can be set here; `dolmen tune list` says why"],
    );
    let folder = Folder::new();
    for name in ["rmem_max", "wmem_max"] {
        folder.file(&format!("proc/sys/net/core/{name}"), "4194304\n");
    }
    let said = says("tuning", &folder, made(&folder), None);
    assert_eq!(said, ["ok: 1 of 1 in force"]);
}

#[test]
fn a_profile_says_whether_it_was_tried() {
    check(
        "profile",
        "generic-vm",
        &["note: generic-vm: virt kvm; its values were reasoned and never tried on such a box"],
    );
}

/// The line of mountinfo that holds everything, with a file system's name and
/// options.
fn mounted(folder: &Folder, file_system: &str, options: &str) -> Roots {
    let line = format!("27 1 254:0 / / rw,relatime - {file_system} /dev/vda {options}\n");
    folder.file("proc/self/mountinfo", &line);
    made(folder)
}

#[test]
fn file_systems_that_lose_data_are_errors() {
    for (file_system, options, wanted) in [
        ("ext4", "rw", "ok: ext4"),
        ("xfs", "rw,attr2", "ok: xfs"),
        ("vfat", "rw", "error: vfat has no journal"),
        ("exfat", "rw", "error: exfat has no journal"),
        ("nfs4", "rw", "error: nfs4 is another machine's"),
        ("tmpfs", "rw", "error: tmpfs is memory"),
        ("overlay", "rw", "warning: overlay is a container's layer"),
        ("fuse.sshfs", "rw", "warning: fuse.sshfs is a program's"),
        ("bcachefs", "rw", "note: bcachefs, of which nothing"),
    ] {
        let folder = Folder::new();
        let said = says(
            "file system",
            &folder,
            mounted(&folder, file_system, options),
            None,
        );
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].starts_with(wanted), "{said:?}");
        assert_eq!(
            said[0].contains(" > "),
            !wanted.starts_with(['o', 'n']),
            "{said:?}"
        );
    }
}

#[test]
fn mount_options_that_break_a_promise_are_told() {
    for (options, wanted) in [
        ("ro", "error: mounted with ro, "),
        (
            "rw,nobarrier",
            "error: mounted with nobarrier, which leaves flushes out",
        ),
        (
            "rw,barrier=0,errors=remount-ro",
            "error: mounted with barrier=0, ",
        ),
        ("rw,sync", "warning: mounted with sync, "),
    ] {
        let folder = Folder::new();
        let said = says(
            "file system",
            &folder,
            mounted(&folder, "ext4", options),
            None,
        );
        assert_eq!(said.len(), 2, "{options}: {said:?}");
        assert!(said[1].starts_with(wanted), "{said:?}");
    }
}

#[test]
fn kernels_are_told_by_what_they_lack() {
    for (release, wanted) in [
        ("6.12.41+rpt-rpi-2712", "ok: "),
        ("5.15.0-91-generic", "note: "),
        ("5.4.0", "warning: "),
        ("strange", "note: strange, which names no version"),
    ] {
        let folder = Folder::new();
        folder.file("proc/sys/kernel/osrelease", release);
        let said = says("kernel", &folder, made(&folder), None);
        assert!(said[0].starts_with(wanted), "{said:?}");
    }
}

#[test]
fn limits_that_are_met_too_soon_are_told() {
    let folder = Folder::new();
    folder.file(
        "proc/self/limits",
        "Limit                     Soft Limit           Hard Limit           Units     \n\
         Max open files            1024                 1048576              files     \n\
         Max locked memory         unlimited            unlimited            bytes     \n\
         Max realtime priority     0                    0                              \n\
         Max realtime timeout      unlimited            unlimited            us        \n",
    );
    let said = says("limits", &folder, made(&folder), None);
    let head =
        "ok: NOFILE 1024, MEMLOCK unlimited, RTPRIO 0, RTTIME unlimited us (of this command)";
    assert_eq!(said[0], head);
    assert_eq!(said.len(), 2);
    assert!(said[1].starts_with("warning: 1024 open files"), "{said:?}");
}

/// What is said of the log's core where a process may use four, with some lines
/// of settings and the files of its control group.
fn of_log_core(settings: &str, group: &str, files: &[(&str, &str)]) -> Vec<String> {
    let folder = Folder::new();
    folder.file(
        "proc/self/status",
        "Name:\tdolmen\nCpus_allowed_list:\t0-3\n",
    );
    folder.file("proc/self/cgroup", group);
    for (file, text) in files {
        folder.file(&format!("sys/fs/cgroup/{file}"), text);
    }
    let config = Some(folder.file("dolmen.toml", settings));
    says("log core", &folder, made(&folder), config)
}

#[test]
fn keeping_a_core_awake_is_told_and_a_quota_warned_of() {
    let place = "ok: the log's threads share core 3, the last of 4 (of this command)";
    let awake = "ok: a write under way keeps it awake, for 300 us at the most (log.keep_awake_us)";
    let quota = |cores: &str| {
        format!(
            "warning: a write under way keeps it awake, for 300 us at the most, and that counts \
             against the quota of {cores} cores like work > set log.keep_awake_us = 0, or take \
             the quota away (CPUQuota= in the unit, --cpus of the container)"
        )
    };
    let (two, one) = (
        "0::/system.slice/dolmen.service\n",
        "4:cpu,cpuacct:/docker/ab12\n",
    );
    let unbound = ("system.slice/dolmen.service/cpu.max", "max 100000\n");
    assert_eq!(of_log_core("", two, &[unbound]), [place, awake]);
    // The slice's is what counts where the service has none.
    let slice = ("system.slice/cpu.max", "150000 100000\n");
    assert_eq!(
        of_log_core("", two, &[unbound, slice]),
        [place, &quota("1.50")]
    );
    // A group that only the host knows: the root of the container's own view.
    let files = [
        ("cpu/cpu.cfs_quota_us", "50000\n"),
        ("cpu/cpu.cfs_period_us", "100000\n"),
    ];
    assert_eq!(of_log_core("", one, &files), [place, &quota("0.50")]);
    let none = [("cpu/cpu.cfs_quota_us", "-1\n"), files[1]];
    assert_eq!(of_log_core("", one, &none), [place, awake]);
    // All the cores that there are is no less than without.
    let all = ("cpu.max", "400000 100000\n");
    assert_eq!(of_log_core("", "0::/\n", &[all]), [place, awake]);

    let asleep = "ok: it may fall asleep under a write (log.keep_awake_us = 0)";
    assert_eq!(
        of_log_core("log.keep_awake_us = 0", two, &[slice]),
        [place, asleep]
    );
    let any = of_log_core("log.core = \"any\"", two, &[slice]);
    assert!(
        any.len() == 1 && any[0].starts_with("ok: log.core = \"any\""),
        "{any:?}"
    );
}

#[test]
fn the_clock_is_told_by_who_keeps_it() {
    let said = |file: &str| {
        let folder = Folder::new();
        if !file.is_empty() {
            folder.file(&format!("run/{file}"), "");
        }
        says("clock", &folder, made(&folder), None).remove(0)
    };
    assert!(said("systemd/timesync/synchronized").starts_with("ok: "));
    assert!(said("systemd/timesync/other").starts_with("warning: "));
    assert!(said("chrony/chronyd.pid").starts_with("ok: chronyd runs"));
    assert!(said("").starts_with("note: unknown: "));
}

#[test]
fn a_port_that_another_holds_is_an_error_and_the_daemon_s_own_is_not() {
    let folder = Folder::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let text = format!("doors.operator.listen = \"{address}\"\n");
    let config = Some(folder.file("dolmen.toml", &text));
    let doors = || says("doors", &folder, Roots::default(), config.clone()).remove(0);

    let pid = std::process::id();
    let said = doors();
    assert!(
        said.starts_with(&format!("error: operator: pid {pid} (")),
        "{said}"
    );
    assert!(said.contains("doors.operator.listen"), "{said}");
    {
        let _lock = Lock::take(&folder.data(), "dolmen serve").unwrap();
        assert_eq!(
            doors(),
            format!("ok: operator: the running daemon listens on {address}")
        );
    }
    drop(listener);
    assert_eq!(doors(), format!("ok: operator: {address} is free"));
}

#[test]
fn every_port_is_looked_at_and_loopback_is_no_place_to_send_others() {
    let folder = Folder::new();
    let held = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap();
    let text = format!(
        "doors.operator.listen = \"127.0.0.1:0\"\npeers.control.listen = \"{address}\"\n\
         peers.bulk.listen = \"127.0.0.1:0\"\ndoors.zookeeper.listen = \"0.0.0.0:0\"\n\
         doors.zookeeper.open = true\ndoors.zookeeper.advertise = \"localhost:2181\"\n\
         doors.kafka.listen = \"[::]:0\"\ndoors.kafka.open = true\n\
         doors.kafka.advertise = \"[::1]:9092\"\n"
    );
    let config = Some(folder.file("dolmen.toml", &text));
    let said = says("doors", &folder, Roots::default(), config);
    let pid = std::process::id();
    assert_eq!(said.len(), 7, "{said:?}");
    assert!(said[1].starts_with("ok: zookeeper: any port"), "{said:?}");
    assert!(said[2].starts_with("ok: kafka: any port"), "{said:?}");
    assert!(
        said[3].starts_with(&format!("error: peers.control: pid {pid} (")),
        "{said:?}"
    );
    assert!(said[3].contains("set peers.control.listen"), "{said:?}");
    for (at, says) in [
        (
            5,
            "warning: zookeeper: it listens on 0.0.0.0:0 and tells others",
        ),
        (6, "warning: kafka: it listens on [::]:0 and tells others"),
    ] {
        assert!(said[at].starts_with(says), "{said:?}");
    }
}

/// It writes nothing, and looks at the daemon's limits instead of its own.
#[test]
fn beside_a_daemon_nothing_is_measured() {
    let folder = Folder::new();
    let _lock = Lock::take(&folder.data(), "dolmen serve").unwrap();
    let pid = std::process::id();
    let held = format!("note: not measured: pid {pid} (dolmen serve) holds the data folder");
    for check in ["engine", "flush"] {
        assert_eq!(says(check, &folder, Roots::default(), None), [&*held]);
    }
    let limits = says("limits", &folder, Roots::default(), None).remove(0);
    let whose = format!("(of the running daemon, pid {pid})");
    assert!(limits.ends_with(&whose), "{limits}");
    assert_eq!(std::fs::read_dir(folder.data()).unwrap().count(), 1);
}

#[test]
fn measuring_leaves_nothing_behind() {
    let folder = Folder::new();
    let said = says("engine", &folder, Roots::default(), None).remove(0);
    assert!(said.contains("threads"), "{said}");
    assert_eq!(std::fs::read_dir(folder.data()).unwrap().count(), 0);
}

#[test]
fn who_may_change_the_data_is_told() {
    let folder = Folder::new();
    let config = folder.file("dolmen.toml", "");
    folder.set_mode("dolmen.toml", 0o646);
    folder.set_mode("data", 0o757);
    let said = says(
        "ownership",
        &folder,
        recorded("generic"),
        Some(config.clone()),
    );
    assert!(said[0].starts_with("error: DIR/data is of "), "{said:?}");
    assert!(said[0].ends_with("> chmod 750 DIR/data"), "{said:?}");
    assert!(
        said[1].starts_with("error: DIR/dolmen.toml is of "),
        "{said:?}"
    );

    folder.set_mode("data", 0o755);
    folder.set_mode("dolmen.toml", 0o644);
    let said = says("ownership", &folder, recorded("generic"), Some(config));
    assert!(said[0].starts_with("warning: "), "{said:?}");
    assert!(said[1].starts_with("ok: "), "{said:?}");

    std::fs::remove_dir(folder.data()).unwrap();
    let said = says("ownership", &folder, recorded("generic"), None);
    assert!(
        said[0].starts_with("error: the data folder DIR/data does not exist"),
        "{said:?}"
    );
}

#[test]
fn settings_that_are_refused_do_not_keep_the_rest_from_being_looked_at() {
    let folder = Folder::new();
    let config = folder.file("dolmen.toml", "[log]\nengin = 1\n");
    let said = says("config", &folder, recorded("nuc-i5"), Some(config.clone()));
    assert!(
        said[0].starts_with("error: DIR/dolmen.toml:2:1: unknown key"),
        "{said:?}"
    );
    let said = says("device", &folder, recorded("nuc-i5"), Some(config));
    assert!(said[0].contains("nvme0n1"), "{said:?}");
}

#[test]
fn a_probe_is_held_to_its_machine() {
    let folder = Folder::new();
    let said = || says("probe", &folder, recorded("generic-vm"), None).remove(0);
    assert!(said().starts_with("note: none: `dolmen probe --write`"));
    let probe = |kernel: &str| format!("schema = 1\nprobe.kernel = \"{kernel}\"\n");
    let release = std::fs::read_to_string(recorded("generic-vm").proc.join("sys/kernel/osrelease"));
    folder.file("data/probe.toml", &probe(release.unwrap().trim()));
    assert!(said().starts_with("ok: "), "{}", said());
    folder.file("data/probe.toml", &probe("4.4.0"));
    assert!(said().starts_with("warning: "), "{}", said());
    folder.file("data/probe.toml", "schema = 2");
    assert!(said().starts_with("error: "), "{}", said());
}
