//! Everything that was measured, as tables or as JSON.

use super::backup::Beside;
use super::failover::Failover;
use super::figures::{Round, over, ratio};
use super::head::Head;
use super::median::median;
use super::memory::Weight;
use super::table::{Row, Who};
use super::targets::{Cluster, Kind};
use serde::Serialize;

#[derive(Serialize)]
pub struct Report {
    pub head: Head,
    /// Targets that are in no table, and why.
    pub left_out: Vec<LeftOut>,
    pub idle: Vec<Idle>,
    pub rows: Vec<Line>,
    pub ratios: Vec<Ratio>,
    pub weights: Vec<Weight>,
    pub backups: Vec<Beside>,
    pub failovers: Vec<Failover>,
}

#[derive(Serialize)]
pub struct LeftOut {
    pub target: String,
    pub part: &'static str,
    pub reason: String,
}

/// What a cluster takes of one processor while nobody asks it anything.
#[derive(Serialize)]
pub struct Idle {
    pub target: String,
    pub version: String,
    pub cpu_percent: f64,
}

/// One row with its medians.
#[derive(Serialize)]
pub struct Line {
    pub cell: String,
    pub target: String,
    pub clients: usize,
    pub medians: Option<Round>,
    pub rounds: Vec<Round>,
    pub failure: Option<String>,
}

/// Operations a second, ours by theirs.
#[derive(Serialize)]
pub struct Ratio {
    pub cell: String,
    pub ours: String,
    pub theirs: String,
    pub ratio: f64,
}

fn name(who: Who, clusters: &[Cluster]) -> String {
    match who {
        Who::Cluster(place) => clusters[place].target.name(),
        Who::Echo => "echo".to_owned(),
    }
}

pub fn lines(rows: &[Row], clusters: &[Cluster]) -> Vec<Line> {
    let line = |row: &Row| Line {
        cell: row.cell.name(),
        target: name(row.who, clusters),
        clients: row.cell.clients(),
        medians: (!row.rounds.is_empty()).then(|| over(&row.rounds)),
        rounds: row.rounds.clone(),
        failure: row.failure.as_ref().map(ToString::to_string),
    };
    rows.iter().map(line).collect()
}

/// Dolmen beside those of as many nodes in the same cell.
pub fn ratios(rows: &[Row], clusters: &[Cluster]) -> Vec<Ratio> {
    let target = |row: &Row| match row.who {
        Who::Cluster(place) => Some(clusters[place].target),
        Who::Echo => None,
    };
    let mut ratios = Vec::new();
    for ours in rows {
        let Some(our) = target(ours).filter(|target| target.kind == Kind::Dolmen) else {
            continue;
        };
        for theirs in rows.iter().filter(|row| row.cell == ours.cell) {
            let is_peer = match target(theirs) {
                Some(their) => their.kind != Kind::Dolmen && their.nodes == our.nodes,
                None => true,
            };
            if is_peer && !ours.rounds.is_empty() && !theirs.rounds.is_empty() {
                ratios.push(Ratio {
                    cell: ours.cell.name(),
                    ours: our.name(),
                    theirs: name(theirs.who, clusters),
                    ratio: ratio(&ours.rounds, &theirs.rounds),
                });
            }
        }
    }
    ratios
}

impl Report {
    pub fn print(&self) {
        self.head.print();
        for idle in &self.idle {
            println!(
                "{:<12} {} (idle: {:.1} % of one processor)",
                idle.target, idle.version, idle.cpu_percent
            );
        }
        if !self.rows.is_empty() {
            self.print_rows();
        }
        for weight in &self.weights {
            weight.print();
        }
        self.backups.iter().for_each(Beside::print);
        if !self.failovers.is_empty() {
            println!("\nfrom the loss of the leader to the first write that the others accept");
        }
        self.failovers.iter().for_each(Failover::print);
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
            "\n{:<36} {:<12} {:>9} {:>9} {:>9} {:>10} {:>10} {:>10}",
            "cell, clients",
            "target",
            "per s",
            "p50 us",
            "p99 us",
            "max us",
            "client us",
            "servers us"
        );
        let mut last = "";
        for line in &self.rows {
            let cell = if line.cell == last { "" } else { &line.cell };
            last = &line.cell;
            if let Some(round) = &line.medians {
                println!(
                    "{cell:<36} {:<12} {:>9.0} {:>9.1} {:>9.1} {:>10.1} {:>10.2} {:>10.2}",
                    line.target,
                    round.per_second,
                    round.p50_us,
                    round.p99_us,
                    round.max_us,
                    round.client_us,
                    round.server_us
                );
            }
            if let Some(failure) = &line.failure {
                println!("{cell:<36} {:<12} FAILED: {failure}", line.target);
            }
        }
        println!(
            "client and servers: processor time for one operation, the kernel's share with it"
        );
        self.print_generator();
        if !self.ratios.is_empty() {
            println!("\noperations a second, medians of the ratios of neighbouring rounds");
        }
        for Ratio {
            cell,
            ours,
            theirs,
            ratio,
        } in &self.ratios
        {
            println!("{cell:<36} {ours} / {theirs:<12} {ratio:>6.2}");
        }
    }

    /// What the load generator took of a processor where it had enough to do:
    /// with few clients it sleeps and wakes for each answer.
    fn print_generator(&self) {
        for target in self.targets() {
            let of_target = |line: &&Line| line.target == target && line.clients >= BUSY_CLIENTS;
            let rows = self.rows.iter().filter(of_target);
            let mut costs: Vec<f64> = rows
                .filter_map(|line| Some(line.medians?.client_us))
                .collect();
            costs.sort_unstable_by(f64::total_cmp);
            if let (Some(least), Some(most)) = (costs.first(), costs.last()) {
                println!(
                    "load generator against {target}, {BUSY_CLIENTS} clients and more: \
                     {least:.2} to {most:.2} us an operation, median {:.2}",
                    median(costs.clone())
                );
            }
        }
    }

    fn targets(&self) -> Vec<&str> {
        let mut targets = Vec::new();
        for line in &self.rows {
            if !targets.contains(&line.target.as_str()) {
                targets.push(line.target.as_str());
            }
        }
        targets
    }
}

const BUSY_CLIENTS: usize = 16;
