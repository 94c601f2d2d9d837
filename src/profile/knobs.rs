//! The one table of knobs, and the check of an entry against a table.
//!
//! A knob is here because `daemon` reads it. Its field and its reader are in
//! `daemon/config.rs`, those of `tune.*` in `daemon/tune`; its check, its default,
//! the example file and the manual page come from this table.

use super::document::{Document, Entry, Value, shown};
use super::fault::{Fault, Place};
use std::borrow::Cow;

/// Something that can be set.
#[derive(Debug)]
pub struct Knob {
    pub key: &'static str,
    pub kind: Kind,
    /// None where the absence of a value means something of its own.
    pub default: Option<Value>,
    /// One sentence for the example file and the manual page.
    pub doc: &'static str,
}

/// What a value must be.
#[derive(Debug)]
pub enum Kind {
    Choice(&'static [&'static str]),
    /// Whole numbers, both ends included.
    Number {
        unit: &'static str,
        min: i64,
        max: i64,
    },
    Switch,
    Text,
    /// A text that is told to nobody.
    Secret,
    /// A list of texts, or one text; each of the given words, or any.
    Words(&'static [&'static str]),
    /// An absolute path.
    Path,
    /// `address:port`, or "off".
    Listen,
}

/// Where a key may be found: a file takes the tables of its own kind only.
pub type Tables<'a> = &'a [&'static [Knob]];

/// The knobs a hardware profile, a probe or dolmen.toml may turn.
pub static KNOBS: &[Knob] = &[
    Knob {
        key: "log.engine",
        kind: Kind::Choice(&["auto", "uring", "threads"]),
        default: Some(Value::Text(Cow::Borrowed("auto"))),
        doc: "How the log reaches the disk: io_uring, threads with pwrite and fdatasync, or whichever a test at start finds to work.",
    },
    Knob {
        key: "log.ring_entries",
        kind: Kind::Number {
            unit: "entries",
            min: 8,
            max: 4096,
        },
        default: Some(Value::Number(64)),
        doc: "Submissions that one io_uring holds; the engine \"threads\" has no ring.",
    },
    Knob {
        key: "log.core",
        kind: Kind::Choice(&["last", "any"]),
        default: Some(Value::Text(Cow::Borrowed("last"))),
        doc: "Where the real-time threads of the log, the replica and the peers' control run: together on the last core that the process may use, or wherever the kernel puts them.",
    },
    Knob {
        key: "log.keep_awake_us",
        kind: Kind::Number {
            unit: "us",
            min: 0,
            max: 1000,
        },
        default: Some(Value::Number(300)),
        doc: "For how long a write on its way to the disk keeps the log's core from falling asleep, where the disk is as quick as that; 0 lets the core sleep, which spares power and costs writes a wake-up or two.",
    },
    Knob {
        key: "log.journal_direct_io",
        kind: Kind::Switch,
        default: Some(Value::Switch(true)),
        doc: "Whether the journal is written past the page cache, where the file system grants it.",
    },
    Knob {
        key: "log.journal_file_mib",
        kind: Kind::Number {
            unit: "MiB",
            min: 8,
            max: 1024,
        },
        default: Some(Value::Number(32)),
        doc: "Size of one journal file, zeroed ahead of its use.",
    },
    Knob {
        key: "log.journal_files_max",
        kind: Kind::Number {
            unit: "files",
            min: 2,
            max: 64,
        },
        default: Some(Value::Number(8)),
        doc: "Journal files that may exist at once; appends wait when all of them hold records that are not yet synced in their segments.",
    },
    Knob {
        key: "log.journal_bypass_kib",
        kind: Kind::Number {
            unit: "KiB",
            min: 4,
            max: 1024,
        },
        default: Some(Value::Number(128)),
        doc: "A batch of at least this size goes straight to its segment, and only its mark to the journal.",
    },
    Knob {
        key: "log.segment_mib",
        kind: Kind::Number {
            unit: "MiB",
            min: 1,
            max: 1024,
        },
        default: Some(Value::Number(64)),
        doc: "Size at which a log starts its next segment file.",
    },
    Knob {
        key: "log.reserve_mib",
        kind: Kind::Number {
            unit: "MiB",
            min: 1,
            max: 4096,
        },
        default: Some(Value::Number(8)),
        doc: "Disk space held back beside that of one journal file, so that a node can still start on a full disk.",
    },
    // What nobody names is left as the machine has it, so these have no default.
    Knob {
        key: "tune.disk_scheduler",
        kind: Kind::Choice(&["none", "mq-deadline", "kyber", "bfq"]),
        default: None,
        doc: "The I/O scheduler of the disks under the data folder; set by `dolmen tune apply`, as are all in this section.",
    },
    Knob {
        key: "tune.socket_buffers_kib",
        kind: Kind::Number {
            unit: "KiB",
            min: 208, // what Linux has by itself
            max: 64 << 10,
        },
        default: None,
        doc: "What a socket may ask for as its buffer, at least; the peers' ask for 2048.",
    },
    Knob {
        key: "tune.swappiness",
        kind: Kind::Number {
            unit: "",
            min: 0,
            max: 100,
        },
        default: None,
        doc: "How readily the kernel puts memory of programs on the swap disk, rather than forget what it can read again from files.",
    },
    Knob {
        key: "tune.dirty_background_mib",
        kind: Kind::Number {
            unit: "MiB",
            min: 1,
            max: 64 << 10,
        },
        default: None,
        doc: "How much written data may gather in memory before the kernel begins to write it to its disk.",
    },
    Knob {
        key: "tune.cpu_governor",
        kind: Kind::Choice(&[
            "performance",
            "schedutil",
            "ondemand",
            "conservative",
            "powersave",
        ]),
        default: None,
        doc: "Who chooses the cores' frequency; \"performance\" has them run at their highest and takes power.",
    },
    Knob {
        key: "tune.leave_alone",
        kind: Kind::Words(&[
            "disk_scheduler",
            "socket_buffers",
            "swappiness",
            "dirty_background",
            "cpu_governor",
        ]),
        default: None,
        doc: "Those of `dolmen tune list` that stay as they are, whatever is named here or by the hardware profile.",
    },
];

impl Kind {
    /// What is allowed, to follow the word "is".
    pub fn allowed(&self) -> String {
        match self {
            Kind::Choice(words) => format!("one of {}", quoted(words)),
            Kind::Number { min, max, .. } if min == max => min.to_string(),
            Kind::Number { unit: "", min, max } => {
                format!("a whole number from {min} to {max}")
            }
            Kind::Number { unit, min, max } => {
                format!("a whole number of {unit} from {min} to {max}")
            }
            Kind::Switch => "true or false".into(),
            Kind::Text | Kind::Secret => "a text".into(),
            Kind::Words([]) => "a list of texts".into(),
            Kind::Words(words) => format!("a list of {}", quoted(words)),
            Kind::Path => "an absolute path".into(),
            Kind::Listen => "an address and a port such as \"127.0.0.1:7080\", or \"off\"".into(),
        }
    }

    pub fn takes(&self, value: &Value) -> bool {
        match (self, value) {
            (Kind::Choice(words), Value::Text(text)) => words.contains(&text.as_ref()),
            (Kind::Number { min, max, .. }, Value::Number(number)) => {
                (*min..=*max).contains(number)
            }
            (Kind::Switch, Value::Switch(_)) => true,
            (Kind::Text | Kind::Secret, Value::Text(text)) => !text.is_empty(),
            (Kind::Words(words), Value::Text(text)) => {
                words.is_empty() || words.contains(&text.as_ref())
            }
            (Kind::Words(_), Value::List(values)) => values
                .iter()
                .all(|value| matches!(value, Value::Text(_)) && self.takes(value)),
            (Kind::Path, Value::Text(text)) => text.starts_with('/') && !text.contains('\0'),
            (Kind::Listen, Value::Text(text)) => {
                text == "off" || text.parse::<std::net::SocketAddr>().is_ok()
            }
            _ => false,
        }
    }

    /// The value of a text that came without quotes or types: from the
    /// environment or from `--set`.
    fn value_of(&self, text: &str) -> Value {
        let text = text.trim();
        match self {
            Kind::Number { .. } => text.parse().map_or(Value::text(text), Value::Number),
            Kind::Switch => text.parse().map_or(Value::text(text), Value::Switch),
            _ => Value::text(text),
        }
    }
}

impl Knob {
    /// Why the value is refused.
    fn refusal(&self, value: &Value) -> String {
        let (key, allowed) = (self.key, self.kind.allowed());
        if matches!(self.kind, Kind::Secret) {
            return format!("{key} is {allowed}, and what stands there is none");
        }
        let hint = match (&self.kind, value) {
            (Kind::Number { .. }, Value::Text(text)) if text.parse::<i64>().is_ok() => {
                "; leave out the quotes"
            }
            (Kind::Number { .. }, Value::Text(_)) => "; leave out the quotes and the unit",
            (Kind::Switch, Value::Text(_)) => "; leave out the quotes",
            _ => "",
        };
        format!("{key} is {allowed}, not {value}{hint}")
    }

    fn refusal_of_unquoted(&self, text: &str) -> String {
        let (key, allowed) = (self.key, self.kind.allowed());
        match self.kind {
            Kind::Secret => format!("{key} is {allowed}, and what stands there is none"),
            _ => format!("{key} is {allowed}, not {}", shown(text)),
        }
    }

    /// The value of an unquoted text, or why it is refused.
    pub fn read(&self, text: &str) -> Result<Value, String> {
        let value = self.kind.value_of(text);
        match self.kind.takes(&value) {
            true => Ok(value),
            false => Err(self.refusal_of_unquoted(text.trim())),
        }
    }
}

fn find(tables: Tables<'_>, key: &str) -> Option<&'static Knob> {
    all(tables).find(|knob| knob.key == key)
}

/// The knob of a key, or why there is none.
pub fn expect(tables: Tables<'_>, key: &str) -> Result<&'static Knob, String> {
    find(tables, key).ok_or_else(|| unknown(tables, key))
}

/// Everything that is wrong with a document of these tables.
pub fn check(document: &Document, tables: Tables<'_>) -> Result<(), Vec<Fault>> {
    let mut faults = Vec::new();
    for entry in &document.entries {
        let mut refuse = |place: Place, message: String| {
            faults.push(Fault::at(&document.source, place, message));
        };
        match find(tables, &entry.key) {
            Some(knob) if knob.kind.takes(&entry.value) => {}
            Some(knob) => refuse(entry.value_at, knob.refusal(&entry.value)),
            None if is_empty_section(entry, tables) => {}
            None => refuse(entry.key_at, unknown(tables, &entry.key)),
        }
    }
    match faults.is_empty() {
        true => Ok(()),
        false => Err(faults),
    }
}

/// `[log]` with nothing in it says nothing wrong.
fn is_empty_section(entry: &Entry, tables: Tables<'_>) -> bool {
    let section = format!("{}.", entry.key);
    entry.value == Value::Other("a table") && all(tables).any(|knob| knob.key.starts_with(&section))
}

/// Why a key is refused, with the key that was probably meant.
fn unknown(tables: Tables<'_>, key: &str) -> String {
    let key_shown = shown(key);
    if let Some(knob) = all(tables).find(|knob| is_same_in_another_unit(knob.key, key)) {
        let unit = match knob.kind {
            Kind::Number { unit, .. } => unit,
            _ => "a unit of its own",
        };
        return format!(
            "unknown key {key_shown}: this is counted in {unit}, did you mean {}?",
            knob.key
        );
    }
    let sections = sections(tables);
    let names = all(tables)
        .map(|knob| knob.key)
        .chain(sections.iter().copied());
    match nearest(names, key) {
        Some(near) => format!("unknown key {key_shown}, did you mean {near}?"),
        None => format!("unknown key {key_shown}; here are {}", sections.join(", ")),
    }
}

fn all<'a>(tables: Tables<'a>) -> impl Iterator<Item = &'static Knob> + 'a {
    tables.iter().flat_map(|table| table.iter())
}

/// What may stand at the top, each once, in the order of the tables.
fn sections(tables: Tables<'_>) -> Vec<&'static str> {
    let mut sections: Vec<&'static str> = Vec::new();
    for knob in all(tables) {
        let section = knob.key.split('.').next().unwrap_or(knob.key);
        if !sections.contains(&section) {
            sections.push(section);
        }
    }
    sections
}

fn is_same_in_another_unit(known: &str, given: &str) -> bool {
    const UNITS: &[&str] = &[
        "bytes", "kb", "kib", "mb", "mib", "gb", "gib", "us", "ms", "s", "mbps", "gbps",
    ];
    let stem = |key: &str| {
        let (stem, unit) = key.rsplit_once('_')?;
        UNITS.contains(&unit).then(|| stem.to_owned())
    };
    stem(known).is_some_and(|known| Some(known) == stem(given))
}

/// The name that is fewest edits away, where that is few enough to be a slip
/// of the hand: a third of its length.
pub(super) fn nearest<'a>(names: impl Iterator<Item = &'a str>, given: &str) -> Option<&'a str> {
    names
        .filter(|name| name.len().abs_diff(given.len()) <= name.len() / 3)
        .map(|name| (edits(name, given), name))
        .filter(|(edits, name)| *edits <= name.len() / 3)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, name)| name)
}

