//! The threads of the door: its connections are served by them, and the
//! coordinators of groups and transactions live on them.

use crate::disk::class::{self, Class};
use crate::limits::{KAFKA_ASIDE_MAX, KAFKA_BLOCKING_THREADS_MAX};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::runtime::{Builder, Handle, Runtime, RuntimeFlavor};
use tokio::task::block_in_place;

/// What reads of cold records may still take once all connections are closed.
const BLOCKING_TIME_MAX: Duration = Duration::from_secs(1);

pub struct Threads(Runtime);

impl Threads {
    pub fn start() -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(workers())
            .max_blocking_threads(KAFKA_BLOCKING_THREADS_MAX)
            .thread_name("kafka")
            .on_thread_start(take_class)
            .enable_io()
            .enable_time()
            .build()?;
        Ok(Self(runtime))
    }

    pub fn handle(&self) -> &Handle {
        self.0.handle()
    }

    /// Ends them, whatever they are at: after the door, and what lives on them,
    /// is closed. Not on one of them, nor on another runtime's.
    pub fn end(self) {
        self.0.shutdown_timeout(BLOCKING_TIME_MAX);
    }
}

/// Does what takes its time and cannot wait, for it has its place among a client's
/// requests: another thread takes over what this one has besides. Where too many
/// are at such work there is none, and it is done here.
pub fn aside<T>(work: impl FnOnce() -> T) -> T {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    struct Place;
    impl Drop for Place {
        fn drop(&mut self) {
            COUNT.fetch_sub(1, Ordering::Relaxed);
        }
    }
    let is_last = COUNT.fetch_add(1, Ordering::Relaxed) >= KAFKA_ASIDE_MAX;
    let _place = Place;
    let flavor = Handle::try_current().map(|handle| handle.runtime_flavor());
    match flavor {
        Ok(RuntimeFlavor::MultiThread) if !is_last => block_in_place(work),
        _ => work(),
    }
}

/// Half of the cores: the other half is the log's and the queries'.
fn workers() -> usize {
    let cores = std::thread::available_parallelism();
    cores.map_or(1, |cores| (cores.get() / 2).clamp(1, 4))
}

pub(super) fn take_class() {
    let granted = class::take(Class::Doors);
    tracing::debug!(
        door = "kafka",
        ?granted,
        "a thread of the door has its class"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn what_takes_its_time_holds_up_nobody() {
        let threads = Threads::start().unwrap();
        let (go_on, wait) = channel::<()>();
        let (begun, has_begun) = channel();
        let work = async move {
            aside(|| {
                begun.send(()).unwrap();
                wait.recv().unwrap();
            });
        };
        // As many as there are threads for connections, and one more.
        let long = threads.handle().spawn(work);
        has_begun.recv().unwrap();
        let others: Vec<_> = (0..2 * workers())
            .map(|n| threads.handle().spawn(async move { n }))
            .collect();
        threads.handle().block_on(async {
            for (n, other) in others.into_iter().enumerate() {
                assert_eq!(other.await.unwrap(), n);
            }
            assert!(!long.is_finished());
            go_on.send(()).unwrap();
            long.await.unwrap();
        });
        threads.end();
    }
}
