//! Named texts, altered as either of Kafka's APIs has it.

use super::Texts;
use crate::limits::TOPIC_SETTING_BYTES_MAX;
use crate::state::topics::command::SettingsChange;
use crate::state::topics::settings::{self, Alteration, SettingFault, Unfit};
use crate::state::topics::table::Kind;

/// None of it, where one part of the change does not fit. `known` gives a
/// setting's name as the table has it, and what it may be.
pub(super) fn altered(
    now: Texts,
    change: &SettingsChange,
    known: impl Fn(&str) -> Option<(&'static str, Kind)>,
    of: &'static str,
) -> Result<Texts, SettingFault> {
    let found = |name: &str| known(name).ok_or_else(|| fault(name, Unfit::NotOf(of)));
    let mut texts = match change {
        SettingsChange::Alter(_) => now,
        SettingsChange::Replace(_) => Texts::new(),
    };
    let put = |texts: &mut Texts, name: &str, value: &str| {
        let (name, kind) = found(name)?;
        texts.insert(name, fitting(name, kind, value)?);
        Ok(())
    };
    settings::check_names(change.names())?;
    match change {
        SettingsChange::Replace(given) => {
            for (name, value) in given {
                put(&mut texts, name, value)?;
            }
        }
        SettingsChange::Alter(alterations) => {
            for (name, alteration) in alterations {
                match alteration {
                    Alteration::Set(value) => put(&mut texts, name, value)?,
                    // One that is not known is not set either.
                    Alteration::Delete => {
                        texts.remove(&**name);
                    }
                    Alteration::Append(_) | Alteration::Subtract(_) => {
                        found(name)?;
                        return Err(fault(name, Unfit::NotAList));
                    }
                }
            }
        }
    }
    Ok(texts)
}

pub(super) fn fitting(name: &str, kind: Kind, value: &str) -> Result<Box<str>, SettingFault> {
    let value = value.trim();
    if value.len() > TOPIC_SETTING_BYTES_MAX {
        let bytes = value.len();
        return Err(fault(name, Unfit::TooLong { bytes }));
    }
    match kind.takes(value) {
        true => Ok(value.to_ascii_lowercase().into()),
        false => Err(fault(name, Unfit::NotA(kind))),
    }
}

pub(super) fn fault(name: &str, why: Unfit) -> SettingFault {
    let name = name.into();
    SettingFault { name, why }
}
