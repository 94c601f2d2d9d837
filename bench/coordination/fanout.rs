//! Watch fan-out: many watchers of one node, one who changes it. The next
//! change comes when everybody has heard of the last one, and has read it
//! where the watch is for one change only.

use super::crowd::Crowd;
use super::failure::Failure;
use super::figures::Round;
use super::histogram::Histogram;
use super::load::{KEEP_ALIVE_EVERY, Load, Work};
use super::process::Cpu;
use super::talk::{Ask, Heard, Verb, Way};
use serde::Serialize;
use std::time::{Duration, Instant};

pub const WATCHERS: usize = 64;
/// The share of the time that warms up and is not counted.
const LEAD_IN: u32 = 8;
/// After a change, everybody must have heard within this time.
const HEAR_WITHIN: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Lasts {
    /// Left by a read, gone with the change, left again by the next read.
    Once,
    Always,
}

impl Lasts {
    pub fn name(self) -> &'static str {
        match self {
            Self::Once => "one change, read again",
            Self::Always => "lasting",
        }
    }

    fn verb(self) -> Verb {
        match self {
            Self::Once => Verb::WatchOnce,
            Self::Always => Verb::WatchOn,
        }
    }
}

/// One event is one operation of the round.
pub fn measure(
    ways: &[Way],
    lasts: Lasts,
    time: Duration,
    servers: &[u32],
) -> Result<Round, Failure> {
    let everywhere = Load {
        work: Work::SyncGet,
        keys: 0..1,
        clients: ways.len(),
        in_flight: 1,
    };
    everywhere.so_often(ways, ways.len() as u64)?;
    let mut crowd = Crowd::open(ways, WATCHERS + 1)?;
    let mut fan = Fan {
        lasts,
        armed: 0,
        told: vec![true; WATCHERS],
        heard: 0,
        is_set: true,
        set_at: Instant::now(),
        times: Histogram::default(),
        wrong: None,
        alive_at: Instant::now(),
    };
    for watcher in 0..WATCHERS {
        let now = Instant::now();
        crowd.ask(watcher, fan.watch(), now);
        crowd.flush(watcher, now)?;
    }
    fan.until(&mut crowd, |fan| fan.armed == WATCHERS)?;
    let lead_in = Instant::now() + time / LEAD_IN;
    while Instant::now() < lead_in {
        fan.change(&mut crowd)?;
    }
    fan.times = Histogram::default();
    let (cpu, begun) = (Cpu::of(servers)?, Instant::now());
    while begun.elapsed() < time {
        fan.change(&mut crowd)?;
    }
    let spent = begun.elapsed().as_secs_f64();
    let used = Cpu::of(servers)?.since(cpu);
    crowd.part();
    let count = fan.times.count();
    let each = |seconds: f64| seconds * 1e6 / count as f64;
    Ok(Round {
        per_second: count as f64 / spent,
        p50_us: fan.times.us_at(500),
        p99_us: fan.times.us_at(990),
        max_us: fan.times.max_us(),
        client_us: each(used.client),
        server_us: each(used.servers),
        count,
    })
}

struct Fan {
    lasts: Lasts,
    /// Watchers whose watch stands.
    armed: usize,
    /// Who has heard of the last change.
    told: Vec<bool>,
    heard: usize,
    is_set: bool,
    set_at: Instant,
    /// From asking for the change to hearing of it.
    times: Histogram,
    wrong: Option<String>,
    alive_at: Instant,
}

impl Fan {
    fn watch(&self) -> Ask {
        let verb = self.lasts.verb();
        Ask { verb, key: 0 }
    }

    fn change(&mut self, crowd: &mut Crowd) -> Result<(), Failure> {
        (self.heard, self.is_set, self.set_at) = (0, false, Instant::now());
        self.told.fill(false);
        if self.lasts == Lasts::Once {
            self.armed = 0;
        }
        let set = Ask {
            verb: Verb::Set,
            key: 0,
        };
        crowd.ask(WATCHERS, set, self.set_at);
        crowd.flush(WATCHERS, self.set_at)?;
        self.until(crowd, |fan| {
            fan.is_set && fan.heard == WATCHERS && fan.armed == WATCHERS
        })
    }

    fn until(&mut self, crowd: &mut Crowd, is_over: impl Fn(&Self) -> bool) -> Result<(), Failure> {
        let until = Instant::now() + HEAR_WITHIN;
        while !is_over(self) {
            crowd.turn(|client, heard, now, ask| self.take(client, heard, now, ask))?;
            // Lasting watches leave the watchers with nothing to say.
            if self.alive_at.elapsed() > KEEP_ALIVE_EVERY {
                self.alive_at = Instant::now();
                crowd.keep_alive()?;
            }
            if let Some(wrong) = self.wrong.take() {
                return Err(Failure::Answered(wrong));
            }
            if Instant::now() > until {
                let (heard, armed) = (self.heard, self.armed);
                let why = format!("{heard} of {WATCHERS} told, {armed} watching again");
                return Err(Failure::Lost(why));
            }
        }
        Ok(())
    }

    fn take(&mut self, client: usize, heard: Heard, now: Instant, ask: &mut dyn FnMut(Ask)) {
        match heard {
            Heard::Answer { .. } if client == WATCHERS => self.is_set = true,
            Heard::Answer { .. } => self.armed += 1,
            Heard::Event => {
                if std::mem::replace(&mut self.told[client], true) {
                    self.wrong = Some(format!("watcher {client} was told twice of one change"));
                }
                self.heard += 1;
                self.times.add(now - self.set_at);
                if self.lasts == Lasts::Once {
                    ask(self.watch());
                }
            }
        }
    }
}
