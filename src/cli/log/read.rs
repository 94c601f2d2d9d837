//! `dolmen log read`: payloads as lines.
//!
//! It opens the log like everybody else, recovery included, for what has been
//! acknowledged may stand in the journal alone.

use super::{Place, open_device, told};
use crate::cli::Failure;
use crate::ids::{Index, LogId};
use crate::log::{Device, FRAMES, Way, frame};
use std::io::{self, BufWriter, Write};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
    /// The log to read
    #[arg(long, value_name = "N", default_value_t = 1)]
    log: u64,
    /// The first offset to print [default: the log's first]
    #[arg(long, value_name = "OFFSET")]
    from: Option<u64>,
    /// Records to print at the most
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// Print each record's offset and a tab before it
    #[arg(long)]
    offsets: bool,
    /// Print JSON, one object a line
    #[arg(long)]
    json: bool,
}

/// One read from the disk.
const READ_BYTES: usize = 1 << 20;

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let _lock = args.place.lock("dolmen log read")?;
    let disk = args.place.plain_disk()?;
    args.place.must_be_ours(&*disk)?;
    let (mut device, report) = open_device(disk).map_err(Failure::failed)?;
    if !report.was_clean {
        eprintln!("{}: {}", args.place.dir.display(), told(&report));
    }
    let outcome = read(&mut device, &args);
    device.close().map_err(Failure::failed)?;
    outcome
}

fn read(device: &mut Device, args: &Args) -> Result<(), Failure> {
    let id = LogId(args.log);
    if device.shelf(id).is_none() {
        return Err(no_such_log(device, id));
    }
    let shelf = device.log(id, &FRAMES).map_err(|refused| {
        Failure::failed(format!(
            "log {id} has no lines to print ({refused}): a partition's batches are read by \
             Kafka's clients"
        ))
    })?;
    let mut from = Index(args.from.unwrap_or(shelf.first().0));
    if from < shelf.first() {
        return Err(Failure::failed(format!(
            "log {id} starts at {first}: what stood before was dropped; read with --from {first}",
            first = shelf.first()
        )));
    }
    let mut left = args.count.unwrap_or(u64::MAX);
    let mut out = BufWriter::new(io::stdout().lock());
    while left > 0 && from < shelf.durable_until() {
        let read = device
            .read(id, from, READ_BYTES, Way::Plain)
            .map_err(Failure::failed)?;
        let Some(read) = read else { break };
        match print_frames(&read.bytes, from, &mut left, args, &mut out) {
            Ok(()) => from = read.next,
            Err(Cannot::Print(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                return Ok(());
            }
            Err(Cannot::Print(error)) => {
                return Err(Failure::failed(format!("cannot print: {error}")));
            }
            Err(Cannot::Parse(reason)) => return Err(Failure::failed(reason)),
        }
    }
    match out.flush() {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::failed(format!("cannot print: {error}")))
        }
        _ => Ok(()),
    }
}

enum Cannot {
    Print(io::Error),
    Parse(String),
}

/// Whole frames back to back; those before `from` are passed over.
fn print_frames(
    mut bytes: &[u8],
    from: Index,
    left: &mut u64,
    args: &Args,
    out: &mut impl Write,
) -> Result<(), Cannot> {
    while !bytes.is_empty() && *left > 0 {
        let (record, length) = match frame::parse(bytes) {
            Ok(Some(parsed)) => parsed,
            Ok(None) => break,
            Err(fault) => {
                return Err(Cannot::Parse(format!(
                    "log {}, at or after offset {from}: {fault}; `dolmen log verify --dir {}` \
                     lists all damage",
                    args.log,
                    args.place.dir.display()
                )));
            }
        };
        bytes = &bytes[length..];
        if record.index < from {
            continue;
        }
        *left -= 1;
        print_record(&record, args, out).map_err(Cannot::Print)?;
    }
    Ok(())
}

fn print_record(record: &frame::Frame<'_>, args: &Args, out: &mut impl Write) -> io::Result<()> {
    if args.json {
        let payload = String::from_utf8_lossy(record.payload);
        let line = serde_json::json!({ "offset": record.index.0, "payload": payload });
        return writeln!(out, "{line}");
    }
    if args.offsets {
        write!(out, "{}\t", record.index)?;
    }
    out.write_all(record.payload)?;
    out.write_all(b"\n")
}

fn no_such_log(device: &Device, id: LogId) -> Failure {
    let ids: Vec<String> = device.log_ids().iter().map(LogId::to_string).collect();
    Failure::failed(match ids.is_empty() {
        true => format!("there is no log {id}; the directory holds none yet"),
        false => format!("there is no log {id}; there are: {}", ids.join(", ")),
    })
}
