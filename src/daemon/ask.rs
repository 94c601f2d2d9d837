//! The other end of the admin socket: questions to a running daemon, for the
//! CLI. Blocking, with a bound on every wait.

use crate::limits::ADMIN_FRAME_BYTES_MAX;
use crate::wire::frame::{Frames, framed};
use serde_json::Value;
use std::fmt;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A daemon answers from memory; longer means that its thread is stuck.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// What a cluster must agree on, or another machine answer, takes longer: a
/// join asks up to four members, each with 10 s to shake hands and 10 s to
/// answer.
const AGREEMENT_MAX: Duration = Duration::from_secs(90);

#[derive(Debug)]
pub enum Unanswered {
    NobodyThere(PathBuf),
    NotAllowed(PathBuf),
    Silent {
        path: PathBuf,
        waited: Duration,
    },
    Broken {
        path: PathBuf,
        error: io::Error,
    },
    /// The daemon's own words.
    Refused(String),
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NobodyThere(path) => write!(
                f,
                "no daemon answers on {}: start one (systemctl start dolmen, or dolmen dev), or \
                 name another socket",
                path.display()
            ),
            Self::NotAllowed(path) => write!(
                f,
                "{} is not open to this user: use sudo, or join the socket's group (usermod -aG \
                 dolmen NAME, then log in again)",
                path.display()
            ),
            Self::Silent { path, waited } => write!(
                f,
                "the daemon on {} took the question and did not answer in {} s: look at \
                 journalctl -u dolmen",
                path.display(),
                waited.as_secs()
            ),
            Self::Broken { path, error } => {
                let path = path.display();
                write!(f, "the talk on {path} broke off ({error}): try again")
            }
            Self::Refused(says) => f.write_str(says),
        }
    }
}

/// Asks one thing and waits for the answer.
pub fn ask(path: &Path, question: &Value) -> Result<Value, Unanswered> {
    Talk::open(path)?.ask(question)
}

/// Asks for something that this daemon cannot do by itself.
pub fn ask_to_agree(path: &Path, question: &Value) -> Result<Value, Unanswered> {
    Talk::open_for(path, AGREEMENT_MAX)?.ask(question)
}

/// A talk of several questions over one connection.
pub struct Talk {
    path: PathBuf,
    stream: UnixStream,
    frames: Frames,
    patience: Duration,
}

impl Talk {
    pub fn open(path: &Path) -> Result<Self, Unanswered> {
        Self::open_for(path, SILENCE_MAX)
    }

    /// For what a cluster must agree on.
    pub fn open_to_agree(path: &Path) -> Result<Self, Unanswered> {
        Self::open_for(path, AGREEMENT_MAX)
    }

    pub fn open_for(path: &Path, patience: Duration) -> Result<Self, Unanswered> {
        let stream = connect(path, patience).map_err(|error| named(path, patience, error))?;
        Ok(Self {
            path: path.into(),
            stream,
            patience,
            frames: Frames::new(ADMIN_FRAME_BYTES_MAX),
        })
    }

    pub fn ask(&mut self, question: &Value) -> Result<Value, Unanswered> {
        self.hand(question.to_string().as_bytes(), ADMIN_FRAME_BYTES_MAX)
    }

    /// Hands over bytes that are no JSON, where a question before has agreed
    /// on it, and waits for the answer.
    pub fn hand(&mut self, payload: &[u8], bytes_max: usize) -> Result<Value, Unanswered> {
        let sent = send(&mut self.stream, payload, bytes_max);
        sent.map_err(|error| named(&self.path, self.patience, error))?;
        self.hear()
    }

    /// Waits for an answer.
    pub fn hear(&mut self) -> Result<Value, Unanswered> {
        let reply = self.hear_frame()?;
        let reply: Value = serde_json::from_slice(&reply)
            .map_err(|error| named(&self.path, self.patience, error.into()))?;
        match (reply.get("answer"), reply.get("error")) {
            (Some(answer), None) => Ok(answer.clone()),
            (_, Some(error)) => Err(Unanswered::Refused(
                error.as_str().unwrap_or("refused without a reason").into(),
            )),
            (None, None) => Err(Unanswered::Refused(
                "the answer is of no known form: is the daemon of another version?".into(),
            )),
        }
    }

    /// Waits for bytes that are no JSON, where an answer before has promised
    /// them.
    pub fn hear_frame(&mut self) -> Result<Vec<u8>, Unanswered> {
        let frame = hear(&mut self.stream, &mut self.frames);
        frame.map_err(|error| named(&self.path, self.patience, error))
    }
}

fn named(path: &Path, waited: Duration, error: io::Error) -> Unanswered {
    use io::ErrorKind::{ConnectionRefused, NotFound, PermissionDenied, TimedOut, WouldBlock};
    let path = path.to_owned();
    match error.kind() {
        NotFound | ConnectionRefused => Unanswered::NobodyThere(path),
        PermissionDenied => Unanswered::NotAllowed(path),
        WouldBlock | TimedOut => Unanswered::Silent { path, waited },
        _ => Unanswered::Broken { path, error },
    }
}

fn connect(path: &Path, patience: Duration) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(SILENCE_MAX))?;
    Ok(stream)
}

fn invalid(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

fn send(stream: &mut UnixStream, payload: &[u8], bytes_max: usize) -> io::Result<()> {
    match stream.write_all(&framed(payload, bytes_max).map_err(invalid)?) {
        // A daemon that has no room says so and hangs up, unasked.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

fn hear(stream: &mut UnixStream, frames: &mut Frames) -> io::Result<Vec<u8>> {
    let mut arrived = [0; 8 << 10];
    loop {
        if let Some(frame) = frames.take().map_err(invalid)? {
            return Ok(frame);
        }
        match stream.read(&mut arrived) {
            // A signal that another thread sees to.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(length) => frames.add(&arrived[..length]),
        }
    }
}
