//! Commands on brokers and topics, to bytes and back.

use super::Malformed;
use super::input::In;
use super::out::Out;
use crate::ids::{LogId, NodeId, PartitionId, TopicId, Uid, Zxid};
use crate::state::topics::{
    AddPartitions, AlterOverrides, AlterSettings, Alteration, Announce, BrokerLife, CreateTopic,
    Election, Holder, InSyncChange, Kept, Layout, Listener, Lost, Reassignment, Security,
    SettingsChange, StreamsCommand, TopicKey,
};

/// The least that an item of a list takes.
const NODE_BYTES: usize = 8;
const LIFE_BYTES: usize = 16;
const NODES_BYTES: usize = 4;
const LISTENER_BYTES: usize = 4 + 1 + 4 + 2;
const GIVEN_BYTES: usize = 4 + 4;
const ALTERATION_BYTES: usize = 4 + 1;
const CHANGE_BYTES: usize = 16 + 4 + 4 + 4 + 4;
const NAMED_BYTES: usize = 4 + 4;
const OF_TOPIC_BYTES: usize = 16 + 4;
const MOVE_BYTES: usize = 4 + 4 + 1;

impl Out {
    pub(super) fn streams(&mut self, command: &StreamsCommand) {
        match command {
            StreamsCommand::Announce(announce) => {
                self.u8(0);
                self.announce(announce);
            }
            StreamsCommand::CreateTopic(create) => {
                self.u8(1);
                self.text(&create.name);
                self.raw(&create.id.0);
                self.layout(&create.layout);
                self.list(&create.settings, Self::given);
                self.u8(create.validates_only.into());
            }
            StreamsCommand::DeleteTopic { topic } => {
                self.u8(2);
                self.key(topic);
            }
            StreamsCommand::AddPartitions(add) => {
                self.u8(3);
                self.key(&add.topic);
                self.u32(add.count);
                self.option(&add.assigned, |out, assigned| {
                    out.list(assigned, |out, nodes| out.nodes(nodes));
                });
                self.u8(add.validates_only.into());
            }
            StreamsCommand::AlterSettings(alter) => {
                self.u8(4);
                self.key(&alter.topic);
                self.settings_change(&alter.change);
                self.u8(alter.validates_only.into());
            }
            StreamsCommand::ChangeInSync { leader, changes } => {
                self.u8(5);
                self.life(leader);
                self.list(changes, Self::in_sync_change);
            }
            StreamsCommand::Elect {
                election,
                partitions,
            } => {
                self.u8(6);
                self.u8((*election == Election::Unclean).into());
                self.option(partitions, |out, named| {
                    out.list(named, |out, (name, partition)| {
                        out.text(name);
                        out.u32(partition.0);
                    });
                });
            }
            StreamsCommand::HandOn { leader, partitions } => {
                self.u8(7);
                self.life(leader);
                self.option(partitions, |out, named| {
                    out.list(named, |out, (topic, partition)| {
                        out.raw(&topic.0);
                        out.u32(partition.0);
                    });
                });
            }
            StreamsCommand::Reassign { moves } => {
                self.u8(8);
                self.list(moves, |out, one| {
                    out.text(&one.topic);
                    out.u32(one.partition.0);
                    out.option(&one.target, |out, nodes| out.nodes(nodes));
                });
            }
            StreamsCommand::DrawProducerIds { broker } => {
                self.u8(9);
                self.life(broker);
            }
            StreamsCommand::Access(command) => {
                self.u8(10);
                self.access(command);
            }
            StreamsCommand::AlterOverrides(alter) => {
                self.u8(11);
                match &alter.holder {
                    Holder::Brokers => self.u8(0),
                    Holder::OneBroker => self.u8(1),
                    Holder::Group(name) => {
                        self.u8(2);
                        self.text(name);
                    }
                }
                self.settings_change(&alter.change);
                self.u8(alter.validates_only.into());
            }
        }
    }

    fn announce(&mut self, announce: &Announce) {
        self.u64(announce.node.0);
        self.raw(&announce.disk.0);
        match &announce.kept {
            Kept::Synced => self.u8(0),
            Kept::All => self.u8(1),
            Kept::Less(Lost::Anywhere) => self.u8(2),
            Kept::Less(Lost::In(logs)) => {
                self.u8(3);
                self.list(logs, |out, log| out.u64(log.0));
            }
        }
        self.list(&announce.listeners, |out, listener| {
            out.text(&listener.name);
            out.u8(match listener.security {
                Security::Plaintext => 0,
                Security::Ssl => 1,
                Security::SaslPlaintext => 2,
                Security::SaslSsl => 3,
            });
            out.text(&listener.host);
            out.raw(&listener.port.to_le_bytes());
        });
        self.option(&announce.rack, |out, rack| out.text(rack));
    }

