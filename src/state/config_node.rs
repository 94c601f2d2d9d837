//! /zookeeper/config: the members as ZooKeeper's clients read them, and the
//! reconfig by which they change them. Real members come and go by Dolmen's
//! own ways; reconfig announces observers and asks members to leave.

use super::command::Reconfigure;
use super::error::Error;
use super::members::{Member, Members, Role};
use crate::ids::NodeId;
use crate::limits::ANNOUNCED_MAX;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// An observer as reconfig has listed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    pub host: Box<str>,
    pub ports: (u16, u16),
    pub client_host: Box<str>,
    pub client_port: u16,
}

impl Announced {
    pub(super) fn text(&self) -> String {
        let (follow, elect) = self.ports;
        let (host, client) = (bracketed(&self.host), bracketed(&self.client_host));
        format!(
            "{host}:{follow}:{elect}:observer;{client}:{}",
            self.client_port
        )
    }
}

fn bracketed(host: &str) -> String {
    match host.contains(':') {
        true => format!("[{host}]"),
        false => host.into(),
    }
}

/// One line per server, then the version. Empty for a node that founded no
/// cluster, as for a ZooKeeper server that stands alone.
pub(super) fn text(members: &Members) -> String {
    let real = members.list.iter().map(|(id, member)| (id.0, line(member)));
    let announced = members.announced.iter();
    let lines: BTreeMap<u64, String> = announced
        .map(|(&id, announced)| (id, announced.text()))
        .chain(real)
        .collect();
    if lines.is_empty() {
        return String::new();
    }
    let mut text = String::new();
    for (id, line) in lines {
        writeln!(text, "server.{id}={line}").expect("a string takes all");
    }
    write!(text, "version={:x}", members.changed.0).expect("a string takes all");
    text
}

/// Our control endpoint stands for ZooKeeper's quorum port, bulk for the
/// election's.
fn line(member: &Member) -> String {
    let (host, control) = host_and_port(&member.control);
    let (_, bulk) = host_and_port(&member.bulk);
    let role = match member.role {
        Role::Voter => "participant",
        Role::Learner => "observer",
    };
    let mut line = format!("{host}:{control}:{bulk}:{role}");
    if let Some((_, at)) = member.doors.iter().find(|(name, _)| &**name == "zookeeper") {
        line.push(';');
        line.push_str(at);
    }
    line
}

fn host_and_port(address: &str) -> (&str, &str) {
    address.rsplit_once(':').unwrap_or((address, "0"))
}

/// What a reconfig comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub announced: BTreeMap<u64, Announced>,
    /// Members that are asked to leave.
    pub leaving: Vec<NodeId>,
}

/// Reads a reconfig against the members. Whether the sender may is asked
/// afterwards, as by ZooKeeper.
pub(super) fn plan(members: &Members, asked: &Reconfigure) -> Result<Plan, Error> {
    if asked.from_version != -1 && asked.from_version as u64 != members.changed.0 {
        return Err(Error::BadVersion);
    }
    let given = |text: &Option<Box<str>>| text.clone().filter(|text| !text.is_empty());
    let plan = match (
        given(&asked.joining),
        given(&asked.leaving),
        given(&asked.members),
    ) {
        (None, None, Some(all)) => whole(members, &all)?,
        (_, _, Some(_)) => return Err(Error::BadArguments),
        (joining, leaving, None) => {
            let leaving = leaving.as_deref().unwrap_or_default();
            step(members, joining.as_deref().unwrap_or_default(), leaving)?
        }
    };
    let mut voters = members.voters().map(|member| member.node);
    let keeps_a_voter = members.list.is_empty() || voters.any(|node| !plan.leaving.contains(&node));
    if plan.announced.len() > ANNOUNCED_MAX || !keeps_a_voter {
        return Err(Error::BadArguments);
    }
    Ok(plan)
}

