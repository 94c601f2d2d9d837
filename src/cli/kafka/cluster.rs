//! The brokers of a cluster: who is asked what, and what they know of topics.

use super::connection::{Connection, Means, well};
use super::door::host;
use super::trouble::Trouble;
use crate::clock::{Clock, MachineClock};
use crate::ports::kafka::messages::find_coordinator::{FindCoordinator, FindCoordinatorRequest};
use crate::ports::kafka::messages::metadata::{
    Metadata, MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseTopic,
};
use crate::ports::kafka::messages::{Api, ErrorCode, Text};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

/// Whom to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// Whoever answers at an address that was typed.
    Anyone,
    Controller,
    Broker(i32),
}

pub struct Cluster {
    /// As typed.
    addresses: Vec<String>,
    /// What a certificate says there, where it is not the host.
    tls_name: Option<String>,
    means: Means,
    brokers: BTreeMap<i32, String>,
    controller: Option<i32>,
    /// By their addresses.
    open: BTreeMap<String, Connection>,
    /// Told of every connection, by its address.
    heard: Option<Opened>,
}

type Opened = Box<dyn Fn(&str, TcpStream)>;

impl Cluster {
    pub(super) fn new(addresses: Vec<String>, tls_name: Option<String>, means: Means) -> Self {
        Self {
            addresses,
            tls_name,
            means,
            brokers: BTreeMap::new(),
            controller: None,
            open: BTreeMap::new(),
            heard: None,
        }
    }

    /// Has every connection from now on shown to whoever may shut it.
    pub fn on_open(&mut self, heard: impl Fn(&str, TcpStream) + 'static) {
        self.heard = Some(Box::new(heard));
    }

    /// Speaks with nobody any more; whoever is asked next is called anew.
    pub fn hang_up(&mut self) {
        self.heard = None;
        self.open.clear();
    }

    pub fn patience(&self) -> Duration {
        self.means.patience
    }

    /// As a request says it: less, so that a door says itself that it was too long.
    pub fn patience_ms(&self) -> i32 {
        let patience = self.means.patience - self.means.patience / 10;
        i32::try_from(patience.as_millis()).unwrap_or(i32::MAX)
    }

    /// The brokers that were last heard of.
    pub fn brokers(&self) -> impl Iterator<Item = i32> {
        self.brokers.keys().copied()
    }

    pub fn ask<A: Api>(&mut self, at: At, request: &A::Request) -> Result<A::Response, Trouble> {
        let answer = self.connection(at)?.ask::<A>(request);
        if answer.is_err() {
            self.forget(at);
        }
        answer
    }

    /// What passes is asked for again, until it has gone on for too long.
    pub fn insist<T>(
        &mut self,
        mut ask: impl FnMut(&mut Self) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let mut pace = Pace::new(self.means.patience);
        loop {
            match ask(self) {
                Err(trouble) if trouble.is_passing() && pace.again() => self.controller = None,
                other => return other,
            }
        }
    }

    /// The connection to a broker, opened where there is none.
    pub fn connection(&mut self, at: At) -> Result<&mut Connection, Trouble> {
        let address = match at {
            At::Anyone => return self.anyone(),
            At::Controller => match self.controller()? {
                Some(number) => self.address(number)?,
                None => return self.anyone(),
            },
            At::Broker(number) => self.address(number)?,
        };
        self.at_address(address)
    }

    fn controller(&mut self) -> Result<Option<i32>, Trouble> {
        if self.controller.is_none() {
            self.topics(Some(&[]))?;
        }
        Ok(self.controller)
    }

    fn address(&mut self, number: i32) -> Result<String, Trouble> {
        if !self.brokers.contains_key(&number) {
            self.topics(Some(&[]))?;
        }
        let address = self.brokers.get(&number);
        address.cloned().ok_or(Trouble::NoBroker(number))
    }

    /// One that is spoken with already, or the first of those that were typed
    /// and of those that were heard of since.
    fn anyone(&mut self) -> Result<&mut Connection, Trouble> {
        let mut addresses = self.addresses.clone();
        addresses.extend(self.brokers.values().cloned());
        let open = addresses.iter().find(|one| self.open.contains_key(*one));
        if let Some(address) = open.cloned() {
            return self.at_address(address);
        }
        let mut trouble = None;
        for address in addresses {
            match self.at_address(address.clone()) {
                Ok(_) => return self.at_address(address),
                Err(why) => trouble = trouble.or(Some(why)),
            }
        }
        Err(trouble.unwrap_or(Trouble::NoBroker(-1)))
    }

