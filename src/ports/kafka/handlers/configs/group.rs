//! The settings of a consumer group: its own, and where it has none those of all.

use super::{Entry, Kind, Source, Synonym};
use crate::ports::kafka::messages::Text;
use crate::state::topics::Topics;
use crate::state::topics::overrides::{GROUP_TABLE, GroupOverrides, GroupRow};

/// All that there are, by name. A group need not be there to have some.
pub(in super::super) fn group_entries(topics: &Topics, group: &str) -> Vec<Entry> {
    let group = topics.overrides().group(group);
    GROUP_TABLE.iter().map(|row| entry(row, group)).collect()
}

fn entry(row: &GroupRow, group: GroupOverrides) -> Entry {
    let name = Text::from_static(row.name);
    let text = |value: u32| Some(Text::from(value.to_string()));
    let own = row.own(group).map(|own| Synonym {
        name: name.clone(),
        value: text(own),
        source: Source::Group,
    });
    let of_brokers = Synonym {
        name: Text::from_static(row.of_brokers),
        value: text(row.default),
        source: Source::Default,
    };
    let in_force = own.as_ref().unwrap_or(&of_brokers);
    Entry {
        value: in_force.value.clone(),
        source: in_force.source,
        name,
        kind: Kind::Int,
        is_read_only: false,
        synonyms: own.into_iter().chain([of_brokers]).collect(),
        doc: Text::from_static(row.doc),
    }
}
