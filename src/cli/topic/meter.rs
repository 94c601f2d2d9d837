//! One line on a terminal that tells how fast records pass; elsewhere nothing.

use super::sizes;
use crate::clock::{Clock, MachineClock};
use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

pub struct Meter {
    clock: MachineClock,
    is_shown: bool,
    what: &'static str,
    records: u64,
    bytes: u64,
    /// How it stood of late, the oldest first.
    marks: VecDeque<Mark>,
}

#[derive(Clone, Copy)]
struct Mark {
    at: Duration,
    records: u64,
    bytes: u64,
}

impl Meter {
    pub const EVERY: Duration = Duration::from_millis(200);
    /// Rates are those of the last two seconds.
    const MARKS: usize = 10;

    /// It would be in the way where the records themselves pass the terminal.
    pub fn new(what: &'static str, others_are_on_terminal: bool) -> Self {
        Self {
            clock: MachineClock::new(),
            is_shown: io::stderr().is_terminal() && !others_are_on_terminal,
            what,
            records: 0,
            bytes: 0,
            marks: VecDeque::new(),
        }
    }

    pub fn is_shown(&self) -> bool {
        self.is_shown
    }

    pub fn count(&mut self, records: u64, bytes: u64) {
        self.records += records;
        self.bytes += bytes;
    }

    pub fn records(&self) -> u64 {
        self.records
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn elapsed(&self) -> Duration {
        self.clock.monotonic()
    }

    /// Draws where it is time to.
    pub fn draw(&mut self) {
        let at = self.clock.monotonic();
        let is_due = self
            .marks
            .back()
            .is_none_or(|mark| at >= mark.at + Self::EVERY);
        if !self.is_shown || !is_due {
            return;
        }
        let (records, bytes) = (self.records, self.bytes);
        self.marks.push_back(Mark { at, records, bytes });
        if self.marks.len() > Self::MARKS + 1 {
            self.marks.pop_front();
        }
        let _ = write!(io::stderr(), "\r\x1b[K{}", self.line());
    }

    fn line(&self) -> String {
        let (records, bytes) = self.rates();
        format!(
            "{} {}  {}  {records} {}/s  {}/s",
            self.records,
            self.what,
            sizes::bytes(self.bytes),
            self.what,
            sizes::bytes(bytes)
        )
    }

    /// Records and bytes in a second.
    fn rates(&self) -> (u64, u64) {
        let (Some(first), Some(last)) = (self.marks.front(), self.marks.back()) else {
            return (0, 0);
        };
        let seconds = (last.at - first.at).as_secs_f64();
        let rate = |count: u64| match seconds > 0.0 {
            true => (count as f64 / seconds).round() as u64,
            false => 0,
        };
        (
            rate(last.records - first.records),
            rate(last.bytes - first.bytes),
        )
    }

    /// Says something in a line of its own.
    pub fn say(&self, says: &str) {
        self.clear();
        eprintln!("dolmen: {says}");
    }

    pub fn clear(&self) {
        if self.is_shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_of_late() {
        let mut meter = Meter::new("lines", true);
        meter.count(3000, 600_000);
        assert_eq!(meter.line(), "3000 lines  600 kB  0 lines/s  0 B/s");
        for (second, records) in [(10, 1000), (12, 3000)] {
            meter.marks.push_back(Mark {
                at: Duration::from_secs(second),
                records,
                bytes: records * 200,
            });
        }
        assert_eq!(meter.line(), "3000 lines  600 kB  1000 lines/s  200 kB/s");
    }
}
