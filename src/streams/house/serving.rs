//! What followers ask of a partition that this node leads. An ask that there is
//! nothing to answer with stands until there is, or for as long as a follower
//! may be without a word. How the watermark has moved is no reason by itself to
//! answer at once: a follower can wait for the next tick with it.

use super::holding::{Hands, Holding};
use crate::ids::{NodeId, Offset, Zxid};
use crate::limits::FOLLOW_WAIT_MS;
use crate::streams::desk;
use crate::streams::follow::{Answered, Asked};
use crate::streams::partition::{Answer, LeaderEpoch, Partition};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const WAIT: Duration = Duration::from_millis(FOLLOW_WAIT_MS);

#[derive(Default)]
pub(super) struct Serving {
    standing: BTreeMap<NodeId, Stands>,
    told: BTreeMap<NodeId, Told>,
    /// Where followers begin, also after a power cut, as far as is known.
    begin: BTreeMap<NodeId, Begins>,
    /// Of the last ask of each, in which of its lives. An older one that comes
    /// behind it takes no place of its.
    newest: BTreeMap<NodeId, (Zxid, u64)>,
}

/// What a follower was told last, with which of its asks.
struct Told {
    life: Zxid,
    number: u64,
    leader_epoch: LeaderEpoch,
    watermark: Offset,
    first: Offset,
}

struct Begins {
    life: Zxid,
    leader_epoch: LeaderEpoch,
    first: Offset,
}

struct Stands {
    asked: Asked,
    until: Duration,
    answer: desk::Answer<Answered>,
}

/// An ask of what this node does not know yet. The follower may have heard
/// sooner of what the replicated state says.
pub(super) struct Early {
    pub from: NodeId,
    pub asked: Asked,
    pub answer: desk::Answer<Answered>,
    /// When it is told "not now".
    pub until: Duration,
}

impl Early {
    /// The follower has said more. How far it is by now is said beside an ask,
    /// or with the one that takes its place.
    pub fn go_on_with(&mut self, later: Self) {
        let age = |one: &Self| (one.asked.ask.life, one.asked.number);
        if age(&later) < age(self) {
            return;
        }
        if later.asked.waits {
            *self = later;
        } else if later.asked.number == self.asked.number {
            self.asked.ask = later.asked.ask;
        }
    }

    /// What was only said beside an ask has no answer of its own.
    pub fn refuse(self) {
        if !self.asked.waits {
            return;
        }
        (self.answer)(answered(&self.asked, Answer::NotNow, Offset(0)));
    }
}

fn answered(asked: &Asked, answer: Answer, until: Offset) -> Answered {
    Answered {
        key: asked.key,
        number: asked.number,
        ask: asked.ask,
        answer,
        until,
    }
}

impl Serving {
    /// The ask behind the one that was answered says that the answer is taken in.
    fn note_taken_in(&mut self, node: NodeId, life: Zxid, number: u64) {
        let told = self.told.get(&node);
        let told = told.filter(|told| (told.life, told.number + 1) == (life, number));
        if let Some(told) = told {
            let begins = Begins {
                life,
                leader_epoch: told.leader_epoch,
                first: told.first,
            };
            self.begin.insert(node, begins);
        }
    }

    /// All others who may lead next begin there or behind it. Only what was said
    /// in this reign counts: with another leader they may have begun anew.
    pub fn all_begin_at<T>(&self, partition: &Partition<T>) -> Offset {
        let all = partition.heirs().map(|node| self.begins(partition, node));
        all.min().unwrap_or(Offset(u64::MAX))
    }

    pub fn begins<T>(&self, partition: &Partition<T>, node: NodeId) -> Offset {
        let standing = partition.standing();
        let is_current = |one: &&Begins| {
            let life = standing.lives.get(&node);
            let is_its = life.is_none_or(|&life| life == one.life);
            is_its && one.leader_epoch == standing.leader_epoch
        };
        let begins = self.begin.get(&node).filter(is_current);
        begins.map_or(Offset(0), |one| one.first)
    }
}