    fn layout(&mut self, layout: &Layout) {
        match layout {
            Layout::Spread { partitions, factor } => {
                self.u8(0);
                self.option(partitions, |out, count| out.u32(*count));
                self.option(factor, |out, factor| out.raw(&factor.to_le_bytes()));
            }
            Layout::Assigned(assigned) => {
                self.u8(1);
                self.list(assigned, |out, nodes| out.nodes(nodes));
            }
        }
    }

    fn settings_change(&mut self, change: &SettingsChange) {
        match change {
            SettingsChange::Alter(alterations) => {
                self.u8(0);
                self.list(alterations, |out, (name, alteration)| {
                    out.text(name);
                    let (tag, value) = match alteration {
                        Alteration::Set(value) => (0, Some(value)),
                        Alteration::Delete => (1, None),
                        Alteration::Append(value) => (2, Some(value)),
                        Alteration::Subtract(value) => (3, Some(value)),
                    };
                    out.u8(tag);
                    value.into_iter().for_each(|value| out.text(value));
                });
            }
            SettingsChange::Replace(given) => {
                self.u8(1);
                self.list(given, Self::given);
            }
        }
    }

    fn in_sync_change(&mut self, change: &InSyncChange) {
        self.raw(&change.topic.0);
        self.u32(change.partition.0);
        self.i32(change.leader_epoch);
        self.i32(change.partition_epoch);
        self.list(&change.in_sync, Self::life);
    }

    fn key(&mut self, key: &TopicKey) {
        match key {
            TopicKey::Name(name) => {
                self.u8(0);
                self.text(name);
            }
            TopicKey::Id(id) => {
                self.u8(1);
                self.raw(&id.0);
            }
        }
    }

    fn given(&mut self, (name, value): &(Box<str>, Box<str>)) {
        self.text(name);
        self.text(value);
    }

    fn life(&mut self, life: &BrokerLife) {
        self.u64(life.node.0);
        self.u64(life.epoch.0);
    }

    fn nodes(&mut self, nodes: &[NodeId]) {
        self.list(nodes, |out, node| out.u64(node.0));
    }
}

