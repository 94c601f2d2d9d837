//! Where a group of consumers stands, and how far it has come by this command.

use super::reading::Reading;
use crate::cli::Failure;
use crate::cli::kafka::{Cluster, Trouble};
use crate::cli::topic::groups::{describing, standing};
use crate::cli::topic::shape::about;
use crate::clock::{Clock, MachineClock};
use std::collections::BTreeMap;
use std::time::Duration;

pub struct Committing {
    group: String,
    topic: String,
    committed: BTreeMap<i32, i64>,
    clock: MachineClock,
    next: Duration,
}

impl Committing {
    const EVERY: Duration = Duration::from_secs(5);

    /// Others of the group would read the same records.
    pub fn begin(cluster: &mut Cluster, group: &str, topic: &str) -> Result<Self, Failure> {
        let named = |trouble: Trouble| about(&format!("group {group}"), trouble);
        if let Some(described) = describing::find(cluster, group).map_err(named)? {
            described.must_be_empty()?;
        }
        let places = standing::committed(cluster, group).map_err(named)?;
        let own = places.into_iter().filter(|((name, _), _)| name == topic);
        Ok(Self {
            group: group.into(),
            topic: topic.into(),
            committed: own.map(|((_, number), offset)| (number, offset)).collect(),
            clock: MachineClock::new(),
            next: Self::EVERY,
        })
    }

    pub fn committed(&self) -> &BTreeMap<i32, i64> {
        &self.committed
    }

    pub fn now_and_then(&mut self, reading: &mut Reading) -> Result<(), Failure> {
        if self.clock.monotonic() < self.next {
            return Ok(());
        }
        self.next = self.clock.monotonic() + Self::EVERY;
        let printed = reading.printed();
        self.end(reading.cluster(), &printed)
    }

    pub fn end(
        &mut self,
        cluster: &mut Cluster,
        printed: &BTreeMap<i32, i64>,
    ) -> Result<(), Failure> {
        let news: BTreeMap<(String, i32), i64> = printed
            .iter()
            .filter(|(number, offset)| self.committed.get(number) != Some(offset))
            .map(|(number, offset)| ((self.topic.clone(), *number), *offset))
            .collect();
        if news.is_empty() {
            return Ok(());
        }
        let committed = standing::commit(cluster, &self.group, &news);
        committed.map_err(|trouble| {
            let what = format!("how far group {} has come is not noted", self.group);
            about(&what, trouble)
        })?;
        self.committed.extend(printed);
        Ok(())
    }
}
