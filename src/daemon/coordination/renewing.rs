//! Certificates are renewed before they end, at two thirds of their life. A
//! member that holds the authority's key issues its own, under a serial that
//! the cluster gives out; another one asks a voter, over the connection that
//! its old certificate opened.

use super::{Shared, Work, says};
use crate::entropy::MachineEntropy;
use crate::ids::NodeId;
use crate::peers::{Authority, Identity, NodeKey, Plane};
use crate::replica::Aside;
use crate::state::{MemberCommand, MemberOutcome, Role};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// Between two tries: the first and the longest. A third of a certificate's
/// life is left for them.
const PAUSE_FIRST: Duration = Duration::from_secs(2);
const PAUSE_LAST: Duration = Duration::from_secs(600);

#[derive(Default)]
pub(super) struct Renewing {
    /// Not tried again before.
    rests_until: Duration,
    /// Doubles with each try that comes to nothing.
    pause: Duration,
    /// Whose public half was sent to a voter.
    asked_with: Option<NodeKey>,
    /// Members whose request is being answered: one each.
    answering: BTreeSet<NodeId>,
}

impl Shared {
    fn renewing(&self) -> MutexGuard<'_, Renewing> {
        super::held(&self.renewing)
    }

    /// Called twice a second.
    pub(super) fn renew_when_due(self: &Arc<Self>) {
        let Some(identity) = self.identity() else {
            return;
        };
        let now = self.clock.monotonic();
        if self.clock.now() < identity.renew_at() || now < self.renewing().rests_until {
            return;
        }
        let mut renewing = self.renewing();
        renewing.pause = (renewing.pause * 2).clamp(PAUSE_FIRST, PAUSE_LAST);
        renewing.rests_until = now + renewing.pause;
        drop(renewing);
        let shared = self.clone();
        tokio::spawn(async move {
            if let Err(why) = shared.renew(&identity).await {
                tracing::warn!(why, "this node's certificate is not renewed yet");
            }
        });
    }

    async fn renew(&self, identity: &Identity) -> Result<(), String> {
        let key = NodeKey::draw().map_err(says)?;
        let Some(authority) = self.authority()? else {
            return self.ask_a_voter(key).await;
        };
        let certificate = self
            .issue(&authority, identity.node, &key.public_key())
            .await?;
        self.take_renewed(identity, certificate, &key)
    }

    /// A certificate under a serial of its own.
    async fn issue(
        &self,
        authority: &Authority,
        node: NodeId,
        public_key: &[u8],
    ) -> Result<Vec<u8>, String> {
        let serial = match self.members(MemberCommand::Renew { node }).await? {
            MemberOutcome::Admitted { serial, .. } => serial,
            _ => return Err("the cluster gave an answer of another kind".into()),
        };
        let now = self.clock.now();
        authority.issue(node, public_key, serial, now).map_err(says)
    }

    fn take_renewed(
        &self,
        old: &Identity,
        certificate: Vec<u8>,
        key: &NodeKey,
    ) -> Result<(), String> {
        let renewed = old.renewed(certificate, key).map_err(says)?;
        let (serial, until) = (renewed.serial, renewed.valid_until.to_string());
        if let Some(peers) = self.peers.get() {
            peers.set_identity(renewed.clone()).map_err(says)?;
        }
        // The list learns of it at the next look.
        self.keep_identity(renewed)?;
        self.renewing().pause = Duration::ZERO;
        tracing::info!(serial, until, "this node's certificate is renewed");
        Ok(())
    }

    async fn ask_a_voter(&self, key: NodeKey) -> Result<(), String> {
        let voter = self.look(|replica, _| {
            let members = replica.state().members();
            let mut voters = members.voters().map(|member| member.node);
            let leader = replica.leader();
            leader.or_else(|| voters.find(|voter| *voter != replica.node()))
        });
        let voter = voter.await.flatten().ok_or("no voter is known to ask")?;
        let peers = self.peers.get().ok_or("the peers' ports are not open")?;
        let ask = Aside::AskCertificate(key.public_key()).encode();
        self.renewing().asked_with = Some(key);
        peers.send(voter, Plane::Control, ask);
        Ok(())
    }

    /// What a member said beside the replica's own words. It is the member
    /// itself: its certificate was seen when the connection was made.
    pub(super) async fn hear_aside(&self, from: NodeId, aside: Aside) {
        let heard = match aside {
            Aside::AskCertificate(public_key) => self.answer_member(from, &public_key).await,
            Aside::Certificate(certificate) => self.take_answer(from, certificate).await,
        };
        if let Err(why) = heard {
            tracing::warn!(%from, why, "a certificate is not renewed");
        }
    }

    /// Whether the sender has the private half is its own matter: the
    /// certificate carries its name and nobody else's.
    async fn answer_member(&self, from: NodeId, public_key: &[u8]) -> Result<(), String> {
        let authority = self.authority()?;
        let authority = authority.ok_or("this member holds no key to sign with")?;
        if !self.renewing().answering.insert(from) {
            return Ok(());
        }
        let issued = self.issue(&authority, from, public_key).await;
        self.renewing().answering.remove(&from);
        let certificate = issued?;
        if let Some(peers) = self.peers.get() {
            let answer = Aside::Certificate(certificate).encode();
            peers.send(from, Plane::Control, answer);
        }
        tracing::info!(%from, "a member's certificate is renewed");
        Ok(())
    }

    async fn take_answer(&self, from: NodeId, certificate: Vec<u8>) -> Result<(), String> {
        let asks_voter = self.look(move |replica, _| {
            let member = replica.state().members().get(from);
            member.is_some_and(|member| member.role == Role::Voter)
        });
        if !asks_voter.await.unwrap_or(false) {
            return Err("it comes from a member that does not vote".into());
        }
        let key = self.renewing().asked_with.take();
        let key = key.ok_or("nobody asked for it")?;
        let old = self.identity().ok_or("this node has no certificate")?;
        self.take_renewed(&old, certificate, &key)
    }

    /// A certificate that ended while the node was off lets nobody in. Who
    /// holds the authority's key issues itself another with the same serial:
    /// there may be no majority to give out a new one.
    pub(super) fn renew_ended(&self, identity: Identity) -> Result<Identity, String> {
        let now = self.clock.now();
        if identity.valid_until > now {
            return Ok(identity);
        }
        let until = identity.valid_until.to_string();
        let Some(authority) = self.authority()? else {
            tracing::error!(
                until,
                "this node's certificate has ended and no peer accepts it: dolmen token create on \
                 a member, and here dolmen join --discard TOKEN"
            );
            return Ok(identity);
        };
        let renewed = authority
            .identify(identity.node, identity.serial, now, &MachineEntropy)
            .map_err(says)?;
        self.keep_identity(renewed.clone())?;
        tracing::warn!(
            until,
            "this node's certificate had ended; it has issued itself another"
        );
        Ok(renewed)
    }
}

impl Work {
    /// A frame that is not the replica's.
    pub(super) fn aside(from: NodeId, bytes: &[u8]) -> Option<Self> {
        Aside::of(bytes).map(|aside| Self::Aside(from, aside))
    }
}

/// What keeps the renewal's state between looks.
pub(super) type Held = Mutex<Renewing>;
