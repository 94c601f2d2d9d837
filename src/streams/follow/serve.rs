//! A leader's end of the stream from one follower: its asks go to the
//! partitions, and what they come to goes back with the records.

use super::codec::{self, Head};
use super::{Answered, reading};
use crate::ids::NodeId;
use crate::limits::{
    FOLLOW_ANSWER_BYTES, FOLLOW_ASKS_MAX, FOLLOW_FRAME_BYTES_MAX, FOLLOW_NAMED_MAX,
    PARTITION_WARM_BYTES, PEER_BATCH_BYTES,
};
use crate::log::Chunk;
use crate::peers::{BulkReader, BulkStream, BulkWriter};
use crate::streams::Streams;
use crate::streams::desk::Word;
use crate::streams::partition::Answer;
use crate::wire::frame::{Frames, framed};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// An answer, and the place that its ask has taken.
type Owed = (Answered, OwnedSemaphorePermit);

pub(super) async fn serve(streams: Streams, from: NodeId, stream: BulkStream) -> io::Result<()> {
    let (writer, reader) = stream.split();
    // Bounded by the places of the asks.
    let (owe, owed) = mpsc::unbounded_channel();
    tokio::select! {
        ended = hear(&streams, from, reader, owe) => ended,
        ended = answer(&streams, writer, owed) => ended,
    }
}

async fn hear(
    streams: &Streams,
    from: NodeId,
    mut reader: BulkReader,
    owe: mpsc::UnboundedSender<Owed>,
) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(FOLLOW_ASKS_MAX));
    let mut frames = Frames::new(FOLLOW_FRAME_BYTES_MAX);
    let mut buffer = vec![0; PEER_BATCH_BYTES];
    loop {
        match reader.read(&mut buffer).await? {
            0 => return Ok(()),
            count => frames.add(&buffer[..count]),
        }
        while let Some(frame) = frames.take().map_err(io::Error::other)? {
            let asked = codec::read_asks(&frame).map_err(io::Error::other)?;
            let mut asks = Vec::with_capacity(asked.len());
            for asked in asked {
                let place = places.clone().acquire_owned().await;
                let place = place.map_err(io::Error::other)?;
                let owe = owe.clone();
                // The stream may have ended.
                let answer = move |answered| drop(owe.send((answered, place)));
                asks.push((asked, Box::new(answer) as _));
            }
            streams.say(Word::Asked { from, asks });
        }
    }
}

async fn answer(
    streams: &Streams,
    mut writer: BulkWriter,
    mut owed: mpsc::UnboundedReceiver<Owed>,
) -> io::Result<()> {
    let mut due: VecDeque<Answered> = VecDeque::new();
    loop {
        if due.is_empty() {
            match owed.recv().await {
                Some((answered, _)) => due.push_back(answered),
                // Whoever reads has ended.
                None => return Ok(()),
            }
        }
        while due.len() < FOLLOW_NAMED_MAX
            && let Ok((answered, _)) = owed.try_recv()
        {
            due.push_back(answered);
        }
        let page = match due.iter().all(|one| is_warm(streams, one)) {
            true => Page::of(streams, &mut due),
            false => {
                let reading = streams.clone();
                // A read of what is old may wait for the disk.
                let read = tokio::task::spawn_blocking(move || {
                    let page = Page::of(&reading, &mut due);
                    (page, due)
                });
                let (page, left) = read.await.map_err(io::Error::other)?;
                due = left;
                page
            }
        };
        page.write(&mut writer).await?;
    }
}

fn is_warm(streams: &Streams, one: &Answered) -> bool {
    let view = streams.view(one.key);
    view.is_none_or(|view| reading::is_within(&view, one, PARTITION_WARM_BYTES))
}

/// One message, with the records as they stand in the log.
struct Page {
    heads: Vec<Head>,
    batches: Vec<Chunk>,
}

impl Page {
    /// As many of those that are due as have room.
    fn of(streams: &Streams, due: &mut VecDeque<Answered>) -> Self {
        let (mut heads, mut batches) = (Vec::new(), Vec::new());
        let mut left = FOLLOW_ANSWER_BYTES;
        while left > 0
            && let Some(one) = due.pop_front()
        {
            let (answer, chunk) = match streams.view(one.key) {
                Some(view) => reading::read(&view, &one, left),
                // It was given up since.
                None => (Answer::NotNow, None),
            };
            let bytes = chunk.as_ref().map_or(0, |chunk| chunk.len());
            left = left.saturating_sub(bytes);
            batches.extend(chunk);
            heads.push(Head {
                key: one.key,
                number: one.number,
                answer,
                bytes,
            });
        }
        Self { heads, batches }
    }

    async fn write(self, writer: &mut BulkWriter) -> io::Result<()> {
        let heads = codec::answers(&self.heads);
        let frame = framed(&heads, FOLLOW_FRAME_BYTES_MAX).map_err(io::Error::other)?;
        writer.write_all(&frame).await?;
        for chunk in &self.batches {
            writer.write_all(chunk).await?;
        }
        Ok(())
    }
}
