//! On a kernel that is made up: it holds one of two files in force, refuses,
//! bends a value, and dies in the middle.

use super::*;
use crate::daemon::config::SETTINGS;
use crate::profile::{Given, KNOBS, Kind, Layer, Layers, Machine, Origin};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

const SCHEDULER: &str = "/sys/class/block/sda/queue/scheduler";
const RMEM: &str = "/proc/sys/net/core/rmem_max";
const WMEM: &str = "/proc/sys/net/core/wmem_max";
const SWAPPINESS: &str = "/proc/sys/vm/swappiness";
const BYTES: &str = "/proc/sys/vm/dirty_background_bytes";
const RATIO: &str = "/proc/sys/vm/dirty_background_ratio";
const GOVERNOR: &str = "/sys/devices/system/cpu/cpufreq/policy0/scaling_governor";

struct Fake {
    files: RefCell<BTreeMap<String, String>>,
    /// Files that take nothing, and what else they make of what is written.
    refused: Vec<&'static str>,
    bent: Option<(&'static str, &'static str)>,
    read_only: bool,
    /// Writes until it dies.
    lives: Cell<usize>,
    writes: Cell<usize>,
}

impl Fake {
    fn new() -> Self {
        let files = [
            (SCHEDULER, "none [mq-deadline] kyber"),
            (RMEM, "212992"),
            (WMEM, "4194304"),
            (SWAPPINESS, "60"),
            (BYTES, "0"),
            (RATIO, "10"),
            (GOVERNOR, "schedutil"),
            (
                "/sys/devices/system/cpu/cpufreq/policy0/scaling_available_governors",
                "performance schedutil",
            ),
        ];
        let files = files.map(|(file, text)| (file.to_string(), text.to_string()));
        Self {
            files: RefCell::new(files.into()),
            refused: Vec::new(),
            bent: None,
            read_only: false,
            lives: Cell::new(usize::MAX),
            writes: Cell::new(0),
        }
    }

    fn text(&self, file: &str) -> String {
        self.files.borrow()[file].clone()
    }

    fn put(&self, file: &str, text: &str) {
        self.files.borrow_mut().insert(file.into(), text.into());
    }

    fn all(&self) -> BTreeMap<String, String> {
        self.files.borrow().clone()
    }
}

impl Kernel for Fake {
    fn read(&self, file: &str) -> io::Result<String> {
        let files = self.files.borrow();
        files
            .get(file)
            .cloned()
            .ok_or(io::ErrorKind::NotFound.into())
    }

    fn write(&self, file: &str, value: &str) -> io::Result<()> {
        assert!(self.writes.get() < self.lives.get(), "the power is gone");
        self.writes.set(self.writes.get() + 1);
        let value = match self.bent {
            Some((bent, other)) if bent == file && value != "60" => other,
            _ => value,
        };
        if self.refused.contains(&file) || (file == BYTES && value == "0") {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        if file == SCHEDULER {
            let words = ["none", "mq-deadline", "kyber"];
            let shown = words.map(|word| match word == value {
                true => format!("[{word}]"),
                false => word.into(),
            });
            self.put(file, &shown.join(" "));
            return Ok(());
        }
        if file == BYTES {
            self.put(RATIO, "0");
        }
        if file == RATIO {
            self.put(BYTES, "0");
        }
        self.put(file, value);
        Ok(())
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let files = self.files.borrow();
        let below = files.keys().filter_map(|file| file.strip_prefix(folder));
        let mut names: Vec<String> = below
            .filter_map(|rest| rest.split('/').nth(1))
            .map(String::from)
            .collect();
        names.dedup();
        names
    }

    fn is_read_only(&self, _: &str) -> bool {
        self.read_only
    }
}

struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "dolmen-tune-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Relaxed)
        );
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const ALL: &[(&str, &str)] = &[
    ("tune.disk_scheduler", "none"),
    ("tune.socket_buffers_kib", "2048"),
    ("tune.swappiness", "1"),
    ("tune.dirty_background_mib", "64"),
    ("tune.cpu_governor", "performance"),
];

