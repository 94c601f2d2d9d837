//! The node that a bundle is about: its settings as far as they can be told, its
//! answer if it gives one, and what must not leave the machine.

use super::bounded::within;
use super::unit;
use crate::cli::here::Here;
use crate::daemon::ask::Talk;
use crate::daemon::config::{
    FILE, Known, SETTINGS, Sources, installed_file, profile_folders, variable,
};
use crate::limits::SETTINGS_BYTES_MAX;
use crate::profile::{Document, Entry, Kind, Knob, Machine, Value};
use serde_json::{Value as Json, json};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A daemon answers from memory.
pub(super) const ANSWER: Duration = Duration::from_secs(5);

pub(super) struct Node {
    /// The settings' file, whether it can be read or not.
    pub file: Option<PathBuf>,
    pub known: Known,
    pub data: PathBuf,
    pub socket: PathBuf,
    /// `dolmen status`, or why there is none.
    pub status: Result<Json, String>,
    /// The unit that runs it, or why none does.
    pub unit: Result<String, String>,
    /// What systemd shows of the unit, secrets included.
    pub unit_shown: Result<String, String>,
}

impl Node {
    pub(super) fn look(here: &Here, config: Option<PathBuf>, unit: &str) -> Self {
        let dev = here.dev_settings();
        let unit = match &dev {
            None => Ok(unit.to_owned()),
            Some(_) => Err("a node of dolmen dev has no unit; it speaks on its terminal".into()),
        };
        let file = config.or(dev).or_else(installed_file);
        let asked = file.clone();
        let known = within(2 * ANSWER, move || Known::of(&sources(asked, None)));
        let known = known.unwrap_or_else(|_| Known::without_data(&sources(file.clone(), None)));
        let socket = here.named_socket().unwrap_or_else(|| known.admin_socket());
        let asked = socket.clone();
        let status = within(2 * ANSWER, move || {
            let talk = Talk::open_for(&asked, ANSWER);
            talk.and_then(|mut talk| talk.ask(&json!({ "ask": "status" })))
                .map_err(|error| error.to_string())
        });
        let status = status.and_then(|answer| answer);
        // A node that answers knows best where its data is.
        let told = status
            .as_ref()
            .ok()
            .and_then(|status| status["data"].as_str());
        Self {
            data: told.map_or_else(|| known.data(), PathBuf::from),
            file,
            known,
            socket,
            status,
            unit_shown: unit.clone().and_then(|unit| unit::shown(&unit)),
            unit,
        }
    }

    pub(super) fn told(&self) -> Vec<String> {
        let file = match &self.file {
            Some(file) => file.display().to_string(),
            None => format!("none; {FILE} is not there"),
        };
        let running = match &self.status {
            Ok(status) => status["state"]
                .as_str()
                .unwrap_or("of no known state")
                .to_owned(),
            Err(why) => format!("does not answer: {why}"),
        };
        vec![
            format!("settings file: {file}"),
            format!("data folder:   {}", self.data.display()),
            format!("admin socket:  {}", self.socket.display()),
            format!("daemon:        {running}"),
        ]
    }

    /// What must not be in the bundle, as far as it can be known.
    pub(super) fn secrets(&self) -> Vec<String> {
        let mut secrets = Vec::new();
        // A file that is no TOML is looked at line by line.
        let lines = match (&self.known.document, &self.file) {
            (None, Some(file)) => read(file),
            _ => String::new(),
        };
        secrets.extend(self.known.document.iter().flat_map(in_document));
        secrets.extend(secret_keys().flat_map(|key| in_lines(&lines, key)));
        let unit = self.unit_shown.as_deref();
        secrets.extend(unit.into_iter().flat_map(in_environment));
        let of_file = |key: &str| {
            let mut paths = in_lines(&lines, key);
            if let Some(Value::Text(path)) = &self.known.layers.setting(key).value {
                paths.push(path.to_string());
            }
            let texts = paths.iter().map(|path| read(Path::new(path)));
            texts.collect::<Vec<_>>().join("\n")
        };
        let users = of_file("doors.zookeeper.sasl_users_file");
        let passwords = users.lines().filter_map(|line| line.split_once(':'));
        secrets.extend(passwords.map(|(_, password)| password.trim().to_owned()));
        let keys = ["doors.zookeeper.tls_key", "doors.kafka.tls_key"].map(of_file);
        // The last line of a key may be short, and is of no use by itself.
        let lines = keys.iter().flat_map(|key| key.lines());
        let lines = lines.filter(|line| line.len() >= 24);
        secrets.extend(
            lines
                .filter(|line| !line.starts_with("-----"))
                .map(str::to_owned),
        );
        // Of `super:HASH` the hash alone is told in places, too.
        let parts = secrets.iter().filter_map(|secret| secret.split_once(':'));
        let parts: Vec<String> = parts.map(|(_, hash)| hash.to_owned()).collect();
        secrets.extend(parts);
        secrets
    }
}

