//! One file for somebody who helps: what is in it, and what never is.

use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeMap;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::time::Instant;

const SUPER_PASSWORD: &str = "5uper-Passw0rd";
/// Of that password.
const SUPER_HASH: &str = "pc8581FuDOQpVbThMmqQ2PR0xz8=";
const SASL_PASSWORD: &str = "5asl\"Passw0rd";
const CLIENT_PASSWORD: &str = "cl1ent-Passw0rd";
const PATH: &str = "/5ecret-znode";
const DATA: &str = "5ecret-data-of-a-znode";
const COMMENT: &str = "c0mment-in-the-file";
const UNKNOWN_KEY: &str = "unkn0wn-key-in-the-file";
const UNKNOWN_VALUE: &str = "unkn0wn-value-in-the-file";
const WRONG_VALUE: &str = "wr0ng-value-in-the-file";
const OF_SYSTEMD: &str = "5ystemd-Passw0rd";
const DEBUGGED: &str = "5aid-at-the-level-debug";

/// The files of an unpacked bundle by their names.
struct Unpacked {
    file: PathBuf,
    files: BTreeMap<String, String>,
    /// What `--json` printed.
    list: Value,
}

impl Unpacked {
    fn text(&self, name: &str) -> &str {
        let found = self.files.get(name);
        found.unwrap_or_else(|| panic!("no {name}: {}", self.text("MISSING.txt")))
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_str(self.text(name)).unwrap()
    }

    #[track_caller]
    fn misses(&self, name: &str, why: &str) {
        let lines = self.text("MISSING.txt");
        let prefix = format!("{name}: ");
        let line = lines.lines().find(|line| line.starts_with(&prefix));
        assert!(
            line.is_some_and(|line| line.contains(why)),
            "{name}: {lines}"
        );
        assert!(!self.files.contains_key(name));
    }

    #[track_caller]
    fn holds_nothing_of(&self, secrets: &[String]) {
        for (name, text) in &self.files {
            check_clean(name, text, secrets);
        }
    }
}

/// As it is, and as base64 and hexadecimal digits would show it.
#[track_caller]
fn check_clean(name: &str, text: &str, secrets: &[String]) {
    for secret in secrets {
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        let json = Value::from(secret.as_str()).to_string();
        for form in [
            secret.as_str(),
            &STANDARD.encode(secret),
            &hex,
            json.trim_matches('"'),
        ] {
            assert!(!text.contains(form), "{name} holds {form}:\n{text}");
        }
    }
}

/// The command, with a folder of commands in the place of the machine's.
fn bundle_command(folder: &Folder, more: &[&str]) -> Command {
    let commands = folder.path("commands");
    fs::create_dir_all(&commands).unwrap();
    let mut command = dolmen();
    command.arg("support-bundle").args(more);
    command.env("PATH", format!("{}:/usr/bin:/bin", commands.display()));
    command
}