fn stand(kernel: &Fake, named: &[(&str, &str)]) -> Vec<Standing> {
    let mut machine = Machine::default();
    machine.disk.disks = vec!["sda".into()];
    let mut layers = Layers::built_in(SETTINGS);
    let given = |(key, text): &(&str, &str)| {
        let knob = KNOBS.iter().find(|knob| knob.key == *key).unwrap();
        let origin = Origin {
            layer: Layer::CommandLine,
            source: "--set".into(),
            place: None,
        };
        let value = knob.read(text).unwrap();
        Given {
            knob,
            value,
            origin,
        }
    };
    layers.lay(&named.iter().map(given).collect::<Vec<_>>());
    let ground = Ground {
        kernel,
        machine: &machine,
    };
    survey(&ground, &layers)
}

/// What became of what differed, a line each.
fn set(kernel: &Fake, folder: &Folder, named: &[(&str, &str)]) -> Vec<String> {
    let mut kept = Kept::open(&folder.0).unwrap();
    let steps = apply(kernel, &stand(kernel, named), &mut kept).unwrap();
    steps.iter().map(line).collect()
}

fn put_back(kernel: &Fake, folder: &Folder) -> Vec<String> {
    let steps = off(kernel, &mut Kept::open(&folder.0).unwrap()).unwrap();
    steps.iter().map(line).collect()
}

fn line(step: &Step) -> String {
    let why = step
        .put
        .why()
        .map_or(String::new(), |why| format!(" ({why})"));
    let (tuner, was, now) = (&step.tuner, &step.was, &step.now);
    format!("{tuner} {was} > {now}: {}{why}", step.put.word())
}

fn states(standings: &[Standing]) -> Vec<String> {
    let state = |standing: &Standing| {
        let why = standing
            .state
            .why()
            .map_or(String::new(), |why| format!(": {why}"));
        format!("{} {}{why}", standing.tuner.name, standing.state.word())
    };
    standings.iter().map(state).collect()
}

#[test]
fn what_was_set_is_in_force_and_off_puts_everything_back() {
    let (kernel, folder) = (Fake::new(), Folder::new());
    let before = kernel.all();
    assert_eq!(
        set(&kernel, &folder, ALL),
        [
            "disk_scheduler mq-deadline > none: set",
            "socket_buffers 212992 > 2097152: set",
            "swappiness 60 > 1: set",
            "dirty_background 0 (dirty_background_ratio 10) > 67108864: set",
            "cpu_governor schedutil > performance: set",
        ]
    );
    // One that had more room than was wanted is not made smaller.
    assert_eq!(kernel.text(WMEM), "4194304");
    let standings = stand(&kernel, ALL);
    assert!(standings.iter().all(|one| one.state == State::InForce));
    // A second time there is nothing to do, and what was before is not forgotten.
    assert_eq!(set(&kernel, &folder, ALL), [""; 0]);
    assert_eq!(
        put_back(&kernel, &folder),
        [
            "disk_scheduler none > mq-deadline: put back",
            "socket_buffers 2097152 > 212992: put back",
            "swappiness 1 > 60: put back",
            "dirty_background 67108864 > 0 (dirty_background_ratio 10): put back",
            "cpu_governor performance > schedutil: put back",
        ]
    );
    assert_eq!(kernel.all(), before);
    assert_eq!(put_back(&kernel, &folder), [""; 0]);
}

