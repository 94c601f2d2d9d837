//! Dolmen's own nodes, read like any other znode.

use super::super::Failure;
use super::super::zk::hex;
use super::Step;
use super::stage::{Actor, Stage};
use crate::ports::zookeeper::errors;

pub const STEP: Step = Step {
    name: "nodes",
    title: "The nodes of Dolmen itself are members in the same way",
    makes: &[],
    play,
    kazoo: "client.get_children(\"/dolmen/nodes\"); client.ChildrenWatch(\"/dolmen/nodes\", function)",
    on_site: "Your own dashboard watches the boxes, by the client that it has already.",
};

/// Where each node that serves has an ephemeral znode.
const NODES: &str = "/dolmen/nodes";

fn play(stage: &Stage) -> Result<(), Failure> {
    let mut reader = stage.actor()?;
    let nodes = match reader.children(NODES) {
        Err(unmet) if unmet.is(errors::NO_NODE) => {
            let asked = format!("list {NODES}");
            stage.show("reader", asked, "not there: this server is no Dolmen")?;
            return reader.close();
        }
        nodes => nodes?,
    };
    stage.show("reader", format!("list {NODES}"), nodes.join(", "))?;
    for node in nodes {
        show_node(stage, &mut reader, &node)?;
    }
    reader.close()
}

fn show_node(stage: &Stage, reader: &mut Actor, node: &str) -> Result<(), Failure> {
    let path = format!("{NODES}/{node}");
    match reader.get(&path) {
        Ok((data, stat)) => {
            stage.show(
                "reader",
                format!("get {path}"),
                match stat.owner {
                    0 => "lasting".into(),
                    owner => format!("ephemeral, of session {}", hex(owner)),
                },
            )?;
            stage.show("", data, "")
        }
        Err(unmet) if unmet.is(errors::NO_NODE) => {
            stage.show("reader", format!("get {path}"), "gone a moment ago")
        }
        Err(unmet) => Err(unmet.into()),
    }
}
