//! One GET of a page of the operator door, bounded in time and in bytes.

use crate::limits::SUPPORT_ANSWER_BYTES_MAX;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// The head and the body, as they came. The door ends a connection behind its
/// answer.
pub(super) fn get(address: SocketAddr, path: &str, patience: Duration) -> Result<String, String> {
    let told = |error: io::Error| match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            format!(
                "the operator door on {address} did not answer in {} s",
                patience.as_secs()
            )
        }
        _ => format!("the operator door on {address}: {error}"),
    };
    ask(address, path, patience).map_err(told)
}

fn ask(address: SocketAddr, path: &str, patience: Duration) -> io::Result<String> {
    let began = Instant::now();
    let mut stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_write_timeout(Some(patience))?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n").as_bytes())?;
    let mut bytes = Vec::new();
    let mut arrived = [0; 16 << 10];
    while bytes.len() < SUPPORT_ANSWER_BYTES_MAX {
        // Who drips is cut off like who is silent.
        let left = patience
            .checked_sub(began.elapsed())
            .filter(|left| !left.is_zero());
        stream.set_read_timeout(Some(left.ok_or(io::ErrorKind::TimedOut)?))?;
        match stream.read(&mut arrived)? {
            0 => break,
            length => bytes.extend_from_slice(&arrived[..length]),
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
