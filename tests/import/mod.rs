//! Moving in from a ZooKeeper, held against files that the original wrote and
//! what the original itself served from them (`fixtures/zookeeper/record`).

mod history;
mod zoo_cfg;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/zookeeper")
        .join(name)
}

/// A copy of a recorded folder that a test may damage.
struct Copy(PathBuf);

impl Copy {
    fn of(name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Relaxed);
        let own = format!("dolmen-import-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(own);
        fs::create_dir(&folder).unwrap();
        for entry in fs::read_dir(fixture(name)).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
        }
        Self(folder)
    }

    fn names(&self, prefix: &str) -> Vec<PathBuf> {
        let number = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_str().unwrap();
            u64::from_str_radix(name.split('.').nth(1).unwrap(), 16).unwrap()
        };
        let entries = fs::read_dir(&self.0).unwrap();
        let mut paths: Vec<_> = entries
            .map(|entry| entry.unwrap().path())
            .filter(|path| {
                path.file_name()
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .starts_with(prefix)
            })
            .collect();
        paths.sort_by_key(number);
        paths
    }

    fn change(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = fs::read(path).unwrap();
        change(&mut bytes);
        fs::write(path, bytes).unwrap();
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
