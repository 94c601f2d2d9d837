//! The daemon hands a backup out, at the pace of whoever takes it.

use super::super::coordination::Shared;
use super::codec::{Head, Writer};
use crate::entropy::{Entropy, MachineEntropy};
use crate::ids::Uid;
use crate::limits::BACKUP_PIECE_BYTES;
use crate::replica::{Backup, NoBackup, ReplicaHandle};
use crate::state::snapshot::backup::{Slice, Sums};
use crate::wire::frame::framed;
use serde_json::{Value, json};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// As long as a write of the daemon's waits for a majority.
const AGREEMENT_MAX: Duration = Duration::from_secs(8);
/// A slow stick takes its time for what it was given.
const TAKER_SILENCE_MAX: Duration = Duration::from_secs(60);
/// Whoever took a backup and broke off is missed with the next slice: who
/// types again right then is not to hear that another is being made.
const LET_GO_MAX: Duration = Duration::from_secs(1);
/// Between two slices the replica's thread is the clients'.
const REST: Duration = Duration::from_millis(2);

/// A backup that was begun. The replica forgets it when this is dropped.
pub struct Making {
    replica: ReplicaHandle,
    let_go: Arc<Notify>,
    backup: Backup,
    id: Uid,
    is_stale: bool,
}

impl Drop for Making {
    fn drop(&mut self) {
        let (number, let_go) = (self.backup.number, self.let_go.clone());
        self.replica.look(move |replica, _| {
            replica.drop_backup(number);
            let_go.notify_waiters();
        });
    }
}

impl Making {
    /// Begins a backup of a state that holds all that was acknowledged before.
    /// Where no majority says so, of what this node has, if that will do.
    pub async fn begin(shared: &Shared, accepts_stale: bool) -> Result<Self, String> {
        let give_up = Instant::now() + LET_GO_MAX;
        loop {
            // What is let go while this one asks is heard as well.
            let mut let_go = pin!(shared.backup_let_go.notified());
            let_go.as_mut().enable();
            let begun = Self::begin_once(shared, accepts_stale).await?;
            let is_another = matches!(begun, Err(NoBackup::AnotherUnderWay));
            if !is_another || timeout_at(give_up, let_go).await.is_err() {
                return begun.map_err(|why| why.to_string());
            }
        }
    }

    async fn begin_once(
        shared: &Shared,
        accepts_stale: bool,
    ) -> Result<Result<Self, NoBackup>, String> {
        let mut id = Uid::default();
        let drawn = MachineEntropy.fill(&mut id.0);
        drawn.map_err(|error| format!("the backup gets no number: {error}"))?;
        let (handle, let_go) = (shared.replica.clone(), shared.backup_let_go.clone());
        let making = move |is_stale| {
            let (replica, let_go) = (handle.clone(), let_go.clone());
            move |backup| Self {
                replica,
                let_go,
                backup,
                id,
                is_stale,
            }
        };
        let (put, given) = oneshot::channel();
        let current = making(false);
        shared.replica.look(move |replica, now| {
            let when_current = Box::new(move |replica: &mut crate::replica::Replica| {
                if !put.is_closed() {
                    // What nobody takes any more is dropped, and so forgotten.
                    let _ = put.send(replica.begin_backup().map(current));
                }
            });
            replica.when_current(now, when_current);
        });
        let begun = match timeout(AGREEMENT_MAX, given).await {
            Ok(begun) => begun.ok(),
            Err(_) if accepts_stale => {
                let stale = making(true);
                shared
                    .look(|replica, _| replica.begin_backup().map(stale))
                    .await
            }
            Err(_) => return Err(no_majority()),
        };
        begun.ok_or_else(|| "the node is stopping".into())
    }

    pub fn head(&self) -> Head {
        let Backup {
            cluster,
            node,
            index,
            at,
            begun,
            ..
        } = self.backup;
        Head {
            id: self.id,
            cluster,
            node,
            zxid: begun.zxid,
            log_index: index,
            at,
            version: env!("CARGO_PKG_VERSION").into(),
            features: begun.features,
            is_stale: self.is_stale,
            nodes: begun.nodes,
            ephemerals: begun.ephemerals,
            sessions: begun.sessions,
        }
    }

    /// Sends the file's bytes, and gives what is to be said behind them.
    pub async fn hand_out(self, shared: &Shared, stream: &mut UnixStream) -> io::Result<Value> {
        let mut writer = Writer::default();
        let head = writer.head(&self.head());
        hand(stream, &head).await?;
        let answer = loop {
            let number = self.backup.number;
            let slice = shared.look(move |replica, _| replica.backup_slice(number));
            match slice.await {
                None => break json!({ "error": "the node is stopping: try again" }),
                Some(Err(lost)) => break json!({ "error": lost.to_string() }),
                Some(Ok(Slice::Nothing)) => {}
                Some(Ok(Slice::Frame(frame))) => hand(stream, &writer.frame(frame)).await?,
                Some(Ok(Slice::End(sums))) => {
                    hand(stream, &writer.end(&sums)).await?;
                    break self.handed_out(&sums, writer.bytes());
                }
            }
            sleep(REST).await;
        };
        give(stream, &[]).await?;
        Ok(answer)
    }

    fn handed_out(&self, sums: &Sums, bytes: u64) -> Value {
        let wanted = self.backup.begun.nodes;
        if sums.nodes != wanted {
            let says = format!(
                "the backup has {} znodes where the state had {wanted}: this is a fault of dolmen",
                sums.nodes
            );
            return json!({ "error": says });
        }
        json!({ "answer": {
            "bytes": bytes,
            "nodes": sums.nodes,
            "data_bytes": sums.data_bytes,
        } })
    }
}

fn no_majority() -> String {
    format!(
        "no majority answers within {} s, and what this node holds may lack what the others know: \
         look at dolmen status, or take what is here with --accept-stale",
        AGREEMENT_MAX.as_secs()
    )
}

async fn hand(stream: &mut UnixStream, bytes: &[u8]) -> io::Result<()> {
    for piece in bytes.chunks(BACKUP_PIECE_BYTES) {
        give(stream, piece).await?;
    }
    Ok(())
}

async fn give(stream: &mut UnixStream, piece: &[u8]) -> io::Result<()> {
    let frame = framed(piece, BACKUP_PIECE_BYTES).map_err(io::Error::other)?;
    timeout(TAKER_SILENCE_MAX, stream.write_all(&frame)).await?
}
