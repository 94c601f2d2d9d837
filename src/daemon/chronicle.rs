//! The chronicle: what befell this node, in log 0 of its device.
//!
//! A record is durable before the daemon says that the thing has happened, so
//! what the journal of the machine tells with a chronicle's index is here too,
//! also where that journal is in memory or long gone. The payload is an rkyv
//! archive, read checked; its form has a number in the frame's schema.

use crate::clock::{Clock, Millis};
use crate::ids::{Index, LogId, Term};
use crate::limits::{CHRONICLE_ASKED_MAX, CHRONICLE_RECORDS_MAX, CHRONICLE_TEXT_BYTES_MAX};
use crate::log::{
    FRAMES, LogHandle, Logs, Payload, ReadError, Records, Refused, Report, Request, Way, frame,
};
use rkyv::rancor;
use rkyv::util::AlignedVec;
use serde::Serialize;
use std::fmt;
use std::sync::Arc;
use tokio::sync::oneshot;

pub const LOG: LogId = LogId(0);
/// The form of a record. A build refuses the forms it does not know, and keeps
/// reading the ones it has known.
const SCHEMA: u16 = 1;
/// One read: some hundred records.
const READ_BYTES: usize = 64 << 10;

#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
struct Record {
    at_ms: u64,
    event: Event,
}

/// The steps of a node's life.
#[derive(
    Clone, Debug, PartialEq, Eq, Serialize, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize,
)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Event {
    Started {
        version: String,
        engine: String,
        opening: Opening,
    },
    ProfileChosen {
        /// None where no profile fits.
        name: Option<String>,
        why: String,
    },
    SettingsReloaded {
        log_level: String,
        /// Those that differ and wait for a restart.
        waiting: String,
    },
    Stopping {
        why: String,
    },
    /// By who has written it down, on this host.
    BackupWritten {
        path: String,
        zxid: String,
        nodes: u64,
        bytes: u64,
    },
    /// Clients are kept out from here on.
    RestoreBegun {
        backup: String,
        /// What stands here is to be replaced.
        discards: bool,
    },
    Restored {
        backup: String,
        nodes: u64,
        zxid: String,
    },
    RestoreGivenUp,
}

/// What opening the log found, as far as a reader of the chronicle cares.
#[derive(
    Clone, Debug, PartialEq, Eq, Serialize, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize,
)]
pub struct Opening {
    pub is_new: bool,
    pub was_clean: bool,
    pub replayed_batches: u64,
    pub replayed_bytes: u64,
    pub scanned_bytes: u64,
    /// The batch that was being written when the power went.
    pub torn: Option<String>,
}

impl From<&Report> for Opening {
    fn from(report: &Report) -> Self {
        Self {
            is_new: report.is_new,
            was_clean: report.was_clean,
            replayed_batches: report.replayed_batches,
            replayed_bytes: report.replayed_bytes,
            scanned_bytes: report.scanned_bytes,
            torn: report.torn.as_deref().map(short),
        }
    }
}

impl fmt::Display for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_new {
            return f.write_str("a new data folder");
        }
        if self.was_clean {
            return f.write_str("after a clean stop, nothing scanned");
        }
        let kib = |bytes: u64| bytes.div_ceil(1024);
        write!(
            f,
            "after a stop that was not clean: {} batches ({} KiB) replayed, {} KiB scanned, ",
            self.replayed_batches,
            kib(self.replayed_bytes),
            kib(self.scanned_bytes),
        )?;
        match &self.torn {
            Some(torn) => write!(f, "torn tail cut in {torn}"),
            None => f.write_str("no torn tail"),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started {
                version,
                engine,
                opening,
            } => write!(f, "started: version {version}, engine {engine}, {opening}"),
            Self::ProfileChosen { name, why } => match name {
                Some(name) => write!(f, "profile {name}: {why}"),
                None => write!(f, "no profile: {why}"),
            },
            Self::SettingsReloaded { log_level, waiting } => {
                write!(f, "settings read again: log level {log_level}")?;
                match waiting.as_str() {
                    "" => Ok(()),
                    waiting => write!(f, "; waiting for a restart: {waiting}"),
                }
            }
            Self::Stopping { why } => write!(f, "stopping: {why}"),
            Self::BackupWritten {
                path,
                zxid,
                nodes,
                bytes,
            } => write!(
                f,
                "a backup of zxid {zxid} is written: {path}, {nodes} znodes in {bytes} bytes"
            ),
            Self::RestoreBegun { backup, discards } => {
                write!(f, "the restore of backup {backup} begins")?;
                f.write_str(match discards {
                    true => ", in place of what is here",
                    false => "",
                })
            }
            Self::Restored {
                backup,
                nodes,
                zxid,
            } => write!(
                f,
                "backup {backup} is restored: {nodes} znodes, at zxid {zxid} from here on"
            ),
            Self::RestoreGivenUp => f.write_str("a restore is given up: clients are served again"),
        }
    }
}

