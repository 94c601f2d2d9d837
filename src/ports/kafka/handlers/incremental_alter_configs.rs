//! Changes single settings of topics, brokers or groups.

use super::configs::{Alter, alter_each};
use super::{Call, Handle};
use crate::ports::kafka::errors::Refusal;
use crate::ports::kafka::messages::ErrorCode;
use crate::ports::kafka::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterConfigsResourceResponse, AlterableConfig, IncrementalAlterConfigs,
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
};
use crate::state::topics::{Alteration, SettingsChange};

type Request = IncrementalAlterConfigsRequest;
type Response = IncrementalAlterConfigsResponse;

impl Handle for IncrementalAlterConfigs {
    async fn run(call: Call, request: Request) -> Option<Response> {
        let alters = request.resources.into_iter().map(read).collect();
        let altered = alter_each(&call, alters, request.validate_only).await;
        let responses = altered.into_iter().map(|one| AlterConfigsResourceResponse {
            error_code: one.code,
            error_message: one.why,
            resource_type: one.owner,
            resource_name: one.name,
        });
        Some(Response {
            responses: responses.collect(),
            ..Response::default()
        })
    }
}

fn read(resource: AlterConfigsResource) -> Alter {
    let alterations = resource.configs.iter().map(|config| {
        let alteration = alteration(config)?;
        Ok(((*config.name).into(), alteration))
    });
    let alterations = alterations.collect::<Result<_, Refusal>>();
    Alter {
        owner: resource.resource_type,
        name: resource.resource_name,
        change: alterations.map(SettingsChange::Alter),
    }
}

fn alteration(config: &AlterableConfig) -> Result<Alteration, Refusal> {
    let invalid = |why| Refusal::new(ErrorCode::InvalidRequest, why);
    let name = &config.name;
    let value = config.value.as_deref().map(Box::<str>::from);
    let value = value.ok_or_else(|| invalid(format!("{name} is given no value")));
    match config.config_operation {
        0 => value.map(Alteration::Set),
        1 => Ok(Alteration::Delete),
        2 => value.map(Alteration::Append),
        3 => value.map(Alteration::Subtract),
        other => Err(invalid(format!(
            "{name}: {other} is nothing that can be done to a setting"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::stage::Stage;
    use super::*;

    fn ask(stage: &Stage, owner: i8, name: &str, configs: &[(&str, i8, Option<&str>)]) -> i16 {
        let config =
            |&(name, config_operation, value): &(&str, i8, Option<&str>)| AlterableConfig {
                name: name.into(),
                config_operation,
                value: value.map(Into::into),
            };
        let resource = AlterConfigsResource {
            resource_type: owner,
            resource_name: name.into(),
            configs: configs.iter().map(config).collect(),
        };
        let request = Request {
            resources: vec![resource],
            validate_only: false,
        };
        let response = stage.ask::<IncrementalAlterConfigs>(1, request);
        let one = &response.responses[0];
        assert_eq!((one.resource_type, &*one.resource_name), (owner, name));
        assert_eq!(one.error_message.is_some(), !one.error_code.is_none());
        one.error_code.number()
    }

    #[test]
    fn one_setting_after_the_other() {
        let stage = Stage::new(1);
        stage.create_with("a", &[("retention.ms", "5")]);
        let own = || {
            let topics = stage.site.topics();
            let own = topics.get("a").unwrap().settings.overrides();
            own.map(|(name, value)| format!("{name}={value} "))
                .collect::<String>()
        };
        let policy = "cleanup.policy";
        for (configs, left) in [
            (("segment.ms", 0, Some("9")), "retention.ms=5 segment.ms=9 "),
            (("retention.ms", 1, None), "segment.ms=9 "),
            (
                (policy, 2, Some("compact")),
                "cleanup.policy=delete,compact segment.ms=9 ",
            ),
            (
                (policy, 3, Some("delete")),
                "cleanup.policy=compact segment.ms=9 ",
            ),
            ((policy, 1, Some("no matter")), "segment.ms=9 "),
        ] {
            assert_eq!(ask(&stage, 2, "a", &[configs]), 0);
            assert_eq!(own(), left);
        }
    }

    #[test]
    fn each_has_its_code() {
        let stage = Stage::new(1);
        stage.create("a", 1, 1);
        stage.create_with("__transaction_state", &[("cleanup.policy", "compact")]);
        let own = "__transaction_state";
        let policy = "cleanup.policy";
        let some = ("segment.ms", 0, Some("9"));
        for (owner, name, configs, code) in [
            (2, "x", &[some][..], 3),
            (2, "a", &[("segment", 0, Some("9"))], 40),
            (2, "a", &[("segment.ms", 0, Some("no"))], 40),
            (2, "a", &[("segment.ms", 2, Some("9"))], 40),
            (2, "a", &[("segment.ms", 0, None)], 42),
            (2, "a", &[(policy, 2, None)], 42),
            (2, "a", &[("segment.ms", 4, Some("9"))], 42),
            (2, "a", &[some, some], 42),
            (2, own, &[some], 0),
            (2, own, &[(policy, 1, None)], 44),
            (2, own, &[(policy, 2, Some("delete"))], 44),
            (4, "1", &[some], 40),
            (8, "1", &[some], 42),
            (16, "all", &[some], 42),
            (32, "readers", &[some], 40),
            (4, "1", &[("num.io.threads", 0, Some("9"))], 0),
            (4, "1", &[("num.io.threads", 2, Some("9"))], 40),
            (4, "1", &[("num.io.threads", 1, None)], 0),
            (4, "1", &[("log.cleanup.policy", 2, Some("compact"))], 42),
            (4, "", &[("num.partitions", 0, Some("9"))], 0),
            (4, "1", &[("num.partitions", 1, None)], 42),
            (
                32,
                "readers",
                &[("consumer.heartbeat.interval.ms", 0, Some("2000"))],
                0,
            ),
            (
                32,
                "readers",
                &[("consumer.heartbeat.interval.ms", 0, Some("45000"))],
                40,
            ),
            (
                32,
                "readers",
                &[("consumer.heartbeat.interval.ms", 1, None)],
                0,
            ),
            (0, "a", &[some], 42),
        ] {
            assert_eq!(
                ask(&stage, owner, name, configs),
                code,
                "{owner} {name} {configs:?}"
            );
        }
    }
}
