//! Hardware profiles and the layers of settings.

mod chains;
mod cli;
mod config;
mod faults;
mod machines;

use dolmen::profile::{Machine, Roots};
use std::path::{Path, PathBuf};

/// A machine as its /sys and /proc were written down, with its data in
/// /var/lib/dolmen.
fn recorded(name: &str) -> Machine {
    let tree = fixtures().join("machines").join(name);
    let roots = Roots {
        sys: tree.join("sys"),
        proc: tree.join("proc"),
    };
    Machine::read(&roots, Path::new("/var/lib/dolmen"))
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// A folder of its own for one test, gone when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("dolmen-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
