//! Chooses the engine of a node's logs by measuring both in its data folder:
//! quiet, and with every core taken by hogs of the queries' class. The path
//! that is faster on a quiet machine is often not the one that is faster on a
//! busy one, and elections, leases and acknowledgements wait on the busy one.

use std::hint::black_box;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, Builder};
use std::time::Duration;

use super::class::{self, Class, Granted};
use super::{Block, Disk, Done, Engine, File, How, RealDisk, Settings, Token};
use crate::clock::Clock;
use crate::limits::BLOCK_BYTES;

/// What the node is told to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    Auto,
    Only(Engine),
}

/// The engine of a node, and why.
#[derive(Clone, Debug)]
pub struct Chosen {
    pub engine: Engine,
    pub lone_blocking: bool,
    /// One line for the journal, `doctor` and `status`.
    pub reason: String,
    /// What was measured; empty where nothing was to be chosen.
    pub figures: Vec<Figures>,
}

/// How long one block takes to be durable by one engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    pub engine: Engine,
    pub quiet_p50: Duration,
    pub loaded_p99: Duration,
    /// Writes under load; few of them make the p99 the worst of a handful.
    pub loaded_samples: usize,
}

/// Two rounds by turns, so that a disturbance meets both engines:
/// 2 x (25 + 50) ms an engine.
const ROUNDS: usize = 2;
const QUIET: Duration = Duration::from_millis(25);
const LOADED: Duration = Duration::from_millis(50);
/// Enough for a p99; a fast disk ends here and not at the time.
const SAMPLES_MAX: usize = 400;
/// The probe's file, gone when the probe is. 64 blocks, written in turn.
const PROBE: &str = "engine-probe";
const PROBE_BYTES: usize = 64 * BLOCK_BYTES;

/// Chooses for the data folder `root`, with rings of `entries` and a journal
/// opened as `how`. Takes some 300 ms where it measures, on a thread of class
/// Log.
///
/// An engine that was asked for and is refused is an error that says what to
/// do; `Auto` never fails for want of io_uring. A disk that cannot be measured,
/// being full, must not keep the node from starting.
pub fn choose(
    root: &Path,
    wanted: Wanted,
    entries: u32,
    how: How,
    clock: &dyn Clock,
) -> io::Result<Chosen> {
    if wanted == Wanted::Only(Engine::Threads) {
        return Ok(as_configured(Engine::Threads));
    }
    thread::scope(|scope| {
        Builder::new()
            .name("engine-probe".into())
            .spawn_scoped(scope, || {
                class::take(Class::Log);
                measured_choice(root, wanted, entries, how, clock)
            })?
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the engine probe panicked")))
    })
}

/// A lone block takes the blocking path, which no measurement has yet found to
/// be the worse one under load.
fn as_configured(engine: Engine) -> Chosen {
    Chosen {
        engine,
        ..without_measuring(format!("{}: as configured", engine.name()))
    }
}

fn without_measuring(reason: String) -> Chosen {
    Chosen {
        engine: Engine::Threads,
        lone_blocking: true,
        reason,
        figures: Vec::new(),
    }
}

fn measured_choice(
    root: &Path,
    wanted: Wanted,
    entries: u32,
    how: How,
    clock: &dyn Clock,
) -> io::Result<Chosen> {
    let open = |engine| {
        let settings = Settings {
            engine,
            entries,
            lone_blocking: false,
        };
        RealDisk::open(root, settings)
    };
    let threads = open(Engine::Threads)?;
    let uring = open(Engine::Uring)?;
    match (uring.lane(), wanted) {
        (Err(refused), Wanted::Auto) => {
            return Ok(without_measuring(format!("threads: {refused}")));
        }
        (Err(refused), Wanted::Only(_)) => return Err(refused),
        (Ok(_), Wanted::Only(engine)) => return Ok(as_configured(engine)),
        (Ok(_), Wanted::Auto) => {}
    }
    let measured = Probe::make(&threads)
        .and_then(|probe| probe.measure([&threads, &uring], how, clock))
        .map(|[threads, uring]| decide(threads, uring));
    Ok(measured
        .unwrap_or_else(|error| without_measuring(format!("threads: not measured: {error}"))))
}

