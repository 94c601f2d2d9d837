//! Four letters, and what they are answered with from figures of any size.
#![no_main]

use dolmen::ids::{SessionId, Zxid};
use dolmen::ports::zookeeper::words::{self, About, ConnectionShown, Figures, Sight, Word};
use dolmen::replica::desk::{Question, Role, SessionShown, Shown, Standing, WatchShown};
use dolmen_fuzz::judge;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| judge(input, run));

fn run(input: &[u8]) {
    let Some((word, rest)) = input.split_first_chunk::<4>() else {
        return;
    };
    let Some(word) = Word::parse(*word) else {
        return;
    };
    assert_eq!(Word::named(word.text()), Some(word));
    let number = |at: usize| {
        let bytes = rest.get(at * 8..at * 8 + 8);
        bytes.map_or(0, |bytes| {
            u64::from_le_bytes(bytes.try_into().expect("eight bytes"))
        })
    };
    let roles = [
        Role::Alone,
        Role::Leader,
        Role::Follower,
        Role::Learner,
        Role::Looking,
    ];
    let path: Box<str> = String::from_utf8_lossy(rest).into();
    let session = SessionId(number(0));
    let shown = word.question().map(|question| match question {
        Question::Standing => Shown::Standing(Box::new(Standing {
            role: roles[number(0) as usize % roles.len()],
            is_read_only: number(1) % 2 == 1,
            zxid: Zxid(number(2)),
            voters: number(3) >> 1,
            learners: number(4) >> 1,
            digest: number(5),
            ..Standing::default()
        })),
        Question::Sessions => Shown::Sessions(vec![SessionShown {
            session,
            timeout_ms: number(1) as u32,
            connection: None,
            ephemerals: vec![path],
        }]),
        Question::Watches => Shown::Watches(vec![WatchShown { path, session }]),
    });
    let mut figures = Figures::default();
    figures.latency.record(number(0) >> 1);
    let sight = Sight {
        about: &About::default(),
        shown,
        figures,
        connections: vec![ConnectionShown {
            session,
            last_zxid: Zxid(number(1)),
            last_xid: Some(number(2) as i32),
            ..ConnectionShown::default()
        }],
    };
    let text = words::answer(word, &sight);
    assert!(text == "imok" || text.len() == 2 || text == "null" || text.ends_with('\n'));
}
