//! What ends the demo before its end, and lets go of whatever waits: sockets,
//! rests, the key.

use super::super::super::signals;
use std::io::{self, BufRead};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::Builder;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    Signal,
    /// As in `dolmen demo | head`.
    NobodyReads,
}

#[derive(Clone, Default)]
pub struct Stop(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    reason: Option<Reason>,
    connections: Vec<Weak<TcpStream>>,
    keys: Keys,
}

/// What was typed and not taken yet.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Keys {
    #[default]
    None,
    Enter,
    /// No more will come.
    Closed,
}

impl Stop {
    /// Ctrl-C and SIGTERM.
    pub fn on_signals() -> io::Result<Self> {
        let stop = Self::default();
        let signalled = stop.clone();
        signals::on_stop(move || signalled.stop(Reason::Signal))?;
        Ok(stop)
    }

    /// Reads standard input on a thread of its own, for `until_enter`.
    pub fn listen_for_enter(&self) -> io::Result<()> {
        let stop = self.clone();
        let listen = move || {
            for line in io::stdin().lock().lines() {
                match line {
                    Ok(_) => stop.typed(Keys::Enter),
                    Err(_) => break,
                }
            }
            stop.typed(Keys::Closed);
        };
        Builder::new().name("keys".into()).spawn(listen).map(drop)
    }

    pub fn stop(&self, reason: Reason) {
        let mut state = self.state();
        state.reason.get_or_insert(reason);
        for connection in state.connections.drain(..) {
            shut(&connection);
        }
        self.0.changed.notify_all();
    }

    pub fn reason(&self) -> Option<Reason> {
        self.state().reason
    }

    /// The connection is shut when this stops, or at once where it has.
    pub fn shuts(&self, connection: &Arc<TcpStream>) {
        let mut state = self.state();
        let connection = Arc::downgrade(connection);
        if state.reason.is_some() {
            return shut(&connection);
        }
        // Those of the steps before are gone.
        state.connections.retain(|one| one.strong_count() > 0);
        state.connections.push(connection);
    }

    pub fn rest(&self, time: Duration) {
        let waits = |state: &mut State| state.reason.is_none();
        let waited = self.0.changed.wait_timeout_while(self.state(), time, waits);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Until the key is hit, input has ended, or this stops.
    pub fn until_enter(&self) {
        let waits = |state: &mut State| state.reason.is_none() && state.keys == Keys::None;
        let waited = self.0.changed.wait_while(self.state(), waits);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        if state.keys == Keys::Enter {
            state.keys = Keys::None;
        }
    }

    fn typed(&self, keys: Keys) {
        self.state().keys = keys;
        self.0.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let state = self.0.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }
}

fn shut(connection: &Weak<TcpStream>) {
    if let Some(connection) = connection.upgrade() {
        // One that the server has shut already is as good.
        let _ = connection.shutdown(Shutdown::Both);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::TcpListener;

    fn connection() -> (Arc<TcpStream>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (Arc::new(ours), listener.accept().unwrap().0)
    }

    #[test]
    fn it_shuts_the_connections_that_are_there_and_those_that_come_behind_it() {
        let stop = Stop::default();
        let (before, mut other_end) = connection();
        stop.shuts(&before);
        assert_eq!(stop.reason(), None);
        stop.stop(Reason::Signal);
        stop.stop(Reason::NobodyReads);
        assert_eq!(stop.reason(), Some(Reason::Signal));
        assert_eq!(other_end.read(&mut [0]).unwrap(), 0);
        let (behind, mut other_end) = connection();
        stop.shuts(&behind);
        assert_eq!(other_end.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn nothing_rests_or_waits_for_a_key_once_it_has_stopped() {
        let stop = Stop::default();
        stop.typed(Keys::Enter);
        stop.until_enter();
        assert!(stop.state().keys == Keys::None, "a key is taken once");
        stop.stop(Reason::Signal);
        stop.rest(Duration::from_secs(3600));
        stop.until_enter();
    }

    #[test]
    fn input_that_has_ended_is_waited_for_no_more() {
        let stop = Stop::default();
        stop.typed(Keys::Closed);
        stop.until_enter();
        stop.until_enter();
    }
}
