//! All of several writes or nothing, as one transaction.

use super::command::{Create, Outcome, Write};
use super::error::Error;
use super::quota::{QuotaNode, Quotas};
use super::writes::Writes;

impl Writes<'_> {
    /// Each write sees those before it. When one fails, the tree, and what is
    /// told of it, is as if none had been tried.
    pub fn multi(&mut self, writes: &[Write]) -> Vec<Result<Outcome, Error>> {
        let told = self.changes.len();
        self.tree.begin();
        let mut outcomes = Vec::with_capacity(writes.len());
        for write in writes {
            let outcome = self.write(write);
            let failed = outcome.is_err();
            outcomes.push(outcome);
            if failed {
                self.tree.undo();
                if writes.iter().any(is_of_limits) {
                    *self.quotas = Quotas::read(self.tree);
                }
                self.changes.truncate(told);
                return failure(outcomes, writes.len());
            }
        }
        self.tree.keep();
        outcomes
    }
}

fn is_of_limits(write: &Write) -> bool {
    let (Write::Create(Create { path, .. }) | Write::Delete { path, .. }) = write else {
        return false;
    };
    matches!(QuotaNode::of(path), Some(QuotaNode::Limits(_)))
}

/// The last of the outcomes is the failure: what came before it did nothing,
/// what comes behind it was not tried.
fn failure(mut outcomes: Vec<Result<Outcome, Error>>, of: usize) -> Vec<Result<Outcome, Error>> {
    let before = outcomes.len() - 1;
    outcomes[..before].fill(Ok(Outcome::Checked));
    outcomes.resize(of, Err(Error::NotReached));
    outcomes
}
