//! What the state costs, to be asked for by hand:
//! `cargo test --release --test main state::figures -- --ignored --nocapture`.

use super::create;
use dolmen::clock::Millis;
use dolmen::ids::Uid;
use dolmen::state::{Loader, State, Submission};
use std::time::Duration;

/// Nodes of 100 bytes, a thousand in each folder. What is still to be applied
/// is made in portions, so that it hardly counts in the memory.
fn fill(state: &mut State, nodes: usize) -> Duration {
    const PORTION: usize = 10_000;
    let mut changes = Vec::new();
    let mut took = Duration::ZERO;
    for portion in (0..nodes).step_by(PORTION) {
        let submissions: Vec<_> = (portion..portion + PORTION).map(node).collect();
        let started = on_processor();
        for submission in &submissions {
            let applied = state.apply(Millis(1), submission, &mut changes);
            changes.clear();
            assert!(applied.outcome.is_ok());
        }
        took += on_processor() - started;
    }
    took
}

fn node(n: usize) -> Submission {
    let folder = format!("/folder-{:04}", n / 1000);
    let path = match n % 1000 {
        0 => folder,
        _ => format!("{folder}/node-{n:010}"),
    };
    create(&path, &[b'x'; 100])
}

/// Time that this thread has had a processor: what others take meanwhile does
/// not count.
fn on_processor() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("procfs is there");
    let word = text.split(' ').next().and_then(|word| word.parse().ok());
    Duration::from_nanos(word.expect("nanoseconds come first"))
}

fn anonymous_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("procfs is there");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let word = line.and_then(|line| line.split_whitespace().next());
    word.and_then(|word| word.parse().ok())
        .expect("RssAnon is there")
}

#[test]
#[ignore = "prints figures, to be read by a person on a quiet machine"]
fn figures() {
    let before = anonymous_kib();
    let mut state = State::new(Uid([1; 16]));
    let took = fill(&mut state, 100_000);
    let kib = anonymous_kib() - before;
    println!(
        "100,000 creates of 100 B: {} ns each, {kib} KiB in all",
        took.as_nanos() / 100_000
    );
    drop(state);

    let mut state = State::new(Uid([1; 16]));
    fill(&mut state, 1_000_000);
    let started = on_processor();
    state.begin_walk();
    let frames: Vec<_> = std::iter::from_fn(|| state.walk_slice(1000)).collect();
    let took = on_processor() - started;
    let slices = frames.len() as u32;
    let bytes: usize = frames.iter().map(Vec::len).sum();
    println!(
        "snapshot of 1,000,000: {took:?}, {bytes} bytes, {:?} for a slice of 1000",
        took / slices
    );
    drop(state);

    let started = on_processor();
    let mut loader = Loader::new();
    for frame in &frames {
        loader.frame(frame).expect("our own frames");
    }
    let read = on_processor() - started;
    let state = loader.finish().expect("our own snapshot");
    println!(
        "loaded in {:?}, of which frames {read:?}",
        on_processor() - started
    );
    assert!(state.figures().nodes > 1_000_000);
}
