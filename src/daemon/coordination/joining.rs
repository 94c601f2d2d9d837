//! This node becomes one of several: it founds a cluster, or joins one. Both
//! may be typed twice, and both change nothing where they fail.

use super::super::membership::{KnownPeer, Membership};
use super::{Coordination, Shared, put, says};
use crate::entropy::MachineEntropy;
use crate::peers::{self, Applicant, Authority, Token};
use crate::state::{FEATURES, MemberCommand};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

impl Coordination {
    /// Makes the node the first of a cluster; typed twice, says that it is.
    pub async fn init(&self) -> Result<Value, String> {
        let membership = self.shared.membership();
        let shown = |already: bool| {
            json!({
                "node": membership.node.0,
                "cluster": membership.cluster.to_string(),
                "already": already,
            })
        };
        if membership.is_initialised {
            return Ok(shown(true));
        }
        self.shared.own_host()?;
        let authority = Authority::found(membership.cluster).map_err(says)?;
        let now = self.shared.clock.now();
        let identity = authority
            .identify(membership.node, 1, now, &MachineEntropy)
            .map_err(says)?;
        self.shared.store.keep_authority(&authority).map_err(says)?;
        self.shared.keep_identity(identity)?;
        // The ports first: a node that cannot open them stays by itself.
        let closing = self.shared.open_peers().map_err(says)?;
        let membership = Membership {
            is_initialised: true,
            ..membership.clone()
        };
        membership.write(&self.shared.config.data).map_err(says)?;
        put(&self.closing, closing);
        self.shared.set_membership(membership.clone());
        tracing::info!(cluster = %membership.cluster, "this node has founded its cluster");
        let member = self.shared.own_member().ok_or("this node has no address")?;
        self.shared.members(MemberCommand::Found(member)).await?;
        Ok(shown(false))
    }
}

impl Shared {
    /// Asks a cluster to take this node in. What is kept here then says so, and
    /// the node must begin anew.
    pub async fn join(&self, token: &str, discard: bool) -> Result<Value, String> {
        let token: Token = token.parse().map_err(says)?;
        let membership = self.membership();
        if membership.is_initialised {
            if let Some(already) = self.is_member_already(&token, &membership, discard).await? {
                return Ok(already);
            }
        } else {
            let holds = self.look(|replica, _| replica.holds_user_data()).await;
            if holds.ok_or("the node is stopping")? && !discard {
                return Err(
                    "this node holds data of its own, which a member of another cluster cannot \
                     keep: join with --discard, which moves them aside under a dated name"
                        .into(),
                );
            }
        }
        let (control, bulk) = self.own_addresses_towards(&token.host)?;
        let applicant = Applicant {
            control,
            bulk,
            features: FEATURES,
            within: Duration::from_secs(10),
            clock: self.clock.clone(),
            entropy: Arc::new(MachineEntropy),
        };
        let joined = peers::join(&token, &applicant).await.map_err(says)?;
        let membership = Membership {
            node: joined.identity.node,
            cluster: joined.identity.cluster,
            is_initialised: true,
            is_fresh: true,
            peers: joined.members.iter().map(KnownPeer::of).collect(),
        };
        match &joined.authority {
            Some(authority) => self.store.keep_authority(authority).map_err(says)?,
            // One that it held was another cluster's.
            None => self.store.drop_authority().map_err(says)?,
        }
        self.store.keep_identity(&joined.identity).map_err(says)?;
        // Last: without it a start goes on as the node that it was.
        membership.write(&self.config.data).map_err(says)?;
        tracing::info!(node = %membership.node, cluster = %membership.cluster, "joined; beginning anew");
        Ok(json!({ "node": membership.node.0, "already": false }))
    }

    /// What to answer at once, or nothing where the node may leave what it
    /// was. A member that its cluster counts on must not just go.
    async fn is_member_already(
        &self,
        token: &Token,
        membership: &Membership,
        discard: bool,
    ) -> Result<Option<Value>, String> {
        let (node, cluster) = (membership.node, membership.cluster);
        let stands = self.look(|replica, _| (replica.has_left(), replica.leader().is_some()));
        let (has_left, is_led) = stands.await.ok_or("the node is stopping")?;
        let is_same = self
            .identity()
            .is_some_and(|identity| identity.pin() == token.authority);
        match (has_left || !is_led, discard) {
            (true, true) => Ok(None),
            (true, false) if has_left => Err(format!(
                "node {node} was removed from its cluster ({cluster}): join with --discard, which \
                 moves its state aside under a dated name"
            )),
            _ if is_same => Ok(Some(json!({ "node": node.0, "already": true }))),
            (true, false) => Err(format!(
                "this node is node {node} of another cluster ({cluster}), which it does not \
                 reach: to leave it for good, join with --discard, which moves its state aside"
            )),
            (false, _) => Err(format!(
                "this node is node {node} of another cluster ({cluster}): on another of its \
                 nodes, dolmen node remove {node}; then join with --discard"
            )),
        }
    }
}
