//! Work that may hang, bounded: in time, and in what it may say.

use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread::Builder;
use std::time::Duration;

/// What systemd answers at once, and a journal on a slow disk in some seconds.
const COMMAND: Duration = Duration::from_secs(7);
/// A complaint is a line.
const COMPLAINT_BYTES_MAX: u64 = 4 << 10;

/// Does the work on a thread of its own and does not wait for it longer than
/// this. One that hangs is left behind, and goes with the process.
pub(super) fn within<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    let (done, awaited) = channel();
    let thread = Builder::new().name("gather".into()).spawn(move || {
        // Nobody waits for it any more.
        let _ = done.send(work());
    });
    thread.map_err(|error| format!("no thread for it: {error}"))?;
    awaited.recv_timeout(limit).map_err(|why| match why {
        RecvTimeoutError::Timeout => format!("no answer in {} s", limit.as_secs()),
        RecvTimeoutError::Disconnected => "it broke off".into(),
    })
}

/// What a command prints, up to so many bytes.
pub(super) fn output(
    program: &'static str,
    arguments: &[&str],
    bytes_max: usize,
) -> Result<String, String> {
    let child = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C.UTF-8")
        .env("SYSTEMD_COLORS", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => format!("there is no {program} here"),
        _ => format!("{program}: {error}"),
    })?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let said = within(COMMAND, move || {
        let text = |pipe: Option<&mut dyn Read>, most: u64| {
            let mut bytes = Vec::new();
            // What has arrived is worth having.
            let _ = pipe.map(|pipe| pipe.take(most).read_to_end(&mut bytes));
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let (mut out, mut err) = (out, err);
        let printed = text(
            out.as_mut().map(|pipe| pipe as &mut dyn Read),
            bytes_max as u64,
        );
        drop(out);
        let complaint = text(
            err.as_mut().map(|pipe| pipe as &mut dyn Read),
            COMPLAINT_BYTES_MAX,
        );
        (printed, complaint)
    });
    let (printed, complaint) = match said {
        Ok(said) => said,
        Err(why) => {
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("{program}: {why}"));
        }
    };
    let ended = child
        .wait()
        .map_err(|error| format!("{program}: {error}"))?;
    match (ended.success(), printed.is_empty()) {
        (true, _) | (false, false) => Ok(printed),
        (false, true) => {
            let complaint = complaint
                .lines()
                .next()
                .unwrap_or("no word of why")
                .to_owned();
            Err(format!("{program} ended with {ended}: {complaint}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hangs_is_left_behind() {
        let (_never, silence) = channel::<()>();
        let waited = within(Duration::from_millis(20), move || silence.recv());
        assert_eq!(waited.unwrap_err(), "no answer in 0 s");
        assert_eq!(within(Duration::from_secs(20), || 5), Ok(5));
    }

    #[test]
    fn a_command_that_is_not_there_or_fails_says_so() {
        let says = |program, arguments: &[&str]| output(program, arguments, 100).unwrap_err();
        // By its path: where a folder of PATH may not be searched, the kernel
        // says that first.
        let absent = "/usr/bin/dolmen-no-such";
        assert_eq!(says(absent, &[]), format!("there is no {absent} here"));
        let failed = says("sh", &["-c", "echo why >&2; exit 3"]);
        assert_eq!(failed, "sh ended with exit status: 3: why");
        let much = output("sh", &["-c", "yes"], 10);
        assert_eq!(much, Ok("y\ny\ny\ny\ny\n".into()));
    }
}
