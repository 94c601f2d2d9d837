//! A producer whose transactions commit offsets of groups, and the coordinator
//! of its transactions, which tells doors whether one is open, and says its end
//! until it is heard.

use super::world::{Answer, Asked, GROUPS, World, nobody};
use dolmen::streams::groups::Name;
use dolmen::streams::groups::request::*;

pub(super) struct Producer {
    id: i64,
    epoch: i16,
    asked: Option<Asked>,
    /// The transaction is over, committed or not; not heard yet.
    ending: Option<bool>,
}

impl Producer {
    pub(super) fn new(id: i64) -> Self {
        Self {
            id,
            epoch: 0,
            asked: None,
            ending: None,
        }
    }

    pub(super) fn act(&mut self, world: &mut World, is_last: bool) {
        if let Some(asked) = &self.asked
            && (world.now - asked.at).as_millis() < 2_000
            && !is_last
        {
            return;
        }
        self.asked = None;
        if self.ending.is_none() && (is_last || world.chance.one_in(3)) {
            self.ending = Some(world.chance.one_in(2));
        }
        let asked = match self.ending {
            Some(is_committed) => world.ask(Request::EndTransaction(EndTransaction {
                producer: self.id,
                producer_epoch: self.epoch,
                is_committed,
            })),
            None => {
                let group = Name::from(GROUPS[world.chance.below(3) as usize]);
                let offset = world.new_offset(&group);
                world.ask(Request::CommitInTransaction(CommitInTransaction {
                    caller: nobody(&group),
                    producer: self.id,
                    producer_epoch: self.epoch,
                    offsets: vec![offset],
                    verified: None,
                }))
            }
        };
        self.asked = Some(asked);
    }

    /// What its coordinator says to a door.
    pub(super) fn is_open(&self, epoch: i16) -> bool {
        self.epoch == epoch && self.ending.is_none()
    }

    /// A door asks again for what it has asked for.
    pub(super) fn goes_on(&mut self, before: Token, token: Token) {
        let asked = self.asked.as_mut().filter(|asked| asked.token == before);
        if let Some(asked) = asked {
            asked.token = token;
        }
    }

    pub(super) fn hear(&mut self, token: Token, answer: &Answer) {
        if self.asked.as_ref().is_none_or(|asked| asked.token != token) {
            return;
        }
        self.asked = None;
        if matches!(answer, Ok(Reply::TransactionEnded)) {
            self.ending = None;
            self.epoch += 1;
        }
    }
}
