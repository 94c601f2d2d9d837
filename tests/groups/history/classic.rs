//! A client of the classic protocol.

use super::world::{Answer, Asked, World, nobody};
use dolmen::entropy::Seeded;
use dolmen::streams::groups::record::Protocol;
use dolmen::streams::groups::request::*;
use dolmen::streams::groups::{Blob, Error, Name};
use std::collections::BTreeSet;

/// What a classic group shares out in this world, a byte each.
pub(super) const SLOTS: std::ops::Range<u8> = 0..6;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    Joining,
    /// With the members, where it leads.
    Syncing(Vec<Name>),
    Reading,
}

pub(super) struct ClassicClient {
    pub group: Name,
    pub instance: Option<Name>,
    pub is_paused: bool,
    pub owned: BTreeSet<u8>,
    member: Name,
    generation: i32,
    stage: Stage,
    asked: Option<Asked>,
    metadata: Blob,
    is_modern: bool,
}

impl ClassicClient {
    pub(super) fn new(group: &str, instance: Option<Name>, chance: &mut Seeded) -> Self {
        Self {
            group: group.into(),
            instance,
            is_paused: false,
            owned: BTreeSet::new(),
            member: Name::default(),
            generation: -1,
            stage: Stage::Joining,
            asked: None,
            metadata: vec![chance.below(2) as u8].into(),
            is_modern: chance.one_in(2),
        }
    }

    pub(super) fn settled_generation(&self) -> Option<i32> {
        (self.stage == Stage::Reading).then_some(self.generation)
    }

    pub(super) fn waits_for(&self, token: Token) -> bool {
        self.asked
            .as_ref()
            .is_some_and(|asked| asked.token == token)
    }

    fn caller(&self) -> Caller {
        Caller {
            member: self.member.clone(),
            instance: self.instance.clone(),
            generation: self.generation,
            ..nobody(&self.group)
        }
    }

    /// False where it is at an end.
    pub(super) fn act(&mut self, world: &mut World) -> bool {
        if self.is_paused {
            return true;
        }
        if let Some(asked) = &self.asked {
            // An answer that does not come: the connection is made anew.
            let patience_ms = match self.stage {
                Stage::Reading => 2_000,
                _ => 20_000,
            };
            if (world.now - asked.at).as_millis() < patience_ms {
                return true;
            }
            self.asked = None;
        }
        let request = match &self.stage {
            Stage::Joining => Request::Join(self.join(world)),
            Stage::Syncing(members) => Request::Sync(self.sync(members, world)),
            Stage::Reading => self.read(world),
        };
        self.asked = Some(world.ask(request));
        true
    }

    fn join(&self, world: &mut World) -> Join {
        let protocol = |name: &str| Protocol {
            name: name.into(),
            metadata: self.metadata.clone(),
        };
        Join {
            group: self.group.clone(),
            member: self.member.clone(),
            instance: self.instance.clone(),
            client_id: "classic".into(),
            client_host: "host".into(),
            session_ms: 8_000,
            rebalance_ms: 12_000,
            protocol_type: "consumer".into(),
            protocols: vec![protocol("range"), protocol("sticky")],
            is_known_id_required: self.is_modern,
            can_skip_assignment: self.is_modern,
            chance: world.uid(),
        }
    }

    fn sync(&self, members: &[Name], world: &mut World) -> Sync {
        let mut shares = vec![Vec::new(); members.len()];
        for slot in SLOTS {
            if !members.is_empty() {
                shares[world.chance.below(members.len() as u64) as usize].push(slot);
            }
        }
        Sync {
            caller: self.caller(),
            protocol_type: Some("consumer".into()),
            protocol: None,
            assignments: (members.iter().cloned())
                .zip(shares.into_iter().map(Blob::from))
                .collect(),
        }
    }

    fn read(&mut self, world: &mut World) -> Request {
        if !world.chance.one_in(3) {
            return Request::Heartbeat(self.caller());
        }
        let offset = world.new_offset(&self.group);
        Request::Commit(Commit {
            caller: self.caller(),
            retention_ms: None,
            offsets: vec![offset],
        })
    }

    pub(super) fn leave(&mut self, world: &mut World) {
        world.ask(Request::Leave(Leave {
            group: self.group.clone(),
            members: vec![(self.member.clone(), self.instance.clone())],
        }));
    }

    /// False where it is at an end.
    pub(super) fn hear(&mut self, answer: &Answer) -> bool {
        self.asked = None;
        match answer {
            Ok(Reply::Joined(joined)) => {
                self.member = joined.member.clone();
                self.generation = joined.generation;
                let members = match joined.is_assignment_skipped {
                    true => Vec::new(),
                    false => joined.members.iter().map(|it| it.id.clone()).collect(),
                };
                self.stage = Stage::Syncing(members);
            }
            Ok(Reply::Synced(synced)) => {
                self.owned = synced.assignment.iter().copied().collect();
                self.stage = Stage::Reading;
            }
            Err(Error::MemberIdRequired(id)) => self.member = id.clone(),
            Err(Error::UnknownMember) => {
                self.member = Name::default();
                self.join_again();
            }
            Err(Error::RebalanceInProgress | Error::IllegalGeneration { .. }) => self.join_again(),
            Err(Error::NotCoordinator | Error::Loading) => {}
            Ok(_) => {}
            // Fenced, or not of this kind of group: it gives up.
            Err(_) => return false,
        }
        true
    }

    fn join_again(&mut self) {
        self.stage = Stage::Joining;
        self.owned = BTreeSet::new();
    }
}
