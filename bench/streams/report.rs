//! Everything that was measured, as tables or as JSON.

use super::catch_up;
use super::cells::Cell;
use super::client;
use super::copy::COPY;
use super::goals::{Goal, is_peer};
use super::head::Head;
use super::idle::Idle;
use super::median::median;
use super::rounds::{self, RATE, Round, Times, over, over_readings, ratio};
use super::table::{Row, name, target};
use super::targets::{Cluster, Target};
use serde::Serialize;

#[derive(Serialize)]
pub struct Report {
    pub head: Head,
    /// Targets that are in no table, and why.
    pub left_out: Vec<LeftOut>,
    pub rows: Vec<Line>,
    pub ratios: Vec<Ratio>,
    pub readings: Vec<Reading>,
    pub idles: Vec<Idle>,
    pub clients: Vec<client::Line>,
    pub goals: Vec<Goal>,
    pub load_average_after: String,
}

#[derive(Serialize)]
pub struct LeftOut {
    pub target: String,
    pub part: &'static str,
    pub reason: String,
}

/// One row with its medians.
#[derive(Serialize)]
pub struct Line {
    pub cell: String,
    pub of: Cell,
    pub target: String,
    pub is_dolmen: bool,
    pub nodes: usize,
    pub medians: Option<Round>,
    pub rounds: Vec<Round>,
    pub failure: Option<String>,
}

/// Megabytes a second, ours by theirs.
#[derive(Serialize)]
pub struct Ratio {
    pub cell: String,
    pub ours: String,
    pub theirs: String,
    pub ratio: f64,
}

/// Reading from the first offset on.
#[derive(Serialize)]
pub struct Reading {
    pub target: String,
    pub partitions: usize,
    pub is_warm: bool,
    pub medians: Option<rounds::Reading>,
    pub rounds: Vec<rounds::Reading>,
    /// MB/s by those of the copies beside it.
    pub of_the_copy: Option<f64>,
    pub failure: Option<String>,
}

pub fn lines(rows: &[Row], clusters: &[Cluster]) -> Vec<Line> {
    let line = |row: &Row| {
        let target = target(row.who, clusters);
        Line {
            cell: row.cell.name(),
            of: row.cell,
            target: name(row.who, clusters),
            is_dolmen: target.is_some_and(Target::is_dolmen),
            nodes: match target {
                Some(Target::Dolmen(nodes)) => nodes,
                _ => 1,
            },
            medians: (!row.rounds.is_empty()).then(|| over(&row.rounds)),
            rounds: row.rounds.clone(),
            failure: row.failure.as_ref().map(ToString::to_string),
        }
    };
    rows.iter().map(line).collect()
}

pub fn ratios(lines: &[Line]) -> Vec<Ratio> {
    let mut ratios = Vec::new();
    for ours in lines.iter().filter(|line| line.is_dolmen) {
        for theirs in lines.iter().filter(|theirs| is_peer(theirs, ours)) {
            if let Some(ratio) = ratio(&ours.rounds, &theirs.rounds, RATE) {
                ratios.push(Ratio {
                    cell: ours.cell.clone(),
                    ours: ours.target.clone(),
                    theirs: theirs.target.clone(),
                    ratio,
                });
            }
        }
    }
    ratios
}

/// The copy's line, and two of each target.
pub fn readings(lines: Vec<catch_up::Line>, copies: Vec<rounds::Reading>) -> Vec<Reading> {
    let mut readings = vec![Reading {
        target: COPY.to_owned(),
        partitions: 1,
        is_warm: true,
        medians: over_readings(&copies),
        rounds: copies,
        of_the_copy: None,
        failure: None,
    }];
    for line in lines {
        let of = |is_warm, rounds: Vec<rounds::Reading>, failure| Reading {
            target: line.target.clone(),
            partitions: line.partitions,
            is_warm,
            medians: over_readings(&rounds),
            rounds,
            of_the_copy: None,
            failure,
        };
        let pairs = line.warm.iter().zip(&line.copies);
        let shares: Vec<f64> = pairs.map(|(a, b)| a.mb_per_s / b.mb_per_s).collect();
        readings.push(Reading {
            of_the_copy: (!shares.is_empty()).then(|| median(shares)),
            ..of(true, line.warm, line.warm_failure)
        });
        if line.is_dolmen {
            readings.push(of(false, line.cold, line.cold_failure));
        }
    }
    readings
}

