//! Commands on topics as scripts write them, and what came of them as scripts
//! read it.
//!
//! ```text
//! announce NODE DISK [unclean] [lossy=all|NAME/P,...] [rack=R] [port=P]
//!                                                  by the session's actor
//! create NAME [partitions=N] [factor=N] [on=1,2/2,3] [SETTING=VALUE ...] [check]
//! delete NAME                                      a name, or the id of one: #NAME
//! add NAME COUNT [on=1,2/2,3] [check]
//! alter NAME SETTING=VALUE SETTING! SETTING+=ITEM SETTING-=ITEM [check]
//! replace NAME SETTING=VALUE ...
//! give brokers|broker|group:NAME SETTING=VALUE SETTING! [check]
//! give-only brokers|broker|group:NAME SETTING=VALUE ...
//! in-sync LEADER NAME/P 1,2,3 [leader-epoch=N] [epoch=N] [life=N]
//! elect preferred|unclean [NAME/P ...]
//! hand-on LEADER [NAME/P ...]
//! reassign NAME/P 1,2|back ...
//! ids NODE
//! ```

use dolmen::ids::{LogId, NodeId, PartitionId, TopicId, Uid, Zxid};
use dolmen::state::topics::{
    AddPartitions, AlterOverrides, AlterSettings, Alteration, Announce, BrokerLife, CreateTopic,
    Election, Holder, InSyncChange, Kept, Layout, Listener, Lost, Reassignment, Security,
    SettingsChange, Stand, TopicKey,
};
use dolmen::state::{State, StreamsCommand, StreamsOutcome, StreamsRefused};

pub fn read(state: &State, line: &str) -> StreamsCommand {
    let words: Vec<&str> = line.split(' ').collect();
    match words[..] {
        ["announce", node, disk, ..] => {
            StreamsCommand::Announce(announce(state, node, disk, &words[3..]))
        }
        ["create", name, ..] => StreamsCommand::CreateTopic(create(name, &words[2..])),
        ["delete", name] => StreamsCommand::DeleteTopic {
            topic: key(state, name),
        },
        ["add", name, count, ..] => StreamsCommand::AddPartitions(AddPartitions {
            topic: key(state, name),
            count: number(count) as u32,
            assigned: valued(&words, "on").map(assigned),
            validates_only: words.contains(&"check"),
        }),
        ["alter", name, ..] => {
            let named = words[2..].iter().filter(|word| **word != "check");
            alter(
                state,
                name,
                &words,
                SettingsChange::Alter(named.map(|word| alteration(word)).collect()),
            )
        }
        ["replace", name, ..] => {
            let given = words[2..].iter().filter_map(|word| word.split_once('='));
            let given = given.map(|(name, value)| (name.into(), value.into()));
            alter(
                state,
                name,
                &words,
                SettingsChange::Replace(given.collect()),
            )
        }
        ["give" | "give-only", whom, ..] => {
            let named = words[2..].iter().filter(|word| **word != "check");
            let named = named.map(|word| alteration(word));
            let change = match words[0] {
                "give" => SettingsChange::Alter(named.collect()),
                _ => SettingsChange::Replace(named.filter_map(given).collect()),
            };
            StreamsCommand::AlterOverrides(AlterOverrides {
                holder: match whom {
                    "brokers" => Holder::Brokers,
                    "broker" => Holder::OneBroker,
                    group => Holder::Group(group.strip_prefix("group:").expect("a group").into()),
                },
                change,
                validates_only: words.contains(&"check"),
            })
        }
        ["in-sync", leader, at, nodes, ..] => in_sync(state, leader, at, nodes, &words),
        ["elect", which, ..] => StreamsCommand::Elect {
            election: match which {
                "preferred" => Election::Preferred,
                "unclean" => Election::Unclean,
                _ => panic!("what is an election {which}?"),
            },
            partitions: some(&words[2..], named),
        },
        ["hand-on", leader, ..] => StreamsCommand::HandOn {
            leader: life(state, node(leader)),
            partitions: some(&words[2..], |at| {
                let (name, partition) = named(at);
                (id_of(state, &name), partition)
            }),
        },
        ["reassign", ..] => StreamsCommand::Reassign {
            moves: words[1..].chunks(2).map(reassignment).collect(),
        },
        ["ids", of] => StreamsCommand::DrawProducerIds {
            broker: life(state, node(of)),
        },
        _ => panic!("what is {line:?}?"),
    }
}

