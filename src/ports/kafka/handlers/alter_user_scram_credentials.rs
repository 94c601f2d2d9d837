//! `AlterUserScramCredentials`: credentials are made, changed and taken away. All
//! that is asked for one user is done, or nothing of it.

use super::describe_user_scram_credentials::number;
use super::{Call, Handle};
use crate::ports::kafka::access::{Operation, Resource};
use crate::ports::kafka::messages::alter_user_scram_credentials::{
    AlterUserScramCredentials, AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse,
    AlterUserScramCredentialsResult, ScramCredentialUpsertion,
};
use crate::ports::kafka::messages::{ErrorCode, Text};
use crate::ports::kafka::refused_access::{DONE, Said, denied, said_of_user};
use crate::ports::kafka::scram;
use crate::state::topics::access::{
    AccessCommand, AccessRefused, Credential, Mechanism, Secret, UserAlteration,
};
use std::collections::BTreeMap;

impl Handle for AlterUserScramCredentials {
    async fn run(
        call: Call,
        request: AlterUserScramCredentialsRequest,
    ) -> Option<AlterUserScramCredentialsResponse> {
        let users = by_user(request);
        let may = call.may(Operation::Alter, Resource::Cluster);
        let results = match may {
            true => altered(&call, users).await,
            false => users.into_keys().map(|user| (user, denied())).collect(),
        };
        Some(AlterUserScramCredentialsResponse {
            results: results.into_iter().map(result).collect(),
            ..Default::default()
        })
    }
}

type Changes = Vec<(Mechanism, Option<Credential>)>;

/// What is asked for each user, or the first thing that means nothing.
fn by_user(request: AlterUserScramCredentialsRequest) -> BTreeMap<Text, Result<Changes, Said>> {
    let mut users: BTreeMap<Text, Result<Changes, Said>> = BTreeMap::new();
    let deletions = request.deletions.into_iter().map(|one| {
        let change = mechanism(one.mechanism).map(|mechanism| (mechanism, None));
        (one.name, change)
    });
    let upsertions = request.upsertions.into_iter();
    let upsertions = upsertions.map(|one| (one.name.clone(), upserted(one)));
    for (name, change) in deletions.chain(upsertions) {
        let of = users.entry(name).or_insert_with(|| Ok(Vec::new()));
        match (of.as_mut(), change) {
            (Ok(changes), Ok(change)) => changes.push(change),
            (Ok(_), Err(said)) => *of = Err(said),
            (Err(_), _) => {}
        }
    }
    users
}

fn mechanism(asked: i8) -> Result<Mechanism, Said> {
    let mut all = Mechanism::ALL.into_iter();
    let found = all.find(|one| number(*one) == asked);
    let code = ErrorCode::UnsupportedSaslMechanism;
    found.ok_or_else(|| (code, Some(format!("{asked} is no mechanism").into())))
}

fn upserted(asked: ScramCredentialUpsertion) -> Result<(Mechanism, Option<Credential>), Said> {
    let mechanism = mechanism(asked.mechanism)?;
    let salted = &asked.salted_password.0;
    if salted.len() != mechanism.key_bytes() {
        let bytes = salted.len();
        return Err(said_of_user(&AccessRefused::Key { mechanism, bytes }));
    }
    let (stored_key, server_key) = scram::keys(mechanism, salted);
    let credential = Credential {
        salt: (&*asked.salt).into(),
        // Below zero are fewer than there must be.
        iterations: u32::try_from(asked.iterations).unwrap_or(0),
        stored_key,
        server_key,
    };
    let checked = credential.check(mechanism);
    checked.map_err(|refused| said_of_user(&refused))?;
    Ok((mechanism, Some(credential)))
}

