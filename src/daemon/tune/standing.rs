//! How this machine stands to what the profile wants of it.

use super::kernel::Kernel;
use super::{Form, TUNERS, Tuner};
use crate::profile::{Layers, Machine, Origin, Value};
use std::io;

/// The knob with the tuners that are not to be touched.
pub const LEAVE_ALONE: &str = "tune.leave_alone";

/// What tuners look at.
pub struct Ground<'a> {
    pub kernel: &'a dyn Kernel,
    pub machine: &'a Machine,
}

/// One tuner on this machine.
#[derive(Debug)]
pub struct Standing {
    pub tuner: &'static Tuner,
    /// As the kernel writes it; None where nobody names one.
    pub wanted: Option<String>,
    /// The knob's value, as a settings file has it.
    pub named: Option<Value>,
    pub origin: Origin,
    pub found: Vec<Found>,
    pub state: State,
}

/// One file of the kernel, and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub file: String,
    pub now: String,
    /// The file that is in force in place of this one, where this says 0.
    pub instead: Option<(String, String)>,
    /// All that may be written; None where the kernel does not say.
    offered: Option<Vec<String>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    InForce,
    Differs,
    NotSupported(String),
    NotNamed,
    /// Where it is said.
    LeftAlone(String),
}

impl State {
    /// For programs.
    pub fn word(&self) -> &'static str {
        match self {
            State::InForce => "in force",
            State::Differs => "differs",
            State::NotSupported(_) => "not supported",
            State::NotNamed => "not named",
            State::LeftAlone(_) => "left alone",
        }
    }

    pub fn why(&self) -> Option<&str> {
        match self {
            State::NotSupported(why) | State::LeftAlone(why) => Some(why),
            _ => None,
        }
    }
}

/// Every tuner, in the order of the table.
pub fn survey(ground: &Ground<'_>, layers: &Layers) -> Vec<Standing> {
    let stand = |tuner| Standing::of(tuner, ground, layers);
    TUNERS.iter().map(stand).collect()
}

impl Standing {
    fn of(tuner: &'static Tuner, ground: &Ground<'_>, layers: &Layers) -> Self {
        let setting = layers.setting(tuner.key);
        let wanted = setting.value.as_ref().map(|value| tuner.in_kernel(value));
        let files = (tuner.files)(ground);
        let (found, obstacle) = match files {
            Ok(files) => find_all(tuner, ground.kernel, files),
            Err(why) => (Vec::new(), Some(why)),
        };
        let alone = layers.setting(LEAVE_ALONE);
        let is_alone = alone.value.as_ref().is_some_and(|value| match value {
            Value::List(names) => names.contains(&Value::text(tuner.name)),
            one => *one == Value::text(tuner.name),
        });
        let state = match (&wanted, obstacle) {
            (None, _) => State::NotNamed,
            _ if is_alone => State::LeftAlone(format!("{LEAVE_ALONE}, {}", alone.origin)),
            (_, Some(why)) => State::NotSupported(why),
            (Some(wanted), None) => judge(tuner, wanted, &found),
        };
        Self {
            tuner,
            wanted,
            named: setting.value.clone(),
            origin: setting.origin.clone(),
            found,
            state,
        }
    }

    /// Whether what a file says is what is wanted.
    pub fn fits(&self, found: &Found) -> bool {
        let wanted = self.wanted.as_deref();
        wanted.is_some_and(|wanted| self.tuner.fits(wanted, &found.now))
    }

    /// Named, and possible here.
    pub fn counts(&self) -> bool {
        matches!(self.state, State::InForce | State::Differs)
    }
}

