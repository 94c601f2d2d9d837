//! ApiVersions: what is spoken here. It is asked before anything else, and
//! before a client has shown who it is.

use super::{Call, Handle, TABLE};
use crate::ports::kafka::messages::api_versions::{
    ApiVersion, ApiVersions, ApiVersionsRequest, ApiVersionsResponse, FinalizedFeatureKey,
    SupportedFeatureKey,
};
use crate::ports::kafka::messages::{Api, ErrorCode, Parts, Text, Unwritten, write_response};

/// What the cluster as a whole does, beyond the versions of APIs, with the level.
/// Java's producer has its transactions run by the second version where it reads
/// `transaction.version` 2 here (KIP-890), and needs it for nothing else; the
/// tools show `group.version` 1, the groups of KIP-848, of which clients know by
/// the key of their heartbeat. No other level is supported, so there is nothing
/// to upgrade.
const FEATURES: &[(&str, i16)] = &[("group.version", 1), ("transaction.version", 2)];

/// Java looks at features only where this is above -1, and takes those with the
/// highest that it has seen: raised with every change of `FEATURES`.
const FEATURES_EPOCH: i64 = 1;

/// Letters, digits, dashes and dots, and neither of the last two at an end
/// (KIP-511).
fn is_software_name(name: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    let ends = [name.bytes().next(), name.bytes().next_back()];
    name.bytes().all(is_inner)
        && ends
            .iter()
            .all(|end| end.is_some_and(|byte| byte.is_ascii_alphanumeric()))
}

impl Handle for ApiVersions {
    async fn run(call: Call, request: ApiVersionsRequest) -> Option<ApiVersionsResponse> {
        Some(answer(call.version, &request))
    }
}

fn answer(version: i16, request: &ApiVersionsRequest) -> ApiVersionsResponse {
    let software = [
        &request.client_software_name,
        &request.client_software_version,
    ];
    if version >= 3 && !software.iter().all(|name| is_software_name(name)) {
        return ApiVersionsResponse {
            error_code: ErrorCode::InvalidRequest,
            ..Default::default()
        };
    }
    let api_keys = TABLE.iter().map(|handler| ApiVersion {
        api_key: handler.key,
        min_version: *handler.versions.start(),
        max_version: *handler.versions.end(),
    });
    let supported = FEATURES.iter().map(|(name, level)| SupportedFeatureKey {
        name: Text::from_static(name),
        min_version: *level,
        max_version: *level,
    });
    let finalized = FEATURES.iter().map(|(name, level)| FinalizedFeatureKey {
        name: Text::from_static(name),
        max_version_level: *level,
        min_version_level: *level,
    });
    ApiVersionsResponse {
        api_keys: api_keys.collect(),
        supported_features: supported.collect(),
        finalized_features_epoch: FEATURES_EPOCH,
        finalized_features: finalized.collect(),
        ..Default::default()
    }
}

/// For a client that asked in a version from the future: in the oldest form,
/// with which versions it may ask in.
pub fn offer_versions(correlation_id: i32) -> Result<Parts, Unwritten> {
    let response = ApiVersionsResponse {
        error_code: ErrorCode::UnsupportedVersion,
        api_keys: vec![ApiVersion {
            api_key: ApiVersions::KEY,
            min_version: *ApiVersions::VERSIONS.start(),
            max_version: *ApiVersions::VERSIONS.end(),
        }],
        ..Default::default()
    };
    write_response::<ApiVersions>(0, correlation_id, &response)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::kafka::messages::read_response;
    use bytes::Bytes;

    fn asked_by(name: &'static str, version: &'static str) -> ApiVersionsRequest {
        ApiVersionsRequest {
            client_software_name: Text::from_static(name),
            client_software_version: Text::from_static(version),
        }
    }

    #[test]
    fn the_table_is_what_is_told_at_every_version() {
        let request = asked_by("apache-kafka-java", "4.1.0");
        for version in ApiVersions::VERSIONS {
            let response = answer(version, &request);
            let parts = write_response::<ApiVersions>(version, 7, &response).unwrap();
            let frame = Bytes::from(parts.to_vec()).slice(4..);
            let (id, read) = read_response::<ApiVersions>(version, frame).unwrap();
            assert_eq!(id, 7);
            let told = read
                .api_keys
                .iter()
                .map(|api| (api.api_key, api.min_version..=api.max_version));
            let table = TABLE
                .iter()
                .map(|handler| (handler.key, handler.versions.clone()));
            assert!(told.eq(table));
            assert_eq!(read.throttle_time_ms, 0);
            let level = |name: &str| {
                let mut finalized = read.finalized_features.iter();
                let found = finalized.find(|feature| feature.name == name);
                found.map(|feature| feature.max_version_level)
            };
            let is_told = version >= 3;
            assert_eq!(level("transaction.version"), is_told.then_some(2));
            assert_eq!(level("group.version"), is_told.then_some(1));
            assert_eq!(read.finalized_features_epoch >= 0, is_told);
        }
    }

    #[test]
    fn the_table_is_sorted_by_keys() {
        assert!(TABLE.is_sorted_by(|one, next| one.key < next.key));
    }

    #[test]
    fn a_client_says_what_it_is_from_version_3_on() {
        let bad = ["", "-java", "java-", "ja va", "java\n", "é", "."];
        let good = ["a", "librdkafka", "kafka-python", "4.1.0-IV1"];
        for name in bad {
            let refused = answer(3, &asked_by(name, "1")).error_code;
            assert_eq!(refused, ErrorCode::InvalidRequest, "{name:?}");
            let refused = answer(4, &asked_by("java", name)).error_code;
            assert_eq!(refused, ErrorCode::InvalidRequest, "{name:?}");
            assert_eq!(answer(2, &asked_by(name, "1")).error_code, ErrorCode::None);
        }
        for name in good {
            let taken = answer(3, &asked_by(name, name));
            assert_eq!(taken.error_code, ErrorCode::None, "{name:?}");
        }
    }

    #[test]
    fn a_version_from_the_future_is_offered_those_of_today() {
        let frame = Bytes::from(offer_versions(9).unwrap().to_vec()).slice(4..);
        let (id, read) = read_response::<ApiVersions>(0, frame).unwrap();
        assert_eq!((id, read.error_code), (9, ErrorCode::UnsupportedVersion));
        let [offer] = &read.api_keys[..] else {
            panic!("{:?}", read.api_keys);
        };
        assert_eq!(
            (offer.api_key, offer.min_version, offer.max_version),
            (18, 0, 4)
        );
    }
}
