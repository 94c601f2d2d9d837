//! The acceptance lines: goal, measured, whether it holds. A goal of which a
//! part was not measured is not judged.

use super::cells::{Acks, BASE, BATCH, Cell, LARGE_BATCH, SMALL_BATCH};
use super::idle::Idle;
use super::report::{Line, Reading};
use super::rounds::{ACK_P99, RATE, Round, ratio};
use super::targets::Target;
use serde::Serialize;

#[derive(Serialize)]
pub struct Goal {
    pub goal: String,
    pub measured: String,
    pub holds: bool,
}

pub fn judge(lines: &[Line], readings: &[Reading], idles: &[Idle]) -> Vec<Goal> {
    let mut goals = Vec::new();
    goals.extend(beside_the_log(lines));
    goals.extend(beside_the_copy(readings));
    for nodes in [1, 3] {
        goals.extend(many_partitions(lines, Target::Dolmen(nodes).name()));
    }
    for idle in idles.iter().filter(|idle| idle.is_dolmen) {
        idling(idle, &mut goals);
    }
    goals.extend(memory(lines));
    goals
}

fn rounds<'a>(lines: &'a [Line], target: &str, cell: Cell) -> &'a [Round] {
    let mut all = lines.iter();
    let line = all.find(|line| line.target == target && line.of == cell);
    line.map_or(&[], |line| &line.rounds)
}

fn beside_the_log(lines: &[Line]) -> Vec<Goal> {
    let goal = |(batch_bytes, name): (usize, &str)| {
        let cell = Cell {
            batch_bytes,
            ..BASE
        };
        let ours = rounds(lines, &Target::Dolmen(1).name(), cell);
        let share = ratio(ours, rounds(lines, "log alone", cell), RATE)?;
        Some(Goal {
            goal: format!("1 KiB in batches of {name}, durable: >= 0.8x of the log alone"),
            measured: format!("{share:.2}x"),
            holds: share >= 0.8,
        })
    };
    let large = [(BATCH, "256 KiB"), (LARGE_BATCH, "1 MiB")];
    large.into_iter().filter_map(goal).collect()
}

fn beside_the_copy(readings: &[Reading]) -> Vec<Goal> {
    let ours = Target::Dolmen(1).name();
    let goal = |line: &Reading| {
        let share = line.of_the_copy.filter(|_| line.target == ours)?;
        let partitions = line.partitions;
        Some(Goal {
            goal: format!("warm consumption, {partitions} p: >= 0.6x of a loopback TCP copy"),
            measured: format!("{share:.2}x"),
            holds: share >= 0.6,
        })
    };
    readings.iter().filter_map(goal).collect()
}

fn many_partitions(lines: &[Line], target: String) -> Option<Goal> {
    let of = |partitions| {
        let cell = Cell {
            batch_bytes: SMALL_BATCH,
            partitions,
            ..BASE
        };
        rounds(lines, &target, cell)
    };
    let found = ratio(of(100), of(1), ACK_P99)?;
    Some(Goal {
        goal: format!("{target}: 100 partitions, p99 of acks=all <= 1.5x of one partition"),
        measured: format!("{found:.2}x"),
        holds: found <= 1.5,
    })
}

fn idling(idle: &Idle, goals: &mut Vec<Goal>) {
    let (target, partitions) = (&idle.target, idle.partitions);
    let mut add = |what: &str, bound: f64, found: f64, unit: &str| {
        goals.push(Goal {
            goal: format!("{target}: {partitions} idle partitions: {what} <= {bound} {unit}"),
            measured: format!("{found:.2} {unit}"),
            holds: found <= bound,
        });
    };
    let more = |memory: f64| (memory - idle.memory_before_mib).max(0.0);
    add("memory", 20.0, more(idle.memory_mib), "MiB");
    let written = more(idle.memory_written_mib);
    add("memory with a record each", 20.0, written, "MiB");
    if idle.memory_restarted_mib.is_finite() {
        let memory = more(idle.memory_restarted_mib);
        add("memory after a restart", 20.0, memory, "MiB");
    }
    let disk = idle.disk_mib.max(idle.disk_written_mib);
    add("disk of a node, with a record each", 100.0, disk, "MiB");
    add("made in", 5.0, idle.made_s, "s");
}

/// Of each Dolmen under every load of the table.
fn memory(lines: &[Line]) -> Option<Goal> {
    let ours = lines.iter().filter(|line| line.is_dolmen);
    let each = ours.filter_map(|line| Some((line.medians?.memory_mib, line)));
    let (most, line) = each.max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    Some(Goal {
        goal: "the daemon under all of this: RssAnon + RssShmem <= 300 MiB".into(),
        measured: format!("{most:.0} MiB ({}, {})", line.target, line.cell),
        holds: most <= 300.0,
    })
}

/// Whom Dolmen is set beside in a cell: only what acknowledges as it does.
pub fn is_peer(theirs: &Line, ours: &Line) -> bool {
    theirs.of == ours.of
        && !theirs.is_dolmen
        && (ours.nodes == 1 || theirs.of.acks == Acks::Durable)
}
