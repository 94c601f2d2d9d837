//! The same client library in front of each broker: librdkafka's own program for
//! measuring. What it does itself for a record costs as much as the brokers do,
//! so this says what a client sees and not what a broker can; and it is the only
//! way to Kafka 0.9.

use super::cells::Acks;
use super::failure::Failure;
use super::median::median;
use super::process::{Cpu, Memory, Process, wait_until_gone};
use serde::Serialize;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

pub const RECORD_BYTES: usize = 1024;
const END_WITHIN: Duration = Duration::from_secs(120);
/// The topic of a broker that makes it when it is asked for it, and a JVM that
/// compiles what it runs often.
const WARM_UP_RECORDS: u64 = 50_000;

#[derive(Serialize)]
pub struct Line {
    pub target: String,
    pub acks: Acks,
    pub rounds: Vec<Sent>,
    pub failure: Option<String>,
}

#[derive(Clone, Copy, Serialize)]
pub struct Sent {
    /// Of values, as the program counts.
    pub mb_per_s: f64,
    pub records_per_s: f64,
    pub server_ms_per_mb: f64,
    pub memory_mib: f64,
}

/// A broker that is asked.
pub struct Asked<'a> {
    pub address: SocketAddr,
    pub topic: &'a str,
    pub pids: Vec<u32>,
    /// It cannot say what it knows, and is known to be of 0.9.
    pub is_old: bool,
}

pub fn measure(
    program: &Path,
    folder: &Path,
    asked: &Asked<'_>,
    acks: Acks,
    bytes: u64,
) -> Result<Sent, Failure> {
    send(program, folder, asked, acks, WARM_UP_RECORDS)?;
    let cpu = Cpu::of(&asked.pids)?;
    let records = bytes / RECORD_BYTES as u64;
    let (delivered, seconds) = send(program, folder, asked, acks, records)?;
    if delivered != records {
        let why = format!("{delivered} of {records} records were delivered");
        return Err(Failure::Answered(why));
    }
    let used = Cpu::of(&asked.pids)?.since(cpu).servers;
    let each = asked.pids.iter().map(|pid| Memory::of(*pid));
    let each: Vec<Memory> = each.collect::<Result<_, _>>()?;
    let most = each.iter().map(|one| one.own_kib).max().unwrap_or(0);
    let mb = (records * RECORD_BYTES as u64) as f64 / 1e6;
    Ok(Sent {
        mb_per_s: mb / seconds,
        records_per_s: records as f64 / seconds,
        server_ms_per_mb: used * 1e3 / mb,
        memory_mib: most as f64 / 1024.0,
    })
}

/// How many were delivered, in how many seconds.
fn send(
    program: &Path,
    folder: &Path,
    asked: &Asked<'_>,
    acks: Acks,
    records: u64,
) -> Result<(u64, f64), Failure> {
    let log = folder.join("client.log");
    // Only the last run's words are read.
    let _ = fs::remove_file(&log);
    let mut argv = vec![program.display().to_string(), "-P".to_owned()];
    let options = [
        ("-t", asked.topic.to_owned()),
        ("-b", asked.address.to_string()),
        ("-p", "0".to_owned()),
        ("-s", RECORD_BYTES.to_string()),
        ("-c", records.to_string()),
        ("-a", acks.number().to_string()),
        ("-X", "linger.ms=5".to_owned()),
        ("-X", "log_level=3".to_owned()),
    ];
    argv.extend(
        options
            .into_iter()
            .flat_map(|(name, value)| [name.to_owned(), value]),
    );
    if asked.is_old {
        for set in [
            "api.version.request=false",
            "broker.version.fallback=0.9.0.1",
        ] {
            argv.extend(["-X".to_owned(), set.to_owned()]);
        }
    }
    let client = Process::start(&argv, folder, &log)?;
    // It ends by itself, and says its sum last.
    wait_until_gone(client.pid(), END_WITHIN)?;
    parse(&fs::read_to_string(&log)?)
}

/// `% 9 messages produced (9 bytes), 9 delivered (offset 8, 0 failed) in 1772ms: ..`
fn parse(text: &str) -> Result<(u64, f64), Failure> {
    let strange = || {
        let last = text.lines().last().unwrap_or_default();
        Failure::Answered(format!("the client says: {last}"))
    };
    let mut lines = text.lines().rev();
    let sum = lines
        .find(|line| line.contains(" delivered ("))
        .ok_or_else(strange)?;
    let before = |mark: &str| {
        let head = sum.split(mark).next()?;
        head.rsplit([' ', ',']).next()?.parse::<u64>().ok()
    };
    match (before(" delivered ("), before("ms: ")) {
        (Some(delivered), Some(ms)) if ms > 0 => Ok((delivered, ms as f64 / 1e3)),
        _ => Err(strange()),
    }
}

impl Line {
    pub fn print(&self) {
        let name = self.acks.name();
        if let Some(failure) = &self.failure {
            return println!("{name:<44} {:<15} FAILED: {failure}", self.target);
        }
        let of = |figure: fn(&Sent) -> f64| median(self.rounds.iter().map(figure).collect());
        println!(
            "{name:<44} {:<15} {:>7.1} {:>9.0} {:>7.2} {:>6.0}",
            self.target,
            of(|one| one.mb_per_s),
            of(|one| one.records_per_s),
            of(|one| one.server_ms_per_mb),
            of(|one| one.memory_mib)
        );
    }
}