/// Also where it dies while one value of ours is changed for another.
#[test]
fn an_apply_that_dies_anywhere_is_put_back_by_off() {
    let before = Fake::new().all();
    let other: Vec<(&str, &str)> = ALL
        .iter()
        .map(|(key, value)| match *key {
            "tune.swappiness" => (*key, "5"),
            "tune.socket_buffers_kib" => (*key, "4096"),
            "tune.dirty_background_mib" => (*key, "32"),
            "tune.disk_scheduler" => (*key, "kyber"),
            _ => (*key, *value),
        })
        .collect();
    let mut deaths = 0;
    for lives in 0.. {
        let (mut kernel, folder) = (Fake::new(), Folder::new());
        kernel.lives.set(lives);
        let died = catch_unwind(AssertUnwindSafe(|| {
            set(&kernel, &folder, ALL);
            set(&kernel, &folder, &other);
        }))
        .is_err();
        kernel.lives = Cell::new(usize::MAX);
        for said in put_back(&kernel, &folder) {
            assert!(
                said.ends_with(": put back") || said.ends_with(": as it was"),
                "{said}"
            );
        }
        assert_eq!(kernel.all(), before, "after {lives} writes");
        if !died {
            break;
        }
        deaths += 1;
    }
    assert_eq!(deaths, 9, "five settings, and four of them again");
}

#[test]
fn what_another_has_changed_since_is_left() {
    let (kernel, folder) = (Fake::new(), Folder::new());
    set(&kernel, &folder, &[("tune.swappiness", "1")]);
    kernel.put(SWAPPINESS, "30");
    assert_eq!(
        put_back(&kernel, &folder),
        ["swappiness 30 > 30: changed by another"]
    );
    assert_eq!(put_back(&kernel, &folder), [""; 0]);
    assert_eq!(kernel.text(SWAPPINESS), "30");

    // Applied over it, it is what stood there before.
    set(&kernel, &folder, &[("tune.swappiness", "1")]);
    set(&kernel, &folder, &[("tune.swappiness", "2")]);
    // A value of ours that has been changed for another is not ours any more.
    kernel.put(SWAPPINESS, "1");
    assert_eq!(
        put_back(&kernel, &folder),
        ["swappiness 1 > 1: changed by another"]
    );
    kernel.put(SWAPPINESS, "30");
    set(&kernel, &folder, &[("tune.swappiness", "1")]);
    kernel.put(SWAPPINESS, "20");
    set(&kernel, &folder, &[("tune.swappiness", "1")]);
    assert_eq!(put_back(&kernel, &folder), ["swappiness 1 > 20: put back"]);
}

#[test]
fn one_that_is_refused_does_not_keep_the_rest_from_being_set() {
    let (mut kernel, folder) = (Fake::new(), Folder::new());
    kernel.refused.push(RMEM);
    kernel.bent = Some((SWAPPINESS, "7"));
    assert_eq!(
        set(&kernel, &folder, ALL),
        [
            "disk_scheduler mq-deadline > none: set",
            "socket_buffers 212992 > 212992: refused (invalid input parameter)",
            "swappiness 60 > 60: refused (the kernel made 7 of 1)",
            "dirty_background 0 (dirty_background_ratio 10) > 67108864: set",
            "cpu_governor schedutil > performance: set",
        ]
    );
    assert_eq!(put_back(&kernel, &folder).len(), 3, "what was set, no more");
}

#[test]
fn a_way_back_that_is_refused_is_kept_for_another_try() {
    let (mut kernel, folder) = (Fake::new(), Folder::new());
    set(&kernel, &folder, &[("tune.swappiness", "1")]);
    kernel.refused.push(SWAPPINESS);
    assert_eq!(
        put_back(&kernel, &folder),
        ["swappiness 1 > 1: refused (invalid input parameter)"]
    );
    kernel.refused.clear();
    assert_eq!(put_back(&kernel, &folder), ["swappiness 1 > 60: put back"]);

    set(&kernel, &folder, &[("tune.swappiness", "1")]);
    kernel.files.borrow_mut().remove(SWAPPINESS);
    assert_eq!(put_back(&kernel, &folder), ["swappiness  > : gone"]);
}

