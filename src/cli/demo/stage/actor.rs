//! One of those who act: a session of its own, and what it can ask for.

use super::super::super::Failure;
use super::super::super::client::{Client, Trouble, word};
use super::super::super::zk::open_to_all;
use super::super::line::name;
use super::super::ours::is_ours;
use super::Cast;
use super::unmet::{Unmet, failed_at};
use crate::ports::zookeeper::codec::{
    AtVersion, ChildrenWithStat, CreateRequest, DataWithStat, Jute, Multi, MultiResults, OfStat,
    Part, PartResult, SetDataRequest, Watched, code,
};
use crate::ports::zookeeper::errors;
use crate::state::{Data, Stat};
use std::fmt;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// An event is there in a moment; longer means that the server is in trouble.
const PATIENCE: Duration = Duration::from_secs(15);

/// What a new znode is, by its flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Kind {
    Lasting = 0,
    Ephemeral = 1,
    LastingNumbered = 2,
    EphemeralNumbered = 3,
}

/// Writes are done only while the demo has its root: the server is asked in the
/// same breath whether its claim is still there.
pub struct Actor {
    client: Client,
    connection: Arc<TcpStream>,
    root: Arc<str>,
    claim: Option<Arc<str>>,
}

impl Actor {
    pub fn new(client: Client, cast: &Cast) -> Result<Self, Failure> {
        let connection = Arc::new(client.handle().map_err(Failure::failed)?);
        cast.stop.shuts(&connection);
        Ok(Self {
            client,
            connection,
            root: cast.root.clone(),
            claim: cast.claim.clone(),
        })
    }

    /// The path of what was made. Its figures are asked for by themselves: inside
    /// a multi the original answers a create2 like a create.
    pub fn create(&mut self, path: &str, data: &str, kind: Kind) -> Result<Box<str>, Unmet> {
        let create = CreateRequest {
            path: path.into(),
            data: data.as_bytes().into(),
            acl: open_to_all(),
            flags: kind as i32,
        };
        match self.write(path, Part::Create(create))? {
            PartResult::Created(made) => {
                // What it does not know for its own it would never remove.
                assert!(is_ours(&self.root, &made.path), "{}", made.path);
                Ok(made.path)
            }
            _ => Err(self.unread(path)),
        }
    }

    /// Where it has that version and no other.
    pub fn set(&mut self, path: &str, data: &str, version: i32) -> Result<Stat, Unmet> {
        let set = SetDataRequest {
            path: path.into(),
            data: data.as_bytes().into(),
            version,
        };
        match self.write(path, Part::SetData(set))? {
            PartResult::Set(set) => Ok(set.stat),
            _ => Err(self.unread(path)),
        }
    }

    pub fn delete(&mut self, path: &str) -> Result<(), Unmet> {
        self.write(path, Part::Delete(whole(path))).map(drop)
    }

    /// All of them or none.
    pub fn delete_all(&mut self, paths: &[Box<str>]) -> Result<(), Unmet> {
        let deletes = paths.iter().map(|path| Part::Delete(whole(path)));
        let about = paths.first().cloned().unwrap_or_default();
        self.write_all(&about, deletes.collect()).map(drop)
    }

    fn write(&mut self, path: &str, part: Part) -> Result<PartResult, Unmet> {
        let mut results = self.write_all(path, vec![part])?;
        results.pop().ok_or_else(|| self.unread(path))
    }

    fn write_all(&mut self, about: &str, mut parts: Vec<Part>) -> Result<Vec<PartResult>, Unmet> {
        if let Some(claim) = &self.claim {
            parts.insert(0, Part::Check(whole(claim)));
        }
        let multi = Multi { parts };
        let MultiResults { results } = self.ask(about, code::MULTI, &multi)?;
        match failed_at(&results) {
            None => Ok(results),
            Some((0, _)) if self.claim.is_some() => Err(Unmet::Lost {
                root: self.root.to_string(),
            }),
            Some((_, code)) => Err(Unmet::question(about, Trouble::Refused(code))),
        }
    }

    pub fn get(&mut self, path: &str) -> Result<(String, Stat), Unmet> {
        self.read(path, false)
    }

    /// With a watch, which fires once.
    pub fn get_and_watch(&mut self, path: &str) -> Result<(String, Stat), Unmet> {
        self.read(path, true)
    }