impl Holding {
    /// Gives back what comes too early to be answered.
    pub fn asked(&mut self, hands: &mut Hands, early: Early) -> Option<Early> {
        let is_open = self.is_open();
        let Some(partition) = self.partition.as_mut().filter(|_| is_open) else {
            return Some(early);
        };
        let (from, ask) = (early.from, early.asked.ask);
        let age = (ask.life, early.asked.number);
        let newest = self.serving.newest.entry(from).or_insert(age);
        if age < *newest {
            return None;
        }
        *newest = age;
        let answer = partition.asked(hands.since, from, ask);
        let (leads, taken) = (partition.leads(), partition.taken());
        let standing = partition.standing();
        let is_known = leads
            && standing.leader_epoch == ask.leader_epoch
            && standing.lives.get(&from) == Some(&ask.life);
        if answer == Answer::NotNow && !is_known && standing.leader_epoch <= ask.leader_epoch {
            return Some(early);
        }
        if !early.asked.waits {
            self.go_on(hands);
            return None;
        }
        self.serving
            .note_taken_in(from, ask.life, early.asked.number);
        match answer {
            Answer::Alike { .. } => {
                let stands = Stands {
                    asked: early.asked,
                    until: hands.since + WAIT,
                    answer: early.answer,
                };
                // Whoever asks again waits for what it asked before no more.
                self.serving.standing.insert(from, stands);
            }
            answer => (early.answer)(answered(&early.asked, answer, taken)),
        }
        self.go_on(hands);
        None
    }

    /// Answers those whose asks there are records for now, or that nobody will
    /// answer here any more.
    pub fn serve(&mut self) {
        if self.serving.standing.is_empty() {
            return;
        }
        let Some(partition) = &self.partition else {
            return;
        };
        let (leads, epoch) = (partition.leads(), partition.standing().leader_epoch);
        let taken = partition.taken();
        let is_over = |stands: &Stands| !leads || stands.asked.ask.leader_epoch != epoch;
        self.answer_those(|_, stands, _| is_over(stands) || taken > stands.asked.ask.next);
    }

    /// Answers those who have waited long enough, or may learn of something.
    pub fn serve_late(&mut self, now: Duration) {
        let Some(partition) = &self.partition else {
            return;
        };
        let (watermark, first) = (partition.watermark(), partition.first());
        let behind = |node: &NodeId| self.serving.begins(partition, *node) < first;
        let nodes = self.serving.standing.keys().copied();
        let behind: BTreeSet<NodeId> = nodes.filter(behind).collect();
        self.answer_those(|node, stands, told| {
            let is_told =
                told.is_some_and(|told| (told.watermark, told.first) == (watermark, first));
            stands.until <= now || !is_told || behind.contains(node)
        });
    }

    fn answer_those(&mut self, is_due: impl Fn(&NodeId, &Stands, Option<&Told>) -> bool) {
        let Some(partition) = &self.partition else {
            return;
        };
        let (watermark, first) = (partition.watermark(), partition.first());
        let everywhere = partition.everywhere();
        let (leads, taken) = (partition.leads(), partition.taken());
        let epoch = partition.standing().leader_epoch;
        let Serving { standing, told, .. } = &mut self.serving;
        let due = standing.extract_if(.., |node, one| is_due(node, one, told.get(node)));
        for (node, stands) in due.collect::<Vec<_>>() {
            let is_ours = leads && stands.asked.ask.leader_epoch == epoch;
            let answer = match is_ours {
                true => Answer::Alike {
                    watermark,
                    first,
                    everywhere,
                },
                false => Answer::NotNow,
            };
            let (life, number) = (stands.asked.ask.life, stands.asked.number);
            (stands.answer)(answered(&stands.asked, answer, taken));
            if is_ours {
                let now_told = Told {
                    life,
                    number,
                    leader_epoch: epoch,
                    watermark,
                    first,
                };
                told.insert(node, now_told);
            }
        }
    }
}
