//! The order of a node's life: settings, the data folder and its lock, the
//! admin socket and the operator door, the log, the doors; and back.

use super::admin::{AdminSocket, Desk};
use super::chronicle::{self, Chronicle, Event};
use super::compose::{self, Sources};
use super::config::{Config, Loaded};
use super::coordination::{Coordination, Work};
use super::data_folder;
use super::eventlog::EventLog;
use super::journal::Journal;
use super::lock::Lock;
use super::logs::NodeLogs;
use super::notify::Notify;
use super::quick_failures::{QuickFailures, REDUCED_LASTS, SERVED_LONG_ENOUGH, Start};
use super::refused::Refused;
use super::release::VERSION;
use super::standing::{Phase, Standing};
use crate::clock::{Clock, MachineClock};
use crate::disk::class::{self, Class};
use crate::disk::end_process;
use crate::disk::vigil;
use crate::log::{Fatal, Hooks};
use crate::ports::operator;
use std::io;
use std::os::unix::process::CommandExt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval, sleep};

/// How often the log's thread is asked for a sign of life: twice as often as
/// it owes one.
const PULSE: Duration = Duration::from_millis(500);

/// Runs a node until it is told to stop. `what` is who holds the data folder,
/// as a person would type it.
pub fn run(sources: &Sources, what: &str) -> Result<(), Refused> {
    let clock: Arc<dyn Clock> = Arc::new(MachineClock::new());
    let settings = compose::load(sources)?;
    let journal = Journal::start(settings.config.log_level);
    let notify = Notify::from_environment().map_err(Refused::machine("NOTIFY_SOCKET"))?;

    let data = &settings.config.data;
    data_folder::check(data)?;
    let lock = Lock::take(data, what)?;
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
    let (failures, start) = QuickFailures::count_start(data)?;
    let failures = Arc::new(failures);
    end_on_panic(failures.clone());

    let standing = Arc::new(Standing::new(clock.clone(), data.clone()));
    class::place(settings.config.log.core);
    vigil::start(settings.config.log.keep_awake);
    // Before the runtime runs: its threads inherit the class.
    standing.doors_take(class::take(Class::Doors));
    let node = Node {
        clock,
        standing,
        chronicle: Arc::default(),
        coordination: Arc::default(),
        event_log: Arc::default(),
        notify: Arc::new(notify),
        failures: failures.clone(),
        sources: sources.clone(),
        settings,
        journal,
    };
    let outcome = runtime.block_on(node.live(start, calls, stop));
    match &outcome {
        Ok(_) => failures.take_back(),
        Err(refused) => failures.record(&refused.to_string()),
    }
    match outcome? {
        End::Stopped => Ok(()),
        End::Again => {
            drop(lock);
            Err(begin_again())
        }
    }
}

/// How a life ended.
enum End {
    Stopped,
    /// The node has become another one, and begins anew as that.
    Again,
}

/// The same process with the same arguments, from the start; comes back only
/// where that fails.
fn begin_again() -> Refused {
    let begin = std::env::current_exe().map(|program| {
        let arguments = std::env::args_os().skip(1);
        std::process::Command::new(program).args(arguments).exec()
    });
    Refused::machine("begin anew")(begin.unwrap_or_else(|error| error))
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
    clock: Arc<dyn Clock>,
    standing: Arc<Standing>,
    /// Empty until the log is open.
    chronicle: Arc<OnceLock<Chronicle>>,
    /// Empty until the replicated state is read back.
    coordination: Arc<OnceLock<Coordination>>,
    /// Empty where the Kafka door is not open.
    event_log: Arc<OnceLock<EventLog>>,
    notify: Arc<Notify>,
    failures: Arc<QuickFailures>,
    sources: Sources,
    settings: Loaded,
    journal: Journal,
}

