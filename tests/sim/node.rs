//! One simulated machine: a disk, a clock of its own, and a replica while it
//! runs. A machine that is stopped hears all that came meanwhile when it goes
//! on; one whose power is cut comes back with what its disk kept.

use dolmen::clock::Millis;
use dolmen::disk::Disk;
use dolmen::disk::sim::{Crash, Kept, SimDisk};
use dolmen::entropy::{Entropy, Seeded};
use dolmen::ids::{NodeId, Uid};
use dolmen::log::{FRAMES, Fatal, OpenError, Opening};
use dolmen::peers::{Plane, Release};
use dolmen::replica::desk::{Ask, Reply};
use dolmen::replica::{FOUNDER, Now, Opened, Replica, Settings, Start};
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub const CLUSTER: Uid = Uid([1; 16]);

/// A turn that never comes to rest is a fault of ours.
const TURNS_MAX: usize = 10_000;

/// What a seed decides of all nodes alike.
#[derive(Clone, Debug)]
pub struct Shape {
    pub seed: u64,
    pub tick: Duration,
    pub election_ticks: usize,
    pub heartbeat_ticks: usize,
    pub log: dolmen::log::Settings,
}

/// What comes to a node from outside.
#[derive(Debug)]
pub enum Input {
    Heard(NodeId, Vec<u8>),
    /// And the level that its release knows.
    Up(NodeId, u32),
    Down(NodeId),
    Ask(Ask),
    Tick,
    /// The disk may have finished something.
    Disk,
    /// What it held for a while is due.
    Time,
}

/// What a turn gave.
#[derive(Default)]
pub struct Output {
    pub sends: Vec<(NodeId, Plane, Vec<u8>)>,
    pub replies: Vec<Reply>,
}

pub struct Node {
    pub id: NodeId,
    pub disk: SimDisk,
    pub replica: Option<Replica>,
    /// The feature level up to which its release writes and reads.
    pub knows: u32,
    /// Where all run the same release the file of the level tells nothing, and
    /// lies elsewhere, so that the seeds' disks are as they always were.
    pub is_among_releases: bool,
    /// Counts the starts.
    pub life: u64,
    /// Runs too slow or too fast, in thousandths.
    pub rate: u32,
    pub wall_offset_ms: i64,
    /// Stopped as by SIGSTOP: time goes by, nothing is done.
    pub is_paused: bool,
    pub waits: VecDeque<Input>,
    /// The disk will be looked at: no second look need be planned.
    pub is_disk_due: bool,
    looks_at: Option<Duration>,
    /// Operations of the disk before the last turn.
    recorded_before: usize,
}

impl Node {
    pub fn new(id: NodeId, seed: u64, rate: u32) -> Self {
        Self {
            id,
            disk: SimDisk::new(seed),
            replica: None,
            knows: 1,
            is_among_releases: false,
            life: 0,
            rate,
            wall_offset_ms: 0,
            is_paused: false,
            waits: VecDeque::new(),
            is_disk_due: false,
            looks_at: None,
            recorded_before: 0,
        }
    }

    /// The moment by this node's own clocks.
    pub fn moment(&self, now: Duration) -> Now {
        let monotonic = now * self.rate / 1000;
        let wall = 1_700_000_000_000 + monotonic.as_millis() as i64 + self.wall_offset_ms;
        Now {
            wall: Millis(wall as u64),
            monotonic,
        }
    }

    /// When this node should look at what it holds; once for each moment.
    pub fn held(&mut self, now: Duration) -> Option<Duration> {
        let (until, _) = self.replica.as_ref()?.holds()?;
        let is_new = self.looks_at != Some(until);
        self.looks_at = Some(until);
        let wait = until.saturating_sub(self.moment(now).monotonic);
        // Rounded up: a look too early would find it held.
        let wait = wait * 1000 / self.rate + Duration::from_nanos(1);
        is_new.then_some(wait)
    }

    /// How long a tick of this node's takes by the true time.
    pub fn tick(&self, shape: &Shape) -> Duration {
        shape.tick * 1000 / self.rate
    }

