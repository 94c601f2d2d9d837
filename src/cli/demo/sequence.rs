//! Numbers that are given once, however many ask at the same time.

use super::super::Failure;
use super::Step;
use super::stage::{Actor, Kind, Stage};
use std::collections::BTreeSet;
use std::thread;

pub const STEP: Step = Step {
    name: "sequence",
    title: "A sequence: three ask at the same time, and no number is given twice",
    makes: &["ticket-#"],
    play,
    kazoo: "client.create(path, sequence=True)",
    on_site: "Pallet and batch numbers for several lines at once, with no database to look after.",
};

const COUNTERS: [&str; 3] = ["counter-1", "counter-2", "counter-3"];
const TICKETS_PER_COUNTER: usize = 10;

fn play(stage: &Stage) -> Result<(), Failure> {
    let tickets = stage.path("ticket-");
    let mut sessions = Vec::new();
    for _ in COUNTERS {
        sessions.push(stage.actor()?);
    }
    let began = stage.now();
    let drawn = draw_together(&mut sessions, &tickets)?;
    let took = stage.since(began);
    for (who, numbers) in COUNTERS.iter().zip(&drawn) {
        let listed: Vec<String> = numbers.iter().map(u32::to_string).collect();
        let asked = format!("create ticket- (numbered), {} times", numbers.len());
        stage.show(who, asked, listed.join(" "))?;
    }
    let count = drawn.iter().map(Vec::len).sum::<usize>();
    let numbers: BTreeSet<u32> = drawn.into_iter().flatten().collect();
    let different = format!("{} different numbers, in {took}", numbers.len());
    stage.show("together", format!("{count} tickets"), different)?;

    let last = numbers.last().copied().unwrap_or_default();
    let [first, ..] = &mut sessions[..] else {
        unreachable!("there are three")
    };
    first.delete(&format!("{tickets}{last:010}"))?;
    let next = draw(first, &tickets)?;
    stage.show(
        COUNTERS[0],
        format!("delete the last, {last}, and draw again"),
        match numbers.contains(&next) {
            false => format!("{next}: none is given twice"),
            true => format!("{next}: given twice"),
        },
    )?;
    sessions.into_iter().try_for_each(Actor::close)
}

/// Each in a thread of its own.
fn draw_together(sessions: &mut [Actor], tickets: &str) -> Result<Vec<Vec<u32>>, Failure> {
    thread::scope(|scope| {
        let draw_all = |session: &mut Actor| -> Result<Vec<u32>, Failure> {
            (0..TICKETS_PER_COUNTER)
                .map(|_| draw(session, tickets))
                .collect()
        };
        let threads: Vec<_> = sessions
            .iter_mut()
            .map(|session| scope.spawn(move || draw_all(session)))
            .collect();
        let drawn = threads.into_iter().map(|thread| thread.join());
        drawn
            .map(|drawn| drawn.unwrap_or_else(|_| Err(Failure::failed("a counter panicked"))))
            .collect()
    })
}

fn draw(session: &mut Actor, tickets: &str) -> Result<u32, Failure> {
    let path = session.create(tickets, "", Kind::LastingNumbered)?;
    let number = path.strip_prefix(tickets);
    let number = number.and_then(|number| number.parse().ok());
    number.ok_or_else(|| Failure::failed(format!("{path} has no number")))
}
