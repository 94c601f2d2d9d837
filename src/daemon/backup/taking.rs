//! The daemon takes a backup back: each step is a command that a majority
//! agrees on before it is answered.

use super::super::coordination::Shared;
use crate::ids::{Uid, Zxid};
use crate::state::{
    Command, ImportedNode, Outcome, Restoration, Restore, RestoreOutcome, RestoreRefused,
    RestoreStep,
};

/// The batches of a restore that are on their way.
#[derive(Clone, Copy, Debug)]
pub struct Taking {
    pub backup: Uid,
    pub nodes: u64,
    pub digest: u64,
    pub zxid: Zxid,
}

/// What came of a beginning.
pub enum Begun {
    Stands(Restoration),
    /// It was restored before.
    Already,
}

/// Shuts clients out, where the backup can be restored here.
pub async fn begin(
    shared: &Shared,
    backup: Uid,
    features: u32,
    discards: bool,
) -> Result<Begun, String> {
    let known = shared.look(|replica, _| replica.state().members().features());
    let known = known.await.ok_or("the node is stopping")?;
    if features > known {
        return Err(format!(
            "the backup was made at feature level {features} and this cluster is at level \
             {known}: bring all its nodes to a newer dolmen first"
        ));
    }
    match step(shared, backup, RestoreStep::Begin { discards }).await? {
        RestoreOutcome::Already => Ok(Begun::Already),
        outcome => stands(outcome).map(Begun::Stands),
    }
}

/// Removes some of what is there.
pub async fn empty(shared: &Shared, backup: Uid) -> Result<Restoration, String> {
    stands(step(shared, backup, RestoreStep::Empty).await?)
}

/// Lets clients in again, where nothing was removed. Where something was, and
/// that is wanted, removes more of it each time it is asked, until all is gone
/// and clients are let in to nothing.
pub async fn give_up(shared: &Shared, discards: bool) -> Result<Restoration, String> {
    // The number of no backup: nobody draws it.
    let nothing = Uid::default();
    let give_up = |discards| RestoreStep::GiveUp { discards };
    let refused = match try_step(shared, nothing, give_up(false)).await? {
        Ok(_) => return Ok(Restoration::None),
        Err(why) => why,
    };
    if !discards || refused != RestoreRefused::CannotGiveUp {
        return Err(refused.to_string());
    }
    let begin = RestoreStep::Begin { discards };
    match stands(step(shared, nothing, begin).await?)? {
        Restoration::Emptying(_) => empty(shared, nothing).await,
        Restoration::Filling(_) => {
            let given_up = step(shared, nothing, give_up(true)).await;
            given_up.map(|_| Restoration::None)
        }
        // Somebody else was quicker; what is held stays.
        other => Ok(other),
    }
}

impl Taking {
    pub async fn fill(&self, shared: &Shared, nodes: Vec<ImportedNode>) -> Result<(), String> {
        let fill = RestoreStep::Fill(nodes);
        step(shared, self.backup, fill).await.map(drop)
    }

    /// Has every replica compare what it holds with the backup's sums, and
    /// lets clients in.
    pub async fn end(&self, shared: &Shared) -> Result<(), String> {
        let end = RestoreStep::End {
            nodes: self.nodes,
            digest: self.digest,
            zxid: self.zxid,
        };
        step(shared, self.backup, end).await.map(drop)
    }
}

async fn step(shared: &Shared, backup: Uid, step: RestoreStep) -> Result<RestoreOutcome, String> {
    let tried = try_step(shared, backup, step).await?;
    tried.map_err(|why| why.to_string())
}

async fn try_step(
    shared: &Shared,
    backup: Uid,
    step: RestoreStep,
) -> Result<Result<RestoreOutcome, RestoreRefused>, String> {
    let restore = Command::Restore(Restore { backup, step });
    match shared.command(restore).await? {
        Outcome::Restore(RestoreOutcome::Refused(why)) => Ok(Err(why)),
        Outcome::Restore(outcome) => Ok(Ok(outcome)),
        other => Err(format!("an answer of another kind: {other:?}")),
    }
}

fn stands(outcome: RestoreOutcome) -> Result<Restoration, String> {
    match outcome {
        RestoreOutcome::Stands(restoration) => Ok(restoration),
        other => Err(format!("an answer of another kind: {other:?}")),
    }
}
