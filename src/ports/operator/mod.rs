//! The operator door: health, metrics and status over HTTP/1.1, GET and HEAD
//! only. Nothing can be changed through it.
//!
//! One request a connection: a scraper comes every few seconds, so keeping
//! connections open would save nothing, and the whole exchange can be bounded
//! by one time-out whatever the client does or leaves undone.

mod pages;

pub use pages::listed;

use crate::limits::{
    OPERATOR_CONNECTIONS_MAX, OPERATOR_HEAD_BYTES_MAX, OPERATOR_HEADERS_MAX,
    OPERATOR_UNREAD_BYTES_MAX,
};
use crate::metrics::{Counter, Gauge};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::future::{poll_fn, ready};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

/// One exchange, from the accept to the last byte of the answer. A scraper
/// gives up after 10 s as well (Prometheus' default).
const EXCHANGE_TIME_MAX: Duration = Duration::from_secs(10);
/// What is left of an exchange when the door closes: an answer that is ready
/// leaves in far less, a silent client is not waited for.
const CLOSING_TIME_MAX: Duration = Duration::from_secs(1);
/// The pace of accepting while the machine has no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// What the door tells about the node behind it. Asked once a request, on the
/// doors' thread, so an answer is read from memory and never waits.
pub trait Report: Send + Sync {
    /// Why the node does not serve; None where it does.
    fn out_of_service(&self) -> Option<String>;
    fn status_json(&self) -> String;
    fn metrics_text(&self) -> String;
}

/// What the door counts of itself.
#[derive(Default)]
pub struct Counts {
    pub connections: Gauge,
    pub requests: Counter,
    /// Connections turned away because the door was full.
    pub turned_away: Counter,
    /// Exchanges cut off because the client took too long.
    pub timed_out: Counter,
}

/// An open door. Dropped without `close`, it is shut at once.
pub struct Door {
    address: SocketAddr,
    closing: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Door {
    /// From here on the door answers.
    #[allow(clippy::disallowed_methods)] // a door's home
    pub async fn open(
        listen: SocketAddr,
        report: Arc<dyn Report>,
        counts: Arc<Counts>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let (closing, closed) = oneshot::channel();
        let task = tokio::spawn(accept(listener, closed, report, counts));
        Ok(Self {
            address,
            closing,
            task,
        })
    }

    /// The address in use, which has a port of its own where the setting said 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting and lets the answers that are under way leave.
    pub async fn close(self) {
        let _ = self.closing.send(());
        if let Err(error) = self.task.await {
            tracing::warn!(door = "operator", %error, "the door ended badly");
        }
    }
}

async fn accept(
    listener: TcpListener,
    mut closing: oneshot::Receiver<()>,
    report: Arc<dyn Report>,
    counts: Arc<Counts>,
) {
    let mut exchanges = JoinSet::new();
    loop {
        counts.connections.set(exchanges.len() as u64);
        tokio::select! {
            _ = &mut closing => break,
            Some(_) = exchanges.join_next() => {}
            arrived = listener.accept() => match arrived {
                Ok((stream, _)) if exchanges.len() >= OPERATOR_CONNECTIONS_MAX => {
                    counts.turned_away.add(1);
                    turn_away(&stream);
                }
                Ok((stream, _)) => {
                    exchanges.spawn(exchange(stream, report.clone(), counts.clone()));
                }
                Err(error) => {
                    tracing::warn!(door = "operator", %error, "accept failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    let _ = timeout(CLOSING_TIME_MAX, async {
        while exchanges.join_next().await.is_some() {}
    })
    .await;
    counts.connections.set(0);
}

/// One write and no waiting: a fresh socket's buffer takes it.
fn turn_away(stream: &TcpStream) {
    let _ = stream.try_write(
        b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 5\r\n\r\nbusy\n",
    );
}

async fn exchange(stream: TcpStream, report: Arc<dyn Report>, counts: Arc<Counts>) {
    let service = service_fn(|request: Request<Incoming>| {
        counts.requests.add(1);
        let page = pages::page(request.method(), request.uri().path(), &*report);
        ready(Ok::<_, Infallible>(page))
    });
    let mut connection = http1::Builder::new()
        .keep_alive(false)
        .header_read_timeout(None) // the whole exchange has one
        .max_buf_size(OPERATOR_HEAD_BYTES_MAX)
        .max_headers(OPERATOR_HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let exchanged = timeout(EXCHANGE_TIME_MAX, async {
        let answered = poll_fn(|cx| connection.poll_without_shutdown(cx)).await;
        if let Err(error) = answered {
            tracing::debug!(door = "operator", %error, "a client broke the protocol or left");
        }
        take_leave(connection.into_parts().io.into_inner()).await
    });
    match exchanged.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(door = "operator", %error, "a client left early"),
        Err(_) => counts.timed_out.add(1),
    }
}

/// Says that nothing more comes, then reads what is left of the request: a
/// socket closed on unread bytes takes an answer that is under way with it.
async fn take_leave(mut stream: TcpStream) -> io::Result<()> {
    stream.shutdown().await?;
    let mut unread = [0; 4 << 10];
    let mut left = OPERATOR_UNREAD_BYTES_MAX;
    while left > 0 {
        match stream.read(&mut unread).await? {
            0 => return Ok(()),
            length => left = left.saturating_sub(length),
        }
    }
    Ok(())
}
