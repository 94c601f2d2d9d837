//! One machine of the simulated cluster: a disk whose power may go, and while it
//! runs the owner of its partitions on a device that is driven by hand.

use super::authority::Proposals;
use dolmen::clock::{Clock, Millis};
use dolmen::disk::Disk;
use dolmen::disk::sim::{Crash, Kept, SimDisk};
use dolmen::entropy::{Entropy, Seeded};
use dolmen::ids::{NodeId, Offset, SessionId, Uid};
use dolmen::log::{Device, FRAMES, Opening, Settings, Tenant, open};
use dolmen::state::topics::Topics;
use dolmen::streams::batch::build::is_gap;
use dolmen::streams::batch::format::BATCHES;
use dolmen::streams::batch::header::Header;
use dolmen::streams::desk::Word;
use dolmen::streams::follow::codec::{self, Head};
use dolmen::streams::follow::{Answered, Asked, read};
use dolmen::streams::house::{self, House};
use dolmen::streams::{Key, Site, Streams};
use dolmen::wire::frame::{self, framed};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

/// All machines' time.
#[derive(Clone, Default)]
pub struct Time(Arc<AtomicU64>);

impl Time {
    pub fn go_on(&self, by: Duration) {
        self.0.fetch_add(by.as_micros() as u64, Ordering::Relaxed);
    }
}

impl Clock for Time {
    fn now(&self) -> Millis {
        Millis(1_700_000_000_000 + self.monotonic().as_millis() as u64)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed))
    }
}

struct Dice(Mutex<Seeded>);

impl Entropy for Dice {
    fn fill(&self, into: &mut [u8]) -> io::Result<()> {
        let mut seeded = self.0.lock().unwrap();
        into.iter_mut()
            .for_each(|byte| *byte = seeded.next_u64() as u8);
        Ok(())
    }
}

/// What a partition answers a follower, and over which of the links it came.
pub type Owed = Arc<Mutex<Vec<(NodeId, u64, Answered)>>>;

pub struct Machine {
    pub id: NodeId,
    pub disk: SimDisk,
    pub disk_id: Uid,
    /// Which it last announced itself in; none while it has none.
    pub session: Option<SessionId>,
    pub was_clean: bool,
    pub dwelling: Option<Dwelling>,
    /// The topics that it has not heard of yet, in order.
    pub unheard: VecDeque<Arc<Topics>>,
    starts: u64,
}

/// What runs.
pub struct Dwelling {
    disk: SimDisk,
    device: Device,
    house: House,
    pub streams: Streams,
    pub site: Arc<Site>,
    shown: watch::Sender<Arc<Topics>>,
    pub asked: Arc<Mutex<Vec<(NodeId, Asked)>>>,
    pub owed: Owed,
    /// How far readers have seen, and from where on.
    pub seen: BTreeMap<Key, (Offset, Offset)>,
    /// Batches of which compaction had left nothing, as leaders sent them.
    pub gaps: usize,
}

impl Machine {
    pub fn new(id: NodeId, seed: u64) -> Self {
        let disk = SimDisk::new(seed ^ id.0 << 32);
        disk.start_recording();
        Self {
            id,
            disk,
            disk_id: Uid([id.0 as u8; 16]),
            session: None,
            was_clean: true,
            dwelling: None,
            unheard: VecDeque::new(),
            starts: 0,
        }
    }

    pub fn start(
        &mut self,
        seed: u64,
        time: &Time,
        proposals: &Proposals,
        topics: Arc<Topics>,
        tidies: bool,
    ) {
        self.starts += 1;
        let dice = Dice(Mutex::new(Seeded::new(
            seed ^ self.id.0 << 40 ^ self.starts << 48,
        )));
        let opened = open(Opening {
            disk: Arc::new(self.disk.clone()),
            lane: self.disk.lane().expect("a simulated disk has lanes"),
            entropy: &dice,
            settings: Settings {
                segment_bytes: if tidies { 4 << 10 } else { 16 << 10 },
                segment_first_bytes: 4 << 10,
                journal_file_bytes: 256 << 10,
                ..Settings::default()
            },
            formats: &[&FRAMES, &BATCHES],
        });
        let (mut device, _) = opened.unwrap_or_else(|why| panic!("seed {seed}: {why}"));
        // What is compacted or too old goes while others come.
        let [every, often] = [3600, 1].map(Duration::from_secs);
        let settings = house::Settings {
            lag_max: Duration::from_secs(4),
            retention_every: if tidies { often } else { every },
            compaction_every: if tidies { often } else { every },
            balance_every: Duration::from_secs(20),
            bytes_max: None,
        };
        let (mut house, streams) = House::new(settings, Arc::new(time.clone()));
        house.compact_by_hand();
        house.move_in(&mut device);
        let (shown, seen) = watch::channel(Arc::default());
        let (from, proposing) = (self.id, proposals.clone());
        let propose: dolmen::streams::site::Propose = Box::new(move |command, answer| {
            proposing.lock().unwrap().push((from, command, answer));
        });
        let is_current = Box::new(|end: Box<dyn FnOnce() + Send>| end());
        let site = Site::new(self.id, Uid([7; 16]), seen, propose, is_current);
        let site = Arc::new(site);
        let asked: Arc<Mutex<Vec<(NodeId, Asked)>>> = Arc::default();
        let told = asked.clone();
        streams.say(Word::Begin(site.clone()));
        streams.say(Word::Follow(Arc::new(move |leader, one| {
            told.lock().unwrap().push((leader, one));
        })));
        self.unheard.clear();
        self.unheard.push_back(topics);
        self.dwelling = Some(Dwelling {
            disk: self.disk.clone(),
            device,
            house,
            streams,
            site,
            shown,
            asked,
            owed: Arc::default(),
            seen: BTreeMap::new(),
            gaps: 0,
        });
        self.hear_topics();
        // They are those of now.
        if let Some(dwelling) = &self.dwelling {
            dwelling.streams.say(Word::CaughtUp);
        }
    }

