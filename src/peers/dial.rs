//! Dials a member until there is a link, and again when it is lost. Both sides
//! do; the higher id waits a little longer, so that two connections seldom
//! cross.

use super::link;
use super::plane::Shell;
use super::refusal::Refusal;
use super::settings::Settings;
use super::tls;
use crate::ids::NodeId;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// Lives as long as the membership; is aborted with it.
pub(super) async fn again_and_again(
    shell: Arc<Shell>,
    node: NodeId,
    place: String,
    mut linked: watch::Receiver<bool>,
) {
    let mut wait = Wait::new(&shell.settings, shell.us() > node);
    let mut last_said = String::new();
    while linked.wait_for(|is_linked| !is_linked).await.is_ok() {
        sleep(wait.next(&shell.settings)).await;
        if *linked.borrow() {
            wait = Wait::new(&shell.settings, shell.us() > node);
            continue;
        }
        match dial(&shell, node, &place).await {
            Ok(()) => {
                wait = Wait::new(&shell.settings, shell.us() > node);
                last_said.clear();
                shell.note_dial(node, None);
            }
            Err(why) => tell(&shell, node, &place, &why, &mut last_said),
        }
    }
}

/// Once for each reason, not once a second.
fn tell(shell: &Shell, node: NodeId, place: &str, why: &Refusal, last_said: &mut String) {
    let says = why.to_string();
    if !why.is_ordinary() {
        shell.note_dial(node, Some(says.clone()));
    }
    if says != *last_said && !why.is_ordinary() {
        let plane = shell.plane.name();
        tracing::info!("node {node} is not reached on the {plane} plane at {place}: {says}");
        *last_said = says;
    }
}

async fn dial(shell: &Arc<Shell>, node: NodeId, place: &str) -> Result<(), Refusal> {
    let face = shell.face();
    let name = tls::server_name(&face.identity, node);
    let mut last = Refusal::Lost(format!("{place} has no address"));
    for address in look_up(place).await? {
        shell.found_at(node, address.ip());
        let failed = |error: String| Refusal::Handshake(error);
        let connecting = shell
            .endpoint
            .connect_with(face.client.clone(), address, &name)
            .map_err(|error| failed(error.to_string()));
        let within = shell.settings.handshake_within;
        let shaken = match connecting {
            Ok(connecting) => match timeout(within, connecting).await {
                Ok(shaken) => shaken.map_err(|error| failed(error.to_string())),
                Err(_) => Err(Refusal::Silent(within)),
            },
            Err(why) => Err(why),
        };
        let connection = match shaken {
            Ok(connection) => connection,
            Err(why) => {
                last = why;
                continue;
            }
        };
        let welcome = shell.welcome(&connection, Some(node)).await;
        return welcome.inspect_err(|why| link::close(&connection, why));
    }
    Err(last)
}

/// Numbers need no resolver and no thread.
pub(super) async fn look_up(place: &str) -> Result<Vec<SocketAddr>, Refusal> {
    if let Ok(address) = place.parse() {
        return Ok(vec![address]);
    }
    match tokio::net::lookup_host(place).await {
        Ok(found) => Ok(found.collect()),
        Err(error) => Err(Refusal::Lost(format!(
            "{place} cannot be looked up: {error}"
        ))),
    }
}

/// Doubles up to a bound. Drawn between its half and its whole, so that nodes
/// that lost each other together do not dial together.
struct Wait {
    whole: Duration,
    /// Once, for the side whose connection would not stay.
    head_start: Duration,
}

impl Wait {
    fn new(settings: &Settings, is_higher: bool) -> Self {
        let whole = settings.dial_again_first;
        Self {
            whole,
            head_start: if is_higher {
                settings.head_start
            } else {
                Duration::ZERO
            },
        }
    }

    fn next(&mut self, settings: &Settings) -> Duration {
        let whole = self.whole;
        self.whole = (whole * 2).min(settings.dial_again_last);
        let mut chance = [0; 4];
        // Without chance the whole is as good as any.
        let half = match settings.entropy.fill(&mut chance) {
            Ok(()) => whole / 2 * (u32::from_le_bytes(chance) >> 16) / (1 << 16),
            Err(_) => Duration::ZERO,
        };
        whole - half + std::mem::take(&mut self.head_start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::MachineClock;
    use crate::entropy::MachineEntropy;
    use crate::peers::Release;

    #[test]
    fn waits_double_up_to_the_bound_and_differ() {
        let here = "127.0.0.1:0".parse().unwrap();
        let clock = Arc::new(MachineClock::new());
        let release = Release::default();
        let entropy = Arc::new(MachineEntropy);
        let mut settings = Settings::new(here, here, 1, release, clock, entropy);
        settings.dial_again_first = Duration::from_millis(100);
        settings.dial_again_last = Duration::from_millis(400);
        settings.head_start = Duration::from_millis(1000);
        let mut wait = Wait::new(&settings, true);
        let drawn: Vec<u128> = (0..5).map(|_| wait.next(&settings).as_millis()).collect();
        let bounds = [(1050, 1100), (100, 200), (200, 400), (200, 400), (200, 400)];
        for (drawn, (least, most)) in drawn.iter().zip(bounds) {
            assert!(
                (least..=most).contains(drawn),
                "{drawn} of {least}..={most}"
            );
        }
    }
}
