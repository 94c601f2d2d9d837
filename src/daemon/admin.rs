//! The admin socket: every change to a node comes through here, from the CLI
//! on the same host. The socket's mode is the rule of access: 0660, so owner
//! and group. Frames of `wire::frame` carry JSON: `{"ask":"status"}`,
//! `{"ask":"chronicle","last":5}` or `{"ask":"stop"}` is answered by
//! `{"answer":...}` or `{"error":"..."}`.

mod backups;
mod users;

use super::backup::Making;
use super::chronicle::Chronicle;
use super::coordination::Coordination;
use super::node::Ending;
use super::refused::Refused;
use super::standing::Standing;
use crate::limits::{ADMIN_CONNECTIONS_MAX, ADMIN_FRAME_BYTES_MAX};
use crate::state::Role;
use crate::wire::frame::{Frames, framed};
use backups::{Fill, Intake, Written};
use serde::Deserialize;
use serde_json::{Value, json};
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet, spawn_blocking};
use tokio::time::timeout;

const MODE: u32 = 0o660;
/// The next bytes of a question, or room for the next bytes of an answer.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// An answer that is ready leaves in far less.
const CLOSING_TIME_MAX: Duration = Duration::from_secs(1);
/// The pace of accepting while the machine has no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
const READ_BYTES: usize = 8 << 10;

#[derive(Debug, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
enum Ask {
    Status,
    /// The last records of the chronicle.
    Chronicle {
        last: usize,
    },
    Stop,
    /// Found a cluster.
    Init,
    TokenCreate {
        role: RoleWord,
        hours: u64,
    },
    TokenList,
    TokenRevoke {
        id: String,
    },
    Join {
        token: String,
        discard: bool,
    },
    UserAdd(users::Added),
    UserList,
    UserRemove {
        name: String,
    },
    NodeList,
    NodeRemove {
        node: u64,
        #[serde(default)]
        lose_partitions: bool,
    },
    NodeReplace {
        node: u64,
        #[serde(default)]
        lose_partitions: bool,
    },
    /// Hand the leadership to a node.
    NodeTransfer {
        node: u64,
    },
    /// The feature level, and who keeps the cluster from the next.
    UpgradeStatus,
    UpgradeFinalize,
    /// Take the nodes of another service in, as `daemon::import` says.
    Import {
        nodes: u64,
        data_bytes: u64,
        source_zxid: String,
    },
    /// Hand the state out, as `daemon::backup` says.
    BackupCreate {
        stale: bool,
    },
    /// Who took it has written it down.
    BackupWritten(Written),
    RestoreBegin {
        backup: String,
        features: u32,
        discard: bool,
    },
    RestoreEmpty {
        backup: String,
    },
    RestoreFill(Fill),
    RestoreGiveUp {
        discard: bool,
    },
}