/// The rule, also for who has measured for longer: the better p99 under load
/// wins; where the two are alike, the better quiet p50. Whichever wins, a lone
/// block takes the blocking path where that is as good under load and better
/// when quiet.
pub fn decide(threads: Figures, uring: Figures) -> Chosen {
    let is_alike = is_as_good(threads.loaded_p99, uring.loaded_p99)
        && is_as_good(uring.loaded_p99, threads.loaded_p99);
    let measure = |figures: &Figures| match is_alike {
        true => figures.quiet_p50,
        false => figures.loaded_p99,
    };
    let (winner, other) = if measure(&uring) < measure(&threads) {
        (uring, threads)
    } else {
        (threads, uring)
    };
    let what = if is_alike {
        "quiet p50"
    } else {
        "p99 under load"
    };
    let mut reason = format!(
        "{}: {what} {} ms against {} ms of {}",
        winner.engine.name(),
        millis(measure(&winner)),
        millis(measure(&other)),
        other.engine.name(),
    );
    if is_alike {
        let (ours, theirs) = (millis(winner.loaded_p99), millis(other.loaded_p99));
        reason += &format!(", p99 under load alike ({ours} and {theirs} ms)");
    }
    Chosen {
        engine: winner.engine,
        lone_blocking: threads.quiet_p50 < uring.quiet_p50
            && is_as_good(threads.loaded_p99, uring.loaded_p99),
        reason,
        figures: vec![threads, uring],
    }
}

/// Within a quarter, the spread between two runs of the same path.
pub fn is_as_good(ours: Duration, theirs: Duration) -> bool {
    ours <= theirs + theirs / 4
}

fn millis(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1e3)
}

/// A small zero-written file in the data folder.
struct Probe<'a> {
    disk: &'a RealDisk,
}

impl<'a> Probe<'a> {
    fn make(disk: &'a RealDisk) -> io::Result<Self> {
        // One that a crash has left behind.
        match disk.remove(PROBE) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = disk.open(PROBE, How::Create)?;
        let probe = Self { disk };
        file.write_all_at(0, &[0; PROBE_BYTES])?;
        file.sync()?;
        Ok(probe)
    }

    fn measure(
        &self,
        disks: [&RealDisk; 2],
        how: How,
        clock: &dyn Clock,
    ) -> io::Result<[Figures; 2]> {
        let file = self.disk.open(PROBE, how)?;
        let mut quiet = [Vec::new(), Vec::new()];
        let mut loaded = quiet.clone();
        for _ in 0..ROUNDS {
            for (disk, times) in disks.iter().zip(&mut quiet) {
                sample(disk, &file, QUIET, clock, times)?;
            }
        }
        beside_hogs(|| {
            for _ in 0..ROUNDS {
                for (disk, times) in disks.iter().zip(&mut loaded) {
                    sample(disk, &file, LOADED, clock, times)?;
                }
            }
            Ok(())
        })?;
        let engines = [Engine::Threads, Engine::Uring];
        Ok([0, 1].map(|which| Figures {
            engine: engines[which],
            quiet_p50: percentile(&mut quiet[which], 50),
            loaded_p99: percentile(&mut loaded[which], 99),
            loaded_samples: loaded[which].len(),
        }))
    }
}

impl Drop for Probe<'_> {
    fn drop(&mut self) {
        // Left behind it costs little, and the next start removes it.
        let _ = self.disk.remove(PROBE);
    }
}

/// Makes one block durable after the other until the time is up, once at
/// least.
fn sample(
    disk: &RealDisk,
    file: &Arc<dyn File>,
    time: Duration,
    clock: &dyn Clock,
    times: &mut Vec<Duration>,
) -> io::Result<()> {
    let mut lane = disk.lane()?;
    let mut block = Block::with_capacity(BLOCK_BYTES);
    block.pad_to(BLOCK_BYTES);
    let mut done: Vec<Done> = Vec::new();
    let start = clock.monotonic();
    let mut now = start;
    for turn in 0..SAMPLES_MAX {
        let at = turn * BLOCK_BYTES % PROBE_BYTES;
        lane.write_durable(Token(turn as u64), file, at as u64, block);
        while done.is_empty() {
            lane.wait(None, &mut || true);
            lane.reap(&mut done);
        }
        let Done {
            result,
            block: memory,
            ..
        } = done.remove(0);
        result?;
        block = memory.expect("a durable write gives its memory back");
        let before = std::mem::replace(&mut now, clock.monotonic());
        times.push(now - before);
        if now - start > time {
            break;
        }
    }
    Ok(())
}

/// Does the work while twice as many hogs as there are cores do theirs. They
/// are gone when it returns.
pub fn beside_hogs<T>(work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let cores = thread::available_parallelism().map_or(1, |count| count.get());
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let _stop = StopOnDrop(&stop);
        for _ in 0..2 * cores {
            let stop = &stop;
            Builder::new()
                .name("engine-hog".into())
                .spawn_scoped(scope, move || {
                    // A hog at the class it was born with, the log's, would keep
                    // everybody out.
                    let is_hog = class::take(Class::Compute) == Granted::Full;
                    let mut count = 0_u64;
                    while is_hog && !stop.load(Relaxed) {
                        count = black_box(count.wrapping_add(1));
                    }
                })?;
        }
        work()
    })
}

