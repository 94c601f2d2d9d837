//! Everything replicated: the tree of nodes, sessions, members, tokens, and the
//! topics of the event log.
//! Pure: a command comes in with the leader's time, an outcome goes out.
//!
//! The replica alone owns a `State`. It calls `begin_term` and `apply` for
//! what is committed, in the order of the log, reads in between, and takes a
//! snapshot by slices whenever it likes. What doors and watchers need to know
//! comes back from `apply`; nothing here waits, and nothing asks the machine.

pub mod acl;
pub mod codec;
pub mod command;
pub mod data;
pub mod error;
pub mod members;
pub mod placement;
pub mod settings;
pub mod snapshot;
pub mod topics;
pub mod watches;

mod access;
mod acls;
mod config_node;
mod digest;
mod import;
mod layout;
mod multi;
mod node;
mod paths;
mod quota;
mod reads;
pub mod restore;
mod sessions;
mod table;
mod tokens;
mod tree;
mod walk;
mod writes;

pub use acl::{Acl, AclEntry, Identity, Permissions};
pub use command::{
    Applied, AttachSession, Change, ChangeKind, Command, Create, ImportedNode, NodeKind,
    OpenSession, Outcome, Reconfigure, Stat, Submission, Write,
};
pub use data::Data;
pub use error::Error;
pub use import::{check_restored, check_restored_path};
pub use members::{
    FEATURES, FIRST_FEATURES, MEMBERS_CHANGED, Member, MemberCommand, MemberOutcome, Members,
    Raised, Role,
};
pub use restore::{Restoration, Restore, RestoreOutcome, RestoreRefused, RestoreStep};
pub use sessions::Session;
pub use settings::{Setting, Settings};
pub use snapshot::{LoadError, Loader};
pub use tokens::{Token, TokenId, Tokens, Used};
pub use topics::{StreamsCommand, StreamsOutcome, StreamsRefused, Topics};
pub use watches::{WatchKind, WatchSelection, Watches};

use crate::clock::Millis;
use crate::ids::{NodeId, SessionId, Term, Uid, Zxid};
use crate::planted;
use digest::{Hash, Part};
use import::Source;
use quota::Quotas;
use sessions::Sessions;
use snapshot::Taking;
use snapshot::backup::Saving;
use std::collections::BTreeSet;
use std::sync::Arc;
use topics::{Streams, StreamsNode, Unread};
use tree::Tree;
use writes::Writes;

#[derive(Debug)]
pub struct State {
    cluster: Uid,
    term: Term,
    zxid: Zxid,
    tree: Tree,
    sessions: Sessions,
    members: Members,
    /// Read from the nodes under /dolmen/config.
    settings: Settings,
    /// Read from the nodes under /zookeeper/quota.
    quotas: Quotas,
    /// Read from the nodes under /dolmen/streams.
    topics: Arc<Topics>,
    members_hash: u64,
    /// The snapshot that is being taken.
    taking: Option<Taking>,
    /// The backup that is being taken.
    saving: Option<Saving>,
    /// Read from the node /dolmen/restore.
    restoration: Restoration,
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    pub nodes: u64,
    pub ephemerals: u64,
    pub data_bytes: u64,
    pub sessions: u64,
}

impl State {
    /// The state of a cluster to which nothing has happened yet.
    pub fn new(cluster: Uid) -> Self {
        let members = Members::default();
        let mut state = Self {
            cluster,
            term: Term(0),
            zxid: Zxid(0),
            tree: Tree::new(&access::anyone(Permissions::ALL)),
            sessions: Sessions::default(),
            members_hash: members.hash(),
            members,
            settings: Settings::default(),
            quotas: Quotas::default(),
            topics: Arc::default(),
            taking: None,
            saving: None,
            restoration: Restoration::None,
        };
        state.lay_out();
        state
    }

    /// Whether nothing but terms has come upon this state.
    pub fn is_untouched(&self) -> bool {
        let fresh = Self::new(self.cluster);
        self.tree.digest() == fresh.tree.digest()
            && self.sessions.digest() == fresh.sessions.digest()
            && self.members == fresh.members
    }

    /// Called for the first entry of each term.
    pub fn begin_term(&mut self, term: Term) {
        if term > self.term {
            self.term = term;
            if !planted!(ZxidNotRaised) {
                self.zxid = self.zxid.next_epoch();
            }
        }
    }

