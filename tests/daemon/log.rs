//! The log under the daemon: what is told of it, and the chronicle in it.

use super::*;
use dolmen::clock::MachineClock;
use dolmen::daemon::chronicle::{Chronicle, Event, LOG};
use dolmen::daemon::logs::FORMATS;
use dolmen::disk::testing::with_writes_failing_behind;
use dolmen::disk::{self, Disk, Engine, RealDisk};
use dolmen::entropy::MachineEntropy;
use dolmen::ids::{Index, LogId, Offset};
use dolmen::limits::{CHRONICLE_ASKED_MAX, CHRONICLE_RECORDS_MAX};
use dolmen::log::{FRAMES, Hooks, Opening, Owner, Records, Settings, open, start};
use dolmen::streams::batch::build::Builder;
use dolmen::streams::batch::codec::Codec;
use dolmen::streams::batch::format::BATCHES;
use dolmen::streams::batch::records::{Headers, Record};
use std::sync::Arc;

/// What befell a node, a word each.
fn what(records: &[Value]) -> Vec<&str> {
    fn word(record: &Value) -> &str {
        record["event"]["what"].as_str().unwrap()
    }
    records.iter().map(word).collect()
}

#[test]
fn a_life_is_written_down_and_a_clean_stop_spares_the_scan() {
    let folder = Folder::new();
    let node = Node::start(&folder);
    node.until_it_says("the log is open: a new data folder engine=\"threads\" chronicle=0");
    send("HUP", node.pid());
    node.until_it_says("settings read again level=info chronicle=2");
    node.stop();

    let node = Node::start(&folder);
    let opening = node.ask("status").unwrap()["log"]["opening"].clone();
    let clean = json!({
        "is_new": false, "was_clean": true, "replayed_batches": 0, "replayed_bytes": 0,
        "scanned_bytes": 0, "torn": null,
    });
    assert_eq!(opening, clean);
    assert!(
        node.words()
            .contains("the log is open: after a clean stop, nothing scanned"),
        "{}",
        node.words()
    );
    let life = [
        "started",
        "profile_chosen",
        "settings_reloaded",
        "stopping",
        "started",
        "profile_chosen",
    ];
    assert_eq!(what(&node.chronicle()), life);
    assert_eq!(node.chronicle()[3]["says"], "stopping: SIGTERM");

    node.kill(&folder);
    let node = Node::start(&folder);
    let log = node.ask("status").unwrap()["log"].clone();
    assert_eq!(log["opening"]["was_clean"], false);
    assert!(
        log["opening"]["replayed_bytes"].as_u64().unwrap() > 0,
        "{log}"
    );
    assert_eq!(node.chronicle()[..6].len(), 6);
    assert_eq!(node.chronicle().len(), 8);
}

#[test]
fn the_logs_figures_are_in_status_and_metrics() {
    let folder = Folder::new();
    let node = Node::start(&folder);
    send("HUP", node.pid());
    node.until_it_says("settings read again");
    // Asked of the log's thread twice a second.
    until("the figures are there", || {
        let appends = &node.ask("status").unwrap()["log"]["appends"];
        (*appends == 3).then_some(())
    });
    let metrics = get(node.operator(), "/metrics").body;
    for line in [
        "dolmen_log_engine_uring 0",
        "dolmen_log_reserve_held 1",
        "dolmen_logs 1",
        "dolmen_log_appends_total 3",
        "dolmen_log_opened_clean 0",
    ] {
        assert!(metrics.contains(&format!("\n{line}\n")), "{metrics}");
    }
    let status = node.ask("status").unwrap();
    assert_eq!(status["log"]["engine"], "threads");
    assert_eq!(status["log"]["engine_reason"], "threads: as configured");
    assert!(fs::metadata(folder.path("data/reserve")).unwrap().len() == 17 << 20);
}

#[test]
fn a_class_that_is_not_granted_is_a_warning() {
    let folder = Folder::new();
    let node = Node::start(&folder);
    let status = node.ask("status").unwrap();
    let warnings = status["warnings"].as_array().unwrap();
    for (class, thread) in [
        (&status["log"]["class"], "the log's thread"),
        (&status["doors_class"], "the doors' thread"),
    ] {
        let is_granted = class == "as designed";
        let is_warned = warnings
            .iter()
            .any(|warning| warning.as_str().unwrap().starts_with(thread));
        assert_eq!(is_granted, !is_warned, "{status}");
        let is_told = node.words().contains(&format!("<4>{thread}"));
        assert_eq!(is_told, is_warned, "{}", node.words());
    }
}

#[test]
fn a_failed_write_ends_the_process_before_anything_is_said() {
    let folder = Folder::new();
    Node::start(&folder).stop();
    let settings = folder.path("dolmen.toml");
    let mut command = dolmen();
    command.args(["serve", "--config"]).arg(settings);
    // A start writes a journal's first two blocks again; what comes to them
    // fails.
    let (code, _, words) = run(with_writes_failing_behind(8192, &mut command));
    assert_eq!(code, 1, "{words}");
    assert!(!words.contains("chronicle="), "{words}");
    let last = words.lines().last().unwrap();
    assert!(
        last.starts_with("dolmen: ") && last.contains("nothing more is acknowledged"),
        "{words}"
    );
    let counted = fs::read_to_string(folder.path("data/dolmen.starts")).unwrap();
    assert!(
        counted.contains("nothing more is acknowledged"),
        "{counted}"
    );

    let node = Node::start(&folder);
    let life = [
        "started",
        "profile_chosen",
        "stopping",
        "started",
        "profile_chosen",
    ];
    assert_eq!(what(&node.chronicle()), life);
}

