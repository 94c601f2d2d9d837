//! What nodes say to each other about transactions, as bytes. Little endian; a
//! text is its length, u16, and its bytes.
//!
//! | question | as |
//! |---|---|
//! | 1, mark: topic, partition | u8, 16 bytes, u32 |
//! | producer, epoch, ending (0 abort, 1 commit), coordinator epoch, raised | u64, i16, u8, i32, u8 |
//! | 2, verify: transactional id, producer, epoch | u8, text, u64, i16 |
//! | count of places; each: topic, partition | u32; text, u32 |
//! | 3, add: as 2, and behind it raised | u8 |
//!
//! | answer | as |
//! |---|---|
//! | 1, marked: written, needless, refused, unknown | u8, u8 |
//! | 2, verified: count; each 0 or an error | u8, u32; u8 ... |
//! | 3, added | u8 |
//! | 4, refused: an error | u8, u8 ... |

use crate::ids::{PartitionId, ProducerId, TopicId};
use crate::limits::TRANSACTION_PLACES_MAX;
use crate::streams::Key;
use crate::streams::batch::control::{Ending, Marker};
use crate::streams::producers::Closing;
use crate::streams::transactions::record::Stage;
use crate::streams::transactions::request::{Reply, Request};
use crate::streams::transactions::{Error, Identity, Marked, Name, Place};
use crate::wire::{Cursor, Short};
use std::collections::BTreeSet;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Question {
    Mark(Key, Closing),
    /// `Verify` or `Add`.
    Ask(Request),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Marked(Marked),
    /// `Verified` or `Added`.
    Asked(Result<Reply, Error>),
}

/// The message does not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unsound;

impl From<Short> for Unsound {
    fn from(_: Short) -> Self {
        Self
    }
}

/// What a coordinator on another node has found wrong, and says in its own
/// journal.
const INVALID_ELSEWHERE: &str = "is not valid, says the transaction's coordinator";

const MARK: u8 = 1;
const VERIFY: u8 = 2;
const ADD: u8 = 3;

const MARKED: u8 = 1;
const VERIFIED: u8 = 2;
const ADDED: u8 = 3;
const REFUSED: u8 = 4;

impl Question {
    /// None for what is asked of one's own node alone.
    pub fn encode(&self) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        match self {
            Self::Mark(key, closing) => {
                bytes.push(MARK);
                bytes.extend_from_slice(&key.topic.0);
                bytes.extend_from_slice(&key.partition.0.to_le_bytes());
                bytes.extend_from_slice(&closing.id.0.to_le_bytes());
                bytes.extend_from_slice(&closing.epoch.to_le_bytes());
                bytes.push(match closing.marker.ending {
                    Ending::Abort => 0,
                    Ending::Commit => 1,
                });
                bytes.extend_from_slice(&closing.marker.coordinator_epoch.to_le_bytes());
                bytes.push(closing.raises_epoch.into());
            }
            Self::Ask(Request::Verify { id, who, places }) => {
                bytes.push(VERIFY);
                put_places(&mut bytes, id, *who, places);
            }
            Self::Ask(Request::Add {
                id,
                who,
                places,
                is_raised,
            }) => {
                bytes.push(ADD);
                put_places(&mut bytes, id, *who, places);
                bytes.push((*is_raised).into());
            }
            Self::Ask(_) => return None,
        }
        Some(bytes)
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, Unsound> {
        let mut cursor = Cursor::new(bytes);
        let question = match cursor.u8()? {
            MARK => {
                let key = Key {
                    topic: TopicId(cursor.bytes16()?),
                    partition: PartitionId(cursor.u32()?),
                };
                let who = identity(&mut cursor)?;
                let ending = match flag(&mut cursor)? {
                    false => Ending::Abort,
                    true => Ending::Commit,
                };
                let closing = Closing {
                    id: who.id,
                    epoch: who.epoch,
                    marker: Marker {
                        ending,
                        coordinator_epoch: cursor.u32()? as i32,
                    },
                    raises_epoch: flag(&mut cursor)?,
                };
                Self::Mark(key, closing)
            }
            VERIFY => {
                let (id, who, places) = places(&mut cursor)?;
                Self::Ask(Request::Verify { id, who, places })
            }
            ADD => {
                let (id, who, places) = places(&mut cursor)?;
                let is_raised = flag(&mut cursor)?;
                Self::Ask(Request::Add {
                    id,
                    who,
                    places,
                    is_raised,
                })
            }
            _ => return Err(Unsound),
        };
        match cursor.left() {
            0 => Ok(question),
            _ => Err(Unsound),
        }
    }
}

