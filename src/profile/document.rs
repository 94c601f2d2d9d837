//! A TOML text as flat entries: dotted key, value, and where each stands.
//!
//! Any bytes may be given. What is too long, too deep, not UTF-8 or not TOML
//! is a fault; an entry whose key means nothing is for `knobs` to refuse.

use super::fault::{Fault, Place};
use super::twice::{Twice, first_of};
use crate::limits::{SETTING_KEY_BYTES_MAX, SETTINGS_BYTES_MAX, SETTINGS_PER_FILE_MAX};
use std::borrow::Cow;
use std::fmt;
use std::io::{self, Read};
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What a setting can hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Text(Cow<'static, str>),
    Number(i64),
    Switch(bool),
    List(Vec<Value>),
    /// What no setting takes, by the name to call it in a message.
    Other(&'static str),
}

impl Value {
    pub fn text(text: &str) -> Self {
        Value::Text(Cow::Owned(text.to_owned()))
    }
}

/// As it would stand in a TOML file; used in messages as well, so a long text
/// is cut and control characters are escaped.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(text) => write!(f, "\"{}\"", shown(text)),
            Value::Number(number) => number.fmt(f),
            Value::Switch(switch) => switch.fmt(f),
            Value::List(values) => {
                f.write_str("[")?;
                for (index, value) in values.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{value}")?;
                }
                f.write_str("]")
            }
            Value::Other(name) => f.write_str(name),
        }
    }
}

/// A stranger's text made fit for one line of a message.
pub(super) fn shown(text: &str) -> String {
    // A path is the longest text a setting takes; 256 characters show which.
    const CHARACTERS_MAX: usize = 256;
    let cut: String = text.chars().take(CHARACTERS_MAX).collect();
    let dots = if cut.len() < text.len() { "..." } else { "" };
    let line = cut.escape_debug().to_string().replace("\\'", "'");
    line + dots
}

/// One line of a file: a key and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Dotted from the top; a part that is no bare key is quoted.
    pub key: String,
    pub value: Value,
    pub key_at: Place,
    pub value_at: Place,
}

/// A file of settings, read and not yet checked.
#[derive(Clone, Debug)]
pub struct Document {
    /// The file's name, as faults give it.
    pub source: String,
    /// In the order of the file.
    pub entries: Vec<Entry>,
}

impl Document {
    pub fn read(path: &Path) -> Result<Self, Fault> {
        let source = path.display().to_string();
        let bytes = Self::bytes(path)
            .map_err(|error| Fault::of(&source, format!("cannot be read: {error}")))?;
        Self::parse(&source, &bytes)
    }

    /// A file's bytes for `parse`: one byte more than it takes, at the most.
    #[allow(clippy::disallowed_methods)] // files of settings are read here
    pub fn bytes(path: &Path) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path)?;
        file.take(SETTINGS_BYTES_MAX as u64 + 1)
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    pub fn parse(source: &str, bytes: &[u8]) -> Result<Self, Fault> {
        if bytes.len() > SETTINGS_BYTES_MAX {
            let message =
                format!("is longer than {SETTINGS_BYTES_MAX} bytes, the most that is read");
            return Err(Fault::of(source, message));
        }
        let lines = Lines::of(bytes);
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let place = lines.place(error.valid_up_to());
            Fault::at(source, place, "is not UTF-8 from here on".into())
        })?;
        let table = DeTable::parse(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let says = match error.message() {
                DUPLICATE => first_of(text, at).map(|twice| there_twice(&twice, &lines)),
                _ => None,
            };
            let says = says.unwrap_or_else(|| error.message().replace('\n', " "));
            Fault::at(source, lines.place(at), says)
        })?;
        let mut flattening = Flattening {
            source,
            lines,
            entries: Vec::new(),
        };
        flattening.table("", table.get_ref())?;
        let mut entries = flattening.entries;
        entries.sort_by_key(|entry| entry.key_at);
        Ok(Self {
            source: source.into(),
            entries,
        })
    }

    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// The text of a key, where it is there and a text.
    pub fn text(&self, key: &str) -> Option<&str> {
        match &self.entry(key)?.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// What the parser says of a key that is there twice.
const DUPLICATE: &str = "duplicate key";

fn there_twice(twice: &Twice, lines: &Lines<'_>) -> String {
    let path = twice
        .path
        .iter()
        .fold(String::new(), |above, part| joined(&above, part));
    let (path, line) = (shown(&path), lines.place(twice.first_at).line);
    match twice.is_section {
        true => format!("section [{path}] is on line {line} already: put the setting there"),
        false => format!("{path} is set on line {line} already"),
    }
}

/// Where the lines of a text start, so that a place is found by search.
struct Lines<'a> {
    bytes: &'a [u8],
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        let breaks = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        let starts = std::iter::once(0).chain(breaks.map(|(at, _)| at + 1));
        Self {
            bytes,
            starts: starts.collect(),
        }
    }

    fn place(&self, offset: usize) -> Place {
        let offset = offset.min(self.bytes.len());
        let line = self.starts.partition_point(|start| *start <= offset);
        let before = &self.bytes[self.starts[line - 1]..offset];
        // A character of UTF-8 has one byte that is not a continuation.
        let characters = before.iter().filter(|byte| **byte & 0xc0 != 0x80);
        Place {
            line,
            column: characters.count() + 1,
        }
    }
}

