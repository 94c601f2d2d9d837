//! The thread on which the event logs of nodes speak with each other, and the
//! streams that they open. A stream says first what it is for.

use super::calls::{self, Callee, Unreached};
use super::codec::Asked;
use super::pull::{self, Outbox};
use super::{Tell, serve};
use crate::disk::class::{self, Class};
use crate::ids::NodeId;
use crate::limits::{FOLLOW_STREAMS_MAX, FOLLOW_UNWRITTEN_BYTES_MAX};
use crate::peers::{BulkStream, NotUp, Peers};
use crate::streams::{Site, Streams};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// What reads of cold records may still take at the end.
const BLOCKING_TIME_MAX: Duration = Duration::from_secs(1);

/// What a stream is for, and how it is spoken on it: its first two bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Follow,
    Call,
}

const VERSION: u8 = 1;

impl Purpose {
    pub fn bytes(self) -> [u8; 2] {
        let purpose = match self {
            Self::Follow => 1,
            Self::Call => 2,
        };
        [purpose, VERSION]
    }

    fn of(bytes: [u8; 2]) -> Option<Self> {
        match bytes {
            [1, VERSION] => Some(Self::Follow),
            [2, VERSION] => Some(Self::Call),
            _ => None,
        }
    }
}

/// The way to the other nodes: None while this one is by itself.
pub type Way = Arc<OnceLock<Peers>>;

/// Clones share it.
#[derive(Clone)]
pub struct Between {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub way: Way,
    pub site: Arc<Site>,
    pub streams: Streams,
    /// For bytes that came from leaders and are not durable here.
    pub room: Arc<Semaphore>,
    places: Arc<Semaphore>,
    pub outboxes: Mutex<BTreeMap<NodeId, Arc<Outbox>>>,
    runtime: Handle,
    callee: OnceLock<Callee>,
    ending: Mutex<Option<Ending>>,
}

struct Ending {
    tell: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Between {
    /// Starts the thread, and has this node's partitions follow.
    pub fn start(way: Way, site: Arc<Site>, streams: Streams) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .max_blocking_threads(BLOCKING_THREADS_MAX)
            .on_thread_start(take_class)
            .build()?;
        let handle = runtime.handle().clone();
        let (tell, told) = oneshot::channel();
        let body = move || {
            take_class();
            // An error is an end as well.
            let _ = runtime.block_on(told);
            runtime.shutdown_timeout(BLOCKING_TIME_MAX);
        };
        let thread = std::thread::Builder::new()
            .name("follow".into())
            .spawn(body)?;
        let between = Self {
            shared: Arc::new(Shared {
                way,
                site,
                streams: streams.clone(),
                room: Arc::new(Semaphore::new(FOLLOW_UNWRITTEN_BYTES_MAX)),
                places: Arc::new(Semaphore::new(FOLLOW_STREAMS_MAX)),
                outboxes: Mutex::default(),
                runtime: handle,
                callee: OnceLock::new(),
                ending: Mutex::new(Some(Ending { tell, thread })),
            }),
        };
        // Weak: who is told by the partitions is not kept by them.
        let shared = Arc::downgrade(&between.shared);
        let tell: Tell = Arc::new(move |leader, asked| {
            if let Some(shared) = shared.upgrade() {
                shared.tell(leader, asked);
            }
        });
        streams.say(crate::streams::desk::Word::Follow(tell));
        Ok(between)
    }

    /// Who answers what others ask besides. Said once.
    pub fn answer_with(&self, callee: Callee) {
        self.shared.callee.get_or_init(|| callee);
    }

    /// A peer has opened a stream. Passes it on.
    pub fn hear(&self, from: NodeId, stream: BulkStream) {
        // One too many is reset, and opened again.
        let Ok(place) = self.shared.places.clone().try_acquire_owned() else {
            return;
        };
        let shared = self.shared.clone();
        self.shared.runtime.spawn(async move {
            if let Err(error) = shared.attend(from, stream, place).await {
                tracing::debug!(peer = %from, %error, "a stream of the event log has ended");
            }
        });
    }

    /// Asks another node something, and waits for its answer.
    pub async fn call(&self, node: NodeId, question: Vec<u8>) -> Result<Vec<u8>, Unreached> {
        calls::call(self.shared.clone(), node, question).await
    }

    /// Nothing is followed or answered any more. Not to be called on the thread
    /// itself.
    pub fn close(&self) {
        let ending = self.shared.ending.lock();
        let ending = ending.unwrap_or_else(PoisonError::into_inner).take();
        if let Some(ending) = ending {
            drop(ending.tell);
            if ending.thread.join().is_err() {
                tracing::error!("the thread that follows panicked");
            }
        }
    }
}

/// Answers of several links are read at once, one each.
const BLOCKING_THREADS_MAX: usize = 4;

fn take_class() {
    let granted = class::take(Class::Doors);
    tracing::debug!(?granted, "a thread that follows has its class");
}

impl Shared {
    pub fn outboxes(&self) -> MutexGuard<'_, BTreeMap<NodeId, Arc<Outbox>>> {
        self.outboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// On the log's thread.
    fn tell(self: &Arc<Self>, leader: NodeId, asked: Asked) {
        let mut outboxes = self.outboxes();
        let outbox = outboxes.entry(leader).or_insert_with(|| {
            let outbox = Arc::new(Outbox::default());
            let following = pull::follow(self.clone(), leader, outbox.clone());
            self.runtime.spawn(following);
            outbox
        });
        outbox.put(asked);
    }

    /// A stream of this node's own.
    pub async fn open(&self, node: NodeId, purpose: Purpose) -> io::Result<BulkStream> {
        let gone = |NotUp(_)| io::Error::from(io::ErrorKind::NotConnected);
        let peers = self.way.get().ok_or_else(|| gone(NotUp(node)))?;
        let mut stream = peers.open_stream(node).await.map_err(gone)?;
        stream.write_all(&purpose.bytes()).await?;
        Ok(stream)
    }

    async fn attend(
        self: Arc<Self>,
        from: NodeId,
        mut stream: BulkStream,
        _place: OwnedSemaphorePermit,
    ) -> io::Result<()> {
        let mut head = [0; 2];
        let mut filled = 0;
        while filled < head.len() {
            match stream.read(&mut head[filled..]).await? {
                0 => return Ok(()),
                count => filled += count,
            }
        }
        match Purpose::of(head) {
            Some(Purpose::Follow) => serve::serve(self.streams.clone(), from, stream).await,
            Some(Purpose::Call) => match self.callee.get() {
                Some(callee) => calls::answer(callee, from, stream).await,
                None => Ok(()),
            },
            // A later release's; it is told by the reset.
            None => Err(io::Error::other(format!(
                "it is for {head:?}, unknown here"
            ))),
        }
    }
}
