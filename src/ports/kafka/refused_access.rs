//! Why users, rules and quotas are not altered, in Kafka's codes.

use super::Door;
use super::errors::in_words;
use super::messages::{ErrorCode, Text};
use crate::state::topics::access::{AccessCommand, AccessOutcome, AccessRefused};
use crate::state::topics::{StreamsCommand, StreamsOutcome};

/// A code, and what to tell a person.
pub type Said = (ErrorCode, Option<Text>);

pub const DONE: Said = (ErrorCode::None, None);

pub fn denied() -> Said {
    let code = ErrorCode::ClusterAuthorizationFailed;
    (code, Some(code.sentence().into()))
}

/// Of a user; of rules and quotas, `said_of_rule`.
pub fn said_of_user(refused: &AccessRefused) -> Said {
    let code = match refused {
        AccessRefused::UserName { .. }
        | AccessRefused::Iterations { .. }
        | AccessRefused::Salt { .. }
        | AccessRefused::Key { .. } => ErrorCode::UnacceptableCredential,
        other => return said_of_rule(other),
    };
    (code, Some(in_words(refused)))
}

pub fn said_of_rule(refused: &AccessRefused) -> Said {
    let code = match refused {
        AccessRefused::NoCredential => ErrorCode::ResourceNotFound,
        AccessRefused::Twice => ErrorCode::DuplicateResource,
        AccessRefused::UsersMax
        | AccessRefused::AclsMax
        | AccessRefused::QuotasMax
        | AccessRefused::NamedMax { .. }
        | AccessRefused::NoRoom => ErrorCode::PolicyViolation,
        AccessRefused::UserName { .. }
        | AccessRefused::Iterations { .. }
        | AccessRefused::Salt { .. }
        | AccessRefused::Key { .. }
        | AccessRefused::ResourceName { .. }
        | AccessRefused::ClusterName
        | AccessRefused::NoOperationOf { .. }
        | AccessRefused::NotAsWritten
        | AccessRefused::NoEntity
        | AccessRefused::Rate { .. } => ErrorCode::InvalidRequest,
    };
    (code, Some(in_words(refused)))
}

impl Door {
    /// What came of a command, or why nothing did.
    pub(super) async fn change_access(
        &self,
        command: AccessCommand,
    ) -> Result<AccessOutcome, Said> {
        match self.site.propose(StreamsCommand::Access(command)).await {
            Ok(StreamsOutcome::Access(AccessOutcome::Refused(refused))) => {
                Err(said_of_rule(&refused))
            }
            Ok(StreamsOutcome::Access(outcome)) => Ok(outcome),
            Ok(_) => Err((ErrorCode::UnknownServerError, None)),
            // Nothing can be agreed upon now: a client tries again.
            Err(why) => Err((ErrorCode::RequestTimedOut, Some(why.into()))),
        }
    }

    /// The same where each that was named has an outcome of its own.
    pub(super) async fn change_each(
        &self,
        command: AccessCommand,
        count: usize,
    ) -> Vec<Result<(), Refusal>> {
        let whole = match self.change_access(command).await {
            Ok(AccessOutcome::Each(each)) if each.len() == count => {
                let each = each.into_iter();
                return each.map(|one| one.map_err(Refusal::Own)).collect();
            }
            Ok(_) => (ErrorCode::UnknownServerError, None),
            Err(said) => said,
        };
        vec![Err(Refusal::Whole(whole)); count]
    }
}

/// Why one of several is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    Own(AccessRefused),
    /// Nothing of the command is.
    Whole(Said),
}

impl Refusal {
    pub fn said(self, of: fn(&AccessRefused) -> Said) -> Said {
        match self {
            Self::Own(refused) => of(&refused),
            Self::Whole(said) => said,
        }
    }
}