struct Flattening<'a> {
    source: &'a str,
    lines: Lines<'a>,
    entries: Vec<Entry>,
}

impl Flattening<'_> {
    /// Goes down as deep as the parser went, which refuses more than 80 levels.
    fn table(&mut self, above: &str, table: &DeTable<'_>) -> Result<(), Fault> {
        for (name, value) in table.iter() {
            let key = joined(above, name.get_ref());
            let key_at = self.lines.place(name.span().start);
            if key.len() > SETTING_KEY_BYTES_MAX {
                let message = format!("this key is longer than {SETTING_KEY_BYTES_MAX} bytes");
                return Err(Fault::at(self.source, key_at, message));
            }
            match value.get_ref() {
                // An empty table stays an entry, so that a wrong name on it shows.
                DeValue::Table(inner) if !inner.is_empty() => self.table(&key, inner)?,
                _ => self.leaf(key, key_at, value)?,
            }
        }
        Ok(())
    }

    fn leaf(
        &mut self,
        key: String,
        key_at: Place,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<(), Fault> {
        if self.entries.len() == SETTINGS_PER_FILE_MAX {
            let message = format!("holds more than {SETTINGS_PER_FILE_MAX} settings");
            return Err(Fault::of(self.source, message));
        }
        self.entries.push(Entry {
            key,
            value: value_of(value.get_ref()),
            key_at,
            value_at: self.lines.place(value.span().start),
        });
        Ok(())
    }
}

fn joined(above: &str, name: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    let name = match !name.is_empty() && name.bytes().all(is_bare) {
        true => Cow::Borrowed(name),
        false => Cow::Owned(format!("{name:?}")),
    };
    match above {
        "" => name.into_owned(),
        _ => format!("{above}.{name}"),
    }
}

fn value_of(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::text(text),
        DeValue::Boolean(switch) => Value::Switch(*switch),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or(Value::Other("a number beyond 64 bits"), Value::Number),
        DeValue::Array(values) => Value::List(
            values
                .iter()
                .map(|value| value_of(value.get_ref()))
                .collect(),
        ),
        DeValue::Float(_) => Value::Other("a fraction"),
        DeValue::Datetime(_) => Value::Other("a date"),
        DeValue::Table(_) => Value::Other("a table"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, flat: &str) {
        let found = match Document::parse("x.toml", text.as_bytes()) {
            Ok(document) => document
                .entries
                .iter()
                .map(|entry| format!("{} {} = {}", entry.value_at, entry.key, entry.value))
                .collect::<Vec<_>>()
                .join("; "),
            Err(fault) => fault.to_string(),
        };
        assert_eq!(found, flat);
    }

    #[test]
    fn tables_and_dotted_keys_come_to_the_same() {
        check("[log]\nengine = \"auto\"", "2:10 log.engine = \"auto\"");
        check("log.engine = \"auto\"", "1:14 log.engine = \"auto\"");
        check("log = { engine = true }", "1:18 log.engine = true");
        check(
            "disk.bus = [\"nvme\", 1_000]",
            "1:12 disk.bus = [\"nvme\", 1000]",
        );
        check("n = 0x1F", "1:5 n = 31");
    }

    #[test]
    fn a_quoted_dot_is_not_a_level() {
        check("\"log.engine\" = 1", "1:16 \"log.engine\" = 1");
    }

    #[test]
    fn an_empty_table_is_seen() {
        check("[lgo]", "1:1 lgo = a table");
    }

    #[test]
    fn columns_count_characters() {
        check(
            "a = \"\u{e9}\"\nb = { \"\u{e9}\u{e9}\" = 1 }",
            "1:5 a = \"\u{e9}\"; 2:14 b.\"\u{e9}\u{e9}\" = 1",
        );
    }

    #[test]
    fn what_is_no_toml_is_placed() {
        check(
            "a = 1\nb = ",
            "x.toml:2:5: string values must be quoted, expected literal string",
        );
        check("a = 1\na = 2", "x.toml:2:1: a is set on line 1 already");
        check(
            "[log]\na = 1\n\n[tune]\n[log]\nb = 2",
            "x.toml:5:2: section [log] is on line 1 already: put the setting there",
        );
        check("a = { b = 1, b = 2 }", "x.toml:1:14: duplicate key");
    }

    #[test]
    fn what_is_too_much_is_refused() {
        let long = "#".repeat(SETTINGS_BYTES_MAX + 1);
        check(
            &long,
            "x.toml: is longer than 65536 bytes, the most that is read",
        );
        let key = "k".repeat(SETTING_KEY_BYTES_MAX + 1);
        check(
            &format!("\n{key} = 1"),
            "x.toml:2:1: this key is longer than 256 bytes",
        );
        let many: String = (0..=SETTINGS_PER_FILE_MAX)
            .map(|n| format!("k{n}=1\n"))
            .collect();
        check(&many, "x.toml: holds more than 1024 settings");
        let deep = format!("a = {}", "[".repeat(10_000));
        assert!(Document::parse("x.toml", deep.as_bytes()).is_err());
    }

    #[test]
    fn bytes_that_are_no_text_are_placed() {
        let fault = Document::parse("x.toml", b"a = 1\nb = \"\xff\"").unwrap_err();
        assert_eq!(fault.to_string(), "x.toml:2:6: is not UTF-8 from here on");
    }
}
