//! The members as all know them, and what people change of them.

use super::super::membership::{KnownPeer, Membership};
use super::addresses::address_of;
use super::{Seen, Shared};
use crate::ids::NodeId;
use crate::peers::PeerAddress;
use crate::replica::{Now, Replica};
use crate::state::{Command, Member, MemberCommand, Role};
use serde_json::{Value, json};
use std::time::Duration;

/// Longer than an election on a slow machine.
const TRANSFER_PATIENCE: Duration = Duration::from_secs(10);
const TRANSFER_PAUSE: Duration = Duration::from_millis(50);
/// Many elections.
const PARTING: Duration = Duration::from_secs(60);

/// The members' list, as the replica's thread has seen it change.
pub struct Listed {
    members: Vec<Member>,
    /// Not in the list any more, but majorities still count them: they are
    /// heard until that has changed as well.
    leaving: Vec<NodeId>,
}

impl Listed {
    pub fn of(replica: &Replica) -> Self {
        Self {
            members: replica.state().members().iter().cloned().collect(),
            leaving: replica.leaving(),
        }
    }
}

impl Shared {
    pub(super) fn take_members(&self, listed: &Listed) {
        let membership = self.membership();
        if listed.members.is_empty() || !membership.is_initialised {
            return;
        }
        let mut addresses: Vec<PeerAddress> = listed.members.iter().map(address_of).collect();
        let own = membership.node;
        let is_in = addresses.iter().any(|address| address.node == own);
        let leaving = membership
            .peers
            .iter()
            .map(KnownPeer::address)
            .filter(|peer| listed.leaving.contains(&peer.node));
        addresses.extend(leaving);
        let known = Membership {
            peers: addresses.iter().map(KnownPeer::of).collect(),
            is_fresh: membership.is_fresh && !is_in,
            ..membership.clone()
        };
        if let Some(peers) = self.peers.get() {
            peers.set_members(addresses);
        }
        if known != membership {
            match known.write(&self.config.data) {
                Ok(()) => self.set_membership(known),
                Err(error) => tracing::warn!(%error, "the members' addresses are not kept"),
            }
        }
    }

    /// A node that was removed is needed until majorities count without it, and
    /// nobody tells it when; then it stops knocking at doors that are shut.
    pub(super) fn part_when_left(&self) {
        let left_at = self.seen().left_at;
        let has_parted = left_at.is_some_and(|at| self.clock.monotonic() > at + PARTING);
        if let (true, Some(peers)) = (has_parted, self.peers.get()) {
            peers.set_members(Vec::new());
        }
    }

    /// `loses_partitions` where it is known that some may be lost.
    pub async fn remove_node(&self, node: u64, loses_partitions: bool) -> Result<Value, String> {
        if !loses_partitions {
            let only = self.topics.borrow().only_copies(NodeId(node));
            only.map_or(Ok(()), |(count, topic)| Err(lost_with(node, count, &topic)))?;
        }
        let remove = MemberCommand::Remove { node: NodeId(node) };
        self.members(remove).await?;
        tracing::info!(node, "a member is removed");
        Ok(json!({ "removed": node }))
    }

    /// Takes a member out and makes the token for the machine in its place.
    pub async fn replace_node(&self, node: u64, loses_partitions: bool) -> Result<Value, String> {
        let members = self.look(move |replica, _| {
            let members = replica.state().members();
            let becomes_voter = members.promised().any(|one| one == NodeId(node));
            let role = members.get(NodeId(node)).map(|member| member.role);
            role.map(|role| if becomes_voter { Role::Voter } else { role })
        });
        let role = members.await.ok_or("the node is stopping")?;
        let role = role.ok_or_else(|| format!("node {node} is no member: dolmen node list"))?;
        if NodeId(node) == self.membership().node {
            return Err(format!(
                "node {node} is this one: ask another member to replace it"
            ));
        }
        self.remove_node(node, loses_partitions).await?;
        let token = self.create_token(role, 24).await;
        token.map_err(|why| {
            format!(
                "node {node} is no member any more, but there is no token for its place ({why}): \
                 dolmen token create"
            )
        })
    }

    /// Hands the leadership on, and waits until it is there. The leader is
    /// asked on its own host.
    pub async fn transfer(&self, node: u64) -> Result<Value, String> {
        let to = NodeId(node);
        if !self.begin_transfer(to).await? {
            return Ok(json!({ "leads": node, "already": true }));
        }
        let began = self.clock.monotonic();
        while self.clock.monotonic() - began < TRANSFER_PATIENCE {
            tokio::time::sleep(TRANSFER_PAUSE).await;
            let leader = self.look(|replica, _| replica.leader()).await;
            if leader.ok_or("the node is stopping")? == Some(to) {
                tracing::info!(%to, "the leadership is handed on");
                return Ok(json!({ "leads": node, "already": false }));
            }
        }
        Err(format!(
            "node {node} does not lead after {} s: see with dolmen node list whether it is up",
            TRANSFER_PATIENCE.as_secs()
        ))
    }

