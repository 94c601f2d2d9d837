//! One event being handled: what it may look at, and what comes of it.

use super::record::{Key, Of, Record, Value};
use super::request::{Reply, Token};
use super::{Catalog, Error, Name, Settings};
use crate::clock::Millis;
use crate::ids::Uid;
use crate::streams::ages::Ages;
use std::time::Duration;

/// The time, by the clock that never goes back, for deadlines, and by the one
/// on the wall, for what must be told after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    pub since: Duration,
    pub wall: Millis,
}

pub(super) type Answer = (Token, Result<Reply, Error>);

pub(super) struct Turn<'a> {
    pub now: Now,
    pub settings: &'a Settings,
    pub catalog: &'a Catalog,
    pub ages: &'a Ages,
    pub records: Vec<Record>,
    pub answers: Vec<Answer>,
    /// Patterns whose topics are to be found, each with its group.
    pub unresolved: Vec<(Name, Name)>,
    /// The coordinator holds as much as it may: nothing is to grow.
    pub is_full: bool,
}

impl<'a> Turn<'a> {
    pub fn new(now: Now, settings: &'a Settings, catalog: &'a Catalog, ages: &'a Ages) -> Self {
        Self {
            now,
            settings,
            catalog,
            ages,
            records: Vec::new(),
            answers: Vec::new(),
            unresolved: Vec::new(),
            is_full: false,
        }
    }

    pub fn after_ms(&self, ms: impl Into<u64>) -> Duration {
        self.now.since + Duration::from_millis(ms.into())
    }

    pub fn is_due(&self, at: Duration) -> bool {
        at <= self.now.since
    }

    pub fn answer(&mut self, token: Token, answer: Result<Reply, Error>) {
        self.answers.push((token, answer));
    }

    /// Refuses whoever waited, if somebody did.
    pub fn refuse(&mut self, waiting: Option<Token>, error: Error) {
        if let Some(token) = waiting {
            self.answer(token, Err(error));
        }
    }

    pub fn write(&mut self, group: &Name, of: Of, value: Value) {
        self.record(group, of, Some(value));
    }

    pub fn erase(&mut self, group: &Name, of: Of) {
        self.record(group, of, None);
    }

    fn record(&mut self, group: &Name, of: Of, value: Option<Value>) {
        let key = Key {
            group: group.clone(),
            of,
        };
        self.records.push(Record { key, value });
    }
}

/// A member's id: what it calls itself and 16 random bytes, as Kafka's brokers
/// make it, so that it can be told in a log whose it is.
pub(super) fn member_id(called: &str, chance: Uid) -> Name {
    let hex = chance.to_string();
    let (a, b, c) = (&hex[..8], &hex[8..12], &hex[12..16]);
    let (d, e) = (&hex[16..20], &hex[20..]);
    let called = match called.is_empty() {
        true => String::new(),
        false => format!("{called}-"),
    };
    format!("{called}{a}-{b}-{c}-{d}-{e}").into()
}