/// Ends the hogs also where the work fails or panics.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    let place = (times.len() * percent).div_ceil(100);
    times[place.saturating_sub(1)]
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // what a disk did is checked without it
mod tests {
    use super::*;
    use crate::clock::MachineClock;
    use crate::disk::trial::{self, Folder};
    use crate::disk::{errors::os_code, testing};

    fn figures(engine: Engine, quiet_p50_us: u64, loaded_p99_us: u64) -> Figures {
        Figures {
            engine,
            quiet_p50: Duration::from_micros(quiet_p50_us),
            loaded_p99: Duration::from_micros(loaded_p99_us),
            loaded_samples: 100,
        }
    }

    fn check(threads: (u64, u64), uring: (u64, u64), engine: Engine, lone: bool, reason: &str) {
        let chosen = decide(
            figures(Engine::Threads, threads.0, threads.1),
            figures(Engine::Uring, uring.0, uring.1),
        );
        assert_eq!((chosen.engine, chosen.lone_blocking), (engine, lone));
        assert_eq!(chosen.reason, reason);
    }

    #[test]
    fn the_path_that_holds_under_load_wins() {
        check(
            (120, 340),
            (100, 4100),
            Engine::Threads,
            false,
            "threads: p99 under load 0.34 ms against 4.10 ms of uring",
        );
        check(
            (90, 5000),
            (160, 400),
            Engine::Uring,
            false,
            "uring: p99 under load 0.40 ms against 5.00 ms of threads",
        );
    }

    #[test]
    fn alike_under_load_the_quicker_when_quiet_wins() {
        check(
            (90, 360),
            (120, 300),
            Engine::Threads,
            true,
            "threads: quiet p50 0.09 ms against 0.12 ms of uring, \
             p99 under load alike (0.36 and 0.30 ms)",
        );
        check(
            (120, 360),
            (110, 360),
            Engine::Uring,
            false,
            "uring: quiet p50 0.11 ms against 0.12 ms of threads, \
             p99 under load alike (0.36 and 0.36 ms)",
        );
    }

    #[test]
    fn a_percentile_of_few_is_the_worst_of_them() {
        let mut times: Vec<_> = [3, 1, 2].map(Duration::from_millis).into();
        assert_eq!(percentile(&mut times, 99), Duration::from_millis(3));
        assert_eq!(percentile(&mut times, 50), Duration::from_millis(2));
    }

    #[test]
    fn the_probe_leaves_neither_file_nor_hog() {
        let folder = Folder::new();
        let clock = MachineClock::new();
        let chosen = choose(folder.path(), Wanted::Auto, 8, How::Write, &clock).unwrap();
        assert!(
            chosen.reason.starts_with(chosen.engine.name()),
            "{chosen:?}"
        );
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        // A thread that has ended is listed for a moment longer.
        while hogs() > 0 {
            std::thread::yield_now();
        }
    }

    fn hogs() -> usize {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let name = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm"));
        tasks
            .filter_map(|task| name(task.ok()?).ok())
            .filter(|name| name.trim() == "engine-hog")
            .count()
    }

    /// Nobody makes files in /proc, as nobody does on a full disk.
    #[test]
    fn a_disk_that_cannot_be_measured_does_not_keep_the_node_from_starting() {
        let nowhere = Path::new("/proc/self");
        let clock = MachineClock::new();
        let chosen = choose(nowhere, Wanted::Auto, 8, How::Write, &clock).unwrap();
        assert_eq!(chosen.engine, Engine::Threads);
        assert!(chosen.reason.starts_with("threads: "), "{}", chosen.reason);
    }

    #[test]
    fn what_is_configured_is_used_unmeasured() {
        let wanted = Wanted::Only(Engine::Threads);
        let nowhere = Path::new("/nonexistent");
        let chosen = choose(nowhere, wanted, 8, How::Write, &MachineClock::new()).unwrap();
        assert_eq!(chosen.reason, "threads: as configured");
    }

    #[test]
    fn refused_io_uring_ends_auto_in_threads_and_uring_in_an_error() {
        if trial::is_child() {
            let folder = Folder::new();
            let clock = MachineClock::new();
            let chosen = choose(folder.path(), Wanted::Auto, 8, How::Write, &clock).unwrap();
            assert_eq!(chosen.engine, Engine::Threads);
            assert!(
                chosen.reason.starts_with("threads: io_uring is "),
                "{}",
                chosen.reason
            );
            let wanted = Wanted::Only(Engine::Uring);
            let error = choose(folder.path(), wanted, 8, How::Write, &clock).unwrap_err();
            assert_eq!(os_code(&error), Some(libc::EPERM));
            return;
        }
        let mut child = trial::child(
            "disk::choose::tests::refused_io_uring_ends_auto_in_threads_and_uring_in_an_error",
        );
        trial::passes(testing::without_io_uring(&mut child));
    }
}