impl In<'_> {
    pub(super) fn streams(&mut self) -> Result<StreamsCommand, Malformed> {
        Ok(match self.u8()? {
            0 => StreamsCommand::Announce(self.announce()?),
            1 => StreamsCommand::CreateTopic(CreateTopic {
                name: self.text()?,
                id: TopicId(self.raw()?),
                layout: self.layout()?,
                settings: self.list(GIVEN_BYTES, Self::given)?,
                validates_only: self.flag("validates_only")?,
            }),
            2 => StreamsCommand::DeleteTopic { topic: self.key()? },
            3 => StreamsCommand::AddPartitions(AddPartitions {
                topic: self.key()?,
                count: self.u32()?,
                assigned: self.option(|read| read.list(NODES_BYTES, Self::nodes))?,
                validates_only: self.flag("validates_only")?,
            }),
            4 => StreamsCommand::AlterSettings(AlterSettings {
                topic: self.key()?,
                change: self.settings_change()?,
                validates_only: self.flag("validates_only")?,
            }),
            5 => StreamsCommand::ChangeInSync {
                leader: self.life()?,
                changes: self.list(CHANGE_BYTES, Self::in_sync_change)?,
            },
            6 => StreamsCommand::Elect {
                election: match self.flag("election")? {
                    true => Election::Unclean,
                    false => Election::Preferred,
                },
                partitions: self.option(|read| {
                    read.list(NAMED_BYTES, |read| {
                        Ok((read.text()?, PartitionId(read.u32()?)))
                    })
                })?,
            },
            7 => StreamsCommand::HandOn {
                leader: self.life()?,
                partitions: self.option(|read| {
                    read.list(OF_TOPIC_BYTES, |read| {
                        Ok((TopicId(read.raw()?), PartitionId(read.u32()?)))
                    })
                })?,
            },
            8 => StreamsCommand::Reassign {
                moves: self.list(MOVE_BYTES, |read| {
                    Ok(Reassignment {
                        topic: read.text()?,
                        partition: PartitionId(read.u32()?),
                        target: read.option(Self::nodes)?,
                    })
                })?,
            },
            9 => StreamsCommand::DrawProducerIds {
                broker: self.life()?,
            },
            10 => StreamsCommand::Access(self.access()?),
            11 => StreamsCommand::AlterOverrides(AlterOverrides {
                holder: self.holder()?,
                change: self.settings_change()?,
                validates_only: self.flag("validates_only")?,
            }),
            tag => {
                return Err(Malformed::Tag {
                    of: "command on topics",
                    tag,
                });
            }
        })
    }

    fn holder(&mut self) -> Result<Holder, Malformed> {
        match self.u8()? {
            0 => Ok(Holder::Brokers),
            1 => Ok(Holder::OneBroker),
            2 => Ok(Holder::Group(self.text()?)),
            tag => Err(Malformed::Tag {
                of: "whose settings",
                tag,
            }),
        }
    }

    fn kept(&mut self) -> Result<Kept, Malformed> {
        let [tag] = self.raw()?;
        match tag {
            0 => Ok(Kept::Synced),
            1 => Ok(Kept::All),
            2 => Ok(Kept::Less(Lost::Anywhere)),
            3 => {
                let logs = self.list(size_of::<u64>(), |read| Ok(LogId(read.u64()?)))?;
                Ok(Kept::Less(Lost::In(logs)))
            }
            tag => Err(Malformed::Tag {
                of: "what a disk has kept",
                tag,
            }),
        }
    }

    fn announce(&mut self) -> Result<Announce, Malformed> {
        Ok(Announce {
            node: NodeId(self.u64()?),
            disk: Uid(self.raw()?),
            kept: self.kept()?,
            listeners: self.list(LISTENER_BYTES, |read| {
                Ok(Listener {
                    name: read.text()?,
                    security: read.security()?,
                    host: read.text()?,
                    port: u16::from_le_bytes(read.raw()?),
                })
            })?,
            rack: self.option(Self::text)?,
        })
    }

    fn security(&mut self) -> Result<Security, Malformed> {
        match self.u8()? {
            0 => Ok(Security::Plaintext),
            1 => Ok(Security::Ssl),
            2 => Ok(Security::SaslPlaintext),
            3 => Ok(Security::SaslSsl),
            tag => Err(Malformed::Tag {
                of: "security of a listener",
                tag,
            }),
        }
    }

    fn layout(&mut self) -> Result<Layout, Malformed> {
        match self.u8()? {
            0 => Ok(Layout::Spread {
                partitions: self.option(Self::u32)?,
                factor: self.option(|read| Ok(u16::from_le_bytes(read.raw()?)))?,
            }),
            1 => Ok(Layout::Assigned(self.list(NODES_BYTES, Self::nodes)?)),
            tag => Err(Malformed::Tag { of: "layout", tag }),
        }
    }

    fn settings_change(&mut self) -> Result<SettingsChange, Malformed> {
        match self.u8()? {
            0 => Ok(SettingsChange::Alter(
                self.list(ALTERATION_BYTES, |read| {
                    Ok((read.text()?, read.alteration()?))
                })?,
            )),
            1 => Ok(SettingsChange::Replace(
                self.list(GIVEN_BYTES, Self::given)?,
            )),
            tag => Err(Malformed::Tag {
                of: "change of settings",
                tag,
            }),
        }
    }

    fn alteration(&mut self) -> Result<Alteration, Malformed> {
        Ok(match self.u8()? {
            0 => Alteration::Set(self.text()?),
            1 => Alteration::Delete,
            2 => Alteration::Append(self.text()?),
            3 => Alteration::Subtract(self.text()?),
            tag => {
                return Err(Malformed::Tag {
                    of: "alteration",
                    tag,
                });
            }
        })
    }

    fn in_sync_change(&mut self) -> Result<InSyncChange, Malformed> {
        Ok(InSyncChange {
            topic: TopicId(self.raw()?),
            partition: PartitionId(self.u32()?),
            leader_epoch: self.i32()?,
            partition_epoch: self.i32()?,
            in_sync: self.list(LIFE_BYTES, Self::life)?,
        })
    }

    fn key(&mut self) -> Result<TopicKey, Malformed> {
        match self.flag("topic's key")? {
            true => Ok(TopicKey::Id(TopicId(self.raw()?))),
            false => Ok(TopicKey::Name(self.text()?)),
        }
    }

    fn given(&mut self) -> Result<(Box<str>, Box<str>), Malformed> {
        Ok((self.text()?, self.text()?))
    }

    fn life(&mut self) -> Result<BrokerLife, Malformed> {
        Ok(BrokerLife {
            node: NodeId(self.u64()?),
            epoch: Zxid(self.u64()?),
        })
    }

    fn nodes(&mut self) -> Result<Vec<NodeId>, Malformed> {
        self.list(NODE_BYTES, |read| Ok(NodeId(read.u64()?)))
    }
}