impl Ask {
    fn name(&self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Chronicle { .. } => "chronicle",
            Self::Stop => "stop",
            Self::Init => "init",
            Self::TokenCreate { .. } => "token create",
            Self::TokenList => "token list",
            Self::TokenRevoke { .. } => "token revoke",
            Self::Join { .. } => "join",
            Self::UserAdd(_) => "user add",
            Self::UserList => "user list",
            Self::UserRemove { .. } => "user remove",
            Self::NodeList => "node list",
            Self::NodeRemove { .. } => "node remove",
            Self::NodeReplace { .. } => "node replace",
            Self::NodeTransfer { .. } => "node transfer",
            Self::UpgradeStatus => "upgrade status",
            Self::UpgradeFinalize => "upgrade finalize",
            Self::Import { .. } => "import",
            Self::BackupCreate { .. } => "backup create",
            Self::BackupWritten(_) => "backup written",
            Self::RestoreBegin { .. } => "restore begin",
            Self::RestoreEmpty { .. } => "restore empty",
            Self::RestoreFill(_) => "restore fill",
            Self::RestoreGiveUp { .. } => "restore give up",
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RoleWord {
    Voter,
    Worker,
}

/// What may be asked, and what it works on.
pub struct Desk {
    pub standing: Arc<Standing>,
    /// Empty until the log is open.
    pub chronicle: Arc<OnceLock<Chronicle>>,
    /// Empty until the replicated state is read back.
    pub coordination: Arc<OnceLock<Coordination>>,
    /// Takes the word that the node is to stop.
    pub stop: mpsc::Sender<Ending>,
}

/// What follows an answer on the same connection.
enum Then {
    Ask,
    /// Batches come from the asker.
    Take(Intake),
    /// A backup goes to the asker.
    Hand(Box<Making>),
}

impl Desk {
    /// `pid` is the asker's, for the journal; no rule depends on it.
    async fn answer(&self, question: &[u8], pid: Option<i32>) -> (Value, Then) {
        let answer = match serde_json::from_slice(question) {
            Ok(Ask::Status) => json!({ "answer": self.standing.status() }),
            Ok(Ask::Chronicle { last }) => match self.last_of_chronicle(last).await {
                Ok(entries) => json!({ "answer": entries }),
                Err(says) => json!({ "error": says }),
            },
            Ok(Ask::Stop) => {
                tracing::info!(pid, "asked to stop over the admin socket");
                // A full queue holds the same word already.
                let _ = self.stop.try_send(Ending::Asked);
                json!({ "answer": "stopping" })
            }
            Ok(ask) => {
                // Without its words: a token is a secret.
                let asked = ask.name();
                tracing::info!(pid, asked, "asked over the admin socket");
                match self.change(ask).await {
                    Ok((answer, then)) => return (json!({ "answer": answer }), then),
                    Err(says) => json!({ "error": says }),
                }
            }
            Err(error) => json!({ "error": format!("this node does not understand: {error}") }),
        };
        (answer, Then::Ask)
    }

    /// What changes the cluster, or asks for it.
    async fn change(&self, ask: Ask) -> Result<(Value, Then), String> {
        let Some(coordination) = self.coordination.get() else {
            let phase = self.standing.phase();
            return Err(format!(
                "the replicated state is not open, the node is {}: try again",
                phase.word()
            ));
        };
        let shared = coordination.shared();
        let answer = match ask {
            Ask::Init => coordination.init().await,
            Ask::TokenCreate { role, hours } => {
                let role = match role {
                    RoleWord::Voter => Role::Voter,
                    RoleWord::Worker => Role::Learner,
                };
                shared.create_token(role, hours).await
            }
            Ask::TokenList => shared.list_tokens().await,
            Ask::TokenRevoke { id } => shared.revoke_token(&id).await,
            Ask::Join { token, discard } => {
                let joined = shared.join(&token, discard).await?;
                if joined["already"] == false {
                    let _ = self.stop.try_send(Ending::Joined);
                }
                Ok(joined)
            }
            Ask::UserAdd(added) => self.add_user(shared, added).await,
            Ask::UserList => shared.list_users().await,
            Ask::UserRemove { name } => shared.remove_user(&name).await,
            Ask::NodeList => shared.list_nodes().await,
            Ask::NodeRemove {
                node,
                lose_partitions,
            } => shared.remove_node(node, lose_partitions).await,
            Ask::NodeReplace {
                node,
                lose_partitions,
            } => shared.replace_node(node, lose_partitions).await,
            Ask::NodeTransfer { node } => shared.transfer(node).await,
            Ask::UpgradeStatus => shared.upgrade_status().await,
            Ask::UpgradeFinalize => shared.finalize().await,
            Ask::Import {
                nodes,
                data_bytes,
                source_zxid,
            } => {
                tracing::info!(nodes, data_bytes, source_zxid, "an import begins");
                return Ok(("ready".into(), Then::Take(Intake::Import)));
            }
            Ask::BackupCreate { stale } => return self.create_backup(shared, stale).await,
            Ask::BackupWritten(written) => self.note_written(written).await,
            Ask::RestoreBegin {
                backup,
                features,
                discard,
            } => self.begin_restore(shared, &backup, features, discard).await,
            Ask::RestoreEmpty { backup } => self.go_on_emptying(shared, &backup).await,
            Ask::RestoreFill(fill) => return Self::begin_filling(&fill),
            Ask::RestoreGiveUp { discard } => self.give_restore_up(shared, discard).await,
            Ask::Status | Ask::Chronicle { .. } | Ask::Stop => Err("answered elsewhere".into()),
        };
        answer.map(|answer| (answer, Then::Ask))
    }

    async fn last_of_chronicle(&self, count: usize) -> Result<Value, String> {
        if self.chronicle.get().is_none() {
            let phase = self.standing.phase();
            return Err(format!(
                "the chronicle is not open, the node is {}",
                phase.word()
            ));
        }
        let chronicle = self.chronicle.clone();
        let read = spawn_blocking(move || {
            let entries = chronicle.get().map(|chronicle| chronicle.last(count));
            entries
                .expect("seen open above")
                .map(|entries| json!(entries))
        });
        match read.await {
            Ok(Ok(entries)) => Ok(entries),
            Ok(Err(error)) => Err(format!("the chronicle cannot be read: {error}")),
            Err(error) => Err(format!("the chronicle cannot be read: {error}")),
        }
    }
}

/// The open socket. Its file goes when this is dropped.
pub struct AdminSocket {
    closing: oneshot::Sender<()>,
    task: JoinHandle<()>,
    _file: SocketFile,
}

struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

impl AdminSocket {
    /// A socket file that nobody answers on is what a killed daemon left.
    pub async fn open(path: &Path, desk: Desk) -> Result<Self, Refused> {
        let refused = |error| Refused::AdminSocket {
            path: path.into(),
            error,
        };
        let answers = || Refused::AdminSocketAnswers(path.into());
        match UnixStream::connect(path).await {
            Ok(_) => return Err(answers()),
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound => {}
                io::ErrorKind::ConnectionRefused => stale(path).map_err(refused)?,
                // Too busy to take one more.
                io::ErrorKind::WouldBlock => return Err(answers()),
                _ => return Err(refused(error)),
            },
        }
        let listener = listen(path).map_err(refused)?;
        let (closing, closed) = oneshot::channel();
        Ok(Self {
            closing,
            task: tokio::spawn(accept(listener, closed, Arc::new(desk))),
            _file: SocketFile(path.into()),
        })
    }

    /// Stops accepting and lets the answers that are under way leave.
    pub async fn close(self) {
        let _ = self.closing.send(());
        if let Err(error) = self.task.await {
            tracing::warn!(%error, "the admin socket ended badly");
        }
    }
}

/// A file that is no socket refuses connections as well, and is not ours to
/// replace.
fn stale(path: &Path) -> io::Result<()> {
    match fs::metadata(path)?.file_type().is_socket() {
        true => Ok(()),
        false => Err(io::Error::other("a file that is no socket has that name")),
    }
}

/// The socket is made beside its name and moved there with its mode set: at
/// no moment can a stranger connect, and a stale file is replaced at once.
fn listen(path: &Path) -> io::Result<UnixListener> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".new");
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&unfinished)?;
    fs::set_permissions(&unfinished, fs::Permissions::from_mode(MODE))?;
    fs::rename(&unfinished, path)?;
    Ok(listener)
}

