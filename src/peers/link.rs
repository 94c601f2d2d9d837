//! One connection with a peer that has been greeted: a stream of frames each
//! way, a queue before ours, and the word that it is over.

use super::address::Plane;
use super::certificate::Shown;
use super::codec::Hello;
use super::pace::Pace;
use super::plane::Shell;
use super::queue::Queue;
use super::refusal::Refusal;
use super::settle::Standing;
use super::stream::BulkStream;
use super::{FromPeers, endpoint};
use crate::ids::NodeId;
use crate::limits::{PEER_BATCH_BYTES, PEER_FRAME_BYTES_MAX};
use crate::wire::frame::Frames;
use quinn::{Connection, RecvStream, SendStream, VarInt, WriteError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

/// A greeting has 104 bytes at the most; room for what a later release adds.
pub(super) const HELLO_BYTES_MAX: usize = 256;

pub(super) struct Link {
    pub(super) node: NodeId,
    pub(super) standing: Standing,
    pub(super) serial: u64,
    pub(super) connection: Connection,
    pub(super) queue: Queue,
    pub(super) pace: Arc<Pace>,
    /// When it was greeted, by the monotonic clock.
    pub(super) since: Duration,
    /// Nothing that it brings counts any more.
    is_over: AtomicBool,
    /// `Down` was said, or never will be.
    is_told: AtomicBool,
}

impl Link {
    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(SeqCst)
    }

    /// From any thread; its own task says `Down`.
    pub(super) fn cut(&self, why: &Refusal) {
        self.is_over.store(true, SeqCst);
        close(&self.connection, why);
    }

    /// Whether the caller is the one to say `Down`.
    pub(super) fn tell(&self) -> bool {
        !self.is_told.swap(true, SeqCst)
    }
}

/// The reason goes along, for the other side's journal.
pub(super) fn close(connection: &Connection, why: &Refusal) {
    let reason = why.to_string();
    connection.close(VarInt::from_u32(why.code()), reason.as_bytes());
}

/// Both sides' streams, after each has heard the other's greeting.
pub(super) struct Greeted {
    pub(super) send: SendStream,
    pub(super) receive: RecvStream,
    pub(super) hello: Hello,
}

pub(super) async fn greet(connection: &Connection, hello: &Hello) -> Result<Greeted, Refusal> {
    let lost = |error: quinn::ConnectionError| Refusal::Lost(error.to_string());
    let mut send = connection.open_uni().await.map_err(lost)?;
    let ours = hello.encode();
    let framed = [&head(ours.len())[..], &ours].concat();
    send.write_all(&framed).await.map_err(not_written)?;
    let mut receive = connection.accept_uni().await.map_err(lost)?;
    let hello = hear_hello(&mut receive).await?;
    Ok(Greeted {
        send,
        receive,
        hello,
    })
}

async fn hear_hello(receive: &mut RecvStream) -> Result<Hello, Refusal> {
    let cut_short = |error: quinn::ReadExactError| Refusal::Lost(error.to_string());
    let mut length = [0; 4];
    receive.read_exact(&mut length).await.map_err(cut_short)?;
    let length = u32::from_be_bytes(length) as usize;
    let mut bytes = [0; HELLO_BYTES_MAX];
    let Some(bytes) = bytes.get_mut(..length) else {
        let why = format!("a greeting of {length} bytes");
        return Err(Refusal::FrameTooLong(why));
    };
    receive.read_exact(bytes).await.map_err(cut_short)?;
    Hello::decode(bytes).map_err(Refusal::Hello)
}

fn not_written(error: WriteError) -> Refusal {
    Refusal::Lost(error.to_string())
}

/// What a member may open once it has shown that it is one.
pub(super) fn open_windows(shell: &Shell, connection: &Connection) {
    let (one_way, both_ways) = endpoint::streams(shell.plane);
    let window = shell.settings.of(shell.plane).connection_window_bytes;
    connection.set_receive_window(VarInt::from_u32(window));
    connection.set_max_concurrent_uni_streams(one_way);
    connection.set_max_concurrent_bi_streams(both_ways);
}

pub(super) fn new(
    shell: &Shell,
    connection: Connection,
    shown: &Shown,
    standing: Standing,
) -> Arc<Link> {
    Arc::new(Link {
        node: shown.node,
        standing,
        serial: shown.serial,
        pace: shell.pace_of(connection.local_ip()),
        connection,
        queue: Queue::default(),
        since: shell.settings.clock.monotonic(),
        is_over: AtomicBool::new(false),
        is_told: AtomicBool::new(false),
    })
}

/// The life of a link that is registered. Ends when the connection does.
pub(super) async fn run(shell: Arc<Shell>, link: Arc<Link>, greeted: Greeted) {
    let writer = tokio::spawn(write(shell.clone(), link.clone(), greeted.send));
    let opened = (shell.plane == Plane::Bulk)
        .then(|| tokio::spawn(take_streams(shell.clone(), link.clone())));
    let why = read(&shell, &link, greeted.receive).await;
    writer.abort();
    if let Some(opened) = opened {
        opened.abort();
    }
    link.cut(&why);
    shell.unregister(&link, &why);
}

async fn read(shell: &Shell, link: &Link, mut receive: RecvStream) -> Refusal {
    let mut frames = Frames::new(PEER_FRAME_BYTES_MAX);
    let mut buffer = vec![0; PEER_BATCH_BYTES];
    loop {
        let count = match receive.read(&mut buffer).await {
            Ok(Some(count)) => count,
            Ok(None) => return Refusal::Lost("the peer ended its stream".into()),
            Err(error) => return Refusal::Lost(error.to_string()),
        };
        frames.add(&buffer[..count]);
        loop {
            match frames.take() {
                Ok(Some(bytes)) => {
                    if link.is_over() {
                        return Refusal::Lost("it was cut".into());
                    }
                    (shell.hear)(FromPeers::Frame {
                        from: link.node,
                        plane: shell.plane,
                        bytes,
                    });
                }
                Ok(None) => break,
                Err(too_long) => return Refusal::FrameTooLong(too_long.to_string()),
            }
        }
    }
}

/// The head that goes before a frame. Frames that are too long never get into
/// a queue.
fn head(length: usize) -> [u8; 4] {
    let length = u32::try_from(length).expect("a frame's length was checked when it was queued");
    length.to_be_bytes()
}

async fn write(shell: Arc<Shell>, link: Arc<Link>, mut send: SendStream) -> Result<(), WriteError> {
    let mut batch = Vec::new();
    loop {
        for frame in link.queue.take(PEER_BATCH_BYTES).await {
            batch.extend_from_slice(&head(frame.len()));
            batch.extend_from_slice(&frame);
        }
        for piece in batch.chunks(PEER_BATCH_BYTES) {
            shell.keep_pace(&link, piece.len()).await;
            send.write_all(piece).await?;
        }
        batch.clear();
        // One frame in a thousand is large; its memory does not stay.
        batch.shrink_to(2 * PEER_BATCH_BYTES);
    }
}

async fn take_streams(shell: Arc<Shell>, link: Arc<Link>) {
    while let Ok((send, receive)) = link.connection.accept_bi().await {
        if link.is_over() {
            return;
        }
        (shell.hear)(FromPeers::Stream {
            from: link.node,
            stream: BulkStream::new(shell.clone(), link.clone(), send, receive),
        });
    }
}
