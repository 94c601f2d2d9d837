//! What a step plays on: its folder, sessions for those who act, and the
//! screen.

mod actor;
mod ground;
mod screen;
mod stop;
mod unmet;

pub use actor::{Actor, Kind, Told};
pub use ground::{CLAIM, Ground, Left};
pub use screen::{Screen, Took};
pub use stop::{Reason, Stop};
pub use unmet::Unmet;

use super::super::Failure;
use super::super::client::Server;
use crate::clock::{Clock, MachineClock};
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

/// Longer than any step takes, and than a busy machine lets anybody wait.
const SESSION_TIMEOUT: Duration = Duration::from_secs(15);

/// Opens the sessions of those who act.
pub struct Cast {
    pub server: Server,
    pub root: Arc<str>,
    /// The znode by which the demo has its root, once it does.
    pub claim: Option<Arc<str>>,
    pub stop: Stop,
}

impl Cast {
    pub fn actor(&self, timeout: Duration) -> Result<Actor, Failure> {
        let client = self.server.connect_for(timeout)?;
        Actor::new(client, self)
    }

    pub fn lost(&self) -> Unmet {
        Unmet::Lost {
            root: self.root.to_string(),
        }
    }

    /// Another that a stop of this one does not end, to clear up behind it.
    pub fn behind_the_scenes(&self) -> Self {
        Self {
            server: self.server.clone(),
            root: self.root.clone(),
            claim: self.claim.clone(),
            stop: Stop::default(),
        }
    }
}

pub struct Stage<'a> {
    cast: &'a Cast,
    screen: &'a Screen,
    folder: String,
    clock: MachineClock,
}

impl<'a> Stage<'a> {
    /// With an empty folder for the step.
    pub fn set(cast: &'a Cast, screen: &'a Screen, step: &str) -> Result<Self, Failure> {
        let stage = Self {
            cast,
            screen,
            folder: format!("{}/{step}", cast.root),
            clock: MachineClock::new(),
        };
        let mut builder = stage.actor()?;
        builder.create(&stage.folder, "", Kind::Lasting)?;
        builder.close()?;
        Ok(stage)
    }

    pub fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.folder)
    }

    pub fn actor(&self) -> Result<Actor, Failure> {
        self.actor_for(SESSION_TIMEOUT)
    }

    pub fn actor_for(&self, timeout: Duration) -> Result<Actor, Failure> {
        self.cast.actor(timeout)
    }

    pub fn show(
        &self,
        who: &str,
        asked: impl Display,
        answer: impl Display,
    ) -> Result<(), Failure> {
        self.screen.show(who, asked, answer)
    }

    /// Since the step began.
    pub fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    pub fn since(&self, moment: Duration) -> Took {
        Took(self.now() - moment)
    }
}
