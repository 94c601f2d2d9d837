//! A connection's bytes: in and out, through TLS where the client speaks it.

use super::session::{Cut, Session};
use crate::limits::KAFKA_HANDSHAKE_BYTES_MAX;
use crate::ports::tls;
use bytes::buf::Limit;
use rustls::{ServerConfig, ServerConnection};
use std::future::poll_fn;
use std::io::{self, BufRead, ErrorKind, IoSlice, Write};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// One read, where it does not go straight to its place.
const READ_BYTES: usize = 16 << 10;
/// Slices of one write: an answer to a Fetch has two for each partition. The
/// kernel takes 1024.
const SLICES: usize = 64;
/// What a client sends once it has heard all is read and thrown away so long.
const LEAVING_TIME_MAX: Duration = Duration::from_secs(2);

pub struct Socket {
    tcp: TcpStream,
    tls: Option<Box<ServerConnection>>,
    /// Read from the network, and not taken from `taken` on. It has memory while
    /// there is something in it.
    arrived: Vec<u8>,
    taken: usize,
}

/// Why there is nothing more to do for a socket.
#[derive(Debug)]
pub enum Ended {
    /// The client left, or the network did.
    Left,
    Cut(Cut),
}

impl From<io::Error> for Ended {
    fn from(_: io::Error) -> Self {
        Self::Left
    }
}

/// Plain bytes.
pub enum Here<'a> {
    Bytes(&'a [u8]),
    /// Nothing more is read from the network yet.
    Nothing,
    End,
}

impl Socket {
    /// Waits for the client's first byte, which tells whether it speaks TLS, and
    /// where it does for the end of its handshake.
    pub async fn begin(
        tcp: TcpStream,
        config: Option<Arc<ServerConfig>>,
        tls_only: bool,
    ) -> Result<Self, Ended> {
        let mut socket = Self {
            tcp,
            tls: None,
            arrived: Vec::new(),
            taken: 0,
        };
        let mut first = [0];
        if socket.tcp.peek(&mut first).await? == 0 {
            return Err(Ended::Left);
        }
        if first[0] == tls::FIRST_BYTE {
            let why = || Cut::Tls("this door has no certificate".into());
            let config = config.ok_or_else(why).map_err(Ended::Cut)?;
            let connection = ServerConnection::new(config).map_err(of_tls)?;
            socket.tls = Some(Box::new(connection));
            socket.shake_hands().await?;
        } else if tls_only {
            return Err(Ended::Cut(Cut::NotTls));
        }
        Ok(socket)
    }

    async fn shake_hands(&mut self) -> Result<(), Ended> {
        let mut bytes = 0;
        while self.tls.as_ref().is_some_and(|tls| tls.is_handshaking()) {
            poll_fn(|wake| self.poll_flush(wake)).await?;
            if self.arrived.is_empty() {
                match poll_fn(|wake| self.poll_fill(wake, None)).await? {
                    0 => return Err(Ended::Left),
                    more => bytes += more,
                }
            }
            self.decrypt()?;
            if bytes > KAFKA_HANDSHAKE_BYTES_MAX {
                return Err(Ended::Cut(Cut::Tls(format!("{bytes} bytes of it"))));
            }
        }
        Ok(())
    }

    pub fn is_encrypted(&self) -> bool {
        self.tls.is_some()
    }

    /// Whom the client's certificate names.
    pub fn subject(&self) -> Option<String> {
        tls::subject(self.tls.as_ref()?.peer_certificates())
    }

    /// Waits until the client has closed its side, whether what it sent is read or
    /// not: to wait for bytes would end at those that are there. Nobody asked the
    /// kernel for urgent ones, so of what this waits for only the end comes.
    pub async fn client_closes(&self) {
        while let Ok(ready) = self.tcp.ready(Interest::PRIORITY).await {
            if ready.is_read_closed() {
                return;
            }
        }
    }