    /// Applies one committed command. Replicas that apply the same commands
    /// in the same order hold the same state, so nothing here may read a
    /// clock or a random source: the leader's time arrives as `now`, other
    /// such values inside the command. What watchers may see of it is added
    /// to `changes`.
    pub fn apply(
        &mut self,
        now: Millis,
        submission: &Submission,
        changes: &mut Vec<Change>,
    ) -> Applied {
        // What is refused here leaves no trace but the gap that it showed.
        let outcome = self.sessions.admit(submission).and_then(|()| {
            self.zxid = self.zxid.next();
            self.run(now, submission, changes)
        });
        self.tree.acls.settle();
        let zxid = self.zxid;
        Applied { zxid, outcome }
    }

    fn run(
        &mut self,
        now: Millis,
        submission: &Submission,
        changes: &mut Vec<Change>,
    ) -> Result<Outcome, Error> {
        if !self.members.have_room() && submission.command.grows() {
            return Err(Error::Unavailable);
        }
        if self.restoration.is_under_way() && !restore::passes(&submission.command) {
            return Err(Error::Unavailable);
        }
        let mut writes = Writes {
            tree: &mut self.tree,
            quotas: &mut self.quotas,
            zxid: self.zxid,
            now,
            session: submission.session,
            who: &submission.who,
            changes,
        };
        match &submission.command {
            Command::OpenSession(open) => self.open((submission.origin, submission.tag), open),
            Command::AttachSession(attach) => {
                self.attach((submission.origin, submission.tag), attach)
            }
            Command::CloseSession => self.close(now, submission.session, changes),
            Command::ExpireSession { session, .. } => self.close(now, *session, changes),
            Command::Write(write) => {
                let outcome = writes.write(write);
                self.heed(now, std::slice::from_ref(write), changes);
                outcome
            }
            Command::Multi(list) => {
                let outcome = Ok(Outcome::Multi(writes.multi(list)));
                self.heed(now, list, changes);
                outcome
            }
            Command::Reap { path } => writes.reap(path),
            Command::Import(nodes) => {
                let (outcome, highest) = writes.import(nodes, Source::Elsewhere)?;
                // History does not go back: what was imported is past.
                self.zxid = self.zxid.max(highest);
                Ok(outcome)
            }
            Command::Restore(restore) => self.restore(now, restore, changes),
            Command::Reconfigure(asked) => self.reconfigure(now, submission, asked, changes),
            Command::Members(command) => self.change_members(now, command, changes),
            Command::Streams(command) => {
                let mut streams = self.streams(now, changes);
                streams.writes.session = submission.session;
                let outcome = streams.run(command);
                // What brokers are given may be settings of the cluster.
                self.settings = *self.topics.cluster();
                Ok(Outcome::Streams(outcome))
            }
        }
    }

    fn open(&mut self, by: (NodeId, u64), open: &OpenSession) -> Result<Outcome, Error> {
        let open = OpenSession {
            timeout_ms: self.settings.session_timeout_ms(open.timeout_ms),
            ..*open
        };
        let session = self.sessions.open(by, &open)?;
        Ok(attached(open.session, session))
    }

    fn attach(&mut self, by: (NodeId, u64), attach: &AttachSession) -> Result<Outcome, Error> {
        let attach = AttachSession {
            timeout_ms: self.settings.session_timeout_ms(attach.timeout_ms),
            ..*attach
        };
        let session = self.sessions.attach(by, &attach)?;
        Ok(attached(attach.session, session))
    }

    fn close(
        &mut self,
        now: Millis,
        session: SessionId,
        changes: &mut Vec<Change>,
    ) -> Result<Outcome, Error> {
        self.sessions.remove(session).ok_or(Error::SessionExpired)?;
        self.leave_behind(now, session, changes);
        Ok(Outcome::Closed)
    }

    /// A session is over: what hung on it goes.
    fn leave_behind(&mut self, now: Millis, session: SessionId, changes: &mut Vec<Change>) {
        let mut streams = self.streams(now, changes);
        streams.writes.remove_ephemerals(session);
        streams.session_ended(session);
    }

    fn streams<'a>(&'a mut self, now: Millis, changes: &'a mut Vec<Change>) -> Streams<'a> {
        Streams {
            writes: Writes {
                tree: &mut self.tree,
                quotas: &mut self.quotas,
                zxid: self.zxid,
                now,
                session: SessionId(0),
                who: &[],
                changes,
            },
            topics: &mut self.topics,
            members: &self.members,
            term: self.term,
            moved: BTreeSet::new(),
        }
    }

    fn as_system<'a>(&'a mut self, now: Millis, changes: &'a mut Vec<Change>) -> Writes<'a> {
        Writes {
            tree: &mut self.tree,
            quotas: &mut self.quotas,
            zxid: self.zxid,
            now,
            session: SessionId(0),
            who: &[],
            changes,
        }
    }

    fn read_settings(&mut self) {
        self.settings = Settings::read(&self.tree);
        if *self.topics.cluster() != self.settings {
            Arc::make_mut(&mut self.topics).set_cluster(self.settings);
        }
    }

