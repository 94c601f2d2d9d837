//! What a measurement on this very machine found: `probe.toml` in the data
//! directory, above the hardware profile and below dolmen.toml.
//!
//! `[probe]` says what was measured and on what; its figures are for people
//! and are not looked at here, but `kernel` and `device` are: a probe of
//! another kernel or another disk is set aside.

use super::document::{Document, shown};
use super::fault::Fault;
use super::knobs::{KNOBS, Kind, Knob, check};
use super::layers::{Given, Layer};
use super::machine::Machine;

/// Its name in the data directory.
pub const PROBE_FILE: &str = "probe.toml";

static HEAD: &[Knob] = &[
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
        key: "probe.kernel",
        kind: Kind::Text,
        default: None,
        doc: "The kernel it ran on; another major or minor version sets the probe aside.",
    },
    Knob {
        key: "probe.device",
        kind: Kind::Text,
        default: None,
        doc: "The mark of the data directory's disk; another disk sets the probe aside.",
    },
];

#[derive(Clone, Debug)]
pub struct Probe {
    source: String,
    kernel: String,
    device: Option<String>,
    /// What it found best.
    pub given: Vec<Given>,
}

impl Probe {
    pub fn parse(mut document: Document) -> Result<Self, Vec<Fault>> {
        let is_figure =
            |key: &str| key.starts_with("probe.") && HEAD.iter().all(|knob| knob.key != key);
        document.entries.retain(|entry| !is_figure(&entry.key));
        check(&document, &[HEAD, KNOBS])?;
        let kernel = document.text("probe.kernel").ok_or_else(|| {
            let message =
                "probe.kernel is missing; run `dolmen probe --write` again, or remove the file";
            vec![Fault::of(&document.source, message.into())]
        })?;
        Ok(Self {
            kernel: kernel.to_owned(),
            device: document.text("probe.device").map(str::to_owned),
            given: Given::of(&[KNOBS], &Layer::Probe, &document),
            source: document.source,
        })
    }

    /// Why the probe no longer speaks for this machine; None where it does.
    pub fn stale(&self, machine: &Machine) -> Option<String> {
        let here = machine.kernel.as_deref().unwrap_or("unknown");
        if major_minor(here) != major_minor(&self.kernel) {
            return Some(format!(
                "{} is set aside: it ran on kernel {}, this is {here}; run `dolmen probe --write` again",
                self.source,
                shown(&self.kernel)
            ));
        }
        (self.device != machine.disk.mark).then(|| {
            format!(
                "{} is set aside: it ran on another disk; run `dolmen probe --write` again",
                self.source
            )
        })
    }
}

fn major_minor(release: &str) -> Vec<&str> {
    release.split(['.', '-']).take(2).collect()
}
