//! `DescribeClientQuotas`: the quotas of the entities that a filter matches.

use super::{Call, Handle};
use crate::ports::kafka::access::{Operation, Resource};
use crate::ports::kafka::messages::describe_client_quotas::{
    DescribeClientQuotas, DescribeClientQuotasRequest, DescribeClientQuotasResponse, EntityData,
    EntryData, ValueData,
};
use crate::ports::kafka::quota_words::{EntityFilter, names};
use crate::ports::kafka::refused_access::{Said, denied};
use crate::state::topics::access::{Entity, Rates};

impl Handle for DescribeClientQuotas {
    const MAY_BE_LARGE: bool = true;

    async fn run(
        call: Call,
        request: DescribeClientQuotasRequest,
    ) -> Option<DescribeClientQuotasResponse> {
        Some(match entries(&call, request) {
            Ok(entries) => DescribeClientQuotasResponse {
                entries: Some(entries),
                ..Default::default()
            },
            Err((error_code, error_message)) => DescribeClientQuotasResponse {
                error_code,
                error_message,
                entries: None,
                ..Default::default()
            },
        })
    }
}

fn entries(call: &Call, request: DescribeClientQuotasRequest) -> Result<Vec<EntryData>, Said> {
    if !call.may(Operation::DescribeConfigs, Resource::Cluster) {
        return Err(denied());
    }
    let components = request.components.into_iter();
    let components = components.map(|one| (one.entity_type, one.match_type, one.matched));
    let filter = EntityFilter::read(components, request.strict)?;
    let topics = call.door.site.topics();
    let quotas = topics.access().quotas.iter();
    let matching = quotas.filter(|(entity, _)| filter.matches(entity));
    Ok(matching
        .map(|(entity, rates)| entry(entity, rates))
        .collect())
}

fn entry(entity: &Entity, rates: &Rates) -> EntryData {
    let entity = names(entity).into_iter();
    EntryData {
        entity: entity
            .map(|(entity_type, entity_name)| EntityData {
                entity_type,
                entity_name,
            })
            .collect(),
        values: rates
            .iter()
            .map(|(key, rate)| ValueData {
                key: key.name().into(),
                value: *rate as f64,
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::kafka::handlers::trial::{Trial, run};
    use crate::ports::kafka::messages::ErrorCode;
    use crate::ports::kafka::messages::describe_client_quotas::ComponentData;

    #[test]
    fn a_type_of_entity_may_have_the_longest_name() {
        let trial = Trial::new(&[]);
        let component = ComponentData {
            entity_type: "x".repeat(i16::MAX as usize).into(),
            match_type: 2,
            ..ComponentData::default()
        };
        let request = DescribeClientQuotasRequest {
            components: vec![component],
            ..DescribeClientQuotasRequest::default()
        };
        let response = run(trial.ask::<DescribeClientQuotas>(0, request));
        assert_eq!(response.error_code, ErrorCode::UnsupportedVersion);
        assert_eq!(response.entries, None);
    }
}
