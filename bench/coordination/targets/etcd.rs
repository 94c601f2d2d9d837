//! etcd as Debian packages it.

use super::{Node, Standing};
use crate::failure::Failure;
use crate::ports::free_row;
use std::net::SocketAddr;
use std::path::Path;

/// Of clients and of peers.
const PORTS_PER_NODE: u16 = 2;

pub(super) fn nodes(count: usize, folder: &Path) -> Result<Vec<Node>, Failure> {
    let first = free_row(PORTS_PER_NODE * count as u16)?;
    let port = |place: usize| first + PORTS_PER_NODE * place as u16;
    let url = |port: u16| format!("http://127.0.0.1:{port}");
    let members: Vec<String> = (0..count)
        .map(|place| format!("n{}={}", place + 1, url(port(place) + 1)))
        .collect();
    let node = |place: usize| {
        let data = folder.join(format!("node-{}", place + 1));
        let (clients, peers) = (url(port(place)), url(port(place) + 1));
        let options = [
            ("--name", format!("n{}", place + 1)),
            ("--data-dir", data.display().to_string()),
            ("--listen-client-urls", clients.clone()),
            ("--advertise-client-urls", clients),
            ("--listen-peer-urls", peers.clone()),
            ("--initial-advertise-peer-urls", peers),
            ("--initial-cluster", members.join(",")),
            ("--initial-cluster-state", "new".to_owned()),
            ("--log-level", "warn".to_owned()),
            ("--logger", "zap".to_owned()),
        ];
        let mut argv = vec!["etcd".to_owned()];
        argv.extend(
            options
                .into_iter()
                .flat_map(|(name, value)| [name.to_owned(), value]),
        );
        Node {
            address: SocketAddr::from(([127, 0, 0, 1], port(place))),
            argv,
            standing: Standing::Down,
            starts: None,
        }
    };
    Ok((0..count).map(node).collect())
}
