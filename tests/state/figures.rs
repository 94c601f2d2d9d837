//! What the state costs, to be asked for by hand:
//! `cargo test --release --test main state::figures -- --ignored --nocapture`.

use dolmen::clock::Millis;
use dolmen::ids::{SessionId, Uid};
use dolmen::state::{
    AclEntry, Command, Create, Identity, Loader, NodeKind, Permissions, State, Submission, Write,
};
use std::time::{Duration, Instant};

fn create(path: String, data: &[u8]) -> Submission {
    Submission {
        origin: Default::default(),
        tag: 0,
        session: SessionId(0),
        connection: 0,
        sequence: 0,
        who: Vec::new(),
        command: Command::Write(Write::Create(Create {
            path: path.into(),
            data: data.into(),
            acl: vec![AclEntry {
                permissions: Permissions::ALL,
                who: Identity::new("world", "anyone"),
            }],
            kind: NodeKind::Persistent,
            is_sequential: false,
        })),
    }
}

/// Nodes of 100 bytes, a thousand in each folder.
fn fill(state: &mut State, nodes: usize) -> Duration {
    let mut took = Duration::ZERO;
    let mut changes = Vec::new();
    for n in 0..nodes {
        let folder = format!("/folder-{:04}", n / 1000);
        let path = match n % 1000 {
            0 => folder,
            _ => format!("{folder}/node-{n:010}"),
        };
        let submission = create(path, &[b'x'; 100]);
        let started = Instant::now();
        let applied = state.apply(Millis(1), &submission, &mut changes);
        took += started.elapsed();
        changes.clear();
        assert!(applied.outcome.is_ok());
    }
    took
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
    let (mut frames, mut longest) = (Vec::new(), Duration::ZERO);
    let started = Instant::now();
    state.begin_walk();
    loop {
        let slice = Instant::now();
        let Some(frame) = state.walk_slice(1000) else {
            break;
        };
        longest = longest.max(slice.elapsed());
        frames.push(frame);
    }
    let took = started.elapsed();
    let bytes: usize = frames.iter().map(Vec::len).sum();
    println!("snapshot of 1,000,000: {took:?}, {bytes} bytes, longest slice of 1000 {longest:?}");
    drop(state);

    let started = Instant::now();
    let mut loader = Loader::new();
    for frame in &frames {
        loader.frame(frame).expect("our own frames");
    }
    let read = started.elapsed();
    let state = loader.finish().expect("our own snapshot");
    println!(
        "loaded in {:?}, of which frames {read:?}",
        started.elapsed()
    );
    assert!(state.figures().nodes > 1_000_000);
}
