//! The rules of `[match]`, and whether they hold on a machine.
//!
//! All given rules must hold. Ranges include both ends. A list holds if one of
//! its words does; an empty list is no rule. `dmi.product` and
//! `devicetree.model` are patterns in which `*` stands for any characters and
//! everything else for itself, upper and lower case being the same; the whole
//! name must fit, so a part of it is `*part*`.

use super::document::{Document, Entry, Value};
use super::fault::Fault;
use super::knobs::{Kind, Knob};
use super::machine::{BUSES, Machine, VIRTS, WRITE_CACHES};
use std::fmt;

macro_rules! rule {
    ($key:literal, $kind:expr, $doc:literal) => {
        Knob {
            key: $key,
            kind: $kind,
            default: None,
            doc: $doc,
        }
    };
}

const fn number(unit: &'static str, max: i64) -> Kind {
    Kind::Number { unit, min: 0, max }
}

/// The keys of `[match]`.
pub static RULES: &[Knob] = &[
    rule!(
        "match.arch",
        Kind::Words(&["x86_64", "aarch64"]),
        "The processor, by the kernel's name."
    ),
    rule!(
        "match.cores.min",
        number("cores", 4096),
        "Physical cores, at least."
    ),
    rule!(
        "match.cores.max",
        number("cores", 4096),
        "Physical cores, at most."
    ),
    rule!(
        "match.memory_gib.min",
        number("GiB", 65_536),
        "Installed memory, at least."
    ),
    rule!(
        "match.memory_gib.max",
        number("GiB", 65_536),
        "Installed memory, at most."
    ),
    rule!(
        "match.disk.bus",
        Kind::Words(BUSES),
        "How the disk under the data directory is attached."
    ),
    rule!(
        "match.disk.write_cache",
        Kind::Choice(WRITE_CACHES),
        "What the kernel says of the disk's cache; \"write through\" on NVMe means protection against power loss."
    ),
    rule!(
        "match.disk.min_free_gib",
        number("GiB", 1 << 20),
        "Free space in the data directory, at least."
    ),
    rule!(
        "match.nic.speed_mbps.min",
        number("Mbit/s", 1_000_000),
        "Speed of the fastest interface, at least; many virtual machines do not know theirs."
    ),
    rule!(
        "match.nic.speed_mbps.max",
        number("Mbit/s", 1_000_000),
        "Speed of the fastest interface, at most."
    ),
    rule!(
        "match.virt",
        Kind::Words(VIRTS),
        "What the machine runs in; \"none\" is bare metal."
    ),
    rule!(
        "match.dmi.product",
        Kind::Words(&[]),
        "Patterns for /sys/class/dmi/id/product_name."
    ),
    rule!(
        "match.devicetree.model",
        Kind::Words(&[]),
        "Patterns for /proc/device-tree/model."
    ),
];

/// One rule of a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    Arch(Vec<String>),
    Cores(Range),
    MemoryGib(Range),
    DiskBus(Vec<String>),
    DiskWriteCache(Vec<String>),
    DiskMinFreeGib(Range),
    NicSpeedMbps(Range),
    Virt(Vec<String>),
    DmiProduct(Vec<Pattern>),
    DevicetreeModel(Vec<Pattern>),
}

/// Both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    pub min: u64,
    pub max: u64,
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Range { min, max: u64::MAX } => write!(f, "{min} or more"),
            Range { min: 0, max } => write!(f, "{max} or less"),
            Range { min, max } => write!(f, "{min} to {max}"),
        }
    }
}

