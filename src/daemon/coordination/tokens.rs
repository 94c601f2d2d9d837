//! The tokens by which other machines join.

use super::members::role_word;
use super::{Shared, says};
use crate::clock::Millis;
use crate::entropy::{Entropy, MachineEntropy};
use crate::peers::Token;
use crate::state::{MemberCommand, Role};
use serde_json::{Value, json};

impl Shared {
    /// Makes a token that one box may join with.
    pub async fn create_token(&self, role: Role, hours: u64) -> Result<Value, String> {
        let identity = self
            .identity()
            .ok_or("this node is by itself: run dolmen init first")?;
        let (mut id, mut secret) = ([0; 8], [0; 16]);
        MachineEntropy.fill(&mut id).map_err(says)?;
        MachineEntropy.fill(&mut secret).map_err(says)?;
        let (control, _) = self.own_addresses()?;
        let (host, port) = control.rsplit_once(':').ok_or("this node has no port")?;
        let token = Token {
            authority: identity.pin(),
            id,
            secret,
            host: host.into(),
            port: port.parse().map_err(says)?,
        };
        let until = Millis(self.clock.now().0 + hours * 3_600_000);
        let create = MemberCommand::CreateToken {
            id,
            secret_hash: token.secret_hash(),
            role,
            until,
        };
        self.members(create).await?;
        Ok(json!({
            "token": token.to_string(),
            "id": hex(&id),
            "until": until.to_string(),
        }))
    }

    pub async fn list_tokens(&self) -> Result<Value, String> {
        let now = self.clock.now();
        let tokens = self.look(move |replica, _| {
            let tokens = replica.state().members().tokens().iter();
            let shown = tokens.map(|(id, token)| {
                json!({
                    "id": hex(&id),
                    "role": role_word(token.role),
                    "until": token.until.to_string(),
                    "state": match &token.used {
                        Some(used) => format!("used by node {}", used.node),
                        None if token.until <= now => "expired".into(),
                        None => "open".into(),
                    },
                })
            });
            Value::from(shown.collect::<Vec<_>>())
        });
        tokens.await.ok_or_else(|| "the node is stopping".into())
    }

    pub async fn revoke_token(&self, id: &str) -> Result<Value, String> {
        let bytes = (id.len() == 16 && id.is_ascii()).then(|| {
            let digits = |at: usize| u8::from_str_radix(&id[2 * at..2 * at + 2], 16).ok();
            (0..8).map(digits).collect::<Option<Vec<u8>>>()
        });
        let bytes = bytes.flatten().and_then(|bytes| bytes.try_into().ok());
        let id = bytes.ok_or("a token's id is 16 hexadecimal digits: dolmen token list")?;
        self.members(MemberCommand::RevokeToken { id }).await?;
        Ok(json!({ "revoked": hex(&id) }))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
