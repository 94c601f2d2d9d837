//! One cell: connections that send batches ahead of their answers, readers that
//! follow them, for a time or until so much is acknowledged; or readers alone.

use super::batches::Batch;
use super::failure::{Failure, go_on};
use super::follower::{Follower, Seen};
use super::place::Placed;
use super::process::{Cpu, Memory};
use super::producer::{Acked, Producer};
use super::rounds::{Reading, Round};
use super::shares::{readers, writers};
use super::tally::Tally;
use super::topic::Topic;
use mio::{Events, Interest, Poll, Token};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The share of a timed load that warms up and is not counted.
const LEAD_IN: u32 = 4;
/// How late an interruption is noticed.
const POLL_AT_MOST: Duration = Duration::from_millis(100);
/// After its end, a load waits this long for what is still outstanding.
const DRAIN_WITHIN: Duration = Duration::from_secs(30);
/// Nobody waits this long for an answer while a load runs.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// A topic of the part `catch-up` is read in seconds.
const READ_WITHIN: Duration = Duration::from_secs(300);
const WEIGH_EVERY: Duration = Duration::from_millis(100);
/// Kafka's consumers ask for so much of a partition at once.
const PARTITION_BYTES: usize = 1 << 20;

#[derive(Clone, Copy, Debug)]
pub enum Until {
    Time(Duration),
    /// Acknowledged, whatever the time.
    Bytes(u64),
    /// Until every partition has something.
    Everywhere,
}

#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub connections: usize,
    /// Requests that each keeps outstanding, of one batch each.
    pub in_flight: usize,
    pub acks: i16,
    /// Connections that read what is written; spread over the leaders.
    pub followers: usize,
    pub until: Until,
}

/// A load on its sockets.
pub struct Flood {
    poll: Poll,
    events: Events,
    /// Of one turn: whose socket, and whether it has something to read.
    ready: Vec<(usize, bool)>,
    producers: Vec<Producer>,
    followers: Vec<Follower>,
    in_flight: usize,
    /// New batches are sent for those that are answered.
    is_sending: bool,
    tally: Tally,
    acked: Vec<Acked>,
    seen: Vec<(Seen, Instant)>,
}

impl Flood {
    pub fn open(topic: &Topic, batches: &[Batch], load: &Load) -> Result<Self, Failure> {
        let mut producers = Vec::new();
        for partitions in writers(&topic.leaders, load.connections) {
            producers.push(Producer::open(topic, &partitions, batches, load.acks)?);
        }
        let followers = match load.followers {
            0 => Vec::new(),
            count => follow(topic, batches, count)?,
        };
        let tally = Tally::of(topic.leaders.len(), !followers.is_empty());
        Self::on(producers, followers, load.in_flight, tally)
    }

    /// Readers alone, of what is there already.
    pub fn of_readers(topic: &Topic, batches: &[Batch], count: usize) -> Result<Self, Failure> {
        let followers = follow(topic, batches, count)?;
        Self::on(Vec::new(), followers, 0, Tally::of(0, false))
    }

    /// The same load on a server that only counts bytes.
    pub fn on_the_echo(echo: SocketAddr, batch: &Batch, load: &Load) -> Result<Self, Failure> {
        let each = (0..load.connections).map(|_| Producer::to_the_echo(echo, batch));
        let producers = each.collect::<Result<_, _>>()?;
        Self::on(producers, Vec::new(), load.in_flight, Tally::of(0, false))
    }

    fn on(
        mut producers: Vec<Producer>,
        mut followers: Vec<Follower>,
        in_flight: usize,
        tally: Tally,
    ) -> Result<Self, Failure> {
        let poll = Poll::new()?;
        let pipes = producers.iter_mut().map(|one| &mut one.pipe);
        let pipes = pipes.chain(followers.iter_mut().map(|one| &mut one.pipe));
        let both = Interest::READABLE | Interest::WRITABLE;
        for (place, pipe) in pipes.enumerate() {
            poll.registry()
                .register(&mut pipe.stream, Token(place), both)?;
        }
        Ok(Self {
            poll,
            events: Events::with_capacity(256),
            ready: Vec::new(),
            producers,
            followers,
            in_flight,
            is_sending: true,
            tally,
            acked: Vec::new(),
            seen: Vec::new(),
        })
    }

    /// Sends until the end, waits for all that is outstanding, and says what
    /// the counted part of it was like.
    pub fn run(&mut self, until: Until, servers: &[u32]) -> Result<Round, Failure> {
        let _placed = Placed::on_the_first_core()?;
        self.begin()?;
        if let Until::Time(time) = until {
            let counted_from = Instant::now() + time / LEAD_IN;
            self.turns(servers, |_| Instant::now() >= counted_from)?;
        }
        let (cpu, begun) = (Cpu::of(servers)?, Instant::now());
        self.tally.count_from(begun);
        let peak_kib = self.turns(servers, |flood| match until {
            Until::Time(time) => begun.elapsed() >= time,
            Until::Bytes(bytes) => flood.tally.total_bytes() >= bytes,
            Until::Everywhere => flood.tally.is_everywhere(),
        })?;
        let ended = Instant::now();
        self.tally.count_until(ended);
        let used = Cpu::of(servers)?.since(cpu);
        self.drain(servers)?;
        let reached = self.followers.iter().flat_map(Follower::reached);
        self.tally.whole(reached)?;
        self.tally.round(ended - begun, used, peak_kib)
    }

