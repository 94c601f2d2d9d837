//! The tokens by which nodes join: each admits one node, once, until it ends.

use super::digest::Hash;
use super::members::{MemberCommand, MemberOutcome, Role};
use super::sessions::is_same;
use crate::clock::Millis;
use crate::ids::NodeId;
use crate::limits::TOKENS_MAX;
use crate::planted;
use std::collections::BTreeMap;

pub type TokenId = [u8; 8];

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub secret_hash: [u8; 32],
    /// What the node that shows it shall become.
    pub role: Role,
    pub until: Millis,
    pub used: Option<Used>,
}

/// Whom a token has admitted. Kept as long as the token, for a joiner that
/// asks again because it did not hear the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Used {
    pub node: NodeId,
    pub serial: u64,
    pub public_key: Vec<u8>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens(pub(super) BTreeMap<TokenId, Token>);

/// What a token that was shown is worth.
pub(super) enum Shown {
    Fresh(Role),
    UsedBySame { node: NodeId, serial: u64 },
}

impl Tokens {
    pub fn iter(&self) -> impl Iterator<Item = (TokenId, &Token)> {
        self.0.iter().map(|(&id, token)| (id, token))
    }

    pub(super) fn create(
        &mut self,
        now: Millis,
        command: &MemberCommand,
    ) -> Result<MemberOutcome, Box<str>> {
        let MemberCommand::CreateToken {
            id,
            secret_hash,
            role,
            until,
        } = command
        else {
            unreachable!("only CreateToken creates tokens");
        };
        self.0.retain(|_, token| token.until > now);
        if self.0.contains_key(id) {
            return Err("a token has this id already".into());
        }
        if self.0.len() >= TOKENS_MAX {
            return Err(format!("{TOKENS_MAX} tokens are the most: revoke one first").into());
        }
        let token = Token {
            secret_hash: *secret_hash,
            role: *role,
            until: *until,
            used: None,
        };
        self.0.insert(*id, token);
        Ok(MemberOutcome::Done)
    }

    pub(super) fn revoke(&mut self, id: TokenId) -> Result<MemberOutcome, Box<str>> {
        let revoked = self.0.remove(&id);
        revoked.ok_or("there is no such token")?;
        Ok(MemberOutcome::Done)
    }

    /// Who does not know the secret hears no more than that the token is not
    /// there.
    pub(super) fn show(
        &self,
        now: Millis,
        id: TokenId,
        secret_hash: &[u8; 32],
        public_key: &[u8],
    ) -> Result<Shown, Box<str>> {
        let token = self.0.get(&id);
        let token = token.filter(|token| is_same(&token.secret_hash, secret_hash));
        let token = token.ok_or("there is no such token")?;
        match &token.used {
            _ if token.until <= now => Err("the token has ended: create another".into()),
            Some(used) if used.public_key == public_key => Ok(Shown::UsedBySame {
                node: used.node,
                serial: used.serial,
            }),
            Some(used) if !planted!(TokenReused) => {
                let node = used.node;
                Err(format!("the token has admitted node {node}: create another").into())
            }
            _ => Ok(Shown::Fresh(token.role)),
        }
    }

    pub(super) fn used(&mut self, id: TokenId, node: NodeId, serial: u64, public_key: &[u8]) {
        let token = self.0.get_mut(&id).expect("the token was shown");
        token.used = Some(Used {
            node,
            serial,
            public_key: public_key.into(),
        });
    }

    pub(super) fn hash(&self, hash: Hash) -> Hash {
        self.0.iter().fold(hash, |hash, (id, token)| {
            let hash = hash
                .bytes(id)
                .bytes(&token.secret_hash)
                .word(token.until.0)
                .word(u64::from(token.role == Role::Voter));
            match &token.used {
                None => hash.word(0),
                Some(used) => hash
                    .word(used.node.0)
                    .word(used.serial)
                    .bytes(&used.public_key),
            }
        })
    }
}
