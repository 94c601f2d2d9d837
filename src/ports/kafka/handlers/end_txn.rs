//! Commits or aborts a transaction. It is answered once the end is durable;
//! partitions hear of it behind that, and the producer's next transaction waits
//! for them.

use super::{Call, Handle};
use crate::ports::kafka::access::{Operation, Resource};
use crate::ports::kafka::errors::transactions::Vocabulary;
use crate::ports::kafka::messages::ErrorCode;
use crate::ports::kafka::messages::end_txn::{EndTxn, EndTxnRequest, EndTxnResponse};
use crate::streams::transactions::request::{Reply, Request};
use crate::streams::transactions::{Error, Identity};

/// From here on the answer says as whom the producer goes on.
const RAISES_EPOCH_SINCE: i16 = 5;

impl Handle for EndTxn {
    async fn run(call: Call, request: EndTxnRequest) -> Option<EndTxnResponse> {
        let response = match end(&call, &request).await {
            Ok(holder) if call.version >= RAISES_EPOCH_SINCE => EndTxnResponse {
                producer_id: holder.id.0 as i64,
                producer_epoch: holder.epoch,
                ..EndTxnResponse::default()
            },
            Ok(_) => EndTxnResponse::default(),
            Err(error_code) => EndTxnResponse {
                error_code,
                ..EndTxnResponse::default()
            },
        };
        Some(response)
    }
}

async fn end(call: &Call, request: &EndTxnRequest) -> Result<Identity, ErrorCode> {
    let words = Vocabulary::since(call.version, 2, 4);
    let id = &request.transactional_id;
    if !call.may(Operation::Write, Resource::TransactionalId(id)) {
        return Err(ErrorCode::TransactionalIdAuthorizationFailed);
    }
    let who = Identity::of(request.producer_id, request.producer_epoch);
    let who = who.ok_or_else(|| words.code(&Error::OtherProducer))?;
    let asked = Request::End {
        id: (**id).into(),
        who,
        is_committed: request.committed,
        is_raised: call.version >= RAISES_EPOCH_SINCE,
    };
    match call.door.transactions.ask(asked).await {
        Ok(Reply::Ended(holder)) => Ok(holder),
        Ok(_) => Err(ErrorCode::UnknownServerError),
        Err(error) => Err(words.code(&error)),
    }
}
