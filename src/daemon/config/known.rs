//! What can be told of a node's settings where a start would refuse them: what
//! is right of them, and all that is wrong. For those who look from outside; a
//! node never runs with it.

use super::{Found, Own, SETTINGS, Sources, check_doors, read_probe};
use crate::profile::{
    Choice, Document, Fault, Given, Layer, Layers, Machine, PROBE_FILE, Shelf, check, choose,
};
use std::path::PathBuf;

pub struct Known {
    /// What is right, each value with its origin.
    pub layers: Layers,
    pub faults: Vec<Fault>,
    pub notes: Vec<String>,
    pub machine: Machine,
    pub profile: Option<Choice>,
    /// The file as it was read; None where there is none, or it is no TOML.
    pub document: Option<Document>,
}

impl Known {
    pub fn of(sources: &Sources<'_>) -> Self {
        Self::looked_up(sources, true)
    }

    /// For where the disk under the data folder does not answer: without what it
    /// would say.
    pub fn without_data(sources: &Sources<'_>) -> Self {
        Self::looked_up(sources, false)
    }

    fn looked_up(sources: &Sources<'_>, looks_at_data: bool) -> Self {
        let mut own = Own { given: Vec::new() };
        let mut faults = Vec::new();
        let document = match sources.file.as_deref().map(Document::read) {
            Some(Ok(document)) => Some(document),
            Some(Err(fault)) => {
                faults.push(fault);
                None
            }
            None => None,
        };
        if let Some(document) = &document {
            faults.extend(check(document, SETTINGS).err().into_iter().flatten());
            let given = Given::of(SETTINGS, &Layer::File, document).into_iter();
            let is_right = |given: &Given| given.knob.kind.takes(&given.value);
            own.given.extend(given.filter(is_right));
        }
        faults.extend(own.read_environment(&sources.environment));
        faults.extend(own.read_command_line(sources));

        let mut layers = Layers::built_in(SETTINGS);
        layers.lay(&own.given);
        let data = PathBuf::from(layers.text("node.data"));
        let machine = match looks_at_data {
            true => (sources.machine)(&data),
            false => Machine::default(),
        };
        let shelf = Shelf::open(&sources.profile_folders).unwrap_or_else(|found| {
            faults.extend(found);
            Shelf::built_in()
        });
        let profile = choose(&shelf, &machine);
        let mut layers = Layers::built_in(SETTINGS);
        if let Some(choice) = &profile {
            faults.extend(shelf.lay(&choice.name, &mut layers).err());
        }
        let mut notes = Vec::new();
        let probe = match looks_at_data {
            true => read_probe(&data.join(PROBE_FILE)),
            false => Ok(Found::Closed("the data folder does not answer".into())),
        };
        match probe {
            Ok(Found::Probe(probe)) => match probe.stale(&machine) {
                Some(why) => notes.push(why),
                None => layers.lay(&probe.given),
            },
            Ok(Found::Closed(why)) => notes.push(why),
            Ok(Found::Nothing) => {}
            Err(found) => faults.extend(found),
        }
        layers.lay(&own.given);
        faults.extend(check_doors(&layers).err().into_iter().flatten());
        Self {
            layers,
            faults,
            notes,
            machine,
            profile,
            document,
        }
    }

    pub fn data(&self) -> PathBuf {
        self.layers.text("node.data").into()
    }

    pub fn admin_socket(&self) -> PathBuf {
        self.layers.text("admin.socket").into()
    }

    /// Where the operator door listens; "off" where it does not.
    pub fn operator_door(&self) -> &str {
        self.layers.text("doors.operator.listen")
    }
}