/// Some join, some leave, the others stay.
fn step(members: &Members, joining: &str, leaving: &str) -> Result<Plan, Error> {
    let mut plan = Plan {
        announced: members.announced.clone(),
        leaving: Vec::new(),
    };
    for id in leaving.split(',').filter(|id| !id.is_empty()) {
        let id: u64 = id.trim().parse().map_err(|_| Error::Unreadable)?;
        plan.announced.remove(&id);
        if members.list.contains_key(&NodeId(id)) && !plan.leaving.contains(&NodeId(id)) {
            plan.leaving.push(NodeId(id));
        }
    }
    for server in joining.split(',').filter(|server| !server.is_empty()) {
        let (id, announced) = parse(server)?;
        if members.list.contains_key(&NodeId(id)) {
            return Err(Error::BadArguments);
        }
        plan.announced
            .insert(id, announced.ok_or(Error::BadArguments)?);
    }
    Ok(plan)
}

/// The whole list anew: who is not in it leaves.
fn whole(members: &Members, all: &str) -> Result<Plan, Error> {
    let mut announced = BTreeMap::new();
    let mut staying = BTreeSet::new();
    let lines = all.split([',', '\n']).map(str::trim);
    for server in lines.filter(|line| !line.is_empty() && !line.starts_with("version=")) {
        let (id, observer) = parse(server)?;
        let is_member = members.list.contains_key(&NodeId(id));
        match observer {
            _ if is_member => drop(staying.insert(NodeId(id))),
            Some(observer) => drop(announced.insert(id, observer)),
            None => return Err(Error::BadArguments),
        }
    }
    let ids = members.list.keys();
    let leaving = ids.filter(|id| !staying.contains(id)).copied().collect();
    Ok(Plan { announced, leaving })
}

/// `server.ID=host:port:port[:role];[host:]port`. None for a participant.
fn parse(server: &str) -> Result<(u64, Option<Announced>), Error> {
    read(server).ok_or(Error::BadArguments)
}

fn read(server: &str) -> Option<(u64, Option<Announced>)> {
    let (name, spec) = server.trim().split_once('=')?;
    let id = name.trim().strip_prefix("server.")?.parse().ok()?;
    let (quorum, client) = spec.split_once(';')?;
    let (host, rest) = split_host(quorum.trim())?;
    let mut parts = rest.split(':');
    let ports = (port(parts.next()?)?, port(parts.next()?)?);
    let role = parts.next().unwrap_or("participant").to_ascii_lowercase();
    if parts.next().is_some() || ports.0 == ports.1 {
        return None;
    }
    let (client_host, client_port) = match split_host(client.trim()) {
        Some((host, at)) => (host, port(at)?),
        None => ("0.0.0.0", port(client.trim())?),
    };
    let announced = Announced {
        host: host.into(),
        ports,
        client_host: client_host.into(),
        client_port,
    };
    match role.as_str() {
        "observer" => Some((id, Some(announced))),
        "participant" => Some((id, None)),
        _ => None,
    }
}

fn split_host(address: &str) -> Option<(&str, &str)> {
    let (host, rest) = match address.strip_prefix('[') {
        Some(inside) => inside.split_once("]:")?,
        None => address.split_once(':')?,
    };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:%".contains(&byte);
    (!host.is_empty() && host.bytes().all(is_plain)).then_some((host, rest))
}

fn port(text: &str) -> Option<u16> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_as_zookeeper_writes_them() {
        let check = |text: &str, again: &str| {
            let (id, announced) = parse(text).unwrap();
            assert_eq!(format!("server.{id}={}", announced.unwrap().text()), again);
        };
        let plain = "server.100=0.0.0.0:1234:2345:observer;0.0.0.0:3456";
        check(plain, plain);
        check("server.100=0.0.0.0:1234:2345:observer;3456", plain);
        let six = "server.2=[fd00::1]:1:2:observer;[fd00::1]:3";
        check(six, six);
        for bad in [
            "some thing",
            "server.1=a:1:2:observer",
            "server.1=a:1:1:observer;3",
            "server.1=a:1:2:king;3",
            "server.1=a:1:2:observer:x;3",
            "server.1=a:1;3",
            "server.x=a:1:2:observer;3",
            "server.1=a:1:99999:observer;3",
            "server.1=:1:2:observer;3",
            "server.1=a b:1:2:observer;3",
        ] {
            assert_eq!(parse(bad), Err(Error::BadArguments), "{bad}");
        }
        assert_eq!(parse("server.1=a:1:2;3").unwrap(), (1, None));
    }
}
