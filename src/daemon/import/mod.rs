//! Nodes of another coordination service on their way into this one, over the
//! admin socket.
//!
//! The talk: `{"ask":"import","nodes":N,"data_bytes":N,"source_zxid":"0x..."}`
//! is answered `{"answer":"ready"}`, or refused before anything was sent. Then
//! come frames of `codec`, of up to `IMPORT_FRAME_BYTES_MAX` bytes, each
//! answered `{"answer":{"nodes":N}}` with the nodes taken so far once the batch
//! is committed: one is in flight. An empty frame ends it and is answered
//! `{"answer":{"nodes":N,"zxid":"0x..."}}`.
//!
//! Parents come before children, `/` first. `/`, `/zookeeper` and
//! `/zookeeper/quota` are there already: what comes takes the place of their
//! data, access list and figures. After a refusal or a lost connection the
//! batches that were answered stay.

pub mod codec;

use super::ask::{Talk, Unanswered};
use crate::ids::Zxid;
use crate::limits::IMPORT_FRAME_BYTES_MAX;
use crate::state::ImportedNode;
use serde_json::{Value, json};

/// What is to come, so that a node can refuse it before it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    pub nodes: u64,
    pub data_bytes: u64,
    pub source_zxid: Zxid,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    pub nodes: u64,
    /// The state's number with the last batch.
    pub zxid: String,
}

/// Who takes nodes in: a daemon, or a test's stand-in.
pub trait Taker {
    fn ask(&mut self, question: &Value) -> Result<Value, Unanswered>;
    fn hand(&mut self, frame: &[u8]) -> Result<Value, Unanswered>;
}

impl Taker for Talk {
    fn ask(&mut self, question: &Value) -> Result<Value, Unanswered> {
        Talk::ask(self, question)
    }

    fn hand(&mut self, frame: &[u8]) -> Result<Value, Unanswered> {
        Talk::hand(self, frame, IMPORT_FRAME_BYTES_MAX)
    }
}

/// Sends everything and hears that it is in. `told` hears how many nodes are.
pub fn send(
    taker: &mut impl Taker,
    opening: Opening,
    batches: impl Iterator<Item = Vec<ImportedNode>>,
    mut told: impl FnMut(u64),
) -> Result<Taken, Unanswered> {
    taker.ask(&json!({
        "ask": "import",
        "nodes": opening.nodes,
        "data_bytes": opening.data_bytes,
        "source_zxid": format!("{:#x}", opening.source_zxid.0),
    }))?;
    let mut sent = 0;
    for batch in batches {
        sent += batch.len() as u64;
        let answer = taker.hand(&codec::encode(&batch))?;
        agree(nodes(&answer)?, sent)?;
        told(sent);
    }
    let answer = taker.hand(&[])?;
    agree(nodes(&answer)?, sent)?;
    let zxid = answer["zxid"].as_str().ok_or_else(unknown_form)?;
    Ok(Taken {
        nodes: sent,
        zxid: zxid.into(),
    })
}

fn nodes(answer: &Value) -> Result<u64, Unanswered> {
    answer["nodes"].as_u64().ok_or_else(unknown_form)
}

fn unknown_form() -> Unanswered {
    Unanswered::Refused("the answer is of no known form: is the daemon of another version?".into())
}

fn agree(taken: u64, sent: u64) -> Result<(), Unanswered> {
    match taken == sent {
        true => Ok(()),
        false => Err(Unanswered::Refused(format!(
            "{sent} nodes were sent and the daemon counts {taken}: the import is not whole"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{AclEntry, Identity, Permissions, Stat};

    /// Takes everything and answers as a daemon, but for the faults asked for.
    #[derive(Default)]
    struct StandIn {
        taken: Vec<ImportedNode>,
        is_ended: bool,
        forgets: u64,
    }

    impl Taker for StandIn {
        fn ask(&mut self, question: &Value) -> Result<Value, Unanswered> {
            assert_eq!(question["ask"], "import");
            assert_eq!(question["source_zxid"], "0x2a");
            Ok(json!("ready"))
        }

        fn hand(&mut self, frame: &[u8]) -> Result<Value, Unanswered> {
            assert!(!self.is_ended);
            self.is_ended = frame.is_empty();
            if !self.is_ended {
                self.taken.extend(codec::decode(frame).unwrap());
            }
            let nodes = self.taken.len() as u64 - self.forgets;
            Ok(json!({ "nodes": nodes, "zxid": "0x7" }))
        }
    }

    fn node(path: &str) -> ImportedNode {
        ImportedNode {
            path: path.into(),
            data: path.as_bytes().into(),
            acl: vec![AclEntry {
                permissions: Permissions::ALL,
                who: Identity::new("world", "anyone"),
            }],
            stat: Stat {
                version: 3,
                owner: 1 << 63,
                ..Stat::default()
            },
        }
    }

    fn sent(to: &mut StandIn) -> Result<Taken, Unanswered> {
        let batches = vec![vec![node("/"), node("/a")], vec![node("/a/b")]];
        let opening = Opening {
            nodes: 3,
            data_bytes: 7,
            source_zxid: Zxid(42),
        };
        send(to, opening, batches.into_iter(), |_| {})
    }

    #[test]
    fn what_was_sent_arrives() {
        let mut daemon = StandIn::default();
        let taken = sent(&mut daemon).unwrap();
        let zxid = "0x7".to_owned();
        assert_eq!(taken, Taken { nodes: 3, zxid });
        assert_eq!(daemon.taken, [node("/"), node("/a"), node("/a/b")]);
        assert!(daemon.is_ended);
    }

    #[test]
    fn a_daemon_that_counts_otherwise_is_not_believed() {
        let mut daemon = StandIn {
            forgets: 1,
            ..StandIn::default()
        };
        let said = sent(&mut daemon).unwrap_err().to_string();
        assert!(
            said.contains("2 nodes were sent and the daemon counts 1"),
            "{said}"
        );
    }
}