    fn read(&mut self, path: &str, watch: bool) -> Result<(String, Stat), Unmet> {
        let path_of = path.into();
        let asked = Watched {
            path: path_of,
            watch,
        };
        let answer: DataWithStat = self.ask(path, code::GET_DATA, &asked)?;
        Ok((as_text(&answer.data), answer.stat))
    }

    pub fn stat(&mut self, path: &str) -> Result<Stat, Unmet> {
        let asked = Watched {
            path: path.into(),
            watch: false,
        };
        let answer: OfStat = self.ask(path, code::EXISTS, &asked)?;
        Ok(answer.stat)
    }

    /// Whether it is there; watched in either case.
    pub fn exists_and_watch(&mut self, path: &str) -> Result<bool, Unmet> {
        let asked = Watched {
            path: path.into(),
            watch: true,
        };
        match self.ask::<OfStat>(path, code::EXISTS, &asked) {
            Ok(_) => Ok(true),
            Err(unmet) if unmet.is(errors::NO_NODE) => Ok(false),
            Err(unmet) => Err(unmet),
        }
    }

    pub fn children(&mut self, path: &str) -> Result<Vec<Box<str>>, Unmet> {
        self.list(path, false)
    }

    pub fn children_and_watch(&mut self, path: &str) -> Result<Vec<Box<str>>, Unmet> {
        self.list(path, true)
    }

    /// Names, sorted.
    fn list(&mut self, path: &str, watch: bool) -> Result<Vec<Box<str>>, Unmet> {
        let path_of = path.into();
        let asked = Watched {
            path: path_of,
            watch,
        };
        let answer: ChildrenWithStat = self.ask(path, code::GET_CHILDREN2, &asked)?;
        let mut names = answer.names;
        names.sort();
        Ok(names)
    }

    /// The next event; `path` is the znode that was watched.
    pub fn told_of(&mut self, path: &str) -> Result<Told, Failure> {
        self.told_of_within(path, PATIENCE)
    }

    pub fn told_of_within(&mut self, path: &str, at_most: Duration) -> Result<Told, Failure> {
        let told = self.told_in_time(path, at_most)?;
        told.ok_or_else(|| {
            let seconds = at_most.as_secs();
            Failure::failed(format!(
                "{path}: the watch did not fire in {seconds} s; look at dolmen status there"
            ))
        })
    }

    pub fn told_in_time(&mut self, path: &str, at_most: Duration) -> Result<Option<Told>, Unmet> {
        let heard = self.client.event_within(at_most);
        let heard = heard.map_err(|trouble| Unmet::question(path, trouble))?;
        Ok(heard.map(|event| Told {
            word: word(event.kind),
            path: event.path,
        }))
    }

    /// Ends with the first event.
    pub fn until_told(&mut self) -> Result<(), Trouble> {
        self.client.next_event().map(drop)
    }

    pub fn events_waiting(&self) -> usize {
        self.client.events_waiting()
    }

    pub fn id(&self) -> u64 {
        self.client.id().0
    }

    pub fn timeout(&self) -> Duration {
        self.client.timeout()
    }

    /// Ends the session, and what is ephemeral with it.
    pub fn close(self) -> Result<(), Failure> {
        self.client.close().map_err(Failure::failed)
    }

    /// As a pulled plug would: the server is told nothing.
    pub fn cut_off(self) {
        // One that the server has shut already is as good.
        let _ = self.connection.shutdown(Shutdown::Both);
    }

    fn unread(&self, path: &str) -> Unmet {
        Unmet::question(path, self.client.unread())
    }

    fn ask<A: Jute>(&mut self, path: &str, operation: i32, body: &impl Jute) -> Result<A, Unmet> {
        let answer = self.client.ask(operation, body);
        answer.map_err(|trouble| Unmet::question(path, trouble))
    }
}

/// In any version.
fn whole(path: &str) -> AtVersion {
    AtVersion {
        path: path.into(),
        version: -1,
    }
}

/// What a watch has told.
pub struct Told {
    word: &'static str,
    path: Box<str>,
}

/// Where the folder is known the name is enough.
impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.word, name(&self.path))
    }
}

/// For a terminal: nothing that would move its cursor.
fn as_text(data: &Data) -> String {
    let text = String::from_utf8_lossy(data);
    text.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_of_others_moves_no_cursor() {
        let data = Data::from(b"a\x1b[2Jb\xff".to_vec());
        assert_eq!(as_text(&data), "a [2Jb\u{fffd}");
    }
}