    /// What is at hand. It is there until it is taken.
    pub fn here(&mut self) -> Result<Here<'_>, Ended> {
        if self.tls.is_none() {
            return Ok(match &self.arrived[self.taken..] {
                [] => Here::Nothing,
                bytes => Here::Bytes(bytes),
            });
        }
        while self.has_no_plaintext() && !self.arrived.is_empty() {
            self.decrypt()?;
        }
        let Some(tls) = &mut self.tls else {
            return Ok(Here::Nothing);
        };
        match tls.reader().into_first_chunk() {
            Ok([]) => Ok(Here::End),
            Ok(bytes) => Ok(Here::Bytes(bytes)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Here::Nothing),
            // The network's end without TLS's: many clients leave so.
            Err(_) => Ok(Here::End),
        }
    }

    fn has_no_plaintext(&mut self) -> bool {
        let Some(tls) = &mut self.tls else {
            return true;
        };
        let chunk = tls.reader().into_first_chunk();
        chunk.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// Hands TLS a piece of what has arrived.
    fn decrypt(&mut self) -> Result<(), Ended> {
        let Some(tls) = &mut self.tls else {
            return Ok(());
        };
        let mut rest = &self.arrived[self.taken..];
        let before = rest.len();
        let read = tls.read_tls(&mut rest);
        self.taken += before - rest.len();
        // It takes nothing more behind the client's goodbye.
        let is_deaf = matches!(read, Ok(0));
        read.map_err(|error| Ended::Cut(Cut::Tls(error.to_string())))?;
        if let Err(error) = tls.process_new_packets() {
            // The alert that says why leaves if it can.
            let _ = tls.write_tls(&mut Direct(&self.tcp));
            return Err(of_tls(error));
        }
        if is_deaf || self.taken == self.arrived.len() {
            self.forget();
        }
        Ok(())
    }

    pub fn take(&mut self, bytes: usize) {
        if let Some(tls) = &mut self.tls {
            return tls.reader().consume(bytes);
        }
        self.taken += bytes;
        if self.taken == self.arrived.len() {
            self.forget();
        }
    }

    fn forget(&mut self) {
        self.arrived = Vec::new();
        self.taken = 0;
    }

    /// Reads more, where nothing is at hand: straight to its place where TLS does
    /// not stand between. 0 at the end.
    pub fn poll_fill(
        &mut self,
        wake: &mut Context<'_>,
        place: Option<Limit<&mut Vec<u8>>>,
    ) -> Poll<io::Result<usize>> {
        let mut place = place.filter(|_| self.tls.is_none());
        loop {
            ready!(self.tcp.poll_read_ready(wake))?;
            let read = match &mut place {
                Some(place) => self.tcp.try_read_buf(place),
                None => {
                    self.arrived.reserve_exact(READ_BYTES);
                    self.tcp.try_read_buf(&mut self.arrived)
                }
            };
            match read {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read),
            }
            if self.arrived.is_empty() {
                self.forget();
            }
        }
    }

    /// Sends what the session has put out: how many bytes of it left.
    pub fn poll_send(
        &mut self,
        wake: &mut Context<'_>,
        session: &mut Session,
    ) -> io::Result<usize> {
        let mut all = 0;
        loop {
            if self.poll_flush(wake)?.is_pending() || session.unsent() == 0 {
                return Ok(all);
            }
            let mut slices = [IoSlice::new(&[]); SLICES];
            let filled = session.next_to_send(&mut slices);
            let slices = &slices[..filled];
            let sent = match &mut self.tls {
                Some(tls) => tls.writer().write_vectored(slices)?,
                None => match self.poll_write(wake, slices)? {
                    Poll::Ready(sent) => sent,
                    Poll::Pending => return Ok(all),
                },
            };
            if sent == 0 {
                return Err(ErrorKind::WriteZero.into());
            }
            session.sent(sent);
            all += sent;
        }
    }

    fn poll_write(
        &self,
        wake: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.tcp.poll_write_ready(wake))?;
            match self.tcp.try_write_vectored(slices) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    /// What TLS has to say leaves.
    fn poll_flush(&mut self, wake: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(tls) = &mut self.tls else {
            return Poll::Ready(Ok(()));
        };
        while tls.wants_write() {
            ready!(self.tcp.poll_write_ready(wake))?;
            match tls.write_tls(&mut Direct(&self.tcp)) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Ok(0) => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                written => drop(written?),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Everything has left, TLS's words too.
    pub fn is_flushed(&self) -> bool {
        !self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Says that nothing more comes. What still arrives is read and thrown away:
    /// a socket closed on unread bytes takes an answer that is under way with it.
    pub async fn say_goodbye(mut self) {
        let farewell = async {
            if let Some(tls) = &mut self.tls {
                tls.send_close_notify();
                poll_fn(|wake| self.poll_flush(wake)).await?;
            }
            self.tcp.shutdown().await?;
            self.arrived = Vec::new();
            let mut thrown_away = Vec::with_capacity(READ_BYTES);
            loop {
                self.tcp.readable().await?;
                thrown_away.clear();
                match self.tcp.try_read_buf(&mut thrown_away) {
                    Ok(0) => return Ok(()),
                    Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
                    _ => {}
                }
            }
        };
        // Whether it went well makes no difference any more.
        let _: Result<io::Result<()>, _> = timeout(LEAVING_TIME_MAX, farewell).await;
    }
}

fn of_tls(error: rustls::Error) -> Ended {
    Ended::Cut(Cut::Tls(error.to_string()))
}

/// A write that does not wait, for TLS to write with.
struct Direct<'a>(&'a TcpStream);

impl Write for Direct<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
