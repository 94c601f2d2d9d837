//! CPU hogs of the queries' class, as a busy node has them.

use dolmen::disk::class::{self, Class};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{Builder, JoinHandle};

pub const COUNT: usize = 4;

/// Run until dropped.
pub struct Hogs {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Hogs {
    pub fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let hog = |stop: Arc<AtomicBool>| {
            Builder::new()
                .name("hog".into())
                .spawn(move || {
                    class::take(Class::Compute);
                    let mut count = 0_u64;
                    while !stop.load(Relaxed) {
                        count = black_box(count.wrapping_add(1));
                    }
                })
                .expect("a thread")
        };
        let threads = (0..COUNT).map(|_| hog(stop.clone())).collect();
        Self { stop, threads }
    }
}

impl Drop for Hogs {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
