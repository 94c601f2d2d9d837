//! What the tests of this folder share: a folder of their own, and a child
//! process that runs one test.

use std::borrow::BorrowMut;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// A folder that leaves with its test.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!(
            "dolmen-disk-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const CHILD: &str = "DOLMEN_TEST_CHILD";

/// The test that says so runs in the child that it has started.
pub(super) fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// This test binary again, to run one test in a process that may die or be
/// robbed of system calls.
pub(super) fn child(test: &str) -> Command {
    as_child(Command::new(std::env::current_exe().unwrap()), test)
}

/// The same, started by a shell script that ends in `exec "$0" "$@"`.
pub(super) fn child_under_shell(script: &str, test: &str) -> Command {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap());
    as_child(shell, test)
}

fn as_child(mut command: Command, test: &str) -> Command {
    command
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, "1");
    command
}

/// Asks for the count as well: a name that matches no test is a success.
pub(super) fn passes(mut child: impl BorrowMut<Command>) {
    let output = child.borrow_mut().output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{output:?}"
    );
}