    /// Reads until these ends.
    pub fn read_to(&mut self, ends: &[u64], servers: &[u32]) -> Result<Reading, Failure> {
        let _placed = Placed::on_the_first_core()?;
        let (cpu, begun) = (Cpu::of(servers)?, Instant::now());
        self.begin()?;
        self.turns(servers, |flood| {
            let mut all = flood.followers.iter().flat_map(Follower::reached);
            all.all(|(partition, next)| next >= ends[partition]) || begun.elapsed() >= READ_WITHIN
        })?;
        let spent = begun.elapsed();
        let used = Cpu::of(servers)?.since(cpu);
        self.tally.reading(spent, used, ends.iter().sum())
    }

    /// Where each partition ends, as the acknowledgements say.
    pub fn ends(&self) -> Vec<u64> {
        self.tally.ends()
    }

    fn begin(&mut self) -> Result<(), Failure> {
        for producer in &mut self.producers {
            for _ in 0..self.in_flight {
                producer.send(Instant::now());
            }
            producer.pipe.flush()?;
        }
        for follower in &mut self.followers {
            follower.ask()?;
        }
        Ok(())
    }

    /// The most memory that one server had meanwhile, in KiB.
    fn turns(&mut self, servers: &[u32], is_over: impl Fn(&Self) -> bool) -> Result<u64, Failure> {
        let (mut weighed_at, mut peak) = (Instant::now(), heaviest(servers)?);
        while !is_over(self) {
            self.turn()?;
            if weighed_at.elapsed() > WEIGH_EVERY {
                weighed_at = Instant::now();
                peak = peak.max(heaviest(servers)?);
                self.nobody_waits_too_long()?;
            }
        }
        Ok(peak)
    }

    fn turn(&mut self) -> Result<(), Failure> {
        go_on()?;
        match self.poll.poll(&mut self.events, Some(POLL_AT_MOST)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            polled => polled?,
        }
        self.ready.clear();
        let ready = self.events.iter();
        self.ready
            .extend(ready.map(|event| (event.token().0, event.is_readable())));
        for at in 0..self.ready.len() {
            let (place, is_readable) = self.ready[at];
            match place.checked_sub(self.producers.len()) {
                None => self.produce(place, is_readable)?,
                Some(place) => self.follow(place, is_readable)?,
            }
        }
        Ok(())
    }

    fn produce(&mut self, place: usize, is_readable: bool) -> Result<(), Failure> {
        let producer = &mut self.producers[place];
        if is_readable {
            producer.hear(&mut self.acked)?;
            let now = Instant::now();
            while self.is_sending && producer.outstanding() < self.in_flight {
                producer.send(now);
            }
            for acked in self.acked.drain(..) {
                self.tally.acked(&acked, now)?;
            }
        }
        producer.pipe.flush()
    }

    fn follow(&mut self, place: usize, is_readable: bool) -> Result<(), Failure> {
        let follower = &mut self.followers[place];
        if is_readable {
            follower.hear(&mut self.seen)?;
            for (seen, at) in self.seen.drain(..) {
                self.tally.seen(&seen, at);
            }
        }
        follower.pipe.flush()
    }

    fn nobody_waits_too_long(&self) -> Result<(), Failure> {
        let oldest = self.producers.iter().filter_map(Producer::oldest).min();
        match oldest.filter(|oldest| oldest.elapsed() > ANSWER_WITHIN) {
            Some(_) => Err(Failure::Lost(format!(
                "a batch without an answer for {ANSWER_WITHIN:?}"
            ))),
            None => Ok(()),
        }
    }

    /// Until nothing is outstanding, and followers have seen all of it.
    fn drain(&mut self, servers: &[u32]) -> Result<(), Failure> {
        self.is_sending = false;
        let until = Instant::now() + DRAIN_WITHIN;
        let is_still = |flood: &Self| {
            let waits = flood.producers.iter().any(|one| one.outstanding() > 0);
            !waits && flood.tally.is_even()
        };
        self.turns(servers, |flood| is_still(flood) || Instant::now() >= until)?;
        match is_still(self) {
            true => Ok(()),
            false => {
                let waiting: usize = self.producers.iter().map(Producer::outstanding).sum();
                let uneven = self.tally.uneven();
                let why =
                    format!("after {DRAIN_WITHIN:?} {waiting} batches have no answer, {uneven}");
                Err(Failure::Lost(why))
            }
        }
    }
}

fn follow(topic: &Topic, batches: &[Batch], count: usize) -> Result<Vec<Follower>, Failure> {
    let shares = readers(&topic.leaders, count);
    let each = shares.iter();
    each.map(|partitions| Follower::open(topic, partitions, batches, PARTITION_BYTES))
        .collect()
}

fn heaviest(servers: &[u32]) -> Result<u64, Failure> {
    let each = servers.iter().map(|pid| Ok(Memory::of(*pid)?.own_kib));
    let each: Result<Vec<u64>, Failure> = each.collect();
    Ok(each?.into_iter().max().unwrap_or(0))
}
