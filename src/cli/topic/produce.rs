//! `dolmen topic produce`: lines in, records of a topic out of them.
//!
//! A thread reads lines, as far ahead as its queue allows. This one makes
//! records of them and sends what has come, a batch a partition at once, waits
//! for the answers and begins anew: so the slower the answers, the larger the
//! batches.

mod lane;
mod lines;
mod murmur;
mod sending;
mod spread;

use super::format::{Format, Layout, Typed};
use super::meter::Meter;
use super::shape;
use super::sizes;
use crate::cli::kafka::Cluster;
use crate::cli::{Failure, print_json, signals};
use crate::clock::{Clock, MachineClock};
use crate::limits::{CLI_LINE_BYTES_MAX, CLI_LINE_PIECES};
use crate::streams::batch::codec::Codec;
use lines::{Heard, Line, Lines};
use sending::{Entry, Gone, Producer};
use serde_json::json;
use spread::Spread;
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::Builder;

/// Write lines from standard input to a topic, a record each
///
/// A line becomes a value, or a key and a value (--key-separator), or is an
/// object of JSON as `dolmen topic consume --json` prints it; its topic,
/// partition and offset say where it came from and are not heeded.
///
/// Records with a key go to the partition that Kafka's own clients give them to,
/// others to all in turn. At its end it says on standard error how many lines
/// were acknowledged. A line that was not is named by its number, counted from
/// 1, and the status is then 1.
#[derive(clap::Args)]
pub struct Args {
    /// The topic, which must be there
    topic: String,
    /// What a line is [default: value, or key-value with --key-separator]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// What stands between key and value, \t and \0 for a tab and a zero [default: a tab]
    #[arg(long, value_name = "TEXT")]
    key_separator: Option<String>,
    /// A header for every record; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = header)]
    header: Vec<(String, String)>,
    /// A key or a value that is this text is none: a tombstone in a topic that is compacted
    #[arg(long, value_name = "TEXT")]
    null: Option<String>,
    /// Put all records into this partition
    #[arg(long, value_name = "N")]
    partition: Option<i32>,
    /// When a record counts as acknowledged: when all nodes in sync have it, when its leader has, or never
    #[arg(long, value_enum, default_value_t = Acks::All)]
    acks: Acks,
    /// How batches are packed
    #[arg(long, value_enum, default_value_t = Packing::None)]
    codec: Packing,
    /// How many bytes of records go into one batch, before they are packed
    #[arg(long, value_name = "BYTES", default_value_t = 256 << 10,
          value_parser = clap::value_parser!(u32).range(1..=CLI_LINE_BYTES_MAX as i64))]
    batch: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Acks {
    /// All nodes in sync; nothing is written twice
    All,
    /// The leader alone
    #[value(name = "1")]
    Leader,
    /// None
    #[value(name = "0")]
    None,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Packing {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl Packing {
    fn codec(self) -> Codec {
        match self {
            Self::None => Codec::None,
            Self::Gzip => Codec::Gzip,
            Self::Snappy => Codec::Snappy,
            Self::Lz4 => Codec::Lz4,
            Self::Zstd => Codec::Zstd,
        }
    }
}

fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.into(), value.into())),
        _ => Err("write it as NAME=VALUE".into()),
    }
}

pub fn run(args: &Args, mut cluster: Cluster, is_json: bool) -> Result<(), Failure> {
    let layout = Layout::of(&Typed {
        format: args.format,
        separator: args.key_separator.as_deref(),
        null: args.null.as_deref(),
        binary: None,
        is_json: false,
    })?;
    let shape = shape::topic(&mut cluster, &args.topic)?;
    if let Some(partition) = args.partition {
        shape.chosen(&[partition])?;
    }
    let (sender, inbox) = sync_channel(CLI_LINE_PIECES);
    let is_stopped = Arc::new(AtomicBool::new(false));
    let (stop, stopped) = (sender.clone(), is_stopped.clone());
    signals::on_stop(move || {
        stopped.store(true, Ordering::Release);
        // Wakes whoever waits for lines; where somebody has left, nobody waits.
        let _ = stop.send(Heard::Stop);
    })
    .map_err(|error| format!("cannot wait for Ctrl-C: {error}"))?;
    let is_typed = io::stdin().is_terminal();
    let mut work = Work {
        args,
        layout,
        spread: Spread::new(args.partition, args.batch as usize),
        producer: Producer::open(
            cluster,
            shape,
            args.acks,
            args.codec.codec(),
            args.batch as usize,
        )?,
        meter: Meter::new("lines", is_typed),
        clock: MachineClock::new(),
        read: 0,
        refused: 0,
        is_typed,
        is_stopped: is_stopped.clone(),
    };
    Builder::new()
        .name("lines".into())
        .spawn(move || Lines::new(io::stdin().lock(), &is_stopped).run(&sender))
        .map_err(|error| format!("cannot start a thread: {error}"))?;
    let ended = work.all(&inbox);
    work.tell(is_json, ended)
}

struct Work<'a> {
    args: &'a Args,
    layout: Layout,
    spread: Spread,
    producer: Producer,
    meter: Meter,
    clock: MachineClock,
    /// Lines so far.
    read: u64,
    /// Those that are no records.
    refused: u64,
    /// By a person, at a terminal.
    is_typed: bool,
    is_stopped: Arc<AtomicBool>,
}

