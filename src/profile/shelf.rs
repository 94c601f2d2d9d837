//! Hardware profiles, and the shelf they stand on.
//!
//! The vendor's are built into the binary. A file of the same name in one of
//! the folders takes the place of one, whole; the later folder wins.

use super::document::{Document, Value, shown};
use super::fault::{Fault, Place};
use super::knobs::{KNOBS, Kind, Knob, check, nearest};
use super::layers::{Given, Layer, Layers};
use super::matching::{RULES, Rule};
use crate::limits::PROFILES_PER_FOLDER_MAX;
use serde::Serialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

macro_rules! vendor {
    ($($name:literal),*) => {
        &[$((
            concat!("hw-profiles/", $name, ".toml"),
            include_str!(concat!("../../hw-profiles/", $name, ".toml")),
        )),*]
    };
}

static VENDOR: &[(&str, &str)] = vendor![
    "generic",
    "generic-vm",
    "nuc-i5",
    "rack-nvme-plp",
    "rpi5-nvme",
    "rpi5-sd"
];

/// What stands above `[match]`.
pub static HEAD: &[Knob] = &[
    Knob {
        key: "schema",
        kind: Kind::Number {
            unit: "",
            min: 1,
            max: 1,
        },
        default: None,
        doc: "The version of this form.",
    },
    Knob {
        key: "name",
        kind: Kind::Text,
        default: None,
        doc: "The name of the file without .toml.",
    },
    Knob {
        key: "description",
        kind: Kind::Text,
        default: None,
        doc: "What box this is for.",
    },
    Knob {
        key: "inherits",
        kind: Kind::Text,
        default: None,
        doc: "The profile whose knobs stand below these; its rules are not inherited.",
    },
    Knob {
        key: "priority",
        kind: Kind::Number {
            unit: "",
            min: 0,
            max: 1000,
        },
        default: Some(Value::Number(0)),
        doc: "Decides between profiles of which as many rules hold; the higher wins.",
    },
    Knob {
        key: "tested",
        kind: Kind::Choice(&["paper", "lab"]),
        default: Some(Value::Text(Cow::Borrowed("paper"))),
        doc: "\"lab\" once a probe ran on such a box, \"paper\" before.",
    },
];

/// Whether the values were measured or reasoned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tested {
    Paper,
    Lab,
}

