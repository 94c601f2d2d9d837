//! A lock, and the token without which no lock is safe: a holder that fell
//! silent for too long still believes that it has it.

use super::super::Failure;
use super::super::zk::hex;
use super::Step;
use super::line::{Place, name};
use super::stage::{Actor, Kind, Stage};
use crate::ids::Zxid;
use crate::ports::zookeeper::errors;

pub const STEP: Step = Step {
    name: "lock",
    title: "A lock: one holds the press, and a late order of an old holder does nothing",
    makes: &["press", "press/lock-#"],
    play,
    kazoo: "lock = client.Lock(path); token = client.exists(path + \"/\" + lock.node).czxid",
    on_site: "Two controllers, one press: the one that hung and woke up again cannot move it.",
};

fn play(stage: &Stage) -> Result<(), Failure> {
    let folder = stage.path("press");
    let (mut left, mut right) = (stage.actor()?, stage.actor()?);
    let mut press = Press::stand(stage, &folder)?;

    let first = stand(stage, &mut left, "left", &folder)?;
    let second = stand(stage, &mut right, "right", &folder)?;
    press.order(stage, "left", first.token)?;

    let ended = stage.now();
    left.close()?;
    let told = right.told_of(&first.path)?;
    let is_next = second.watch_before(&mut right)?.is_none();
    let took = stage.since(ended);
    let later = match is_next {
        true => format!("holds the press, {took} later"),
        false => "waits on".into(),
    };
    stage.show("left", "its session ends", "its znode goes with it")?;
    stage.show("right", format!("is told: {told}"), later)?;
    press.order(stage, "right", second.token)?;
    press.order(stage, "left", first.token)?;
    right.close()?;
    press.session.close()
}

fn stand(stage: &Stage, session: &mut Actor, who: &str, folder: &str) -> Result<Place, Failure> {
    let place = Place::take(session, folder, "lock-", who)?;
    let token = hex(place.token.0);
    let asked = format!("create {} (ephemeral, numbered)", place.name());
    stage.show(who, asked, format!("token {token}, the czxid"))?;
    match place.watch_before(session)? {
        None => stage.show(who, "nobody is before it", "holds the press")?,
        Some(before) => {
            let before = name(&before);
            stage.show(who, format!("watches {before}, right before it"), "waits")?;
        }
    }
    Ok(place)
}

/// What the lock protects: it knows nothing of locks, and remembers the highest
/// token in a znode. It writes with the version that it has read, so that no two
/// orders pass at once.
struct Press {
    session: Actor,
    path: String,
}

impl Press {
    fn stand(stage: &Stage, path: &str) -> Result<Self, Failure> {
        let mut session = stage.actor()?;
        session.create(path, &hex(0), Kind::Lasting)?;
        let keeps = "keeps the highest token that it has seen";
        stage.show("press", format!("create {path} {}", hex(0)), keeps)?;
        let path = path.into();
        Ok(Self { session, path })
    }

    fn order(&mut self, stage: &Stage, of: &str, token: Zxid) -> Result<(), Failure> {
        let (text, stat) = self.session.get(&self.path)?;
        let highest = u64::from_str_radix(text.trim_start_matches("0x"), 16).ok();
        let asked = format!("order of {of}, token {}", hex(token.0));
        let answer = match highest {
            Some(highest) if token.0 < highest => format!("refused: it has seen {text}"),
            Some(_) => match self.session.set(&self.path, &hex(token.0), stat.version) {
                Ok(stat) => format!("done, and the token kept at version {}", stat.version),
                Err(unmet) if unmet.is(errors::BAD_VERSION) => {
                    "refused: another order was quicker".into()
                }
                Err(unmet) => return Err(unmet.into()),
            },
            None => format!("refused: {} holds no token but {text}", self.path),
        };
        stage.show("press", asked, answer)
    }
}
