//! The brokers of the cluster.

use super::reached::{NOBODY, number, text};
use super::{Call, Handle};
use crate::ports::kafka::messages::describe_cluster::{
    DescribeCluster, DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse,
};
use crate::ports::kafka::messages::{ErrorCode, Text};
use crate::state::topics::Brokers;

/// What a client may ask for.
const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

impl Handle for DescribeCluster {
    async fn run(call: Call, request: DescribeClusterRequest) -> Option<DescribeClusterResponse> {
        let refused = |error_code, why: &str| {
            Some(DescribeClusterResponse {
                error_code,
                error_message: Some(text(why)),
                endpoint_type: request.endpoint_type,
                ..DescribeClusterResponse::default()
            })
        };
        match request.endpoint_type {
            BROKERS => {}
            CONTROLLERS => {
                let why = "brokers are here: nothing controls them from elsewhere";
                return refused(ErrorCode::MismatchedEndpointType, why);
            }
            _ => {
                let code = ErrorCode::UnsupportedEndpointType;
                return refused(code, code.sentence());
            }
        }
        let topics = call.door.site.topics();
        let mut brokers = up(&call, topics.brokers());
        if request.include_fenced_brokers {
            brokers.extend(down(topics.brokers()));
        }
        let asks = request.include_cluster_authorized_operations;
        Some(DescribeClusterResponse {
            cluster_id: call.door.site.cluster.to_string().into(),
            controller_id: call.controller(topics.brokers()),
            brokers,
            cluster_authorized_operations: call.authorized_on_cluster_if(asks),
            ..DescribeClusterResponse::default()
        })
    }
}

fn up(call: &Call, brokers: &Brokers) -> Vec<DescribeClusterBroker> {
    let reached = call.reached(brokers).into_iter();
    let brokers = reached.map(|broker| DescribeClusterBroker {
        broker_id: broker.number,
        host: broker.host,
        port: broker.port,
        rack: broker.rack,
        is_fenced: false,
    });
    brokers.collect()
}

/// One that is down has no address.
fn down(brokers: &Brokers) -> impl Iterator<Item = DescribeClusterBroker> {
    let down = brokers.iter().filter(|(_, broker)| broker.up.is_none());
    down.map(|(node, broker)| DescribeClusterBroker {
        broker_id: number(node),
        host: Text::default(),
        port: NOBODY,
        rack: broker.rack.as_deref().map(text),
        is_fenced: true,
    })
}

#[cfg(test)]
mod tests {
    use super::super::stage::Stage;
    use super::*;

    #[test]
    fn brokers_are_told_of_as_they_are_reached() {
        let stage = Stage::new(3);
        stage.take_down(3);
        let ask = |listener, version, include_fenced_brokers| {
            let request = DescribeClusterRequest {
                include_cluster_authorized_operations: version > 0,
                include_fenced_brokers,
                ..DescribeClusterRequest::default()
            };
            let response = stage.ask_by::<DescribeCluster>(listener, version, request);
            assert_eq!(response.error_code, ErrorCode::None);
            assert_eq!(response.cluster_id, "07".repeat(16).as_str());
            assert_eq!(response.controller_id, 1);
            let operations = if version > 0 { 8096 } else { i32::MIN };
            assert_eq!(response.cluster_authorized_operations, operations);
            let brokers = response.brokers.into_iter().map(|broker| {
                let DescribeClusterBroker {
                    broker_id,
                    host,
                    port,
                    rack,
                    is_fenced,
                } = broker;
                let rack = rack.unwrap_or_default();
                format!("{broker_id} {host}:{port} {rack} {is_fenced}")
            });
            brokers.collect::<Vec<_>>()
        };
        let within = ["1 node-1:9091  false", "2 node-2:9092 attic false"];
        assert_eq!(ask("INTERNAL", 0, false), within);
        let outside = ["1 edge-1:19091  false", "2 edge-2:19092 attic false"];
        assert_eq!(ask("EDGE", 1, false), outside);
        // Of a listener that a broker does not have.
        assert_eq!(ask("OTHER", 2, false), within);
        assert_eq!(
            ask("INTERNAL", 2, true),
            [&within[..], &["3 :-1  true"]].concat()
        );
    }

    #[test]
    fn controllers_are_not_asked_for_here() {
        let stage = Stage::new(1);
        for (endpoint_type, code) in [
            (2, ErrorCode::MismatchedEndpointType),
            (3, ErrorCode::UnsupportedEndpointType),
        ] {
            let request = DescribeClusterRequest {
                endpoint_type,
                ..DescribeClusterRequest::default()
            };
            let response = stage.ask::<DescribeCluster>(1, request);
            assert_eq!(response.error_code, code);
            assert!(response.error_message.is_some() && response.brokers.is_empty());
        }
    }

    #[test]
    fn the_controller_is_one_that_is_up() {
        let stage = Stage::new(2);
        let controller = || {
            let request = DescribeClusterRequest::default();
            stage.ask::<DescribeCluster>(2, request).controller_id
        };
        assert_eq!(controller(), 1);
        stage.take_down(1);
        assert_eq!(controller(), 2);
        stage.take_down(2);
        assert_eq!(controller(), NOBODY);
    }
}