impl Answer {
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self {
            Self::Marked(marked) => {
                let marked = match marked {
                    Marked::Written => 1,
                    Marked::Needless => 2,
                    Marked::Refused => 3,
                    Marked::Unknown => 4,
                };
                bytes.extend_from_slice(&[MARKED, marked]);
            }
            Self::Asked(Ok(Reply::Verified(each))) => {
                bytes.push(VERIFIED);
                bytes.extend_from_slice(&(each.len() as u32).to_le_bytes());
                for one in each {
                    match one {
                        Ok(()) => bytes.push(0),
                        Err(error) => put_error(&mut bytes, error),
                    }
                }
            }
            Self::Asked(Ok(_)) => bytes.push(ADDED),
            Self::Asked(Err(error)) => {
                bytes.push(REFUSED);
                put_error(&mut bytes, error);
            }
        }
        bytes
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, Unsound> {
        let mut cursor = Cursor::new(bytes);
        let answer = match cursor.u8()? {
            MARKED => Self::Marked(match cursor.u8()? {
                1 => Marked::Written,
                2 => Marked::Needless,
                3 => Marked::Refused,
                4 => Marked::Unknown,
                _ => return Err(Unsound),
            }),
            VERIFIED => {
                let mut each = Vec::new();
                for _ in 0..count(&mut cursor)? {
                    each.push(match cursor.u8()? {
                        0 => Ok(()),
                        code => Err(error(code, &mut cursor)?),
                    });
                }
                Self::Asked(Ok(Reply::Verified(each)))
            }
            ADDED => Self::Asked(Ok(Reply::Added)),
            REFUSED => {
                let code = cursor.u8()?;
                Self::Asked(Err(error(code, &mut cursor)?))
            }
            _ => return Err(Unsound),
        };
        match cursor.left() {
            0 => Ok(answer),
            _ => Err(Unsound),
        }
    }
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    // Names are bounded far below, where they come in at the door.
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&text.as_bytes()[..length.into()]);
}

fn text(cursor: &mut Cursor) -> Result<Name, Unsound> {
    let length = cursor.u16()?;
    let bytes = cursor.take(length.into())?;
    std::str::from_utf8(bytes)
        .map(Name::from)
        .map_err(|_| Unsound)
}

fn put_places(bytes: &mut Vec<u8>, id: &str, who: Identity, places: &BTreeSet<Place>) {
    put_text(bytes, id);
    bytes.extend_from_slice(&who.id.0.to_le_bytes());
    bytes.extend_from_slice(&who.epoch.to_le_bytes());
    bytes.extend_from_slice(&(places.len() as u32).to_le_bytes());
    for place in places {
        put_text(bytes, &place.topic);
        bytes.extend_from_slice(&place.partition.0.to_le_bytes());
    }
}

fn places(cursor: &mut Cursor) -> Result<(Name, Identity, BTreeSet<Place>), Unsound> {
    let (id, who) = (text(cursor)?, identity(cursor)?);
    let mut places = BTreeSet::new();
    for _ in 0..count(cursor)? {
        let topic = text(cursor)?;
        let partition = PartitionId(cursor.u32()?);
        places.insert(Place { topic, partition });
    }
    Ok((id, who, places))
}

fn identity(cursor: &mut Cursor) -> Result<Identity, Unsound> {
    let id = ProducerId(cursor.u64()?);
    let epoch = cursor.u16()? as i16;
    Ok(Identity { id, epoch })
}

fn flag(cursor: &mut Cursor) -> Result<bool, Unsound> {
    match cursor.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Unsound),
    }
}

fn count(cursor: &mut Cursor) -> Result<usize, Unsound> {
    match cursor.u32()? as usize {
        count if count > TRANSACTION_PLACES_MAX => Err(Unsound),
        count => Ok(count),
    }
}

fn put_error(bytes: &mut Vec<u8>, error: &Error) {
    match *error {
        Error::NotCoordinator => bytes.push(1),
        Error::Loading => bytes.push(2),
        Error::Busy => bytes.push(3),
        Error::Full => bytes.push(4),
        Error::UnknownPartition => bytes.push(5),
        Error::InvalidRequest(_) => bytes.push(6),
        Error::InvalidTimeout { given, most } => {
            bytes.push(7);
            bytes.extend_from_slice(&given.to_le_bytes());
            bytes.extend_from_slice(&most.to_le_bytes());
        }
        Error::UnknownId => bytes.push(8),
        Error::OtherProducer => bytes.push(9),
        Error::Fenced { given, current } => {
            bytes.push(10);
            bytes.extend_from_slice(&given.to_le_bytes());
            bytes.extend_from_slice(&current.to_le_bytes());
        }
        Error::Concurrent => bytes.push(11),
        Error::InvalidState { stage } => {
            bytes.push(12);
            bytes.push(stage.number() as u8);
        }
        Error::Abortable => bytes.push(13),
        Error::NoProducerIds => bytes.push(14),
    }
}

