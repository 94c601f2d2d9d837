//! The root that a demo plays on: made and marked by the first, had by one at a
//! time, and cleared of what demos have made and of nothing else.
//!
//! To have it is to be first in line below it, by the session of a thread that
//! does nothing else. Every write asks in the same breath whether that place is
//! still there, so that a demo which was stopped for so long that its session
//! ended does nothing to the next one.

use super::super::super::Failure;
use super::super::line::Place;
use super::super::ours::is_ours;
use super::{Actor, Cast, Kind, Screen, Unmet};
use crate::clock::{Clock, MachineClock};
use crate::ports::zookeeper::errors;
use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// What the root holds.
const MARK: &str = "made by dolmen demo, which removes it";
/// The name of a place in line for the root, before its number.
pub const CLAIM: &str = "running-";
/// The least that servers give, so that the next need not wait long for one
/// that was killed.
const CLAIM_TIMEOUT: Duration = Duration::from_secs(4);
/// With it a turn comes up behind a demo that has just begun on a terminal, and
/// behind one that was killed along with the leader.
const BEYOND_TIMEOUT: Duration = Duration::from_secs(8);
/// Rounds in which others that end take the root away under a beginner.
const ROUNDS_MAX: usize = 10;
/// Of one multi, far below the size of a frame.
const PATHS_PER_MULTI: usize = 200;

pub struct Ground {
    root: Arc<str>,
    claim: Box<str>,
    keeper: JoinHandle<()>,
}

/// What is there when a demo has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    Nothing,
    /// The root, for what others have put there, or for their demo.
    OthersOnly,
    /// What was made, as was wished.
    Kept,
    /// What another demo has there by now.
    Lost,
}

impl Ground {
    /// Makes the root where it is not there, waits for the demo before this
    /// one, and clears up behind it.
    pub fn take(cast: &mut Cast, screen: &Screen) -> Result<Self, Failure> {
        let mut session = cast.actor(CLAIM_TIMEOUT)?;
        let place = claim(&mut session, cast)?;
        let session = wait_in_line(session, &place, cast, screen)?;
        cast.claim = Some((*place.path).into());
        let ground = Self {
            root: cast.root.clone(),
            keeper: keep(session, &place).map_err(Failure::failed)?,
            claim: place.path,
        };
        ground.clear_to_begin(cast)?;
        Ok(ground)
    }

    /// Removes what was made, unless it is to be kept, and lets the next demo in.
    pub fn leave(self, cast: &Cast, is_kept: bool) -> Result<Left, Failure> {
        let mut session = cast.actor(CLAIM_TIMEOUT)?;
        let left = match is_kept {
            true => session.delete(&self.claim).map(|()| Left::Kept),
            false => self.clear_and_release(&mut session),
        };
        let left = match left {
            Err(Unmet::Lost { .. }) => Left::Lost,
            left => left?,
        };
        session.close()?;
        // It has heard that its place is gone.
        let _ = self.keeper.join();
        Ok(left)
    }

    /// The root goes with the claim, where nothing else is below it.
    fn clear_and_release(&self, session: &mut Actor) -> Result<Left, Unmet> {
        self.clear(session)?;
        let with_root = [self.claim.clone(), (*self.root).into()];
        match session.delete_all(&with_root) {
            Ok(()) => Ok(Left::Nothing),
            Err(unmet) if unmet.is(errors::NOT_EMPTY) => {
                session.delete(&self.claim)?;
                Ok(Left::OthersOnly)
            }
            Err(unmet) => Err(unmet),
        }
    }

    /// What an earlier demo has left goes; what somebody put into its folders
    /// would stand in the way.
    fn clear_to_begin(&self, cast: &Cast) -> Result<(), Failure> {
        let mut session = cast.actor(CLAIM_TIMEOUT)?;
        self.clear(&mut session)?;
        let left = self.made(&mut session)?;
        if let Some(path) = left.last() {
            session.delete(&self.claim)?;
            return Err(Failure::failed(format!(
                "{path} holds znodes that no demo has made, and they stay: look at them \
                 (dolmen zk ls -R {path}{}), or name another place with --root",
                cast.server.as_typed()
            )));
        }
        session.close()
    }

