//! What a door sees of the cluster: its topics and brokers as this node has
//! applied them, and the way to change them.

use crate::ids::{NodeId, Uid};
use crate::state::topics::{StreamsCommand, StreamsOutcome, Topics};
use std::sync::Arc;
use tokio::sync::{oneshot, watch};

/// Proposes a command; the callback hears what came of it once this node has
/// applied it and the topics that `Site` shows are as new.
pub type Propose = Box<
    dyn Fn(StreamsCommand, Box<dyn FnOnce(Result<StreamsOutcome, String>) + Send>) + Send + Sync,
>;

pub struct Site {
    pub node: NodeId,
    pub cluster: Uid,
    topics: watch::Receiver<Arc<Topics>>,
    propose: Propose,
}

impl Site {
    pub fn new(
        node: NodeId,
        cluster: Uid,
        topics: watch::Receiver<Arc<Topics>>,
        propose: Propose,
    ) -> Self {
        Self {
            node,
            cluster,
            topics,
            propose,
        }
    }

    pub fn topics(&self) -> Arc<Topics> {
        self.topics.borrow().clone()
    }

    /// For who waits for a change.
    pub fn changes(&self) -> watch::Receiver<Arc<Topics>> {
        self.topics.clone()
    }

    /// What came of a command; an error is for a person, where nothing can be
    /// agreed upon now.
    pub async fn propose(&self, command: StreamsCommand) -> Result<StreamsOutcome, String> {
        let (put, given) = oneshot::channel();
        (self.propose)(command, Box::new(move |outcome| drop(put.send(outcome))));
        match given.await {
            Ok(outcome) => outcome,
            Err(_) => Err("the node is stopping".into()),
        }
    }
}