    fn at_address(&mut self, address: String) -> Result<&mut Connection, Trouble> {
        let is_typed = self.addresses.contains(&address);
        match self.open.entry(address) {
            Entry::Occupied(open) => Ok(open.into_mut()),
            Entry::Vacant(place) => {
                let name = match &self.tls_name {
                    Some(name) if is_typed => name,
                    _ => host(place.key()),
                };
                let was_there = !self.brokers.is_empty();
                let opened = Connection::open(place.key(), name, &self.means);
                let mut connection = opened.map_err(|trouble| match trouble {
                    Trouble::NobodyThere { address, error, .. } => Trouble::NobodyThere {
                        address,
                        error,
                        was_there,
                    },
                    // One that stops, and not one that does not like us.
                    Trouble::HungUp { address, .. } if was_there => Trouble::Lost {
                        address,
                        error: io::ErrorKind::UnexpectedEof.into(),
                    },
                    other => other,
                })?;
                if was_there {
                    connection.is_admitted();
                }
                if let (Some(heard), Ok(socket)) = (&self.heard, connection.handle()) {
                    heard(connection.address(), socket);
                }
                Ok(place.insert(connection))
            }
        }
    }

    /// Drops the connection: whatever was under way there is not heard of, and
    /// who is where is asked for anew.
    pub fn forget(&mut self, at: At) {
        let address = match at {
            At::Anyone => None,
            At::Controller => self.controller.and_then(|number| self.brokers.get(&number)),
            At::Broker(number) => self.brokers.get(&number),
        };
        match address.cloned() {
            Some(address) => drop(self.open.remove(&address)),
            // Whoever was asked was the first that is open.
            None => self.open.clear(),
        }
        self.controller = None;
    }

    /// What is known of these topics, or of all. No topic is made by asking.
    pub fn topics(
        &mut self,
        names: Option<&[&str]>,
    ) -> Result<Vec<MetadataResponseTopic>, Trouble> {
        let topic = |name: &&str| MetadataRequestTopic {
            name: Some(Text::from(*name)),
            ..MetadataRequestTopic::default()
        };
        let request = MetadataRequest {
            topics: names.map(|names| names.iter().map(topic).collect()),
            allow_auto_topic_creation: false,
            ..MetadataRequest::default()
        };
        let known = self.ask::<Metadata>(At::Anyone, &request)?;
        well(known.error_code)?;
        self.learn(&known);
        Ok(known.topics)
    }

    fn learn(&mut self, known: &MetadataResponse) {
        let brokers = known.brokers.iter();
        let address = |host: &str, port: i32| match host.contains(':') {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
        };
        self.brokers = brokers
            .map(|one| (one.node_id, address(&one.host, one.port)))
            .collect();
        self.controller = (known.controller_id >= 0).then_some(known.controller_id);
    }

    /// Who keeps the offsets and the members of a group.
    pub fn coordinator(&mut self, group: &str) -> Result<At, Trouble> {
        let request = FindCoordinatorRequest {
            coordinator_keys: vec![Text::from(group)],
            ..FindCoordinatorRequest::default()
        };
        let answer = self.ask::<FindCoordinator>(At::Anyone, &request)?;
        let Some(found) = answer.coordinators.first() else {
            return Err(Trouble::refused(ErrorCode::CoordinatorNotAvailable, None));
        };
        match found.error_code {
            ErrorCode::None => Ok(At::Broker(found.node_id)),
            code => Err(Trouble::refused(code, found.error_message.as_ref())),
        }
    }

    /// Asks who coordinates the group.
    pub fn ask_coordinator<A: Api>(
        &mut self,
        group: &str,
        request: &A::Request,
    ) -> Result<A::Response, Trouble> {
        let at = self.coordinator(group)?;
        self.ask::<A>(at, request)
    }
}

/// How often something is tried again, and for how long.
pub struct Pace {
    clock: MachineClock,
    patience: Duration,
}

impl Pace {
    /// An election takes a second or two.
    const BETWEEN: Duration = Duration::from_millis(100);

    pub fn new(patience: Duration) -> Self {
        Self {
            clock: MachineClock::new(),
            patience,
        }
    }

    /// Waits a little; false where it has gone on for too long.
    pub fn again(&mut self) -> bool {
        if self.clock.monotonic() >= self.patience {
            return false;
        }
        thread::park_timeout(Self::BETWEEN);
        true
    }
}
