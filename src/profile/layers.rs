//! One value over another, and where each came from.
//!
//! Built-in < hardware profile < probe < file < environment < command line.

use super::document::{Document, Entry, Value};
use super::fault::{Fault, Place};
use super::knobs::{Kind, Knob, Tables, expect};
use std::fmt;

/// Lowest first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    BuiltIn,
    /// By its name; of a chain, the one that says it.
    Profile(String),
    Probe,
    File,
    Environment,
    CommandLine,
}

impl Layer {
    pub fn name(&self) -> &'static str {
        match self {
            Layer::BuiltIn => "built-in",
            Layer::Profile(_) => "profile",
            Layer::Probe => "probe",
            Layer::File => "file",
            Layer::Environment => "environment",
            Layer::CommandLine => "command line",
        }
    }
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub layer: Layer,
    /// The file, the variable or the option; empty for what is built in.
    pub source: String,
    pub place: Option<Place>,
}

impl Origin {
    pub fn fault(&self, message: String) -> Fault {
        Fault {
            source: self.source.clone(),
            place: self.place,
            message,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.layer.name())?;
        match (&self.layer, self.place) {
            (Layer::BuiltIn, _) => Ok(()),
            (Layer::Profile(name), Some(place)) => {
                write!(f, " {name} ({}:{place})", self.source)
            }
            (_, Some(place)) => write!(f, " {}:{place}", self.source),
            (_, None) => write!(f, " {}", self.source),
        }
    }
}

/// A value that one layer gives, checked.
#[derive(Clone, Debug)]
pub struct Given {
    pub knob: &'static Knob,
    pub value: Value,
    pub origin: Origin,
}

impl Given {
    /// What a checked document says of the knobs of a table.
    pub fn of(table: Tables<'_>, layer: &Layer, document: &Document) -> Vec<Given> {
        let given = |entry: &Entry| {
            let origin = Origin {
                layer: layer.clone(),
                source: document.source.clone(),
                place: Some(entry.value_at),
            };
            Some(Given {
                knob: expect(table, &entry.key).ok()?,
                value: entry.value.clone(),
                origin,
            })
        };
        document.entries.iter().filter_map(given).collect()
    }
}

/// A knob as it stands.
#[derive(Clone, Debug)]
pub struct Setting {
    pub knob: &'static Knob,
    /// None where nobody gave one and the knob has no default.
    pub value: Option<Value>,
    pub origin: Origin,
}

impl Setting {
    /// The value as it may be told: of a secret, that there is one.
    pub fn shown(&self) -> Option<Value> {
        match (&self.value, &self.knob.kind) {
            (Some(_), Kind::Secret) => Some(Value::text("(set)")),
            (value, _) => value.clone(),
        }
    }
}

/// Every knob of some tables, each with the value of the highest layer that
/// gave one.
#[derive(Clone, Debug)]
pub struct Layers {
    settings: Vec<Setting>,
}

impl Layers {
    pub fn built_in(tables: Tables<'_>) -> Self {
        let knobs = tables.iter().flat_map(|table| table.iter());
        let settings = knobs.map(|knob| Setting {
            knob,
            value: knob.default.clone(),
            origin: Origin {
                layer: Layer::BuiltIn,
                source: String::new(),
                place: None,
            },
        });
        Self {
            settings: settings.collect(),
        }
    }

    /// Puts checked values over what is there. Layers are laid lowest first.
    pub fn lay(&mut self, given: &[Given]) {
        for Given {
            knob,
            value,
            origin,
        } in given
        {
            let setting = self
                .settings
                .iter_mut()
                .find(|setting| setting.knob.key == knob.key)
                .expect("a layer holds knobs of the tables the layers began with");
            setting.value = Some(value.clone());
            setting.origin = origin.clone();
        }
    }

    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }

    pub fn setting(&self, key: &str) -> &Setting {
        self.settings
            .iter()
            .find(|setting| setting.knob.key == key)
            .unwrap_or_else(|| panic!("{key} is in no table"))
    }

    pub fn text(&self, key: &str) -> &str {
        match &self.setting(key).value {
            Some(Value::Text(text)) => text,
            other => panic!("{key} was checked to be a text, and is {other:?}"),
        }
    }

    pub fn number(&self, key: &str) -> u64 {
        match &self.setting(key).value {
            Some(Value::Number(number)) => *number as u64,
            other => panic!("{key} was checked to be a number, and is {other:?}"),
        }
    }

    pub fn switch(&self, key: &str) -> bool {
        match &self.setting(key).value {
            Some(Value::Switch(switch)) => *switch,
            other => panic!("{key} was checked to be a switch, and is {other:?}"),
        }
    }
}
