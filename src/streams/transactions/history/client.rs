//! A producer: of the older rule, by which its epoch stays and partitions are
//! added first, or of the newer one.

use super::super::request::{Reply, Request};
use super::super::{Error, Identity, Name, Place};
use super::partition::Write;
use super::world::{PARTITIONS, World, place};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long it waits for an answer before it asks again.
const PATIENCE: Duration = Duration::from_millis(1500);

pub(super) struct Client {
    number: usize,
    pub id: Name,
    pub is_raised: bool,
    state: State,
    holder: Option<Identity>,
    /// The number of its next record in each partition, under its epoch.
    sequences: BTreeMap<u32, i32>,
    /// The transaction it is in.
    serial: u64,
    asked: Option<(u64, Duration)>,
    tries: u32,
    /// A write whose fate it does not know: the epoch must change.
    is_unsure: bool,
}

#[derive(Clone, Debug)]
enum State {
    Fresh { was: Option<Identity> },
    Idle,
    Adding { places: BTreeSet<Place> },
    Writing { left: Vec<u32> },
    Ending { is_committed: bool },
}

impl Client {
    pub(super) fn new(number: usize, id: &str, is_raised: bool) -> Self {
        Self {
            number,
            id: id.into(),
            is_raised,
            state: State::Fresh { was: None },
            holder: None,
            sequences: BTreeMap::new(),
            serial: 0,
            asked: None,
            tries: 0,
            is_unsure: false,
        }
    }

    pub(super) fn is_at_rest(&self) -> bool {
        matches!(self.state, State::Idle | State::Fresh { was: None })
    }

    pub(super) fn act(&mut self, world: &mut World, is_last: bool) {
        if let Some((_, at)) = self.asked {
            if world.now < at + PATIENCE {
                return;
            }
            self.asked = None;
            self.tries += 1;
        }
        if is_last && self.is_at_rest() {
            return;
        }
        match self.state.clone() {
            State::Fresh { was } => {
                let request = Request::Init {
                    id: self.id.clone(),
                    was,
                    timeout_ms: 8_000,
                };
                self.ask(world, request);
            }
            State::Idle => self.begin(world),
            State::Adding { places } => self.add(world, places),
            State::Writing { left } => self.write(world, left),
            State::Ending { is_committed } => self.end(world, is_committed),
        }
    }

    fn ask(&mut self, world: &mut World, request: Request) {
        // The older rule relies on its connection: what it has given up does
        // not come any more.
        let may_be_late = self.is_raised && !matches!(request, Request::Init { .. });
        let number = world.ask(self.number, request, may_be_late);
        self.asked = Some((number, world.now));
    }

    fn begin(&mut self, world: &mut World) {
        self.serial = world.next_serial(&self.id);
        self.is_unsure = false;
        let chance = &mut world.chance;
        let count = 1 + chance.below(4);
        let left: Vec<u32> = (0..count)
            .map(|_| chance.below(PARTITIONS.into()) as u32)
            .collect();
        self.state = match self.is_raised {
            true => State::Writing { left },
            false => State::Adding {
                places: left.iter().copied().map(place).collect(),
            },
        };
    }

    fn add(&mut self, world: &mut World, places: BTreeSet<Place>) {
        let Some(who) = self.holder else { return };
        let request = Request::Add {
            id: self.id.clone(),
            who,
            places,
            is_raised: false,
        };
        self.ask(world, request);
    }

    fn write(&mut self, world: &mut World, left: Vec<u32>) {
        let Some(who) = self.holder else { return };
        let Some(&partition) = left.last() else {
            let is_committed = !world.chance.one_in(4);
            return self.decide(world, is_committed);
        };
        if self.tries > 2 {
            self.is_unsure = true;
            return self.decide(world, false);
        }
        let sequence = *self.sequences.entry(partition).or_default();
        let number = world.write(Write {
            client: self.number,
            number: 0,
            id: self.id.clone(),
            who,
            sequence,
            partition,
            serial: self.serial,
            is_raised: self.is_raised,
        });
        self.asked = Some((number, world.now));
    }

    fn decide(&mut self, world: &mut World, is_committed: bool) {
        self.tries = 0;
        if is_committed {
            world.meant(self.serial);
        }
        self.state = State::Ending { is_committed };
    }

    fn end(&mut self, world: &mut World, is_committed: bool) {
        let Some(who) = self.holder else { return };
        let request = Request::End {
            id: self.id.clone(),
            who,
            is_committed,
            is_raised: self.is_raised,
        };
        world.asks_end(self.number, &self.id, self.serial);
        self.ask(world, request);
    }

    /// It is another one now, which knows nothing.
    fn die(&mut self) {
        self.holder = None;
        self.state = State::Fresh { was: None };
        self.tries = 0;
    }

    fn go_as(&mut self, holder: Identity) {
        if self.holder != Some(holder) {
            self.holder = Some(holder);
            self.sequences.clear();
        }
    }

    /// A partition has taken a record, or not.
    pub(super) fn hear_write(&mut self, number: u64, written: Result<(), Option<Error>>) {
        if self.asked.is_none_or(|(asked, _)| asked != number) {
            return;
        }
        self.asked = None;
        let State::Writing { left } = &mut self.state else {
            return;
        };
        match written {
            Ok(()) => {
                if let Some(partition) = left.pop() {
                    *self.sequences.entry(partition).or_default() += 1;
                }
                self.tries = 0;
            }
            Err(Some(error)) if is_passing(error) => {}
            Err(_) => {
                self.is_unsure = true;
                self.tries = 0;
                self.state = State::Ending {
                    is_committed: false,
                };
            }
        }
    }

    pub(super) fn hear(
        &mut self,
        world: &mut World,
        number: u64,
        answer: &Result<Reply, Error>,
    ) -> Result<(), String> {
        if self.asked.is_none_or(|(asked, _)| asked != number) {
            return Ok(());
        }
        self.asked = None;
        match answer {
            Ok(reply) => self.hear_reply(world, reply),
            Err(error) => self.hear_error(world, *error),
        }
    }

    fn hear_reply(&mut self, world: &mut World, reply: &Reply) -> Result<(), String> {
        self.tries = 0;
        match (reply, self.state.clone()) {
            (Reply::Begun(holder), State::Fresh { .. }) => {
                self.go_as(*holder);
                self.state = State::Idle;
            }
            (Reply::Added, State::Adding { places }) => {
                let left = places.iter().map(|place| place.partition.0).collect();
                self.state = State::Writing { left };
            }
            (Reply::Ended(holder), State::Ending { is_committed }) => {
                world.ended(self.number, self.serial, is_committed)?;
                let was = self.holder;
                if self.is_raised {
                    self.go_as(*holder);
                }
                self.state = match self.is_unsure && !self.is_raised {
                    true => State::Fresh { was },
                    false => State::Idle,
                };
            }
            _ => {}
        }
        Ok(())
    }

    fn hear_error(&mut self, world: &mut World, error: Error) -> Result<(), String> {
        let is_committing = matches!(self.state, State::Ending { is_committed: true });
        match error {
            _ if is_passing(error) => {}
            Error::Abortable if is_committing => self.decide(world, false),
            Error::InvalidState { .. } if is_committing => {
                return Err(format!(
                    "a commit that was not answered is refused: {} {error}",
                    self.id
                ));
            }
            _ => self.die(),
        }
        Ok(())
    }
}

fn is_passing(error: Error) -> bool {
    matches!(
        error,
        Error::Concurrent
            | Error::NotCoordinator
            | Error::Loading
            | Error::Busy
            | Error::NoProducerIds
    )
}
