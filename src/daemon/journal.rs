//! Where the daemon's messages go: the journal with their fields, or stderr.

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, reload};

const JOURNAL_SOCKET: &str = "/run/systemd/journal/socket";

/// Set up once a process; changes the level while it runs.
pub struct Journal {
    level: reload::Handle<LevelFilter, Registry>,
}

impl Journal {
    pub fn start(level: LevelFilter) -> Self {
        let (level, handle) = reload::Layer::new(level);
        let (output, refused) = output();
        let messages = tracing_subscriber::registry().with(level).with(output);
        if let Err(error) = messages.try_init() {
            unreachable!("messages are set up once a process: {error}");
        }
        if let Some(error) = refused {
            tracing::warn!(%error, "the journal refuses our messages: they go to stderr");
        }
        Self { level: handle }
    }

    pub fn set_level(&self, level: LevelFilter) {
        if let Err(error) = self.level.reload(level) {
            tracing::warn!(%error, "the level of messages stays as it was");
        }
    }
}

type Output<S> = Box<dyn Layer<S> + Send + Sync>;

/// The journal where stderr leads there already, else stderr. Also says why
/// the journal was not to be had.
fn output<S>() -> (Output<S>, Option<io::Error>)
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let mut refused = None;
    if Path::new(JOURNAL_SOCKET).exists() && stderr_is_the_journal() {
        match tracing_journald::layer() {
            Ok(layer) => {
                let layer = layer.with_syslog_identifier("dolmen".into());
                return (Box::new(layer), None);
            }
            Err(error) => refused = Some(error),
        }
    }
    let stderr = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let layer: Output<S> = match io::stderr().is_terminal() {
        true => Box::new(stderr.without_time().with_target(false).compact()),
        false => Box::new(stderr.event_format(Prefixed)),
    };
    (layer, refused)
}

/// systemd names the device and inode of the stream it gave us; they stay in
/// the environment when stderr is sent elsewhere.
fn stderr_is_the_journal() -> bool {
    let Some(stream) = std::env::var_os("JOURNAL_STREAM") else {
        return false;
    };
    let Ok(stderr) = std::fs::metadata("/proc/self/fd/2") else {
        return false;
    };
    stream.to_str() == Some(&format!("{}:{}", stderr.dev(), stderr.ino()))
}

/// What a last line on stderr begins with, so that the journal takes it for
/// the error that it is.
pub fn error_prefix() -> &'static str {
    match stderr_is_the_journal() {
        true => "<3>",
        false => "",
    }
}

/// sd-daemon(3)'s priorities, as tracing-journald maps the levels.
fn priority(level: &Level) -> u8 {
    match *level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 5,
        Level::DEBUG => 6,
        Level::TRACE => 7,
    }
}

/// `<4>accept failed door=operator error=...`, one line a message.
struct Prefixed;

impl<S, N> FormatEvent<S, N> for Prefixed
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Line::default();
        event.record(&mut line);
        let priority = priority(event.metadata().level());
        let text = format!("{}{}", line.message, line.fields).replace('\n', "\\n");
        writeln!(writer, "<{priority}>{text}")
    }
}

#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}
