//! Who is there: an ephemeral znode lives as long as its session, however that
//! ends.

use super::super::Failure;
use super::super::zk::hex;
use super::Step;
use super::stage::{Actor, Kind, Stage, Told};
use std::time::Duration;

pub const STEP: Step = Step {
    name: "members",
    title: "Members: who is there, also when one has no time to say goodbye",
    makes: &["machines", "machines/press", "machines/oven"],
    play,
    kazoo: "client.create(path, ephemeral=True); client.ChildrenWatch(path, function)",
    on_site: "A machine whose cable is pulled is off the list in seconds, with nobody near it.",
};

/// The least that a server gives at first.
const SHORT: Duration = Duration::from_secs(4);
/// Where a server gives no shorter sessions than this, there is no time to watch.
const WATCHED_MAX: Duration = Duration::from_secs(10);
/// An end that was said is told in a moment.
const PROMPT: Duration = Duration::from_secs(15);
/// Beyond its timeout, until a session is gone.
const EXPIRY_DELAY: Duration = Duration::from_secs(10);

fn play(stage: &Stage) -> Result<(), Failure> {
    let machines = stage.path("machines");
    let mut office = Office {
        actor: stage.actor()?,
        machines: machines.clone(),
    };
    office.actor.create(&machines, "", Kind::Lasting)?;
    let there = office.list()?;
    stage.show("office", format!("list {machines}, with a watch"), there)?;

    let press = come(stage, &mut office, "press")?;
    let oven = come(stage, &mut office, "oven")?;

    let ended = stage.now();
    press.close()?;
    let heard = office.hear(PROMPT)?;
    let took = stage.since(ended);
    stage.show("press", "ends its session", "")?;
    office.show(stage, &heard, &format!(", {took} later"))?;

    fall_silent(stage, &mut office, oven)?;
    office.actor.close()
}

fn fall_silent(stage: &Stage, office: &mut Office, oven: Actor) -> Result<(), Failure> {
    let lasts = oven.timeout();
    let seconds = lasts.as_secs_f64();
    if lasts > WATCHED_MAX {
        oven.close()?;
        let instead = format!("cut off, it would be listed for {seconds} s more");
        return stage.show("oven", "ends its session too", instead);
    }
    let cut = stage.now();
    oven.cut_off();
    let rule = format!("{seconds} s after its last word it is gone");
    stage.show("oven", "is cut off without a goodbye", rule)?;
    let heard = office.hear(lasts + EXPIRY_DELAY)?;
    let took = stage.since(cut);
    office.show(stage, &heard, &format!(", {took} later"))
}

fn come(stage: &Stage, office: &mut Office, who: &str) -> Result<Actor, Failure> {
    let mut machine = stage.actor_for(SHORT)?;
    let path = format!("{}/{who}", office.machines);
    machine.create(&path, "ready", Kind::Ephemeral)?;
    let heard = office.hear(PROMPT)?;
    let session = format!("session {}", hex(machine.id()));
    stage.show(who, format!("create {who} (ephemeral)"), session)?;
    office.show(stage, &heard, "")?;
    Ok(machine)
}

/// Keeps the list of who is there.
struct Office {
    actor: Actor,
    machines: String,
}

impl Office {
    /// Watched again: a watch fires once.
    fn list(&mut self) -> Result<String, Failure> {
        let there = self.actor.children_and_watch(&self.machines)?;
        Ok(match &there[..] {
            [] => "nobody is there".into(),
            there => there.join(", "),
        })
    }

    /// What the watch tells, and who is there then.
    fn hear(&mut self, at_most: Duration) -> Result<(Told, String), Failure> {
        let told = self.actor.told_of_within(&self.machines, at_most)?;
        Ok((told, self.list()?))
    }

    fn show(&self, stage: &Stage, heard: &(Told, String), later: &str) -> Result<(), Failure> {
        let (told, there) = heard;
        let asked = format!("is told: {told}; list again");
        stage.show("office", asked, format!("{there}{later}"))
    }
}