    /// What clients have written may be settings, of the cluster or of a topic.
    fn heed(&mut self, now: Millis, writes: &[Write], changes: &mut Vec<Change>) {
        let written = writes.iter().filter_map(|write| match write {
            Write::Create(Create { path, .. }) | Write::SetData { path, .. } => Some(path),
            _ => None,
        });
        for path in written {
            if paths::is_within(path, paths::DOLMEN_CONFIG) {
                self.read_settings();
            } else if let Some(StreamsNode::Settings(name)) = StreamsNode::of(path) {
                self.streams(now, changes).heed_settings(name);
            }
        }
    }

    fn reconfigure(
        &mut self,
        now: Millis,
        submission: &Submission,
        asked: &Reconfigure,
        changes: &mut Vec<Change>,
    ) -> Result<Outcome, Error> {
        let plan = config_node::plan(&self.members, asked)?;
        let config = self.tree.find(paths::ZOOKEEPER_CONFIG);
        let config = config.expect("nobody can remove /zookeeper/config");
        let may = access::allows(self.tree.acl(config), Permissions::WRITE, &submission.who);
        if !may {
            return Err(Error::NoAuth);
        }
        self.members.announced = plan.announced;
        for node in plan.leaving {
            // The plan keeps a voter; who leads then changes consensus' members.
            self.members.leave(node);
        }
        self.publish_members(now, changes);
        self.streams(now, changes).members_changed();
        let node = self.tree.node(config);
        let (config, stat) = (node.data.clone(), node.stat(0));
        Ok(Outcome::Reconfigured { config, stat })
    }

    fn change_members(
        &mut self,
        now: Millis,
        command: &MemberCommand,
        changes: &mut Vec<Change>,
    ) -> Result<Outcome, Error> {
        let before = self.members.clone();
        let outcome = self.members.apply(now, command);
        let is_as_before =
            before.list == self.members.list && before.announced == self.members.announced;
        match is_as_before {
            true => self.members_hash = self.members.hash(),
            false => {
                self.publish_members(now, changes);
                self.streams(now, changes).members_changed();
            }
        }
        Ok(Outcome::Members(outcome))
    }

    /// Writes /zookeeper/config anew. Its version is -1, as in ZooKeeper.
    fn publish_members(&mut self, now: Millis, changes: &mut Vec<Change>) {
        self.members.changed = self.zxid;
        self.members_hash = self.members.hash();
        let text: Arc<[u8]> = config_node::text(&self.members).into_bytes().into();
        let slot = self.tree.find(paths::ZOOKEEPER_CONFIG);
        let slot = slot.expect("nobody can remove /zookeeper/config");
        let mut writes = self.as_system(now, changes);
        writes.replace(slot, paths::ZOOKEEPER_CONFIG, text.into(), -1);
    }

    pub fn cluster(&self) -> Uid {
        self.cluster
    }

    pub fn term(&self) -> Term {
        self.term
    }

    pub fn zxid(&self) -> Zxid {
        self.zxid
    }

    /// Equal for equal states; compared between replicas at the same zxid.
    pub fn digest(&self) -> u64 {
        let number = Hash::of(Part::State).word(self.zxid.0).word(self.term.0);
        number
            .value()
            .wrapping_add(self.tree.digest())
            .wrapping_add(self.sessions.digest())
            .wrapping_add(self.members_hash)
    }

    pub fn session(&self, id: SessionId) -> Option<&Session> {
        self.sessions.get(id)
    }

    pub fn sessions(&self) -> impl Iterator<Item = (SessionId, &Session)> {
        self.sessions.iter()
    }

    pub fn members(&self) -> &Members {
        &self.members
    }

    /// How far a backup has come back into this state.
    pub fn restoration(&self) -> Restoration {
        self.restoration
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Brokers, topics, and who leads what.
    pub fn topics(&self) -> &Topics {
        &self.topics
    }

    /// The same, to be held on to: another one where anything has changed since.
    pub fn shared_topics(&self) -> &Arc<Topics> {
        &self.topics
    }

    /// What `topics` would be if it were read from the tree now, which is to be
    /// the same.
    pub fn topics_anew(&self) -> Result<Topics, Unread> {
        Topics::read(&self.tree)
    }

    pub fn figures(&self) -> Figures {
        Figures {
            nodes: self.tree.count(),
            ephemerals: self.tree.ephemeral_count(),
            data_bytes: self.tree.data_bytes(),
            sessions: self.sessions.count() as u64,
        }
    }
}

fn attached(id: SessionId, session: &Session) -> Outcome {
    Outcome::Attached {
        session: id,
        password: session.password,
        timeout_ms: session.timeout_ms,
        connection: session.connection,
    }
}
