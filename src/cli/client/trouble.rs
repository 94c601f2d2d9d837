//! Why a server did not do what was asked, and what to do next.

use super::SILENCE_MAX;
use crate::ports::zookeeper::errors;
use std::fmt;
use std::io;

/// Why a question was not answered as hoped.
#[derive(Debug)]
pub enum Trouble {
    NobodyThere {
        server: String,
        error: io::Error,
    },
    NotServing(String),
    Silent(String),
    Lost {
        server: String,
        error: io::Error,
    },
    Unread(String),
    NotWhoItSays,
    /// The server's own code.
    Refused(i32),
}

impl Trouble {
    pub fn is(&self, code: i32) -> bool {
        matches!(self, Self::Refused(refused) if *refused == code)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NobodyThere { server, error } => write!(
                f,
                "no server answers on {server} ({error}): start one (systemctl start dolmen, or \
                 dolmen dev), or name another with --server"
            ),
            Self::NotServing(server) => write!(
                f,
                "{server} hung up before a session was open: it has no majority, is full, or asks \
                 for TLS; try another with --server, or look at dolmen status there"
            ),
            Self::Silent(server) => write!(
                f,
                "{server} took the question and did not answer in {} s: it may have no majority",
                SILENCE_MAX.as_secs()
            ),
            Self::Lost { server, error } => write!(
                f,
                "the connection to {server} was lost ({error}): whether the last change was made \
                 is not known; look before typing it again"
            ),
            Self::Unread(server) => write!(
                f,
                "{server} answers in a form that is not ZooKeeper's: is the port right?"
            ),
            Self::NotWhoItSays => {
                f.write_str("the server does not take these credentials: check --auth")
            }
            Self::Refused(code) => f.write_str(&said(*code)),
        }
    }
}

/// A code in words, with what to do next where there is something.
fn said(code: i32) -> String {
    let says = match code {
        errors::NO_NODE => "there is no such znode; dolmen zk ls shows which there are",
        errors::NODE_EXISTS => "the znode is there already; dolmen zk set changes it",
        errors::NOT_EMPTY => "the znode has children; rm -R removes them too",
        errors::BAD_VERSION => "the znode has another version; dolmen zk stat shows it",
        errors::NO_AUTH => "the znode's access list does not allow it; --auth says who you are",
        errors::NO_CHILDREN_FOR_EPHEMERALS => "an ephemeral znode has no children",
        errors::INVALID_ACL => "the access list is not valid; write scheme:id:cdrwa",
        errors::QUOTA_EXCEEDED => "a quota is exceeded; dolmen zk quota shows it",
        errors::BAD_ARGUMENTS => "the server does not take that path or value",
        errors::UNIMPLEMENTED => "the server does not know this operation",
        errors::SESSION_EXPIRED => "the session is expired; type it again",
        errors::NOT_READ_ONLY => "the server has no majority and serves reads only",
        errors::OPERATION_TIMEOUT => "the server cannot take writes now; try again",
        other => return format!("the server refused it with code {other}"),
    };
    says.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_to_do_next_or_its_code() {
        let not_empty = Trouble::Refused(errors::NOT_EMPTY).to_string();
        assert_eq!(not_empty, "the znode has children; rm -R removes them too");
        let unknown = Trouble::Refused(-77).to_string();
        assert_eq!(unknown, "the server refused it with code -77");
    }
}
