//! Sets all settings of topics, brokers or groups: what is not named falls back to
//! its default.

use super::configs::{Alter, alter_each};
use super::{Call, Handle};
use crate::ports::kafka::errors::Refusal;
use crate::ports::kafka::messages::ErrorCode;
use crate::ports::kafka::messages::alter_configs::{
    AlterConfigs, AlterConfigsRequest, AlterConfigsResource, AlterConfigsResourceResponse,
    AlterConfigsResponse, AlterableConfig,
};
use crate::state::topics::SettingsChange;
use crate::state::topics::settings::Given;

impl Handle for AlterConfigs {
    async fn run(call: Call, request: AlterConfigsRequest) -> Option<AlterConfigsResponse> {
        let alters = request.resources.into_iter().map(read).collect();
        let altered = alter_each(&call, alters, request.validate_only).await;
        let responses = altered.into_iter().map(|one| AlterConfigsResourceResponse {
            error_code: one.code,
            error_message: one.why,
            resource_type: one.owner,
            resource_name: one.name,
        });
        Some(AlterConfigsResponse {
            responses: responses.collect(),
            ..AlterConfigsResponse::default()
        })
    }
}

fn read(resource: AlterConfigsResource) -> Alter {
    let given = resource.configs.iter().map(given);
    Alter {
        owner: resource.resource_type,
        name: resource.resource_name,
        change: given.collect::<Result<_, _>>().map(SettingsChange::Replace),
    }
}

fn given(config: &AlterableConfig) -> Result<Given, Refusal> {
    match &config.value {
        Some(value) => Ok(((*config.name).into(), (**value).into())),
        None => Err(Refusal::new(
            ErrorCode::InvalidRequest,
            format_args!("{} is given no value", config.name),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::stage::Stage;
    use super::*;

    /// Its kind, its name, and names with values.
    type Asked<'a> = (i8, &'a str, &'a [(&'a str, &'a str)]);

    fn ask(stage: &Stage, resources: &[Asked], only: bool) -> Vec<i16> {
        let resource = |&(resource_type, name, configs): &Asked| {
            let configs = configs.iter().map(|&(name, value)| AlterableConfig {
                name: name.into(),
                value: (value != "null").then(|| value.into()),
            });
            AlterConfigsResource {
                resource_type,
                resource_name: name.into(),
                configs: configs.collect(),
            }
        };
        let request = AlterConfigsRequest {
            resources: resources.iter().map(resource).collect(),
            validate_only: only,
        };
        let responses = stage.ask::<AlterConfigs>(2, request).responses.into_iter();
        let codes = responses.map(|one| {
            assert_eq!(one.error_message.is_some(), !one.error_code.is_none());
            one.error_code.number()
        });
        codes.collect()
    }

    #[test]
    fn what_is_not_named_is_not_set() {
        let stage = Stage::new(1);
        stage.create_with("a", &[("retention.ms", "5"), ("segment.ms", "7")]);
        let own = || {
            let topics = stage.site.topics();
            let own = topics.get("a").unwrap().settings.overrides();
            own.map(|(name, value)| format!("{name}={value}"))
                .collect::<Vec<_>>()
        };
        let change = [(2, "a", &[("segment.ms", "9")][..])];
        assert_eq!(ask(&stage, &change, true), [0]);
        assert_eq!(own(), ["retention.ms=5", "segment.ms=7"]);
        assert_eq!(ask(&stage, &change, false), [0]);
        assert_eq!(own(), ["segment.ms=9"]);
        assert_eq!(ask(&stage, &[(2, "a", &[])], false), [0]);
        assert!(own().is_empty());
    }

    #[test]
    fn each_has_its_code() {
        let stage = Stage::new(1);
        stage.create("a", 1, 1);
        stage.create_with("__consumer_offsets", &[("cleanup.policy", "compact")]);
        let twice = [("segment.ms", "9"), ("segment.ms", "9")];
        for (owner, name, configs, code) in [
            (2, "x", &[][..], 3),
            (2, "", &[], 17),
            (2, "a/b", &[], 17),
            (2, "a", &[("segment", "9")], 40),
            (2, "a", &[("segment.ms", "no")], 40),
            (2, "a", &[("remote.storage.enable", "true")], 40),
            (2, "a", &[("segment.ms", "null")], 42),
            (2, "a", &twice, 42),
            (2, "__consumer_offsets", &[("segment.ms", "9")], 44),
            (2, "__consumer_offsets", &[("cleanup.policy", "compact")], 0),
            (4, "1", &[("message.max.bytes", "9")], 42),
            (4, "1", &[("node.id", "9")], 42),
            (4, "1", &[("eventlog.disk.bytes", "9")], 42),
            (4, "1", &[("no.such", "9")], 40),
            (4, "1", &[("num.partitions", "9")], 42),
            (4, "1", &[("sasl.kerberos.min.time.before.relogin", "9")], 0),
            (
                4,
                "1",
                &[("sasl.kerberos.min.time.before.relogin", "x")],
                40,
            ),
            (4, "2", &[("num.io.threads", "9")], 42),
            (4, "x", &[], 42),
            (4, "", &[("num.partitions", "9")], 0),
            (4, "", &[("num.partitions", "0")], 40),
            (4, "", &[("num.partitions", "null")], 42),
            (4, "", &[("log.retention.ms", "9")], 42),
            (4, "", &[], 0),
            (8, "1", &[("root", "DEBUG")], 42),
            (16, "all", &[], 42),
            (32, "readers", &[], 0),
            (
                32,
                "readers",
                &[("consumer.session.timeout.ms", "50000")],
                0,
            ),
            (32, "readers", &[("consumer.session.timeout.ms", "5")], 40),
            (32, "readers", &[("share.session.timeout.ms", "45000")], 40),
            (32, "", &[], 42),
            (3, "a", &[], 42),
        ] {
            assert_eq!(
                ask(&stage, &[(owner, name, configs)], false),
                [code],
                "{owner} {name}"
            );
        }
        let both = [(2, "a", &[][..]), (2, "x", &[]), (2, "a", &[])];
        assert_eq!(ask(&stage, &both, false), [42, 3]);
        stage.lose_majority();
        assert_eq!(ask(&stage, &[(2, "a", &[])], false), [41]);
    }
}