async fn altered(call: &Call, users: BTreeMap<Text, Result<Changes, Said>>) -> Vec<(Text, Said)> {
    let (mut results, mut names, mut alterations) = (Vec::new(), Vec::new(), Vec::new());
    for (user, changes) in users {
        match changes {
            Err(said) => results.push((user, said)),
            Ok(changes) => {
                let name = (&*user).into();
                names.push(user);
                alterations.push(UserAlteration { name, changes });
            }
        }
    }
    if names.is_empty() {
        return results;
    }
    let mut secret = Secret([0; 32]);
    if call.door.entropy.fill(&mut secret.0).is_err() {
        let said: Said = (ErrorCode::UnknownServerError, None);
        results.extend(names.into_iter().map(|name| (name, said.clone())));
        return results;
    }
    let users = alterations;
    let command = AccessCommand::AlterUsers { secret, users };
    let each = call.door.change_each(command, names.len()).await;
    results.extend(names.into_iter().zip(each).map(|(name, outcome)| {
        let said = outcome.map_or_else(|refusal| refusal.said(said_of_user), |()| DONE);
        (name, said)
    }));
    results
}

fn result((user, (error_code, error_message)): (Text, Said)) -> AlterUserScramCredentialsResult {
    AlterUserScramCredentialsResult {
        user,
        error_code,
        error_message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::kafka::messages::alter_user_scram_credentials::ScramCredentialDeletion;
    use bytes::Bytes;

    fn upsertion(
        name: &str,
        mechanism: i8,
        iterations: i32,
        key: usize,
    ) -> ScramCredentialUpsertion {
        ScramCredentialUpsertion {
            name: name.into(),
            mechanism,
            iterations,
            salt: Bytes::from_static(b"salt"),
            salted_password: Bytes::from(vec![7; key]).into(),
        }
    }

    fn deletion(name: &str, mechanism: i8) -> ScramCredentialDeletion {
        ScramCredentialDeletion {
            name: name.into(),
            mechanism,
        }
    }

    #[test]
    fn what_means_nothing_is_refused_for_the_whole_user() {
        let request = AlterUserScramCredentialsRequest {
            deletions: vec![deletion("ann", 1), deletion("carl", 0), deletion("dora", 2)],
            upsertions: vec![
                upsertion("ann", 2, 4096, 64),
                upsertion("bob", 1, 4096, 32),
                upsertion("bob", 2, 4095, 64),
                upsertion("carl", 1, 4096, 32),
                upsertion("eve", 1, -1, 32),
                upsertion("fay", 1, 4096, 64),
                upsertion("gil", 3, 4096, 32),
            ],
        };
        let code = |of: Result<Changes, Said>| match of {
            Ok(changes) => (ErrorCode::None, changes.len()),
            Err((code, _)) => (code, 0),
        };
        let users = by_user(request).into_iter();
        let users: Vec<_> = users
            .map(|(name, of)| (name.to_string(), code(of)))
            .collect();
        let unacceptable = (ErrorCode::UnacceptableCredential, 0);
        let unsupported = (ErrorCode::UnsupportedSaslMechanism, 0);
        assert_eq!(
            users,
            [
                ("ann".into(), (ErrorCode::None, 2)),
                ("bob".into(), unacceptable),
                ("carl".into(), unsupported),
                ("dora".into(), (ErrorCode::None, 1)),
                ("eve".into(), unacceptable),
                ("fay".into(), unacceptable),
                ("gil".into(), unsupported),
            ]
        );
    }

    /// What Kafka's tool sends of a password is what we make of it ourselves.
    #[test]
    fn a_salted_password_is_as_good_as_the_password() {
        let iterations = std::num::NonZeroU32::new(4096).unwrap();
        let mut salted = [0; 32];
        let way = ring::pbkdf2::PBKDF2_HMAC_SHA256;
        ring::pbkdf2::derive(way, iterations, b"salt", b"pencil", &mut salted);
        let asked = ScramCredentialUpsertion {
            salted_password: Bytes::copy_from_slice(&salted).into(),
            ..upsertion("ann", 1, 4096, 0)
        };
        let (_, made) = upserted(asked).unwrap();
        let wanted = scram::credential(Mechanism::Sha256, b"pencil", b"salt", iterations);
        assert_eq!(made, Some(wanted));
    }
}
