//! Why a measurement has no figure.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};

#[derive(Debug)]
pub enum Failure {
    /// Somebody asked the bench to end.
    Interrupted,
    /// The server answered, with something else than was asked for.
    Answered(String),
    /// The connection was closed, refused, or silent for too long.
    Lost(String),
    /// The server could not be started, or ended.
    NotRunning(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interrupted => write!(f, "interrupted"),
            Self::Answered(why) | Self::Lost(why) | Self::NotRunning(why) => write!(f, "{why}"),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Lost(error.to_string())
    }
}

/// A signal is the process's own, and so is what it leaves behind.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From here on Ctrl-C and its like only ask to end, so that every server is
/// stopped and every folder removed on the way out.
pub fn take_signals() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let mut asked = {
        let _inside = runtime.enter();
        let kinds = [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
        ];
        kinds
            .map(signal)
            .into_iter()
            .collect::<Result<Vec<_>, _>>()?
    };
    let wait = move || {
        runtime.block_on(std::future::poll_fn(|context| {
            let mut all = asked.iter_mut();
            match all.any(|one| one.poll_recv(context).is_ready()) {
                true => std::task::Poll::Ready(()),
                false => std::task::Poll::Pending,
            }
        }));
        INTERRUPTED.store(true, Relaxed);
    };
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(wait)?;
    Ok(())
}

pub fn go_on() -> Result<(), Failure> {
    match INTERRUPTED.load(Relaxed) {
        true => Err(Failure::Interrupted),
        false => Ok(()),
    }
}

/// Lets the servers be for a while.
pub fn pause(time: Duration) -> Result<(), Failure> {
    let until = Instant::now() + time;
    while Instant::now() < until {
        go_on()?;
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
