//! `dolmen tune`, on copies of machines as they were written down.

use super::*;
use std::collections::BTreeMap;

/// A copy of a recorded machine that may be written to.
struct Machine {
    folder: Folder,
}

impl Machine {
    fn copy(name: &str) -> Self {
        let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/machines");
        let folder = Folder::new();
        let copied = Command::new("cp")
            .arg("-a")
            .arg(recorded.join(name))
            .arg(folder.path("root"))
            .status();
        assert!(copied.unwrap().success());
        let machine = Self { folder };
        // A file is no kernel: one that is written leaves the other as it is.
        let bytes = "proc/sys/vm/dirty_background_bytes";
        if machine.path(bytes).exists() {
            machine.put(bytes, "1048576");
        }
        machine.settings("");
        machine
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path("root").join(file)
    }

    fn put(&self, file: &str, text: &str) {
        fs::write(self.path(file), format!("{text}\n")).unwrap();
    }

    fn says(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap().trim().into()
    }

    fn settings(&self, text: &str) {
        fs::write(self.folder.path("dolmen.toml"), text).unwrap();
    }

    fn tune(&self, words: &[&str]) -> (i32, String, String) {
        run(&mut self.command(dolmen(), words))
    }

    fn command(&self, mut dolmen: Command, words: &[&str]) -> Command {
        dolmen.arg("tune").args(words);
        dolmen.arg("--root").arg(self.folder.path("root"));
        if !words.contains(&"off") {
            dolmen.args(["--data", "/var/lib/dolmen", "--config"]);
            dolmen.arg(self.folder.path("dolmen.toml"));
        }
        dolmen
    }

    fn json(&self, words: &[&str]) -> (i32, Value) {
        let (code, out, words) = self.tune(&[words, &["--json"]].concat());
        let json = serde_json::from_str(&out);
        (
            code,
            json.unwrap_or_else(|bad| panic!("{bad}: {out}{words}")),
        )
    }

    /// All that a tuner could have written to, with the scheduler in force.
    fn now(&self) -> BTreeMap<String, String> {
        let (_, json) = self.json(&["show"]);
        let tuners = json["tuners"].as_array().unwrap().iter();
        let files = tuners.flat_map(|tuner| tuner["files"].as_array().unwrap());
        let text = |value: &Value| value.as_str().unwrap().to_string();
        let pair = |file: &Value| (text(&file["file"]), text(&file["now"]));
        files.map(pair).collect()
    }
}

const RACK: &str = "\
TUNER             WANTED           NOW                STATE
disk_scheduler    none             none, mq-deadline  differs
socket_buffers    2097152 or more  212992             differs
swappiness        1                60                 differs
dirty_background  268435456        1048576            differs
cpu_governor      performance      schedutil          differs
";

#[test]
fn a_server_is_tuned_and_put_back() {
    let machine = Machine::copy("rack-nvme-plp");
    let before = machine.now();
    assert_eq!(machine.tune(&["list"]), (0, RACK.into(), String::new()));
    let (code, _, words) = machine.tune(&["verify"]);
    assert_eq!(code, 1);
    assert_eq!(
        words,
        "dolmen: not in force: disk_scheduler (now none, mq-deadline, wanted none), \
         socket_buffers (now 212992, wanted 2097152 or more), swappiness (now 60, wanted 1), \
         dirty_background (now 1048576, wanted 268435456), cpu_governor (now schedutil, wanted \
         performance); `dolmen tune apply` sets them\n"
    );

    let (code, table, words) = machine.tune(&["apply"]);
    assert_eq!((code, words.as_str()), (0, ""), "{table}");
    let outcomes: Vec<_> = table.lines().skip(1).collect();
    assert_eq!(outcomes.len(), 8, "{table}");
    let kept = outcomes
        .iter()
        .filter(|line| line.ends_with("  was in force"));
    assert_eq!(kept.count(), 1, "the disk that had no scheduler: {table}");
    let set = outcomes.iter().filter(|line| line.ends_with("  set"));
    assert_eq!(set.count(), 7, "{table}");
    assert_eq!(machine.says("proc/sys/vm/swappiness"), "1");
    assert_eq!(
        machine.says("sys/devices/system/cpu/cpufreq/policy1/scaling_governor"),
        "performance"
    );
    let in_force =
        "in force: disk_scheduler, socket_buffers, swappiness, dirty_background, cpu_governor\n";
    assert_eq!(
        machine.tune(&["verify"]),
        (0, in_force.into(), String::new())
    );

    // Typed twice it sets nothing, and the way back is still the first one.
    let (code, json) = machine.json(&["apply"]);
    assert_eq!((code, &json["settings"]), (0, &json!([])), "{json}");
    assert_eq!(json["tuners"][2]["state"], "in force");
    let (_, page, _) = machine.tune(&["show", "swappiness"]);
    assert!(page.starts_with("swappiness: in force\n"), "{page}");
    assert!(
        page.contains(
            "1 (tune.swappiness = 1, profile rack-nvme-plp (hw-profiles/rack-nvme-plp.toml:"
        ),
        "{page}"
    );
    assert!(page.contains("now     1, before 60\n"), "{page}");

    let (code, json) = machine.json(&["off"]);
    let settings = json["settings"].as_array().unwrap();
    assert_eq!((code, settings.len()), (0, 7), "{json}");
    assert!(
        settings.iter().all(|one| one["outcome"] == "put back"),
        "{json}"
    );
    assert_eq!(machine.now(), before);
    let nothing = (0, "nothing to put back\n".into(), String::new());
    assert_eq!(machine.tune(&["off"]), nothing);
}

