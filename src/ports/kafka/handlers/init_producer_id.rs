//! Gives a producer its id, and with a transactional id an epoch that fences
//! whoever had it before.

use super::{Call, Handle};
use crate::ports::kafka::access::{Operation, Resource};
use crate::ports::kafka::errors::transactions::Vocabulary;
use crate::ports::kafka::messages::ErrorCode;
use crate::ports::kafka::messages::init_producer_id::{
    InitProducerId, InitProducerIdRequest, InitProducerIdResponse,
};
use crate::streams::transactions::request::{Reply, Request};
use crate::streams::transactions::{Error, Identity};

const NONE: i64 = -1;

impl Handle for InitProducerId {
    async fn run(call: Call, request: InitProducerIdRequest) -> Option<InitProducerIdResponse> {
        let response = match init(&call, &request).await {
            Ok((producer_id, producer_epoch)) => InitProducerIdResponse {
                producer_id,
                producer_epoch,
                ..InitProducerIdResponse::default()
            },
            Err(error_code) => InitProducerIdResponse {
                error_code,
                producer_epoch: NONE as i16,
                ..InitProducerIdResponse::default()
            },
        };
        Some(response)
    }
}

async fn init(call: &Call, request: &InitProducerIdRequest) -> Result<(i64, i16), ErrorCode> {
    let words = Vocabulary::since(call.version, 4, 5);
    let coded = |error: Error| words.code(&error);
    let Some(id) = &request.transactional_id else {
        if !call.may(Operation::IdempotentWrite, Resource::Cluster) {
            return Err(ErrorCode::ClusterAuthorizationFailed);
        }
        let id = call.door.transactions.producer_id().await;
        // At whatever else a client tries again, some look for a coordinator
        // first, and there is none of no id.
        let id = id.map_err(|_| ErrorCode::CoordinatorLoadInProgress)?;
        return Ok((id.0 as i64, 0));
    };
    if !call.may(Operation::Write, Resource::TransactionalId(id)) {
        return Err(ErrorCode::TransactionalIdAuthorizationFailed);
    }
    let asked = Request::Init {
        id: (**id).into(),
        was: was(request)?,
        timeout_ms: request.transaction_timeout_ms,
    };
    match call.door.transactions.ask(asked).await.map_err(coded)? {
        Reply::Begun(holder) => Ok((holder.id.0 as i64, holder.epoch)),
        _ => Err(ErrorCode::UnknownServerError),
    }
}

/// Who the producer says it was: an id and an epoch, or neither.
fn was(request: &InitProducerIdRequest) -> Result<Option<Identity>, ErrorCode> {
    match (request.producer_id, request.producer_epoch) {
        (NONE, -1) => Ok(None),
        (id, epoch) => Identity::of(id, epoch)
            .map(Some)
            .ok_or(ErrorCode::InvalidRequest),
    }
}
