//! Settings of topics, altered by command; a write to their node comes to the
//! same (`Streams::heed_settings`).

use super::command::{AlterSettings, StreamsOutcome, StreamsRefused};
use super::nodes::{self, SettingsRecord, StreamsNode};
use super::settings::TopicSettings;
use super::streams::Streams;

impl Streams<'_> {
    pub(super) fn alter(
        &mut self,
        alter: &AlterSettings,
    ) -> Result<StreamsOutcome, StreamsRefused> {
        let (name, topic) = self.topics.find(&alter.topic)?;
        let name = name.clone();
        let settings = topic.settings.changed(&alter.change)?;
        if !alter.validates_only && settings != topic.settings {
            self.put_settings(&name, settings);
        }
        Ok(StreamsOutcome::Altered)
    }

    pub(super) fn put_settings(&mut self, name: &str, settings: TopicSettings) {
        let record = SettingsRecord::of(&settings);
        self.put(&StreamsNode::Settings(name).path(), nodes::bytes(&record));
        self.set_settings(name, settings);
        self.revive(name);
    }
}
