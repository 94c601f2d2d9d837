//! The rows of the table: who appends what beside what. Not the full cross
//! product: what a goal is judged by, and its neighbours that explain it.

use super::figures::Round;
use super::load::{Load, Variant};
use super::others::Answer;
use super::raw::Way;
use dolmen::disk::class::Class;

/// Who makes bytes durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The loop without a log, on a thread of class Log.
    Raw(Way),
    /// The thread of class Log that owns the device of this variant.
    Own(usize),
    /// The same, that rests after each turn.
    Resting(usize),
    /// The same as `Own`, on a thread of an ordinary class.
    Ordinary(usize),
    /// Threads of this class, through the queue of the log's thread.
    Others(usize, Class, Answer),
}

pub struct Row {
    pub who: Who,
    pub load: Load,
    pub beside_hogs: bool,
    pub rounds: Vec<Round>,
}

pub struct Plan {
    pub rows: Vec<Row>,
    /// The variant that `auto` chose.
    pub auto: usize,
}

pub const LONE: usize = 512;
pub const BLOCK: usize = 4 << 10;
pub const LARGE: usize = 64 << 10;
pub const HUGE: usize = 1 << 20;

/// So many appends of a size outstanding on one log.
pub fn of(bytes: usize, outstanding: usize) -> Load {
    let logs = 1;
    Load {
        bytes,
        outstanding,
        logs,
    }
}

/// One append outstanding on each of so many logs.
pub fn over(bytes: usize, logs: u64) -> Load {
    Load {
        bytes,
        outstanding: logs as usize,
        logs,
    }
}

impl Plan {
    pub fn new(variants: &[Variant], auto: usize) -> Self {
        let mut plan = Self {
            rows: Vec::new(),
            auto,
        };
        let all = 0..variants.len();
        let doors = |answer| Who::Others(auto, Class::Doors, answer);
        for bytes in [LONE, BLOCK, LARGE, HUGE] {
            plan.quiet(Who::Raw(Way::Buffered), of(bytes, 1));
            plan.quiet(Who::Raw(Way::Direct), of(bytes, 1));
            for variant in all.clone() {
                plan.quiet(Who::Own(variant), of(bytes, 1));
            }
            if bytes <= BLOCK {
                plan.quiet(Who::Resting(auto), of(bytes, 1));
                plan.quiet(doors(Answer::Ticket), of(bytes, 1));
                let replica = Who::Others(auto, Class::Log, Answer::Ticket);
                plan.quiet(replica, of(bytes, 1));
            }
        }
        plan.quiet(Who::Raw(Way::Fallocated), of(HUGE, 1));
        for variant in all.clone() {
            for load in [of(HUGE, 4), of(HUGE, 16), over(HUGE, 16)] {
                plan.quiet(Who::Own(variant), load);
            }
            for load in [of(LONE, 4), of(LONE, 16), of(LONE, 64), of(BLOCK, 64)] {
                plan.quiet(Who::Own(variant), load);
            }
            for load in [of(LARGE, 16), of(LONE, 100), over(LONE, 100)] {
                plan.quiet(Who::Own(variant), load);
            }
            let others = Who::Others(variant, Class::Doors, Answer::Ticket);
            plan.quiet(others, of(LONE, 64));
        }
        plan.quiet(doors(Answer::Callback), of(LONE, 64));
        for load in [of(BLOCK, 64), of(LARGE, 16), of(HUGE, 16)] {
            plan.quiet(doors(Answer::Ticket), load);
        }
        for load in [of(LONE, 100), over(LONE, 100)] {
            plan.quiet(doors(Answer::Ticket), load);
        }
        plan.hogs(Who::Raw(Way::Direct), of(LONE, 1));
        for variant in all {
            plan.hogs(Who::Own(variant), of(LONE, 1));
        }
        plan.hogs(doors(Answer::Ticket), of(LONE, 1));
        plan.hogs(doors(Answer::Ticket), of(LONE, 64));
        plan.hogs(Who::Ordinary(0), of(LONE, 1));
        plan
    }

    fn quiet(&mut self, who: Who, load: Load) {
        self.add(who, load, false);
    }

    fn hogs(&mut self, who: Who, load: Load) {
        self.add(who, load, true);
    }

    fn add(&mut self, who: Who, load: Load, beside_hogs: bool) {
        self.rows.push(Row {
            who,
            load,
            beside_hogs,
            rounds: Vec::new(),
        });
    }

    /// The rounds of a row that the plan has.
    pub fn rounds(&self, who: Who, load: Load, beside_hogs: bool) -> &[Round] {
        let row = self
            .rows
            .iter()
            .find(|row| (row.who, row.load, row.beside_hogs) == (who, load, beside_hogs))
            .unwrap_or_else(|| panic!("no row {who:?} {load:?}, hogs {beside_hogs}"));
        &row.rounds
    }
}