/// A text that fits a record.
pub fn short(text: &str) -> String {
    text[..text.floor_char_boundary(CHRONICLE_TEXT_BYTES_MAX)].into()
}

/// One record as it is told.
#[derive(Debug, Serialize)]
pub struct Entry {
    pub index: u64,
    /// None where the record cannot be read.
    pub at: Option<String>,
    pub event: Option<Event>,
    /// For people: what happened, or why the record cannot be read.
    pub says: String,
}

impl Entry {
    fn read(index: Index, schema: u16, payload: &[u8]) -> Self {
        match Record::read(schema, payload) {
            Ok(Record { at_ms, event }) => Self {
                index: index.0,
                at: Some(Millis(at_ms).to_string()),
                says: event.to_string(),
                event: Some(event),
            },
            Err(says) => Self {
                index: index.0,
                at: None,
                event: None,
                says,
            },
        }
    }
}

impl Record {
    fn payload(&self) -> Payload {
        let bytes = rkyv::to_bytes::<rancor::Error>(self)
            .expect("numbers and short texts always fit an archive");
        Payload::new(Term(0), SCHEMA, bytes.to_vec())
    }

    fn read(schema: u16, payload: &[u8]) -> Result<Self, String> {
        if schema != SCHEMA {
            return Err(format!(
                "a record of form {schema}; this build reads form {SCHEMA}"
            ));
        }
        // A payload stands on 16 bytes in its file, not always in memory.
        let mut aligned = AlignedVec::<16>::with_capacity(payload.len());
        aligned.extend_from_slice(payload);
        rkyv::from_bytes::<Self, rancor::Error>(&aligned)
            .map_err(|error| format!("a record that is none of ours: {error}"))
    }
}

pub struct Chronicle {
    log: LogHandle,
    logs: Logs,
    clock: Arc<dyn Clock>,
}

impl Chronicle {
    /// Waits for the log's thread.
    pub fn open(logs: &Logs, clock: Arc<dyn Clock>) -> Result<Self, Refused> {
        Ok(Self {
            log: logs.open(LOG, &FRAMES)?,
            logs: logs.clone(),
            clock,
        })
    }

    /// Writes a record and gives its index once it is durable.
    pub async fn write(&self, event: Event) -> Result<Index, Refused> {
        let record = Record {
            at_ms: self.clock.now().0,
            event,
        };
        let (done, when_done) = oneshot::channel();
        self.logs.submit(
            Request::Append {
                log: LOG,
                records: Records::Frames(vec![record.payload()]),
            },
            Box::new(move |outcome| drop(done.send(outcome))),
        );
        let appended = when_done.await.unwrap_or(Err(Refused::Closed))?;
        self.forget_old(appended.next);
        Ok(appended.first)
    }

    /// Forgets a tenth at a time: a cut costs a batch of its own.
    fn forget_old(&self, next: Index) {
        let Some(until) = cut(self.log.first(), next) else {
            return;
        };
        self.logs.submit(
            Request::DropPrefix { log: LOG, until },
            Box::new(|outcome| {
                if let Err(refused) = outcome {
                    tracing::warn!(%refused, "old records of the chronicle stay");
                }
            }),
        );
    }