impl Node {
    /// The admin socket and the operator door open before the log, so that a
    /// long replay can be watched, and close after it.
    async fn live(
        mut self,
        start: Start,
        mut calls: Calls,
        stop: mpsc::Sender<Ending>,
    ) -> Result<End, Refused> {
        let config = self.settings.config.clone();
        let desk = Desk {
            standing: self.standing.clone(),
            chronicle: self.chronicle.clone(),
            coordination: self.coordination.clone(),
            stop,
        };
        let admin = AdminSocket::open(&config.admin_socket, desk).await?;
        let door = self.open_operator_door(&config).await?;

        let end = match start {
            Start::Full => {
                let (logs, mut work) = self.begin_serving(config).await?;
                let why = self.attend(&mut calls, Some(&logs), &mut work).await;
                self.say_leaving(&why);
                let end = why.end();
                self.seal(logs, why.says()).await.map(|()| end)
            }
            Start::Reduced { reason } => {
                self.reduce(&reason);
                self.sit_out(&mut calls, reason)
                    .await
                    .map(|()| End::Stopped)
            }
        };
        if let Some(door) = door {
            door.close().await;
        }
        admin.close().await;
        let end = end?;
        tracing::info!("stopped");
        Ok(end)
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

    async fn begin_serving(
        &self,
        config: Config,
    ) -> Result<(NodeLogs, mpsc::UnboundedReceiver<Work>), Refused> {
        self.notify.status("starting: the log is being read");
        self.notify.extend();
        let (clock, standing, hooks) = (self.clock.clone(), self.standing.clone(), self.hooks());
        let (data, knobs) = (config.data.clone(), config.log.clone());
        let partitions = config.kafka.listen.is_some();
        let percent = partitions.then_some(config.event_log_disk_percent);
        let logs = off_the_doors(move || {
            let partitions = percent.map(|percent| compose::partitions(&data, percent));
            NodeLogs::open(&data, &knobs, partitions, clock, &standing, hooks)
        });
        let logs = logs.await?;
        self.begin_chronicle(&logs).await?;
        let work = self.begin_coordination(&config, &logs).await?;
        self.begin_event_log(&config, &logs).await?;
        for warning in self.standing.warnings() {
            tracing::warn!("{warning}");
        }
        // From this sign of life on its silence is counted.
        self.standing.beat();
        self.standing.enter(Phase::Serving);
        self.notify.ready("serving");
        tracing::info!(data = %self.settings.config.data.display(), "serving");
        Ok((logs, work))
    }

    async fn begin_coordination(
        &self,
        config: &Config,
        logs: &NodeLogs,
    ) -> Result<mpsc::UnboundedReceiver<Work>, Refused> {
        self.notify
            .status("starting: the replicated state is being read");
        self.notify.extend();
        let failures = self.failures.clone();
        let fatal = Box::new(move |fatal: &Fatal| {
            failures.record(&fatal.to_string());
            end_process(fatal);
        });
        let (coordination, work) = Coordination::open(
            config,
            logs.engine(),
            logs.streams().cloned(),
            data_folder::identity(&config.data)?.cluster,
            self.clock.clone(),
            &self.standing,
            fatal,
        )
        .await?;
        self.coordination.get_or_init(|| coordination);
        Ok(work)
    }

    async fn begin_event_log(&self, config: &Config, logs: &NodeLogs) -> Result<(), Refused> {
        let coordination = self.coordination.get();
        let coordination = coordination.expect("it is begun before");
        let opened = EventLog::open(config, coordination, logs, &self.clock, &self.standing);
        if let Some(event_log) = opened.await? {
            self.event_log.get_or_init(|| event_log);
        }
        Ok(())
    }

    /// Writes down how the node has come up, then says so.
    async fn begin_chronicle(&self, logs: &NodeLogs) -> Result<(), Refused> {
        let (logs, clock) = (logs.logs().clone(), self.clock.clone());
        let chronicle = off_the_doors(move || Chronicle::open(&logs, clock)).await;
        let chronicle = chronicle.map_err(|refused| Refused::Log(refused.to_string()))?;
        self.chronicle.get_or_init(|| chronicle);

        if let Some((engine, opening)) = self.standing.opening() {
            let says = format!("the log is open: {opening}");
            let started = Event::Started {
                version: VERSION.into(),
                engine: engine.into(),
                opening,
            };
            let index = self.write_down(started).await;
            tracing::info!(engine, chronicle = index, "{says}");
        }
        let (name, why) = match &self.settings.profile {
            Some(choice) => (Some(choice.name.clone()), choice.reason.as_str()),
            None => (None, "none fits this machine"),
        };
        let chosen = Event::ProfileChosen {
            name: name.clone(),
            why: chronicle::short(why),
        };
        let index = self.write_down(chosen).await;
        tracing::info!(profile = name, why, chronicle = index, "hardware profile");
        for note in &self.settings.notes {
            tracing::info!("{note}");
        }
        Ok(())
    }

    /// The index of a record that is durable. What cannot be written down (the
    /// disk is full) happens all the same.
    async fn write_down(&self, event: Event) -> Option<u64> {
        let chronicle = self.chronicle.get()?;
        match chronicle.write(event).await {
            Ok(index) => Some(index.0),
            Err(refused) => {
                tracing::warn!(%refused, "what follows is not in the chronicle");
                None
            }
        }
    }

    /// The watchdog's ping leaves from the log's thread, so that it says what
    /// it is taken for: that thread's work goes on.
    fn hooks(&self) -> Hooks {
        let (standing, notify) = (self.standing.clone(), self.notify.clone());
        let failures = self.failures.clone();
        Hooks {
            beat: Box::new(move || {
                standing.beat();
                notify.watchdog();
            }),
            fatal: Box::new(move |fatal| {
                failures.record(&fatal.to_string());
                end_process(fatal);
            }),
        }
    }

    fn reduce(&self, reason: &str) {
        tracing::error!(
            reason,
            "reduced after quick failures: only the operator door and the admin socket are open"
        );
        self.notify.ready(&format!("reduced: {reason}"));
        self.standing.enter(Phase::Reduced {
            reason: reason.into(),
        });
    }

    /// Stays reduced until told to stop, or until the whole start is to be
    /// tried again.
    async fn sit_out(&mut self, calls: &mut Calls, reason: String) -> Result<(), Refused> {
        let mut work = no_work();
        tokio::select! {
            why = self.attend(calls, None, &mut work) => {
                self.say_stopping("stopping");
                tracing::info!(why = why.says(), "stopping");
                Ok(())
            }
            () = sleep(REDUCED_LASTS) => {
                self.say_stopping("leaving, to be started whole");
                self.failures.allow_one_more();
                Err(Refused::StillReduced { reason })
            }
        }
    }

    fn say_stopping(&self, status: &str) {
        self.standing.enter(Phase::Stopping);
        self.notify.stopping(status);
    }

    /// A process that begins anew stays: systemd would end one that has said
    /// that it stops. It says that it reloads, and is ready again in time.
    fn say_leaving(&self, why: &Ending) {
        match why.end() {
            End::Stopped => self.say_stopping("stopping"),
            End::Again => {
                self.standing.enter(Phase::Stopping);
                self.notify.reloading();
            }
        }
    }

    /// From serving to sealed, a step at a time; each step has its bound.
    async fn seal(&self, logs: NodeLogs, why: &str) -> Result<(), Refused> {
        let index = self.write_down(Event::Stopping { why: why.into() }).await;
        tracing::info!(why, chronicle = index, "stopping");
        if let Some(event_log) = self.event_log.get() {
            self.notify
                .status("stopping: partitions are being handed on");
            let left = event_log.hand_on().await;
            tracing::info!(left, "others lead the partitions that they could take");
        }
        if let Some(coordination) = self.coordination.get()
            && coordination.leads_others().await
        {
            self.notify
                .status("stopping: the leadership is being handed on");
            let handed = coordination.hand_over().await;
            tracing::info!("{handed}");
        }
        let (coordination, notify) = (self.coordination.clone(), self.notify.clone());
        let event_log = self.event_log.clone();
        let sealed = off_the_doors(move || {
            if let Some(event_log) = event_log.get() {
                notify.status("stopping: Kafka's clients are being sent away");
                event_log.shut_door();
            }
            if let Some(coordination) = coordination.get() {
                notify.status("stopping: clients are being sent away");
                coordination.shut_door();
                if coordination.has_peers() {
                    notify.status("stopping: the other nodes are being told");
                }
                coordination.say_goodbye();
                notify.status("stopping: the log is being sealed");
                coordination.seal()?;
            }
            logs.close()
        })
        .await;
        sealed.map_err(|Fatal { reason }| Refused::Log(reason))
    }

    /// Answers what is called from outside until that is to stop; gives who
    /// asked. What is called again later, while the node stops, changes
    /// nothing: the signals stay caught and nobody reads them.
    async fn attend(
        &mut self,
        calls: &mut Calls,
        logs: Option<&NodeLogs>,
        work: &mut mpsc::UnboundedReceiver<Work>,
    ) -> Ending {
        let served_long_enough = sleep(SERVED_LONG_ENOUGH);
        tokio::pin!(served_long_enough);
        let mut is_young = logs.is_some();
        let mut pulse = interval(PULSE);
        pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                call = calls.next() => match call {
                    Call::Stop(why) => return why,
                    Call::Reload => self.reload().await,
                },
                () = &mut served_long_enough, if is_young => {
                    self.failures.take_back();
                    is_young = false;
                }
                Some(work) = work.recv() => {
                    if let Work::Outgrown(why) = &work {
                        self.notify.status(&format!("reduced: {why}"));
                        self.standing.enter(Phase::Outgrown { reason: why.to_string() });
                        let event_log = self.event_log.clone();
                        spawn_blocking(move || event_log.get().map(EventLog::shut_door));
                    }
                    if let Some(coordination) = self.coordination.get() {
                        coordination.work(work);
                    }
                }
                _ = pulse.tick() => match logs {
                    Some(logs) => {
                        logs.look(&self.standing);
                        if let Some(coordination) = self.coordination.get() {
                            coordination.look(&self.standing);
                        }
                    }
                    // Reduced, this thread is all that runs, so it speaks for
                    // the node.
                    None => self.notify.watchdog(),
                },
            }
        }
    }

    async fn reload(&mut self) {
        self.notify.reloading();
        match compose::load(&self.sources) {
            Ok(new) => self.take(new).await,
            Err(error) => tracing::error!(%error, "settings stay as they were"),
        }
        self.notify.ready(self.standing.phase().word());
    }

    async fn take(&mut self, new: Loaded) {
        let level = new.config.log_level;
        self.journal.set_level(level);
        self.settings.config.log_level = level;
        if let Some(coordination) = self.coordination.get() {
            coordination.reload();
        }
        if let Some(event_log) = self.event_log.get() {
            event_log.reload();
        }
        let settings = compose::needing_restart(&self.settings, &new).join(", ");
        let reloaded = Event::SettingsReloaded {
            log_level: level.to_string(),
            waiting: chronicle::short(&settings),
        };
        let chronicle = self.write_down(reloaded).await;
        match settings.as_str() {
            "" => tracing::info!(%level, chronicle, "settings read again"),
            _ => tracing::warn!(
                settings,
                chronicle,
                "settings read again; these need a restart"
            ),
        }
    }
}