#[test]
fn each_state_is_told_with_its_reason() {
    let mut kernel = Fake::new();
    assert_eq!(
        states(&stand(
            &kernel,
            &[
                ("tune.disk_scheduler", "bfq"),
                ("tune.socket_buffers_kib", "208"),
                ("tune.swappiness", "1"),
                ("tune.cpu_governor", "performance"),
                ("tune.leave_alone", "cpu_governor"),
            ]
        )),
        [
            &*format!(
                "disk_scheduler not supported: {SCHEDULER} takes none, mq-deadline, kyber only"
            ),
            "socket_buffers in force",
            "swappiness differs",
            "dirty_background not named",
            "cpu_governor left alone: tune.leave_alone, command line --set",
        ]
    );
    kernel.files.borrow_mut().remove(RMEM);
    kernel.files.borrow_mut().remove(GOVERNOR);
    kernel
        .files
        .borrow_mut()
        .retain(|file, _| !file.contains("cpufreq"));
    let told = states(&stand(&kernel, ALL));
    assert_eq!(
        told[1],
        format!("socket_buffers not supported: {RMEM} is not there")
    );
    let wanted = "cpu_governor not supported: the kernel does not choose the frequency here";
    assert_eq!(told[4], wanted);
    kernel.read_only = true;
    let told = states(&stand(&kernel, ALL));
    let wanted = format!("swappiness not supported: {SWAPPINESS} is mounted read-only");
    assert_eq!(told[2], wanted);
    // What cannot be set is not asked for.
    assert_eq!(set(&kernel, &Folder::new(), ALL), [""; 0]);
}

#[test]
fn a_file_of_saved_values_that_is_no_such_is_refused() {
    let folder = Folder::new();
    std::fs::create_dir_all(&folder.0).unwrap();
    let saved = |text: &str| {
        std::fs::write(folder.0.join("saved.json"), text).unwrap();
        Kept::open(&folder.0).unwrap_err().to_string()
    };
    let entry = |file: &str| {
        format!(
            "{{\"format\":1,\"settings\":[{{\"tuner\":\"swappiness\",\"file\":\"{file}\",\
             \"before\":\"60\",\"instead\":null,\"ours\":[\"1\"]}}]}}"
        )
    };
    assert!(saved("{").contains("EOF while parsing"));
    assert!(saved("{\"format\":2,\"settings\":[]}").contains("format 2"));
    for file in ["/etc/passwd", "/proc/sys/../../etc/passwd", "sys/x"] {
        let said = saved(&entry(file));
        assert!(said.contains(&format!("{file} is no setting")), "{said}");
    }
    std::fs::write(folder.0.join("saved.json"), entry(SWAPPINESS)).unwrap();
    assert_eq!(Kept::look(&folder.0).unwrap().len(), 1);
}

#[test]
fn a_script_is_what_apply_would_do() {
    let kernel = Fake::new();
    let named = &[("tune.swappiness", "1"), ("tune.socket_buffers_kib", "208")];
    let reason = TUNERS[2].reason;
    assert_eq!(
        script(&stand(&kernel, named)),
        format!("#!/bin/sh\n\n# swappiness: {reason}\necho 1 > {SWAPPINESS} # was 60\n")
    );
    kernel.put(SWAPPINESS, "1");
    assert_eq!(
        script(&stand(&kernel, named)),
        "#!/bin/sh\n# nothing to do\n"
    );
}

/// A knob that nothing reads does not exist, and a tuner can be left alone.
#[test]
fn every_knob_is_a_tuner_s_and_every_tuner_has_one() {
    let tune = KNOBS.iter().filter(|knob| knob.key.starts_with("tune."));
    let keys: Vec<_> = tune.map(|knob| knob.key).collect();
    let mut wanted: Vec<_> = TUNERS.iter().map(|tuner| tuner.key).collect();
    wanted.push(LEAVE_ALONE);
    assert_eq!(keys, wanted);

    let names: Vec<_> = TUNERS.iter().map(|tuner| tuner.name).collect();
    let knob = KNOBS.iter().find(|knob| knob.key == LEAVE_ALONE).unwrap();
    let Kind::Words(words) = knob.kind else {
        panic!("{knob:?}")
    };
    assert_eq!(words, names);
    for tuner in TUNERS {
        assert!(tuner.key.starts_with(&format!("tune.{}", tuner.name)));
    }
}