impl Tested {
    pub fn word(self) -> &'static str {
        match self {
            Tested::Paper => "paper",
            Tested::Lab => "lab",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Profile {
    /// The file, as faults and origins give it.
    pub source: String,
    pub name: String,
    pub description: String,
    pub inherits: Option<(String, Place)>,
    pub priority: i64,
    pub tested: Tested,
    pub rules: Vec<Rule>,
    given: Vec<Given>,
}

impl Profile {
    pub fn parse(document: &Document) -> Result<Self, Vec<Fault>> {
        check(document, &[HEAD, RULES, KNOBS])?;
        let rules = Rule::read(document)?;
        let mut faults: Vec<Fault> = ["schema", "name", "description"]
            .into_iter()
            .filter(|key| document.entry(key).is_none())
            .map(|key| Fault::of(&document.source, format!("{key} is missing")))
            .collect();
        faults.extend(misnamed(document));
        let (Some(name), Some(description), []) = (
            document.text("name"),
            document.text("description"),
            &*faults,
        ) else {
            return Err(faults);
        };
        let layer = Layer::Profile(name.to_owned());
        Ok(Self {
            source: document.source.clone(),
            name: name.to_owned(),
            description: description.to_owned(),
            inherits: document
                .entry("inherits")
                .zip(document.text("inherits"))
                .map(|(entry, base)| (base.to_owned(), entry.value_at)),
            priority: match document.entry("priority").map(|entry| &entry.value) {
                Some(Value::Number(priority)) => *priority,
                _ => 0,
            },
            tested: match document.text("tested") {
                Some("lab") => Tested::Lab,
                _ => Tested::Paper,
            },
            rules,
            given: Given::of(&[KNOBS], &layer, document),
        })
    }
}

/// A profile is found by its file's name and known by its own: they agree.
fn misnamed(document: &Document) -> Option<Fault> {
    let (entry, name) = document.entry("name").zip(document.text("name"))?;
    let stem = Path::new(&document.source).file_stem()?.to_string_lossy();
    let name = shown(name);
    (stem != name).then(|| {
        let message = format!("name is \"{name}\" and the file is not called {name}.toml");
        Fault::at(&document.source, entry.value_at, message)
    })
}

/// All profiles by their names.
#[derive(Clone, Debug)]
pub struct Shelf {
    profiles: BTreeMap<String, Profile>,
}

impl Shelf {
    /// The vendor's profiles as they were built in.
    pub fn built_in() -> Self {
        let profile = |(source, text): &(&str, &str)| {
            let document = Document::parse(source, text.as_bytes()).map_err(|fault| vec![fault]);
            let profile = document.and_then(|document| Profile::parse(&document));
            let profile = profile.unwrap_or_else(|faults| panic!("a shipped profile: {faults:?}"));
            (profile.name.clone(), profile)
        };
        Self {
            profiles: VENDOR.iter().map(profile).collect(),
        }
    }

    /// The vendor's profiles with those of the folders over them. A folder
    /// that is absent holds none.
    pub fn open(folders: &[PathBuf]) -> Result<Self, Vec<Fault>> {
        let mut shelf = Self::built_in();
        let mut faults = Vec::new();
        for folder in folders {
            match files(folder) {
                Ok(files) => faults.extend(shelf.put_all(&files)),
                Err(error) => faults.push(Fault::of(
                    &folder.display().to_string(),
                    format!("the profiles here cannot be read: {error}"),
                )),
            }
        }
        if faults.is_empty() {
            faults = shelf.broken_chains();
        }
        match faults.is_empty() {
            true => Ok(shelf),
            false => Err(faults),
        }
    }

    /// Puts files on the shelf, and answers what is wrong with them. Chains
    /// are not looked at: `broken_chains` does, once all are there.
    pub fn put_all(&mut self, files: &[PathBuf]) -> Vec<Fault> {
        let mut faults = Vec::new();
        for file in files {
            let document = Document::read(file).map_err(|fault| vec![fault]);
            match document.and_then(|document| Profile::parse(&document)) {
                Ok(profile) => self.put(profile),
                Err(found) => faults.extend(found),
            }
        }
        faults
    }

    pub fn put(&mut self, profile: Profile) {
        self.profiles.insert(profile.name.clone(), profile);
    }

    /// By name, in the order of names.
    pub fn profiles(&self) -> impl Iterator<Item = &Profile> {
        self.profiles.values()
    }

    pub fn get(&self, name: &str) -> Option<&Profile> {
        self.profiles.get(name)
    }

    /// The name that was probably meant.
    pub fn nearest(&self, name: &str) -> Option<&str> {
        nearest(self.profiles.keys().map(String::as_str), name)
    }

    /// What a profile says, over what those say that it inherits from.
    pub fn lay(&self, name: &str, layers: &mut Layers) -> Result<(), Fault> {
        for profile in self.chain(name)?.into_iter().rev() {
            layers.lay(&profile.given);
        }
        Ok(())
    }

    /// Every profile whose chain of `inherits` does not end.
    pub fn broken_chains(&self) -> Vec<Fault> {
        let chains = self.profiles.keys().map(|name| self.chain(name));
        chains.filter_map(Result::err).collect()
    }

    /// The profile, then the one it inherits from, and so on to the last.
    fn chain(&self, name: &str) -> Result<Vec<&Profile>, Fault> {
        let mut chain: Vec<&Profile> = self.get(name).into_iter().collect();
        while let Some(last) = chain.last()
            && let Some((base, place)) = &last.inherits
        {
            let refuse = |message| Err(Fault::at(&last.source, *place, message));
            if chain.iter().any(|profile| profile.name == *base) {
                let names: Vec<&str> = chain.iter().map(|profile| &*profile.name).collect();
                return refuse(format!(
                    "inherits goes round: {} > {base}",
                    names.join(" > ")
                ));
            }
            match (self.get(base), self.nearest(base)) {
                (Some(profile), _) => chain.push(profile),
                (None, Some(near)) => {
                    return refuse(format!(
                        "there is no profile \"{base}\", did you mean {near}?"
                    ));
                }
                (None, None) => {
                    return refuse(format!("there is no profile \"{}\"", shown(base)));
                }
            }
        }
        Ok(chain)
    }
}

/// The profiles of a folder, in the order of their names.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            files.push(path);
        }
        if files.len() > PROFILES_PER_FOLDER_MAX {
            let message = format!("there are more than {PROFILES_PER_FOLDER_MAX}");
            return Err(io::Error::other(message));
        }
    }
    files.sort();
    Ok(files)
}
