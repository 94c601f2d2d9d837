//! A client that says exactly what a test tells it to.

use dolmen::ids::{SessionId, Zxid};
use dolmen::ports::zookeeper::codec::{
    self, ConnectRequest, ConnectResponse, Jute, ReplyHeader, WatcherEvent,
};
use dolmen::ports::zookeeper::handlers::Operation;
use dolmen::wire::Cursor;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

pub trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

pub struct Client {
    pub stream: Box<dyn Stream>,
    pub socket: Option<TcpStream>,
    pub next_xid: i32,
    pub session: SessionId,
    pub password: Vec<u8>,
}

pub fn greeting() -> ConnectRequest {
    ConnectRequest {
        protocol: 0,
        last_zxid_seen: Zxid(0),
        timeout_ms: 10_000,
        session: SessionId(0),
        password: vec![0; 16],
        takes_read_only: Some(false),
    }
}

impl Client {
    pub fn dial(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).unwrap();
        // A test that would wait for ever fails instead.
        socket
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        socket.set_nodelay(true).unwrap();
        let mut client = Self::over(socket.try_clone().unwrap());
        client.socket = Some(socket);
        client
    }

    pub fn over(stream: impl Stream + 'static) -> Self {
        Self {
            stream: Box::new(stream),
            socket: None,
            next_xid: 1,
            session: SessionId(0),
            password: Vec::new(),
        }
    }

    pub fn open(&mut self) -> ConnectResponse {
        self.open_with(&greeting())
    }

    pub fn open_with(&mut self, request: &ConnectRequest) -> ConnectResponse {
        let mut bytes = Vec::new();
        request.write(&mut bytes);
        self.say(&bytes);
        let response = ConnectResponse::read(&self.frame().expect("an answer")).unwrap();
        self.session = response.session;
        self.password = response.password.clone();
        response
    }

    pub fn say(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// The next frame's payload; None where the door has closed.
    pub fn frame(&mut self) -> Option<Vec<u8>> {
        let mut head = [0; 4];
        match self.stream.read_exact(&mut head) {
            Ok(()) => {}
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::ConnectionReset
                ) =>
            {
                return None;
            }
            Err(error) => panic!("no answer: {error}"),
        }
        let mut payload = vec![0; u32::from_be_bytes(head) as usize];
        self.stream.read_exact(&mut payload).unwrap();
        Some(payload)
    }

    /// Sends a request and does not wait.
    pub fn send<O: Operation>(&mut self, request: &O::Request) -> i32 {
        let xid = self.next_xid;
        self.next_xid += 1;
        self.send_as(xid, O::CODE, request);
        xid
    }

    pub fn send_as(&mut self, xid: i32, operation: i32, request: &impl Jute) {
        let mut bytes = Vec::new();
        codec::write_request(xid, operation, request, &mut bytes);
        self.say(&bytes);
    }

    pub fn reply(&mut self) -> (ReplyHeader, Vec<u8>) {
        let payload = self.frame().expect("the door has not closed");
        let from = &mut Cursor::new(&payload);
        let header = ReplyHeader::read(from).unwrap();
        let left = from.left();
        (header, payload[payload.len() - left..].to_vec())
    }

    pub fn call<O: Operation>(&mut self, request: &O::Request) -> Result<O::Response, i32> {
        let xid = self.send::<O>(request);
        let (header, body) = self.reply();
        assert_eq!(header.xid, xid, "{}", O::NAME);
        parse::<O>(&header, &body)
    }

    pub fn event(&mut self) -> (ReplyHeader, WatcherEvent) {
        let (header, body) = self.reply();
        assert_eq!(header.xid, codec::NOTIFICATION_XID);
        (header, WatcherEvent::read(&mut Cursor::new(&body)).unwrap())
    }
}

/// A response has all of its body and nothing behind it; an error has none.
pub fn parse<O: Operation>(header: &ReplyHeader, body: &[u8]) -> Result<O::Response, i32> {
    if header.error != 0 {
        assert!(body.is_empty(), "{} fails with a body", O::NAME);
        return Err(header.error);
    }
    let from = &mut Cursor::new(body);
    let response = O::Response::read(from).unwrap();
    assert_eq!(from.left(), 0, "{} says too much", O::NAME);
    Ok(response)
}
