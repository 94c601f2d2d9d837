//! Dolmen by `dolmen dev`; a node that was killed is started again with
//! `dolmen serve` and its own file.

use super::{Node, START_WITHIN, Site, Standing};
use crate::dev::{Dev, DevNode};
use crate::failure::Failure;
use crate::process::Process;
use std::path::Path;

pub(super) fn start(
    count: usize,
    folder: &Path,
    site: &Site,
) -> Result<(Vec<Node>, Option<Process>), Failure> {
    let program = &site.dolmen;
    let dev = Dev::start(program, count, folder, &site.dolmen_set, START_WITHIN)?;
    let node = |node: DevNode| {
        let why = || Failure::NotRunning("it has no zookeeper door".into());
        let serve = ["serve", "--config", &node.config].map(str::to_owned);
        let program = program.display().to_string();
        Ok(Node {
            address: node.doors.zookeeper.ok_or_else(why)?,
            argv: [program].into_iter().chain(serve).collect(),
            standing: Standing::Of(node.pid),
            starts: Some(node.data.join("dolmen.starts")),
        })
    };
    let nodes: Result<Vec<Node>, Failure> = dev.nodes.into_iter().map(node).collect();
    Ok((nodes?, Some(dev.process)))
}