    /// The power goes. What was not synced may be there or not.
    pub fn crash(&mut self, chance: &mut Seeded) {
        let cut = self.disk.recorded();
        self.dwelling = None;
        let choice = chance.next_u64() >> 40;
        let kept = match choice % 8 {
            0 => Kept::Nothing,
            1 => Kept::Everything,
            _ => Kept::Random(choice),
        };
        self.disk = self.disk.trace().image(Crash { cut, kept }).into_disk();
        self.disk.start_recording();
        (self.session, self.was_clean) = (None, false);
    }

    /// An ordered stop.
    pub fn stop(&mut self) {
        let Some(mut dwelling) = self.dwelling.take() else {
            return;
        };
        dwelling.device.settle().unwrap();
        while !dwelling.house.is_idle() {
            dwelling.house.turn(&mut dwelling.device);
            dwelling.device.settle().unwrap();
        }
        dwelling.house.move_out(&mut dwelling.device);
        drop(dwelling.device.close());
        (self.session, self.was_clean) = (None, true);
    }

    /// Another disk in the place of this one.
    pub fn replace_disk(&mut self, seed: u64) {
        self.dwelling = None;
        self.disk = SimDisk::new(seed);
        self.disk.start_recording();
        let mut id = [0; 16];
        id[..8].copy_from_slice(&seed.to_le_bytes());
        (self.disk_id, self.session, self.was_clean) = (Uid(id), None, true);
    }

    pub fn hear_topics(&mut self) {
        let Some(dwelling) = &mut self.dwelling else {
            return;
        };
        if let Some(topics) = self.unheard.pop_front() {
            dwelling.streams.say(Word::Topics(topics.clone()));
            dwelling.shown.send_replace(topics);
            dwelling.turn();
        }
    }
}

impl Dwelling {
    pub fn turn(&mut self) {
        self.house.turn(&mut self.device);
        self.device.turn().unwrap();
    }

    /// The disk finishes something, and a pass of compaction comes to its next
    /// exchange.
    pub fn work(&mut self) {
        self.device.wait(None, &mut || true);
        self.house.go_on_compacting();
        self.turn();
    }

    /// Until nothing is under way, the reading back of a log included.
    pub fn settle(&mut self) {
        loop {
            self.work();
            self.device.settle().unwrap();
            let is_still = self.house.is_idle() && !self.house.is_compacting();
            if is_still && self.disk.under_way() == 0 {
                return;
            }
        }
    }

    pub fn hear_asks(&mut self, from: NodeId, link: u64, bytes: &[u8]) {
        let asks = codec::read_asks(bytes).expect("we wrote it");
        let asks = asks.into_iter().map(|asked| {
            let owed = self.owed.clone();
            let answer = Box::new(move |answered| {
                owed.lock().unwrap().push((from, link, answered));
            });
            (asked, answer as _)
        });
        let asks = asks.collect();
        self.streams.say(Word::Asked { from, asks });
        self.turn();
    }

    /// One of the answers that are owed, as a message.
    pub fn answer(&mut self, bytes_max: usize) -> Option<(NodeId, u64, Vec<u8>)> {
        let (to, link, answered) = self.owed.lock().unwrap().pop()?;
        let view = self.streams.view(answered.key)?;
        let (answer, chunk) = read(&view, &answered, bytes_max);
        let bytes = chunk.as_ref().map_or(0, |chunk| chunk.len());
        let head = Head {
            key: answered.key,
            number: answered.number,
            answer,
            bytes,
        };
        let mut message = framed(&codec::answers(&[head]), 1 << 20).expect("it is short");
        message.extend_from_slice(chunk.as_deref().unwrap_or_default());
        Some((to, link, message))
    }

    pub fn hear_answers(&mut self, bytes: &[u8]) {
        let (heads, mut rest) = heads(bytes);
        let told = heads.into_iter().map(|head| {
            let (batches, behind) = rest.split_at(head.bytes);
            rest = behind;
            let batches = batches.to_vec();
            let stored = dolmen::streams::follow::check(&batches).expect("no disk rots here");
            self.gaps += gaps(&batches);
            dolmen::streams::follow::Told {
                key: head.key,
                number: head.number,
                answer: head.answer,
                batches,
                stored,
                room: None,
            }
        });
        self.streams.say(Word::Told(told.collect()));
        self.turn();
    }
}

/// What is said, and the batches behind it.
pub fn heads(message: &[u8]) -> (Vec<Head>, &[u8]) {
    let (head, rest) = message.split_at(frame::HEAD_BYTES);
    let length = frame::length(head, 1 << 20).expect("we wrote it");
    let (said, batches) = rest.split_at(length);
    (codec::read_answers(said).expect("we wrote it"), batches)
}

/// How many of these stand for what compaction has left nothing of.
fn gaps(mut batches: &[u8]) -> usize {
    let mut count = 0;
    while let Some(header) = Header::of(batches) {
        count += usize::from(is_gap(&header));
        batches = &batches[header.total_bytes().expect("it was checked")..];
    }
    count
}
