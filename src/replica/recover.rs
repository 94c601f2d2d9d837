//! A cluster whose majority is gone for good begins again from one of its
//! members. Everything that member holds is kept, also what it did not know to
//! be agreed on: somebody may have been told that it was. From here on it is
//! the one voter.
//!
//! What was agreed on without this member is lost. A person has to say that
//! this is meant; no node comes here by itself.

use super::level_file::LevelFile;
use super::levels;
use super::snapshots::{self, Head, Place, Taking};
use super::start::{Start, Unread, entries_behind, founding, newest_snapshot};
use super::storage::{Remembered, Storage};
use crate::clock::Millis;
use crate::consensus::{Body, Entry, Members};
use crate::disk::{Disk, Task};
use crate::ids::{Index, NodeId, SessionId, Term, Zxid};
use crate::limits::SNAPSHOT_NODES_PER_SLICE;
use crate::log::OpenError;
use crate::state::{
    Command, MemberCommand, MemberOutcome, Outcome, Raised, Role, State, Submission, codec,
};
use std::sync::Arc;

/// What the cluster begins again with.
#[derive(Clone, Debug)]
pub struct Recovered {
    pub node: NodeId,
    /// Who is no member any more.
    pub removed: Vec<NodeId>,
    pub zxid: Zxid,
    pub index: Index,
    pub term: Term,
    /// The last entry that this node knew to be agreed on.
    pub known_committed: Index,
    /// The last that it holds.
    pub held: Index,
    pub nodes: u64,
}

/// Rewrites the folder's history so that the node is alone. The one step that
/// counts is the naming of a snapshot: before it nothing has changed, and
/// behind it everything has.
pub fn recover(start: Start<'_>) -> Result<Recovered, OpenError> {
    let Start {
        settings,
        is_founder,
        opening,
        data,
        now,
        ..
    } = start;
    let (node, known) = (settings.node, settings.release.features);
    let file = LevelFile::open(data).map_err(OpenError::io("read the feature level"))?;
    if let Some(raised) = Raised::above(known, file.kept()) {
        return Err(levels::refused(raised));
    }
    let (mut storage, Remembered { hard, .. }) = Storage::open(opening)?;
    let (_, loaded) = newest_snapshot(&storage, known).map_err(Unread::refused)?;
    let snapshot = match &loaded {
        Some(loaded) => loaded.as_snapshot(),
        None if is_founder => founding(),
        None => {
            return Err(unusable(
                "this node holds nothing of its cluster's state yet",
            ));
        }
    };
    let tail = entries_behind(&mut storage, &snapshot).map_err(Unread::refused)?;
    let state = loaded.map_or_else(|| State::new(settings.cluster), |loaded| loaded.state);
    let mut history = History {
        known,
        state,
        index: snapshot.index,
        term: snapshot.term,
    };
    for entry in &tail {
        history.apply(entry)?;
    }
    let held = history.index;
    let removed = history.leave_alone(node, now.wall)?;
    // A place that no history of the cluster has: behind what is held, and in
    // a term that nobody has led.
    let place = Place {
        index: Index(held.0 + 1),
        term: Term(history.term.max(hard.term).0 + 1),
    };
    history.state.begin_term(place.term);
    levels::settle(&file, history.state.members().features(), false)?;
    let head = Head {
        cluster: settings.cluster,
        place,
        members: Members::of_voters([node]),
    };
    write(storage.disk(), head, &mut history.state)?;
    let recovered = Recovered {
        node,
        removed,
        zxid: history.state.zxid(),
        index: place.index,
        term: place.term,
        known_committed: hard.commit,
        held,
        nodes: history.state.figures().nodes,
    };
    storage.close().map_err(|fatal| unusable(&fatal.reason))?;
    Ok(recovered)
}

fn unusable(why: &str) -> OpenError {
    OpenError::Identity(why.into())
}

struct History {
    /// The highest level that this build knows.
    known: u32,
    state: State,
    index: Index,
    term: Term,
}

impl History {
    /// As a replica would have, and without its clients.
    fn apply(&mut self, entry: &Entry) -> Result<(), OpenError> {
        if entry.index.0 != self.index.0 + 1 {
            return Err(unusable(&format!(
                "entry {} follows entry {}: what stands between is missing",
                entry.index, self.index
            )));
        }
        if entry.term > self.term {
            self.term = entry.term;
            self.state.begin_term(entry.term);
        }
        self.index = entry.index;
        let Body::Data(bytes) = &entry.body else {
            return Ok(());
        };
        self.check_level(codec::level_of(bytes))?;
        // What every replica passes over is passed over here.
        let Ok((now, submissions)) = codec::decode_entry(self.known, bytes) else {
            return Ok(());
        };
        for submission in submissions.into_iter().flatten() {
            self.state.apply(now, &submission, &mut Vec::new());
            self.check_level(self.state.members().features())?;
        }
        Ok(())
    }

    fn check_level(&self, level: u32) -> Result<(), OpenError> {
        Raised::above(self.known, level).map_or(Ok(()), |raised| Err(levels::refused(raised)))
    }

    /// Everybody else leaves the members' list.
    fn leave_alone(&mut self, node: NodeId, now: Millis) -> Result<Vec<NodeId>, OpenError> {
        let listed: Vec<NodeId> = self
            .state
            .members()
            .iter()
            .map(|member| member.node)
            .collect();
        if !listed.contains(&node) {
            return Err(unusable(&format!(
                "node {node} is not among the members that it knows: it cannot stand for them"
            )));
        }
        let role = Role::Voter;
        self.command(now, MemberCommand::SetRole { node, role })?;
        let others: Vec<NodeId> = listed.into_iter().filter(|one| *one != node).collect();
        for other in &others {
            self.command(now, MemberCommand::Remove { node: *other })?;
        }
        Ok(others)
    }

    fn command(&mut self, now: Millis, command: MemberCommand) -> Result<(), OpenError> {
        let submission = Submission {
            origin: NodeId(0),
            tag: 0,
            session: SessionId(0),
            connection: 0,
            sequence: 0,
            who: Vec::new(),
            command: Command::Members(command),
        };
        let applied = self.state.apply(now, &submission, &mut Vec::new());
        match applied.outcome {
            Ok(Outcome::Members(MemberOutcome::Refused(why))) => Err(unusable(&why)),
            Ok(_) => Ok(()),
            Err(error) => Err(unusable(&error.to_string())),
        }
    }
}

fn write(disk: &Arc<dyn Disk>, head: Head, state: &mut State) -> Result<(), OpenError> {
    let done = |task: Task| task().map_err(OpenError::io("write the snapshot"));
    done(snapshots::abandon(disk))?;
    let begun = Taking::begin(&**disk, head).map_err(OpenError::io("begin the snapshot"));
    let (mut taking, task) = begun?;
    done(task)?;
    state.begin_walk();
    while let Some(frame) = state.walk_slice(SNAPSHOT_NODES_PER_SLICE) {
        done(taking.frame(&frame))?;
    }
    let (task, _) = taking.finish(disk);
    done(task)
}
