//! A box asks to become a member. Nothing that it says is believed before the
//! token's secret is seen to be right, and that is the state's to say.

use super::Shared;
use super::addresses::{address_of, check_place};
use crate::peers::{Admission, JoinAnswer, JoinRequest};
use crate::state::{Member, MemberCommand, MemberOutcome};

impl Shared {
    /// A box has asked to become a member.
    pub(super) async fn admit(&self, request: JoinRequest, answer: JoinAnswer) {
        let authority = match self.authority() {
            Ok(Some(authority)) => authority,
            Ok(None) => return self.send_on(answer).await,
            Err(error) => {
                tracing::error!(%error, "the authority's key cannot be used");
                return self.send_on(answer).await;
            }
        };
        let places = [&request.control, &request.bulk];
        if let Err(why) = places.into_iter().try_for_each(|place| check_place(place)) {
            return answer.refuse(&why);
        }
        let public_key = request.public_key.clone();
        let from = request.from;
        let admit = MemberCommand::Admit {
            token: request.token,
            secret_hash: request.secret_hash,
            public_key: request.public_key,
            control: request.control.into(),
            bulk: request.bulk.into(),
            in_place_of: None,
            features: request.features,
        };
        let (node, serial) = match self.members(admit).await {
            Ok(MemberOutcome::Admitted { node, serial }) => (node, serial),
            Ok(_) => return answer.refuse("the cluster gave an answer of another kind"),
            // The peers' side tells the journal.
            Err(why) => return answer.refuse(&why),
        };
        let certificate = match authority.issue(node, &public_key, serial, self.clock.now()) {
            Ok(certificate) => certificate,
            Err(error) => return answer.refuse(&error.to_string()),
        };
        let listed = self.look(move |replica, _| {
            let members = replica.state().members();
            let is_to_vote = members.promised().any(|promised| promised == node);
            let listed: Vec<Member> = members.iter().cloned().collect();
            (is_to_vote, listed)
        });
        let Some((is_to_vote, members)) = listed.await else {
            return answer.refuse("this member is stopping; try again");
        };
        tracing::info!(%from, %node, serial, "a box joins");
        answer.admit(Admission {
            certificate,
            authority: authority.certificate().to_vec(),
            members: members.iter().map(address_of).collect(),
            authority_key: is_to_vote.then(|| authority.export()),
        });
    }

    /// This member cannot sign; a voter can.
    async fn send_on(&self, answer: JoinAnswer) {
        match self.another_voter().await {
            Some(place) => answer.elsewhere(&place),
            None => {
                answer.refuse("this member holds no key to sign with; name a voter in the token")
            }
        }
    }

    async fn another_voter(&self) -> Option<String> {
        let own = self.membership().node;
        let voters = self.look(move |replica, _| {
            let members = replica.state().members();
            let mut others = members.voters().filter(|member| member.node != own);
            others.next().map(|member| member.control.to_string())
        });
        voters.await?
    }
}