fn announce(state: &State, of: &str, disk: &str, words: &[&str]) -> Announce {
    let host = match valued(words, "host") {
        Some(host) => host.into(),
        None => format!("10.0.0.{of}").into(),
    };
    Announce {
        node: node(of),
        disk: Uid(padded(disk)),
        kept: match valued(words, "lossy") {
            Some("all") => Kept::Less(Lost::Anywhere),
            Some(named) => Kept::Less(Lost::In(
                named.split(',').map(|at| log_of(state, at)).collect(),
            )),
            None => Kept::of(!words.contains(&"unclean")),
        },
        listeners: vec![Listener {
            name: "PLAINTEXT".into(),
            security: Security::Plaintext,
            host,
            port: valued(words, "port").map_or(9092, number) as u16,
        }],
        rack: valued(words, "rack").map(Box::from),
    }
}

fn create(name: &str, words: &[&str]) -> CreateTopic {
    let of_layout = ["partitions", "factor", "on"];
    let settings = words.iter().filter_map(|word| word.split_once('='));
    let settings = settings.filter(|(name, _)| !of_layout.contains(name));
    CreateTopic {
        name: name.replace('~', " ").into(),
        id: id(name),
        layout: match valued(words, "on") {
            Some(on) => Layout::Assigned(assigned(on)),
            None => Layout::Spread {
                partitions: valued(words, "partitions").map(|word| number(word) as u32),
                factor: valued(words, "factor").map(|word| number(word) as u16),
            },
        },
        settings: settings
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        validates_only: words.contains(&"check"),
    }
}

fn alter(state: &State, name: &str, words: &[&str], change: SettingsChange) -> StreamsCommand {
    StreamsCommand::AlterSettings(AlterSettings {
        topic: key(state, name),
        change,
        validates_only: words.contains(&"check"),
    })
}

fn alteration(word: &str) -> (Box<str>, Alteration) {
    if let Some(name) = word.strip_suffix('!') {
        return (name.into(), Alteration::Delete);
    }
    if let Some((name, item)) = word.split_once("+=") {
        return (name.into(), Alteration::Append(item.into()));
    }
    if let Some((name, item)) = word.split_once("-=") {
        return (name.into(), Alteration::Subtract(item.into()));
    }
    let (name, value) = word.split_once('=').expect("name=value");
    (name.into(), Alteration::Set(value.into()))
}

fn given((name, alteration): (Box<str>, Alteration)) -> Option<(Box<str>, Box<str>)> {
    match alteration {
        Alteration::Set(value) => Some((name, value)),
        _ => None,
    }
}

/// With the epochs as they are, unless others are named.
fn in_sync(state: &State, leader: &str, at: &str, nodes: &str, words: &[&str]) -> StreamsCommand {
    let (name, n) = named(at);
    let topic = state.topics().get(&name);
    let partition = topic.and_then(|topic| topic.partition(n));
    let (leader_epoch, epoch) = partition.map_or((0, 0), |one| (one.leader_epoch, one.epoch));
    let given = |name, otherwise| valued(words, name).map_or(otherwise, |word| number(word) as i32);
    let lives = nodes.split(',').map(|word| {
        let life = life(state, node(word));
        match valued(words, "life") {
            Some(epoch) if word != leader => BrokerLife {
                epoch: Zxid(number(epoch)),
                ..life
            },
            _ => life,
        }
    });
    let change = InSyncChange {
        topic: id_of(state, &name),
        partition: n,
        leader_epoch: given("leader-epoch", leader_epoch),
        partition_epoch: given("epoch", epoch),
        in_sync: lives.collect(),
    };
    StreamsCommand::ChangeInSync {
        leader: life(state, node(leader)),
        changes: vec![change],
    }
}

fn reassignment(words: &[&str]) -> Reassignment {
    let (topic, partition) = named(words[0]);
    let target = match words[1] {
        "back" => None,
        "nobody" => Some(Vec::new()),
        list => Some(list.split(',').map(node).collect()),
    };
    Reassignment {
        topic,
        partition,
        target,
    }
}

fn some<T>(words: &[&str], read: impl Fn(&str) -> T) -> Option<Vec<T>> {
    (!words.is_empty()).then(|| words.iter().map(|word| read(word)).collect())
}

fn named(at: &str) -> (Box<str>, PartitionId) {
    let (name, partition) = at.split_once('/').expect("name/partition");
    (name.into(), PartitionId(number(partition) as u32))
}

fn assigned(on: &str) -> Vec<Vec<NodeId>> {
    let partition = |list: &str| list.split(',').map(node).collect();
    on.split('/').map(partition).collect()
}

fn valued<'a>(words: &[&'a str], name: &str) -> Option<&'a str> {
    let pairs = words.iter().filter_map(|word| word.split_once('='));
    let mut values = pairs.filter(|(key, _)| *key == name);
    values.next().map(|(_, value)| value)
}

