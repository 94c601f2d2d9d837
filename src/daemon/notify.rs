//! Tells systemd how the node fares: sd_notify(3) over a datagram socket.
//! Where nobody asked (no NOTIFY_SOCKET), there is nothing to do.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// How much longer a slow step may take, counted from the message.
pub const EXTENSION: Duration = Duration::from_secs(60);

pub struct Notify {
    to: Option<To>,
}

struct To {
    address: SocketAddr,
    /// Waits where systemd is slow to read.
    patient: UnixDatagram,
    /// For the log's thread, which must not wait for systemd: a ping that
    /// finds no room is left out, the next one follows within a second.
    hasty: UnixDatagram,
}

impl Notify {
    pub fn from_environment() -> io::Result<Self> {
        match std::env::var_os("NOTIFY_SOCKET") {
            None => Ok(Self { to: None }),
            Some(name) => Self::to(name.as_bytes()),
        }
    }

    /// A path, or `@` and an abstract name.
    fn to(name: &[u8]) -> io::Result<Self> {
        let address = match name.split_first() {
            Some((b'@', name)) => SocketAddr::from_abstract_name(name)?,
            Some((b'/', _)) => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(name))?,
            _ => {
                let says = "NOTIFY_SOCKET is neither a path nor an abstract name";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, says));
            }
        };
        let hasty = UnixDatagram::unbound()?;
        hasty.set_nonblocking(true)?;
        Ok(Self {
            to: Some(To {
                address,
                patient: UnixDatagram::unbound()?,
                hasty,
            }),
        })
    }

    /// Every door answers.
    pub fn ready(&self, status: &str) {
        self.send(&format!("READY=1\nSTATUS={}", one_line(status)));
    }

    pub fn status(&self, status: &str) {
        self.send(&format!("STATUS={}", one_line(status)));
    }

    pub fn stopping(&self, status: &str) {
        self.send(&format!("STOPPING=1\nSTATUS={}", one_line(status)));
    }

    /// To be followed by `ready`. systemd takes the message only where its
    /// time is not before the reload it asked for, by its own monotonic clock.
    pub fn reloading(&self) {
        if self.to.is_none() {
            return;
        }
        match since_boot() {
            Ok(now) => self.send(&format!("RELOADING=1\nMONOTONIC_USEC={}", now.as_micros())),
            Err(error) => tracing::warn!(%error, "systemd is not told of the reload: no uptime"),
        }
    }

    /// Asks for `EXTENSION` more before a start or a stop counts as hung.
    pub fn extend(&self) {
        let micros = EXTENSION.as_micros();
        self.send(&format!("EXTEND_TIMEOUT_USEC={micros}"));
    }

    /// Only from the thread whose life is the node's: the log's, or in the
    /// reduced state the doors'. Never waits.
    pub fn watchdog(&self) {
        if let Some(to) = &self.to {
            let _ = to.hasty.send_to_addr(b"WATCHDOG=1", &to.address);
        }
    }

    fn send(&self, message: &str) {
        let Some(to) = &self.to else { return };
        if let Err(error) = to.patient.send_to_addr(message.as_bytes(), &to.address) {
            tracing::warn!(%error, message, "systemd could not be told");
        }
    }
}

/// A newline would start another assignment.
fn one_line(text: &str) -> String {
    text.replace('\n', " ")
}

/// The machine's uptime from proc(5), in hundredths rounded up, so that it is
/// never before the moment that systemd noted. Counts suspended time as well,
/// which only makes it later.
fn since_boot() -> io::Result<Duration> {
    let text = std::fs::read_to_string("/proc/uptime")?;
    let hundredths = text
        .split_once(' ')
        .and_then(|(uptime, _)| uptime.replace('.', "").parse::<u64>().ok())
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "/proc/uptime is unreadable"))?;
    Ok(Duration::from_millis((hundredths + 1) * 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(by: &UnixDatagram) -> String {
        let mut message = [0; 512];
        let length = by.recv(&mut message).unwrap();
        String::from_utf8(message[..length].to_vec()).unwrap()
    }

    #[test]
    fn an_abstract_name_is_reached_and_a_status_stays_one_line() {
        let name = format!("dolmen-notify-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let systemd = UnixDatagram::bind_addr(&address).unwrap();
        let notify = Notify::to(format!("@{name}").as_bytes()).unwrap();
        notify.ready("serving\nSTOPPING=1");
        assert_eq!(heard(&systemd), "READY=1\nSTATUS=serving STOPPING=1");
        notify.watchdog();
        assert_eq!(heard(&systemd), "WATCHDOG=1");
        notify.extend();
        assert_eq!(heard(&systemd), "EXTEND_TIMEOUT_USEC=60000000");
    }

    #[test]
    fn a_reload_is_never_before_it_was_asked_for() {
        let first = since_boot().unwrap();
        assert!(since_boot().unwrap() >= first && first > Duration::ZERO);
    }

    #[test]
    fn a_name_of_neither_kind_is_refused() {
        assert!(Notify::to(b"vsock:2:1234").is_err());
        assert!(Notify::to(b"").is_err());
    }
}
