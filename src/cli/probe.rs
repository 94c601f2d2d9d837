//! `dolmen probe`: measures the disk under the data folder.

use super::table::Table;
use super::{Failure, print, print_json, profile, signals};
use crate::clock::{Clock, MachineClock};
use crate::daemon::probe::{self, Measured, Plan, Progress, ROOM_BYTES_MIN, Unmeasured};
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// Measure the disk under the data folder, and what follows for its settings
///
/// Stop the daemon first: a probe refuses to run beside one. It needs 2 GiB
/// free and uses 1 GiB at most, in a folder that is gone when it ends. Run it
/// as root, so that it measures on a real-time thread, as the log does.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The data folder [default: that of /etc/dolmen/dolmen.toml]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Write DIR/probe.toml, which the node reads at its next start
    #[arg(long)]
    write: bool,
    /// About how long to measure
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3600))]
    seconds: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl From<Unmeasured> for Failure {
    fn from(unmeasured: Unmeasured) -> Self {
        Self::failed(unmeasured)
    }
}

pub fn run(args: Args) -> Result<(), Failure> {
    let data = match &args.data {
        Some(data) => std::path::absolute(data).map_err(Failure::failed)?,
        None => profile::load(profile::Node::default())?.config.data,
    };
    let plan = Plan {
        data,
        time: Duration::from_secs(args.seconds.into()),
        room_bytes_min: ROOM_BYTES_MIN,
    };
    let measured = measure(&plan)?;
    match args.json {
        true => print_json(&measured.json())?,
        false => print(&for_people(&measured, args.write))?,
    }
    if args.write {
        let written = probe::write(&plan.data, &measured.toml()).map_err(|error| {
            let folder = plan.data.display();
            Failure::failed(format!(
                "cannot write {folder}/probe.toml ({error}): run this as root, or as the owner \
                 of the folder"
            ))
        })?;
        if !args.json {
            print(&format!(
                "written to {}; restart the node to use it\n",
                written.display()
            ))?;
        }
    }
    Ok(())
}

/// Measures on another thread, so that this one can draw.
fn measure(plan: &Plan) -> Result<Measured, Failure> {
    let progress = Arc::new(Progress::default());
    let stopped = progress.clone();
    // By its own way out, which clears up.
    signals::on_stop(move || stopped.stop()).map_err(Failure::failed)?;
    let clock = MachineClock::new();
    thread::scope(|scope| {
        let probe = scope.spawn(|| probe::run(plan, &progress, &clock));
        let bar = Bar::new(plan.time);
        while !probe.is_finished() {
            bar.draw(progress.stage(), clock.monotonic());
            thread::park_timeout(Bar::EVERY);
        }
        bar.clear();
        let measured = probe.join();
        measured.unwrap_or_else(|_| Err(Unmeasured::Disk(io::Error::other("the probe panicked"))))
    })
    .map_err(Failure::from)
}

/// One line on a terminal; elsewhere nothing.
struct Bar {
    time: Duration,
    is_shown: bool,
}

impl Bar {
    const EVERY: Duration = Duration::from_millis(100);
    const CELLS: usize = 30;

    fn new(time: Duration) -> Self {
        Self {
            time,
            is_shown: io::stderr().is_terminal(),
        }
    }

    /// Writing zeros is not in the time, so the end may have to wait.
    fn draw(&self, stage: &str, elapsed: Duration) {
        if self.is_shown {
            let _ = write!(io::stderr(), "\r\x1b[K{}", self.line(stage, elapsed));
        }
    }

    fn line(&self, stage: &str, elapsed: Duration) -> String {
        let part = (elapsed.as_secs_f64() / self.time.as_secs_f64()).min(0.99);
        let full = (part * Self::CELLS as f64) as usize;
        let bar = format!("{}{}", "#".repeat(full), ".".repeat(Self::CELLS - full));
        let percent = part * 100.0;
        format!("[{bar}] {percent:2.0} % {stage}")
    }

    fn clear(&self) {
        if self.is_shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

fn for_people(measured: &Measured, is_written: bool) -> String {
    let mut text = String::new();
    for (title, rows) in measured.tables() {
        let mut table = Table::default();
        for [name, figures] in &rows {
            table.row(["", name, figures]);
        }
        text += &format!("{title}\n{table}\n");
    }
    text += match is_written {
        true => "what follows\n",
        false => "what follows (write it to probe.toml with --write)\n",
    };
    for derived in measured.derived() {
        let value = derived.value.as_deref();
        let value = value.map_or("as it is".into(), |value| format!("= {value}"));
        text += &format!("  {} {value}\n    {}\n", derived.key, derived.reason);
    }
    for warning in measured.warnings() {
        text += &format!("warning: {warning}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_never_full_before_the_end() {
        let bar = Bar {
            time: Duration::from_secs(3),
            is_shown: true,
        };
        let line = |seconds| bar.line("flushes", Duration::from_secs(seconds));
        assert_eq!(line(1), "[##########....................] 33 % flushes");
        assert_eq!(line(9), "[#############################.] 99 % flushes");
    }
}
