//! A follower's end of the stream to one leader: what the partitions ask goes
//! out, what the leader answers is checked and goes to them.

use super::codec::{self, Asked, Head};
use super::plane::{Purpose, Shared};
use super::{Told, check};
use crate::ids::NodeId;
use crate::limits::{
    FOLLOW_FRAME_BYTES_MAX, FOLLOW_NAMED_MAX, FOLLOW_PARTITION_BYTES, FOLLOW_PAUSE_MS,
    FOLLOW_PAUSE_MS_MAX, FOLLOW_UNWRITTEN_BYTES_MAX, PEER_BATCH_BYTES,
};
use crate::peers::{BulkReader, BulkWriter};
use crate::state::topics::Topics;
use crate::streams::Key;
use crate::streams::desk::Word;
use crate::streams::partition::{Answer, LeaderEpoch};
use crate::wire::frame::{self, framed};
use bytes::Bytes;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// What waits to be said to a leader: of each partition the last word.
#[derive(Default)]
pub(super) struct Outbox {
    waiting: Mutex<BTreeMap<Key, Asked>>,
    bell: Notify,
}

impl Outbox {
    pub fn put(&self, asked: Asked) {
        let mut waiting = self.waiting();
        let before = waiting.insert(asked.key, asked);
        // How far it is by now is said with the ask itself.
        if let Some(before) = before.filter(|one| one.number == asked.number && one.waits)
            && let Some(now) = waiting.get_mut(&asked.key)
        {
            now.waits = before.waits;
        }
        drop(waiting);
        self.bell.notify_one();
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<Key, Asked>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Vec<Asked> {
        let mut waiting = self.waiting();
        let mut taken = Vec::with_capacity(waiting.len().min(FOLLOW_NAMED_MAX));
        while taken.len() < FOLLOW_NAMED_MAX
            && let Some((_, asked)) = waiting.pop_first()
        {
            taken.push(asked);
        }
        taken
    }

    /// Drops what is asked of a leader that leads no more there. What the topics have
    /// not heard of yet is kept.
    fn forget_old(&self, leader: NodeId, topics: &Topics) {
        self.waiting().retain(|key, asked| {
            let topic = topics.by_id(key.topic).map(|(_, topic)| topic);
            let partition = topic.and_then(|one| one.partitions.get(key.partition.0 as usize));
            let led = partition.map(|one| (one.leader_epoch, one.leader));
            led.is_some_and(|(epoch, by)| is_wanted(asked, leader, epoch, by))
        });
    }

    async fn next(&self) -> Vec<Asked> {
        loop {
            let taken = self.take();
            if !taken.is_empty() {
                return taken;
            }
            self.bell.notified().await;
        }
    }
}

/// Whether an ask of a leader has a meaning for a partition that is led so.
fn is_wanted(asked: &Asked, leader: NodeId, epoch: LeaderEpoch, by: Option<NodeId>) -> bool {
    match asked.ask.leader_epoch.cmp(&epoch) {
        Ordering::Less => false,
        Ordering::Equal => by == Some(leader),
        // The partition has heard of it sooner.
        Ordering::Greater => true,
    }
}

/// For as long as this node follows the leader in something.
pub(super) async fn follow(shared: Arc<Shared>, leader: NodeId, outbox: Arc<Outbox>) {
    let mut pause_ms = FOLLOW_PAUSE_MS;
    loop {
        match shared.open(leader, Purpose::Follow).await {
            Ok(stream) => {
                pause_ms = FOLLOW_PAUSE_MS;
                // What the last stream took with it is asked for again, and what
                // was to be said on it is said with that.
                drop(outbox.take());
                shared.streams.say(Word::Reached(leader));
                let (writer, reader) = stream.split();
                let ended = tokio::select! {
                    ended = say(writer, &outbox) => ended,
                    ended = hear(&shared, leader, reader) => ended,
                };
                if let Err(error) = ended {
                    tracing::info!(%leader, %error, "the way to a leader has ended");
                }
            }
            Err(error) => tracing::debug!(%leader, %error, "a leader is not reached"),
        }
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        pause_ms = (pause_ms * 2).min(FOLLOW_PAUSE_MS_MAX);
        if shared.is_done(leader, &outbox) {
            return;
        }
    }
}

impl Shared {
    /// Looked at while there is no stream. The next ask begins another one.
    fn is_done(&self, leader: NodeId, outbox: &Outbox) -> bool {
        let topics = self.site.topics();
        let mut outboxes = self.outboxes();
        outbox.forget_old(leader, &topics);
        let is_done = outbox.waiting().is_empty() && !follows(&topics, self.site.node, leader);
        if is_done {
            outboxes.remove(&leader);
        }
        is_done
    }
}

fn follows(topics: &Topics, own: NodeId, leader: NodeId) -> bool {
    let mut all = topics.iter().flat_map(|(_, topic)| &topic.partitions);
    all.any(|one| one.leader == Some(leader) && one.replicas.contains(&own))
}

async fn say(mut writer: BulkWriter, outbox: &Outbox) -> io::Result<()> {
    loop {
        let asks = codec::asks(&outbox.next().await);
        let frame = framed(&asks, FOLLOW_FRAME_BYTES_MAX).map_err(io::Error::other)?;
        writer.write_all(&frame).await?;
    }
}

async fn hear(shared: &Shared, leader: NodeId, reader: BulkReader) -> io::Result<()> {
    let mut arrivals = Arrivals::of(reader);
    while let Some(frame) = arrivals.frame().await? {
        let heads = codec::read_answers(&frame).map_err(io::Error::other)?;
        take(shared, leader, heads, &mut arrivals).await?;
    }
    Ok(())
}

/// Waits where too much that came before is on its way to the disk; what is to
/// come then stays with the leader.
async fn take(
    shared: &Shared,
    leader: NodeId,
    heads: Vec<Head>,
    arrivals: &mut Arrivals,
) -> io::Result<()> {
    // One message always fits. All of it at once, so that none waits for what
    // another holds.
    let bytes = codec::batches_bytes(&heads).min(FOLLOW_UNWRITTEN_BYTES_MAX) as u32;
    let acquired = shared.room.clone().acquire_many_owned(bytes).await;
    let mut room = acquired.map_err(io::Error::other)?;
    let mut all = Vec::with_capacity(heads.len());
    for head in heads {
        let own = head.bytes.min(room.num_permits());
        let batches = arrivals.take(head.bytes).await?;
        let told = told(leader, head, batches);
        let room = room.split(own).filter(|_| own > 0);
        all.push(Told { room, ..told });
    }
    shared.streams.say(Word::Told(all));
    Ok(())
}

/// What comes in by a stream, in the amounts that it is asked for. What a
/// partition gets is copied once, out of the packets that brought it.
struct Arrivals {
    reader: BulkReader,
    /// What has arrived and was not asked for yet.
    left: Bytes,
}

impl Arrivals {
    fn of(reader: BulkReader) -> Self {
        let left = Bytes::new();
        Self { reader, left }
    }

