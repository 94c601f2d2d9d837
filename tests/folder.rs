//! A folder of a test's own, which goes with it.

use std::path::PathBuf;

pub struct Folder(pub PathBuf);

impl Folder {
    /// Another name for each test: they run at the same time.
    pub fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("dolmen-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