    /// The last records, oldest first. Waits for the disk.
    pub fn last(&self, count: usize) -> Result<Vec<Entry>, ReadError> {
        let next = self.log.durable_until();
        let count = count.min(CHRONICLE_ASKED_MAX) as u64;
        let mut from = Index(next.0.saturating_sub(count)).max(self.log.first());
        let mut entries = Vec::new();
        while from < next {
            let read = match self.log.read(from, READ_BYTES, Way::Plain) {
                // Cut meanwhile.
                Err(ReadError::BelowFirst { first }) => {
                    from = first;
                    continue;
                }
                Ok(None) => break,
                Ok(Some(read)) => read,
                Err(error) => return Err(error),
            };
            let mut rest = &read.bytes[..];
            while let Ok(Some((frame, length))) = frame::parse(rest) {
                entries.push(Entry::read(frame.index, frame.schema, frame.payload));
                rest = &rest[length..];
            }
            if !rest.is_empty() {
                // Records stand one after the other, so one that is damaged
                // has the index that follows.
                let index = entries.last().map_or(from.0, |entry| entry.index + 1);
                entries.push(Entry {
                    index,
                    at: None,
                    event: None,
                    says: "damaged: `dolmen log verify` says how".into(),
                });
            }
            from = read.next;
        }
        Ok(entries)
    }
}

/// Where a chronicle that holds too much is cut.
fn cut(first: Index, next: Index) -> Option<Index> {
    const KEPT: u64 = CHRONICLE_RECORDS_MAX - CHRONICLE_RECORDS_MAX / 10;
    (next.0 - first.0 > CHRONICLE_RECORDS_MAX).then(|| Index(next.0 - KEPT))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_event() -> Vec<Event> {
        vec![
            Event::Started {
                version: "0.1.0".into(),
                engine: "threads".into(),
                opening: Opening {
                    is_new: false,
                    was_clean: false,
                    replayed_batches: 2,
                    replayed_bytes: 1025,
                    scanned_bytes: 0,
                    torn: Some("journal/1 at byte 4096: magic is 0x0, expected 0x1".into()),
                },
            },
            Event::ProfileChosen {
                name: None,
                why: "no hardware profile fits this machine".into(),
            },
            Event::SettingsReloaded {
                log_level: "debug".into(),
                waiting: "node.data".into(),
            },
            Event::Stopping {
                why: "SIGTERM".into(),
            },
            Event::BackupWritten {
                path: "/mnt/stick/a.backup".into(),
                zxid: "0x2a".into(),
                nodes: 7,
                bytes: 1000,
            },
            Event::RestoreBegun {
                backup: "ab".into(),
                discards: true,
            },
            Event::Restored {
                backup: "ab".into(),
                nodes: 7,
                zxid: "0x40000000000".into(),
            },
            Event::RestoreGivenUp,
        ]
    }

    #[test]
    fn every_event_reads_back() {
        for event in every_event() {
            let record = Record { at_ms: 77, event };
            let payload = record.payload();
            assert_eq!(Record::read(payload.schema, &payload.bytes), Ok(record));
        }
    }

    #[test]
    fn what_is_no_record_is_told_and_nothing_worse() {
        for event in every_event() {
            let bytes = Record { at_ms: 77, event }.payload().bytes;
            for cut in 0..bytes.len() {
                let _ = Record::read(SCHEMA, &bytes[..cut]);
            }
            for bit in 0..bytes.len() * 8 {
                let mut bad = bytes.clone();
                bad[bit / 8] ^= 1 << (bit % 8);
                let _ = Record::read(SCHEMA, &bad);
            }
            assert!(Record::read(SCHEMA, &[]).is_err());
            let later = Record::read(SCHEMA + 1, &bytes).unwrap_err();
            assert_eq!(later, "a record of form 2; this build reads form 1");
        }
    }

    #[test]
    fn the_chronicle_keeps_the_last_ten_thousand_or_so() {
        assert_eq!(cut(Index(0), Index(10_000)), None);
        assert_eq!(cut(Index(0), Index(10_001)), Some(Index(1001)));
        assert_eq!(cut(Index(1001), Index(10_002)), None);
    }

    #[test]
    fn a_person_reads_what_happened() {
        let says: Vec<_> = every_event().iter().map(Event::to_string).collect();
        assert_eq!(
            says,
            [
                "started: version 0.1.0, engine threads, after a stop that was not clean: \
                 2 batches (2 KiB) replayed, 0 KiB scanned, torn tail cut in journal/1 at byte \
                 4096: magic is 0x0, expected 0x1",
                "no profile: no hardware profile fits this machine",
                "settings read again: log level debug; waiting for a restart: node.data",
                "stopping: SIGTERM",
                "a backup of zxid 0x2a is written: /mnt/stick/a.backup, 7 znodes in 1000 bytes",
                "the restore of backup ab begins, in place of what is here",
                "backup ab is restored: 7 znodes, at zxid 0x40000000000 from here on",
                "a restore is given up: clients are served again",
            ]
        );
    }
}
