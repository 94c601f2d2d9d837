//! `dolmen topic consume`: the records of a topic as lines.

mod aborted;
mod committing;
mod reading;
mod stopping;

use super::format::{Binary, Format, Layout, Typed};
use super::meter::Meter;
use super::point::{Point, check_one_partition};
use super::shape::{self, Shape};
use super::sizes;
use crate::cli::Failure;
use crate::cli::kafka::Cluster;
use committing::Committing;
use reading::{Place, Reading, Record, Taken, Wants};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, IsTerminal, Write};
use stopping::Stop;

/// Print the records of a topic, a line each
///
/// Reads to the end as it is when the command starts, or on and on with
/// --follow. Records of one partition come in their order.
///
/// With --group it begins where that group of consumers stands, and notes for it
/// what was printed; the group must have no members meanwhile.
#[derive(clap::Args)]
pub struct Args {
    /// The topic
    topic: String,
    /// Where to begin: first, last, last-10 for ten before the last of each partition, an offset, or a time such as 2026-02-03T04:05:06Z or 10m for ten minutes ago [default: first, or where the group stands]
    #[arg(long, value_name = "WHERE", value_parser = Point::parse)]
    from: Option<Point>,
    /// Where to end: last, an offset or a time; what stands there is not printed [default: last]
    #[arg(long, value_name = "WHERE", value_parser = Point::parse, conflicts_with = "follow")]
    until: Option<Point>,
    /// Leave after so many records
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Wait for what comes, until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    /// Read this partition alone; may be repeated [default: all]
    #[arg(long, value_name = "N")]
    partition: Vec<i32>,
    /// Read on for this group of consumers
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
    /// Whether what a transaction wrote is printed before it is committed
    #[arg(long, value_enum, default_value_t = Isolation::Uncommitted)]
    isolation: Isolation,
    /// What a line is [default: value, or key-value with --key-separator]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// What stands between key and value, \t and \0 for a tab and a zero [default: a tab]
    #[arg(long, value_name = "TEXT")]
    key_separator: Option<String>,
    /// What is printed for a key or a value that is none [default: null]
    #[arg(long, value_name = "TEXT")]
    null: Option<String>,
    /// How bytes that are no UTF-8 stand in JSON, as {"base64": "..."} or {"hex": "..."} [default: base64]
    #[arg(long, value_enum)]
    binary: Option<Binary>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Isolation {
    /// All records, also those that are aborted later
    Uncommitted,
    /// What is committed, and nothing behind a transaction that is open
    Committed,
}

/// What is printed at once.
const PRINTED_BYTES: usize = 64 << 10;

pub fn run(args: &Args, mut cluster: Cluster, is_json: bool) -> Result<(), Failure> {
    let mut layout = Layout::of(&Typed {
        format: args.format,
        separator: args.key_separator.as_deref(),
        null: args.null.as_deref(),
        binary: args.binary,
        is_json,
    })?;
    layout.null.get_or_insert_with(|| b"null".to_vec());
    let shape = shape::topic(&mut cluster, &args.topic)?;
    let numbers = shape.chosen(&args.partition)?;
    check_one_partition(&[args.from, args.until], &numbers)?;
    let mut committing = match &args.group {
        Some(group) => Some(Committing::begin(&mut cluster, group, &args.topic)?),
        None => None,
    };
    let places = places(args, &mut cluster, &shape, &numbers, committing.as_ref())?;
    let stop = Stop::listen().map_err(|error| format!("cannot wait for Ctrl-C: {error}"))?;
    stop.holds(&mut cluster);
    let mut reading = Reading::new(cluster, shape, places, args.is_stable(), args.follow);
    let mut printing = Printing {
        topic: &args.topic,
        layout,
        out: Vec::new(),
        records: 0,
        left: args.count,
        meter: Meter::new("records", io::stdout().is_terminal()),
        stop: &stop,
        is_unheard: false,
    };
    let read = read(&mut reading, &mut printing, committing.as_mut());
    printing.meter.clear();
    if printing.meter.records() > 0 && printing.meter.is_shown() {
        let records = sizes::count(printing.meter.records(), "record");
        eprintln!("{records}, {}", sizes::bytes(printing.meter.bytes()));
    }
    let committed = committing.map_or(Ok(()), |mut committing| {
        let printed = reading.printed();
        let mut cluster = reading.into_cluster();
        cluster.hang_up();
        committing.end(&mut cluster, &printed)
    });
    read.and(committed)
}

impl Args {
    fn is_stable(&self) -> bool {
        self.isolation == Isolation::Committed
    }
}

/// From where to where each partition is read.
fn places(
    args: &Args,
    cluster: &mut Cluster,
    shape: &Shape,
    numbers: &[i32],
    committing: Option<&Committing>,
) -> Result<BTreeMap<i32, Place>, Failure> {
    let is_stable = args.is_stable();
    let from = args.from.unwrap_or(Point::First);
    let mut begins = from.find(cluster, shape, numbers, is_stable)?;
    if let (Some(committing), None) = (committing, args.from) {
        let committed = committing.committed().iter();
        begins.extend(committed.filter(|(number, _)| numbers.contains(number)));
    }
    let ends = match (args.until, args.follow) {
        (Some(until), _) => Some(until.find(cluster, shape, numbers, is_stable)?),
        (None, false) => Some(Point::Last.find(cluster, shape, numbers, is_stable)?),
        (None, true) => None,
    };
    let place = |(number, begin)| {
        let end = ends.as_ref().and_then(|ends| ends.get(&number)).copied();
        (number, Place::new(begin, end))
    };
    Ok(begins.into_iter().map(place).collect())
}

fn read(
    reading: &mut Reading,
    printing: &mut Printing<'_>,
    mut committing: Option<&mut Committing>,
) -> Result<(), Failure> {
    while !reading.is_through() && !printing.is_over() {
        let round = reading.round(&mut |taken| printing.take(taken));
        match round {
            Ok(said) => said.iter().for_each(|says| printing.meter.say(says)),
            // Its sockets were shut.
            Err(_) if printing.stop.is_set() => return Ok(()),
            Err(failure) => return Err(failure),
        }
        printing.meter.draw();
        if let Some(committing) = &mut committing {
            committing.now_and_then(reading)?;
        }
    }
    Ok(())
}

struct Printing<'a> {
    topic: &'a str,
    layout: Layout,
    out: Vec<u8>,
    /// In `out`.
    records: u64,
    left: Option<u64>,
    meter: Meter,
    stop: &'a Stop,
    /// Whoever read has seen enough.
    is_unheard: bool,
}

impl Printing<'_> {
    fn is_over(&self) -> bool {
        self.left == Some(0) || self.is_unheard || self.stop.is_set()
    }

    /// Takes a record, or prints what was taken.
    fn take(&mut self, taken: Taken<'_>) -> Result<Wants, Failure> {
        match taken {
            Taken::Record(Record { partition, record }) => {
                self.layout
                    .write(self.topic, partition, record, &mut self.out);
                self.records += 1;
                self.left = self.left.map(|left| left - 1);
                if self.out.len() >= PRINTED_BYTES {
                    self.print()?;
                }
            }
            Taken::Pause => self.print()?,
        }
        Ok(match self.is_over() {
            _ if self.is_unheard => Wants::Nothing,
            true => Wants::Enough,
            false => Wants::More,
        })
    }

    fn print(&mut self) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        let printed = stdout.write_all(&self.out).and_then(|()| stdout.flush());
        match printed {
            Ok(()) => self.meter.count(self.records, self.out.len() as u64),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => self.is_unheard = true,
            Err(error) => return Err(Failure::failed(format!("cannot print: {error}"))),
        }
        self.out.clear();
        self.records = 0;
        self.meter.draw();
        Ok(())
    }
}