    /// Removes what demos have made, deepest first. What others have put below
    /// it stays, with the way to it.
    fn clear(&self, session: &mut Actor) -> Result<(), Unmet> {
        let mut paths = self.made(session)?;
        paths.reverse();
        // One that has gone meanwhile, or holds what is not ours.
        let passes = |unmet: &Unmet| unmet.is(errors::NO_NODE) || unmet.is(errors::NOT_EMPTY);
        for batch in paths.chunks(PATHS_PER_MULTI) {
            match session.delete_all(batch) {
                Err(unmet) if passes(&unmet) => {}
                done => {
                    done?;
                    continue;
                }
            }
            for path in batch {
                match session.delete(path) {
                    Err(unmet) if passes(&unmet) => {}
                    done => done?,
                }
            }
        }
        Ok(())
    }

    /// What demos have made below the root, parents first, but for places in
    /// line for it.
    fn made(&self, session: &mut Actor) -> Result<Vec<Box<str>>, Unmet> {
        let claims = format!("{}/{CLAIM}", self.root);
        let mut made = Vec::new();
        let mut waiting: Vec<Box<str>> = vec![(*self.root).into()];
        while let Some(folder) = waiting.pop() {
            let names = match session.children(&folder) {
                // One that was ephemeral, and has gone with its session.
                Err(unmet) if unmet.is(errors::NO_NODE) && *folder != *self.root => continue,
                names => names?,
            };
            let paths = names.iter().map(|name| format!("{folder}/{name}"));
            let ours = paths.filter(|path| is_ours(&self.root, path));
            let not_claims = ours.filter(|path| !path.starts_with(&claims));
            waiting.extend(not_claims.map(Box::from));
            if *folder != *self.root {
                made.push(folder);
            }
        }
        Ok(made)
    }
}

/// Keeps the claim's session alive until its place is removed.
fn keep(mut session: Actor, place: &Place) -> io::Result<JoinHandle<()>> {
    let path = place.path.clone();
    Builder::new().name("claim".into()).spawn(move || {
        let is_there = session.exists_and_watch(&path);
        if is_there.is_ok_and(|is_there| !is_there) || session.until_told().is_ok() {
            // Where it cannot be ended, it ends after its timeout.
            let _ = session.close();
        }
    })
}

/// A place in line for the root, which is made where it is not there.
fn claim(session: &mut Actor, cast: &Cast) -> Result<Place, Failure> {
    let mut round = 1;
    loop {
        make_root(session, cast)?;
        match Place::take(session, &cast.root, CLAIM, "") {
            // A demo that has ended took the root along.
            Err(unmet) if unmet.is(errors::NO_NODE) && round < ROUNDS_MAX => round += 1,
            place => return Ok(place?),
        }
    }
}

/// The root of an earlier demo is as good; somebody else's is left alone.
fn make_root(session: &mut Actor, cast: &Cast) -> Result<(), Failure> {
    let root = &*cast.root;
    match session.create(root, MARK, Kind::Lasting) {
        Ok(_) => return Ok(()),
        Err(unmet) if unmet.is(errors::NODE_EXISTS) => {}
        Err(unmet) if unmet.is(errors::NO_NODE) => {
            let parent = root.rsplit_once('/').map_or("/", |(parent, _)| parent);
            return Err(Failure::failed(format!(
                "{parent} is not there to hold {root}: dolmen zk create {parent}{}, or name another \
                 place with --root",
                cast.server.as_typed()
            )));
        }
        Err(unmet) => return Err(unmet.into()),
    }
    match session.get(root) {
        Ok((data, _)) if data == MARK => Ok(()),
        Err(unmet) if unmet.is(errors::NO_NODE) => Ok(()),
        Ok(_) => Err(Failure::failed(format!(
            "{root} is there and was not made by dolmen demo: name another place, which it makes \
             and removes, with --root /NAME"
        ))),
        Err(unmet) => Err(unmet.into()),
    }
}

/// One that was killed is gone when its session is; one that runs has the root.
fn wait_in_line(
    mut session: Actor,
    place: &Place,
    cast: &Cast,
    screen: &Screen,
) -> Result<Actor, Failure> {
    let clock = MachineClock::new();
    let (root, patience) = (&cast.root, session.timeout() + BEYOND_TIMEOUT);
    let mut is_told = false;
    while let Some(before) = place.watch_before(&mut session)? {
        if !is_told {
            is_told = true;
            let seconds = patience.as_secs();
            screen.say(format!(
                "Another demo has {root}, or had it and was killed: waiting for up to {seconds} s."
            ))?;
        }
        let left = patience.saturating_sub(clock.monotonic());
        if session.told_in_time(&before, left)?.is_none() {
            session.close()?;
            return Err(Failure::failed(format!(
                "another dolmen demo runs below {root}: wait until it has ended, or give this one a \
                 place of its own: dolmen demo --root {root}2{}",
                cast.server.as_typed()
            )));
        }
    }
    Ok(session)
}