fn key(state: &State, name: &str) -> TopicKey {
    match name.strip_prefix('#') {
        Some(name) => TopicKey::Id(id_of(state, name)),
        None => TopicKey::Name(name.into()),
    }
}

fn id_of(state: &State, name: &str) -> TopicId {
    let topic = state.topics().get(name);
    topic.map_or(id(name), |topic| topic.id)
}

fn log_of(state: &State, at: &str) -> LogId {
    let (name, partition) = named(at);
    LogId::of_partition(id_of(state, &name), partition, 0)
}

fn id(name: &str) -> TopicId {
    TopicId(padded(name))
}

fn padded(name: &str) -> [u8; 16] {
    std::array::from_fn(|n| *name.as_bytes().get(n).unwrap_or(&b'.'))
}

fn node(word: &str) -> NodeId {
    NodeId(number(word))
}

fn number(word: &str) -> u64 {
    word.parse().expect("a number")
}

/// As it is now, or one that never was.
fn life(state: &State, node: NodeId) -> BrokerLife {
    let life = state.topics().brokers().life(node);
    life.unwrap_or(BrokerLife {
        node,
        epoch: Zxid(0),
    })
}

fn list(nodes: &[NodeId]) -> String {
    let all: Vec<_> = nodes.iter().map(|node| node.to_string()).collect();
    all.join(",")
}

fn lists(replicas: &[Vec<NodeId>]) -> String {
    let all: Vec<_> = replicas.iter().map(|nodes| list(nodes)).collect();
    all.join("/")
}

pub fn shown(outcome: &StreamsOutcome) -> String {
    match outcome {
        StreamsOutcome::Announced(life) => {
            format!("node {} lives from {:x}", life.node, life.epoch.0)
        }
        StreamsOutcome::Created { replicas, .. } => format!("created on {}", lists(replicas)),
        StreamsOutcome::Deleted { .. } => "deleted".into(),
        StreamsOutcome::Added { replicas } => format!("added on {}", lists(replicas)),
        StreamsOutcome::Altered => "altered".into(),
        StreamsOutcome::Each(each) => {
            let each: Vec<_> = each.iter().map(stood).collect();
            each.join("; ")
        }
        StreamsOutcome::All(all) => {
            let one =
                |(name, n, stand): &(_, PartitionId, _)| format!("{name}/{n} {}", stood(stand));
            let all: Vec<_> = all.iter().map(one).collect();
            format!("[{}]", all.join("; "))
        }
        StreamsOutcome::ProducerIds { first, count } => format!("{count} ids from {first}"),
        StreamsOutcome::Access(outcome) => format!("{outcome:?}"),
        StreamsOutcome::Refused(refused) => format!("refused: {refused}"),
    }
}

fn stood(stand: &Result<Stand, StreamsRefused>) -> String {
    match stand {
        Ok(stand) => {
            let leader = stand
                .leader
                .map_or("nobody".into(), |node| node.to_string());
            format!(
                "{leader} leads in {}, epoch {}, in sync {}",
                stand.leader_epoch,
                stand.partition_epoch,
                list(&stand.in_sync)
            )
        }
        Err(refused) => format!("refused: {refused}"),
    }
}

/// A line for each broker and each partition.
pub fn standing(state: &State) -> Vec<String> {
    assert_eq!(state.topics_anew().as_ref(), Ok(state.topics()));
    let mut lines = Vec::new();
    for (node, broker) in state.topics().brokers().iter() {
        let is = if broker.up.is_some() { "up" } else { "down" };
        let rack = broker.rack.as_deref().unwrap_or("none");
        lines.push(format!("broker {node} {is}, rack {rack}"));
    }
    for (name, topic) in state.topics().iter() {
        for (n, one) in topic.partitions.iter().enumerate() {
            let leader = one.leader.map_or("nobody".into(), |node| node.to_string());
            let mut line = format!(
                "{name}/{n} {leader} leads in {}, epoch {}, on {}, in sync {}",
                one.leader_epoch,
                one.epoch,
                list(&one.replicas),
                list(&one.in_sync)
            );
            for (word, nodes) in [("adding", &one.adding), ("removing", &one.removing)] {
                if !nodes.is_empty() {
                    line.push_str(&format!(", {word} {}", list(nodes)));
                }
            }
            if one.is_lost {
                line.push_str(", lost");
            }
            if one.is_called_off {
                line.push_str(", called off");
            }
            lines.push(line);
        }
        let set: Vec<_> = topic.settings.overrides().collect();
        if !set.is_empty() {
            let set: Vec<_> = set
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            lines.push(format!("{name} has {}", set.join(" ")));
        }
    }
    lines
}
