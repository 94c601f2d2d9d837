//! What a door sees of the cluster: its topics and brokers as this node has
//! applied them, and the way to change them.

use super::catch_up::{BeginRound, CatchUp};
use crate::ids::{NodeId, SessionId, Uid};
use crate::state::topics::{BrokerLife, StreamsCommand, StreamsOutcome, Topics};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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
    catch_up: Arc<CatchUp>,
    /// 0 before this node has one.
    session: AtomicU64,
}

impl Site {
    pub fn new(
        node: NodeId,
        cluster: Uid,
        topics: watch::Receiver<Arc<Topics>>,
        propose: Propose,
        begin_round: BeginRound,
    ) -> Self {
        Self {
            node,
            cluster,
            topics,
            propose,
            catch_up: CatchUp::new(begin_round),
            session: AtomicU64::new(0),
        }
    }

    /// From now on the node announces itself as a broker in this session.
    pub fn live_in(&self, session: SessionId) {
        self.session.store(session.0, Ordering::Release);
    }

    /// The life in which this node is a broker; None before it has announced
    /// itself since it was started. What an earlier start announced is not it:
    /// that one's session may not be over yet, and what was in its memory is.
    pub fn life(&self) -> Option<BrokerLife> {
        self.life_in(&self.topics())
    }

    /// The same, by what these topics say. Those that know of it are at least as
    /// new as any that the node went by before it was started: what they do not
    /// have is no more, where others may just not have it yet.
    pub fn life_in(&self, topics: &Topics) -> Option<BrokerLife> {
        let session = SessionId(self.session.load(Ordering::Acquire));
        let brokers = topics.brokers();
        let up = brokers.get(self.node)?.up.as_ref()?;
        let is_own = up.session == session;
        brokers.life(self.node).filter(|_| is_own)
    }

    pub fn topics(&self) -> Arc<Topics> {
        self.topics.borrow().clone()
    }

    /// Until this node shows all that was agreed upon anywhere before this was
    /// called, or finds no majority that says so. Nothing else ends the wait.
    pub async fn catch_up(&self) {
        self.catch_up.round().await;
    }

    /// For who waits for a change.
    pub fn changes(&self) -> watch::Receiver<Arc<Topics>> {
        self.topics.clone()
    }

    /// Proposes; `answer` hears what comes of it, on a thread that must not wait.
    pub fn tell(
        &self,
        command: StreamsCommand,
        answer: Box<dyn FnOnce(Result<StreamsOutcome, String>) + Send>,
    ) {
        (self.propose)(command, answer);
    }

    /// Proposes at once, and gives what comes of it to who waits for it; an error
    /// is for a person, where nothing can be agreed upon now.
    pub fn propose(
        &self,
        command: StreamsCommand,
    ) -> impl Future<Output = Result<StreamsOutcome, String>> + Send + use<> {
        let (put, given) = oneshot::channel();
        (self.propose)(command, Box::new(move |outcome| drop(put.send(outcome))));
        async move {
            let outcome = given.await;
            outcome.unwrap_or_else(|_| Err("the node is stopping".into()))
        }
    }
}
