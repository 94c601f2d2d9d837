//! `DescribeUserScramCredentials`: who can log in, by which mechanisms, and with
//! how many iterations. Never by what.

use super::{Call, Handle};
use crate::ports::kafka::access::{Operation, Resource};
use crate::ports::kafka::messages::describe_user_scram_credentials::{
    CredentialInfo, DescribeUserScramCredentials, DescribeUserScramCredentialsRequest,
    DescribeUserScramCredentialsResponse, DescribeUserScramCredentialsResult, UserName,
};
use crate::ports::kafka::messages::{ErrorCode, Text};
use crate::ports::kafka::refused_access::denied;
use crate::state::topics::access::{Credential, Credentials, Mechanism, Users};
use std::collections::BTreeMap;

impl Handle for DescribeUserScramCredentials {
    const MAY_BE_LARGE: bool = true;

    async fn run(
        call: Call,
        request: DescribeUserScramCredentialsRequest,
    ) -> Option<DescribeUserScramCredentialsResponse> {
        if !call.may(Operation::Describe, Resource::Cluster) {
            let (error_code, error_message) = denied();
            return Some(DescribeUserScramCredentialsResponse {
                error_code,
                error_message,
                ..Default::default()
            });
        }
        let topics = call.door.site.topics();
        let users = &topics.access().users;
        let asked = request.users.unwrap_or_default();
        Some(DescribeUserScramCredentialsResponse {
            results: match asked.is_empty() {
                true => users
                    .iter()
                    .map(|(name, of)| shown(name.into(), of))
                    .collect(),
                false => some(users, asked),
            },
            ..Default::default()
        })
    }
}

/// Each once, in the order in which they were asked for.
fn some(users: &Users, asked: Vec<UserName>) -> Vec<DescribeUserScramCredentialsResult> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for user in &asked {
        *counts.entry(&user.name).or_default() += 1;
    }
    let mut results = Vec::new();
    for UserName { name, .. } in &asked {
        let (code, why) = match (counts.remove(&**name), users.of(name)) {
            (None, _) => continue,
            (Some(1), Some(of)) => {
                results.push(shown(name.clone(), of));
                continue;
            }
            (Some(1), None) => (ErrorCode::ResourceNotFound, "there is no such user"),
            (Some(_), _) => (ErrorCode::DuplicateResource, "the user is asked for twice"),
        };
        results.push(DescribeUserScramCredentialsResult {
            user: name.clone(),
            error_code: code,
            error_message: Some(why.into()),
            ..Default::default()
        });
    }
    results
}

fn shown(user: Text, of: &Credentials) -> DescribeUserScramCredentialsResult {
    let info = |(mechanism, credential): (&Mechanism, &Credential)| CredentialInfo {
        mechanism: number(*mechanism),
        iterations: credential.iterations as i32,
    };
    DescribeUserScramCredentialsResult {
        user,
        credential_infos: of.iter().map(info).collect(),
        ..Default::default()
    }
}

/// Kafka's.
pub fn number(mechanism: Mechanism) -> i8 {
    match mechanism {
        Mechanism::Sha256 => 1,
        Mechanism::Sha512 => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::kafka::acl_words::tests::say;
    use crate::ports::kafka::scram;
    use crate::state::topics::access::{AccessCommand, Secret, UserAlteration};
    use std::num::NonZeroU32;

    #[test]
    fn users_are_shown_once_each_and_without_keys() {
        let iterations = NonZeroU32::new(5000).unwrap();
        let one = scram::credential(Mechanism::Sha512, b"pencil", b"salt", iterations);
        let user = UserAlteration {
            name: "ann".into(),
            changes: vec![(Mechanism::Sha512, Some(one))],
        };
        let (secret, users) = (Secret([1; 32]), vec![user]);
        let access = say(AccessCommand::AlterUsers { secret, users });
        let asked = ["bob", "ann", "eve", "bob"].map(|name| UserName { name: name.into() });
        let results = some(&access.users, asked.into());
        let told = |one: &DescribeUserScramCredentialsResult| {
            let infos = one.credential_infos.iter();
            let infos = infos.map(|info| (info.mechanism, info.iterations));
            (one.user.to_string(), one.error_code, infos.collect())
        };
        let told: Vec<(String, ErrorCode, Vec<_>)> = results.iter().map(told).collect();
        assert_eq!(
            told,
            [
                ("bob".into(), ErrorCode::DuplicateResource, vec![]),
                ("ann".into(), ErrorCode::None, vec![(2, 5000)]),
                ("eve".into(), ErrorCode::ResourceNotFound, vec![]),
            ]
        );
    }
}
