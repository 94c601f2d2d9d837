//! What looks at a machine: `dolmen doctor` and `dolmen probe`.

mod checks;
mod cli;
mod probe;

use dolmen::daemon::config::Sources;
use dolmen::daemon::doctor::{Site, examine};
use dolmen::profile::{Machine, Roots};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// A folder of one test, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Relaxed);
        let name = format!("dolmen-doctor-{}-{count}", std::process::id());
        let folder = Self(std::env::temp_dir().join(name));
        fs::create_dir_all(folder.data()).unwrap();
        folder.set_mode("data", 0o750);
        folder
    }

    fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn set_mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.0.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A machine of which only what lies in this folder's `proc` and `sys` is
/// known, with `/` the data folder's mount.
fn made(folder: &Folder) -> Roots {
    Roots {
        sys: folder.0.join("sys"),
        proc: folder.0.join("proc"),
    }
}

fn recorded(machine: &str) -> Roots {
    let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/machines");
    Roots {
        sys: tree.join(machine).join("sys"),
        proc: tree.join(machine).join("proc"),
    }
}

/// What one check says, a line each: severity, message, and what to do.
fn says(check: &str, folder: &Folder, roots: Roots, config: Option<PathBuf>) -> Vec<String> {
    let machine = |_: &Path| Machine::read(&roots, Path::new("/var/lib/dolmen"));
    let sources = Sources {
        file: config,
        data: Some(folder.data()),
        environment: Vec::new(),
        set: Vec::new(),
        machine: &machine,
        profile_folders: Vec::new(),
    };
    let site = Site::look(sources, roots.clone(), folder.0.join("run"));
    let of_check = examine(&site)
        .into_iter()
        .filter(|(one, _)| one.name == check);
    let line = |finding: dolmen::daemon::doctor::Finding| {
        let (severity, message) = (finding.severity.word(), finding.message);
        let to_do = finding
            .to_do
            .map_or(String::new(), |to_do| format!(" > {to_do}"));
        format!("{severity}: {message}{to_do}").replace(&folder.0.display().to_string(), "DIR")
    };
    of_check.map(|(_, finding)| line(finding)).collect()
}

fn dolmen() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dolmen"));
    command.stdin(Stdio::null());
    command
}
