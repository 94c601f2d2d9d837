//! The feature level: how it stands, and raising it once every member's release
//! knows the next.

use super::Shared;
use crate::replica::{MemberRelease, Upgrade};
use crate::state::MEMBERS_CHANGED;
use serde_json::{Value, json};

/// A list of members that changes this often while it is looked at is not at
/// rest.
const TRIES: usize = 3;

impl Shared {
    pub async fn upgrade_status(&self) -> Result<Value, String> {
        let seen = self.look(|replica, _| {
            let (upgrade, own) = (replica.upgrade(), replica.node());
            let (leads, is_outgrown) = (replica.leader(), replica.outgrown().is_some());
            let refusal = replica.finalize().err();
            let members = upgrade.members.iter().map(|member| {
                let MemberRelease {
                    node,
                    is_voter,
                    release,
                    is_heard,
                } = member;
                json!({
                    "node": node.0,
                    "role": if *is_voter { "voter" } else { "learner" },
                    "version": release.as_ref().map(|release| &release.version),
                    "supports": release.as_ref().map(|release| release.features),
                    "heard": is_heard,
                    "leads": leads == Some(*node),
                    "here": *node == own,
                })
            });
            let members = members.collect::<Vec<_>>();
            let Upgrade { level, to, .. } = upgrade;
            json!({
                "level": level,
                "to": to,
                "is_due": to > level,
                "would_be_taken": to > level && refusal.is_none(),
                "in_the_way": refusal.filter(|_| to > level || is_outgrown),
                "members": members,
            })
        });
        seen.await.ok_or_else(|| "the node is stopping".into())
    }

    /// Raises the level for good. Typed twice, says that it is there.
    pub async fn finalize(&self) -> Result<Value, String> {
        for _ in 0..TRIES {
            let asked = self.look(|replica, _| {
                let (from, raise) = (replica.upgrade().level, replica.finalize()?);
                Ok::<_, String>((from, replica.upgrade().to, raise))
            });
            let (from, to, raise) = asked.await.ok_or("the node is stopping")??;
            let Some(raise) = raise else {
                return Ok(json!({ "level": from, "already": true }));
            };
            match self.members(raise).await {
                Ok(_) => {
                    tracing::info!(from, to, "the feature level is raised");
                    return Ok(json!({ "level": to, "from": from, "already": false }));
                }
                Err(why) if why == MEMBERS_CHANGED => {}
                Err(why) => return Err(why),
            }
        }
        Err(MEMBERS_CHANGED.into())
    }
}