impl Rule {
    /// Reads the rules from a document whose entries are already checked
    /// against `RULES`.
    pub(super) fn read(document: &Document) -> Result<Vec<Rule>, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut range = |min: &str, max: &str| match range(document, min, max) {
            Ok(range) => range,
            Err(fault) => {
                faults.push(fault);
                None
            }
        };
        let words = |key| some_words(document.entry(key));
        let patterns =
            |key| words(key).map(|words| words.iter().map(|word| Pattern::new(word)).collect());
        let rules = [
            words("match.arch").map(Rule::Arch),
            range("match.cores.min", "match.cores.max").map(Rule::Cores),
            range("match.memory_gib.min", "match.memory_gib.max").map(Rule::MemoryGib),
            words("match.disk.bus").map(Rule::DiskBus),
            words("match.disk.write_cache").map(Rule::DiskWriteCache),
            range("match.disk.min_free_gib", "").map(Rule::DiskMinFreeGib),
            range("match.nic.speed_mbps.min", "match.nic.speed_mbps.max").map(Rule::NicSpeedMbps),
            words("match.virt").map(Rule::Virt),
            patterns("match.dmi.product").map(Rule::DmiProduct),
            patterns("match.devicetree.model").map(Rule::DevicetreeModel),
        ];
        match faults.is_empty() {
            true => Ok(rules.into_iter().flatten().collect()),
            false => Err(faults),
        }
    }

    /// Whether the rule holds; what is unknown satisfies none.
    pub fn holds(&self, machine: &Machine) -> bool {
        match self {
            Rule::Arch(words) => is_among(words, Some(&machine.arch)),
            Rule::Cores(range) => is_within(range, machine.cores),
            Rule::MemoryGib(range) => is_within(range, machine.memory_gib()),
            Rule::DiskBus(words) => is_among(words, machine.disk.bus),
            Rule::DiskWriteCache(words) => is_among(words, machine.disk.write_cache),
            Rule::DiskMinFreeGib(range) => is_within(range, machine.disk.free_gib()),
            Rule::NicSpeedMbps(range) => is_within(range, machine.nic_speed_mbps),
            Rule::Virt(words) => is_among(words, Some(machine.virt)),
            Rule::DmiProduct(patterns) => fits_one(patterns, machine.dmi_product.as_deref()),
            Rule::DevicetreeModel(patterns) => {
                fits_one(patterns, machine.devicetree_model.as_deref())
            }
        }
    }

    /// The key, what the rule wants, and what the machine has.
    fn sides(&self, machine: &Machine) -> (&'static str, String, Option<String>) {
        let number = |found: Option<u64>| found.map(|found| found.to_string());
        let text = |found: Option<&str>| found.map(str::to_owned);
        let disk = &machine.disk;
        match self {
            Rule::Arch(words) => ("arch", either(words), Some(machine.arch.clone())),
            Rule::Cores(range) => ("cores", range.to_string(), number(machine.cores)),
            Rule::MemoryGib(range) => (
                "memory_gib",
                range.to_string(),
                number(machine.memory_gib()),
            ),
            Rule::DiskBus(words) => ("disk.bus", either(words), text(disk.bus)),
            Rule::DiskWriteCache(words) => {
                ("disk.write_cache", either(words), text(disk.write_cache))
            }
            Rule::DiskMinFreeGib(range) => (
                "disk.min_free_gib",
                range.to_string(),
                number(disk.free_gib()),
            ),
            Rule::NicSpeedMbps(range) => (
                "nic.speed_mbps",
                range.to_string(),
                number(machine.nic_speed_mbps),
            ),
            Rule::Virt(words) => ("virt", either(words), text(Some(machine.virt))),
            Rule::DmiProduct(patterns) => {
                ("dmi.product", either(patterns), machine.dmi_product.clone())
            }
            Rule::DevicetreeModel(patterns) => (
                "devicetree.model",
                either(patterns),
                machine.devicetree_model.clone(),
            ),
        }
    }

    /// "disk.bus nvme", for a rule that holds.
    pub fn met(&self, machine: &Machine) -> String {
        let (key, _, found) = self.sides(machine);
        format!("{key} {}", found.as_deref().unwrap_or("unknown"))
    }

    /// "disk.bus is sata, not nvme", for a rule that does not hold.
    pub fn unmet(&self, machine: &Machine) -> String {
        let (key, wanted, found) = self.sides(machine);
        format!(
            "{key} is {}, not {wanted}",
            found.as_deref().unwrap_or("unknown")
        )
    }
}

fn range(document: &Document, min: &str, max: &str) -> Result<Option<Range>, Fault> {
    let end = |key| {
        document
            .entry(key)
            .and_then(|entry| number_of(&entry.value))
    };
    let (low, high) = (end(min), end(max));
    if low.is_none() && high.is_none() {
        return Ok(None);
    }
    let range = Range {
        min: low.unwrap_or(0),
        max: high.unwrap_or(u64::MAX),
    };
    match document.entry(min) {
        Some(entry) if range.min > range.max => Err(Fault::at(
            &document.source,
            entry.value_at,
            format!(
                "{min} is {}, above {max}, which is {}",
                range.min, range.max
            ),
        )),
        _ => Ok(Some(range)),
    }
}

fn number_of(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => u64::try_from(*number).ok(),
        _ => None,
    }
}

/// The words of a list or of one text; None where there are none.
fn some_words(entry: Option<&Entry>) -> Option<Vec<String>> {
    let word = |value: &Value| match value {
        Value::Text(text) => Some(text.to_string()),
        _ => None,
    };
    let words: Vec<String> = match &entry?.value {
        Value::List(values) => values.iter().filter_map(word).collect(),
        value => word(value).into_iter().collect(),
    };
    (!words.is_empty()).then_some(words)
}

fn is_among(words: &[String], found: Option<&str>) -> bool {
    found.is_some_and(|found| words.iter().any(|word| word == found))
}

fn is_within(range: &Range, found: Option<u64>) -> bool {
    found.is_some_and(|found| (range.min..=range.max).contains(&found))
}

fn fits_one(patterns: &[Pattern], found: Option<&str>) -> bool {
    found.is_some_and(|found| patterns.iter().any(|pattern| pattern.fits(found)))
}

fn either(words: &[impl fmt::Display]) -> String {
    let words: Vec<String> = words.iter().map(ToString::to_string).collect();
    words.join(" or ")
}

/// A text in which `*` stands for any characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    pub fn fits(&self, name: &str) -> bool {
        let (pattern, name) = (self.0.to_lowercase(), name.to_lowercase());
        let Some((start, rest)) = pattern.split_once('*') else {
            return pattern == name;
        };
        let Some(mut name) = name.strip_prefix(start) else {
            return false;
        };
        // Each part between two stars is taken where it comes first; that
        // leaves the most for the parts behind it.
        let mut parts: Vec<&str> = rest.split('*').collect();
        let end = parts.pop().unwrap_or_default();
        for part in parts {
            match name.find(part) {
                Some(at) => name = &name[at + part.len()..],
                None => return false,
            }
        }
        name.ends_with(end)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        let fits = |pattern: &str, name| Pattern::new(pattern).fits(name);
        assert!(fits("Raspberry Pi 5*", "Raspberry Pi 5 Model B Rev 1.0"));
        assert!(fits("nuc13*i5", "NUC13ANHi5"));
        assert!(fits("*", ""));
        assert!(fits("a*b*c", "abbcc"));
        assert!(!fits("nuc13", "NUC13ANHi5"));
        assert!(!fits("nuc*i7*", "NUC13ANHi5"));
        assert!(!fits("ab*ba", "aba"));
    }
}
