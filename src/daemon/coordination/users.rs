//! The users of the Kafka door, as the admin socket asks for them.

use super::Shared;
use crate::entropy::{Entropy, MachineEntropy};
use crate::state::topics::access::{
    AccessCommand, AccessOutcome, Credential, Mechanism, Secret, UserAlteration,
};
use crate::state::topics::{StreamsCommand, StreamsOutcome};
use crate::state::{Command, Outcome};
use serde_json::{Value, json};

impl Shared {
    /// Makes a user, or gives one other credentials.
    pub async fn add_user(
        &self,
        name: &str,
        credentials: Vec<(Mechanism, Credential)>,
    ) -> Result<Value, String> {
        let changes = credentials.into_iter();
        let changes = changes.map(|(mechanism, one)| (mechanism, Some(one)));
        self.alter_user(name, changes.collect()).await?;
        Ok(json!({ "user": name }))
    }

    /// A line for each mechanism of each user.
    pub async fn list_users(&self) -> Result<Value, String> {
        let users = self.look(|replica, _| {
            let users = &replica.state().topics().access().users;
            let lines = users.iter().flat_map(|(name, of)| {
                of.iter().map(move |(mechanism, credential)| {
                    json!({
                        "name": name,
                        "mechanism": mechanism.name(),
                        "iterations": credential.iterations,
                    })
                })
            });
            Value::from(lines.collect::<Vec<_>>())
        });
        users.await.ok_or_else(|| "the node is stopping".into())
    }

    pub async fn remove_user(&self, name: &str) -> Result<Value, String> {
        let user = name.to_string();
        let found = self.look(move |replica, _| {
            let users = &replica.state().topics().access().users;
            let of = users.of(&user);
            of.map(|of| of.keys().map(|mechanism| (*mechanism, None)).collect())
        });
        let found = found.await.ok_or("the node is stopping")?;
        let changes = found.ok_or("there is no such user: dolmen user list")?;
        self.alter_user(name, changes).await?;
        Ok(json!({ "removed": name }))
    }

    async fn alter_user(
        &self,
        name: &str,
        changes: Vec<(Mechanism, Option<Credential>)>,
    ) -> Result<(), String> {
        let mut secret = Secret([0; 32]);
        let drawn = MachineEntropy.fill(&mut secret.0);
        drawn.map_err(|error| error.to_string())?;
        let name = name.into();
        let users = vec![UserAlteration { name, changes }];
        let command = AccessCommand::AlterUsers { secret, users };
        let command = Command::Streams(StreamsCommand::Access(command));
        match self.command(command).await? {
            Outcome::Streams(StreamsOutcome::Access(AccessOutcome::Each(each))) => {
                let refused = each.into_iter().find_map(Result::err);
                refused.map_or(Ok(()), |refused| Err(refused.to_string()))
            }
            Outcome::Streams(StreamsOutcome::Access(AccessOutcome::Refused(refused))) => {
                Err(refused.to_string())
            }
            other => Err(format!("an answer of another kind: {other:?}")),
        }
    }
}
