//! The layers of a node's settings, and what is refused in them.

use super::{Folder, fixtures, recorded};
use dolmen::daemon::config::{Config, Loaded, SETTINGS, Sources, example, variable};
use dolmen::profile::{Document, Fault, Given, Machine, Value};
use std::path::{Path, PathBuf};

/// What a test changes of a node's sources.
#[derive(Default)]
struct Told<'a> {
    file: Option<PathBuf>,
    data: Option<PathBuf>,
    environment: &'a [(&'a str, &'a str)],
    set: &'a [&'a str],
}

fn load(machine: &str, given: Told<'_>) -> Result<Loaded, Vec<Fault>> {
    let machine = |_: &Path| -> Machine { recorded(machine) };
    let pair = |(name, text): &(&str, &str)| (name.into(), text.into());
    Config::load(Sources {
        file: given.file,
        data: given.data,
        environment: given.environment.iter().map(pair).collect(),
        set: given.set.iter().map(ToString::to_string).collect(),
        machine: &machine,
        profile_folders: Vec::new(),
    })
}

#[track_caller]
fn refused(given: Told<'_>, wanted: &[&str]) {
    let faults = load("generic", given).err().unwrap_or_default();
    let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(told, wanted);
}

const PROBE: &str = "schema = 1
[probe]
kernel = \"6.12.99\"
device = \"MARK\"
flush_p99_us = 4711.5
[log]
segment_mib = 5
journal_bypass_kib = 128
";

#[test]
fn each_layer_covers_those_below_it() {
    let folder = Folder::new("layers");
    let mark = recorded("rpi5-nvme").disk.mark.unwrap();
    folder.file("probe.toml", &PROBE.replace("MARK", &mark));
    let file = folder.file("dolmen.toml", "[log]\nsegment_mib = 6\nreserve_mib = 6\n");
    let loaded = load(
        "rpi5-nvme",
        Told {
            file: Some(file.clone()),
            data: Some(folder.0.clone()),
            environment: &[
                ("DOLMEN_LOG_SEGMENT_MIB", "7"),
                ("DOLMEN_LOG_RESERVE_MIB", "7"),
                ("PATH", "/bin"),
            ],
            set: &["log.segment_mib=8"],
        },
    )
    .unwrap();
    let origin = |key| {
        let setting = loaded.layers.setting(key);
        format!("{} {}", setting.value.as_ref().unwrap(), setting.origin)
    };
    assert_eq!(
        origin("admin.socket"),
        "\"/run/dolmen/admin.sock\" built-in"
    );
    let place = line_of(
        include_str!("../../hw-profiles/rpi5-nvme.toml"),
        "ring_entries = ",
    );
    assert_eq!(
        origin("log.ring_entries"),
        format!("64 profile rpi5-nvme (hw-profiles/rpi5-nvme.toml:{place}:16)")
    );
    assert_eq!(
        origin("log.journal_bypass_kib"),
        format!("128 probe {}:8:22", folder.0.join("probe.toml").display())
    );
    assert_eq!(
        origin("log.reserve_mib"),
        "7 environment DOLMEN_LOG_RESERVE_MIB"
    );
    assert_eq!(origin("log.segment_mib"), "8 command line --set");
    assert_eq!(
        origin("node.data"),
        format!("\"{}\" command line --data", folder.0.display())
    );
    assert_eq!(loaded.config.log.segment_mib, 8);
    assert_eq!(loaded.config.data, folder.0);
    assert_eq!(loaded.profile.unwrap().name, "rpi5-nvme");
    assert_eq!(loaded.notes, Vec::<String>::new());

    let loaded = load(
        "rpi5-nvme",
        Told {
            file: Some(file.clone()),
            ..Told::default()
        },
    )
    .unwrap();
    let setting = loaded.layers.setting("log.segment_mib");
    assert_eq!(
        setting.origin.to_string(),
        format!("file {}:2:15", file.display())
    );
}

fn line_of(text: &str, start: &str) -> usize {
    1 + text
        .lines()
        .position(|line| line.starts_with(start))
        .unwrap()
}

#[test]
fn a_probe_of_another_disk_or_kernel_is_set_aside() {
    let folder = Folder::new("stale");
    let note = |machine: &str| {
        let data = Some(folder.0.clone());
        let loaded = load(
            machine,
            Told {
                data,
                ..Told::default()
            },
        )
        .unwrap();
        assert_ne!(loaded.config.log.segment_mib, 5);
        loaded.notes.join("; ")
    };
    let probe = folder.file("probe.toml", PROBE).display().to_string();
    assert_eq!(
        note("rpi5-nvme"),
        format!("{probe} is set aside: it ran on another disk; run `dolmen probe --write` again")
    );
    assert_eq!(
        note("generic"),
        format!(
            "{probe} is set aside: it ran on kernel 6.12.99, this is 6.1.0-38-amd64; run `dolmen probe --write` again"
        )
    );
}

