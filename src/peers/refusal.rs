//! Why a connection is not kept. Each is a sentence in the journal, and in the
//! close that the other side hears.

use super::certificate::NotOurs;
use super::codec::Malformed;
use crate::ids::{NodeId, Uid};
use crate::limits::JOIN_BYTES_MAX;
use std::fmt;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No place for one more whose certificate was not seen yet.
    TooMany,
    /// The handshake itself did not come through.
    Handshake(String),
    NoCertificate,
    NotOurs(NotOurs),
    NotAMember(NodeId),
    OldCertificate {
        node: NodeId,
        serial: u64,
        least: u64,
    },
    Ourselves(NodeId),
    OtherNode {
        dialed: NodeId,
        answered: NodeId,
    },
    Hello(Malformed),
    OtherHello {
        certificate: (NodeId, Uid),
        hello: (NodeId, Uid),
    },
    /// There is a connection that stays.
    Duplicate(NodeId),
    Silent(Duration),
    FrameTooLong(String),
    /// To join.
    RequestTooLong,
    Request(Malformed),
    KeyNotProven,
    Lost(String),
    /// The member list changed.
    Removed(NodeId),
    Replaced(NodeId),
    NewIdentity,
    Leaving,
}

impl Refusal {
    /// The number in a QUIC close. 0 is a goodbye.
    pub(super) fn code(&self) -> u32 {
        match self {
            Self::Leaving => 0,
            Self::NoCertificate => 1,
            Self::NotOurs(_) => 2,
            Self::NotAMember(_) | Self::Removed(_) => 3,
            Self::OldCertificate { .. } => 4,
            Self::Ourselves(_) | Self::OtherNode { .. } => 5,
            Self::Hello(_) | Self::OtherHello { .. } | Self::FrameTooLong(_) => 6,
            Self::RequestTooLong | Self::Request(_) | Self::KeyNotProven => 11,
            Self::Duplicate(_) | Self::Replaced(_) => 7,
            Self::Silent(_) => 8,
            Self::NewIdentity => 9,
            Self::Handshake(_) | Self::Lost(_) | Self::TooMany => 10,
        }
    }

    /// Part of how two nodes find to one connection, and of how they part.
    pub(super) fn is_ordinary(&self) -> bool {
        matches!(
            self,
            Self::Duplicate(_) | Self::Replaced(_) | Self::Leaving | Self::NewIdentity
        )
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany => write!(f, "too many connections have not shown yet who they are"),
            Self::Handshake(why) => write!(f, "the handshake failed: {why}"),
            Self::NoCertificate => write!(
                f,
                "it shows no certificate, and without one only a request to join is heard"
            ),
            Self::NotOurs(why) => write!(f, "its certificate is not a node's: {why}"),
            Self::NotAMember(node) => write!(
                f,
                "node {node} is not a member; if it was removed, it joins again with a new token"
            ),
            Self::OldCertificate {
                node,
                serial,
                least,
            } => write!(
                f,
                "node {node} shows certificate {serial}, and {least} is the oldest accepted"
            ),
            Self::Ourselves(node) => write!(
                f,
                "it is node {node}, as this one is: two machines run with one identity, \
                 or the address is our own"
            ),
            Self::OtherNode { dialed, answered } => {
                write!(f, "node {answered} answers at the address of node {dialed}")
            }
            Self::Hello(why) => write!(f, "its greeting cannot be understood: {why}"),
            Self::OtherHello { certificate, hello } => write!(
                f,
                "its certificate is node {} of {}, its greeting node {} of {}",
                certificate.0, certificate.1, hello.0, hello.1
            ),
            Self::Duplicate(node) => write!(f, "node {node} has a connection that stays"),
            Self::Silent(within) => write!(f, "it said nothing, or not all, within {within:?}"),
            Self::FrameTooLong(why) => write!(f, "it sends {why}"),
            Self::RequestTooLong => write!(
                f,
                "the request to join is longer than {JOIN_BYTES_MAX} bytes"
            ),
            Self::Request(why) => write!(f, "the request to join cannot be understood: {why}"),
            Self::KeyNotProven => write!(
                f,
                "the request to join does not prove that the sender has the key it names"
            ),
            Self::Lost(why) => write!(f, "the connection is lost: {why}"),
            Self::Removed(node) => write!(f, "node {node} is not a member any more"),
            Self::Replaced(node) => write!(f, "node {node} has a newer connection"),
            Self::NewIdentity => write!(f, "this node has another identity now"),
            Self::Leaving => write!(f, "this node is stopping"),
        }
    }
}

impl std::error::Error for Refusal {}
