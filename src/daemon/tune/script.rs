//! What `apply` would do, as commands of a shell.

use super::standing::{Standing, State};

/// A line for each file that says something else than what is wanted.
pub fn script(standings: &[Standing]) -> String {
    let mut text = String::from("#!/bin/sh\n");
    let differing = standings
        .iter()
        .filter(|standing| standing.state == State::Differs);
    for standing in differing {
        let tuner = standing.tuner;
        text += &format!("\n# {}: {}\n", tuner.name, tuner.reason);
        for found in standing.found.iter().filter(|found| !standing.fits(found)) {
            let wanted = standing.wanted.as_deref().unwrap_or_default();
            let (file, was) = (quoted(&found.file), found.told());
            text += &format!("echo {wanted} > {file} # was {was}\n");
        }
    }
    if standings
        .iter()
        .all(|standing| standing.state != State::Differs)
    {
        text += "# nothing to do\n";
    }
    text
}

/// Names of disks may hold what a shell takes for its own, as `cciss!c0d0`.
fn quoted(path: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    match path.bytes().all(is_plain) {
        true => path.into(),
        false => format!("'{}'", path.replace('\'', "'\\''")),
    }
}