#[test]
fn a_file_that_cannot_be_read_is_refused() {
    let file = fixtures().join("no-such-file.toml");
    let wanted = format!(
        "{}: cannot be read: No such file or directory (os error 2)",
        file.display()
    );
    refused(
        Told {
            file: Some(file),
            ..Told::default()
        },
        &[&wanted],
    );
}

#[test]
fn variables_and_options_are_checked_like_the_file() {
    refused(
        Told {
            environment: &[
                ("DOLMEN_LOG_ENGIN", "auto"),
                ("DOLMEN_LOG_SEGMENT_MIB", "64M"),
                ("DOLMEN_SEED", "8412"),
            ],
            set: &["log.engine", "log.engin=uring", "log.engine=fast"],
            ..Told::default()
        },
        &[
            "DOLMEN_LOG_ENGIN: unknown key log.engin, did you mean log.engine?",
            "DOLMEN_LOG_SEGMENT_MIB: log.segment_mib is a whole number of MiB from 1 to 1024, not 64M",
            "--set: \"log.engine\" is not of the form key=value",
            "--set: unknown key log.engin, did you mean log.engine?",
            "--set: log.engine is one of \"auto\", \"uring\", \"threads\", not fast",
        ],
    );
}

#[test]
fn the_operator_door_stays_on_this_machine_until_it_is_opened() {
    let folder = Folder::new("doors");
    let door = |lines: &str| {
        let file = folder.file("dolmen.toml", &format!("[doors.operator]\n{lines}"));
        Told {
            file: Some(file),
            ..Told::default()
        }
    };
    let beyond = |address: &str| {
        format!(
            "{}:2:10: doors.operator.listen is {address}, which other machines reach, and this door asks nobody who they are: listen on 127.0.0.1 or [::1], or set doors.operator.open = true",
            folder.0.join("dolmen.toml").display()
        )
    };
    refused(
        door("listen = \"0.0.0.0:7080\""),
        &[&beyond("0.0.0.0:7080")],
    );
    refused(door("listen = \"[::]:7080\""), &[&beyond("[::]:7080")]);
    refused(
        door("listen = \"10.0.0.7:7080\"\nopen = false"),
        &[&beyond("10.0.0.7:7080")],
    );
    for lines in [
        "listen = \"0.0.0.0:7080\"\nopen = true",
        "listen = \"127.0.0.2:7080\"",
        "listen = \"[::1]:7080\"",
        "listen = \"off\"",
    ] {
        refused(door(lines), &[]);
    }
    let file = folder.file("dolmen.toml", "doors.operator.listen = \"localhost\"");
    let wanted = format!(
        "{}:1:25: doors.operator.listen is an address and a port such as \"127.0.0.1:7080\", or \"off\", not \"localhost\"",
        file.display()
    );
    refused(
        Told {
            file: Some(file),
            ..Told::default()
        },
        &[&wanted],
    );
}

/// A knob that nothing reads does not exist: each value here differs from the
/// one built in, and so must the configuration.
#[test]
fn the_kafka_door_is_refused_where_anybody_could_come_in() {
    let folder = Folder::new("kafka");
    let said = |lines: &str, says: &[String]| {
        let file = folder.file("dolmen.toml", &format!("[doors.kafka]\n{lines}"));
        let says: Vec<&str> = says.iter().map(String::as_str).collect();
        let file = Some(file);
        refused(
            Told {
                file,
                ..Told::default()
            },
            &says,
        );
    };
    let at = |place: &str, says: &str| {
        let file = folder.0.join("dolmen.toml");
        format!("{}:{place}: {says}", file.display())
    };
    let beyond = |address: &str| {
        at(
            "2:10",
            &format!(
                "doors.kafka.listen is {address}, which other machines reach, and anybody there could read and write: set doors.kafka.tls_certificate, tls_key and tls_required = true, or listen on 127.0.0.1 or [::1], or set doors.kafka.open = true"
            ),
        )
    };
    said("listen = \"0.0.0.0:9092\"", &[beyond("0.0.0.0:9092")]);
    let tls = "tls_certificate = \"/c\"\ntls_key = \"/k\"\n";
    // Who may be asked for by SASL, and what they say to each other read.
    said(
        &format!("listen = \"10.0.0.7:1\"\nsasl_required = true\n{tls}"),
        &[beyond("10.0.0.7:1")],
    );
    for lines in [
        "listen = \"0.0.0.0:9092\"\nopen = true".to_string(),
        format!("listen = \"[::]:9092\"\ntls_required = true\n{tls}"),
        "listen = \"127.0.0.2:9092\"\nsasl_required = true".into(),
        "listen = \"off\"".into(),
        "advertise = \"[fd00::1]:9092\"".into(),
    ] {
        said(&lines, &[]);
    }
    for (lines, place, says) in [
        (
            "tls_certificate = \"/c\"",
            "2:19",
            "doors.kafka.tls_certificate is set and doors.kafka.tls_key is not",
        ),
        (
            "tls_key = \"/k\"",
            "2:11",
            "doors.kafka.tls_key is set and doors.kafka.tls_certificate is not",
        ),
        (
            "tls_required = true",
            "2:16",
            "doors.kafka.tls_required is true and there is no doors.kafka.tls_certificate",
        ),
        (
            "advertise = \"box\"",
            "2:13",
            "doors.kafka.advertise is \"box\", which is no place to come to (it has no port): write it as host:port",
        ),
    ] {
        said(lines, &[at(place, says)]);
    }
}

