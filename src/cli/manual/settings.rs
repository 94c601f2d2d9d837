//! dolmen.toml(5), from the tables that check the file: a node's settings and
//! those of the cluster.

use super::page::{Page, sentence};
use crate::daemon::config::{FILE, SETTINGS, variable};
use crate::profile::{KNOBS, Knob, PROBE_FILE, Value};
use crate::state::settings::{Kind, Row, TABLE};
use roff::bold;

pub(super) fn page() -> Page {
    let mut page = Page::new("dolmen.toml", 5, "the settings of a Dolmen node");
    page.section("SYNOPSIS");
    page.text(&format!("`{FILE}`"));
    page.section("DESCRIPTION");
    page.text(
        "What this node is told to be, in TOML. The file may be absent or empty: every setting \
         has a default, or means something by its absence. A key that is not on this page \
         is refused with its line and column. `dolmen check-config FILE` reads a file as the \
         daemon does; `dolmen profile show` prints every value with its origin.\n\n\
         A running node takes a new `node.log_level`, and new files of certificates, with \
         `systemctl reload dolmen`; all else waits for a restart. What the cluster agrees on is \
         not in this file: see CLUSTER SETTINGS.",
    );
    layers(&mut page);
    page.section("SETTINGS");
    let mut section_before = "";
    for knob in SETTINGS.iter().flat_map(|table| table.iter()) {
        let section = knob.key.rsplit_once('.').map_or("", |(section, _)| section);
        if section != section_before {
            page.part(&format!("[{section}]"));
            section_before = section;
        }
        page.item([bold(knob.key)], &meaning_of_a_setting(knob));
    }
    cluster(&mut page);
    page.section("EXAMPLES");
    page.text("Clients on other machines, with TLS alone:");
    page.example(
        "[doors.zookeeper]\n\
         listen = \"0.0.0.0:2181\"\n\
         advertise = \"node1.example:2181\"\n\
         tls_certificate = \"/etc/dolmen/door.pem\"\n\
         tls_key = \"/etc/dolmen/door.key\"\n\
         tls_required = true",
    );
    page.see_also(&[
        "dolmen(1)",
        "dolmen-check-config(1)",
        "dolmen-profile(1)",
        "dolmen-hw-profile(5)",
        "dolmen-server(8)",
    ]);
    page
}

fn layers(page: &mut Page) {
    page.section("LAYERS");
    page.text("A value of a later layer takes the place of one of an earlier:");
    let profiles = KNOBS[0].key.split('.').next().unwrap_or_default();
    page.item([bold("built-in")], "What this page calls the default.");
    page.item(
        [bold("profile")],
        &format!(
            "The hardware profile that fits this machine, `dolmen-hw-profile`(5). It turns the \
             settings of [{profiles}] alone."
        ),
    );
    page.item(
        [bold("probe")],
        &format!("`{PROBE_FILE}` in the data folder, which `dolmen probe --write` writes."),
    );
    page.item(
        [bold("file")],
        &format!("This file, `{FILE}`, or the one that --config names."),
    );
    page.item(
        [bold("environment")],
        "A variable for each setting: `DOLMEN_` and the key in capitals, with underscores for \
         dots. A variable of a section that exists must name a key of it.",
    );
    page.item(
        [bold("command line")],
        "`--set KEY=VALUE`, the last one of a key.",
    );
}

fn cluster(page: &mut Page) {
    page.section("CLUSTER SETTINGS");
    page.text(
        "What all nodes share stands in the replicated state, one znode a setting under \
         `/dolmen/config`, as a whole number in decimal digits. A change holds on every node at \
         once, without a restart. Only the user `super` may make one \
         (`doors.zookeeper.super_digest`); a value out of range is refused and what was in force \
         stays. For example:",
    );
    let row = &TABLE[0];
    page.example(&format!(
        "dolmen zk set /dolmen/config/{} {} --auth digest:super:PASSWORD",
        row.name,
        row.default * 2
    ));
    for row in &TABLE {
        page.item([bold(row.name)], &meaning_of_a_row(row));
    }
}

fn meaning_of_a_row(row: &Row) -> String {
    let unit = match row.kind {
        Kind::Count => "",
        Kind::Milliseconds => " of milliseconds",
        Kind::Bytes => " of bytes",
    };
    let (least, most) = (row.range.start(), row.range.end());
    let (doc, default) = (capitalised(row.doc), row.default);
    format!(
        "{} It is a whole number{unit} from {least} to {most}. Default: {default}.",
        sentence(&doc)
    )
}

/// What it is for, what it may be, what it is by itself, and its variable.
fn meaning_of_a_setting(knob: &Knob) -> String {
    format!(
        "{}\n\nEnvironment: `{}`.",
        meaning(knob),
        variable(knob.key)
    )
}

pub(super) fn meaning(knob: &Knob) -> String {
    let allowed = knob.kind.allowed();
    let value = match &knob.default {
        Some(default) => format!(" Default: {default}."),
        None => String::new(),
    };
    format!("{} It is {allowed}.{value}", sentence(knob.doc))
}

pub(super) fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).collect()
}

/// The text of a setting that is built in.
pub(super) fn default_of(key: &str) -> String {
    let mut knobs = SETTINGS.iter().flat_map(|table| table.iter());
    match knobs
        .find(|knob| knob.key == key)
        .and_then(|knob| knob.default.as_ref())
    {
        Some(Value::Text(text)) => text.to_string(),
        other => unreachable!("{key} has a text built in, not {other:?}"),
    }
}