impl Report {
    pub fn print(&self) {
        self.head.print();
        println!("load      {} when it ended", self.load_average_after);
        if !self.rows.is_empty() {
            self.print_rows();
        }
        if !self.readings.is_empty() {
            self.print_readings();
        }
        if !self.idles.is_empty() {
            let partitions = self.idles[0].partitions;
            println!(
                "\n{partitions} partitions; memory is RssAnon + RssShmem of the server that has most, \
                 disk the blocks of one node"
            );
        }
        self.idles.iter().for_each(Idle::print);
        if !self.clients.is_empty() {
            println!(
                "\n{:<44} {:<15} {:>7} {:>9} {:>7} {:>6}",
                "rdkafka_performance, 1 KiB, 1 p", "target", "MB/s", "records/s", "servers", "MiB"
            );
        }
        self.clients.iter().for_each(client::Line::print);
        if !self.clients.is_empty() {
            println!(
                "the client's own work is the ceiling; kafka 0.9.0.1 (2016, batches of the first \
                 format, Java 17) does not sync before it acknowledges"
            );
        }
        if !self.goals.is_empty() {
            println!("\n{:<78} {:<44} holds", "goal", "measured");
        }
        for Goal {
            goal,
            measured,
            holds,
        } in &self.goals
        {
            let holds = if *holds { "yes" } else { "NO" };
            println!("{goal:<78} {measured:<44} {holds}");
        }
        if !self.left_out.is_empty() {
            println!();
        }
        for LeftOut {
            target,
            part,
            reason,
        } in &self.left_out
        {
            println!("LEFT OUT  {target} of {part}: {reason}");
        }
    }

    fn print_rows(&self) {
        println!(
            "\n{:<44} {:<15} {:>7} {:>9} {:>24} {:>24} {:>7} {:>7} {:>6}",
            "",
            "",
            "",
            "records",
            "ack p50/p99/p99.9 us",
            "seen p50/p99/p99.9 us",
            "load",
            "servers",
            ""
        );
        println!(
            "{:<44} {:<15} {:>7} {:>9} {:>24} {:>24} {:>7} {:>7} {:>6}",
            "cell", "target", "MB/s", "per s", "", "", "ms/MB", "ms/MB", "MiB"
        );
        let mut last = "";
        for line in &self.rows {
            let cell = if line.cell == last { "" } else { &line.cell };
            last = &line.cell;
            if let Some(round) = &line.medians {
                println!(
                    "{cell:<44} {:<15} {:>7.1} {:>9} {:>24} {:>24} {:>7} {:>7} {:>6}",
                    line.target,
                    round.mb_per_s,
                    figure(round.records_per_s, 0),
                    three(round.ack),
                    three(round.sight),
                    figure(round.client_ms_per_mb, 2),
                    figure(round.server_ms_per_mb, 2),
                    figure(round.memory_mib, 0),
                );
            }
            if let Some(failure) = &line.failure {
                println!("{cell:<44} {:<15} FAILED: {failure}", line.target);
            }
        }
        println!(
            "ms/MB: processor time, the kernel's share with it; MiB: the most that one server had, \
             RssAnon + RssShmem"
        );
        if !self.ratios.is_empty() {
            println!("\nMB/s, medians of the ratios of neighbouring rounds");
        }
        for Ratio {
            cell,
            ours,
            theirs,
            ratio,
        } in &self.ratios
        {
            println!("{cell:<44} {ours} / {theirs:<15} {ratio:>6.2}");
        }
    }

    fn print_readings(&self) {
        println!(
            "\n{:<44} {:<15} {:>7} {:>9} {:>7} {:>7}",
            "reading from the first offset", "target", "MB/s", "records/s", "load", "servers"
        );
        for line in &self.readings {
            let state = if line.is_warm { "warm" } else { "cold" };
            let cell = match line.target == COPY {
                true => "bytes over loopback".to_owned(),
                false => format!("{state}, {} p", line.partitions),
            };
            if let Some(reading) = &line.medians {
                println!(
                    "{cell:<44} {:<15} {:>7.1} {:>9} {:>7} {:>7}",
                    line.target,
                    reading.mb_per_s,
                    figure(reading.records_per_s, 0),
                    figure(reading.client_ms_per_mb, 2),
                    figure(reading.server_ms_per_mb, 2)
                );
            }
            if let Some(failure) = &line.failure {
                println!("{cell:<44} {:<15} FAILED: {failure}", line.target);
            }
        }
    }
}

/// What somebody does not have is a dash.
fn figure(value: f64, digits: usize) -> String {
    match value.is_finite() {
        true => format!("{value:.digits$}"),
        false => "-".to_owned(),
    }
}

fn three(times: Option<Times>) -> String {
    let Some(times) = times else {
        return "-".to_owned();
    };
    let Times {
        p50_us,
        p99_us,
        p999_us,
        ..
    } = times;
    format!("{p50_us:.0}/{p99_us:.0}/{p999_us:.0}")
}