enum Call {
    /// With who asked.
    Stop(Ending),
    Reload,
}

/// Why a life ends.
#[derive(Clone, Copy, Debug)]
pub enum Ending {
    Terminated,
    Interrupted,
    Asked,
    /// It has joined a cluster.
    Joined,
}

impl Ending {
    fn says(self) -> &'static str {
        match self {
            Self::Terminated => "SIGTERM",
            Self::Interrupted => "SIGINT",
            Self::Asked => "asked over the admin socket",
            Self::Joined => "joined a cluster",
        }
    }

    fn end(self) -> End {
        match self {
            Self::Joined => End::Again,
            _ => End::Stopped,
        }
    }
}

fn no_work() -> mpsc::UnboundedReceiver<Work> {
    mpsc::unbounded_channel().1
}

/// What calls the node from outside.
struct Calls {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    stop_asked: mpsc::Receiver<Ending>,
}

impl Calls {
    /// From here on a signal waits for `next` instead of ending the process.
    fn listen(stop_asked: mpsc::Receiver<Ending>) -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            stop_asked,
        })
    }

    async fn next(&mut self) -> Call {
        tokio::select! {
            _ = self.terminate.recv() => Call::Stop(Ending::Terminated),
            _ = self.interrupt.recv() => Call::Stop(Ending::Interrupted),
            asked = self.stop_asked.recv() => Call::Stop(asked.unwrap_or(Ending::Asked)),
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
