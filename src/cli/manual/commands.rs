//! The pages of the commands: one for the program, one for each subcommand with
//! all that is nested in it, from the table that parses.

use super::page::{Page, sentence};
use super::settings;
use crate::daemon::config::{FILE, profile_folders};
use clap::{Arg, Command};
use roff::{Inline, bold, italic, roman};

/// dolmen(1).
pub(super) fn overview(program: &Command) -> Page {
    let mut page = Page::new("dolmen", 1, &about(program));
    page.section("SYNOPSIS");
    page.form(
        "dolmen",
        [
            italic("COMMAND"),
            roman(" ["),
            italic("OPTION"),
            roman("]..."),
        ],
    );
    page.section("DESCRIPTION");
    page.text(
        "Dolmen is one program for one to seven machines at a site with nobody to look after \
         them: the daemon, and the commands that speak with it. What it has today is a \
         coordination service for clients of ZooKeeper and an event log for clients of Kafka. A \
         node serves from its first start, and becomes the first of a cluster by `dolmen init`.\n\n\
         A command speaks with the daemon on the same host over its admin socket, which root and \
         the members of the group `dolmen` may open. `dolmen COMMAND --help` says in short what \
         the page `dolmen-COMMAND`(1) says.",
    );
    page.section("COMMANDS");
    for command in program.get_subcommands() {
        let mut says = sentence(&about(command));
        let nested: Vec<String> = shown(command)
            .map(|one| format!("`{}`", one.get_name()))
            .collect();
        if !nested.is_empty() {
            says += &format!(" Nested: {}.", nested.join(", "));
        }
        page.item([bold(command.get_name())], &says);
    }
    page.section("OPTIONS");
    page.item([bold("-h"), roman(", "), bold("--help")], "Print help.");
    page.item(
        [bold("-V"), roman(", "), bold("--version")],
        "Print the version.",
    );
    page.section("EXIT STATUS");
    page.item([bold("0")], "It is done.");
    page.item(
        [bold("1")],
        "It failed; one line on standard error says why and what to do next.",
    );
    page.item([bold("2")], "The command was not written as it is to be.");
    page.text("A command that has more to tell by its status says so on its page.");
    page.section("ENVIRONMENT");
    page.item(
        [bold("DOLMEN_"), italic("SECTION"), bold("_"), italic("KEY")],
        "One setting, over what the file says; `dolmen.toml`(5) names the variable of each.",
    );
    page.section("FILES");
    page.item([bold(FILE)], "The settings of this node: `dolmen.toml`(5).");
    page.item(
        [bold(settings::default_of("node.data"))],
        "Everything durable: `dolmen-server`(8).",
    );
    page.item(
        [bold(settings::default_of("admin.socket"))],
        "Where commands reach the daemon.",
    );
    for folder in profile_folders() {
        let says = "Hardware profiles: `dolmen-hw-profile`(5).";
        page.item([bold(folder.display().to_string())], says);
    }
    let own = program
        .get_subcommands()
        .map(|one| format!("dolmen-{}(1)", one.get_name()));
    let all: Vec<String> = own.chain(OTHERS.map(String::from)).collect();
    page.see_also(&all.iter().map(String::as_str).collect::<Vec<_>>());
    page
}

const OTHERS: [&str; 3] = ["dolmen-server(8)", "dolmen.toml(5)", "dolmen-hw-profile(5)"];

/// dolmen-NAME(1).
pub(super) fn page(command: &Command) -> Page {
    let typed = format!("dolmen {}", command.get_name());
    let mut page = Page::new(
        &format!("dolmen-{}", command.get_name()),
        1,
        &about(command),
    );
    page.section("SYNOPSIS");
    forms(&mut page, &typed, command);
    page.section("DESCRIPTION");
    page.text(&description(command));
    if shown(command).next().is_some() {
        page.section("COMMANDS");
        nested(&mut page, &typed, command);
    }
    let own: Vec<&Arg> = arguments(command).collect();
    if !own.is_empty() {
        page.section("OPTIONS");
        if own.iter().any(|one| one.is_global_set()) && shown(command).next().is_some() {
            page.text("Each of the commands takes these as well.");
        }
        options(&mut page, &own);
    }
    page.see_also(&["dolmen(1)", OTHERS[0], OTHERS[1]]);
    page
}

