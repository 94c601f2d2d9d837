//! From one generation to the next: wait until all have joined, choose, tell.

use super::{Classic, Gathering, Member, Phase};
use crate::planted;
use crate::streams::groups::request::Reply;
use crate::streams::groups::turn::Turn;
use crate::streams::groups::{Blob, Error, Name};
use std::collections::BTreeMap;

impl Classic {
    /// What this generation shares out no longer holds: everybody is to join
    /// again. Who is in the middle of it hears so at once, the others with
    /// their next heartbeat.
    pub(super) fn share_out_anew(&mut self, turn: &mut Turn, group: &Name) {
        if !matches!(self.phase, Phase::Joining { .. }) {
            for member in self.members.values_mut() {
                if let Some(token) = member.syncing.take()
                    && !planted!(WaiterForgotten)
                {
                    member.renew(turn);
                    turn.answer(token, Err(Error::RebalanceInProgress));
                }
            }
            let delay_ms = turn.settings.initial_delay_ms;
            let is_first = self.phase == Phase::Empty && delay_ms > 0;
            self.phase = Phase::Joining {
                until: turn.after_ms(self.rebalance_ms()),
                gathering: is_first.then(|| Gathering {
                    until: turn.after_ms(delay_ms.min(self.rebalance_ms())),
                    has_grown: false,
                }),
            };
        }
        self.complete_if_all_joined(turn, group);
    }

    /// The slowest member's time to finish its work and join again.
    fn rebalance_ms(&self) -> u32 {
        let of_members = self.members.values().map(|member| member.rebalance_ms);
        of_members.max().unwrap_or(0)
    }

    pub(super) fn note_growth(&mut self) {
        if let Phase::Joining {
            gathering: Some(gathering),
            ..
        } = &mut self.phase
        {
            gathering.has_grown = true;
        }
    }

    pub(super) fn complete_if_all_joined(&mut self, turn: &mut Turn, group: &Name) {
        let Phase::Joining { gathering, .. } = self.phase else {
            return;
        };
        let is_gathering = gathering.is_some() && !self.members.is_empty();
        let all_joined = self.members.values().all(|member| member.joining.is_some());
        if all_joined && self.expected.is_empty() && !is_gathering {
            self.complete(turn, group);
        }
    }

    pub(super) fn tick_phase(&mut self, turn: &mut Turn, group: &Name) {
        match self.phase {
            Phase::Joining {
                until,
                gathering: Some(gathering),
            } if turn.is_due(gathering.until) => {
                let may_wait = gathering.has_grown && !turn.is_due(until);
                let next = turn.after_ms(turn.settings.initial_delay_ms).min(until);
                self.phase = Phase::Joining {
                    until,
                    gathering: may_wait.then_some(Gathering {
                        until: next,
                        has_grown: false,
                    }),
                };
                if !may_wait {
                    self.complete(turn, group);
                }
            }
            Phase::Joining {
                until,
                gathering: None,
            } if turn.is_due(until) => self.complete(turn, group),
            Phase::Syncing { until } | Phase::Stable { until: Some(until) }
                if turn.is_due(until) =>
            {
                self.drop_unsynced(turn, group);
            }
            _ => {}
        }
    }

    /// Who took the generation and never asked what it is to read.
    fn drop_unsynced(&mut self, turn: &mut Turn, group: &Name) {
        let unsynced: Vec<Name> = (self.members.iter())
            .filter(|(_, member)| !member.has_synced)
            .map(|(id, _)| id.clone())
            .collect();
        if let Phase::Stable { until } = &mut self.phase {
            *until = None;
        }
        match unsynced.is_empty() {
            // All ask and wait for a leader that is not among them.
            true if matches!(self.phase, Phase::Syncing { .. }) => {
                self.share_out_anew(turn, group);
            }
            true => {}
            false => self.remove(turn, group, &unsynced),
        }
    }

    fn complete(&mut self, turn: &mut Turn, group: &Name) {
        self.drop_absent(turn);
        if self.members.is_empty() {
            self.begin_generation();
            self.become_empty(turn, group);
            return;
        }
        let Some(leader) = self.choose_leader() else {
            // Static members alone, none of which came back: their sessions
            // end the wait. Who comes back is told to join again, for the
            // generation is the one it knows.
            self.phase = Phase::Joining {
                until: turn.after_ms(self.rebalance_ms().max(1)),
                gathering: None,
            };
            return;
        };
        self.begin_generation();
        self.leader = Some(leader);
        self.protocol = self.vote();
        self.phase = Phase::Syncing {
            until: turn.after_ms(self.rebalance_ms()),
        };
        for member in self.members.values_mut() {
            member.assignment = Blob::from([]);
            member.has_synced = false;
        }
        // Written before it is told, so that no number is given to two
        // generations, and a coordinator that comes next goes on with it.
        if !planted!(GenerationNotWritten) {
            self.write(turn, group);
        }
        self.tell(turn);
    }

    fn begin_generation(&mut self) {
        self.generation = self.generation.checked_add(1).unwrap_or(1);
    }

    /// Dynamic members that did not join again are gone. A static one may be
    /// restarting: its session decides.
    fn drop_absent(&mut self, turn: &mut Turn) {
        let is_absent = |member: &Member| member.joining.is_none() && member.instance.is_none();
        let absent = self.members.extract_if(.., |_, member| is_absent(member));
        for (_, member) in absent {
            turn.refuse(member.syncing, Error::UnknownMember);
        }
    }

    fn become_empty(&mut self, turn: &mut Turn, group: &Name) {
        self.phase = Phase::Empty;
        self.protocol = None;
        self.leader = None;
        self.emptied_at = turn.now.wall;
        self.write(turn, group);
    }

    /// The leader so far, where it is here.
    fn choose_leader(&self) -> Option<Name> {
        let is_here = |id: &&Name| (self.members.get(*id)).is_some_and(|it| it.joining.is_some());
        let leader = self.leader.as_ref().filter(is_here);
        leader
            .or_else(|| self.members.keys().find(is_here))
            .cloned()
    }

    /// Of the protocols that all know, the one that most like best; of equals,
    /// the first by name.
    fn vote(&self) -> Option<Name> {
        let is_common = |name: &Name| {
            let knows = |member: &Member| member.protocols.iter().any(|it| it.name == *name);
            self.members.values().all(knows)
        };
        let mut votes: BTreeMap<Name, usize> = BTreeMap::new();
        for member in self.members.values() {
            let mut offered = member.protocols.iter().map(|protocol| &protocol.name);
            if let Some(best) = offered.find(|name| is_common(name)) {
                *votes.entry(best.clone()).or_default() += 1;
            }
        }
        let most = votes.values().max().copied();
        let mut names = votes.into_iter();
        names
            .find(|(_, count)| Some(*count) == most)
            .map(|(name, _)| name)
    }

    fn tell(&mut self, turn: &mut Turn) {
        let mut waiting = Vec::new();
        for (id, member) in &mut self.members {
            member.is_new = false;
            if let Some(token) = member.joining.take() {
                member.renew(turn);
                waiting.push((token, id.clone()));
            }
        }
        for (token, id) in waiting {
            turn.answer(token, Ok(Reply::Joined(self.joined(&id))));
        }
    }
}
