//! Settings of topics, brokers and groups, altered by either of the APIs that do
//! so.

use super::super::Call;
use super::super::named::each_once;
use super::super::proposing::{Deadline, propose_each};
use super::Owner;
use super::broker::{broker_named, is_alterable, is_fixed};
use crate::ports::kafka::access::Operation;
use crate::ports::kafka::errors::Refusal;
use crate::ports::kafka::messages::{ErrorCode, Text};
use crate::ports::kafka::topics::Internal;
use crate::state::topics::{
    AlterOverrides, AlterSettings, Holder, SettingsChange, StreamsCommand, StreamsRefused,
    TopicKey, Topics, names,
};

/// Of one thing, what is to become of its settings.
pub(in super::super) struct Alter {
    /// As the protocol numbers kinds of things.
    pub owner: i8,
    pub name: Text,
    /// None of it where it cannot be read.
    pub change: Result<SettingsChange, Refusal>,
}

/// Whose settings, and why they stay as they were.
pub(in super::super) struct Altered {
    pub owner: i8,
    pub name: Text,
    pub code: ErrorCode,
    pub why: Option<Text>,
}

pub(in super::super) async fn alter_each(
    call: &Call,
    alters: Vec<Alter>,
    validates_only: bool,
) -> Vec<Altered> {
    let is_topic = |owner| matches!(Owner::of(owner), Ok(Owner::Topic));
    let named = alters.iter().filter(|one| is_topic(one.owner));
    let deadline = Deadline::unsaid();
    let topics = call
        .topics_with(named.map(|one| &*one.name), deadline)
        .await;
    let mut told = Vec::new();
    let (mut places, mut commands) = (Vec::new(), Vec::new());
    for (alter, is_once) in each_once(alters, |alter| (alter.owner, alter.name.clone())) {
        let Alter {
            owner,
            name,
            change,
        } = alter;
        let command = match is_once {
            true => command(call, &topics, owner, &name, change, validates_only),
            false => Err(Refusal::new(
                ErrorCode::InvalidRequest,
                "it is named twice, with different settings perhaps",
            )),
        };
        let refusal = match command {
            Ok(command) => {
                places.push(told.len());
                commands.push(command);
                None
            }
            Err(refusal) => Some(refusal),
        };
        told.push((owner, name, refusal));
    }
    let outcomes = propose_each(&call.door.site, commands, deadline).await;
    for (place, outcome) in places.into_iter().zip(outcomes) {
        told[place].2 = outcome.err();
    }
    let told = told.into_iter().map(|(owner, name, refusal)| {
        let (code, why) = Refusal::said(refusal);
        Altered {
            owner,
            name,
            code,
            why,
        }
    });
    told.collect()
}

/// Looked at here, so that what the state would refuse is not sent around first.
fn command(
    call: &Call,
    topics: &Topics,
    owner: i8,
    name: &str,
    change: Result<SettingsChange, Refusal>,
    validates_only: bool,
) -> Result<StreamsCommand, Refusal> {
    let owner = Owner::of(owner)?;
    owner.check_may(call, Operation::AlterConfigs, name)?;
    let refuse = |why: &str| Err(Refusal::new(ErrorCode::InvalidRequest, why));
    let holder = match owner {
        Owner::Topic => {
            let change = change?;
            check_topic(topics, name, &change)?;
            return Ok(StreamsCommand::AlterSettings(AlterSettings {
                topic: TopicKey::Name(name.into()),
                change,
                validates_only,
            }));
        }
        Owner::Broker if name.is_empty() => Holder::Brokers,
        Owner::Broker => {
            broker_named(topics, name)?;
            Holder::OneBroker
        }
        Owner::BrokerLogger => {
            return refuse("what a broker logs is set in its /etc/dolmen/dolmen.toml");
        }
        Owner::ClientMetrics => {
            return refuse("clients' metrics are not gathered: their own have them");
        }
        Owner::Group => Holder::Group(name.into()),
    };
    let change = change?;
    if owner == Owner::Broker {
        check_brokers(topics, &change)?;
    }
    Ok(StreamsCommand::AlterOverrides(AlterOverrides {
        holder,
        change,
        validates_only,
    }))
}

fn check_topic(topics: &Topics, name: &str, change: &SettingsChange) -> Result<(), Refusal> {
    let Some(topic) = topics.get(name) else {
        let refused = match names::check(name) {
            Err(fault) => fault.into(),
            Ok(()) => StreamsRefused::UnknownTopic,
        };
        return Err(refused.into());
    };
    let settings = topic.settings.changed(change)?;
    let is_kept = settings.is_compacted() && !settings.is_deleted_by_age();
    match Internal::named(name) {
        Some(_) if !is_kept => Err(Refusal::new(
            ErrorCode::PolicyViolation,
            "what groups and transactions know is in it: its cleanup.policy is compact",
        )),
        _ => Ok(()),
    }
}

/// What is shown of a broker and cannot be altered is refused as what it is; the
/// state knows only what can.
fn check_brokers(topics: &Topics, change: &SettingsChange) -> Result<(), Refusal> {
    let mut fixed = change.names().filter(|name| !is_alterable(name));
    match fixed.find(|name| is_fixed(topics, name)) {
        Some(name) => Err(Refusal::new(
            ErrorCode::InvalidRequest,
            format_args!(
                "{name} is not altered while brokers run: what holds for topics is said where a \
                 topic is made, and a broker's own stands in its /etc/dolmen/dolmen.toml"
            ),
        )),
        None => Ok(()),
    }
}
