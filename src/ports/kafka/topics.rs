//! Topics as the door itself makes them: those of the brokers' own, and the ids
//! of all.

use crate::entropy::Entropy;
use crate::ids::TopicId;
use crate::limits::TOPIC_IDS_DRAWN_MAX;
use crate::state::topics::command::StreamsOutcome;
use crate::state::topics::{
    CreateTopic, INTERNAL_FACTOR, Layout, StreamsCommand, StreamsRefused, names,
};
use crate::streams::Site;

/// A topic that brokers keep for themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Internal {
    Offsets,
    Transactions,
}

/// Groups and transactions are spread over as many coordinators. Kafka has 50 for
/// clusters of hundreds of brokers; with seven, 16 are even to within a seventh.
pub const INTERNAL_PARTITIONS: u32 = 16;
/// A coordinator reads its partition from the start when it takes it over, and
/// only sealed segments are compacted: as in Kafka they are a tenth of others.
const INTERNAL_SEGMENT_BYTES: &str = "104857600";

impl Internal {
    pub const ALL: [Self; 2] = [Self::Offsets, Self::Transactions];

    pub fn name(self) -> &'static str {
        match self {
            Self::Offsets => names::CONSUMER_OFFSETS,
            Self::Transactions => names::TRANSACTION_STATE,
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|which| which.name() == name)
    }

    fn creation(self, id: TopicId, brokers: usize) -> CreateTopic {
        let given = |name: &str, value: &str| (name.into(), value.into());
        CreateTopic {
            name: self.name().into(),
            id,
            layout: Layout::Spread {
                partitions: Some(INTERNAL_PARTITIONS),
                factor: Some(INTERNAL_FACTOR.min(brokers.max(1)) as u16),
            },
            settings: vec![
                given("cleanup.policy", "compact"),
                given("segment.bytes", INTERNAL_SEGMENT_BYTES),
            ],
            validates_only: false,
        }
    }
}

/// Makes a topic of the brokers' own, unless it is there. Whoever needs it asks
/// for it; of several who do at once one makes it and all find it. An error is
/// for a person.
pub async fn ensure_internal(
    site: &Site,
    entropy: &dyn Entropy,
    which: Internal,
) -> Result<(), String> {
    let topics = site.topics();
    if topics.get(which.name()).is_some() {
        return Ok(());
    }
    let creation = which.creation(draw_id(entropy)?, topics.brokers().count());
    let create = StreamsCommand::CreateTopic(creation);
    match site.propose(create).await? {
        StreamsOutcome::Refused(StreamsRefused::TopicExists) => Ok(()),
        StreamsOutcome::Refused(refused) => Err(format!("create {}: {refused}", which.name())),
        _ => Ok(()),
    }
}

/// An id for a topic. One that begins with "-", as one of 64 does, would be taken
/// for an option by tools.
pub fn draw_id(entropy: &dyn Entropy) -> Result<TopicId, String> {
    let mut id = TopicId::default();
    for _ in 0..TOPIC_IDS_DRAWN_MAX {
        let drawn = entropy.fill(&mut id.0);
        drawn.map_err(|error| format!("draw a topic's id: {error}"))?;
        if !id.is_reserved() && !id.to_string().starts_with('-') {
            return Ok(id);
        }
    }
    Err("draw a topic's id: the source of chance repeats itself".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::kafka::handlers::stage::{Stage, dice, run};
    use std::io;
    use std::sync::Mutex;

    #[test]
    fn a_topic_of_the_brokers_own_is_made_once() {
        let (stage, dice) = (Stage::new(5), dice());
        for which in Internal::ALL {
            for _ in 0..2 {
                let ensured = run(ensure_internal(&stage.site, &dice, which));
                assert_eq!(ensured, Ok(()));
            }
            let topics = stage.site.topics();
            let topic = topics.get(which.name()).unwrap();
            assert_eq!(topic.partitions.len(), 16);
            assert!(topic.settings.is_compacted() && !topic.settings.is_deleted_by_age());
            assert!(topic.partitions.iter().all(|one| one.replicas.len() == 3));
            assert!(crate::state::topics::names::is_internal(which.name()));
            assert_eq!(Internal::named(which.name()), Some(which));
        }
        assert_eq!(stage.proposed(), 2);
    }

    #[test]
    fn who_finds_it_made_by_another_is_content() {
        let stage = Stage::new(1);
        let late = Stage::new(1);
        // It sees nothing of what the other makes.
        let blind = stage.blind_to(&late);
        late.create("__consumer_offsets", 16, 1);
        let ensured = run(ensure_internal(&blind, &dice(), Internal::Offsets));
        assert_eq!(ensured, Ok(()));
    }

    #[test]
    fn why_it_is_not_made_is_said_in_words() {
        let why = |stage: &Stage| {
            let ensured = run(ensure_internal(&stage.site, &dice(), Internal::Offsets));
            ensured.unwrap_err()
        };
        let nobody = why(&Stage::new(0));
        assert!(
            nobody.starts_with("create __consumer_offsets: "),
            "{nobody}"
        );
        let stage = Stage::new(1);
        stage.lose_majority();
        assert_eq!(why(&stage), "no majority is there");
    }

    /// Chance that gives these bytes over and over, one for each draw.
    struct Bytes(Mutex<Vec<u8>>);

    impl Entropy for Bytes {
        fn fill(&self, into: &mut [u8]) -> io::Result<()> {
            let mut bytes = self.0.lock().unwrap();
            let byte = bytes.pop().ok_or(io::ErrorKind::UnexpectedEof)?;
            into.fill(byte);
            Ok(())
        }
    }

    #[test]
    fn an_id_is_no_option_and_not_reserved() {
        let draw =
            |bytes: &[u8]| draw_id(&Bytes(Mutex::new(bytes.iter().rev().copied().collect())));
        // 0xf8 and what follows begins with "-".
        assert_eq!(draw(&[0xf8, 0, 7, 9]), Ok(TopicId([7; 16])));
        let broken = draw(&[0; TOPIC_IDS_DRAWN_MAX + 1]).unwrap_err();
        assert!(broken.contains("repeats itself"), "{broken}");
        assert!(draw(&[]).unwrap_err().starts_with("draw a topic's id: "));
    }
}
