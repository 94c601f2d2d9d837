//! A closed loop: every client keeps so many requests outstanding, for a time
//! or until so many are answered.

use super::crowd::Crowd;
use super::failure::Failure;
use super::figures::Round;
use super::histogram::Histogram;
use super::place::Placed;
use super::process::Cpu;
use super::talk::{Ask, Heard, Verb, Way};
use clap::ValueEnum;
use serde::Serialize;
use std::ops::Range;
use std::time::{Duration, Instant};

/// After its end, a load waits this long for what is still outstanding.
const DRAIN_WITHIN: Duration = Duration::from_secs(30);
/// The share of a timed load that warms up and is not counted.
const LEAD_IN: u32 = 8;
/// How often somebody looks for clients that have been silent.
pub const KEEP_ALIVE_EVERY: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    Create,
    Set,
    Get,
    /// The read that is at least as new as the moment it was asked
    SyncGet,
    /// 90 % get, 10 % set
    Mixed,
    #[value(skip)]
    Delete,
}

impl Work {
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Set => "set",
            Self::Get => "get",
            Self::SyncGet => "sync+get",
            Self::Mixed => "mixed",
            Self::Delete => "delete",
        }
    }
}

/// What is asked next.
struct Script {
    work: Work,
    keys: Range<u64>,
    /// Marsaglia's xorshift64: which keys, the same at every run.
    chance: u64,
}

impl Script {
    fn new(work: Work, keys: Range<u64>) -> Self {
        Self {
            work,
            keys,
            chance: 0x9e37_79b9_7f4a_7c15,
        }
    }

    /// None when each key has had its turn, where each has only one.
    fn next(&mut self) -> Option<Ask> {
        let verb = match self.work {
            Work::Create | Work::Delete => {
                let key = self.keys.next()?;
                let verb = match self.work {
                    Work::Create => Verb::Create,
                    _ => Verb::Delete,
                };
                return Some(Ask { verb, key });
            }
            Work::Set => Verb::Set,
            Work::Get => Verb::Get,
            Work::SyncGet => Verb::SyncGet,
            Work::Mixed => match self.draw() % 10 {
                0 => Verb::Set,
                _ => Verb::Get,
            },
        };
        let key = self.keys.start + self.draw() % (self.keys.end - self.keys.start);
        Some(Ask { verb, key })
    }

    fn draw(&mut self) -> u64 {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        // The low bits follow a pattern of their own.
        self.chance >> 11
    }
}

pub struct Load {
    pub work: Work,
    pub keys: Range<u64>,
    pub clients: usize,
    /// Requests that each client keeps outstanding.
    pub in_flight: usize,
}

impl Load {
    /// Keeps going for a time, the first part of which does not count.
    pub fn for_a_time(
        &self,
        ways: &[Way],
        time: Duration,
        servers: &[u32],
    ) -> Result<Timed, Failure> {
        let mut crowd = Crowd::open(ways, self.clients)?;
        let _placed = Placed::on_the_first_core()?;
        let begun = Instant::now();
        let counted_from = begun + time / LEAD_IN;
        let mut run = Run {
            script: Script::new(self.work, self.keys.clone()),
            counted_from,
            ends_at: counted_from + time,
            left: u64::MAX,
            outstanding: 0,
            answered: 0,
            in_time: 0,
            times: Histogram::default(),
        };
        run.begin(&mut crowd, self.in_flight)?;
        run.until(&mut crowd, |_| Instant::now() >= counted_from)?;
        let (cpu, counted) = (Cpu::of(servers)?, Instant::now());
        let before = run.in_time;
        run.until(&mut crowd, |run| Instant::now() >= run.ends_at)?;
        let spent = (run.ends_at - counted).as_secs_f64();
        let used = Cpu::of(servers)?.since(cpu);
        let count = run.in_time - before;
        run.drain(&mut crowd)?;
        crowd.part();
        if count == 0 {
            return Err(Failure::Lost("nothing was answered in time".into()));
        }
        let each = |seconds: f64| seconds * 1e6 / count as f64;
        let round = Round {
            per_second: count as f64 / spent,
            p50_us: run.times.us_at(500),
            p99_us: run.times.us_at(990),
            max_us: run.times.max_us(),
            client_us: each(used.client),
            server_us: each(used.servers),
            count,
        };
        Ok(Timed {
            round,
            asked_until: run.script.keys.start,
        })
    }

    /// Asks so often, and says how long that took.
    pub fn so_often(&self, ways: &[Way], count: u64) -> Result<Duration, Failure> {
        let mut crowd = Crowd::open(ways, self.clients)?;
        let begun = Instant::now();
        let far = begun + Duration::from_secs(24 * 3600);
        let mut run = Run {
            script: Script::new(self.work, self.keys.clone()),
            counted_from: far,
            ends_at: far,
            left: count,
            outstanding: 0,
            answered: 0,
            in_time: 0,
            times: Histogram::default(),
        };
        run.begin(&mut crowd, self.in_flight)?;
        run.until(&mut crowd, |run| run.outstanding == 0)?;
        let took = begun.elapsed();
        crowd.part();
        assert_eq!(run.answered, count, "every key had its turn");
        Ok(took)
    }
}

pub struct Timed {
    pub round: Round,
    /// The first key that a creating load did not come to.
    pub asked_until: u64,
}

struct Run {
    script: Script,
    counted_from: Instant,
    ends_at: Instant,
    /// To be asked yet.
    left: u64,
    outstanding: usize,
    answered: u64,
    /// Of those, the ones before `ends_at`.
    in_time: u64,
    /// Of what was asked while it counts, whenever it was answered.
    times: Histogram,
}

impl Run {
    fn next(&mut self, now: Instant) -> Option<Ask> {
        if self.left == 0 || now >= self.ends_at {
            return None;
        }
        let ask = self.script.next()?;
        self.left -= 1;
        self.outstanding += 1;
        Some(ask)
    }

    fn begin(&mut self, crowd: &mut Crowd, in_flight: usize) -> Result<(), Failure> {
        for client in 0..crowd.len() {
            let now = Instant::now();
            for _ in 0..in_flight {
                if let Some(ask) = self.next(now) {
                    crowd.ask(client, ask, now);
                }
            }
            crowd.flush(client, now)?;
        }
        Ok(())
    }

    fn until(&mut self, crowd: &mut Crowd, is_over: impl Fn(&Self) -> bool) -> Result<(), Failure> {
        let mut alive_at = Instant::now();
        while !is_over(self) {
            crowd.turn(|_, heard, now, ask| {
                let Heard::Answer { asked_at } = heard else {
                    return;
                };
                self.outstanding -= 1;
                self.answered += 1;
                if now < self.ends_at {
                    self.in_time += 1;
                }
                if asked_at >= self.counted_from {
                    self.times.add(now - asked_at);
                }
                if let Some(next) = self.next(now) {
                    ask(next);
                }
            })?;
            if alive_at.elapsed() > KEEP_ALIVE_EVERY {
                alive_at = Instant::now();
                crowd.keep_alive()?;
            }
        }
        Ok(())
    }

    fn drain(&mut self, crowd: &mut Crowd) -> Result<(), Failure> {
        let until = Instant::now() + DRAIN_WITHIN;
        self.until(crowd, |run| run.outstanding == 0 || Instant::now() >= until)?;
        match self.outstanding {
            0 => Ok(()),
            left => Err(Failure::Lost(format!(
                "{left} requests without an answer after {DRAIN_WITHIN:?}"
            ))),
        }
    }
}