    pub fn start(&mut self, now: Duration, shape: &Shape) -> Result<Opened, OpenError> {
        self.life += 1;
        let dice = Arc::new(Dice::new(shape.seed ^ self.id.0 << 40 ^ self.life << 48));
        let settings = Settings {
            node: self.id,
            cluster: CLUSTER,
            release: release(self.knows),
            tick: shape.tick,
            election_ticks: shape.election_ticks,
            seed: shape.seed ^ self.life,
            heartbeat_ticks: shape.heartbeat_ticks,
            serves_read_only: true,
            // Of the faults' 100,000 at most: found nearly full, or full.
            room_low_bytes: 40_000,
        };
        let opening = Opening {
            disk: Arc::new(self.disk.clone()),
            lane: self.disk.lane().expect("a simulated disk has lanes"),
            entropy: &*dice,
            settings: shape.log.clone(),
            formats: &[&FRAMES],
        };
        let moment = self.moment(now);
        let (mut replica, opened) = Replica::open(Start {
            settings,
            is_founder: self.id == FOUNDER,
            has_others: true,
            opening,
            data: Arc::new(match self.is_among_releases {
                true => self.disk.clone(),
                false => SimDisk::new(0),
            }),
            entropy: dice.clone(),
            now: moment,
        })?;
        replica.lead_at_once_if_alone(moment);
        self.replica = Some(replica);
        self.is_disk_due = false;
        self.looks_at = None;
        self.recorded_before = self.disk.recorded();
        Ok(opened)
    }

    /// Takes inputs in, and goes as far as it can without waiting.
    pub fn run(
        &mut self,
        now: Duration,
        inputs: impl Iterator<Item = Input>,
    ) -> Result<Output, Fatal> {
        let moment = self.moment(now);
        let mut output = Output::default();
        let Some(replica) = &mut self.replica else {
            return Ok(output);
        };
        self.recorded_before = self.disk.recorded();
        for input in inputs {
            match input {
                Input::Heard(from, bytes) => replica.heard(moment, from, &bytes),
                Input::Up(node, knows) => replica.peer_up(moment, node, release(knows)),
                Input::Down(node) => replica.peer_down(moment, node),
                Input::Ask(ask) => replica.ask(moment, ask),
                Input::Tick => replica.tick(moment)?,
                Input::Disk => replica.wait(None, &mut || true),
                Input::Time => {}
            }
        }
        for turn in 0.. {
            assert!(turn < TURNS_MAX, "node {} never comes to rest", self.id);
            replica.turn(moment)?;
            output.sends.extend(replica.take_sends());
            replica.take_replies(&mut output.replies);
            if replica.is_waiting() {
                break;
            }
            replica.wait(None, &mut || true);
        }
        Ok(output)
    }

    /// The power goes. With `within`, at a step of the last turn, whose output
    /// the caller must throw away; else behind it.
    pub fn crash(&mut self, chance: &mut Seeded, within: bool) {
        let to = self.disk.recorded();
        let from = match within {
            true => self.recorded_before,
            false => to,
        };
        let cut = from + chance.below((to - from) as u64 + 1) as usize;
        self.cut_power(cut, chance.next_u64() >> 40);
    }

    /// The process ends and the power stays on: the disk is as it was, with
    /// what nobody has synced yet, and with its faults.
    pub fn kill(&mut self) {
        self.replica = None;
        self.waits.clear();
        self.is_paused = false;
        self.is_disk_due = false;
        self.looks_at = None;
    }

    fn cut_power(&mut self, cut: usize, choice: u64) {
        self.kill();
        let kept = match choice % 8 {
            0 => Kept::Nothing,
            1 => Kept::Everything,
            _ => Kept::Random(choice),
        };
        let image = self.disk.trace().image(Crash { cut, kept });
        self.disk = image.into_disk();
        self.disk.start_recording();
    }

    /// Names of the snapshots on the disk, the newest first.
    pub fn snapshots(&self) -> Vec<String> {
        let names = self.disk.names();
        let is_one = |name: &String| name.starts_with("snapshots/") && name.contains('-');
        let mut names: Vec<String> = names.into_iter().filter(is_one).collect();
        names.sort_unstable_by(|a, b| b.cmp(a));
        names
    }
}

/// A release that knows the levels up to this one.
pub fn release(features: u32) -> Release {
    Release {
        features,
        version: format!("0.{features}.0"),
    }
}

struct Dice(Mutex<Seeded>);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(Mutex::new(Seeded::new(seed)))
    }
}

impl Entropy for Dice {
    fn fill(&self, into: &mut [u8]) -> io::Result<()> {
        let mut seeded = self.0.lock().expect("one thread");
        into.iter_mut()
            .for_each(|byte| *byte = seeded.next_u64() as u8);
        Ok(())
    }
}
