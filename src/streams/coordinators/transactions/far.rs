//! Transactions over several nodes: the coordinator of a transactional id is on
//! one, partitions that take part are led by others.

use super::codec::{Answer, Question};
use super::ground::mark_here;
use super::{TellGroups, Transactions};
use crate::ids::NodeId;
use crate::state::topics::names::CONSUMER_OFFSETS;
use crate::streams::Key;
use crate::streams::Streams;
use crate::streams::batch::control::Ending;
use crate::streams::follow::{Between, Callee, Unreached};
use crate::streams::producers::Closing;
use crate::streams::transactions::request::{Reply, Request};
use crate::streams::transactions::{Error, Identity, Marked};
use std::sync::Arc;

/// Tells a partition that another node leads how a transaction ends.
pub(super) async fn mark_elsewhere(
    between: &Between,
    leader: NodeId,
    key: Key,
    closing: Closing,
) -> Marked {
    let Some(question) = Question::Mark(key, closing).encode() else {
        return Marked::Refused;
    };
    match between.call(leader, question).await {
        Ok(answer) => match Answer::decode(&answer) {
            Ok(Answer::Marked(marked)) => marked,
            Ok(_) | Err(_) => Marked::Unknown,
        },
        Err(Unreached::NotSaid) => Marked::Refused,
        Err(Unreached::NotAnswered) => Marked::Unknown,
    }
}

/// Asks the coordinator on another node. What is not answered may be asked again:
/// to verify changes nothing, and to add twice is to add once.
pub(super) async fn ask_elsewhere(
    between: &Between,
    coordinator: NodeId,
    request: Request,
) -> Result<Reply, Error> {
    let question = Question::Ask(request).encode();
    let question = question.ok_or(Error::NotCoordinator)?;
    let answer = between.call(coordinator, question).await;
    match answer.map(|answer| Answer::decode(&answer)) {
        Ok(Ok(Answer::Asked(answer))) => answer,
        Ok(Ok(Answer::Marked(_)) | Err(_)) | Err(_) => Err(Error::NotCoordinator),
    }
}

/// Answers what other nodes ask of this one.
pub(super) fn callee(
    streams: Streams,
    transactions: Transactions,
    tell_groups: Arc<TellGroups>,
) -> Callee {
    Arc::new(move |from, question| {
        let (streams, transactions) = (streams.clone(), transactions.clone());
        let tell_groups = tell_groups.clone();
        Box::pin(async move {
            let answer = match Question::decode(&question) {
                Ok(Question::Mark(key, closing)) => {
                    Answer::Marked(mark(&streams, &tell_groups, key, closing).await)
                }
                Ok(Question::Ask(request)) => Answer::Asked(answer(&transactions, request).await),
                Err(_) => {
                    tracing::warn!(peer = %from, "a question about transactions does not read");
                    return None;
                }
            };
            Some(answer.encode())
        })
    })
}

/// Who asks knows the places that it has added; this node, which is to tell them
/// of the end, may yet have to hear of them.
async fn answer(transactions: &Transactions, request: Request) -> Result<Reply, Error> {
    if let Request::Add { places, .. } = &request {
        for place in places {
            transactions.check_place(&place.topic, place.partition)?;
        }
    }
    transactions.ask_here(request).await
}

/// Groups of which offsets are told as well are on the node of their partition.
async fn mark(streams: &Streams, tell_groups: &TellGroups, key: Key, closing: Closing) -> Marked {
    let view = streams.view(key);
    let Some(view) = view.filter(|view| view.leads()) else {
        return Marked::Refused;
    };
    let marked = mark_here(streams, key, closing).await;
    if marked == Marked::Written && &*view.name == CONSUMER_OFFSETS {
        let who = Identity {
            id: closing.id,
            epoch: closing.epoch,
        };
        let is_committed = closing.marker.ending == Ending::Commit;
        tell_groups(key.partition, who, is_committed).await;
    }
    marked
}