/// What is there, and what keeps it from being set. An array is as slow as its
/// slowest disk, so one file that cannot be set is enough of an obstacle.
fn find_all(
    tuner: &Tuner,
    kernel: &dyn Kernel,
    files: Vec<String>,
) -> (Vec<Found>, Option<String>) {
    let (mut found, mut obstacle) = (Vec::new(), None);
    for file in files {
        match Found::read(&tuner.form, kernel, &file) {
            Ok(one) => found.push(one),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                obstacle.get_or_insert(format!("{file} is not there"));
            }
            Err(error) => {
                obstacle.get_or_insert(format!("{file}: {error}"));
            }
        }
        if kernel.is_read_only(&file) {
            obstacle.get_or_insert(format!("{file} is mounted read-only"));
        }
    }
    (found, obstacle)
}

fn judge(tuner: &Tuner, wanted: &str, found: &[Found]) -> State {
    let lacks_it = |one: &&Found| {
        let offered = one.offered.as_ref();
        offered.is_some_and(|offered| offered.iter().all(|word| word != wanted))
    };
    if found.iter().all(|one| tuner.fits(wanted, &one.now)) {
        return State::InForce;
    }
    match found.iter().find(lacks_it) {
        Some(one) => {
            let offered = one.offered.iter().flatten();
            let offered: Vec<&str> = offered.map(String::as_str).collect();
            let offered = offered.join(", ");
            State::NotSupported(format!("{} takes {offered} only", one.file))
        }
        None => State::Differs,
    }
}

impl Tuner {
    /// A knob's value as the kernel writes it.
    fn in_kernel(&self, value: &Value) -> String {
        match value {
            Value::Number(number) => (number * self.scale).to_string(),
            Value::Text(text) => text.to_string(),
            other => unreachable!("{} was checked, and is {other}", self.key),
        }
    }

    pub(super) fn fits(&self, wanted: &str, now: &str) -> bool {
        let number = |text: &str| text.parse::<u64>().ok();
        match (number(wanted), number(now)) {
            (Some(wanted), Some(now)) if self.is_least => now >= wanted,
            _ => wanted == now,
        }
    }

    pub(super) fn read(&self, kernel: &dyn Kernel, file: &str) -> io::Result<Found> {
        Found::read(&self.form, kernel, file)
    }

    /// For a reader: "2097152 or more".
    pub fn wish(&self, wanted: &str) -> String {
        match self.is_least {
            true => format!("{wanted} or more"),
            false => wanted.into(),
        }
    }
}

impl Found {
    fn read(form: &Form, kernel: &dyn Kernel, file: &str) -> io::Result<Self> {
        let text = kernel.read(file)?;
        let mut found = Self {
            file: file.into(),
            now: text,
            instead: None,
            offered: None,
        };
        match form {
            Form::Plain => {}
            Form::Bracketed => {
                let words = found.now.split_whitespace();
                let bare = |word: &str| word.trim_matches(['[', ']']).to_owned();
                found.offered = Some(words.map(bare).collect());
                found.now = in_brackets(&found.now);
            }
            Form::OfferedIn(name) => {
                let words = kernel.read(&beside(file, name));
                let apart = |words: String| words.split_whitespace().map(str::to_owned).collect();
                found.offered = words.ok().map(apart);
            }
            Form::Either(name) => {
                let other = beside(file, name);
                let value = kernel.read(&other)?;
                found.instead = (found.now == "0").then_some((other, value));
            }
        }
        Ok(found)
    }

    /// For a reader: "0 (dirty_background_ratio 10)".
    pub fn told(&self) -> String {
        match &self.instead {
            Some((file, value)) => {
                let name = file.rsplit('/').next().unwrap_or(file);
                format!("{} ({name} {value})", self.now)
            }
            None => self.now.clone(),
        }
    }
}

/// A queue without schedulers says a lone "none".
fn in_brackets(text: &str) -> String {
    let inside = text
        .split_once('[')
        .and_then(|(_, rest)| rest.split_once(']'));
    inside.map_or(text, |(inside, _)| inside).to_owned()
}

fn beside(file: &str, name: &str) -> String {
    let (folder, _) = file.rsplit_once('/').unwrap_or_default();
    format!("{folder}/{name}")
}