/// A form for each command that can be typed.
pub(super) fn forms(page: &mut Page, typed: &str, command: &Command) {
    let is_whole = shown(command).next().is_none() || !command.is_subcommand_required_set();
    if is_whole {
        page.form(typed, form(command));
    }
    for inner in shown(command) {
        forms(page, &format!("{typed} {}", inner.get_name()), inner);
    }
}

/// What may follow a command's name: what must stand there, and what may, in
/// brackets.
fn form(command: &Command) -> Vec<Inline> {
    let mut parts: Vec<Inline> = Vec::new();
    let (places, options): (Vec<&Arg>, _) = arguments(command).partition(|one| one.is_positional());
    for one in options.into_iter().chain(places) {
        if !parts.is_empty() {
            parts.push(roman(" "));
        }
        let is_optional = !one.is_required_set();
        parts.extend(is_optional.then(|| roman("[")));
        parts.extend(term(one, Names::First));
        parts.extend(is_optional.then(|| roman("]")));
        if may_come_again(one) {
            parts.push(roman("..."));
        }
    }
    parts
}

/// The commands inside of one, each with its own options.
fn nested(page: &mut Page, typed: &str, command: &Command) {
    for inner in shown(command) {
        let typed = format!("{typed} {}", inner.get_name());
        page.part(&typed);
        page.text(&description(inner));
        options(page, &arguments(inner).collect::<Vec<_>>());
        nested(page, &typed, inner);
    }
}

fn options(page: &mut Page, all: &[&Arg]) {
    let (places, options): (Vec<&Arg>, Vec<&Arg>) = all.iter().partition(|one| one.is_positional());
    for one in places.into_iter().chain(options) {
        page.item(term(one, Names::All), &meaning(one));
    }
}

enum Names {
    First,
    All,
}

/// An argument as it is typed.
fn term(one: &Arg, names: Names) -> Vec<Inline> {
    let short = one.get_short().map(|short| format!("-{short}"));
    let long = one.get_long().map(|long| format!("--{long}"));
    let mut typed: Vec<Inline> = Vec::new();
    match (short, long, names) {
        (Some(short), Some(long), Names::All) => {
            typed.extend([bold(short), roman(", "), bold(long)]);
        }
        (_, Some(name), _) | (Some(name), None, _) => typed.push(bold(name)),
        (None, None, _) => {}
    }
    for value in values(one) {
        if !typed.is_empty() {
            typed.push(roman(" "));
        }
        typed.push(italic(value));
    }
    typed
}

fn values(one: &Arg) -> Vec<String> {
    if !one.get_action().takes_values() {
        return Vec::new();
    }
    match one.get_value_names() {
        Some(names) => names.iter().map(|name| name.to_string()).collect(),
        None => vec![one.get_id().as_str().to_uppercase()],
    }
}

fn may_come_again(one: &Arg) -> bool {
    matches!(one.get_action(), clap::ArgAction::Append)
}

/// What an argument is for, what it may be and what it is by itself.
fn meaning(one: &Arg) -> String {
    let help = one.get_long_help().or(one.get_help());
    let mut says = help.map_or_else(String::new, |help| sentence(&help.to_string()));
    let possible = one.get_possible_values();
    // A switch's are true and false, which nobody types.
    if one.get_action().takes_values() && !possible.is_empty() {
        let words: Vec<String> = possible
            .iter()
            .map(|value| format!("`{}`", value.get_name()))
            .collect();
        says += &format!(" One of {}.", words.join(", "));
    }
    let defaults = one.get_default_values().iter();
    let defaults: Vec<_> = defaults.map(|value| value.to_string_lossy()).collect();
    let default = defaults.join(" ");
    if one.get_action().takes_values() && !default.is_empty() {
        says += &format!(" Default: `{default}`.");
    }
    says
}

fn about(command: &Command) -> String {
    command
        .get_about()
        .map(ToString::to_string)
        .unwrap_or_default()
}

/// The help writes its first line without a full stop.
fn description(command: &Command) -> String {
    let long = command.get_long_about().or(command.get_about());
    let long = long.map(ToString::to_string).unwrap_or_default();
    let paragraphs: Vec<String> = long.split("\n\n").map(sentence).collect();
    paragraphs.join("\n\n")
}

fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|one| !one.is_hide_set())
}

fn arguments(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|one| !one.is_hide_set())
}