fn script(folder: &Folder, name: &str, text: &str) {
    let file = folder.path("commands").join(name);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Makes a bundle of the node whose settings lie in the folder, and has the
/// system's tar unpack it.
fn bundle(folder: &Folder) -> Unpacked {
    bundle_with(
        folder,
        &["--config", folder.path("dolmen.toml").to_str().unwrap()],
    )
}

fn bundle_with(folder: &Folder, more: &[&str]) -> Unpacked {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let file = folder.path(&format!("bundle-{}.tar.gz", COUNT.fetch_add(1, Relaxed)));
    let out = ["--json", "-o", file.to_str().unwrap()];
    let (code, out, words) = run(&mut bundle_command(folder, &[more, &out].concat()));
    assert_eq!((code, words.as_str()), (0, ""), "{out}");
    let unpacked = file.with_extension("unpacked");
    fs::create_dir(&unpacked).unwrap();
    let tar = Command::new("tar")
        .arg("-xzf")
        .arg(&file)
        .arg("-C")
        .arg(&unpacked)
        .status();
    assert!(tar.unwrap().success());
    let top = fs::read_dir(&unpacked).unwrap().next().unwrap().unwrap();
    assert!(
        top.file_name()
            .to_str()
            .unwrap()
            .starts_with("dolmen-support-")
    );
    let files = fs::read_dir(top.path()).unwrap().map(|entry| {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{entry:?}");
        let name = entry.file_name().into_string().unwrap();
        (name, fs::read_to_string(entry.path()).unwrap())
    });
    Unpacked {
        files: files.collect(),
        list: serde_json::from_str(&out).unwrap(),
        file,
    }
}

/// A node with a secret in every place that there is for one.
struct Planted {
    folder: Folder,
    node: Node,
    settings: String,
    secrets: Vec<String>,
}

impl Planted {
    fn start() -> Self {
        let folder = Folder::new();
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        fs::write(
            folder.path("door.pem"),
            params.self_signed(&key).unwrap().pem(),
        )
        .unwrap();
        let key = key.serialize_pem();
        fs::write(folder.path("door.key"), &key).unwrap();
        fs::write(
            folder.path("users"),
            format!("# {COMMENT}\nann:{SASL_PASSWORD}\n"),
        )
        .unwrap();
        // Held together, so that they differ.
        let ports = [0; 2].map(|_| UdpSocket::bind("127.0.0.1:0").unwrap());
        let [control, bulk] = ports.map(|port| port.local_addr().unwrap());
        let file = |name: &str| folder.path(name).display().to_string();
        let settings = format!(
            "{SMALL}# {COMMENT}\npeers.control.listen = \"{control}\"\npeers.bulk.listen = \"{bulk}\"\n\
             doors.zookeeper.super_digest = \"super:{SUPER_HASH}\" # {COMMENT}\n\
             doors.zookeeper.sasl_users_file = \"{}\"\n\
             doors.zookeeper.tls_certificate = \"{}\"\ndoors.zookeeper.tls_key = \"{}\"\n",
            file("users"),
            file("door.pem"),
            file("door.key"),
        );
        let node = Node::start_with(&folder, &settings);
        let mut secrets: Vec<String> = key.lines().map(str::to_owned).collect();
        secrets.retain(|line| !line.starts_with("-----"));
        secrets.extend(
            [
                SUPER_PASSWORD,
                SUPER_HASH,
                SASL_PASSWORD,
                CLIENT_PASSWORD,
                PATH,
                DATA,
                COMMENT,
            ]
            .map(String::from),
        );
        let mut planted = Self {
            folder,
            node,
            settings,
            secrets,
        };
        planted.use_them();
        planted
    }

    /// Writes, reads and mistakes, as every user of a secret makes them.
    fn use_them(&mut self) {
        let status = self.node.ask("status").unwrap();
        let server = status["doors"]["zookeeper"].as_str().unwrap().to_owned();
        let zk = |words: &[&str]| run(dolmen().arg("zk").args(words).args(["--server", &server]));
        let as_client = ["--auth", &format!("digest:carol:{CLIENT_PASSWORD}")];
        let as_super = ["--auth", &format!("digest:super:{SUPER_PASSWORD}")];
        let good = |words: &[&str]| assert_eq!(zk(words).0, 0, "{words:?}");
        let bad = |words: &[&str]| assert_eq!(zk(words).0, 1, "{words:?}");
        good(
            &[
                &["create", PATH, DATA, "--acl", "auth::cdrwa"],
                &as_client[..],
            ]
            .concat(),
        );
        good(&[&["get", PATH], &as_client[..]].concat());
        good(&[&["quota", PATH, "--bytes", "3"], &as_super[..]].concat());
        good(&[&["set", PATH, &format!("{DATA}{DATA}")], &as_client[..]].concat());
        bad(&["get", PATH]);
        bad(&["set", &format!("{PATH}/not-there"), DATA]);
        bad(&[
            &["set", "/dolmen/config/replica.snapshot_entries", DATA],
            &as_super[..],
        ]
        .concat());
        self.node.ask("init").unwrap();
        let token = self.admin(json!({ "ask": "token_create", "role": "voter", "hours": 1 }));
        let token = token.unwrap()["token"].as_str().unwrap().to_owned();
        self.secrets
            .push(token.split(['.', '@']).nth(3).unwrap().to_owned());
        // A member need not join, and says so without the token.
        let joined = self.admin(json!({ "ask": "join", "token": token, "discard": false }));
        assert_eq!(joined.unwrap()["already"], true);
        self.secrets.push(token);
    }

    fn admin(&self, question: Value) -> Result<Value, String> {
        ask(&self.node.admin, &question).map_err(|error| error.to_string())
    }

    /// A service manager that tells what the node said, and secrets of its own.
    fn have_systemd(&mut self) {
        let said = |message: &str, priority: u8, target: bool| {
            let mut entry = json!({
                "__REALTIME_TIMESTAMP": "951782399000000",
                "SYSLOG_IDENTIFIER": "dolmen",
                "_PID": "7",
                "PRIORITY": priority.to_string(),
                "MESSAGE": message,
                "_CMDLINE": format!("dolmen serve --set a.b={OF_SYSTEMD}"),
            });
            if target {
                entry["TARGET"] = json!("dolmen");
            }
            format!("{entry}\n")
        };
        let mut journal: String = self
            .node
            .words()
            .lines()
            .map(|line| said(line, 5, true))
            .collect();
        let key = fs::read_to_string(self.folder.path("door.key")).unwrap();
        let token = self.secrets.last().expect("the token is the last");
        // What the daemon holds, as a panic might say it.
        for held in key.lines().chain([SUPER_HASH, SASL_PASSWORD, token]) {
            journal += &said(&format!("panicked: {held:?} at"), 6, false);
        }
        journal += &said(
            &format!("auth digest:carol:{CLIENT_PASSWORD} failed"),
            4,
            true,
        );
        journal += &said(
            &format!("d.toml:3:1: unknown key node.{UNKNOWN_KEY}; here are node"),
            3,
            false,
        );
        journal += &said(DEBUGGED, 6, true);
        fs::write(self.folder.path("journal"), journal).unwrap();
        let file = self.folder.path("journal").display().to_string();
        script(&self.folder, "journalctl", &format!("cat {file}"));
        let show = format!(
            "LoadState=loaded\nEnvironment=A={OF_SYSTEMD} \"B={OF_SYSTEMD} c\"\nSetCredential=users:{OF_SYSTEMD}"
        );
        let cat = format!(
            "# /usr/lib/systemd/system/dolmen.service\n# {COMMENT}\n[Service]\nUser=dolmen\n\
             Environment=A={OF_SYSTEMD} \\\\\n  B={OF_SYSTEMD}\nSetCredential=users:{OF_SYSTEMD}\n\
             ExecStart=/usr/bin/dolmen serve --set a.b={OF_SYSTEMD}\n"
        );
        let text = format!(
            "case $1 in\nshow) cat <<'X'\n{show}\nX\n;;\ncat) cat <<'X'\n{}\nX\n;;\nesac",
            cat.replace("\\\\", "\\")
        );
        script(&self.folder, "systemctl", &text);
        self.secrets
            .extend([OF_SYSTEMD, DEBUGGED].map(String::from));
    }
}

#[test]
fn what_a_running_node_says_holds_no_secret_and_no_user_s_data() {
    let planted = Planted::start();
    let secrets = &planted.secrets;
    let node = &planted.node;
    send("HUP", node.pid());
    node.until_it_says("settings read again");
    check_clean("the log", &node.words(), secrets);
    for path in ["/status", "/metrics", "/health", "/"] {
        check_clean(path, &get(node.operator(), path).body, secrets);
    }
    for arguments in [&["status"][..], &["status", "--json"]] {
        let (code, out, _) = run(dolmen().args(arguments).arg("--socket").arg(&node.admin));
        assert_eq!(code, 0);
        check_clean("status", &out, secrets);
    }
    let file = planted.folder.path("dolmen.toml").display().to_string();
    for more in [&[][..], &["--json"]] {
        let (code, out, words) = run(dolmen()
            .args(["profile", "show", "--config", &file])
            .args(more));
        assert_eq!(code, 0, "{words}");
        assert!(out.contains("(set)"), "{out}");
        check_clean("profile show", &out, secrets);
    }
    check_clean(
        "the chronicle",
        &json!(node.chronicle()).to_string(),
        secrets,
    );
}

#[test]
fn a_bundle_has_what_helps_and_no_secret() {
    let mut planted = Planted::start();
    planted.have_systemd();
    let whole = bundle(&planted.folder);
    whole.holds_nothing_of(&planted.secrets);
    assert_eq!(whole.text("MISSING.txt"), "nothing is missing\n");
    assert_eq!(whole.json("status.json")["state"], "serving");
    assert_eq!(whole.json("chronicle.json")[0]["event"]["what"], "started");
    assert!(
        whole
            .text("operator-metrics.txt")
            .contains("\ndolmen_serving 1\n")
    );
    assert!(whole.text("data-list.txt").contains("  identity\n"));
    let heads = whole.text("data-heads.txt");
    assert!(
        heads.contains("journal/0000000000000001.jrn  number 1, epoch "),
        "{heads}"
    );
    assert!(heads.contains("replica/logs/1-0-"), "{heads}");
    assert_eq!(whole.json("data-memos.json")["membership"]["node"], 1);
    assert!(
        whole.json("doctor.json")["findings"]
            .as_array()
            .unwrap()
            .len()
            > 10
    );
    let settings = whole.json("settings.json");
    let setting = |key: &str| {
        let mut all = settings["settings"].as_array().unwrap().iter();
        all.find(|one| one["key"] == key).unwrap().clone()
    };
    assert_eq!(setting("doors.zookeeper.super_digest")["value"], "(set)");
    assert_eq!(setting("log.engine")["value"], "threads");
    assert_eq!(setting("log.engine")["layer"], "file");
    let unit = whole.text("unit-files.txt");
    assert!(
        unit.contains("# /usr/lib/systemd/system/dolmen.service\n[Service]\nUser=dolmen\n"),
        "{unit}"
    );
    assert!(
        unit.contains("Environment=A=(redacted) B=(redacted)\n"),
        "{unit}"
    );
    assert!(
        whole
            .text("journal.txt")
            .contains("> dolmen[7] <5>serving data=")
    );
    let manifest = whole.text("MANIFEST.txt");
    for name in whole.files.keys().filter(|name| !name.starts_with('M')) {
        assert!(
            manifest.contains(&format!("\n{name} ")),
            "{name}: {manifest}"
        );
    }
    assert!(
        manifest.contains("     1  lines of the journal below the level info\n"),
        "{manifest}"
    );
    assert_eq!(whole.list["file"], whole.file.to_str().unwrap());

    // Settings that were broken while the node runs; a password on the wrong line.
    let wrong = [UNKNOWN_KEY, UNKNOWN_VALUE, WRONG_VALUE].map(String::from);
    let secrets = [&planted.secrets[..], &wrong].concat();
    let settings = planted.folder.path("dolmen.toml").display().to_string();
    let socket = planted.node.admin.display().to_string();
    for (section, prefix) in [("", "node."), ("[node]\n", "")] {
        let more = format!(
            "{}{section}{prefix}{UNKNOWN_KEY} = \"{UNKNOWN_VALUE}\"\n\
             {prefix}log_level = \"{WRONG_VALUE}\"\n",
            planted.settings
        );
        planted.folder.write_settings("127.0.0.1:0", &more);
        let arguments = ["--config", &settings, "--socket", &socket];
        let broken = bundle_with(&planted.folder, &arguments);
        broken.holds_nothing_of(&secrets);
        assert_eq!(broken.json("status.json")["state"], "serving");
        let refused = broken.json("settings.json")["refused"].clone();
        assert_ne!(refused.as_array().unwrap().len(), 0);
    }
}

#[test]
fn refused_settings_are_told_by_their_place_and_the_rest_is_there() {
    let folder = Folder::new();
    Node::start(&folder).stop();
    let file = folder.path("dolmen.toml");
    let before = fs::read_to_string(&file).unwrap();
    let refused = |text: &str| {
        fs::write(&file, text).unwrap();
        let bundle = bundle(&folder);
        bundle.holds_nothing_of(
            &[UNKNOWN_KEY, UNKNOWN_VALUE, WRONG_VALUE, COMMENT, SUPER_HASH].map(String::from),
        );
        let refused = bundle.json("settings.json")["refused"].clone();
        let place = format!("{}:", file.display());
        let places = refused.as_array().unwrap().iter().map(|fault| {
            let fault = fault.as_str().unwrap();
            fault
                .strip_prefix(&place)
                .unwrap_or_else(|| panic!("{fault}"))
                .to_owned()
        });
        (places.collect::<Vec<_>>(), bundle)
    };
    let lines = before.lines().count();
    let (faults, bundle) = refused(&format!(
        "{before}log.core = \"{WRONG_VALUE}\" # {COMMENT}\nlog.{UNKNOWN_KEY} = \"{UNKNOWN_VALUE}\"\n"
    ));
    assert_eq!(
        faults,
        [
            format!(
                "{}:12: log.core is one of \"last\", \"any\", not (redacted)",
                lines + 1
            ),
            format!(
                "{}:5: unknown key (redacted); here are node, admin, doors, eventlog, peers, coordination, log, tune",
                lines + 2
            ),
        ]
    );
    // What is right of them leads to the data folder.
    assert!(bundle.text("data-list.txt").contains("  identity\n"));

    let (faults, bundle) = refused(&format!(
        "node.data = \"{}\"\n# {COMMENT}\ndoors.zookeeper.super_digest = super:{SUPER_HASH}\n",
        folder.data().display()
    ));
    assert_eq!(faults.len(), 1);
    assert!(faults[0].starts_with("3:"), "{faults:?}");
    bundle.misses("status.json", "no daemon answers on /run/dolmen/admin.sock");

    fs::remove_file(&file).unwrap();
    let arguments = ["--config", file.to_str().unwrap()];
    let (code, _, words) = run(&mut bundle_command(&folder, &arguments));
    assert_eq!(code, 1);
    assert!(
        words.contains("there are no settings of a node at "),
        "{words}"
    );
}

#[test]
fn a_node_that_is_down_is_told_of_from_what_it_left() {
    let folder = Folder::new();
    let node = Node::start(&folder);
    node.stop();
    fs::write(folder.path("data/tls-of-somebody"), COMMENT).unwrap();
    let bundle = bundle(&folder);
    bundle.holds_nothing_of(&[COMMENT.to_owned()]);
    for name in ["status.json", "chronicle.json"] {
        bundle.misses(name, "no daemon answers on ");
    }
    assert!(bundle.text("data-list.txt").contains("  tls-of-somebody\n"));
    assert!(bundle.text("data-heads.txt").contains("ends clean"));
    let manifest = bundle.text("MANIFEST.txt");
    assert!(
        manifest.contains("daemon:        does not answer: no daemon"),
        "{manifest}"
    );
    fs::remove_dir_all(folder.data()).unwrap();
    let bundle = self::bundle(&folder);
    bundle.misses("data-list.txt", "No such file");
    bundle.misses("data-heads.txt", "there is no file of a log");
}

#[test]
fn a_reduced_node_gives_its_reason() {
    let folder = Folder::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let settings = folder.write_settings(&address, SMALL);
    for _ in 0..3 {
        refusal(&settings);
    }
    let node = Node::start(&folder);
    let bundle = bundle(&folder);
    let reason = format!("cannot listen on {address}, which is in use");
    assert_eq!(bundle.json("status.json")["state"], "reduced");
    for name in ["status.json", "operator-health.txt", "data-memos.json"] {
        assert!(bundle.text(name).contains(&reason), "{}", bundle.text(name));
    }
    bundle.misses("chronicle.json", "the chronicle is not open");
    node.stop();
}

#[test]
fn what_hangs_costs_seconds_and_not_the_bundle() {
    let folder = Folder::new();
    // Connections are taken by the kernel, and nobody reads.
    let _socket = UnixListener::bind(folder.path("admin.sock")).unwrap();
    let door = TcpListener::bind("127.0.0.1:0").unwrap();
    folder.write_settings(&door.local_addr().unwrap().to_string(), SMALL);
    script(&folder, "systemctl", "exec sleep 1000");
    script(&folder, "journalctl", "exec sleep 1000");
    let began = Instant::now();
    let bundle = bundle(&folder);
    assert!(
        began.elapsed() < Duration::from_secs(90),
        "{:?}",
        began.elapsed()
    );
    bundle.misses("status.json", "did not answer in 5 s");
    bundle.misses("chronicle.json", "did not answer in 5 s");
    bundle.misses("operator-metrics.txt", "did not answer in 5 s");
    bundle.misses("unit-show.txt", "systemctl: no answer in 7 s");
    bundle.misses("journal.txt", "journalctl: no answer in 7 s");
    assert!(
        bundle
            .text("machine.json")
            .contains(env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn nothing_is_written_over_and_a_bundle_is_for_its_owner() {
    let folder = Folder::new();
    folder.write_settings("off", SMALL);
    let settings = folder.path("dolmen.toml").display().to_string();
    let here = folder.path("here");
    fs::create_dir(&here).unwrap();
    let make = |more: &[&str]| {
        let more = [&["--config", &settings][..], more].concat();
        run(bundle_command(&folder, &more).current_dir(&here))
    };
    for _ in 0..2 {
        let (code, out, words) = make(&[]);
        assert_eq!((code, words.as_str()), (0, ""));
        assert!(
            out.contains("settings.json") && out.contains("missing: "),
            "{out}"
        );
    }
    let made: Vec<_> = fs::read_dir(&here)
        .unwrap()
        .map(|entry| entry.unwrap())
        .collect();
    assert_eq!(made.len(), 2, "{made:?}");
    for entry in &made {
        let name = entry.file_name().into_string().unwrap();
        assert!(
            name.starts_with("dolmen-support-") && name.ends_with(".tar.gz"),
            "{name}"
        );
        assert_eq!(
            entry.metadata().unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
    let mine = folder.path("mine");
    fs::write(&mine, "mine").unwrap();
    let (code, _, words) = make(&["-o", mine.to_str().unwrap()]);
    assert_eq!(code, 1);
    assert!(
        words.contains("mine is there already: name another file with -o"),
        "{words}"
    );
    assert_eq!(fs::read_to_string(&mine).unwrap(), "mine");
    let (code, _, words) = make(&["-o", folder.path("no/such").to_str().unwrap()]);
    assert_eq!(code, 1);
    assert!(
        words.contains("name a place that this user may write to"),
        "{words}"
    );
}
