//! Ctrl-C: what is waited for is not waited for any more.

use crate::cli::kafka::Cluster;
use crate::cli::signals;
use std::collections::BTreeMap;
use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Clone, Default)]
pub struct Stop(Arc<Shared>);

#[derive(Default)]
struct Shared {
    is_set: AtomicBool,
    /// By their addresses; one that was opened anew takes the place of the old.
    sockets: Mutex<BTreeMap<String, TcpStream>>,
}

impl Stop {
    pub fn listen() -> io::Result<Self> {
        let stop = Self::default();
        let shared = stop.0.clone();
        signals::on_stop(move || shared.stop())?;
        Ok(stop)
    }

    pub fn is_set(&self) -> bool {
        self.0.is_set.load(Ordering::Acquire)
    }

    /// Ends all waits of the cluster's connections from now on.
    pub fn holds(&self, cluster: &mut Cluster) {
        let shared = self.0.clone();
        cluster.on_open(move |address, socket| shared.hold(address, socket));
    }
}

impl Shared {
    fn stop(&self) {
        self.is_set.store(true, Ordering::Release);
        let sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        for socket in sockets.values() {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    fn hold(&self, address: &str, socket: TcpStream) {
        let mut sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        // One that is opened too late has nothing to wait for either.
        if self.is_set.load(Ordering::Acquire) {
            let _ = socket.shutdown(Shutdown::Both);
        }
        sockets.insert(address.into(), socket);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::TcpListener;

    #[test]
    fn what_is_held_is_shut_before_and_after() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Stop::default();
        for round in 0..2 {
            let mut waits = TcpStream::connect(address).unwrap();
            stop.0.hold("a", waits.try_clone().unwrap());
            if round == 0 {
                stop.0.stop();
            }
            assert_eq!(waits.read(&mut [0]).unwrap(), 0);
        }
        assert!(stop.is_set());
    }
}
