//! Lists the transactional ids that this broker coordinates.

use super::{Call, Handle};
use crate::limits::TRANSACTIONAL_ID_BYTES_MAX;
use crate::ports::kafka::access::{Operation, Resource};
use crate::ports::kafka::errors::transactions::Vocabulary;
use crate::ports::kafka::messages::list_transactions::{
    ListTransactions, ListTransactionsRequest, ListTransactionsResponse, TransactionState,
};
use crate::ports::kafka::messages::{ErrorCode, Text};
use crate::streams::transactions::record::Stage;
use crate::streams::transactions::request::Listed;
use regex::bytes::{Regex, RegexBuilder};

/// What a pattern may take when it is compiled: some hundred words.
const PATTERN_BYTES_MAX: usize = 1 << 20;

impl Handle for ListTransactions {
    const MAY_BE_LARGE: bool = true;

    async fn run(call: Call, request: ListTransactionsRequest) -> Option<ListTransactionsResponse> {
        let mut response = ListTransactionsResponse::default();
        match list(&call, &request).await {
            Ok(listed) => {
                response.transaction_states = listed.into_iter().map(shown).collect();
                response.unknown_state_filters = unknown(&request.state_filters);
            }
            Err(code) => response.error_code = code,
        }
        Some(response)
    }
}

async fn list(call: &Call, request: &ListTransactionsRequest) -> Result<Vec<Listed>, ErrorCode> {
    let pattern = request.transactional_id_pattern.as_ref();
    let pattern = pattern.filter(|text| !text.is_empty());
    let pattern = pattern.map(|text| compiled(text)).transpose()?;
    let now = call.door.clock.now().0;
    let listed = call.door.transactions.list().await;
    let mut listed = listed.map_err(|error| Vocabulary::since(call.version, 0, 0).code(&error))?;
    listed.retain(|one| {
        is_wanted(request, pattern.as_ref(), one, now)
            && call.may(Operation::Describe, Resource::TransactionalId(&one.id))
    });
    Ok(listed)
}

fn is_wanted(
    request: &ListTransactionsRequest,
    pattern: Option<&Regex>,
    one: &Listed,
    now: u64,
) -> bool {
    let states = &request.state_filters;
    let producers = &request.producer_id_filters;
    let is_of_state = states.is_empty() || states.iter().any(|name| *name == one.stage.name());
    let is_of_producer = producers.is_empty() || producers.contains(&(one.holder.id.0 as i64));
    let is_matched = pattern.is_none_or(|pattern| pattern.is_match(one.id.as_bytes()));
    is_of_state && is_of_producer && is_matched && is_open_for(request.duration_filter, one, now)
}

fn is_open_for(filter: i64, one: &Listed, now: u64) -> bool {
    let Ok(filter) = u64::try_from(filter) else {
        return true;
    };
    let open = one.started.map(|started| now.saturating_sub(started.0));
    open.is_some_and(|open| open > filter)
}

/// One that matches whole ids.
fn compiled(text: &str) -> Result<Regex, ErrorCode> {
    let build = |text: &str| {
        let built = RegexBuilder::new(text)
            .unicode(false)
            .size_limit(PATTERN_BYTES_MAX)
            .build();
        built.map_err(|_| ErrorCode::InvalidRegularExpression)
    };
    if text.len() > TRANSACTIONAL_ID_BYTES_MAX {
        return Err(ErrorCode::InvalidRegularExpression);
    }
    // By itself first: "a)(b" is none, whatever stands around it.
    build(text)?;
    build(&format!("\\A(?:{text})\\z"))
}

fn unknown(filters: &[Text]) -> Vec<Text> {
    let is_known = |name: &str| Stage::named(name).is_some() || Stage::NEVER.contains(&name);
    let unknown = filters.iter().filter(|name| !is_known(name));
    unknown.cloned().collect()
}

fn shown(listed: Listed) -> TransactionState {
    TransactionState {
        transactional_id: Text::from(&*listed.id),
        producer_id: listed.holder.id.0 as i64,
        transaction_state: Text::from_static(listed.stage.name()),
    }
}