/// Why there are no more lines.
enum Ended {
    Input,
    Stopped,
    GivenUp,
    Broken(String),
}

impl Work<'_> {
    fn all(&mut self, inbox: &Receiver<Heard>) -> Ended {
        let mut ended = None;
        loop {
            // What a person has typed is sent; a pipe has more than anybody waits for.
            if self.is_stopped.load(Ordering::Acquire) && !self.is_typed {
                ended.get_or_insert(Ended::Stopped);
            }
            while ended.is_none() && self.producer.has_room() {
                // Whoever has nothing to send waits for what comes.
                let heard = match self.producer.is_idle() {
                    true => inbox.recv_timeout(Meter::EVERY),
                    false => inbox.try_recv().map_err(|_| RecvTimeoutError::Timeout),
                };
                match heard {
                    Ok(Heard::Lines(lines)) => lines.into_iter().for_each(|line| self.take(line)),
                    Ok(Heard::Ended(Ok(()))) => ended = Some(Ended::Input),
                    Ok(Heard::Ended(Err(error))) => ended = Some(Ended::Broken(error.to_string())),
                    Ok(Heard::Stop) | Err(RecvTimeoutError::Disconnected) => {
                        ended = Some(Ended::Stopped);
                    }
                    Err(RecvTimeoutError::Timeout) if self.producer.is_idle() => self.meter.draw(),
                    Err(RecvTimeoutError::Timeout) => break,
                }
            }
            let is_patient = !self.is_stopped.load(Ordering::Acquire);
            match self.producer.round(is_patient) {
                Ok(passed) => {
                    self.meter.count(passed.records, passed.bytes);
                    self.say_gone(&passed.gone);
                }
                Err(gone) => {
                    self.say_gone(&gone);
                    return Ended::GivenUp;
                }
            }
            self.meter.draw();
            match ended {
                Some(ended) if self.producer.is_idle() => return ended,
                other => ended = other,
            }
        }
    }

    fn take(&mut self, line: Line) {
        self.read += 1;
        let number = self.read;
        let read = match line {
            Line::Whole(bytes) => self.layout.read(&bytes),
            Line::TooLong => Err(format!(
                "it is longer than {CLI_LINE_BYTES_MAX} bytes, which fits no batch"
            )),
        };
        match read {
            Ok(mut read) => {
                for (name, value) in &self.args.header {
                    read.headers.add(name.as_bytes(), Some(value.as_bytes()));
                }
                let now = i64::try_from(self.clock.now().0).unwrap_or(i64::MAX);
                let timestamp = read.timestamp.unwrap_or(now);
                let bytes = read.value.as_ref().map_or(0, Vec::len);
                let shape = self.producer.shape();
                let partition = self.spread.partition(shape, read.key.as_deref(), bytes);
                self.producer
                    .add(partition, Entry::new(number, read, timestamp));
            }
            Err(why) => {
                self.refused += 1;
                self.meter.say(&format!("line {number}: {why}"));
            }
        }
    }

    fn say_gone(&mut self, gone: &[Gone]) {
        for one in gone {
            let lines = match one.lines.len() {
                1 => "line",
                _ => "lines",
            };
            let numbers = sizes::ranges(&one.lines);
            self.meter.say(&format!("{lines} {numbers}: {}", one.why));
        }
    }

    fn tell(mut self, is_json: bool, ended: Ended) -> Result<(), Failure> {
        self.meter.clear();
        let settled = self.producer.settle();
        let tally = self.producer.tally();
        let lost = self.read - tally.records;
        let topic = &self.args.topic;
        let is_heard = self.args.acks != Acks::None;
        let done = if is_heard { "acknowledged" } else { "sent" };
        let lines = sizes::count(tally.records, "line");
        let partitions = sizes::count(tally.partitions.len() as u64, "partition");
        let seconds = self.meter.elapsed().as_secs_f64();
        if tally.records > 0 || lost == 0 {
            eprintln!(
                "{lines} {done} in {partitions} of {topic}, {}, {seconds:.1} s",
                sizes::bytes(self.meter.bytes())
            );
        }
        if is_json {
            let partitions = tally.partitions.iter().map(|(number, part)| {
                json!({
                    "partition": number, "lines": part.records,
                    "first": is_heard.then_some(part.first),
                    "last": is_heard.then_some(part.last),
                })
            });
            print_json(&json!({
                "topic": topic, "lines": self.read,
                "acknowledged": if is_heard { tally.records } else { 0 },
                "sent": tally.records, "lost": lost,
                "partitions": partitions.collect::<Vec<_>>(),
            }))?;
        }
        settled?;
        let read = self.read;
        let behind = match ended {
            Ended::Input => None,
            Ended::Stopped if self.is_typed => None,
            Ended::Stopped => Some(format!("stopped: nothing behind line {read} is sent")),
            Ended::GivenUp => Some(format!("nothing behind line {read} is sent")),
            Ended::Broken(why) => Some(format!("nothing behind line {read} is sent: {why}")),
        };
        let lost = (lost > 0).then(|| {
            let of = sizes::count(read, "line");
            match self.refused {
                0 => format!("{lost} of {of} not {done}"),
                refused => format!("{lost} of {of} not {done}, {refused} of them no records"),
            }
        });
        let says: Vec<_> = lost.into_iter().chain(behind).collect();
        match says.is_empty() {
            true => Ok(()),
            false => Err(Failure::failed(says.join("; "))),
        }
    }
}
