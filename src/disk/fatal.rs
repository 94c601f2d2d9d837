//! The end of the process where going on would be a lie: after a failed fsync
//! the kernel may have dropped what it could not write, and a second fsync
//! would call it safe.

use std::io::Write;

/// Says why on one line and ends with status 1. Runs no destructors: what is
/// in memory and not on the disk is to be lost, and recovery trusts nothing
/// but checksums. The message names the file and what to do.
#[allow(clippy::disallowed_methods)] // nothing held is worth putting down
pub fn end_process(message: impl std::fmt::Display) -> ! {
    let line = message.to_string().replace('\n', " ");
    // Held to the end: the last word stays the last, whatever other threads
    // would say of what they miss.
    let mut stderr = std::io::stderr().lock();
    // A closed stderr must not turn the end into a panic.
    let _ = writeln!(stderr, "dolmen: {line}");
    std::process::exit(1)
}

#[cfg(test)]
mod tests {
    use crate::disk::trial;

    #[test]
    fn the_end_is_one_line_and_status_one() {
        if trial::is_child() {
            super::end_process("sync of journal/17 failed:\nreplace the disk");
        }
        let output = trial::child("disk::fatal::tests::the_end_is_one_line_and_status_one")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(
            text.contains("dolmen: sync of journal/17 failed: replace the disk\n"),
            "{text}"
        );
    }
}