    /// False where there is nothing to do.
    async fn begin_transfer(&self, to: NodeId) -> Result<bool, String> {
        let asked = self.look(move |replica, _| {
            let members = replica.state().members();
            let has_vote = members.voters().any(|voter| voter.node == to);
            let leader = replica.leader();
            match leader.map(|leader| (leader, members.get(leader))) {
                None => Err("nobody leads now: try again".into()),
                Some(_) if !has_vote => Err(format!("node {to} has no vote: dolmen node list")),
                Some((leader, _)) if leader == to => Ok(false),
                Some(_) if replica.is_leader() => {
                    replica.transfer(to);
                    Ok(true)
                }
                Some((leader, member)) => Err(format!(
                    "node {leader} leads ({}): type this on its host",
                    member.map_or("its address is not known", |member| &*member.control)
                )),
            }
        });
        asked.await.ok_or("the node is stopping")?
    }

    pub async fn list_nodes(&self) -> Result<Value, String> {
        let nodes = self.look(|replica, _| {
            let leader = replica.leader();
            let active = replica.active_peers();
            let own = replica.node();
            let (leads, members) = (replica.is_leader(), replica.state().members());
            let shown = members.iter().map(|member| {
                let door = |name: &str| {
                    let mut doors = member.doors.iter();
                    doors.find(|(door, _)| &**door == name).map(|(_, at)| at)
                };
                let is_heard = active.contains(&member.node);
                json!({
                    "node": member.node.0,
                    "role": role_word(member.role),
                    "will_vote": members.promised().any(|one| one == member.node),
                    "leads": Some(member.node) == leader,
                    "here": member.node == own,
                    // A follower hears of the leader alone.
                    "heard": match member.node == own || is_heard {
                        true => Some(true),
                        false => leads.then_some(false),
                    },
                    "control": member.control,
                    "bulk": member.bulk,
                    "certificate": member.certificate,
                    "zookeeper": door("zookeeper"),
                    "kafka": door("kafka"),
                })
            });
            Value::from(shown.collect::<Vec<_>>())
        });
        nodes.await.ok_or_else(|| "the node is stopping".into())
    }
}

fn lost_with(node: u64, count: usize, topic: &str) -> String {
    let partitions = match count {
        1 => "1 partition".into(),
        _ => format!("{count} partitions"),
    };
    format!(
        "node {node} alone has what is in {partitions} (topic {topic}{}), and no other could lead \
         them: have them copied to other nodes first, by kafka-reassign-partitions, or add \
         --lose-partitions to lose what is in them",
        if count > 1 { " and maybe others" } else { "" }
    )
}

/// Has the list brought up to date where this node's line of it is not.
pub(super) fn announce(replica: &mut Replica, now: Now, own: Member) {
    let members = replica.state().members();
    let Some(listed) = members.get(own.node) else {
        // The founder stopped before its first word was agreed on.
        let is_first = members.iter().next().is_none() && own.node == crate::replica::FOUNDER;
        if is_first && replica.is_leader() {
            let found = Command::Members(MemberCommand::Found(own));
            replica.command(now, found, None);
        }
        return;
    };
    let is_as_listed = listed.control == own.control
        && listed.bulk == own.bulk
        && listed.doors == own.doors
        && listed.certificate >= own.certificate;
    if !is_as_listed && replica.leader().is_some() {
        let own = Member {
            role: listed.role,
            certificate: own.certificate.max(listed.certificate),
            ..own
        };
        replica.command(now, Command::Members(MemberCommand::Announce(own)), None);
    }
}

/// Says once what becomes of a node that is removed while it runs.
pub(super) fn note_left(seen: &mut Seen, replica: &Replica, now: Now) {
    if !replica.has_left() {
        seen.left_at = None;
    } else if seen.left_at.is_none() {
        seen.left_at = Some(now.monotonic);
        let node = replica.node();
        tracing::error!(
            %node,
            "this node was removed from its cluster and serves no more; to come back: dolmen token \
             create on a member, and here dolmen join --discard TOKEN"
        );
    }
}

pub(super) fn role_word(role: Role) -> &'static str {
    match role {
        Role::Voter => "voter",
        Role::Learner => "learner",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_lost_is_counted_and_named() {
        let one = lost_with(2, 1, "orders");
        assert!(one.starts_with("node 2 alone has what is in 1 partition (topic orders), "));
        let five = lost_with(2, 5, "orders");
        assert!(
            five.contains("5 partitions (topic orders and maybe others)"),
            "{five}"
        );
        assert!(
            five.ends_with("--lose-partitions to lose what is in them"),
            "{five}"
        );
    }
}
