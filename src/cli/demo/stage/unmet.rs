//! Questions that were not answered as hoped, and what became of a batch.

use super::super::super::Failure;
use super::super::super::client::Trouble;
use crate::ports::zookeeper::codec::PartResult;
use crate::ports::zookeeper::errors;
use std::fmt;

#[derive(Debug)]
pub enum Unmet {
    /// About a znode.
    Question { path: String, trouble: Trouble },
    /// The demo has its root no more.
    Lost { root: String },
}

impl Unmet {
    pub fn question(path: &str, trouble: Trouble) -> Self {
        Self::Question {
            path: path.into(),
            trouble,
        }
    }

    pub fn is(&self, code: i32) -> bool {
        matches!(self, Self::Question { trouble, .. } if trouble.is(code))
    }
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Question { path, trouble } => write!(f, "{path}: {trouble}"),
            Self::Lost { root } => write!(
                f,
                "this demo was silent for so long that its session ended, and its claim to {root} \
                 with it: run it again, which also removes what is left"
            ),
        }
    }
}

impl From<Unmet> for Failure {
    fn from(unmet: Unmet) -> Self {
        Self::failed(unmet)
    }
}

/// Where a batch failed, and the server's code; the operations behind that one
/// say nothing of why.
pub fn failed_at(results: &[PartResult]) -> Option<(usize, i32)> {
    let codes = results.iter().map(|result| match result {
        PartResult::Error(code) => *code,
        _ => errors::OK,
    });
    let mut failed = codes.enumerate();
    failed.find(|(_, code)| !matches!(*code, errors::OK | errors::RUNTIME_INCONSISTENCY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_tells_what_kept_it_from_being_done() {
        let failed = |codes: &[i32]| {
            let results: Vec<_> = codes.iter().copied().map(PartResult::Error).collect();
            failed_at(&results)
        };
        assert_eq!(failed_at(&[PartResult::Checked, PartResult::Deleted]), None);
        let behind = errors::RUNTIME_INCONSISTENCY;
        assert_eq!(
            failed(&[errors::NO_NODE, behind]),
            Some((0, errors::NO_NODE))
        );
        assert_eq!(
            failed(&[errors::OK, errors::NOT_EMPTY, behind]),
            Some((1, errors::NOT_EMPTY))
        );
    }
}
