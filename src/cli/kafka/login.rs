//! Shows a door who is asking, by SCRAM.

use super::connection::{Connection, well};
use super::trouble::Trouble;
use crate::cli::password::Password;
use crate::entropy::{Entropy, MachineEntropy};
use crate::ports::kafka::messages::sasl_authenticate::{SaslAuthenticate, SaslAuthenticateRequest};
use crate::ports::kafka::messages::sasl_handshake::{SaslHandshake, SaslHandshakeRequest};
use crate::ports::kafka::messages::{ErrorCode, Text};
use crate::ports::kafka::scram::client::Proving;
use crate::state::topics::access::Mechanism;
use bytes::Bytes;

const NONCE_BYTES: usize = 18;

pub struct Login {
    pub user: String,
    pub password: Password,
    pub mechanism: Mechanism,
}

impl Login {
    pub(super) fn run(&self, connection: &mut Connection) -> Result<(), Trouble> {
        self.choose(connection)?;
        let proving = Proving::begin(self.mechanism, &self.user, nonce()?);
        let heard = exchange(connection, proving.first())?;
        let proof = proving.prove(&heard, self.password.bytes());
        let proof = proof.map_err(|why| refused(&why))?;
        let heard = exchange(connection, proof.message)?;
        if *heard != *proof.answer.as_bytes() {
            return Err(refused(&"the door does not know the password itself"));
        }
        connection.is_admitted();
        Ok(())
    }

    fn choose(&self, connection: &mut Connection) -> Result<(), Trouble> {
        let name = self.mechanism.name();
        let mechanism = Text::from_static(name);
        let answer = connection.ask::<SaslHandshake>(&SaslHandshakeRequest { mechanism })?;
        match answer.error_code {
            ErrorCode::UnsupportedSaslMechanism => {
                let taken: Vec<_> = answer.mechanisms.iter().map(|one| &**one).collect();
                let taken = match taken.is_empty() {
                    true => "none".into(),
                    false => taken.join(", "),
                };
                Err(refused(&format!(
                    "the door takes no {name}; it takes {taken}"
                )))
            }
            code => well(code),
        }
    }
}

fn refused(why: &dyn ToString) -> Trouble {
    let why = why.to_string();
    Trouble::NotWhoItSays { why }
}

fn exchange(connection: &mut Connection, says: String) -> Result<Bytes, Trouble> {
    let auth_bytes = Bytes::from(says).into();
    let answer = connection.ask::<SaslAuthenticate>(&SaslAuthenticateRequest { auth_bytes })?;
    match answer.error_code {
        ErrorCode::None => Ok(answer.auth_bytes),
        code => {
            let why = answer.error_message.filter(|why| !why.is_empty());
            Err(refused(
                &why.map_or_else(|| code.sentence().to_owned(), String::from),
            ))
        }
    }
}

fn nonce() -> Result<String, Trouble> {
    let mut bytes = [0; NONCE_BYTES];
    let drawn = MachineEntropy.fill(&mut bytes);
    drawn.map_err(|error| refused(&format!("no random numbers: {error}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
