//! The few settings that the daemon itself needs, from one file and the
//! command line. `compose` alone calls it.

use super::compose::{Settings, Sources};
use super::config::Config;
use super::refused::Refused;
use std::fs;
use std::io;
use std::path::Path;
use toml::{Table, Value};
use tracing::level_filters::LevelFilter;

const FILE: &str = "/etc/dolmen/dolmen.toml";

pub(super) fn load(sources: &Sources) -> Result<Settings, Refused> {
    let mut table = match &sources.file {
        Some(file) => read(file)?,
        None if Path::new(FILE).exists() => read(Path::new(FILE))?,
        None => Table::new(),
    };
    for set in &sources.sets {
        put(&mut table, set).map_err(Refused::Settings)?;
    }
    let mut settings = Settings {
        config: Config::built_in(),
        level: LevelFilter::INFO,
    };
    apply(&mut settings, "", &table).map_err(Refused::Settings)?;
    Ok(settings)
}

fn read(file: &Path) -> Result<Table, Refused> {
    let refused = |says: String| Refused::Settings(format!("{}{says}", file.display()));
    let text = fs::read_to_string(file).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => refused(": no such file: name another with --config".into()),
        _ => refused(format!(": {error}")),
    })?;
    text.parse().map_err(|error: toml::de::Error| {
        let before = &text[..error.span().map_or(0, |span| span.start)];
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        refused(format!(":{line}:{column}: {}", error.message()))
    })
}

/// Puts a `key=value` into its place. A value that is not TOML is a string,
/// so that addresses and paths need no quotes.
fn put(table: &mut Table, set: &str) -> Result<(), String> {
    let Some((key, value)) = set.split_once('=') else {
        return Err(format!("--set {set}: write it as key=value"));
    };
    let (folder, name) = key.rsplit_once('.').unwrap_or(("", key));
    let mut place = table;
    for part in folder.split('.').filter(|part| !part.is_empty()) {
        let inner = place
            .entry(part)
            .or_insert_with(|| Value::Table(Table::new()));
        place = inner
            .as_table_mut()
            .ok_or_else(|| format!("--set {set}: {part} is a value, not a table"))?;
    }
    let parsed = format!("value = {value}").parse::<Table>();
    let value = match parsed {
        Ok(mut table) if table.len() == 1 => table.remove("value"),
        _ => None,
    }
    .unwrap_or_else(|| Value::String(value.into()));
    place.insert(name.into(), value);
    Ok(())
}

/// One setting: its key, how it is read, how it is shown, whether a running
/// node takes a new value.
struct Key {
    name: &'static str,
    read: fn(&mut Settings, &str) -> Result<(), String>,
    show: fn(&Settings) -> String,
    is_live: bool,
}

const KEYS: &[Key] = &[
    Key {
        name: "node.data",
        read: |settings, text| {
            settings.config.data = text.into();
            Ok(())
        },
        show: |settings| settings.config.data.display().to_string(),
        is_live: false,
    },
    Key {
        name: "node.log_level",
        read: |settings, text| {
            settings.level = text
                .parse()
                .map_err(|_| "one of off, error, warn, info, debug, trace".to_string())?;
            Ok(())
        },
        show: |settings| settings.level.to_string(),
        is_live: true,
    },
    Key {
        name: "admin.socket",
        read: |settings, text| {
            settings.config.admin_socket = text.into();
            Ok(())
        },
        show: |settings| settings.config.admin_socket.display().to_string(),
        is_live: false,
    },
    Key {
        name: "doors.operator.listen",
        read: |settings, text| {
            let address = text
                .parse()
                .map_err(|_| "an address and a port, as in 127.0.0.1:7080".to_string())?;
            settings.config.operator_listen = Some(address);
            Ok(())
        },
        show: |settings| format!("{:?}", settings.config.operator_listen),
        is_live: false,
    },
];

fn apply(settings: &mut Settings, folder: &str, table: &Table) -> Result<(), String> {
    for (name, value) in table {
        let name = match folder {
            "" => name.clone(),
            folder => format!("{folder}.{name}"),
        };
        match (value, KEYS.iter().find(|key| key.name == name)) {
            (Value::String(text), Some(key)) => {
                (key.read)(settings, text)
                    .map_err(|wanted| format!("{name} = \"{text}\" is not {wanted}: correct it"))?;
            }
            (_, Some(_)) => return Err(format!("{name} = {value} is not a string: quote it")),
            (Value::Table(inner), None) => apply(settings, &name, inner)?,
            (_, None) => {
                let known: Vec<_> = KEYS.iter().map(|key| key.name).collect();
                let known = known.join(", ");
                return Err(format!("{name} is no setting: there are {known}"));
            }
        }
    }
    Ok(())
}

/// The settings that differ and that a running node cannot take.
pub(super) fn needing_restart(old: &Settings, new: &Settings) -> Vec<&'static str> {
    KEYS.iter()
        .filter(|key| !key.is_live && (key.show)(old) != (key.show)(new))
        .map(|key| key.name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(sets: &[&str]) -> Result<Settings, String> {
        let mut table = Table::new();
        for set in sets {
            put(&mut table, set)?;
        }
        let mut settings = Settings {
            config: Config::built_in(),
            level: LevelFilter::INFO,
        };
        apply(&mut settings, "", &table).map(|()| settings)
    }

    #[test]
    fn a_set_value_needs_no_quotes() {
        let settings = with(&["node.data=/tmp/d", "doors.operator.listen=[::1]:0"]).unwrap();
        assert_eq!(settings.config.data, Path::new("/tmp/d"));
        assert_eq!(settings.config.operator_listen, "[::1]:0".parse().ok());
        let quoted = with(&["node.data=\"/tmp/d\""]).unwrap();
        assert_eq!(quoted.config.data, Path::new("/tmp/d"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (set, says) in [
            ("node.dta=/tmp", "node.dta is no setting"),
            ("node.data", "write it as key=value"),
            ("node=3", "node is no setting"),
            ("node.data.x=3", "node.data = "),
            ("node.log_level=loud", "is not one of off"),
            ("doors.operator.listen=7080", "is not a string"),
            ("doors.operator.listen=host:1", "is not an address"),
        ] {
            let error = with(&[set]).unwrap_err();
            assert!(error.contains(says), "{set}: {error}");
        }
    }

    #[test]
    fn only_the_level_changes_in_a_running_node() {
        let old = with(&[]).unwrap();
        let new = with(&["node.log_level=debug", "node.data=/tmp/d"]).unwrap();
        assert_eq!(needing_restart(&old, &new), ["node.data"]);
    }
}
