//! Ports of loopback that nobody uses.

use super::failure::Failure;
use std::net::{TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};

/// Below the range that the kernel gives to clients: a server that is started
/// again must find its port free.
const LAST: u16 = 32_000;
const FIRST: u16 = 10_000;

/// Where the next search begins; two benches begin apart.
static NEXT: AtomicU16 = AtomicU16::new(0);

/// The first of so many free ports in a row.
pub fn free_row(count: u16) -> Result<u16, Failure> {
    let span = LAST - FIRST;
    if NEXT.load(Relaxed) == 0 {
        NEXT.store(
            FIRST + (std::process::id() % u32::from(span)) as u16,
            Relaxed,
        );
    }
    for _ in 0..span / count {
        let mut first = NEXT.load(Relaxed);
        if first + count > LAST {
            first = FIRST;
        }
        NEXT.store(first + count, Relaxed);
        if (first..first + count).all(is_free) {
            return Ok(first);
        }
    }
    Err(Failure::NotRunning(format!(
        "no {count} free ports in a row"
    )))
}

fn is_free(port: u16) -> bool {
    let address = ("127.0.0.1", port);
    TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok()
}
