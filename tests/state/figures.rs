//! What the state costs, to be asked for by hand:
//! `cargo test --release --test main state::figures -- --ignored --nocapture`.

use super::create;
use super::placing::Site;
use dolmen::clock::Millis;
use dolmen::ids::{NodeId, Uid};
use dolmen::state::placement;
use dolmen::state::{Loader, State, Submission};
use std::time::{Duration, Instant};

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

#[test]
#[ignore = "prints figures, to be read by a person on a quiet machine"]
fn figures_of_topics() {
    for topics in [1, 10] {
        let mut site = Site::of(3);
        let before = anonymous_kib();
        let started = Instant::now();
        for n in 0..topics {
            site.create(&format!("topic-{n}"), 1000, 3).unwrap();
        }
        let made = started.elapsed();
        let kib = anonymous_kib() - before;
        println!("{topics} x 1000 partitions of 3 replicas: {made:?}, {kib} KiB");

        let mut timed = |what: &str, step: &mut dyn FnMut(&mut Site)| {
            let started = Instant::now();
            step(&mut site);
            println!("    {what}: {:?}", started.elapsed());
        };
        timed("a broker is lost", &mut |site| site.stop(1));
        timed("it comes back", &mut |site| site.start(1));
        timed("its replicas are in sync again", &mut |site| {
            site.all_in_sync()
        });
        timed("all are led by whom they prefer", &mut |site| {
            site.elect_preferred()
        });
        timed("a member leaves for good", &mut |site| {
            site.stop(2);
            site.remove(2);
        });
        timed("another comes, and takes its place", &mut |site| {
            let joined = site.join();
            site.start(joined);
        });
        timed("a balance is proposed", &mut |site| {
            drop(placement::balance(site.state.topics()))
        });
        timed("a drain is proposed", &mut |site| {
            drop(placement::drain(site.state.topics(), NodeId(1)))
        });
        timed("the index is read anew", &mut |site| {
            drop(site.state.topics_anew())
        });
        timed("a topic is deleted", &mut |site| site.delete("topic-0"));
        timed("one of one partition is made", &mut |site| {
            site.create("small", 1, 3).unwrap();
        });
        timed("1000 partitions are given other replicas", &mut |site| {
            site.create("large", 900, 1).unwrap();
            let proposals = placement::widen(site.state.topics(), "large", 3);
            site.carry_out(proposals);
        });
    }
}
