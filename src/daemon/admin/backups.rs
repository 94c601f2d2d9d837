//! What is asked of backups, and the batches that come with an answer: those
//! of a restore, and of an import.

use super::super::backup::Making;
use super::super::backup::codec::parse_zxid;
use super::super::backup::taking::{self, Begun, Taking};
use super::super::chronicle::{Event, short};
use super::super::coordination::Shared;
use super::super::import;
use super::{Desk, READ_BYTES, Then, send};
use crate::ids::{Uid, Zxid};
use crate::limits::IMPORT_FRAME_BYTES_MAX;
use crate::state::{Command, Restoration};
use crate::wire::frame::Frames;
use serde::Deserialize;
use serde_json::{Value, json};
use std::io;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::time::timeout;

/// The next bytes of a batch: they may come from a slow stick.
const BATCH_SILENCE_MAX: Duration = Duration::from_secs(60);

/// What becomes of the batches that follow.
#[derive(Clone, Copy, Debug)]
pub(super) enum Intake {
    Import,
    Restore(Taking),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    path: String,
    zxid: String,
    nodes: u64,
    bytes: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fill {
    backup: String,
    nodes: u64,
    digest: u64,
    zxid: String,
}

impl Desk {
    pub(super) async fn create_backup(
        &self,
        shared: &Shared,
        accepts_stale: bool,
    ) -> Result<(Value, Then), String> {
        let making = Making::begin(shared, accepts_stale).await?;
        let head = making.head();
        let (id, zxid, is_stale) = (head.id, hex(head.zxid), head.is_stale);
        tracing::info!(%id, zxid, is_stale, "a backup is handed out");
        Ok((head.json(), Then::Hand(Box::new(making))))
    }

    pub(super) async fn hand_backup(
        &self,
        stream: &mut UnixStream,
        making: Making,
    ) -> io::Result<()> {
        let Some(coordination) = self.coordination.get() else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let said = making.hand_out(coordination.shared(), stream).await?;
        send(stream, &said).await
    }

    pub(super) async fn note_written(&self, written: Written) -> Result<Value, String> {
        let event = Event::BackupWritten {
            path: short(&written.path),
            zxid: short(&written.zxid),
            nodes: written.nodes,
            bytes: written.bytes,
        };
        self.write_down(event).await?;
        Ok("noted".into())
    }

    pub(super) async fn begin_restore(
        &self,
        shared: &Shared,
        backup: &str,
        features: u32,
        discards: bool,
    ) -> Result<Value, String> {
        let id = uid(backup)?;
        match taking::begin(shared, id, features, discards).await? {
            Begun::Already => Ok(json!({ "stands": "restored" })),
            Begun::Stands(stands) => {
                let backup = id.to_string();
                self.tell(Event::RestoreBegun { backup, discards }).await;
                Ok(json!({ "stands": stands.word() }))
            }
        }
    }

    pub(super) async fn go_on_emptying(
        &self,
        shared: &Shared,
        backup: &str,
    ) -> Result<Value, String> {
        let stands = taking::empty(shared, uid(backup)?).await?;
        Ok(json!({ "stands": stands.word() }))
    }

    pub(super) fn begin_filling(fill: &Fill) -> Result<(Value, Then), String> {
        let taking = Taking {
            backup: uid(&fill.backup)?,
            nodes: fill.nodes,
            digest: fill.digest,
            zxid: parse_zxid(&fill.zxid).ok_or("the zxid is no number")?,
        };
        Ok(("ready".into(), Then::Take(Intake::Restore(taking))))
    }

    pub(super) async fn give_restore_up(
        &self,
        shared: &Shared,
        discards: bool,
    ) -> Result<Value, String> {
        let stands = taking::give_up(shared, discards).await?;
        if stands == Restoration::None {
            self.tell(Event::RestoreGivenUp).await;
        }
        Ok(json!({ "stands": stands.word() }))
    }

    /// The batches, each answered once it is committed, until the empty one.
    pub(super) async fn take_batches(
        &self,
        stream: &mut UnixStream,
        intake: Intake,
    ) -> io::Result<()> {
        let mut frames = Frames::new(IMPORT_FRAME_BYTES_MAX);
        let mut arrived = [0; READ_BYTES];
        let mut taken = 0;
        loop {
            let length = timeout(BATCH_SILENCE_MAX, stream.read(&mut arrived)).await??;
            if length == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            frames.add(&arrived[..length]);
            loop {
                let outcome = match frames.take() {
                    Ok(None) => break,
                    Ok(Some(batch)) => self.take_batch(intake, &batch, taken).await,
                    Err(too_long) => Err(too_long.to_string()),
                };
                match outcome {
                    Ok((nodes, answer)) => {
                        send(stream, &json!({ "answer": answer })).await?;
                        match answer["zxid"].is_string() {
                            true => return Ok(()),
                            false => taken = nodes,
                        }
                    }
                    Err(says) => {
                        send(stream, &json!({ "error": says })).await?;
                        return Err(io::ErrorKind::InvalidData.into());
                    }
                }
            }
        }
    }

    /// One batch: how many nodes are in by now, and the answer.
    async fn take_batch(
        &self,
        intake: Intake,
        batch: &[u8],
        taken: u64,
    ) -> Result<(u64, Value), String> {
        let coordination = self.coordination.get().ok_or("the node is stopping")?;
        let shared = coordination.shared();
        if batch.is_empty() {
            return Ok((taken, self.end_intake(shared, intake, taken).await?));
        }
        let nodes = import::codec::decode(batch).map_err(|bad| bad.to_string())?;
        let taken = taken + nodes.len() as u64;
        match intake {
            Intake::Import => shared.command(Command::Import(nodes)).await.map(drop)?,
            Intake::Restore(taking) => taking.fill(shared, nodes).await?,
        }
        Ok((taken, json!({ "nodes": taken })))
    }

    async fn end_intake(
        &self,
        shared: &Shared,
        intake: Intake,
        taken: u64,
    ) -> Result<Value, String> {
        if let Intake::Restore(taking) = intake {
            taking.end(shared).await?;
        }
        let zxid = shared.look(|replica, _| replica.state().zxid()).await;
        let zxid = hex(zxid.ok_or("the node is stopping")?);
        if let Intake::Restore(Taking { backup, nodes, .. }) = intake {
            let (backup, zxid) = (backup.to_string(), zxid.clone());
            let restored = Event::Restored {
                backup,
                nodes,
                zxid,
            };
            self.tell(restored).await;
        }
        Ok(json!({ "nodes": taken, "zxid": zxid }))
    }

    /// What cannot be written down (the disk is full) happens all the same.
    async fn tell(&self, event: Event) {
        if let Err(says) = self.write_down(event).await {
            tracing::warn!(says, "what happens is not in the chronicle");
        }
    }

    async fn write_down(&self, event: Event) -> Result<(), String> {
        let chronicle = self.chronicle.get().ok_or("the chronicle is not open")?;
        let says = event.to_string();
        let index = chronicle.write(event).await;
        let index = index.map_err(|refused| refused.to_string())?;
        tracing::info!(chronicle = index.0, "{says}");
        Ok(())
    }
}

fn uid(text: &str) -> Result<Uid, String> {
    Uid::parse(text).ok_or_else(|| format!("{text} is no number of a backup"))
}

fn hex(zxid: Zxid) -> String {
    format!("{:#x}", zxid.0)
}
