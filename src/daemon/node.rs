//! The order of a node's life: settings, the data folder and its lock, the
//! admin socket and the operator door, the log, the doors; and back.

use super::admin::{AdminSocket, Desk};
use super::compose::{self, Settings, Sources};
use super::config::Config;
use super::data_folder;
use super::journal::Journal;
use super::lock::Lock;
use super::notify::Notify;
use super::quick_failures::{QuickFailures, SERVED_LONG_ENOUGH, Start};
use super::refused::Refused;
use super::standing::{Phase, Standing};
use crate::clock::{Clock, MachineClock};
use crate::ports::operator;
use std::io;
use std::sync::mpsc as threads;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::{interval, sleep};

/// What the log's thread calls at least once a second while it is well: after
/// a sync that came back, or a wait that ended. Cheap, and never waits.
pub type Beat = Arc<dyn Fn() + Send + Sync>;

/// The log may beat thousands of times a second; systemd hears of two.
const PING_EVERY: Duration = Duration::from_millis(500);

/// Runs a node until it is told to stop. `what` is who holds the data folder,
/// as a person would type it.
pub fn run(sources: &Sources, what: &str) -> Result<(), Refused> {
    let clock: Arc<dyn Clock> = Arc::new(MachineClock::new());
    let settings = compose::load(sources)?;
    let journal = Journal::start(settings.level);
    let notify = Notify::from_environment().map_err(Refused::machine("NOTIFY_SOCKET"))?;

    let data = &settings.config.data;
    data_folder::check(data)?;
    let _lock = Lock::take(data, what)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Refused::machine("make the doors' runtime"))?;
    let (stop, stop_asked) = mpsc::channel(1);
    // Before the start is counted: a stop that comes now is a clean one.
    let calls = {
        let _inside = runtime.enter();
        Calls::listen(stop_asked).map_err(Refused::machine("listen for signals"))?
    };
    let (failures, start) = QuickFailures::count_start(data);
    let failures = Arc::new(failures);
    end_on_panic(failures.clone());

    let node = Node {
        standing: Arc::new(Standing::new(clock, data.clone())),
        notify: Arc::new(notify),
        failures: failures.clone(),
        sources: sources.clone(),
        settings,
        journal,
    };
    let outcome = runtime.block_on(node.live(start, calls, stop));
    match &outcome {
        Ok(()) => failures.take_back(),
        Err(refused) => failures.record(&refused.to_string()),
    }
    outcome
}

/// A broken invariant on any thread ends the process: a stopped node is
/// recovered by its peers, half a node is believed by them.
fn end_on_panic(failures: Arc<QuickFailures>) {
    let say = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        say(panic);
        failures.record(&panic.to_string());
        std::process::abort();
    }));
}

struct Node {
    standing: Arc<Standing>,
    notify: Arc<Notify>,
    failures: Arc<QuickFailures>,
    sources: Sources,
    settings: Settings,
    journal: Journal,
}

impl Node {
    /// The admin socket and the operator door open before the log, so that a
    /// long replay can be watched, and close after it.
    async fn live(
        mut self,
        start: Start,
        mut calls: Calls,
        stop: mpsc::Sender<()>,
    ) -> Result<(), Refused> {
        let config = self.settings.config.clone();
        let desk = Desk {
            standing: self.standing.clone(),
            stop,
        };
        let admin = AdminSocket::open(&config.admin_socket, desk).await?;
        let door = self.open_operator_door(&config).await?;

        let log = match start {
            Start::Full => Some(self.begin_serving(config).await?),
            Start::Reduced { reason } => {
                self.reduce(reason);
                None
            }
        };
        self.attend(&mut calls, log.is_some()).await;

        self.standing.enter(Phase::Stopping);
        self.notify.stopping("stopping: the log is being sealed");
        tracing::info!("stopping");
        let sealed = match log {
            Some(log) => off_the_doors(move || seal_log(log)).await,
            None => Ok(()),
        };
        if let Some(door) = door {
            door.close().await;
        }
        admin.close().await;
        sealed.map_err(Refused::Log)?;
        tracing::info!("stopped");
        Ok(())
    }

    async fn open_operator_door(&self, config: &Config) -> Result<Option<operator::Door>, Refused> {
        let Some(listen) = config.operator_listen else {
            return Ok(None);
        };
        let counts = self.standing.operator.clone();
        let door = operator::Door::open(listen, self.standing.clone(), counts)
            .await
            .map_err(Refused::door("operator", listen))?;
        self.standing.door_opened("operator", door.address());
        tracing::info!(door = "operator", address = %door.address(), "the door is open");
        Ok(Some(door))
    }