fn error(code: u8, cursor: &mut Cursor) -> Result<Error, Unsound> {
    Ok(match code {
        1 => Error::NotCoordinator,
        2 => Error::Loading,
        3 => Error::Busy,
        4 => Error::Full,
        5 => Error::UnknownPartition,
        6 => Error::InvalidRequest(INVALID_ELSEWHERE),
        7 => Error::InvalidTimeout {
            given: cursor.u32()? as i32,
            most: cursor.u32()?,
        },
        8 => Error::UnknownId,
        9 => Error::OtherProducer,
        10 => Error::Fenced {
            given: cursor.u16()? as i16,
            current: cursor.u16()? as i16,
        },
        11 => Error::Concurrent,
        12 => {
            let number = cursor.u8()? as i8;
            let stage = Stage::of(number).ok_or(Unsound)?;
            Error::InvalidState { stage }
        }
        13 => Error::Abortable,
        14 => Error::NoProducerIds,
        _ => return Err(Unsound),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::Seeded;

    const WHO: Identity = Identity {
        id: ProducerId(1000),
        epoch: 3,
    };

    fn places() -> BTreeSet<Place> {
        let place = |topic: &str, partition| Place {
            topic: topic.into(),
            partition: PartitionId(partition),
        };
        [place("t", 1), place("__consumer_offsets", 7)].into()
    }

    fn questions() -> Vec<Question> {
        let key = Key {
            topic: TopicId([2; 16]),
            partition: PartitionId(5),
        };
        let closing = |ending, raises_epoch| Closing {
            id: WHO.id,
            epoch: WHO.epoch,
            marker: Marker {
                ending,
                coordinator_epoch: 9,
            },
            raises_epoch,
        };
        let (id, who, places): (Name, _, _) = ("pay".into(), WHO, places());
        vec![
            Question::Mark(key, closing(Ending::Commit, true)),
            Question::Mark(key, closing(Ending::Abort, false)),
            Question::Ask(Request::Verify {
                id: id.clone(),
                who,
                places: places.clone(),
            }),
            Question::Ask(Request::Add {
                id,
                who,
                places,
                is_raised: true,
            }),
        ]
    }

    fn answers() -> Vec<Answer> {
        let errors = [
            Error::NotCoordinator,
            Error::Loading,
            Error::Busy,
            Error::Full,
            Error::UnknownPartition,
            Error::InvalidRequest(INVALID_ELSEWHERE),
            Error::InvalidTimeout { given: -1, most: 9 },
            Error::UnknownId,
            Error::OtherProducer,
            Error::Fenced {
                given: 1,
                current: 2,
            },
            Error::Concurrent,
            Error::InvalidState {
                stage: Stage::PrepareAbort,
            },
            Error::Abortable,
            Error::NoProducerIds,
        ];
        let marked = [
            Marked::Written,
            Marked::Needless,
            Marked::Refused,
            Marked::Unknown,
        ];
        let each = errors.iter().map(|error| Err(*error)).chain([Ok(())]);
        let verified = Answer::Asked(Ok(Reply::Verified(each.collect())));
        let refused = errors.map(|error| Answer::Asked(Err(error)));
        let mut all: Vec<Answer> = marked.map(Answer::Marked).into();
        all.extend([verified, Answer::Asked(Ok(Reply::Added))]);
        all.extend(refused);
        all
    }

    #[test]
    fn what_is_said_is_heard() {
        for question in questions() {
            let bytes = question.encode().unwrap();
            assert_eq!(Question::decode(&bytes), Ok(question));
            for end in 0..bytes.len() {
                assert_eq!(Question::decode(&bytes[..end]), Err(Unsound));
            }
        }
        for answer in answers() {
            let bytes = answer.encode();
            assert_eq!(Answer::decode(&bytes), Ok(answer));
            for end in 0..bytes.len() {
                assert_eq!(Answer::decode(&bytes[..end]), Err(Unsound));
            }
        }
        assert_eq!(Question::Ask(Request::List).encode(), None);
    }

    #[test]
    fn the_bytes_are_those_of_the_first_release() {
        let hex = |bytes: &[u8]| -> String { bytes.iter().map(|b| format!("{b:02x}")).collect() };
        let said: Vec<_> = questions().iter().filter_map(Question::encode).collect();
        let mark = "010202020202020202020202020202020205000000e803000000000000030001090000000\
                    1";
        assert_eq!(hex(&said[0]), mark);
        let add = "030300706179e80300000000000003000200000012005f5f636f6e73756d65725f6f66667365747307000000\
                   010074010000000\
                   1";
        assert_eq!(hex(&said[3]), add);
        let marked = Answer::Marked(Marked::Needless).encode();
        assert_eq!(hex(&marked), "0102");
    }

    #[test]
    fn damage_is_refused_or_says_something_else() {
        let mut chance = Seeded::new(1);
        let questions = questions();
        let said = questions.iter().filter_map(Question::encode);
        let answers = answers();
        let all: Vec<_> = said.chain(answers.iter().map(Answer::encode)).collect();
        for _ in 0..2_000 {
            for whole in &all {
                let mut bytes = whole.clone();
                let at = chance.below(bytes.len() as u64) as usize;
                bytes[at] ^= 1 << chance.below(8);
                let _ = (Question::decode(&bytes), Answer::decode(&bytes));
            }
        }
    }
}
