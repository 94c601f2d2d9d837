//! Everything that was measured, as a table or as JSON.

use super::figures::{Round, over};
use super::goals::Goal;
use super::head::Head;
use super::idle::{Idle, Step};
use super::load::Variant;
use super::others::Answer;
use super::plan::{Plan, Row, Who};
use super::recovery::Recovery;
use dolmen::disk::class::Class;
use serde::Serialize;

#[derive(Serialize)]
pub struct Report {
    pub head: Head,
    pub rows: Vec<Line>,
    pub recovery: Option<Recovery>,
    pub idle: Option<Idle>,
    pub goals: Vec<Goal>,
}

/// One row with its medians.
#[derive(Serialize)]
pub struct Line {
    pub who: String,
    pub bytes: usize,
    pub outstanding: usize,
    pub logs: u64,
    pub beside_hogs: bool,
    pub p50_us: f64,
    pub p99_us: f64,
    pub per_second: f64,
    pub mb_per_s: f64,
    pub rounds: Vec<Round>,
}

pub fn lines(plan: Plan, variants: &[Variant]) -> Vec<Line> {
    let auto = plan.auto;
    let each = plan.rows.into_iter();
    each.map(|row| line(row, variants, auto)).collect()
}

/// Who a row measures, in words.
pub fn name(row: &Row, variants: &[Variant], auto: usize) -> String {
    let engine = |variant: usize| match variant == auto {
        true => format!("{} (auto)", variants[variant].0),
        false => variants[variant].0.to_owned(),
    };
    match row.who {
        Who::Raw(way) => way.name().to_owned(),
        Who::Own(variant) => format!("own thread, {}", engine(variant)),
        Who::Resting(variant) => format!("own thread, resting, {}", engine(variant)),
        Who::Ordinary(_) => format!("own thread of ordinary class, {}", engine(auto)),
        Who::Others(variant, class, answer) => {
            let class = match class {
                Class::Log => "replica's class",
                _ => "doors",
            };
            let answer = match answer {
                Answer::Ticket => "ticket",
                Answer::Callback => "callback",
            };
            format!("{class}, {answer}, {}", engine(variant))
        }
    }
}

fn line(row: Row, variants: &[Variant], auto: usize) -> Line {
    let who = name(&row, variants, auto);
    let per_second = over(&row.rounds, |round| round.per_second);
    Line {
        who,
        bytes: row.load.bytes,
        outstanding: row.load.outstanding,
        logs: row.load.logs,
        beside_hogs: row.beside_hogs,
        p50_us: over(&row.rounds, |round| round.p50_us),
        p99_us: over(&row.rounds, |round| round.p99_us),
        per_second,
        mb_per_s: per_second * row.load.bytes as f64 / 1e6,
        rounds: row.rounds,
    }
}

impl Report {
    pub fn print(&self) {
        self.head.print();
        if !self.rows.is_empty() {
            self.print_rows();
        }
        if let Some(recovery) = &self.recovery {
            print_recovery(recovery);
        }
        if let Some(idle) = &self.idle {
            print_idle(idle);
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
    }

    fn print_rows(&self) {
        println!(
            "\n{:<46} {:>8} {:>4} {:>4} {:>5} {:>9} {:>9} {:>10} {:>8}",
            "durable append", "bytes", "outs", "logs", "hogs", "p50 us", "p99 us", "per s", "MB/s"
        );
        for line in &self.rows {
            let hogs = if line.beside_hogs { "4" } else { "-" };
            println!(
                "{:<46} {:>8} {:>4} {:>4} {:>5} {:>9.1} {:>9.1} {:>10.0} {:>8.1}",
                line.who,
                line.bytes,
                line.outstanding,
                line.logs,
                hogs,
                line.p50_us,
                line.p99_us,
                line.per_second,
                line.mb_per_s
            );
        }
    }
}

fn print_recovery(recovery: &Recovery) {
    let mib = |bytes: u64| bytes >> 20;
    println!(
        "\nrecovery of a log of {} MiB in the page cache",
        mib(recovery.log_bytes)
    );
    println!(
        "  after an unclean end: {:.0} ms, {} MiB replayed and {} MiB scanned, {:.0} MB/s",
        recovery.unclean_open_ms,
        mib(recovery.replayed_bytes),
        mib(recovery.scanned_bytes),
        recovery.recovered_mb_per_s
    );
    println!("  after a clean end: {:.1} ms", recovery.clean_open_ms);
    println!(
        "  read by map {:.0} MB/s, by plain read {:.0} MB/s; with a checksum {:.0} and {:.0} MB/s",
        recovery.map_mb_per_s,
        recovery.plain_mb_per_s,
        recovery.map_checked_mb_per_s,
        recovery.plain_checked_mb_per_s
    );
}

fn print_idle(idle: &Idle) {
    println!(
        "\n{} idle logs: {:.1} MiB of disk, the journal's {:.1} MiB apart",
        idle.logs,
        idle.disk_bytes as f64 / f64::from(1 << 20),
        idle.journal_bytes as f64 / f64::from(1 << 20)
    );
    let print = |what: &str, step: &Step| {
        println!(
            "  {what}: {:.0} ms, {:.1} MiB of memory (VmRSS {:.1})",
            step.ms,
            step.memory.own_kib as f64 / 1024.0,
            step.memory.resident_kib as f64 / 1024.0
        );
    };
    print("made with one record each", &idle.made);
    print("opened after an unclean end", &idle.after_unclean);
    print("opened after a clean end", &idle.after_clean);
}
