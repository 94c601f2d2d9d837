//! One connection's socket: reads into a buffer that all share, through TLS
//! where the client speaks it, and writes what the session has put out.

use super::session::{AtHand, Session};
use crate::clock::Millis;
use crate::limits::{
    ZOOKEEPER_READ_BYTES_PER_TURN, ZOOKEEPER_UNOPENED_BYTES_MAX, ZOOKEEPER_UNSENT_BYTES_MAX,
};
use crate::ports::tls;
use crate::state::Identity;
use mio::net::TcpStream;
use rustls::{ServerConfig, ServerConnection};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;

/// Plaintext that is handed to TLS at a time: four of its records.
const TLS_BYTES: usize = 64 << 10;
/// What an output keeps of its memory while nothing is unsent.
const KEPT_BYTES: usize = 64 << 10;

/// Why a connection is at its end.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// The client left, or the network did.
    Left,
    /// For what it sent, or for what it did not take.
    CutOff,
}

pub struct Connection {
    pub socket: TcpStream,
    pub peer: SocketAddr,
    pub session: Session,
    pub out: Vec<u8>,
    /// The part of `out` that is written.
    written: usize,
    tls: Option<Box<ServerConnection>>,
    /// Bytes of the TLS handshake so far.
    handshake_bytes: usize,
    has_begun: bool,
    /// Readiness is told once, when it begins, and kept until it has ended.
    pub may_read: bool,
    pub may_write: bool,
    pub is_read_closed: bool,
    /// The network says that nothing more goes either way.
    pub has_failed: bool,
    pub since: Since,
    pub established: Millis,
    /// A list of the server's holds it already.
    pub is_busy: bool,
    pub is_dirty: bool,
    pub is_held_up: bool,
    /// What the word asked for has been asked.
    pub has_asked: bool,
}

/// When what lasts began, on the door's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct Since {
    pub accepted_us: u64,
    /// The frame that is under way was seen first, with the number of those
    /// before it.
    pub frame: Option<(u64, u64)>,
    pub leaving_us: Option<u64>,
}

impl Connection {
    pub fn new(socket: TcpStream, peer: SocketAddr, session: Session, now_us: u64) -> Self {
        Self {
            socket,
            peer,
            session,
            out: Vec::new(),
            written: 0,
            tls: None,
            handshake_bytes: 0,
            has_begun: false,
            may_read: true,
            may_write: true,
            is_read_closed: false,
            has_failed: false,
            since: Since {
                accepted_us: now_us,
                ..Since::default()
            },
            established: Millis(0),
            is_busy: false,
            is_dirty: false,
            is_held_up: false,
            has_asked: false,
        }
    }

    /// More can be read now.
    pub fn has_more(&self) -> bool {
        self.may_read && (self.session.wants_bytes() || self.has_said_goodbye())
    }

    /// Reads for one turn. `tls` is the configuration for a client that begins
    /// with TLS; `tls_only` refuses any other.
    pub fn read(
        &mut self,
        buffer: &mut [u8],
        tls: impl Fn() -> Option<Arc<ServerConfig>>,
        tls_only: bool,
        hand: &mut AtHand<'_>,
    ) -> Result<(), End> {
        let mut left = ZOOKEEPER_READ_BYTES_PER_TURN;
        while left > 0 && self.has_more() {
            let room = match self.has_said_goodbye() {
                true => buffer.len(),
                false => buffer.len().min(self.session.bytes_wanted()),
            };
            let length = match self.socket.read(&mut buffer[..room]) {
                Ok(0) => {
                    self.may_read = false;
                    self.session.end_of_input();
                    return Ok(());
                }
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.may_read = false;
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return Err(End::Left),
            };
            // A stream that gave less than was asked for is empty, and tells
            // again when it is not (epoll(7)); only its end it has told.
            if length < room && !self.is_read_closed {
                self.may_read = false;
            }
            left = left.saturating_sub(length);
            hand.counts.received_bytes.add(length as u64);
            let arrived = &buffer[..length];
            if !self.has_begun {
                self.begin(arrived[0], &tls, tls_only)?;
            }
            match self.tls {
                Some(_) => self.arrive_by_tls(arrived, hand)?,
                None => self.session.arrive(arrived, &self.out, hand),
            }
        }
        Ok(())
    }

    fn begin(
        &mut self,
        first: u8,
        tls: impl Fn() -> Option<Arc<ServerConfig>>,
        tls_only: bool,
    ) -> Result<(), End> {
        self.has_begun = true;
        if first == tls::FIRST_BYTE {
            let config = tls().ok_or(End::CutOff)?;
            let connection = ServerConnection::new(config).map_err(|_| End::CutOff)?;
            self.tls = Some(Box::new(connection));
        } else if tls_only {
            return Err(End::CutOff);
        }
        Ok(())
    }

