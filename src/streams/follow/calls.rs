//! Questions of one node's event log to another's, beside the records: each on a
//! stream of its own, which ends with the answer.

use super::plane::{Purpose, Shared};
use crate::ids::NodeId;
use crate::limits::{CALL_BYTES_MAX, CALL_TIME_MS};
use crate::peers::BulkStream;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// Answers a question; None for one that it does not understand.
pub type Callee = Arc<
    dyn Fn(NodeId, Vec<u8>) -> Pin<Box<dyn Future<Output = Option<Vec<u8>>> + Send>> + Send + Sync,
>;

/// How a call came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreached {
    /// Nothing of it was said.
    NotSaid,
    /// It may have been heard, and even done.
    NotAnswered,
}

impl fmt::Display for Unreached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotSaid => "the node is not reached",
            Self::NotAnswered => "the node did not answer",
        })
    }
}

impl std::error::Error for Unreached {}

/// May be called on any runtime with a timer.
pub(super) async fn call(
    shared: Arc<Shared>,
    node: NodeId,
    question: Vec<u8>,
) -> Result<Vec<u8>, Unreached> {
    let within = Duration::from_millis(CALL_TIME_MS);
    let opening = tokio::time::timeout(within, shared.open(node, Purpose::Call)).await;
    let Ok(Ok(mut stream)) = opening else {
        return Err(Unreached::NotSaid);
    };
    let asking = async {
        stream.write_all(&question).await?;
        stream.finish();
        read_all(&mut stream).await
    };
    match tokio::time::timeout(within, asking).await {
        // An answer has a byte at the least.
        Ok(Ok(answer)) if !answer.is_empty() => Ok(answer),
        Ok(Ok(_) | Err(_)) | Err(_) => Err(Unreached::NotAnswered),
    }
}

pub(super) async fn answer(
    callee: &Callee,
    from: NodeId,
    mut stream: BulkStream,
) -> io::Result<()> {
    let question = read_all(&mut stream).await?;
    if let Some(answer) = callee(from, question).await {
        stream.write_all(&answer).await?;
        stream.finish();
    }
    Ok(())
}

async fn read_all(stream: &mut BulkStream) -> io::Result<Vec<u8>> {
    let (mut all, mut buffer) = (Vec::new(), vec![0; 4096]);
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(all),
            count if all.len() + count > CALL_BYTES_MAX => {
                return Err(io::Error::other("it is longer than it may be"));
            }
            count => all.extend_from_slice(&buffer[..count]),
        }
    }
}
