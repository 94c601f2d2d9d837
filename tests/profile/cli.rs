//! The subcommands about settings, as plain functions.

use super::Folder;
use clap::Parser;
use dolmen::cli::{Failure, check_config, profile};

#[derive(Parser)]
enum Line {
    Profile(profile::Args),
    CheckConfig(check_config::Args),
}

fn run(words: &[&str]) -> Result<(), Failure> {
    match Line::try_parse_from([&["dolmen"], words].concat()).unwrap() {
        Line::Profile(args) => profile::run(args),
        Line::CheckConfig(args) => check_config::run(args),
    }
}

#[track_caller]
fn fails(words: &[&str], message: &str) {
    let failure = run(words).unwrap_err();
    assert_eq!((&*failure.message, failure.status), (message, 1));
}

#[test]
fn files_are_verified_before_they_are_installed() {
    let folder = Folder::new("verify");
    let file = |name: &str, rest: &str| {
        let text = format!("schema = 1\nname = \"{name}\"\ndescription = \"d\"\n{rest}");
        folder
            .file(&format!("{name}.toml"), &text)
            .display()
            .to_string()
    };
    let good = file("good", "inherits = \"generic\"");
    let base = file("base", "inherits = \"good\"");
    let bad = file("bad", "[log]\nengin = 1\nsegment_mib = 0");
    let alone = file("alone", "inherits = \"nobody\"");
    run(&["profile", "verify", &good, &base]).unwrap();
    run(&["profile", "verify", "--json", &good]).unwrap();
    fails(&["profile", "verify", &bad, &good], "2 faults");
    fails(&["profile", "verify", "--json", &alone], "1 fault");
}

#[test]
fn a_profile_is_shown_by_its_name() {
    run(&["profile", "show", "rpi5-sd"]).unwrap();
    run(&["profile", "show", "rpi5-sd", "--json"]).unwrap();
    fails(
        &["profile", "show", "rpi5-ds"],
        "there is no profile \"rpi5-ds\", did you mean rpi5-sd?",
    );
}

#[test]
fn a_node_is_shown_from_its_file() {
    let folder = Folder::new("show");
    let file = folder.file("dolmen.toml", "[log]\nsegment_mib = 6\n");
    let (file, data) = (file.display().to_string(), folder.0.display().to_string());
    for command in ["list", "show"] {
        run(&["profile", command, "--config", &file, "--data", &data]).unwrap();
        run(&["profile", command, "--config", &file, "--json"]).unwrap();
    }
}

#[test]
fn a_configuration_is_checked_as_at_start() {
    let folder = Folder::new("check-config");
    let good = folder.file("good.toml", "[log]\nengine = \"threads\"\n");
    let bad = folder.file("bad.toml", "[log]\nengine = 1\nsegment_mb = 64\n");
    run(&["check-config", &good.display().to_string()]).unwrap();
    fails(&["check-config", &bad.display().to_string()], "2 faults");
    fails(&["check-config", "/no/such/file.toml"], "1 fault");
}
