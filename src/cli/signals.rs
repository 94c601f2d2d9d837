//! Ctrl-C and SIGTERM, for commands that have something to end by themselves.

use std::io;
use std::thread::Builder;
use tokio::signal::unix::{SignalKind, signal};

/// Has `stop` called once, on a thread of its own, when the first of the two
/// comes. Later ones find the stop under way: nobody listens to them.
pub fn on_stop(stop: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        )
    };
    Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
        stop();
    })?;
    Ok(())
}
