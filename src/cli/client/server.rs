//! Whom to ask, and as whom: what people type.

use super::super::Failure;
use super::{Client, TIMEOUT};
use crate::ports::zookeeper::codec::{AuthPacket, Jute};
use std::time::Duration;

/// Whom to ask, and as whom.
#[derive(Clone, clap::Args)]
pub struct Server {
    /// The server to ask
    #[arg(long, value_name = "HOST:PORT", default_value = DEFAULT)]
    server: String,
    /// Who is asking, such as digest:user:password; may be repeated
    #[arg(long, value_name = "SCHEME:DATA", value_parser = Credential::parse)]
    auth: Vec<Credential>,
}

/// Where `dolmen dev` and an installed node serve.
const DEFAULT: &str = "127.0.0.1:2181";

impl Server {
    pub fn connect(&self) -> Result<Client, Failure> {
        self.connect_for(TIMEOUT)
    }

    /// A session that ends when nothing was heard of it for so long, or for as
    /// long as the server gives.
    pub fn connect_for(&self, timeout: Duration) -> Result<Client, Failure> {
        Client::connect(&self.server, &self.auth, timeout).map_err(Failure::failed)
    }

    /// One question about the node at `path`, in a session of its own.
    pub fn ask_about<A: Jute>(
        &self,
        path: &str,
        operation: i32,
        question: &impl Jute,
    ) -> Result<A, Failure> {
        let mut client = self.connect()?;
        let answer = client.ask(operation, question);
        let answer = answer.map_err(|trouble| format!("{path}: {trouble}"))?;
        client.close().map_err(Failure::failed)?;
        Ok(answer)
    }

    pub fn address(&self) -> &str {
        &self.server
    }

    /// What a command has to be given to reach the same server.
    pub fn as_typed(&self) -> String {
        match &*self.server {
            DEFAULT => String::new(),
            other => format!(" --server {other}"),
        }
    }
}

/// `digest:user:password`, as it goes to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    scheme: Box<str>,
    data: Box<str>,
}

impl Credential {
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some((scheme, data)) if !scheme.is_empty() && !data.is_empty() => Ok(Self {
                scheme: scheme.into(),
                data: data.into(),
            }),
            _ => Err("write it as SCHEME:DATA, for instance digest:user:password".into()),
        }
    }

    pub fn packet(&self) -> AuthPacket {
        AuthPacket {
            kind: 0,
            scheme: self.scheme.clone(),
            auth: self.data.as_bytes().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_a_scheme_and_the_rest() {
        let credential = Credential::parse("digest:ann:se:cret").unwrap();
        assert_eq!(&*credential.scheme, "digest");
        assert_eq!(&*credential.data, "ann:se:cret");
        for bad in ["digest", ":x", "digest:", ""] {
            assert!(Credential::parse(bad).is_err(), "{bad}");
        }
    }
}
