//! A partition of an internal topic, read from its beginning by the coordinator
//! that has come to lead it.

use super::pages::{Remembers, replay};
use crate::clock::Clock;
use crate::ids::Offset;
use crate::limits::{COORDINATOR_PAUSE_MS, COORDINATOR_PAUSE_MS_MAX, COORDINATOR_READ_BYTES};
use crate::log::{ReadError, Way};
use crate::streams::Key;
use crate::streams::batch::codec::Unpacker;
use crate::streams::desk::{Watch, Word};
use crate::streams::partition::LeaderEpoch;
use crate::streams::{Streams, View};
use std::sync::Arc;
use std::time::Duration;

/// Reads into the machine all that was written before this node led since
/// `epoch`, and what was acknowledged until now. An error is for a person.
pub(super) async fn read<M: Remembers + Send + 'static>(
    streams: &Streams,
    clock: &dyn Clock,
    (key, epoch): (Key, LeaderEpoch),
    machine: Box<M>,
) -> Result<Box<M>, String> {
    let view = led(streams, key, epoch).await?;
    let until = view.marks().next;
    settled(streams, clock, &view, epoch, until).await?;
    let read = tokio::task::spawn_blocking(move || read_all(&view, until, machine));
    let read = read.await;
    read.unwrap_or_else(|_| Err("the node is stopping".into()))
}

/// Waits until the partition is led here since this epoch: the replicated state
/// may say so before the log's thread has heard of it.
async fn led(streams: &Streams, key: Key, epoch: LeaderEpoch) -> Result<Arc<View>, String> {
    loop {
        // What turns behind the look is not missed.
        let turned = streams.turned();
        let view = streams.view(key);
        if let Some(view) = view.filter(|view| view.leader_epoch() >= epoch) {
            check_led(&view, epoch)?;
            return Ok(view);
        }
        turned.await;
    }
}

fn check_led(view: &View, epoch: LeaderEpoch) -> Result<(), String> {
    match view.leads() && view.leader_epoch() == epoch {
        true => Ok(()),
        false => Err("the partition has another leader".into()),
    }
}

/// Waits until all below `until` is acknowledged: what an earlier leader left is
/// then on every in-sync member, and no later leader can be without it.
async fn settled(
    streams: &Streams,
    clock: &dyn Clock,
    view: &View,
    epoch: LeaderEpoch,
    until: Offset,
) -> Result<(), String> {
    loop {
        check_led(view, epoch)?;
        let watermark = view.marks().watermark;
        if watermark >= until {
            return Ok(());
        }
        let patience = Duration::from_millis(COORDINATOR_PAUSE_MS_MAX);
        let answered = streams.ask(|answer| {
            Word::Watch(Watch {
                wants: vec![(view.key, watermark)],
                until: clock.monotonic() + patience,
                reads_committed: false,
                answer,
            })
        });
        answered.await.ok_or("the node is stopping")?;
        // Where the answer came though nothing has changed, too many wait already.
        if view.marks().watermark == watermark && check_led(view, epoch).is_ok() {
            tokio::time::sleep(Duration::from_millis(COORDINATOR_PAUSE_MS)).await;
        }
    }
}

fn read_all<M: Remembers>(
    view: &View,
    until: Offset,
    mut machine: Box<M>,
) -> Result<Box<M>, String> {
    let mut unpacker = Unpacker::default();
    let mut from = view.marks().first;
    while from < until {
        let read = match view.read(from, until, COORDINATOR_READ_BYTES, Way::Plain) {
            Ok(read) => read.ok_or_else(|| format!("there is nothing to read at {from}"))?,
            // The beginning was dropped meanwhile.
            Err(ReadError::BelowFirst { first }) if first.0 > from.0 => {
                from = Offset(first.0);
                continue;
            }
            Err(why) => return Err(why.to_string()),
        };
        let replayed = replay(&read.bytes, &mut *machine, &mut unpacker);
        replayed.map_err(|why| why.to_string())?;
        from = read.next;
    }
    Ok(machine)
}