#[test]
fn a_rack_is_a_name() {
    let rack = |name: &str, says: &[&str]| {
        let set = format!("node.rack={name}");
        refused(
            Told {
                set: &[&set],
                ..Told::default()
            },
            says,
        );
    };
    rack("left, at the door", &[]);
    let says = "--set: node.rack is a name of 1 to 256 bytes without control characters";
    rack(&"a".repeat(257), &[says]);
    rack("a\tb", &[says]);
}

#[test]
fn every_setting_is_documented_and_read() {
    let built_in = format!("{:?}", Config::built_in());
    for knob in SETTINGS.iter().flat_map(|table| table.iter()) {
        assert!(
            knob.doc.ends_with('.'),
            "{}: {:?} is no sentence",
            knob.key,
            knob.doc
        );
        if let Some(default) = &knob.default {
            assert!(knob.kind.takes(default), "{} = {default}", knob.key);
        }
        let other = match knob.key {
            "log.engine" => "threads",
            "node.log_level" => "debug",
            "node.data" | "admin.socket" => "/elsewhere",
            "doors.operator.listen" | "doors.zookeeper.listen" | "doors.kafka.listen" => "off",
            "doors.kafka.advertise" => "box:17",
            "peers.control.listen" | "peers.bulk.listen" => "127.0.0.1:17",
            // Read by the rules of the doors.
            "doors.operator.open" | "doors.zookeeper.open" | "doors.kafka.open" => continue,
            // Read with the certificate that they belong to.
            "doors.zookeeper.tls_key"
            | "doors.zookeeper.tls_client_ca"
            | "doors.zookeeper.tls_required"
            | "doors.kafka.tls_key"
            | "doors.kafka.tls_client_ca"
            | "doors.kafka.tls_required" => continue,
            "doors.zookeeper.read_only" => "false",
            "doors.kafka.sasl_required" => "true",
            "doors.zookeeper.tls_certificate"
            | "doors.kafka.tls_certificate"
            | "doors.zookeeper.sasl_users_file" => "/elsewhere",
            "coordination.election_timeout_ms" => "1700",
            "log.journal_direct_io" => "false",
            "log.core" => "any",
            // Read by `dolmen tune`, whose own test asks for a reader of each.
            key if key.starts_with("tune.") => continue,
            _ => "17",
        };
        let mut layers = dolmen::profile::Layers::built_in(SETTINGS);
        layers.lay(&[Given {
            knob,
            value: knob.read(other).unwrap(),
            origin: layers.setting(knob.key).origin.clone(),
        }]);
        assert_ne!(
            format!("{:?}", Config::of(&layers)),
            built_in,
            "{} is not read",
            knob.key
        );
    }
}

#[test]
fn variables_do_not_meet() {
    let keys = SETTINGS.iter().flat_map(|table| table.iter());
    let mut variables: Vec<String> = keys.map(|knob| variable(knob.key)).collect();
    let count = variables.len();
    variables.sort();
    variables.dedup();
    assert_eq!(variables.len(), count);
}

/// `DOLMEN_REWRITE=1 cargo test` writes it anew.
#[test]
fn the_shipped_file_is_the_example() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/dolmen.toml");
    if std::env::var_os("DOLMEN_REWRITE").is_some() {
        std::fs::write(&file, example()).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), example());
}

#[test]
fn the_example_says_what_is_built_in() {
    let uncommented: String = example()
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(setting) if !setting.starts_with([' ', '#']) => format!("{setting}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let document = Document::parse("dolmen.toml", uncommented.as_bytes()).unwrap();
    // A section of which nothing is built in says nothing.
    let shown: Vec<String> = document
        .entries
        .iter()
        .filter(|entry| entry.value != Value::Other("a table"))
        .map(|entry| format!("{} = {}", entry.key, entry.value))
        .collect();
    let built_in: Vec<String> = SETTINGS
        .iter()
        .flat_map(|table| table.iter())
        .filter_map(|knob| {
            let default = knob.default.as_ref()?;
            Some(format!("{} = {default}", knob.key))
        })
        .collect();
    assert_eq!(shown, built_in);
}
