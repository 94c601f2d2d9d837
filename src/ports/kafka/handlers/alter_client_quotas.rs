//! `AlterClientQuotas`: quotas are set and taken away, for each entity all that
//! is asked or nothing.

use super::{Call, Handle};
use crate::ports::kafka::access::{Operation, Resource};
use crate::ports::kafka::messages::alter_client_quotas::{
    AlterClientQuotas, AlterClientQuotasRequest, AlterClientQuotasResponse, EntityData, EntryData,
    EntryResult, OpData,
};
use crate::ports::kafka::quota_words::{entity, key, rate};
use crate::ports::kafka::refused_access::{DONE, Said, denied, said_of_rule};
use crate::state::topics::access::{AccessCommand, QuotaAlteration, QuotaKey};

impl Handle for AlterClientQuotas {
    async fn run(
        call: Call,
        request: AlterClientQuotasRequest,
    ) -> Option<AlterClientQuotasResponse> {
        let validates_only = request.validate_only;
        let said = altered(&call, &request.entries, validates_only).await;
        let pairs = request.entries.into_iter().zip(said);
        Some(AlterClientQuotasResponse {
            entries: pairs
                .map(|(entry, said)| result(entry.entity, said))
                .collect(),
            ..Default::default()
        })
    }
}

async fn altered(call: &Call, entries: &[EntryData], validates_only: bool) -> Vec<Said> {
    if !call.may(Operation::AlterConfigs, Resource::Cluster) {
        return vec![denied(); entries.len()];
    }
    let read: Vec<_> = entries.iter().map(alteration).collect();
    let alterations: Vec<_> = read.iter().flatten().cloned().collect();
    let count = alterations.len();
    let command = AccessCommand::AlterQuotas {
        alterations,
        validates_only,
    };
    let mut each = match count {
        0 => Vec::new(),
        _ => call.door.change_each(command, count).await,
    }
    .into_iter();
    let outcome = |read: Result<QuotaAlteration, Said>| match read {
        Err(said) => said,
        Ok(_) => match each.next() {
            Some(Err(refusal)) => refusal.said(said_of_rule),
            Some(Ok(())) | None => DONE,
        },
    };
    read.into_iter().map(outcome).collect()
}

fn alteration(entry: &EntryData) -> Result<QuotaAlteration, Said> {
    let parts = entry.entity.iter();
    let parts: Vec<_> = parts
        .map(|part| (part.entity_type.clone(), part.entity_name.clone()))
        .collect();
    let entity = entity(&parts)?;
    let changes = entry.ops.iter().map(change).collect::<Result<_, _>>()?;
    Ok(QuotaAlteration { entity, changes })
}

fn change(op: &OpData) -> Result<(QuotaKey, Option<u64>), Said> {
    let key = key(&op.key)?;
    match op.remove {
        true => Ok((key, None)),
        false => Ok((key, Some(rate(key, op.value)?))),
    }
}

fn result(entity: Vec<EntityData>, (error_code, error_message): Said) -> EntryResult {
    EntryResult {
        error_code,
        error_message,
        entity,
    }
}