    /// None where the stream ends before it.
    async fn frame(&mut self) -> io::Result<Option<Vec<u8>>> {
        if self.left.is_empty() {
            self.left = self.reader.next(PEER_BATCH_BYTES).await?;
        }
        if self.left.is_empty() {
            return Ok(None);
        }
        let head = self.take(frame::HEAD_BYTES).await?;
        let length = frame::length(&head, FOLLOW_FRAME_BYTES_MAX).map_err(io::Error::other)?;
        self.take(length).await.map(Some)
    }

    /// The next so many.
    async fn take(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut taken = Vec::with_capacity(count.min(FOLLOW_PARTITION_BYTES));
        while taken.len() < count {
            if self.left.is_empty() {
                self.left = self.reader.next(PEER_BATCH_BYTES).await?;
            }
            if self.left.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let wanted = self.left.len().min(count - taken.len());
            taken.extend_from_slice(&self.left.split_to(wanted));
        }
        Ok(taken)
    }
}

fn told(leader: NodeId, head: Head, batches: Vec<u8>) -> Told {
    let Head {
        key,
        number,
        mut answer,
        ..
    } = head;
    let (batches, stored) = match check(&batches) {
        Ok(stored) => (batches, stored),
        Err(why) => {
            tracing::error!(%leader, partition = %key, %why, "a leader's records are not sound");
            answer = Answer::NotNow;
            Default::default()
        }
    };
    Told {
        key,
        number,
        answer,
        batches,
        stored,
        room: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Offset, PartitionId, TopicId, Zxid};
    use crate::streams::partition::Ask;

    fn asked(leader_epoch: LeaderEpoch) -> Asked {
        Asked {
            key: Key {
                topic: TopicId([1; 16]),
                partition: PartitionId(0),
            },
            number: 1,
            waits: true,
            ask: Ask {
                leader_epoch,
                partition_epoch: 1,
                life: Zxid(1),
                next: Offset(0),
                last_epoch: None,
                has: Offset(0),
                is_durable: true,
            },
        }
    }

    #[test]
    fn what_is_asked_of_one_that_leads_no_more_is_not_wanted() {
        let (one, other) = (NodeId(1), NodeId(2));
        let is_wanted = |epoch, by| super::is_wanted(&asked(5), one, epoch, by);
        assert!(is_wanted(5, Some(one)));
        assert!(is_wanted(4, Some(other)), "the topics lag behind");
        assert!(!is_wanted(6, Some(one)), "it leads anew");
        assert!(!is_wanted(6, Some(other)));
        assert!(!is_wanted(5, None), "it is dead");
        let outbox = Outbox::default();
        outbox.put(asked(5));
        outbox.forget_old(one, &Topics::default());
        assert!(outbox.take().is_empty(), "the topic is deleted");
    }
}
