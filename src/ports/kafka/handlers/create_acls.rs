//! `CreateAcls`: rules are added, each that can be.

use super::{Call, Handle};
use crate::ports::kafka::access::{Operation, Resource};
use crate::ports::kafka::acl_words::{Meaningless, Words};
use crate::ports::kafka::errors::in_words;
use crate::ports::kafka::messages::create_acls::{
    AclCreation, AclCreationResult, CreateAcls, CreateAclsRequest, CreateAclsResponse,
};
use crate::ports::kafka::refused_access::{DONE, Said, denied, said_of_rule};
use crate::state::topics::access::{AccessCommand, Binding};

impl Handle for CreateAcls {
    async fn run(call: Call, request: CreateAclsRequest) -> Option<CreateAclsResponse> {
        let results = created(&call, request.creations).await;
        Some(CreateAclsResponse {
            results: results.into_iter().map(result).collect(),
            ..Default::default()
        })
    }
}

async fn created(call: &Call, creations: Vec<AclCreation>) -> Vec<Said> {
    if !call.may(Operation::Alter, Resource::Cluster) {
        return vec![denied(); creations.len()];
    }
    let read: Vec<_> = creations.into_iter().map(binding).collect();
    let bindings: Vec<Binding> = read.iter().flatten().cloned().collect();
    let count = bindings.len();
    let mut each = match count {
        0 => Vec::new(),
        _ => {
            let command = AccessCommand::CreateAcls { bindings };
            call.door.change_each(command, count).await
        }
    }
    .into_iter();
    let outcome = |read: Result<Binding, Said>| match read {
        Err(said) => said,
        Ok(_) => match each.next() {
            Some(Err(refusal)) => refusal.said(said_of_rule),
            Some(Ok(())) | None => DONE,
        },
    };
    read.into_iter().map(outcome).collect()
}

fn binding(creation: AclCreation) -> Result<Binding, Said> {
    let words = Words {
        resource_type: creation.resource_type,
        resource_name: creation.resource_name,
        pattern_type: creation.resource_pattern_type,
        principal: creation.principal,
        host: creation.host,
        operation: creation.operation,
        permission_type: creation.permission_type,
    };
    let read = words.read();
    read.map_err(|why| (Meaningless::CODE, Some(in_words(why))))
}

fn result((error_code, error_message): Said) -> AclCreationResult {
    AclCreationResult {
        error_code,
        error_message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::kafka::handlers::trial::{Trial, run};

    #[test]
    fn what_is_refused_is_said_however_long_its_words_are() {
        let trial = Trial::new(&[]);
        let creation = |principal: &str, host: &str| AclCreation {
            resource_type: 2,
            resource_name: "a".into(),
            principal: principal.into(),
            host: host.into(),
            operation: 3,
            permission_type: 3,
            ..AclCreation::default()
        };
        // What is quoted with its control characters is longer yet.
        let longest = ["x".repeat(i16::MAX as usize), "\u{1}".repeat(10_000)];
        run(async {
            for word in &longest {
                let creations = vec![creation(word, "*"), creation("User:ann", word)];
                let request = CreateAclsRequest { creations };
                let response = trial.ask::<CreateAcls>(3, request).await;
                for result in response.results {
                    assert_eq!(result.error_code, Meaningless::CODE);
                    let why = result.error_message.expect("a reason");
                    assert!(why.ends_with(" ..."), "{why}");
                }
            }
        });
    }
}