/// As the daemon reads them, without an environment: that of a shell is not the
/// daemon's.
pub(super) fn sources(file: Option<PathBuf>, data: Option<PathBuf>) -> Sources<'static> {
    Sources {
        file,
        data,
        environment: Vec::new(),
        set: Vec::new(),
        machine: &Machine::here,
        profile_folders: profile_folders(),
    }
}

fn knob(key: &str) -> Option<&'static Knob> {
    SETTINGS
        .iter()
        .flat_map(|table| table.iter())
        .find(|knob| knob.key == key)
}

/// The secrets that a file sets, and the texts that are set where no table has a
/// place for them: a password on the wrong line is a password.
fn in_document(document: &Document) -> Vec<String> {
    let is_open = |entry: &&Entry| {
        let knob = knob(&entry.key);
        knob.is_some_and(|knob| !matches!(knob.kind, Kind::Secret) && knob.kind.takes(&entry.value))
    };
    let closed = document.entries.iter().filter(|entry| !is_open(entry));
    closed.flat_map(|entry| texts(&entry.value)).collect()
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Text(text) => vec![text.to_string()],
        Value::List(values) => values.iter().flat_map(texts).collect(),
        Value::Number(_) | Value::Switch(_) | Value::Other(_) => Vec::new(),
    }
}

fn secret_keys() -> impl Iterator<Item = &'static str> {
    let knobs = SETTINGS.iter().flat_map(|table| table.iter());
    knobs
        .filter(|knob| matches!(knob.kind, Kind::Secret))
        .map(|knob| knob.key)
}

/// What stands behind the name of a key, in whatever section.
fn in_lines(text: &str, key: &str) -> Vec<String> {
    let name = key.rsplit('.').next().unwrap_or(key);
    let of_line = |line: &str| {
        let (key, value) = line.split_once('=')?;
        let value = value.trim();
        let is_it = key.trim_end().trim_end_matches('"').ends_with(name);
        let value = match value.chars().next()? {
            quote @ ('"' | '\'') => value[1..].split(quote).next()?,
            _ => value.split([' ', '\t', '#']).next()?,
        };
        (is_it && !value.is_empty()).then(|| value.to_owned())
    };
    text.lines().filter_map(of_line).collect()
}

/// The secrets in what systemd shows of a unit's environment.
fn in_environment(unit: &str) -> Vec<String> {
    let of_key = |key: &str| {
        let (_, value) = unit.split_once(&format!("{}=", variable(key)))?;
        let value = value.split(['"', '\'', ' ', '\n']).next()?;
        Some(value.to_owned())
    };
    secret_keys().filter_map(of_key).collect()
}

/// Empty where it cannot be read: then this user's bundle cannot hold it either.
fn read(path: &Path) -> String {
    let mut bytes = Vec::new();
    let file = File::open(path);
    let read = file.map(|file| file.take(SETTINGS_BYTES_MAX as u64).read_to_end(&mut bytes));
    match read {
        Ok(_) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_found_in_files_that_a_start_refuses() {
        let text = "log.engine = \"auto\"\nlog.core = \"pa55word\"\nnode.pin = [\"one\", 2]\n\
                    [doors.zookeeper]\nsuper_digest = \"super:HASH\" # a\n";
        let document = Document::parse("d.toml", text.as_bytes()).unwrap();
        assert_eq!(in_document(&document), ["pa55word", "one", "super:HASH"]);
        let broken = "log.engine = \n[doors.zookeeper]\n super_digest = 'super:HASH' # a\n\
                      doors.zookeeper.super_digest=super:X # b\nnode.data=\"/x\"";
        let key = "doors.zookeeper.super_digest";
        assert_eq!(in_lines(broken, key), ["super:HASH", "super:X"]);
        let unit = "Environment=A=b DOLMEN_DOORS_ZOOKEEPER_SUPER_DIGEST=super:HASH C=d\n";
        assert_eq!(in_environment(unit), ["super:HASH"]);
    }
}
