//! Who this node is among others: the file `membership` of the data folder. A
//! node without it is a cluster of its own, which serves.

use super::refused::Refused;
use crate::ids::{NodeId, Uid};
use crate::limits::SETTINGS_BYTES_MAX;
use crate::peers::PeerAddress;
use crate::replica::FOUNDER;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

const NAME: &str = "membership";
const FORMAT: u32 = 1;

/// What the file holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    format: u32,
    node: u64,
    /// 32 hexadecimal digits.
    cluster: String,
    /// Absent in files of a node that has its state.
    #[serde(default)]
    is_fresh: bool,
    /// Where others were when this node joined: all it knows until it has the
    /// members' list.
    #[serde(default)]
    peers: Vec<KnownPeer>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownPeer {
    pub node: u64,
    pub control: String,
    pub bulk: String,
    pub certificate: u64,
}

impl KnownPeer {
    pub fn of(peer: &PeerAddress) -> Self {
        Self {
            node: peer.node.0,
            control: peer.control.clone(),
            bulk: peer.bulk.clone(),
            certificate: peer.certificate,
        }
    }

    pub fn address(&self) -> PeerAddress {
        PeerAddress {
            node: NodeId(self.node),
            control: self.control.clone(),
            bulk: self.bulk.clone(),
            certificate: self.certificate,
        }
    }
}

/// Whether a node has been made one of several.
pub fn is_there(data: &Path) -> bool {
    data.join(NAME).exists()
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    pub node: NodeId,
    pub cluster: Uid,
    /// Whether the node has been made one of several: it has certificates, and
    /// the peers' ports are open.
    pub is_initialised: bool,
    /// It has joined and has not yet read that it is a member: until then it
    /// has agreed to nothing that it could forget.
    pub is_fresh: bool,
    pub peers: Vec<KnownPeer>,
}

impl Membership {
    /// A node by itself; its data folder's cluster is its own.
    pub fn alone(cluster: Uid) -> Self {
        Self {
            node: FOUNDER,
            cluster,
            is_initialised: false,
            is_fresh: false,
            peers: Vec::new(),
        }
    }

    /// None where the node is by itself.
    pub fn read(data: &Path) -> Result<Option<Self>, Refused> {
        let path = data.join(NAME);
        let mut text = String::new();
        let read = File::open(&path).and_then(|file| {
            let most = SETTINGS_BYTES_MAX as u64;
            file.take(most).read_to_string(&mut text)
        });
        match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Refused::Membership(path, error.to_string())),
            Ok(_) => {}
        }
        let refused = |why: String| Refused::Membership(path.clone(), why);
        let written: Written =
            serde_json::from_str(&text).map_err(|bad| refused(bad.to_string()))?;
        if written.format != FORMAT {
            return Err(refused(format!(
                "it has format {}, and this build reads format {FORMAT}",
                written.format
            )));
        }
        let cluster = Uid::parse(&written.cluster)
            .ok_or_else(|| refused(format!("{:?} is no cluster", written.cluster)))?;
        Ok(Some(Self {
            node: NodeId(written.node),
            cluster,
            is_initialised: true,
            is_fresh: written.is_fresh,
            peers: written.peers,
        }))
    }

    /// Whole or not at all, and durable.
    pub fn write(&self, data: &Path) -> io::Result<()> {
        let written = Written {
            format: FORMAT,
            node: self.node.0,
            cluster: self.cluster.to_string(),
            is_fresh: self.is_fresh,
            peers: self.peers.clone(),
        };
        let (path, unfinished) = (data.join(NAME), data.join("membership.new"));
        let mut file = File::create(&unfinished)?;
        file.write_all(serde_json::to_string_pretty(&written)?.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&unfinished, &path)?;
        File::open(data)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_membership_comes_back() {
        let folder = std::env::temp_dir().join(format!("dolmen-membership-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        assert_eq!(Membership::read(&folder).unwrap(), None);
        let membership = Membership {
            node: NodeId(3),
            cluster: Uid([7; 16]),
            is_initialised: true,
            is_fresh: true,
            peers: vec![KnownPeer {
                node: 1,
                control: "10.0.0.1:7300".into(),
                bulk: "10.0.0.1:7301".into(),
                certificate: 4,
            }],
        };
        membership.write(&folder).unwrap();
        assert_eq!(Membership::read(&folder).unwrap(), Some(membership));
        fs::write(
            folder.join(NAME),
            "{\"format\":9,\"node\":1,\"cluster\":\"\"}",
        )
        .unwrap();
        let refused = Membership::read(&folder).unwrap_err().to_string();
        assert!(refused.contains("format 9"), "{refused}");
        fs::remove_dir_all(&folder).unwrap();
    }
}
