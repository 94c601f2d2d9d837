//! What the library says goes to `tracing`, target "consensus". Its debug and
//! trace lines are left out of release builds when they are compiled, so an
//! append or a heartbeat formats nothing there; what remains is elections,
//! changes of members and snapshots, each one comparison when nobody listens.

use slog::{Drain, KV, Level, Logger, OwnedKVList, Record, Serializer};
use std::fmt::{self, Write};
use tracing::level_filters::LevelFilter;

pub(super) fn logger() -> Logger {
    Logger::root(Bridge, slog::o!())
}

struct Bridge;

impl Drain for Bridge {
    type Ok = ();
    type Err = slog::Never;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), slog::Never> {
        let level = level_of(record.level());
        if level > LevelFilter::current() {
            return Ok(());
        }
        match level {
            tracing::Level::ERROR => {
                tracing::error!(target: "consensus", "{}", Line(record, values))
            }
            tracing::Level::WARN => tracing::warn!(target: "consensus", "{}", Line(record, values)),
            tracing::Level::INFO => tracing::info!(target: "consensus", "{}", Line(record, values)),
            tracing::Level::DEBUG => {
                tracing::debug!(target: "consensus", "{}", Line(record, values))
            }
            tracing::Level::TRACE => {
                tracing::trace!(target: "consensus", "{}", Line(record, values))
            }
        }
        Ok(())
    }
}

/// The library speaks of every ignored message and every vote at its level
/// "info"; to an operator that is detail.
fn level_of(level: Level) -> tracing::Level {
    match level {
        Level::Critical | Level::Error => tracing::Level::ERROR,
        Level::Warning => tracing::Level::WARN,
        Level::Info => tracing::Level::DEBUG,
        Level::Debug | Level::Trace => tracing::Level::TRACE,
    }
}

/// Formatted only where `tracing` has found a listener.
struct Line<'a>(&'a Record<'a>, &'a OwnedKVList);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(record, values) = *self;
        write!(f, "{}", record.msg())?;
        let mut pairs = Pairs(f);
        record
            .kv()
            .serialize(record, &mut pairs)
            .and_then(|()| values.serialize(record, &mut pairs))
            .map_err(|_| fmt::Error)
    }
}

struct Pairs<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Serializer for Pairs<'_, '_> {
    fn emit_arguments(&mut self, key: slog::Key, value: &fmt::Arguments<'_>) -> slog::Result {
        self.0.write_char(' ')?;
        write!(self.0, "{key}={value}")?;
        Ok(())
    }
}
