//! The acceptance lines: goal, measured, whether it holds.

use super::figures::{Round, over, ratio};
use super::idle::Idle;
use super::load::Load;
use super::others::Answer;
use super::plan::{self, BLOCK, HUGE, LARGE, LONE, Plan, Who};
use super::raw::Way;
use super::recovery::Recovery;
use dolmen::disk::class::Class;
use serde::Serialize;

#[derive(Serialize)]
pub struct Goal {
    pub goal: String,
    pub measured: String,
    pub holds: bool,
}

const P50: fn(&Round) -> f64 = |round| round.p50_us;
const P99: fn(&Round) -> f64 = |round| round.p99_us;
const RATE: fn(&Round) -> f64 = |round| round.per_second;
const MIB: f64 = (1 << 20) as f64;

pub fn judge(plan: &Plan, recovery: Option<&Recovery>, idle: Option<&Idle>) -> Vec<Goal> {
    let mut goals = Vec::new();
    if !plan.rows.is_empty() {
        lone(plan, &mut goals);
        batched(plan, &mut goals);
        beside_hogs(plan, &mut goals);
        huge(plan, &mut goals);
    }
    if let Some(recovery) = recovery {
        let rate = recovery.recovered_mb_per_s;
        goals.push(Goal {
            goal: "recovery from the page cache >= 1 GB/s".into(),
            measured: format!("{:.2} GB/s", rate / 1e3),
            holds: rate >= 1e3,
        });
    }
    if let Some(idle) = idle {
        idling(idle, &mut goals);
    }
    goals
}

fn at_most(goals: &mut Vec<Goal>, what: String, bound: f64, found: f64) {
    goals.push(Goal {
        goal: format!("{what} <= {bound}x"),
        measured: format!("{found:.2}x"),
        holds: found <= bound,
    });
}

/// Of the two raw loops the quicker in each round.
fn raw(plan: &Plan, bytes: usize) -> Vec<Round> {
    let load = plan::of(bytes, 1);
    let [buffered, direct] =
        [Way::Buffered, Way::Direct].map(|way| plan.rounds(Who::Raw(way), load, false));
    let pairs = buffered.iter().zip(direct);
    pairs
        .map(|(a, b)| if a.p50_us <= b.p50_us { *a } else { *b })
        .collect()
}

fn lone(plan: &Plan, goals: &mut Vec<Goal>) {
    for (bytes, name) in [(LONE, "512 B"), (BLOCK, "4 KiB"), (LARGE, "64 KiB")] {
        let ours = plan.rounds(Who::Own(plan.auto), plan::of(bytes, 1), false);
        let found = ratio(ours, &raw(plan, bytes), P50);
        let what = format!("one of {name} on the own thread: p50 against the raw loop");
        at_most(goals, what, 1.15, found);
    }
    for (class, name) in [(Class::Doors, "a door's"), (Class::Log, "the replica's")] {
        let who = Who::Others(plan.auto, class, Answer::Ticket);
        let ours = plan.rounds(who, plan::of(LONE, 1), false);
        let found = ratio(ours, &raw(plan, LONE), P50);
        let what = format!("one of 512 B from {name} thread: p50 against the raw loop");
        at_most(goals, what, 1.5, found);
    }
}

fn batched(plan: &Plan, goals: &mut Vec<Goal>) {
    let doors = Who::Others(plan.auto, Class::Doors, Answer::Ticket);
    let lone = plan.rounds(doors, plan::of(LONE, 1), false);
    let many = plan.rounds(doors, plan::of(LONE, 64), false);
    let (rate, p50) = (ratio(many, lone, RATE), ratio(many, lone, P50));
    goals.push(Goal {
        goal: "64 outstanding of 512 B from 2 threads: rate >= 20x of one at p50 <= 3.2x".into(),
        measured: format!("{rate:.1}x at {p50:.2}x"),
        holds: rate >= 20.0 && p50 <= 3.2,
    });
    for (who, name) in [(Who::Own(plan.auto), "own thread"), (doors, "2 threads")] {
        let spread = plan.rounds(who, plan::over(LONE, 100), false);
        let one = plan.rounds(who, plan::of(LONE, 100), false);
        let what = format!("100 logs with one each, {name}: p99 against 100 on one log");
        at_most(goals, what, 2.0, ratio(spread, one, P99));
    }
}

fn beside_hogs(plan: &Plan, goals: &mut Vec<Goal>) {
    let load = plan::of(LONE, 1);
    let against = |who, quiet| {
        ratio(
            plan.rounds(who, load, true),
            plan.rounds(quiet, load, false),
            P99,
        )
    };
    let auto = Who::Own(plan.auto);
    let found = against(auto, auto);
    let ordinary = against(Who::Ordinary(0), auto);
    goals.push(Goal {
        goal: "beside 4 hogs, own thread, auto: p99 <= 5x of quiet".into(),
        measured: format!("{found:.2}x (a thread of ordinary class: {ordinary:.1}x)"),
        holds: found <= 5.0,
    });
}

fn huge(plan: &Plan, goals: &mut Vec<Goal>) {
    let ways = [Way::Buffered, Way::Direct, Way::Fallocated].map(Who::Raw);
    let rate =
        |who, load: Load| over(plan.rounds(who, load, false), RATE) * load.bytes as f64 / 1e6;
    let best = |rates: Vec<f64>| rates.into_iter().fold(0.0, f64::max);
    let disk = best(ways.map(|way| rate(way, plan::of(HUGE, 1))).to_vec());
    let loads = [1, 4, 16].map(|outstanding| plan::of(HUGE, outstanding));
    let ours = best(loads.map(|load| rate(Who::Own(plan.auto), load)).to_vec());
    let share = ours / disk;
    goals.push(Goal {
        goal: "1 MiB appends >= 0.85x of the disk's best sequential durable rate".into(),
        measured: format!("{share:.2}x ({ours:.0} of {disk:.0} MB/s)"),
        holds: share >= 0.85,
    });
}

fn idling(idle: &Idle, goals: &mut Vec<Goal>) {
    let disk = idle.disk_bytes as f64 / MIB;
    goals.push(Goal {
        goal: "1,000 idle logs: disk <= 100 MiB".into(),
        measured: format!("{disk:.1} MiB"),
        holds: disk <= 100.0,
    });
    let steps = [
        ("made here", &idle.made),
        ("after an unclean stop", &idle.after_unclean),
        ("after a clean stop", &idle.after_clean),
    ];
    for (name, step) in steps {
        let memory = step.memory.own_kib as f64 / 1024.0;
        let resident = step.memory.resident_kib as f64 / 1024.0;
        goals.push(Goal {
            goal: format!("1,000 idle logs, {name}: memory <= 20 MiB"),
            measured: format!("{memory:.1} MiB (VmRSS {resident:.1})"),
            holds: memory <= 20.0,
        });
    }
    for (name, step) in &steps[1..] {
        goals.push(Goal {
            goal: format!("1,000 idle logs, {name}: open in < 5 s"),
            measured: format!("{:.3} s", step.ms / 1e3),
            holds: step.ms < 5e3,
        });
    }
}