    fn arrive_by_tls(&mut self, mut arrived: &[u8], hand: &mut AtHand<'_>) -> Result<(), End> {
        let tls = self.tls.as_mut().expect("the connection speaks TLS");
        if tls.is_handshaking() {
            self.handshake_bytes += arrived.len();
            if self.handshake_bytes > ZOOKEEPER_UNOPENED_BYTES_MAX {
                return Err(End::CutOff);
            }
        }
        let mut plain = [0; 16 << 10];
        while !arrived.is_empty() {
            let was_handshaking = tls.is_handshaking();
            tls.read_tls(&mut arrived).map_err(|_| End::CutOff)?;
            if tls.process_new_packets().is_err() {
                // The alert that says why leaves if it can.
                let _ = tls.write_tls(&mut self.socket);
                return Err(End::CutOff);
            }
            if was_handshaking
                && !tls.is_handshaking()
                && let Some(subject) = tls::subject(tls.peer_certificates())
            {
                self.session.certified(Identity::new("x509", &subject));
            }
            loop {
                match tls.reader().read(&mut plain) {
                    Ok(0) => {
                        self.session.end_of_input();
                        break;
                    }
                    Ok(length) => self.session.arrive(&plain[..length], &self.out, hand),
                    Err(_) => break, // nothing more for now
                }
            }
        }
        Ok(())
    }

    /// Bytes that the client has not taken.
    pub fn unsent(&self) -> usize {
        self.out.len() - self.written
    }

    /// The client lets pile up what it is sent.
    pub fn is_drowning(&self) -> bool {
        self.unsent() > ZOOKEEPER_UNSENT_BYTES_MAX
    }

    /// Something waits to be written, or to be said at the end.
    pub fn has_to_write(&self) -> bool {
        self.unsent() > 0
            || self.tls.as_ref().is_some_and(|tls| tls.wants_write())
            || (self.session.is_leaving() && !self.has_said_goodbye())
    }

    /// Writes what the socket takes.
    pub fn flush(&mut self, now_us: u64, hand: &AtHand<'_>) -> Result<(), End> {
        let before = self.unsent();
        let written = match self.tls {
            Some(_) => self.write_by_tls(),
            None => self.write_plainly(),
        };
        hand.counts.sent_bytes.add((before - self.unsent()) as u64);
        match written {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.may_write = false,
            Err(_) => return Err(End::Left),
        }
        self.forget_written();
        if self.session.is_leaving() && !self.has_said_goodbye() && self.may_write {
            self.say_goodbye(now_us)?;
        }
        Ok(())
    }

    fn write_plainly(&mut self) -> io::Result<()> {
        while self.written < self.out.len() {
            match self.socket.write(&self.out[self.written..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(length) => self.written += length,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn write_by_tls(&mut self) -> io::Result<()> {
        let tls = self.tls.as_mut().expect("the connection speaks TLS");
        loop {
            while tls.wants_write() {
                match tls.write_tls(&mut self.socket) {
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            let rest = &self.out[self.written..];
            if rest.is_empty() || tls.is_handshaking() {
                return Ok(());
            }
            self.written += tls.writer().write(&rest[..rest.len().min(TLS_BYTES)])?;
        }
    }

    fn forget_written(&mut self) {
        if self.written == self.out.len() {
            self.out.clear();
            self.written = 0;
            if self.out.capacity() > KEPT_BYTES {
                self.out.shrink_to(KEPT_BYTES);
            }
        } else if self.written > self.out.len() / 2 {
            // At least as much is forgotten as is moved.
            self.out.drain(..self.written);
            self.written = 0;
        }
    }

    fn has_said_goodbye(&self) -> bool {
        self.since.leaving_us.is_some()
    }

    /// Says that nothing more comes. What still arrives is read and thrown
    /// away: a socket closed on unread bytes takes an answer that is under way
    /// with it.
    fn say_goodbye(&mut self, now_us: u64) -> Result<(), End> {
        self.since.leaving_us = Some(now_us);
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            let _ = tls.write_tls(&mut self.socket);
        }
        self.socket
            .shutdown(Shutdown::Write)
            .map_err(|_| End::Left)?;
        self.may_read = true;
        Ok(())
    }

    /// Both sides have ended.
    pub fn is_over(&self) -> bool {
        self.has_said_goodbye() && self.session.input_has_ended()
    }
}
