//! Which daemon on this host a command speaks to.

use super::{Failure, dev};
use crate::daemon::ask::ask_to_agree;
use crate::daemon::compose::{self, Sources};
use crate::daemon::config::ADMIN_SOCKET;
use serde_json::Value;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Here {
    /// The daemon's admin socket, where it is not the standard one
    #[arg(long, value_name = "PATH", global = true, conflicts_with = "data")]
    socket: Option<PathBuf>,
    /// The data folder of `dolmen dev`
    #[arg(long, value_name = "DIR", global = true)]
    data: Option<PathBuf>,
    /// Which node of `dolmen dev`
    #[arg(long, value_name = "N", global = true, default_value_t = 1)]
    dev_node: u16,
}

impl Here {
    pub fn socket(&self) -> Result<PathBuf, Failure> {
        Ok(match (&self.socket, &self.data) {
            (Some(socket), _) => socket.clone(),
            (None, Some(data)) => dev::admin_socket(data, self.dev_node),
            (None, None) => installed_socket(),
        })
    }

    /// The one that was named, and not looked up.
    pub fn named_socket(&self) -> Option<PathBuf> {
        let of_dev = |data: &PathBuf| dev::admin_socket(data, self.dev_node);
        self.socket.clone().or(self.data.as_ref().map(of_dev))
    }

    /// The settings of the node of `dolmen dev`, where that is meant.
    pub fn dev_settings(&self) -> Option<PathBuf> {
        let of_dev = |data: &PathBuf| dev::settings_file(data, self.dev_node);
        self.data.as_ref().map(of_dev)
    }

    pub fn ask(&self, question: &Value) -> Result<Value, Failure> {
        ask_to_agree(&self.socket()?, question).map_err(Failure::failed)
    }
}

/// Where the settings put it. The daemon may well be running with the settings
/// from before they were broken, and is then found where they usually put it.
fn installed_socket() -> PathBuf {
    match compose::load(&Sources::default()) {
        Ok(loaded) => loaded.config.admin_socket,
        Err(refused) => {
            eprintln!("dolmen: {refused}; asking the daemon on {ADMIN_SOCKET}");
            ADMIN_SOCKET.into()
        }
    }
}
