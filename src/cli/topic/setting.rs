//! The settings of a topic, as people type them and as a door tells them.

use super::shape::about;
use crate::cli::Failure;
use crate::cli::kafka::{At, Cluster, Trouble};
use crate::ports::kafka::messages::Text;
use crate::ports::kafka::messages::describe_configs::{
    DescribeConfigs, DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
};

/// A topic's settings, among all that have some.
pub const OF_TOPIC: i8 = 2;
/// Where a value comes from: the topic itself.
const OWN: i8 = 1;

/// NAME=VALUE; a value may have an equals sign in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    pub name: String,
    pub value: String,
}

impl Given {
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok(Self {
                name: name.into(),
                value: value.into(),
            }),
            _ => Err("write it as NAME=VALUE, such as retention.ms=86400000".into()),
        }
    }
}

pub struct Setting {
    pub name: String,
    pub value: String,
    /// Set for this topic, and not as for all.
    pub is_own: bool,
    pub says: String,
}

impl Setting {
    fn of(told: DescribeConfigsResourceResult) -> Self {
        Self {
            name: told.name.into(),
            value: told.value.map_or_else(String::new, String::from),
            is_own: told.config_source == OWN,
            says: told.documentation.map_or_else(String::new, String::from),
        }
    }
}

/// All of them, by name.
pub fn of_topic(cluster: &mut Cluster, topic: &str) -> Result<Vec<Setting>, Failure> {
    let request = DescribeConfigsRequest {
        resources: vec![DescribeConfigsResource {
            resource_type: OF_TOPIC,
            resource_name: Text::from(topic),
            configuration_keys: None,
        }],
        include_documentation: true,
        ..DescribeConfigsRequest::default()
    };
    let told = cluster.insist(|cluster| {
        let answer = cluster.ask::<DescribeConfigs>(At::Anyone, &request)?;
        let told = answer.results.into_iter().next().unwrap_or_default();
        match told.error_code.is_none() {
            true => Ok(told.configs),
            false => Err(Trouble::refused(
                told.error_code,
                told.error_message.as_ref(),
            )),
        }
    });
    let told = told.map_err(|trouble| about(topic, trouble))?;
    let mut settings: Vec<_> = told.into_iter().map(Setting::of).collect();
    settings.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_a_name_and_the_rest() {
        let given = Given::parse("a=b=c").unwrap();
        assert_eq!((&*given.name, &*given.value), ("a", "b=c"));
        assert_eq!(Given::parse("a=").unwrap().value, "");
        for bad in ["", "a", "=b"] {
            assert!(Given::parse(bad).is_err(), "{bad}");
        }
    }
}