/// The letters to change, add, leave out or swap with their neighbour to get
/// from one to the other (optimal string alignment), two rows of the table kept.
fn edits(from: &str, to: &str) -> usize {
    let (from, to) = (from.as_bytes(), to.as_bytes());
    let mut above: Vec<usize> = (0..=to.len()).collect();
    let mut two_above = above.clone();
    for i in 1..=from.len() {
        let mut row = vec![i];
        for j in 1..=to.len() {
            let is_other = usize::from(from[i - 1] != to[j - 1]);
            let mut least = (above[j - 1] + is_other)
                .min(above[j] + 1)
                .min(row[j - 1] + 1);
            if i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1] {
                least = least.min(two_above[j - 2] + 1);
            }
            row.push(least);
        }
        two_above = std::mem::replace(&mut above, row);
    }
    above[to.len()]
}

fn quoted(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_is_counted_in_edits() {
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("lgo", "log"), 1);
        assert_eq!(edits("log.engine", "log.engine"), 0);
    }

    #[test]
    fn every_default_is_one_that_is_taken() {
        for knob in KNOBS {
            match &knob.default {
                Some(default) => assert!(knob.kind.takes(default), "{}", knob.key),
                None => assert!(knob.key.starts_with("tune."), "{}", knob.key),
            }
        }
    }

    #[test]
    fn an_unquoted_text_is_read_by_the_kind_of_its_knob() {
        let read = |key, text| find(&[KNOBS], key).unwrap().read(text);
        assert_eq!(read("log.segment_mib", " 32 "), Ok(Value::Number(32)));
        assert_eq!(
            read("log.journal_direct_io", "false"),
            Ok(Value::Switch(false))
        );
        assert_eq!(
            read("log.segment_mib", "32MiB"),
            Err("log.segment_mib is a whole number of MiB from 1 to 1024, not 32MiB".into())
        );
    }
}