async fn accept(listener: UnixListener, mut closing: oneshot::Receiver<()>, desk: Arc<Desk>) {
    let mut talks = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut closing => break,
            Some(_) = talks.join_next() => {}
            arrived = listener.accept() => match arrived {
                Ok((stream, _)) if talks.len() >= ADMIN_CONNECTIONS_MAX => turn_away(&stream),
                Ok((stream, _)) => {
                    talks.spawn(talk(stream, desk.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "accept failed on the admin socket");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    let _ = timeout(CLOSING_TIME_MAX, async {
        while talks.join_next().await.is_some() {}
    })
    .await;
}

/// One write and no waiting: a fresh socket's buffer takes it.
fn turn_away(stream: &UnixStream) {
    let busy = json!({ "error": "busy: the admin socket has all the connections it takes" });
    if let Ok(frame) = framed(busy.to_string().as_bytes(), ADMIN_FRAME_BYTES_MAX) {
        let _ = stream.try_write(&frame);
    }
}

async fn talk(mut stream: UnixStream, desk: Arc<Desk>) {
    let pid = stream.peer_cred().ok().and_then(|peer| peer.pid());
    if let Err(error) = answer_all(&mut stream, &desk, pid).await {
        tracing::debug!(%error, pid, "a client of the admin socket left early");
    }
}

async fn answer_all(stream: &mut UnixStream, desk: &Desk, pid: Option<i32>) -> io::Result<()> {
    let mut frames = Frames::new(ADMIN_FRAME_BYTES_MAX);
    let mut arrived = [0; READ_BYTES];
    loop {
        let length = timeout(SILENCE_MAX, stream.read(&mut arrived)).await??;
        if length == 0 {
            return match frames.is_between_frames() {
                true => Ok(()),
                false => Err(io::ErrorKind::UnexpectedEof.into()),
            };
        }
        frames.add(&arrived[..length]);
        loop {
            match frames.take() {
                Ok(None) => break,
                Ok(Some(question)) => {
                    let (answer, then) = desk.answer(&question, pid).await;
                    send(stream, &answer).await?;
                    match then {
                        Then::Ask => {}
                        Then::Take(intake) => desk.take_batches(stream, intake).await?,
                        Then::Hand(making) => desk.hand_backup(stream, *making).await?,
                    }
                }
                Err(too_long) => {
                    send(stream, &json!({ "error": too_long.to_string() })).await?;
                    return Ok(());
                }
            }
        }
    }
}

async fn send(stream: &mut UnixStream, answer: &Value) -> io::Result<()> {
    let frame = framed(answer.to_string().as_bytes(), ADMIN_FRAME_BYTES_MAX)
        .map_err(|too_long| io::Error::new(io::ErrorKind::InvalidData, too_long))?;
    timeout(SILENCE_MAX, stream.write_all(&frame)).await?
}
