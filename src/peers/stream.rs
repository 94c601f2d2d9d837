//! A stream of one's own with a peer on the bulk plane: for a fetch, a block,
//! a part of a query. Paced together with all that leaves on that plane.

use super::link::Link;
use super::plane::Shell;
use crate::ids::NodeId;
use crate::limits::PEER_BATCH_BYTES;
use bytes::Bytes;
use quinn::{ReadError, RecvStream, SendStream, WriteError};
use std::fmt;
use std::io;
use std::sync::Arc;

/// The peer is not connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotUp(pub NodeId);

impl fmt::Display for NotUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node {} is not connected on the bulk plane", self.0)
    }
}

impl std::error::Error for NotUp {}

/// May be used on any tokio runtime with a timer. Dropped without `finish` it
/// is reset, so that half an answer is never taken for a whole one.
pub struct BulkStream {
    writer: BulkWriter,
    reader: BulkReader,
}

/// The end of a stream that is written to.
pub struct BulkWriter {
    shell: Arc<Shell>,
    link: Arc<Link>,
    send: SendStream,
    is_finished: bool,
}

/// The end that is read from.
pub struct BulkReader {
    link: Arc<Link>,
    receive: RecvStream,
}

impl BulkStream {
    pub(super) fn new(
        shell: Arc<Shell>,
        link: Arc<Link>,
        send: SendStream,
        receive: RecvStream,
    ) -> Self {
        Self {
            writer: BulkWriter {
                shell,
                link: link.clone(),
                send,
                is_finished: false,
            },
            reader: BulkReader { link, receive },
        }
    }

    pub fn peer(&self) -> NodeId {
        self.reader.link.node
    }

    /// For who reads while it writes.
    pub fn split(self) -> (BulkWriter, BulkReader) {
        (self.writer, self.reader)
    }

    /// Waits for the pace and for the reader.
    pub async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer.write_all(bytes).await
    }

    /// All has been said; what was written still arrives.
    pub fn finish(&mut self) {
        self.writer.finish();
    }

    /// 0 at the end.
    pub async fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.reader.read(into).await
    }
}

impl BulkWriter {
    /// Waits for the pace and for the reader.
    pub async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        for piece in bytes.chunks(PEER_BATCH_BYTES) {
            self.shell.keep_pace(&self.link, piece.len()).await;
            self.send.write_all(piece).await.map_err(not_written)?;
        }
        Ok(())
    }

    /// All has been said; what was written still arrives.
    pub fn finish(&mut self) {
        self.is_finished = true;
        // Fails only where the peer has stopped listening.
        let _ = self.send.finish();
    }
}

impl BulkReader {
    /// 0 at the end. A read that is given up has taken nothing.
    pub async fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.receive.read(into).await.map_err(not_read)?;
        Ok(read.unwrap_or(0))
    }

    /// Some of what has arrived, as it arrived: `most` at the most, nothing at the
    /// end. A read that is given up has taken nothing.
    pub async fn next(&mut self, most: usize) -> io::Result<Bytes> {
        let chunk = self.receive.read_chunk(most, true);
        let chunk = chunk.await.map_err(not_read)?;
        Ok(chunk.map_or_else(Bytes::new, |chunk| chunk.bytes))
    }
}

impl Drop for BulkWriter {
    fn drop(&mut self) {
        if !self.is_finished {
            let _ = self.send.reset(quinn::VarInt::from_u32(0));
        }
    }
}

fn not_written(error: WriteError) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, error)
}

fn not_read(error: ReadError) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, error)
}
