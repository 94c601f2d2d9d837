//! Sets what is wanted, and puts back what stood there before.

use super::kept::{Kept, NotKept, Saved};
use super::kernel::Kernel;
use super::standing::{Standing, State};
use super::{TUNERS, Tuner};
use std::io::{self, ErrorKind};

/// What became of one file of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub tuner: String,
    pub file: String,
    pub was: String,
    /// What it says now; empty where it is not there.
    pub now: String,
    pub put: Put,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Put {
    Set,
    Back,
    /// Nobody had changed it.
    AsItWas,
    /// Another has changed it since.
    NotOurs,
    Gone,
    Refused(String),
}

impl Put {
    /// For programs.
    pub fn word(&self) -> &'static str {
        match self {
            Put::Set => "set",
            Put::Back => "put back",
            Put::AsItWas => "as it was",
            Put::NotOurs => "changed by another",
            Put::Gone => "gone",
            Put::Refused(_) => "refused",
        }
    }

    pub fn why(&self) -> Option<&str> {
        match self {
            Put::Refused(why) => Some(why),
            _ => None,
        }
    }
}

/// A file that does not say what is wanted.
struct Change {
    tuner: &'static Tuner,
    file: String,
    was: String,
    wanted: String,
}

/// Sets whatever differs, each though another was refused. `standings` were
/// taken while `kept` was held.
pub fn apply(
    kernel: &dyn Kernel,
    standings: &[Standing],
    kept: &mut Kept,
) -> Result<Vec<Step>, NotKept> {
    let changes = changes(standings, kept);
    if changes.is_empty() {
        return Ok(Vec::new());
    }
    kept.write()?;
    let mut steps = Vec::new();
    for change in changes {
        let step = change.make(kernel);
        if let Ok(found) = change.tuner.read(kernel, &change.file) {
            kept.settle(&change.file, &found.now);
        }
        steps.push(step);
    }
    kept.write()?;
    Ok(steps)
}

fn changes(standings: &[Standing], kept: &mut Kept) -> Vec<Change> {
    let differing = standings
        .iter()
        .filter(|standing| standing.state == State::Differs);
    let mut changes = Vec::new();
    for standing in differing {
        let wanted = standing.wanted.clone().unwrap_or_default();
        for found in &standing.found {
            if !standing.fits(found) {
                kept.remember(standing.tuner.name, found, &wanted);
                changes.push(Change {
                    tuner: standing.tuner,
                    file: found.file.clone(),
                    was: found.told(),
                    wanted: wanted.clone(),
                });
            }
        }
    }
    changes
}

impl Change {
    fn make(&self, kernel: &dyn Kernel) -> Step {
        let before = self.tuner.read(kernel, &self.file);
        let put = match kernel.write(&self.file, &self.wanted) {
            Err(error) => Put::Refused(error.to_string()),
            Ok(()) => match self.tuner.read(kernel, &self.file) {
                Ok(found) if found.now == self.wanted => Put::Set,
                Ok(found) => {
                    // Neither what was wanted nor what anybody chose.
                    let back = before.and_then(|before| {
                        put_back(kernel, &self.file, &before.now, before.instead.as_ref())
                    });
                    let made = format!("the kernel made {} of {}", found.now, self.wanted);
                    Put::Refused(match back {
                        Ok(()) => made,
                        Err(error) => format!("{made}, and takes nothing else ({error})"),
                    })
                }
                Err(error) => Put::Refused(error.to_string()),
            },
        };
        Step {
            tuner: self.tuner.name.into(),
            file: self.file.clone(),
            was: self.was.clone(),
            now: told(kernel, self.tuner, &self.file),
            put,
        }
    }
}

/// Puts back what stood there before, wherever what stands there now is ours.
/// What is refused is kept for another try.
pub fn off(kernel: &dyn Kernel, kept: &mut Kept) -> Result<Vec<Step>, NotKept> {
    let mut steps = Vec::new();
    for saved in std::mem::take(&mut kept.settings) {
        let step = saved.undo(kernel);
        if matches!(step.put, Put::Refused(_)) {
            kept.settings.push(saved);
        }
        steps.push(step);
    }
    kept.write()?;
    Ok(steps)
}

impl Saved {
    fn undo(&self, kernel: &dyn Kernel) -> Step {
        let step = |was: String, now: String, put: Put| Step {
            tuner: self.tuner.clone(),
            file: self.file.clone(),
            was,
            now,
            put,
        };
        let Some(tuner) = TUNERS.iter().find(|tuner| tuner.name == self.tuner) else {
            let why = "this build knows no such tuner".into();
            return step(String::new(), String::new(), Put::Refused(why));
        };
        let was = told(kernel, tuner, &self.file);
        let put = self.put_back(kernel, tuner);
        step(was, told(kernel, tuner, &self.file), put)
    }

    fn put_back(&self, kernel: &dyn Kernel, tuner: &Tuner) -> Put {
        let now = match tuner.read(kernel, &self.file) {
            Ok(found) => found.now,
            Err(error) if error.kind() == ErrorKind::NotFound => return Put::Gone,
            Err(error) => return Put::Refused(error.to_string()),
        };
        if now == self.before {
            return Put::AsItWas;
        }
        if !self.ours.contains(&now) {
            return Put::NotOurs;
        }
        let back = put_back(kernel, &self.file, &self.before, self.instead.as_ref());
        match back.and_then(|()| tuner.read(kernel, &self.file)) {
            Ok(found) if found.now == self.before => Put::Back,
            Ok(found) => Put::Refused(format!("the kernel made {} of it", found.now)),
            Err(error) => Put::Refused(error.to_string()),
        }
    }
}

/// A file that was not in force says 0, which it does not take: that which was
/// in its place is written.
fn put_back(
    kernel: &dyn Kernel,
    file: &str,
    before: &str,
    instead: Option<&(String, String)>,
) -> io::Result<()> {
    match instead {
        Some((file, value)) => kernel.write(file, value),
        None => kernel.write(file, before),
    }
}

fn told(kernel: &dyn Kernel, tuner: &Tuner, file: &str) -> String {
    let found = tuner.read(kernel, file);
    found.map(|found| found.told()).unwrap_or_default()
}