#[test]
fn what_another_has_changed_meanwhile_is_left() {
    let machine = Machine::copy("rpi5-sd");
    assert_eq!(machine.tune(&["apply"]).0, 0);
    machine.put("proc/sys/vm/swappiness", "30");
    let (code, table, _) = machine.tune(&["off"]);
    assert_eq!(code, 0);
    assert!(table.contains("left: another has changed it\n"), "{table}");
    assert_eq!(machine.says("proc/sys/vm/swappiness"), "30");
    assert_eq!(machine.says("proc/sys/net/core/rmem_max"), "212992");
}

#[test]
fn the_settings_file_says_what_is_wanted_and_what_is_left_alone() {
    let machine = Machine::copy("rpi5-sd");
    machine.settings("[tune]\nswappiness = 20\nleave_alone = [\"socket_buffers\"]\n");
    let (_, json) = machine.json(&["list"]);
    let tuners = json["tuners"].as_array().unwrap();
    let states: Vec<_> = tuners
        .iter()
        .map(|one| one["state"].as_str().unwrap())
        .collect();
    let wanted = ["not named", "left alone", "differs", "differs", "not named"];
    assert_eq!(states, wanted);
    assert_eq!(
        (&tuners[2]["wanted"], &tuners[2]["layer"]),
        (&json!("20"), &json!("file"))
    );
    assert_eq!(machine.tune(&["apply"]).0, 0);
    assert_eq!(machine.says("proc/sys/vm/swappiness"), "20");
    assert_eq!(machine.says("proc/sys/net/core/rmem_max"), "212992");

    machine.settings("[tune]\nswapiness = 20\n");
    let (code, _, words) = machine.tune(&["apply"]);
    assert_eq!(code, 1);
    assert!(
        words.contains("2:1: unknown key tune.swapiness, did you mean tune.swappiness?"),
        "{words}"
    );
}

/// The shell does what `apply` would have done, where the tree is the root.
#[test]
fn the_script_does_what_apply_does() {
    let machine = Machine::copy("rack-nvme-plp");
    let (code, script, _) = machine.tune(&["show", "--script"]);
    assert_eq!(code, 0);
    let root = machine.folder.path("root").display().to_string();
    let script = script.replace("> /", &format!("> {root}/"));
    let (code, _, words) = run(Command::new("sh").args(["-c", &script]));
    assert_eq!((code, words.as_str()), (0, ""), "{script}");
    assert_eq!(machine.tune(&["verify"]).0, 0);
    let (_, script, _) = machine.tune(&["show", "--script"]);
    assert_eq!(script, "#!/bin/sh\n# nothing to do\n");
}

