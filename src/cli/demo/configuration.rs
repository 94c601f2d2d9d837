//! Settings in a znode, and a watch that tells of each change.

use super::super::Failure;
use super::Step;
use super::stage::{Kind, Stage};
use crate::ports::zookeeper::errors;

pub const STEP: Step = Step {
    name: "configuration",
    title: "Configuration: a change is told, and nobody asks twice",
    makes: &["speed"],
    play,
    kazoo: "client.DataWatch(path, function); client.set(path, data, version=0)",
    on_site: "A new recipe is on every machine in a moment; two offices cannot overwrite each other.",
};

fn play(stage: &Stage) -> Result<(), Failure> {
    let speed = stage.path("speed");
    let (mut office, mut line) = (stage.actor()?, stage.actor()?);

    office.create(&speed, "40", Kind::Lasting)?;
    let made = office.stat(&speed)?;
    stage.show(
        "office",
        format!("create {speed} 40"),
        version(made.version),
    )?;
    let (before, stat) = line.get_and_watch(&speed)?;
    stage.show(
        "line",
        "get it, with a watch",
        format!("{before}, {}", version(stat.version)),
    )?;

    let sent = stage.now();
    let set = office.set(&speed, "55", stat.version)?;
    let told = line.told_of(&speed)?;
    let took = stage.since(sent);
    let asked = format!("set it to 55, if it has version {}", stat.version);
    stage.show("office", asked, version(set.version))?;
    stage.show(
        "line",
        format!("is told: {told}"),
        format!("{took} after the question"),
    )?;
    let (after, stat) = line.get_and_watch(&speed)?;
    stage.show(
        "line",
        "get it, with a watch",
        format!("{after}, {}", version(stat.version)),
    )?;

    let mut other = stage.actor()?;
    let late = other.set(&speed, "60", made.version);
    let asked = format!("set it to 60, if it has version {}", made.version);
    let answer = match late {
        Err(unmet) if unmet.is(errors::BAD_VERSION) => "refused: it has another version".into(),
        late => version(late?.version),
    };
    stage.show("office-2", asked, answer)?;
    other.close()?;
    office.close()?;
    line.close()
}

fn version(version: i32) -> String {
    format!("version {version}")
}
