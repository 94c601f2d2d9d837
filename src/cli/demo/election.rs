//! One leads and the others stand by; each watches the one before it, so that
//! whoever goes wakes one and not all.

use super::super::Failure;
use super::Step;
use super::line::{Place, name};
use super::stage::{Actor, Kind, Stage};

pub const STEP: Step = Step {
    name: "election",
    title: "A leader: when it goes, the next in line takes over, and nobody else is woken",
    makes: &["masters", "masters/n-#"],
    play,
    kazoo: "client.Election(path, name).run(lead)",
    on_site: "One of three gateways speaks to the plant, and any of them may be switched off.",
};

struct Candidate {
    name: &'static str,
    session: Actor,
    place: Place,
}

impl Candidate {
    /// The name of whom it watches; None where it leads.
    fn watch(&mut self) -> Result<Option<String>, Failure> {
        match self.place.watch_before(&mut self.session)? {
            Some(before) => Ok(Some(self.session.get(&before)?.0)),
            None => Ok(None),
        }
    }
}

fn play(stage: &Stage) -> Result<(), Failure> {
    let folder = stage.path("masters");
    let mut observer = stage.actor()?;
    observer.create(&folder, "", Kind::Lasting)?;
    let first = stand(stage, "first", &folder)?;
    let mut second = stand(stage, "second", &folder)?;
    let mut third = stand(stage, "third", &folder)?;

    let ended = stage.now();
    first.session.close()?;
    let told = second.session.told_of(&first.place.path)?;
    let second_stands = second.watch()?;
    let took = stage.since(ended);
    let later = format!("{}, {took} later", stands(second_stands));
    stage.show(first.name, "its session ends", "its znode goes with it")?;
    stage.show(second.name, format!("is told: {told}"), later)?;

    // The server sends events before the answers to what is asked behind them.
    let in_line = in_line(&mut third.session, &folder)?;
    let told_of = match third.session.events_waiting() {
        0 => "was told of nothing".into(),
        events => format!("was told of {events} events"),
    };
    stage.show(third.name, told_of, format!("in line: {in_line}"))?;
    third.session.close()?;
    second.session.close()?;
    observer.close()
}

fn stand(stage: &Stage, name: &'static str, folder: &str) -> Result<Candidate, Failure> {
    let mut session = stage.actor()?;
    let place = Place::take(&mut session, folder, "n-", name)?;
    let asked = format!("create {} (ephemeral, numbered)", place.name());
    let mut candidate = Candidate {
        name,
        session,
        place,
    };
    let before = candidate.watch()?;
    stage.show(name, asked, stands(before))?;
    Ok(candidate)
}

fn stands(before: Option<String>) -> String {
    match before {
        None => "nobody is before it: leads".into(),
        Some(before) => format!("watches {before}, and stands by"),
    }
}

fn in_line(session: &mut Actor, folder: &str) -> Result<String, Failure> {
    let mut candidates = Vec::new();
    for place in session.children(folder)? {
        candidates.push(session.get(&format!("{folder}/{}", name(&place)))?.0);
    }
    Ok(candidates.join(", "))
}