/// A log without a daemon. In memory where there is such a file system: ten
/// thousand syncs take a minute on a slow disk.
struct Logs {
    folder: PathBuf,
    clock: Arc<MachineClock>,
}

impl Logs {
    fn in_memory() -> Self {
        let memory = Path::new("/dev/shm");
        let parent = match memory.exists() {
            true => memory.to_owned(),
            false => std::env::temp_dir(),
        };
        let folder = parent.join(format!("dolmen-chronicle-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self {
            folder,
            clock: Arc::default(),
        }
    }

    fn open(&self) -> Owner {
        let lanes = disk::Settings {
            engine: Engine::Threads,
            entries: 8,
            lone_blocking: true,
        };
        let disk = Arc::new(RealDisk::open(&self.folder, lanes).unwrap());
        let open = move || {
            open(Opening {
                lane: disk.lane().unwrap(),
                disk,
                entropy: &MachineEntropy,
                settings: Settings {
                    journal_direct: false,
                    ..Settings::default()
                },
                formats: FORMATS,
            })
        };
        let hooks = Hooks {
            beat: Box::new(|| ()),
            fatal: Box::new(|fatal| panic!("{fatal}")),
        };
        start(open, self.clock.clone(), hooks).unwrap().0
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn old_records_are_forgotten_and_the_others_keep_their_index() {
    let logs = Logs::in_memory();
    let owner = logs.open();
    let chronicle = Chronicle::open(owner.logs(), logs.clock.clone()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(async {
        for number in 0..=CHRONICLE_RECORDS_MAX {
            let why = number.to_string();
            let written = chronicle.write(Event::Stopping { why }).await;
            assert_eq!(written, Ok(Index(number)));
        }
    });
    let last = chronicle.last(usize::MAX).unwrap();
    assert_eq!(last.len(), CHRONICLE_ASKED_MAX);
    assert!(last.windows(2).all(|two| two[0].index + 1 == two[1].index));
    let says = format!("stopping: {CHRONICLE_RECORDS_MAX}");
    assert_eq!(last.last().unwrap().says, says);
    owner.close().unwrap();

    let owner = logs.open();
    let kept = owner.logs().open(LOG, &FRAMES).unwrap();
    let until = Index(CHRONICLE_RECORDS_MAX + 1);
    assert_eq!((kept.first(), kept.durable_until()), (Index(1001), until));
    owner.close().unwrap();
}

/// What a partition holds, beside the node's own records.
#[test]
fn batches_are_sound_to_the_tools_and_are_not_printed_as_lines() {
    let logs = Logs::in_memory();
    let owner = logs.open();
    let batches = owner.logs().open(LogId(7), &BATCHES).unwrap();
    let mut builder = Builder::new(Offset(0), Codec::None);
    let record = Record {
        offset: Offset(0),
        timestamp: 1,
        key: None,
        value: Some(b"one"),
        headers: Headers::NONE,
    };
    builder.add(&record).unwrap();
    let bytes = builder.finish().unwrap();
    let appended = batches.append(Records::Whole(bytes));
    appended.wait().unwrap();
    owner.close().unwrap();

    let dir = logs.folder.as_os_str();
    let (code, _, says) = run(dolmen().args(["log", "verify", "--dir"]).arg(dir));
    assert_eq!(code, 0, "{says}");
    let (code, _, says) = run(dolmen()
        .args(["log", "read", "--log", "7", "--dir"])
        .arg(dir));
    assert_eq!(code, 1, "{says}");
    assert!(says.contains("log 7 has no lines to print"), "{says}");
}

/// A file system of its own, small, gone with the test.
pub struct Small(PathBuf);

impl Small {
    /// None where this user may not mount.
    pub fn mount(at: PathBuf, mib: u32) -> Option<Self> {
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "none"])
            .arg(&at)
            .stderr(Stdio::null())
            .status();
        status.ok()?.success().then_some(Self(at))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn on_a_full_disk_the_reserve_is_given_up_and_held_again_later() {
    let folder = Folder::new();
    let Some(_small) = Small::mount(folder.data(), 96) else {
        return;
    };
    let node = Node::start(&folder);
    node.kill(&folder);
    // A killed node's spares are its own; without them it needs a new file.
    for file in fs::read_dir(folder.path("data/journal")).unwrap() {
        let path = file.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "spare")
        {
            fs::remove_file(path).unwrap();
        }
    }
    let filler = folder.path("data/filler");
    let mut file = File::create(&filler).unwrap();
    while file.write_all(&[1; 4096]).is_ok() {}

    let node = Node::start(&folder);
    let status = node.ask("status").unwrap();
    assert_eq!(status["state"], "serving", "{}", node.words());
    assert!(
        node.words()
            .contains("<4>the disk is full: the reserve is given up"),
        "{}",
        node.words()
    );
    assert_eq!(status["log"]["is_reserve_held"], false);
    assert!(
        status["warnings"]
            .to_string()
            .contains("no reserve is held")
    );
    assert_eq!(node.chronicle()[0]["event"]["what"], "started");

    drop(file);
    fs::remove_file(filler).unwrap();
    node.until_it_says("the reserve is held again");
    assert_eq!(node.ask("status").unwrap()["log"]["is_reserve_held"], true);
}
