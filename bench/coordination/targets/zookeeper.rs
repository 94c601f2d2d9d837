//! ZooKeeper as Debian packages it, with upstream's default heap.

use super::{Node, Site, Standing};
use crate::failure::Failure;
use crate::ports::free_row;
use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

const JAR: &str = "/usr/share/java/zookeeper.jar";
const LOGGING: &str = "log4j.rootLogger=WARN, CONSOLE
log4j.appender.CONSOLE=org.apache.log4j.ConsoleAppender
log4j.appender.CONSOLE.layout=org.apache.log4j.PatternLayout
log4j.appender.CONSOLE.layout.ConversionPattern=%d{ISO8601} %-5p %c: %m%n
";

/// Of clients, of peers, of elections.
const PORTS_PER_NODE: u16 = 3;

pub(super) fn nodes(count: usize, folder: &Path, site: &Site) -> Result<Vec<Node>, Failure> {
    if !Path::new(JAR).exists() {
        let why = format!("no {JAR}: apt install zookeeper");
        return Err(Failure::NotRunning(why));
    }
    let first = free_row(PORTS_PER_NODE * count as u16)?;
    let port = |place: usize| first + PORTS_PER_NODE * place as u16;
    let mut servers = String::new();
    if count > 1 {
        servers.push_str("standaloneEnabled=false\nreconfigEnabled=true\n");
        for place in 0..count {
            let (id, port) = (place + 1, port(place));
            let (peers, elections) = (port + 1, port + 2);
            let line = format!("server.{id}=127.0.0.1:{peers}:{elections}:participant");
            writeln!(servers, "{line}").expect("a text grows");
        }
    }
    let node = |place: usize| {
        let home = folder.join(format!("node-{}", place + 1));
        fs::create_dir_all(&home)?;
        fs::write(home.join("myid"), format!("{}\n", place + 1))?;
        fs::write(home.join("log4j.properties"), LOGGING)?;
        let settings = format!(
            "tickTime={tick}\ninitLimit=10\nsyncLimit=5\ndataDir={home}\n\
             clientPortAddress=127.0.0.1\nclientPort={port}\nmaxClientCnxns=0\n\
             admin.enableServer=false\n4lw.commands.whitelist=*\n{servers}",
            tick = site.zookeeper_tick_ms,
            home = home.display(),
            port = port(place),
        );
        let file = home.join("zoo.cfg");
        fs::write(&file, settings)?;
        let argv = [
            "java".to_owned(),
            "-Xmx1000m".to_owned(),
            "-Dzookeeper.extendedTypesEnabled=true".to_owned(),
            "-cp".to_owned(),
            format!("{}:{JAR}", home.display()),
            "org.apache.zookeeper.server.quorum.QuorumPeerMain".to_owned(),
            file.display().to_string(),
        ];
        Ok(Node {
            address: SocketAddr::from(([127, 0, 0, 1], port(place))),
            argv: argv.to_vec(),
            standing: Standing::Down,
            starts: None,
        })
    };
    (0..count).map(node).collect()
}
