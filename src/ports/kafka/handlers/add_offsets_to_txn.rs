//! Makes a group's offsets part of a transaction, before they are committed in
//! it: the partition that keeps them is told how it ends.

use super::{Call, Handle};
use crate::ports::kafka::access::{Operation, Resource};
use crate::ports::kafka::errors::transactions::Vocabulary;
use crate::ports::kafka::messages::ErrorCode;
use crate::ports::kafka::messages::add_offsets_to_txn::{
    AddOffsetsToTxn, AddOffsetsToTxnRequest, AddOffsetsToTxnResponse,
};
use crate::streams::transactions::request::Request;
use crate::streams::transactions::{Error, Identity};
use std::collections::BTreeSet;

impl Handle for AddOffsetsToTxn {
    async fn run(call: Call, request: AddOffsetsToTxnRequest) -> Option<AddOffsetsToTxnResponse> {
        let error_code = match add(&call, &request).await {
            Ok(()) => ErrorCode::None,
            Err(code) => code,
        };
        Some(AddOffsetsToTxnResponse {
            error_code,
            ..AddOffsetsToTxnResponse::default()
        })
    }
}

async fn add(call: &Call, request: &AddOffsetsToTxnRequest) -> Result<(), ErrorCode> {
    let words = Vocabulary::since(call.version, 2, 4);
    let (id, group) = (&request.transactional_id, &request.group_id);
    if !call.may(Operation::Write, Resource::TransactionalId(id)) {
        return Err(ErrorCode::TransactionalIdAuthorizationFailed);
    }
    if !call.may(Operation::Read, Resource::Group(group)) {
        return Err(ErrorCode::GroupAuthorizationFailed);
    }
    let transactions = &call.door.transactions;
    // Whoever asks for the group's coordinator has the topic made.
    let place = transactions.place_of_group(group);
    let place = place.ok_or(ErrorCode::CoordinatorNotAvailable)?;
    let who = Identity::of(request.producer_id, request.producer_epoch);
    let who = who.ok_or_else(|| words.code(&Error::OtherProducer))?;
    let asked = Request::Add {
        id: (**id).into(),
        who,
        places: BTreeSet::from([place]),
        is_raised: false,
    };
    let added = transactions.ask(asked).await;
    added.map(drop).map_err(|error| words.code(&error))
}
