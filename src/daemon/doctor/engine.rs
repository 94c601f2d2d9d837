//! Which engine `auto` would choose, found by choosing.

use super::{Finding, Site};
use crate::clock::MachineClock;
use crate::daemon::config::EngineChoice;
use crate::disk::choose::{Wanted, choose};
use crate::disk::{Engine, How};

pub(super) fn check(site: &Site) -> Vec<Finding> {
    let log = &site.config.log;
    let how = match log.journal_direct_io {
        true => How::WriteDirect,
        false => How::Write,
    };
    let wanted = match log.engine {
        EngineChoice::Auto => Wanted::Auto,
        EngineChoice::Uring => Wanted::Only(Engine::Uring),
        EngineChoice::Threads => Wanted::Only(Engine::Threads),
    };
    if let Wanted::Only(engine) = wanted {
        return vec![Finding::ok(format!("{}: as configured", engine.name()))];
    }
    let clock = MachineClock::new();
    let chosen = site.while_held(|| choose(site.data(), wanted, log.ring_entries, how, &clock));
    vec![match chosen {
        Ok(Ok(chosen)) if chosen.figures.is_empty() => Finding::note(chosen.reason),
        Ok(Ok(chosen)) => Finding::ok(chosen.reason),
        // `auto` fails for want of a folder to measure in, never of io_uring.
        Ok(Err(error)) => Finding::note(format!("not measured: {error}")),
        Err(why) => Finding::note(format!("not measured: {why}")),
    }]
}