#[test]
fn a_container_has_nothing_to_set_and_nothing_fails() {
    let machine = Machine::copy("container");
    machine.settings("[tune]\nswappiness = 1\n");
    let (code, table, words) = machine.tune(&["apply"]);
    assert_eq!((code, words.as_str()), (0, ""), "{table}");
    assert!(
        table.contains("not supported: /proc/sys/vm/swappiness is mounted read-only\n"),
        "{table}"
    );
    assert!(
        table.contains("not supported: /proc/sys/net/core/rmem_max is not there\n"),
        "{table}"
    );
    let (code, said, _) = machine.tune(&["verify"]);
    assert_eq!(code, 0);
    assert!(
        said.starts_with("nothing that is named can be set here"),
        "{said}"
    );
    assert_eq!(machine.says("proc/sys/vm/swappiness"), "60");
}

#[test]
fn wrong_words_are_answered_in_a_line() {
    let machine = Machine::copy("rpi5-sd");
    let (code, _, words) = machine.tune(&["show", "swapiness"]);
    assert_eq!(code, 1);
    assert_eq!(
        words,
        "dolmen: there is no tuner \"swapiness\"; `dolmen tune list` shows all\n"
    );
    assert_eq!(machine.tune(&["show", "--script", "--json"]).0, 2);

    fs::create_dir_all(machine.path("run/dolmen-tune")).unwrap();
    fs::write(machine.path("run/dolmen-tune/saved.json"), "{").unwrap();
    for command in ["apply", "off", "show"] {
        let (code, _, words) = machine.tune(&[command]);
        assert_eq!((code, words.lines().count()), (1, 1), "{words}");
        assert!(
            words.contains("run/dolmen-tune/saved.json does not say what stood there"),
            "{words}"
        );
    }
    assert_eq!(machine.says("proc/sys/vm/swappiness"), "60");
}

#[test]
fn whoever_is_not_root_is_told_so_and_may_look() {
    let machine = Machine::copy("rpi5-sd");
    let root = machine.folder.path("root");
    let mut command = dolmen();
    if is_root() {
        let copy = machine.folder.path("dolmen");
        let copied = Command::new("cp").arg(binary()).arg(&copy).status();
        assert!(copied.unwrap().success());
        command = clean(Command::new(copy));
        std::os::unix::process::CommandExt::uid(&mut command, 65534);
    } else {
        let closed = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o555);
        fs::set_permissions(&root, closed).unwrap();
    }
    let (code, _, words) = run(&mut machine.command(command, &["apply"]));
    assert_eq!(code, 1);
    assert_eq!(
        words,
        "dolmen: this is root's to do: type it with sudo, or have systemctl enable --now \
         dolmen-tune do it at each start\n"
    );
    assert_eq!(machine.says("proc/sys/vm/swappiness"), "60");
    assert_eq!(machine.tune(&["list"]).0, 0);
}

/// The unit may write where the tuners do, and sees this machine's network.
#[test]
fn the_unit_lets_every_tuner_write() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/dolmen-tune.service");
    let unit = fs::read_to_string(unit).unwrap();
    let value = |key: &str| {
        let line = unit.lines().find_map(|line| line.strip_prefix(key));
        line.and_then(|line| line.strip_prefix('='))
    };
    let open: Vec<&str> = value("ReadWritePaths").unwrap().split(' ').collect();
    let machine = Machine::copy("rack-nvme-plp");
    for file in machine.now().keys() {
        // The kernel's own folders behind the links of /sys/class.
        let place = fs::canonicalize(machine.path(&file[1..])).unwrap();
        let place = Path::new("/").join(
            place
                .strip_prefix(fs::canonicalize(machine.path("")).unwrap())
                .unwrap(),
        );
        assert!(
            open.iter().any(|open| place.starts_with(open)),
            "{}",
            place.display()
        );
    }
    for hides in [
        "PrivateNetwork",
        "PrivateUsers",
        "ProtectKernelTunables",
        "ProcSubset",
    ] {
        assert_eq!(value(hides), None);
    }
    assert_eq!(value("Before"), Some("dolmen.service"));
    for (key, command) in [("ExecStart", "apply"), ("ExecStop", "off")] {
        let wanted = format!("/usr/bin/dolmen tune {command}");
        assert_eq!(value(key), Some(&*wanted));
    }
}