    async fn begin_serving(&self, config: Config) -> Result<Log, Refused> {
        self.notify.status("starting: the log is being read");
        self.notify.extend();
        let beat = self.beat();
        let log = off_the_doors(move || start_log(&config, beat))
            .await
            .map_err(Refused::Log)?;
        // From this sign of life on its silence is counted.
        self.standing.beat();
        self.standing.enter(Phase::Serving);
        self.notify.ready("serving");
        tracing::info!(data = %self.settings.config.data.display(), "serving");
        Ok(log)
    }

    /// The watchdog's ping leaves from the thread that calls this, so that it
    /// says what it is taken for: that thread's work goes on.
    fn beat(&self) -> Beat {
        let (standing, notify) = (self.standing.clone(), self.notify.clone());
        let unsaid = Mutex::new(PING_EVERY);
        Arc::new(move || {
            let silent = standing.beat();
            let mut unsaid = unsaid.lock().expect("nothing in here panics");
            *unsaid += silent;
            if *unsaid >= PING_EVERY {
                *unsaid = Duration::ZERO;
                notify.watchdog();
            }
        })
    }

    fn reduce(&self, reason: String) {
        tracing::error!(
            reason,
            "reduced after quick failures: only the operator door and the admin socket are open"
        );
        self.notify.ready(&format!("reduced: {reason}"));
        self.standing.enter(Phase::Reduced { reason });
    }

    /// Answers what is called from outside until that is to stop. What is
    /// called again later, while the node stops, changes nothing: the signals
    /// stay caught and nobody reads them.
    async fn attend(&mut self, calls: &mut Calls, is_full: bool) {
        let served_long_enough = sleep(SERVED_LONG_ENOUGH);
        tokio::pin!(served_long_enough);
        let mut is_young = is_full;
        // Reduced, this thread is all that runs, so it speaks for the node.
        let mut own_ping = interval(PING_EVERY);
        loop {
            tokio::select! {
                call = calls.next() => match call {
                    Call::Stop => return,
                    Call::Reload => self.reload(),
                },
                () = &mut served_long_enough, if is_young => {
                    self.failures.take_back();
                    is_young = false;
                }
                _ = own_ping.tick(), if !is_full => self.notify.watchdog(),
            }
        }
    }

    fn reload(&mut self) {
        self.notify.reloading();
        match compose::load(&self.sources) {
            Ok(new) => {
                self.journal.set_level(new.level);
                let waiting = compose::needing_restart(&self.settings, &new);
                if waiting.is_empty() {
                    tracing::info!(level = %new.level, "settings read again");
                } else {
                    let settings = waiting.join(", ");
                    tracing::warn!(settings, "settings read again; these need a restart");
                }
                self.settings.level = new.level;
            }
            Err(error) => tracing::error!(%error, "settings stay as they were"),
        }
        self.notify.ready(self.standing.phase().word());
    }
}

enum Call {
    Stop,
    Reload,
}

/// What calls the node from outside.
struct Calls {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    stop_asked: mpsc::Receiver<()>,
}

impl Calls {
    /// From here on a signal waits for `next` instead of ending the process.
    fn listen(stop_asked: mpsc::Receiver<()>) -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            stop_asked,
        })
    }

    async fn next(&mut self) -> Call {
        tokio::select! {
            _ = self.terminate.recv() => Call::Stop,
            _ = self.interrupt.recv() => Call::Stop,
            _ = self.stop_asked.recv() => Call::Stop,
            _ = self.hang_up.recv() => Call::Reload,
        }
    }
}

/// Runs what may take its time while the doors go on answering.
async fn off_the_doors<T, F>(work: F) -> T
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    spawn_blocking(work)
        .await
        .expect("a panic ends the process before it gets here")
}

/// The running log, as the node holds it.
struct Log {
    ending: threads::Sender<()>,
    thread: JoinHandle<()>,
}

/// Reads the log back and starts its thread. Blocks until appends are taken.
fn start_log(_config: &Config, beat: Beat) -> Result<Log, String> {
    beat_until_sealed(beat).map_err(|error| error.to_string())
}

/// Syncs and closes the log. Blocks until its thread has ended.
fn seal_log(log: Log) -> Result<(), String> {
    drop(log.ending);
    log.thread
        .join()
        .map_err(|_| "its thread ended badly".to_string())
}

/// Beats in the log's place: a plain thread without a log.
fn beat_until_sealed(beat: Beat) -> io::Result<Log> {
    let (ending, ended) = threads::channel::<()>();
    let thread = std::thread::Builder::new()
        .name("log".into())
        .spawn(move || {
            while ended.recv_timeout(PING_EVERY) == Err(threads::RecvTimeoutError::Timeout) {
                beat();
            }
        })?;
    Ok(Log { ending, thread })
}
