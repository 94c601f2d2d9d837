//! Partitions of three machines, kept alike: the whole of it but for sockets and
//! threads, on simulated disks that lose what was not synced. What fails names
//! its seed: `DOLMEN_SEED=17 cargo test replicas`.

pub mod authority;
mod compacted;
mod dropped;
mod leader;
mod machine;
mod refused;
mod world;

use dolmen::planted::{Fault, plant};
use std::panic::{AssertUnwindSafe, catch_unwind};
use world::{Move, World};

/// A history each.
const SEEDS: u64 = 40;
const SEEDS_FULL: u64 = 1000;
/// Seeds that a search may take for one fault.
const SEARCHED: u64 = 1000;

const STEPS: u64 = 4000;
const STEPS_TO_MEND: u64 = 60_000;

fn live(seed: u64) -> World {
    live_in(seed, World::new(seed))
}

fn live_in(seed: u64, mut world: World) -> World {
    for step in 0..STEPS {
        world.step();
        if step % 400 == 0 {
            world.compare();
        }
    }
    world.heal();
    for _ in 0..STEPS_TO_MEND {
        world.step();
        if world.is_well() {
            world.conclude();
            return world;
        }
    }
    panic!("seed {seed}: it does not become well: {}", world.told());
}

#[test]
fn what_is_acknowledged_is_on_all_of_them() {
    if let Some(seed) = seed() {
        live(seed);
        return;
    }
    let seeds = if crate::full() { SEEDS_FULL } else { SEEDS };
    let (mut acknowledged, mut crashes, mut moves) = (0, 0, 0);
    for seed in 0..seeds {
        let world = live(seed);
        acknowledged += world.acknowledged.len();
        crashes += world.crashes;
        moves += world.moves;
    }
    println!("{acknowledged} acknowledged, {crashes} crashes, {moves} leaders moved on purpose");
    assert!(acknowledged > 1000 && crashes > 100 && moves > 20);
}

fn seed() -> Option<u64> {
    std::env::var("DOLMEN_SEED").ok()?.parse().ok()
}

/// Looked for in the full run.
const PLANTED: [Fault; 4] = [
    Fault::SaidBeforeDurable,
    Fault::OtherHistoryTrusted,
    Fault::LeadsBeforeAlive,
    Fault::RepeatNotRefused,
];

fn is_found(fault: Fault, seed: u64) -> bool {
    let planted = plant(fault);
    let lived = catch_unwind(AssertUnwindSafe(|| live(seed)));
    drop(planted);
    lived.is_err()
}

#[test]
fn what_is_planted_is_found() {
    if !crate::full() {
        return;
    }
    for fault in PLANTED {
        let found = (0..SEARCHED).find(|&seed| is_found(fault, seed));
        println!("{fault:?}: {found:?}");
        assert!(found.is_some(), "{fault:?} is not found");
    }
}

/// Told of by acks=1, and had by nobody else.
fn move_a_leader(seed: u64) {
    for how in [Move::Preferred, Move::Reassigned] {
        World::new(seed).move_a_leader(how);
    }
}

#[test]
fn what_a_leader_has_told_clients_of_is_there_when_another_is_asked_to_lead() {
    (0..SEEDS / 4).for_each(move_a_leader);
    let planted = plant(Fault::MovedUndrained);
    let moved = catch_unwind(|| move_a_leader(0));
    drop(planted);
    assert!(moved.is_err(), "a leader that is cut off goes unseen");
}
